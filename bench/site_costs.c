/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site_costs: what a breakpoint costs on each class of instruction, and whether agent/site_insn.c is right about it.
 *
 * First the table that the agent calibrates itself with.  Then one line per instruction: its bytes are put into
 * an executable file in memory, probed with an empty BPF program, and run.  "is" tells by what the kernel does:
 * refused (the attach fails), patched (the code has become a call), single-stepped (the process has got the kernel's
 * page for it), emulated, or executed wrongly (the function returns something else than without the probe, or dies).
 * Exit code 1 if one is dearer than predicted, or not safe though predicted to be; cheaper is fine (a newer kernel).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "calibrate.h"
#include "feature.h"
#include "multi.h"
#include "site_internal.h"
#include "trial.h"

enum { PAGE = 4096, BATCHES = 7, CALLS = 200, CODE_MAX = 32 };

#define CODE(...) { __VA_ARGS__ }, sizeof((const uint8_t[])CODE_LIST(__VA_ARGS__))
#define CODE_LIST(...) { __VA_ARGS__ }
#define RET 0xc3
#define NOP9 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0

/* The instruction in question, and what makes it a function that returns. */
static const struct example {
	const char *name;
	uint8_t code[CODE_MAX];
	size_t len;
	bool attach_only;    /* cannot be run */
	size_t at;           /* offset of the instruction */
} examples[] = {
	{ "nop", CODE(0x90, RET), false, 0 },
	{ "xchg ax, ax (66 nop)", CODE(0x66, 0x90, RET), false, 0 },
	{ "3-byte nop", CODE(0x0f, 0x1f, 0x00, RET), false, 0 },
	{ "5-byte nop", CODE(0x0f, 0x1f, 0x44, 0x00, 0x00, RET), false, 0 },
	{ "5-byte nop of prefixes", CODE(0x66, 0x66, 0x66, 0x66, 0x90, RET), false, 0 },
	{ "6-byte nop", CODE(0x66, 0x0f, 0x1f, 0x44, 0, 0, RET), false, 0 },
	{ "8-byte nop", CODE(0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, RET), false, 0 },
	{ "nopl (rcx)", CODE(0x0f, 0x1f, 0x01, RET), false, 0 },
	{ "9-byte nop", CODE(0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, RET), false, 0 },
	{ "push rbx", CODE(0x53, 0x5b, RET), false, 0 },
	{ "push r12", CODE(0x41, 0x54, 0x41, 0x5c, RET), false, 0 },
	{ "jmp rel8", CODE(0xeb, 0x01, 0x90, RET), false, 0 },
	{ "jmp rel32", CODE(0xe9, 1, 0, 0, 0, 0x90, RET), false, 0 },
	{ "jz rel8", CODE(0x74, 0x01, 0x90, RET), false, 0 },
	{ "jnz rel32", CODE(0x0f, 0x85, 1, 0, 0, 0, 0x90, RET), false, 0 },
	{ "call rel32", CODE(0xe8, 1, 0, 0, 0, RET, RET), false, 0 },
	{ "bnd call rel32", CODE(0xf2, 0xe8, 1, 0, 0, 0, RET, RET), false, 0 },
	{ "endbr64", CODE(0xf3, 0x0f, 0x1e, 0xfa, RET), false, 0 },
	{ "sub rsp, 8", CODE(0x48, 0x83, 0xec, 0x08, 0x48, 0x83, 0xc4, 0x08, RET), false, 0 },
	{ "mov rax, rdi", CODE(0x48, 0x89, 0xf8, RET), false, 0 },
	{ "mov eax, [rip]", CODE(0x8b, 0x05, 0, 0, 0, 0, RET), false, 0 },
	{ "test edi, edi", CODE(0x85, 0xff, RET), false, 0 },
	{ "xor eax, eax", CODE(0x31, 0xc0, RET), false, 0 },
	{ "lea rax, [rdi+1]", CODE(0x48, 0x8d, 0x47, 0x01, RET), false, 0 },
	{ "cmp edi, 1", CODE(0x83, 0xff, 0x01, RET), false, 0 },
	{ "ret", CODE(RET), false, 0 },
	{ "pause", CODE(0xf3, 0x90, RET), false, 0 },
	{ "push imm8", CODE(0x6a, 0x01, 0x58, RET), false, 0 },
	{ "push word", CODE(0x66, 0x50, 0x66, 0x58, RET), false, 0 },
	{ "pop rax", CODE(0x58, 0x50, 0x31, 0xc0, RET), false, 0 },
	{ "jrcxz", CODE(0xe3, 0x00, RET), false, 0 },
	{ "pxor xmm0, xmm0", CODE(0x66, 0x0f, 0xef, 0xc0, RET), false, 0 },
	{ "vmovups (VEX 10)", CODE(0xc5, 0xf8, 0x10, 0xc1, RET), false, 0 },
	{ "vpcmpeqd (VEX 76, a jbe)", CODE(0xc5, 0xf9, 0x76, 0xc0, 0xc5, 0xf9, 0x7e, 0xc0, RET), false, 0 },
	{ "vpor (VEX eb, a jmp)", CODE(0xc5, 0xf9, 0xeb, 0xc1, 0xc5, 0xf9, 0x7e, 0xc0, RET), false, 0 },
	/* Fills ymm0 first, looks at its upper half afterwards. */
	{ "vzeroupper (VEX 77, a ja)", CODE(0xc5, 0xfd, 0x76, 0xc0, 0xc5, 0xf8, 0x77, 0xc4, 0xe3, 0x7d, 0x19, 0xc0, 0x01,
					    0xc5, 0xf9, 0x7e, 0xc0, RET), false, 4 },
	/* The kernel steps on a copy of 16 bytes, so it must be further than that to the ret. */
	{ "vcmpps (VEX c2, a ret)", CODE(0xc5, 0xf8, 0xc2, 0xc0, 0x00, NOP9, NOP9, 0xc5, 0xf9, 0x7e, 0xc0, RET), false, 0 },
	{ "xchg r8, rax (41 90)", CODE(0x49, 0x90, RET), false, 0 },
	{ "vpxor xmm0 (VEX ef)", CODE(0xc5, 0xf9, 0xef, 0xc0, RET), true, 0 },
	{ "vmovdqa (VEX 6f)", CODE(0xc5, 0xf9, 0x6f, 0xc1, RET), true, 0 },
	{ "cs nop", CODE(0x2e, 0x0f, 0x1f, 0x00, RET), true, 0 },
	{ "lock inc [rdi]", CODE(0xf0, 0xff, 0x07, RET), true, 0 },
	{ "notrack jmp rax", CODE(0x3e, 0xff, 0xe0), true, 0 },
	{ "call with 66", CODE(0x66, 0xe8, 0, 0, 0, 0), true, 0 },
	{ "mov ss, eax", CODE(0x8e, 0xd0, RET), true, 0 },
	{ "int 0x80", CODE(0xcd, 0x80, RET), true, 0 },
	{ "int3", CODE(0xcc, RET), true, 0 },
	{ "hlt", CODE(0xf4, RET), true, 0 },
	{ "in al, dx", CODE(0xec, RET), true, 0 },
	{ "cli", CODE(0xfa, RET), true, 0 },
};

