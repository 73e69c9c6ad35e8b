/* SPDX-License-Identifier: Apache-2.0 */
/* From the model's counters to the rows of plumb stat: probes of the same function and build are one row, over all hosts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hist.h"
#include "statview.h"

enum { NOTHING = UINT32_MAX };

void statview_free(struct statview *v)
{
	free(v->row);
	free(v->next);
	v->row = NULL;
	v->next = NULL;
	v->n = v->n_probes = 0;
}

/* ---- which probes are one row ---- */

static uint32_t hash_text(uint32_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;   /* FNV-1a */
	return h * 16777619u;
}

static bool same_function(const struct statview *v, const struct probe *a, const struct probe *b)
{
	return strcmp(a->function, b->function) == 0 && strcmp(a->spec, b->spec) == 0 && strcmp(a->module, b->module) == 0 &&
	       (!v->by_host || a->source == b->source);
}

static int row_add(struct statview *v, const struct statrow *row)
{
	struct statrow *more = reallocarray(v->row, v->n + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	v->row = more;
	more[v->n] = *row;
	more[v->n].number = v->n;
	v->n++;
	return 0;
}

/* The row that a new probe belongs to; made if there is none. */
static int find_row(struct statview *v, const struct probe *p, struct statrow **out)
{
	uint32_t name = hash_text(2166136261u, p->function);
	struct statrow new = { .probe = p, .name_hash = name, .hash = hash_text(name, p->spec), .first = NOTHING };

	for (uint32_t i = 0; i < v->n; i++) {
		struct statrow *r = &v->row[i];

		if (r->hash == new.hash && same_function(v, r->probe, p)) {
			if (strcmp(r->probe->build_id, p->build_id) == 0) {
				*out = r;
				return 0;
			}
			r->builds = new.builds = true;
		} else if (r->name_hash == name && strcmp(r->probe->function, p->function) == 0 && strcmp(r->probe->spec, p->spec) != 0) {
			r->specs = new.specs = true;
		}
	}
	if (row_add(v, &new) < 0)
		return -ENOMEM;
	*out = &v->row[v->n - 1];
	return 0;
}

static uint32_t place_of(const struct statview *v, const struct probe *p)
{
	uint32_t i = 0;

	while (i < v->n_specs && strcmp(v->spec[i], p->spec) != 0)
		i++;
	return i;
}

/* As they were asked for; what one text means by name, and what differs in the build or the host only in the order of its coming. */
static int in_order(const void *a, const void *b, void *arg)
{
	const struct statrow *x = a, *y = b;
	uint32_t p = place_of(arg, x->probe), q = place_of(arg, y->probe);
	int names = strcmp(x->probe->function, y->probe->function);

	if (p != q)
		return p < q ? -1 : 1;
	return names ? names : x->number < y->number ? -1 : 1;
}

static int take_new_probes(struct statview *v, const struct model *m)
{
	uint32_t *more = m->n_probes > v->n_probes ? reallocarray(v->next, m->n_probes, sizeof(*more)) : v->next;
	bool grown = m->n_probes > v->n_probes;
	struct statrow *r;

	if (m->n_probes && !more)
		return -ENOMEM;
	v->next = more;
	for (; v->n_probes < m->n_probes; v->n_probes++) {
		const struct probe *p = m->probe[v->n_probes];

		if (find_row(v, p, &r) < 0)
			return -ENOMEM;
		r->has_error |= p->has_error;
		v->next[v->n_probes] = r->first;
		r->first = v->n_probes;
	}
	if (grown)
		qsort_r(v->row, v->n, sizeof(*v->row), in_order, v);
	return 0;
}

/* ---- ticks ---- */

/* A counter may seem to go back when a process left the snapshot; then the tick has none. */
static uint64_t more_than(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void row_tick(struct statrow *r, const struct tally *now)
{
	r->tick.c.calls = more_than(now->c.calls, r->all.c.calls);
	r->tick.c.errors = more_than(now->c.errors, r->all.c.errors);
	for (int i = 0; i < HIST_BUCKETS; i++)
		r->tick.c.hist[i] = more_than(now->c.hist[i], r->all.c.hist[i]);
	/* The exact maximum is known since the start; of a tick only its bucket is. */
	r->tick.c.max_ns = hist_bound(r->tick.c.hist);
	if (r->tick.c.max_ns > now->c.max_ns || hist_total(r->tick.c.hist) == hist_total(now->c.hist))
		r->tick.c.max_ns = r->tick.c.max_ns ? now->c.max_ns : 0;
	r->all = *now;
}

static void row_sum(const struct statview *v, const struct statrow *r, const struct model *m, struct tally *now)
{
	struct tally one;

	memset(now, 0, sizeof(*now));
	for (uint32_t i = r->first; i != NOTHING; i = v->next[i]) {
		model_sum(m, m->probe[i], &one);
		if (m->probe[i]->condition) /* errors and durations are those of matching calls: so are the calls */
			one.c.calls = one.c.matched;
		tally_add(now, &one);
	}
}

int statview_tick(struct statview *v, const struct model *m, uint64_t now_ns)
{
	struct tally now;

	if (take_new_probes(v, m) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->n; i++) {
		row_sum(v, &v->row[i], m, &now);
		row_tick(&v->row[i], &now);
	}
	v->tick_ns = now_ns > v->last_ns ? now_ns - v->last_ns : v->tick_ns ? v->tick_ns : 1;   /* the clock may be set back */
	v->last_ns = now_ns;
	return 0;
}

int statview_total(struct statview *v, const struct model *m)
{
	if (take_new_probes(v, m) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->n; i++)
		row_sum(v, &v->row[i], m, &v->row[i].all);
	return 0;
}
