// SPDX-License-Identifier: Apache-2.0
// One verdict: what was found, on what grounds, and what it does not say. It fills itself while the verification runs.
import * as api from './api.js';
import {h, openDialog, replace, say, table} from './dom.js';
import {ago, build, count, duration, time} from './format.js';
import {every, failure, service} from './views.js';

const NAMES = {baseline: 'Baseline', candidate: 'Candidate'};
const GATES = {PASS: 'pass', FAIL: 'FAIL', open: 'open', blocked: 'blocked', 'not judged': 'not judged'};

function known(x) {
	return x !== null && x !== undefined;
}

function list(x) {
	return Array.isArray(x) ? x : [];
}

function plural(n, what) {
	return n + ' ' + what + (n === 1 ? '' : what.endsWith('ss') ? 'es' : 's');
}

/* ---- figures ---- */

function rate(x) {
	return x === 0 ? '0' : x >= 0.0001 ? (100 * x).toPrecision(3) + ' %' : (100 * x).toExponential(1) + ' %';
}

const UNITS = {rate, ns: (x) => duration(Math.round(x)), 'per call': (x) => String(Number(x.toPrecision(3)))};

function times(x) {
	return '× ' + (x >= 1000 ? count(x) : Number(x.toPrecision(3)));
}

// A value and the bounds that hold at all times; '–' for what is not known.
function bounded(figure, format) {
	if (!figure || !format || !(known(figure.value) || known(figure.low) || known(figure.high)))
		return '–';
	const low = known(figure.low) ? format(figure.low) : '?', high = known(figure.high) ? format(figure.high) : '?';
	return h('span', {}, known(figure.value) ? format(figure.value) : '', h('br'), h('small', {}, known(figure.low) || known(figure.high) ? low + ' to ' + high : ''));
}

function seconds(s) {
	return s < 90 ? 'about ' + Math.ceil(s) + ' s' : s < 5400 ? 'about ' + Math.round(s / 60) + ' min' : s < 172800 ? 'about ' + Math.round(s / 3600) + ' h' :
		'about ' + Math.round(s / 86400) + ' days';
}

function eta(gate) {
	if (gate.state === 'PASS' || gate.state === 'FAIL' || gate.state === 'not judged')
		return '';
	return known(gate.eta_s) ? seconds(gate.eta_s) : 'no estimate';
}

// How far it is: of the time that it may take, and to a verdict at this rate.
function progress(v, r) {
	const running = v.state === 'RUNNING';
	if (!known(r.elapsed_s))
		return [];
	return ['compared for ' + Math.round(r.elapsed_s) + ' s' + (running && r.deadline_s ? ' of ' + Math.round(r.deadline_s) + ' s' : ''),
		running && r.eta_s > 0 ? 'to a verdict: ' + seconds(r.eta_s) : null];
}

// Of durations nothing is divided but how many calls are slow: slower than the baseline's quantile, and on the candidate than that with its margin.
function ratio(g) {
	const figure = bounded(g.ratio, times);
	return g.unit === 'ns' && figure !== '–' ? h('span', {}, figure, h('br'), h('small', {}, 'share of slow calls')) : figure;
}

function gateTable(f) {
	const box = table('Gates of ' + f.function, [
		{name: 'Gate', cell: (g) => g.name + (g.optional ? ' (optional)' : '')},
		{name: 'State', cell: (g) => h('span', {class: 'gate ' + String(g.state).toLowerCase().replace(' ', '-')}, GATES[g.state] || g.state)},
		{name: 'Time left', cell: eta},
		{name: 'Why', cell: (g) => g.reason},
		{name: 'Baseline', number: true, cell: (g) => bounded(g.baseline, UNITS[g.unit])},
		{name: 'Candidate', number: true, cell: (g) => bounded(g.candidate, UNITS[g.unit])},
		{name: 'Candidate to baseline', number: true, cell: ratio},
		{name: 'Margin', number: true, cell: (g) => known(g.margin) ? times(g.margin) : '–'},
	], list(f.gates), 'There is no gate.');
	box.classList.add('gates');
	return box;
}

/* ---- one function ---- */

