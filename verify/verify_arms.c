/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes are the baseline, which the candidate: from the rows of ps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify_internal.h"

const char *verify_name_of(const struct verify *v, enum verify_side side)
{
	static const char *const halves[VERIFY_SIDES] = { "first half", "second half" };

	return v->halves ? halves[side] : verify_side_name[side];
}

enum { BUILD_SHOWN = 12, CONTAINER_DIGITS = 8, TEXT_MAX = 4096 };

/* ---- rows ---- */

static void texts_free(struct running *p)
{
	free(p->host);
	free(p->comm);
	free(p->exe);
	free(p->unit);
	free(p->container);
	free(p->build_id);
	memset(p, 0, sizeof(*p));
}

void verify_running_free(struct verify *v)
{
	for (uint32_t i = 0; i < v->n_running; i++)
		texts_free(&v->running[i]);
	free(v->running);
	v->running = NULL;
	v->n_running = 0;
}

int verify_ask_ps(struct verify *v, uint64_t now_ns, struct error *err)
{
	struct frame f;

	v->ps_before_ns = v->ps_ns;
	v->ps_ns = now_ns;
	v->ps_open = true;
	frame_begin(&f, &v->out, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, ID_PS);
	pack_text(&f.pk, "ps");
	msgpack_pack_map(&f.pk, 0);
	return frame_end(&f) ? error_set(err, ENOMEM, "no memory for a question") : 0;
}

/* [pid, comm, exe, unit, container, build id, language, debug info, uid, age ns, threads]; a collector puts the host first. */
static bool read_running(const msgpack_object *row, struct running *p)
{
	const msgpack_object *part = row->via.array.ptr;
	uint32_t n, at = 0;

	if (row->type != MSGPACK_OBJECT_ARRAY || row->via.array.size < 9)
		return false;
	n = row->via.array.size;
	if (part[0].type == MSGPACK_OBJECT_STR)
		p->host = object_text(&part[at++], 256);
	if (n < at + 9 || !object_u64(&part[at], &p->pid))
		return false;
	p->comm = object_text(&part[at + 1], TEXT_MAX);
	p->exe = object_text(&part[at + 2], TEXT_MAX);
	p->unit = object_text(&part[at + 3], TEXT_MAX);
	p->container = object_text(&part[at + 4], TEXT_MAX);
	p->build_id = object_text(&part[at + 5], TEXT_MAX);
	if (n > at + 10) {
		object_u64(&part[at + 9], &p->age_ns);
		object_u64(&part[at + 10], &p->threads);
	}
	return p->comm && p->exe && p->unit && p->container && p->build_id;
}

static bool is_named(const struct running *p, const char *name)
{
	const char *slash = strrchr(p->exe, '/');
	size_t len = strlen(name);

	if (strcmp(slash ? slash + 1 : p->exe, name) == 0 || strcmp(p->comm, name) == 0 || strcmp(p->unit, name) == 0)
		return true;
	if (strncmp(p->unit, name, len) == 0 && strcmp(p->unit + len, ".service") == 0)
		return true;
	return len >= CONTAINER_DIGITS && strncmp(p->container, name, len) == 0;
}

static bool is_target(const struct verify_spec *s, const struct running *p)
{
	if (s->target == VERIFY_TARGET_PID)
		return p->pid == s->pid;
	return s->target == VERIFY_TARGET_NAME ? is_named(p, s->target_text) : strcmp(p->exe, s->target_text) == 0;
}

/* Which hosts have told: what is missing on others is not known to have ended. */
static void note_host(struct verify *v, const char *host)
{
	size_t len = strlen(v->hosts);

	if (verify_host_told(v, host))
		return;
	if (len + strlen(host) + 2 < sizeof(v->hosts))
		sprintf(v->hosts + len, "%s\n", host);
}

bool verify_host_told(const struct verify *v, const char *host)
{
	size_t len = strlen(host);

	for (const char *at = v->hosts; *at; at = strchr(at, '\n') + 1)
		if (strncmp(at, host, len) == 0 && at[len] == '\n')
			return true;
	return false;
}

static void take_running(struct verify *v, const msgpack_object *row)
{
	struct running *p = &v->running[v->n_running];
	bool whole = read_running(row, p);

	if (whole)
		note_host(v, p->host ? p->host : "");
	if (whole && is_target(&v->spec, p))
		v->n_running++;
	else
		texts_free(p);
}

