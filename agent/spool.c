/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock_ns.h"
#include "spool_internal.h"

enum { REWRITES_PER_APPEND = 4, COMPACT_AGAIN_S = 1 };

/* ---- segments ---- */

void segment_path(uint64_t first, const char *suffix, char out[32])
{
	snprintf(out, 32, "%016lx.%s", (unsigned long)first, suffix);
}

struct segment *segment_new(struct spool *s, uint64_t first)
{
	struct segment *g = calloc(1, sizeof(*g));
	struct stat st;
	char path[32];

	if (!g)
		return NULL;
	segment_path(first, "seg", path);
	g->first = first;
	g->last = first - 1;
	if (!fstatat(s->dir, path, &st, AT_SYMLINK_NOFOLLOW))
		g->bytes = (uint64_t)st.st_size;
	TAILQ_INSERT_TAIL(&s->segments, g, link);
	return g;
}

void segment_forget(struct spool *s, struct segment *g, bool unlink_it)
{
	char path[32];

	if (s->reader.in == g)
		reader_reset(s);
	if (unlink_it) {
		segment_path(g->first, "seg", path);
		unlinkat(s->dir, path, 0);
		s->bytes -= g->bytes;
	}
	TAILQ_REMOVE(&s->segments, g, link);
	free(g);
}

