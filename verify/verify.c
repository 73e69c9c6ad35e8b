/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify_internal.h"
#include "verify_record.h"

#define TICK_NS 1000000000ULL
#define TICK_LATE_NS (3 * TICK_NS)
#define PS_EVERY_NS (5 * TICK_NS)
#define START_NS (60 * TICK_NS)
#define STOP_NS (20 * TICK_NS)          /* how long the last counters may take */
#define SETTLE_NS (4 * TICK_NS)         /* until what a process that ended had open is known: ps, and two STATS that are alike */
#define MISSING_NS (10 * TICK_NS)       /* an arm without a process may come back within this time */

/* ---- life ---- */

struct verify *verify_new(struct verify_spec *s, struct error *err)
{
	struct verify *v = calloc(1, sizeof(*v));

	if (!v) {
		verify_spec_free(s);
		error_set(err, ENOMEM, "no memory");
		return NULL;
	}
	v->spec = *s;
	v->next_id = ID_FIRST;
	v->time.state = s->by_time ? TIME_WAITING : TIME_NOT;
	v->aa.state = verify_spec_aa_first(s) ? AA_RUNNING : AA_NOT;
	if (s->patch && patch_parse(s->patch, s->patch_len, s->strip, &v->patch, err) < 0) {
		verify_free(v);
		return NULL;
	}
	return v;
}

static void items_free(struct verify *v)
{
	for (uint32_t i = 0; i < v->n_items; i++) {
		free(v->item[i].text[BASELINE]);
		free(v->item[i].text[CANDIDATE]);
		for (int side = 0; side < VERIFY_SIDES; side++)
			verify_values_forget(&v->item[i], (enum verify_side)side);
	}
	free(v->item);
}

void verify_free(struct verify *v)
{
	if (!v)
		return;
	verify_judged_free(v);
	for (uint32_t i = 0; i < v->n_requests; i++)
		verify_request_free(v->request[i]);
	for (int side = 0; side < VERIFY_SIDES; side++) {
		lines_answer_free(&v->lines[side]);
		free(v->file_of[side]);
	}
	for (uint32_t i = 0; i < v->n_remarks; i++)
		free(v->remark[i]);
	verify_free(v->aa.run);
	free(v->request);
	free(v->function_view);
	free(v->hits);
	items_free(v);
	verify_running_free(v);
	coverage_free(v->coverage);
	patch_free(v->patch);
	verify_spec_free(&v->spec);
	buf_free(&v->out);
	buf_free(&v->record);
	free(v);
}

struct buf *verify_out(struct verify *v)
{
	return &v->out;
}

void verify_remark(struct verify *v, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	if (v->n_remarks == VERIFY_REMARKS_MAX)
		return;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	for (uint32_t i = 0; n >= 0 && i < v->n_remarks; i++)
		if (strcmp(v->remark[i], text) == 0) {
			free(text);
			return;
		}
	if (n >= 0)
		v->remark[v->n_remarks++] = text;
}

/* ---- the record ---- */

void verify_record(struct verify *v)
{
	v->recording = true;
	record_spec(&v->record, &v->spec);
}

const struct buf *verify_recorded(const struct verify *v)
{
	return v->recording ? &v->record : NULL;
}

static void keep(struct verify *v, enum record_event what, uint64_t now_ns, const void *data, size_t len)
{
	if (!v->recording || v->record.failed)
		return;
	if (v->record.len + len + 64 > RECORD_RAW_MAX) {
		v->record.failed = true;
		verify_remark(v, "the record is longer than %d MiB: it is not kept", RECORD_RAW_MAX >> 20);
		return;
	}
	record_add(&v->record, what, now_ns, data, len);
}

/* ---- stages ---- */

int verify_start(struct verify *v, uint64_t now_ns, struct error *err)
{
	keep(v, RECORD_START, now_ns, NULL, 0);
	v->started_ns = now_ns;
	return verify_ask_ps(v, now_ns, err);
}

