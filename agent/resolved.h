/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe that is ready to be attached: the plan for the kernel, the layout for decode, the site for the breakpoint.
 * The resolver child writes it to a pipe, the agent reads and checks it.
 */
#ifndef PLUMB_RESOLVED_H
#define PLUMB_RESOLVED_H

#include "layout.h"
#include "site.h"

enum {
	RESOLVED_MAX = 64,           /* functions, runs of a line, kinds of a pattern's results: that one probe may mean in one file */
	PATTERN_NAME_MAX = 512,      /* bytes of one function's name; longer ones are cut */
	PATTERN_NAMES_MAX = 16 << 20 /* bytes of all names */
};

/* One function of a pattern. */
struct pattern_function {
	uint64_t offset;            /* file offset of the site */
	uint32_t name;              /* offset in `names` */
	uint8_t kind;               /* enum site_kind */
	uint8_t pad[3];
};

/*
 * Owns the layout, and what a pattern has.  A pattern's functions that return values of one kind are one of these: they share
 * the plan, and `function` is the pattern.
 */
struct resolved {
	struct plan plan;           /* operations, flags and sizes; the loader adds what depends on the host */
	struct site site;
	uint64_t offset;            /* file offset of the site */
	uint32_t probe_index;       /* which of the request's probe texts */
	uint32_t line;
	uint8_t has_error;          /* there is a predicate for failed calls */
	uint8_t has_condition;
	uint8_t has_duration;       /* calls, not entries only */
	uint8_t returns_void;
	uint8_t may_be_errno;       /* it returns a signed integer: a negative one may be -errno */
	char function[256];
	char signature[512];
	char file[256];
	char module[256];           /* base name of the file that holds it */
	char build_id[132];
	struct layout layout;
	struct pattern_function *functions; /* by offset; NULL: this is one function */
	uint32_t n_functions;       /* at most PATTERN_FUNCTIONS_MAX */
	char *names;                /* of the functions, each with its NUL */
	uint32_t names_len;
	char note[400];             /* of a pattern: what the user must know, "" if nothing */
};

static inline bool is_pattern(const struct resolved *r)
{
	return r->n_functions != 0;
}
/* Function number i's name; the pattern if there is no such function. */
const char *resolved_function_name(const struct resolved *r, uint32_t i);

struct buf;
void resolved_write(const struct resolved *r, struct buf *out);
/* Takes one from data; the caller ends with resolved_free. Returns bytes used or -EPROTO. */
int resolved_read(const void *data, size_t len, struct resolved *out, struct error *err);
void resolved_free(struct resolved *r);
/* A copy owns all of it from now on: forgets its arrays. */
void resolved_moved(struct resolved *r);

/* Appends PROBE's fields: [[name, role, shape], ...] (wire.h) from the layout. */
void layout_pack_fields(const struct layout *l, struct buf *out);

#endif
