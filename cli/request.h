/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as frames, and what every subcommand that sends one does. */
#ifndef PLUMB_CLI_REQUEST_H
#define PLUMB_CLI_REQUEST_H

#include "args.h"
#include "client.h"

enum { REQUEST_ID = 1, STOP_ID = 2 };   /* one connection carries one request */

/* A probe request (trace, stat, explain): the target, a->rest as probes, and every option that was given. */
int request_pack_probes(struct buf *out, const char *verb, const struct args *a, struct error *err);
/* A question: only what is not 0 or NULL is sent. */
struct question {
	const struct args *target;
	const char *glob, *module;
	uint64_t id, since_ns;
};
int request_pack(struct buf *out, uint64_t wire_id, const char *verb, const struct question *q, struct error *err);

/* Connects to the collector, if one was named, else to the agent of this host. */
int request_connect(const struct args *a, enum client_private mode, struct client **out, struct error *err);

/* The user's text that an error's position is in; NULL: none. */
const char *request_input(const struct args *a, int input);

/*
 * Connects, asks, and gives the REPLY's payload to `show`. Errors are shown on standard error.
 * Returns the exit code.
 */
int request_ask(const struct args *a, enum client_private mode, struct buf *request,
		int (*show)(const struct args *a, struct client *c, const msgpack_object *payload));
/* The same for what only a collector knows. */
int request_ask_collector(const struct args *a, const char *verb, const struct question *q,
			  int (*show)(const struct args *a, struct client *c, const msgpack_object *payload));

#endif
