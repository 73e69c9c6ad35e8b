/* SPDX-License-Identifier: Apache-2.0 */
/* Arms by time, and processes that come and go inside an arm. */
#include <errno.h>

#include "verify_bench.h"
#include "verify_record.h"
#include "verify_report.h"
#include "verify_text.h"

#define BUILD_D "dddddddddddddddddddd"

/* Only a line that is put in: line 11 of the old file is what comes behind it. */
static const char added_text[] = "--- a/src/f.c\n+++ b/src/f.c\n@@ -10,2 +10,3 @@\n int f(int n)\n+\tn++;\n \treturn n;\n";

static const struct bench_process base = { 100, BUILD_B, NULL, 60 }, cand = { 101, BUILD_C, NULL, 2 }, third = { 102, BUILD_D, NULL, 1 };

/* ---- the stages ---- */

static void begin_by_time(struct bench *b, const char *patch, const char *function, const char *candidate)
{
	struct verify_spec s;

	spec_of_test(&s, function ? "gone" : "none", patch);
	s.by_time = true;
	s.function = function ? strdup(function) : NULL;
	if (candidate)
		assert_int_equal(verify_spec_arm(&s.candidate, candidate, NULL), 0);
	begin_spec(b, &s);
}

/* Accepts all requests that were sent, as those of a side. */
static unsigned accept_all(struct bench *b, int side)
{
	uint32_t id[8];
	char text[8][64];
	unsigned n = take_requests(b, id, text, 8);

	for (unsigned i = 0; i < n; i++) {
		(strchr(text[i], ':') ? b->lines_request : b->request)[side] = id[i];
		accept_one(b, id[i], text[i]);
	}
	return n;
}

static void watch_baseline(struct bench *b, const char *patch, const char *candidate)
{
	begin_by_time(b, patch, "f", candidate);
	assert_int_equal(give_processes(b, 1, &base), 0);
	if (patch)
		assert_int_equal(give_lines(b, 0, "int f(int n)", true, true), 0);
	accept_all(b, 0);
	assert_int_equal(verify_view(b->v)->stage, VERIFY_RUNNING);
}

/* The service is started again. */
static void bring_candidate(struct bench *b, bool patch)
{
	assert_int_equal(give_processes(b, 1, &cand), 0);
	if (patch)
		assert_int_equal(give_lines(b, 1, "int f(int n)", true, true), 0);
	assert_int_equal(accept_all(b, 1), patch ? 2 : 1);
	assert_null(verify_view(b->v)->waiting);
}

/* A second of one arm; the other one has ended or is not there yet. */
static int second_of(struct bench *b, int side, unsigned calls, unsigned errors)
{
	uint64_t before[2] = { b->calls[0], b->calls[1] };
	int rc = second(b, 0, side == 0 ? errors : 0, side == 1 ? errors : 0);

	assert_int_equal(b->calls[0] - before[0], 0);
	b->calls[side] += calls;
	return rc;
}

static bool has_remark(struct bench *b, const char *text)
{
	const struct verify_view *v = verify_view(b->v);

	for (uint32_t i = 0; i < v->n_remarks; i++)
		if (strstr(v->remark[i], text))
			return true;
	return false;
}

static void text_of(struct verify *v, struct buf *out)
{
	const struct verify_style style = { .context = 3 };

	verify_text(verify_view(v), &style, out);
	verify_report_json(verify_view(v), out);
	verify_report_markdown(verify_view(v), out);
	verify_report_junit(verify_view(v), out);
}

static void check_replay(struct bench *b)
{
	struct buf file = { 0 }, then = { 0 }, now = { 0 };
	struct verify *again;
	bool is_signed;

	text_of(b->v, &then);
	assert_int_equal(record_seal(verify_recorded(b->v), NULL, &file, &b->err), 0);
	again = record_replay(file.data, file.len, NULL, 0, &is_signed, &b->err);
	if (!again)
		fail_msg("%s", b->err.text);
	text_of(again, &now);
	assert_string_equal(buf_text(&then), buf_text(&now));
	assert_non_null(strstr(buf_text(&now), "the arms ran one after the other: whatever else changed"));
	assert_non_null(strstr(buf_text(&now), "\"by_time\":true"));
	assert_non_null(strstr(buf_text(&now), "s, one after the other.\n"));
	assert_non_null(strstr(buf_text(&now), "<property name=\"arms\" value=\"one after the other: whatever else changed"));
	verify_free(again);
	buf_free(&file);
	buf_free(&then);
	buf_free(&now);
}

