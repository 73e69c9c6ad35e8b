/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern -> the functions it means, sorted by the kind of value they return; each kind is one plan.
 *
 * Names come from the symbol tables, result types from one walk over the debug information (debuginfo_result.c): ten
 * thousand functions take no longer than that.  What all of them have in common can be captured and asked about; a
 * parameter lies in another place in each function, and has another type.  What must not be probed is left out, counted, and
 * said.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "resolve_match.h"

static const char *const left_out_text[LEFT_REASONS] = {
	[LEFT_INDIRECT] = "indirect functions, whose symbols are resolvers",
	[LEFT_COLD] = "parts that the compiler split off",
	[LEFT_RETURN] = "functions whose return must not be probed",
	[LEFT_SITE] = "functions on which the kernel allows no breakpoint",
};

/* ---- what may be asked ---- */

static int refuse_names(const struct expr *e, struct error *err)
{
	int rc;

	if (!e)
		return 0;
	if (e->op == EXPR_NAME) {
		error_set(err, ENOTSUP, "the functions of a pattern share one plan: '%s' cannot be looked up in each of them", e->text);
		error_at(err, e->col, e->len);
		return error_hint(err, "what all of them have is $ret, $duration, $arg0 to $arg5, $tid, $pid, $cpu, $ts");
	}
	rc = refuse_names(e->a, err);
	return rc ? rc : refuse_names(e->b, err);
}

static int refuse_captures(const struct capture *list, size_t n, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = refuse_names(list[i].expr, err);
	return rc;
}

static int check_request(struct resolving *r, struct error *err)
{
	const struct spec *s = r->spec;
	int rc = refuse_captures(s->entry, s->n_entry, err);

	if (!rc)
		rc = refuse_captures(s->ret, s->n_return, err);
	if (!rc)
		rc = refuse_names(s->condition, err);
	if (!rc && r->error_expr) {
		rc = refuse_names(r->error_expr, err);
		r->blame_error = rc != 0;
	}
	return rc;
}

static struct plan_request plan_request(const struct matching *m)
{
	struct resolving *r = m->r;

	return (struct plan_request){ .spec = r->spec, .error = r->error_expr, .blame_error = &r->blame_error,
				      .errors_only = r->rq->errors_only, .ship = r->rq->ship, .force_call = r->rq->force_call,
				      .limits = r->rq->limits, .pattern = true, .entry_only = !m->call };
}

static bool asks_for_return(const struct resolving *r)
{
	const struct spec *s = r->spec;

	return s->has_return || r->rq->errors_only || r->error_expr || (s->condition && expr_uses_return(s->condition));
}

/* Where returns must not be probed, calls can still be counted, unless the question is about returns. */
static int choose_sides(struct matching *m, struct error *err)
{
	struct plan_request rq;
	struct error why = { 0 };

	m->call = true;
	rq = plan_request(m);
	m->call = plan_wants_call(&rq);
	if (!m->call || !returns_are_safe(m->r, &why))
		return 0;
	if (asks_for_return(m->r)) {
		*err = why;
		return -why.code;
	}
	m->call = false;
	snprintf(m->calls_only, sizeof(m->calls_only), "%s", why.text);
	return 0;
}

/* ---- kinds of results ---- */

static void note_result(uint64_t addr, const struct result_kind *result, void *arg)
{
	struct matching *m = arg;
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->match[mid].addr < addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < m->n && m->match[low].addr == addr && !m->match[low].typed) {
		m->match[low].result = *result;
		m->match[low].typed = true;
	}
}

/* What a plan makes no difference between is one kind. */
static void simplify(struct result_kind *k)
{
	if (k->kind == TYPE_ENUM && !k->is_signed)
		k->kind = TYPE_UNSIGNED;
	if ((k->kind == TYPE_BOOL || k->kind == TYPE_CHAR) && k->size != 1)
		k->kind = TYPE_UNSIGNED;
	if (k->kind == TYPE_VOID || k->kind == TYPE_OTHER || k->kind == TYPE_POINTER) {
		k->size = 0;
		k->is_signed = false;
	}
}

