/* SPDX-License-Identifier: Apache-2.0 */
/* Changed functions beside the claimed one: f has the patch's line, the claim is about h. */
#include <errno.h>

#include "verify_bench.h"

enum { REQUESTS = 6 };   /* of h, of f, of f's line; of each side */

/* claimed NULL: f is compared because it has changed, and nothing else. */
static void begin_others(struct bench *b, const char *claimed, uint32_t id[REQUESTS])
{
	struct verify_spec s;
	char text[REQUESTS][64];

	spec_of_test(&s, "none", patch_text);
	s.function = claimed ? strdup(claimed) : NULL;
	begin_spec(b, &s);
	assert_int_equal(give_ps(b, 2, two_builds), 0);
	assert_int_equal(give_lines(b, 0, "int f(int n)", true, true), 0);
	assert_int_equal(give_lines(b, 1, "int f(int n)", true, true), 0);
	assert_int_equal(take_requests(b, id, text, REQUESTS), claimed ? REQUESTS : REQUESTS - 2);
}

/* A second passes: what each request has counted since its start. */
static void all_report(struct bench *b, const uint32_t id[REQUESTS], unsigned calls, unsigned hits)
{
	b->now_ns += SECOND;
	for (unsigned k = 0; k < REQUESTS; k++) {
		b->request[0] = id[k & ~1U];   /* the baseline's of this pair */
		give_stats(b, id[k], k < 4 ? calls : hits, 0, k < 4);
	}
	assert_int_equal(verify_timer(b->v, b->now_ns, &b->err), 0);
}

static void give_removed(struct bench *b, uint32_t id)
{
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, WIRE_NOTICE, 4);
	msgpack_pack_uint64(&f.pk, id);
	pack_text(&f.pk, "removed");
	msgpack_pack_map(&f.pk, 2);
	pack_key_u64(&f.pk, "probe", 1);
	pack_key_text(&f.pk, "text", "probe on src/f.c:11 removed");
	frame_end(&f);
	assert_int_equal(give(b, &out), 0);
}

static int give_calls_only(struct bench *b, uint32_t id, const char *spec)
{
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, WIRE_PROBE, 3);
	msgpack_pack_uint64(&f.pk, id);
	msgpack_pack_map(&f.pk, 10);
	pack_key_u64(&f.pk, "line", 10);
	pack_key(&f.pk, "call");
	msgpack_pack_false(&f.pk);
	pack_key_u64(&f.pk, "probe", 1);
	pack_key_text(&f.pk, "spec", spec);
	pack_key_text(&f.pk, "function", spec);
	pack_key_text(&f.pk, "module", "orderd");
	pack_key_text(&f.pk, "build_id", "");
	pack_key_text(&f.pk, "file", "f.c");
	pack_key_u64(&f.pk, "cost_ns", 500);
	pack_key(&f.pk, "fields");
	msgpack_pack_array(&f.pk, 0);
	frame_end(&f);
	return give(b, &out);
}

/* A call of h may call f in a loop: it meets the line's probe as often as that is hit. */
static void a_line_below_counts_as_often_as_it_is_hit(void **state)
{
	static const struct { unsigned calls, hits, seconds; bool removed; double most; } cases[] = {
		{ 100, 10000, 8, false, 500 + 100 * 500 }, { 1000, 1000, 8, false, 500 + 500 }, { 1000, 100, 8, false, 500 + 500 },
		{ 5, 500, 8, false, 500 + 500 },        /* of so few calls it is not known */
		{ 100, 10000, 4, false, 500 + 500 },    /* the guard may still remove it ... */
		{ 100, 10000, 8, true, 500 + 500 },     /* ... as it does here, after a second */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct verify_function_view *h;
		uint32_t id[REQUESTS];
		struct bench b;

		begin_others(&b, "h", id);
		for (unsigned k = 0; k < REQUESTS; k++)
			accept_one(&b, id[k], k < 2 ? "h" : k < 4 ? "f" : "src/f.c:11()");
		for (unsigned t = 1; t <= cases[i].seconds; t++) {
			all_report(&b, id, t * cases[i].calls, t * cases[i].hits);
			if (t == 1 && cases[i].removed) {
				give_removed(&b, id[4]);
				give_removed(&b, id[5]);
			}
		}
		h = &verify_view(b.v)->function[0];
		assert_string_equal(h->view->claim->function, "h");
		assert_true(h->view->base->probe_ns == 500);
		assert_true(h->view->base->probe_most_ns == cases[i].most && h->view->cand->probe_most_ns == cases[i].most);
		verify_free(b.v);
	}
}

/* accepted: so many of the other requests before f's baseline tells; ticks: the arms have been watched. */
static void told_that_returns_are_missing(struct bench *b, uint32_t id[REQUESTS], unsigned accepted, unsigned ticks)
{
	static const unsigned order[] = { 0, 1, 3, 4, 5 };

	begin_others(b, "h", id);
	for (unsigned k = 0; k < accepted; k++)
		accept_one(b, id[order[k]], order[k] < 2 ? "h" : order[k] < 4 ? "f" : "src/f.c:11()");
	accept_only(b, id[2]);
	for (unsigned t = 1; t <= ticks; t++)
		all_report(b, id, 1000 * t, 1000 * t);
	assert_int_equal(give_calls_only(b, id[2], "f"), 0);
	for (unsigned k = accepted; k < 5; k++)
		accept_one(b, id[order[k]], order[k] < 2 ? "h" : order[k] < 4 ? "f" : "src/f.c:11()");
}

