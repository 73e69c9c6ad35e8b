/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instruction, as the kernel's x86 uprobes see it.
 *
 * At attach time the kernel decodes the instruction under the breakpoint and puts it into one of three classes:
 * refused, emulated in the trap, or copied to a page of its own and single-stepped there.  The rules below are
 * those of arch/x86/kernel/uprobes.c, from 5.15 on, and bench/site_costs measures that they hold:
 *
 *  - refused: the prefixes lock, cs, ds, es and ss (also on a `cs nopw` or a `notrack jmp`); a direct branch with an
 *    operand-size prefix; `mov ss`; and some one-byte opcodes.  The 0f maps are never refused: 0f itself is a good
 *    one-byte opcode.
 *  - emulated: jmp, jcc and call with a relative target, push of a general register with no prefix but REX 41,
 *    the one-byte nop; since 6.17 the usual nops of up to 8 bytes.
 *  - patched: since 6.18, whatever the kernel takes for a nop and is 5 bytes long; newer kernels count
 *    `lea 0(%reg), %reg` and `jmp +0` among them.  It becomes a call, which writes below the stack pointer.
 *
 * And the kernel errs.  It looks a VEX or EVEX instruction's opcode up among the one-byte opcodes of old: vpxor (ef)
 * and vmovdqa (6f) are refused for `out` and `outs`, which is only a pity; but vpcmpeqd (76) is taken for a `jbe` and
 * never executed, and after vcmpps (c2, a `ret`) the program goes on in the wrong place and dies.  It also takes `xchg
 * r8, rax` (41 90) for a nop.  All of these are treated as refused here.
 */
#include "site_internal.h"

#include <stdio.h>
#include <string.h>

#include "plumb/event.h"

enum { PAGE_BYTES = 4096 };

/* One-byte opcodes (and VEX opcodes) that the kernel does not single-step, beside those that 64-bit mode does not have. */
static const uint8_t refused_opcodes[] = {
	0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x62,
	0x6c, 0x6d, 0x6e, 0x6f,         /* ins, outs */
	0x82, 0x9a,
	0xcc, 0xcd, 0xce, 0xcf,         /* int3, int, iret */
	0xd4, 0xd5, 0xd6,
	0xe4, 0xe5, 0xe6, 0xe7, 0xea, 0xec, 0xed, 0xee, 0xef, /* in, out */
	0xf1, 0xf4, 0xfa, 0xfb,         /* int1, hlt, cli, sti */
};

/* Opcodes of VEX and EVEX instructions that the kernel takes for a branch, a nop, a popf, a ret or a group 5. */
static const uint8_t mistaken_opcodes[] = {
	0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f,
	0x90, 0x9d, 0xc2, 0xc3, 0xca, 0xcb, 0xe8, 0xe9, 0xeb, 0xff,
};

static bool is_legacy(const struct insn *insn)
{
	return insn->zydis.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
}

/* The raw bytes count: Zydis reports a segment prefix only where it has an effect. */
static void note_prefixes(struct insn *insn)
{
	for (unsigned i = 0; i < insn->zydis.raw.prefix_count; i++) {
		switch (insn->zydis.raw.prefixes[i].value) {
		case 0x26: case 0x2e: case 0x36: case 0x3e: case 0xf0:
			insn->bad_prefix = true;
			break;
		case 0x66:
			insn->operand_size = true;
			break;
		}
	}
}

bool insn_decode(const ZydisDecoder *decoder, const uint8_t *code, size_t len, struct insn *out)
{
	memset(out, 0, sizeof(*out));
	if (len > ZYDIS_MAX_INSTRUCTION_LENGTH)
		len = ZYDIS_MAX_INSTRUCTION_LENGTH;
	if (ZYAN_FAILED(ZydisDecoderDecodeFull(decoder, code, len, &out->zydis, out->operands)))
		return false;
	out->length = out->zydis.length;
	out->opcode = out->zydis.opcode;
	out->one_byte = !is_legacy(out) || out->zydis.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT;
	note_prefixes(out);
	return true;
}

static bool is_relative_branch(const struct insn *insn)
{
	uint8_t op = insn->opcode;

	if (!is_legacy(insn))
		return false;
	if (insn->one_byte)
		return op == 0xe8 || op == 0xe9 || op == 0xeb || (op >= 0x70 && op <= 0x7f);
	return insn->zydis.opcode_map == ZYDIS_OPCODE_MAP_0F && op >= 0x80 && op <= 0x8f;
}

/* push of a general register: one byte, or two with REX.B alone. */
static bool is_plain_push(const struct insn *insn)
{
	if (!is_legacy(insn) || !insn->one_byte || insn->opcode < 0x50 || insn->opcode > 0x57)
		return false;
	return insn->length == 1 ||
	       (insn->length == 2 && insn->zydis.raw.prefix_count == 1 && insn->zydis.raw.prefixes[0].value == 0x41);
}

