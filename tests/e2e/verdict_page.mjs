// SPDX-License-Identifier: Apache-2.0
// The page of a verdict, in Chromium: node verdict_page.mjs URL TOKEN-FILE REPORT-FILE SCREENSHOT-DIR
// The report is one that plumb verify has written; the page is told of it through the API, while it runs and at its end.
import {readFileSync} from 'fs';
import {accessible, eventually, expect, noSideways, page, play, problems, shot, token, url} from './browser.mjs';

const report = JSON.parse(readFileSync(process.argv[4], 'utf8'));
const f = report.functions[0];
// An error that moved, if it did not.
if (!f.errors.length)
	f.errors = [{value: -22, baseline: 166, candidate: 0}, {value: -7, baseline: 0, candidate: 31}];
// Arguments of failing calls: those that verify saw, and one that would like to be markup.
const moved = {argument: 'o-><b>name</b>', value: '"\\x1b[2J|<script>"', baseline: 0, candidate: 3, only: 'candidate'};
f.failing.arguments.push(moved);
f.failing.always.push({argument: 'o->gift', value: '<i>false</i>'});
// A guard that could not be judged, as the default ones may be.
const nothing = {value: null, low: null, high: null};
f.gates.push({name: 'latency p98 < +25 %', state: 'not judged', optional: true, reason: 'the probes cost 900 ns a call, as much as the margin of 700 ns', unit: '',
	baseline: nothing, candidate: nothing, ratio: nothing, margin: null, eta_s: 0});
report.lines_note = "a line's hits are those of its first instruction & more";
// Every state that a line can have, with the source where a report has it; verify_report.c names them.
report.lines = [
	{arm: 'baseline', file: 'src/coupon.c', line: 40, state: 'probed', hits: 7123, text: '\treturn <unit> / 2;'}, {arm: 'candidate', file: 'src/coupon.c', line: 40, state: 'probed', hits: 1, shared: true},
	{arm: 'candidate', file: 'src/coupon.c', line: 41, state: 'probed', hits: 0}, {arm: 'candidate', file: 'src/coupon.c', line: 42, state: 'no code', hits: 0},
	{arm: 'candidate', file: 'src/stock.c', line: 9, state: 'refused', hits: 0}, {arm: 'candidate', file: 'src/stock.c', line: 10, state: 'left out', hits: 0},
	{arm: 'candidate', file: 'src/stock.c', line: 11, state: 'context', hits: 0, text: '}'},
];
let id;

async function store(body) {
	const response = await fetch(url + 'api/v1/verdicts', {method: 'POST', body: JSON.stringify(body), headers: {Authorization: 'Bearer ' + token}});
	const answer = await response.json();
	expect(response.ok, 'not stored: ' + JSON.stringify(answer));
	return answer.id;
}

// What it looks like half-way: no gate is decided.
function early() {
	return {...report, verdict: 'UNDECIDED', functions: report.functions.map((one) => ({...one, verdict: 'UNDECIDED',
		gates: one.gates.map((g, i) => ({...g, state: i ? 'open' : 'blocked', eta_s: i ? 75 : null, reason: 'not yet & <b>soon</b>'}))}))};
}

async function rulingIs(state) {
	await page.locator('.ruling .verdict').getByText(state, {exact: true}).waitFor();
}