int segment_load(struct spool *s, const struct segment *g, struct buf *out)
{
	uint64_t want = g->bytes < SEGMENT_READ_MAX ? g->bytes : SEGMENT_READ_MAX;
	char path[32], *room;
	ssize_t n;
	int fd;

	buf_clear(out);
	segment_path(g->first, "seg", path);
	fd = openat(s->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	room = buf_reserve(out, want + 1);
	n = room ? pread(fd, room, want, 0) : -1;
	n = !room ? -ENOMEM : n < 0 ? -errno : n;
	close(fd);
	if (n < 0)
		return (int)n;
	out->len = (size_t)n;
	return 0;
}

static void close_last(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* Closes the last segment and starts the next one. */
static int rotate(struct spool *s)
{
	struct segment_head head;
	struct segment *g;
	char path[32];
	int fd, rc = 0;

	segment_path(s->next, "seg", path);
	fd = openat(s->dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	segment_head_make(&head, s->next);
	if (write(fd, &head, sizeof(head)) != (ssize_t)sizeof(head))
		rc = errno ? -errno : -ENOSPC;
	g = rc ? NULL : segment_new(s, s->next);
	if (!g) {
		close(fd);
		unlinkat(s->dir, path, 0);
		return rc ? rc : -ENOMEM;
	}
	close_last(s);
	s->fd = fd;
	g->bytes = sizeof(head);
	s->bytes += g->bytes;
	s->exhausted = false;
	return 0;
}

/* Without the directory nothing can be kept; what was in it and not stored is told as damaged when it is to be read. */
static int rotate_anywhere(struct spool *s)
{
	int rc = rotate(s);

	if (rc != -ENOENT)
		return rc;
	rc = identity_return(s);
	return rc ? rc : rotate(s);
}

/* ---- opening ---- */

/* The last segment goes on, unless there is something about it. */
static void reopen_last(struct spool *s)
{
	const struct segment *g = TAILQ_LAST(&s->segments, segments);
	char path[32];

	if (!g || s->unsure || g->bytes >= s->segment_bytes || g->last + 1 != s->next)
		return;
	segment_path(g->first, "seg", path);
	s->fd = openat(s->dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
}

int spool_open(const char *dir, uint64_t max_bytes, struct spool **out, struct error *err)
{
	struct spool *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return error_set(err, ENOMEM, "out of memory");
	TAILQ_INIT(&s->segments);
	s->dir = s->lock = s->acked_fd = s->fd = s->reader.fd = -1;
	s->max_bytes = max_bytes < SPOOL_BYTES_MIN ? SPOOL_BYTES_MIN : max_bytes;
	s->segment_bytes = s->max_bytes / SEGMENT_SHARE < SEGMENT_BYTES ? s->max_bytes / SEGMENT_SHARE : SEGMENT_BYTES;
	s->path = strdup(dir);
	rc = s->path ? identity_open(s, dir, err) : error_set(err, ENOMEM, "out of memory");
	if (!rc)
		rc = spool_scan(s, err);
	if (rc) {
		spool_close(s);
		return rc;
	}
	reopen_last(s);
	identity_save(s);
	spool_ack(s, s->acked);
	spool_seek(s, s->acked);
	*out = s;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	while (!TAILQ_EMPTY(&s->segments))
		segment_forget(s, TAILQ_FIRST(&s->segments), false);
	reader_reset(s);
	buf_free(&s->reader.block);
	buf_free(&s->reader.loss);
	close_last(s);
	close_fd(s->acked_fd);
	close_fd(s->lock);
	close_fd(s->dir);
	free(s->path);
	free(s);
}

const char *spool_agent(const struct spool *s)
{
	return s->agent;
}

/* ---- appending ---- */

/* The oldest gives way. What is no CHUNK may take an eighth more. */
static int make_room(struct spool *s, uint64_t need, bool chunk)
{
	uint64_t bound = chunk ? s->max_bytes : s->max_bytes + s->max_bytes / 8;

	for (int i = 0; i < REWRITES_PER_APPEND && s->bytes + need > s->max_bytes; i++) {
		int rc;

		if (s->exhausted && clock_ns(CLOCK_MONOTONIC) < s->compact_again_ns)
			break;
		rc = spool_compact(s);
		s->exhausted = rc != 0;
		if (rc) {
			s->compact_again_ns = clock_ns(CLOCK_MONOTONIC) + COMPACT_AGAIN_S * 1000000000ULL;
			break;
		}
	}
	return s->bytes + need > bound ? -ENOSPC : 0;
}

static int put(struct spool *s, const struct spool_entry *e)
{
	struct segment *g = TAILQ_LAST(&s->segments, segments);
	struct entry_head head;
	struct iovec io[2] = { { &head, sizeof(head) }, { (void *)e->frame, e->len } };
	ssize_t n, want = (ssize_t)(sizeof(head) + e->len);

	entry_head_make(&head, e, g->records);
	n = pwritev(s->fd, io, 2, (off_t)g->bytes);
	if (n != want) {
		int rc = n < 0 ? -errno : -ENOSPC;

		if (ftruncate(s->fd, (off_t)g->bytes))
			close_last(s); /* whatever is there now: nothing is added behind it */
		return rc;
	}
	g->bytes += (uint64_t)want;
	s->bytes += (uint64_t)want;
	g->last = e->sequence;
	g->records += e->records;
	g->entries++;
	if (e->type == WIRE_CHUNK)
		g->level = LEVEL_WHOLE;
	return 0;
}

/* Somebody has removed the file that grows: nobody would find again what is added to it. */
static void leave_removed(struct spool *s)
{
	struct segment *g = TAILQ_LAST(&s->segments, segments);
	struct stat st;

	if (s->fd < 0 || fstat(s->fd, &st) || st.st_nlink)
		return;
	close_last(s);
	if (g->last < g->first)   /* the next one has its name */
		segment_forget(s, g, true);
}

/* A file that grows keeps what is acked until it is full. Where there is no room for more, it goes at once. */
static bool forget_acked(struct spool *s)
{
	struct segment *g = TAILQ_LAST(&s->segments, segments);

	if (!g || !g->entries || g->last > s->acked)
		return false;
	close_last(s);
	segment_forget(s, g, true);
	s->exhausted = false;
	return true;
}

static int append(struct spool *s, const struct spool_entry *e)
{
	uint64_t need = sizeof(struct entry_head) + e->len;
	int rc = make_room(s, need, e->type == WIRE_CHUNK);

	if (!rc && (s->fd < 0 || TAILQ_LAST(&s->segments, segments)->bytes + need > s->segment_bytes))
		rc = rotate_anywhere(s);
	return rc ? rc : put(s, e);
}

int spool_append(struct spool *s, const struct spool_entry *e, uint64_t *sequence)
{
	struct spool_entry entry = *e;
	int rc;

	if (!e->len || e->len > ENTRY_FRAME_MAX)
		return -EMSGSIZE;
	leave_removed(s);
	entry.sequence = s->next;
	entry.wall_ns = clock_ns(CLOCK_REALTIME);
	rc = append(s, &entry);
	if (rc && forget_acked(s))
		rc = append(s, &entry);
	if (rc) {
		s->count.refused++;
		return rc;
	}
	if (sequence)
		*sequence = s->next;
	s->next++;
	return 0;
}

void spool_skip_to(struct spool *s, uint64_t sequence)
{
	if (sequence >= s->next && sequence < SEQUENCE_MAX) {
		close_last(s);   /* a segment's name tells where its sequences begin */
		s->next = sequence + 1;
	}
}

/* ---- freeing ---- */

void spool_ack(struct spool *s, uint64_t sequence)
{
	struct segment *g, *next;

	if (sequence > s->acked && sequence < SEQUENCE_MAX) {
		s->acked = sequence;
		identity_save(s);
	}
	for (g = TAILQ_FIRST(&s->segments); g && g->last <= s->acked; g = next) {
		next = TAILQ_NEXT(g, link);
		if (!next && s->fd >= 0)
			break;
		segment_forget(s, g, true);
		s->exhausted = false;
	}
}

int spool_each(struct spool *s, void (*visit)(const struct spool_entry *e, void *arg), void *arg)
{
	struct segment *g;
	struct buf data = { 0 };
	int rc = 0;

	TAILQ_FOREACH(g, &s->segments, link) {
		struct segment_walk w;
		struct spool_entry e;
		enum entry_state state;

		rc = segment_load(s, g, &data);
		if (rc)
			break;
		segment_walk_start(&w, data.data, data.len, g->first - 1);
		while ((state = segment_walk_next(&w, &e)) != ENTRY_END)
			if (state == ENTRY_GOOD && e.sequence > s->acked)
				visit(&e, arg);
	}
	buf_free(&data);
	return rc;
}

/* ---- status ---- */

/* What of the first segment is acked; the oldest that is not. */
static void look_at_first(struct spool *s, struct spool_status *st)
{
	const struct segment *g = TAILQ_FIRST(&s->segments);
	struct buf data = { 0 };
	struct segment_walk w;
	struct spool_entry e;

	if (segment_load(s, g, &data))
		return;
	segment_walk_start(&w, data.data, data.len, g->first - 1);
	while (segment_walk_next(&w, &e) != ENTRY_END) {
		if (e.sequence > s->acked) {
			st->oldest_ns = e.wall_ns;
			break;
		}
		st->backlog_entries -= st->backlog_entries != 0;
		st->backlog_bytes -= e.len + sizeof(struct entry_head);
	}
	buf_free(&data);
}

void spool_status(struct spool *s, struct spool_status *st)
{
	const struct segment *g;

	*st = s->count;
	st->bytes = s->bytes;
	st->max_bytes = s->max_bytes;
	st->next = s->next;
	st->acked = s->acked;
	st->backlog_entries = st->backlog_bytes = st->oldest_ns = 0;
	TAILQ_FOREACH(g, &s->segments, link) {
		st->backlog_entries += g->entries;
		st->backlog_bytes += g->bytes - sizeof(struct segment_head);
	}
	if (!TAILQ_EMPTY(&s->segments))
		look_at_first(s, st);
}
