/* SPDX-License-Identifier: Apache-2.0 */
/* An A/A run before the arms are compared: the baseline's halves, and what comes of them. */
#include <errno.h>

#include "verify_bench.h"
#include "verify_record.h"
#include "verify_report.h"
#include "verify_text.h"

/* Two old processes and a new one; through a collector, two hosts with an old one, and the new one on the second. */
static const struct bench_process local[] = { { 100, BUILD_B, NULL, 9 }, { 101, BUILD_B, NULL, 9 }, { 102, BUILD_C, NULL, 5 } },
				  alone[] = { { 100, BUILD_B, NULL, 9 }, { 102, BUILD_C, NULL, 5 } },
				  hosts[] = { { 7, BUILD_B, "web-1", 9 }, { 7, BUILD_B, "web-2", 9 }, { 8, BUILD_C, "web-2", 5 } };

static void begin_expecting(struct bench *b, const char *expect, const char *patch)
{
	struct verify_spec s;

	spec_of_test(&s, expect, patch);
	s.function = strdup("f");
	s.claim.deadline_ns = 100 * SECOND;
	s.aa = true;
	begin_spec(b, &s);
}

static void begin_aa(struct bench *b, const char *patch)
{
	begin_expecting(b, "gone", patch);
}

/* The texts of the requests that were sent, all of them accepted. */
static unsigned accept_all(struct bench *b, char text[8][64])
{
	uint32_t id[8];
	unsigned n = take_requests(b, id, text, 8);

	memset(b->calls, 0, sizeof(b->calls));
	memset(b->errors, 0, sizeof(b->errors));
	for (unsigned i = 0; i < n; i++) {
		b->request[i % 2] = id[i];
		accept_one(b, id[i], text[i]);
	}
	return n;
}

/* As far as the halves' probes. */
static void set_halves(struct bench *b, unsigned n, const struct bench_process *p, const char *first, const char *second_half)
{
	char text[8][64];

	assert_int_equal(give_processes(b, n, p), 0);
	assert_int_equal(verify_view(b->v)->stage, VERIFY_AA);
	assert_int_equal(give_processes(b, n, p), 0);
	assert_int_equal(accept_all(b, text), 2);
	assert_string_equal(text[0], first);
	assert_string_equal(text[1], second_half);
	assert_int_equal(verify_view(b->v)->stage, VERIFY_AA);
	assert_non_null(strstr(verify_view(b->v)->waiting, "A/A run first"));
	assert_non_null(strstr(verify_view(b->v)->waiting, ", 0 and 0 calls, too few to tell so far"));
}

static bool is_stopped(struct bench *b)
{
	const struct buf *out = verify_out(b->v);

	for (size_t at = 0; at + 4 <= out->len; at++)
		if (memcmp(out->data + at, "stop", 4) == 0)
			return true;
	return false;
}

/* Until the halves' probes are removed. Returns how many seconds it took. */
static unsigned run_halves(struct bench *b, unsigned calls, unsigned one, unsigned two)
{
	for (unsigned took = 1; took <= 60; took++) {
		assert_int_equal(second(b, calls, one, two), 0);
		if (!is_stopped(b))
			continue;
		give_end(b, b->request[0]);
		give_end(b, b->request[1]);
		return took;
	}
	fail_msg("the halves are compared for ever");
	return 0;
}

static void expect_in(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("no '%s' in:\n%s", what, text);
}

static void text_of(struct verify *v, struct buf *out)
{
	const struct verify_style style = { .context = 3 };

	verify_text(verify_view(v), &style, out);
	verify_report_json(verify_view(v), out);
	verify_report_markdown(verify_view(v), out);
	verify_report_junit(verify_view(v), out);
}

