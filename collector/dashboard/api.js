// SPDX-License-Identifier: Apache-2.0
// The collector's API (docs/openapi.json). The token is kept for this tab, or until it is signed out of.

export class ApiError extends Error {
	constructor(status, body) {
		super(body.error || 'the collector does not answer');
		this.status = status;
		this.hint = body.hint || '';
		this.column = body.column;
		this.length = body.length;
	}
}

export function token() {
	return sessionStorage.getItem('token') || localStorage.getItem('token') || '';
}

export function setToken(text, keep) {
	sessionStorage.removeItem('token');
	localStorage.removeItem('token');
	if (text)
		(keep ? localStorage : sessionStorage).setItem('token', text);
}

async function send(path, options = {}) {
	let response;
	try {
		response = await fetch('/api/v1/' + path, {...options, headers: {Authorization: 'Bearer ' + token(), ...options.headers}});
	} catch (e) {
		if (e.name === 'AbortError')
			throw e;
		throw new ApiError(0, {error: 'the collector cannot be reached', hint: 'is plumb-collector running?'});
	}
	if (response.ok)
		return response;
	throw new ApiError(response.status, await response.json().catch(() => ({})));
}

function query(params) {
	const text = new URLSearchParams(Object.entries(params || {}).filter(([, v]) => v !== null && v !== undefined && v !== '')).toString();
	return text ? '?' + text : '';
}

export async function get(path, params, signal) {
	return (await send(path + query(params), {signal})).json();
}

// Bytes that are kept as a file.
export async function bytes(path) {
	return (await send(path)).blob();
}

export async function post(path, body) {
	return (await send(path, {method: 'POST', body: JSON.stringify(body), headers: {'Content-Type': 'application/json'}})).json();
}

export async function remove(path) {
	return (await send(path, {method: 'DELETE'})).json();
}

// Server-sent events with a token, which EventSource cannot send. on(event, data) until the stream ends or is aborted.
export async function live(params, on, signal) {
	const reader = (await send('live' + query(params), {signal})).body.pipeThrough(new TextDecoderStream()).getReader();
	let text = '';
	for (;;) {
		const {done, value} = await reader.read();
		if (done)
			return;
		text += value;
		for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
			const fields = Object.fromEntries(text.slice(0, end).split('\n').map((l) => [l.slice(0, l.indexOf(':')), l.slice(l.indexOf(':') + 2)]));
			if (fields.event)
				on(fields.event, JSON.parse(fields.data));
		}
	}
}
