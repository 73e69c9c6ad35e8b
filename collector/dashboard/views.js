// SPDX-License-Identifier: Apache-2.0
// The pages, one function each: view(main, params, signal) fills main. signal aborts when another page is shown.
import * as api from './api.js';
import {heatmap, lineChart} from './charts.js';
import {h, openDialog, replace, say, table} from './dom.js';
import {ago, build, callText, clock, count, duration, losses, percent, time, value} from './format.js';
import {tail} from './tail.js';

const RANGES = [['5 minutes', 300, 1], ['1 hour', 3600, 10], ['6 hours', 21600, 60], ['1 day', 86400, 300], ['7 days', 604800, 3600]];
const REFRESH_MS = 5000;

// Fills `into` now and every few seconds, until fill says true; what fails is said there, and tried again.
export function every(into, signal, fill, ms = REFRESH_MS) {
	let timer = null;
	const run = async () => {
		try {
			if (await fill() === true)
				return;
		} catch (e) {
			if (signal.aborted || e.name === 'AbortError')
				return;
			if (e.status === 401)
				throw e;
			replace(into, failure(e));
		}
		if (!signal.aborted)
			timer = setTimeout(() => document.hidden ? document.addEventListener('visibilitychange', run, {once: true, signal}) : run(), ms);
	};
	signal.addEventListener('abort', () => clearTimeout(timer));
	return run();
}

export function failure(e) {
	return h('div', {class: 'failure', role: 'alert'}, h('p', {}, e.message), e.hint ? h('p', {}, e.hint) : null);
}

export function link(path, text) {
	return h('a', {href: '#/' + path}, text);
}

export function service(name) {
	return link('service/' + encodeURIComponent(name), name);
}

/* ---- lists ---- */

export function services(main, params, signal) {
	const list = h('section', {'aria-label': 'Services'});
	replace(main, h('h1', {}, 'Services'), probeForm({}, true), list);
	return every(list, signal, async () => {
		const answer = await api.get('services', {}, signal);
		replace(list, table('Services that were probed', [
			{name: 'Service', cell: (s) => service(s.service)},
			{name: 'Builds', cell: (s) => s.builds.map(build).join(', ')},
			{name: 'Hosts', cell: (s) => s.hosts.join(', ')},
			{name: 'Open requests', number: true, cell: (s) => s.open},
			{name: 'Last asked', cell: (s) => ago(s.last_opened_ns)},
		], answer.services, 'Nothing was probed yet. Start a probe above, or with: plumb --collector … trace -s SERVICE FUNCTION'));
	});
}

function state(r) {
	return r.ended_ns === null ? 'open' : 'ended: ' + (r.reason || 'unknown');
}

function agentsText(r) {
	return r.agents.map((a) => a.host + ' ' + a.state + (a.text ? ' (' + a.text + ')' : '')).join('; ') || 'no agent has it yet';
}

async function removeRequest(id) {
	try {
		await api.remove('requests/' + id);
		say('Request ' + id + ' was removed.');
	} catch (e) {
		openDialog('It could not be removed', failure(e));
	}
}

function requestTable(rows, empty) {
	return table('Requests', [
		{name: 'Number', number: true, cell: (r) => link('request/' + r.id, r.id)},
		{name: 'Service', cell: (r) => service(r.service)},
		{name: 'Probes', cell: (r) => h('code', {}, r.probes.join('  '))},
		{name: 'State', cell: state},
		{name: 'Hosts', cell: agentsText},
		{name: 'Lost records', number: true, cell: (r) => count(r.records_lost)},
		{name: 'Who', cell: (r) => r.who},
		{name: 'Opened', cell: (r) => time(r.opened_ns)},
		{name: 'Until', cell: (r) => time(r.ended_ns ?? r.expires_ns)},
		{name: '', cell: (r) => r.ended_ns === null ?
			h('button', {type: 'button', 'aria-label': 'Remove request ' + r.id, onclick: () => removeRequest(r.id)}, 'Remove') : ''},
	], rows, empty);
}

export function requests(main, params, signal) {
	const list = h('section', {'aria-label': 'Requests'});
	const open = h('input', {type: 'checkbox', id: 'open-only', checked: true, onchange: () => fill()});
	const fill = async () => replace(list, requestTable((await api.get('requests', {open: open.checked ? 1 : 0}, signal)).requests,
		open.checked ? 'No request is open.' : 'Nobody has asked for anything yet.'));
	replace(main, h('h1', {}, 'Requests'), probeForm({}, true), h('p', {}, open, h('label', {for: 'open-only'}, ' open ones only')), list);
	return every(list, signal, fill);
}