/* f, and f with its trigger, of a half. */
static void give_triggers(struct bench *b, unsigned side, uint64_t calls, uint64_t errors, uint64_t triggers, uint64_t failed)
{
	const struct test_count all[] = { { "calls", calls }, { "matched", calls }, { "returns", calls }, { "errors", errors }, { 0 } };
	const struct test_count some[] = { { "calls", calls }, { "matched", triggers }, { "returns", calls }, { "errors", failed }, { 0 } };
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, WIRE_STATS, 4);
	msgpack_pack_uint64(&f.pk, b->request[side]);
	msgpack_pack_uint64(&f.pk, b->now_ns);
	msgpack_pack_array(&f.pk, 2);
	pack_row(&f.pk, 1, pid_of(b, (int)side), "orderd", all, NULL);
	pack_row(&f.pk, 2, pid_of(b, (int)side), "orderd", some, NULL);
	frame_end(&f);
	assert_int_equal(give(b, &out), 0);
}

/* Nothing is found: the arms are compared, with what is left of the time, and each report tells of both. */
static void nothing_found_goes_on(void **state)
{
	static const char seen[] = "the baseline, split by process (pid 100; pid 101), 10,000 and 10,000 calls in 10 s: no difference was found";
	struct buf text = { 0 }, again = { 0 }, file = { 0 };
	struct error err = { 0 };
	const struct verify_view *view;
	char spec[8][64], line[300];
	struct verify *replayed;
	bool is_signed;
	struct bench b;

	begin_aa(&b, NULL);
	set_halves(&b, 3, local, "f", "f");
	buf_clear(verify_out(b.v));
	assert_int_equal(run_halves(&b, 1000, 50, 51), 10);
	view = verify_view(b.v);
	assert_int_equal(view->aa.state, AA_NOTHING);
	assert_string_equal(view->aa.text, seen);
	assert_int_equal(view->stage, VERIFY_PROBING);
	assert_int_equal(view->deadline_ns, 90 * SECOND);
	assert_int_equal(give_processes(&b, 3, local), 0);
	assert_int_equal(accept_all(&b, spec), 2);   /* one per arm */
	assert_int_equal(verify_view(b.v)->stage, VERIFY_RUNNING);
	assert_int_equal(verify_view(b.v)->arm[BASELINE].processes, 2);
	assert_null(verify_view(b.v)->waiting);
	for (int i = 0; i < 100 && verify_view(b.v)->stage == VERIFY_RUNNING; i++)
		assert_int_equal(second(&b, 1000, 50, 0), 0);
	assert_int_equal(verify_view(b.v)->state, VERDICT_PASS);
	text_of(b.v, &text);
	snprintf(line, sizeof(line), "A/A run    %s\n", seen);
	expect_in(buf_text(&text), line);
	expect_in(buf_text(&text), "\"aa\":{\"state\":\"nothing found\",\"split\":\"process\",\"elapsed_s\":10.000,\"calls\":[10000,10000],");
	expect_in(buf_text(&text), "A/A run: the baseline, split by process");
	expect_in(buf_text(&text), "name=\"A/A run\"><system-out>the baseline, split by process");
	assert_int_equal(record_seal(verify_recorded(b.v), NULL, &file, &err), 0);
	replayed = record_replay(file.data, file.len, NULL, 0, &is_signed, &err);
	assert_non_null(replayed);
	text_of(replayed, &again);
	assert_string_equal(buf_text(&text), buf_text(&again));
	verify_free(replayed);
	verify_free(b.v);
	buf_free(&text);
	buf_free(&again);
	buf_free(&file);
}

