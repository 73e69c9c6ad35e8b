/* SPDX-License-Identifier: Apache-2.0 */
/* A stored verdict, computed again, prints the same bytes; and damaged ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frame.h"
#include "replay.h"
#include "verdict_sim.h"

static struct claim claim_with_all(bool any_line)
{
	struct claim c;

	claim_init(&c);
	strcpy(c.function, "checkout \x1b[31m");   /* a name may hold anything */
	strcpy(c.trigger, "o->qty == 0");
	c.expect = EXPECT_GONE;
	c.together = 2;
	c.lines = any_line ? 1 : 2;
	strcpy(c.line[0], any_line ? "(any of 5)" : "order.c:212");
	strcpy(c.line[1], "order.c:213");
	c.lines_shared = 1;
	c.lines_any = any_line ? 5 : 0;
	c.watched = 1;
	strcpy(c.watched_name[0], "charge_card");
	c.deadline_ns = 400ULL * 1000000000;
	for (int k = 0; k < GUARD_KINDS; k++)
		claim_guard(&c, (enum guard_kind)k);
	return c;
}

/* Runs and stores; the verdict's own print. */
static void live(uint64_t seed, unsigned ticks, const char *end, struct buf *stored, struct buf *printed)
{
	struct claim c = claim_with_all(seed % 3 == 1);
	struct verdict *v = verdict_new(&c, NULL);
	struct sim sim = { .rnd = { seed }, .swing = 0.4, .base = sim_plain, .cand = sim_plain };

	sim.base.calls = sim.cand.calls = 400;
	if (seed % 2)
		sim.cand.trigger_error = 0;
	if (seed % 3 == 0)
		sim.cand.moved_error = 0.01;
	verdict_pack_claim(stored, &c);
	verdict_pack_note(stored, "candidate", "c01d77");
	for (unsigned i = 0; i < ticks; i++) {
		struct sim_tick b, x;

		sim_arm_tick(&sim, &sim.base, &b);
		sim_arm_tick(&sim, &sim.cand, &x);
		if (i % 7 == 0 && seed % 2 == 0)
			x.t.hist = NULL;
		x.t.unseen = i % 3 == 0;
		b.t.died = i % 11 == 4;
		x.t.died = seed % 8 == 2 && i % 13 == 5;
		if (i % 5 == 0)
			b.t.line_hits = NULL, x.t.watched = NULL;
		verdict_pack_tick(stored, &c, &b.t, &x.t);
		assert_int_equal(verdict_tick(v, &b.t, &x.t, NULL), 0);
	}
	if (end) {
		verdict_pack_end(stored, end);
		verdict_end(v, end);
	}
	verdict_print(v, printed);
	verdict_free(v);
}

static void test_replay_gives_the_same_bytes(void **state)
{
	bool seen[4] = { false };

	for (uint64_t seed = 1; seed <= 24; seed++) {
		struct buf stored = { 0 }, first = { 0 }, again = { 0 };
		struct error err = { 0 };
		struct verdict *v;

		live(seed, seed == 7 ? 2 : (unsigned)(seed * seed), seed % 4 == 1 ? "asked to stop" : NULL, &stored, &first);
		v = verdict_replay(stored.data, stored.len, &err);
		if (!v)
			fail_msg("%s", err.text);
		verdict_print(v, &again);
		assert_string_equal(buf_text(&first), buf_text(&again));
		assert_null(strchr(buf_text(&first), '\x1b'));
		seen[verdict_state(v)] = true;
		verdict_free(v);
		buf_free(&stored);
		buf_free(&first);
		buf_free(&again);
	}
	assert_true(seen[VERDICT_PASS] && seen[VERDICT_FAIL] && seen[VERDICT_INCONCLUSIVE] && seen[VERDICT_UNDECIDED]);
}

static void assert_refused(const void *data, size_t len, const char *why)
{
	struct error err = { 0 };

	assert_null(verdict_replay(data, len, &err));
	if (!strstr(err.text, why))
		fail_msg("\"%s\" is not in \"%s\"", why, err.text);
}

static void test_cut_and_damaged(void **state)
{
	struct buf stored = { 0 }, printed = { 0 };
	unsigned read = 0;

	live(3, 4, NULL, &stored, &printed);
	assert_refused("", 0, "empty");
	for (size_t len = 1; len < stored.len; len++) {
		struct verdict *v = verdict_replay(stored.data, len, NULL);

		read += v != NULL;   /* the end of an entry */
		verdict_free(v);
	}
	assert_int_equal(read, 5);
	/* every byte, turned: an answer or a refusal, nothing else */
	for (size_t i = 0; i < stored.len; i++) {
		stored.data[i] = (char)~stored.data[i];
		verdict_free(verdict_replay(stored.data, stored.len, NULL));
		stored.data[i] = (char)~stored.data[i];
	}
	buf_free(&stored);
	buf_free(&printed);
}

static void test_other_versions_and_things(void **state)
{
	struct claim c = claim_with_all(false);
	struct buf b = { 0 };
	char *version, says[80];
	msgpack_packer pk;

	verdict_pack_claim(&b, &c);
	version = memchr(b.data, 't', b.len);
	assert_non_null(version);
	assert_int_equal(version[1], VERDICT_VERSION);
	version[1] = VERDICT_VERSION + 1;
	snprintf(says, sizeof(says), "version %d of the rules; this is version %d", VERDICT_VERSION + 1, VERDICT_VERSION);
	assert_refused(b.data, b.len, says);
	buf_clear(&b);
	verdict_pack_note(&b, "a", "b");
	assert_refused(b.data, b.len, "not a stored verdict");
	buf_clear(&b);
	verdict_pack_claim(&b, &c);
	pack_into(&pk, &b);
	msgpack_pack_array(&pk, 2);
	msgpack_pack_int(&pk, 9);
	msgpack_pack_int(&pk, 9);
	assert_refused(b.data, b.len, "unknown kind");
	buf_clear(&b);
	c.alpha = 7;
	verdict_pack_claim(&b, &c);
	assert_refused(b.data, b.len, "alpha");
	buf_free(&b);
}

static void append_note(void *data, const char *key, const char *value)
{
	buf_printf(data, "%s=%s;", key, value);
}

static void test_notes(void **state)
{
	struct claim c = claim_with_all(false);
	struct buf b = { 0 }, told = { 0 };
	struct error err = { 0 };

	verdict_pack_claim(&b, &c);
	verdict_pack_note(&b, "baseline", "8f3a21");
	verdict_pack_end(&b, "no more");
	verdict_pack_note(&b, "candidate", "");
	assert_int_equal(verdict_notes(b.data, b.len, append_note, &told, &err), 0);
	assert_string_equal(buf_text(&told), "baseline=8f3a21;candidate=;");
	assert_true(verdict_notes(b.data, b.len - 1, append_note, &told, &err) < 0);
	assert_non_null(strstr(err.text, "ends in the middle"));
	buf_free(&b);
	buf_free(&told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replay_gives_the_same_bytes),
		cmocka_unit_test(test_cut_and_damaged),
		cmocka_unit_test(test_other_versions_and_things),
		cmocka_unit_test(test_notes),
	};

	return cmocka_run_group_tests_name("verdict_replay", tests, NULL, NULL);
}
