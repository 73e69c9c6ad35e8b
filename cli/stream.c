/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "clock_ns.h"
#include "render.h"
#include "request.h"
#include "signals.h"

int stream_stop_ms = 20000;

/* ---- frames ---- */

static void say(struct stream *s, const struct source *from, const char *text)
{
	output_flush(&s->out);
	if (from && from->host)
		message("%s: %s", from->host, text);
	else
		message("%s", text);
	s->disturbed = true;
}

static bool is_asked_for(const char *reason)
{
	return strcmp(reason, "stopped") == 0 || strcmp(reason, "limit") == 0 || strcmp(reason, "for") == 0;
}

/* What has become of the request on one host of a collector: a refusal, or its end. */
static void on_host(struct stream *s, const struct source *from, const char *code, const msgpack_object *map)
{
	char text[512], more[512], line[1200];

	object_copy_text(text, sizeof(text), map_get(map, "text"));
	if (strcmp(code, "refused") == 0) {
		object_copy_text(more, sizeof(more), map_get(map, "hint"));
		snprintf(line, sizeof(line), "refused: %s%s%s%s", text, more[0] ? " (" : "", more, more[0] ? ")" : "");
		say(s, from, line);
	} else if (strcmp(code, "end") == 0) {
		object_copy_text(more, sizeof(more), map_get(map, "reason"));
		snprintf(line, sizeof(line), "ended (%s): %s", more, text);
		if (!is_asked_for(more))
			say(s, from, line);
	}
}

/* Whether counters still come from there, and whether they ought to. */
static void note_state(struct source *from, const char *code, const msgpack_object *what)
{
	char reason[32];

	if (strcmp(code, "back") == 0) {
		from->quiet = from->missing = false;
	} else if (strcmp(code, "refused") == 0 || strcmp(code, "away") == 0) {
		from->quiet = from->missing = true;
	} else if (strcmp(code, "end") == 0) {
		object_copy_text(reason, sizeof(reason), map_get(what, "reason"));
		from->quiet = true;
		from->missing = !is_asked_for(reason);
	}
}

static int on_notice(struct stream *s, const struct frame_in *in)
{
	char text[1024], code[32];
	struct source *from;

	if (in->count < 4)
		return 0;
	from = model_source(&s->model, in, 4);
	object_copy_text(code, sizeof(code), &in->items[2]);
	if (from)
		note_state(from, code, &in->items[3]);
	if (in->items[3].type == MSGPACK_OBJECT_MAP) {   /* "process", "source": who they are, nothing to say */
		on_host(s, from, code, &in->items[3]);
		return model_notice(&s->model, in) == -ENOMEM ? -ENOMEM : 0;
	}
	object_copy_text(text, sizeof(text), &in->items[3]);
	say(s, from, text);
	return 0;
}

static int on_end(struct stream *s, const struct frame_in *in, struct error *err)
{
	if (in->count < 5)
		return error_set(err, EPROTO, "the agent sent a malformed end");
	s->ended = true;
	object_copy_text(s->reason, sizeof(s->reason), &in->items[2]);
	object_copy_text(s->text, sizeof(s->text), &in->items[3]);
	return model_stats(&s->model, in, err);
}

static int on_frame(struct stream *s, const struct frame_in *in, const char *raw, size_t raw_len, struct error *err)
{
	uint64_t id;
	int rc = 0;

	if (in->count < 2 || !object_u64(&in->items[1], &id) || id != REQUEST_ID)
		return 0;
	switch (in->type) {
	case WIRE_PROBE:
		rc = model_probe(&s->model, in, err);
		break;
	case WIRE_FUNCTIONS:
		rc = model_functions(&s->model, in, err);
		break;
	case WIRE_FUNCTION_STATS:
		rc = model_function_stats(&s->model, in, err);
		break;
	case WIRE_STATS:
		rc = model_stats(&s->model, in, err);
		break;
	case WIRE_NOTICE:
		rc = on_notice(s, in) ? error_set(err, ENOMEM, "no memory for what the agent sends") : 0;
		break;
	case WIRE_END:
		rc = on_end(s, in, err);
		break;
	default:
		break;
	}
	return rc ? rc : s->ops->frame(s, in, raw, raw_len, err);
}

static int take_frames(struct stream *s, struct error *err)
{
	struct frame_in in;
	const char *raw;
	size_t raw_len;
	int rc;

	while (!s->ended && (rc = client_next(s->client, &in, &raw, &raw_len, err)) != 0) {
		if (rc < 0)
			return rc;
		rc = on_frame(s, &in, raw, raw_len, err);
		frame_in_free(&in);
		if (rc)
			return rc;
		output_poll(&s->out);
	}
	return 0;
}

/* ---- the loop ---- */

/* Asks for the end. A request that is to stay is left alone: hanging up is all. */
static int ask_stop(struct stream *s, struct error *err)
{
	struct question q = { .id = REQUEST_ID };
	struct buf out = { 0 };
	int rc;

	s->stopping = true;
	s->deadline_ms = clock_ms(CLOCK_MONOTONIC) + stream_stop_ms;
	rc = request_pack(&out, STOP_ID, "stop", &q, err);
	if (!rc)
		rc = client_send(s->client, &out, err);
	buf_free(&out);
	return rc;
}

