/* SPDX-License-Identifier: Apache-2.0 */
/*
 * busy: calls work(i) and malloc/free as fast as it can, and checks all that comes back.
 *   busy [--threads N]                       default: 2
 * Prints "ready PID"; at SIGTERM or SIGINT "ok loops=N" and exits 0, or "wrong loops=N wrong=M" and exits 1.
 * One loop is 16 calls of work and one malloc and free.
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probed.h"

enum { THREADS_MAX = 64, WORK_PER_LOOP = 16, BLOCK_MAX = 512 };

struct runner {
	pthread_t thread;
	unsigned int number;
	uint64_t loops, wrong;
};

static atomic_bool stopping;

PROBED uint64_t work(uint64_t i);

PROBED uint64_t work(uint64_t i)
{
	return i * 2654435761u + (i >> 7);
}

static uint64_t work_wrong(uint64_t i)
{
	uint64_t wrong = 0, k;

	for (k = i; k < i + WORK_PER_LOOP; k++)
		wrong += work(k) != k * 2654435761u + (k >> 7);
	return wrong;
}

static uint64_t block_wrong(uint64_t i)
{
	size_t size = 1 + i % BLOCK_MAX;
	unsigned char *block = malloc(size);
	uint64_t wrong;

	if (!block)
		return 1;
	memset(block, i & 0xff, size);
	__asm__ volatile("" : : "r"(block) : "memory");   /* else the compiler sees that nobody needs the block */
	wrong = block[0] != (i & 0xff) || block[size - 1] != (i & 0xff);
	free(block);
	return wrong;
}

static void *run(void *arg)
{
	struct runner *r = arg;
	uint64_t i = (uint64_t)r->number << 40;

	while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
		r->wrong += work_wrong(i) + block_wrong(i);
		r->loops++;
		i += WORK_PER_LOOP;
	}
	return NULL;
}

static unsigned int parse_threads(int argc, char **argv)
{
	static const struct option longs[] = { { "threads", 1, NULL, 't' }, { 0 } };
	unsigned int threads = 2;
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt != 't')
			return 0;
		threads = atoi(optarg);
	}
	return optind == argc && threads <= THREADS_MAX ? threads : 0;
}

int main(int argc, char **argv)
{
	static struct runner runners[THREADS_MAX];
	unsigned int threads = parse_threads(argc, argv), i;
	uint64_t loops = 0, wrong = 0;
	sigset_t stop;
	int sig;

	if (!threads) {
		fprintf(stderr, "usage: busy [--threads N]\n");
		return 2;
	}
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	for (i = 0; i < threads; i++) {
		runners[i].number = i;
		if (pthread_create(&runners[i].thread, NULL, run, &runners[i]))
			return 3;
	}
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	sigwait(&stop, &sig);
	stopping = true;
	for (i = 0; i < threads; i++) {
		pthread_join(runners[i].thread, NULL);
		loops += runners[i].loops;
		wrong += runners[i].wrong;
	}
	if (wrong)
		printf("wrong loops=%llu wrong=%llu\n", (unsigned long long)loops, (unsigned long long)wrong);
	else
		printf("ok loops=%llu\n", (unsigned long long)loops);
	return wrong ? 1 : 0;
}
