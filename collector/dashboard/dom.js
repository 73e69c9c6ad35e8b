// SPDX-License-Identifier: Apache-2.0
// Building elements. Text goes into text nodes only: what a probed program holds is never read as markup.

const ATTRIBUTES = new Set(['class', 'href', 'type', 'id', 'name', 'for', 'value', 'placeholder', 'role', 'title', 'scope', 'colspan',
	'tabindex', 'required', 'disabled', 'checked', 'selected', 'autocomplete', 'pattern', 'rows', 'min', 'datetime', 'method', 'hidden']);

// h('td', {class: 'number'}, 'text', child, ...). on...: listeners. aria-*, data-*: attributes. null children are left out.
export function h(tag, attributes, ...children) {
	const element = document.createElement(tag);
	for (const [key, value] of Object.entries(attributes || {})) {
		if (value === null || value === undefined || value === false)
			continue;
		if (key.startsWith('on'))
			element.addEventListener(key.slice(2), value);
		else if (ATTRIBUTES.has(key) || key.startsWith('aria-') || key.startsWith('data-'))
			element.setAttribute(key, value === true ? '' : value);
		else
			throw new Error('attribute ' + key);
	}
	element.append(...children.flat().filter((c) => c !== null && c !== undefined).map((c) => c instanceof Node ? c : String(c)));
	return element;
}

export function replace(element, ...children) {
	element.replaceChildren(...children.flat().filter((c) => c !== null && c !== undefined));
	return element;
}

// A table with a caption for those who do not see it. columns: [{name, cell(row), number}]
export function table(caption, columns, rows, empty) {
	if (!rows.length)
		return h('p', {class: 'empty'}, empty);
	return h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption},
		h('table', {},
			h('caption', {}, caption),
			h('thead', {}, h('tr', {}, columns.map((c) => h('th', {scope: 'col', class: c.number ? 'number' : null}, c.name)))),
			h('tbody', {}, rows.map((r) => h('tr', {class: r.$class || null},
				columns.map((c) => h('td', {class: c.number ? 'number' : null}, c.cell(r))))))));
}

export function say(text) {
	document.getElementById('status').textContent = text;
}

// Opens the dialog; whoever opened it gets the focus back.
export function openDialog(title, ...content) {
	const dialog = document.getElementById('dialog');
	replace(dialog, h('h2', {id: 'dialog-title'}, title), ...content,
		h('form', {method: 'dialog'}, h('button', {type: 'submit'}, 'Close')));
	dialog.showModal();
	return dialog;
}