/* Waits until the agent or a signal has something; what was printed goes out before, never per line while busy. */
static int wait_for_more(struct stream *s, int signal_fd)
{
	struct pollfd p[] = {
		{ .fd = client_fd(s->client), .events = POLLIN }, { .fd = signal_fd, .events = POLLIN },
		{ .fd = s->out.fd, .events = 0 },   /* POLLERR: the reader of our pipe is gone */
	};
	int64_t left = s->stopping ? s->deadline_ms - clock_ms(CLOCK_MONOTONIC) : -1;

	if (client_pending(s->client) || poll(p, 1, 0) > 0)
		return 0;
	output_flush(&s->out);
	if (poll(p, s->stopping ? 1 : s->out.terminal ? 2 : 3, (int)(s->stopping && left < 0 ? 0 : left)) < 0 && errno != EINTR)
		return -errno;
	if (p[2].revents & POLLERR)
		s->out.closed = true;
	return 0;
}

static bool must_stop(const struct stream *s)
{
	return !s->stopping && (signals_came() || s->out.closed);
}

static int run_loop(struct stream *s, int signal_fd, struct error *err)
{
	int rc = 0;

	while (!rc && !s->ended) {
		rc = take_frames(s, err);
		if (rc || s->ended)
			break;
		if (must_stop(s)) {
			if (s->args->keep)
				return 0;
			rc = ask_stop(s, err);
		}
		if (!rc && s->stopping && clock_ms(CLOCK_MONOTONIC) >= s->deadline_ms)
			return 0;
		if (!rc && wait_for_more(s, signal_fd) < 0)
			rc = error_set(err, EIO, "cannot wait for the agent");
		if (!rc)
			rc = client_fill(s->client, 0, err);
		rc = rc < 0 ? rc : 0;
	}
	return rc;
}

/* ---- the end ---- */

static void show_totals(struct stream *s)
{
	struct buf line = { 0 };
	struct totals t;

	totals_of(&s->model, s->shown, &t);
	if (s->args->json) {
		totals_json(&t, s->reason, &s->out.text);
		output_flush(&s->out);
	} else {
		totals_text(&t, &line);
		(void)!write(STDERR_FILENO, buf_text(&line), line.len);
	}
	buf_free(&line);
}

static int finish_unended(const struct stream *s)
{
	if (s->args->keep)
		message("request %llu goes on without this terminal; remove it with: plumb rm %llu",
			(unsigned long long)s->id, (unsigned long long)s->id);
	else
		message("%s did not confirm the end within %d s: there are no totals",
			client_is_collector(s->client) ? "the collector" : "the agent", stream_stop_ms / 1000);
	return s->args->keep ? CLI_OK : CLI_REFUSED;
}

static int finish(struct stream *s)
{
	static const char *const failures[] = { "gone", "guard", "refused", "shutdown" };
	int code = CLI_OK;

	if (s->out.failed)
		return CLI_REFUSED;
	if (s->out.closed)
		return CLI_OK;   /* like any filter whose reader has seen enough */
	if (!s->ended)
		return finish_unended(s);
	if (!is_asked_for(s->reason))
		message("ended (%s): %s", s->reason, s->text);
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (strcmp(s->reason, failures[i]) == 0)
			code = CLI_REFUSED;
	show_totals(s);
	return code;
}

static int request(struct stream *s, struct error *err)
{
	const msgpack_object *payload;
	struct buf out = { 0 };
	struct frame_in in;
	int input = INPUT_NONE, rc;

	rc = request_pack_probes(&out, s->ops->verb, s->args, err);
	if (!rc)
		rc = client_call(s->client, &out, REQUEST_ID, &in, &payload, &input, err);
	buf_free(&out);
	if (rc) {
		show_error(err, request_input(s->args, input));
		return rc;
	}
	object_u64(map_get(payload, "id"), &s->id);
	frame_in_free(&in);
	if (s->args->keep)
		message("request %llu stays when this command ends: plumb list shows it, plumb rm %llu removes it",
			(unsigned long long)s->id, (unsigned long long)s->id);
	return 0;
}

static int serve(struct stream *s)
{
	struct error err = { 0 };
	int signal_fd = signals_catch(), rc, code;

	rc = signal_fd < 0 ? error_set(&err, -signal_fd, "cannot catch signals") : 0;
	if (!rc)
		rc = s->ops->start(s, &err);
	if (!rc)
		rc = run_loop(s, signal_fd, &err);
	if (s->ops->stop)
		s->ops->stop(s);
	output_flush(&s->out);
	if (rc)
		show_error(&err, NULL);
	code = rc ? CLI_REFUSED : finish(s);
	if (signal_fd >= 0)
		signals_release();
	return code;
}

int stream_run(const struct args *a, const struct stream_ops *ops)
{
	struct stream s = { .args = a, .ops = ops };
	enum client_private mode = a->keep ? PRIVATE_NEVER : PRIVATE_ROOT;
	struct error err = { 0 };
	int code = CLI_REFUSED;

	output_init(&s.out, STDOUT_FILENO, a->color);
	if (model_init(&s.model) < 0) {
		message("no memory");
	} else if (request_connect(a, mode, &s.client, &err) < 0) {
		show_error(&err, NULL);
	} else if (request(&s, &err) == 0) {
		code = serve(&s);
	}
	client_close(s.client);
	model_free(&s.model);
	output_free(&s.out);
	return code;
}
