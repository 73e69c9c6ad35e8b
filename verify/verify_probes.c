/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about lines, probe texts, and the stat requests that set them on both arms. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "function_name.h"
#include "sources.h"
#include "verify_internal.h"

enum { SHOWN_PER_S = 10 };   /* failing calls of a function, with their arguments */

/* ---- lines ---- */

static const char *path_on(const struct patch_file *f, enum verify_side side)
{
	return side == BASELINE ? f->old_path : f->new_path;
}

static uint32_t count_on(const struct patch_file *f, enum verify_side side)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n_lines; i++)
		n += (side == BASELINE ? f->line[i].old_line : f->line[i].new_line) != 0;
	return n;
}

/* One build runs, arms are told apart by a condition: it has the new lines only. */
static enum verify_side lines_of(const struct verify *v, enum verify_side side)
{
	return v->spec.arm_by ? CANDIDATE : side;
}

/* Which files of the patch are asked about on a side: those that are there. */
static int number_files(struct verify *v, enum verify_side side)
{
	uint32_t *of = calloc(v->patch->n_files + 1, sizeof(*of));

	if (!of)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->patch->n_files; i++) {
		const struct patch_file *f = &v->patch->file[i];

		of[i] = path_on(f, lines_of(v, side)) && count_on(f, lines_of(v, side)) ? v->n_files[side]++ : UINT32_MAX;
	}
	v->file_of[side] = of;
	return 0;
}

/* *room: lines that may be asked about beside the diff's. */
static void pack_file(msgpack_packer *pk, const struct patch_file *f, enum verify_side side, uint32_t *room)
{
	uint32_t below[SOURCES_BELOW_ALL], n = sources_below(f, side, below, *room);

	*room -= n;
	msgpack_pack_array(pk, 2);
	pack_text(pk, path_on(f, side));
	msgpack_pack_array(pk, count_on(f, side) + n);
	for (uint32_t i = 0; i < n; i++)
		msgpack_pack_uint32(pk, below[i]);
	for (uint32_t i = 0; i < f->n_lines; i++) {
		uint32_t number = side == BASELINE ? f->line[i].old_line : f->line[i].new_line;

		if (number)
			msgpack_pack_uint32(pk, number);
	}
}

const struct verify_arm_spec *verify_arm_spec_of(const struct verify *v, enum verify_side side)
{
	return side == BASELINE ? &v->spec.baseline : &v->spec.candidate;
}

bool verify_arm_is_open(const struct verify *v, enum verify_side side)
{
	enum verify_arm_by by = verify_arm_spec_of(v, side)->by;

	if (v->spec.target == VERIFY_TARGET_PID || by == VERIFY_ARM_PID)
		return false;
	return by == VERIFY_ARM_BUILD || by == VERIFY_ARM_HOST || v->spec.arm_by;
}

static uint32_t count_words(const char *list)
{
	uint32_t n = 1;

	for (; (list = strchr(list, ',')); list++)
		n++;
	return n;
}

static void pack_words(msgpack_packer *pk, const char *list)
{
	msgpack_pack_array(pk, count_words(list));
	for (const char *end; list; list = *end ? end + 1 : NULL) {
		end = strchrnul(list, ',');
		msgpack_pack_str(pk, (size_t)(end - list));
		msgpack_pack_str_body(pk, list, (size_t)(end - list));
	}
}

/* An arm by build: whoever runs it, now and later, perhaps on some hosts only; else one process. */
static void pack_target(struct verify *v, msgpack_packer *pk, enum verify_side side, uint64_t pid)
{
	const struct verify_arm_spec *s = verify_arm_spec_of(v, side);

	pack_key(pk, "target");
	msgpack_pack_map(pk, pid ? 1 : s->by == VERIFY_ARM_HOST ? 3 : 2);
	if (pid) {
		pack_key_u64(pk, "pid", pid);
		return;
	}
	pack_key_text(pk, v->spec.target == VERIFY_TARGET_NAME ? "name" : "path", v->spec.target_text);
	pack_key_text(pk, "build", v->arm[side].build_id);
	if (s->by == VERIFY_ARM_HOST) {
		pack_key(pk, "hosts");
		pack_words(pk, s->text);
	}
}

