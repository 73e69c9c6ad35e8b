/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of breakpoint sites, on functions assembled by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "plumb/event.h"
#include "site.h"

#define CODE(...) .code = (const uint8_t[]){ __VA_ARGS__ }, .len = sizeof((const uint8_t[]){ __VA_ARGS__ })
#define ENTRY 0x401000u
#define ARGS (1u << GPR_DI | 1u << GPR_SI | 1u << GPR_DX)
#define ENDBR64 0xf3, 0x0f, 0x1e, 0xfa
#define NOP5 0x0f, 0x1f, 0x44, 0x00, 0x00
#define PUSH_RBX 0x53
#define PUSH_R12 0x41, 0x54
#define RET 0xc3
#define SUB_RSP 0x48, 0x83, 0xec, 0x18   /* sub rsp, 0x18 */

struct example {
	const char *name;
	const uint8_t *code;
	size_t len;
	uint32_t keep;
	uint64_t entry;         /* 0: ENTRY */
	int error;              /* expected -errno, or 0 and what follows */
	uint32_t offset;
	enum site_kind kind;
	uint32_t distance;
	const char *reason;     /* a part of it, NULL: any */
	enum site_kernel older; /* 0: the newest */
	bool old;
};

static const struct example examples[] = {
	/* ---- what the kernel emulates, at the entry ---- */
	{ "push rbx", CODE(PUSH_RBX, RET), .kind = SITE_EMULATED, .reason = "entry is cheap" },
	{ "push r12", CODE(PUSH_R12, RET), .kind = SITE_EMULATED },
	{ "nop", CODE(0x90, RET), .kind = SITE_EMULATED },
	{ "xchg ax, ax", CODE(0x66, 0x90, RET), .kind = SITE_EMULATED },
	{ "3-byte nop", CODE(0x0f, 0x1f, 0x00, RET), .kind = SITE_EMULATED },
	{ "4-byte nop", CODE(0x0f, 0x1f, 0x40, 0x00, RET), .kind = SITE_EMULATED },
	{ "7-byte nop", CODE(0x0f, 0x1f, 0x80, 0, 0, 0, 0, RET), .kind = SITE_EMULATED },
	{ "8-byte nop", CODE(0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, RET), .kind = SITE_EMULATED },
	{ "6-byte nop", CODE(0x66, 0x0f, 0x1f, 0x44, 0, 0, RET), .kind = SITE_EMULATED },
	{ "jmp rel8", CODE(0xeb, 0x00, RET), .kind = SITE_EMULATED },
	{ "jmp rel32 out (a thunk)", CODE(0xe9, 0x10, 0x20, 0, 0), .kind = SITE_EMULATED },
	{ "jz rel8", CODE(0x74, 0x01, 0x90, RET), .kind = SITE_EMULATED },
	{ "jg rel32", CODE(0x0f, 0x8f, 1, 0, 0, 0, 0x90, RET), .kind = SITE_EMULATED },
	{ "call rel32", CODE(0xe8, 0x10, 0x20, 0, 0, RET), .kind = SITE_EMULATED },
	{ "bnd call", CODE(0xf2, 0xe8, 0x10, 0x20, 0, 0, RET), .kind = SITE_EMULATED },
	{ "nop5", CODE(NOP5, PUSH_RBX, RET), .kind = SITE_NOP5, .reason = "patches" },
	{ "nop5 of prefixes", CODE(0x66, 0x66, 0x66, 0x66, 0x90, RET), .kind = SITE_NOP5 },
	{ "nop5 across a page", CODE(NOP5, RET), .entry = 0x401ffc, .kind = SITE_EMULATED },
	{ "nop5 at the page's very end", CODE(NOP5, RET), .entry = 0x401ffb, .kind = SITE_NOP5 },

	/* ---- what it does not ---- */
	{ "ret", CODE(RET), .kind = SITE_STEPPED, .reason = "returns" },
	{ "endbr64; ret", CODE(ENDBR64, RET), .kind = SITE_STEPPED },
	{ "push word", CODE(0x66, 0x50, RET), .kind = SITE_STEPPED },
	{ "push with a REX that is not 41", CODE(0x48, 0x50, RET), .kind = SITE_STEPPED },
	{ "push imm8", CODE(0x6a, 0x01, RET), .kind = SITE_STEPPED, .reason = "stack pointer" },
	{ "push [rdi]", CODE(0xff, 0x37, RET), .kind = SITE_STEPPED },
	{ "pause", CODE(0xf3, 0x90, RET), .kind = SITE_STEPPED },
	{ "9-byte nop", CODE(0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, RET), .kind = SITE_STEPPED },
	{ "unusual nop", CODE(0x0f, 0x1f, 0x01, RET), .kind = SITE_STEPPED },
	{ "unusual nop, REX instead of 66", CODE(0x48, 0x0f, 0x1f, 0x44, 0, 0, RET), .kind = SITE_STEPPED },
	{ "unusual nop, REX", CODE(0x48, 0x0f, 0x1f, 0x00, RET), .kind = SITE_STEPPED },
	{ "unusual nop5 across a page", CODE(0x0f, 0x1f, 0x44, 0x24, 0x08, RET), .entry = 0x401ffc, .kind = SITE_STEPPED },
	{ "jmp rax", CODE(0xff, 0xe0), .kind = SITE_STEPPED, .reason = "branches" },
	{ "jmp [rip+0] (a PLT entry)", CODE(0xff, 0x25, 0, 0, 0, 0), .kind = SITE_STEPPED },
	{ "call rax", CODE(0xff, 0xd0, RET), .kind = SITE_STEPPED, .reason = "calls" },
	{ "jrcxz", CODE(0xe3, 0x00, RET), .kind = SITE_STEPPED },
	{ "loop", CODE(0xe2, 0x00, RET), .kind = SITE_STEPPED },
	{ "xbegin", CODE(0xc7, 0xf8, 0, 0, 0, 0, PUSH_RBX, RET), .kind = SITE_STEPPED },

	/* ---- the straight line ---- */
	{ "endbr64; push", CODE(ENDBR64, PUSH_RBX, RET), .offset = 4, .kind = SITE_EMULATED, .distance = 1, .reason = "return address" },
	{ "endbr64; push r12", CODE(ENDBR64, PUSH_R12, RET), .keep = ARGS, .offset = 4, .kind = SITE_EMULATED, .distance = 1 },
	{ "xor eax, eax; mov r8, rdi; test; push", CODE(0x31, 0xc0, 0x49, 0x89, 0xf8, 0x85, 0xff, PUSH_RBX, RET), .keep = ARGS,
	  .offset = 7, .kind = SITE_EMULATED, .distance = 3 },
	{ "test; jz: the branch itself", CODE(0x85, 0xff, 0x74, 0x01, PUSH_RBX, RET), .offset = 2, .kind = SITE_EMULATED, .distance = 1 },
	{ "test; call", CODE(0x85, 0xff, 0xe8, 0, 1, 0, 0, RET), .offset = 2, .kind = SITE_EMULATED, .distance = 1 },
	{ "load; push", CODE(0x48, 0x8b, 0x07, PUSH_RBX, RET), .keep = ARGS, .offset = 3, .kind = SITE_EMULATED, .distance = 1 },
	{ "the first among equals", CODE(ENDBR64, PUSH_RBX, 0x55, RET), .offset = 4, .kind = SITE_EMULATED, .distance = 1 },
	{ "store in the red zone; push", CODE(0x48, 0x89, 0x7c, 0x24, 0xf8, PUSH_RBX, RET), .keep = ARGS, .offset = 5, .kind = SITE_EMULATED,
	  .distance = 1 },

	/* ---- what ends it ---- */
	{ "sub rsp; push", CODE(SUB_RSP, PUSH_RBX, RET), .kind = SITE_STEPPED, .reason = "`sub rsp, 0x18`, which moves the stack pointer" },
	{ "endbr64; sub rsp; push", CODE(ENDBR64, SUB_RSP, PUSH_RBX, RET), .kind = SITE_STEPPED, .reason = "moves the stack pointer" },
	{ "pop; push", CODE(0x58, PUSH_RBX, RET), .kind = SITE_STEPPED, .reason = "stack pointer" },
	{ "leave; push", CODE(0xc9, PUSH_RBX, RET), .kind = SITE_STEPPED, .reason = "stack pointer" },
	{ "store over the return address", CODE(0x48, 0x89, 0x3c, 0x24, PUSH_RBX, RET), .keep = 1u << GPR_R9, .kind = SITE_STEPPED, .reason = "writes memory" },
	{ "store that reaches out of the red zone", CODE(0x48, 0x89, 0x7c, 0x24, 0xfc, PUSH_RBX, RET), .keep = 1u << GPR_R9, .kind = SITE_STEPPED,
	  .reason = "writes memory" },
	{ "store through an argument", CODE(0xc7, 0x07, 1, 0, 0, 0, PUSH_RBX, RET), .keep = 1u << GPR_R9, .kind = SITE_STEPPED, .reason = "writes memory" },
	{ "the same, nothing captured", CODE(0xc7, 0x07, 1, 0, 0, 0, PUSH_RBX, RET), .offset = 6, .kind = SITE_EMULATED, .distance = 1 },
	{ "rep stosd", CODE(0xf3, 0xab, PUSH_RBX, RET), .keep = 1u << GPR_R9, .kind = SITE_STEPPED, .reason = "writes memory" },
	{ "syscall", CODE(ENDBR64, 0x0f, 0x05, PUSH_RBX, RET), .kind = SITE_STEPPED, .reason = "may not come back" },
	{ "ud2", CODE(ENDBR64, 0x0f, 0x0b, PUSH_RBX, RET), .kind = SITE_STEPPED, .reason = "may not come back" },
	{ "ret before push", CODE(0x31, 0xc0, RET, PUSH_RBX), .kind = SITE_STEPPED, .reason = "returns" },
	{ "indirect call before push", CODE(0xff, 0xd0, PUSH_RBX, RET), .kind = SITE_STEPPED, .reason = "calls" },
	{ "jump table before push", CODE(0xff, 0x24, 0xfd, 0, 0, 0, 0, PUSH_RBX, RET), .kind = SITE_STEPPED, .reason = "branches" },
	{ "code ends in the line", CODE(0x31, 0xc0), .kind = SITE_STEPPED, .reason = "ends before" },
	{ "code cut in an instruction", CODE(0x31, 0xc0, 0x48, 0x81), .kind = SITE_STEPPED, .reason = "cannot be decoded" },

	/* ---- registers that captures need ---- */
	{ "mov edi, esi; push", CODE(0x89, 0xf7, PUSH_RBX, RET), .keep = ARGS, .kind = SITE_STEPPED, .reason = "captured rdi" },
	{ "the same, rdi not wanted", CODE(0x89, 0xf7, PUSH_RBX, RET), .keep = 1u << GPR_SI, .offset = 2, .kind = SITE_EMULATED, .distance = 1 },
	{ "mov dil, 1: a part", CODE(0x40, 0xb7, 0x01, PUSH_RBX, RET), .keep = ARGS, .kind = SITE_STEPPED, .reason = "captured rdi" },
	{ "mov dh, 1: the other part", CODE(0xb6, 0x01, PUSH_RBX, RET), .keep = ARGS, .kind = SITE_STEPPED, .reason = "captured rdx" },
	{ "mul rdi writes rdx", CODE(0x48, 0xf7, 0xe7, PUSH_RBX, RET), .keep = ARGS, .kind = SITE_STEPPED, .reason = "captured rdx" },
	{ "cqo writes rdx", CODE(0x48, 0x99, PUSH_RBX, RET), .keep = ARGS, .kind = SITE_STEPPED, .reason = "captured rdx" },
	{ "cmovz rdi, rsi: perhaps", CODE(0x48, 0x0f, 0x44, 0xfe, PUSH_RBX, RET), .keep = ARGS, .kind = SITE_STEPPED, .reason = "captured rdi" },
	{ "lodsb moves rsi", CODE(0xac, PUSH_RBX, RET), .keep = ARGS, .kind = SITE_STEPPED, .reason = "captured rsi" },
	{ "mov r8d, edi: r8 wanted", CODE(0x41, 0x89, 0xf8, PUSH_RBX, RET), .keep = 1u << GPR_R8, .kind = SITE_STEPPED, .reason = "captured r8" },
	{ "the wanted stack pointer is kept anyway", CODE(ENDBR64, PUSH_RBX, RET), .keep = 1u << GPR_SP, .offset = 4, .kind = SITE_EMULATED,
	  .distance = 1 },

	/* ---- jumps within the function ---- */
	{ "back to the push", CODE(0x85, 0xff, PUSH_RBX, 0x90, 0xeb, 0xfc), .kind = SITE_STEPPED, .reason = "jumps back" },
	{ "back to before the push", CODE(0x31, 0xc0, 0x85, 0xff, PUSH_RBX, 0x5b, 0x75, 0xfa, RET), .kind = SITE_STEPPED, .reason = "jumps back" },
	{ "back to after the push", CODE(0x85, 0xff, PUSH_RBX, 0x90, 0x75, 0xfd, RET), .offset = 2, .kind = SITE_EMULATED, .distance = 1 },
	{ "back to the entry", CODE(0x85, 0xff, PUSH_RBX, 0x5b, 0x75, 0xfa, RET), .offset = 2, .kind = SITE_EMULATED, .distance = 1,
	  .reason = "jumps back to the entry count as calls" },
	{ "recursion is not a loop", CODE(PUSH_RBX, 0xe8, 0xfa, 0xff, 0xff, 0xff, 0x5b, RET), .kind = SITE_EMULATED, .reason = "the entry is cheap" },
	{ "a target behind bytes that are no code", CODE(0x85, 0xff, PUSH_RBX, RET, 0x06, 0xeb, 0xfb), .kind = SITE_STEPPED,
	  .reason = "jumps back" },

	/* ---- 5-byte nops that are not at the entry ---- */
	{ "test; nop5; push", CODE(0x85, 0xff, NOP5, PUSH_RBX, RET), .offset = 7, .kind = SITE_EMULATED, .distance = 2 },
	{ "endbr64; nop5; ret", CODE(ENDBR64, NOP5, RET), .kind = SITE_STEPPED },
	{ "test; jmp +0 in 5 bytes; ret", CODE(0x85, 0xff, 0xe9, 0, 0, 0, 0, RET), .kind = SITE_STEPPED },

	/* ---- what the kernel refuses ---- */
	{ "int3", CODE(0xcc, PUSH_RBX), .error = EOPNOTSUPP },
	{ "hlt", CODE(0xf4, PUSH_RBX), .error = EOPNOTSUPP },
	{ "int 0x80", CODE(0xcd, 0x80, PUSH_RBX), .error = EOPNOTSUPP },
	{ "lock inc [rdi]; push: a later one", CODE(0xf0, 0xff, 0x07, PUSH_RBX), .offset = 3, .kind = SITE_EMULATED, .distance = 1 },
	{ "lock inc [rdi], captured memory", CODE(0xf0, 0xff, 0x07, PUSH_RBX), .keep = ARGS, .error = EOPNOTSUPP },
	{ "notrack jmp rax", CODE(0x3e, 0xff, 0xe0), .error = EOPNOTSUPP },
	{ "call with an operand-size prefix", CODE(0x66, 0xe8, 0, 0, 0, 0), .error = EOPNOTSUPP },
	{ "cs nop; push: a later one", CODE(0x2e, 0x0f, 0x1f, 0x40, 0x00, PUSH_RBX, RET), .offset = 5, .kind = SITE_EMULATED, .distance = 1 },
	{ "vpxor; vzeroupper; ret: a later one", CODE(0xc5, 0xf9, 0xef, 0xc0, 0xc5, 0xf8, 0x77, RET), .offset = 7, .kind = SITE_STEPPED,
	  .distance = 2, .reason = "no breakpoint" },
	/* ... and what it would execute wrongly */
	{ "xchg r8d, eax, taken for a nop", CODE(0x41, 0x90, RET), .offset = 2, .kind = SITE_STEPPED, .distance = 1, .reason = "no breakpoint" },
	{ "vpcmpeqd, taken for a jbe", CODE(0xc5, 0xf9, 0x76, 0xc0), .error = EOPNOTSUPP },
	{ "vcmpps, taken for a ret", CODE(0xc5, 0xf8, 0xc2, 0xc0, 0x00), .error = EOPNOTSUPP },
	{ "vpor, taken for a jmp", CODE(0xc5, 0xf9, 0xeb, 0xc0), .error = EOPNOTSUPP },
	{ "vmovups is fine", CODE(0xc5, 0xf8, 0x10, 0x07, RET), .kind = SITE_STEPPED },
	{ "no instruction", CODE(0x06), .error = EILSEQ },
	{ "half an instruction", CODE(0x48, 0x81, 0xec), .error = EILSEQ },

	/* ---- older kernels ---- */
	{ "nop5 before 6.18", CODE(NOP5, PUSH_RBX, RET), .kind = SITE_EMULATED, .old = true, .older = SITE_KERNEL_NOPS },
	{ "nop5 before 6.17", CODE(NOP5, PUSH_RBX, RET), .offset = 5, .kind = SITE_EMULATED, .distance = 1, .old = true },
	{ "xchg ax, ax before 6.17", CODE(0x66, 0x90, PUSH_RBX, RET), .offset = 2, .kind = SITE_EMULATED, .distance = 1, .old = true },
	{ "nop before 6.17", CODE(0x90, RET), .kind = SITE_EMULATED, .old = true },
};

