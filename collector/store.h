/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the collector keeps.  This interface is all that the rest of the program knows of the engine; the embedded one is
 * SQLite in WAL mode (schema.sql).  One writer (the loop), any number of readers (query.h), each with its own connection.
 *
 * What is put between two commits becomes durable together: store_commit returns after it, and only then an agent may be told
 * (ACK).  Durable means: it is on the disk, and survives the end of the collector and of the machine.
 *
 * After a failed put (disk full) the store is spoiled: nothing more is put, and store_commit fails.  After a failed commit the
 * caller rolls back to the last good one and drops the agents' connections, which then send again.
 *
 * Numbers above INT64_MAX are kept as INT64_MAX, except runs, which are kept as they are.
 */
#ifndef PLUMB_STORE_H
#define PLUMB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "plumb/error.h"
#include "plumb/event.h"

struct store;              /* owns the connection and its statements */

struct store_options {
	const char *path;      /* the database's file; its directory must exist */
	uint64_t keep_ns;      /* age at which chunks and rollups of 1 s go; 0: for ever. Rollups of 1 min: x 10, of 1 h: x 100 */
	uint64_t max_bytes;    /* of what is in use in the file: oldest chunks go first, then seconds; 0: no limit */
	uint64_t max_pages;    /* of the file, beyond which it is full, as a disk is; 0: no limit */
};

/* Opens, creates or migrates it. A file of a later version is refused. */
int store_open(const struct store_options *opt, struct store **out, struct error *err);
/* Other limits, from the next store_expire on. */
void store_limits(struct store *s, uint64_t keep_ns, uint64_t max_bytes);
/* Commits nothing. Takes NULL. */
void store_close(struct store *s);
int store_commit(struct store *s, struct error *err);
void store_rollback(struct store *s);
/* For a caller that has put half of what belongs together and cannot go on. */
void store_spoil(struct store *s);
bool store_spoiled(const struct store *s);
/* Removes a bounded amount of what is too old or too much. 1: there is more to remove, 0: done, -errno. */
int store_expire(struct store *s, uint64_t now_ns, struct error *err);

struct store_size {
	uint64_t file_bytes, used_bytes;             /* freed pages stay in the file and are used again */
	uint64_t expired_chunks, expired_rows;       /* since it was opened */
};

void store_size(struct store *s, struct store_size *out);

/* ---- agents ---- */
struct store_agent {
	int64_t id;
	uint64_t run, acked;
	int64_t offset_ns;
};

/* Known or new; its last_seen, host and program are brought up to date. */
int store_agent(struct store *s, const char *uid, const char *host, const char *program, uint64_t now_ns, struct store_agent *out,
		struct error *err);
/* An agent belongs to the subject of the certificate that it first came with. "": it has come with none. */
struct store_subject { char text[256]; };

int store_agent_subject(struct store *s, const char *uid, struct store_subject *out, struct error *err);
/* Stays what it is, if it is not "". */
int store_agent_bind(struct store *s, int64_t agent, const char *subject, struct error *err);
/* The next certificate binds it again. -ENOENT: there is no such agent. */
int store_agent_unbind(struct store *s, const char *uid, struct error *err);
int store_agent_clock(struct store *s, int64_t agent, int64_t offset_ns, uint64_t delay_ns, struct error *err);
int store_agent_offset(struct store *s, int64_t agent, int64_t offset_ns, struct error *err);
/* Another run of the agent: what was open on it has ended ("restart"), except the n requests it says it still serves. */
int store_agent_restarted(struct store *s, int64_t agent, uint64_t run, const uint64_t *serves, size_t n, uint64_t now_ns,
			  struct error *err);
/* The last sequence taken in, and when it came; part of the same commit as the entries. */
int store_agent_acked(struct store *s, int64_t agent, uint64_t sequence, uint64_t seen_ns, struct error *err);
/* Connected until then. */
int store_agent_seen(struct store *s, int64_t agent, uint64_t seen_ns, struct error *err);

/* ---- requests ---- */
struct store_request {
	uint64_t id;           /* the store's */
	uint64_t wire_id;      /* the agents' */
	int64_t agent;         /* who opened it; 0: opened here */
	const char *verb, *target, *service, *probes_json, *who;
	const void *arguments;
	size_t arguments_len;
	bool keep;
	uint64_t opened_ns, expires_ns;
};

/* r->id 0: a new id is given (and r->wire_id, if r->agent is 0). */
int store_request_open(struct store *s, struct store_request *r, struct error *err);
/* An agent's own request has ended there: its last counters are forgotten, no differences follow. One that was opened here may end
 * before its agents' last counters come: those are forgotten with store_request_agent "ended". */
int store_request_end(struct store *s, uint64_t id, const char *reason, const char *text, uint64_t now_ns, struct error *err);
/* state: "sent", "running", "refused" or "ended". */
int store_request_agent(struct store *s, uint64_t id, int64_t agent, const char *state, const char *reason, const char *text,
			uint64_t now_ns, struct error *err);