static void first_one_then_the_other(void **state)
{
	static const struct { const char *patch; unsigned cand_errors; bool line_runs; enum verdict_state want; const char *reason; } cases[] = {
		{ NULL, 0, true, VERDICT_PASS, "all 4 gates pass" },
		{ patch_text, 0, true, VERDICT_PASS, "all 4 gates pass" },
		{ added_text, 0, true, VERDICT_PASS, "all 4 gates pass" },
		{ patch_text, 0, false, VERDICT_INCONCLUSIVE, "the changed line src/f.c:11 did not run on the candidate" },
		{ patch_text, 50, true, VERDICT_FAIL, "the error is gone: it is not" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct verify_view *view;
		struct bench b;

		watch_baseline(&b, cases[i].patch, NULL);
		b.line_hits = cases[i].line_runs;
		for (int k = 0; k < 5; k++)
			assert_int_equal(second_of(&b, 0, 1000, k ? 50 : 0), 0);
		assert_string_equal(verify_view(b.v)->waiting, "baseline watched for 5 s, 4,000 calls; waiting for another build of orderd");
		bring_candidate(&b, cases[i].patch != NULL);
		assert_true(has_remark(&b, "the candidate ran for 2.0 s before its probes were set: its calls until then are not known"));
		for (int k = 0; k < 20 && verify_view(b.v)->stage == VERIFY_RUNNING; k++)
			assert_int_equal(second_of(&b, 1, 1000, k ? cases[i].cand_errors : 0), 0);
		view = verify_view(b.v);
		if (view->state != cases[i].want || !strstr(view->reason, cases[i].reason))
			fail_msg("case %zu: %s, %s", i, verdict_state_name(view->state), view->reason);
		assert_int_equal(view->function[0].view->base->errors, 200);
		check_replay(&b);
		verify_free(b.v);
	}
}

/* Two seconds of the candidate's life nobody saw, then it was probed. */
static void the_unseen_share_is_told(void **state)
{
	const struct verify_arm_view *a;
	struct bench b;

	watch_baseline(&b, NULL, NULL);
	b.now_ns += SECOND / 2;   /* before the first counters nothing is known */
	assert_int_equal(give_processes(&b, 1, &base), 0);
	for (int k = 0; k < 5; k++)
		assert_int_equal(second_of(&b, 0, 1000, 0), 0);
	bring_candidate(&b, false);
	for (int k = 0; k < 6; k++)
		assert_int_equal(second_of(&b, 1, 1000, 0), 0);
	a = &verify_view(b.v)->arm[CANDIDATE];
	assert_int_equal(a->run_ns, 8 * SECOND);
	assert_int_equal(a->probed_ns, 6 * SECOND);
	a = &verify_view(b.v)->arm[BASELINE];
	assert_int_equal(a->run_ns, 11 * SECOND / 2);
	assert_int_equal(a->probed_ns, 11 * SECOND / 2);
	assert_int_equal(a->ended, 1);
	verify_free(b.v);
}

static void no_candidate_is_inconclusive(void **state)
{
	const struct verify_view *view;
	struct bench b;

	watch_baseline(&b, patch_text, NULL);
	for (int k = 0; k < 30 && verify_view(b.v)->stage == VERIFY_RUNNING; k++) {
		assert_int_equal(second_of(&b, 0, 1000, 50), 0);
		give_processes(&b, k < 10, &base);   /* that it ends is no reason either */
	}
	view = verify_view(b.v);
	assert_int_equal(view->state, VERDICT_INCONCLUSIVE);
	if (strstr(view->reason, "no other build of orderd came within the time: the baseline (build aaaaaaaaaaaa) was watched for 21 s, 20,000 calls") !=
	    view->reason)
		fail_msg("%s", view->reason);
	verify_free(b.v);
}

/* It is looked for every second, not every five. */
static void the_candidate_is_looked_for_each_second(void **state)
{
	struct bench b;

	watch_baseline(&b, NULL, NULL);
	for (int k = 0; k < 3; k++) {
		buf_clear(verify_out(b.v));
		assert_int_equal(second_of(&b, 0, 10, 0), 0);
		assert_true(verify_out(b.v)->len > 0);
		assert_int_equal(give_processes(&b, 1, &base), 0);
	}
	verify_free(b.v);
}

/* ---- other builds ---- */

static void a_third_build_is_in_neither_arm(void **state)
{
	const struct bench_process both[] = { third, cand };
	struct bench b;

	watch_baseline(&b, NULL, "build:cccccc");
	assert_int_equal(second_of(&b, 0, 1000, 50), 0);
	assert_int_equal(give_processes(&b, 1, &third), 0);
	assert_non_null(verify_view(b.v)->waiting);
	assert_true(has_remark(&b, "process 102 runs another build, dddddddddddd, which is in neither arm: it is not the candidate that was named"));
	assert_int_equal(give_processes(&b, 2, both), 0);
	assert_int_equal(accept_all(&b, 1), 1);
	assert_string_equal(verify_view(b.v)->arm[CANDIDATE].label, "build cccccccccccc");
	assert_int_equal(verify_view(b.v)->arm[CANDIDATE].processes, 1);
	verify_free(b.v);
}

static void beginnings_that_cannot_be(void **state)
{
	static const struct bench_process two[] = { { 100, BUILD_B, NULL, 60 }, { 101, BUILD_C, NULL, 2 } }, none[] = { { 100, "", NULL, 9 } };
	static const struct { const struct bench_process *p; unsigned n; const char *candidate, *says; } cases[] = {
		{ two, 2, NULL, "more than one build runs, aaaaaaaaaaaa and cccccccccccc" },
		{ two, 2, "build:cccccc", "the candidate, build cccccccccccc, runs already" },
		{ none, 1, NULL, "has no build-id" }, { two, 0, NULL, "no process of the target runs" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench b;

		begin_by_time(&b, NULL, "f", cases[i].candidate);
		assert_int_equal(give_processes(&b, cases[i].n, cases[i].p) < 0, 1);
		if (!strstr(b.err.text, cases[i].says))
			fail_msg("case %zu: %s", i, b.err.text);
		verify_free(b.v);
	}
}

/* A build that ran before, and for which there was no room, would be the candidate later. */
static void more_builds_than_can_be_known(void **state)
{
	static const unsigned counts[] = { 40, 60 };

	for (size_t k = 0; k < 2; k++) {
		struct bench_process p[64] = { base };
		char build[64][24];
		struct verify_spec s;
		struct bench b;

		spec_of_test(&s, "none", NULL);
		s.by_time = true;
		s.function = strdup("f");
		assert_int_equal(verify_spec_arm(&s.baseline, "build:" BUILD_B, NULL), 0);
		begin_spec(&b, &s);
		for (unsigned i = 1; i < counts[k]; i++) {
			snprintf(build[i], sizeof(build[i]), "d%019u", i);
			p[i] = (struct bench_process){ 200 + i, build[i], NULL, 9 };
		}
		assert_int_equal(give_processes(&b, counts[k], p), k ? -E2BIG : 0);
		if (k)
			assert_non_null(strstr(b.err.text, "orderd runs in too many builds to tell which one comes later"));
		else
			assert_true(has_remark(&b, "process 239 runs another build"));
		verify_free(b.v);
	}
}

/* ---- functions ---- */

/* What the candidate has otherwise cannot be judged, and is listed. */
static void a_candidate_that_cannot_be_compared(void **state)
{
	static const struct { const char *signature; bool own, code; const char *says; } cases[] = {
		{ "int f(long n)", true, true, "its signature has changed" }, { "int f(int n)", false, true, "it is inlined in the candidate" },
	};

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		const size_t k = i / 2;
		struct bench b;

		begin_by_time(&b, patch_text, i % 2 ? "f" : NULL, NULL);   /* the claim's function or just a changed one */
		assert_int_equal(give_processes(&b, 1, &base), 0);
		assert_int_equal(give_lines(&b, 0, "int f(int n)", true, true), 0);
		assert_int_equal(accept_all(&b, 0), 2);
		assert_int_equal(second_of(&b, 0, 1000, 0), 0);
		assert_int_equal(give_processes(&b, 1, &cand), 0);
		assert_int_equal(give_lines(&b, 1, cases[k].signature, cases[k].own, cases[k].code) < 0, 1);
		if (!strstr(b.err.text, cases[k].says))
			fail_msg("case %zu: %s", i, b.err.text);
		verify_free(b.v);
	}
}

static void a_baseline_without_the_code(void **state)
{
	struct bench b;

	begin_by_time(&b, patch_text, NULL, NULL);
	assert_int_equal(give_processes(&b, 1, &base), 0);
	assert_int_equal(give_lines(&b, 0, "int f(int n)", true, false) < 0, 1);
	assert_non_null(strstr(b.err.text, "touches nothing in the binary that runs"));
	verify_free(b.v);
}

/* The added line's function is that of the lines around it. */
static void an_added_line_is_anchored(void **state)
{
	const struct verify_view *view;
	struct bench b;

	begin_by_time(&b, added_text, NULL, NULL);
	assert_int_equal(give_processes(&b, 1, &base), 0);
	assert_int_equal(give_lines(&b, 0, "int f(int n)", true, true), 0);
	view = verify_view(b.v);
	assert_int_equal(view->coverage->n_functions, 1);
	assert_true(view->coverage->function[0].compared);
	assert_int_equal(view->coverage->line[1].state, LINE_TO_COME);
	verify_free(b.v);
}

/* ---- a candidate that ends while it is being probed ---- */

static void a_candidate_that_ends_at_once(void **state)
{
	uint32_t id[8];
	char text[8][64];
	struct bench b;

	watch_baseline(&b, NULL, NULL);
	assert_int_equal(second_of(&b, 0, 1000, 50), 0);
	assert_int_equal(give_processes(&b, 1, &cand), 0);
	assert_int_equal(take_requests(&b, id, text, 8), 1);
	assert_int_equal(give_refusal_code(&b, id[0], -1, ESRCH, "none of 0 processes runs it"), 0);
	assert_non_null(verify_view(b.v)->waiting);
	assert_true(has_remark(&b, "ended before its probes were set"));
	assert_int_equal(give_processes(&b, 1, &third), 0);   /* the candidate is known by now */
	assert_int_equal(take_requests(&b, id, text, 8), 0);
	bring_candidate(&b, false);
	assert_int_equal(second_of(&b, 1, 1000, 0), 0);
	verify_free(b.v);
}

static void a_candidate_whose_function_is_not_there(void **state)
{
	uint32_t id[8];
	char text[8][64];
	struct bench b;

	watch_baseline(&b, NULL, NULL);
	assert_int_equal(give_processes(&b, 1, &cand), 0);
	assert_int_equal(take_requests(&b, id, text, 8), 1);
	assert_int_equal(give_refusal(&b, id[0], 0, "no function 'f' in orderd") < 0, 1);
	assert_non_null(strstr(b.err.text, "no function 'f'"));
	verify_free(b.v);
}

/* ---- inside an arm ---- */

/* A process dies in three calls, and another one of its build comes: nothing is lost and nothing is counted twice. */
static void a_crash_inside_an_arm(void **state)
{
	const struct bench_process now[] = { base, { 107, BUILD_C, NULL, 1 } };
	const struct verdict_view *f;
	struct bench b;

	begin_probed(&b, "none", false);
	assert_int_equal(second(&b, 300, 0, 0), 0);
	b.open[1] = 3;
	assert_int_equal(second(&b, 300, 0, 0), 0);
	for (int k = 0; k < 4; k++)   /* until the processes are asked for */
		assert_int_equal(second(&b, 0, 0, 0), 0);
	assert_int_equal(give_processes(&b, 2, now), 0);
	assert_int_equal(second(&b, 0, 0, 0), 0);
	assert_int_equal(second(&b, 0, 0, 0), 0);
	f = verify_view(b.v)->function[0].view;
	assert_int_equal(f->cand->calls, 597);
	assert_int_equal(f->cand->unpaired, 3);
	assert_int_equal(f->base->unpaired, 0);
	assert_true(has_remark(&b, "process 101 of the candidate ended in 3 calls of f: the outcome is unknown"));
	b.pid[1] = 107;
	b.calls[1] = b.open[1] = 0;
	assert_int_equal(second(&b, 50, 0, 0), 0);
	f = verify_view(b.v)->function[0].view;
	assert_int_equal(f->cand->calls, 647);
	assert_int_equal(f->cand->unpaired, 3);
	assert_int_equal(verify_view(b.v)->arm[CANDIDATE].processes, 1);
	assert_int_equal(verify_view(b.v)->arm[CANDIDATE].ended, 1);
	verify_free(b.v);
}

/*
 * One call in 1,500 kills its process, which comes back: far below every margin, and yet no success. Without the crash it passes.
 */
static void a_crash_in_few_calls_is_no_success(void **state)
{
	for (int crashes = 0; crashes < 2; crashes++) {
		struct bench_process now[] = { base, { 110, BUILD_C, NULL, 1 } };
		struct bench b;

		begin_probed(&b, "none", false);
		for (int k = 0; k < 60 && verify_view(b.v)->stage == VERIFY_RUNNING; k++) {
			b.open[1] = (uint64_t)(crashes && k % 4 == 0);
			assert_int_equal(second(&b, 1500, 0, 0), 0);
			if (!b.open[1])
				continue;
			for (int n = 0; n < 4; n++)   /* until the processes are asked for */
				assert_int_equal(second(&b, 0, 0, 0), 0);
			assert_int_equal(give_processes(&b, 2, now), 0);
			assert_int_equal(second(&b, 0, 0, 0), 0);
			b.pid[1] = now[1].pid++;
			b.calls[1] = b.open[1] = 0;
		}
		verify_stop(b.v, "the time is up", b.now_ns);
		assert_int_equal(verify_view(b.v)->state, crashes ? VERDICT_INCONCLUSIVE : VERDICT_PASS);
		if (crashes)
			assert_non_null(strstr(verify_view(b.v)->reason, "2 processes of the candidate died in calls of f, 0 of the baseline's"));
		verify_free(b.v);
	}
}

/* The fix makes the process die in the calls that failed before: none of them fails any more, and that is no success. */
static void calls_that_kill_are_no_success(void **state)
{
	const struct bench_process now[] = { base, { 107, BUILD_C, NULL, 1 } };
	struct bench b;

	begin_probed(&b, "gone", false);
	b.open[1] = 40;
	for (int k = 0; k < 6; k++)
		assert_int_equal(second(&b, k ? 0 : 200, k ? 0 : 50, 0), 0);
	assert_int_equal(give_processes(&b, 2, now), 0);
	assert_int_equal(second(&b, 0, 0, 0), 0);
	b.pid[1] = 107;
	b.calls[1] = b.open[1] = 0;
	for (int k = 0; k < 30 && verify_view(b.v)->stage == VERIFY_RUNNING; k++)
		assert_int_equal(second(&b, 200, 50, 0), 0);
	assert_int_equal(verify_view(b.v)->state, VERDICT_INCONCLUSIVE);
	assert_non_null(strstr(verify_view(b.v)->reason, "1 process of the candidate died in calls of f, 0 of the baseline's"));
	verify_free(b.v);
}

static void give_gone(struct bench *b, uint32_t id)
{
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, WIRE_NOTICE, 4);
	msgpack_pack_uint64(&f.pk, id);
	pack_text(&f.pk, "gone");
	pack_text(&f.pk, "process 101 (orderd) has ended; waiting for another one");
	frame_end(&f);
	assert_int_equal(give(b, &out), 0);
}

