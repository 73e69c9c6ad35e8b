/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the modules of the collector's loop share.  Data goes one way: listener -> session -> agent -> ingest -> store, and from
 * ingest to those who look on (live.h).  Requests go the other way: session of a plumb -> control -> sessions of agents.
 */
#ifndef PLUMB_COLLECTOR_INTERNAL_H
#define PLUMB_COLLECTOR_INTERNAL_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <sys/queue.h>

#include "buf.h"
#include "clock.h"
#include "collector.h"
#include "frame.h"
#include "live.h"
#include "store.h"
#include "tokens.h"
#include "verify_record.h"

struct ingest;
struct stream;

enum {
	SESSIONS_MAX = 1024,
	SESSION_HELLO_MAX = 64 << 10,     /* bytes of a first frame: nobody is known yet */
	SESSION_HELLO_SECONDS = 10,       /* TLS hand-shake included */
	SESSION_BACKLOG_MAX = 16 << 20,   /* unsent bytes at which a peer that does not read is let go */
	AGENT_REQUESTS_MAX = 4096,        /* that one agent says it serves */
	COLLECTOR_TICK_MS = 100,
};

/* Why a connection was ended by us. */
enum refusal {
	REFUSED_FRAME,        /* not a frame: too long, not msgpack, too deep */
	REFUSED_PROTOCOL,     /* a frame that does not belong there, or is malformed */
	REFUSED_ENTRY,        /* an entry whose content is malformed: counted as a loss */
	REFUSED_BOMB,         /* a chunk that inflates beyond its bound */
	REFUSED_TLS,          /* no hand-shake, no certificate */
	REFUSED_LOGIN,        /* control did not accept the token */
	REFUSED_SLOW,         /* no HELLO in time, or it does not read */
	REFUSED_CROWD,        /* too many connections */
	REFUSED_STORE,        /* the store cannot take anything in */
	REFUSED_REASONS
};

extern const char *const refusal_names[REFUSED_REASONS];

/* Since the start of the collector, for /metrics. */
struct collector_counts {
	uint64_t connections, agent_connections, client_connections;
	uint64_t refused[REFUSED_REASONS];
	uint64_t bytes_received;
	uint64_t entries, duplicates, gaps;     /* gaps: sequences that never came; each is told by a LOSS */
	uint64_t chunks, records, chunk_bytes;   /* as stored */
	uint64_t stats_rows, orphans;           /* orphans: frames of requests and rows of probes that the store does not know */
	uint64_t lost_records;                  /* told by LOSS entries */
	uint64_t clock_jumps;                   /* of this machine and of agents, that were seen */
	uint64_t wrong_times;                   /* of STATS, RUN: so far from the collector's that its own was taken */
	uint64_t commits, commit_failures, commit_ns, commit_max_ns;
	uint64_t expired_chunks, expired_rows;
};

struct session;

/* A connected agent. Owned by agents.c; it exists as long as its connection. */
struct agent {
	LIST_ENTRY(agent) link;
	struct collector *collector;
	struct session *session;
	int64_t id;                       /* the store's */
	char uid[33], host[256], program[64];
	uint64_t run;
	uint64_t replaced_run;            /* of another run, whose connection this one's replaced; 0: none */
	int64_t offset_ns;                /* collector's clock minus the agent's */
	uint64_t delay_ns;                /* round trip the offset was measured with; 0: not measured */
	uint64_t connected_ns;            /* wall clock */
	uint64_t acked_sent;
	struct stream *stream;            /* where its entries stand */
};

struct collector {
	struct collector_options opt;
	char address[300];
	char host[256];
	char store_path[4096];            /* of the database */
	struct event_base *base;
	struct tls *tls;                  /* NULL: plain */
	struct record_key sign_key;       /* of what the collector verifies */
	struct store *store;              /* the writer; others open their own (query.h) */
	struct ingest *ingest;
	struct live *live;
	struct evconnlistener *listener;
	collector_reload_fn *reload;
	void *reload_arg;
	struct clock_watch clock;
	struct event *tick, *sigterm, *sigint, *sighup, *listen_again, *reap;
	LIST_HEAD(, session) sessions;
	LIST_HEAD(, agent) agents;
	unsigned n_sessions, n_agents;
	struct collector_counts counts;
	uint64_t started_ns;              /* wall clock */
	uint64_t expire_again_ns;         /* monotonic */
	int lock_fd;                      /* held for the data directory */
	struct tokens *tokens;            /* who may ask */
	void *control;                    /* control.c's own */
	struct pool *pool;                /* answers questions to the store */
	struct http *http;                /* NULL: there is no HTTP side */
};

