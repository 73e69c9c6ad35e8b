/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring buffers that all probes of an agent share: one for a few CPUs, so that no CPU waits for another one.
 *
 * The kernel side submits without waking the agent.  While there is traffic the agent polls; when there is none it arms
 * `want_wakeup` and sleeps, and the next event wakes it at once.
 */
#ifndef PLUMB_RING_H
#define PLUMB_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plumb/error.h"
#include "plumb/event.h"

struct rings;   /* owns the maps and their mappings */

/* `bytes`: of each ring, rounded up to a power of two. */
int rings_new(unsigned cpus, uint32_t bytes, struct rings **out, struct error *err);
void rings_free(struct rings *r);

unsigned rings_count(const struct rings *r);          /* a power of two */
uint32_t rings_bytes(const struct rings *r);          /* of one ring */
int rings_map_fd(const struct rings *r);              /* the array of ring buffers */
int rings_state_fd(const struct rings *r);            /* struct ring_shared */
int rings_epoll_fd(const struct rings *r);            /* readable when the kernel woke us, until rings_heard */
/* The wake-ups so far are seen to: to be called before the events are taken. */
void rings_heard(struct rings *r);

/* Events merged over all rings in the order they were finished, oldest first; stops when `max` were taken. The event is
 * valid during the call only. Returns how many there were. */
size_t rings_consume(struct rings *r, void (*take)(const struct event *ev, size_t len, void *arg), void *arg, size_t max);
/* rings_reached: all that was in the rings at rings_mark has been consumed. */
void rings_mark(struct rings *r);
bool rings_reached(const struct rings *r);

/* Asks for a wake-up by the next event. Returns false if there are events already: consume instead of sleeping. */
bool rings_arm(struct rings *r);

#endif
