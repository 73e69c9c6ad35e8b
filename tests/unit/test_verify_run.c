/* SPDX-License-Identifier: Apache-2.0 */
/* A whole verification against a script: what an agent would send, and what comes of it. */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "verify_bench.h"
#include "verify_record.h"
#include "verify_report.h"
#include "verify_text.h"

/* ---- verdicts ---- */

static void counts_decide(void **state)
{
	static const struct {
		const char *expect;
		bool patch, lines_run;
		unsigned base_errors, cand_errors;
		enum verdict_state want;
		const char *reason;
	} cases[] = {
		{ "gone", false, true, 50, 0, VERDICT_PASS, "all 4 gates pass" },
		{ "gone", true, true, 50, 0, VERDICT_PASS, "all 4 gates pass" },
		{ "gone", true, false, 50, 0, VERDICT_INCONCLUSIVE, "the changed line src/f.c:11 did not run on the candidate" },
		{ "gone", false, true, 50, 50, VERDICT_FAIL, "it is not: baseline failed 50 of 1000" },
		{ "none", false, true, 10, 100, VERDICT_FAIL, "error rate < +25 %: it is up" },
		{ "gone", false, true, 0, 0, VERDICT_INCONCLUSIVE, "the baseline has shown no error yet" },
		{ "error_rate < 0.5 x baseline", false, true, 100, 10, VERDICT_PASS, "all 4 gates pass" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct verify_view *view;
		struct bench b;

		begin_probed(&b, cases[i].expect, cases[i].patch);
		b.line_hits = cases[i].lines_run;
		run_until_decided(&b, cases[i].base_errors, cases[i].cand_errors);
		view = verify_view(b.v);
		if (view->state != cases[i].want || !strstr(view->reason, cases[i].reason))
			fail_msg("case %zu: %s, %s", i, verdict_state_name(view->state), view->reason);
		verify_free(b.v);
	}
}

static void no_traffic_is_no_pass(void **state)
{
	struct verify_spec s;
	struct bench b;

	spec_of_test(&s, "gone", NULL);
	s.function = strdup("f");
	assert_int_equal(verify_spec_guard(&s, "no new error values", NULL), 0);
	begin_spec(&b, &s);
	assert_int_equal(give_ps(&b, 2, two_builds), 0);
	set_probes(&b, false);
	for (int i = 0; i < 30 && verify_view(b.v)->stage == VERIFY_RUNNING; i++)
		assert_int_equal(second(&b, 0, 0, 0), 0);
	assert_int_equal(verify_view(b.v)->state, VERDICT_INCONCLUSIVE);
	assert_non_null(strstr(verify_view(b.v)->reason, "exposure: f was not called on the candidate, nor on the baseline"));
	assert_non_null(strstr(verify_view(b.v)->reason, "no new error values: no new value in 0 calls, which shows nothing yet"));
	verify_free(b.v);
}

/* ps tells that the candidate is gone: nothing more can be shown, and what was shown is not enough. */
static void a_dead_arm_is_no_pass(void **state)
{
	const char *reason;
	struct bench b;

	begin_probed(&b, "none", false);
	assert_int_equal(second(&b, 10, 0, 0), 0);
	assert_int_equal(give_ps(&b, 1, two_builds), 0);
	for (int i = 0; i < 15 && verify_view(b.v)->stage == VERIFY_RUNNING; i++)
		assert_int_equal(second(&b, 10, 0, 0), 0);
	assert_int_equal(verify_view(b.v)->state, VERDICT_INCONCLUSIVE);
	reason = verify_view(b.v)->reason;
	assert_non_null(strstr(reason, "the candidate (build cccccccccccc) has no process any more"));
	verify_free(b.v);
}

/* A process that was started again counts from 0: nothing is lost and nothing is counted twice. */
static void a_restart_counts_on(void **state)
{
	struct bench b;

	begin_probed(&b, "none", false);
	assert_int_equal(second(&b, 300, 3, 3), 0);
	memset(b.calls, 0, sizeof(b.calls));
	memset(b.errors, 0, sizeof(b.errors));
	assert_int_equal(second(&b, 200, 2, 2), 0);
	assert_int_equal(verify_view(b.v)->function[0].view->base->calls, 500);
	assert_int_equal(verify_view(b.v)->function[0].view->cand->errors, 5);
	verify_free(b.v);
}

static void text_of(struct verify *v, struct buf *out)
{
	const struct verify_style style = { .context = 3 };

	verify_text(verify_view(v), &style, out);
	verify_report_json(verify_view(v), out);
	verify_report_markdown(verify_view(v), out);
}

/* As many errors as before, but other ones: it has moved. */
static void an_error_that_moves_shows(void **state)
{
	struct errset_shift shift[4];
	const struct verify_view *view;
	struct buf text = { 0 };
	struct bench b;

	begin_probed(&b, "none", false);
	b.value[0] = -22;
	b.value[1] = -34;
	for (int i = 0; i < 5; i++)
		assert_int_equal(second(&b, 1000, 20, 20), 0);
	view = verify_view(b.v);
	assert_int_equal(errset_shape(view->function[0].view->errors, shift, 4), 2);
	assert_int_equal(shift[0].value, -34);
	assert_int_equal(shift[0].only, ERRSET_ONLY_CANDIDATE);
	assert_int_equal(shift[0].cand, 100);
	assert_int_equal(shift[1].value, -22);
	assert_int_equal(shift[1].base, 100);
	text_of(b.v, &text);
	assert_non_null(strstr(buf_text(&text), "           -34 (ERANGE)          0         100  candidate only\n"));
	assert_non_null(strstr(buf_text(&text), "{\"value\":-34,\"baseline\":0,\"candidate\":100,\"errno\":\"ERANGE\"}"));
	assert_non_null(strstr(buf_text(&text), "| -22 (EINVAL) | 100 | 0 |\n"));
	buf_free(&text);
	verify_free(b.v);
}

/* An interval whose ends have passed each other is no interval. */
static void a_ratio_that_changes_is_said(void **state)
{
	struct gate_view gate = { .name = "latency p50 < +10 %", .reason = "r", .unit = UNIT_NS, .margin = 1, .base = { 1, 1, 1 }, .cand = { 1, 1, 1 } };
	static const struct { double low, high; const char *text; } cases[] = {
		{ 0.5, 1.5, ", ratio of the shares of calls above in [0.5, 1.5], held against 1\n" },
		{ 0, INFINITY, ", ratio of the shares of calls above in [0, inf], held against 1\n" },
		{ 1.94, 1.49, ", ratio of the shares of calls above was above 1.94 and at other times below 1.49: it has changed while it was measured, "
			      "held against 1\n" },
	};
	const struct verify_style style = { .context = 3 };
	struct verify_function_view function;
	struct verdict_view verdict;
	struct verify_view view;
	struct bench b;

	begin_probed(&b, "none", false);
	view = *verify_view(b.v);
	function = view.function[0];
	verdict = *function.view;
	function.view = &verdict;
	view.function = &function;
	view.n_functions = verdict.gates = 1;
	verdict.gate[0] = &gate;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text = { 0 };

		gate.ratio.low = cases[i].low;
		gate.ratio.high = cases[i].high;
		verify_text(&view, &style, &text);
		if (!strstr(buf_text(&text), cases[i].text))
			fail_msg("no '%s' in:\n%s", cases[i].text, buf_text(&text));
		buf_free(&text);
	}
	verify_free(b.v);
}