uint64_t mono_ns(void);           /* CLOCK_MONOTONIC */
uint64_t wall_ns(void);           /* CLOCK_REALTIME */
/* Makes durable what was put into the store since the last commit, by anybody, and tells agents. It happens every
 * COLLECTOR_TICK_MS anyway. On an error all of it is gone, and the agents are sent away to come again. */
int collector_commit(struct collector *c, struct error *err);
const struct collector_counts *collector_counts(const struct collector *c);

/* ---- listener.c ---- */
/* A listening socket, not enabled yet, and its address with the port that was chosen. NULL with err: also where there would be
 * no TLS and the address is not loopback. */
struct evconnlistener *listener_bind(struct collector *c, const char *address, char *name, size_t size, struct error *err);
int listener_start(struct collector *c, struct error *err);
void listener_stop(struct collector *c);

/* ---- session.c: one framed connection ---- */
enum session_kind { SESSION_NEW, SESSION_AGENT, SESSION_CLIENT, SESSION_LEAVING };

struct session {
	LIST_ENTRY(session) link;
	struct collector *collector;
	struct bufferevent *bev;
	enum session_kind kind;
	char peer[64];                    /* address and port */
	char subject[TLS_NAME_MAX];       /* of its verified certificate; "" if it has none */
	char host[256], program[64];      /* from HELLO, safe to print */
	uint64_t opened_ns;               /* monotonic */
	uint64_t received_ns;             /* wall clock at which its HELLO came */
	struct agent *agent;              /* SESSION_AGENT */
	void *control;                    /* SESSION_CLIENT: control.c's own */
	bool busy, dead;                  /* its frame is being looked at; it is closed and waits to be freed */
	struct buf out;                   /* scratch for frames */
};

int session_add(struct collector *c, int fd, const struct sockaddr *peer, struct error *err);
/* One end of a pair whose other end is in this program (inside.h): a plumb that has said who it is. On 0 it owns bev. */
int session_add_inside(struct collector *c, struct bufferevent *bev, const char *peer, const struct identity *who, struct error *err);
/* Ends it: the peer is told why in a REPLY to request 0; logged and counted. */
void session_refuse(struct session *s, enum refusal why, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same without blame and without a word: the peer has left, or the collector stops. The loop frees it. */
void session_close(struct session *s);
void sessions_check(struct collector *c);
int sessions_start(struct collector *c, struct error *err);
/* Closes and frees all. */
void sessions_stop(struct collector *c);
size_t session_backlog(const struct session *s);
/* Sends what is in s->out and empties it. */
void session_flush(struct session *s);
/* REPLY [3, id, false, {...}]; err's column is of the probe text with that index, -1: none. */
void session_reply_error(struct session *s, uint64_t id, const struct error *err, int64_t probe);
void session_welcome(struct session *s, uint64_t acked);
/* Starts a REPLY with a payload map of n pairs; end with frame_end and session_flush. */
void session_reply_begin(struct session *s, struct frame *f, uint64_t id, unsigned n);

/* ---- agents.c: connected agents ---- */
/* HELLO of an agent; on an error the caller closes the connection. */
int agent_hello(struct session *s, const msgpack_object *map, enum refusal *why, struct error *err);
int agent_frame(struct agent *a, const struct frame_in *in, enum refusal *why, struct error *err);
/* Its connection is going. */
void agent_down(struct agent *a);
/* ACK to each whose entries have become durable. */
void agents_ack(struct collector *c);
/* The collector's clock was set: theirs was not, so their offsets follow. */
void agents_clock_jumped(struct collector *c, int64_t jump_ns);
/* Lets all go: what they sent since the last commit is not stored. */
void agents_drop(struct collector *c, const char *why);
struct agent *agent_find(struct collector *c, int64_t id);   /* NULL: not connected */

/* ---- control.c: requests from plumb to agents ---- */
int control_start(struct collector *c, struct error *err);
void control_stop(struct collector *c);
/* HELLO of a plumb. On an error the caller closes the connection. */
int control_hello(struct session *s, const char *token, struct error *err);
int control_hello_inside(struct session *s, const struct identity *who, struct error *err);
/* Somebody came with a token that is not known, over HTTP. */
void control_login_refused(struct collector *c, const char *peer);
void control_request(struct session *s, uint64_t id, const char *verb, const msgpack_object *args);
/* The session of a plumb is going. */
void control_gone(struct session *s);
/* An agent has connected. restarted: it is another run than before, what ran on it is gone. serves: ids of the collector's
 * requests that it still serves. WELCOME has been sent. */
void control_agent_up(struct agent *a, bool restarted, const uint64_t *serves, size_t n);
void control_agent_down(struct agent *a);
/* A REPLY that came straight, not through the spool. What belongs to traces comes through live.h. */
void control_reply(struct agent *a, const struct frame_in *in);
void control_tick(struct collector *c);
void control_clock_jumped(struct collector *c, int64_t jump_ns);

#endif
