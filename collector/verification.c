/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A verification that the collector runs itself (POST /api/v1/verify): the library that plumb verify uses, and a plumb inside of the
 * collector for its frames.  It stores how it stands as any other plumb would, with the verb "verdict" over the same connection:
 * the rights, limits and audit are those of the token that asked.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "claimfile.h"
#include "http_internal.h"
#include "inside.h"
#include "log.h"
#include "verdict_frame.h"
#include "verify.h"
#include "verify_record.h"
#include "verify_report.h"

enum { TIMER_MS = 250 };
#define STORE_AGAIN_NS 2000000000ULL

/* Owns everything but http. */
struct verification {
	LIST_ENTRY(verification) link;
	struct http *http;
	struct call call;             /* who waits for the id; call.req NULL: nobody */
	struct inside *inside;
	struct verify *verify;
	struct event *timer;
	char *title, *service;
	uint64_t id;                  /* of the verdict; 0: not known yet */
	uint64_t stored_ns;           /* monotonic */
	unsigned asked, replies;      /* of the verb "verdict" */
	bool dead;                    /* the verdict was sent */
};

static void verification_free(struct verification *n)
{
	if (n->call.req)
		evhttp_connection_set_closecb(evhttp_request_get_connection(n->call.req), NULL, NULL);
	LIST_REMOVE(n, link);
	n->http->verifications--;
	if (n->timer)
		event_free(n->timer);
	inside_free(n->inside);
	verify_free(n->verify);
	free(n->title);
	free(n->service);
	free(n);
}

/* ---- what is stored ---- */

static struct verdict_words words(const struct verification *n, const char *state, const char *reason, const struct buf *report)
{
	return (struct verdict_words){ n->id, state, n->title, n->service, reason, report };
}

static void store_progress(struct verification *n)
{
	const struct verify_view *v = verify_view(n->verify);
	struct buf report = { 0 }, out = { 0 };
	struct verdict_words w = words(n, "RUNNING", v->reason, &report);

	verify_report_json(v, &report);
	n->asked += !verdict_words_pack(&w, &out);
	inside_send(n->inside, &out);
	n->stored_ns = mono_ns();
	buf_free(&report);
	buf_free(&out);
}

/* The record in parts, and the verdict last. A record that cannot be made is no reason to lose the verdict. */
static void store_end(struct verification *n, const char *state, const char *reason)
{
	const struct buf *raw = verify_recorded(n->verify);
	struct buf report = { 0 }, record = { 0 }, out = { 0 };
	struct verdict_words w = words(n, state, reason, &report);
	struct error err = { .text = "it is too long" };

	if (!raw || record_seal(raw, &n->http->collector->sign_key, &record, &err))
		buf_clear(&record);
	verify_report_json(verify_view(n->verify), &report);
	if (verdict_words_pack_end(&w, &record, &out, &n->asked) || !record.len)
		log_warn("verify", "no-record", "id=%lu reason=\"%s\"", (unsigned long)n->id, err.text);
	inside_send(n->inside, &out);
	log_info("verify", "end", "id=%lu state=%s reason=\"%s\"", (unsigned long)n->id, state, reason);
	buf_free(&report);
	buf_free(&record);
	buf_free(&out);
}

/* ---- its course ---- */

/* Sends what there is to send; at the end, the verdict. Errors end it: what cannot be verified is INCONCLUSIVE. */
static void advance(struct verification *n, int rc, const struct error *err)
{
	const struct verify_view *v = verify_view(n->verify);
	struct buf *out = verify_out(n->verify);

	if (out->len)
		inside_send(n->inside, out);
	if (!rc && v->stage != VERIFY_DONE) {
		if (mono_ns() - n->stored_ns >= STORE_AGAIN_NS)
			store_progress(n);
		return;
	}
	store_end(n, rc ? "INCONCLUSIVE" : verdict_words_state(v, true), rc ? err->text : v->reason);
	n->dead = true;   /* the REPLYs to what was just sent are waited for */
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct verification *n = arg;
	struct error err = { 0 };

	if (!n->dead)
		advance(n, verify_timer(n->verify, mono_ns(), &err), &err);
}

