/* SPDX-License-Identifier: Apache-2.0 */
/* Connected agents. */
#include <errno.h>

#include "collector_internal.h"

int agent_hello(struct session *s, const msgpack_object *map, enum refusal *why, struct error *err)
{
	*why = REFUSED_STORE;
	return error_set(err, ENOSYS, "this collector does not take in what agents send");
}

int agent_frame(struct agent *a, const struct frame_in *in, enum refusal *why, struct error *err)
{
	return error_set(err, EPROTO, "unexpected frame of type %d", in->type);
}

void agent_down(struct agent *a)
{
}

struct agent *agent_find(struct collector *c, int64_t id)
{
	struct agent *a;

	LIST_FOREACH(a, &c->agents, link)
		if (a->id == id)
			return a;
	return NULL;
}
