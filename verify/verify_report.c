/* SPDX-License-Identifier: Apache-2.0 */
#include "verify_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "error_value.h"
#include "text.h"
#include "verify_text.h"

enum { LINES_CONTEXT = 3, LINE_TEXT = 1000, LINES_TEXT = 256 << 10 };

verify_report_fn *verify_report(const char *kind, size_t len)
{
	static const struct { const char *kind; verify_report_fn *report; } kinds[] = {
		{ "json", verify_report_json }, { "md", verify_report_markdown }, { "junit", verify_report_junit },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i].kind) == len && memcmp(kinds[i].kind, kind, len) == 0)
			return kinds[i].report;
	return NULL;
}

/* ---- JSON ---- */

static void key_text(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, "\"%s\":", key);
	text_json_str(out, value);
}

static void json_number(struct buf *out, double x)
{
	if (isfinite(x))
		text_double(out, x, false);
	else
		buf_str(out, "null");
}

static void json_figure(struct buf *out, const char *key, const struct figure *f)
{
	buf_printf(out, ",\"%s\":{\"value\":", key);
	json_number(out, f->value);
	buf_str(out, ",\"low\":");
	json_number(out, f->low);
	buf_str(out, ",\"high\":");
	json_number(out, f->high);
	buf_char(out, '}');
}

static void json_gate(struct buf *out, const struct gate_view *g)
{
	static const char *const units[] = { "", "rate", "ns", "per call" };

	buf_char(out, '{');
	key_text(out, "name", g->name);
	buf_char(out, ',');
	key_text(out, "state", gate_state_name(g->state));
	buf_printf(out, ",\"optional\":%s", g->optional ? "true" : "false");
	buf_char(out, ',');
	key_text(out, "reason", g->reason);
	buf_char(out, ',');
	key_text(out, "unit", units[g->unit]);
	json_figure(out, "baseline", &g->base);
	json_figure(out, "candidate", &g->cand);
	json_figure(out, "ratio", &g->ratio);
	buf_str(out, ",\"margin\":");
	json_number(out, g->margin);
	buf_str(out, ",\"eta_s\":");
	json_number(out, g->eta_s);
	buf_char(out, '}');
}

static void json_total(struct buf *out, const char *key, const struct arm_total *t)
{
	buf_printf(out, ",\"%s\":{\"calls\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"triggers\":%" PRIu64 ",\"trigger_errors\":%" PRIu64
		   ",\"lost\":%" PRIu64 ",\"unpaired\":%" PRIu64 ",\"died\":%" PRIu64 ",\"probe_ns\":", key, t->calls, t->errors, t->triggers,
		   t->trigger_errors, t->lost, t->unpaired, t->died);
	json_number(out, t->probe_ns);
	buf_char(out, ',');
	key_text(out, "site_kind", t->site_kind);
	buf_char(out, '}');
}

