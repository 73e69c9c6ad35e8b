/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a verification. verify.c leads through the stages; each of the others does one step. */
#ifndef PLUMB_VERIFY_INTERNAL_H
#define PLUMB_VERIFY_INTERNAL_H

#include "failing.h"
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

/* A process of an arm: on one host its pid, through a collector host and pid. */
struct member {
	char host[256];                /* "": this one */
	uint64_t pid;
	uint64_t start_ns;             /* when it began to run this build, as far as is known */
	uint64_t counted_ns;           /* until then its time is in lived_ns and probed_ns; 0: not yet */
	uint64_t away_ns;              /* lived since its agent was lost: probed if that comes back with its probes, else not */
};

struct arm {
	char label[96], build_id[80];
	struct member member[VERIFY_ARM_PIDS];
	uint32_t n_members, most_processes, threads, ended;
	uint64_t lived_ns, probed_ns;  /* of the run, summed over its processes */
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
	bool meaning_told;             /* how many functions it is */
	bool conditional;              /* a line, counted where the arm's condition holds */
	struct tally pending[VERIFY_SIDES];   /* counted and not yet in a tick */
	struct item_values values[VERIFY_SIDES];   /* of `pending` errors */
	uint64_t crashed[VERIFY_SIDES];   /* calls that their process ended in; not yet in a tick */
	uint32_t died[VERIFY_SIDES];   /* those processes, likewise */
	uint64_t hits[VERIFY_SIDES];   /* all calls since the start */
	uint64_t cost_ns[VERIFY_SIDES];
	char site_kind[VERIFY_SIDES][CLAIM_SITE];
	uint32_t probes, errno_probes; /* of both sides; of these, whose results may be -errno */
};

/* What a value of a row had counted. */
struct value_before {
	uint32_t source, probe, pid;
	int64_t value;
	uint64_t count;
};

/* A row of the model (a probe in a process) at its last counters. */
struct row_before {
	struct counts c;
	uint64_t since_ns;             /* the process is known to be probed since then; 0: the row is not there yet */
	bool ended;                    /* its process has */
	uint64_t settled;              /* calls that were open then, and have been taken for unpaired */
};

/* By the row's number. */
struct before {
	struct row_before *row;
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
	uint64_t accepted_ns;          /* its probes are set since then */
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
	struct verdict *mirror;        /* of halves: the other way round. NULL */
	struct claim claim;
	uint32_t *line_item;           /* items of claim.line */
	bool any_line;                 /* claim.line has one entry, for all of them */
	uint32_t n_line_items;
	struct failing *failing;       /* NULL: no failing call was shown */
};

/* ---- arms by time (verify_time.c) ---- */

enum time_state {
	TIME_NOT,
	TIME_WAITING,                  /* for another build, or for the candidate to come back */
	TIME_ASKING, TIME_PROBING,     /* it is there: its lines were asked about, its probes sent */
	TIME_ATTACHED,
};

struct by_time {
	enum time_state state;
	uint64_t since_ns;             /* of ASKING and PROBING */
	char known[1024];              /* builds that are in neither arm: "8f3a...\n..." */
};

/* ---- an A/A run before the arms are compared (verify_aa.c) ---- */

struct aa {
	struct verify *run;            /* of the baseline's halves; NULL: not now */
	enum verify_aa state;
	const char *split, *cause;     /* "process"; why its halves may differ */
	uint64_t began_ns, ns, calls[2];
	char text[4096];               /* what came of it */
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
	char hosts[8192];              /* that the last ps has rows of: "web-1\n..." */
	struct arm arm[VERIFY_SIDES];
	struct by_time time;
	struct aa aa;
	bool halves;                   /* the run of an A/A run: never passes, and finds what is worse in either half */
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
	uint64_t gone_ns;              /* when a process was told to have ended, the first since the last tick; 0 */
	uint64_t ps_before_ns;         /* the ps before the last one; 0: there was none */
	bool ps_open;
	char away[256];                /* a host that was away when the end began; "": none */
	char reason[1200], waiting[300];   /* reason: until somebody looks (verify_view) only that of an end before its time */
	char *remark[VERIFY_REMARKS_MAX];
	uint32_t n_remarks;
	struct verify_view view;
	struct verify_function_view *function_view;
	uint64_t *hits;
};

