/* SPDX-License-Identifier: Apache-2.0 */
#include "verify_post.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "verdict_frame.h"
#include "verify_report.h"

#define AGAIN_NS 3000000000ULL
enum { WAIT_MS = 200, WAITS = 100, WHY_MAX = 400 };

struct verify_post {
	struct client *client;
	struct verify *verify;
	char title[VERDICT_TITLE_MAX + 1];
	const char *service;
	uint64_t id;                  /* 0: not known yet */
	uint64_t said_ns;
	unsigned asked, replies;
	bool off;                     /* the collector does not take it */
};

/* ---- what it is called ---- */

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* As the user called it, or by what was given: pipelines find it by that. */
static void choose_title(struct verify_post *p, const struct args *a)
{
	const struct verify_spec *s = verify_view(p->verify)->spec;
	const char *patch = a->verify.patch && strcmp(a->verify.patch, "-") ? a->verify.patch : NULL;
	const char *title = a->verify.title ? a->verify.title : a->n_rest ? file_name(a->rest[0]) : patch ? file_name(patch) :
			    s->function ? s->function : s->target_text ? s->target_text : "verify";
	size_t len = strnlen(title, VERDICT_TITLE_MAX);

	while (title[len] && len && ((unsigned char)title[len] & 0xc0) == 0x80)   /* no half characters */
		len--;
	memcpy(p->title, title, len);
}

/* ---- what is sent ---- */

static struct verdict_words words(const struct verify_post *p, const char *state, const char *reason, const struct buf *report)
{
	return (struct verdict_words){ p->id, state, p->title, p->service, reason, report };
}

static int begin(struct verify_post *p, struct error *err)
{
	struct verdict_words w = words(p, "RUNNING", "it begins", NULL);
	struct buf out = { 0 };
	int rc = verdict_words_pack(&w, &out) ? error_set(err, ENOMEM, "no memory for a request") : client_send(p->client, &out, err);

	p->asked++;
	buf_free(&out);
	return rc;
}

int verify_post_new(const struct args *a, struct client *c, struct verify *v, struct verify_post **out, struct error *err)
{
	const struct verify_spec *s = verify_view(v)->spec;
	struct verify_post *p;
	int rc;

	*out = NULL;
	if (!client_is_collector(c))
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return error_set(err, ENOMEM, "no memory");
	p->client = c;
	p->verify = v;
	p->service = s->target == VERIFY_TARGET_NAME && strlen(s->target_text) <= VERDICT_SERVICE_MAX ? s->target_text : NULL;
	choose_title(p, a);
	rc = begin(p, err);
	if (rc)
		verify_post_free(p);
	else
		*out = p;
	return rc;
}

void verify_post_free(struct verify_post *p)
{
	free(p);
}

int verify_post_timer(struct verify_post *p, uint64_t now_ns, struct error *err)
{
	struct buf report = { 0 }, out = { 0 };
	struct verdict_words w;
	int rc;

	if (!p || p->off || !p->id || now_ns - p->said_ns < AGAIN_NS)
		return 0;
	p->said_ns = now_ns;
	w = words(p, "RUNNING", verify_view(p->verify)->reason, &report);
	verify_report_json(verify_view(p->verify), &report);
	rc = verdict_words_pack(&w, &out) ? error_set(err, ENOMEM, "no memory for a request") : client_send(p->client, &out, err);
	p->asked++;
	buf_free(&report);
	buf_free(&out);
	return rc;
}

/* ---- what comes back ---- */

static void refused(struct verify_post *p, const msgpack_object *payload)
{
	char *why = object_text(map_get(payload, "text"), WHY_MAX);

	if (!p->off)
		message("the collector does not keep the verdict: %s", why ? why : "it says no more");
	p->off = true;
	free(why);
}

bool verify_post_frame(struct verify_post *p, const struct frame_in *in)
{
	uint64_t id;
	bool ok = false;

	if (!p || in->type != WIRE_REPLY || in->count < 4 || !object_u64(&in->items[1], &id) || id != VERDICT_REQUEST_ID)
		return false;
	p->replies++;
	object_bool(&in->items[2], &ok);
	if (!ok)
		refused(p, &in->items[3]);
	else if (!p->id)
		object_u64(map_get(&in->items[3], "id"), &p->id);
	return true;
}

/* ---- the end ---- */

static int take_frames(struct verify_post *p, struct error *err)
{
	struct frame_in in;
	int rc;

	while ((rc = client_next(p->client, &in, NULL, NULL, err)) > 0) {
		verify_post_frame(p, &in);
		frame_in_free(&in);
	}
	return rc;
}

/* 0: nothing is under way any more. */
static int wait_replies(struct verify_post *p, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < WAITS && p->replies < p->asked; i++) {
		rc = client_fill(p->client, WAIT_MS, err);
		if (rc >= 0)
			rc = take_frames(p, err);
	}
	return rc ? rc : p->replies < p->asked ? error_set(err, ETIMEDOUT, "it has not said within 20 s that it has it") : 0;
}

static int send_end(struct verify_post *p, const struct buf *record, const struct error *failed, struct error *err)
{
	const struct verify_view *v = verify_view(p->verify);
	bool none = failed || v->state == VERDICT_UNDECIDED;
	struct buf report = { 0 }, out = { 0 };
	struct verdict_words w = words(p, none ? "INCONCLUSIVE" : verdict_words_state(v, true), failed ? failed->text : v->reason, &report);
	int rc;

	verify_report_json(v, &report);
	rc = verdict_words_pack_end(&w, record, &out, &p->asked);
	if (rc == -E2BIG)
		message("the record is too long for the collector: it keeps the verdict without it");
	rc = rc && rc != -E2BIG ? error_set(err, -rc, "no memory for a request") : client_send(p->client, &out, err);
	buf_free(&report);
	buf_free(&out);
	return rc ? rc : wait_replies(p, err);
}

void verify_post_end(struct verify_post *p, const struct buf *record, const struct error *failed)
{
	struct error err = { 0 };
	int rc;

	if (!p || p->off)
		return;
	rc = p->id ? 0 : wait_replies(p, &err);
	if (!rc && p->id && !p->off)
		rc = send_end(p, record, failed, &err);
	if (rc)
		message("the collector may not have the verdict: %s", err.text);
	else if (!p->off)
		message("the collector keeps the verdict: #/verdict/%llu of its dashboard", (unsigned long long)p->id);
}