function totals(f) {
	const row = (arm) => ({arm, ...(f[arm] || {})});
	return table('Calls of ' + f.function, [
		{name: 'Arm', cell: (t) => NAMES[t.arm]},
		{name: 'Calls', number: true, cell: (t) => count(t.calls || 0)},
		{name: 'Errors', number: true, cell: (t) => count(t.errors || 0)},
		{name: 'Trigger calls', number: true, cell: (t) => f.trigger ? count(t.triggers || 0) : '–'},
		{name: 'Trigger errors', number: true, cell: (t) => f.trigger ? count(t.trigger_errors || 0) : '–'},
		{name: 'Lost', number: true, cell: (t) => count(t.lost || 0)},
		{name: 'Unpaired', number: true, cell: (t) => count(t.unpaired || 0)},
		{name: 'Probes add per call', number: true, cell: (t) => t.probe_ns ? duration(Math.round(t.probe_ns)) : 'not known'},
		{name: 'Breakpoint', cell: (t) => t.site_kind || '–'},
	], [row('baseline'), row('candidate')], '');
}

function onlyIn(e) {
	return e.baseline && e.candidate ? 'both' : e.candidate ? h('strong', {}, 'only on the candidate') : 'only on the baseline';
}

function shape(f) {
	return table('Error values of ' + f.function + ', exact', [
		{name: 'Value', number: true, cell: (e) => h('code', {}, e.value + (e.errno ? ' (' + e.errno + ')' : ''))}, {name: 'Baseline', number: true, cell: (e) => count(e.baseline)},
		{name: 'Candidate', number: true, cell: (e) => count(e.candidate)}, {name: 'Where', cell: onlyIn},
	], list(f.errors), 'No failing call has told its value.');
}

// Which of the failing calls were looked at: of how many is said with it.
function failing(f) {
	const part = f.failing || {}, looked = (arm) => count((part[arm] || {}).shown || 0) + ' of ' + count((part[arm] || {}).failed || 0) + ' on the ' + arm;
	const where = (a) => a.only === 'candidate' ? h('strong', {}, 'only on the candidate') : a.only === 'baseline' ? 'only on the baseline' : 'both';
	const always = list(part.always).map((a) => a.argument + ' = ' + a.value).join(', ');
	return [table('Arguments of failing calls of ' + f.function + ' (looked at: ' + looked('baseline') + ', ' + looked('candidate') + ')', [
		{name: 'Argument', cell: (a) => h('code', {}, a.argument)}, {name: 'Value', cell: (a) => h('code', {}, a.value)},
		{name: 'Baseline', number: true, cell: (a) => count(a.baseline)}, {name: 'Candidate', number: true, cell: (a) => count(a.candidate)},
		{name: 'Where', cell: (a) => known(a.only) ? where(a) : a.baseline && a.candidate ? 'both' : ''},
	], list(part.arguments), 'No failing call was looked at, or all are alike.'), always ? h('p', {class: 'legend'}, 'All of them: ', h('code', {}, always)) : null];
}

function functionPart(f) {
	return h('section', {'aria-label': 'Function ' + f.function}, h('h2', {}, h('code', {}, f.function + (f.trigger ? ' if ' + f.trigger : ''))),
		h('p', {}, f.reason), gateTable(f), h('h3', {}, 'Calls and what the probes cost'), totals(f),
		h('h3', {}, 'Did the error move rather than vanish?'), shape(f), failing(f));
}

/* ---- the diff ---- */

function note(l) {
	if (l.state === 'probed')
		return (l.hits ? plural(l.hits, 'hit') : 'did not run') + (l.shared ? ' ~' : '') + (l.removed ? ', removed: cost' : '');
	return l.state === 'context' ? '' : l.state + (l.why ? ': ' + l.why : '');
}

function diffRow(l) {
	const kind = l.state === 'context' ? '' : l.arm === 'baseline' ? 'removed' : 'added';
	const sign = {added: '+', removed: '−', '': ' '}[kind];
	return h('tr', {class: (kind + (l.state === 'probed' && !l.hits && kind === 'added' ? ' idle' : '')).trim() || null},
		h('td', {class: 'number'}, l.line), h('td', {class: 'number'}, note(l)), h('td', {}, kind ? h('span', {class: 'legend'}, String(NAMES[l.arm] || '').toLowerCase()) : ''),
		h('td', {}, h('code', {}, sign + ' ' + (l.text ?? ''))));
}

function diffFile(file, lines) {
	return h('div', {class: 'scroll diff', tabindex: '0', role: 'region', 'aria-label': 'Changed lines of ' + file}, h('table', {}, h('caption', {}, h('code', {}, file)),
		h('thead', {}, h('tr', {}, ['Line', 'Ran', 'Arm', 'Source'].map((name) => h('th', {scope: 'col'}, name)))),
		h('tbody', {}, lines.map(diffRow))));
}