static void fail_example(const struct example *e, const struct site *site, int rc, const struct error *err)
{
	fail_msg("%s: got %d, +%llu, %s, %u after the entry: %s (%s)", e->name, rc, (unsigned long long)site->addr,
		 site_kind_name(site->kind), site->distance, site->reason, err->text);
}

static void check_example(const struct example *e, bool want_return)
{
	uint64_t entry = e->entry ? e->entry : ENTRY;
	struct error err = { 0 };
	struct site site;
	int rc;

	memset(&site, 0xff, sizeof(site));
	site_kernel_set(e->old ? e->older : SITE_KERNEL_NOP5);
	rc = site_choose(e->code, e->len, entry, e->keep, want_return, &site, &err);
	site_kernel_set(SITE_KERNEL_NOP5);
	if (e->error) {
		if (rc != -e->error || err.code != e->error || err.text[0] == '\0')
			fail_msg("%s: got %d (%s), expected %d", e->name, rc, err.text, -e->error);
		return;
	}
	if (rc != 0 || site.addr != entry + e->offset || site.kind != e->kind || site.distance != e->distance)
		fail_example(e, &site, rc, &err);
	if (e->reason && want_return && !strstr(site.reason, e->reason))
		fail_example(e, &site, rc, &err);
	if (memcmp(site.bytes, e->code + e->offset, site.length) != 0 || site.text[0] == '\0' || site.reason[0] == '\0')
		fail_example(e, &site, rc, &err);
}