/* ---- with which arguments ---- */

/* f's probe, with its argument `o`: struct order { id, qty, user { name } } *. */
static void give_shaped_probe(struct bench *b, uint32_t id)
{
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, WIRE_PROBE, 3);
	msgpack_pack_uint64(&f.pk, id);
	msgpack_pack_map(&f.pk, 8);
	pack_key_u64(&f.pk, "line", 10);
	pack_key_u64(&f.pk, "probe", 2);
	pack_key_text(&f.pk, "spec", "f");
	pack_key_text(&f.pk, "function", "f");
	pack_key_text(&f.pk, "module", "orderd");
	pack_key_text(&f.pk, "build_id", "");
	pack_key_text(&f.pk, "file", "f.c");
	pack_key(&f.pk, "fields");
	msgpack_pack_array(&f.pk, 1);
	msgpack_pack_array(&f.pk, 3);
	pack_text(&f.pk, "o");
	msgpack_pack_int(&f.pk, 0);
	pack_order_shape(&f.pk);
	frame_end(&f);
	assert_int_equal(give(b, &out), 0);
}

static void pack_failing_call(msgpack_packer *pk, unsigned number, int qty, const char *name)
{
	msgpack_pack_array(pk, 7);
	msgpack_pack_int(pk, 2);
	msgpack_pack_int(pk, 0);
	msgpack_pack_int(pk, 100);
	msgpack_pack_int(pk, 100);
	msgpack_pack_int(pk, EVENT_RETURN | EVENT_ERROR);
	msgpack_pack_int(pk, 1000);
	msgpack_pack_array(pk, 2);
	msgpack_pack_uint64(pk, 0x7f0000000000);
	msgpack_pack_array(pk, 3);
	msgpack_pack_unsigned_int(pk, number);
	msgpack_pack_int(pk, qty);
	msgpack_pack_array(pk, 1);
	msgpack_pack_array(pk, 2);
	msgpack_pack_bin(pk, strlen(name));
	msgpack_pack_bin_body(pk, name, strlen(name));
	msgpack_pack_false(pk);
}

static void give_failing_calls(struct bench *b, uint32_t id, unsigned n, int qty, const char *name, size_t cut)
{
	struct buf records = { 0 }, out = { 0 };
	msgpack_packer pk;
	struct frame f;

	pack_into(&pk, &records);
	for (unsigned i = 0; i < n; i++)
		pack_failing_call(&pk, i, qty, name);
	frame_begin(&f, &out, WIRE_CHUNK, 7);
	msgpack_pack_uint64(&f.pk, id);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, b->now_ns);
	msgpack_pack_unsigned_int(&f.pk, n);
	msgpack_pack_int(&f.pk, 0);
	msgpack_pack_bin(&f.pk, records.len - cut);
	msgpack_pack_bin_body(&f.pk, records.data, records.len - cut);
	frame_end(&f);
	buf_free(&records);
	assert_int_equal(give(b, &out), 0);
}

static void expect_in(const struct buf *text, const char *what)
{
	if (!strstr(buf_text(text), what))
		fail_msg("no '%s' in:\n%s", what, buf_text(text));
}

/* The baseline fails with no items, the candidate with another name: it has moved. What a name does to a terminal or a page is its own. */
static void failing_calls_tell_their_arguments(void **state)
{
	static const char evil[] = "\x1b[2J|<b>`&\xff";
	struct buf then = { 0 }, now = { 0 }, file = { 0 };
	struct error err = { 0 };
	struct verify *again;
	struct bench b;
	bool is_signed;

	begin_probed(&b, "none", false);
	for (int side = 0; side < 2; side++)
		give_shaped_probe(&b, b.request[side]);
	give_failing_calls(&b, b.request[0], 3, 0, "bob", 0);
	give_failing_calls(&b, b.request[1], 4, 2, evil, 0);
	assert_int_equal(second(&b, 1000, 20, 3), 0);
	text_of(b.v, &then);
	expect_in(&then, "failing calls by argument (looked at: 3 of the baseline's 20, 4 of the candidate's 4)");
	expect_in(&then, "    o->qty = 0                                  3           0  baseline only\n");   /* as wide as the longest */
	expect_in(&then, "    o->user.name = \"\\x1b[2J|<b>`&\\xff\"          0           4  candidate only\n");
	expect_in(&then, "\"failing\":{\"baseline\":{\"shown\":3,\"failed\":20}");
	expect_in(&then, "{\"argument\":\"o->user.name\",\"value\":\"\\\"bob\\\"\",\"baseline\":3,\"candidate\":0,\"only\":\"baseline\"}");
	expect_in(&then, "| o-&#62;qty = 2 | 0 | 4 | candidate only |");
	assert_null(strstr(buf_text(&then), "o->id"));   /* a value of one call tells nothing */
	for (size_t i = 0; i < then.len; i++)
		assert_true((unsigned char)then.data[i] >= 0x20 || then.data[i] == '\n');
	assert_null(strstr(buf_text(&then), "| o-&#62;user.name = \"\\x1b[2J|"));
	assert_int_equal(record_seal(verify_recorded(b.v), NULL, &file, &err), 0);
	again = record_replay(file.data, file.len, NULL, 0, &is_signed, &err);
	assert_non_null(again);
	text_of(again, &now);
	assert_string_equal(buf_text(&then), buf_text(&now));
	verify_free(again);
	verify_free(b.v);
	buf_free(&file);
	buf_free(&then);
	buf_free(&now);
}