static void answer(struct verification *n, const struct error *err)
{
	char text[64];

	if (!n->call.req)
		return;
	evhttp_connection_set_closecb(evhttp_request_get_connection(n->call.req), NULL, NULL);
	snprintf(text, sizeof(text), "{\"id\":%llu}", (unsigned long long)n->id);
	if (err)
		call_error(&n->call, err);
	else
		call_json(&n->call, 201, text, strlen(text));
	n->call.req = NULL;
}

static void begin(struct verification *n)
{
	const struct timeval period = { .tv_usec = TIMER_MS * 1000 };
	struct error err = { 0 };
	int rc = verify_start(n->verify, mono_ns(), &err);

	n->timer = event_new(n->http->collector->base, -1, EV_PERSIST, on_timer, n);
	if (!n->timer || event_add(n->timer, &period))
		rc = error_set(&err, ENOMEM, "out of memory");
	answer(n, NULL);
	advance(n, rc, &err);
}

/* true: it was about the verdict, and n may be gone. */
static bool on_verdict(struct verification *n, const struct frame_in *in)
{
	struct error err = { 0 };
	uint64_t id = 0;
	bool ok = false;

	if (in->type != WIRE_REPLY || in->count < 4 || !object_u64(&in->items[1], &id) || id != VERDICT_REQUEST_ID)
		return false;
	object_bool(&in->items[2], &ok);
	if (!ok) {
		api_read_refusal(&in->items[3], &err);
		log_warn("verify", "not-stored", "id=%lu reason=\"%s\"", (unsigned long)n->id, err.text);
		answer(n, &err);
		verification_free(n);
	} else if (!n->id) {
		n->replies++;
		object_u64(map_get(&in->items[3], "id"), &n->id);
		begin(n);
	} else if (++n->replies == n->asked && n->dead) {
		verification_free(n);
	}
	return true;
}

static void on_frame(const struct frame_in *in, const void *raw, size_t raw_len, void *arg)
{
	struct verification *n = arg;
	struct error err = { 0 };

	if (!in) {
		error_set(&err, EAGAIN, "the collector is stopping");
		answer(n, &err);
		verification_free(n);
		return;
	}
	if (!on_verdict(n, in) && !n->dead)
		advance(n, verify_frame(n->verify, in, raw, raw_len, mono_ns(), &err), &err);
}

static void on_gone(struct evhttp_connection *evcon, void *arg)
{
	struct verification *n = arg;

	call_gone(&n->call);
	n->call.req = NULL;   /* it goes on: its verdict is in the list */
}

void verifications_stop(struct http *h)
{
	while (!LIST_EMPTY(&h->running))
		verification_free(LIST_FIRST(&h->running));
}

/* ---- what is asked ---- */

static int take_text(const char *name, const json_t *value, struct verify_spec *s, struct error *err)
{
	const struct { const char *name; char **to; } texts[] = {
		{ "service", &s->target_text }, { "function", &s->function }, { "trigger", &s->trigger }, { "error", &s->error },
	};
	const char *text = json_string_value(value);

	if (!text)
		return error_set(err, EINVAL, "'%.40s' is a text", name);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!strcmp(texts[i].name, name))
			return verify_spec_text(texts[i].to, text, name, err);
	if (!strcmp(name, "baseline") || !strcmp(name, "candidate"))
		return verify_spec_arm(name[0] == 'b' ? &s->baseline : &s->candidate, text, err);
	if (!strcmp(name, "expect"))
		return verify_spec_expect(s, text, err);
	if (!strcmp(name, "lines"))
		return verify_spec_lines(s, text, err);
	if (strcmp(name, "patch"))
		return error_set(err, EINVAL, "'%.40s' is nothing that a verification has", name);
	free(s->patch);
	s->patch = strdup(text);
	s->patch_len = strlen(text);
	return s->patch ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int take_key(const char *name, const json_t *value, struct verify_spec *s, struct error *err)
{
	int rc = 0;

	if (!strcmp(name, "title") || !strcmp(name, "claim"))
		return 0;
	if (!strcmp(name, "aa")) {
		s->aa = json_is_true(value);
		return json_is_boolean(value) ? 0 : error_set(err, EINVAL, "aa is true or false");
	}
	if (!strcmp(name, "for_ns")) {
		if (json_integer_value(value) <= 0)
			return error_set(err, EINVAL, "for_ns is a number of nanoseconds");
		s->claim.deadline_ns = (uint64_t)json_integer_value(value);
		return 0;
	}
	if (strcmp(name, "guards"))
		return take_text(name, value, s, err);
	for (size_t i = 0; !rc && i < json_array_size(value); i++)
		rc = json_is_string(json_array_get(value, i)) ? verify_spec_guard(s, json_string_value(json_array_get(value, i)), err) :
								error_set(err, EINVAL, "guards is a list of texts");
	return rc || json_is_array(value) ? rc : error_set(err, EINVAL, "guards is a list of texts");
}