int verify_set_probes(struct verify *v, struct error *err)
{
	int rc;

	v->stage = VERIFY_PROBING;
	rc = verify_make_items(v, err);
	for (int group = 0; !rc && group < ITEM_GROUPS; group++)
		rc = verify_send_probes(v, (enum item_group)group, err);
	return rc;
}

/* What is compared is known; the halves of an A/A run were told. */
static int choose_functions(struct verify *v, uint64_t now_ns, struct error *err)
{
	const struct lines_answer *const answer[VERIFY_SIDES] = { &v->lines[BASELINE], &v->lines[CANDIDATE] };
	const uint32_t *const file_of[VERIFY_SIDES] = { v->file_of[BASELINE], v->file_of[CANDIDATE] };

	if (v->spec.by_time)
		v->coverage = coverage_watch(&v->spec, v->patch, answer[BASELINE], file_of[BASELINE], err);
	else if (!v->coverage)
		v->coverage = coverage_new(&v->spec, v->patch, answer, file_of, err);
	if (!v->coverage)
		return -err->code;
	if (!v->coverage->functions_compared)   /* there is no request whose answer would lead on */
		return verify_nothing_compared(v, err);
	return v->aa.state == AA_RUNNING ? verify_aa_begin(v, now_ns, err) : verify_set_probes(v, err);
}

/* By time the candidate's are asked about when it has come. */
static int ask_lines(struct verify *v, struct error *err)
{
	int rc = verify_ask_lines(v, BASELINE, err);

	return rc || v->spec.by_time ? rc : verify_ask_lines(v, CANDIDATE, err);
}

static int on_ps(struct verify *v, const msgpack_object *payload, uint64_t now_ns, struct error *err)
{
	int rc = verify_take_ps(v, payload, err);

	if (rc)
		return rc;
	if (v->stage != VERIFY_ASKING) {
		verify_count_arms(v, now_ns);
		return verify_time_look(v, now_ns, err);
	}
	rc = verify_choose_arms(v, now_ns, err);
	if (!rc)
		rc = v->patch ? ask_lines(v, err) : choose_functions(v, now_ns, err);
	return rc;
}

/* A collector passes on what several hosts know of the build: any of them will do. */
static const msgpack_object *one_answer(const msgpack_object *payload)
{
	const msgpack_object *all = map_get(payload, "answers"), *first;

	if (!all || all->type != MSGPACK_OBJECT_ARRAY || !all->via.array.size)
		return payload;
	first = &all->via.array.ptr[0];
	return first->type == MSGPACK_OBJECT_ARRAY && first->via.array.size > 1 ? &first->via.array.ptr[1] : payload;
}

static int on_lines(struct verify *v, enum verify_side side, const msgpack_object *payload, uint64_t now_ns, struct error *err)
{
	int rc = v->answered[side] || !v->file_of[side] ? error_set(err, EPROTO, "the agent answers what nobody asked") :
						  lines_answer_read(one_answer(payload), v->n_files[side], &v->lines[side], err);

	v->answered[side] = true;
	if (!rc && v->lines[side].more)
		verify_remark(v, "the agent did not tell of all changed lines on the %s: the patch is too long", verify_name_of(v, side));
	if (rc || (!v->answered[!side] && !v->spec.by_time))
		return rc;
	return v->spec.by_time && side == CANDIDATE ? verify_time_lines(v, now_ns, err) : choose_functions(v, now_ns, err);
}

static uint32_t requests_in(const struct verify *v, enum request_state state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->n_requests; i++)
		n += v->request[i]->state == state;
	return n;
}

/* All requests are accepted: from now on it counts. */
static int maybe_run(struct verify *v, uint64_t now_ns, struct error *err)
{
	if (requests_in(v, REQUEST_SENT))
		return 0;
	v->stage = VERIFY_RUNNING;
	v->run_ns = v->tick_ns = now_ns;
	verify_count_arms(v, now_ns);
	return verify_begin_judging(v, err);
}

