/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the collector keeps.  This interface is all that the rest of the program knows of the engine; the embedded one is
 * SQLite in WAL mode (schema.sql).  One writer (the loop), any number of readers (query.h), each with its own connection.
 *
 * What is put between two commits becomes durable together: store_commit returns after it, and only then an agent may be told
 * (ACK).  A failed put or commit (disk full) leaves the store as it was at the last commit; the caller drops the agents'
 * connections, which then send again.
 */
#ifndef PLUMB_STORE_H
#define PLUMB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plumb/error.h"
#include "plumb/event.h"

struct store;              /* owns the connection and its statements */

struct store_options {
	const char *path;      /* the database's file; its directory must exist */
	uint64_t keep_ns;      /* age at which chunks and rollups of 1 s go; 0: for ever. Rollups of 1 min: x 10, of 1 h: x 100 */
	uint64_t max_bytes;    /* of the file: oldest chunks go first; 0: no limit */
};

/* Opens, creates or migrates it. A file of a later version is refused. */
int store_open(const struct store_options *opt, struct store **out, struct error *err);
/* Commits nothing. Takes NULL. */
void store_close(struct store *s);
int store_commit(struct store *s, struct error *err);
void store_rollback(struct store *s);
/* Removes a bounded amount of what is too old or too much. 1: there is more to remove, 0: done, -errno. */
int store_expire(struct store *s, uint64_t now_ns, struct error *err);

/* ---- agents ---- */
struct store_agent {
	int64_t id;
	uint64_t run, acked;
	int64_t offset_ns;
};

/* Known or new; its last_seen, host and program are brought up to date. */
int store_agent(struct store *s, const char *uid, const char *host, const char *program, uint64_t now_ns, struct store_agent *out,
		struct error *err);
int store_agent_clock(struct store *s, int64_t agent, int64_t offset_ns, uint64_t delay_ns, struct error *err);
int store_agent_run(struct store *s, int64_t agent, uint64_t run, struct error *err);
/* The last sequence taken in; part of the same commit as the entries. */
int store_agent_acked(struct store *s, int64_t agent, uint64_t sequence, struct error *err);

/* ---- requests ---- */
struct store_request {
	uint64_t id;           /* the store's */
	uint64_t wire_id;      /* the same, or of an agent's own request */
	int64_t agent;         /* who opened it; 0: opened here */
	const char *verb, *target, *service, *probes_json, *who;
	const void *arguments;
	size_t arguments_len;
	bool keep;
	uint64_t opened_ns, expires_ns;
};

/* r->id 0: a new id is given (and r->wire_id, if r->agent is 0). */
int store_request_open(struct store *s, struct store_request *r, struct error *err);
int store_request_end(struct store *s, uint64_t id, const char *reason, const char *text, uint64_t now_ns, struct error *err);
int store_request_agent(struct store *s, uint64_t id, int64_t agent, const char *state, const char *reason, const char *text,
			uint64_t now_ns, struct error *err);
/* Requests that are open at now_ns, opened here: after a restart they go on. Texts are valid during the visit. */
int store_request_each_open(struct store *s, uint64_t now_ns, int (*visit)(const struct store_request *r, void *arg), void *arg,
			    struct error *err);
/* Store's id of an agent's own request; 0: not known. */
uint64_t store_request_local(struct store *s, int64_t agent, uint64_t wire_id);

/* ---- what agents send ---- */
struct store_probe {
	uint64_t request;
	int64_t agent;
	uint64_t run;
	uint32_t number;
	const char *spec, *function, *module, *build_id, *file, *site_kind;
	uint64_t line, cost_ns;
	const void *frame;
	size_t frame_len;
};

int store_probe(struct store *s, const struct store_probe *p, uint64_t now_ns, int64_t *id, struct error *err);
int store_process(struct store *s, int64_t agent, uint64_t run, uint32_t pid, const char *comm, struct error *err);

struct store_chunk {
	int64_t agent;
	uint64_t sequence, run, request;
	uint64_t first_ns, last_ns;     /* collector's clock */
	int64_t offset_ns;
	uint32_t records;
	const void *frame;
	size_t frame_len;
	struct store_chunk_probe { int64_t probe; uint64_t first_ns; uint32_t records, errors; } *probe;
	uint32_t n_probes;
};

int store_chunk(struct store *s, const struct store_chunk *c, struct error *err);
int store_loss(struct store *s, int64_t agent, uint64_t request, uint64_t at_ns, uint64_t records, const char *reason, struct error *err);
int store_notice(struct store *s, int64_t agent, uint64_t request, uint64_t at_ns, const char *code, const char *text, struct error *err);

/* A STATS row: everything since the start of the request. */
struct store_counts {
	struct counts c;
	uint64_t unread, drop_client;
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
int store_verdict(struct store *s, uint64_t at_ns, const char *who, const char *state, const char *title, const void *inputs,
		  size_t inputs_len, const char *report, int64_t *id, struct error *err);

#endif