export function hosts(main, params, signal) {
	const list = h('section', {'aria-label': 'Hosts'});
	replace(main, h('h1', {}, 'Hosts'), list);
	return every(list, signal, async () => replace(list, table('Agents', [
		{name: 'Host', cell: (a) => a.host},
		{name: 'Agent', cell: (a) => a.program},
		{name: 'Last seen', cell: (a) => ago(a.last_seen_ns)},
		{name: 'Clock', number: true, cell: (a) => (a.clock_offset_ns < 0 ? '−' : '+') + duration(Math.abs(a.clock_offset_ns)) + ' ± ' + duration(a.clock_delay_ns / 2)},
		{name: 'Entries', number: true, cell: (a) => count(a.entries)},
		{name: 'Lost records', number: true, cell: (a) => count(a.records_lost)},
	], (await api.get('hosts', {}, signal)).hosts, 'No agent has connected yet. On each host: plumbd --collector HOST:PORT')));
}

export function audit(main, params, signal) {
	const list = h('section', {'aria-label': 'Audit'});
	replace(main, h('h1', {}, 'Who asked for what'), list);
	return every(list, signal, async () => replace(list, table('Audit', [
		{name: 'When', cell: (a) => time(a.at_ns)},
		{name: 'Who', cell: (a) => a.who},
		{name: 'Role', cell: (a) => a.role},
		{name: 'From', cell: (a) => a.peer},
		{name: 'What', cell: (a) => a.action},
		{name: 'Detail', cell: (a) => h('code', {}, a.detail)},
		{name: 'Outcome', cell: (a) => a.outcome},
		{name: 'Request', number: true, cell: (a) => a.request ? link('request/' + a.request, a.request) : ''},
	], (await api.get('audit', {from: 1, limit: 200}, signal)).audit, 'Nothing has been asked yet.')));
}

/* ---- a new probe ---- */

function caret(text, e) {
	return e.column ? text + '\n' + ' '.repeat(e.column - 1) + '^'.repeat(Math.max(1, e.length || 1)) : text;
}

function probeForm(known, closed) {
	const field = (id, label, attributes) => h('div', {class: 'field'}, h('label', {for: id}, label), h('input', {id, name: id, ...attributes}));
	const answer = h('div', {'aria-live': 'polite'});
	const form = h('form', {onsubmit: async (event) => {
		event.preventDefault();
		const data = new FormData(form), probe = data.get('probe');
		replace(answer, h('p', {}, 'Asking the agents …'));
		try {
			const made = await api.post('requests', {verb: 'trace', target: {name: data.get('service')}, probes: [probe],
				errors: data.get('errors') !== null, ttl_ns: data.get('minutes') * 60e9});
			location.hash = '#/request/' + made.id;
		} catch (e) {
			replace(answer, failure(e), e.column ? h('pre', {}, caret(probe, e)) : null);
		}
	}},
	h('div', {class: 'fields'},
		field('service', 'Service', {value: known.service || '', required: true, placeholder: 'orderd', autocomplete: 'off'}),
		field('probe', 'Probe', {required: true, placeholder: 'checkout(o->id) if $ret < 0', autocomplete: 'off'}),
		field('minutes', 'Minutes', {type: 'number', value: '10', min: '1'}),
		h('div', {class: 'field check'}, h('input', {type: 'checkbox', id: 'errors', name: 'errors'}), h('label', {for: 'errors'}, 'failing calls only')),
		h('button', {type: 'submit'}, 'Probe')),
	answer);
	if (!closed)
		return form;
	return h('details', {}, h('summary', {}, 'New probe'), form);
}

/* ---- figures of a service or a request ---- */

// Quantiles are of calls whose return was seen and timed.
function quantile(total, key) {
	return total.returns && key in total ? duration(total[key]) : '–';
}

function summary(total) {
	const lost = losses(total);
	const part = (name, text) => h('div', {class: 'figure'}, h('dt', {}, name), h('dd', {}, text));
	return h('dl', {class: 'figures'}, part('calls, exact', count(total.calls)), part('errors, exact', count(total.errors) + ' (' + percent(total.errors, total.calls) + ')'),
		part('p50', quantile(total, 'p50_ns')), part('p99', quantile(total, 'p99_ns')), part('longest', quantile(total, 'max_ns')),
		part('records stored or lost', count(total.shipped)), lost ? part('not shown', lost) : null);
}

function describe(groups) {
	return groups.map((g) => [g.function, g.build_id && build(g.build_id), g.host].filter(Boolean).join(' ') + ' ' + count(g.total.calls) + ' calls, ' +
		count(g.total.errors) + ' errors, p99 ' + quantile(g.total, 'p99_ns')).join('; ') || 'no data';
}

