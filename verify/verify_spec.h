/* SPDX-License-Identifier: Apache-2.0 */
/* What the user asks plumb verify: from options, from claim.yaml (claimfile.h), or both. Nothing has been looked up yet. */
#ifndef PLUMB_VERIFY_SPEC_H
#define PLUMB_VERIFY_SPEC_H

#include <stddef.h>

#include "claim.h"

enum verify_target { VERIFY_TARGET_NONE, VERIFY_TARGET_PID, VERIFY_TARGET_NAME, VERIFY_TARGET_PATH };
enum verify_arm_by { VERIFY_ARM_NONE, VERIFY_ARM_BUILD, VERIFY_ARM_PID, VERIFY_ARM_HOST };
enum verify_lines { VERIFY_LINES_ALL, VERIFY_LINES_ANY, VERIFY_LINES_NONE };

enum {
	VERIFY_TEXT_MAX = 4096,        /* bytes of an expression */
	VERIFY_ARM_PIDS = 64,
	VERIFY_BUILD_DIGITS = 6,       /* hex digits that a build-id is given with, at least */
	VERIFY_FUNCTIONS_MAX = 16,     /* probed per arm */
	VERIFY_LINES_MAX = 64,
};

struct verify_arm_spec {
	enum verify_arm_by by;
	char *text;                    /* "8f3a21", "812,813", "web-1,web-2" */
	char *build;                   /* of hosts: whoever runs this build there; NULL: all */
};

/* Owns all its texts. verify_spec_init, then the setters; verify_spec_free also after an error. */
struct verify_spec {
	enum verify_target target;
	char *target_text;             /* name or path */
	uint64_t pid;
	char *patch;                   /* a unified diff; NULL: none */
	size_t patch_len;
	char *patch_file;              /* where the patch is, as the claim's file says; for whoever reads files */
	int strip;                     /* patch -p, or PATCH_STRIP_AUTO */
	struct verify_arm_spec baseline, candidate;
	char *arm_by;                  /* a condition: it holds on the candidate */
	bool aa;                       /* one build as both arms: alone, or the baseline's before both arms are compared */
	bool by_time;                  /* first the baseline's build, then, after a restart, the candidate's */
	char *function, *trigger, *error;
	char *watched, *watched_per;   /* GUARD_CALLS */
	enum verify_lines lines;
	bool guards_given;             /* else the defaults */
	uint64_t budget_ppm;           /* of one core; 0: the agent's default */
	bool unwind_ok;
	struct claim claim;            /* expect, factor, guards, alpha, limits, deadline; names are filled in later */
};

void verify_spec_init(struct verify_spec *s);
void verify_spec_free(struct verify_spec *s);
/* What is asked about an arm by itself: without the patch. On failure (-ENOMEM) *to is still to be freed. */
int verify_spec_copy(struct verify_spec *to, const struct verify_spec *s, struct error *err);

/* Setters of single values; texts are copied. -EINVAL, -ENOMEM with err. */
int verify_spec_text(char **to, const char *text, const char *what, struct error *err);
/* "build:8f3a21", "pid:812,813", "host:web-1,web-2" */
int verify_spec_arm(struct verify_arm_spec *arm, const char *text, struct error *err);
/* "gone", "none", "error_rate < 0.5 x baseline" */
int verify_spec_expect(struct verify_spec *s, const char *text, struct error *err);
/* "error_rate < +25 %", "latency p99 < +10 %", "no new error values", "calls of f per g > -20 %" */
int verify_spec_guard(struct verify_spec *s, const char *text, struct error *err);
/* "all", "any", "none" */
int verify_spec_lines(struct verify_spec *s, const char *text, struct error *err);
/* Whether it makes sense as a whole; fills in the default guards. */
int verify_spec_finish(struct verify_spec *s, struct error *err);
/* There are two arms to compare, and an A/A run comes before. */
bool verify_spec_aa_first(const struct verify_spec *s);

#endif
