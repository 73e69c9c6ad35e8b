/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice of the site.
 *
 * From the entry a straight line runs to the first instruction that can go two ways, leave, move the stack pointer,
 * overwrite a wanted register, or write memory that a capture might read: up to and including it, every call
 * passes each instruction once and finds all that a capture needs as it was at the entry.  The line ends
 * before the first instruction that something in the function jumps to, for that one may be passed twice.  Each
 * instruction on the line is a candidate, the cheapest wins, the first among equals.
 *
 * What cannot be seen: a jump into the line from outside the function (a cold part of it, hand-written assembly
 * with several entries).  Compilers do not make such jumps; a caller that knows of another symbol within
 * the function ends `len` there.
 */
#include "site.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "plumb/event.h"
#include "site_internal.h"

enum {
	LINE_MAX_INSNS = 48,   /* further from the entry than this no prologue reaches */
};

static enum site_kernel running_kernel = SITE_KERNEL_NOP5;

void site_kernel_set(enum site_kernel kernel)
{
	running_kernel = kernel;
}

enum site_kernel site_kernel(void)
{
	return running_kernel;
}

const char *site_kind_name(enum site_kind kind)
{
	static const char *const names[SITE_KINDS] = { "patched nop", "emulated", "single-stepped" };

	return (unsigned)kind < SITE_KINDS ? names[kind] : "?";
}

