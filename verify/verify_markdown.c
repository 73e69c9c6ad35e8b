/* SPDX-License-Identifier: Apache-2.0 */
/* A verification as a pull request's comment. */
#include <inttypes.h>
#include <string.h>

#include "error_value.h"
#include "text.h"
#include "verify_report.h"
#include "verify_text.h"

/* Text that stays text: nothing in it is markup, a table's border, or a mention of somebody. */
static void md_text(struct buf *out, const char *text)
{
	struct buf safe = { 0 };

	text_safe(&safe, text);
	for (const char *at = buf_text(&safe); *at; at++) {
		if (strchr("\\`*_{}[]()<>#|~!@&", *at))
			buf_printf(out, "&#%d;", *at);
		else
			buf_char(out, *at);
	}
	buf_free(&safe);
}

static void md_argument(struct buf *out, const struct failing_row *r)
{
	md_text(out, r->name);
	buf_str(out, " = ");
	md_text(out, r->value);
}

/* Arguments with more values than are counted one by one. */
static void md_others(struct buf *out, const struct failing *f)
{
	struct failing_row row[SHAPE_ROWS];
	unsigned n = failing_others(f, row, SHAPE_ROWS);

	for (unsigned i = 0; i < n; i++) {
		buf_str(out, "| ");
		md_text(out, row[i].name);
		buf_printf(out, ": other values | %" PRIu64 " | %" PRIu64 " | |\n", row[i].count[BASELINE], row[i].count[CANDIDATE]);
	}
}

static void md_failing_rows(struct buf *out, const struct failing *f)
{
	struct failing_row row[SHAPE_ROWS];
	unsigned n = failing_rows(f, row, SHAPE_ROWS);
	struct failing_row other;

	if (n || failing_others(f, &other, 1))
		buf_str(out, "\n| argument | baseline | candidate | |\n|---|---:|---:|---|\n");
	for (unsigned i = 0; i < n; i++) {
		buf_str(out, "| ");
		md_argument(out, &row[i]);
		buf_printf(out, " | %" PRIu64 " | %" PRIu64 " | %s |\n", row[i].count[BASELINE], row[i].count[CANDIDATE],
			   !row[i].only ? "" : row[i].count[BASELINE] ? "baseline only" : "candidate only");
	}
	md_others(out, f);
	n = failing_always(f, row, SHAPE_ROWS);
	for (unsigned i = 0; i < n; i++) {
		buf_str(out, i ? ", " : "\nAll of them: ");
		md_argument(out, &row[i]);
	}
	buf_str(out, n ? "\n" : "");
}

static void md_failing(struct buf *out, const struct verify_function_view *f)
{
	const struct verify_shown base = verify_shown(f, BASELINE), cand = verify_shown(f, CANDIDATE);

	if (!base.shown && !cand.shown)
		return;
	buf_printf(out, "\nFailing calls by argument (looked at: %" PRIu64 " of the baseline's %" PRIu64 ", %" PRIu64 " of the candidate's %" PRIu64
		   "):\n", base.shown, base.failed, cand.shown, cand.failed);
	md_failing_rows(out, f->failing);
}

static void md_function(struct buf *out, const struct verify_function_view *f)
{
	static const char *const marks[] = { [GATE_OPEN] = "open", [GATE_PASS] = "pass", [GATE_FAIL] = "**FAIL**", [GATE_BLOCKED] = "blocked",
						  [GATE_NOT_JUDGED] = "not judged" };
	const struct verdict_view *v = f->view;
	struct errset_shift shift[SHAPE_ROWS];
	unsigned n = errset_shape(v->errors, shift, SHAPE_ROWS);

	buf_str(out, "\n### ");
	md_text(out, f->name);
	if (v->claim->trigger[0]) {
		buf_str(out, " if ");
		md_text(out, v->claim->trigger);
	}
	buf_printf(out, "\n\nBaseline %" PRIu64 " of %" PRIu64 " calls failed, candidate %" PRIu64 " of %" PRIu64 ".\n\n| gate | | why |\n|---|---|---|\n",
		   v->base->errors, v->base->calls, v->cand->errors, v->cand->calls);
	for (unsigned i = 0; i < v->gates; i++) {
		buf_str(out, "| ");
		md_text(out, v->gate[i]->name);
		buf_printf(out, " | %s | ", marks[v->gate[i]->state]);
		md_text(out, v->gate[i]->reason);
		buf_str(out, " |\n");
	}
	if (n)
		buf_str(out, "\n| error value | baseline | candidate |\n|---:|---:|---:|\n");
	for (unsigned i = 0; i < n; i++) {
		char value[ERROR_VALUE_TEXT];

		buf_printf(out, "| %s | %" PRIu64 " | %" PRIu64 " |\n", error_value_text(shift[i].value, v->may_be_errno, value), shift[i].base,
			   shift[i].cand);
	}
	md_failing(out, f);
}