/* "baseline"; of an A/A run "first half". */
const char *verify_name_of(const struct verify *v, enum verify_side side);

void verify_remark(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* verify.c */
/* The coverage is known: its probes are sent. */
int verify_set_probes(struct verify *v, struct error *err);
/* While it runs: what is known by now, the last counters are asked for. */
void verify_break_off(struct verify *v, const char *reason, uint64_t now_ns);

/* verify_notice.c */
/* Before the probes are set everywhere, a refusal is an error; later it breaks the verification off. */
int verify_take_notice(struct verify *v, struct arm_request *r, const struct frame_in *in, uint64_t now_ns, struct error *err);

/* Only changed lines are no longer counted, because their probes cost too much: the functions go on. */
bool verify_lines_removed(const struct arm_request *r, const char *reason);

/* verify_arms.c */
int verify_ask_ps(struct verify *v, uint64_t now_ns, struct error *err);
int verify_take_ps(struct verify *v, const msgpack_object *payload, struct error *err);
int verify_choose_arms(struct verify *v, uint64_t now_ns, struct error *err);
/* The arm's processes, from what runs: all of one build. */
int verify_fill_arm(struct verify *v, enum verify_side side, uint64_t now_ns, struct error *err);
void verify_running_free(struct verify *v);
/* The host has answered the last ps; "": this one. */
bool verify_host_told(const struct verify *v, const char *host);
int verify_set_build(struct verify_arm_spec *s, const char *build_id, struct error *err);
/* The process belongs to an arm that was given like this. */
bool verify_is_of(const struct verify_arm_spec *arm, const struct running *p);

/* verify_members.c */
void verify_arm_add(struct verify *v, struct arm *a, const struct running *p, uint64_t now_ns);
const struct running *verify_find_running(const struct verify *v, const char *host, uint64_t pid, const char *build_id);
/* The only process of a request has ended. */
void verify_lost_pid(struct arm *a, uint64_t pid, uint64_t now_ns);
/* Looks again who of the arms is there. */
void verify_count_arms(struct verify *v, uint64_t now_ns);
/* The agent of that host is back, and has held on to its probes. */
void verify_back(struct verify *v, enum verify_side side, const char *host);
/* Nothing comes from that host: its connection is gone, or nothing has come yet. "": this one, never. */
bool verify_is_away(const struct verify *v, enum verify_side side, const char *host);
/* So many processes of the arm are on such hosts. */
uint32_t verify_unseen(const struct verify *v, enum verify_side side);
/* One of those hosts; NULL: there is none. */
const char *verify_away(const struct verify *v);
/* The time since the last call, of each process: how much of it was probed. */
void verify_count_time(struct verify *v, uint64_t now_ns);

/* verify_aa.c */
/* One build is all there is: its arm, which is filled, gives both arms of the spec. */
int verify_aa_alone(struct verify *v, struct error *err);
/* The arms and the functions are known: first the baseline's halves. */
int verify_aa_begin(struct verify *v, uint64_t now_ns, struct error *err);
/* While v->aa.run: as verify_frame and verify_timer. */
int verify_aa_frame(struct verify *v, const struct frame_in *in, const char *raw, size_t raw_len, uint64_t now_ns, struct error *err);
int verify_aa_timer(struct verify *v, uint64_t now_ns, struct error *err);

/* verify_aa_seen.c */
/* How many calls the halves have had by now. */
void verify_aa_count(struct verify *v);
/* The halves have been compared for long enough, and neither of them is missing. */
bool verify_aa_has_enough(const struct verify *run);
/* The run is over: what came of it, and the sentences about it. */
void verify_aa_conclude(struct verify *v);
/* While it runs. */
void verify_aa_sentence(const struct verify *v, char *out, size_t size);

/* verify_time.c */
/* "61,200" */
void verify_count_text(uint64_t n, char out[32]);
int verify_time_begin(struct verify *v, uint64_t now_ns, struct error *err);
/* What runs has been looked at: has another build come? */
int verify_time_look(struct verify *v, uint64_t now_ns, struct error *err);
/* The candidate's lines are known. */
int verify_time_lines(struct verify *v, uint64_t now_ns, struct error *err);
/* Its probes may be set by now. */
int verify_time_maybe_attach(struct verify *v, uint64_t now_ns, struct error *err);
/* A question about the candidate was refused. True: it has ended again, and is waited for. */
bool verify_time_refused(struct verify *v, const msgpack_object *payload);
/* Its counters are those of an arm that is watched. */
bool verify_time_counts(const struct verify *v, enum verify_side side);
/* True: it ends without the candidate, as the sentence says; up: the whole time is over. */
bool verify_time_late(const struct verify *v, uint64_t now_ns, bool up, char *out, size_t size);
/* What is waited for; "": nothing. */
void verify_time_sentence(const struct verify *v, char *out, size_t size);

/* verify_probes.c */
const struct verify_arm_spec *verify_arm_spec_of(const struct verify *v, enum verify_side side);
/* The arm is a build, and takes in whoever comes with it. */
bool verify_arm_is_open(const struct verify *v, enum verify_side side);
int verify_ask_lines(struct verify *v, enum verify_side side, struct error *err);
int verify_make_items(struct verify *v, struct error *err);
/* Also of one side's lines alone. */
int verify_make_line_items(struct verify *v, enum verify_side side, struct error *err);
int verify_send_probes(struct verify *v, enum item_group group, struct error *err);
int verify_send_side(struct verify *v, enum verify_side side, enum item_group group, struct error *err);
int verify_send_stop(struct verify *v, const struct arm_request *r, struct error *err);
/* The agent does not take a request: another try without the probe, or the end. */
int verify_refused(struct verify *v, struct arm_request *r, const msgpack_object *payload, struct error *err);
struct arm_request *verify_request(struct verify *v, uint64_t id);
void verify_request_free(struct arm_request *r);

/* verify_ticks.c */
/* NULL: the probe is none of the request's. */
const struct item *verify_item_of(const struct verify *v, const struct arm_request *r, const struct probe *p, uint32_t *index);
int verify_take_probe(struct verify *v, struct arm_request *r, const struct frame_in *in, uint64_t now_ns, struct error *err);
int verify_take_stats(struct verify *v, struct arm_request *r, const struct frame_in *in, uint64_t now_ns, struct error *err);
/* Since when the arm's probes are known to be in a process; 0: they are not. */
uint64_t verify_probed_since(const struct verify *v, enum verify_side side, const char *host, uint64_t pid);
/* The processes that are not there any more: what they had open never returns. */
void verify_note_ended(struct verify *v);
/* The only process of a request has ended. */
void verify_note_gone(struct arm_request *r);
int verify_tick(struct verify *v, uint64_t span_ns, struct error *err);

/* verify_judge.c */
int verify_begin_judging(struct verify *v, struct error *err);
/* By time: the lines that must run are known now, and what cannot be compared after all. */
int verify_begin_candidate(struct verify *v, uint64_t now_ns, struct error *err);
/* Those that the coverage does not compare any more go. -ENOENT with the sentence: none is left. */
int verify_drop_judged(struct verify *v, struct error *err);
/* A changed function cannot be compared after all. Once the arms have been watched, that ends the verification. */
int verify_leave_out(struct verify *v, struct item *it, const char *why, uint64_t now_ns, struct error *err);
void verify_judged_free(struct verify *v);
/* -ENOENT with the sentence: no function can be compared. */
int verify_nothing_compared(const struct verify *v, struct error *err);
/* The item of a function of the coverage; NULL: it has none, or that was dropped. */
const struct item *verify_function_item(const struct verify *v, uint32_t function, enum item_kind kind);
enum verdict_state verify_state(const struct verify *v);

/* verify_meaning.c */
/* A remark for each name that means several functions, once both builds' are known. */
void verify_tell_meanings(struct verify *v);

/* verify_failing.c */
/* A CHUNK: failing calls. */
int verify_take_chunk(struct verify *v, struct arm_request *r, const struct frame_in *in, struct error *err);

/* verify_values.c */
/* A row's list. -EPROTO, -ENOMEM. */
int verify_take_values(struct arm_request *r, uint32_t source, uint32_t probe, uint32_t pid, const msgpack_object *list, struct item *it);
/* At most `errors` of what is pending, as values of `where`; out has room for CLAIM_VALUES. Returns how many. */
uint32_t verify_values_of_tick(struct item *it, enum verify_side side, uint32_t where, uint64_t errors, struct error_value *out);
void verify_values_forget(struct item *it, enum verify_side side);

#endif
