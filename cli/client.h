/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to an agent - the local plumbd's unix socket, or a private plumbd that is started for the life of the
 * command - or to a collector.
 */
#ifndef PLUMB_CLI_CLIENT_H
#define PLUMB_CLI_CLIENT_H

#include <sys/types.h>

#include "frame.h"
#include "transport.h"

enum client_private {
	PRIVATE_NEVER,       /* the verb makes no sense there (list, rm) */
	PRIVATE_ROOT,        /* if no plumbd listens and the user is root */
	PRIVATE_ANY,         /* also without root: doctor tells what is missing */
};

/* Owns the socket, the private agent and what was received. */
struct client;

/* Connects, or starts a private agent, and shakes hands. -errno with a text that says what to do. */
int client_open(struct client **out, const char *socket, enum client_private mode, struct error *err);
/* Connects to a collector and shakes hands; token: who asks. */
int client_open_collector(struct client **out, const struct collector_address *where, const char *token, struct error *err);
/* Takes over a connected socket and shakes hands (tests, private agents). Closes fd on failure too. */
int client_attach(struct client **out, int fd, struct error *err);
/* Hangs up; a private agent ends with that and is waited for, 20 s at most. Takes NULL. */
void client_close(struct client *c);

int client_fd(const struct client *c);
bool client_is_private(const struct client *c);
bool client_is_collector(const struct client *c);
/* There are bytes to fill in that poll on client_fd does not tell of. */
bool client_pending(const struct client *c);
const char *client_host(const struct client *c);      /* the other end's host name */
const char *client_program(const struct client *c);   /* "plumbd 0.1.0" */

/* Sends what is in `frames` and clears it. */
int client_send(struct client *c, struct buf *frames, struct error *err);
/* Reads once what is there; waits for it if `wait_ms` is not 0 (-1: for ever). 1: something came, 0: nothing,
 * -ECONNRESET: the agent has closed the connection. */
int client_fill(struct client *c, int wait_ms, struct error *err);
/* The next whole frame that was received, 0: none. raw and raw_len (may be NULL): its bytes, valid until the next fill.
 * The caller ends a frame with frame_in_free. */
int client_next(struct client *c, struct frame_in *in, const char **raw, size_t *raw_len, struct error *err);

/*
 * One request and its REPLY. `request` holds the REQUEST frame with `id`. On 0 *in is the REPLY (frame_in_free ends it) and
 * *payload its map. A refusal is an error; *input then says which of the user's texts its position is in: an index of
 * probes, -2: the --error expression, -1: none. input may be NULL.
 */
enum { INPUT_NONE = -1, INPUT_ERROR_EXPR = -2 };
int client_call(struct client *c, struct buf *request, uint64_t id, struct frame_in *in, const msgpack_object **payload,
		int *input, struct error *err);

/* A private plumbd on one end of a socket pair (private.c). Returns the other end; *pid and *err_fd (its standard error,
 * readable) are the caller's to wait for and to close. */
int private_agent_start(pid_t *pid, int *err_fd, struct error *err);
/* Its end of the socket pair is closed: waits until it has ended, and kills it if that takes too long. */
void private_agent_end(pid_t pid, int patience_ms);

#endif