/* Either half may be the worse one. That is no verdict on the candidate, whatever it would have been. */
static void a_difference_is_inconclusive(void **state)
{
	for (int worse = 0; worse < 2; worse++) {
		struct buf text = { 0 };
		const struct verify_view *view;
		struct bench b;

		begin_aa(&b, NULL);
		set_halves(&b, 3, local, "f", "f");
		buf_clear(verify_out(b.v));
		run_halves(&b, 1000, worse ? 20 : 200, worse ? 200 : 20);
		view = verify_view(b.v);
		assert_int_equal(view->stage, VERIFY_DONE);
		assert_int_equal(view->state, VERDICT_INCONCLUSIVE);
		assert_int_equal(view->n_functions, 0);
		expect_in(view->reason, "the A/A run found a difference between two halves of the baseline, which run the same build: "
			  "equal error rate of calls (< 1.25 x) of f does not hold (");
		expect_in(view->reason, worse ? "(2 % of " : "(20 % of ");
		expect_in(view->reason, "Calls hang together, or the processes are not alike; nothing could be said of the candidate");
		text_of(b.v, &text);
		expect_in(buf_text(&text), "\nINCONCLUSIVE  the A/A run found a difference");
		expect_in(buf_text(&text), "\"verdict\":\"INCONCLUSIVE\"");
		expect_in(buf_text(&text), "tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"2\"");
		buf_free(&text);
		verify_free(b.v);
	}
}

/* An error value that only one half has. */
static void a_value_of_one_half(void **state)
{
	struct verify_spec s;
	struct bench b;

	spec_of_test(&s, "gone", NULL);
	s.function = strdup("f");
	s.aa = true;
	assert_int_equal(verify_spec_guard(&s, "no new error values", NULL), 0);
	begin_spec(&b, &s);
	set_halves(&b, 3, local, "f", "f");
	buf_clear(verify_out(b.v));
	b.value[0] = -34;
	b.value[1] = -22;
	run_halves(&b, 1000, 30, 30);
	expect_in(verify_view(b.v)->reason, "no new error values of f does not hold (-");
	expect_in(verify_view(b.v)->reason, " calls of one, never in ");
	verify_free(b.v);
}

