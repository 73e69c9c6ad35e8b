/* SPDX-License-Identifier: Apache-2.0 */
/* plumbd: an event loop with clients, their requests, and the probes of these. */
#ifndef PLUMB_AGENT_H
#define PLUMB_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cache.h"
#include "loader.h"
#include "plumb/error.h"

#define CACHE_DIR "/var/cache/plumb"

struct agent_options {
	const char *socket_path;     /* NULL: none */
	const char *socket_group;    /* its group; "" or unknown: the agent's own */
	const char *host;            /* what it calls this machine; NULL: its host name */
	int private_fd;              /* one client on this socket, and the agent ends with it; -1: none */
	enum attach_method method;
	uint32_t budget_ppm;         /* default CPU budget per process, parts per million of one core */
	uint32_t max_budget_ppm;     /* what a request may ask for */
	uint32_t ring_bytes;         /* of one ring buffer; 0: by the number of CPUs */
	uint64_t ttl_ns;             /* default life of a request */
	uint64_t max_ttl_ns;
	uint32_t max_requests;
	const char *collector;       /* HOST:PORT; NULL: none */
	const char *spool_dir;
	uint64_t spool_bytes;
	const char *tls_cert, *tls_key, *tls_ca;
	bool insecure;               /* no TLS, though the collector is on another machine */
	struct cache_place cache;    /* where inflated debug information is kept */
};

struct agent;

/* SIGHUP calls it; the callee reads its options anew and hands them to agent_reload. */
typedef void agent_reload_fn(struct agent *a, void *arg);
void agent_on_reload(struct agent *a, agent_reload_fn *fn, void *arg);
/* Takes over what can change while it runs, for requests to come: budgets and times to live. What else differs is logged as needing a
 * restart. */
void agent_reload(struct agent *a, const struct agent_options *opt);

void agent_options_default(struct agent_options *opt);
/* Opens the socket and the ring buffers. `opt` is copied; its strings are borrowed. */
int agent_new(const struct agent_options *opt, struct agent **out, struct error *err);
/* Runs until SIGTERM, SIGINT or the private client's end; all probes are detached then. */
int agent_run(struct agent *a);
void agent_free(struct agent *a);

#endif
