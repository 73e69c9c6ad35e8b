/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who sets a breakpoint takes a lock of the kernel (dup_mmap_sem) whose first writer waits for an RCU grace period, 5 to 20 ms.
 * Writers that come soon after it do not: until the next grace period has passed, readers go the slow way.
 * So a uprobe is registered and removed again while the loop has other work to do for the real one: finding the
 * function, loading the program.  It is in a file in memory that nobody maps: no breakpoint is set, no process is touched.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "feature.h"
#include "loader.h"
#include "multi.h"
#include "trial.h"

enum { FILE_BYTES = 4096 };

static struct { int prog; char path[40]; } prime = { .prog = -1 };

/* Kept as long as the agent runs. */
static void prime_once(void)
{
	int file = feature_has(FEATURE_MULTI) ? memfd_create("plumb-prime", MFD_CLOEXEC) : -1;

	snprintf(prime.path, sizeof(prime.path), "/proc/self/fd/%d", file);
	if (file >= 0 && ftruncate(file, FILE_BYTES) == 0)
		prime.prog = trial_load(TRIAL_EMPTY, ATTACH_UPROBE_MULTI, 0, -1, -1);
}

void loader_prime(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const uint64_t offset = 0;
	int link;

	pthread_once(&once, prime_once);
	link = prime.prog >= 0 ? multi_link_create(prime.prog, false, false, prime.path, &offset, NULL, 1, 0) : -1;
	if (link >= 0)
		close(link);
}