// More lines than this nobody can tell apart; functions are then only in the table.
const CHARTED_MAX = 12;

const RATE = [{label: 'calls/s', value: (p, step) => p.calls / step, empty: 0}];
const ERRORS = [{label: 'errors', value: (p) => p.calls ? 100 * p.errors / p.calls : null, empty: null}];
const QUANTILES = [
	{label: 'p50', value: (p) => p.returns ? p.p50_ns ?? null : null, empty: null, dash: [2, 3]},
	{label: 'p90', value: (p) => p.returns ? p.p90_ns ?? null : null, empty: null, dash: [6, 3]},
	{label: 'p99', value: (p) => p.returns ? p.p99_ns ?? null : null, empty: null, width: 2},
];

function groupTable(groups) {
	return table('By function, build and host', [
		{name: 'Function', cell: (g) => g.function || '–'}, {name: 'Build', cell: (g) => g.build_id ? h('code', {}, build(g.build_id)) : '–'},
		{name: 'Host', cell: (g) => g.host || '–'},
		{name: 'Calls', number: true, cell: (g) => count(g.total.calls)}, {name: 'Errors', number: true, cell: (g) => count(g.total.errors)},
		{name: 'Rate', number: true, cell: (g) => percent(g.total.errors, g.total.calls)}, {name: 'p50', number: true, cell: (g) => quantile(g.total, 'p50_ns')},
		{name: 'p90', number: true, cell: (g) => quantile(g.total, 'p90_ns')}, {name: 'p99', number: true, cell: (g) => quantile(g.total, 'p99_ns')},
		{name: 'Longest', number: true, cell: (g) => quantile(g.total, 'max_ns')}, {name: 'Not shown', cell: (g) => losses(g.total) || 'nothing'},
	], groups, 'No calls in this time.');
}

function callDetail(c) {
	const rows = [['Time', time(c.ts / 1)], ['Host', c.host], ['Process', c.comm + ' [' + c.pid + '/' + c.tid + ']'], ['Function', c.function],
		['Build', c.build_id], ['Probe', c.probe], ['Duration', duration(c.duration_ns)], ['Returned', value(c.ret)]];
	return openDialog(c.error ? 'A failing call' : 'A call', h('dl', {class: 'detail'}, rows.flatMap(([k, v]) => [h('dt', {}, k), h('dd', {}, v)])),
		h('h3', {}, 'Arguments'), h('pre', {class: 'arguments', tabindex: '0'}, Object.entries(c.args).map(([k, v]) => k + ' = ' + JSON.stringify(v, null, 2)).join('\n') || 'none were captured'));
}

function callTable(calls, empty) {
	return table('Calls, newest first', [
		{name: 'Time', cell: (c) => clock(c.ts)}, {name: 'Host', cell: (c) => c.host}, {name: 'Process', cell: (c) => c.comm + '[' + c.pid + ']'},
		{name: 'Call', cell: (c) => h('button', {type: 'button', class: 'call', onclick: () => callDetail(c)}, callText(c))},
		{name: 'Duration', number: true, cell: (c) => duration(c.duration_ns)},
	], calls.map((c) => ({...c, $class: c.error ? 'error' : ''})), empty);
}

function topTables(top) {
	return h('div', {class: 'tops'}, top.fields.filter((f) => f.distinct < top.calls || f.distinct === 1).slice(0, 24).map((f) => h('div', {class: 'top'},
		table(f.name + ' (' + f.distinct + ' values)', [{name: 'Value', cell: (v) => h('code', {}, value(v.value))},
			{name: 'Calls', number: true, cell: (v) => count(v.calls)}], f.values, 'none'))));
}

