/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From STATS to ticks.  STATS hold everything since the start of a request, per probe and process: what a row has more than it had
 * is added to its item, and a tick takes what items have.  Counters of one call are not read at one instant (a trigger's probe
 * may be a call ahead of the function's), so what would not fit into this tick stays for the next.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify_internal.h"

#define RARELY 0.0005   /* hits of a line per call that move no quantile that is guarded by default */
#define RATE_CALLS 100  /* below it, hits per call are no rate */
#define RATE_AFTER_NS 5000000000ULL   /* by then the guard has removed the probes of lines that are hit all the time */

#define FIRST_STATS_NS 3000000000ULL   /* the first counters of a request come within this time */

/* ---- frames ---- */

const struct item *verify_item_of(const struct verify *v, const struct arm_request *r, const struct probe *p, uint32_t *index)
{
	for (uint32_t i = 0; i < r->n_items; i++) {
		*index = r->item[i];
		if (strcmp(v->item[r->item[i]].text[r->side], p->spec) == 0)
			return &v->item[r->item[i]];
	}
	return NULL;
}

static bool is_call(const struct item *it)
{
	return it->kind == ITEM_FUNCTION || it->kind == ITEM_TRIGGER;
}

/* Of a pattern's functions calls alone are counted where returns must not be probed: none would be seen to fail. */
static int no_returns(struct verify *v, struct item *it, const struct probe *p, uint64_t now_ns, struct error *err)
{
	if (it->group != GROUP_CLAIMED)   /* compared because it has changed */
		return it->dropped ? 0 : verify_leave_out(v, it, "only the calls can be counted, not how they end (if no exception passes "
							   "through it: --allow-unwind)", now_ns, err);
	error_set(err, ENOTSUP, "%s: only the calls can be counted, not how they end, so that there is nothing to compare", p->function);
	return error_hint(err, "if no exception passes through these functions: --allow-unwind");
}

int verify_take_probe(struct verify *v, struct arm_request *r, const struct frame_in *in, uint64_t now_ns, struct error *err)
{
	int rc = model_probe(&r->model, in, err);
	const struct probe *p = rc ? NULL : r->model.probe[r->model.n_probes - 1];
	const msgpack_object *map = in->count > 2 ? &in->items[2] : NULL;
	uint32_t index;
	uint64_t cost;
	bool call;

	if (rc || !map || !verify_item_of(v, r, p, &index))
		return rc;
	if (is_call(&v->item[index]) && object_bool(map_get(map, "call"), &call) && !call)
		return no_returns(v, &v->item[index], p, now_ns, err);
	v->item[index].probes++;
	v->item[index].errno_probes += p->may_be_errno;
	/* A probe on several functions or files: the dearest one counts. */
	if (object_u64(map_get(map, "cost_ns"), &cost) && cost >= v->item[index].cost_ns[r->side] && cost < 1000000000) {
		v->item[index].cost_ns[r->side] = cost;
		object_copy_text(v->item[index].site_kind[r->side], CLAIM_SITE, map_get(map, "site_kind"));
	}
	return 0;
}

static uint64_t more_than(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* A row that has fewer calls than before is another process of that pid: all of it is new. */
static void difference(const struct counts *now, struct counts *before, struct tally *out)
{
	static const struct counts none;
	const __u64 *n = (const __u64 *)now, *b = (const __u64 *)(now->calls < before->calls ? &none : before);
	__u64 *o = (__u64 *)&out->c;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < sizeof(*now) / sizeof(__u64); i++)
		o[i] = more_than(n[i], b[i]);
	*before = *now;
}

static struct row_before *before_of(struct arm_request *r, uint32_t source, uint32_t row)
{
	struct before *b;

	if (source >= r->n_before) {
		struct before *more = reallocarray(r->before, source + 1, sizeof(*more));

		if (!more)
			return NULL;
		memset(&more[r->n_before], 0, (source + 1 - r->n_before) * sizeof(*more));
		r->before = more;
		r->n_before = source + 1;
	}
	b = &r->before[source];
	if (row >= b->n) {
		uint32_t n = row + 16;
		struct row_before *more = reallocarray(b->row, n, sizeof(*more));

		if (!more)
			return NULL;
		memset(&more[b->n], 0, (n - b->n) * sizeof(*more));
		b->row = more;
		b->n = n;
	}
	return &b->row[row];
}

/* Calls that were entered and have neither returned nor been given up. */
static uint64_t open_calls(const struct counts *c)
{
	return more_than(c->calls, c->returns + c->too_deep + c->unwound + c->dropped[DROP_NOMEM]);
}

/* One name may be several functions, so that a process has a row for each: it dies once. */
static bool is_known_dead(const struct verify *v, const struct arm_request *r, uint32_t source, uint32_t pid, const struct item *it)
{
	const struct source *s = r->model.source[source];

	for (uint32_t i = 0; i < r->before[source].n && i < s->n_rows; i++) {
		const struct probe *p = idmap_get(&s->probe_of, s->row[i]->probe);
		uint32_t index;

		if (r->before[source].row[i].settled && s->row[i]->pid == pid && p && verify_item_of(v, r, p, &index) == it)
			return true;
	}
	return false;
}

/*
 * A process died in the middle of calls: how they would have ended is not known, and they do not come back. Where a condition leaves
 * calls out, their returns are not followed, so that there it cannot be told how many were open.
 */
static void settle(struct verify *v, const struct arm_request *r, uint32_t source, const struct probe *p, struct item *it,
		   const struct row *row, struct row_before *before)
{
	uint64_t open = more_than(open_calls(&row->now.c), before->settled);

	if (it->kind != ITEM_FUNCTION || !p->call)
		return;
	if (p->condition) {
		verify_remark(v, "process %u of the %s ended: how many calls of %s were open then is not known", row->pid,
			      verify_name_of(v, r->side), p->function);
	} else if (open) {
		it->crashed[r->side] += open;
		it->died[r->side] += !is_known_dead(v, r, source, row->pid, it);
		before->settled += open;
		verify_remark(v, "process %u of the %s ended in %llu call%s of %s: the outcome is unknown", row->pid, verify_name_of(v, r->side),
			      (unsigned long long)open, open == 1 ? "" : "s", p->function);
	}
}

/* last: of the request's END. */
static int take_row(struct verify *v, struct arm_request *r, uint32_t source, uint32_t number, bool last, uint64_t now_ns)
{
	const struct source *s = r->model.source[source];
	const struct row *row = s->row[number];
	const struct probe *p = idmap_get(&s->probe_of, row->probe);
	struct row_before *before;
	struct tally delta;
	uint32_t index;

	if (row->snapshot != s->snapshot || !p || !verify_item_of(v, r, p, &index))
		return 0;
	before = before_of(r, source, number);
	if (!before)
		return -ENOMEM;
	/* What is in the first counters of all was there when the request was accepted; what comes later came in between. */
	if (!before->since_ns)
		before->since_ns = s->snapshot == 1 && now_ns - r->accepted_ns < FIRST_STATS_NS ? r->accepted_ns : now_ns;
	difference(&row->now.c, &before->c, &delta);
	/* By way of a collector older counters may come yet: those of a process that has ended stand still. */
	if (before->ended && (last || (!delta.c.calls && !delta.c.returns)))
		settle(v, r, source, p, &v->item[index], row, before);
	tally_add(&v->item[index].pending[r->side], &delta);
	v->item[index].hits[r->side] += v->item[index].conditional ? delta.c.matched : delta.c.calls;
	return 0;
}

uint64_t verify_probed_since(const struct verify *v, enum verify_side side, const char *host, uint64_t pid)
{
	uint64_t since = 0;

	for (uint32_t i = 0; i < v->n_requests; i++) {
		const struct arm_request *r = v->request[i];

		for (uint32_t k = 0; r->side == side && k < r->n_before && k < r->model.n_sources; k++) {
			const struct source *s = r->model.source[k];

			for (uint32_t n = 0; n < r->before[k].n && n < s->n_rows; n++)
				if (s->row[n]->pid == pid && strcmp(s->host ? s->host : "", host) == 0 && r->before[k].row[n].since_ns > since)
					since = r->before[k].row[n].since_ns;
		}
	}
	return since;
}

static void note_ended_rows(struct verify *v, struct arm_request *r, uint32_t source)
{
	const struct source *s = r->model.source[source];
	const char *host = s->host ? s->host : "";

	for (uint32_t i = 0; i < r->before[source].n && i < s->n_rows; i++) {
		struct row_before *b = &r->before[source].row[i];
		uint64_t pid = s->row[i]->pid;

		/* A process that came after the question may be missing from the answer. */
		if (pid && b->since_ns && b->since_ns < v->ps_ns && verify_host_told(v, host))
			b->ended = !verify_find_running(v, host, pid, v->arm[r->side].build_id);
	}
}

void verify_note_gone(struct arm_request *r)
{
	for (uint32_t i = 0; i < r->n_before; i++)
		for (uint32_t k = 0; k < r->before[i].n; k++)
			r->before[i].row[k].ended = true;
}

void verify_note_ended(struct verify *v)
{
	for (uint32_t i = 0; i < v->n_requests; i++)
		for (uint32_t k = 0; k < v->request[i]->n_before && k < v->request[i]->model.n_sources; k++)
			note_ended_rows(v, v->request[i], k);
}

/* Error values are not in the model: from the rows as they came. */
static int take_row_values(struct verify *v, struct arm_request *r, const struct source *s, const msgpack_object *row)
{
	const msgpack_object *part = row->via.array.ptr, *list = map_get(&part[3], "error_values");
	uint64_t probe = 0, pid = 0;
	const struct probe *p;
	uint32_t index;

	object_u64(&part[0], &probe);
	object_u64(&part[1], &pid);
	p = list ? idmap_get(&s->probe_of, (uint32_t)probe) : NULL;
	if (!p || !verify_item_of(v, r, p, &index))
		return 0;
	return verify_take_values(r, s->number, (uint32_t)probe, (uint32_t)pid, list, &v->item[index]);
}

/* The model has taken the frame in, so that its rows are known to be rows. */
static int take_values(struct verify *v, struct arm_request *r, const struct source *s, const msgpack_object *rows, struct error *err)
{
	for (uint32_t i = 0; i < rows->via.array.size; i++) {
		int rc = take_row_values(v, r, s, &rows->via.array.ptr[i]);

		if (rc)
			return error_set(err, -rc, rc == -ENOMEM ? "no memory for error values" : "the agent sent malformed error values");
	}
	return 0;
}

int verify_take_stats(struct verify *v, struct arm_request *r, const struct frame_in *in, uint64_t now_ns, struct error *err)
{
	const uint32_t own = in->type == WIRE_END ? 5 : 4;
	int rc = model_stats(&r->model, in, err);
	struct source *from = rc ? NULL : model_source(&r->model, in, own);

	r->reported = true;
	if (from)
		from->quiet = false;
	for (uint32_t i = 0; from && i < r->model.n_sources; i++)
		for (uint32_t k = 0; r->model.source[i] == from && k < from->n_rows; k++)
			if (take_row(v, r, i, k, in->type == WIRE_END, now_ns) < 0)
				return error_set(err, ENOMEM, "no memory for counters");
	return from ? take_values(v, r, from, &in->items[own - 1], err) : rc;
}

/* ---- one tick ---- */

/* What verdict_tick borrows. */
struct tick_room {
	__u64 hist[HIST_BUCKETS];
	uint64_t line_hits[CLAIM_LINES];
	struct watched watched;
	struct error_value value[CLAIM_VALUES];
};

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Takes up to `most` from a counter. */
static uint64_t take(__u64 *from, uint64_t most)
{
	uint64_t n = smaller(*from, most);

	*from -= n;
	return n;
}

/* Calls whose outcome is known, of a probe with or without a condition: those that matched have returned. */
static void take_calls(struct item *it, enum verify_side side, struct arm_tick *t, struct tick_room *room)
{
	struct counts *c = &it->pending[side].c;
	uint64_t timed = hist_total(c->hist);

	t->lost = c->undecided + c->dropped[DROP_NOMEM];
	t->unpaired = c->too_deep + c->unwound;
	t->calls = c->matched;
	/* Without a condition it is the error predicate that was not decided: the call counts as matched all the same. */
	if (it->pending[side].c.matched == c->returns)
		t->calls -= smaller(t->calls, c->undecided);
	t->errors = smaller(c->errors, t->calls);
	memcpy(room->hist, c->hist, sizeof(room->hist));
	t->hist = timed <= t->calls ? room->hist : NULL;
	c->errors -= t->errors;
	c->calls = c->returns = c->matched = c->undecided = c->too_deep = c->unwound = c->dropped[DROP_NOMEM] = 0;
	memset(c->hist, 0, sizeof(c->hist));
}

static void take_triggers(struct item *it, enum verify_side side, struct arm_tick *t)
{
	struct counts *c = &it->pending[side].c;
	uint64_t unknown = c->undecided + c->dropped[DROP_NOMEM] + c->too_deep + c->unwound;

	t->triggers = take(&c->matched, t->calls);
	t->trigger_errors = take(&c->errors, smaller(t->triggers, t->errors));
	t->trigger_unknown = unknown;
	/* A trigger that could not be read is a call whose outcome is known and whose kind is not: as good as lost. */
	if (unknown > t->lost + t->unpaired)
		t->lost = unknown - t->unpaired;
	c->undecided = c->dropped[DROP_NOMEM] = c->too_deep = c->unwound = 0;
}

static void take_line_hits(struct verify *v, struct judged *j, enum verify_side side, struct arm_tick *t, struct tick_room *room)
{
	for (uint32_t i = 0; i < j->n_line_items; i++) {
		const struct item *it = &v->item[j->line_item[i]];
		struct counts *c = &v->item[j->line_item[i]].pending[side].c;

		room->line_hits[j->any_line ? 0 : i] += it->conditional ? c->matched : c->calls;
		c->calls = c->matched = 0;
	}
	t->line_hits = j->claim.lines ? room->line_hits : NULL;
}

static void take_watched(struct verify *v, struct judged *j, enum verify_side side, struct arm_tick *t, struct tick_room *room)
{
	for (uint32_t i = 0; j->claim.watched && i < v->n_items; i++) {
		struct item *it = &v->item[i];

		if (it->kind != ITEM_WATCHED && it->kind != ITEM_PER)
			continue;
		*(it->kind == ITEM_WATCHED ? &room->watched.calls : &room->watched.per) = it->pending[side].c.calls;
		it->pending[side].c.calls = 0;
	}
	t->watched = j->claim.watched ? &room->watched : NULL;
}

/* The probes that a call of the function meets: its own, the trigger's, those of its lines as often as they are hit. */
static double cost_of(const struct verify *v, const struct judged *j, enum verify_side side)
{
	const struct item *f = verify_function_item(v, j->function, ITEM_FUNCTION), *t = verify_function_item(v, j->function, ITEM_TRIGGER);
	double ns = (double)f->cost_ns[side] + (t && t->kind == ITEM_TRIGGER ? (double)t->cost_ns[side] : 0);

	for (uint32_t i = 0; f->hits[side] && i < v->n_items; i++) {
		const struct item *it = &v->item[i];

		if (it->kind == ITEM_LINE && !it->dropped && v->coverage->line[it->index].function == (int32_t)j->function)
			ns += (double)it->cost_ns[side] * (double)it->hits[side] / (double)f->hits[side];
	}
	return ns;
}

/*
 * A verdict keeps the highest cost that it was told.  What is there for the first few seconds only is not told: latencies are compared from
 * second to second, so that it decides nothing.
 */
static bool rate_is_known(const struct verify *v, const struct item *f, enum verify_side side)
{
	uint64_t since_ns = v->spec.by_time && side == CANDIDATE ? v->time.since_ns : v->run_ns;

	return f->hits[side] >= RATE_CALLS && v->tick_ns >= since_ns + RATE_AFTER_NS;
}

/*
 * What a call could meet at most.  Who calls whom is not known, so any changed line may lie below, in a loop perhaps, if it is hit so often
 * that it can move a quantile: once, or as often as if these calls made all of its hits.  One whose probe was removed counts once, for the
 * calls before that.
 */
static double most_of(const struct verify *v, const struct judged *j, enum verify_side side)
{
	const struct item *f = verify_function_item(v, j->function, ITEM_FUNCTION), *t = verify_function_item(v, j->function, ITEM_TRIGGER);
	double ns = (double)f->cost_ns[side] + (t && t->kind == ITEM_TRIGGER ? (double)t->cost_ns[side] : 0);

	for (uint32_t i = 0; f->hits[side] && i < v->n_items; i++) {
		const struct item *it = &v->item[i];
		const struct covered_line *l = it->kind == ITEM_LINE ? &v->coverage->line[it->index] : NULL;
		double often = (double)it->hits[side] / (double)f->hits[side];

		if (!l || it->dropped || often < RARELY)
			continue;
		if (l->function != (int32_t)j->function && (l->removed || !rate_is_known(v, f, side)))
			often = 1;
		ns += (double)it->cost_ns[side] * fmax(often, 1);
	}
	return ns;
}

static void arm_tick(struct verify *v, struct judged *j, enum verify_side side, uint64_t span_ns, struct arm_tick *t,
		     struct tick_room *room)
{
	struct item *f = (struct item *)verify_function_item(v, j->function, ITEM_FUNCTION);
	struct item *trigger = (struct item *)verify_function_item(v, j->function, ITEM_TRIGGER);
	uint64_t crashed;

	memset(t, 0, sizeof(*t));
	memset(room, 0, sizeof(*room));
	if (!f || !verify_time_counts(v, side))   /* who is judged has one */
		return;
	crashed = f->crashed[side];
	f->crashed[side] = 0;
	t->died = f->died[side];
	f->died[side] = 0;
	t->processes = v->arm[side].n_members;
	t->unseen = verify_unseen(v, side);
	t->span_ns = t->processes ? span_ns : 0;
	take_calls(f, side, t, room);
	t->values = room->value;
	t->n_values = verify_values_of_tick(f, side, j->function, t->errors, room->value);
	if (trigger && v->coverage->function[j->function].claimed)
		take_triggers(trigger, side, t);
	t->unpaired += crashed;
	t->trigger_unknown += crashed;
	take_line_hits(v, j, side, t, room);
	take_watched(v, j, side, t, room);
	t->probe_ns = cost_of(v, j, side);
	t->probe_most_ns = most_of(v, j, side);
	snprintf(t->site_kind, sizeof(t->site_kind), "%s", f->site_kind[side]);
}

/* All that is probed of it says so, in both arms. */
static bool returns_errno(const struct verify *v, const struct judged *j)
{
	const struct item *f = verify_function_item(v, j->function, ITEM_FUNCTION);

	return f && f->probes && f->errno_probes == f->probes;
}

int verify_tick(struct verify *v, uint64_t span_ns, struct error *err)
{
	struct tick_room *room = calloc(VERIFY_SIDES, sizeof(*room));
	struct arm_tick t[VERIFY_SIDES];
	int rc = 0;

	if (!room)
		return error_set(err, ENOMEM, "no memory for a tick");
	for (uint32_t i = 0; !rc && i < v->n_judged; i++) {
		for (int side = 0; side < VERIFY_SIDES; side++)
			arm_tick(v, &v->judged[i], (enum verify_side)side, span_ns, &t[side], &room[side]);
		verdict_set_errno(v->judged[i].verdict, returns_errno(v, &v->judged[i]));
		rc = verdict_tick(v->judged[i].verdict, &t[BASELINE], &t[CANDIDATE], err);
		if (!rc && v->judged[i].mirror)
			rc = verdict_tick(v->judged[i].mirror, &t[CANDIDATE], &t[BASELINE], err);
	}
	free(room);
	return rc;
}
