/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that recurse, that end without a return, or that go on in another process. */
#include <pthread.h>
#include <setjmp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exact.h"

static _Thread_local volatile uint64_t sink;

PROBED int descend(unsigned int n, uint64_t i)
{
	int below = 0;

	sink = i;
	if (n > 1)
		below = descend(n - 1, i);
	sink = below;   /* not a tail call */
	return below + 1;
}

PROBED int pong(unsigned int n)
{
	int rest = n ? ping(n - 1) : 0;

	sink = rest;
	return rest + 1;
}

PROBED int ping(unsigned int n)
{
	int rest = n ? pong(n - 1) : 0;

	sink = rest;
	return rest + 1;
}

/* ---- longjmp ---- */

static _Thread_local jmp_buf landing;

PROBED int leap_inner(uint64_t i)
{
	sink = i;
	if (i % 2)
		longjmp(landing, 1);
	return 1;
}

PROBED int leap_outer(uint64_t i)
{
	int rc = leap_inner(i);

	sink = rc;
	return rc + 1;
}

PROBED int guarded(uint64_t i)
{
	if (setjmp(landing))
		return 100;
	return leap_outer(i) + 1;
}

/* ---- a thread that ends, a process that forks inside a call ---- */

PROBED int vanish(uint64_t i)
{
	sink = i;
	if (i % 2)
		pthread_exit(NULL);
	return 1;
}

PROBED int fork_exits(uint64_t i)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(i & 0x7f);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

PROBED int fork_returns(uint64_t i, pid_t *child)
{
	sink = i;
	*child = fork();
	return *child ? 1 : 2;
}

/* Through a pointer that the compiler cannot see through: otherwise it would make a loop of it, without calls. */
static uint64_t (*volatile tail_target)(uint64_t n, uint64_t sum) = tail_sum;

PROBED uint64_t tail_sum(uint64_t n, uint64_t sum)
{
	if (n == 0)
		return sum;
	return tail_target(n - 1, sum + n);
}