/* Between the end of a process and the count of what it had open there is no tick, so that nothing passes for want of it. */
static void no_tick_until_open_calls_are_known(void **state)
{
	const struct verdict_view *f;
	struct bench b;

	begin_probed(&b, "gone", false);
	assert_int_equal(second(&b, 200, 50, 0), 0);
	f = verify_view(b.v)->function[0].view;
	assert_int_equal(f->cand->calls, 200);
	b.open[1] = 40;
	b.now_ns += SECOND / 2;
	give_gone(&b, b.request[1]);
	buf_clear(verify_out(b.v));
	assert_int_equal(second(&b, 100, 25, 0), 0);
	assert_true(verify_out(b.v)->len > 0);      /* ps is asked for at once */
	assert_int_equal(give_processes(&b, 1, &base), 0);
	for (int k = 0; k < 3; k++) {
		assert_int_equal(verify_view(b.v)->function[0].view->ticks, 1);
		assert_int_equal(second(&b, 0, 0, 0), 0);
	}
	for (int k = 0; k < 2 && verify_view(b.v)->function[0].view->ticks == 1; k++)
		assert_int_equal(second(&b, 0, 0, 0), 0);
	f = verify_view(b.v)->function[0].view;
	assert_int_equal(f->ticks, 2);
	assert_int_equal(f->cand->calls, 260);
	assert_int_equal(f->cand->unpaired, 40);
	verify_free(b.v);
}

