// SPDX-License-Identifier: Apache-2.0
// A page in Chromium, and what tests of the dashboard do with it. Arguments of the program: URL TOKEN-FILE ... SCREENSHOT-DIR
import {readFileSync} from 'fs';
import {createRequire} from 'module';
import {pathToFileURL} from 'url';

const require = createRequire(pathToFileURL(process.env.PLUMB_NPM + '/'));
const {chromium} = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.argv.at(-1);

export const url = process.argv[2], token = readFileSync(process.argv[3], 'utf8').trim();

const browser = await chromium.launch({executablePath: process.env.PLUMB_CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu',
	'--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']});
export const page = await (await browser.newContext({viewport: {width: 1600, height: 1000}, colorScheme: 'light'})).newPage();
export const problems = [];
page.on('pageerror', (e) => problems.push('error in the page: ' + e.message));
page.on('console', (m) => m.type() === 'error' && !/status of 4\d\d/.test(m.text()) && problems.push('console: ' + m.text()));
page.setDefaultTimeout(20000);

export async function shot(name) {
	await page.waitForTimeout(400);
	await page.screenshot({path: `${shots}/${name}.png`, fullPage: true});
}

export function expect(condition, text) {
	if (!condition)
		throw new Error(text);
}

export async function eventually(look, text) {
	for (let i = 0; i < 100; i++) {
		if (await look())
			return;
		await page.waitForTimeout(200);
	}
	throw new Error(text);
}

// axe runs by the debugger's hand, so the page's own rules for scripts stay in force.
export async function accessible(where) {
	await page.evaluate(axe);
	const result = await page.evaluate(() => window.axe.run(document, {resultTypes: ['violations']}));
	const bad = result.violations.filter((v) => ['serious', 'critical'].includes(v.impact));
	expect(!bad.length, where + ': ' + bad.map((v) => v.id + ' ' + v.nodes.map((n) => n.html.slice(0, 120)).slice(0, 3).join(' | ')).join('; '));
}

export async function noSideways(where) {
	const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
	expect(wide <= 0, `${where}: the page is ${wide} px too wide`);
}

// One line of JSON per step on standard output. The steps build on each other; the first that fails ends it.
export async function play(steps) {
	let failed = false;
	for (const [name, run] of Object.entries(steps)) {
		try {
			await run();
			console.log(JSON.stringify({step: name, ok: true}));
		} catch (e) {
			await page.screenshot({path: `${shots}/failed.png`, fullPage: true}).catch(() => {});
			console.log(JSON.stringify({step: name, ok: false, error: e.message.slice(0, 3000)}));
			failed = true;
			break;
		}
	}
	await browser.close();
	process.exit(failed ? 1 : 0);
}