static int agent_refuses(const msgpack_object *payload, struct error *err)
{
	char *text = object_text(map_get(payload, "text"), 400), *hint = object_text(map_get(payload, "hint"), 400);

	error_set(err, EINVAL, "%s", text ? text : "the agent refused a question");
	if (hint && hint[0])
		error_hint(err, "%s", hint);
	free(text);
	free(hint);
	return -EINVAL;
}

/* Each accepted request is a step towards the run; by time, those of the candidate towards its watching. */
static int one_answered(struct verify *v, uint64_t now_ns, struct error *err)
{
	return v->stage == VERIFY_PROBING ? maybe_run(v, now_ns, err) : verify_time_maybe_attach(v, now_ns, err);
}

static int on_refused(struct verify *v, struct arm_request *r, const msgpack_object *payload, uint64_t now_ns, struct error *err)
{
	int rc = r->side == CANDIDATE && verify_time_refused(v, payload) ? 0 : verify_refused(v, r, payload, err);

	return rc ? rc : one_answered(v, now_ns, err);
}

static int on_reply(struct verify *v, const struct frame_in *in, uint64_t id, uint64_t now_ns, struct error *err)
{
	struct arm_request *r = verify_request(v, id);
	const msgpack_object *payload = &in->items[3];
	bool ok = false;

	if (in->count < 4 || !object_bool(&in->items[2], &ok))
		return error_set(err, EPROTO, "the agent sent a malformed reply");
	if (r && r->state == REQUEST_SENT && !ok)
		return on_refused(v, r, payload, now_ns, err);
	if (r && r->state == REQUEST_SENT) {
		r->state = REQUEST_ACCEPTED;
		r->accepted_ns = now_ns;
		return one_answered(v, now_ns, err);
	}
	if (id >= ID_FIRST)   /* a stop, or a request that was given up */
		return 0;
	if (!ok)
		return id == ID_LINES + CANDIDATE && verify_time_refused(v, payload) ? 0 : agent_refuses(payload, err);
	return id == ID_PS ? on_ps(v, payload, now_ns, err) :
	       id <= ID_LINES + CANDIDATE ? on_lines(v, (enum verify_side)(id - ID_LINES), payload, now_ns, err) : 0;
}

/* ---- the end ---- */

static void end_all(struct verify *v, const char *reason)
{
	for (uint32_t i = 0; i < v->n_judged; i++)
		verdict_end(v->judged[i].verdict, reason);
}

static void stop_requests(struct verify *v, uint64_t now_ns)
{
	const char *away = verify_away(v);
	struct error err;

	snprintf(v->away, sizeof(v->away), "%s", away ? away : "");
	v->stage = VERIFY_STOPPING;
	v->stop_ns = now_ns;
	for (uint32_t i = 0; i < v->n_requests; i++)
		if (v->request[i]->state == REQUEST_ACCEPTED)
			verify_send_stop(v, v->request[i], &err);
}

static void maybe_done(struct verify *v, uint64_t now_ns)
{
	uint32_t open = v->n_requests - requests_in(v, REQUEST_OVER);

	if (v->stage != VERIFY_STOPPING || (open && now_ns - v->stop_ns < STOP_NS))
		return;
	if (open)
		verify_remark(v, "the agent has not said within %d s that all probes are removed (%u of %u requests are open): the last counts may "
			      "be missing", (int)(STOP_NS / TICK_NS), open, v->n_requests);
	v->stage = VERIFY_DONE;
}

void verify_break_off(struct verify *v, const char *reason, uint64_t now_ns)
{
	if (v->stage >= VERIFY_STOPPING)
		return;
	end_all(v, reason);
	stop_requests(v, now_ns);
	maybe_done(v, now_ns);
}

