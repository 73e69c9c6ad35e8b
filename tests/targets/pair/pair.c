/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair: a service that is built with and without each of its fixes, whose changes are of the kinds that take a comparison's footing
 * away.  Says "ready", works about a thousand times a second, and ends by itself after some minutes.
 *
 *   fixes/renamed.diff   a function gets another name
 *   fixes/unused.diff    a parameter is not needed any more: the compiler leaves it out
 *   fixes/hot.diff       the changed lines are in a loop that runs very often
 *   fixes/crash.diff     one of 1,500 calls kills the process
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

enum { VALUES = 2000, SECONDS = 300 };

struct stock { int left, asked; };

static int values[VALUES];
static volatile long sink;
static volatile int count;   /* what the compiler cannot know */

/* Of every tenth order. */
static NOINLINE int settle_order(int i)
{
	sink += i;
	if (i % 10 == 0)
		return -EINVAL;
	return 0;
}

static NOINLINE int reserve(struct stock *s, int n, int mode)
{
	s->asked += n;
	if (mode == 2 && n > s->left)
		return -ENOSPC;
	s->left = n > s->left ? 0 : s->left - n;
	return 0;
}

static NOINLINE long sum_up(const int *v, int n)
{
	long sum = 0;

	for (int i = 0; i < n; i++) {
		__asm__ volatile("" : "+r"(sum));   /* one by one */
		sum += v[i];
	}
	return sum;
}

static NOINLINE int work(int i)
{
	struct stock s = { .left = 5 + i % 2 };
	int settled = settle_order(i), reserved = reserve(&s, i % 8, i % 3);

	sink += sum_up(values, VALUES) + s.asked;
	return settled ? settled : reserved;
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 900000 };

	alarm(SECONDS);
	for (int i = 0; i < VALUES; i++)
		values[i] = i;
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	for (;;) {
		sink += work(count);
		count = count + 1;
		nanosleep(&pause, NULL);
	}
}