static const char *const register_names[GPR_COUNT] = {
	"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};

/* The walk along the line, and the best candidate so far. */
struct walk {
	const uint8_t *code;
	size_t len;
	uint64_t entry;
	uint32_t keep_regs;
	bool want_return;
	bool loops;            /* something jumps to the entry */
	size_t limit;          /* offset of the first jump target above the entry */
	ZydisDecoder decoder;

	bool found;
	size_t at;             /* the best candidate's offset */
	uint32_t distance;
	enum site_kind kind;
	struct insn insn;

	struct insn last;      /* where the line ended, and why */
	size_t last_at;
	enum site_stop stop;
	unsigned lost;
	const char *ended;     /* if not by an instruction */
};

/* The entry alone may be a 5-byte nop: elsewhere the patched-in call could write over a red zone that is in use. */
static bool is_candidate(const struct walk *w, const struct insn *insn, size_t at, struct treatment *t)
{
	insn_treatment(insn, w->entry + at, running_kernel, t);
	return !t->refused && !(t->patched && at != 0);
}

static void consider(struct walk *w, const struct insn *insn, size_t at, uint32_t distance)
{
	struct treatment t;

	if (!is_candidate(w, insn, at, &t) || (w->found && t.kind >= w->kind))
		return;
	w->found = true;
	w->at = at;
	w->distance = distance;
	w->kind = t.kind;
	w->insn = *insn;
}

/* Returns false if not even the first instruction can be decoded. */
static bool walk_line(struct walk *w)
{
	size_t at = 0;

	w->ended = "no cheap instruction within reach";
	for (uint32_t distance = 0; distance < LINE_MAX_INSNS; distance++) {
		struct insn insn;

		if (!insn_decode(&w->decoder, w->code + at, w->len - at, &insn)) {
			w->ended = "the code after it cannot be decoded";
			return distance > 0;
		}
		if (at != 0 && at + insn.length > w->limit) {
			w->ended = "the function jumps back to before any cheap instruction";
			return true;
		}
		consider(w, &insn, at, distance);
		w->stop = insn_stop(&insn, w->keep_regs, &w->lost);
		if (w->stop != STOP_NOT) {
			w->last = insn;
			w->last_at = at;
			return true;
		}
		at += insn.length;
		if (at >= w->len) {
			w->ended = "the function ends before any cheap instruction";
			return true;
		}
	}
	return true;
}

/* Why the line ended, as a half-sentence about what stood in the way. */
static void describe_end(const struct walk *w, char *out, size_t len)
{
	static const char *const which[] = {
		[STOP_BRANCH] = "branches", [STOP_CALL] = "calls", [STOP_RETURN] = "returns",
		[STOP_KERNEL] = "may not come back", [STOP_STACK] = "moves the stack pointer",
		[STOP_STORE] = "writes memory that a capture might read", [STOP_REGISTER] = "overwrites",
	};
	char text[64];

	if (w->stop == STOP_NOT) {
		snprintf(out, len, "%s", w->ended);
		return;
	}
	insn_text(&w->last, w->entry + w->last_at, text, sizeof(text));
	snprintf(out, len, "nothing cheap before `%s`, which %s%s%s", text, which[w->stop],
		 w->stop == STOP_REGISTER ? " captured " : "", w->stop == STOP_REGISTER ? register_names[w->lost] : "");
}

static void describe(const struct walk *w, struct site *out)
{
	static const char loop_note[] = "; jumps back to the entry count as calls";
	const char *note = w->loops ? loop_note : "";
	char end[160];

	if (w->kind == SITE_NOP5) {
		snprintf(out->reason, sizeof(out->reason), "the kernel patches this nop into a call%s", note);
	} else if (w->kind == SITE_EMULATED) {
		snprintf(out->reason, sizeof(out->reason), "%s%s", w->at == 0 ? "the entry is cheap" :
			 w->want_return ? "first cheap instruction, return address still on top" :
			 "first cheap instruction of every call", note);
	} else if (w->at != 0) {
		snprintf(out->reason, sizeof(out->reason), "the kernel takes no breakpoint on what comes before%s", note);
	} else {
		describe_end(w, end, sizeof(end));
		snprintf(out->reason, sizeof(out->reason), "%.*s%s", (int)(sizeof(out->reason) - sizeof(loop_note)), end, note);
	}
}

static void fill(const struct walk *w, struct site *out)
{
	memset(out, 0, sizeof(*out));
	out->addr = w->entry + w->at;
	out->kind = w->kind;
	out->length = w->insn.length;
	memcpy(out->bytes, w->code + w->at, w->insn.length);
	out->distance = w->distance;
	insn_text(&w->insn, out->addr, out->text, sizeof(out->text));
	describe(w, out);
}

static int refuse(const struct walk *w, struct error *err)
{
	struct insn insn;
	char text[80];

	insn_decode(&w->decoder, w->code, w->len, &insn);
	insn_text(&insn, w->entry, text, sizeof(text));
	error_set(err, EOPNOTSUPP, "the kernel does not allow a breakpoint on `%s` at 0x%llx", text,
		  (unsigned long long)w->entry);
	error_hint(err, "probe a function that it calls, or that calls it");
	return -EOPNOTSUPP;
}

int site_choose(const uint8_t *code, size_t len, uint64_t entry, uint32_t keep_regs, bool want_return,
		struct site *out, struct error *err)
{
	struct walk w = { .code = code, .entry = entry, .keep_regs = keep_regs, .want_return = want_return };

	w.len = len < SITE_CODE_MAX ? len : SITE_CODE_MAX;
	ZydisDecoderInit(&w.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	w.limit = site_first_target(&w.decoder, w.code, w.len, &w.loops);
	if (!walk_line(&w))
		return error_set(err, EILSEQ, "the code at 0x%llx is not an instruction", (unsigned long long)entry);
	if (!w.found)
		return refuse(&w, err);
	fill(&w, out);
	return 0;
}

void site_dump(const struct site *site, struct buf *out)
{
	buf_printf(out, "0x%llx %s, %s, ", (unsigned long long)site->addr, site->text, site_kind_name(site->kind));
	if (site->distance == 0)
		buf_str(out, site->of_line ? "where the line begins" : "at the entry");
	else
		buf_printf(out, "%u instruction%s after %s", site->distance, site->distance == 1 ? "" : "s",
			   site->of_line ? "the line's first one" : "the entry");
	buf_printf(out, ": %s", site->reason);
}
