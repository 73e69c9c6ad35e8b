/* SPDX-License-Identifier: Apache-2.0 */
/* What `plumb explain` shows of a pattern. */
#include "buf.h"
#include "resolve_internal.h"

enum { EXPLAIN_FUNCTIONS = 30 };

static void explain_sites(const struct resolving *r, const struct resolved *f, struct buf *out)
{
	bool call = f->plan.flags & PLAN_CALL;
	uint32_t n[SITE_KINDS] = { 0 };
	const char *sep = "";

	for (uint32_t i = 0; i < f->n_functions; i++)
		n[f->functions[i].kind]++;
	buf_str(out, "sites    ");
	for (int k = 0; k < SITE_KINDS; k++) {
		if (!n[k])
			continue;
		buf_printf(out, "%s%u %s, about %u ns per %s", sep, n[k], site_kind_name(k), r->costs.ns[k][call], call ? "call" : "hit");
		sep = "; ";
	}
	buf_printf(out, " (%s)\n", r->costs.measured ? "measured on this machine" : "a default, not measured here");
}

static void explain_functions(const struct resolved *f, struct buf *out)
{
	buf_str(out, "functions\n");
	for (uint32_t i = 0; i < f->n_functions && i < EXPLAIN_FUNCTIONS; i++)
		buf_printf(out, "  %s, file offset 0x%lx, %s\n", resolved_function_name(f, i), (unsigned long)f->functions[i].offset,
			   site_kind_name(f->functions[i].kind));
	if (f->n_functions > EXPLAIN_FUNCTIONS)
		buf_printf(out, "  and %u more\n", f->n_functions - EXPLAIN_FUNCTIONS);
}

void explain_pattern(const struct resolving *r, size_t i, struct buf *out)
{
	const struct resolved *f = &r->found[i];

	buf_printf(out, "place    %u function%s %s", f->n_functions, f->n_functions == 1 ? "" : "s", f->function);
	if (f->signature[0])
		buf_printf(out, " that return%s %s", f->n_functions == 1 ? "s" : "", f->signature);
	buf_printf(out, "\n         in %s, build-id %s\n", f->module, f->build_id[0] ? f->build_id : "none");
	if (f->note[0])
		buf_printf(out, "         %s\n", f->note);
	explain_sites(r, f, out);
	explain_values(f, out);
	explain_functions(f, out);
}
