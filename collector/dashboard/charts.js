// SPDX-License-Identifier: Apache-2.0
// Lines by uPlot, the heatmap by hand. Colours come from the style sheet, so that both themes fit.
import {h} from './dom.js';
import {build, count, duration} from './format.js';

const LINES = 8;

function color(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// All times of all groups, and each group's points by time.
function align(groups, step, from, to) {
	const times = [];
	for (let t = Math.ceil(from / step) * step; t < to; t += step)
		times.push(t);
	return [times, groups.map((g) => new Map(g.points.map((p) => [p.at, p])))];
}

function axis(format) {
	return {stroke: color('--muted'), grid: {stroke: color('--line'), width: 1}, ticks: {stroke: color('--line')}, size: 64,
		values: (u, ticks) => ticks.map((t) => t === null ? '' : format(t))};
}

/*
 * lines: [{label, value(point, group, step), dash}] drawn for each group; a second without calls is a gap for durations and
 * 0 for rates. Returns the element; `.destroy()` frees the chart.
 */
export function lineChart(title, answer, lines, format, describe) {
	const step = Math.max(answer.step, answer.span);
	const [times, points] = align(answer.groups, step, answer.from, answer.to);
	const series = [{}], data = [times];
	answer.groups.slice(0, LINES).forEach((group, g) => lines.forEach((line) => {
		const name = [group.function, group.build_id ? build(group.build_id) : '', group.host].filter(Boolean).join(' ') || group.service || 'all';
		series.push({label: lines.length > 1 ? name + ' ' + line.label : name, stroke: color('--series-' + (g + 1)), width: line.width || 1.5,
			dash: line.dash, spanGaps: false, value: (u, v) => v === null ? '–' : format(v)});
		data.push(times.map((t) => {
			const p = points[g].get(t);
			return p ? line.value(p, step) : line.empty;
		}));
	}));
	const box = h('figure', {class: 'chart', role: 'group', 'aria-label': title});
	const plot = h('div', {role: 'img', 'aria-label': title + ': ' + describe(answer.groups)});
	box.append(h('figcaption', {}, title), plot);
	if (!answer.groups.length || !answer.groups.some((g) => g.points.length)) {
		plot.append(h('p', {class: 'empty'}, 'No calls in this time.'));
		box.destroy = () => {};
		return box;
	}
	const width = () => Math.max(260, plot.clientWidth || box.parentElement?.clientWidth || 600);
	const make = () => new uPlot({width: width(), height: 200, series, scales: {y: {range: (u, min, max) => [0, max > 0 ? max * 1.05 : 1]}},
		axes: [{stroke: color('--muted'), grid: {stroke: color('--line'), width: 1}}, axis(format)], legend: {live: true}}, data, plot);
	let chart = null;
	const observer = new ResizeObserver(() => {
		if (!chart)
			chart = make();
		else
			chart.setSize({width: width(), height: 200});
	});
	observer.observe(plot);
	box.destroy = () => {
		observer.disconnect();
		chart?.destroy();
	};
	return box;
}

// One cell per step and power of two; the darker the more calls.
export function heatmap(title, answer) {
	const step = Math.max(answer.step, answer.span);
	const cells = new Map();
	let low = 64, high = 0, most = 0;
	for (const group of answer.groups)
		for (const point of group.points)
			for (const [power, calls] of point.cells) {
				const key = point.at + ':' + power, sum = (cells.get(key) || 0) + calls;
				cells.set(key, sum);
				low = Math.min(low, power);
				high = Math.max(high, power);
				most = Math.max(most, sum);
			}
	const label = most ? 'durations from ' + duration(2 ** low) + ' to ' + duration(2 ** (high + 1)) + ', at most ' + count(most) + ' calls in one cell' : 'no calls';
	const canvas = h('canvas', {role: 'img', 'aria-label': title + ': ' + label});
	const box = h('figure', {class: 'chart'}, h('figcaption', {}, title), most ? canvas : h('p', {class: 'empty'}, 'No calls in this time.'),
		most ? h('p', {class: 'legend'}, label) : null);
	const draw = () => {
		const first = Math.floor(answer.from / step) * step;
		const columns = Math.max(1, Math.ceil((answer.to - first) / step)), rows = high - low + 1, left = 64;
		const width = Math.max(260, box.clientWidth), height = Math.max(60, Math.min(200, rows * 18)), context = canvas.getContext('2d');
		canvas.width = width * devicePixelRatio;
		canvas.height = (height + 4) * devicePixelRatio;
		canvas.style.width = width + 'px';
		canvas.style.height = height + 4 + 'px';
		context.scale(devicePixelRatio, devicePixelRatio);
		context.font = '11px system-ui, sans-serif';
		for (let row = 0; row < rows; row++) {
			context.globalAlpha = 1;
			context.fillStyle = color('--muted');
			if ((row % Math.ceil(rows / 8)) === 0)
				context.fillText(duration(2 ** (low + row)), 0, height - row * height / rows - 2);
			context.fillStyle = color('--heat');
			for (let column = 0; column < columns; column++) {
				const calls = cells.get(first + column * step + ':' + (low + row));
				if (!calls)
					continue;
				context.globalAlpha = 0.15 + 0.85 * Math.log1p(calls) / Math.log1p(most);
				context.fillRect(left + column * (width - left) / columns, height - (row + 1) * height / rows,
					Math.max(1, (width - left) / columns - 0.5), height / rows - 0.5);
			}
		}
	};
	const observer = new ResizeObserver(() => most && draw());
	observer.observe(box);
	box.destroy = () => observer.disconnect();
	return box;
}