await play({
	async 'the link leads to the page of one that runs'() {
		id = await store({state: 'RUNNING', title: 'apply_coupon: <script>v2</script>', service: 'shopd', reason: 'the baseline warms up', report: early(),
			record: Buffer.from('record').toString('base64')});
		await page.goto(url + '#/verdict/' + id);
		await page.getByLabel('Token').fill(token);
		await page.getByRole('button', {name: 'Sign in'}).click();
		await page.getByRole('heading', {level: 1, name: 'apply_coupon: <script>v2</script>'}).waitFor();
		await rulingIs('RUNNING');
		await page.getByText('the baseline warms up').waitFor();
		await page.locator('.gates').getByText('about 75 s').first().waitFor();
		await page.locator('.gates').getByText('no estimate').first().waitFor();
		await page.getByText('not yet & <b>soon</b>').first().waitFor();
		await accessible('running');
		await shot('verdict-1-running');
	},
	async 'it fills itself, and whoever stands in it stays there'() {
		await page.locator('.gates').first().focus();
		await store({id, state: 'RUNNING', reason: 'half of it', report: {...early(), elapsed_s: 12345, deadline_s: 54321, eta_s: 300}});
		await page.getByText('compared for 12345 s of 54321 s').waitFor();
		await page.getByText('to a verdict: about 5 min').waitFor();
		expect(await page.evaluate(() => document.activeElement.classList.contains('gates')), 'the focus is gone');
	},
	async 'the verdict comes without a reload'() {
		await store({id, state: report.verdict, reason: report.reason, report});
		await rulingIs(report.verdict);
		await page.getByText(report.reason).first().waitFor();
		await eventually(async () => (await page.locator('#status').textContent()) === 'Verdict: ' + report.verdict, 'it is not told to those who do not see it');
	},
	async 'gates with figures and bounds'() {
		const rows = page.locator('.gates').first().locator('tbody tr');
		expect(await rows.count() === f.gates.length, 'gates are missing');
		for (const [i, g] of f.gates.entries()) {
			const text = await rows.nth(i).textContent();
			expect(text.includes(g.name) && text.includes(g.reason), 'gate ' + g.name + ': ' + text);
			if (g.ratio.high !== null)
				expect(/×.* to (×|\?)/.test(text), 'the bounds of gate ' + g.name + ' are missing: ' + text);
		}
	},
	async 'changed lines with their hits, arm by arm'() {
		const box = page.locator('.diff');
		await box.first().waitFor();
		const changed = report.lines.filter((l) => l.state !== 'context');
		const text = (await box.allTextContents()).join('\n');
		for (const l of changed) {
			expect(text.includes(l.file), l.file + ' is missing');
			expect(text.includes(l.hits ? String(l.hits) + ' hit' : l.state === 'probed' ? 'did not run' : l.state), 'line ' + l.line + ' is missing');
			expect(!l.text || text.includes(l.text), 'the source of line ' + l.line + ' is missing');
		}
	},
	async 'error shape, completeness, probe effect, what is to be read with it'() {
		const shape = page.getByRole('region', {name: /^Error values of/}).first();
		for (const e of f.errors.slice(0, 3))
			await shape.getByRole('cell', {name: e.value + (e.errno ? ' (' + e.errno + ')' : ''), exact: true}).waitFor();
		if (f.errors.some((e) => e.candidate && !e.baseline))
			await shape.getByText('only on the candidate').first().waitFor();
		const arms = page.getByRole('region', {name: 'Who was compared'});
		await arms.getByText(report.candidate.label).first().waitFor();
		await arms.getByText('% of the time').first().waitFor();
		const calls = await page.getByRole('region', {name: /^Calls of/}).first().textContent();
		expect(/Candidate.*(ns|µs)/.test(calls) && calls.includes(f.candidate.site_kind), 'the effect of the probes is missing: ' + calls);
		for (const text of [...report.remarks, ...(report.caveats || [])])
			await page.getByText(text).first().waitFor();
		await accessible('decided');
		await shot('verdict-2-decided');
	},
	async 'with which arguments calls fail, of how many that is known'() {
		const box = page.getByRole('region', {name: /^Arguments of failing calls of/}).first(), text = await box.textContent();
		for (const arm of ['baseline', 'candidate'])
			expect(text.includes(f.failing[arm].shown + ' of ' + f.failing[arm].failed + ' on the ' + arm), arm + ': ' + text);
		expect(text.includes(moved.argument) && text.includes(moved.value), 'the argument is missing: ' + text);
		await box.getByText('only on the candidate').first().waitFor();
		await page.getByText('o->gift = <i>false</i>').first().waitFor();
	},
	async 'a guard that was not judged, lines that share their code'() {
		const row = page.locator('.gates').first().locator('tbody tr').last(), text = await row.textContent();
		expect(text.includes('(optional)') && text.includes('not judged') && !text.includes('no estimate'), text);
		await page.getByText('1 hit ~').waitFor();
		await page.getByText(report.lines_note).waitFor();
	},
	async 'the record is saved as a file'() {
		const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', {name: 'Save the record'}).click()]);
		expect(readFileSync(await file.path(), 'utf8') === 'record', 'it is not what was stored');
	},
	async 'dark, at 400 pixels, and at 1600'() {
		await page.getByRole('button', {name: /light and dark/}).click();
		await rulingIs(report.verdict);
		await accessible('dark');
		for (const width of [400, 1600]) {
			await page.setViewportSize({width, height: 900});
			await page.waitForTimeout(300);
			await noSideways(width + ' px');
			await shot('verdict-3-dark-' + width);
		}
		await page.setViewportSize({width: 400, height: 900});
		await accessible('dark at 400 pixels');
		await page.getByRole('button', {name: /light and dark/}).click();
		await rulingIs(report.verdict);
		await shot('verdict-4-400');
	},
	async 'by keyboard only: from the list to the verdict and to its gates'() {
		await page.goto(url + '#/verdicts');
		await page.getByRole('heading', {name: 'Verdicts'}).waitFor();
		await page.locator('main table').waitFor();
		await accessible('verdicts');
		const reach = async (test, what) => {
			for (let i = 0; i < 60; i++) {
				if (await page.evaluate(test))
					return;
				await page.keyboard.press('Tab');
			}
			throw new Error('the keyboard does not reach ' + what);
		};
		await reach(() => /^#\/verdict\/\d+$/.test(document.activeElement.getAttribute('href') || ''), 'a verdict');
		await page.keyboard.press('Enter');
		await rulingIs(report.verdict);
		await reach(() => document.activeElement.matches('.gates'), 'the gates');
	},
	async 'one without a report, and one that is not there'() {
		const bare = await store({state: 'INCONCLUSIVE', title: 'bare'});
		await page.goto(url + '#/verdict/' + bare);
		await page.getByText('No report was stored with it.').waitFor();
		await page.goto(url + '#/verdict/999');
		await page.getByText('there is no verdict 999').waitFor();
	},
	async 'a report that is none of ours does not break the page'() {
		const odd = await store({state: 'FAIL', title: 'odd', report: {functions: [{function: '<i>f</i>', gates: [{name: 1, state: 7}], errors: 'x'}], lines: [{}], remarks: 5,
			baseline: {probed_share: null}}});
		await page.goto(url + '#/verdict/' + odd);
		await rulingIs('FAIL');
		await page.getByText('<i>f</i>').first().waitFor();
	},
	async 'no error in the page all the while'() {
		expect(!problems.length, problems.join('; '));
	},
});
