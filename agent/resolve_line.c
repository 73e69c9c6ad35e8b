/* SPDX-License-Identifier: Apache-2.0 */
/* A probe on a source line: every run of its instructions, inlined copies too, gets a breakpoint. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolve_internal.h"

/* The code of one function in memory. */
struct code_parts {
	struct site_code part[LINE_CODE_RANGES_MAX];
	uint32_t n;
	uint64_t entry;
};

static void parts_free(struct code_parts *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		free((void *)p->part[i].bytes);
	p->n = 0;
}

static int read_part(const struct resolving *r, uint64_t start, uint64_t end, struct code_parts *p)
{
	size_t len = end - start < SITE_CODE_MAX ? end - start : SITE_CODE_MAX;
	uint8_t *bytes = malloc(len);
	ssize_t n = bytes ? image_code(r->img, start, bytes, len) : -ENOMEM;

	if (n <= 0) {
		free(bytes);
		return n ? (int)n : -ENODATA;
	}
	p->part[p->n++] = (struct site_code){ bytes, start, (size_t)n };
	return 0;
}

/* Of a function larger than is ever decoded, and of code that is in none, at least the line itself. */
static int read_parts(const struct resolving *r, const struct line_place *place, struct code_parts *p)
{
	struct code_range range[LINE_CODE_RANGES_MAX];
	uint32_t n = debuginfo_line_code(r->di, place, range, &p->entry);
	bool has_line = false;
	int rc = 0;

	for (uint32_t i = 0; !rc && i < n; i++) {
		if (p->n == LINE_CODE_RANGES_MAX - 1)
			break;
		rc = read_part(r, range[i].start, range[i].end, p);
		has_line |= !rc && place->start - range[i].start < p->part[p->n - 1].len && place->start >= range[i].start;
	}
	return rc || has_line ? rc : read_part(r, place->start, place->end, p);
}

static int choose(const struct resolving *r, const struct line_place *place, uint32_t keep_regs, struct resolved *out,
		  struct error *err)
{
	struct code_parts parts = { .n = 0 };
	int rc = read_parts(r, place, &parts);
	struct site_line line = { .start = place->start, .end = place->end, .next_statement = place->next_statement,
				  .entry = parts.entry, .keep_regs = keep_regs, .code = parts.part, .n_code = parts.n };

	if (rc)
		error_set(err, -rc, "cannot read the code of line %u", place->line);
	else
		rc = site_choose_line(&line, &out->site, err);
	parts_free(&parts);
	if (!rc && image_offset(r->img, out->site.addr, &out->offset))
		rc = error_set(err, ERANGE, "line %u does not lie in an executable segment", place->line);
	return rc;
}

/* ---- one place ---- */

struct adding { struct resolving *r; struct error *err; };

static void name_place(const struct resolving *r, const struct line_place *place, struct resolved *out)
{
	const struct function *fn = place->fn;
	struct symbol sym;

	memset(out, 0, sizeof(*out));
	out->probe_index = r->index;
	fill_names(r, fn ? fn->name : image_symbol_at(r->img, place->start, &sym) ? "?" : sym.name, fn, out);
	snprintf(out->file, sizeof(out->file), "%s", place->file);
	out->line = place->line;
}

/* Two statements of one line may begin at one instruction. */
static bool is_known(const struct resolving *r, uint64_t offset)
{
	for (size_t i = r->first; i < r->n_found; i++)
		if (r->found[i].offset == offset)
			return true;
	return false;
}

static int add_place(uint32_t query, const struct line_place *place, void *arg)
{
	static const struct function assembly = { .name = "?", .linkage = "", .file = "" };
	struct adding *a = arg;
	struct resolving *r = a->r;
	const struct function *fn = debuginfo_line_scope(r->di, place);
	struct plan_request rq = { .spec = r->spec, .errors_only = r->rq->errors_only, .ship = r->rq->ship, .entry_only = true, .line = true,
				   .limits = r->rq->limits, .di = r->di, .fn = fn ? fn : &assembly };
	struct resolved *out;
	int rc = room_for_one(r, a->err);

	if (rc)
		return rc;
	out = &r->found[r->n_found];
	name_place(r, place, out);
	rc = plan_build(&rq, out, &r->keep_regs[r->n_found], a->err);
	if (!rc)
		rc = choose(r, place, r->keep_regs[r->n_found], out, a->err);
	if (rc || is_known(r, out->offset))
		resolved_free(out);
	else
		r->n_found++;
	return rc;
}

/* ---- all of them ---- */

static int no_debug_info(const struct resolving *r, struct error *err)
{
	error_set(err, ENOENT, "%s has no debug information: its source lines are not known", r->rq->path);
	error_at(err, r->spec->name_col, r->spec->name_len);
	return error_hint(err, "%s", r->no_debug.text);
}

static int no_code(const struct resolving *r, const struct line_query *q, struct error *err)
{
	error_set(err, ENOENT, "line %u of %s has no code in this build", r->spec->line, r->spec->name);
	error_at(err, r->spec->name_col, r->spec->name_len);
	if (q->before && q->after)
		return error_hint(err, "the nearest lines with code are %u and %u", q->before, q->after);
	if (q->before || q->after)
		return error_hint(err, "the nearest line with code is %u", q->before ? q->before : q->after);
	return error_hint(err, "none of its lines has");
}

int resolve_line(struct resolving *r, struct error *err)
{
	struct line_query q = { .path = r->spec->name, .lines = &r->spec->line, .n_lines = 1 };
	struct adding a = { r, err };
	const struct line_visitor visitor = { .place = add_place, .arg = &a };
	int rc;

	if (!r->di)
		return no_debug_info(r, err);
	rc = debuginfo_lines(r->di, &q, 1, &visitor, err);
	if (rc == -ENOENT && !q.n_files)
		error_at(err, r->spec->name_col, r->spec->name_len);
	if (rc)
		return rc;
	return r->n_found > r->first ? 0 : no_code(r, &q, err);
}
