/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe request as text -> a syntax tree.  Purely syntactic: no name is looked up here.
 *
 *   PLACE [ '(' capture, ... ')' ] [ '->' capture, ... ] [ 'if' condition ]
 */
#ifndef PLUMB_SPEC_H
#define PLUMB_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "plumb/error.h"

enum {
	SPEC_TEXT_MAX = 4096,   /* bytes of a request; longer ones are refused */
	SPEC_DEPTH_MAX = 32,    /* nesting of an expression */
	SPEC_CAPTURES_MAX = 32, /* captures of one list */
};

enum expr_op {
	EXPR_NUMBER,   /* number: 42, 0x2a, 'c', 5ms (ns), 4KiB (bytes), true, false, NULL */
	EXPR_STRING,   /* text, len: "bob" with C escapes */
	EXPR_NAME,     /* text: an identifier of the target */
	EXPR_SPECIAL,  /* text: without the '$' ("ret", "duration", "arg0", ...) */
	EXPR_MEMBER,   /* a . text */
	EXPR_ARROW,    /* a -> text */
	EXPR_INDEX,    /* a [ b ] */
	EXPR_DEREF,    /* * a */
	EXPR_NEG, EXPR_NOT /* ! */, EXPR_INVERT /* ~ */,
	EXPR_MUL, EXPR_DIV, EXPR_MOD, EXPR_ADD, EXPR_SUB, EXPR_SHL, EXPR_SHR,
	EXPR_LT, EXPR_LE, EXPR_GT, EXPR_GE, EXPR_EQ, EXPR_NE,
	EXPR_BITAND, EXPR_BITXOR, EXPR_BITOR, EXPR_AND, EXPR_OR,
	EXPR_OPS
};

/* A node owns its children and its text. */
struct expr {
	enum expr_op op;
	struct expr *a, *b;
	char *text;
	size_t text_len;      /* EXPR_STRING may hold NUL bytes */
	int64_t number;
	int col, len;         /* where it stands in the request, 1-based bytes */
};

struct capture {
	char *label;          /* its source text, white space trimmed: "o->user.name" */
	struct expr *expr;
};

enum place_kind {
	PLACE_FUNCTION,       /* [module:]name; name may be qualified C++ or Rust: ns::f, Type<T>::f */
	PLACE_GLOB,           /* [module:]'db_*' (* ? []); quoted, or bare with a * or ? in it, as a shell leaves it */
	PLACE_LINE,           /* [module:]src/order.c:212 */
	PLACE_USDT,           /* usdt:provider:name */
};

/* Owns all it points to. */
struct spec {
	char *text;           /* the whole request as it came */
	enum place_kind place;
	char *module;         /* "libssl.so.3", USDT: the provider; NULL: the executable */
	char *name;           /* function, glob pattern, file of a line, USDT name */
	int name_col, name_len;
	uint32_t line;        /* PLACE_LINE */
	bool has_entry;       /* "(...)" was written, even if empty: no default captures at entry */
	bool has_return;      /* "->" was written */
	struct capture *entry;
	size_t n_entry;
	struct capture *ret;
	size_t n_return;
	struct expr *condition; /* NULL: none */
};

/* Parses a request. On success *out is the caller's to free. On error: -EINVAL, position and text in err. */
int spec_parse(const char *text, struct spec **out, struct error *err);
void spec_free(struct spec *spec);
/* The name of the file that the place is in; NULL: the executable. */
static inline const char *spec_file(const struct spec *spec)
{
	return spec->place == PLACE_USDT ? NULL : spec->module;
}

/* Parses a bare expression, as given to --error. The caller frees *out. */
int spec_parse_expr(const char *text, struct expr **out, struct error *err);
void expr_free(struct expr *expr);

/* Appends the tree, fully parenthesised, one stage print for explain and tests. */
void spec_dump(const struct spec *spec, struct buf *out);
void expr_dump(const struct expr *expr, struct buf *out);

#endif
