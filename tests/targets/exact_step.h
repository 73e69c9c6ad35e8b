/* SPDX-License-Identifier: Apache-2.0 */
/* One numbered call of a scenario: builds the arguments, calls, checks what came back, counts. */
#ifndef PLUMB_TARGETS_EXACT_STEP_H
#define PLUMB_TARGETS_EXACT_STEP_H

#include <stdbool.h>
#include <stdint.h>

#define FUNCTION_LIST(X) \
	X(take_ints) X(take_longs) X(take_strings) X(take_names) X(take_tree) X(take_absent) X(take_pair) X(take_mixed) \
	X(take_large) X(take_union) X(take_bits) X(take_floats) X(take_float_members) X(take_many) X(take_static) \
	X(hidden_static) X(give_void) X(give_int) X(give_long) X(give_byte) X(give_bool) X(give_enum) X(give_pointer) \
	X(give_text) X(give_pair) X(give_wide) X(give_double) X(give_early) X(give_slowly) X(descend) X(ping) X(pong) \
	X(guarded) X(leap_outer) X(leap_inner) X(vanish) X(fork_exits) X(fork_returns) X(tail_sum)

#define FUNCTION_ENUM(name) F_##name,
enum function { FUNCTION_LIST(FUNCTION_ENUM) FUNCTIONS };

extern const char *const function_names[FUNCTIONS];

struct tally {
	uint64_t calls[FUNCTIONS], errors[FUNCTIONS], unwound[FUNCTIONS];
	uint64_t wrong;          /* a function did not return what it must */
};

struct scenario {
	const char *name;
	void (*step)(uint64_t i, struct tally *t);
	uint64_t max_calls;      /* 0: any */
};

const struct scenario *scenario_find(const char *name);
/* What the steps need: the unmapped address, the file of absent pages. 0 or -errno. */
int steps_prepare(uint64_t calls);
void tally_add(struct tally *sum, const struct tally *t);

/* exact_step_take.c */
int take_prepare(uint64_t calls);
void step_ints(uint64_t i, struct tally *t);
void step_strings(uint64_t i, struct tally *t);
void step_tree(uint64_t i, struct tally *t);
void step_absent(uint64_t i, struct tally *t);
void step_structs(uint64_t i, struct tally *t);
void step_floats(uint64_t i, struct tally *t);
void step_many(uint64_t i, struct tally *t);
void step_static(uint64_t i, struct tally *t);

/* Counts one call that returned, and whether it did so with what it must. */
void tally_call(struct tally *t, enum function f, bool error, bool right);
/* The same for the functions that return -22 where fails(i) and 0 otherwise. */
void tally_result(struct tally *t, enum function f, uint64_t i, int rc);

enum { ABSENT_MAX = 4096 };

#endif
