/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many: a thousand small functions of four kinds, called a known number of times by several threads.
 *   many [--threads N] [--rounds N] [--flat-out] [--pause MS] [--hot]
 * step_NNN is called 1 + (7 NNN) % 20 times in each round of each thread, but those that end in 9 never.  Every fifth call of one
 * fails: an int is negative, a pointer NULL; unsigned and void functions cannot.
 * Prints "ready PID"; a line on stdin starts the calls, then it prints {"calls": ..., "errors": ..., "functions": {name: [calls,
 * errors], ...}}; the next line ends it.  --flat-out: round after round, with a pause (20 ms), until SIGTERM, then it prints that and ends.
 * --hot: one more thread calls step_500 as fast as it can until the others are done; its calls are in no count.
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "probed.h"

enum { FUNCTIONS = 1000, THREADS_MAX = 32, EVERY_FIFTH = 5, HOT = 500 };

#define INT(n) PROBED int step_##n(unsigned call); PROBED int step_##n(unsigned call) { return call % EVERY_FIFTH ? (int)call : -1 - (int)call; }
#define UINT(n) PROBED unsigned step_##n(unsigned call); PROBED unsigned step_##n(unsigned call) { return call - 3; }
#define PTR(n) PROBED char *step_##n(unsigned call); \
	PROBED char *step_##n(unsigned call) { static char at[64]; return call % EVERY_FIFTH ? at + call % 64 : NULL; }
#define NONE(n) PROBED void step_##n(unsigned call); PROBED void step_##n(unsigned call) { __asm__ volatile("" : : "r"(call) : "memory"); }

#define EIGHT(n) INT(n##0) UINT(n##1) PTR(n##2) NONE(n##3) INT(n##4) UINT(n##5) PTR(n##6) NONE(n##7) INT(n##8) UINT(n##9)
#define HUNDRED(n) EIGHT(n##0) EIGHT(n##1) EIGHT(n##2) EIGHT(n##3) EIGHT(n##4) EIGHT(n##5) EIGHT(n##6) EIGHT(n##7) EIGHT(n##8) EIGHT(n##9)
HUNDRED(0) HUNDRED(1) HUNDRED(2) HUNDRED(3) HUNDRED(4) HUNDRED(5) HUNDRED(6) HUNDRED(7) HUNDRED(8) HUNDRED(9)

/* A second name of a function: what is called by either is one. */
int step_alias(unsigned call) __attribute__((alias("step_000")));

/* Two functions of a pattern that call each other, and one that jumps into the other. */
PROBED int nest_inner(int n);
PROBED int nest_outer(int n);
PROBED int nest_jump(int n);

PROBED int nest_inner(int n)
{
	__asm__ volatile("" : "+r"(n));
	return n > 0 ? nest_outer(n - 1) + 1 : -1;
}

PROBED int nest_outer(int n)
{
	int below = nest_inner(n);

	__asm__ volatile("" : "+r"(below));
	return below + 1;
}

PROBED int nest_jump(int n)
{
	__asm__ volatile("" : "+r"(n));
	return nest_inner(n);
}

typedef void step_fn(unsigned call);
#define NAME(n) (step_fn *)(void *)step_##n,
#define TEN_NAMES(n) NAME(n##0) NAME(n##1) NAME(n##2) NAME(n##3) NAME(n##4) NAME(n##5) NAME(n##6) NAME(n##7) NAME(n##8) NAME(n##9)
#define NAMES(n) TEN_NAMES(n##0) TEN_NAMES(n##1) TEN_NAMES(n##2) TEN_NAMES(n##3) TEN_NAMES(n##4) TEN_NAMES(n##5) TEN_NAMES(n##6) \
	TEN_NAMES(n##7) TEN_NAMES(n##8) TEN_NAMES(n##9)
static step_fn *const steps[FUNCTIONS] = { NAMES(0) NAMES(1) NAMES(2) NAMES(3) NAMES(4) NAMES(5) NAMES(6) NAMES(7) NAMES(8) NAMES(9) };

static unsigned rounds = 1, threads = 4, pause_ms = 20;
static bool flat_out, hot;
static atomic_bool stopping, done;
static atomic_ulong all_rounds;

static void *run_hot(void *arg)
{
	for (unsigned i = 0; !atomic_load(&done); i++)
		steps[HOT](i);
	return NULL;
}

static unsigned calls_in_round(unsigned f)
{
	return f % 10 == 9 ? 0 : 1 + 7 * f % 20;
}

static bool can_fail(unsigned f)
{
	static const bool kinds[10] = { [0] = true, [2] = true, [4] = true, [6] = true, [8] = true };

	return kinds[f % 10];
}

static void *run(void *arg)
{
	for (unsigned r = 0; flat_out ? !atomic_load(&stopping) : r < rounds; r++) {
		atomic_fetch_add(&all_rounds, 1);
		for (unsigned f = 0; f < FUNCTIONS; f++)
			for (unsigned call = 0; call < calls_in_round(f); call++)
				steps[f](call);
		nest_outer(5);
		nest_jump(3);
		if (flat_out)
			usleep(pause_ms * 1000);
	}
	return NULL;
}

static void print_truth(void)
{
	unsigned long all = 0, failed = 0, times = atomic_load(&all_rounds);

	printf("{\"functions\":{");
	for (unsigned f = 0; f < FUNCTIONS; f++) {
		unsigned long calls = times * calls_in_round(f), errors = 0;

		if (can_fail(f))
			errors = times * ((calls_in_round(f) + EVERY_FIFTH - 1) / EVERY_FIFTH);
		printf("\"step_%03u\":[%lu,%lu],", f, calls, errors);
		all += calls;
		failed += errors;
	}
	/* nest_outer(5) is 6 calls of each, of which none returns less than 0 but the innermost; nest_jump(3) 4 and 3. */
	printf("\"nest_outer\":[%lu,%lu],\"nest_inner\":[%lu,%lu],\"nest_jump\":[%lu,0]}", 9 * times, 0UL, 10 * times, 2 * times, times);
	printf(",\"calls\":%lu,\"errors\":%lu}\n", all, failed);
	fflush(stdout);
}

static void stop(int sig)
{
	atomic_store(&stopping, true);
}

static void wait_line(void)
{
	int c;

	while ((c = getchar()) != '\n' && c != EOF)
		;
}

static void options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "threads", required_argument, NULL, 't' }, { "rounds", required_argument, NULL, 'r' }, { "flat-out", no_argument, NULL, 'f' },
		{ "pause", required_argument, NULL, 'p' }, { "hot", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt == 't')
			threads = (unsigned)atoi(optarg);
		else if (opt == 'r')
			rounds = (unsigned)atoi(optarg);
		else if (opt == 'p')
			pause_ms = (unsigned)atoi(optarg);
		else if (opt == 'f')
			flat_out = true;
		else if (opt == 'h')
			hot = true;
		else
			exit(2);
	}
	if (!threads || threads > THREADS_MAX)
		exit(2);
}

int main(int argc, char **argv)
{
	pthread_t id[THREADS_MAX], hot_id;

	options(argc, argv);
	signal(SIGTERM, stop);
	printf("ready %d\n", getpid());
	fflush(stdout);
	wait_line();
	if (hot && pthread_create(&hot_id, NULL, run_hot, NULL))
		return 1;
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&id[i], NULL, run, NULL))
			return 1;
	for (unsigned i = 0; i < threads; i++)
		pthread_join(id[i], NULL);
	atomic_store(&done, true);
	if (hot)
		pthread_join(hot_id, NULL);
	print_truth();
	if (!flat_out)
		wait_line();
	return 0;
}
