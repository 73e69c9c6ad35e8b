/* SPDX-License-Identifier: Apache-2.0 */
#include "verify_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "error_value.h"
#include "text.h"

static void tone(const struct verify_style *s, struct buf *out, enum verify_tone t)
{
	if (s->paint)
		s->paint(out, t, s->arg);
}

static void seconds(struct buf *out, uint64_t ns)
{
	uint64_t s = ns / 1000000000;

	if (s < 60)
		buf_printf(out, "%" PRIu64 "s", s);
	else if (s < 3600)
		buf_printf(out, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else
		buf_printf(out, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
}

/* ---- arms ---- */

/* What is not all of it never reads as 100 %, nor as 0 % what is not nothing. */
static void put_share(struct buf *out, double part, double whole)
{
	double percent = 100 * part / whole;

	if (part > 0 && part < whole)
		percent = fmin(fmax(percent, 0.01), 99.9);
	buf_printf(out, "%.3g %%", percent);
}

static void put_arm(const struct verify_arm_view *a, const char *name, struct buf *out)
{
	buf_printf(out, "%-10s ", name);
	text_safe(out, a->label);
	buf_printf(out, "  %u process%s", a->processes, a->processes == 1 ? "" : "es");
	if (a->threads)
		buf_printf(out, ", %u thread%s", a->threads, a->threads == 1 ? "" : "s");
	if (a->ended)
		buf_printf(out, ", %u ended", a->ended);
	if (a->run_ns) {
		buf_str(out, ", probed ");
		put_share(out, (double)a->probed_ns, (double)a->run_ns);
		buf_str(out, " of the time");
	}
	buf_char(out, '\n');
}

/* ---- the diff ---- */

const char *verify_line_path(const struct covered_line *l)
{
	const char *path = l->side == BASELINE ? l->file->old_path : l->file->new_path;

	return path ? path : l->file->old_path;   /* context of a file that goes */
}

uint32_t verify_line_number(const struct covered_line *l)
{
	return l->side == BASELINE || !l->line->new_line ? l->line->old_line : l->line->new_line;
}

void verify_line_note(const struct verify_view *v, uint32_t index, struct buf *out)
{
	static const char *const notes[LINE_STATES] = {
		[LINE_NO_CODE] = "no code", [LINE_LEFT_OUT] = "left out", [LINE_REFUSED] = "cannot be probed",
		[LINE_TO_COME] = "to come",
	};
	const struct covered_line *l = &v->coverage->line[index];

	if (l->state == LINE_PROBED && v->hits[index])
		buf_printf(out, "%" PRIu64 " hit%s", v->hits[index], v->hits[index] == 1 ? "" : "s");
	else if (l->state == LINE_PROBED)
		buf_str(out, "did not run");
	else if (l->state != LINE_CONTEXT)
		buf_str(out, notes[l->state]);
	if (l->state == LINE_PROBED && l->shared)
		buf_str(out, " ~");
}

void verify_lines_legend(const struct verify_view *v, struct buf *out)
{
	bool any = false, shared = false, removed = false;

	for (uint32_t i = 0; i < v->coverage->n_lines; i++) {
		bool probed = v->coverage->line[i].state == LINE_PROBED;

		any |= probed;
		shared |= probed && v->coverage->line[i].shared;
		removed |= v->coverage->line[i].removed;
	}
	if (any)
		buf_str(out, "a line's hits are those of its first instruction: optimised code may execute that whether the line's condition holds or not");
	if (shared)
		buf_str(out, "; ~ no statement of the line begins at its code, which is another line's too, or was moved");
	if (removed)
		buf_str(out, "; removed: its probe went beyond the budget, and the hits are those until then");
}

bool verify_near_change(const struct coverage *c, uint32_t index, unsigned context)
{
	uint32_t from = index > context ? index - context : 0;

	for (uint32_t i = from; i < c->n_lines && i <= index + context; i++)
		if (c->line[i].state != LINE_CONTEXT && c->line[i].file == c->line[index].file &&
		    c->line[i].line->hunk == c->line[index].line->hunk)
			return true;
	return false;
}

static void put_source(const char *text, size_t len, struct buf *out)
{
	const char *end = text + len;

	while (text < end) {
		const char *tab = memchr(text, '\t', (size_t)(end - text)), *stop = tab ? tab : end;

		text_escape(out, text, (size_t)(stop - text), 0);
		if (tab)
			buf_str(out, "    ");
		text = tab ? tab + 1 : end;
	}
}

static void put_diff_line(const struct verify_view *v, uint32_t index, const struct verify_style *s, struct buf *out)
{
	static const char signs[] = { [PATCH_CONTEXT] = ' ', [PATCH_REMOVED] = '-', [PATCH_ADDED] = '+' };
	const struct covered_line *l = &v->coverage->line[index];
	bool dead = l->state == LINE_PROBED && !v->hits[index];
	struct buf note = { 0 };

	verify_line_note(v, index, &note);
	buf_printf(out, "%5u ", l->line->new_line ? l->line->new_line : l->line->old_line);
	tone(s, out, l->line->kind == PATCH_ADDED ? TONE_GOOD : l->line->kind == PATCH_REMOVED ? TONE_BAD : TONE_DIM);
	buf_printf(out, "%12s %c", buf_text(&note), signs[l->line->kind]);
	put_source(l->line->text, l->line->len, out);
	tone(s, out, TONE_PLAIN);
	if (l->removed || (dead && l->side == CANDIDATE)) {
		tone(s, out, TONE_WARN);
		buf_str(out, dead ? "   <- has not run" : "   <-");
		buf_str(out, !l->removed ? "" : dead ? ", removed: cost" : " removed: cost");
		tone(s, out, TONE_PLAIN);
	}
	buf_char(out, '\n');
	buf_free(&note);
}

static void put_legend(const struct verify_view *v, const struct verify_style *s, struct buf *out)
{
	struct buf legend = { 0 };

	verify_lines_legend(v, &legend);
	if (legend.len) {
		tone(s, out, TONE_DIM);
		buf_printf(out, "      (%s)", buf_text(&legend));
		tone(s, out, TONE_PLAIN);
		buf_char(out, '\n');
	}
	buf_free(&legend);
}

static void put_diff(const struct verify_view *v, const struct verify_style *s, struct buf *out)
{
	const struct coverage *c = v->coverage;
	const struct patch_file *file = NULL;
	unsigned shown = 0;

	for (uint32_t i = 0; i < c->n_lines; i++) {
		const struct covered_line *l = &c->line[i];

		if (!verify_near_change(c, i, s->context))
			continue;
		if (s->lines && shown++ >= s->lines) {
			buf_printf(out, "      (more of the diff comes with the result)\n");
			break;
		}
		if (l->file != file) {
			tone(s, out, TONE_BOLD);
			text_safe(out, l->file->new_path ? l->file->new_path : l->file->old_path);
			tone(s, out, TONE_PLAIN);
			buf_char(out, '\n');
		}
		file = l->file;
		put_diff_line(v, i, s, out);
	}
	if (!s->brief)
		put_legend(v, s, out);
}

/* ---- gates ---- */

static void put_number(const struct gate_view *g, double x, struct buf *out)
{
	if (isnan(x))
		buf_char(out, '?');
	else if (isinf(x))
		buf_str(out, "inf");
	else if (g->unit == UNIT_RATE)
		buf_printf(out, "%.3g %%", 100 * x);
	else if (g->unit == UNIT_NS && x >= 1e6)
		buf_printf(out, "%.3g ms", x / 1e6);
	else if (g->unit == UNIT_NS && x >= 1e3)
		buf_printf(out, "%.3g us", x / 1e3);
	else if (g->unit == UNIT_NS)
		buf_printf(out, "%.0f ns", x);
	else
		buf_printf(out, "%.3g", x);
}

static void put_figure(const struct gate_view *g, const char *name, const struct figure *f, struct buf *out)
{
	buf_printf(out, "%s ", name);
	put_number(g, f->value, out);
	buf_str(out, " [");
	put_number(g, f->low, out);
	buf_str(out, ", ");
	put_number(g, f->high, out);
	buf_str(out, "]");
}

/* Bounds that hold at all times close in on one ratio; if they have passed each other, there was more than one. */
static void put_ratio(const struct gate_view *g, struct buf *out)
{
	buf_printf(out, ", ratio%s ", g->unit == UNIT_NS ? " of the shares of calls above" : "");
	if (g->ratio.low > g->ratio.high)
		buf_printf(out, "was above %.3g and at other times below %.3g: it has changed while it was measured", g->ratio.low, g->ratio.high);
	else if (isinf(g->ratio.high))
		buf_printf(out, "in [%.3g, inf]", g->ratio.low);
	else
		buf_printf(out, "in [%.3g, %.3g]", g->ratio.low, g->ratio.high);
	if (!isnan(g->margin))
		buf_printf(out, ", held against %.3g", g->margin);
}

static void put_gate(const struct gate_view *g, const struct verify_style *s, struct buf *out)
{
	static const enum verify_tone tones[] = { [GATE_OPEN] = TONE_PLAIN, [GATE_PASS] = TONE_GOOD, [GATE_FAIL] = TONE_BAD,
						  [GATE_BLOCKED] = TONE_WARN, [GATE_NOT_JUDGED] = TONE_WARN };

	buf_str(out, "  ");
	tone(s, out, tones[g->state]);
	buf_printf(out, "%-11s", gate_state_name(g->state));
	tone(s, out, TONE_PLAIN);
	text_safe(out, g->name);
	buf_str(out, ": ");
	text_safe(out, g->reason);
	buf_char(out, '\n');
	if (s->brief || g->unit == UNIT_NONE || isnan(g->base.value))
		return;
	tone(s, out, TONE_DIM);
	buf_str(out, "             ");
	put_figure(g, "baseline", &g->base, out);
	put_figure(g, ", candidate", &g->cand, out);
	if (!isnan(g->ratio.low))
		put_ratio(g, out);
	tone(s, out, TONE_PLAIN);
	buf_char(out, '\n');
}

static void put_function(const struct verify_function_view *f, const struct verify_style *s, struct buf *out)
{
	const struct claim *c = f->view->claim;

	tone(s, out, TONE_BOLD);
	text_safe(out, f->name);
	tone(s, out, TONE_PLAIN);
	if (c->trigger[0]) {
		buf_str(out, " if ");
		text_safe(out, c->trigger);
	}
	if (c->expect == EXPECT_GONE)
		buf_str(out, ", the error is to be gone");
	else if (c->expect == EXPECT_RATIO)
		buf_printf(out, ", the error rate is to be below %.3g x the baseline's", c->factor);
	buf_char(out, '\n');
	for (unsigned i = 0; i < f->view->gates; i++)
		put_gate(f->view->gate[i], s, out);
}

/* Which errors came, where: has the error moved? */
static void put_shape(const struct verify_function_view *f, struct buf *out)
{
	static const char *const only[] = { "", "  candidate only", "  baseline only" };
	struct errset_shift shift[8];
	unsigned n = errset_shape(f->view->errors, shift, 8);

	if (n)
		buf_str(out, "  errors by value:            baseline   candidate\n");
	for (unsigned i = 0; i < n; i++) {
		char value[ERROR_VALUE_TEXT];

		error_value_text(shift[i].value, f->view->may_be_errno, value);
		buf_printf(out, "    %23s %10" PRIu64 "  %10" PRIu64 "%s\n", value, shift[i].base, shift[i].cand, only[shift[i].only]);
	}
}

/* ---- what stands beside ---- */

static void put_incomparable(const struct coverage *c, struct buf *out)
{
	for (uint32_t i = 0; i < c->n_functions; i++) {
		if (!coverage_is_missing(&c->function[i]))
			continue;
		buf_str(out, c->function[i].meant ? "compared: " : "not compared: ");
		text_safe(out, c->function[i].name);
		buf_str(out, ": ");
		text_safe(out, c->function[i].why);
		buf_char(out, '\n');
	}
	for (uint32_t i = 0; i < c->n_lines; i++) {
		const struct covered_line *l = &c->line[i];

		if (l->state != LINE_REFUSED)
			continue;
		buf_str(out, "not probed: ");
		text_safe(out, verify_line_path(l));
		buf_printf(out, ":%u: ", verify_line_number(l));
		text_safe(out, l->why);
		buf_char(out, '\n');
	}
}

/* What was not judged stands with its reason among the gates, and by name in the verdict's sentence. */
void verify_caveats(const struct verify_view *v, struct buf *out)
{
	if (v->n_functions)
		verdict_caveats(v->function[0].verdict, out);
}

static void put_caveats(const struct verify_view *v, struct buf *out)
{
	struct buf text = { 0 };

	verify_caveats(v, &text);
	for (const char *at = buf_text(&text), *end; *at; at = end) {
		end = strchrnul(at, '\n');
		end += *end == '\n';
		buf_str(out, "note: ");
		buf_add(out, at, (size_t)(end - at));
	}
	buf_free(&text);
}

static void put_verdict(const struct verify_view *v, const struct verify_style *s, struct buf *out)
{
	static const enum verify_tone tones[] = { TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_WARN };

	tone(s, out, tones[v->state]);
	buf_str(out, verdict_state_name(v->state));
	tone(s, out, TONE_PLAIN);
	buf_str(out, "  ");
	text_safe(out, v->reason);
	buf_char(out, '\n');
}

void verify_progress(const struct verify_view *v, struct buf *out)
{
	static const char *const stages[] = {
		[VERIFY_ASKING] = "asking which processes run which build", [VERIFY_AA] = "an A/A run first", [VERIFY_PROBING] = "setting the probes",
		[VERIFY_RUNNING] = "comparing", [VERIFY_STOPPING] = "removing the probes",
		[VERIFY_DONE] = "done",
	};
	char eta[48];

	if (v->waiting) {
		text_safe(out, v->waiting);
		buf_str(out, " (");
		seconds(out, v->elapsed_ns);
		buf_str(out, " of ");
		seconds(out, v->deadline_ns);
		buf_char(out, ')');
		return;
	}
	buf_str(out, stages[v->stage]);
	if (v->stage != VERIFY_RUNNING)
		return;
	buf_char(out, ' ');
	seconds(out, v->elapsed_ns);
	buf_str(out, " of ");
	seconds(out, v->deadline_ns);
	if (v->n_functions)
		buf_printf(out, ": %" PRIu64 " and %" PRIu64 " calls", v->function[0].view->base->calls, v->function[0].view->cand->calls);
	verdict_eta_text(v->eta_s, eta, sizeof(eta));
	if (v->eta_s > 0)
		buf_printf(out, "; to a verdict: %s", eta);
}

void verify_text(const struct verify_view *v, const struct verify_style *s, struct buf *out)
{
	put_arm(&v->arm[BASELINE], "baseline", out);
	put_arm(&v->arm[CANDIDATE], "candidate", out);
	if (v->aa.text[0]) {
		buf_str(out, "A/A run    ");
		text_safe(out, v->aa.text);
		buf_char(out, '\n');
	}
	if (v->coverage && v->hits && v->coverage->n_lines)
		put_diff(v, s, out);
	for (uint32_t i = 0; i < v->n_functions; i++) {
		put_function(&v->function[i], s, out);
		if (s->brief)
			continue;
		put_shape(&v->function[i], out);
		verify_text_failing(&v->function[i], out);
	}
	if (v->coverage)
		put_incomparable(v->coverage, out);
	for (uint32_t i = 0; i < v->n_remarks; i++) {
		buf_str(out, "remark: ");
		text_safe(out, v->remark[i]);
		buf_char(out, '\n');
	}
	if (v->stage >= VERIFY_STOPPING) {
		put_caveats(v, out);
		put_verdict(v, s, out);
	}
}
