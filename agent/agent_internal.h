/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the modules of the agent's loop share.  Data goes one way: client -> request -> instance -> (kernel) -> stream ->
 * client.
 */
#ifndef PLUMB_AGENT_INTERNAL_H
#define PLUMB_AGENT_INTERNAL_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/queue.h>

#include "agent.h"
#include "buf.h"
#include "calibrate.h"
#include "frame.h"
#include "keeper.h"
#include "reaper.h"
#include "resolve.h"
#include "service.h"
#include "worker.h"

enum {
	PROBE_TABLE = 4096,             /* probes at a time */
	CLIENTS_MAX = 256,
	QUESTIONS_MAX = 32,             /* workers that answer ps, funcs and explain at a time */
	CLIENT_QUESTIONS_MAX = 8,       /* of one client */
	CLIENT_INPUT_MAX = 2 << 20,
	CLIENT_BACKLOG_MAX = 16 << 20,  /* unsent bytes at which records for a slow client are dropped */
	CHUNK_BYTES = 48 << 10,
	TRIP_TEXT = 600,                /* why the guard removed a probe */
	TICK_MS = 200,                  /* of guard and watch, while a process may soon be over its budget ... */
	TICK_CALM_MS = 500,             /* ... and while none is near it: a load that comes then is still judged within a second */
};

struct client;
struct request;
struct uplink;
struct instance;
struct job;
struct watched;

struct agent {
	struct agent_options opt;
	struct event_base *base;
	struct rings *rings;
	struct reaper *reaper;
	struct keepers *keepers;
	struct site_costs costs;
	struct worker *calibrator;
	struct evconnlistener *listener;
	struct uplink *uplink;                /* NULL: no collector */
	LIST_HEAD(, client) clients;
	LIST_HEAD(, request) requests;
	LIST_HEAD(, question) questions;
	unsigned n_clients, n_requests;
	struct instance *probe[PROBE_TABLE];  /* by id % PROBE_TABLE */
	uint32_t next_probe;
	uint64_t next_request;
	struct event *ring_wake, *ring_timer, *tick, *sigterm, *sigint, *sighup;
	agent_reload_fn *reload;
	void *reload_arg;
	unsigned quiet_polls;
	int stats_fd;                         /* BPF run-time statistics are on while it is open; -1 */
	uint64_t stats_until_ns, stats_again_ns;
	uint64_t guard_ns;                    /* of the last guard tick */
	uint64_t tick_due_ns, next_scan_ns;
	bool stopping;
	struct error unusable;                /* code != 0: no BPF here, why; such an agent answers, but probes nothing */
	char host[256];
};

/* ---- client.c: one connection ---- */
struct client {
	LIST_ENTRY(client) link;
	struct agent *agent;
	struct bufferevent *bev;
	struct uplink *uplink;         /* the collector's client, which has no bev; else NULL */
	uint32_t stats_part;           /* of the STATS in out: 0, or which of several frames */
	uid_t uid;
	pid_t pid;
	bool greeted;
	struct buf out;                /* scratch for frames */
};

int clients_listen(struct agent *a, struct error *err);
int client_add(struct agent *a, int fd, struct error *err);
void client_close(struct client *c);
size_t client_backlog(const struct client *c);
/* Closes those that let their answers pile up. */
void clients_check(struct agent *a);
/* Sends what is in c->out and empties it. -errno: the collector's spool did not accept it. */
int client_flush(struct client *c);
void client_reply_error(struct client *c, uint64_t id, const struct error *err, int64_t probe);
/* Starts a REPLY with a payload map of n pairs; end with frame_end and client_flush. */
void client_reply_begin(struct client *c, struct frame *f, uint64_t id, unsigned n);

/* ---- verbs.c: requests that are answered at once ---- */
/* Drops the questions of a client that workers still answer (NULL: of all). */
void questions_cancel(struct agent *a, const struct client *c);
void verb_dispatch(struct client *c, uint64_t id, const char *verb, const msgpack_object *args);

/* ---- request_args.c ---- */
enum request_verb { VERB_TRACE, VERB_STAT };

/* What a trace or stat asks for. Owns its texts. */
struct request_args {
	struct target target;
	char *probes[PROBES_MAX];
	uint32_t n_probes;
	char *error_expr;
	bool errors_only, keep, unwind_ok;
	uint64_t show_errors;          /* stat: bit n: failing calls of probe n are shown as well */
	uint64_t limit, for_ns, sample, rate, ttl_ns, tick_ns;
	uint32_t budget_ppm;
	struct capture_limits limits;
};

int request_args_read(const struct agent *a, const msgpack_object *args, struct request_args *out, struct error *err,
		      int64_t *probe);