static void md_legend(struct buf *out, const struct verify_view *v)
{
	struct buf legend = { 0 };

	verify_lines_legend(v, &legend);
	if (legend.len) {
		buf_char(out, '\n');
		md_text(out, buf_text(&legend));
		buf_char(out, '\n');
	}
	buf_free(&legend);
}

static void md_lines(struct buf *out, const struct verify_view *v)
{
	bool any = false;

	for (uint32_t i = 0; v->hits && i < v->coverage->n_lines; i++) {
		const struct covered_line *l = &v->coverage->line[i];
		struct buf note = { 0 };

		if (l->state == LINE_CONTEXT)
			continue;
		if (!any)
			buf_str(out, "\n### Changed lines\n\n| line | | |\n|---|---|---|\n");
		any = true;
		verify_line_note(v, i, &note);
		buf_str(out, "| ");
		md_text(out, verify_line_path(l));
		buf_printf(out, ":%u | %s | %s%s |\n", verify_line_number(l), l->side == BASELINE ? "removed" : "added", buf_text(&note),
			   l->removed ? ", removed: cost" : "");
		buf_free(&note);
	}
	if (any)
		md_legend(out, v);
}

static void md_notes(struct buf *out, const struct verify_view *v)
{
	struct buf caveats = { 0 };

	buf_str(out, "\n### To be read with it\n\n");
	for (uint32_t i = 0; v->coverage && i < v->coverage->n_functions; i++) {
		const struct covered_function *f = &v->coverage->function[i];

		if (!coverage_is_missing(f))
			continue;
		buf_str(out, f->meant ? "- compared: " : "- not compared: ");
		md_text(out, f->name);
		buf_str(out, ": ");
		md_text(out, f->why);
		buf_char(out, '\n');
	}
	for (uint32_t i = 0; i < v->n_remarks; i++) {
		buf_str(out, "- ");
		md_text(out, v->remark[i]);
		buf_char(out, '\n');
	}
	verify_caveats(v, &caveats);
	for (char *at = caveats.data, *end; at && *at; at = end) {
		end = strchrnul(at, '\n');
		if (*end)
			*end++ = '\0';
		buf_str(out, "- ");
		md_text(out, at);
		buf_char(out, '\n');
	}
	buf_free(&caveats);
}

static void md_processes(struct buf *out, uint32_t n)
{
	buf_printf(out, " (%u process%s)", n, n == 1 ? "" : "es");
}

void verify_report_markdown(const struct verify_view *v, struct buf *out)
{
	buf_printf(out, "## plumb verify: %s\n\n", verdict_state_name(v->state));
	md_text(out, v->reason);
	buf_str(out, "\n\nBaseline ");
	md_text(out, v->arm[BASELINE].label);
	md_processes(out, v->arm[BASELINE].most_processes);
	buf_str(out, ", candidate ");
	md_text(out, v->arm[CANDIDATE].label);
	md_processes(out, v->arm[CANDIDATE].most_processes);
	buf_printf(out, ", compared for %.0f s%s.\n", (double)v->elapsed_ns / 1e9, v->spec->by_time ? ", one after the other" : "");
	if (v->aa.text[0]) {
		buf_str(out, "\nA/A run: ");
		md_text(out, v->aa.text);
		buf_str(out, ".\n");
	}
	for (uint32_t i = 0; i < v->n_functions; i++)
		md_function(out, &v->function[i]);
	md_lines(out, v);
	md_notes(out, v);
}
