/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NOTICEs: what an agent has to say about a request, and what a collector says about one of the agents that serve it.  A request
 * that one agent serves and another refuses is accepted, so the refusal comes as a NOTICE; likewise the end on one host.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify_internal.h"

enum { NOTICE_CODE = 2, NOTICE_TEXT = 3, NOTICE_ELEMENTS = 4, PLACE_MAX = 360 };

/* Whom it is about: "build 8f3a21c0", "build 8f3a21c0 on web-2". */
static int place_of(struct verify *v, struct arm_request *r, const struct frame_in *in, char out[PLACE_MAX])
{
	const struct source *s = model_source(&r->model, in, NOTICE_ELEMENTS);

	if (!s)
		return -EPROTO;
	if (s->host && verify_arm_spec_of(v, r->side)->by == VERIFY_ARM_HOST && strcmp(verify_arm_spec_of(v, r->side)->text, s->host) == 0)
		snprintf(out, PLACE_MAX, "host %.250s", s->host);   /* which is its name already */
	else
		snprintf(out, PLACE_MAX, "%s%s%.250s", v->arm[r->side].label, s->host ? " on " : "", s->host ? s->host : "");
	return 0;
}

/* Lines that one host does not count are counted by the others; the calls of a whole host must not be missing. */
static int refused_there(struct verify *v, const struct arm_request *r, const char *place, const msgpack_object *payload, uint64_t now_ns,
			 struct error *err)
{
	char text[512], hint[400];

	object_copy_text(text, sizeof(text), map_get(payload, "text"));
	object_copy_text(hint, sizeof(hint), map_get(payload, "hint"));
	verify_remark(v, "%s: the probes are refused: %s", place, text);
	if (r->group == GROUP_LINES || v->stage > VERIFY_RUNNING)
		return 0;
	if (v->stage < VERIFY_RUNNING) {
		error_set(err, EINVAL, "%s: %s", place, text);
		return hint[0] ? error_hint(err, "%s", hint) : -EINVAL;
	}
	snprintf(v->reason, sizeof(v->reason), "the probes of the %s are refused: %s: %s", verify_name_of(v, r->side), place, text);
	verify_break_off(v, v->reason, now_ns);
	return 0;
}

/* What they have counted holds, and a line that must run and has not run by then stays one that has not. */
bool verify_lines_removed(const struct arm_request *r, const char *reason)
{
	return r->group == GROUP_LINES && !strcmp(reason, "guard");
}

/* A service that has ended there may come back, and who is there is told by ps. So may an agent that stops; until then it sees nothing. */
static bool may_come_back(const char *reason, struct source *from)
{
	static const struct { const char *reason; bool quiet; } again[] = { { "gone", false }, { "shutdown", true }, { "hangup", true } };

	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		if (!strcmp(reason, again[i].reason)) {
			if (from)
				from->quiet |= again[i].quiet;
			return true;
		}
	return false;
}

static void ended_there(struct verify *v, struct arm_request *r, const struct frame_in *in, const char *place, uint64_t now_ns)
{
	const msgpack_object *payload = &in->items[NOTICE_TEXT];
	char reason[32], text[512];

	object_copy_text(reason, sizeof(reason), map_get(payload, "reason"));
	object_copy_text(text, sizeof(text), map_get(payload, "text"));
	if (v->stage != VERIFY_RUNNING || !strcmp(reason, "stopped"))
		return;
	verify_remark(v, "%s: %s", place, text);
	if (may_come_back(reason, model_source(&r->model, in, NOTICE_ELEMENTS)) || verify_lines_removed(r, reason))
		return;
	snprintf(v->reason, sizeof(v->reason), "the probes of the %s were removed: %s: %s", verify_name_of(v, r->side), place, text);
	verify_break_off(v, v->reason, now_ns);
}

