/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The site of a source line: as site.c chooses one for a call, from any address on.
 *
 * The line's first instruction may be reached from anywhere.  From there a straight line runs to the first instruction that can
 * go two ways, leave, or change what a capture needs, but not up to one that something in the function jumps to: what comes in
 * there has not passed the line's beginning.  Direct jumps are known, from all parts of the function (a cold part jumps back into
 * the middle).  A function with indirect jumps (a switch) may jump to any statement, so then the next one ends the line.
 *
 * No return probe: the stack pointer matters to captures only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plumb/event.h"
#include "site_internal.h"

enum { LINE_MAX_INSNS = 48 };

struct choice {
	const struct site_line *line;
	ZydisDecoder decoder;
	const struct site_code *part;  /* the code that holds the line's beginning */
	uint64_t limit;                /* no breakpoint from here on */
	bool found;
	struct insn insn;
	uint64_t addr;
	enum site_kind kind;
	uint32_t distance;
};

/* ---- what jumps into the line ---- */

static void note_target(struct choice *c, uint64_t target)
{
	if (target > c->line->start && target < c->limit)
		c->limit = target;
}

static void note_jumps(struct choice *c, const struct site_code *code)
{
	for (size_t at = 0; at < code->len;) {
		ZydisDecodedInstruction insn;

		if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(&c->decoder, NULL, code->bytes + at, code->len - at, &insn))) {
			at++;
			continue;
		}
		at += insn.length;
		if (insn.raw.imm[0].is_relative)
			note_target(c, code->addr + at + (uint64_t)insn.raw.imm[0].value.s);
		else if (insn.meta.category == ZYDIS_CATEGORY_UNCOND_BR)
			note_target(c, c->line->next_statement);
	}
}

/* ---- the straight line ---- */

static void consider(struct choice *c, const struct insn *insn, uint64_t addr, uint32_t distance)
{
	struct treatment t;

	insn_treatment(insn, addr, site_kernel(), &t);
	if (t.refused || (t.patched && addr != c->line->entry) || (c->found && t.kind >= c->kind))
		return;
	c->found = true;
	c->insn = *insn;
	c->addr = addr;
	c->kind = t.kind;
	c->distance = distance;
}

static bool goes_on(const struct choice *c, const struct insn *insn)
{
	uint32_t keep = c->line->keep_regs;
	unsigned lost;
	enum site_stop stop = insn_stop(insn, keep, &lost);

	if (!keep)
		return stop == STOP_NOT || stop == STOP_STACK;
	return stop == STOP_NOT && !insn_writes_red_zone(insn);
}

/* False if not even the first instruction can be decoded. */
static bool walk(struct choice *c)
{
	uint64_t addr = c->line->start;

	for (uint32_t distance = 0; distance < LINE_MAX_INSNS; distance++) {
		size_t at = addr - c->part->addr;
		struct insn insn;

		if (!insn_decode(&c->decoder, c->part->bytes + at, c->part->len - at, &insn))
			return distance > 0;
		/* All of its bytes, for what jumps into the middle of an instruction. */
		if (distance && addr + insn.length > c->limit)
			return true;
		consider(c, &insn, addr, distance);
		addr += insn.length;
		if (!goes_on(c, &insn) || addr >= c->limit || addr >= c->part->addr + c->part->len)
			return true;
	}
	return true;
}

static const struct site_code *part_of(const struct site_line *l)
{
	for (uint32_t i = 0; i < l->n_code; i++)
		if (l->start >= l->code[i].addr && l->start - l->code[i].addr < l->code[i].len)
			return &l->code[i];
	return NULL;
}

static int refuse(const struct choice *c, struct error *err)
{
	size_t at = c->line->start - c->part->addr;
	struct insn insn;
	char text[80];

	insn_decode(&c->decoder, c->part->bytes + at, c->part->len - at, &insn);
	insn_text(&insn, c->line->start, text, sizeof(text));
	error_set(err, EOPNOTSUPP, "the kernel does not allow a breakpoint on `%s` at 0x%llx, where the line begins", text,
		  (unsigned long long)c->line->start);
	error_hint(err, "probe a line before or after it, or the function");
	return -EOPNOTSUPP;
}

static void fill(const struct choice *c, struct site *out)
{
	memset(out, 0, sizeof(*out));
	out->addr = c->addr;
	out->kind = c->kind;
	out->length = c->insn.length;
	memcpy(out->bytes, c->part->bytes + (c->addr - c->part->addr), c->insn.length);
	out->of_line = true;
	out->distance = c->distance;
	insn_text(&c->insn, c->addr, out->text, sizeof(out->text));
	snprintf(out->reason, sizeof(out->reason), "%s", c->kind == SITE_NOP5 ? "the kernel patches this nop into a call" :
		 c->kind == SITE_STEPPED ? "nothing cheap in what every pass through the line executes" :
		 c->distance ? "the line's first cheap instruction" : "it is cheap");
}

int site_choose_line(const struct site_line *line, struct site *out, struct error *err)
{
	struct choice c = { .line = line, .part = part_of(line), .limit = line->end };

	if (!c.part)
		return error_set(err, ERANGE, "the line's code at 0x%llx cannot be read", (unsigned long long)line->start);
	ZydisDecoderInit(&c.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (uint32_t i = 0; i < line->n_code; i++)
		note_jumps(&c, &line->code[i]);
	if (!walk(&c))
		return error_set(err, EILSEQ, "the code at 0x%llx is not an instruction", (unsigned long long)line->start);
	if (!c.found)
		return refuse(&c, err);
	fill(&c, out);
	return 0;
}
