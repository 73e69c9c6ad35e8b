/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all probes together may cost a process.  At each tick, for each process: hits x (what a breakpoint of that kind
 * costs here, calibrate.c, + the BPF program's own time as the kernel measured it).  Above the budget over two ticks, or
 * twice above it in one, the costliest probe goes.
 */
#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent_internal.h"
#include "log.h"

enum {
	DEFAULT_RUN_NS = 400,      /* of the BPF program, per hit, until it was measured */
	PROCESSES_MAX = 1024,      /* looked at in one tick */
	NEAR = 4,                  /* above the budget / NEAR the next tick comes soon */
	WINDOW_MIN_MS = TICK_MS / 2, /* after a late tick the next one comes early: too short to tell a burst from a load */
};

#define MEASURE_NS 600000000ULL      /* BPF statistics are on this long ... */
#define CALIBRATION_NS 500000000ULL  /* calibration is done by then */
#define MEASURE_AGAIN_NS 15000000000ULL /* ... after a probe came, and from time to time: they cost every program */

struct process_cost {
	pid_t pid;
	uint64_t ns;               /* in this tick */
	uint32_t budget_ppm;
	struct instance *worst;
	uint64_t worst_ns, worst_calls;
};

/* The bill of one tick, and who was over the budget at the last one. */
struct bill {
	struct process_cost process[PROCESSES_MAX];
	size_t n;
	pid_t over[PROCESSES_MAX];
	size_t n_over;
	bool near;                 /* a process may be over its budget at the next tick */
	struct instance *in;       /* whose processes are being added */
	uint64_t ns_per_hit;
};

/* A session's program runs at entry and at return: twice for each call. */
static uint64_t run_ns(const struct instance *in)
{
	bool call = in->resolved.plan.flags & PLAN_CALL;

	return (call ? 2 : 1) * (in->run_ns ? in->run_ns : DEFAULT_RUN_NS);
}

static uint64_t ns_per_hit(const struct instance *in)
{
	const struct resolved *r = &in->resolved;

	return in->rq->agent->costs.ns[r->site.kind][!!(r->plan.flags & PLAN_CALL)] + run_ns(in);
}

static struct process_cost *cost_of(struct bill *bill, pid_t pid)
{
	for (size_t i = 0; i < bill->n; i++)
		if (bill->process[i].pid == pid)
			return &bill->process[i];
	if (bill->n == PROCESSES_MAX)
		return NULL;
	bill->process[bill->n] = (struct process_cost){ .pid = pid };
	return &bill->process[bill->n++];
}

static void add_process(pid_t pid, uint32_t slot, void *arg)
{
	struct bill *bill = arg;
	struct instance *in = bill->in;
	struct process_cost *p = cost_of(bill, pid);
	struct counts c;
	uint64_t hits, ns;

	if (!p || slot >= loader_slots(in->loaded))
		return;
	if (is_pattern(&in->resolved)) {
		guard_pattern_cost(in, slot, run_ns(in), &hits, &ns);
	} else {
		if (loader_counts(in->loaded, slot, &c))
			return;
		hits = c.calls - in->last_calls[slot];
		in->last_calls[slot] = c.calls;
		ns = hits * bill->ns_per_hit;
	}
	p->ns += ns;
	if (in->rq->args.budget_ppm > p->budget_ppm)
		p->budget_ppm = in->rq->args.budget_ppm;
	if (ns > p->worst_ns || !p->worst) {
		p->worst = in;
		p->worst_ns = ns;
		p->worst_calls = hits;
	}
}

/* The mean over what ran since the last look, if statistics were on meanwhile. */
static void measure_run_time(struct instance *in)
{
	uint64_t runs, ns;

	if (loader_run_time(in->loaded, &runs, &ns) || runs < in->last_runs + 100)
		return;
	in->run_ns = (ns - in->last_run_ns) / (runs - in->last_runs);
	in->last_runs = runs;
	in->last_run_ns = ns;
}

static void switch_statistics(struct agent *a, uint64_t now, bool fresh)
{
	bool on = fresh || now >= a->stats_again_ns;

	if (on && a->stats_fd < 0) {
		a->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
		a->stats_until_ns = now + MEASURE_NS;
		a->stats_again_ns = now + MEASURE_AGAIN_NS;
	} else if (a->stats_fd >= 0 && now >= a->stats_until_ns && !fresh) {
		close(a->stats_fd);
		a->stats_fd = -1;
	}
}

void guard_stop(struct agent *a)
{
	if (a->stats_fd >= 0)
		close(a->stats_fd);
	a->stats_fd = -1;
}

bool guard_ends(struct request *rq)
{
	const struct instance *in, *tripped = NULL;

	LIST_FOREACH(in, &rq->instances, link) {
		if (!in->detached)
			return false;
		if (in->trip[0])
			tripped = in;
	}
	if (!tripped || rq->state != REQUEST_RUNNING)
		return false;
	request_end(rq, "guard", "%s", tripped->trip);
	return true;
}

static void on_tripped(void *arg)
{
	struct instance *in = arg;

	in->rq->detaching--;
	if (!guard_ends(in->rq))
		request_advance(in->rq);
}

static void on_dropped(void *arg)
{
	struct instance *in = arg;

	in->rq->detaching--;
	request_advance(in->rq);
}

/* To people, and to programs: a sum over the others is not what it was. */
static void tell_functions_gone(const struct process_cost *p, uint64_t window_ns, const struct dropped *gone)
{
	char text[TRIP_TEXT];

	snprintf(text, sizeof(text), "%s removed: probes cost process %d %.1f%% of one core, the budget is %.1f%% "
		 "(%.0f calls/s at about %lu ns each); counts up to now are exact", gone->which, p->pid,
		 100.0 * (double)p->ns / (double)window_ns, p->budget_ppm / 1e4, (double)gone->calls * 1e9 / (double)window_ns,
		 (unsigned long)(gone->calls ? gone->ns / gone->calls : 0));
	request_notice(p->worst->rq, "guard", "%s", text);
	request_notice_removed(p->worst->rq, p->worst, text, true);
}

/* Some of a pattern's functions go, the others stay. False: they cannot. */
static bool trip_functions(struct agent *a, const struct process_cost *p, uint64_t window_ns, struct dropped *gone)
{
	struct instance *in = p->worst;
	uint64_t budget_ns = window_ns * p->budget_ppm / 1000000;

	/* Down to half of the budget, or the next burst takes more of them. */
	if (guard_pattern_drop(in, p->pid, run_ns(in), p->ns - budget_ns / 2, gone))
		return false;
	tell_functions_gone(p, window_ns, gone);
	in->rq->detaching++;
	if (reaper_detach(a->reaper, in->loaded, false, on_dropped, in)) {
		loader_detach(in->loaded, false);
		on_dropped(in);
	}
	return true;
}

/* A function, or a line of it. */
static void name_place(const struct instance *in, char *out, size_t size)
{
	const struct resolved *r = &in->resolved;

	if (r->site.of_line)
		snprintf(out, size, "%.130s:%u (%.80s)", r->file, r->line, r->function);
	else
		snprintf(out, size, "%.230s", r->function);
}

static void describe_trip(struct instance *in, const struct process_cost *p, uint64_t window_ns, const struct dropped *gone)
{
	double cost = 100.0 * (double)p->ns / (double)window_ns, budget = p->budget_ppm / 1e4;
	double rate = (double)p->worst_calls * 1e9 / (double)window_ns;
	bool pattern = is_pattern(&in->resolved);
	char place[240];

	name_place(in, place, sizeof(place));
	snprintf(in->trip, sizeof(in->trip),
		 "probe on %s%s%.150s removed: probes cost process %d %.1f%% of one core, the budget is %.1f%% "
		 "(%.0f calls/s at about %lu ns each%s%s); counts up to now are exact",
		 place, gone->which[0] ? ", most of all " : "", gone->which, p->pid, cost, budget, rate,
		 (unsigned long)(p->worst_calls ? p->worst_ns / p->worst_calls : 0), pattern ? "" : ", on a site that is ",
		 pattern ? "" : site_kind_name(in->resolved.site.kind));
}

static void trip(struct agent *a, const struct process_cost *p, uint64_t window_ns)
{
	struct instance *in = p->worst;
	struct dropped gone = { .which = "" };

	if (is_pattern(&in->resolved) && trip_functions(a, p, window_ns, &gone))
		return;
	describe_trip(in, p, window_ns, &gone);
	in->detached = true;
	in->rq->detaching++;
	request_notice(in->rq, "guard", "%s", in->trip);
	request_notice_removed(in->rq, in, in->trip, false);
	if (reaper_detach(a->reaper, in->loaded, true, on_tripped, in)) {
		loader_detach(in->loaded, true);
		on_tripped(in);
	}
}

/* The default price of a single step is ten times what it is on some machines: better to wait for the measurement. */
static bool price_is_unknown(const struct instance *in, uint64_t now)
{
	return in->rq->agent->calibrator && now - in->attached_ns < CALIBRATION_NS;
}

static bool was_over(const pid_t *over, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (over[i] == pid)
			return true;
	return false;
}

/* Removes what costs too much; notes who is over the budget for the next tick. */
static void judge(struct agent *a, struct bill *bill, uint64_t now, uint64_t window_ns)
{
	size_t n_before = bill->n_over;
	pid_t before[PROCESSES_MAX];

	memcpy(before, bill->over, n_before * sizeof(*before));
	bill->n_over = 0;
	for (size_t i = 0; i < bill->n; i++) {
		const struct process_cost *p = &bill->process[i];
		uint64_t ppm = p->ns * 1000000 / window_ns;

		bill->near |= ppm > p->budget_ppm / NEAR;
		if (ppm <= p->budget_ppm || !p->worst || price_is_unknown(p->worst, now))
			continue;
		bill->over[bill->n_over++] = p->pid;
		if ((ppm > 2ULL * p->budget_ppm || was_over(before, n_before, p->pid)) && !p->worst->detached)
			trip(a, p, window_ns);
	}
}

void guard_begin(struct agent *a, uint64_t now)
{
	a->guard_ns = now;
}

bool guard_tick(struct agent *a, uint64_t now)
{
	static struct bill bill;
	uint64_t window_ns = now - a->guard_ns;
	struct request *rq;
	struct instance *in;
	bool fresh = false;

	if (window_ns < WINDOW_MIN_MS * 1000000ULL)
		return true;
	bill.n = 0;
	bill.near = false;
	LIST_FOREACH(rq, &a->requests, link) {
		LIST_FOREACH(in, &rq->instances, link) {
			if (in->detached || !in->loaded)
				continue;
			fresh |= now - in->attached_ns < MEASURE_NS;
			if (a->stats_fd >= 0)
				measure_run_time(in);
			bill.in = in;
			bill.ns_per_hit = ns_per_hit(in);
			if (is_pattern(&in->resolved) && loader_read(in->loaded))
				continue;
			loader_each_process(in->loaded, add_process, &bill);
		}
	}
	a->guard_ns = now;
	judge(a, &bill, now, window_ns);
	if (!LIST_EMPTY(&a->requests))
		switch_statistics(a, now, fresh);
	else
		guard_stop(a);
	return fresh || bill.near || a->stats_fd >= 0;
}