/* Counters wait on that host, if its agent is still there: what is not known to be probed does not count as that. */
static void note_away(struct verify *v, struct arm_request *r, const struct frame_in *in, const char *code)
{
	struct source *s = model_source(&r->model, in, NOTICE_ELEMENTS);

	if (s && s->host && !strcmp(code, "away"))
		s->quiet = true;
	if (s && s->host && !strcmp(code, "back")) {
		s->quiet = false;
		verify_back(v, r->side, s->host);
	}
}

/* NULL: of a probe that the agent has not told of. */
static const struct probe *probe_of(struct arm_request *r, const struct frame_in *in, const msgpack_object *payload)
{
	const struct source *s = model_source(&r->model, in, NOTICE_ELEMENTS);
	uint64_t probe = 0;

	return s && object_u64(map_get(payload, "probe"), &probe) && probe <= UINT32_MAX ? idmap_get(&s->probe_of, (uint32_t)probe) : NULL;
}

/* Calls are missing from now on: what they would show is not known, so that nothing may be concluded from the others. */
static int calls_are_missing(struct verify *v, const struct arm_request *r, const struct probe *p, const char *place,
			     const msgpack_object *payload, uint64_t now_ns, struct error *err)
{
	char text[512];
	bool part = false;

	if (v->stage > VERIFY_RUNNING)
		return 0;
	object_copy_text(text, sizeof(text), map_get(payload, "text"));
	object_bool(map_get(payload, "part"), &part);
	snprintf(v->reason, sizeof(v->reason), "the probe on %s%.200s of the %s was removed: %s: %s", part ? "some functions of " : "",
		 p ? p->spec : "a function", verify_name_of(v, r->side), place, text);
	if (v->stage < VERIFY_RUNNING)
		return error_set(err, ECANCELED, "%s", v->reason);
	verify_break_off(v, v->reason, now_ns);
	return 0;
}

/* The counters stay as they were. One place of a line that has several may go on; what counts calls ends the verification. */
static int note_removed(struct verify *v, struct arm_request *r, const struct frame_in *in, const char *place, uint64_t now_ns,
			struct error *err)
{
	const msgpack_object *payload = &in->items[NOTICE_TEXT];
	const struct probe *p = probe_of(r, in, payload);
	const struct item *it;
	uint32_t index;

	it = p ? verify_item_of(v, r, p, &index) : NULL;
	if (it && it->kind == ITEM_LINE)
		v->coverage->line[it->index].removed = true;
	if (r->group == GROUP_LINES || (it && it->dropped))
		return 0;
	return calls_are_missing(v, r, p, place, payload, now_ns, err);
}

int verify_take_notice(struct verify *v, struct arm_request *r, const struct frame_in *in, uint64_t now_ns, struct error *err)
{
	const msgpack_object *what = &in->items[NOTICE_TEXT];
	char code[32], text[512], place[PLACE_MAX];

	if (in->count < NOTICE_ELEMENTS)
		return 0;
	object_copy_text(code, sizeof(code), &in->items[NOTICE_CODE]);
	if (model_notice(&r->model, in) == -ENOMEM)
		return error_set(err, ENOMEM, "no memory for what the agent sends");
	if (place_of(v, r, in, place))
		return error_set(err, EPROTO, "the collector sends what is from too many agents, or from none");
	if (what->type == MSGPACK_OBJECT_MAP && !strcmp(code, "refused"))
		return refused_there(v, r, place, what, now_ns, err);
	if (what->type == MSGPACK_OBJECT_MAP && !strcmp(code, "end"))
		ended_there(v, r, in, place, now_ns);
	if (what->type == MSGPACK_OBJECT_MAP && !strcmp(code, "removed"))
		return note_removed(v, r, in, place, now_ns, err);
	if (what->type == MSGPACK_OBJECT_MAP)
		return 0;
	if (!strcmp(code, "gone") && !v->gone_ns)
		v->gone_ns = now_ns;
	note_away(v, r, in, code);
	object_copy_text(text, sizeof(text), what);
	verify_remark(v, "%s: %s", place, text);
	return 0;
}
