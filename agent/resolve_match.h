/* SPDX-License-Identifier: Apache-2.0 */
/* Which functions a pattern means: from resolve_match.c to resolve_pattern.c. */
#ifndef PLUMB_RESOLVE_MATCH_H
#define PLUMB_RESOLVE_MATCH_H

#include "buf.h"
#include "resolve_internal.h"

/* A function that the pattern means. */
struct match {
	uint64_t addr, size;
	uint32_t name;               /* offset in names */
	uint32_t rank;               /* of several names for one address, the lowest is shown */
	struct result_kind result;
	bool typed;                  /* `result` is known */
	bool done;                   /* dealt with or left out */
};

enum left_out { LEFT_INDIRECT, LEFT_COLD, LEFT_RETURN, LEFT_SITE, LEFT_PLAN, LEFT_REASONS };

struct matching {
	struct resolving *r;
	struct match *match;
	size_t n, cap, n_aliases;
	struct buf names;
	bool no_memory, too_many;
	bool call;
	struct { uint32_t n; char example[80]; } left[LEFT_REASONS];
	struct error refused;        /* LEFT_PLAN: by its plan, the first one */
	char calls_only[512];        /* why no returns are probed, "" if they are */
};

/* All functions whose names match, by address, each once. -ENOENT, -E2BIG, -ENOMEM. */
int find_matches(struct matching *m, struct error *err);
/* What it finds on its stack, or leaves there, is no return address that the kernel could swap for its own. */
bool return_is_unsafe(const char *name);
/* Counts it, with its name as an example. */
void leave_out(struct matching *m, enum left_out why, const char *name);

#endif
