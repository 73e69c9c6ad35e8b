/* SPDX-License-Identifier: Apache-2.0 */
/* Requests from plumb to agents. */
#include <errno.h>

#include "collector_internal.h"

int control_start(struct collector *c, struct error *err)
{
	return 0;
}

void control_stop(struct collector *c)
{
}

int control_hello(struct session *s, const char *token, struct error *err)
{
	return error_set(err, EACCES, "this collector has no tokens");
}

void control_request(struct session *s, uint64_t id, const char *verb, const msgpack_object *args)
{
	struct error err;

	error_set(&err, ENOSYS, "this collector does not know the request '%s'", verb);
	session_reply_error(s, id, &err, -1);
}

void control_gone(struct session *s)
{
}

void control_agent_up(struct agent *a, bool restarted, const uint64_t *serves, size_t n)
{
}

void control_agent_down(struct agent *a)
{
}

void control_reply(struct agent *a, const struct frame_in *in)
{
}

void control_tick(struct collector *c)
{
}