int verify_take_ps(struct verify *v, const msgpack_object *payload, struct error *err)
{
	const msgpack_object *rows = map_get(payload, "processes");

	v->ps_open = false;
	if (!rows || rows->type != MSGPACK_OBJECT_ARRAY)
		return error_set(err, EPROTO, "the agent sent a malformed list of processes");
	verify_running_free(v);
	v->hosts[0] = '\0';
	v->running = calloc(VERIFY_PROCESSES_MAX, sizeof(*v->running));
	if (!v->running)
		return error_set(err, ENOMEM, "no memory for the processes");
	for (uint32_t i = 0; i < rows->via.array.size && v->n_running < VERIFY_PROCESSES_MAX; i++)
		take_running(v, &rows->via.array.ptr[i]);
	return 0;
}

/* ---- which arm a process is of ---- */

static bool list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, word, len) == 0 && (at[len] == ',' || at[len] == '\0'))
			return true;
	}
	return false;
}

bool verify_is_of(const struct verify_arm_spec *arm, const struct running *p)
{
	char pid[24];

	switch (arm->by) {
	case VERIFY_ARM_BUILD:
		return strncmp(p->build_id, arm->text, strlen(arm->text)) == 0;
	case VERIFY_ARM_PID:
		snprintf(pid, sizeof(pid), "%llu", (unsigned long long)p->pid);
		return list_has(arm->text, pid);
	case VERIFY_ARM_HOST:
		return p->host && list_has(arm->text, p->host) && (!arm->build || strcmp(arm->build, p->build_id) == 0);
	default:
		return true;
	}
}

static const char *kind_of(const struct verify_arm_spec *s)
{
	return s->by == VERIFY_ARM_PID ? "pid" : s->by == VERIFY_ARM_HOST ? "host" : "build";
}

static void label_arm(struct verify *v, enum verify_side side)
{
	const struct verify_arm_spec *s = verify_arm_spec_of(v, side);
	struct arm *a = &v->arm[side];
	bool listed = s->by == VERIFY_ARM_PID || s->by == VERIFY_ARM_HOST;

	snprintf(a->label, sizeof(a->label), "%s %.*s", kind_of(s), listed ? 60 : BUILD_SHOWN, listed ? s->text : a->build_id);
}

/* "812 (build 8f3a21c0d1e2), ..." of what runs instead. */
static void describe_running(const struct verify *v, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < v->n_running && i < 4 && len + 1 < size; i++) {
		const struct running *p = &v->running[i];

		len += (size_t)snprintf(out + len, size - len, "%s%s%s%llu (build %.*s)", i ? ", " : "", p->host ? p->host : "",
					p->host ? ":" : "", (unsigned long long)p->pid, BUILD_SHOWN, p->build_id);
	}
	if (v->n_running > 4 && len + 1 < size)
		snprintf(out + len, size - len, " and %u more", v->n_running - 4);
}

/* What could be meant instead. Returns the error's code, as error_hint. */
static int hint_running(const struct verify *v, struct error *err)
{
	char running[300];

	describe_running(v, running, sizeof(running));
	return error_hint(err, "of the target there run: %s", running);
}

static int no_process(const struct verify *v, enum verify_side side, struct error *err)
{
	error_set(err, ESRCH, "the %s has no process: %s %s matches none", verify_name_of(v, side),
		  kind_of(verify_arm_spec_of(v, side)), verify_arm_spec_of(v, side)->text);
	return hint_running(v, err);
}

/* A process that was named and is not in it makes an arm smaller than its label says. Halves of an arm are looked at while they run. */
static int check_named(const struct verify *v, enum verify_side side, struct error *err)
{
	const struct verify_arm_spec *s = verify_arm_spec_of(v, side);
	const char *at = s->by == VERIFY_ARM_PID && !v->halves ? s->text : "";

	for (size_t len; *at; at += len + (at[len] == ',')) {
		bool there = false;

		len = strcspn(at, ",");
		for (uint32_t i = 0; i < v->arm[side].n_members; i++) {
			char pid[24];
			int n = snprintf(pid, sizeof(pid), "%llu", (unsigned long long)v->arm[side].member[i].pid);

			there |= (size_t)n == len && strncmp(at, pid, len) == 0;
		}
		if (there)
			continue;
		error_set(err, ESRCH, "process %.*s of the %s does not run, or is none of the target", (int)len, at, verify_name_of(v, side));
		return hint_running(v, err);
	}
	return 0;
}