/* Zydis tells `pause` and `xchg r8, rax` from a nop already. */
static bool is_nop(const struct insn *insn)
{
	if (!is_legacy(insn) || insn->zydis.mnemonic != ZYDIS_MNEMONIC_NOP)
		return false;
	if (insn->one_byte)
		return insn->opcode == 0x90;
	return insn->zydis.opcode_map == ZYDIS_OPCODE_MAP_0F && insn->opcode == 0x1f && insn->zydis.raw.modrm.reg == 0;
}

/* The form that compilers and assemblers write, with a displacement of zero; 6.17 and 6.18 emulate no other. */
static bool is_usual_nop(const struct insn *insn)
{
	const ZydisDecodedInstructionRaw *raw = &insn->zydis.raw;

	if (!is_nop(insn) || insn->length > 8)
		return false;
	if (insn->one_byte)
		return true;
	/* Only the one of 6 bytes has a prefix, 66. */
	if (raw->disp.value != 0 || raw->modrm.mod == 3 || raw->prefix_count != (insn->length == 6) ||
	    insn->operand_size != (insn->length == 6))
		return false;
	/* [rax] or [rax+rax] */
	return raw->modrm.rm == 0 || (raw->modrm.rm == 4 && raw->sib.scale == 0 && raw->sib.index == 0 && raw->sib.base == 0);
}

static bool is_patched(const struct insn *insn)
{
	if (insn->length != 5 || !is_legacy(insn))
		return false;
	if (is_nop(insn) || (insn->one_byte && insn->opcode == 0x8d))
		return true;
	return insn->one_byte && insn->opcode == 0xe9 && insn->zydis.raw.imm[0].value.s == 0;
}

/* The kernel would allow the breakpoint and not execute the instruction, or execute it wrongly. */
static bool is_mistaken(const struct insn *insn)
{
	if (is_legacy(insn))
		return insn->one_byte && insn->opcode == 0x90 && insn->zydis.mnemonic == ZYDIS_MNEMONIC_XCHG;
	if (insn->zydis.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP)
		return true; /* the kernel's decoder does not know them */
	return memchr(mistaken_opcodes, insn->opcode, sizeof(mistaken_opcodes));
}

static bool is_refused(const struct insn *insn, enum site_kernel kernel)
{
	if (insn->bad_prefix || is_mistaken(insn))
		return true;
	if (is_relative_branch(insn) && insn->operand_size)
		return true;
	if (is_nop(insn) && insn->one_byte && insn->operand_size && kernel < SITE_KERNEL_NOPS)
		return true;
	if (is_legacy(insn) && insn->one_byte && insn->opcode == 0x8e && insn->zydis.raw.modrm.reg == 2)
		return true; /* mov ss masks the single-step trap */
	return insn->one_byte && memchr(refused_opcodes, insn->opcode, sizeof(refused_opcodes));
}

static bool is_emulated(const struct insn *insn, enum site_kernel kernel)
{
	bool nop = kernel < SITE_KERNEL_NOPS ? is_nop(insn) && insn->length == 1 : is_usual_nop(insn);

	return nop || is_relative_branch(insn) || is_plain_push(insn);
}

void insn_treatment(const struct insn *insn, uint64_t addr, enum site_kernel kernel, struct treatment *out)
{
	memset(out, 0, sizeof(*out));
	out->refused = is_refused(insn, kernel);
	/* Not across a page boundary. */
	out->patched = kernel >= SITE_KERNEL_NOP5 && is_patched(insn) && addr % PAGE_BYTES + insn->length <= PAGE_BYTES;
	if (is_nop(insn) && out->patched)
		out->kind = SITE_NOP5;
	else
		out->kind = is_emulated(insn, kernel) ? SITE_EMULATED : SITE_STEPPED;
}

/* DWARF number of a general register, by its number in an instruction's encoding. */
static const uint8_t dwarf_of[GPR_COUNT] = {
	GPR_AX, GPR_CX, GPR_DX, GPR_BX, GPR_SP, GPR_BP, GPR_SI, GPR_DI,
	GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15,
};

static int dwarf_register(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15)
		return -1;
	return dwarf_of[whole - ZYDIS_REGISTER_RAX];
}

/* Any write counts: of a part, by an operand that is not printed, or under a condition. */
static uint32_t written_registers(const struct insn *insn)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < insn->zydis.operand_count; i++) {
		const ZydisDecodedOperand *op = &insn->operands[i];
		int reg;

		if (op->type != ZYDIS_OPERAND_TYPE_REGISTER || !(op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		reg = dwarf_register(op->reg.value);
		if (reg >= 0)
			mask |= 1u << reg;
	}
	return mask;
}

/* Below the stack pointer nothing lives at a function's entry, so a store there (the red zone) hides nothing. */
static bool is_red_zone(const ZydisDecodedOperand *op)
{
	int64_t size = op->size / 8;

	return op->mem.base == ZYDIS_REGISTER_RSP && op->mem.index == ZYDIS_REGISTER_NONE && op->mem.disp.has_displacement &&
	       op->mem.disp.value >= -128 && op->mem.disp.value + size <= 0;
}

static bool writes_memory(const struct insn *insn)
{
	for (unsigned i = 0; i < insn->zydis.operand_count; i++) {
		const ZydisDecodedOperand *op = &insn->operands[i];

		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) && !is_red_zone(op))
			return true;
	}
	return false;
}

