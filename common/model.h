/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the frames of one request have told so far: probes, processes, exact counters.  Records are read against it.
 * Frames that a collector passes on name their source, the agent that they came from: ids of probes and processes are the
 * source's own.  An agent's own frames name none, which is source 0.
 */
#ifndef PLUMB_MODEL_H
#define PLUMB_MODEL_H

#include "frame.h"
#include "idmap.h"
#include "plumb/event.h"
#include "shape.h"

enum {
	MODEL_SOURCES_MAX = 1 << 12,
	MODEL_PROBES_MAX = 1 << 16,
	MODEL_PROCESSES_MAX = 1 << 16,
	MODEL_ROWS_MAX = 1 << 14,
	MODEL_FIELDS_MAX = 256,
};

/* A captured value. Owns its parts. */
struct field {
	char *name;          /* safe to print */
	bool at_return;
	struct shape *shape;
};

/* What was counted in one function of a pattern, over all processes. */
struct pattern_row {
	uint32_t function;
	uint32_t snapshot;   /* of its source: the last one in which it had changed */
	struct function_counts now, before; /* before: until that one */
	uint64_t hist[PATTERN_BUCKETS];
};

/* One probed function, or a pattern's functions. Owns its parts; texts are safe to print. */
struct probe {
	uint32_t id;
	const struct source *source;
	char *spec, *function, *module, *build_id, *file;
	uint64_t line;
	bool call;           /* entry and return are one call */
	bool condition;      /* there is an `if`: calls and matches differ */
	bool has_error;      /* there is a rule that tells failed calls */
	bool may_be_errno;   /* of what it returns: see error_value.h */
	struct field *field;
	uint32_t n_fields;
	struct buf json;     /* "probe":..,"function":..,"build_id":.. as every record repeats it; of a pattern up to "function": */
	struct buf json_rest;/* of a pattern: ,"build_id":.. */
	/* a pattern */
	uint32_t n_functions;/* 0: one function */
	char **name;         /* of each function; NULL: not known */
	struct pattern_row **row; /* of each function that was called */
};

struct process {
	uint32_t pid;
	char *comm;          /* safe to print */
};

/* How often failing calls returned a value. */
struct value_count { int64_t value; uint64_t count; };

/* The exact counters of one probe in one process, or a sum of such. */
struct tally {
	struct counts c;
	uint64_t unread;     /* shown values whose memory was not there */
	uint64_t unplaced;   /* shown values that no probe can read there: in an SSE register, optimised out */
	uint64_t drop_client;
	uint64_t past_limit; /* shipped after the limit: not sent */
	uint64_t shown;      /* sent to its requester before a collector was told */
	struct value_count error_value[ERROR_VALUES_MAX]; /* in no order; what found no room is c.errors - their sum */
	uint32_t n_error_values;
};

struct row {
	uint32_t probe, pid;
	uint32_t snapshot;   /* the one that it was last part of */
	struct tally now;
};

/* Where frames come from. Owns its rows, its processes and its texts; its probes are the model's. */
struct source {
	uint32_t number;
	char *host;          /* safe to print; NULL: not told */
	bool quiet;          /* it has refused, ended or is away: no more counters for now */
	bool missing;        /* that was not asked for: sums lack what happens there */
	struct idmap probe_of, process_of;
	struct process **process;
	uint32_t n_processes;
	struct row **row;
	uint32_t n_rows, snapshot, next_row;
};

/* Owns all of it. */
struct model {
	struct idmap source_of;
	struct source **source;
	uint32_t n_sources;
	struct probe **probe;
	uint32_t n_probes;
	uint32_t n_processes, n_rows;   /* of all sources */
	msgpack_zone zone;   /* of the record being read */
	bool has_zone;
	struct inflater *inflater; /* of the chunk being read, if it is deflated */
};

int model_init(struct model *m);
void model_free(struct model *m);

/* The frames that add to it. -EPROTO: malformed. */
int model_probe(struct model *m, const struct frame_in *in, struct error *err);
/* STATS or END. Rows are a snapshot of everything since the start; it replaces the one before of this source. */
int model_stats(struct model *m, const struct frame_in *in, struct error *err);
/* FUNCTIONS, FUNCTION_STATS. */
int model_functions(struct model *m, const struct frame_in *in, struct error *err);
int model_function_stats(struct model *m, const struct frame_in *in, struct error *err);
/* The name of a pattern's function, the pattern's if it is not known. */
const char *probe_function(const struct probe *p, uint32_t function);
/* The function's counts up to the last snapshot; NULL: it was not called. */
const struct pattern_row *probe_row(const struct probe *p, uint32_t function);
/* Its counts in the snapshot before the last. */
const struct function_counts *probe_row_before(const struct probe *p, const struct pattern_row *r);
/* What a row counts, with its histogram in the steps of struct counts. */
void pattern_row_counts(const struct pattern_row *r, struct counts *out);
/* A NOTICE whose text is a map: "process" {pid, comm}, "source" {host}. Others are left alone. -EPROTO, -ENOMEM. */
int model_notice(struct model *m, const struct frame_in *in);

/* The source of a frame whose own elements are `n`, made if it is new. NULL: no memory, too many, malformed. */
struct source *model_source(struct model *m, const struct frame_in *in, uint32_t n);
const char *source_comm(const struct source *s, uint32_t pid);  /* "?": not known */
/* The {counts} of a row; keys that are not there are 0. -EPROTO. */
int tally_unpack(struct tally *t, const msgpack_object *map);
void tally_add(struct tally *to, const struct tally *more);
/* The sum over the rows of the sources' last snapshots of one probe, or with NULL of all. */
void model_sum(const struct model *m, const struct probe *only, struct tally *out);

/* A record. Values are valid until the next one is read. */
struct record {
	const struct probe *probe;
	const struct source *source;
	uint32_t function;             /* of a pattern */
	uint64_t ts_ns, duration_ns;
	uint32_t pid, tid;
	bool returned, error;
	const msgpack_object *value;   /* one per field of the probe */
};

enum { CHUNK_RAW_MAX = 4 << 20 };  /* bytes of records in a deflated chunk */

/* Goes through a chunk's records, one chunk of a model at a time; next returns 1, 0 at the end, -EPROTO. A record of a probe that is not known, or with
 * another number of values, is malformed. */
struct chunk {
	const struct source *source;
	const char *data;
	size_t len;
	uint64_t base_ns;
	uint64_t count;      /* as the agent says */
};

/* Inflates what is deflated; then the records are in the model until the next chunk is opened. */
int chunk_open(struct chunk *k, struct model *m, const struct frame_in *in, struct error *err);
int chunk_next(struct chunk *k, struct model *m, struct record *r, struct error *err);

#endif
