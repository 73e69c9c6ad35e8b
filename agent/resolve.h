/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request text + ELF file -> resolved probes.  Runs in a worker (worker.h): it reads hostile files.
 *
 *   text --spec_parse--> spec --debuginfo_find / image_find--> function --plan_build--> plan + layout
 *        --site_choose--> site
 */
#ifndef PLUMB_RESOLVE_H
#define PLUMB_RESOLVE_H

#include <sys/stat.h>

#include "cache.h"
#include "calibrate.h"
#include "plan.h"

enum { PROBES_MAX = 64 };       /* probe texts of one request */

/*
 * What one request has opened and read of a file, for the next one about it: symbols, the debug information with the units
 * that were indexed and the types that were built.  It is used only if the file, its debug file and that one's alternate
 * file are those that would be opened now, unchanged.  Owns them; starts as zeros.
 */
struct resolve_kept {
	struct image *img, *exe;
	struct debuginfo *di;        /* of img */
	struct stat st, exe_st;      /* before they were read */
};
void kept_free(struct resolve_kept *k);

/* Borrows everything. */
struct resolve_request {
	int fd;                      /* the file that is mapped */
	int exe_fd;                  /* the process's executable; the same as fd, or -1 if there is no process */
	const char *path;            /* for messages */
	const char *root;            /* where its debug files may be: "/proc/PID/root" or "" */
	const char *root_shown;      /* what messages call it; NULL: as it is */
	struct cache_place cache;    /* of inflated debug information */
	const char *const *probes;   /* texts */
	const uint32_t *index;       /* which of them to resolve here */
	uint32_t n_index;
	const char *error_expr;      /* NULL: default */
	bool errors_only, ship, force_call;
	bool explain;                /* which of the two below is wanted; they do not look at it */
	uint64_t show_errors;        /* bit n: failing calls of text n are shipped, if that needs no dearer instruction */
	bool unwind_ok;              /* the user knows that no exception passes through the functions */
	struct capture_limits limits;
	struct site_costs costs;     /* explain: expected ns per hit */
	const char *method[2];       /* explain: how an entry, a call would be attached */
	const char *builds;          /* explain: which build it is, where the target runs several; NULL, "": one */
	struct resolve_kept *kept;   /* NULL: nothing is kept */
};

/* What a worker answers: either an error or resolved probes. */
struct resolve_answer {
	struct error err;            /* code 0: none */
	uint32_t probe_index;        /* which text the error's position is in; UINT32_MAX: the --error expression */
	struct resolved *resolved;
	size_t n_resolved;
};

/* Worker bodies: arg is a struct resolve_request. */
void resolve_work(struct buf *out, void *arg);
void explain_work(struct buf *out, void *arg);    /* text, or an error, in the same form */

/* A request as bytes, for a process that does not share this one's memory. Its files go another way. */
void resolve_question_write(const struct resolve_request *rq, struct buf *out);
struct resolve_question {        /* borrows the bytes that it was read from */
	struct resolve_request request;
	const char *probe[PROBES_MAX];
	uint32_t index[PROBES_MAX];
};
/* fd: the file, and the executable (used if it is another file). -EPROTO: not what resolve_question_write writes. */
int resolve_question_read(const char *data, size_t len, const int fd[2], struct resolve_question *q);

/* Reads a worker's answer; resolve_answer_free afterwards. `text`: explain's text (malloc'ed), may be NULL. */
int resolve_answer_read(const char *data, size_t len, struct resolve_answer *out, char **text);
void resolve_answer_free(struct resolve_answer *a);

#endif
