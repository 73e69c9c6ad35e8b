/* SPDX-License-Identifier: Apache-2.0 */
/* What resolve.c (one function), resolve_answer.c (what is told) and resolve_pattern.c (many functions) share. */
#ifndef PLUMB_RESOLVE_INTERNAL_H
#define PLUMB_RESOLVE_INTERNAL_H

#include "resolve.h"

/* One request at work; owns what it opened. */
struct resolving {
	const struct resolve_request *rq;
	struct image *img, *exe;
	struct debuginfo *di;
	struct stat st, exe_st;      /* of the files behind img, exe, before they were read */
	struct error no_debug;       /* why di is NULL */
	struct site_costs costs;
	struct expr *error_expr;
	struct spec *spec;           /* of the current probe */
	uint32_t index;              /* its number */
	struct resolved *found;      /* of all probes so far */
	uint32_t *keep_regs;
	size_t n_found, cap_found;
	size_t first;                /* of the current probe */
	bool blame_error;            /* an error's position is in error_expr */
};

/* Where a breakpoint is to go. */
struct wanted_site {
	uint64_t addr, size;         /* of the function; size 0: unknown */
	const char *name;            /* for messages */
	uint32_t keep_regs;
	bool call;                   /* the return as well */
};

int choose_site(const struct resolving *r, const struct wanted_site *w, struct site *site, uint64_t *offset, struct error *err);
int returns_are_safe(const struct resolving *r, struct error *err);
/* Room in r->found for one more of this probe. */
int room_for_one(struct resolving *r, struct error *err);
void fill_names(const struct resolving *r, const char *name, const struct function *fn, struct resolved *out);

/* All probes of the request. The error has the number of the probe text that it belongs to, UINT32_MAX: none. close_files also after an error. */
int resolve_all(struct resolving *r, uint32_t *failed, struct error *err);
void close_files(struct resolving *r);

/* resolve_kept.c: hands out what still holds of the request's files and frees the rest ... */
void kept_take(struct resolve_kept *k, struct resolving *r);
/* ... and takes over the files of one that is done. */
void kept_put(struct resolve_kept *k, struct resolving *r);

/* A source line -> one resolved for each run of its instructions. */
int resolve_line(struct resolving *r, struct error *err);

/* A pattern -> one resolved for each kind of result that its functions have. */
int resolve_pattern(struct resolving *r, struct error *err);
/* All of a probe that was resolved. */
void explain_text(const struct resolving *r, struct buf *out);
void explain_values(const struct resolved *f, struct buf *out);
/* Of r->found[i], a pattern: which functions, and what they cost. */
void explain_pattern(const struct resolving *r, size_t i, struct buf *out);

#endif