static bool same_kind(const struct match *a, const struct match *b)
{
	return a->typed == b->typed && a->result.kind == b->result.kind && a->result.size == b->result.size &&
	       a->result.is_signed == b->result.is_signed;
}

static void learn_results(struct matching *m)
{
	if (m->call && m->r->di)
		debuginfo_results(m->r->di, note_result, m);
	for (size_t i = 0; i < m->n; i++)
		simplify(&m->match[i].result);
}

static struct type type_void = { .kind = TYPE_VOID, .name = "void", .complete = true };

static const char *kind_name(const struct match *k)
{
	static const char *const ints[2][4] = {
		{ "unsigned char", "unsigned short", "unsigned int", "unsigned long" }, { "signed char", "short", "int", "long" },
	};
	const char *number = ints[k->result.is_signed][k->result.size == 1 ? 0 : k->result.size == 2 ? 1 : k->result.size == 4 ? 2 : 3];

	switch (k->result.kind) {
	case TYPE_VOID: return "void";
	case TYPE_POINTER: return "void *";
	case TYPE_BOOL: return "bool";
	case TYPE_CHAR: return "char";
	case TYPE_OTHER: return "a struct or a floating point number";
	default: return number;
	}
}

/* A function that returns this kind and has no parameters stands for all that do. */
static void stand_in(const struct match *k, struct type *type, struct function *fn)
{
	*type = (struct type){ .kind = k->result.kind == TYPE_ENUM ? TYPE_SIGNED : k->result.kind, .name = kind_name(k),
			       .size = k->result.kind == TYPE_POINTER ? 8 : k->result.size, .target = &type_void,
			       .is_signed = k->result.is_signed, .complete = true };
	*fn = (struct function){ .name = "", .linkage = "", .file = "", .ret = k->result.kind == TYPE_VOID ? NULL : type,
				 .ret_where = { .kind = LOCATION_REGISTERS, .pieces = 1, .piece = { { GPR_AX, 8 } } } };
	if (k->result.kind == TYPE_VOID || k->result.kind == TYPE_OTHER) {
		fn->ret_where.kind = LOCATION_NONE;
		snprintf(fn->ret_where.reason, sizeof(fn->ret_where.reason), "not a number");
	}
}

/* ---- matches -> resolved ---- */

static int add_function(struct matching *m, struct resolved *out, const struct match *f, uint64_t offset, enum site_kind kind)
{
	const char *name = m->names.data + f->name;

	if (out->n_functions && out->functions[out->n_functions - 1].offset == offset)
		return 0; /* one runs into the other: it is one place */
	out->functions[out->n_functions++] = (struct pattern_function){ .offset = offset, .name = out->names_len, .kind = (uint8_t)kind };
	memcpy(out->names + out->names_len, name, strlen(name) + 1);
	out->names_len += (uint32_t)strlen(name) + 1;
	return 0;
}

/* A function without a size ends at the next one at the latest. */
static uint64_t extent(const struct matching *m, size_t i)
{
	uint64_t next = i + 1 < m->n ? m->match[i + 1].addr - m->match[i].addr : 0, size = m->match[i].size;

	return next && (!size || size > next) ? next : size;
}

static void place_function(struct matching *m, size_t i, uint32_t keep_regs, struct resolved *out)
{
	const struct match *f = &m->match[i];
	const char *name = m->names.data + f->name;
	struct wanted_site w = { f->addr, extent(m, i), name, keep_regs, m->call };
	struct site site;
	uint64_t offset;

	if (m->call && return_is_unsafe(name)) {
		leave_out(m, LEFT_RETURN, name);
	} else if (choose_site(m->r, &w, &site, &offset, NULL)) {
		leave_out(m, LEFT_SITE, name);
	} else {
		if (!out->n_functions || site.kind > out->site.kind)
			out->site = site;
		add_function(m, out, f, offset, site.kind);
	}
}