static void examples_are_chosen_as_expected(void **state)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		check_example(&examples[i], true);
		check_example(&examples[i], false);
	}
}

/* Whatever is cut off: an answer or an error, never a byte beyond the end (the sanitizer sees that). */
static void every_prefix_of_every_example_is_safe(void **state)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		for (size_t len = 0; len < examples[i].len; len++) {
			uint8_t *code = test_malloc(len + 1);
			struct site site;
			int rc;

			memcpy(code, examples[i].code, len);
			rc = site_choose(code, len, ENTRY, ARGS, true, &site, NULL);
			assert_true(rc == 0 || rc == -EILSEQ || rc == -EOPNOTSUPP);
			if (rc == 0)
				assert_true(site.addr + site.length <= ENTRY + len);
			test_free(code);
		}
	}
}

static void a_long_function_is_bounded(void **state)
{
	size_t len = 3u << 20;
	uint8_t *code = test_malloc(len);
	struct site site;

	memset(code, 0xf3, len);        /* prefixes only: never decodes */
	assert_int_equal(site_choose(code, len, ENTRY, 0, true, &site, NULL), -EILSEQ);
	for (size_t i = 0; i + 1 < len; i += 2)
		memcpy(code + i, "\x31\xc0", 2); /* xor eax, eax for ever */
	assert_int_equal(site_choose(code, len, ENTRY, 0, true, &site, NULL), 0);
	assert_int_equal(site.kind, SITE_STEPPED);
	assert_non_null(strstr(site.reason, "within reach"));
	test_free(code);
}