/* The claim's other guards would not see it: what the claim expects is looked for in the halves, whichever is the worse one. */
static void halves_of_an_expectation(void **state)
{
	static const struct { const char *expect, *figures; unsigned one, two; } cases[] = {
		{ "gone", "equal error rate of calls (< 1.25 x) of f does not hold (20 % of ", 200, 0 },
		{ "gone", "equal error rate of calls (< 1.25 x) of f does not hold (2 % of ", 20, 200 },
		{ "error_rate < 0.9 x baseline", "equal error rate of calls (< 1.11 x) of f does not hold (30 % of ", 300, 400 },
		{ "error_rate < 2 x baseline", "equal error rate of calls (< 2 x) of f does not hold (5 % of ", 50, 200 },
		{ "error_rate < 2 x baseline", NULL, 100, 150 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct verify_spec s;
		struct bench b;

		verify_spec_init(&s);
		s.target = VERIFY_TARGET_NAME;
		s.target_text = strdup("orderd");
		s.function = strdup("f");
		s.aa = true;
		assert_int_equal(verify_spec_expect(&s, cases[i].expect, NULL), 0);
		assert_int_equal(verify_spec_guard(&s, "latency p99 < +10 %", NULL), 0);
		begin_spec(&b, &s);
		set_halves(&b, 3, local, "f", "f");
		buf_clear(verify_out(b.v));
		run_halves(&b, 1000, cases[i].one, cases[i].two);
		assert_int_equal(verify_view(b.v)->aa.state, cases[i].figures ? AA_FOUND : AA_NOTHING);
		if (cases[i].figures)
			expect_in(verify_view(b.v)->reason, cases[i].figures);
		else   /* probes of 500 ns, calls of some 10 ns */
			expect_in(verify_view(b.v)->aa.text, "no difference was found; of f not judged: latency p99 < +10 %");
		verify_free(b.v);
	}
}

/* Of the calls that the bug can bite. Those of the claim's function are counted for the halves, too. */
static void halves_of_a_trigger(void **state)
{
	for (int rare = 0; rare < 2; rare++) {
		struct verify_spec s;
		struct bench b;
		unsigned i;

		spec_of_test(&s, "gone", NULL);
		s.function = strdup("f");
		s.trigger = strdup("n == 0");
		s.aa = true;
		s.claim.deadline_ns = 100 * SECOND;
		begin_spec(&b, &s);
		set_halves(&b, 3, local, "f", "f");
		buf_clear(verify_out(b.v));
		give_probe(&b, b.request[0], 2, "f if n == 0");
		give_probe(&b, b.request[1], 2, "f if n == 0");
		for (i = 1; i < 40 && !is_stopped(&b); i++) {
			b.now_ns += SECOND;
			for (unsigned side = 0; side < 2; side++)
				give_triggers(&b, side, 1000 * i, 100 * i, rare ? i : 100 * i, rare ? 0 : side ? 90 * i : 10 * i);
			assert_int_equal(verify_timer(b.v, b.now_ns, &b.err), 0);
		}
		give_end(&b, b.request[0]);
		give_end(&b, b.request[1]);
		if (rare) {
			assert_in_range(i, 25, 28);   /* it has waited for them */
			expect_in(verify_view(b.v)->aa.text, "no difference was found; of f not judged: equal error rate of trigger calls "
				  "(< 1.25 x)");
		} else {
			expect_in(verify_view(b.v)->reason, "equal error rate of trigger calls (< 1.25 x) of f does not hold (10 % of ");
		}
		verify_free(b.v);
	}
}

/* Errors whose values nobody tells: that the halves have the same ones is not known. */
static void values_that_are_not_known(void **state)
{
	struct verify_spec s;
	struct bench b;

	spec_of_test(&s, "none", NULL);
	s.function = strdup("f");
	s.aa = true;
	s.claim.deadline_ns = 100 * SECOND;
	assert_int_equal(verify_spec_arm(&s.baseline, "build:" BUILD_B, NULL), 0);
	assert_int_equal(verify_spec_arm(&s.candidate, "build:" BUILD_C, NULL), 0);
	assert_int_equal(verify_spec_guard(&s, "no new error values", NULL), 0);
	begin_spec(&b, &s);
	set_halves(&b, 3, local, "f", "f");
	buf_clear(verify_out(b.v));
	run_halves(&b, 1000, 50, 50);
	expect_in(verify_view(b.v)->aa.text, ": no difference was found; of f not judged: no new error values");
	verify_free(b.v);
}

/* It saw nothing, so it found nothing: that is not what was asked for. At most a quarter of the time goes into it. */
static void too_few_calls_are_no_a_a_run(void **state)
{
	struct bench b;

	begin_aa(&b, NULL);
	set_halves(&b, 3, local, "f", "f");
	buf_clear(verify_out(b.v));
	assert_in_range(run_halves(&b, 2, 0, 0), 24, 27);
	assert_int_equal(verify_view(b.v)->state, VERDICT_INCONCLUSIVE);
	assert_int_equal(verify_view(b.v)->aa.state, AA_TOO_FEW);
	expect_in(verify_view(b.v)->reason, "the A/A run could not be made, there were too few calls (the baseline, split by process (pid 100; pid 101), ");
	verify_free(b.v);
}

static void expect_not_whole(struct bench *b, const char *why)
{
	const struct verify_view *view = verify_view(b->v);

	assert_int_equal(view->stage, VERIFY_DONE);
	assert_int_equal(view->aa.state, AA_NOT_WHOLE);
	assert_int_equal(view->state, VERDICT_INCONCLUSIVE);
	expect_in(view->aa.text, ": not whole, ");
	expect_in(view->reason, "the A/A run is not whole: ");
	expect_in(view->reason, why);
	verify_free(b->v);
}

static void begin_halves(struct bench *b)
{
	begin_aa(b, NULL);
	set_halves(b, 3, local, "f", "f");
	buf_clear(verify_out(b->v));
}

/* The guard takes the probes of one half away. */
static void a_half_loses_its_probes(void **state)
{
	struct bench b;

	begin_halves(&b);
	assert_int_equal(second(&b, 1000, 50, 50), 0);
	assert_non_null(strstr(verify_view(b.v)->waiting, ", 1,000 and 1,000 calls, no difference so far"));
	give_end_of(&b, b.request[0], "guard", "probes cost too much");
	give_end(&b, b.request[1]);
	expect_not_whole(&b, "the probes of the first half were removed: probes cost too much");
}

/* Of two halves only the second reports, in these seconds. */
static void one_half_reports(struct bench *b, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		b->now_ns += SECOND;
		give_stats(b, b->request[1], 1000 * i, 50 * i, true);
		assert_int_equal(verify_timer(b->v, b->now_ns, &b->err), 0);
	}
}

