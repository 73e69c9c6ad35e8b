/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames into the spool.  Records that it does not take are the caller's to count; the small frames that make records readable,
 * and counters, wait in memory, and nothing overtakes them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "uplink_internal.h"

/* An unsigned integer at p. Returns its bytes, 0: it is none. */
static size_t peek_u64(const uint8_t *p, size_t len, uint64_t *out)
{
	size_t width = len && p[0] >= 0xcc && p[0] <= 0xcf ? (size_t)1 << (p[0] - 0xcc) : 0;

	if (len && p[0] < 0x80) {
		*out = p[0];
		return 1;
	}
	if (!width || len < 1 + width)
		return 0;
	*out = 0;
	for (size_t i = 1; i <= width; i++)
		*out = *out << 8 | p[i];
	return 1 + width;
}

bool frame_peek(const char *body, size_t len, enum wire_type *type, uint64_t *out, unsigned n)
{
	const uint8_t *p = (const uint8_t *)body, *end = p + len;
	uint64_t number;
	size_t used;

	if (!len || p[0] < 0x90 || p[0] > 0x9f || (p[0] & 15U) < n + 1)
		return false;
	used = peek_u64(p + 1, len - 1, &number);
	if (!used || number >= WIRE_TYPES)
		return false;
	*type = (enum wire_type)number;
	p += 1 + used;
	for (unsigned i = 0; i < n; i++) {
		used = peek_u64(p, (size_t)(end - p), &out[i]);
		if (!used)
			return false;
		p += used;
	}
	return true;
}

/* ---- requests that have ended, and the collector does not know it yet ---- */

/* After a shutdown the collector may well send it again. */
static bool ends_for_good(const struct spool_entry *e)
{
	struct frame_in in;
	char *reason;
	bool good;

	if (e->type != WIRE_END || e->request >= WIRE_LOCAL_REQUEST || frame_read(e->frame, e->len, &in, NULL))
		return false;
	reason = in.count > 2 ? object_text(&in.items[2], 64) : NULL;
	good = reason && strcmp(reason, "shutdown") != 0;
	free(reason);
	frame_in_free(&in);
	return good;
}

static void note_end(const struct spool_entry *e, void *arg)
{
	struct uplink *u = arg;

	if (!ends_for_good(e))
		return;
	if (u->n_ended == ENDED_MAX) {   /* the oldest is the most likely to be known */
		memmove(u->ended, u->ended + 1, (ENDED_MAX - 1) * sizeof(u->ended[0]));
		u->n_ended--;
	}
	u->ended[u->n_ended++] = (struct ended){ .request = e->request, .sequence = e->sequence };
}

int ended_load(struct uplink *u)
{
	return spool_each(u->spool, note_end, u);
}

bool ended_has(const struct uplink *u, uint64_t request)
{
	const struct pending *p;

	for (uint32_t i = 0; i < u->n_ended; i++)
		if (u->ended[i].request == request)
			return true;
	TAILQ_FOREACH(p, &u->pending, link)
		if (p->e.type == WIRE_END && p->e.request == request)
			return true;
	return false;
}

void ended_forget(struct uplink *u, uint64_t acked)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < u->n_ended; i++)
		if (u->ended[i].sequence > acked)
			u->ended[kept++] = u->ended[i];
	u->n_ended = kept;
}

/* ---- what waits ---- */

static void pending_drop(struct uplink *u, struct pending *p)
{
	TAILQ_REMOVE(&u->pending, p, link);
	u->pending_bytes -= p->e.len;
	free(p);
}

void pending_free(struct uplink *u)
{
	while (!TAILQ_EMPTY(&u->pending))
		pending_drop(u, TAILQ_FIRST(&u->pending));
}

static int append(struct uplink *u, struct spool_entry *e)
{
	int rc = spool_append(u->spool, e, &e->sequence);

	if (!rc && e->type == WIRE_END)
		note_end(e, u);
	return rc;
}

void pending_retry(struct uplink *u)
{
	struct pending *p;

	while ((p = TAILQ_FIRST(&u->pending)) && !append(u, &p->e))
		pending_drop(u, p);
}

/* Newer counters replace older ones. */
static void supersede(struct uplink *u, const struct spool_entry *e)
{
	struct pending *p, *next;

	for (p = TAILQ_FIRST(&u->pending); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->e.type == WIRE_STATS && p->e.request == e->request && p->e.part == e->part)
			pending_drop(u, p);
	}
}

static int wait(struct uplink *u, const struct spool_entry *e)
{
	size_t max = e->type == WIRE_END ? PENDING_BYTES_END : PENDING_BYTES_MAX;
	struct pending *p;

	if (e->type == WIRE_STATS)
		supersede(u, e);
	p = u->pending_bytes + e->len <= max ? malloc(sizeof(*p) + e->len) : NULL;
	if (!p) {
		u->frames_lost++;
		log_error("uplink", "lost-frame", "type=%d request=%lu reason=\"no room in the spool or in memory\"", (int)e->type,
			  (unsigned long)e->request);
		return -ENOBUFS;
	}
	p->e = *e;
	p->e.frame = memcpy(p->bytes, e->frame, e->len);
	u->pending_bytes += e->len;
	TAILQ_INSERT_TAIL(&u->pending, p, link);
	return 0;
}

int uplink_spool(struct uplink *u, const char *body, size_t len)
{
	struct spool_entry e = { .frame = body, .len = len, .part = u->client.stats_part };
	uint64_t head[4] = { 0 };
	int rc = 0;

	if (!frame_peek(body, len, &e.type, head, 1))
		return -EPROTO;
	if (e.type != WIRE_STATS)
		e.part = 0;
	e.request = e.type == WIRE_RUN ? 0 : head[0];
	if (e.type == WIRE_CHUNK) {
		if (!frame_peek(body, len, &e.type, head, 4) || head[3] > UINT32_MAX)
			return -EPROTO;
		e.records = (uint32_t)head[3];
	}
	pending_retry(u);
	if (TAILQ_EMPTY(&u->pending))
		rc = append(u, &e);
	else
		rc = -ENOSPC;
	return rc && e.type != WIRE_CHUNK ? wait(u, &e) : rc;
}
