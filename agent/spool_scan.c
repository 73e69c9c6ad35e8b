/* SPDX-License-Identifier: Apache-2.0 */
/* What an earlier agent left: its segments, in order; a torn end is cut; the sequences go on above all that were used. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "spool_internal.h"

enum { NAME_DIGITS = 16, SEGMENTS_MAX = 1 << 16 };

static bool is_segment(const char *name, uint64_t *first)
{
	char *end;

	if (strspn(name, "0123456789abcdef") != NAME_DIGITS || strcmp(name + NAME_DIGITS, ".seg") != 0)
		return false;
	*first = strtoull(name, &end, 16);
	return *first > 0 && *first < SEQUENCE_MAX;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The first sequences of all segments, sorted. What a rewrite left half way is removed. */
static int list(struct spool *s, uint64_t **out, size_t *n)
{
	int fd = fcntl(s->dir, F_DUPFD_CLOEXEC, 3);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	size_t cap = 0;
	uint64_t first;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return -ENOMEM;
	}
	rewinddir(d);
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, REWRITE_NAME))
			unlinkat(s->dir, e->d_name, 0);
		if (!is_segment(e->d_name, &first) || *n == SEGMENTS_MAX)
			continue;
		if (*n == cap) {
			uint64_t *more = reallocarray(*out, cap ? 2 * cap : 64, sizeof(*more));

			if (!more)
				break;
			*out = more;
			cap = cap ? 2 * cap : 64;
		}
		(*out)[(*n)++] = first;
	}
	closedir(d);
	if (e)
		return -ENOMEM;
	if (*n)
		qsort(*out, *n, sizeof(**out), by_number);
	return 0;
}

static void note(struct spool *s, struct segment *g, struct segment_walk *w)
{
	struct spool_entry e;
	enum entry_state state;

	g->level = LEVEL_NO_CHUNKS;
	while ((state = segment_walk_next(w, &e)) != ENTRY_END) {
		if (state == ENTRY_DAMAGED) {
			s->count.corrupt_entries++;
			s->count.corrupt_records += e.records;
		}
		g->entries++;
		if (e.type == WIRE_CHUNK)
			g->level = LEVEL_WHOLE;
	}
	g->last = w->last;
	g->records = w->records;
}

/* Of the last segment what is behind its last whole entry was never accepted. */
static void cut(struct spool *s, struct segment *g, const struct segment_walk *w)
{
	char path[32];
	int fd;

	if (w->at >= g->bytes)
		return;
	segment_path(g->first, "seg", path);
	fd = openat(s->dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || ftruncate(fd, (off_t)w->at))
		log_warn("spool", "not-cut", "segment=%s reason=\"%s\"", path, strerror(errno));
	else
		g->bytes = w->at;
	if (fd >= 0)
		close(fd);
}

/* Adds the segment, or removes it if there is nothing in it that is needed. */
static int take(struct spool *s, uint64_t first, bool is_last, struct buf *data)
{
	struct segment *g = segment_new(s, first), *before = g ? TAILQ_PREV(g, segments, link) : NULL;
	struct segment_head head = { 0 };
	struct segment_walk w;
	int rc = g ? segment_load(s, g, data) : -ENOMEM;

	if (rc == -ENOENT)
		rc = 0;
	if (rc)
		return rc;
	segment_walk_start(&w, data->data, data->len, first - 1);
	note(s, g, &w);
	if (!segment_head_read(data->data, data->len, &head) || !boot_is(head.boot))
		s->unsure |= is_last;
	if (is_last)
		cut(s, g, &w);
	s->bytes += g->bytes;
	if (s->next < first)
		s->next = first;
	/* Empty, or a merge was done, but for removing this one. */
	if (g->last < first || (before && g->last <= before->last))
		segment_forget(s, g, true);
	return 0;
}

/* New sequences are above all that were used, as far as that is known. */
static void go_on(struct spool *s)
{
	const struct segment *last = TAILQ_LAST(&s->segments, segments);
	uint64_t next = s->acked + 1 > s->next ? s->acked + 1 : s->next;

	if (last && last->last >= next)
		next = last->last + 1;
	s->next = s->unsure ? next + SEQUENCE_JUMP : next;
	if (s->sent >= s->next)
		s->sent = s->next - 1;
}

int spool_scan(struct spool *s, struct error *err)
{
	struct buf data = { 0 };
	uint64_t *first = NULL;
	size_t n = 0;
	int rc = list(s, &first, &n);

	for (size_t i = 0; !rc && i < n; i++)
		rc = take(s, first[i], i + 1 == n, &data);
	free(first);
	buf_free(&data);
	if (rc)
		return error_set(err, -rc, "cannot read the spool: %s", strerror(-rc));
	go_on(s);
	if (s->count.corrupt_entries)
		log_warn("spool", "damaged", "entries=%lu records=%lu", (unsigned long)s->count.corrupt_entries,
			 (unsigned long)s->count.corrupt_records);
	return 0;
}