/* Who crashes every few seconds is there in between: an arm without a process is looked for each second. */
static void a_crash_loop_is_no_missing_arm(void **state)
{
	struct bench_process now[] = { base, { 110, BUILD_C, NULL, 1 } };
	struct bench b;

	begin_probed(&b, "none", false);
	assert_int_equal(second(&b, 20, 0, 0), 0);
	for (int k = 0; k < 5; k++) {
		give_gone(&b, b.request[1]);
		assert_int_equal(second(&b, 20, 0, 0), 0);
		assert_int_equal(give_processes(&b, 1, &base), 0);   /* not there yet */
		buf_clear(verify_out(b.v));
		assert_int_equal(second(&b, 20, 0, 0), 0);
		assert_true(verify_out(b.v)->len > 0);
		assert_int_equal(give_processes(&b, 2, now), 0);
		assert_int_equal(verify_view(b.v)->arm[CANDIDATE].processes, 1);
		assert_int_equal(second(&b, 20, 0, 0), 0);
		now[1].pid++;
	}
	assert_int_equal(verify_view(b.v)->stage, VERIFY_RUNNING);
	verify_free(b.v);
}

/* ---- by host ---- */

static void begin_by_host(struct bench *b, bool patch)
{
	struct verify_spec s;

	spec_of_test(&s, "none", patch ? patch_text : NULL);
	s.function = strdup("f");
	assert_int_equal(verify_spec_arm(&s.baseline, "host:web-1,web-9", NULL), 0);
	assert_int_equal(verify_spec_arm(&s.candidate, "host:web-3", NULL), 0);
	begin_spec(b, &s);
}