static int not_one_build(const struct verify *v, enum verify_side side, const char *other, struct error *err)
{
	const char *build = v->arm[side].build_id;

	if (verify_arm_spec_of(v, side)->by)
		error_set(err, EINVAL, "the processes of the %s do not run one build: %.*s and %.*s", verify_name_of(v, side), BUILD_SHOWN, build,
			  BUILD_SHOWN, other);
	else
		error_set(err, EINVAL, "more than one build runs, %.*s and %.*s: --arm-by and --aa compare one with itself", BUILD_SHOWN, build,
			  BUILD_SHOWN, other);
	return hint_running(v, err);
}

int verify_fill_arm(struct verify *v, enum verify_side side, uint64_t now_ns, struct error *err)
{
	const struct verify_arm_spec *s = verify_arm_spec_of(v, side);
	struct arm *a = &v->arm[side];

	a->n_members = 0;
	for (uint32_t i = 0; i < v->n_running; i++) {
		if (!verify_is_of(s, &v->running[i]))
			continue;
		if (a->n_members == VERIFY_ARM_PIDS)
			return error_set(err, E2BIG, "the %s has more than %d processes", verify_name_of(v, side), VERIFY_ARM_PIDS);
		if (a->n_members && strcmp(a->build_id, v->running[i].build_id) != 0)
			return not_one_build(v, side, v->running[i].build_id, err);
		snprintf(a->build_id, sizeof(a->build_id), "%s", v->running[i].build_id);
		verify_arm_add(v, a, &v->running[i], now_ns);
	}
	if (!a->n_members)
		return no_process(v, side, err);
	label_arm(v, side);
	return check_named(v, side, err);
}

/* ---- without --baseline and --candidate ---- */

/* The oldest process of a build. */
static uint64_t age_of(const struct verify *v, const char *build_id)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < v->n_running; i++)
		if (strcmp(v->running[i].build_id, build_id) == 0 && v->running[i].age_ns > most)
			most = v->running[i].age_ns;
	return most;
}

static const char *other_build(const struct verify *v, const char *than, const char *and_than)
{
	for (uint32_t i = 0; i < v->n_running; i++)
		if (strcmp(v->running[i].build_id, than) != 0 && strcmp(v->running[i].build_id, and_than) != 0)
			return v->running[i].build_id;
	return NULL;
}

int verify_set_build(struct verify_arm_spec *s, const char *build_id, struct error *err)
{
	s->by = VERIFY_ARM_BUILD;
	return verify_spec_text(&s->text, build_id, "the build-id", err);
}

static int guess_arms(struct verify *v, struct error *err)
{
	const char *one = v->running[0].build_id, *two = other_build(v, one, one), *old = one, *new = two;
	int rc;

	if (!two) {
		error_set(err, EINVAL, "only one build runs (%.*s): there is nothing to compare it with", BUILD_SHOWN, one);
		return error_hint(err, "start the other build too, or see --by-time, --arm-by and --aa");
	}
	if (other_build(v, one, two)) {
		error_set(err, EINVAL, "more than two builds run: say which, with --baseline build:ID --candidate build:ID");
		return hint_running(v, err);
	}
	if (age_of(v, one) == age_of(v, two)) {
		error_set(err, EINVAL, "two builds run and which is older is not known: give --baseline and --candidate");
		return hint_running(v, err);
	}
	if (age_of(v, one) < age_of(v, two)) {
		old = two;
		new = one;
	}
	rc = verify_set_build(&v->spec.baseline, old, err);
	if (!rc)
		rc = verify_set_build(&v->spec.candidate, new, err);
	if (!rc)
		verify_remark(v, "two builds run: the one whose processes are older is taken as the baseline (%.*s), the other one as the "
			      "candidate (%.*s)", BUILD_SHOWN, v->spec.baseline.text, BUILD_SHOWN, v->spec.candidate.text);
	return rc;
}

