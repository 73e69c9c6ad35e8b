/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that remove breakpoints.  The kernel waits for grace periods there (up to 100 ms for each perf-event
 * uprobe), which the event loop must not.  And that wait for what the next breakpoint would wait for otherwise.
 */
#ifndef PLUMB_REAPER_H
#define PLUMB_REAPER_H

#include <event2/event.h>

#include "loader.h"

struct reaper;

int reaper_new(struct event_base *base, struct reaper **out, struct error *err);
/* Finishes what is queued (done callbacks included), then ends the threads. */
void reaper_free(struct reaper *r);
/* loader_detach(l, all); then done(arg) runs in the loop. l must stay until then. */
int reaper_detach(struct reaper *r, struct loaded *l, bool all, void (*done)(void *arg), void *arg);
/* loader_prime. */
void reaper_prime(struct reaper *r);

#endif
