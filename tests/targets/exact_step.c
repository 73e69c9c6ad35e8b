/* SPDX-License-Identifier: Apache-2.0 */
/* The scenarios, and the steps of those that return values or do not simply return. */
#include "exact_step.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exact.h"

#define FUNCTION_NAME(name) #name,
const char *const function_names[FUNCTIONS] = { FUNCTION_LIST(FUNCTION_NAME) };

/* ---- counting ---- */

void tally_call(struct tally *t, enum function f, bool error, bool right)
{
	t->calls[f]++;
	t->errors[f] += error;
	t->wrong += !right;
}

void tally_result(struct tally *t, enum function f, uint64_t i, int rc)
{
	tally_call(t, f, rc < 0, rc == (fails(i) ? -FAIL_CODE : 0));
}

void tally_add(struct tally *sum, const struct tally *t)
{
	unsigned int f;

	for (f = 0; f < FUNCTIONS; f++) {
		sum->calls[f] += t->calls[f];
		sum->errors[f] += t->errors[f];
		sum->unwound[f] += t->unwound[f];
	}
	sum->wrong += t->wrong;
}

/* `n` entries that all returned without an error. */
static void tally_nested(struct tally *t, enum function f, unsigned int n)
{
	t->calls[f] += n;
}

static void tally_unwound(struct tally *t, enum function f)
{
	t->calls[f]++;
	t->unwound[f]++;
}

/* ---- return values ---- */

static void give_numbers(uint64_t i, struct tally *t)
{
	static const enum level levels[] = { LOW, MID, HIGH };
	bool fail = fails(i);

	give_void(i);
	tally_call(t, F_give_void, false, true);
	tally_call(t, F_give_int, fail, give_int(i) == (fail ? -FAIL_CODE : (int)(i % 65536)));
	tally_call(t, F_give_long, fail, give_long(i) == (fail ? -FAIL_CODE : (int64_t)(i << 32 | 1)));
	tally_call(t, F_give_byte, false, give_byte(i) == (uint8_t)i);
	tally_call(t, F_give_bool, false, give_bool(i) == !fail);
	tally_call(t, F_give_enum, false, give_enum(i) == levels[i % 3]);
	tally_call(t, F_give_double, false, give_double(i) == i + 0.5);
}

static void step_give(uint64_t i, struct tally *t)
{
	const char *text = give_text(i);
	struct pair pair = give_pair(i);
	struct wide wide = give_wide(i);
	bool fail = fails(i);

	give_numbers(i, t);
	tally_call(t, F_give_pointer, fail, give_pointer(i) == (fail ? NULL : &given_leaf));
	tally_call(t, F_give_text, fail, fail ? !text : text && strncmp(text, "text-", 5) == 0);
	tally_call(t, F_give_pair, false, pair.first == (int64_t)i && pair.second == -(int64_t)i);
	tally_call(t, F_give_wide, false, wide.a == i && wide.b == i + 1 && wide.c == i + 2 && wide.d == i + 3);
}

static void step_early(uint64_t i, struct tally *t)
{
	int64_t v = fails(i) ? -(int64_t)i - 1 : (int64_t)(i % 5);
	int want = v < 0 ? -FAIL_CODE : v == 0 ? 1 : v % 2 ? 2 : 4;

	tally_call(t, F_give_early, v < 0, give_early(v) == want);
}

static void step_slow(uint64_t i, struct tally *t)
{
	tally_result(t, F_give_slowly, i, give_slowly(i));
}

/* ---- calls in calls ---- */

static void descend_by(unsigned int n, uint64_t i, struct tally *t)
{
	t->wrong += descend(n, i) != (int)n;
	tally_nested(t, F_descend, n);
}

static void step_recurse(uint64_t i, struct tally *t)
{
	descend_by(50, i, t);
}

static void step_deep(uint64_t i, struct tally *t)
{
	descend_by(100, i, t);
}

static void step_mutual(uint64_t i, struct tally *t)
{
	t->wrong += ping(10) != 11;
	tally_nested(t, F_ping, 6);
	tally_nested(t, F_pong, 5);
}

static void step_tail(uint64_t i, struct tally *t)
{
	t->wrong += tail_sum(10, 0) != 55;
	tally_nested(t, F_tail_sum, 11);
}

static void step_longjmp(uint64_t i, struct tally *t)
{
	bool jumps = i % 2;

	tally_call(t, F_guarded, false, guarded(i) == (jumps ? 100 : 3));
	if (jumps) {
		tally_unwound(t, F_leap_outer);
		tally_unwound(t, F_leap_inner);
	} else {
		tally_nested(t, F_leap_outer, 1);
		tally_nested(t, F_leap_inner, 1);
	}
}

/* ---- threads and processes ---- */

static void *vanishing_thread(void *arg)
{
	return (void *)(uintptr_t)vanish((uintptr_t)arg);
}

static void step_vanish(uint64_t i, struct tally *t)
{
	void *returned = NULL;
	pthread_t thread;

	if (pthread_create(&thread, NULL, vanishing_thread, (void *)(uintptr_t)i)) {
		t->wrong++;
		return;
	}
	pthread_join(thread, &returned);
	if (i % 2)
		tally_unwound(t, F_vanish);
	else
		tally_call(t, F_vanish, false, returned == (void *)1);
}

static void step_fork(uint64_t i, struct tally *t)
{
	int status = -1, rc;
	pid_t child;

	tally_call(t, F_fork_exits, false, fork_exits(i) == (int)(i % 128));
	rc = fork_returns(i, &child);
	if (child == 0)
		_exit(rc == 2 ? 0 : 1);
	if (child > 0)
		waitpid(child, &status, 0);
	tally_call(t, F_fork_returns, false, rc == 1 && status == 0);
}

/* ---- the table ---- */

static void step_all(uint64_t i, struct tally *t)
{
	step_ints(i, t);
	step_strings(i, t);
	step_tree(i, t);
	step_structs(i, t);
	step_floats(i, t);
	step_many(i, t);
	step_static(i, t);
	step_give(i, t);
	step_early(i, t);
	step_recurse(i, t);
	step_deep(i, t);
	step_mutual(i, t);
	step_longjmp(i, t);
	step_tail(i, t);
}

enum { INTS_MAX = 2000000, FLOATS_MAX = 1 << 20 };

static const struct scenario scenarios[] = {
	{ "ints", step_ints, INTS_MAX },
	{ "strings", step_strings, 0 },
	{ "tree", step_tree, 0 },
	{ "absent", step_absent, ABSENT_MAX },
	{ "structs", step_structs, 0 },
	{ "floats", step_floats, FLOATS_MAX },
	{ "many", step_many, 0 },
	{ "static", step_static, 0 },
	{ "give", step_give, 0 },
	{ "early", step_early, 0 },
	{ "slow", step_slow, 0 },
	{ "recurse", step_recurse, 0 },
	{ "deep", step_deep, 0 },
	{ "mutual", step_mutual, 0 },
	{ "longjmp", step_longjmp, 0 },
	{ "vanish", step_vanish, 0 },
	{ "fork", step_fork, 0 },
	{ "tail", step_tail, 0 },
	{ "all", step_all, FLOATS_MAX },
};

const struct scenario *scenario_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
		if (strcmp(scenarios[i].name, name) == 0)
			return &scenarios[i];
	return NULL;
}

int steps_prepare(uint64_t calls)
{
	return take_prepare(calls);
}