void verify_stop(struct verify *v, const char *reason, uint64_t now_ns)
{
	keep(v, RECORD_STOP, now_ns, reason, strlen(reason));
	if (v->stage < VERIFY_RUNNING)
		snprintf(v->reason, sizeof(v->reason), "%s: nothing was compared", reason);
	if (v->stage == VERIFY_RUNNING)
		verify_break_off(v, reason, now_ns);
	else
		v->stage = VERIFY_DONE;
}

/* A request that ends by itself: its process is gone, the guard has removed its probes, ... */
static int on_end(struct verify *v, struct arm_request *r, const struct frame_in *in, uint64_t now_ns, struct error *err)
{
	char reason[32], text[512];
	int rc = 0;

	if (in->count < 5)
		return error_set(err, EPROTO, "the agent sent a malformed end");
	object_copy_text(reason, sizeof(reason), &in->items[2]);
	object_copy_text(text, sizeof(text), &in->items[3]);
	if (strcmp(reason, "gone") == 0)
		verify_note_gone(r);
	if (r->state == REQUEST_ACCEPTED)
		rc = verify_take_stats(v, r, in, now_ns, err);
	if (rc)
		return rc;
	r->state = REQUEST_OVER;
	if (v->stage != VERIFY_RUNNING || strcmp(reason, "stopped") == 0)
		return 0;
	verify_remark(v, "%s: %s", v->arm[r->side].label, text);
	if (strcmp(reason, "gone") == 0) {
		verify_lost_pid(&v->arm[r->side], r->pid, now_ns);
		return 0;
	}
	if (verify_lines_removed(r, reason))
		return 0;
	snprintf(v->reason, sizeof(v->reason), "the probes of the %s were removed: %s", verify_name_of(v, r->side), text);
	verify_break_off(v, v->reason, now_ns);
	return 0;
}

int verify_frame(struct verify *v, const struct frame_in *in, const char *raw, size_t raw_len, uint64_t now_ns, struct error *err)
{
	struct arm_request *r;
	uint64_t id;
	int rc = 0;

	keep(v, RECORD_FRAME, now_ns, raw, raw_len);
	if (v->stage == VERIFY_DONE || in->count < 2 || !object_u64(&in->items[1], &id))
		return 0;
	if (v->aa.run)
		return verify_aa_frame(v, in, raw, raw_len, now_ns, err);
	r = verify_request(v, id);
	if (in->type == WIRE_REPLY)
		rc = on_reply(v, in, id, now_ns, err);
	else if (r && in->type == WIRE_PROBE)
		rc = verify_take_probe(v, r, in, now_ns, err);
	else if (r && in->type == WIRE_STATS && r->state == REQUEST_ACCEPTED)
		rc = verify_take_stats(v, r, in, now_ns, err);
	else if (r && in->type == WIRE_CHUNK)
		rc = verify_take_chunk(v, r, in, err);
	else if (r && in->type == WIRE_NOTICE)
		rc = verify_take_notice(v, r, in, now_ns, err);
	else if (r && in->type == WIRE_END)
		rc = on_end(v, r, in, now_ns, err);
	maybe_done(v, now_ns);
	return rc;
}

/* ---- the time ---- */

/* An arm that has died: nothing more can be shown. By time it is the baseline's part to end. */
static void look_for_dead(struct verify *v, uint64_t now_ns)
{
	for (int side = v->spec.by_time ? CANDIDATE : BASELINE; side < VERIFY_SIDES; side++) {
		const struct arm *a = &v->arm[side];

		if (v->stage != VERIFY_RUNNING || !verify_time_counts(v, (enum verify_side)side) || !a->missing_since_ns ||
		    now_ns - a->missing_since_ns < MISSING_NS)
			continue;
		snprintf(v->reason, sizeof(v->reason), "the %s (%s) has no process any more", verify_name_of(v, side), a->label);
		verify_break_off(v, v->reason, now_ns);
	}
}

