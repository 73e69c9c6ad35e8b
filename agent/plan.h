/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles a probe (spec + what DWARF knows of the function) to the kernel's plan and the layout of its events.
 *
 * What is asked about the entry runs at entry.  What is asked about the return runs at return, when the registers that
 * held the arguments are gone: so every part of it that does not need $ret or $duration is computed at entry and kept in
 * the event as a hidden cell.
 */
#ifndef PLUMB_PLAN_H
#define PLUMB_PLAN_H

#include "debuginfo.h"
#include "resolved.h"
#include "spec.h"

/* How much of a value is captured. 0 takes the default. */
struct capture_limits {
	uint32_t depth;        /* pointers to structs that are followed, default 1, at most 4 */
	uint32_t bytes;        /* of one struct or array, default 256, at most 4096 */
	uint32_t string;       /* of one text, default 64, at most 4096 */
};

struct plan_request {
	const struct spec *spec;
	const struct expr *error;      /* NULL: the default by return type */
	bool *blame_error;             /* NULL, or set when it is `error` that an error's position is in */
	bool errors_only;
	bool ship;                     /* events; false: counters only */
	bool show_errors;              /* events of failing calls, of a function that has such; no more is asked for than counters */
	bool entry_only;               /* nothing about the return, whatever is asked for by default */
	bool line;                     /* of a source line: fn->params are the variables there; goes with entry_only */
	bool pattern;                  /* the plan is for many functions: no parameters, but which function it was */
	bool no_default_error;         /* `fn` stands for functions whose results have no default for what an error is */
	bool force_call;               /* duration wanted although only entry captures are asked for (stat) */
	struct capture_limits limits;
	struct debuginfo *di;          /* NULL: no debug info */
	const struct function *fn;     /* NULL: no debug info */
};

/* Of a pattern: which of its functions was called, a number. */
#define PLAN_FUNCTION_FIELD "$function"

/* Whether entry and return belong together: unless only the entry was asked about. */
bool plan_wants_call(const struct plan_request *rq);
bool expr_uses_return(const struct expr *e);

/* Fills plan (operations, flags, sizes), layout, has_*. keep_regs: registers that the site must not have changed. */
int plan_build(const struct plan_request *rq, struct resolved *out, uint32_t *keep_regs, struct error *err);

/* One line per operation; a stage print. */
void plan_dump(const struct plan *plan, struct buf *out);

#endif