/* Requests that are open at now_ns, opened here: after a restart they go on. Texts are valid during the visit. */
int store_request_each_open(struct store *s, uint64_t now_ns, int (*visit)(const struct store_request *r, void *arg), void *arg,
			    struct error *err);
/* Store's id of a request of the wire, the collector's or the agent's own. 1: found; 0: not known, *id is 0; -errno. */
int store_request_find(struct store *s, int64_t agent, uint64_t wire_id, uint64_t *id, struct error *err);

/* The wall clock was set: open requests and running verdicts keep the time they have. */
int store_clock_jumped(struct store *s, int64_t jump_ns, struct error *err);

/* ---- what agents send ---- */
struct store_probe {
	uint64_t request;
	int64_t agent;
	uint64_t run;
	uint32_t number;
	const char *spec, *function, *module, *build_id, *file, *site_kind;
	uint64_t line, cost_ns;
	uint32_t fields;
	uint32_t functions;    /* of a pattern: how many */
	const void *frame;
	size_t frame_len;
};

/* -EEXIST: that number is taken. */
int store_probe(struct store *s, const struct store_probe *p, uint64_t now_ns, int64_t *id, struct error *err);
/* What is looked at of a stored one. */
struct store_known {
	int64_t id;
	uint64_t request;
	uint32_t fields, functions;
};

/* 1: found, 0: not, -errno. */
int store_probe_find(struct store *s, int64_t agent, uint64_t run, uint32_t number, struct store_known *out);
/* A function of a pattern as a probe of its own, which only has counters. */
int store_function(struct store *s, int64_t pattern, uint32_t function, const char *name, uint64_t now_ns, int64_t *id, struct error *err);
int store_function_each(struct store *s, int64_t pattern, int (*visit)(uint32_t function, int64_t id, void *arg), void *arg, struct error *err);
/* A FUNCTIONS frame; the one that names a function: 1 and its bytes in out, 0: there is none, -errno. */
int store_names(struct store *s, int64_t pattern, uint32_t first, const void *frame, size_t len, struct error *err);
/* How much of them is there, of the frames whose first names are from..to. */
int store_names_bytes(struct store *s, int64_t pattern, uint32_t from, uint32_t to, uint64_t *bytes, struct error *err);
int store_names_find(struct store *s, int64_t pattern, uint32_t function, struct buf *out, struct error *err);
int store_process(struct store *s, int64_t agent, uint64_t run, uint32_t pid, const char *comm, struct error *err);

struct store_chunk {
	int64_t agent;
	uint64_t sequence, run, request;
	uint64_t first_ns, last_ns;     /* collector's clock */
	uint64_t received_ns;
	int64_t offset_ns;
	uint32_t records;
	const void *frame;
	size_t frame_len;
	struct store_chunk_probe { int64_t probe; uint64_t first_ns; uint32_t records, errors; } *probe;
	uint32_t n_probes;
};

int store_chunk(struct store *s, const struct store_chunk *c, struct error *err);
int store_loss(struct store *s, int64_t agent, uint64_t request, uint64_t at_ns, uint64_t records, const char *reason,
	       struct error *err);
int store_notice(struct store *s, int64_t agent, uint64_t request, uint64_t at_ns, const char *code, const char *text,
		 struct error *err);

/* A STATS row: everything since the start of the request. */
struct store_counts {
	struct counts c;
	uint64_t unread, drop_client, past_limit, shown;
};

/* Adds the difference from the row before to the rollups of 1 s, 1 min and 1 h that at_ns (collector's clock) lies in. */
int store_stats(struct store *s, int64_t probe, uint32_t pid, uint64_t at_ns, const struct store_counts *now, struct error *err);

/* ---- audit and verdicts ---- */
struct store_audit {
	int64_t id;
	uint64_t at_ns, request;
	const char *who, *role, *peer, *action, *detail, *outcome;
};

int store_audit(struct store *s, struct store_audit *a, struct error *err);
int store_audit_end(struct store *s, int64_t id, const char *outcome, uint64_t now_ns, struct error *err);
/* Texts NULL: as they are ("" in a new one). */
struct store_verdict {
	int64_t id;
	const char *who, *state, *title, *service, *reason, *report;
	const void *record;          /* what is added to what is there of it; NULL */
	size_t record_len;
	uint64_t record_at;          /* where the stored record ends */
	uint64_t now_ns;
	int64_t audit;
};

/* id 0: a new one, and its id is put in. */
int store_verdict(struct store *s, struct store_verdict *v, struct error *err);

/* Where a stored one stands. */
struct store_verdict_state {
	char who[64];
	bool running;
	uint64_t record_bytes;
	int64_t audit;
};

/* 1: found, 0: not, -errno. */
int store_verdict_find(struct store *s, int64_t id, struct store_verdict_state *out, struct error *err);
/* One that runs and was not heard of since `before_ns`: 1 and its id, 0: there is none, -errno. */
int store_verdict_silent(struct store *s, uint64_t before_ns, int64_t *id, struct error *err);

#endif
