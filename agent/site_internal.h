/* SPDX-License-Identifier: Apache-2.0 */
/* What one instruction means to a breakpoint: shared by site.c (the choice) and site_insn.c (one instruction). */
#ifndef PLUMB_SITE_INTERNAL_H
#define PLUMB_SITE_INTERNAL_H

#include <Zydis/Zydis.h>

#include "site.h"

/* Why the straight line from the entry cannot go on after an instruction. */
enum site_stop {
	STOP_NOT = 0,      /* it can */
	STOP_BRANCH,       /* jmp, jcc, loop, xbegin */
	STOP_CALL,
	STOP_RETURN,
	STOP_KERNEL,       /* syscall, int, ud2, hlt: may not come back, or come back twice */
	STOP_STACK,        /* moves the stack pointer */
	STOP_STORE,        /* writes memory that a capture could read */
	STOP_REGISTER,     /* overwrites a register that a capture needs */
};

struct insn {
	ZydisDecodedInstruction zydis;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	uint8_t length;
	uint8_t opcode;         /* as the kernel sees it: the one byte, or the one after 0f, 0f 38, 0f 3a, VEX */
	bool one_byte;          /* not in the 0f maps (a VEX opcode counts as one byte: so does the kernel) */
	bool operand_size;      /* has a 66 prefix */
	bool bad_prefix;        /* has one that the kernel refuses */
};

/* How a kernel treats a breakpoint on the instruction. */
struct treatment {
	bool refused;           /* by the kernel, or by us because the kernel would execute it wrongly */
	enum site_kind kind;    /* only if not refused */
	bool patched;           /* all 5 bytes are replaced */
};

/* Decodes one instruction of at most 15 bytes. False: not an instruction. */
bool insn_decode(const ZydisDecoder *decoder, const uint8_t *code, size_t len, struct insn *out);
void insn_treatment(const struct insn *insn, uint64_t addr, enum site_kernel kernel, struct treatment *out);
/* May the straight line go on after this instruction? keep_regs as in site_choose; *lost: the DWARF register of STOP_REGISTER. */
enum site_stop insn_stop(const struct insn *insn, uint32_t keep_regs, unsigned *lost);
/* Whether it writes below the stack pointer: nothing at a function's entry, a local in the middle of a leaf function. */
bool insn_writes_red_zone(const struct insn *insn);
/* Which kernel sites are chosen for. */
enum site_kernel site_kernel(void);
/* Intel syntax, branch targets as addresses in the file. */
void insn_text(const struct insn *insn, uint64_t addr, char *out, size_t out_len);

/* The lowest target of a direct branch within the function that lies above its entry, SIZE_MAX if there is none;
 * *loops: some jump (not call) goes to the entry itself. */
size_t site_first_target(const ZydisDecoder *decoder, const uint8_t *code, size_t len, bool *loops);

#endif
