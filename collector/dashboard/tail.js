// SPDX-License-Identifier: Apache-2.0
// The live tail: calls as they come, with pause and filter.
import * as api from './api.js';
import {h, replace} from './dom.js';
import {callText, clock, count, duration} from './format.js';

const ROWS = 200;

export function tail(request, signal, open) {
	const rows = [];
	let paused = false, leftOut = 0, waiting = 0, scheduled = false;
	const body = h('tbody', {});
	const note = h('p', {class: 'note', role: 'status'}, 'Connecting …');
	const filter = h('input', {type: 'search', id: 'tail-filter', placeholder: 'text in the call', autocomplete: 'off', oninput: () => draw()});
	const errors = h('input', {type: 'checkbox', id: 'tail-errors', onchange: () => draw()});
	const pause = h('button', {type: 'button', 'aria-pressed': 'false', onclick: () => setPaused(!paused)}, 'Pause');

	function setPaused(on) {
		paused = on;
		waiting = 0;
		pause.textContent = on ? 'Go on' : 'Pause';
		pause.setAttribute('aria-pressed', String(on));
		draw();
	}
	function row(c) {
		return h('tr', {class: c.error ? 'error' : null}, h('td', {}, clock(c.ts)), h('td', {}, c.host), h('td', {}, c.comm + '[' + c.pid + '/' + c.tid + ']'),
			h('td', {}, h('button', {type: 'button', class: 'call', onclick: () => open(c)}, callText(c))), h('td', {class: 'number'}, duration(c.duration_ns)));
	}
	function draw() {
		const wanted = filter.value.toLowerCase();
		const shown = rows.filter((c) => (!errors.checked || c.error) && (!wanted || (c.host + ' ' + c.comm + ' ' + callText(c)).toLowerCase().includes(wanted)));
		replace(body, shown.slice(0, ROWS).map(row));
		note.textContent = (paused ? 'Paused, ' + count(waiting) + ' calls came since. ' : '') + (shown.length ? '' : rows.length ? 'No call has that in it. ' : 'No call came yet. ') +
			(leftOut ? count(leftOut) + ' calls came too fast to be shown; all counts are exact.' : '');
	}
	function soon() {
		if (scheduled)
			return;
		scheduled = true;
		setTimeout(() => {
			scheduled = false;
			draw();
		}, 200);
	}
	function on(event, data) {
		if (event === 'call' && paused) {
			waiting++;
		} else if (event === 'call') {
			rows.unshift(data);
			rows.length = Math.min(rows.length, 5 * ROWS);
		} else if (event === 'left-out') {
			leftOut += data.calls;
		} else if (event === 'end') {
			note.textContent = 'The request has ended: ' + data.reason;
			return;
		}
		soon();
	}
	async function run() {
		while (!signal.aborted) {
			try {
				note.textContent = 'Listening.';
				await api.live({request}, on, signal);
				return;
			} catch (e) {
				if (signal.aborted || e.name === 'AbortError')
					return;
				note.textContent = e.message + '; trying again.';
				await new Promise((done) => setTimeout(done, 3000));
			}
		}
	}
	document.addEventListener('keydown', (e) => {
		if (e.key === ' ' && (e.target === document.body || e.target.id === 'main')) {
			e.preventDefault();
			setPaused(!paused);
		} else if (e.key === '/' && !/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) {
			e.preventDefault();
			filter.focus();
		}
	}, {signal});
	run();
	return h('section', {class: 'tail', 'aria-label': 'Live calls'}, h('h2', {}, 'Live'), h('p', {class: 'controls'}, pause, h('label', {for: 'tail-filter'}, ' Filter '), filter,
		errors, h('label', {for: 'tail-errors'}, ' failing calls only'), h('span', {class: 'hint'}, ' Keys: space pauses, / filters.')), note,
	h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Live calls'}, h('table', {}, h('caption', {}, 'Live calls, newest first'),
		h('thead', {}, h('tr', {}, ['Time', 'Host', 'Process', 'Call', 'Duration'].map((n) => h('th', {scope: 'col'}, n)))), body)));
}
