/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name may mean several functions: overloads, instantiations of a template, static functions of one name, what fits a pattern. They
 * are counted as one, and the two builds need not have as many of them. Which they were comes with the PROBEs.
 */
#include <string.h>

#include "verify_internal.h"

static bool same_function(const struct probe *a, const struct probe *b)
{
	return a->line == b->line && strcmp(a->function, b->function) == 0 && strcmp(a->file, b->file) == 0;
}

/* Of one request: each function once, however many files or hosts have it, and whatever clones the compiler has made. */
static uint32_t count_functions(const struct arm_request *r, const char *text)
{
	const struct model *m = &r->model;
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->n_probes; i++) {
		const struct probe *p = m->probe[i];
		bool again = strcmp(p->spec, text) != 0 || p->source != m->probe[0]->source;

		for (uint32_t k = 0; !again && !p->n_functions && k < i; k++)
			again = strcmp(m->probe[k]->spec, text) == 0 && same_function(m->probe[k], p);
		if (!again)
			n += p->n_functions ? p->n_functions : 1;
	}
	return n;
}

static uint32_t functions_on(const struct verify *v, const struct item *it, enum verify_side side)
{
	uint32_t n = 0;

	for (uint32_t i = 0; it->text[side] && i < v->n_requests; i++) {
		uint32_t here = v->request[i]->side == side ? count_functions(v->request[i], it->text[side]) : 0;

		n = here > n ? here : n;
	}
	return n;
}

void verify_tell_meanings(struct verify *v)
{
	for (uint32_t i = 0; i < v->n_items; i++) {
		struct item *it = &v->item[i];
		const char *name = it->kind == ITEM_FUNCTION ? v->coverage->function[it->index].name : NULL;
		uint32_t base, cand;

		if (!name || it->dropped || it->meaning_told)
			continue;
		base = functions_on(v, it, BASELINE);
		cand = functions_on(v, it, CANDIDATE);
		it->meaning_told = base && cand;
		if (!it->meaning_told || (base == cand && base == 1))
			continue;
		if (base == cand)
			verify_remark(v, "%.120s means %u functions, which are counted as one", name, base);
		else
			verify_remark(v, "%.120s means %u function%s in the %s and %u in the %s, which are counted as one", name, base,
				      base == 1 ? "" : "s", verify_name_of(v, BASELINE), cand, verify_name_of(v, CANDIDATE));
	}
}