static void dump_is_one_line(void **state)
{
	static const uint8_t code[] = { ENDBR64, 0x55, RET };
	struct buf out = { 0 };
	struct site site;

	assert_int_equal(site_choose(code, sizeof(code), 0x1230, ARGS, true, &site, NULL), 0);
	site_dump(&site, &out);
	assert_string_equal(buf_text(&out), "0x1234 push rbp, emulated, 1 instruction after the entry: "
			    "first cheap instruction, return address still on top");
	buf_clear(&out);
	assert_int_equal(site_choose(code, 4, 0x1230, ARGS, true, &site, NULL), 0);
	site_dump(&site, &out);
	assert_string_equal(buf_text(&out), "0x1230 endbr64, single-stepped, at the entry: the function ends before any cheap instruction");
	buf_free(&out);
}

/* ---- source lines ---- */

/* The line begins `start` bytes into the function and ends at `end`. */
static const struct line_example {
	const char *why;
	const uint8_t *code;
	size_t len, start, end, next_statement;
	uint32_t keep;
	size_t site;                    /* SIZE_MAX: refused */
	enum site_kind kind;
} lines[] = {
#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
	{ "the first cheap one", BYTES(0x55, 0x31, 0xc0, 0x89, 0xc2, 0xe8, 0, 0, 0, 0, 0xc3), 1, 10, 10, 0, 5, SITE_EMULATED },
	{ "not beyond the line", BYTES(0x55, 0x31, 0xc0, 0x89, 0xc2, 0xe8, 0, 0, 0, 0, 0xc3), 1, 5, 5, 0, 1, SITE_STEPPED },
	{ "a captured register is overwritten before it", BYTES(0x55, 0x31, 0xc0, 0x89, 0xc2, 0xe8, 0, 0, 0, 0, 0xc3), 1, 10, 10, 1u << GPR_AX, 1, SITE_STEPPED },
	{ "another one is not", BYTES(0x55, 0x31, 0xc0, 0x89, 0xc2, 0xe8, 0, 0, 0, 0, 0xc3), 1, 10, 10, 1u << GPR_BX, 5, SITE_EMULATED },
	/* mov [rsp-8], edi; jmp */
	{ "a local in the red zone changes", BYTES(0x90, 0x89, 0x7c, 0x24, 0xf8, 0xeb, 0, 0xc3), 1, 7, 7, 1u << GPR_SP, 1, SITE_STEPPED },
	{ "of no interest if nothing is captured", BYTES(0x90, 0x89, 0x7c, 0x24, 0xf8, 0xeb, 0, 0xc3), 1, 7, 7, 0, 5, SITE_EMULATED },
	/* sub rsp, 8; push rax */
	{ "the stack pointer may move", BYTES(0x90, 0x48, 0x83, 0xec, 8, 0x50, 0xc3), 1, 6, 6, 0, 5, SITE_EMULATED },
	{ "unless a capture goes by it", BYTES(0x90, 0x48, 0x83, 0xec, 8, 0x50, 0xc3), 1, 6, 6, 1u << GPR_SP, 1, SITE_STEPPED },
	/* xor; xor; nop; jmp to the second xor */
	{ "what is jumped to in between is passed without the beginning", BYTES(0x90, 0x31, 0xc0, 0x31, 0xd2, 0x90, 0xeb, 0xfb), 1, 6, 6, 0, 1, SITE_STEPPED },
	{ "a jump to the beginning is a pass", BYTES(0x90, 0x31, 0xc0, 0x31, 0xd2, 0x90, 0xeb, 0xf9), 1, 6, 6, 0, 5, SITE_EMULATED },
	/* xor; nop; jmp rax */
	{ "a switch may lead to the next statement", BYTES(0x90, 0x31, 0xc0, 0x90, 0xff, 0xe0), 1, 4, 3, 0, 1, SITE_STEPPED },
	{ "but to no instruction in a statement", BYTES(0x90, 0x31, 0xc0, 0x90, 0xff, 0xe0), 1, 4, 4, 0, 3, SITE_EMULATED },
	{ "a call may not come back", BYTES(0x90, 0xff, 0xd0, 0x90, 0xc3), 1, 4, 4, 0, 1, SITE_STEPPED },
	{ "a patched nop would write below the stack pointer", BYTES(0x90, 0x0f, 0x1f, 0x44, 0, 0, 0x31, 0xc0, 0x90, 0xc3), 1, 9, 9, 0, 8, SITE_EMULATED },
	{ "at the entry nothing lies there", BYTES(0x0f, 0x1f, 0x44, 0, 0, 0x31, 0xc0, 0xc3), 0, 7, 7, 0, 0, SITE_NOP5 },
	/* vpcmpeqd xmm0, xmm0, xmm0: the kernel would take it for a jbe */
	{ "what the kernel executes wrongly", BYTES(0x90, 0xc5, 0xf9, 0x76, 0xc0, 0xc3), 1, 5, 5, 0, SIZE_MAX, 0 },
	{ "and what comes behind it", BYTES(0x90, 0xc5, 0xf9, 0x76, 0xc0, 0x90, 0xc3), 1, 6, 6, 0, 5, SITE_EMULATED },
	{ "no instruction", BYTES(0x90, 0x06, 0xc3), 1, 3, 3, 0, SIZE_MAX, 0 },
#undef BYTES
};

