/* SPDX-License-Identifier: Apache-2.0 */
/* keepers.c: which of them there are; keeper.c: one of them, seen from the agent; keeper_child.c: the child. */
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

/* With each question go its bytes, in a memory file, the file that it is about, and the executable if that is another one. */
enum { KEEPER_FILES = 3 };

struct keeper {
	LIST_ENTRY(keeper) link;
	struct keepers *all;
	struct stat file;             /* what it has read */
	uint64_t bytes, since_ns;     /* while it waits: resident, since when */
	pid_t pid;
	int fd;
	struct event *readable, *timeout;
	struct buf in;                /* of the answer */
	void (*done)(const char *data, size_t len, const struct error *failed, void *arg);   /* NULL: it waits */
	void *arg;
};

/* keeper.c */
int keeper_start(struct keepers *all, struct event_base *base, struct keeper **out, struct error *err);
/* -errno: it cannot be asked and should end. */
int keeper_ask(struct keeper *k, const struct resolve_request *rq);
void keeper_wait(struct keeper *k, unsigned idle_ms);
/* Kills it and forgets it. */
void keeper_end(struct keeper *k);

/* keepers.c: it has answered and waits */
void keepers_idle(struct keepers *ks, struct keeper *k);

/* keeper_child.c: questions from fd, until the other end is closed */
void __attribute__((noreturn)) keeper_serve(int fd);

#endif
