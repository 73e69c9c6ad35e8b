// SPDX-License-Identifier: Apache-2.0
// Which page is shown, who is signed in, which theme.
import * as api from './api.js';
import {h, replace} from './dom.js';
import {verdictPage} from './verdict.js';
import * as views from './views.js';

const PAGES = [
	[/^$/, () => ({view: views.services, title: 'Services'})],
	[/^requests$/, () => ({view: views.requests, title: 'Requests'})],
	[/^request\/(\d+)$/, (m) => ({view: views.requestPage, title: 'Request ' + m[1], params: {id: m[1]}})],
	[/^service\/(.+)$/, (m) => ({view: views.servicePage, title: decodeURIComponent(m[1]), params: {name: decodeURIComponent(m[1])}})],
	[/^verdicts$/, () => ({view: views.verdicts, title: 'Verdicts'})],
	[/^verdict\/(\d+)$/, (m) => ({view: verdictPage, title: 'Verdict ' + m[1], params: {id: m[1]}})],
	[/^hosts$/, () => ({view: views.hosts, title: 'Hosts'})],
	[/^audit$/, () => ({view: views.audit, title: 'Audit'})],
];
const main = document.getElementById('main');
let leave = new AbortController();

function pageOf(hash) {
	const path = hash.replace(/^#\/?/, '');
	for (const [pattern, make] of PAGES) {
		const match = pattern.exec(path);
		if (match)
			return make(match);
	}
	return null;
}

function markCurrent() {
	for (const a of document.querySelectorAll('nav a'))
		if (a.getAttribute('href') === (location.hash || '#/'))
			a.setAttribute('aria-current', 'page');
		else
			a.removeAttribute('aria-current');
}

function signIn(message) {
	const answer = h('div', {role: 'alert'}, message);
	const form = h('form', {class: 'sign-in', onsubmit: async (event) => {
		event.preventDefault();
		const data = new FormData(form);
		api.setToken(data.get('token').trim(), data.get('keep') !== null);
		try {
			await start();
		} catch (e) {
			api.setToken('');
			replace(answer, e.message);
		}
	}},
	h('h1', {}, 'Sign in'), h('p', {}, 'A token from: plumb-collector token add NAME view|probe|admin. The first one is in the file admin.token beside the store.'),
	h('div', {class: 'field'}, h('label', {for: 'token'}, 'Token'), h('input', {id: 'token', name: 'token', type: 'password', required: true, autocomplete: 'off'})),
	h('div', {class: 'field check'}, h('input', {id: 'keep', name: 'keep', type: 'checkbox'}), h('label', {for: 'keep'}, 'remember it in this browser')),
	h('button', {type: 'submit'}, 'Sign in'), answer);
	document.getElementById('who').textContent = '';
	document.getElementById('logout').hidden = true;
	replace(main, form);
	main.setAttribute('aria-busy', 'false');
}

async function show() {
	leave.abort();
	leave = new AbortController();
	const page = pageOf(location.hash), signal = leave.signal;
	markCurrent();
	document.title = (page ? page.title + ' · ' : '') + 'plumb';
	main.setAttribute('aria-busy', 'true');
	if (!page) {
		replace(main, h('h1', {}, 'There is nothing here'), h('p', {}, h('a', {href: '#/'}, 'All services')));
	} else {
		try {
			await page.view(main, page.params || {}, signal);
		} catch (e) {
			if (e.status === 401)
				signIn(e.message);
			else if (e.name !== 'AbortError')
				replace(main, views.failure(e));
		}
	}
	if (!signal.aborted)
		main.setAttribute('aria-busy', 'false');
}

async function start() {
	const who = await api.get('whoami');
	document.getElementById('who').textContent = who.name + ' (' + who.role + ')';
	document.getElementById('logout').hidden = false;
	await show();
}

function setTheme(theme) {
	if (theme)
		document.documentElement.dataset.theme = theme;
	localStorage.setItem('theme', theme || '');
}

document.getElementById('theme').addEventListener('click', () => {
	const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
	setTheme(dark ? 'light' : 'dark');
	if (api.token())
		show();
});
document.getElementById('logout').addEventListener('click', () => {
	leave.abort();
	api.setToken('');
	signIn('');
});
window.addEventListener('hashchange', () => {
	if (api.token())
		show().then(() => main.focus());
});
setTheme(localStorage.getItem('theme'));
if (api.token())
	start().catch((e) => signIn(e.message));
else
	signIn('');
