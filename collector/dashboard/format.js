// SPDX-License-Identifier: Apache-2.0
// Numbers and times for people.

export function count(n) {
	return n >= 1e6 ? (n / 1e6).toFixed(1) + ' M' : n >= 1e4 ? (n / 1e3).toFixed(1) + ' k' : String(Math.round(n * 10) / 10);
}

export function duration(ns) {
	if (ns === null || ns === undefined)
		return '–';
	for (const [unit, size] of [['s', 1e9], ['ms', 1e6], ['µs', 1e3]])
		if (ns >= size)
			return (ns / size).toPrecision(3) + ' ' + unit;
	return ns + ' ns';
}

export function percent(part, whole) {
	return whole ? (100 * part / whole).toPrecision(2) + ' %' : '–';
}

export function time(ns) {
	return ns ? new Date(ns / 1e6).toLocaleString() : '–';
}

export function clock(ns) {
	const d = new Date(ns / 1e6);
	return d.toTimeString().slice(0, 8) + '.' + String(Math.floor(ns / 1e3 % 1e6)).padStart(6, '0');
}

export function ago(ns) {
	const s = Math.max(0, Date.now() / 1e3 - ns / 1e9);
	return s < 90 ? Math.round(s) + ' s ago' : s < 5400 ? Math.round(s / 60) + ' min ago' : s < 172800 ? Math.round(s / 3600) + ' h ago' :
		Math.round(s / 86400) + ' days ago';
}

export function build(id) {
	return id ? id.slice(0, 10) : 'no build-id';
}

// A captured value as text, structures with their members. Strings of the program are quoted.
export function value(v) {
	if (v === null || v === undefined)
		return '<unread>';
	if (Array.isArray(v))
		return '[' + v.map(value).join(', ') + ']';
	if (typeof v === 'object')
		return 'unreadable' in v && Object.keys(v).length === 1 ? '<' + v.unreadable + '>' :
			'{' + Object.entries(v).map(([k, m]) => k + '=' + value(m)).join(', ') + '}';
	return typeof v === 'string' ? JSON.stringify(v) : String(v);
}

export function callText(c) {
	const args = Object.entries(c.args).map(([k, v]) => k + '=' + value(v)).join(', ');
	return c.function + '(' + args + ')' + (c.ret === null ? '' : ' = ' + value(c.ret));
}

// Everything that was not shown or not known, in words; '' if nothing.
export function losses(t) {
	const words = {sampled: 'sampled out', drop_ring: 'dropped, buffer full', drop_rate: 'dropped, rate limit', drop_memory: 'dropped, no memory',
		drop_spool: 'dropped, spool full', unread: 'values unread', unpaired: 'not paired', undecided: 'undecided'};
	return Object.entries(words).filter(([k]) => t[k]).map(([k, w]) => count(t[k]) + ' ' + w).join(', ');
}