bool insn_writes_red_zone(const struct insn *insn)
{
	for (unsigned i = 0; i < insn->zydis.operand_count; i++) {
		const ZydisDecodedOperand *op = &insn->operands[i];

		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) && is_red_zone(op))
			return true;
	}
	return false;
}

static enum site_stop control_stop(const struct insn *insn)
{
	switch (insn->zydis.meta.category) {
	case ZYDIS_CATEGORY_COND_BR: case ZYDIS_CATEGORY_UNCOND_BR:
		return STOP_BRANCH;
	case ZYDIS_CATEGORY_CALL:
		return STOP_CALL;
	case ZYDIS_CATEGORY_RET:
		return STOP_RETURN;
	case ZYDIS_CATEGORY_SYSCALL: case ZYDIS_CATEGORY_SYSRET: case ZYDIS_CATEGORY_INTERRUPT: case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_IO: case ZYDIS_CATEGORY_IOSTRINGOP: case ZYDIS_CATEGORY_UINTR: case ZYDIS_CATEGORY_VTX:
	case ZYDIS_CATEGORY_SGX:
		return STOP_KERNEL;
	default:
		break;
	}
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_UD0: case ZYDIS_MNEMONIC_UD1: case ZYDIS_MNEMONIC_UD2: case ZYDIS_MNEMONIC_HLT:
	case ZYDIS_MNEMONIC_XABORT:
		return STOP_KERNEL;
	default:
		/* Whatever else writes rip or is privileged. */
		return insn->zydis.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED ? STOP_KERNEL :
		       insn->zydis.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE ? STOP_BRANCH : STOP_NOT;
	}
}

enum site_stop insn_stop(const struct insn *insn, uint32_t keep_regs, unsigned *lost)
{
	enum site_stop stop = control_stop(insn);
	uint32_t written = written_registers(insn), spoilt = written & keep_regs & ~(1u << GPR_SP);

	if (stop != STOP_NOT)
		return stop;
	if (written & (1u << GPR_SP))
		return STOP_STACK;
	if (spoilt) {
		*lost = (unsigned)__builtin_ctz(spoilt);
		return STOP_REGISTER;
	}
	return keep_regs && writes_memory(insn) ? STOP_STORE : STOP_NOT;
}

void insn_text(const struct insn *insn, uint64_t addr, char *out, size_t out_len)
{
	ZydisFormatter formatter;
	char text[256];

	if (ZYAN_FAILED(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)) ||
	    ZYAN_FAILED(ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE)) ||
	    ZYAN_FAILED(ZydisFormatterFormatInstruction(&formatter, &insn->zydis, insn->operands,
							insn->zydis.operand_count_visible, text, sizeof(text), addr, NULL)))
		snprintf(text, sizeof(text), "(cannot be printed)");
	snprintf(out, out_len, "%.*s", (int)out_len - 1, text);
}

/* The target of a direct branch as an offset from the entry; false for all else, and for targets outside. */
static bool direct_target(const ZydisDecodedInstruction *insn, size_t at, size_t len, size_t *target)
{
	int64_t to;

	if (!insn->raw.imm[0].is_relative)
		return false;
	to = (int64_t)at + insn->length + insn->raw.imm[0].value.s;
	if (to < 0 || (uint64_t)to >= len)
		return false;
	*target = (size_t)to;
	return true;
}

/*
 * One sweep over the whole function.  A byte that does not decode is skipped alone: should the sweep lose the
 * instruction boundary in data between the code, it finds targets that are none, which only costs a cheaper site.
 * Targets of indirect jumps are not known.  They do no harm: a compiler's jump table leads to what comes after
 * the dispatch through it, and the line that sites are taken from ends at the first branch.
 */
size_t site_first_target(const ZydisDecoder *decoder, const uint8_t *code, size_t len, bool *loops)
{
	size_t first = SIZE_MAX, at = 0;

	*loops = false;
	while (at < len) {
		ZydisDecodedInstruction insn;
		size_t left = len - at, target;

		if (left > ZYDIS_MAX_INSTRUCTION_LENGTH)
			left = ZYDIS_MAX_INSTRUCTION_LENGTH;
		if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(decoder, NULL, code + at, left, &insn))) {
			at++;
			continue;
		}
		if (direct_target(&insn, at, len, &target)) {
			if (target == 0)
				*loops |= insn.meta.category != ZYDIS_CATEGORY_CALL; /* a call is plain recursion */
			else if (target < first)
				first = target;
		}
		at += insn.length;
	}
	return first;
}