/* A tick compares what had the same weather: it waits until each request has reported since the last one, but not for ever. Nor is there one
 * while calls are missing that a process died in: nothing must pass for want of them. */
static bool tick_is_due(const struct verify *v, uint64_t now_ns)
{
	uint64_t since = now_ns - v->tick_ns;

	if (v->gone_ns && now_ns - v->gone_ns < SETTLE_NS)
		return false;
	for (uint32_t i = 0; since < TICK_LATE_NS && i < v->n_requests; i++)
		if (v->request[i]->state == REQUEST_ACCEPTED && !v->request[i]->reported)
			return false;
	return since >= TICK_NS;
}

static void look_for_end(struct verify *v, uint64_t now_ns)
{
	bool up = v->spec.claim.deadline_ns && now_ns - v->run_ns >= v->spec.claim.deadline_ns + TICK_NS;

	if (verify_time_late(v, now_ns, up, v->waiting, sizeof(v->waiting)))
		verify_break_off(v, v->waiting, now_ns);
	else if (up)
		verify_break_off(v, "the time is up", now_ns);
	look_for_dead(v, now_ns);
}

static int run_timer(struct verify *v, uint64_t now_ns, struct error *err)
{
	int rc;

	verify_count_time(v, now_ns);
	verify_tell_meanings(v);
	rc = verify_tick(v, now_ns - v->tick_ns, err);
	v->tick_ns = now_ns;
	v->gone_ns = 0;
	for (uint32_t i = 0; i < v->n_requests; i++)
		v->request[i]->reported = false;
	if (rc)
		return rc;
	if (verify_state(v) != VERDICT_UNDECIDED) {
		stop_requests(v, now_ns);
		return 0;
	}
	look_for_end(v, now_ns);
	return 0;
}

/* Who is there: now and then, each second while somebody is waited for, and at once when somebody has ended. */
static bool ps_is_due(const struct verify *v, uint64_t now_ns)
{
	bool missing = v->arm[CANDIDATE].missing_since_ns || (!v->spec.by_time && v->arm[BASELINE].missing_since_ns);
	uint64_t every = missing || v->time.state == TIME_WAITING ? TICK_NS : PS_EVERY_NS;

	return v->stage == VERIFY_RUNNING && !v->ps_open && (now_ns - v->ps_ns >= every || v->ps_ns < v->gone_ns);
}

/* Nothing was compared, so there is no verdict either. */
static int late_start(const struct verify *v, struct error *err)
{
	const char *what = v->ps_open ? "which processes run" : "which code the changed lines have";

	if (v->stage == VERIFY_ASKING)
		return error_set(err, ETIMEDOUT, "the agent has not said within %d s %s: nothing was compared", (int)(START_NS / TICK_NS), what);
	return error_set(err, ETIMEDOUT, "the agent has not set the probes within %d s (%u of %u requests are without an answer): nothing was "
			 "compared", (int)(START_NS / TICK_NS), requests_in(v, REQUEST_SENT), v->n_requests);
}

int verify_timer(struct verify *v, uint64_t now_ns, struct error *err)
{
	int rc = 0;

	keep(v, RECORD_TIMER, now_ns, NULL, 0);
	if (v->aa.run && v->stage == VERIFY_AA)
		return verify_aa_timer(v, now_ns, err);
	if (v->stage < VERIFY_RUNNING && now_ns - v->started_ns >= START_NS)
		return late_start(v, err);
	if (v->stage == VERIFY_RUNNING && tick_is_due(v, now_ns))
		rc = run_timer(v, now_ns, err);
	if (!rc && ps_is_due(v, now_ns))
		rc = verify_ask_ps(v, now_ns, err);
	maybe_done(v, now_ns);
	v->view.elapsed_ns = v->run_ns && v->stage == VERIFY_RUNNING ? now_ns - v->run_ns : v->view.elapsed_ns;
	return rc;
}
