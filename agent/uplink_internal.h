/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_UPLINK_INTERNAL_H
#define PLUMB_UPLINK_INTERNAL_H

#include <event2/bufferevent.h>
#include <event2/dns.h>

#include "agent_internal.h"
#include "columns.h"
#include "deflate.h"
#include "host_port.h"
#include "tls.h"
#include "uplink.h"

enum {
	ADDRESSES_MAX = 8,
	ENDED_MAX = 1024,                  /* requests whose END is on the way, as HELLO names them */
	PENDING_BYTES_MAX = 1 << 20,       /* small frames that the spool did not take ... */
	PENDING_BYTES_END = 2 << 20,       /* ... and with them the END of requests */
	FLIGHT_ENTRIES = 4096,             /* sent and not yet acknowledged */
	FLIGHT_BYTES = 8 << 20,
	UNSENT_BYTES = 1 << 20,            /* of them, in memory */
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 30000,
	HANDSHAKE_SECONDS = 15,            /* from connecting to WELCOME */
	ACK_SECONDS = 60,
};

enum link_state { LINK_WAITING, LINK_RESOLVING, LINK_CONNECTING, LINK_GREETING, LINK_UP };

/* A frame that the spool did not take. Owns its bytes. */
struct pending {
	TAILQ_ENTRY(pending) link;
	struct spool_entry e;
	char bytes[];
};

struct uplink {
	struct agent *agent;
	struct client client;
	struct spool *spool;
	struct deflater *deflater;
	struct columns *columns;
	uint64_t run;
	uint64_t starting;                 /* a trace or stat that is being dispatched: its id */
	/* spooling */
	TAILQ_HEAD(, pending) pending;
	size_t pending_bytes;
	uint64_t frames_lost;              /* that neither the spool nor memory had room for */
	struct ended { uint64_t request, sequence; } ended[ENDED_MAX];
	uint32_t n_ended;
	/* the link */
	struct host_port collector;
	struct tls *tls;
	enum link_state state;
	struct evdns_base *dns;
	struct evdns_getaddrinfo_request *query;
	struct sockaddr_storage address[ADDRESSES_MAX];
	int address_len[ADDRESSES_MAX];
	unsigned n_addresses, next_address;
	struct bufferevent *bev;
	struct event *timer;               /* the end of a back-off, or of patience */
	unsigned backoff_ms;
	struct error why;                  /* it is not up */
	struct buf out;
	uint64_t hello_ns, up_ns;          /* wall clock, CLOCK_MONOTONIC */
	int64_t offset_ns;
	/* sent, not acknowledged */
	struct flight { uint64_t sequence; uint32_t bytes; } flight[FLIGHT_ENTRIES];
	uint32_t flight_first, n_flight;
	uint64_t flight_bytes, acked_at_ns;
	uint64_t read_failed_ns;           /* the spool could not be read */
};

/* ---- uplink_spool.c ---- */
/* Reads the type and the integers that follow it. False: there are fewer than n, or it is no frame. */
bool frame_peek(const char *body, size_t len, enum wire_type *type, uint64_t *out, unsigned n);
/* -errno: not accepted. What is not a CHUNK waits in memory if the spool does not take it. */
int uplink_spool(struct uplink *u, const char *body, size_t len);
void pending_retry(struct uplink *u);
void pending_free(struct uplink *u);
int ended_load(struct uplink *u);
bool ended_has(const struct uplink *u, uint64_t request);
void ended_forget(struct uplink *u, uint64_t acked);

/* ---- uplink_link.c ---- */
int link_new(struct uplink *u, struct error *err);
void link_free(struct uplink *u);
/* Closes the connection and comes back after a while. */
void link_drop(struct uplink *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void link_up(struct uplink *u);

/* ---- uplink_talk.c ---- */
void talk_hello(struct uplink *u);
void talk_read(struct bufferevent *bev, void *arg);
/* Sends entries as far as the window allows. */
void talk_send(struct uplink *u);

#endif