/* The hosts that a request goes to, as one text. */
static void hosts_of(struct bench *b, unsigned number, char out[64])
{
	struct buf *sent = verify_out(b->v);
	size_t at = 0;

	out[0] = '\0';
	for (unsigned i = 0; i <= number; i++) {
		struct frame_in in;
		const msgpack_object *hosts;

		at += (size_t)frame_take(sent->data + at, sent->len - at, &in, NULL);
		hosts = map_get(map_get(&in.items[3], "target"), "hosts");
		for (uint32_t k = 0; i == number && hosts && k < hosts->via.array.size; k++)
			snprintf(out + strlen(out), 64 - strlen(out), "%s%.*s", k ? "," : "", (int)hosts->via.array.ptr[k].via.str.size,
				 hosts->via.array.ptr[k].via.str.ptr);
		frame_in_free(&in);
	}
}

/* One build, one pid, two hosts: two processes, one in each arm. */
static void equal_pids_on_two_hosts(void **state)
{
	static const struct bench_process p[] = {
		{ 100, BUILD_B, "web-1", 60 }, { 100, BUILD_B, "web-3", 60 }, { 100, BUILD_C, "web-2", 60 },
	};
	const struct verify_view *view;
	char hosts[64];
	struct bench b;

	begin_by_host(&b, false);
	assert_int_equal(give_processes(&b, 3, p), 0);
	hosts_of(&b, 0, hosts);
	assert_string_equal(hosts, "web-1,web-9");
	hosts_of(&b, 1, hosts);
	assert_string_equal(hosts, "web-3");
	assert_int_equal(accept_all(&b, 0), 2);
	view = verify_view(b.v);
	assert_string_equal(view->arm[BASELINE].label, "host web-1,web-9");
	assert_int_equal(view->arm[BASELINE].processes, 1);
	assert_int_equal(view->arm[CANDIDATE].processes, 1);
	assert_true(has_remark(&b, "no process of the target runs on host web-9 of the baseline"));
	assert_int_equal(give_processes(&b, 2, p + 1), 0);   /* web-1 tells nothing: it may be away */
	assert_int_equal(verify_view(b.v)->arm[BASELINE].processes, 1);
	assert_int_equal(give_processes(&b, 1, (struct bench_process[]){ { 100, BUILD_C, "web-1", 1 } }), 0);
	assert_int_equal(verify_view(b.v)->arm[BASELINE].processes, 0);
	assert_int_equal(verify_view(b.v)->arm[CANDIDATE].processes, 1);
	verify_free(b.v);
}

