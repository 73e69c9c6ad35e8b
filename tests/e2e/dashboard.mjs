// SPDX-License-Identifier: Apache-2.0
// Drives the dashboard in Chromium as a person does: node dashboard.mjs URL TOKEN-FILE SERVICE SCREENSHOT-DIR
import {accessible, eventually, expect, noSideways, page, play, problems, shot, token, url} from './browser.mjs';

const service = process.argv[4];

await play({
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
	async 'which function of a pattern fails'() {
		await page.getByRole('navigation').getByRole('link', {name: 'Requests'}).click();
		await page.getByText('New probe').click();
		await page.getByLabel('Service', {exact: true}).fill(service);
		await page.getByLabel('Probe', {exact: true}).fill('*_*');
		await page.getByRole('button', {name: 'Probe'}).click();
		await page.getByRole('heading', {name: /^Request \d+/}).waitFor();
		const rows = page.locator('section[aria-label="Totals"] tbody tr');
		const errors = async () => (await rows.evaluateAll((all) => all.map((r) => parseInt(r.cells[4].textContent.replace(/\D/g, '')))));
		await eventually(async () => (await rows.count()) > 3 && (await errors())[0] > 0, 'no function is told to fail');
		const list = await errors();
		expect(list.every((n, i) => !i || n <= list[i - 1]), 'the functions that fail are not first');
		expect((await rows.allTextContents()).some((t) => t.startsWith('parse_order')), 'a function is missing');
		await page.locator('section[aria-label="Where it is attached"], section[aria-label="Probed functions"]').getByText(/\d+ functions/).first().waitFor();
		await accessible('pattern');
		await shot('12-pattern');
	},
	async 'signed out, nothing is kept'() {
		await page.getByRole('button', {name: 'Sign out'}).click();
		await page.getByRole('heading', {name: 'Sign in'}).waitFor();
		expect(await page.evaluate(() => (sessionStorage.getItem('token') || '') + (localStorage.getItem('token') || '')) === '', 'the token is still there');
	},
	async 'no error in the page all the while'() {
		expect(!problems.length, problems.join('; '));
	},
});
