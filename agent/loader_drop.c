/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes functions out of a pattern that is attached.  A multi link cannot lose some of its places: a new one without them is
 * made for each process, then the program is told which of the two counts (event.h, probe_shared.generation), and the old one is
 * closed by the reaper.  No call of the others is missed; those that are open at that moment end with the old link, as unwound.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader_internal.h"

enum { DROP_PLACES_MAX = 65536 };   /* breakpoints that are set anew: the loop waits for it */

static bool is_among(uint32_t function, const uint32_t *functions, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (functions[i] == function)
			return true;
	return false;
}

/* Perf events are one for each function. */
static void drop_links(struct loaded *l, const uint32_t *functions, uint32_t n)
{
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->n_links; i++)
		l->link[i].going |= is_among(l->link[i].function, functions, n);
	pthread_mutex_unlock(&l->lock);
}

/* What stays, with the cookies of the next generation. */
static uint32_t keep_others(const struct pattern *p, const uint32_t *functions, uint32_t n, uint64_t *offsets, uint64_t *cookies)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < p->n_attached; i++) {
		uint32_t function = (uint32_t)p->cookies[i];

		if (is_among(function, functions, n))
			continue;
		offsets[kept] = p->offsets[i];
		cookies[kept++] = (uint64_t)(p->generation + 1) << 32 | function;
	}
	return kept;
}

struct fresh { struct attached *link; size_t n; };

static int attach_fresh(struct loaded *l, int file_fd, const uint64_t *offsets, const uint64_t *cookies, uint32_t n, struct fresh *f)
{
	char path[32];
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
	for (size_t i = 0; !rc && i < l->n_links; i++) {
		struct attached *a = &f->link[f->n];

		if (l->link[i].going)
			continue;
		*a = (struct attached){ .pid = l->link[i].pid, .fd = { -1, -1 } };
		rc = attach_multi(l, path, offsets, cookies, n, a);
		if (rc)
			attached_close(a);
		else
			f->n++;
		if (rc == -ESRCH)
			rc = 0;
	}
	return rc;
}

/* From here on the new links count. */
static int switch_over(struct loaded *l, const struct fresh *f, struct error *err)
{
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->n_links; i++)
		l->link[i].going = true;
	pthread_mutex_unlock(&l->lock);
	__atomic_store_n(&l->shared->generation, ++l->pattern->generation, __ATOMIC_RELAXED);
	for (size_t i = 0; i < f->n; i++) {
		int one = attached_keep(l, &f->link[i], err);

		if (one) {
			attached_close(&f->link[i]);
			rc = one;
		}
	}
	return rc;
}

/* offsets, cookies: room for all that is attached. */
static int replace_with(struct loaded *l, int file_fd, const uint64_t *offsets, const uint64_t *cookies, uint32_t n, struct error *err)
{
	struct fresh f = { .link = calloc(l->n_links + 1, sizeof(*f.link)) };
	struct pattern *p = l->pattern;
	int rc = f.link ? attach_fresh(l, file_fd, offsets, cookies, n, &f) : error_set(err, ENOMEM, "out of memory");

	if (!rc) {
		memcpy(p->offsets, offsets, n * sizeof(*offsets));
		memcpy(p->cookies, cookies, n * sizeof(*cookies));
		p->n_attached = n;
		rc = switch_over(l, &f, err);
	} else {
		for (size_t i = 0; i < f.n; i++)
			attached_close(&f.link[i]);
	}
	free(f.link);
	return rc;
}

static int replace_links(struct loaded *l, int file_fd, const uint32_t *functions, uint32_t n, struct error *err)
{
	const struct pattern *p = l->pattern;
	uint64_t *offsets = calloc(p->n_attached, sizeof(*offsets)), *cookies = calloc(p->n_attached, sizeof(*cookies));
	int rc = -ENOMEM;

	if (offsets && cookies) {
		uint32_t kept = keep_others(p, functions, n, offsets, cookies);

		rc = kept ? replace_with(l, file_fd, offsets, cookies, kept, err) : -ENOTSUP;
	}
	free(offsets);
	free(cookies);
	return rc;
}

int loader_drop(struct loaded *l, int file_fd, const uint32_t *functions, uint32_t n, struct error *err)
{
	if (l->method == ATTACH_PERF) {
		drop_links(l, functions, n);
		return 0;
	}
	/* Where entry and return are two links, a return could not be told from that of the other pair. */
	if ((l->method == ATTACH_MULTI && l->call) || (uint64_t)l->n_links * l->pattern->n_attached > DROP_PLACES_MAX)
		return -ENOTSUP;
	return replace_links(l, file_fd, functions, n, err);
}
