/* SPDX-License-Identifier: Apache-2.0 */
/* The guard takes a probe away while a verification counts with it. */
#include <errno.h>

#include "verify_bench.h"

enum { REQUESTS = 6 };   /* the claimed function's, what a guard counts, lines; of each side */

static const char cost[] = "probe on it removed: probes cost process 100 91.0% of one core";

/* One request has been accepted: its probes in their order. */
static void accept_probes(struct bench *b, uint32_t id, const char *first, const char *second_probe)
{
	accept_one(b, id, first);
	if (second_probe)
		give_probe(b, id, 2, second_probe);
}

/* f is claimed, with a trigger; g per h is guarded; a line of f is counted. accepted: so many of the requests, in order. */
static void begin_full(struct bench *b, uint32_t id[REQUESTS], unsigned accepted)
{
	static const char *const second_of[] = { "f if n > 3", "h", NULL };
	struct verify_spec s;
	char text[REQUESTS][64];

	spec_of_test(&s, "gone", patch_text);
	s.function = strdup("f");
	s.trigger = strdup("n > 3");
	assert_int_equal(verify_spec_guard(&s, "calls of g per h > -20 %", NULL), 0);
	begin_spec(b, &s);
	assert_int_equal(give_ps(b, 2, two_builds), 0);
	assert_int_equal(give_lines(b, 0, "int f(int n)", true, true), 0);
	assert_int_equal(give_lines(b, 1, "int f(int n)", true, true), 0);
	assert_int_equal(take_requests(b, id, text, REQUESTS), REQUESTS);
	for (unsigned i = 0; i < accepted; i++)
		accept_probes(b, id[i], text[i], second_of[i / 2]);
}

static int give_removed(struct bench *b, uint32_t id, unsigned probe, bool part)
{
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, WIRE_NOTICE, 4);
	msgpack_pack_uint64(&f.pk, id);
	pack_text(&f.pk, "removed");
	msgpack_pack_map(&f.pk, 2U + part);
	pack_key_u64(&f.pk, "probe", probe);
	pack_key_text(&f.pk, "text", cost);
	if (part) {
		pack_key(&f.pk, "part");
		msgpack_pack_true(&f.pk);
	}
	frame_end(&f);
	return give(b, &out);
}

static const struct {
	unsigned request, probe;
	bool part;
	const char *says;          /* NULL: the verification goes on */
} cases[] = {
	{ 0, 1, false, "the probe on f of the baseline was removed: build aaaaaaaaaaaa: probe on it removed: probes cost process 100" },
	{ 1, 1, true, "the probe on some functions of f of the candidate was removed: build cccccccccccc: probe on it removed: " },
	{ 1, 2, false, "the probe on f if n > 3 of the candidate was removed: " },
	{ 2, 1, false, "the probe on g of the baseline was removed: " },
	{ 3, 1, true, "the probe on some functions of g of the candidate was removed: " },
	{ 3, 2, false, "the probe on h of the candidate was removed: " },
	{ 2, 77, false, "the probe on a function of the baseline was removed: " },   /* of which no PROBE has told */
	{ 4, 1, false, NULL },
	{ 5, 1, false, NULL },
	{ 5, 77, false, NULL },
};

/* What it would have counted is not known: there is no PASS without it, nor a FAIL. */
static void calls_that_are_missing_end_it(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct verify_view *view;
		uint32_t id[REQUESTS];
		struct bench b;

		begin_full(&b, id, REQUESTS);
		view = verify_view(b.v);
		assert_int_equal(view->stage, VERIFY_RUNNING);
		assert_int_equal(give_removed(&b, id[cases[i].request], cases[i].probe, cases[i].part), 0);
		view = verify_view(b.v);
		assert_int_equal(view->stage, cases[i].says ? VERIFY_STOPPING : VERIFY_RUNNING);
		assert_int_equal(view->state, cases[i].says ? VERDICT_INCONCLUSIVE : VERDICT_UNDECIDED);
		if (cases[i].says && !strstr(view->reason, cases[i].says))
			fail_msg("case %zu: %s", i, view->reason);
		for (unsigned k = 0; cases[i].says && k < REQUESTS; k++)
			give_end_of(&b, id[k], k ? "stopped" : "guard", "another one");
		if (cases[i].says) {
			assert_int_equal(verify_view(b.v)->stage, VERIFY_DONE);
			assert_non_null(strstr(verify_view(b.v)->reason, cases[i].says));   /* the first one stays */
		}
		verify_free(b.v);
	}
}

/* While other probes are still being set. */
static void before_it_has_begun_nothing_is_verified(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t id[REQUESTS];
		struct bench b;
		int rc;

		if (cases[i].request > 3)
			continue;
		begin_full(&b, id, 4);
		rc = give_removed(&b, id[cases[i].request], cases[i].probe, cases[i].part);
		assert_int_equal(rc, -ECANCELED);
		if (!strstr(b.err.text, cases[i].says))
			fail_msg("case %zu: %s", i, b.err.text);
		verify_free(b.v);
	}
}

/* Without a claim on it: it is compared because its lines have changed. */
static void a_changed_function(void **state)
{
	struct verify_spec s;
	struct bench b;

	spec_of_test(&s, "none", patch_text);
	begin_spec(&b, &s);
	assert_int_equal(give_ps(&b, 2, two_builds), 0);
	set_probes(&b, true);
	assert_int_equal(give_removed(&b, b.request[1], 1, false), 0);
	assert_int_equal(verify_view(b.v)->stage, VERIFY_STOPPING);
	assert_int_equal(verify_view(b.v)->state, VERDICT_INCONCLUSIVE);
	assert_non_null(strstr(verify_view(b.v)->reason, "the probe on f of the candidate was removed: "));
	verify_free(b.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_that_are_missing_end_it), cmocka_unit_test(before_it_has_begun_nothing_is_verified),
		cmocka_unit_test(a_changed_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