static void lines_are_chosen_as_expected(void **state)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const struct line_example *e = &lines[i];
		uint8_t *code = test_malloc(e->len);      /* to the byte, for sanitizers */
		const struct site_code part = { code, ENTRY, e->len };
		struct site_line line = { .start = ENTRY + e->start, .end = ENTRY + e->end, .next_statement = ENTRY + e->next_statement,
					  .entry = ENTRY, .keep_regs = e->keep, .code = &part, .n_code = 1 };
		struct error err = { 0 };
		struct site site;
		int rc;

		memcpy(code, e->code, e->len);
		rc = site_choose_line(&line, &site, &err);
		if ((rc != 0) != (e->site == SIZE_MAX) || (!rc && (site.addr != ENTRY + e->site || site.kind != e->kind)))
			fail_msg("%s: %d, 0x%lx %s (%s)", e->why, rc, rc ? 0 : site.addr - ENTRY, rc ? "" : site.text, err.text);
		assert_true(rc == 0 || err.text[0]);
		test_free(code);
	}
}

/* A cold part of the function jumps back into the line. */
static void jumps_from_other_parts_are_seen(void **state)
{
	static const uint8_t hot[] = { 0x90, 0x31, 0xc0, 0x31, 0xd2, 0x90, 0xc3 }, cold[] = { 0xe9, 0xfe, 0xef, 0xff, 0xff };
	const struct site_code parts[] = { { hot, ENTRY, sizeof(hot) }, { cold, ENTRY + 0x1000, sizeof(cold) } };
	struct site_line line = { .start = ENTRY + 1, .end = ENTRY + 6, .next_statement = ENTRY + 6, .code = parts, .n_code = 2 };
	struct site site;

	assert_int_equal(site_choose_line(&line, &site, NULL), 0);
	assert_int_equal(site.addr, ENTRY + 1);
	line.n_code = 1;
	assert_int_equal(site_choose_line(&line, &site, NULL), 0);
	assert_int_equal(site.addr, ENTRY + 5);
	line.start = ENTRY + 0x2000;
	assert_int_equal(site_choose_line(&line, &site, NULL), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_are_chosen_as_expected),
		cmocka_unit_test(every_prefix_of_every_example_is_safe),
		cmocka_unit_test(a_long_function_is_bounded),
		cmocka_unit_test(dump_is_one_line),
		cmocka_unit_test(lines_are_chosen_as_expected),
		cmocka_unit_test(jumps_from_other_parts_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