int request_target_read(const msgpack_object *o, struct target *t, struct error *err);
/* The map that request_target_read reads. */
void request_target_pack(const struct target *t, msgpack_packer *pk);
const char *request_verb_name(enum request_verb verb);
void request_args_free(struct request_args *args);

/* ---- request.c: the life of a trace or stat ---- */
enum request_state { REQUEST_STARTING, REQUEST_RUNNING, REQUEST_ENDING };

struct request {
	LIST_ENTRY(request) link;
	struct agent *agent;
	struct client *client;         /* NULL: kept after its client left */
	uint64_t wire_id;              /* the client's number for it */
	uint64_t id;                   /* the agent's */
	uid_t uid;
	enum request_verb verb;
	enum request_state state;
	struct request_args args;
	char *module[PROBES_MAX];      /* named in each probe text, or NULL */
	LIST_HEAD(, job) jobs;         /* being resolved */
	LIST_HEAD(, instance) instances;
	LIST_HEAD(, watched) watched;  /* target processes */
	unsigned detaching;
	bool muted;                    /* nobody reads its events */
	uint64_t started_ns, next_tick_ns;
	unsigned patterns_told;        /* how often, since all of their functions were */
	struct event *timer;           /* the next of: tick, end of --for, end of life */
	char end_reason[16], end_text[600];
	/* stream */
	struct buf chunk;
	uint32_t chunk_records;
	uint64_t chunk_base_ns, sequence;
	uint64_t chunk_since_ns;       /* when its first record was taken */
	uint64_t delivered;
	struct known_process { pid_t pid; bool sent; char comm[32]; } *known; /* names, also of the dead */
	size_t n_known, cap_known, last_known;
};