/* The process of one half ends: what the other one goes on counting is compared with nothing. */
static void a_half_ends(void **state)
{
	struct bench b;

	begin_halves(&b);
	assert_int_equal(second(&b, 1000, 50, 50), 0);
	give_end_of(&b, b.request[0], "gone", "process 100 has ended");
	one_half_reports(&b, 2, 25);
	give_end(&b, b.request[1]);
	expect_not_whole(&b, "the first half (pid 100) has no process any more");
}

/* It has had calls enough, and in the last second a half goes. */
static void a_half_ends_at_the_end(void **state)
{
	struct bench b;

	begin_halves(&b);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(second(&b, 1000, 50, 50), 0);
	give_end_of(&b, b.request[0], "gone", "process 100 has ended");
	one_half_reports(&b, 10, 30);
	give_end(&b, b.request[1]);
	expect_not_whole(&b, "has no process any more");
}

/* Calls that have no return are calls that nothing is known of. */
static void too_many_calls_are_unknown(void **state)
{
	struct bench b;

	begin_halves(&b);
	for (unsigned i = 0; i < 24; i++) {
		const struct test_count counts[] = { { "calls", 1000 * (i + 1) }, { "matched", 800 * (i + 1) }, { "returns", 800 * (i + 1) },
						     { "unwound", 200 * (i + 1) }, { 0 } };
		struct buf out = { 0 };
		struct frame f;

		b.now_ns += SECOND;
		frame_begin(&f, &out, WIRE_STATS, 4);
		msgpack_pack_uint64(&f.pk, b.request[0]);
		msgpack_pack_uint64(&f.pk, b.now_ns);
		msgpack_pack_array(&f.pk, 1);
		pack_row(&f.pk, 1, 100, "orderd", counts, NULL);
		frame_end(&f);
		assert_int_equal(give(&b, &out), 0);
		give_stats(&b, b.request[1], 1000 * (i + 1), 0, true);
		assert_int_equal(verify_timer(b.v, b.now_ns, &b.err), 0);
		if (verify_view(b.v)->aa.state == AA_RUNNING && i >= 12) {
			give_end(&b, b.request[0]);
			give_end(&b, b.request[1]);
		}
	}
	expect_not_whole(&b, " calls of f, ");
}

/* One process: by thread. Several hosts: by host, and of these only the baseline's build. */
static void other_splits(void **state)
{
	struct bench b;

	begin_aa(&b, NULL);
	set_halves(&b, 2, alone, "f if !($tid % 2 == 1)", "f if ($tid % 2 == 1)");
	assert_string_equal(verify_view(b.v)->aa.split, "thread");
	verify_free(b.v);
	begin_aa(&b, NULL);
	set_halves(&b, 3, hosts, "f", "f");
	assert_string_equal(verify_view(b.v)->aa.split, "host");
	buf_clear(verify_out(b.v));
	assert_int_equal(verify_timer(b.v, b.now_ns, &b.err), 0);
	verify_free(b.v);
}

/* One process with one thread has no halves: said before there is a probe, alone and before two arms. */
static void one_thread_is_refused(void **state)
{
	for (unsigned n = 1; n <= 2; n++) {
		struct bench b;

		begin_expecting(&b, n == 1 ? "none" : "gone", NULL);
		b.threads = 1;
		assert_true(give_processes(&b, n, alone) < 0);
		expect_in(b.err.text, "an A/A run cannot split ");
		expect_in(b.err.text, "it is one process (100) with one thread");
		verify_free(b.v);
	}
}