/* More of them than are counted one by one. */
static void other_values_are_counted_too(void **state)
{
	struct buf text = { 0 };
	struct bench b;

	begin_probed(&b, "none", false);
	give_shaped_probe(&b, b.request[0]);
	give_failing_calls(&b, b.request[0], FAILING_VALUES + 9, 0, "bob", 0);   /* each has an id of its own */
	assert_int_equal(second(&b, 1000, 100, 0), 0);
	text_of(b.v, &text);
	expect_in(&text, "    o->id: other values              9           0\n");
	expect_in(&text, "\"others\":[{\"argument\":\"o->id\",\"baseline\":9,\"candidate\":0}]");
	expect_in(&text, "| o-&#62;id: other values | 9 | 0 | |");
	verify_free(b.v);
	buf_free(&text);
}

/* Details: the verification goes on without those that cannot be read. */
static void a_cut_chunk_is_a_remark(void **state)
{
	const struct verify_view *view;
	struct bench b;

	begin_probed(&b, "gone", false);
	give_shaped_probe(&b, b.request[0]);
	give_failing_calls(&b, b.request[0], 3, 0, "bob", 5);
	run_until_decided(&b, 50, 0);
	view = verify_view(b.v);
	assert_int_equal(view->state, VERDICT_PASS);
	assert_int_equal(failing_calls(view->function[0].failing, BASELINE), 2);
	assert_non_null(strstr(view->remark[view->n_remarks - 1], "some failing calls cannot be shown"));
	verify_free(b.v);
}

/* ---- what cannot be ---- */

static void arms_that_cannot_be(void **state)
{
	static const char *const one[] = { BUILD_B, BUILD_B }, *const three[] = { BUILD_B, BUILD_C, "dddddddddddddddddddd" };
	static const struct { const char *const *build; unsigned n; const char *says; } cases[] = {
		{ one, 0, "no process of the target runs" }, { one, 2, "only one build runs" }, { three, 3, "more than two builds run" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench b;

		begin(&b, "none", false);
		assert_true(give_ps(&b, cases[i].n, cases[i].build) < 0);
		assert_non_null(strstr(b.err.text, cases[i].says));
		verify_free(b.v);
	}
}

/* Which is the old one cannot be told: who is there is, so that somebody else can. */
static void builds_of_one_age(void **state)
{
	static const struct bench_process two[] = { { 100, BUILD_B, NULL, 5 }, { 101, BUILD_C, NULL, 5 } };
	struct bench b;

	begin(&b, "none", false);
	assert_true(give_processes(&b, 2, two) < 0);
	assert_non_null(strstr(b.err.text, "which is older is not known"));
	assert_string_equal(b.err.hint, "of the target there run: 100 (build aaaaaaaaaaaa), 101 (build cccccccccccc)");
	verify_free(b.v);
}

/* No probe on any line, and none is said not to have run. */
static void no_lines(void **state)
{
	struct buf text = { 0 };
	struct verify_spec s;
	struct bench b;
	uint32_t id[8];
	char probe[8][64];

	spec_of_test(&s, "gone", patch_text);
	s.function = strdup("f");
	assert_int_equal(verify_spec_lines(&s, "none", NULL), 0);
	begin_spec(&b, &s);
	assert_int_equal(give_ps(&b, 2, two_builds), 0);
	buf_clear(verify_out(b.v));
	assert_int_equal(give_lines(&b, 0, "int f(int n)", true, true), 0);
	assert_int_equal(give_lines(&b, 1, "int f(int n)", true, true), 0);
	assert_int_equal(take_requests(&b, id, probe, 8), 2);
	assert_string_equal(probe[0], "f");
	assert_string_equal(probe[1], "f");
	text_of(b.v, &text);
	assert_non_null(strstr(buf_text(&text), "left out +"));
	assert_null(strstr(buf_text(&text), "did not run"));
	verify_free(b.v);
	buf_free(&text);
}

static void a_patch_that_touches_nothing(void **state)
{
	struct bench b;

	begin(&b, "none", true);
	assert_int_equal(give_ps(&b, 2, two_builds), 0);
	assert_int_equal(give_lines(&b, 0, "int f(int n)", true, false), 0);
	assert_true(give_lines(&b, 1, "int f(int n)", true, false) < 0);
	assert_non_null(strstr(b.err.text, "touches nothing in the binaries"));
	verify_free(b.v);
}

static void a_claim_on_an_unknown_function(void **state)
{
	struct bench b;
	uint32_t id[8];
	char text[8][64];

	begin(&b, "none", false);
	assert_int_equal(give_ps(&b, 2, two_builds), 0);
	assert_int_equal(take_requests(&b, id, text, 8), 2);
	assert_true(give_refusal(&b, id[0], 0, "no function 'f' in orderd") < 0);
	assert_non_null(strstr(b.err.text, "no function 'f'"));
	verify_free(b.v);
}

/* One build has the parameter in no place: which condition it is, and in which build, is told. */
static void a_trigger_that_one_build_cannot_tell(void **state)
{
	struct verify_spec s;
	struct bench b;
	uint32_t id[8];
	char text[8][64];

	spec_of_test(&s, "none", NULL);
	s.function = strdup("f");
	s.trigger = strdup("n > 5");
	begin_spec(&b, &s);
	assert_int_equal(give_ps(&b, 2, two_builds), 0);
	assert_int_equal(take_requests(&b, id, text, 8), 2);
	assert_true(give_refusal(&b, id[1], 1, "the condition cannot be decided: optimised out") < 0);
	assert_string_equal(b.err.text, "build cccccccccccc: trigger 'n > 5': the condition cannot be decided: optimised out");
	assert_non_null(strstr(b.err.hint, "must be known in both builds"));
	verify_free(b.v);
}

/* The lines go, the function stays: but whether the new code ran cannot be told then. */
static void lines_that_cannot_be_probed(void **state)
{
	struct bench b;
	uint32_t id[8];
	char text[8][64];
	int rc;

	begin(&b, "none", true);
	assert_int_equal(give_ps(&b, 2, two_builds), 0);
	assert_int_equal(give_lines(&b, 0, "int f(int n)", true, true), 0);
	assert_int_equal(give_lines(&b, 1, "int f(int n)", true, true), 0);
	assert_int_equal(take_requests(&b, id, text, 8), 4);
	accept_one(&b, id[0], text[0]);
	accept_one(&b, id[1], text[1]);
	rc = give_refusal(&b, id[2], 0, "no breakpoint fits");
	assert_int_equal(rc, 0);
	assert_int_equal(take_requests(&b, id, text, 8), 1);
	assert_true(give_refusal(&b, id[0], 0, "no breakpoint fits") < 0);
	assert_non_null(strstr(b.err.text, "whether the changed lines run cannot be told"));
	verify_free(b.v);
}

/* ---- an agent that does not answer ---- */

/* Two requests are under way; the agent has taken the first. */
static void begin_unanswered(struct bench *b)
{
	char text[8][64];

	begin(b, "gone", false);
	assert_int_equal(give_ps(b, 2, two_builds), 0);
	assert_int_equal(take_requests(b, b->request, text, 2), 2);
	accept_one(b, b->request[0], text[0]);
	assert_int_equal(verify_view(b->v)->stage, VERIFY_PROBING);
}

static void no_answer_ends_it(void **state)
{
	static const struct { bool ps, lines; const char *says; } cases[] = {
		{ false, false, "has not said within 60 s which processes run: nothing was compared" },
		{ true, true, "has not said within 60 s which code the changed lines have: nothing was compared" },
		{ true, false, "has not set the probes within 60 s (1 of 2 requests are without an answer): nothing was compared" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench b;

		if (cases[i].ps && !cases[i].lines)
			begin_unanswered(&b);
		else
			begin(&b, "gone", cases[i].lines);
		if (cases[i].lines)
			assert_int_equal(give_ps(&b, 2, two_builds), 0);
		assert_int_equal(verify_timer(b.v, b.now_ns + 59 * SECOND, &b.err), 0);
		assert_int_equal(verify_timer(b.v, b.now_ns + 60 * SECOND, &b.err), -ETIMEDOUT);
		if (!strstr(b.err.text, cases[i].says))
			fail_msg("case %zu: %s", i, b.err.text);
		verify_free(b.v);
	}
}

/* ---- by way of a collector: what one of its agents says ---- */

static int give_host(struct bench *b, uint32_t id, const char *host, unsigned source)
{
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, WIRE_NOTICE, 5);
	msgpack_pack_uint64(&f.pk, id);
	pack_text(&f.pk, "source");
	msgpack_pack_map(&f.pk, 1);
	pack_key_text(&f.pk, "host", host);
	msgpack_pack_uint32(&f.pk, source);
	frame_end(&f);
	return give(b, &out);
}

static int give_notice(struct bench *b, uint32_t id, const char *code, const char *reason, const char *text, unsigned source)
{
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, WIRE_NOTICE, 5);
	msgpack_pack_uint64(&f.pk, id);
	pack_text(&f.pk, code);
	msgpack_pack_map(&f.pk, 3);
	pack_key_text(&f.pk, "reason", reason);
	pack_key_text(&f.pk, "text", text);
	pack_key_text(&f.pk, "hint", "ask there");
	msgpack_pack_uint32(&f.pk, source);
	frame_end(&f);
	return give(b, &out);
}

