/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock_ns.h"
#include "keeper_internal.h"

struct keepers {
	struct event_base *base;
	struct keepers_options opt;
	LIST_HEAD(, keeper) list;
};

void keepers_options_default(struct keepers_options *opt)
{
	*opt = (struct keepers_options){ .max = 4, .max_bytes = (uint64_t)80 << 20, .idle_ms = 60000 };
}

struct keepers *keepers_new(struct event_base *base, const struct keepers_options *opt)
{
	struct keepers *ks = calloc(1, sizeof(*ks));

	if (!ks)
		return NULL;
	ks->base = base;
	ks->opt = *opt;
	return ks;
}

void keepers_free(struct keepers *ks)
{
	if (!ks)
		return;
	while (!LIST_EMPTY(&ks->list))
		keeper_end(LIST_FIRST(&ks->list));
	free(ks);
}

void keeper_cancel(struct keeper *k)
{
	if (k)
		keeper_end(k);
}

/* ---- asking ---- */

static struct keeper *waiting_for(struct keepers *ks, const struct keeper_subject *subject)
{
	struct keeper *k;

	LIST_FOREACH(k, &ks->list, link)
		if (!k->done && subject_same(&k->subject, subject))
			return k;
	return NULL;
}

static int ask_new(struct keepers *ks, const struct resolve_request *rq, const struct keeper_subject *subject,
		   struct keeper **out, struct error *err)
{
	int rc = keeper_start(ks, ks->base, subject, out, err);

	if (rc)
		return rc;
	LIST_INSERT_HEAD(&ks->list, *out, link);
	rc = keeper_ask(*out, rq, false);
	if (!rc)
		return 0;
	keeper_end(*out);
	return error_set(err, -rc, "cannot ask the resolver: %s", strerror(-rc));
}

int keepers_ask(struct keepers *ks, const struct resolve_request *rq,
		void (*done)(const char *data, size_t len, const struct error *failed, void *arg), void *arg,
		struct keeper **out, struct error *err)
{
	struct keeper_subject subject;
	struct keeper *k;
	int rc = subject_open(rq, &subject, err);

	if (rc) {
		subject_close(&subject);
		return rc;
	}
	k = waiting_for(ks, &subject);
	if (k && keeper_ask(k, rq, true) != 0) {    /* it has just died */
		keeper_end(k);
		k = NULL;
	}
	if (k)
		subject_close(&subject);
	else
		rc = ask_new(ks, rq, &subject, &k, err);
	if (rc)
		return rc;
	k->done = done;
	k->arg = arg;
	*out = k;
	return 0;
}

/* ---- waiting ---- */

static uint64_t resident(pid_t pid)
{
	unsigned long total, pages = 0;
	char path[40], text[100] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return UINT64_MAX;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0 || sscanf(text, "%lu %lu", &total, &pages) != 2)
		return UINT64_MAX;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

unsigned keepers_waiting(const struct keepers *ks, uint64_t *bytes)
{
	const struct keeper *k;
	unsigned n = 0;

	*bytes = 0;
	LIST_FOREACH(k, &ks->list, link) {
		if (k->done)
			continue;
		*bytes = k->bytes > UINT64_MAX - *bytes ? UINT64_MAX : *bytes + k->bytes;
		n++;
	}
	return n;
}

static struct keeper *waiting_longest(const struct keepers *ks)
{
	struct keeper *k, *found = NULL;

	LIST_FOREACH(k, &ks->list, link)
		if (!k->done && (!found || k->since_ns < found->since_ns))
			found = k;
	return found;
}

void keepers_idle(struct keepers *ks, struct keeper *k)
{
	struct keeper *same = NULL, *other;
	uint64_t bytes;

	LIST_FOREACH(other, &ks->list, link)
		if (other != k && !other->done && subject_same(&other->subject, &k->subject))
			same = other;
	if (same)             /* several were asked about it at the same time */
		keeper_end(same);
	k->bytes = resident(k->pid);
	k->since_ns = clock_ns(CLOCK_MONOTONIC);
	keeper_wait(k, ks->opt.idle_ms);
	while (keepers_waiting(ks, &bytes) > ks->opt.max || (bytes > ks->opt.max_bytes && waiting_longest(ks)))
		keeper_end(waiting_longest(ks));
}
