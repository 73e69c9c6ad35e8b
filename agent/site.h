/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the instruction that a breakpoint goes on.  The kernel emulates some instructions and single-steps
 * all others out of line, which costs a second trap (21 us instead of 0.3 us in a nested VM, 1 to 2 us more
 * on bare metal).  So: the first emulated instruction on the straight line from the function's entry that
 * every call passes exactly once, with the wanted registers still as they were at entry.
 */
#ifndef PLUMB_SITE_H
#define PLUMB_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "plumb/error.h"

enum { SITE_CODE_MAX = 1 << 20 };  /* bytes of one function that are decoded, at most */

enum site_kind {
	SITE_NOP5,        /* 5-byte nop at the entry: patched into a call by kernels >= 6.18 */
	SITE_EMULATED,    /* nop, push, jmp, jcc, call rel32 */
	SITE_STEPPED,     /* anything else: single-stepped out of line */
	SITE_KINDS
};

const char *site_kind_name(enum site_kind kind);

/* What the running kernel does without single-stepping, each step including the ones before it. */
enum site_kernel {
	SITE_KERNEL_BRANCHES,   /* push, jmp, jcc, call and the one-byte nop; refuses a 66-prefixed nop */
	SITE_KERNEL_NOPS,       /* the usual nops of up to 8 bytes: 6.17 */
	SITE_KERNEL_NOP5,       /* a 5-byte nop is patched into a call: 6.18 */
};

/* Tells site_choose which kernel it chooses for; the default is SITE_KERNEL_NOP5. Once, before the first choice. */
void site_kernel_set(enum site_kernel kernel);

struct site {
	uint64_t addr;        /* virtual address in the file */
	enum site_kind kind;
	uint8_t length;       /* of the instruction */
	uint8_t bytes[15];
	char text[80];        /* disassembled, Intel syntax */
	bool of_line;         /* for a source line, not for a call */
	uint32_t distance;    /* instructions between the entry (of a line: its first one) and the site */
	char reason[160];     /* why here; when the entry had to be taken, why no cheaper place would do */
};

/*
 * `code` holds the function from `entry` on, `len` bytes.  keep_regs: bit n = DWARF register n (enum plan_reg)
 * must still hold its entry value at the site; the stack pointer always must.  With any bit set, no store to memory
 * may come before the site either, for a capture might follow a pointer to it (0: nothing is captured at the entry; a
 * capture that starts from no register sets the bit of GPR_SP).  want_return: the site must allow
 * a return probe (return address on top of the stack).  Never fails for a decodable entry: falls back to it.
 * -EILSEQ: the first instruction cannot be decoded; -EOPNOTSUPP: no breakpoint may be put there (e.g. int3,
 * a lock prefix or another instruction that the kernel refuses or executes wrongly), nor on a later one, with the reason in err.
 */
int site_choose(const uint8_t *code, size_t len, uint64_t entry, uint32_t keep_regs, bool want_return,
		struct site *out, struct error *err);

/* A run of a source line's instructions, in a function whose code is all known. */
struct site_line {
	uint64_t start, end;
	uint64_t next_statement;   /* behind start: what an indirect jump might lead to; else end */
	uint64_t entry;            /* the function's first instruction: there, a 5-byte nop is as good as for calls. 0: not known */
	uint32_t keep_regs;        /* as for site_choose, counted from `start` on; 0 lets the stack pointer move as well */
	const struct site_code { const uint8_t *bytes; uint64_t addr; size_t len; } *code;   /* its parts; the one of `start` too */
	uint32_t n_code;
};

/* The cheapest instruction that is executed whenever the one at `start` is, once, before anything that a capture needs has
 * changed. Entry only. Errors as site_choose; -ERANGE: no part of the code has `start`. */
int site_choose_line(const struct site_line *line, struct site *out, struct error *err);

/* One line for explain and tests: "0x1234 push rbp, emulated, 1 instruction after the entry: ..." */
void site_dump(const struct site *site, struct buf *out);

#endif