static void one_host_does_not_take_part(void **state)
{
	static const struct {
		const char *code, *reason;
		bool lines, goes_on;
		const char *says;
	} cases[] = {
		{ "refused", "", false, false, "the probes of the candidate are refused: build cccccccccccc on web-2: no room" },
		{ "refused", "", true, true, "build cccccccccccc on web-2: the probes are refused: no room" },
		{ "end", "guard", false, false, "the probes of the candidate were removed: build cccccccccccc on web-2: no room" },
		{ "end", "guard", true, true, "build cccccccccccc on web-2: no room" },
		{ "end", "gone", false, true, "build cccccccccccc on web-2: no room" },
		{ "end", "shutdown", true, true, "build cccccccccccc on web-2: no room" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct verify_view *view;
		struct bench b;
		uint32_t id;

		begin_probed(&b, "gone", true);
		b.line_hits = 1;
		id = cases[i].lines ? b.lines_request[1] : b.request[1];
		assert_int_equal(give_host(&b, id, "web-2", 2), 0);
		assert_int_equal(give_notice(&b, id, cases[i].code, cases[i].reason, "no room", 2), 0);
		view = verify_view(b.v);
		assert_int_equal(view->stage, cases[i].goes_on ? VERIFY_RUNNING : VERIFY_STOPPING);
		assert_int_equal(view->state, cases[i].goes_on ? VERDICT_UNDECIDED : VERDICT_INCONCLUSIVE);
		if (!cases[i].goes_on)
			assert_non_null(strstr(view->reason, cases[i].says));
		else
			assert_string_equal(view->remark[view->n_remarks - 1], cases[i].says);
		if (cases[i].goes_on)
			run_until_decided(&b, 50, 0);
		assert_int_equal(verify_view(b.v)->state, cases[i].goes_on ? VERDICT_PASS : VERDICT_INCONCLUSIVE);
		verify_free(b.v);
	}
}

/* The guard takes the probe of a changed line, and with it the request: the line says so, and the functions go on. */
static void a_line_that_costs_too_much(void **state)
{
	for (int ran = 0; ran < 2; ran++) {
		const struct verify_view *view;
		struct buf text = { 0 }, out = { 0 };
		struct frame f;
		struct bench b;

		begin_probed(&b, "gone", true);
		b.line_hits = (unsigned)ran;
		assert_int_equal(second(&b, 1000, 50, 0), 0);
		frame_begin(&f, &out, WIRE_NOTICE, 4);
		msgpack_pack_uint64(&f.pk, b.lines_request[1]);
		pack_text(&f.pk, "removed");
		msgpack_pack_map(&f.pk, 2);
		pack_key_u64(&f.pk, "probe", 1);
		pack_key_text(&f.pk, "text", "probe on f removed");
		frame_end(&f);
		assert_int_equal(give(&b, &out), 0);
		give_end_of(&b, b.lines_request[1], "guard", "probe on f removed");
		b.lines_request[1] = 0;
		view = verify_view(b.v);
		assert_int_equal(view->stage, VERIFY_RUNNING);
		assert_false(view->coverage->line[1].removed);   /* the baseline's */
		assert_true(view->coverage->line[2].removed);
		text_of(b.v, &text);
		expect_in(&text, ran ? "return n ? 0 : 1;   <- removed: cost\n" : "return n ? 0 : 1;   <- has not run, removed: cost\n");
		expect_in(&text, "; removed: its probe went beyond the budget, and the hits are those until then");
		expect_in(&text, ran ? "| 1000 hits, removed: cost |" : "| did not run, removed: cost |");
		expect_in(&text, "\"removed\":true");
		run_until_decided(&b, 50, 0);
		assert_int_equal(verify_view(b.v)->state, ran ? VERDICT_PASS : VERDICT_INCONCLUSIVE);
		verify_free(b.v);
		buf_free(&text);
	}
}

static void give_words(struct bench *b, uint32_t id, const char *code, const char *text, unsigned source)
{
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, WIRE_NOTICE, 5);
	msgpack_pack_uint64(&f.pk, id);
	pack_text(&f.pk, code);
	pack_text(&f.pk, text);
	msgpack_pack_uint32(&f.pk, source);
	frame_end(&f);
	assert_int_equal(give(b, &out), 0);
}

