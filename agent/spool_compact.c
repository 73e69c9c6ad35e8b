/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for the new at the cost of the old.  The oldest segment that has CHUNKs is rewritten without them; when there is none,
 * superseded STATS go.  A LOSS takes the sequence of the CHUNK that it stands for: if that CHUNK has been stored meanwhile, and
 * only its ACK did not arrive, the collector knows the sequence and drops the LOSS.  So losses of CHUNKs that may have been
 * sent are never added up; those of others are, at the sequence of the last one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spool_internal.h"

enum { SUMS_MAX = 1024 };   /* requests of one rewrite whose losses are added up */

struct sum {
	uint64_t request;
	uint32_t part;
	uint64_t loss_at, lost;        /* last sequence, records */
	uint64_t stats_at;             /* the last STATS */
};

struct rewrite {
	struct spool *s;
	enum segment_level level;
	struct sum sum[SUMS_MAX];
	uint32_t n_sums;
	struct buf out, frame;
	struct segment result;         /* last, bytes, records, entries */
	uint64_t lost;                 /* records of CHUNKs that go now */
};

static struct sum *sum_of(struct rewrite *w, const struct spool_entry *e)
{
	for (uint32_t i = 0; i < w->n_sums; i++)
		if (w->sum[i].request == e->request && w->sum[i].part == e->part)
			return &w->sum[i];
	if (w->n_sums == SUMS_MAX)
		return NULL;
	w->sum[w->n_sums] = (struct sum){ .request = e->request, .part = e->part };
	return &w->sum[w->n_sums++];
}

static bool is_loss_of_room(const struct spool_entry *e)
{
	return e->type == WIRE_LOSS && memmem(e->frame, e->len, LOSS_FULL, strlen(LOSS_FULL));
}

static bool adds_up(const struct rewrite *w, const struct spool_entry *e)
{
	return e->sequence > w->s->sent && (e->type == WIRE_CHUNK || is_loss_of_room(e));
}

/* First pass. */
static void count_entry(struct rewrite *w, const struct spool_entry *e)
{
	struct sum *sum = sum_of(w, e);

	if (!sum)
		return;
	if (adds_up(w, e)) {
		sum->loss_at = e->sequence;
		sum->lost += e->records;
	}
	if (e->type == WIRE_STATS)
		sum->stats_at = e->sequence;
}

static void keep(struct rewrite *w, const struct spool_entry *e)
{
	struct entry_head head;

	entry_head_make(&head, e, w->result.records);
	buf_add(&w->out, &head, sizeof(head));
	buf_add(&w->out, e->frame, e->len);
	w->result.records += e->records;
	w->result.last = e->sequence;
	w->result.entries++;
}

static void keep_loss(struct rewrite *w, const struct spool_entry *e, uint64_t records)
{
	struct spool_entry loss = *e;

	loss_pack(&w->frame, e->request, records, LOSS_FULL);
	loss.type = WIRE_LOSS;
	loss.records = (uint32_t)(records < UINT32_MAX / 4 ? records : UINT32_MAX / 4);
	loss.frame = w->frame.data;
	loss.len = w->frame.len;
	keep(w, &loss);
}

/* Second pass. */
static void take_entry(struct rewrite *w, const struct spool_entry *e)
{
	const struct sum *sum = sum_of(w, e);

	if (e->type == WIRE_CHUNK)
		w->lost += e->records;
	if (sum && adds_up(w, e)) {
		if (e->sequence == sum->loss_at)
			keep_loss(w, e, sum->lost);
	} else if (e->type == WIRE_CHUNK) {
		keep_loss(w, e, e->records);
	} else if (e->type == WIRE_FUNCTION_STATS && w->level >= LEVEL_THIN) {
		return;   /* details of sums that stay; all are told again within a minute, unless their request has ended */
	} else if (e->type != WIRE_STATS || w->level < LEVEL_THIN || !sum || e->sequence == sum->stats_at) {
		keep(w, e);
	}
}

static int walk(struct rewrite *w, const struct segment *g, void (*visit)(struct rewrite *w, const struct spool_entry *e))
{
	struct buf data = { 0 }, loss = { 0 };
	struct segment_walk at;
	enum entry_state state;
	struct spool_entry e;
	int rc = segment_load(w->s, g, &data);

	segment_walk_start(&at, data.data, data.len, g->first - 1);
	while (!rc && (state = segment_walk_next(&at, &e)) != ENTRY_END) {
		if (e.sequence <= w->s->acked)
			continue;
		if (state == ENTRY_DAMAGED)
			damage_to_loss(&e, &loss);
		visit(w, &e);
	}
	buf_free(&data);
	buf_free(&loss);
	return rc;
}

static int write_file(struct spool *s, uint64_t first, const struct buf *out)
{
	char path[32];
	int fd = openat(s->dir, REWRITE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, out->data, out->len);
	if (n != (ssize_t)out->len)
		rc = n < 0 ? -errno : -ENOSPC;
	close(fd);
	segment_path(first, "seg", path);
	if (!rc && renameat(s->dir, REWRITE_NAME, s->dir, path))
		rc = -errno;
	if (rc)
		unlinkat(s->dir, REWRITE_NAME, 0);
	return rc;
}

/* `into` becomes the rewrite of itself and, if there is one, of the next segment, which goes. */
static void replace(struct rewrite *w, struct segment *into, struct segment *next)
{
	struct spool *s = w->s;

	if (next)
		segment_forget(s, next, true);
	s->bytes -= into->bytes;
	into->bytes = w->out.len;
	s->bytes += into->bytes;
	into->last = w->result.last;
	into->records = w->result.records;
	into->entries = w->result.entries;
	into->level = w->level;
	s->count.lost_records += w->lost;
	reader_reset(s);
	if (!into->entries)
		segment_forget(s, into, true);
}

static int rewrite(struct rewrite *w, struct segment *into, struct segment *next)
{
	struct segment_head head;
	int rc;

	rc = walk(w, into, count_entry);
	if (!rc && next)
		rc = walk(w, next, count_entry);
	if (rc)
		return rc;
	segment_head_make(&head, into->first);
	buf_add(&w->out, &head, sizeof(head));
	w->result.last = into->first - 1;
	rc = walk(w, into, take_entry);
	if (!rc && next)
		rc = walk(w, next, take_entry);
	if (!rc && (w->out.failed || w->frame.failed))
		rc = -ENOMEM;
	if (!rc)
		rc = write_file(w->s, into->first, &w->out);
	if (!rc)
		replace(w, into, next);
	return rc;
}

/* The oldest of those that have given up least; never the last one, which grows. */
static struct segment *pick(struct spool *s)
{
	struct segment *g;

	for (enum segment_level level = LEVEL_WHOLE; level < LEVEL_THIN; level++)
		TAILQ_FOREACH(g, &s->segments, link)
			if (g->level == level && TAILQ_NEXT(g, link))
				return g;
	return NULL;
}

int spool_compact(struct spool *s)
{
	struct segment *g = pick(s), *before = g ? TAILQ_PREV(g, segments, link) : NULL;
	struct rewrite *w = g ? calloc(1, sizeof(*w)) : NULL;
	int rc;

	if (!w)
		return g ? -ENOMEM : -ENODATA;
	w->s = s;
	w->level = g->level + 1;
	/* Small ones grow together. */
	if (before && before->level >= w->level && before->bytes + g->bytes <= s->segment_bytes + s->segment_bytes / 4)
		rc = rewrite(w, before, g);
	else
		rc = rewrite(w, g, NULL);
	buf_free(&w->out);
	buf_free(&w->frame);
	free(w);
	return rc;
}
