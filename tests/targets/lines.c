/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines that run a known number of times.  Says "ready", waits for a line on stdin, makes its calls, prints how often each of
 * its marked lines ran, waits for another line, ends.   lines [--calls N]
 *
 * A marked line is one that has LINE in it.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"

#ifndef VERSION
#define VERSION 1
#endif

uint64_t ran[LINES_MAX];

struct item { int id; const char *name; };

/* A different program in each version, and a different build-id. */
__attribute__((noinline)) static int version(void)
{
	return VERSION;
}

__attribute__((noinline)) static int checked(const struct item *item, int quantity)
{
	int total = 0, step = quantity % 4;

	note(LINE, item->id);
	for (int i = 0; i < step; i++) {
		int price = item->id * 10 + i;

		note(LINE, price);
		total += price;
	}
	if (quantity % 5 == 0) {
		note(LINE, total);
		return -22;
	}
	if (quantity % 7 == 0)
		return note(LINE, -5);
	total += twice(quantity);
	note(LINE, total);
	total -= twice(total);
	return total < 0 ? version() : total;
}

int main(int argc, char **argv)
{
	int calls = argc == 3 && !strcmp(argv[1], "--calls") ? atoi(argv[2]) : 100;
	int64_t sum = 0;
	char line[16];

	printf("ready %s\n", argv[0]);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 0;
	for (int i = 0; i < calls; i++)
		sum += checked(&(struct item){ i % 10, "thing" }, i);
	printf("{\"calls\":%d,\"sum\":%" PRId64 ",\"version\":%d,\"lines\":{", calls, sum, version());
	for (int i = 0, n = 0; i < LINES_MAX; i++)
		if (ran[i])
			printf("%s\"%d\":%" PRIu64, n++ ? "," : "", i, ran[i]);
	printf("}}\n");
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) ? 0 : 0;
}
