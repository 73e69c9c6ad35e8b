// SPDX-License-Identifier: Apache-2.0
// Drives the dashboard in Chromium as a person does: node dashboard.mjs URL TOKEN-FILE SERVICE SCREENSHOT-DIR
// One line of JSON per step on standard output. The steps build on each other; the first that fails ends it.
import {readFileSync} from 'fs';
import {createRequire} from 'module';
import {pathToFileURL} from 'url';

const [url, tokenFile, service, shots] = process.argv.slice(2);
const require = createRequire(pathToFileURL(process.env.PLUMB_NPM + '/'));
const {chromium} = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const token = readFileSync(tokenFile, 'utf8').trim();

const browser = await chromium.launch({executablePath: process.env.PLUMB_CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu',
	'--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']});
const page = await (await browser.newContext({viewport: {width: 1600, height: 1000}, colorScheme: 'light'})).newPage();
const problems = [];
page.on('pageerror', (e) => problems.push('error in the page: ' + e.message));
page.on('console', (m) => m.type() === 'error' && !/status of 4\d\d/.test(m.text()) && problems.push('console: ' + m.text()));
page.setDefaultTimeout(20000);

async function shot(name) {
	await page.waitForTimeout(400);
	await page.screenshot({path: `${shots}/${name}.png`, fullPage: true});
}

function expect(condition, text) {
	if (!condition)
		throw new Error(text);
}

async function eventually(look, text) {
	for (let i = 0; i < 100; i++) {
		if (await look())
			return;
		await page.waitForTimeout(200);
	}
	throw new Error(text);
}

// axe runs by the debugger's hand, so the page's own rules for scripts stay in force.
async function accessible(where) {
	await page.evaluate(axe);
	const result = await page.evaluate(() => window.axe.run(document, {resultTypes: ['violations']}));
	const bad = result.violations.filter((v) => ['serious', 'critical'].includes(v.impact));
	expect(!bad.length, where + ': ' + bad.map((v) => v.id + ' ' + v.nodes.map((n) => n.html.slice(0, 120)).slice(0, 3).join(' | ')).join('; '));
}

async function noSideways(where) {
	const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
	expect(wide <= 0, `${where}: the page is ${wide} px too wide`);
}

