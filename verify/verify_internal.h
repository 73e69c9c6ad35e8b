/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a verification. verify.c leads through the stages; each of the others does one step. */
#ifndef PLUMB_VERIFY_INTERNAL_H
#define PLUMB_VERIFY_INTERNAL_H

#include "model.h"
#include "verify.h"

enum {
	VERIFY_REMARKS_MAX = 256,
	VERIFY_PROCESSES_MAX = 4096,
	ID_PS = 1, ID_LINES = 2,       /* + side */
	ID_FIRST = 16,                 /* of stat requests; each is used once */
};

/* ---- who runs (verify_arms.c) ---- */

/* A row of ps. Owns its texts. */
struct running {
	char *host;                    /* by way of a collector; NULL */
	uint64_t pid, age_ns, threads; /* age and threads 0: not told */
	char *comm, *exe, *unit, *container, *build_id;
};

struct arm {
	char label[96], build_id[80];
	uint64_t pid[VERIFY_ARM_PIDS];
	uint32_t n_pids, most_processes, threads, ended;
	uint64_t probed_ns;
	uint64_t missing_since_ns;     /* no process since then; 0: there is one */
};

/* ---- what is probed (verify_probes.c) ---- */

enum item_kind { ITEM_FUNCTION, ITEM_TRIGGER, ITEM_LINE, ITEM_WATCHED, ITEM_PER };
enum item_group { GROUP_CLAIMED, GROUP_OTHERS, GROUP_LINES, ITEM_GROUPS };

struct item_values {
	struct error_value *value;
	uint32_t n;
};

/* One probe text per side; NULL: not on that side. Owns the texts. */
struct item {
	enum item_kind kind;
	enum item_group group;
	uint32_t index;                /* of the coverage's function or line */
	char *text[VERIFY_SIDES];
	bool dropped;
	struct tally pending[VERIFY_SIDES];   /* counted and not yet in a tick */
	struct item_values values[VERIFY_SIDES];   /* of `pending` errors */
	uint64_t hits[VERIFY_SIDES];   /* all calls since the start */
	uint64_t cost_ns[VERIFY_SIDES];
	char site_kind[VERIFY_SIDES][CLAIM_SITE];
};

/* What a value of a row had counted. */
struct value_before {
	uint32_t source, probe, pid;
	int64_t value;
	uint64_t count;
};

/* The last counters of a row of the model, by its number. */
struct before {
	struct counts *row;
	uint32_t n;
};

enum request_state { REQUEST_SENT, REQUEST_ACCEPTED, REQUEST_OVER };

/* One stat request. Owns model, before and item. */
struct arm_request {
	uint32_t id;
	enum verify_side side;
	enum item_group group;
	enum request_state state;
	uint64_t pid;                  /* 0: whoever runs the arm's build */
	bool reported;                 /* since the last tick */
	uint32_t *item, n_items;       /* which item a probe is */
	struct model model;
	struct before *before;         /* by source */
	uint32_t n_before;
	struct value_before *value;
	uint32_t n_values;
};

struct judged {
	uint32_t function;             /* of the coverage */
	struct verdict *verdict;
	struct claim claim;
	uint32_t *line_item;           /* items of claim.line */
	bool any_line;                 /* claim.line has one entry, for all of them */
	uint32_t n_line_items;
};

struct verify {
	struct verify_spec spec;
	struct patch *patch;
	enum verify_stage stage;
	struct buf out;
	bool recording;
	struct buf record;
	uint32_t next_id;
	struct running *running;
	uint32_t n_running;
	struct arm arm[VERIFY_SIDES];
	uint32_t *file_of[VERIFY_SIDES], n_files[VERIFY_SIDES];
	struct lines_answer lines[VERIFY_SIDES];
	bool answered[VERIFY_SIDES];
	struct coverage *coverage;
	struct item *item;
	uint32_t n_items;
	struct arm_request **request;
	uint32_t n_requests;
	struct judged *judged;
	uint32_t n_judged;
	uint64_t started_ns, run_ns, tick_ns, ps_ns, stop_ns;   /* when: verify_start, probes attached, last tick, last ps, stop asked */
	bool ps_open;
	char reason[1200];
	char *remark[VERIFY_REMARKS_MAX];
	uint32_t n_remarks;
	struct verify_view view;
	struct verify_function_view *function_view;
	uint64_t *hits;
};

extern const char *const verify_side_name[VERIFY_SIDES];

void verify_remark(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* verify.c */
/* While it runs: what is known by now, the last counters are asked for. */
void verify_break_off(struct verify *v, const char *reason, uint64_t now_ns);

/* verify_notice.c */
/* Before the probes are set everywhere, a refusal is an error; later it breaks the verification off. */
int verify_take_notice(struct verify *v, struct arm_request *r, const struct frame_in *in, uint64_t now_ns, struct error *err);

/* verify_arms.c */
int verify_ask_ps(struct verify *v, uint64_t now_ns, struct error *err);
int verify_take_ps(struct verify *v, const msgpack_object *payload, struct error *err);
int verify_choose_arms(struct verify *v, struct error *err);
/* Looks again who of the arms is there. */
void verify_count_arms(struct verify *v, uint64_t now_ns);

/* verify_probes.c */
/* The arm is a build, and takes in whoever comes with it. */
bool verify_arm_is_open(const struct verify *v, enum verify_side side);
int verify_ask_lines(struct verify *v, struct error *err);
int verify_make_items(struct verify *v, struct error *err);
int verify_send_probes(struct verify *v, enum item_group group, struct error *err);
int verify_send_stop(struct verify *v, const struct arm_request *r, struct error *err);
/* The agent does not take a request: another try without the probe, or the end. */
int verify_refused(struct verify *v, struct arm_request *r, const msgpack_object *payload, struct error *err);
struct arm_request *verify_request(struct verify *v, uint64_t id);
void verify_request_free(struct arm_request *r);

/* verify_ticks.c */
int verify_take_probe(struct verify *v, struct arm_request *r, const struct frame_in *in, struct error *err);
int verify_take_stats(struct verify *v, struct arm_request *r, const struct frame_in *in, struct error *err);
int verify_begin_judging(struct verify *v, struct error *err);
int verify_tick(struct verify *v, uint64_t span_ns, struct error *err);
enum verdict_state verify_state(const struct verify *v);

/* verify_values.c */
/* A row's list. -EPROTO, -ENOMEM. */
int verify_take_values(struct arm_request *r, uint32_t source, uint32_t probe, uint32_t pid, const msgpack_object *list, struct item *it);
/* At most `errors` of what is pending, as values of `where`; out has room for CLAIM_VALUES. Returns how many. */
uint32_t verify_values_of_tick(struct item *it, enum verify_side side, uint32_t where, uint64_t errors, struct error_value *out);
void verify_values_forget(struct item *it);

#endif