int verify_ask_lines(struct verify *v, enum verify_side side, struct error *err)
{
	uint32_t room = v->patch->n_lines < LINES_ANSWERED_MAX - SOURCES_BELOW_ALL ? SOURCES_BELOW_ALL : 0;
	struct frame f;

	if (!v->file_of[side] && number_files(v, side) < 0)
		return error_set(err, ENOMEM, "no memory for the patch's files");
	frame_begin(&f, &v->out, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, ID_LINES + (uint64_t)side);
	pack_text(&f.pk, "lines");
	msgpack_pack_map(&f.pk, 2);
	pack_target(v, &f.pk, side, verify_arm_is_open(v, side) ? 0 : v->arm[side].member[0].pid);
	pack_key(&f.pk, "files");
	msgpack_pack_array(&f.pk, v->n_files[side]);
	for (uint32_t i = 0; i < v->patch->n_files; i++)
		if (v->file_of[side][i] != UINT32_MAX)
			pack_file(&f.pk, &v->patch->file[i], lines_of(v, side), &room);
	return frame_end(&f) ? error_set(err, E2BIG, "the patch is too long to be asked about") : 0;
}

/* ---- items ---- */

static struct item *item_add(struct verify *v, enum item_kind kind, enum item_group group, uint32_t index)
{
	struct item *more = reallocarray(v->item, v->n_items + 1, sizeof(*more));

	if (!more)
		return NULL;
	v->item = more;
	memset(&more[v->n_items], 0, sizeof(*more));
	more[v->n_items].kind = kind;
	more[v->n_items].group = group;
	more[v->n_items].index = index;
	return &more[v->n_items++];
}

static int item_text(struct item *it, enum verify_side side, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int item_text(struct item *it, enum verify_side side, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vasprintf(&it->text[side], fmt, ap);
	va_end(ap);
	if (rc < 0)
		it->text[side] = NULL;
	return rc < 0 ? -ENOMEM : 0;
}

/* `f`, or with arms by a condition `f if COND` and `f if !(COND)`; with the trigger too. */
static int call_texts(struct verify *v, struct item *it, const char *function, const char *trigger)
{
	const char *by = v->spec.arm_by;
	char *place = function_probe_text(function);
	int rc = place ? 0 : -ENOMEM;

	function = place;
	for (int side = 0; !rc && side < VERIFY_SIDES; side++) {
		const char *not = side == BASELINE ? "!" : "";

		if (by && trigger)
			rc = item_text(it, (enum verify_side)side, "%s if %s(%s) && (%s)", function, not, by, trigger);
		else if (by)
			rc = item_text(it, (enum verify_side)side, "%s if %s(%s)", function, not, by);
		else if (trigger)
			rc = item_text(it, (enum verify_side)side, "%s if %s", function, trigger);
		else
			rc = item_text(it, (enum verify_side)side, "%s", function);
	}
	free(place);
	return rc;
}

static int function_items(struct verify *v, uint32_t index)
{
	const struct covered_function *f = &v->coverage->function[index];
	enum item_group group = f->claimed ? GROUP_CLAIMED : GROUP_OTHERS;
	struct item *it = item_add(v, ITEM_FUNCTION, group, index);
	int rc = it ? call_texts(v, it, f->name, NULL) : -ENOMEM;

	if (rc || !f->claimed || !v->spec.trigger)
		return rc;
	it = item_add(v, ITEM_TRIGGER, group, index);
	return it ? call_texts(v, it, f->name, v->spec.trigger) : -ENOMEM;
}

static int line_text(const struct verify *v, struct item *it)
{
	const struct covered_line *l = &v->coverage->line[it->index];
	const char *path = path_on(l->file, l->side);
	uint32_t number = l->side == BASELINE ? l->line->old_line : l->line->new_line;

	return it->conditional ? item_text(it, l->side, "%s:%u() if %s", path, number, v->spec.arm_by) :
				 item_text(it, l->side, "%s:%u()", path, number);
}

static int line_item(struct verify *v, uint32_t index)
{
	struct item *it = item_add(v, ITEM_LINE, GROUP_LINES, index);

	if (!it)
		return -ENOMEM;
	it->conditional = v->spec.arm_by;
	return line_text(v, it);
}

static int watched_items(struct verify *v)
{
	const struct { enum item_kind kind; const char *function; } two[] = {
		{ ITEM_WATCHED, v->spec.watched }, { ITEM_PER, v->spec.watched_per },
	};
	int rc = 0;

	for (size_t i = 0; !rc && v->spec.watched && i < 2; i++) {
		struct item *it = item_add(v, two[i].kind, GROUP_OTHERS, 0);

		rc = it ? call_texts(v, it, two[i].function, NULL) : -ENOMEM;
	}
	return rc;
}

/* --lines none: none of them is counted, on either side. */
static void leave_lines_out(struct coverage *c)
{
	for (uint32_t i = 0; i < c->n_lines; i++) {
		struct covered_line *l = &c->line[i];

		if (l->state != LINE_PROBED)
			continue;
		l->state = LINE_LEFT_OUT;
		snprintf(l->why, sizeof(l->why), "only the functions are compared (lines: none)");
		c->lines_probed--;
	}
}

int verify_make_line_items(struct verify *v, enum verify_side side, struct error *err)
{
	int rc = 0;

	if (v->spec.lines == VERIFY_LINES_NONE)
		leave_lines_out(v->coverage);
	for (uint32_t i = 0; !rc && i < v->coverage->n_lines; i++)
		if (v->coverage->line[i].state == LINE_PROBED && v->coverage->line[i].side == side)
			rc = line_item(v, i);
	return rc ? error_set(err, ENOMEM, "no memory for probes") : 0;
}

int verify_make_items(struct verify *v, struct error *err)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < v->coverage->n_functions; i++)
		if (v->coverage->function[i].compared)
			rc = function_items(v, i);
	if (!rc)
		rc = watched_items(v);
	if (rc)
		return error_set(err, ENOMEM, "no memory for probes");
	for (int side = 0; !rc && side < VERIFY_SIDES; side++)
		rc = verify_make_line_items(v, (enum verify_side)side, err);
	return rc;
}

