/* SPDX-License-Identifier: Apache-2.0 */
/* plumb stat: rates and latencies, redrawn in place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "clock_ns.h"
#include "statview.h"
#include "stream.h"

enum { TICK_NS = 1000000000 };

static int start(struct stream *s, struct error *err)
{
	struct statview *v = calloc(1, sizeof(*v));

	s->view = v;
	if (!v)
		return error_set(err, ENOMEM, "no memory");
	v->started_ns = v->last_ns = clock_ns(CLOCK_REALTIME);
	v->by_host = s->args->by_host;
	v->spec = s->args->rest;
	v->n_specs = (uint32_t)s->args->n_rest;
	return 0;
}

static int draw(struct stream *s, bool last)
{
	struct statview *v = s->view;
	struct buf text = { 0 };

	if (s->args->json) {
		statview_json(v, &s->model, client_is_collector(s->client) ? NULL : client_host(s->client), &s->out.text);
		output_flush(&s->out);
		return 0;
	}
	if (s->disturbed && s->out.terminal)
		v->drawn = 0;
	s->disturbed = false;
	statview_text(v, &s->model, &s->out, output_columns(&s->out), &text);
	statview_draw(v, &s->out, &text, last);
	buf_free(&text);
	return 0;
}

static int show(struct stream *s, uint64_t now_ns, bool last)
{
	return statview_tick(s->view, &s->model, now_ns) < 0 ? -ENOMEM : draw(s, last);
}

/*
 * A moment after a tick there is no rate to tell of the time since, but there are the last counts.  Programs add ticks up: for them the
 * last one is what came since, however short.
 */
static int show_end(struct stream *s)
{
	struct statview *v = s->view;
	uint64_t now = clock_ns(CLOCK_REALTIME);

	if (s->args->json || !v->tick_ns || now - v->last_ns >= s->args->tick_ns / 2)
		return show(s, now, true);
	return statview_total(v, &s->model) < 0 ? -ENOMEM : draw(s, true);
}

/*
 * Hosts report each by itself, once a second: a tick is over when all that are there have reported, so that it holds one report of
 * each; or when one reports for the second time, so that a host that is silent does not hold the others up: that report is the first
 * of the next round as well, or else every other tick would hold two of that host.  A longer tick is several whole rounds.
 */
static bool round_is_over(struct statview *v, const struct model *m, const struct source *now)
{
	uint32_t at = now->number % STAT_SOURCES, waiting = 0;
	unsigned char mark = (unsigned char)(1 << at % 8);
	bool again = v->reported[at / 8] & mark;

	v->reported[at / 8] |= mark;
	for (uint32_t i = 0; i < m->n_sources; i++) {
		const struct source *other = m->source[i];
		uint32_t bit = other->number % STAT_SOURCES;

		waiting += other->host && !other->quiet && !(v->reported[bit / 8] & 1 << bit % 8);
	}
	if (again || !waiting)
		memset(v->reported, 0, sizeof(v->reported));
	if (again)
		v->reported[at / 8] |= mark;
	return again || !waiting;
}

static int merged_frame(struct stream *s, const struct frame_in *in, struct error *err)
{
	struct statview *v = s->view;
	const struct source *from = model_source(&s->model, in, 4);
	uint64_t now = clock_ns(CLOCK_REALTIME);

	if (!from || !round_is_over(v, &s->model, from) || now - v->last_ns + TICK_NS / 2 < s->args->tick_ns)
		return 0;
	return show(s, now, false) < 0 ? error_set(err, ENOMEM, "no memory") : 0;
}

static int frame(struct stream *s, const struct frame_in *in, const char *raw, size_t raw_len, struct error *err)
{
	uint64_t now_ns;

	if (in->type == WIRE_STATS && client_is_collector(s->client))
		return merged_frame(s, in, err);
	if (in->type != WIRE_STATS || !object_u64(&in->items[2], &now_ns))
		return 0;
	return show(s, now_ns, false) < 0 ? error_set(err, ENOMEM, "no memory") : 0;
}

/* The end brings the final counts: a request shorter than a tick shows these alone. */
static void stop(struct stream *s)
{
	struct statview *v = s->view;

	if (!v)
		return;
	if (s->ended && s->model.n_probes)
		show_end(s);
	statview_free(v);
	free(v);
}

static int run(const struct args *a)
{
	static const struct stream_ops ops = { .verb = "stat", .start = start, .frame = frame, .stop = stop };
	struct args with_tick = *a;

	if (!with_tick.tick_ns)
		with_tick.tick_ns = TICK_NS;
	if (args_collector(a) && with_tick.tick_ns < TICK_NS)
		message("counters come from a collector once a second: --tick is 1s");
	return stream_run(&with_tick, &ops);
}

const struct command command_stat = {
	.name = "stat",
	.synopsis = "TARGET PROBE... [OPTION...]",
	.summary = "show rates, errors and latencies of functions, live",
	.details =
		"Target, one of:\n"
		"  -p, --pid PID         the process\n"
		"  -s, --service NAME    every process of an executable, systemd unit or container\n"
		"  -x, --exe PATH        every process that maps this file, now or later\n"
		"      --build ID        of these only what runs the build whose id begins so\n"
		"      --host A,B        through a collector: on these hosts only\n"
		"Options:\n"
		"      --tick DURATION   how often (1s)\n"
		"      --by service|host through a collector: a function's hosts as one row (service), or each as its own\n"
		"      --for DURATION    end after 10s, 2m, 1.5h\n"
		"      --error EXPR      what a failing call is, e.g. '$ret != 0'\n"
		"      --json            one JSON object a tick and line, the totals as the last\n"
		"      --keep            stays when this command ends; see plumb list, plumb rm\n"
		"      --ttl DURATION    removed after this time at the latest (10m)\n"
		"      --budget P%       of one core that the probes may add to a process (10%)\n"
		"      --allow-unwind    probe returns in C++ and Rust too: no exception passes through these functions\n"
		"Every count is exact. P50, P90 and P99 are exact to 1/16 of their value.\n"
		"Examples:\n"
		"  plumb stat -s checkoutd parse_order charge_card\n"
		"  plumb stat -p 812 --for 30s --json 'db_query if n > 100'\n"
		"  plumb stat -p 812 'db_*'\n",
	.groups = ARGS_TARGET | ARGS_JSON | ARGS_REQUEST | ARGS_STAT,
	.min_rest = 1,
	.max_rest = -1,
	.rest_name = "PROBE",
	.run = run,
};