/* The agent of the candidate's host is lost: its time counts as probed if it turns out to have stayed, and the sentence names it if not. */
static void a_host_that_is_away(void **state)
{
	static const struct bench_process two[] = { { 100, BUILD_B, "web-1", 10 }, { 101, BUILD_C, "web-2", 9 } };

	for (int back = 0; back < 2; back++) {
		const struct verify_view *view;
		struct verify_spec s;
		struct bench b;

		spec_of_test(&s, "gone", NULL);
		s.function = strdup("f");
		assert_int_equal(verify_spec_arm(&s.baseline, "host:web-1", NULL), 0);
		assert_int_equal(verify_spec_arm(&s.candidate, "host:web-2", NULL), 0);
		begin_spec(&b, &s);
		assert_int_equal(give_processes(&b, 2, two), 0);
		set_probes(&b, false);
		for (int side = 0; side < 2; side++)
			assert_int_equal(give_host(&b, b.request[side], side ? "web-2" : "web-1", 0), 0);
		for (int i = 0; i < 3; i++)
			assert_int_equal(second(&b, 10, 0, 0), 0);
		give_words(&b, b.request[1], "away", "its connection is gone", 0);
		view = verify_view(b.v);
		assert_string_equal(view->remark[view->n_remarks - 1], "host web-2: its connection is gone");
		for (int i = 0; i < (back ? 9 : 40) && verify_view(b.v)->stage == VERIFY_RUNNING; i++) {
			b.now_ns += SECOND;
			give_stats(&b, b.request[0], b.calls[0] += 10, 0, true);
			assert_int_equal(verify_timer(b.v, b.now_ns, &b.err), 0);
		}
		view = verify_view(b.v);
		assert_true(view->arm[BASELINE].probed_ns == view->arm[BASELINE].run_ns);
		assert_true(view->arm[CANDIDATE].probed_ns + 5 * SECOND < view->arm[CANDIDATE].run_ns);
		if (back) {
			give_words(&b, b.request[1], "back", "its connection is back", 0);
			view = verify_view(b.v);
			assert_true(view->arm[CANDIDATE].probed_ns == view->arm[CANDIDATE].run_ns);
		} else {
			give_end(&b, b.request[0]);   /* the probes are removed: who was away then is known all the same */
			give_end(&b, b.request[1]);
			view = verify_view(b.v);
			assert_int_equal(view->stage, VERIFY_DONE);
			assert_int_equal(view->state, VERDICT_INCONCLUSIVE);
			assert_non_null(strstr(view->reason, "; nothing comes from host web-2 any more, its connection is gone"));
		}
		verify_free(b.v);
	}
}

/*
 * What the other hosts show is not about the whole arm: no PASS until the host is back, or its agent, started again, is another source.
 * away NULL: its agent was lost before it had said a word, of which nobody tells.
 */
static void a_part_that_is_away_is_no_pass(void **state)
{
	static const struct bench_process three[] = { { 100, BUILD_B, "web-1", 10 }, { 101, BUILD_C, "web-2", 9 }, { 102, BUILD_C, "web-3", 9 } };
	static const struct { const char *away, *back; enum verdict_state want; } cases[] = {
		{ "away", NULL, VERDICT_INCONCLUSIVE }, { "shutdown", NULL, VERDICT_INCONCLUSIVE }, { "away", "back", VERDICT_PASS },
		{ "away", "source", VERDICT_PASS }, { "shutdown", "source", VERDICT_PASS },
		{ NULL, NULL, VERDICT_INCONCLUSIVE }, { NULL, "source", VERDICT_PASS },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *back = cases[i].back;
		struct bench b;

		begin(&b, "gone", false);
		assert_int_equal(give_processes(&b, 3, three), 0);
		set_probes(&b, false);
		assert_int_equal(give_host(&b, b.request[0], "web-1", 0), 0);
		assert_int_equal(give_host(&b, b.request[1], "web-2", 0), 0);
		if (cases[i].away)
			assert_int_equal(give_host(&b, b.request[1], "web-3", 1), 0);
		assert_int_equal(second(&b, 10, 1, 0), 0);
		if (cases[i].away && strcmp(cases[i].away, "away") == 0)
			give_words(&b, b.request[1], "away", "its connection is gone", 1);
		else if (cases[i].away)
			assert_int_equal(give_notice(&b, b.request[1], "end", cases[i].away, "the agent is stopping", 1), 0);
		for (int k = 0; k < 10; k++)
			assert_int_equal(second(&b, 1000, 50, 0), 0);
		assert_int_equal(verify_view(b.v)->state, VERDICT_UNDECIDED);
		assert_string_equal(verify_view(b.v)->reason,
				    "exposure: nothing comes from 1 of the candidate's 2 processes: the agent there cannot be reached");
		if (back && strcmp(back, "back") == 0)
			give_words(&b, b.request[1], "back", "its connection is back", 1);
		else if (back)
			assert_int_equal(give_host(&b, b.request[1], "web-3", 2), 0);
		run_until_decided(&b, 50, 0);
		assert_int_equal(verify_view(b.v)->state, cases[i].want);
		if (!back)
			assert_non_null(strstr(verify_view(b.v)->reason, "nothing comes from host web-3 any more"));
		verify_free(b.v);
	}
}

/* The others are not set yet: it is refused as an agent itself refuses it. */
static void one_host_refuses_before_it_runs(void **state)
{
	struct bench b;

	begin_unanswered(&b);
	assert_int_equal(give_host(&b, b.request[0], "web-2", 2), 0);
	assert_true(give_notice(&b, b.request[0], "refused", "", "no room", 2) < 0);
	assert_string_equal(b.err.text, "build aaaaaaaaaaaa on web-2: no room");
	assert_string_equal(b.err.hint, "ask there");
	verify_free(b.v);
}

static void a_stop_before_the_probes_is_at_once(void **state)
{
	struct bench b;

	begin_unanswered(&b);
	verify_stop(b.v, "enough", b.now_ns);
	assert_int_equal(verify_view(b.v)->stage, VERIFY_DONE);
	assert_int_equal(verify_view(b.v)->n_functions, 0);
	assert_string_equal(verify_view(b.v)->reason, "enough: nothing was compared");
	verify_free(b.v);
}