function diff(r) {
	const files = new Map();
	for (const l of list(r.lines))
		files.set(l.file, [...(files.get(l.file) || []), l]);
	return files.size ? h('section', {'aria-label': 'Changed lines'}, h('h2', {}, 'Changed lines'), [...files].map(([file, lines]) => diffFile(file, lines)),
		r.lines_note ? h('p', {class: 'legend'}, r.lines_note) : null) : null;
}

/* ---- the whole ---- */

function arms(r) {
	return table('Who was compared', [
		{name: 'Arm', cell: (a) => NAMES[a.arm]}, {name: 'What', cell: (a) => a.label || '–'}, {name: 'Build', cell: (a) => a.build_id ? h('code', {}, build(a.build_id)) : '–'},
		{name: 'Processes', number: true, cell: (a) => (a.processes ?? '–') + (a.most_processes > a.processes ? ' (were ' + a.most_processes + ')' : '')},
		{name: 'Ended', number: true, cell: (a) => a.ended ?? '–'}, {name: 'Threads', number: true, cell: (a) => a.threads || 'not known'},
		{name: 'Probed', number: true, cell: (a) => known(a.probed_share) ? (100 * a.probed_share).toPrecision(3) + ' % of the time' : '–'},
	], ['baseline', 'candidate'].filter((arm) => r[arm]).map((arm) => ({arm, ...r[arm]})), 'No arm is known yet.');
}

function aaRun(r) {
	return r.aa ? h('p', {}, 'A/A run first: ', r.aa.text || count(r.aa.calls[0]) + ' and ' + count(r.aa.calls[1]) + ' calls in the halves of the baseline so far') : null;
}

function readWithIt(r) {
	const lines = [...list(r.not_compared).map((f) => (f.together ? 'Compared: ' : 'Not compared: ') + f.function + ': ' + f.why), ...list(r.remarks), ...list(r.caveats)];
	return lines.length ? h('section', {'aria-label': 'To be read with it'}, h('h2', {}, 'To be read with it'), h('ul', {}, lines.map((l) => h('li', {}, l)))) : null;
}

async function saveRecord(v) {
	try {
		const a = h('a', {href: URL.createObjectURL(await api.bytes('verdicts/' + v.id + '/record'))});
		a.download = 'verdict-' + v.id + '.plumb';
		a.click();
		URL.revokeObjectURL(a.href);
	} catch (e) {
		openDialog('The record cannot be had', failure(e));
	}
}

function ruling(v, r) {
	const facts = [v.service ? service(v.service) : null, v.who, time(v.at_ns), v.state === 'RUNNING' ? 'last heard of ' + ago(v.updated_ns) : null,
		...progress(v, r)].filter(Boolean);
	return h('section', {'aria-label': 'Verdict', class: 'ruling ' + v.state.toLowerCase()}, h('p', {class: 'verdict ' + v.state.toLowerCase()}, v.state),
		h('p', {}, v.reason || r.reason || ''), h('p', {class: 'legend'}, facts.flatMap((f, i) => i ? [' · ', f] : [f])),
		v.record_bytes ? h('p', {}, h('button', {type: 'button', 'aria-label': 'Save the record', onclick: () => saveRecord(v)}, 'Save the record'),
			h('span', {class: 'hint'}, ' computes it again: plumb verify --replay FILE')) : null);
}

// What is shown changes while it runs: whoever stands somewhere stays there.
function keepFocus(body, change) {
	const label = body.contains(document.activeElement) ? document.activeElement.getAttribute('aria-label') : null;
	change();
	if (label)
		[...body.querySelectorAll('[aria-label]')].find((e) => e.getAttribute('aria-label') === label)?.focus({preventScroll: true});
}

export function verdictPage(main, params, signal) {
	const title = h('h1', {}, 'Verdict ' + params.id), body = h('div');
	let shown = null;
	replace(main, title, body);
	return every(body, signal, async () => {
		const v = (await api.get('verdicts/' + params.id, {}, signal)).verdicts[0];
		if (!v)
			throw new api.ApiError(404, {error: 'there is no verdict ' + params.id});
		const r = v.report || {};
		if (shown && shown.state !== v.state)
			say('Verdict: ' + v.state);
		if (!shown || shown.updated_ns !== v.updated_ns || v.state === 'RUNNING')
			keepFocus(body, () => {
				replace(title, v.title);
				replace(body, ruling(v, r), v.report ? [h('h2', {}, 'Arms'), arms(r), aaRun(r), ...list(r.functions).map(functionPart), diff(r), readWithIt(r)] :
					h('p', {class: 'empty'}, 'No report was stored with it.'));
			});
		shown = v;
		return v.state !== 'RUNNING';
	}, 2000);
}
