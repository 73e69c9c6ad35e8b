/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wall clock is set, by hand or by NTP: what was to happen in ten minutes still is, and nothing is too old at once.  Times are
 * nanoseconds; `wall` is CLOCK_REALTIME, `boot` CLOCK_BOOTTIME, which is never set and goes on while the machine is suspended:
 * a machine that slept is not one whose clock was set.
 */
#ifndef PLUMB_CLOCK_H
#define PLUMB_CLOCK_H

#include <stdint.h>

struct clock_watch {
	int64_t apart_ns;            /* wall - boot, when it was looked at last; 0: never */
	int64_t ahead_ns;            /* how far the wall clock was set forward ... */
	uint64_t believed_ns;        /* ... which is believed from this boot on */
};

/* How far the wall clock was set since the last look; 0: it was not, or by so little that nobody minds. */
int64_t clock_jump(struct clock_watch *w, uint64_t wall_ns, uint64_t boot_ns);
/* The time by which things are too old: a clock that was set forward is believed a day later only. */
uint64_t clock_for_age(const struct clock_watch *w, uint64_t wall_ns, uint64_t boot_ns);

#endif
