/* SPDX-License-Identifier: Apache-2.0 */
/* What `plumb explain` shows: first what a user asks (where, at what price, what is seen), then the stages by which the agent gets there. */
#include "buf.h"
#include "resolve_internal.h"
#include "shape.h"

/* One captured value: "o->coupon, char [16], as text". */
static void explain_value(const struct layout *l, const struct layout_node *n, struct buf *out)
{
	const char *type = layout_text(l, n->type);
	bool followed = n->kind == SHAPE_POINTER && n->next > (uint32_t)(n - l->node) + 1;

	buf_str(out, layout_text(l, n->name));
	if (*type)
		buf_printf(out, ", %s", type);
	if (n->kind == SHAPE_STRING || (followed && n[1].kind == SHAPE_STRING))
		buf_str(out, ", as text");
	else if (followed)
		buf_str(out, " and what it points to");
	if (n->role == ROLE_RETURN)
		buf_str(out, ", when it returns");
	buf_char(out, '\n');
}

void explain_values(const struct resolved *f, struct buf *out)
{
	const struct layout *l = &f->layout;
	const char *title = "shows    ";

	for (uint32_t i = 0; i < l->n_nodes; i = l->node[i].next) {
		if (l->node[i].kind == SHAPE_UNREADABLE)
			continue;
		buf_str(out, title);
		explain_value(l, &l->node[i], out);
		title = "         ";
	}
	if (*title != ' ')
		buf_printf(out, "shows    no values, only that it was %s\n", f->plan.flags & PLAN_CALL ? "called, and for how long" : "reached");
}

static void explain_condition(const struct resolving *r, struct buf *out)
{
	const struct expr *c = r->spec->condition;

	if (c)
		buf_printf(out, "only if  %.*s\n", c->len, r->spec->text + c->col - 1);
	if (r->rq->errors_only)
		buf_str(out, "only     failing calls\n");
}

static void explain_place(const struct resolving *r, const struct resolved *f, struct buf *out)
{
	bool call = f->plan.flags & PLAN_CALL;

	buf_printf(out, "place    %s", f->function);
	if (f->signature[0])
		buf_printf(out, "\n         %s", f->signature);
	if (f->file[0])
		buf_printf(out, "\n         %s:%u", f->file, f->line);
	buf_printf(out, "\n         in %s, build-id %s\n", f->module, f->build_id[0] ? f->build_id : "none");
	buf_str(out, "site     ");
	site_dump(&f->site, out);
	buf_printf(out, "\ncost     about %u ns per %s, and the program's own time (%s)\n", r->costs.ns[f->site.kind][call],
		   call ? "call" : "hit", r->costs.measured ? "measured on this machine" : "a default, not measured here");
	explain_values(f, out);
}

static void explain_unreadable(const struct resolving *r, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < r->n_found; i++) {
		const struct layout *l = &r->found[i].layout;

		for (uint32_t n = 0; n < l->n_nodes; n++) {
			if (!*layout_text(l, l->node[n].reason))
				continue;
			if (!any)
				buf_str(out, "\ncannot be read\n");
			any = true;
			buf_printf(out, "  %s: %s\n", layout_text(l, l->node[n].name), layout_text(l, l->node[n].reason));
		}
	}
	if (!r->di)
		buf_printf(out, "\nno types: %s\n", r->no_debug.text);
}

/* The stages by which the agent gets there; of each place, if there are several. */
static void explain_how(const struct resolving *r, const struct resolved *f, struct buf *out)
{
	bool call = f->plan.flags & PLAN_CALL;

	buf_char(out, '\n');
	if (r->n_found > 1 && !is_pattern(f))
		buf_printf(out, "at       0x%llx\n", (unsigned long long)f->site.addr);
	if (is_pattern(f))
		buf_printf(out, "attach   %s for all of them\n", r->rq->method[call]);
	else
		buf_printf(out, "attach   %s, file offset 0x%lx\n", r->rq->method[call], (unsigned long)f->offset);
	buf_printf(out, "plan     %s%s%s\n", call ? "entry and return are one call" : "entry only",
		   f->has_error ? ", failing calls are told apart" : "", f->has_condition ? ", with a condition" : "");
	plan_dump(&f->plan, out);
	buf_str(out, "captures\n");
	layout_dump(&f->layout, out);
}

void explain_text(const struct resolving *r, struct buf *out)
{
	if (r->rq->builds && r->rq->builds[0])
		buf_printf(out, "build    %s\n\n", r->rq->builds);
	for (size_t i = 0; i < r->n_found; i++) {
		if (i)
			buf_char(out, '\n');
		is_pattern(&r->found[i]) ? explain_pattern(r, i, out) : explain_place(r, &r->found[i], out);
	}
	explain_condition(r, out);
	explain_unreadable(r, out);
	buf_str(out, "\nspec\n");
	spec_dump(r->spec, out);
	for (size_t i = 0; i < r->n_found; i++)
		explain_how(r, &r->found[i], out);
}
