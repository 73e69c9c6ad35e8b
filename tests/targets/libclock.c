/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LD_PRELOAD: the wall clock of one process is CLOCK_SHIFT_S seconds ahead of everybody else's, as on another host.  Clocks that
 * only count on (CLOCK_MONOTONIC) are as they are, which is what a wrong clock on a host looks like.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *ts)
{
	const char *shift = getenv("CLOCK_SHIFT_S");
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (!rc && id == CLOCK_REALTIME && shift)
		ts->tv_sec += atol(shift);
	return rc;
}
