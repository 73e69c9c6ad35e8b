/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keepers.c: which of them there are; keeper_subject.c: what one has read; keeper.c: one of them, seen from the agent;
 * keeper_child.c: the child.
 */
#ifndef PLUMB_KEEPER_INTERNAL_H
#define PLUMB_KEEPER_INTERNAL_H

#include <sys/queue.h>
#include <sys/stat.h>

#include "buf.h"
#include "keeper.h"

/* In front of each answer. */
struct keeper_head {
	uint64_t len;
	uint8_t stays;                /* 0: it ends after this one. What a hostile child writes is no bool */
};

/* What goes with each question. */
enum keeper_file {
	KEEPER_QUESTION,              /* its bytes, in a memory file */
	KEEPER_ROOT,                  /* of the process */
	KEEPER_FILE,                  /* what it is about */
	KEEPER_EXE,                   /* if that is another one */
	KEEPER_FILES
};

/* All that a child reads files of, and which may have taken it over. Owns the path and the fd. */
struct keeper_subject {
	struct stat file, exe;        /* exe: zeros if there is no process */
	struct statx root;            /* its mask is 0 if the root is not known: it equals none then */
	int root_fd;                  /* O_PATH; -1: not known */
	char *path;                   /* debug files may be beside it */
};

struct keeper {
	LIST_ENTRY(keeper) link;
	struct keepers *all;
	struct keeper_subject subject;
	uint64_t bytes, since_ns;     /* while it waits: resident, since when */
	pid_t pid;
	int fd;
	struct event *readable, *timeout;
	struct buf in;                /* of the answer */
	int again[KEEPER_FILES];      /* what it was asked, if it had been asked before; else -1 */
	void (*done)(const char *data, size_t len, const struct error *failed, void *arg);   /* NULL: it waits */
	void *arg;
};

/* keeper_subject.c. subject_close also after an error. */
int subject_open(const struct resolve_request *rq, struct keeper_subject *out, struct error *err);
void subject_close(struct keeper_subject *s);
bool subject_same(const struct keeper_subject *a, const struct keeper_subject *b);

/* keeper.c. The subject is taken over, after an error too. */
int keeper_start(struct keepers *all, struct event_base *base, const struct keeper_subject *subject, struct keeper **out,
		 struct error *err);
/*
 * -errno: it cannot be asked and should end.  If it dies over a question and has been asked `before`, what it used up by then may
 * be why, and no fault of the file: a new child in its place is asked once.
 */
int keeper_ask(struct keeper *k, const struct resolve_request *rq, bool before);
void keeper_wait(struct keeper *k, unsigned idle_ms);
/* Kills it and forgets it. */
void keeper_end(struct keeper *k);

/* keepers.c: it has answered and waits */
void keepers_idle(struct keepers *ks, struct keeper *k);

/* keeper_child.c: questions from fd, until the other end is closed */
void __attribute__((noreturn)) keeper_serve(int fd);

#endif