/* ---- requests ---- */

void verify_request_free(struct arm_request *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->n_before; i++)
		free(r->before[i].row);
	free(r->before);
	free(r->value);
	free(r->item);
	model_free(&r->model);
	free(r);
}

struct arm_request *verify_request(struct verify *v, uint64_t id)
{
	for (uint32_t i = 0; i < v->n_requests; i++)
		if (v->request[i]->id == id)
			return v->request[i];
	return NULL;
}

/* NULL: no memory. A request without probes has n_items 0. */
static struct arm_request *request_new(struct verify *v, enum verify_side side, enum item_group group, uint64_t pid)
{
	struct arm_request **more = reallocarray(v->request, v->n_requests + 1, sizeof(struct arm_request *)), *r;

	if (!more)
		return NULL;
	v->request = more;
	r = calloc(1, sizeof(*r));
	if (!r || model_init(&r->model) < 0) {
		free(r);
		return NULL;
	}
	r->side = side;
	r->group = group;
	r->pid = pid;
	r->item = calloc(v->n_items + 1, sizeof(*r->item));
	for (uint32_t i = 0; r->item && i < v->n_items; i++)
		if (v->item[i].group == group && v->item[i].text[side] && !v->item[i].dropped)
			r->item[r->n_items++] = i;
	if (!r->item) {
		verify_request_free(r);
		return NULL;
	}
	return r;
}

/* Functions of which failing calls are shown: a few a second, for their arguments. Their counters are the same. */
static uint32_t pack_shown(const struct verify *v, const struct arm_request *r, msgpack_packer *pk)
{
	uint32_t n = 0, shares = r->pid ? v->arm[r->side].n_members : 1;   /* an arm of processes has a request for each */

	for (uint32_t i = 0; i < r->n_items; i++)
		n += v->item[r->item[i]].kind == ITEM_FUNCTION;
	if (!pk || !n)
		return n;
	pack_key_u64(pk, "rate", shares > 1 ? (SHOWN_PER_S + shares - 1) / shares : SHOWN_PER_S);
	pack_key(pk, "show_errors");
	msgpack_pack_array(pk, n);
	for (uint32_t i = 0; i < r->n_items; i++)
		if (v->item[r->item[i]].kind == ITEM_FUNCTION)
			msgpack_pack_uint32(pk, i);
	return n;
}

static int pack_request(struct verify *v, const struct arm_request *r, struct error *err)
{
	bool error = r->group == GROUP_CLAIMED && v->spec.error;
	struct frame f;

	frame_begin(&f, &v->out, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, r->id);
	pack_text(&f.pk, "stat");
	msgpack_pack_map(&f.pk, 3U + error + (v->spec.budget_ppm != 0) + v->spec.unwind_ok + (pack_shown(v, r, NULL) ? 2 : 0));
	pack_target(v, &f.pk, r->side, r->pid);
	pack_key(&f.pk, "probes");
	msgpack_pack_array(&f.pk, r->n_items);
	for (uint32_t i = 0; i < r->n_items; i++)
		pack_text(&f.pk, v->item[r->item[i]].text[r->side]);
	pack_key_u64(&f.pk, "ttl_ns", v->spec.claim.deadline_ns + 60000000000ULL);
	pack_shown(v, r, &f.pk);
	if (error)
		pack_key_text(&f.pk, "error", v->spec.error);
	if (v->spec.budget_ppm)
		pack_key_u64(&f.pk, "budget_ppm", v->spec.budget_ppm);
	if (v->spec.unwind_ok) {
		pack_key(&f.pk, "unwind_ok");
		msgpack_pack_true(&f.pk);
	}
	return frame_end(&f) ? error_set(err, E2BIG, "the probes are too long for one request") : 0;
}

