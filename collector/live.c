/* SPDX-License-Identifier: Apache-2.0 */
#include "live.h"

#include <stdlib.h>
#include <sys/queue.h>

struct live_subscriber {
	LIST_ENTRY(live_subscriber) link;
	uint64_t request;
	live_fn *fn;
	void *arg;
};

struct live {
	LIST_HEAD(, live_subscriber) subscribers;
};

struct live *live_new(void)
{
	return calloc(1, sizeof(struct live));
}

void live_free(struct live *l)
{
	struct live_subscriber *s;

	if (!l)
		return;
	while ((s = LIST_FIRST(&l->subscribers)))
		live_unsubscribe(s);
	free(l);
}

struct live_subscriber *live_subscribe(struct live *l, uint64_t request, live_fn *fn, void *arg)
{
	struct live_subscriber *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->request = request;
	s->fn = fn;
	s->arg = arg;
	LIST_INSERT_HEAD(&l->subscribers, s, link);
	return s;
}

void live_unsubscribe(struct live_subscriber *s)
{
	if (!s)
		return;
	LIST_REMOVE(s, link);
	free(s);
}

void live_publish(struct live *l, const struct live_item *item)
{
	struct live_subscriber *s, *next;

	for (s = LIST_FIRST(&l->subscribers); s; s = next) {
		next = LIST_NEXT(s, link);
		if (!s->request || s->request == item->request)
			s->fn(item, s->arg);
	}
}