/* What cannot be verified is said before any time goes into an A/A run. */
static void bad_input_comes_first(void **state)
{
	struct bench b;

	begin_aa(&b, patch_text);
	assert_int_equal(give_processes(&b, 3, local), 0);
	assert_int_equal(give_lines(&b, 0, "int f(int n)", true, false), 0);
	assert_true(give_lines(&b, 1, "int f(int n)", true, false) < 0);
	expect_in(b.err.text, "the patch touches nothing in the binaries");
	verify_free(b.v);
}

/* Sentences about halves speak of halves, not of the arms; errors say what they are about. */
static void who_is_meant(void **state)
{
	static const struct bench_process only[] = { { 100, BUILD_B, NULL, 9 }, { 102, BUILD_C, NULL, 5 } };
	struct bench b;
	uint32_t id[8];
	char text[8][64];

	begin_aa(&b, NULL);
	assert_int_equal(give_processes(&b, 3, local), 0);
	assert_int_equal(give_processes(&b, 2, only), -ESRCH);
	assert_string_equal(b.err.text, "A/A run of the baseline's halves: the second half has no process: pid 101 matches none");
	expect_in(b.err.hint, "of the target there run: 100 ");
	verify_free(b.v);
	begin_aa(&b, NULL);
	assert_int_equal(give_processes(&b, 3, local), 0);
	assert_int_equal(give_processes(&b, 3, local), 0);
	assert_int_equal(take_requests(&b, id, text, 8), 2);
	assert_true(give_refusal(&b, id[1], -1, "too many requests are open") < 0);
	assert_string_equal(b.err.text, "A/A run of the baseline's halves: pid 101: too many requests are open");
	verify_free(b.v);
}

/* No function is the same in both builds: that is known before any probe is set, with an A/A run or without. */
static void nothing_can_be_compared(void **state)
{
	for (int aa = 0; aa < 2; aa++) {
		struct verify_spec s;
		struct bench b;

		spec_of_test(&s, "none", patch_text);
		s.aa = aa;
		begin_spec(&b, &s);
		assert_int_equal(give_processes(&b, 3, local), 0);
		assert_int_equal(give_lines(&b, 0, "int f(int n)", true, true), 0);
		assert_int_equal(give_lines(&b, 1, "int f(long n)", true, true), -ENOENT);
		expect_in(b.err.text, "no changed function can be compared between the builds: its signature has changed");
		verify_free(b.v);
	}
}

static void a_stop_in_it_is_no_verdict(void **state)
{
	struct bench b;

	begin_aa(&b, NULL);
	set_halves(&b, 3, local, "f", "f");
	assert_int_equal(second(&b, 1000, 0, 0), 0);
	verify_stop(b.v, "it was stopped", b.now_ns);
	assert_int_equal(verify_view(b.v)->stage, VERIFY_DONE);
	assert_int_equal(verify_view(b.v)->state, VERDICT_UNDECIDED);
	assert_string_equal(verify_view(b.v)->reason, "it was stopped: nothing was compared");
	verify_free(b.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_found_goes_on), cmocka_unit_test(a_difference_is_inconclusive),
		cmocka_unit_test(a_value_of_one_half), cmocka_unit_test(too_few_calls_are_no_a_a_run),
		cmocka_unit_test(other_splits), cmocka_unit_test(one_thread_is_refused),
		cmocka_unit_test(bad_input_comes_first),
		cmocka_unit_test(a_stop_in_it_is_no_verdict), cmocka_unit_test(a_half_loses_its_probes),
		cmocka_unit_test(a_half_ends), cmocka_unit_test(nothing_can_be_compared), cmocka_unit_test(who_is_meant),
		cmocka_unit_test(halves_of_an_expectation), cmocka_unit_test(halves_of_a_trigger),
		cmocka_unit_test(values_that_are_not_known), cmocka_unit_test(a_half_ends_at_the_end),
		cmocka_unit_test(too_many_calls_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