const steps = {
	async 'sign in with a wrong token, then with the right one'() {
		await page.goto(url);
		await page.getByLabel('Token').fill('plumb_wrong');
		await page.getByRole('button', {name: 'Sign in'}).click();
		await page.getByText('does not know this token').waitFor();
		await shot('01-sign-in-refused');
		await page.getByLabel('Token').fill(token);
		await page.getByRole('button', {name: 'Sign in'}).click();
		await page.getByRole('heading', {name: 'Services'}).waitFor();
		await page.getByText('Nothing was probed yet').waitFor();
		await accessible('services, empty');
		await shot('02-services-empty');
	},
	async 'a probe that is wrong is refused with its place'() {
		await page.getByText('New probe').click();
		await page.getByLabel('Service', {exact: true}).fill(service);
		await page.getByLabel('Probe', {exact: true}).fill('checkout(o->cupon)');
		await page.getByRole('button', {name: 'Probe'}).click();
		await page.getByText("no member 'cupon'").waitFor();
		await page.getByText("did you mean 'coupon'").waitFor();
		expect((await page.locator('pre').textContent()).includes('\n         ^~~~~~~~'.replace(/~/g, '^')), 'the caret is not below what is wrong');
		await shot('03-refused');
	},
	async 'a probe is created from the page, and its calls are counted'() {
		await page.getByLabel('Probe', {exact: true}).fill('checkout(o->id, o->coupon, o->qty, o->user.name) -> $ret');
		await page.getByRole('button', {name: 'Probe'}).click();
		await page.getByRole('heading', {name: /^Request \d+/}).waitFor();
		await page.getByText('running').first().waitFor();
		await eventually(async () => parseInt(await page.locator('.figure dd').first().textContent().catch(() => '0')) > 100, 'no calls are counted');
		await page.locator('.tail tbody tr').first().waitFor();
		expect(await page.locator('figure.chart canvas').count() >= 3, 'charts are missing');
	},
	async 'failing calls are listed, and one opens with its arguments'() {
		const failing = page.locator('section[aria-label="Failing calls"] tr.error button.call');
		await eventually(() => failing.count(), 'no failing call is listed');
		await accessible('request');
		await shot('04-request');
		await failing.first().click();
		const dialog = page.getByRole('dialog');
		await dialog.getByRole('heading', {name: 'A failing call'}).waitFor();
		expect((await dialog.locator('pre').textContent()).includes('o->coupon = "'), 'the arguments are not shown');
		await accessible('dialog');
		await shot('05-failing-call');
		await dialog.getByRole('button', {name: 'Close'}).click();
		expect(await page.locator('section[aria-label="Failing calls"] .top').count() > 0, 'the commonest arguments are missing');
	},
	async 'the live tail is filtered and paused'() {
		await page.getByLabel('Filter').fill('"HALF"');
		await eventually(async () => {
			const texts = await page.locator('.tail tbody tr').allTextContents();
			return texts.length && texts.every((t) => t.includes('"HALF"'));
		}, 'the filter does not hold');
		await page.getByRole('button', {name: 'Pause'}).click();
		const before = await page.locator('.tail tbody').textContent();
		await page.getByText(/Paused, [1-9]/).waitFor({timeout: 15000}).catch(() => {});
		await page.waitForTimeout(1500);
		expect(await page.locator('.tail tbody').textContent() === before, 'it moves while it is paused');
		await shot('06-paused');
		await page.getByRole('button', {name: 'Go on'}).click();
		await page.getByLabel('Filter').fill('');
		await page.locator('#tail-errors').check();
		await eventually(async () => await page.locator('.tail tbody tr').count() > 0 && await page.locator('.tail tbody tr:not(.error)').count() === 0, 'calls that did not fail are shown');
	},
	async 'dark, and light again'() {
		const color = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
		const light = await color();
		await page.getByRole('button', {name: /light and dark/}).click();
		expect(await color() !== light, 'nothing has changed');
		await page.locator('figure.chart canvas').first().waitFor();
		await accessible('request, dark');
		await shot('07-dark');
		await page.getByRole('button', {name: /light and dark/}).click();
		expect(await color() === light, 'it does not go back');
	},
	async 'usable at 400 pixels and at 1600'() {
		for (const width of [400, 1600]) {
			await page.setViewportSize({width, height: 900});
			await page.waitForTimeout(800);
			await noSideways(width + ' px');
			await shot(`08-width-${width}`);
		}
		await page.setViewportSize({width: 400, height: 900});
		await accessible('request at 400 pixels');
		for (const link of ['Services', 'Requests', 'Hosts', 'Audit']) {
			await page.getByRole('navigation').getByRole('link', {name: link}).click();
			await page.getByRole('heading', {level: 1}).waitFor();
			await page.waitForTimeout(600);
			await noSideways('400 px, ' + link);
		}
		await page.setViewportSize({width: 1600, height: 1000});
	},
	async 'services, requests, hosts, audit, verdicts'() {
		for (const [name, text] of [['Services', service], ['Requests', 'running'], ['Hosts', 'plumbd'], ['Audit', 'refused'], ['Verdicts', 'No fix was verified yet']]) {
			await page.getByRole('navigation').getByRole('link', {name}).click();
			await page.locator('main').getByText(text).first().waitFor();
			await accessible(name);
			await shot('09-' + name.toLowerCase());
		}
		await page.getByRole('navigation').getByRole('link', {name: 'Services'}).click();
		await page.locator('main').getByRole('link', {name: service}).click();
		await page.getByRole('heading', {name: service}).waitFor();
		await page.locator('figure.chart canvas').first().waitFor();
		await page.getByLabel('Tell apart').selectOption('function,build');
		await page.getByRole('cell', {name: 'checkout', exact: true}).first().waitFor();
		await accessible('service');
		await shot('10-service');
	},
	async 'by keyboard only: to a page, through a call, and back'() {
		await page.goto(url);
		await page.getByRole('heading', {name: 'Services'}).waitFor();
		await page.keyboard.press('Tab');
		expect(await page.evaluate(() => document.activeElement.textContent) === 'Skip to the content', 'the first stop is not the skip link');
		const reach = async (test, what) => {
			for (let i = 0; i < 80; i++) {
				if (await page.evaluate(test))
					return;
				await page.keyboard.press('Tab');
			}
			throw new Error('the keyboard does not reach ' + what);
		};
		await reach(() => document.activeElement.textContent === 'Requests', 'Requests');
		await page.keyboard.press('Enter');
		await page.getByRole('heading', {name: 'Requests'}).waitFor();
		await page.locator('main table').waitFor();
		await reach(() => /^#\/request\/\d+$/.test(document.activeElement.getAttribute('href') || ''), 'a request');
		await page.keyboard.press('Enter');
		await page.getByRole('heading', {name: /^Request \d+/}).waitFor();
		await page.locator('section[aria-label="Failing calls"] button.call').first().waitFor();
		await reach(() => document.activeElement.matches('section[aria-label="Failing calls"] button.call'), 'a failing call');
		await page.keyboard.press('Enter');
		await page.getByRole('dialog').waitFor();
		await page.keyboard.press('Escape');
		await page.getByRole('dialog').waitFor({state: 'hidden'});
	},
	async 'a request is removed from the page'() {
		await page.getByRole('button', {name: /^Remove request/}).first().click();
		await page.getByText('ended: removed').waitFor();
		await shot('11-removed');
	},
	async 'signed out, nothing is kept'() {
		await page.getByRole('button', {name: 'Sign out'}).click();
		await page.getByRole('heading', {name: 'Sign in'}).waitFor();
		expect(await page.evaluate(() => (sessionStorage.getItem('token') || '') + (localStorage.getItem('token') || '')) === '', 'the token is still there');
	},
	async 'no error in the page all the while'() {
		expect(!problems.length, problems.join('; '));
	},
};

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