/* It is left out with its reason, whether the comparison has begun or not; the claimed one answers for its line. */
static void one_whose_returns_are_missing_is_left_out(void **state)
{
	for (unsigned accepted = 0; accepted <= 5; accepted++) {
		const struct covered_function *f;
		const struct verify_view *view;
		uint32_t id[REQUESTS];
		struct bench b;

		told_that_returns_are_missing(&b, id, accepted, 0);
		view = verify_view(b.v);
		assert_int_equal(view->stage, VERIFY_RUNNING);
		assert_int_equal(view->n_functions, 1);
		assert_string_equal(view->function[0].name, "h");
		assert_int_equal(view->function[0].view->claim->lines, 1);
		f = &view->coverage->function[coverage_function(view->coverage, "f")];
		assert_false(f->compared);
		assert_string_equal(f->why, "only the calls can be counted, not how they end (if no exception passes through it: --allow-unwind)");
		all_report(&b, id, 1000, 1000);
		all_report(&b, id, 2000, 2000);
		assert_true(verify_view(b.v)->function[0].view->base->calls >= 1000);
		assert_int_equal(verify_view(b.v)->stage, VERIFY_RUNNING);
		verify_free(b.v);
	}
}

/* A file with exceptions comes later: what was compared of it until then proves nothing about it. */
static void later_it_ends_the_verification(void **state)
{
	uint32_t id[REQUESTS];
	struct bench b;

	told_that_returns_are_missing(&b, id, 5, 2);
	assert_int_equal(verify_view(b.v)->stage, VERIFY_STOPPING);
	assert_int_equal(verify_view(b.v)->state, VERDICT_INCONCLUSIVE);
	assert_non_null(strstr(verify_view(b.v)->reason, "f cannot be compared any more: only the calls can be counted"));
	verify_free(b.v);
}

/* One build after the other: the claimed function keeps what its baseline has counted. side: whose PROBE tells. */
static void by_time_the_others_go_on(void **state)
{
	static const struct bench_process old = { 100, BUILD_B, NULL, 60 }, come = { 101, BUILD_C, NULL, 2 };

	for (int side = 0; side < 2; side++) {
		uint32_t id[2][3];
		char text[3][64];
		struct verify_spec s;
		struct bench b;

		spec_of_test(&s, "none", patch_text);
		s.function = strdup("h");
		s.by_time = true;
		begin_spec(&b, &s);
		assert_int_equal(give_processes(&b, 1, &old), 0);
		assert_int_equal(give_lines(&b, 0, "int f(int n)", true, true), 0);
		for (int now = 0; now < 2; now++) {
			assert_int_equal(take_requests(&b, id[now], text, 3), now && !side ? 2 : 3);
			for (unsigned k = 0; k < (now && !side ? 2 : 3); k++) {
				accept_only(&b, id[now][k]);
				if (now != side || strcmp(text[k], "f") != 0)
					give_probe(&b, id[now][k], 1, text[k]);
			}
			if (now == side)
				assert_int_equal(give_calls_only(&b, id[now][1], "f"), 0);
			if (now)
				break;
			b.request[0] = id[0][0];
			b.now_ns += SECOND;
			for (unsigned k = 0; k < 3; k++)
				give_stats(&b, id[0][k], 1000, 0, k < 2);
			assert_int_equal(verify_timer(b.v, b.now_ns, &b.err), 0);
			assert_int_equal(give_processes(&b, 1, &come), 0);
			assert_int_equal(give_lines(&b, 1, "int f(int n)", true, true), 0);
		}
		assert_int_equal(verify_view(b.v)->stage, VERIFY_RUNNING);
		assert_int_equal(verify_view(b.v)->n_functions, 1);
		assert_string_equal(verify_view(b.v)->function[0].name, "h");
		assert_true(verify_view(b.v)->function[0].view->base->span_ns);
		assert_int_equal(verify_view(b.v)->function[0].view->claim->lines, 1);
		verify_free(b.v);
	}
}

static void without_another_one_nothing_is_left(void **state)
{
	static const struct { const char *claimed, *spec; int rc; const char *says; } cases[] = {
		{ "h", "h", -ENOTSUP, "h: only the calls can be counted, not how they end, so that there is nothing to compare" },
		{ NULL, "f", -ENOENT, "no changed function can be compared between the builds: only the calls can be counted" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t id[REQUESTS];
		struct bench b;

		begin_others(&b, cases[i].claimed, id);
		for (unsigned k = 0; k < (cases[i].claimed ? REQUESTS : REQUESTS - 2); k++)
			accept_only(&b, id[k]);
		assert_int_equal(verify_view(b.v)->stage, VERIFY_RUNNING);
		assert_int_equal(give_calls_only(&b, id[0], cases[i].spec), cases[i].rc);
		if (!strstr(b.err.text, cases[i].says))
			fail_msg("case %zu: %s", i, b.err.text);
		verify_free(b.v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_below_counts_as_often_as_it_is_hit), cmocka_unit_test(one_whose_returns_are_missing_is_left_out),
		cmocka_unit_test(later_it_ends_the_verification), cmocka_unit_test(by_time_the_others_go_on),
		cmocka_unit_test(without_another_one_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
