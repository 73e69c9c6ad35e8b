/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of control share.
 *
 *   client     a connection of plumb with a token: who asks
 *   request    a trace or stat; open until it has ended on all agents, with or without a client that looks on
 *   part       a request on one agent
 *   question   ps, funcs, explain, doctor: asked of all connected agents, answered when they have or when time is up
 *
 * All of it lives in the loop; nothing here waits.
 */
#ifndef PLUMB_CONTROL_INTERNAL_H
#define PLUMB_CONTROL_INTERNAL_H

#include "collector_internal.h"
#include "tokens.h"

enum {
	REQUESTS_MAX = 1024,              /* open ones */
	CLIENT_REQUESTS_MAX = 64,         /* of one connection */
	QUESTIONS_MAX = 64,
	CLIENT_QUESTIONS_MAX = 8,
	ARGUMENTS_MAX = 256 << 10,        /* bytes */
	PROBES_MAX = 64,                  /* agents have a limit of their own, which is lower */
	PROBE_TEXT_MAX = 4096,
	NAMED_HOSTS_MAX = 256,                  /* that one request names */
	HOST_TEXT_MAX = 255,
	ANSWER_MAX = 900 << 10,           /* bytes of rows in one merged answer */
	CLIENT_BACKLOG_MAX = 4 << 20,     /* unsent bytes at which calls are left out for a slow client; counters never are */
};

#define SECOND_NS 1000000000ULL
#define TTL_DEFAULT_NS (600 * SECOND_NS)
#define TTL_MAX_NS (30 * 86400 * SECOND_NS)
#define ANSWER_NS (15 * SECOND_NS)        /* how long a question may take */
#define START_NS (30 * SECOND_NS)         /* how long a client waits until some agent has accepted */
#define STOP_NS (15 * SECOND_NS)          /* how long for the agents' ENDs; plumb itself waits 20 s */
#define ASK_AGAIN_NS (10 * SECOND_NS)     /* whether a service runs by now */
#define LINGER_NS (600 * SECOND_NS)       /* for the last counters of agents that are away */
/* Numbers of what is asked of agents besides traces and stats, whose numbers are the store's. */
#define QUESTION_IDS (1ULL << 61)   /* above those of requests */

/* ---- clients (control.c) ---- */
struct client {
	LIST_ENTRY(client) link;
	struct session *session;
	struct identity who;
	uint64_t refused_ns;     /* monotonic; its token was not accepted: it is let go when it has had time to read that. 0 */
	unsigned n_requests, n_questions, n_queries;
	LIST_HEAD(, control_query) queries;
};

struct control {
	struct collector *collector;
	LIST_HEAD(, client) clients;
	LIST_HEAD(, request) requests;
	LIST_HEAD(, question) questions;
	unsigned n_requests, n_questions;
	uint64_t next_question;
	uint64_t verdicts_again_ns;   /* monotonic: when those that run are looked at */
	uint64_t logins_since_ns;
	unsigned logins_refused; /* since then */
};

static inline struct control *control_of(const struct collector *c)
{
	return c->control;
}