static int send_one(struct verify *v, enum verify_side side, enum item_group group, uint64_t pid, struct error *err)
{
	struct arm_request *r = request_new(v, side, group, pid);

	if (!r)
		return error_set(err, ENOMEM, "no memory for a request");
	if (!r->n_items) {
		verify_request_free(r);
		return 0;
	}
	r->id = v->next_id++;
	v->request[v->n_requests++] = r;
	return pack_request(v, r, err);
}

int verify_send_side(struct verify *v, enum verify_side side, enum item_group group, struct error *err)
{
	int rc = 0;

	if (verify_arm_is_open(v, side))
		return send_one(v, side, group, 0, err);
	for (uint32_t i = 0; !rc && i < v->arm[side].n_members; i++)
		rc = send_one(v, side, group, v->arm[side].member[i].pid, err);
	return rc;
}

int verify_send_probes(struct verify *v, enum item_group group, struct error *err)
{
	int rc = verify_send_side(v, BASELINE, group, err);

	/* By time, the candidate's follow when it has come. */
	return rc || v->spec.by_time ? rc : verify_send_side(v, CANDIDATE, group, err);
}

int verify_send_stop(struct verify *v, const struct arm_request *r, struct error *err)
{
	struct frame f;

	frame_begin(&f, &v->out, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, v->next_id++);
	pack_text(&f.pk, "stop");
	msgpack_pack_map(&f.pk, 1);
	pack_key_u64(&f.pk, "id", r->id);
	return frame_end(&f) ? error_set(err, ENOMEM, "no memory for a request") : 0;
}

/* ---- refusals ---- */

/* What the agent said, as an error of ours. */
static int agent_says(const struct verify *v, const struct arm_request *r, const msgpack_object *payload, int64_t probe, struct error *err)
{
	bool trigger = probe >= 0 && probe < r->n_items && v->item[r->item[probe]].kind == ITEM_TRIGGER;
	char text[400], hint[400];

	object_copy_text(text, sizeof(text), map_get(payload, "text"));
	object_copy_text(hint, sizeof(hint), map_get(payload, "hint"));
	error_set(err, EINVAL, "%s: %s%.80s%s%s", v->arm[r->side].label, trigger ? "trigger '" : "", trigger ? v->spec.trigger : "",
		  trigger ? "': " : "", text);
	if (!hint[0] && trigger)
		return error_hint(err, "a trigger must be known in both builds: use other parameters, or --function with a caller that has them");
	return hint[0] ? error_hint(err, "%s", hint) : -EINVAL;
}

/* The condition cannot be told at every line: its variables may not be in scope there, or not in a place. */
static bool drop_condition(struct verify *v, struct item *it)
{
	enum verify_side side = v->coverage->line[it->index].side;

	it->conditional = false;
	free(it->text[side]);
	verify_remark(v, "at some changed lines the condition of the arms cannot be told: they are counted for both arms");
	return line_text(v, it) == 0;
}

/* True: the verification goes on without it. */
static bool drop_item(struct verify *v, struct item *it, const struct error *why)
{
	if (it->dropped)
		return true;
	if (it->conditional)
		return drop_condition(v, it);
	it->dropped = true;
	if (it->kind == ITEM_LINE)
		coverage_drop_line(v->coverage, it->index, why->text);
	else if (it->kind == ITEM_FUNCTION && it->group == GROUP_OTHERS)
		coverage_drop_function(v->coverage, it->index, why->text);
	else
		return false;
	return true;
}

int verify_refused(struct verify *v, struct arm_request *r, const msgpack_object *payload, struct error *err)
{
	enum item_group group = r->group;
	int64_t probe = -1;
	int rc;

	object_i64(map_get(payload, "probe"), &probe);
	rc = agent_says(v, r, payload, probe, err);
	r->state = REQUEST_OVER;
	if (probe < 0 || probe >= r->n_items || !drop_item(v, &v->item[r->item[probe]], err))
		return rc;
	rc = 0;
	if (v->spec.by_time)   /* the other arm is not concerned */
		return verify_send_side(v, r->side, group, err);
	for (uint32_t i = 0; !rc && i < v->n_requests; i++) {
		struct arm_request *other = v->request[i];

		if (other->group != group || other->state == REQUEST_OVER)
			continue;
		other->state = REQUEST_OVER;
		rc = verify_send_stop(v, other, err);
	}
	return rc ? rc : verify_send_probes(v, group, err);
}