static void json_shape(struct buf *out, const struct verdict_view *v)
{
	struct errset_shift shift[SHAPE_ROWS];
	unsigned n = errset_shape(v->errors, shift, SHAPE_ROWS);

	buf_str(out, ",\"errors\":[");
	for (unsigned i = 0; i < n; i++) {
		const char *name = v->may_be_errno ? error_value_name(shift[i].value) : NULL;

		buf_printf(out, "%s{\"value\":%" PRId64 ",\"baseline\":%" PRIu64 ",\"candidate\":%" PRIu64, i ? "," : "", shift[i].value,
			   shift[i].base, shift[i].cand);
		if (name)
			buf_printf(out, ",\"errno\":\"%s\"", name);
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

/* Arguments with more values than are counted one by one. */
static void json_others(struct buf *out, const struct failing *f)
{
	struct failing_row row[SHAPE_ROWS];
	unsigned n = f ? failing_others(f, row, SHAPE_ROWS) : 0;

	buf_str(out, "],\"others\":[");
	for (unsigned i = 0; i < n; i++) {
		buf_str(out, i ? ",{" : "{");
		key_text(out, "argument", row[i].name);
		buf_printf(out, ",\"baseline\":%" PRIu64 ",\"candidate\":%" PRIu64 "}", row[i].count[BASELINE], row[i].count[CANDIDATE]);
	}
}

static void json_failing(struct buf *out, const struct verify_function_view *f)
{
	struct failing_row row[SHAPE_ROWS];
	unsigned n = f->failing ? failing_rows(f->failing, row, SHAPE_ROWS) : 0;

	buf_str(out, ",\"failing\":{");
	for (int side = 0; side < VERIFY_SIDES; side++) {
		struct verify_shown s = verify_shown(f, (enum verify_side)side);

		buf_printf(out, "\"%s\":{\"shown\":%" PRIu64 ",\"failed\":%" PRIu64 "},", verify_side_name[side], s.shown, s.failed);
	}
	buf_printf(out, "\"left_out\":%u,\"arguments\":[", f->failing ? failing_left_out(f->failing) : 0);
	for (unsigned i = 0; i < n; i++) {
		buf_str(out, i ? ",{" : "{");
		key_text(out, "argument", row[i].name);
		buf_char(out, ',');
		key_text(out, "value", row[i].value);
		buf_printf(out, ",\"baseline\":%" PRIu64 ",\"candidate\":%" PRIu64 ",", row[i].count[BASELINE], row[i].count[CANDIDATE]);
		key_text(out, "only", !row[i].only ? NULL : verify_side_name[row[i].count[BASELINE] ? BASELINE : CANDIDATE]);
		buf_char(out, '}');
	}
	json_others(out, f->failing);
	buf_str(out, "],\"always\":[");
	n = f->failing ? failing_always(f->failing, row, SHAPE_ROWS) : 0;
	for (unsigned i = 0; i < n; i++) {
		buf_str(out, i ? ",{" : "{");
		key_text(out, "argument", row[i].name);
		buf_char(out, ',');
		key_text(out, "value", row[i].value);
		buf_char(out, '}');
	}
	buf_str(out, "]}");
}

static void json_function(struct buf *out, const struct verify_function_view *f)
{
	const struct verdict_view *v = f->view;

	buf_char(out, '{');
	key_text(out, "function", f->name);
	buf_char(out, ',');
	key_text(out, "trigger", v->claim->trigger);
	buf_char(out, ',');
	key_text(out, "verdict", verdict_state_name(v->state));
	buf_char(out, ',');
	key_text(out, "reason", v->reason);
	json_total(out, "baseline", v->base);
	json_total(out, "candidate", v->cand);
	buf_str(out, ",\"gates\":[");
	for (unsigned i = 0; i < v->gates; i++) {
		buf_str(out, i ? "," : "");
		json_gate(out, v->gate[i]);
	}
	buf_char(out, ']');
	json_shape(out, v);
	json_failing(out, f);
	buf_char(out, '}');
}

static void json_arm(struct buf *out, const char *key, const struct verify_arm_view *a)
{
	buf_printf(out, ",\"%s\":{", key);
	key_text(out, "label", a->label);
	buf_char(out, ',');
	key_text(out, "build_id", a->build_id);
	buf_printf(out, ",\"processes\":%u,\"most_processes\":%u,\"ended\":%u,\"threads\":%u,\"probed_share\":", a->processes,
		   a->most_processes, a->ended, a->threads);
	json_number(out, a->run_ns ? (double)a->probed_ns / (double)a->run_ns : NAN);
	buf_char(out, '}');
}

/* null: none was asked for. */
static void json_aa(struct buf *out, const struct verify_aa_view *aa)
{
	static const char *const states[] = { [AA_RUNNING] = "not over", [AA_NOTHING] = "nothing found", [AA_FOUND] = "difference found",
					      [AA_TOO_FEW] = "too few calls", [AA_NOT_WHOLE] = "not whole" };

	buf_str(out, ",\"aa\":");
	if (aa->state == AA_NOT) {
		buf_str(out, "null");
		return;
	}
	buf_printf(out, "{\"state\":\"%s\",", states[aa->state]);
	key_text(out, "split", aa->split);
	buf_printf(out, ",\"elapsed_s\":%.3f,\"calls\":[%" PRIu64 ",%" PRIu64 "],", (double)aa->ns / 1e9, aa->calls[0], aa->calls[1]);
	key_text(out, "text", aa->text);
	buf_char(out, '}');
}

static const char *why_of(const struct covered_line *l)
{
	static const char *const whys[LINE_STATES] = {
		[LINE_NO_CODE] = "a comment, a declaration, or optimised away", [LINE_LEFT_OUT] = "more lines than are probed",
	};

	return l->why[0] ? l->why : whys[l->state];
}

static void json_line(struct buf *out, const struct verify_view *v, uint32_t index, bool with_text)
{
	static const char *const states[LINE_STATES] = {
		[LINE_CONTEXT] = "context", [LINE_PROBED] = "probed", [LINE_NO_CODE] = "no code", [LINE_LEFT_OUT] = "left out",
		[LINE_REFUSED] = "refused", [LINE_TO_COME] = "to come",
	};
	const struct covered_line *l = &v->coverage->line[index];
	const struct patch_line *source = l->line;

	buf_char(out, '{');
	key_text(out, "arm", verify_side_name[l->side]);
	buf_char(out, ',');
	key_text(out, "file", verify_line_path(l));
	buf_printf(out, ",\"line\":%u,\"state\":\"%s\",\"hits\":%" PRIu64, verify_line_number(l), states[l->state], v->hits[index]);
	if (l->state == LINE_PROBED && l->shared)
		buf_str(out, ",\"shared\":true");
	if (l->removed)
		buf_str(out, ",\"removed\":true");
	if (why_of(l)) {
		buf_char(out, ',');
		key_text(out, "why", why_of(l));
	}
	if (with_text) {
		buf_str(out, ",\"text\":");
		text_json(out, source->text, source->len < LINE_TEXT ? source->len : LINE_TEXT, source->len > LINE_TEXT);
	}
	buf_char(out, '}');
}

/* The changed lines with what is around them: the text of so many that a collector takes the report, then the changed lines only. */
static void json_lines(struct buf *out, const struct verify_view *v)
{
	const char *before = "";
	size_t start = out->len;
	struct buf legend = { 0 };

	buf_str(out, ",\"lines\":[");
	for (uint32_t i = 0; v->hits && i < v->coverage->n_lines; i++) {
		bool with_text = out->len - start < LINES_TEXT;

		if (!verify_near_change(v->coverage, i, LINES_CONTEXT) || (!with_text && v->coverage->line[i].state == LINE_CONTEXT))
			continue;
		buf_str(out, before);
		json_line(out, v, i, with_text);
		before = ",";
	}
	buf_char(out, ']');
	if (v->hits)
		verify_lines_legend(v, &legend);
	buf_char(out, ',');
	key_text(out, "lines_note", buf_text(&legend));
	buf_free(&legend);
}

static void json_caveats(struct buf *out, const struct verify_view *v)
{
	struct buf caveats = { 0 };
	const char *before = "";

	verify_caveats(v, &caveats);
	buf_str(out, ",\"caveats\":[");
	for (const char *at = buf_text(&caveats), *end; *at; at = *end ? end + 1 : end) {
		end = strchrnul(at, '\n');
		buf_str(out, before);
		text_json(out, at, (size_t)(end - at), false);
		before = ",";
	}
	buf_char(out, ']');
	buf_free(&caveats);
}

static void json_not_compared(struct buf *out, const struct coverage *c)
{
	const char *before = "";

	buf_str(out, ",\"not_compared\":[");
	for (uint32_t i = 0; c && i < c->n_functions; i++) {
		if (!coverage_is_missing(&c->function[i]))
			continue;
		buf_printf(out, "%s{", before);
		key_text(out, "function", c->function[i].name);
		buf_char(out, ',');
		key_text(out, "why", c->function[i].why);
		buf_printf(out, ",\"together\":%s}", c->function[i].meant ? "true" : "false");
		before = ",";
	}
	buf_char(out, ']');
}

void verify_report_json(const struct verify_view *v, struct buf *out)
{
	buf_printf(out, "{\"plumb\":\"%s\",\"rules\":%d,", PLUMB_VERSION, VERDICT_VERSION);
	key_text(out, "verdict", verdict_state_name(v->state));
	buf_char(out, ',');
	key_text(out, "reason", v->reason);
	buf_printf(out, ",\"elapsed_s\":%.3f,\"deadline_s\":", (double)v->elapsed_ns / 1e9);
	json_number(out, v->deadline_ns ? (double)v->deadline_ns / 1e9 : NAN);
	buf_str(out, ",\"eta_s\":");
	json_number(out, v->eta_s);
	buf_printf(out, ",\"by_time\":%s", v->spec->by_time ? "true" : "false");
	json_aa(out, &v->aa);
	json_arm(out, "baseline", &v->arm[BASELINE]);
	json_arm(out, "candidate", &v->arm[CANDIDATE]);
	buf_str(out, ",\"functions\":[");
	for (uint32_t i = 0; i < v->n_functions; i++) {
		buf_str(out, i ? "," : "");
		json_function(out, &v->function[i]);
	}
	buf_char(out, ']');
	json_lines(out, v);
	json_not_compared(out, v->coverage);
	buf_str(out, ",\"remarks\":[");
	for (uint32_t i = 0; i < v->n_remarks; i++) {
		buf_str(out, i ? "," : "");
		text_json_str(out, v->remark[i]);
	}
	buf_char(out, ']');
	json_caveats(out, v);
	buf_str(out, "}\n");
}

/* ---- JUnit ---- */

/* XML 1.0 has no way to write most control characters: text_escape has made \xNN of them. */
static void xml_text(struct buf *out, const char *text)
{
	static const struct { char c; const char *entity; } entities[] = {
		{ '<', "&lt;" }, { '>', "&gt;" }, { '&', "&amp;" }, { '"', "&quot;" }, { '\'', "&apos;" },
	};
	struct buf safe = { 0 };

	text_safe(&safe, text);
	for (const char *at = buf_text(&safe); *at; at++) {
		const char *entity = NULL;

		for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
			entity = *at == entities[i].c ? entities[i].entity : entity;
		if (entity)
			buf_str(out, entity);
		else
			buf_char(out, *at);
	}
	buf_free(&safe);
}

/* A gate that has failed is a failure; one that is open, blocked or was not judged is skipped, and so is what was not decided: no tool calls that a
 * success. */
static void junit_gate(struct buf *out, const struct verify_function_view *f, const struct gate_view *g)
{
	buf_str(out, "  <testcase classname=\"");
	xml_text(out, f->name);
	buf_str(out, "\" name=\"");
	xml_text(out, g->name);
	buf_str(out, "\">");
	if (g->state != GATE_PASS) {
		buf_str(out, g->state == GATE_FAIL ? "<failure message=\"" : "<skipped message=\"");
		xml_text(out, g->reason);
		buf_str(out, "\"/>");
	}
	buf_str(out, "</testcase>\n");
}

/* What it found is no failure of the candidate's. */
static void junit_aa(struct buf *out, const struct verify_aa_view *aa)
{
	buf_str(out, "  <testcase classname=\"plumb verify\" name=\"A/A run\">");
	buf_str(out, aa->state == AA_NOTHING ? "<system-out>" : "<skipped message=\"");
	xml_text(out, aa->text);
	buf_str(out, aa->state == AA_NOTHING ? "</system-out>" : "\"/>");
	buf_str(out, "</testcase>\n");
}

static void junit_count(const struct verify_view *v, unsigned *tests, unsigned *failures, unsigned *skipped)
{
	bool aa = v->aa.state != AA_NOT;

	*tests = 1 + aa;
	*failures = v->state == VERDICT_FAIL;
	*skipped = (v->state != VERDICT_FAIL && v->state != VERDICT_PASS) + (aa && v->aa.state != AA_NOTHING);
	for (uint32_t i = 0; i < v->n_functions; i++)
		for (unsigned k = 0; k < v->function[i].view->gates; k++) {
			enum gate_state s = v->function[i].view->gate[k]->state;

			(*tests)++;
			*failures += s == GATE_FAIL;
			*skipped += s != GATE_FAIL && s != GATE_PASS;
		}
}

void verify_report_junit(const struct verify_view *v, struct buf *out)
{
	unsigned tests, failures, skipped;

	junit_count(v, &tests, &failures, &skipped);
	buf_printf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"plumb verify\" tests=\"%u\" failures=\"%u\" "
		   "errors=\"0\" skipped=\"%u\" time=\"%.3f\">\n", tests, failures, skipped, (double)v->elapsed_ns / 1e9);
	if (v->spec->by_time)
		buf_str(out, "  <properties><property name=\"arms\" value=\"one after the other: whatever else changed between them counts as "
			     "the candidate's\"/></properties>\n");
	buf_str(out, "  <testcase classname=\"plumb verify\" name=\"verdict\">");
	if (v->state != VERDICT_PASS) {
		buf_printf(out, "<%s message=\"%s: ", v->state == VERDICT_FAIL ? "failure" : "skipped", verdict_state_name(v->state));
		xml_text(out, v->reason);
		buf_str(out, "\"/>");
	}
	buf_str(out, "</testcase>\n");
	if (v->aa.state != AA_NOT)
		junit_aa(out, &v->aa);
	for (uint32_t i = 0; i < v->n_functions; i++)
		for (unsigned k = 0; k < v->function[i].view->gates; k++)
			junit_gate(out, &v->function[i], v->function[i].view->gate[k]);
	buf_str(out, "</testsuite>\n");
}