/* ---- audit.c ---- */
/* A new entry; 0: the store did not take it. */
int64_t control_audit(struct control *k, const struct session *s, const struct identity *who, const char *action, const char *detail, uint64_t request);
void control_audit_end(struct control *k, int64_t id, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A refused login; many of them in a short time become one entry. */
void control_audit_login(struct control *k, const char *peer, const char *host);
void control_audit_tick(struct control *k);
/* The store did not take something: the next commit fails, and with it goes what agents sent since the last one; they send it again. */
void control_store_failed(const struct error *err);

/* ---- control_args.c: what a request says, checked as far as the collector needs it ---- */
/* The hosts that are meant, by a target's "hosts"; n 0: all. Owns its texts. */
struct host_list { char **name; uint32_t n; };
/* out is all zeros before; free it also after an error. */
int host_list_read(const msgpack_object *target, struct host_list *out, struct error *err);
bool host_list_has(const struct host_list *l, const char *host);
void host_list_free(struct host_list *l);

/* Owns its texts. */
struct request_args {
	struct host_list hosts;
	char *target;            /* "-s orderd" */
	char *service;           /* "orderd" */
	char *probes_json, *detail;
	bool keep;
	uint64_t limit, for_ns, ttl_ns;
};

int control_args_read(const msgpack_object *args, struct request_args *out, struct error *err);
void control_args_free(struct request_args *a);
/* The arguments for an agent: as they came, with what is left of their times (0: leave out). */
void control_args_pack(const void *args, size_t len, uint64_t ttl_left_ns, uint64_t for_left_ns, struct buf *out);

/* ---- control_open.c, control_request.c ---- */
enum part_state {
	PART_NEW,        /* to be asked when the agent is there */
	PART_ASKED,
	PART_ABSENT,     /* the service does not run there; asked again now and then */
	PART_RUNNING,
	PART_REFUSED,
	PART_ENDED,
};

struct part {
	LIST_ENTRY(part) link;
	int64_t agent;
	char host[256];
	enum part_state state;
	bool connected, has_run;
	uint64_t again_ns;       /* monotonic: when an absent one is asked again */
	char text[256];          /* of the refusal or the end */
	char reason[32];
	/* towards the client */
	uint32_t source;         /* 0: not told yet */
	uint64_t run;            /* whose numbers of probes the source has */
	uint64_t calls, shipped; /* of the last STATS */
};

enum request_state { REQUEST_STARTING, REQUEST_RUNNING, REQUEST_STOPPING, REQUEST_LINGERING };

struct request {
	LIST_ENTRY(request) link;
	struct control *control;
	struct client *client;   /* NULL: nobody looks on */
	uint64_t wire_id;        /* the client's number for it */
	uint64_t id;             /* the store's */
	uint64_t agents_id;      /* what agents know it by */
	char verb[8], who[IDENTITY_NAME_MAX];
	char *target, *service, *probes_json;
	struct host_list hosts;
	struct buf arguments;    /* msgpack map, as it came */
	bool keep;
	enum request_state state;
	uint64_t opened_ns, expires_ns;   /* wall clock */
	uint64_t limit, for_ns;
	uint64_t records;        /* that agents have sent */
	uint64_t started_ns;     /* monotonic; of the first agent that accepted; 0 */
	uint64_t asked_ns, deadline_ns;   /* monotonic */
	LIST_HEAD(, part) parts;
	struct live_subscriber *live;
	struct error refusal;    /* the first that is not "no such process" */
	int64_t refusal_probe;
	bool refused_any;
	char reason[32], text[512];       /* of its end */
	uint32_t next_source;
	uint64_t left_out;       /* calls that the client did not take fast enough */
	int64_t audit;
};

/* trace and stat of a client. */
void request_start(struct client *c, uint64_t wire_id, const char *verb, const msgpack_object *args);
/* All agents that are connected. */
void request_ask_all(struct request *r);
/* Stops it everywhere; END follows when the agents have ended it. */
void request_stop(struct request *r, const char *reason, const char *text);
struct request *request_find(struct control *k, uint64_t id);
struct request *request_of_agents(struct control *k, uint64_t agents_id);
struct request *request_of_client(struct client *c, uint64_t wire_id);
void request_client_gone(struct request *r);
void request_agent_up(struct request *r, struct agent *a, bool restarted, bool served);
void request_agent_down(struct request *r, const struct agent *a);
void request_tick(struct request *r);
/* Those that the store still has open. */
int requests_restore(struct control *k, struct error *err);
void request_free(struct request *r);
struct part *request_part(struct request *r, int64_t agent, const char *host);   /* made if it is new; NULL: no memory */
/* Sees whether what has just come ends its start or the whole of it. May free it. */
void request_advance(struct request *r);
void agent_stop_request(struct agent *a, uint64_t id);

/* ---- control_live.c: from agents to the client ---- */
void request_on_live(const struct live_item *item, void *arg);
/* REPLY {id}. */
void request_accepted(struct request *r);
/* Tells the client what has become of a part: NOTICE with a map, or with a text. */
void request_tell(struct request *r, struct part *p, const char *code, const char *text);
void request_tell_end(struct request *r, struct part *p);
void request_send_end(struct request *r);

/* ---- control_ask.c ---- */
bool question_ask(struct client *c, uint64_t wire_id, const char *verb, const msgpack_object *args);   /* false: no such verb */
void questions_reply(struct control *k, struct agent *a, const struct frame_in *in);
void questions_agent_down(struct control *k, const struct agent *a);
void questions_client_gone(struct control *k, const struct client *c);
void questions_tick(struct control *k);
void questions_free(struct control *k);

/* ---- control_query.c ---- */
int control_query(struct client *c, uint64_t wire_id, const msgpack_object *args, struct error *err);
void control_query_client_gone(struct client *c);

/* ---- control_merge.c: rows of several agents as one answer ---- */
enum merge_kind {
	MERGE_ROWS,      /* [host, cells...] */
	MERGE_EQUAL,     /* [[host, ...], cells...]: equal rows of several hosts are one */
	MERGE_WHOLE,     /* [host, the whole answer] */
	MERGE_TEXT,      /* texts, under the names of their hosts */
};

struct merge;            /* owns rows and hosts */

struct merge *merge_new(enum merge_kind kind);
void merge_free(struct merge *m);   /* takes NULL */
/* Adds payload[key]. -EPROTO, -ENOMEM. What does not fit any more is left out, and merge_cut says so. */
int merge_add(struct merge *m, const char *host, const msgpack_object *value);
bool merge_cut(const struct merge *m);
/* An array of rows, or the text. */
void merge_pack(const struct merge *m, msgpack_packer *pk);

/* ---- control_verdict.c, control_verdict_args.c: verdicts that clients store ---- */
/* What a frame says of one. Owns its texts; those of v are borrowed from here, the record from the frame. */
struct verdict_said {
	char *state, *title, *service, *reason, *report;
	struct store_verdict v;
};

/* out is all zeros before; free it also after an error. */
int verdict_said_read(const msgpack_object *args, struct verdict_said *out, struct error *err);
void verdict_said_free(struct verdict_said *s);
/* The verb "verdict": stores and replies. */
int verdict_put(struct client *c, uint64_t id, const msgpack_object *args, struct error *err);
void verdicts_tick(struct control *k);

/* ---- control_report.c: what the collector answers itself ---- */
void report_list(struct client *c, uint64_t wire_id);
int report_hosts(struct client *c, uint64_t wire_id, struct error *err);
int report_audit(struct client *c, uint64_t wire_id, uint64_t since_ns, struct error *err);

#endif