void request_start(struct client *c, uint64_t wire_id, enum request_verb verb, const msgpack_object *args);
/* Detaches everything, then sends END and frees the request. Reasons: see wire.h and docs. */
void request_end(struct request *rq, const char *reason, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Frees it at once, without END: the agent is going. */
void request_drop(struct request *rq);
struct request *request_find(struct agent *a, uint64_t id);
struct request *request_of_client(struct client *c, uint64_t wire_id);
void request_client_gone(struct request *rq);
/* Its breakpoints go; its counters stay. */
void request_process_left(struct request *rq, pid_t pid);
void request_notice(struct request *rq, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* For programs: the guard has removed this one; part: some of its pattern's functions. */
void request_notice_removed(struct request *rq, const struct instance *in, const char *text, bool part);
void request_send_probe(struct request *rq, const struct instance *in);
/* Root's probe on a file: in every process that maps it, without looking at the processes. */
bool request_everywhere(const struct request *rq);
/* A collector keeps what it sends. */
bool request_recorded(const struct request *rq);
/* What was counted up to now, if somebody wants to know; `last`: of a request whose breakpoints are gone. */
void request_send_stats(struct request *rq, uint64_t now, bool last);
void request_send_end(struct request *rq);
/* The tick comes at once, and the ones after it as the client wants them. */
void request_tick_now(struct request *rq);
/* A resolve job is done or a detach has ended: go on to the next state when it was the last one. */
void request_advance(struct request *rq);
/* A probe could not be made. While starting: the request is refused. Later: a notice. */
void request_failed(struct request *rq, const struct error *err, int64_t probe);

/* ---- cover.c: processes x probe texts -> files -> instances ---- */
/* Files to resolve are collected by these two, over any number of processes ... */
int cover_process(struct request *rq, const struct process *p, struct error *err, int64_t *probe);
int cover_path(struct request *rq, struct error *err);
/* ... and begun by this one. */
int cover_start(struct request *rq, struct error *err);
void jobs_cancel(struct request *rq);

/* ---- instance.c: one resolved probe in the kernel ---- */
struct instance {
	LIST_ENTRY(instance) link;
	struct request *rq;
	uint32_t id;
	struct resolved resolved;
	struct loaded *loaded;
	int fd;                        /* the file that the breakpoints are in */
	uint64_t dev, ino;
	struct timespec mtime;
	off_t size;
	bool detached;
	uint64_t unread_fault, unread_place, drop_client;
	uint64_t past_limit;           /* events after the request had what it wanted */
	uint64_t shown;                /* records that went to its requester's connection */
	uint32_t held;                 /* records in the chunk that is being filled */
	uint32_t n_unreadable;         /* values of each record that can never be read */
	/* guard */
	uint64_t attached_ns;
	uint64_t *last_calls;          /* per slot; of a pattern per row, see loader_rows */
	uint64_t *tick_calls;          /* of a pattern: per row, since the tick before */
	struct told { uint64_t now, before; } *told; /* of a pattern: per function, a sum that rises with each count; as it was told last */
	bool readable;                 /* rows_read has read its counters */
	uint64_t run_ns;               /* BPF time per hit, as measured last */
	uint64_t last_runs, last_run_ns;
	char trip[TRIP_TEXT];          /* why it was removed */
};

int instance_new(struct request *rq, struct resolved *r, int fd, struct instance **out, struct error *err);
int instance_attach(struct instance *in, pid_t pid, struct error *err);
void instance_free(struct instance *in);
bool instance_is_for(const struct instance *in, uint32_t probe_index, uint64_t dev, uint64_t ino);
/* The file under the breakpoints is still what was resolved. */
bool instance_file_same(const struct instance *in, int fd);
void instance_pack_probe(const struct instance *in, struct frame *f);
/* What the kernel has counted up to now, for the functions below and pattern_send_stats: so they tell the same. */
void rows_read(struct request *rq);
/* STATS rows of all instances of a request: one per process, or (not detail) one per probe. */
void rows_pack(const struct request *rq, bool detail, msgpack_packer *pk);
/* The rows per process in portions of about `bytes`: emit(n rows, packed without the array around them). */
void rows_each(const struct request *rq, size_t bytes, void (*emit)(uint32_t n, const struct buf *rows, void *arg), void *arg);
/* A row's {counts}; `own`: with what is counted in the agent itself, or NULL; `stat`: of such a request. */
struct error_values { struct error_count value[ERROR_VALUES_MAX]; uint32_t n; };
void counts_pack(const struct counts *c, const struct instance *own, const struct error_values *values, bool stat, bool histogram,
		 msgpack_packer *pk);
void rows_totals(struct request *rq, uint64_t *calls, uint64_t *shipped);

/* ---- pattern.c: what a client is told of a pattern's functions ---- */
/* Their names, after the PROBE. */
void pattern_send_names(struct request *rq, const struct instance *in);
/* What was left out. */
void pattern_send_note(struct request *rq, const struct instance *in);
/* What was counted in those in which something was since they were told last, with all their processes; now and then, and with `all`, of all
 * that were called. Ahead of the STATS or END of the same rows_read, at the same time. */
void pattern_send_stats(struct request *rq, uint64_t wall_ns, bool all);

/* ---- stream.c ---- */
int stream_start(struct agent *a, struct error *err);
void stream_stop(struct agent *a);
void stream_drain(struct agent *a);
/* A probe has come: its first event is to wake the agent, not to wait for the next poll. */
void stream_expect(struct agent *a);
/* Sends the records that are held. A recorded request's wait for more, unless `now`. */
void stream_flush(struct request *rq, bool now);
/* Names the known processes, to a client that has not heard of them. */
void stream_introduce(struct request *rq);

/* ---- watch.c: target processes that come, go and turn into something else ---- */
struct watched {
	LIST_ENTRY(watched) link;
	struct request *rq;
	struct process process;
	int pidfd;
	struct event *exit;
};

/* The process's entry in rq->known, or NULL without memory. `p` may be NULL: looked up. */
struct known_process *watch_know(struct request *rq, pid_t pid, const struct process *p);
int watch_add(struct request *rq, const struct process *p);
/* Looks at all processes once, for all requests. */
void watch_scan(struct agent *a);
void watch_free_all(struct request *rq);

/* ---- guard.c ---- */
/* What is looked at next began now. */
void guard_begin(struct agent *a, uint64_t now);
/* True: look again after TICK_MS. */
bool guard_tick(struct agent *a, uint64_t now);
void guard_stop(struct agent *a);
/* guard_pattern.c: what a pattern's functions cost a process since the last tick. run_ns: of the program, for each call. */
void guard_pattern_cost(struct instance *in, uint32_t slot, uint64_t run_ns, uint64_t *calls, uint64_t *ns);
/*
 * Takes the dearest functions out, at least `ns` of their cost in that process. Writes which ("f, g and 3 more of 'pattern'") and how
 * often they were called. -ENOTSUP: nothing was done, the pattern can only go as a whole; `which` is its dearest function.
 */
struct dropped { char which[400]; uint64_t calls, ns; };
int guard_pattern_drop(struct instance *in, pid_t pid, uint64_t run_ns, uint64_t ns, struct dropped *out);
/* Ends a running request of which the guard has left nothing. */
bool guard_ends(struct request *rq);

/* ---- policy.c ---- */
/* Root may probe everything, others what runs as themselves. */
int policy_may_probe(uid_t uid, const struct process *p, struct error *err);
bool policy_may_manage(uid_t uid, const struct request *rq);

/* ---- agent.c ---- */
/* There is a new request: its first tick. */
void agent_tick_soon(struct agent *a);
uint64_t now_ns(void);          /* CLOCK_MONOTONIC */
uint64_t wall_offset_ns(void);  /* CLOCK_REALTIME - CLOCK_MONOTONIC */

#endif
