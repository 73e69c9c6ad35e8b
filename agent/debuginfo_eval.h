/* SPDX-License-Identifier: Apache-2.0 */
/* A DWARF expression as "register + constant, dereferenced n times": debuginfo_eval.c makes it, debuginfo_location.c
 * makes a place of it. */
#ifndef PLUMB_DEBUGINFO_EVAL_H
#define PLUMB_DEBUGINFO_EVAL_H

#include "debuginfo_internal.h"

enum { EVAL_OPS_MAX = 256, EVAL_STACK_MAX = 8 };

enum eval_base { BASE_CONST, BASE_REG, BASE_FRAME /* the frame base, its register not loaded yet */ };

struct eval_value {
	enum eval_base base;
	unsigned reg;
	int64_t offset;
	unsigned derefs;
	unsigned bits;                /* low bits that are still those of the register; 64: all */
};

struct eval {
	struct eval_value stack[EVAL_STACK_MAX];
	unsigned depth;
	bool is_register, is_value;   /* DW_OP_regN; DW_OP_stack_value */
	const char *reason;           /* why it cannot be read */
};

/* register + offset */
struct frame_base { bool known; unsigned reg; int64_t offset; };

/* Inside of a function, past its prologue: what locations are told from. */
struct frame_at {
	uint64_t pc;
	struct frame_base cfa, base;  /* canonical frame address; DW_AT_frame_base */
};

struct eval_context {
	Dwarf_Attribute *attr;
	const struct unit *u;
	bool whole;                   /* one expression for the whole body, not an entry of a list */
	bool frame_known;             /* the frame base is, or will be, the entry's sp + frame_offset */
	int64_t frame_offset;
	const struct frame_at *at;    /* NULL: at the entry */
};

/* Where a local or parameter is at frame->pc. */
void variable_place(Dwarf_Die *variable, const struct frame_at *frame, const struct unit *u, const struct type *type,
		    struct location *out);
void evaluate(struct eval *e, const struct eval_context *c, const Dwarf_Op *expr, size_t len);

#endif