// Charts and tables of whatever `filter` selects; service and request pages share it.
function figures(filter, signal) {
	const charts = h('section', {'aria-label': 'Over time'}), tables = h('section', {'aria-label': 'Totals'}), failing = h('section', {'aria-label': 'Failing calls'});
	const range = h('select', {id: 'range', onchange: () => refresh()}, RANGES.map(([name], i) => h('option', {value: i}, name)));
	const by = h('select', {id: 'by', onchange: () => refresh()}, [['build', 'builds'], ['function,build', 'functions and builds'], ['host,build', 'hosts and builds'], ['function', 'functions']]
		.map(([v, name]) => h('option', {value: v}, name)));
	let drawn = [];
	const drop = () => drawn.forEach((c) => c.destroy());
	signal.addEventListener('abort', drop);
	const refresh = async () => {
		const [, seconds, step] = RANGES[range.value], to = Math.ceil(Date.now() / 1e3) * 1e9, from = to - seconds * 1e9;
		const totals = await api.get('series', {...filter, from, to, by: [...new Set(['function', ...by.value.split(',')])].join(',')}, signal);
		const charted = totals.groups.length > CHARTED_MAX ? by.value.split(',').filter((b) => b !== 'function').join(',') : by.value;
		const [series, heat, calls, top] = await Promise.all([
			api.get('series', {...filter, from, to, step, by: charted}, signal), api.get('heatmap', {...filter, from, to, step}, signal),
			api.get('calls', {...filter, from, to, errors: 1, limit: 20}, signal), api.get('top', {...filter, from, to, errors: 1, limit: 5}, signal)]);
		drop();
		drawn = [
			lineChart('Calls per second', series, RATE, count, describe), lineChart('Failing calls, percent', series, ERRORS, (v) => v.toPrecision(2) + ' %', describe),
			lineChart('Durations: p50, p90, p99', series, QUANTILES, duration, describe), heatmap('All durations', heat)];
		replace(charts, drawn);
		replace(tables, totals.groups.length === 1 ? summary(totals.groups[0].total) : null, groupTable(totals.groups));
		replace(failing, h('h2', {}, 'Failing calls'), callTable(calls.calls, 'No failing call was recorded in this time.'),
			top.calls ? [h('h3', {}, 'Commonest arguments of ' + count(top.calls) + ' recorded failing calls'), topTables(top)] : null);
	};
	return {element: h('div', {}, h('p', {class: 'controls'}, h('label', {for: 'range'}, 'Time '), range, h('label', {for: 'by'}, ' Tell apart '), by), charts, tables, failing), refresh, errors: charts};
}

export function servicePage(main, params, signal) {
	const f = figures({service: params.name}, signal), list = h('section', {'aria-label': 'Probes'});
	replace(main, h('h1', {}, params.name), probeForm({service: params.name}, true), f.element, h('h2', {}, 'Requests'), list);
	return Promise.all([every(f.errors, signal, f.refresh), every(list, signal, async () =>
		replace(list, requestTable((await api.get('requests', {service: params.name, limit: 50}, signal)).requests, 'No request for this service.')))]);
}

function probeTable(probes) {
	return table('Probed functions', [
		{name: 'Function', cell: (p) => p.functions ? p.function + ' (' + count(p.functions) + ' functions)' : p.function}, {name: 'Host', cell: (p) => p.host}, {name: 'Build', cell: (p) => h('code', {}, build(p.build_id))},
		{name: 'Source', cell: (p) => p.file ? p.file + ':' + p.line : ''}, {name: 'Breakpoint', cell: (p) => p.site_kind},
		{name: 'Cost per hit', number: true, cell: (p) => duration(p.cost_ns)},
	], probes, 'No agent has attached it yet.');
}

export function requestPage(main, params, signal) {
	const f = figures({request: params.id}, signal), head = h('section', {'aria-label': 'Request'}), probes = h('section', {'aria-label': 'Probed functions'});
	replace(main, h('h1', {}, 'Request ' + params.id), head, f.element, tail(params.id, signal, callDetail), h('h2', {}, 'Where it is attached'), probes);
	return Promise.all([every(f.errors, signal, f.refresh), every(head, signal, async () => {
		const [answer, list] = await Promise.all([api.get('requests/' + params.id, {}, signal), api.get('probes', {request: params.id}, signal)]);
		const r = answer.requests[0];
		if (!r)
			throw new api.ApiError(404, {error: 'there is no request ' + params.id});
		replace(head, requestTable([r], ''), r.notices.length ? h('ul', {class: 'notices'}, r.notices.map((n) => h('li', {}, time(n.at_ns) + ' ' + n.code + ': ' + n.text))) : null);
		replace(probes, probeTable(list.probes));
	})]);
}

/* ---- verdicts ---- */

export function verdicts(main, params, signal) {
	const list = h('section', {'aria-label': 'Verdicts'});
	replace(main, h('h1', {}, 'Verdicts'), list);
	return every(list, signal, async () => replace(list, table('Verdicts', [
		{name: 'When', cell: (v) => time(v.at_ns)}, {name: 'Verdict', cell: (v) => h('strong', {class: 'verdict ' + v.state.toLowerCase()}, v.state)},
		{name: 'What', cell: (v) => link('verdict/' + v.id, v.title)}, {name: 'Service', cell: (v) => v.service ? service(v.service) : ''},
		{name: 'Why', cell: (v) => v.reason}, {name: 'Who', cell: (v) => v.who},
	], (await api.get('verdicts', {from: 1}, signal)).verdicts, 'No fix was verified yet: plumb --collector … verify')));
}