static void leave_out_kind(struct matching *m, size_t first, const struct error *why)
{
	if (!m->refused.code)
		m->refused = *why;
	for (size_t i = first; i < m->n; i++) {
		if (m->match[i].done || !same_kind(&m->match[i], &m->match[first]))
			continue;
		leave_out(m, LEFT_PLAN, m->names.data + m->match[i].name);
		if (i != first)
			m->match[i].done = true;
	}
}

/* Takes all functions of the kind of match `first`. */
static int resolve_kind(struct matching *m, size_t first, struct resolved *out, uint32_t *keep_regs, struct error *err)
{
	struct match kind = m->match[first];
	struct plan_request rq = plan_request(m);
	struct error why = { 0 };
	struct function fn;
	struct type type;

	stand_in(&kind, &type, &fn);
	rq.fn = kind.typed ? &fn : NULL;
	rq.no_default_error = kind.result.kind == TYPE_ENUM;
	if (plan_build(&rq, out, keep_regs, &why)) {
		leave_out_kind(m, first, &why);
		return 0;
	}
	snprintf(out->signature, sizeof(out->signature), "%s", !m->call || !kind.typed ? "" : kind_name(&kind));
	out->functions = calloc(m->n - first, sizeof(*out->functions));
	out->names = malloc(m->names.len);
	if (!out->functions || !out->names)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = first; i < m->n; i++) {
		if (m->match[i].done || !same_kind(&m->match[i], &kind))
			continue;
		place_function(m, i, *keep_regs, out);
		m->match[i].done = i != first; /* it has been dealt with */
	}
	return 0;
}

static int resolve_kinds(struct matching *m, struct error *err)
{
	struct resolving *r = m->r;
	int rc = 0;

	for (size_t i = 0; !rc && i < m->n; i++) {
		struct resolved *out;

		if (m->match[i].done)
			continue;
		rc = room_for_one(r, err);
		if (rc)
			return rc;
		out = &r->found[r->n_found];
		memset(out, 0, sizeof(*out));
		out->probe_index = r->index;
		fill_names(r, r->spec->name, NULL, out);
		rc = resolve_kind(m, i, out, &r->keep_regs[r->n_found], err);
		if (rc || !out->n_functions)
			resolved_free(out);
		else
			r->n_found++;
	}
	return rc;
}

/* ---- what is said about it ---- */

static void write_note(const struct matching *m, struct resolved *out)
{
	struct buf text = { 0 };
	const char *sep = "";

	if (m->calls_only[0])
		buf_printf(&text, "%s: calls only are counted, not their returns: %s", out->function, m->calls_only), sep = "; ";
	for (int i = 0; i < LEFT_REASONS; i++) {
		if (!m->left[i].n)
			continue;
		if (!text.len)
			buf_printf(&text, "%s: ", out->function);
		buf_printf(&text, "%s%u left out, %s (%s%s)", sep, m->left[i].n,
			   i == LEFT_PLAN ? m->refused.text : left_out_text[i], m->left[i].example, m->left[i].n > 1 ? ", ..." : "");
		sep = "; ";
	}
	snprintf(out->note, sizeof(out->note), "%s", buf_text(&text));
	buf_free(&text);
}

static int nothing_left(struct matching *m, struct error *err)
{
	const struct resolving *r = m->r;

	if (m->refused.code) {
		*err = m->refused;
		return -err->code;
	}
	error_set(err, ENOTSUP, "none of the %zu functions that '%s' means can be probed", m->n, r->spec->name);
	return error_at(err, r->spec->name_col, r->spec->name_len), -ENOTSUP;
}

int resolve_pattern(struct resolving *r, struct error *err)
{
	struct matching m = { .r = r };
	int rc = check_request(r, err);

	if (!rc)
		rc = find_matches(&m, err);
	if (!rc)
		rc = choose_sides(&m, err);
	if (!rc) {
		learn_results(&m);
		rc = resolve_kinds(&m, err);
	}
	if (!rc && r->n_found == r->first)
		rc = nothing_left(&m, err);
	if (!rc) {
		r->blame_error = false; /* kinds that the expression does not fit were left out */
		write_note(&m, &r->found[r->first]);
	}
	free(m.match);
	buf_free(&m.names);
	return rc;
}