/* claim.yaml as a text: the other keys outrank it. The patch that it names is a file of somebody else's. */
static int take_claim(const json_t *body, struct verify_spec *s, struct error *err)
{
	const json_t *claim = json_object_get(body, "claim");
	int rc;

	if (!claim)
		return 0;
	if (!json_is_string(claim))
		return error_set(err, EINVAL, "'claim' is a text");
	rc = claimfile_read(json_string_value(claim), json_string_length(claim), s, err);
	if (!rc && s->patch_file && !json_object_get(body, "patch")) {
		error_set(err, EINVAL, "the claim names a patch, %.200s, which the collector does not have", s->patch_file);
		rc = error_hint(err, "send its text along, as 'patch'");
	}
	return rc;
}

static int take_spec(json_t *body, struct verify_spec *s, struct error *err)
{
	const char *name;
	json_t *value;
	int rc = json_is_object(body) ? take_claim(body, s, err) : error_set(err, EINVAL, "the body is no JSON object");

	json_object_foreach(body, name, value)
		if (!rc)
			rc = take_key(name, value, s, err);
	if (json_object_get(body, "service"))
		s->target = VERIFY_TARGET_NAME;
	if (!rc && !s->target_text)
		rc = error_set(err, EINVAL, s->target == VERIFY_TARGET_PID ? "a process id says nothing across hosts: give a service" :
			       "service is missing");
	return rc ? rc : verify_spec_finish(s, err);
}

/* ---- POST /api/v1/verify ---- */

static struct verification *verification_new(struct call *call, struct verify *v, const char *title, struct error *err)
{
	struct verification *n = calloc(1, sizeof(*n));
	const char *service = verify_view(v)->spec->target_text;

	if (!n) {
		verify_free(v);
		error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	n->http = call->http;
	n->verify = v;
	LIST_INSERT_HEAD(&call->http->running, n, link);
	call->http->verifications++;
	n->title = strdup(title ? title : service);
	n->service = strdup(service);
	n->inside = inside_new(call->http->collector, call->peer, &call->who, on_frame, n, err);
	if (n->title && n->service && n->inside)
		return n;
	if (!err->code)
		error_set(err, ENOMEM, "out of memory");
	verification_free(n);
	return NULL;
}

static void start(struct call *call, struct verification *n)
{
	struct verdict_words w = words(n, "RUNNING", "it begins", NULL);
	struct buf out = { 0 };

	n->call = *call;
	TAILQ_INIT(&n->call.params);
	evhttp_connection_set_closecb(evhttp_request_get_connection(call->req), on_gone, n);
	verify_record(n->verify);
	n->asked += !verdict_words_pack(&w, &out);
	inside_send(n->inside, &out);
	buf_free(&out);
}

void api_verify(struct call *call)
{
	json_t *body = api_body(call);
	struct verification *n = NULL;
	struct verify_spec spec;
	struct verify *v = NULL;
	struct error err = { 0 };

	verify_spec_init(&spec);
	if (call->http->verifications >= VERIFICATIONS_MAX)
		error_set(&err, EAGAIN, "%d verifications run here already", VERIFICATIONS_MAX);
	else
		take_spec(body, &spec, &err);
	if (err.code)
		verify_spec_free(&spec);
	else
		v = verify_new(&spec, &err);
	if (v)
		n = verification_new(call, v, json_string_value(json_object_get(body, "title")), &err);
	json_decref(body);
	if (n)
		start(call, n);
	else
		call_error(call, &err);
}
