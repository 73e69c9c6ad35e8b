/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_INGEST_INTERNAL_H
#define PLUMB_INGEST_INTERNAL_H

#include <sys/queue.h>

#include "collector_internal.h"
#include "idmap.h"
#include "inflate.h"
#include "ingest.h"
#include "model.h"

enum {
	STREAM_PROBES_MAX = 1 << 16,      /* of one connection */
	STREAM_PROCESSES_MAX = 1 << 16,
	STREAM_ROWS_MAX = 1 << 14,        /* of one STATS */
	STREAM_FUNCTIONS_MAX = 512,       /* of one pattern that have counters of their own; those of others are in its sum */
	STREAM_NAMES_MAX = 18 << 20,      /* bytes of FUNCTIONS of one pattern: an agent's names are at most 16 MB, and what packs them */
	INGEST_TEXT_MAX = 8192,
};
/* A time further ahead than this is a wrong clock. */
#define FUTURE_NS (300ULL * 1000000000)

/* A probe that records refer to. */
struct known_probe {
	struct store_known is;
	uint32_t chunk, slot;   /* place among the probes of the chunk that is looked at */
	struct idmap function;  /* of a pattern: number -> the store's id, as a pointer */
	bool has_functions;     /* those that are stored are in it */
	uint64_t names_bytes;   /* of its FUNCTIONS in the store */
	bool has_names_bytes;
};

struct ingest {
	struct store *store;
	struct live *live;
	struct collector_counts *counts;
	LIST_HEAD(, stream) streams;
	struct inflater *inflater;
	size_t pending;
	uint32_t chunk;                       /* number of the chunk that is looked at */
	struct store_chunk_probe *chunk_probe;
	uint32_t cap_chunk_probes;
};

struct stream {
	LIST_ENTRY(stream) link;
	struct ingest *ingest;
	int64_t agent;
	char *host;
	uint64_t run, hello_run;
	bool restarted;
	bool dirty;                           /* acked is ahead of the store's */
	bool lost;                            /* so is what it has put: it takes nothing in any more */
	uint64_t acked, durable;
	uint64_t seen_ns;                     /* when the last entry came, the collector's clock */
	int64_t offset_ns;
	uint64_t heard_ns;                    /* the last time that the agent told, the collector's clock; 0: none yet */
	uint64_t set_back_ns;                 /* when the log told last that its clock was set back */
	uint64_t *serves;
	size_t n_serves;
	struct idmap probe_of;                /* numbers of this run -> struct known_probe */
	struct known_probe **probe;
	uint32_t n_probes, cap_probes;
	struct idmap process_of;              /* pid -> a hash of its name */
	uint64_t wire_id, request;            /* the request that was asked for last, on the wire and in the store */
};

/* A frame of an entry. */
struct taken {
	struct stream *st;
	uint64_t sequence, now_ns;
	const struct frame_in *in;
	bool read;               /* it is a frame */
	const void *frame;
	size_t len;
};

/* The store's id of the request in items[1]; 0: not known. -EPROTO. */
int taken_request(const struct taken *t, uint64_t *request, struct error *err);
/* Counts a frame or row that refers to what the store does not know. */
void taken_orphan(const struct taken *t);
/* The collector's time for one that the agent told; a wrong one becomes now. */
uint64_t taken_time(const struct taken *t, uint64_t agent_ns);
void taken_publish(const struct taken *t, uint64_t request);

/* NULL: not known, or the store cannot say. */
struct known_probe *stream_probe(struct stream *st, uint32_t number);
int stream_add_probe(struct stream *st, uint32_t number, const struct store_known *is, struct error *err);
int stream_process(struct stream *st, uint32_t pid, const msgpack_object *comm, struct error *err);
void stream_forget(struct stream *st);   /* probes and processes: another run begins */

/* One for each type that an entry may have. -EPROTO: malformed, nothing was put. */
int ingest_chunk(const struct taken *t, struct error *err);
int ingest_probe(const struct taken *t, struct error *err);
int ingest_stats(const struct taken *t, struct error *err);
int ingest_end(const struct taken *t, struct error *err);
int ingest_reply(const struct taken *t, struct error *err);
int ingest_notice(const struct taken *t, struct error *err);
int ingest_run(const struct taken *t, struct error *err);
int ingest_opened(const struct taken *t, struct error *err);
int ingest_loss(const struct taken *t, struct error *err);

int ingest_functions(const struct taken *t, struct error *err);
int ingest_function_stats(const struct taken *t, struct error *err);

/* A row of counters, read: [probe, pid, what is third, counts]. */
struct counters {
	uint32_t probe, pid;
	const msgpack_object *third;
	struct tally tally;
};

/* -EPROTO */
int counters_read(const msgpack_object *row, struct counters *out, struct error *err);
/* Under a probe of the store: the known one, or one of its functions. */
int counters_put(const struct taken *t, int64_t probe, const struct counters *c, uint64_t at_ns, struct error *err);

/* Adds a text, made safe to print. False: it is none, or too long. */
bool taken_text(const msgpack_object *o, struct buf *out);
int malformed(struct error *err, const char *what);

#endif