/* One build, both arms: by a condition, or an A/A run's halves. */
static int one_build(struct verify *v, uint64_t now_ns, struct error *err)
{
	struct arm *b = &v->arm[BASELINE], *c = &v->arm[CANDIDATE];
	int rc = verify_fill_arm(v, BASELINE, now_ns, err);

	if (!rc && v->spec.aa)
		rc = verify_aa_alone(v, err);
	for (int side = 0; !rc && !v->spec.arm_by && side < VERIFY_SIDES; side++)
		rc = verify_fill_arm(v, (enum verify_side)side, now_ns, err);
	if (rc || !v->spec.arm_by)
		return rc;
	*c = *b;
	snprintf(b->label, sizeof(b->label), "not (%.60s)", v->spec.arm_by);
	snprintf(c->label, sizeof(c->label), "%.60s", v->spec.arm_by);
	return 0;
}

static bool is_same(const struct member *a, const struct member *b)
{
	return a->pid == b->pid && strcmp(a->host, b->host) == 0;
}

static int check_apart(const struct verify *v, struct error *err)
{
	const struct arm *b = &v->arm[BASELINE], *c = &v->arm[CANDIDATE];

	for (uint32_t i = 0; i < b->n_members; i++)
		for (uint32_t k = 0; k < c->n_members; k++)
			if (is_same(&b->member[i], &c->member[k]))
				return error_set(err, EINVAL, "baseline and candidate are the same: process %llu is in both",
						 (unsigned long long)b->member[i].pid);
	if (strcmp(b->build_id, c->build_id) == 0 && v->patch) {
		error_set(err, EINVAL, "baseline and candidate are the same build, %.*s: the patch cannot be in one of them only",
			  BUILD_SHOWN, b->build_id);
		return error_hint(err, "an A/A run on purpose: --aa");
	}
	return 0;
}

/* Rows of one agent name no host; those of a collector do, and there a number alone names no process. */
static int check_hosts(const struct verify *v, struct error *err)
{
	bool pids = v->spec.target == VERIFY_TARGET_PID || v->spec.baseline.by == VERIFY_ARM_PID || v->spec.candidate.by == VERIFY_ARM_PID;

	if (pids && v->running[0].host) {
		error_set(err, EINVAL, "a process number means another process on each host: through a collector there are no arms of them");
		return error_hint(err, "-s NAME or -x PATH, and arms by build:ID or host:NAME");
	}
	if ((v->spec.baseline.by != VERIFY_ARM_HOST && v->spec.candidate.by != VERIFY_ARM_HOST) || v->running[0].host)
		return 0;
	error_set(err, EINVAL, "arms by host need a collector: an agent knows its own host only");
	return error_hint(err, "plumb --collector HOST:PORT verify ...");
}

static bool has_member_on(const struct arm *a, const char *host, size_t len)
{
	for (uint32_t i = 0; i < a->n_members; i++)
		if (strncmp(a->member[i].host, host, len) == 0 && !a->member[i].host[len])
			return true;
	return false;
}

/* A host that was named and is not in it makes an arm smaller than its label says. */
static void note_missing_hosts(struct verify *v, enum verify_side side)
{
	const struct verify_arm_spec *s = verify_arm_spec_of(v, side);

	for (const char *at = s->by == VERIFY_ARM_HOST ? s->text : NULL, *end; at; at = *end ? end + 1 : NULL) {
		end = strchrnul(at, ',');
		if (end - at < 256 && !has_member_on(&v->arm[side], at, (size_t)(end - at)))
			verify_remark(v, "no process of the target runs on host %.*s of the %s", (int)(end - at), at, verify_name_of(v, side));
	}
}

int verify_choose_arms(struct verify *v, uint64_t now_ns, struct error *err)
{
	int rc = 0;

	if (!v->n_running)
		return error_set(err, ESRCH, "no process of the target runs: there is nothing to compare");
	rc = check_hosts(v, err);
	if (rc)
		return rc;
	if (v->spec.arm_by || (v->spec.aa && !verify_spec_aa_first(&v->spec)))
		return one_build(v, now_ns, err);
	if (v->spec.by_time)
		return verify_time_begin(v, now_ns, err);
	if (!v->spec.baseline.by && !v->spec.candidate.by)
		rc = guess_arms(v, err);
	for (int side = 0; !rc && side < VERIFY_SIDES; side++)
		rc = verify_fill_arm(v, (enum verify_side)side, now_ns, err);
	for (int side = 0; !rc && side < VERIFY_SIDES; side++)
		note_missing_hosts(v, (enum verify_side)side);
	return rc ? rc : check_apart(v, err);
}
