/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With which arguments do calls fail?  Of failing calls that were shown (a sample: the agent sends a few a second), how often each
 * argument had each value, per arm.  Members of structs are arguments of their own: "o->qty".
 *
 * Both arms share one table of an argument's values, so a value that has a row was counted from its first call on, in both: that it
 * came in one arm only is true of all calls that were shown.  Values beyond FAILING_VALUES are counted together (failing_others).
 */
#ifndef PLUMB_VERIFY_FAILING_H
#define PLUMB_VERIFY_FAILING_H

#include "coverage.h"
#include "model.h"

enum {
	FAILING_ARGUMENTS = 48,   /* of one function; more are counted as left out */
	FAILING_VALUES = 64,      /* different ones of an argument */
	FAILING_NAME = 128,
	FAILING_TEXT = 64,        /* bytes of a value; longer ones that begin alike are one, and end in "..." */
};

struct failing;

struct failing *failing_new(void);   /* NULL: no memory */
void failing_free(struct failing *f);   /* takes NULL */
/* A call that failed on this side. -ENOMEM. */
int failing_add(struct failing *f, enum verify_side side, const struct record *r);
/* How many were added; takes NULL. */
uint64_t failing_calls(const struct failing *f, enum verify_side side);
/* Arguments, and struct members, for which there was no room. */
uint32_t failing_left_out(const struct failing *f);

/* An argument with a value. Texts are f's; they come from the target: escape them. */
struct failing_row {
	const char *name, *value;
	uint64_t count[VERIFY_SIDES];
	bool only;              /* it came in one arm only, and that the other has none is hardly chance (1 %) */
};

/* At most `max` rows of arguments that have several values: first those whose share of the failing calls clearly differs between the arms,
 * then the most frequent. Values that came once in an arm are left out. Returns how many. */
unsigned failing_rows(const struct failing *f, struct failing_row *out, unsigned max);
/* At most `max` arguments that had more values than there was room for, and in how many calls it was one of those; `value` is NULL. */
unsigned failing_others(const struct failing *f, struct failing_row *out, unsigned max);
/* At most `max` arguments that had one value in all calls that were shown, in their order. */
unsigned failing_always(const struct failing *f, struct failing_row *out, unsigned max);

#endif