enum { EXAMPLES = sizeof(examples) / sizeof(examples[0]) };
enum { REFUSED = SITE_KINDS, WRONG };

static const char *kind_name(int kind)
{
	return kind == REFUSED ? "refused" : kind == WRONG ? "executed wrongly" : site_kind_name((enum site_kind)kind);
}

static int predicted(const struct example *e)
{
	struct treatment t;
	ZydisDecoder decoder;
	struct insn insn;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!insn_decode(&decoder, e->code + e->at, e->len - e->at, &insn))
		return REFUSED;
	insn_treatment(&insn, 0, feature_site_kernel(), &t);
	return t.refused ? REFUSED : (int)t.kind;
}

/* ---- in a child per example ---- */

struct outcome {
	int error;       /* -errno of the attach */
	int kind;
	double entry_ns, call_ns;
	bool done;
};

/* Arguments that an instruction which is not executed leaves visible in the result. */
typedef uint32_t (*code_fn)(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, double x, double y);

static const struct example *current;

static uint32_t call(code_fn function)
{
	return function(1, 2, 3, 4, 5, 0.0, 1.0 / 3);
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Median of some batches; the first calls patch the nop and fault the pages in. */
static double time_of(code_fn function)
{
	double batch[BATCHES];

	for (int i = 0; i < CALLS; i++)
		call(function);
	for (int b = 0; b < BATCHES; b++) {
		double start = now_ns();

		for (int i = 0; i < CALLS; i++)
			call(function);
		batch[b] = (now_ns() - start) / CALLS;
	}
	qsort(batch, BATCHES, sizeof(batch[0]), by_value);
	return batch[BATCHES / 2];
}

/* A file in memory with the code at offset 0, mapped as a program's text is; its path in *path. */
static uint8_t *code_file(const struct example *e, char *path, size_t len)
{
	uint8_t page[PAGE];
	void *map;
	int fd = memfd_create("site_costs", 0);

	memset(page, 0xcc, sizeof(page));
	memcpy(page, e->code, e->len);
	if (fd < 0 || write(fd, page, sizeof(page)) != sizeof(page))
		return NULL;
	map = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	snprintf(path, len, "/proc/self/fd/%d", fd);
	return map == MAP_FAILED ? NULL : map;
}

static int attach(bool session, const char *path)
{
	int program = trial_load(TRIAL_EMPTY, session ? ATTACH_UPROBE_SESSION : ATTACH_UPROBE_MULTI, 0, -1, -1);
	uint64_t offset = current->at;

	return program < 0 ? program : multi_link_create(program, session, false, path, &offset, NULL, 1, getpid());
}

static int kind_of(const uint8_t *code)
{
	if (code[0] == 0xe8 && current->code[0] != 0xe8)
		return SITE_NOP5;
	return trial_was_stepped() ? SITE_STEPPED : SITE_EMULATED;
}

static void run_example(struct outcome *o, const uint8_t *code, const char *path)
{
	code_fn function;
	uint32_t bare, probed;
	int link;

	memcpy(&function, &code, sizeof(function)); /* no cast from an object to a function pointer in ISO C */
	bare = current->attach_only ? 0 : call(function);
	link = attach(false, path);
	if (link < 0) {
		o->error = link;
		o->kind = REFUSED;
		return;
	}
	o->kind = WRONG; /* unless it lives to tell otherwise */
	if (current->attach_only)
		return;
	probed = call(function);
	if (probed != bare)
		return;
	o->entry_ns = time_of(function);
	o->kind = kind_of(code);
	close(link);
	if (attach(true, path) >= 0)
		o->call_ns = time_of(function);
}

static void try_example(void *shared)
{
	struct outcome *o = shared;
	char path[64];
	uint8_t *code = code_file(current, path, sizeof(path));

	if (!code)
		return;
	o->done = true;
	run_example(o, code, path);
}

static bool acceptable(int expected, int is)
{
	if (expected == REFUSED)
		return is == REFUSED || is == WRONG;
	return is <= expected;
}

static const char *remark(int expected, int is)
{
	if (!acceptable(expected, is))
		return "   <-- NOT AS PREDICTED";
	return is == expected ? "" : expected == REFUSED ? "   (not used: good)" : "   (cheaper than predicted)";
}

/* VEX instructions are all there are for the lack of which a processor could not run an example. */
static bool cpu_can(const struct example *e)
{
	return e->attach_only || (e->code[0] != 0xc5 && e->code[0] != 0xc4) || __builtin_cpu_supports("avx2");
}

/* True if it is as predicted, or better. */
static bool show(const struct example *e)
{
	int expected = predicted(e), signal = 0, rc;
	struct outcome o = { .kind = WRONG };
	struct trial t;

	if (!cpu_can(e)) {
		printf("%-25s %-15s not on this CPU\n", e->name, kind_name(expected));
		return true;
	}
	current = e;
	rc = trial_start(&t, try_example, sizeof(o));
	if (rc == 0)
		rc = trial_finish(&t, &o, &signal);
	if (!o.done) {
		printf("%-25s could not be tried: %s\n", e->name, strerror(-rc));
		return false;
	}
	printf("%-25s %-15s %-17s", e->name, kind_name(expected), kind_name(o.kind));
	if (signal)
		printf(" %s", strsignal(signal));
	else if (o.kind < SITE_KINDS)
		printf(" %6.0f %15.0f", o.entry_ns, o.call_ns);
	printf("%s\n", remark(expected, o.kind));
	return acceptable(expected, o.kind);
}

static int show_calibration(void)
{
	struct error err = { 0 };
	struct site_costs costs;
	int rc = calibrate(&costs, &err);

	printf("%-25s %6s %15s   (%s)\n", "calibrated", "entry", "entry + return", rc == 0 ? "ns of CPU time" : err.text);
	for (int kind = 0; kind < SITE_KINDS; kind++)
		printf("%-25s %6u %15u\n", kind_name(kind), costs.ns[kind][COST_ENTRY], costs.ns[kind][COST_CALL]);
	return rc;
}

int main(void)
{
	bool as_predicted = true;

	if (show_calibration() != 0 || !feature_has(FEATURE_SESSION)) {
		fprintf(stderr, "this needs root and a kernel with uprobe sessions (6.13)\n");
		return 2;
	}
	printf("\n%-25s %-15s %-17s %6s %15s\n", "instruction", "predicted", "is", "entry", "entry + return");
	for (int i = 0; i < EXAMPLES; i++)
		as_predicted &= show(&examples[i]);
	return as_predicted ? 0 : 1;
}