static void no_end_ends_it(void **state)
{
	const struct verify_view *view;
	struct bench b;

	begin_probed(&b, "gone", false);
	verify_stop(b.v, "enough", b.now_ns);
	assert_int_equal(verify_view(b.v)->stage, VERIFY_STOPPING);
	give_end(&b, b.request[1]);
	assert_int_equal(verify_timer(b.v, b.now_ns + 19 * SECOND, &b.err), 0);
	assert_int_equal(verify_view(b.v)->stage, VERIFY_STOPPING);
	assert_int_equal(verify_timer(b.v, b.now_ns + 20 * SECOND, &b.err), 0);
	view = verify_view(b.v);
	assert_int_equal(view->stage, VERIFY_DONE);
	assert_int_equal(view->state, VERDICT_INCONCLUSIVE);
	assert_int_equal(view->n_remarks, 3);   /* before it: which build is which, and that f's signature is not known */
	assert_non_null(strstr(view->remark[2], "1 of 2 requests are open"));
	verify_free(b.v);
}

/* Whoever asks a second time does not wait for counters. */
static void a_second_stop_is_at_once(void **state)
{
	struct bench b;

	begin_probed(&b, "gone", false);
	for (int i = 0; i < 2; i++)
		verify_stop(b.v, "enough", b.now_ns);
	assert_int_equal(verify_view(b.v)->stage, VERIFY_DONE);
	assert_int_equal(verify_view(b.v)->state, VERDICT_INCONCLUSIVE);
	verify_free(b.v);
}

/* ---- functions that cannot be compared ---- */

