/* SPDX-License-Identifier: Apache-2.0 */
#include "inside.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>

#include "collector_internal.h"

struct inside {
	struct bufferevent *bev;
	inside_fn *fn;
	void *arg;
	struct buf raw;     /* of the frame that it looks at */
	bool busy, dead;    /* it looks at what has come; it is to be freed after that */
};

static void on_read(struct bufferevent *bev, void *arg)
{
	struct inside *i = arg;
	struct evbuffer *input = bufferevent_get_input(bev);
	size_t len;

	i->busy = true;
	while (!i->dead && (len = evbuffer_get_length(input))) {
		struct frame_in in;
		int used = frame_take(evbuffer_pullup(input, -1), len, &in, NULL);

		if (used <= 0)
			break;
		buf_clear(&i->raw);
		buf_add(&i->raw, evbuffer_pullup(input, used), (size_t)used);
		evbuffer_drain(input, (size_t)used);
		i->fn(&in, i->raw.data, i->raw.len, i->arg);
		frame_in_free(&in);
	}
	i->busy = false;
	if (i->dead)
		inside_free(i);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct inside *i = arg;

	i->fn(NULL, NULL, 0, i->arg);
}

struct inside *inside_new(struct collector *c, const char *peer, const struct identity *who, inside_fn *fn, void *arg, struct error *err)
{
	struct bufferevent *pair[2];
	struct inside *i = calloc(1, sizeof(*i));

	if (!i || bufferevent_pair_new(c->base, BEV_OPT_CLOSE_ON_FREE, pair)) {
		free(i);
		error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	i->bev = pair[0];
	i->fn = fn;
	i->arg = arg;
	bufferevent_setcb(i->bev, on_read, NULL, on_event, i);
	bufferevent_enable(i->bev, EV_READ | EV_WRITE);
	if (session_add_inside(c, pair[1], peer, who, err)) {
		bufferevent_free(pair[1]);
		inside_free(i);
		return NULL;
	}
	return i;
}

void inside_send(struct inside *i, struct buf *frames)
{
	bufferevent_write(i->bev, frames->data, frames->len);
	buf_clear(frames);
}

void inside_free(struct inside *i)
{
	if (!i)
		return;
	i->dead = true;
	if (i->busy)
		return;
	bufferevent_flush(i->bev, EV_WRITE, BEV_FINISHED);
	bufferevent_free(i->bev);
	buf_free(&i->raw);
	free(i);
}
