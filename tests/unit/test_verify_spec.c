/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "claimfile.h"
#include "verify_spec.h"

/* ---- single values ---- */

static void expectations(void **state)
{
	static const struct { const char *text; int rc; enum claim_expect expect; double factor; } cases[] = {
		{ "gone", 0, EXPECT_GONE, 0 }, { " none ", 0, EXPECT_NONE, 0 }, { "error_rate < 0.5 x baseline", 0, EXPECT_RATIO, 0.5 },
		{ "error rate<2x baseline", 0, EXPECT_RATIO, 2 }, { "gone away", -EINVAL, 0, 0 }, { "", -EINVAL, 0, 0 },
		{ "error_rate < x baseline", -EINVAL, 0, 0 }, { "error_rate < 0.5 x baselines", -EINVAL, 0, 0 },
		{ "error_rate < 1e9999 x baseline", -EINVAL, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct verify_spec s;
		struct error err;

		verify_spec_init(&s);
		assert_int_equal(verify_spec_expect(&s, cases[i].text, &err), cases[i].rc);
		if (!cases[i].rc) {
			assert_int_equal(s.claim.expect, cases[i].expect);
			assert_true(s.claim.factor == cases[i].factor);
		}
		verify_spec_free(&s);
	}
}

static void guards(void **state)
{
	static const struct { const char *text; int rc; const char *want; } cases[] = {
		{ "latency p99 < +10 %", 0, "latency p99 < +10 %" }, { "p50 < +5%", 0, "latency p50 < +5 %" },
		{ "latency p99.9 < +12.5 %", 0, "latency p99.9 < +12.5 %" }, { "error_rate < +25 %", 0, "error rate < +25 %" },
		{ "no new error values", 0, "no new error values" }, { "calls of pay per checkout > -20 %", 0, "calls of pay per checkout > -20 %" },
		{ "latency p99 < 10 %", -EINVAL, NULL }, { "latency", -EINVAL, NULL }, { "no new errors", -EINVAL, NULL },
		{ "calls of pay > -20 %", -EINVAL, NULL }, { "latency p99 < +10 % or so", -EINVAL, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct verify_spec s;
		struct error err;
		char text[CLAIM_NAME + 64];

		verify_spec_init(&s);
		s.function = strdup("f");
		s.target = VERIFY_TARGET_PID;
		assert_int_equal(verify_spec_guard(&s, cases[i].text, &err), cases[i].rc);
		assert_int_equal(s.claim.guards, cases[i].want != NULL);
		if (cases[i].want) {
			assert_int_equal(verify_spec_finish(&s, &err), 0);
			guard_text(&s.claim, &s.claim.guard[0], text, sizeof(text));
			assert_string_equal(text, cases[i].want);
		}
		verify_spec_free(&s);
	}
}

static void arms(void **state)
{
	static const struct { const char *text; int rc; } cases[] = {
		{ "build:8f3a21", 0 }, { "build:8f3a2", -EINVAL }, { "build:8f3a21XY", -EINVAL }, { "pid:1,2", 0 }, { "pid:", -EINVAL },
		{ "pid:one", -EINVAL }, { "8f3a21", -EINVAL }, { "", -EINVAL }, { "host:web-1,web-2", 0 }, { "host:", -EINVAL },
		{ "host:a,,b", -EINVAL }, { "host:a,", -EINVAL }, { "host:a b", -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct verify_arm_spec arm = { 0 };
		struct error err;

		assert_int_equal(verify_spec_arm(&arm, cases[i].text, &err), cases[i].rc);
		free(arm.text);
	}
}

/* ---- claim.yaml ---- */

static int read_claim(const char *text, struct verify_spec *s, struct error *err)
{
	verify_spec_init(s);
	return claimfile_read(text, strlen(text), s, err);
}

static void a_whole_claim(void **state)
{
	static const char text[] = "target: {service: orderd}\npatch: fix.diff\nstrip: 0\narms: {baseline: 'build:8f3a21', candidate: 'build:c01d77'}\n"
				   "function: f\ntrigger: 'o->qty == 0'\nerror: '$ret < 0'\nexpect: gone\n"
				   "guards:\n  - latency p99 < +10 %\n  - error_rate < +5 %\nexposure: {lines: any, triggers: 50}\n"
				   "alpha: 0.01\ntogether: 4\ndeadline: 5m\nbudget: 3%\nallow_unwind: true\n";
	struct verify_spec s;
	struct error err;

	assert_int_equal(read_claim(text, &s, &err), 0);
	assert_int_equal(s.target, VERIFY_TARGET_NAME);
	assert_string_equal(s.target_text, "orderd");
	assert_string_equal(s.patch_file, "fix.diff");
	assert_int_equal(s.strip, 0);
	assert_string_equal(s.baseline.text, "8f3a21");
	assert_string_equal(s.trigger, "o->qty == 0");
	assert_int_equal(s.claim.expect, EXPECT_GONE);
	assert_int_equal(s.claim.guards, 2);
	assert_int_equal(s.lines, VERIFY_LINES_ANY);
	assert_int_equal(s.claim.min_triggers, 50);
	assert_true(s.claim.alpha == 0.01);
	assert_int_equal(s.claim.together, 4);
	assert_int_equal(s.claim.deadline_ns, 300000000000ULL);
	assert_int_equal(s.budget_ppm, 30000);
	assert_true(s.unwind_ok);
	assert_int_equal(verify_spec_finish(&s, &err), 0);
	verify_spec_free(&s);
}

static void wrong_claims(void **state)
{
	static const struct { const char *text, *says; } cases[] = {
		{ "target:\n  servce: x\n", "claim, line 2: Unexpected key: servce" },
		{ "function: [a]\n", "claim, line 1: Expecting STRING" },
		{ "function: f\nfunction: g\n", "already seen: function" },
		{ "function: f\n  g: h\n", "claim, line 1: libyaml" },
		{ "a: &x [*x]\n", "Unexpected key: a" },
		{ "function: &f x\ntrigger: *f\n", "claim, line 2" },
		{ "", "the claim is empty" },
		{ "target: {service: a, pid: 3}\n", "key target: one of" },
		{ "expect: vanish\n", "key expect: what is expected cannot be 'vanish'" },
		{ "guards: [faster]\n", "key guards: a guard is not 'faster'" },
		{ "arms: {aa: perhaps}\n", "key aa: true or false" },
		{ "deadline: soon\n", "key deadline" },
		{ "strip: -3\n", "key strip" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct verify_spec s;
		struct error err = { 0 };

		if (read_claim(cases[i].text, &s, &err) != -EINVAL || !strstr(err.text, cases[i].says))
			fail_msg("%s: said '%s'", cases[i].text, err.text);
		verify_spec_free(&s);
	}
}

/* A name may begin or end like another one. */
static void lists_that_share_nothing(void **state)
{
	struct verify_spec s;
	struct error err;

	assert_int_equal(read_claim("target: {service: s}\nfunction: f\narms: {baseline: 'host:web-1,web', candidate: 'host:web-11,eb-1'}\n", &s, &err), 0);
	assert_int_equal(verify_spec_finish(&s, &err), 0);
	verify_spec_free(&s);
}

/* Without guards of the user's; one after the other, latencies differ for other reasons. */
static void default_guards(void **state)
{
	for (int by_time = 0; by_time < 2; by_time++) {
		struct verify_spec s;
		struct error err;

		assert_int_equal(read_claim("target: {service: s}\nfunction: f\n", &s, &err), 0);
		s.by_time = by_time;
		assert_int_equal(verify_spec_finish(&s, &err), 0);
		assert_int_equal(s.claim.guards, by_time ? 2 : 4);
		for (uint32_t i = 0; i < s.claim.guards; i++)
			assert_int_equal(s.claim.guard[i].kind == GUARD_LATENCY, i >= 2);
		verify_spec_free(&s);
	}
}

/* With one build it is all there is; with two arms, given or not, it comes first. */
static void a_a_alone_and_first(void **state)
{
	static const struct { const char *text; bool first; } cases[] = {
		{ "arms: {aa: true}\n", false }, { "arms: {aa: true, baseline: 'build:abcdef'}\n", false }, { "expect: none\n", false },
		{ "arms: {aa: true, baseline: 'build:abcdef', candidate: 'build:fedcba'}\n", true },
		{ "arms: {aa: true, baseline: 'host:a', candidate: 'host:b'}\n", true }, { "arms: {aa: true}\nexpect: gone\n", true },
		{ "arms: {aa: true}\ntrigger: 'a == 1'\n", true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct verify_spec s;
		struct error err = { 0 };
		char text[256];

		snprintf(text, sizeof(text), "target: {service: s}\nfunction: f\n%s", cases[i].text);
		assert_int_equal(read_claim(text, &s, &err), 0);
		if (verify_spec_finish(&s, &err))
			fail_msg("%s: %s", text, err.text);
		if (verify_spec_aa_first(&s) != cases[i].first)
			fail_msg("%s", text);
		verify_spec_free(&s);
	}
}

/* What does not go together: a sentence, before anything is asked of an agent. */
static void impossible_wishes(void **state)
{
	static const struct { const char *text, *says; } cases[] = {
		{ "function: f\n", "no target is given" },
		{ "target: {pid: 1}\n", "neither a patch nor a function" },
		{ "target: {pid: 1}\npatch: x\ntrigger: 'a == 1'\n", "neither a patch nor a function" },
		{ "target: {pid: 1}\nfunction: f\narms: {baseline: 'build:abcdef'}\n", "give both arms" },
		{ "target: {pid: 1}\nfunction: f\narms: {baseline: 'build:abcdef', candidate: 'build:abcdef'}\n", "are the same" },
		{ "target: {service: s}\nfunction: f\narms: {baseline: 'host:a,x', candidate: 'host:b,x'}\n", "host x is in both arms" },
		{ "target: {service: s}\nfunction: f\narms: {baseline: 'pid:1,23', candidate: 'pid:23,2'}\n", "process 23 is in both arms" },
		{ "target: {pid: 1}\nfunction: f\narms: {by: 'x', aa: true}\n", "exclude" },
		{ "target: {service: s}\nfunction: f\nexpect: gone\narms: {aa: true, baseline: 'build:abcdef'}\n", "give both arms" },
		{ "target: {pid: 1}\nfunction: f\narms: {by_time: true}\n", "a process ends with the restart" },
		{ "target: {service: s}\nfunction: f\narms: {by_time: true, aa: true}\n", "arms by time exclude" },
		{ "target: {service: s}\nfunction: f\narms: {by_time: true, baseline: 'pid:1'}\n", "arms by time are builds" },
		{ "target: {service: s}\npatch: x\nguards: [calls of g per h > -20 %]\narms: {by_time: true}\n", "a guard on calls needs the function" },
		{ "target: {pid: 1}\nfunction: f\nalpha: 0.7\n", "alpha" },
		{ "target: {pid: 1}\nfunction: f\nalpha: 0\n", "alpha must lie between" },
		{ "target: {pid: 1}\nfunction: f\ntogether: 0\n", "can be said to hang together" },
		{ "target: {pid: 1}\nfunction: f\nexposure: {triggers: 0}\n", "at least one" },
		{ "target: {pid: 1}\nfunction: f\nguards: [latency p99 < +1 %]\n", "5 % or more" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct verify_spec s;
		struct error err = { 0 };

		assert_int_equal(read_claim(cases[i].text, &s, &err), 0);
		if (verify_spec_finish(&s, &err) != -EINVAL || !strstr(err.text, cases[i].says))
			fail_msg("%s: said '%s'", cases[i].text, err.text);
		verify_spec_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expectations), cmocka_unit_test(guards), cmocka_unit_test(arms), cmocka_unit_test(a_whole_claim),
		cmocka_unit_test(wrong_claims), cmocka_unit_test(impossible_wishes), cmocka_unit_test(default_guards),
		cmocka_unit_test(lists_that_share_nothing), cmocka_unit_test(a_a_alone_and_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
