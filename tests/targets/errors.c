/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that fail with a known number of each value.  Says "ready", waits for a line on stdin, makes them in some threads, prints
 * how often each value came, waits for another line, ends.   errors [THREADS]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MAX = 8, ROUNDS = 2000, MANY = 200 };

static int rounds;

__attribute__((noipa)) static int fails(int n)
{
	__asm__ volatile("" ::: "memory");
	return n % 4 == 0 ? -22 : n % 10 == 1 ? -5 : n % 50 == 3 ? -71 : n;
}

__attribute__((noipa)) static short fails_short(int n)
{
	__asm__ volatile("" ::: "memory");
	return (short)(n % 2 ? -n : n);   /* -1 .. -199: more than are kept */
}

__attribute__((noipa)) static void *fails_pointer(int n)
{
	__asm__ volatile("" ::: "memory");
	return n % 3 ? &rounds : NULL;
}

static void *run(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		fails(i);
		fails_pointer(i);
	}
	for (int i = 0; i < MANY; i++)
		fails_short(i);
	return NULL;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1;
	pthread_t thread[THREADS_MAX];
	char line[16];

	n = n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
	printf("ready %s\n", argv[0]);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 0;
	for (int i = 0; i < n; i++)
		if (pthread_create(&thread[i], NULL, run, NULL))
			return 1;
	for (int i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	printf("{\"threads\":%d,\"rounds\":%d,\"many\":%d}\n", n, ROUNDS, MANY);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) ? 0 : 0;
}
