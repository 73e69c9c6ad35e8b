/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uselib: calls shared_sum of libshared.so.
 *   uselib [--calls N] [--dlopen PATH]       default: 100 calls
 * As exact: prints "ready PID", waits for a line, makes the calls, prints
 *   {"calls":N,"errors":E,"ok":true}
 * waits for another line and exits.  With --dlopen the library at PATH is loaded after the first line; without it
 * libshared.so is a dependency of the program.  Call number i = 0 .. N-1 is
 *   shared_sum({left=i, right=2*i, name="pair"}, factor=i%5) = 3*i*(i%5), or -22 where i%5 is 0.
 * A thousand calls or so a second.
 */
#include <dlfcn.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "libshared.h"

typedef int sum_function(const struct shared_pair *pair, int factor);

static void wait_for_line(void)
{
	char c;

	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
}

static sum_function *load(const char *path)
{
	void *library = dlopen(path, RTLD_NOW), *symbol = library ? dlsym(library, "shared_sum") : NULL;

	if (!symbol)
		fprintf(stderr, "uselib: %s\n", dlerror());
	return (sum_function *)symbol;
}

/* Counts the calls that did not return what they must. */
static int call(sum_function *sum, int n, int *errors)
{
	const struct timespec pause_time = { .tv_nsec = 1000000 };
	int wrong = 0, i;

	for (i = 0; i < n; i++) {
		struct shared_pair pair = { i, 2 * i, "pair" };
		int factor = i % 5, rc = sum(&pair, factor);

		*errors += rc < 0;
		wrong += rc != (factor ? 3 * i * factor : -22);
		nanosleep(&pause_time, NULL);
	}
	return wrong;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "calls", 1, NULL, 'n' }, { "dlopen", 1, NULL, 'd' }, { 0 } };
	const char *library = NULL;
	int calls = 100, errors = 0, wrong, opt;
	sum_function *sum;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt == 'n') {
			calls = atoi(optarg);
		} else if (opt == 'd') {
			library = optarg;
		} else {
			fprintf(stderr, "usage: uselib [--calls N] [--dlopen PATH]\n");
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ready %d\n", (int)getpid());
	wait_for_line();
#ifdef USELIB_LATE
	sum = load(library ? library : "libshared.so");
#else
	sum = library ? load(library) : shared_sum;
#endif
	if (!sum)
		return 3;
	wrong = call(sum, calls, &errors);
	printf("{\"calls\":%d,\"errors\":%d,\"ok\":%s}\n", calls, errors, wrong ? "false" : "true");
	wait_for_line();
	return wrong ? 1 : 0;
}