static void hosts_that_cannot_be(void **state)
{
	static const struct bench_process here[] = { { 100, BUILD_B, NULL, 60 } }, one[] = { { 100, BUILD_B, "web-1", 60 } };
	static const struct bench_process same[] = { { 100, BUILD_B, "web-1", 60 }, { 100, BUILD_B, "web-3", 60 } };
	static const struct { const struct bench_process *p; unsigned n; bool patch; const char *says; } cases[] = {
		{ here, 1, false, "arms by host need a collector" }, { one, 1, false, "the candidate has no process: host web-3 matches none" },
		{ same, 2, true, "baseline and candidate are the same build" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench b;

		begin_by_host(&b, cases[i].patch);
		assert_int_equal(give_processes(&b, cases[i].n, cases[i].p) < 0, 1);
		if (!strstr(b.err.text, cases[i].says))
			fail_msg("case %zu: %s", i, b.err.text);
		verify_free(b.v);
	}
}

/* An arm is all of the processes that were named. */
static void processes_that_do_not_run(void **state)
{
	static const struct bench_process two[] = { { 100, BUILD_B, NULL, 60 }, { 101, BUILD_C, NULL, 2 } };
	static const struct { const char *baseline, *candidate, *says; } cases[] = {
		{ "pid:100", "pid:101", NULL },
		{ "pid:100", "pid:101,999999", "process 999999 of the candidate does not run, or is none of the target" },
		{ "pid:10,100", "pid:101", "process 10 of the baseline does not run" },
		{ "pid:100", "pid:1", "the candidate has no process: pid 1 matches none" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct verify_spec s;
		struct bench b;

		spec_of_test(&s, "none", NULL);
		s.function = strdup("f");
		assert_int_equal(verify_spec_arm(&s.baseline, cases[i].baseline, NULL), 0);
		assert_int_equal(verify_spec_arm(&s.candidate, cases[i].candidate, NULL), 0);
		begin_spec(&b, &s);
		assert_int_equal(give_processes(&b, 2, two) < 0, cases[i].says != NULL);
		if (cases[i].says && !strstr(b.err.text, cases[i].says))
			fail_msg("case %zu: %s", i, b.err.text);
		verify_free(b.v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_one_then_the_other), cmocka_unit_test(the_unseen_share_is_told),
		cmocka_unit_test(no_candidate_is_inconclusive), cmocka_unit_test(the_candidate_is_looked_for_each_second),
		cmocka_unit_test(a_third_build_is_in_neither_arm), cmocka_unit_test(beginnings_that_cannot_be),
		cmocka_unit_test(more_builds_than_can_be_known),
		cmocka_unit_test(a_candidate_that_cannot_be_compared), cmocka_unit_test(a_baseline_without_the_code),
		cmocka_unit_test(an_added_line_is_anchored), cmocka_unit_test(a_candidate_that_ends_at_once),
		cmocka_unit_test(a_candidate_whose_function_is_not_there), cmocka_unit_test(a_crash_inside_an_arm),
		cmocka_unit_test(calls_that_kill_are_no_success), cmocka_unit_test(a_crash_in_few_calls_is_no_success),
		cmocka_unit_test(no_tick_until_open_calls_are_known), cmocka_unit_test(equal_pids_on_two_hosts),
		cmocka_unit_test(hosts_that_cannot_be), cmocka_unit_test(processes_that_do_not_run),
		cmocka_unit_test(a_crash_loop_is_no_missing_arm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
