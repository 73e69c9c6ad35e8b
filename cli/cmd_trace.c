/* SPDX-License-Identifier: Apache-2.0 */
/* plumb trace: one line per call. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "render.h"
#include "stream.h"

static int start(struct stream *s, struct error *err)
{
	struct render *r = calloc(1, sizeof(*r));

	s->view = r;
	if (!r || render_init(r, &s->out, &s->model, client_host(s->client)) < 0)
		return error_set(err, ENOMEM, "no memory");
	return 0;
}

static void stop(struct stream *s)
{
	if (s->view)
		render_free(s->view);
	free(s->view);
}

/* Each host stops at the limit by itself: together they may have sent more. */
static bool is_enough(const struct stream *s)
{
	return s->args->limit && s->shown >= s->args->limit;
}

static int show_chunk(struct stream *s, const struct frame_in *in, struct error *err)
{
	void (*show)(struct render *, const struct record *) = s->args->json ? render_json : render_text;
	struct record rec;
	struct chunk k;
	int rc = chunk_open(&k, &s->model, in, err);

	while (!rc && !is_enough(s) && (rc = chunk_next(&k, &s->model, &rec, err)) > 0) {
		show(s->view, &rec);
		s->shown++;
		output_poll(&s->out);
		rc = 0;
	}
	return rc;
}

/* --msgpack: the agent's own frames, so that a reader gets all that plumb would have got, at the price of a copy. */
static int pass_on(struct stream *s, const struct frame_in *in, const char *raw, size_t raw_len, struct error *err)
{
	struct chunk k;
	int rc;

	if (in->type == WIRE_CHUNK) {
		rc = chunk_open(&k, &s->model, in, err);
		if (rc)
			return rc;
		s->shown += k.count;
	}
	buf_add(&s->out.text, raw, raw_len);
	return 0;
}

/* Who watches a terminal wants to know that the wait is for calls, not for plumb. */
static void announce(struct stream *s, const struct frame_in *in)
{
	if (in->type == WIRE_PROBE && s->model.n_probes == 1 && isatty(STDERR_FILENO))
		message("watching %s; Ctrl-C ends", s->model.probe[0]->spec);
}

static int frame(struct stream *s, const struct frame_in *in, const char *raw, size_t raw_len, struct error *err)
{
	announce(s, in);
	if (s->args->msgpack)
		return pass_on(s, in, raw, raw_len, err);
	return in->type == WIRE_CHUNK ? show_chunk(s, in, err) : 0;
}

static int run(const struct args *a)
{
	static const struct stream_ops ops = { .verb = "trace", .start = start, .frame = frame, .stop = stop };

	if (a->json && a->msgpack) {
		message("--json and --msgpack exclude each other");
		return CLI_USAGE;
	}
	return stream_run(a, &ops);
}

const struct command command_trace = {
	.name = "trace",
	.synopsis = "TARGET PROBE... [OPTION...]",
	.summary = "show each call of a function: arguments, result, duration",
	.details =
		"Target, one of:\n"
		"  -p, --pid PID         the process\n"
		"  -s, --service NAME    every process of an executable, systemd unit or container\n"
		"  -x, --exe PATH        every process that maps this file, now or later\n"
		"      --build ID        of these only what runs the build whose id begins so\n"
		"      --host A,B        through a collector: on these hosts only\n"
		"Which calls:\n"
		"      --errors          failing calls only\n"
		"      --error EXPR      what a failing call is, e.g. '$ret != 0'\n"
		"      --sample 1/N      one in N\n"
		"      --rate N/s        at most N a second\n"
		"      --limit N         end after N\n"
		"      --for DURATION    end after 10s, 2m, 1.5h\n"
		"How much of each value:\n"
		"      --depth N         pointers to structs that are followed (1, at most 4)\n"
		"      --bytes N         of each struct or array that are captured (256, at most 4096)\n"
		"      --string N        bytes of each text that are captured (64, at most 4096)\n"
		"How:\n"
		"      --json            one JSON object a line, the totals as the last\n"
		"      --msgpack         the agent's frames as they are\n"
		"      --keep            stays when this command ends; see plumb list, plumb rm\n"
		"      --ttl DURATION    removed after this time at the latest (10m)\n"
		"      --budget P%       of one core that the probes may add to a process (10%)\n"
		"      --allow-unwind    probe returns in C++ and Rust too: no exception passes through these functions\n"
		"Examples:\n"
		"  plumb trace -p 812 parse_order\n"
		"  plumb trace -s checkoutd 'parse_order(o->id, o->user.name) if $ret < 0'\n"
		"  plumb trace -s checkoutd --errors --for 30s parse_order charge_card\n"
		"  plumb trace -x /usr/lib/x86_64-linux-gnu/libssl.so.3 --sample 1/100 'libssl.so.3:SSL_read -> $ret'\n",
	.groups = ARGS_TARGET | ARGS_JSON | ARGS_REQUEST | ARGS_TRACE,
	.min_rest = 1,
	.max_rest = -1,
	.rest_name = "PROBE",
	.run = run,
};
