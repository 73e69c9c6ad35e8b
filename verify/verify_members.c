/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of the arms while it runs: who comes, who ends, and for how much of their lives they are probed. */
#include <stdio.h>
#include <string.h>

#include "verify_internal.h"

#define UNKNOWN_NS 5000000000ULL   /* how long the first counters of a process may take */

void verify_arm_add(struct verify *v, struct arm *a, const struct running *p, uint64_t now_ns)
{
	struct member *m = &a->member[a->n_members++];
	uint64_t start = p->age_ns && p->age_ns < now_ns ? now_ns - p->age_ns : now_ns;

	/* Whoever was not there (with this build) when the list before was made came later, whatever its age. */
	*m = (struct member){ .pid = p->pid, .start_ns = start > v->ps_before_ns ? start : v->ps_before_ns };
	snprintf(m->host, sizeof(m->host), "%s", p->host ? p->host : "");
}

const struct running *verify_find_running(const struct verify *v, const char *host, uint64_t pid, const char *build_id)
{
	for (uint32_t i = 0; i < v->n_running; i++) {
		const struct running *p = &v->running[i];

		if (p->pid == pid && strcmp(p->build_id, build_id) == 0 && strcmp(p->host ? p->host : "", host) == 0)
			return p;
	}
	return NULL;
}

/*
 * An agent that was started again is another source, and the one before it does not come back: the last one counts.  One that is lost
 * before it has said a word is none: nobody tells of it, and nothing comes from there.
 */
static bool is_heard(const struct model *m, const char *host)
{
	for (uint32_t k = m->n_sources; k; k--) {
		const struct source *s = m->source[k - 1];

		if (s->host && strcmp(s->host, host) == 0)
			return !s->quiet;
	}
	return false;
}

/* Lines that it does not count are counted by others. */
bool verify_is_away(const struct verify *v, enum verify_side side, const char *host)
{
	for (uint32_t i = 0; host[0] && i < v->n_requests; i++) {
		const struct arm_request *r = v->request[i];

		if (r->side == side && r->group != GROUP_LINES && r->state == REQUEST_ACCEPTED && !is_heard(&r->model, host))
			return true;
	}
	return false;
}

uint32_t verify_unseen(const struct verify *v, enum verify_side side)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->arm[side].n_members; i++)
		n += verify_is_away(v, side, v->arm[side].member[i].host);
	return n;
}

const char *verify_away(const struct verify *v)
{
	for (int side = 0; side < VERIFY_SIDES; side++)
		for (uint32_t i = 0; i < v->arm[side].n_members; i++)
			if (verify_is_away(v, (enum verify_side)side, v->arm[side].member[i].host))
				return v->arm[side].member[i].host;
	return NULL;
}

void verify_back(struct verify *v, enum verify_side side, const char *host)
{
	struct arm *a = &v->arm[side];

	for (uint32_t i = 0; i < a->n_members; i++) {
		if (strcmp(a->member[i].host, host) != 0)
			continue;
		a->probed_ns += a->member[i].away_ns;
		a->member[i].away_ns = 0;
	}
}

/* over: it has ended. A process whose counters have not come yet is not known to be probed or not: that is seen next time. */
static void count_time_of(const struct verify *v, enum verify_side side, struct arm *a, struct member *m, bool over, uint64_t now_ns)
{
	uint64_t since = verify_probed_since(v, side, m->host, m->pid), from = m->counted_ns;

	from = from > m->start_ns ? from : m->start_ns;
	from = from > v->run_ns ? from : v->run_ns;
	if (now_ns <= from || (!since && !over && now_ns - from < UNKNOWN_NS))
		return;
	a->lived_ns += now_ns - from;
	m->counted_ns = now_ns;
	if (verify_is_away(v, side, m->host)) {
		m->away_ns += now_ns - from;
		return;
	}
	m->away_ns = 0;   /* if it was not told to be back, it has begun anew */
	if (since)
		a->probed_ns += now_ns - (since < from ? from : since < now_ns ? since : now_ns);
}

void verify_count_time(struct verify *v, uint64_t now_ns)
{
	for (int side = 0; v->run_ns && side < VERIFY_SIDES; side++)
		for (uint32_t i = 0; i < v->arm[side].n_members; i++)
			count_time_of(v, (enum verify_side)side, &v->arm[side], &v->arm[side].member[i], false, now_ns);
}

/* Those of the arm that have ended go; a host that has not told takes none. */
static void drop_ended(struct verify *v, enum verify_side side, uint64_t now_ns)
{
	struct arm *a = &v->arm[side];
	uint32_t kept = 0;

	for (uint32_t i = 0; i < a->n_members; i++) {
		struct member *m = &a->member[i];

		if (verify_find_running(v, m->host, m->pid, a->build_id) || !verify_host_told(v, m->host))
			a->member[kept++] = *m;
		else if (v->run_ns)
			count_time_of(v, side, a, m, true, now_ns);
	}
	a->ended += a->n_members - kept;
	a->n_members = kept;
}

void verify_lost_pid(struct arm *a, uint64_t pid, uint64_t now_ns)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < a->n_members; i++)
		if (a->member[i].pid != pid)
			a->member[kept++] = a->member[i];
	a->ended += a->n_members - kept;
	a->n_members = kept;
	if (!kept && !a->missing_since_ns)
		a->missing_since_ns = now_ns;
}

static bool is_in(const struct arm *a, const struct running *p)
{
	for (uint32_t i = 0; i < a->n_members; i++)
		if (a->member[i].pid == p->pid && strcmp(a->member[i].host, p->host ? p->host : "") == 0)
			return true;
	return false;
}

static void add_newcomers(struct verify *v, enum verify_side side, uint64_t now_ns)
{
	const struct verify_arm_spec *s = verify_arm_spec_of(v, side);
	struct arm *a = &v->arm[side];

	for (uint32_t i = 0; i < v->n_running && a->n_members < VERIFY_ARM_PIDS; i++) {
		const struct running *p = &v->running[i];

		if (strcmp(p->build_id, a->build_id) == 0 && (s->by != VERIFY_ARM_HOST || verify_is_of(s, p)) && !is_in(a, p))
			verify_arm_add(v, a, p, now_ns);
	}
}

static void count_threads(const struct verify *v, struct arm *a)
{
	a->threads = 0;
	for (uint32_t i = 0; i < a->n_members; i++) {
		const struct running *p = verify_find_running(v, a->member[i].host, a->member[i].pid, a->build_id);

		a->threads += p ? (uint32_t)p->threads : 0;
	}
}

void verify_count_arms(struct verify *v, uint64_t now_ns)
{
	verify_count_time(v, now_ns);
	for (int side = 0; side < VERIFY_SIDES; side++) {
		struct arm *a = &v->arm[side];

		if (!a->build_id[0] && side == CANDIDATE && v->spec.by_time)
			continue;   /* nobody knows yet */
		drop_ended(v, (enum verify_side)side, now_ns);
		if (verify_arm_is_open(v, (enum verify_side)side))
			add_newcomers(v, (enum verify_side)side, now_ns);
		count_threads(v, a);
		a->most_processes = a->n_members > a->most_processes ? a->n_members : a->most_processes;
		a->missing_since_ns = a->n_members ? 0 : a->missing_since_ns ? a->missing_since_ns : now_ns;
	}
	verify_note_ended(v);
}
