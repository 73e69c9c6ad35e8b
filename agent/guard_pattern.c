/* SPDX-License-Identifier: Apache-2.0 */
/* The budget guard's view of a pattern: each function has a price of its own, and the dearest go first. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_internal.h"

enum { NAMED = 3 };            /* of the functions that go, so many are named */

struct cost { uint32_t function; uint64_t calls, ns; };

/* One process's functions being added up or listed. */
struct adding {
	struct instance *in;
	uint64_t run_ns;
	uint64_t calls, ns;
	struct cost *list;         /* NULL: adding up */
	uint32_t n;
};

static uint64_t price(const struct adding *a, uint32_t function)
{
	const struct resolved *r = &a->in->resolved;
	enum site_kind kind = function < r->n_functions ? r->functions[function].kind : r->site.kind;

	return a->in->rq->agent->costs.ns[kind][!!(r->plan.flags & PLAN_CALL)] + a->run_ns;
}

static void add_function(uint32_t function, uint32_t row, const struct counts *c, void *arg)
{
	struct adding *a = arg;
	uint64_t calls = c->calls - a->in->last_calls[row];

	a->in->last_calls[row] = c->calls;
	a->in->tick_calls[row] = calls;
	a->calls += calls;
	a->ns += calls * price(a, function);
}

void guard_pattern_cost(struct instance *in, uint32_t slot, uint64_t run_ns, uint64_t *calls, uint64_t *ns)
{
	struct adding a = { .in = in, .run_ns = run_ns };

	loader_each_function(in->loaded, slot, false, add_function, &a);
	*calls = a.calls;
	*ns = a.ns;
}

static void list_function(uint32_t function, uint32_t row, const struct counts *c, void *arg)
{
	struct adding *a = arg;
	uint64_t calls = a->in->tick_calls[row];

	if (calls && function < a->in->resolved.n_functions && a->n < a->in->resolved.n_functions)
		a->list[a->n++] = (struct cost){ function, calls, calls * price(a, function) };
}

static int cost_compare(const void *a, const void *b)
{
	const struct cost *x = a, *y = b;

	return (x->ns < y->ns) - (x->ns > y->ns);
}

static void name_them(const struct instance *in, const struct cost *list, uint32_t n, struct dropped *out)
{
	struct buf text = { 0 };

	for (uint32_t i = 0; i < n && i < NAMED; i++)
		buf_printf(&text, "%s%.100s", i ? ", " : "", resolved_function_name(&in->resolved, list[i].function));
	if (n > NAMED)
		buf_printf(&text, " and %u more functions", n - NAMED);
	buf_printf(&text, " of '%s'", in->resolved.function);
	snprintf(out->which, sizeof(out->which), "%s", buf_text(&text));
	buf_free(&text);
}

/* The dearest first, until they make up `ns`. */
static uint32_t choose(const struct cost *list, uint32_t n, uint64_t ns, struct dropped *out)
{
	uint32_t k = 0;

	while (k < n && out->ns < ns) {
		out->ns += list[k].ns;
		out->calls += list[k++].calls;
	}
	return k;
}

static int drop(struct adding *a, uint64_t ns, struct dropped *out)
{
	struct instance *in = a->in;
	uint32_t n, *functions;
	int rc;

	if (!a->n)
		return -ENOTSUP;
	qsort(a->list, a->n, sizeof(*a->list), cost_compare);
	n = choose(a->list, a->n, ns, out);
	functions = calloc(n + 1, sizeof(*functions));
	for (uint32_t i = 0; functions && i < n; i++)
		functions[i] = a->list[i].function;
	rc = functions ? loader_drop(in->loaded, in->fd, functions, n, NULL) : -ENOMEM;
	if (rc)
		snprintf(out->which, sizeof(out->which), "%s", resolved_function_name(&in->resolved, a->list[0].function));
	else
		name_them(in, a->list, n, out);
	free(functions);
	return rc;
}

int guard_pattern_drop(struct instance *in, pid_t pid, uint64_t run_ns, uint64_t ns, struct dropped *out)
{
	struct adding a = { .in = in, .run_ns = run_ns };
	int slot = loader_add_process(in->loaded, pid), rc;

	memset(out, 0, sizeof(*out));
	if (slot < 0)
		return slot;
	a.list = calloc(in->resolved.n_functions, sizeof(*a.list));
	if (!a.list)
		return -ENOMEM;
	loader_each_function(in->loaded, (uint32_t)slot, false, list_function, &a);
	rc = drop(&a, ns, out);
	free(a.list);
	return rc;
}
