/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb "verdict": whoever verifies a fix stores how it stands, again and again while it runs, and the last time for good.
 * What one says is stored as it says it; the record is there so that anybody can compute the verdict again.
 */
#include <errno.h>
#include <string.h>

#include "control_internal.h"
#include "log.h"

#define SILENT_AGAIN_NS (5 * SECOND_NS)

/* ---- what it goes on from ---- */

static int go_on(const struct client *c, struct verdict_said *s, struct error *err)
{
	struct store_verdict_state old = { 0 };
	int rc = store_verdict_find(c->session->collector->store, s->v.id, &old, err);

	if (rc < 0)
		return rc;
	if (!rc)
		return error_set(err, ENOENT, "there is no verdict %ld", (long)s->v.id);
	if (strcmp(old.who, c->who.name) != 0 && c->who.role < ROLE_ADMIN)
		return error_set(err, EACCES, "verdict %ld belongs to %s", (long)s->v.id, old.who);
	if (!old.running)
		return error_set(err, EEXIST, "verdict %ld was given, and stays as it is", (long)s->v.id);
	if (s->v.record_len && s->v.record_at != old.record_bytes) {
		error_set(err, EINVAL, "%lu bytes of the record are stored: it does not go on at %lu", (unsigned long)old.record_bytes,
			  (unsigned long)s->v.record_at);
		return -EINVAL;
	}
	s->v.record_at = old.record_bytes;
	s->v.audit = old.audit;
	return 0;
}

static int begin(struct client *c, struct verdict_said *s, struct error *err)
{
	if (s->v.record_at)
		return error_set(err, EINVAL, "the record of a new verdict begins at 0");
	s->v.who = c->who.name;
	s->v.audit = control_audit(control_of(c->session->collector), c->session, &c->who, "verdict", s->title, 0);
	return 0;
}

static void reply(struct client *c, uint64_t id, const struct verdict_said *s)
{
	struct frame f;

	session_reply_begin(c->session, &f, id, 2);
	pack_key_u64(&f.pk, "id", (uint64_t)s->v.id);
	pack_key_u64(&f.pk, "record", s->v.record_at + s->v.record_len);
	frame_end(&f);
	session_flush(c->session);
}

static int put(struct client *c, struct verdict_said *s, struct error *err)
{
	struct control *k = control_of(c->session->collector);
	int rc;

	s->v.now_ns = wall_ns();
	rc = s->v.id ? go_on(c, s, err) : begin(c, s, err);
	if (rc)
		return rc;
	rc = store_verdict(k->collector->store, &s->v, err);
	if (rc)
		control_store_failed(err);
	else if (strcmp(s->state, "RUNNING") != 0)
		control_audit_end(k, s->v.audit, "%s%s%s", s->state, s->reason ? ": " : "", s->reason ? s->reason : "");
	return rc;
}

int verdict_put(struct client *c, uint64_t id, const msgpack_object *args, struct error *err)
{
	struct verdict_said s = { 0 };
	int rc = verdict_said_read(args, &s, err);

	if (!rc)
		rc = put(c, &s, err);
	if (!rc)   /* whoever has the REPLY may go */
		rc = collector_commit(c->session->collector, err);
	if (!rc)
		reply(c, id, &s);
	verdict_said_free(&s);
	return rc;
}

/* ---- those that are not heard of any more ---- */

static int end_silent(struct control *k, int64_t id, struct error *err)
{
	struct store_verdict_state old = { 0 };
	char reason[160];
	struct store_verdict v = { .id = id, .state = "INCONCLUSIVE", .reason = reason, .now_ns = wall_ns() };
	int rc = store_verdict_find(k->collector->store, id, &old, err);

	if (rc <= 0)
		return rc;
	snprintf(reason, sizeof(reason), "whoever verified it was not heard of for %d s: it ended without a verdict", VERDICT_SILENCE_S);
	rc = store_verdict(k->collector->store, &v, err);
	if (rc)
		return rc;
	log_warn("control", "verdict-silent", "id=%ld who=%s", (long)id, old.who);
	control_audit_end(k, old.audit, "INCONCLUSIVE: %s", reason);
	return 0;
}

void verdicts_tick(struct control *k)
{
	uint64_t now = wall_ns(), silence = (uint64_t)VERDICT_SILENCE_S * SECOND_NS;
	struct error err;
	int64_t id;
	int rc;

	if (mono_ns() < k->verdicts_again_ns || now < silence)
		return;
	k->verdicts_again_ns = mono_ns() + SILENT_AGAIN_NS;
	while ((rc = store_verdict_silent(k->collector->store, now - silence, &id, &err)) > 0) {
		rc = end_silent(k, id, &err);
		if (rc)
			break;
	}
	if (rc < 0)
		control_store_failed(&err);
}