static void functions_that_cannot_be_compared(void **state)
{
	static const struct { const char *signature; bool own; const char *why; } cases[] = {
		{ "int f(long n)", true, "its signature has changed: int f(int n); now int f(long n)" },
		{ "int f(int n)", false, "it is inlined in the candidate" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct verify_view *view;
		struct verify_spec s;
		struct bench b = { .now_ns = SECOND };

		verify_spec_init(&s);
		s.target = VERIFY_TARGET_NAME;
		s.target_text = strdup("orderd");
		s.function = strdup("caller");
		s.patch = strdup(patch_text);
		s.patch_len = strlen(patch_text);
		assert_int_equal(verify_spec_finish(&s, NULL), 0);
		b.v = verify_new(&s, &b.err);
		assert_int_equal(verify_start(b.v, b.now_ns, &b.err), 0);
		assert_int_equal(give_ps(&b, 2, two_builds), 0);
		assert_int_equal(give_lines(&b, 0, "int f(int n)", true, true), 0);
		assert_int_equal(give_lines(&b, 1, cases[i].signature, cases[i].own, true), 0);
		view = verify_view(b.v);
		assert_int_equal(view->coverage->n_functions, 2);
		assert_false(view->coverage->function[1].compared);
		assert_non_null(strstr(view->coverage->function[1].why, cases[i].why));
		verify_free(b.v);
	}
}

/* The claim's own function too: its trigger reads the arguments. */
static void a_claimed_function_that_has_changed(void **state)
{
	static const struct { const char *signature; bool own; const char *says; } cases[] = {
		{ "int f(struct x *n)", true, "f cannot be compared between the builds: its signature has changed: int f(int n); now int f(struct x *n)" },
		{ "int f(int n)", false, "f cannot be compared between the builds: it is inlined in the candidate" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench b;
		struct verify_spec s;

		spec_of_test(&s, "none", patch_text);
		s.function = strdup("f");
		s.trigger = strdup("n > 5");
		begin_spec(&b, &s);
		assert_int_equal(give_ps(&b, 2, two_builds), 0);
		assert_int_equal(give_lines(&b, 0, "int f(int n)", true, true), 0);
		assert_int_equal(give_lines(&b, 1, cases[i].signature, cases[i].own, true), -EINVAL);
		if (!strstr(b.err.text, cases[i].says))
			fail_msg("case %zu: %s", i, b.err.text);
		verify_free(b.v);
	}
}

static bool tells(struct verify *v, const char *what)
{
	struct buf text = { 0 };
	bool found;

	text_of(v, &text);
	found = strstr(buf_text(&text), what) != NULL;
	buf_free(&text);
	return found;
}

/* Nothing was asked about it: then the reports say so. */
static void a_signature_that_is_not_known(void **state)
{
	for (int patch = 0; patch < 2; patch++) {
		struct bench b;

		begin_probed(&b, "none", patch);
		assert_int_equal(tells(b.v, "f: whether its signature is the same in both builds was not looked at: without a patch"), !patch);
		verify_free(b.v);
	}
}

static void progress_tells_the_calls(void **state)
{
	struct buf text = { 0 };
	struct bench b;

	begin_probed(&b, "none", false);
	assert_int_equal(second(&b, 300, 3, 3), 0);
	verify_progress(verify_view(b.v), &text);
	expect_in(&text, "comparing 1s of 20s: 300 and 300 calls");
	verify_free(b.v);
	buf_free(&text);
}

/* Overloads, or static functions of one name: that they are several is told once, and also if one build has more of them. */
static void a_name_that_means_several_functions(void **state)
{
	static const struct { unsigned more[2]; const char *says; } cases[] = {
		{ { 0, 0 }, NULL }, { { 1, 1 }, "f means 2 functions, which are counted as one" },
		{ { 0, 1 }, "f means 1 function in the baseline and 2 in the candidate, which are counted as one" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct verify_view *view;
		unsigned told = 0;
		struct bench b;

		begin_probed(&b, "none", false);
		for (int side = 0; side < 2; side++) {
			give_probe_at(&b, b.request[side], 7, "f", 10);   /* the same one in another file */
			if (cases[i].more[side])
				give_probe_at(&b, b.request[side], 8, "f", 99);
		}
		for (int n = 0; n < 3; n++)
			assert_int_equal(second(&b, 10, 0, 0), 0);
		view = verify_view(b.v);
		for (uint32_t n = 0; n < view->n_remarks; n++) {
			told += strstr(view->remark[n], "counted as one") != NULL;
			if (strstr(view->remark[n], "counted as one"))
				assert_string_equal(view->remark[n], cases[i].says ? cases[i].says : "");
		}
		assert_int_equal(told, cases[i].says != NULL);
		verify_free(b.v);
	}
}

/* ---- records and reports ---- */

static void a_replay_says_the_same(void **state)
{
	struct buf file = { 0 }, then = { 0 }, now = { 0 };
	struct error err = { 0 };
	struct verify *again;
	struct bench b;
	bool is_signed = true;

	begin_probed(&b, "gone", true);
	run_until_decided(&b, 50, 0);
	text_of(b.v, &then);
	assert_int_equal(record_seal(verify_recorded(b.v), NULL, &file, &err), 0);
	again = record_replay(file.data, file.len, NULL, 0, &is_signed, &err);
	if (!again)
		fail_msg("%s", err.text);
	assert_false(is_signed);
	text_of(again, &now);
	assert_string_equal(buf_text(&then), buf_text(&now));
	assert_non_null(strstr(buf_text(&now), "PASS  all 4 gates pass"));
	for (size_t at = 0; at < file.len; at += 7) {   /* damaged anywhere, or cut: an error or the same answer, never another one */
		struct verify *v;

		file.data[at] ^= 0x55;
		v = record_replay(file.data, file.len, NULL, 0, &is_signed, &err);
		verify_free(v);
		assert_null(v);
		file.data[at] ^= 0x55;
		assert_null(record_replay(file.data, at, NULL, 0, &is_signed, &err));
	}
	verify_free(again);
	verify_free(b.v);
	buf_free(&file);
	buf_free(&then);
	buf_free(&now);
}

/* Fuzzing begins with records that this version can play: what is said of a damaged one is soon found. */
static void the_seeds_can_be_played(void **state)
{
	static const char *const seeds[] = { "record", "record_by_time", "record_aa" };
	static const enum verdict_state states[] = { VERDICT_PASS, VERDICT_FAIL, VERDICT_PASS };

	for (size_t i = 0; i < 3; i++) {
		struct buf raw = { 0 }, file = { 0 };
		struct error err = { 0 };
		char path[64], data[16384];
		struct verify *v;
		bool is_signed;
		size_t n;
		FILE *f;

		snprintf(path, sizeof(path), "tests/fuzz/corpus/verify/%s", seeds[i]);
		f = fopen(path, "rb");
		assert_non_null(f);
		n = fread(data, 1, sizeof(data), f);
		fclose(f);
		assert_in_range(n, 2, sizeof(data) - 1);
		assert_int_equal(data[0] % 3, 2);   /* the fuzz target takes it for a record */
		buf_add(&raw, data + 1, n - 1);
		assert_int_equal(record_seal(&raw, NULL, &file, &err), 0);
		v = record_replay(file.data, file.len, NULL, 0, &is_signed, &err);
		if (!v)
			fail_msg("%s: %s", path, err.text);
		assert_int_equal(verify_view(v)->state, states[i]);
		verify_free(v);
		buf_free(&raw);
		buf_free(&file);
	}
}

/* It says that a name, or an arm's build, was given, and has none. */
static void a_record_without_its_texts(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct buf raw = { 0 }, file = { 0 };
		struct verify_spec s;
		struct error err = { 0 };
		struct verify *v;
		bool is_signed;

		spec_of_test(&s, "none", NULL);
		s.function = strdup("f");
		if (i == 1) {
			free(s.target_text);
			s.target_text = NULL;
		}
		s.baseline.by = i == 2 ? VERIFY_ARM_BUILD : VERIFY_ARM_NONE;
		s.candidate.by = i == 3 ? VERIFY_ARM_HOST : VERIFY_ARM_NONE;
		record_spec(&raw, &s);
		assert_int_equal(record_seal(&raw, NULL, &file, &err), 0);
		v = record_replay(file.data, file.len, NULL, 0, &is_signed, &err);
		if (!v != (i > 0) || (!v && strcmp(err.text, "the record is damaged") != 0))
			fail_msg("case %d: %s", i, v ? "taken" : err.text);
		verify_free(v);
		verify_spec_free(&s);
		buf_free(&raw);
		buf_free(&file);
	}
}

/* The whole hunk, as the patch has it. */
static void check_lines(const json_t *lines)
{
	static const struct { const char *state, *arm, *text; int line; } want[] = {
		{ "context", "candidate", "int f(int n)", 10 }, { "probed", "baseline", "\treturn -1;", 11 },
		{ "probed", "candidate", "\treturn n ? 0 : 1;", 11 }, { "context", "candidate", "}", 12 },
	};

	assert_int_equal(json_array_size(lines), 4);
	for (size_t i = 0; i < 4; i++) {
		const json_t *l = json_array_get(lines, i);

		assert_string_equal(json_string_value(json_object_get(l, "state")), want[i].state);
		assert_string_equal(json_string_value(json_object_get(l, "arm")), want[i].arm);
		assert_string_equal(json_string_value(json_object_get(l, "text")), want[i].text);
		assert_string_equal(json_string_value(json_object_get(l, "file")), "src/f.c");
		assert_int_equal(json_integer_value(json_object_get(l, "line")), want[i].line);
		assert_int_equal(json_integer_value(json_object_get(l, "hits")) != 0, i == 1 || i == 2);
		assert_null(json_object_get(l, "why"));
	}
}

static void lines_without_code_say_why(void **state)
{
	struct buf json = { 0 };
	const json_t *line;
	json_t *root;
	struct bench b;

	begin(&b, "gone", true);
	assert_int_equal(give_ps(&b, 2, two_builds), 0);
	assert_int_equal(give_lines(&b, 0, "int f(int n)", true, false), 0);
	assert_int_equal(give_lines(&b, 1, "int f(int n)", true, true), 0);
	verify_report_json(verify_view(b.v), &json);
	root = json_loads(buf_text(&json), 0, NULL);
	assert_non_null(root);
	line = json_array_get(json_object_get(root, "lines"), 1);
	assert_string_equal(json_string_value(json_object_get(line, "state")), "no code");
	assert_non_null(strstr(json_string_value(json_object_get(line, "why")), "optimised away"));
	json_decref(root);
	verify_free(b.v);
	buf_free(&json);
}

/* What a line's count is not stands below the diff, and at lines whose code is not theirs alone. */
static void lines_that_share_their_code(void **state)
{
	for (int shared = 0; shared < 2; shared++) {
		struct buf text = { 0 };
		struct bench b;

		begin(&b, "gone", true);
		b.shared = shared;
		assert_int_equal(give_ps(&b, 2, two_builds), 0);
		assert_int_equal(give_lines(&b, 0, "int f(int n)", true, true), 0);
		assert_int_equal(give_lines(&b, 1, "int f(int n)", true, true), 0);
		text_of(b.v, &text);
		expect_in(&text, "(a line's hits are those of its first instruction");
		expect_in(&text, shared ? "did not run ~ +" : "did not run +");
		expect_in(&text, shared ? "| added | did not run ~ |" : "| added | did not run |");
		assert_int_equal(strstr(buf_text(&text), "\"shared\":true") != NULL, shared);
		assert_int_equal(strstr(buf_text(&text), "; ~ no statement of the line begins") != NULL, shared);
		verify_free(b.v);
		buf_free(&text);
		begin(&b, "gone", true);
		b.shared = shared;
		assert_int_equal(give_ps(&b, 2, two_builds), 0);
		set_probes(&b, true);
		run_until_decided(&b, 50, 0);
		text_of(b.v, &text);
		expect_in(&text, shared ? "times, the code of every changed line ran, 1 of them shares it with other lines\n" :
					  "times, the code of every changed line ran\n");
		verify_free(b.v);
		buf_free(&text);
	}
}

/* One build and a condition: the old lines are in no build, the new ones are counted where the condition holds, if that can be told. */
static void lines_of_one_build(void **state)
{
	uint32_t id[8];
	char text[8][64];
	struct verify_spec s;
	struct bench b = { .now_ns = SECOND };
	static const char *const one_build[] = { BUILD_C };

	verify_spec_init(&s);
	s.target = VERIFY_TARGET_NAME;
	s.target_text = strdup("orderd");
	s.function = strdup("f");
	s.arm_by = strdup("n > 7");
	s.patch = strdup(patch_text);
	s.patch_len = strlen(patch_text);
	assert_int_equal(verify_spec_finish(&s, NULL), 0);
	b.v = verify_new(&s, &b.err);
	assert_int_equal(verify_start(b.v, b.now_ns, &b.err), 0);
	assert_int_equal(give_ps(&b, 1, one_build), 0);
	buf_clear(verify_out(b.v));
	assert_int_equal(give_lines(&b, 0, "int f(int n)", true, true), 0);
	assert_int_equal(give_lines(&b, 1, "int f(int n)", true, true), 0);
	assert_int_equal(take_requests(&b, id, text, 8), 3);
	assert_string_equal(text[0], "f if !(n > 7)");
	assert_string_equal(text[1], "f if (n > 7)");
	assert_string_equal(text[2], "src/f.c:11() if n > 7");
	assert_int_equal(verify_view(b.v)->coverage->line[1].state, LINE_NO_CODE);
	assert_non_null(strstr(verify_view(b.v)->coverage->line[1].why, "does not have the old line"));
	assert_int_equal(give_refusal(&b, id[2], 0, "n is not there"), 0);
	assert_int_equal(take_requests(&b, id, text, 8), 1);
	assert_string_equal(text[0], "src/f.c:11()");
	assert_int_equal(verify_view(b.v)->coverage->line[2].state, LINE_PROBED);
	assert_non_null(strstr(verify_view(b.v)->remark[verify_view(b.v)->n_remarks - 1], "counted for both arms"));
	verify_free(b.v);
}

static void reports_are_well_formed(void **state)
{
	struct buf json = { 0 }, md = { 0 }, xml = { 0 };
	json_error_t where;
	json_t *root;
	struct bench b;

	begin_probed(&b, "gone", true);
	run_until_decided(&b, 50, 50);
	verify_report_json(verify_view(b.v), &json);
	verify_report_markdown(verify_view(b.v), &md);
	verify_report_junit(verify_view(b.v), &xml);
	root = json_loads(buf_text(&json), 0, &where);
	if (!root)
		fail_msg("%s at %d: %s", where.text, where.position, buf_text(&json));
	assert_string_equal(json_string_value(json_object_get(root, "verdict")), "FAIL");
	check_lines(json_object_get(root, "lines"));
	assert_true(json_array_size(json_object_get(root, "caveats")) >= 2);
	assert_non_null(strstr(json_string_value(json_array_get(json_object_get(root, "caveats"), 0)), "independent of one another"));
	json_decref(root);
	assert_non_null(strstr(buf_text(&md), "## plumb verify: FAIL"));
	assert_null(strstr(buf_text(&md), "< +25"));   /* escaped: no markup from names */
	assert_non_null(strstr(buf_text(&xml), "failures=\"2\""));
	assert_non_null(strstr(buf_text(&xml), "error rate &lt; +25 %"));
	verify_free(b.v);
	buf_free(&json);
	buf_free(&md);
	buf_free(&xml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_decide), cmocka_unit_test(no_traffic_is_no_pass), cmocka_unit_test(a_dead_arm_is_no_pass),
		cmocka_unit_test(a_restart_counts_on), cmocka_unit_test(an_error_that_moves_shows), cmocka_unit_test(a_ratio_that_changes_is_said),
		cmocka_unit_test(arms_that_cannot_be), cmocka_unit_test(a_patch_that_touches_nothing),
		cmocka_unit_test(a_claim_on_an_unknown_function), cmocka_unit_test(builds_of_one_age), cmocka_unit_test(no_lines),
		cmocka_unit_test(a_trigger_that_one_build_cannot_tell), cmocka_unit_test(a_host_that_is_away), cmocka_unit_test(a_part_that_is_away_is_no_pass),
		cmocka_unit_test(lines_that_cannot_be_probed),
		cmocka_unit_test(one_host_does_not_take_part), cmocka_unit_test(one_host_refuses_before_it_runs),
		cmocka_unit_test(no_answer_ends_it), cmocka_unit_test(a_stop_before_the_probes_is_at_once),
		cmocka_unit_test(no_end_ends_it), cmocka_unit_test(a_line_that_costs_too_much), cmocka_unit_test(a_second_stop_is_at_once),
		cmocka_unit_test(functions_that_cannot_be_compared), cmocka_unit_test(a_claimed_function_that_has_changed),
		cmocka_unit_test(a_signature_that_is_not_known), cmocka_unit_test(a_name_that_means_several_functions), cmocka_unit_test(a_replay_says_the_same),
		cmocka_unit_test(failing_calls_tell_their_arguments), cmocka_unit_test(other_values_are_counted_too), cmocka_unit_test(a_cut_chunk_is_a_remark),
		cmocka_unit_test(a_record_without_its_texts), cmocka_unit_test(progress_tells_the_calls),
		cmocka_unit_test(the_seeds_can_be_played),
		cmocka_unit_test(reports_are_well_formed), cmocka_unit_test(lines_without_code_say_why),
		cmocka_unit_test(lines_that_share_their_code), cmocka_unit_test(lines_of_one_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
