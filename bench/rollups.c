/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store with the counters of 100 million calls: 3 hosts x 2 builds x 4 functions over some days, a STATS row a minute, and a
 * row a second in the last quarter of an hour.
 *   rollups DIR [million calls] [days]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector_internal.h"
#include "hist.h"
#include "store.h"

enum { HOSTS = 3, BUILDS = 2, FUNCTIONS = 4, SERIES = HOSTS * BUILDS * FUNCTIONS, FINE_SECONDS = 900, DAY_SECONDS = 86400, ROWS_PER_COMMIT = 20000 };

static struct error err;

static void check(int rc, const char *what)
{
	if (!rc)
		return;
	fprintf(stderr, "rollups: %s: %s\n", what, err.text);
	exit(1);
}

/* One probe of each function, build and host. */
static void make_probes(struct store *s, int64_t probe[SERIES], uint64_t now)
{
	static const char *const functions[FUNCTIONS] = { "parse_order", "price", "store_order", "notify" };
	int n = 0;

	for (int h = 0; h < HOSTS; h++) {
		struct store_request r = { .verb = "trace", .target = "-s orderd", .service = "orderd", .probes_json = "[]", .who = "bench",
					   .opened_ns = now, .expires_ns = now };
		struct store_agent a;
		char uid[33], host[8];

		snprintf(uid, sizeof(uid), "%032x", h + 1);
		snprintf(host, sizeof(host), "web-%d", h + 1);
		check(store_agent(s, uid, host, "plumbd", now, &a, &err), "agent");
		check(store_request_open(s, &r, &err), "request");
		for (int b = 0; b < BUILDS; b++) {
			for (int f = 0; f < FUNCTIONS; f++) {
				struct store_probe p = {
					.request = r.id, .agent = a.id, .run = 1, .number = (uint32_t)(1 + b * FUNCTIONS + f), .spec = functions[f],
					.function = functions[f], .module = "orderd", .build_id = b ? "8f3a21" : "0c55de", .file = "order.c",
					.site_kind = "push", .frame = "", .frame_len = 0,
				};

				check(store_probe(s, &p, now, &probe[n++], &err), "probe");
			}
		}
	}
}

/* `calls` more, around 50 us, one in a hundred ten times as long. */
static void add_calls(struct store_counts *c, uint64_t calls)
{
	c->c.calls += calls;
	c->c.returns += calls;
	c->c.matched += calls;
	c->c.shipped += calls;
	c->c.errors += calls / 50;
	for (uint64_t i = 0; i < 20; i++) {
		uint64_t ns = 20000 + 3000 * i;

		c->c.hist[hist_bucket(ns)] += calls / 20;
		c->c.sum_ns += ns * (calls / 20);
	}
	c->c.hist[hist_bucket(500000)] += calls - calls / 20 * 20;
}

int main(int argc, char **argv)
{
	uint64_t total = (argc > 2 ? strtoull(argv[2], NULL, 10) : 100) * 1000000, days = argc > 3 ? strtoull(argv[3], NULL, 10) : 3;
	uint64_t now = wall_ns(), end_s = now / 1000000000, seconds = days * DAY_SECONDS, steps = (seconds - FINE_SECONDS) / 60 + FINE_SECONDS;
	static struct store_counts counts[SERIES];
	struct store_options opt = { 0 };
	struct store *s = NULL;
	int64_t probe[SERIES];
	uint64_t rows = 0, given = 0;
	char path[4096];

	if (argc < 2 || !days || !total) {
		fputs("usage: rollups DIR [million calls] [days]\n", stderr);
		return 2;
	}
	snprintf(path, sizeof(path), "%s/plumb.db", argv[1]);
	opt.path = path;
	check(store_open(&opt, &s, &err), "store");
	make_probes(s, probe, now);
	for (uint64_t step = 0, at = end_s - seconds; step < steps; step++) {
		bool fine = end_s - at <= FINE_SECONDS;
		uint64_t until = (total + SERIES - 1) / SERIES * (step + 1) / steps;

		for (int i = 0; i < SERIES; i++) {
			add_calls(&counts[i], until - given);
			check(store_stats(s, probe[i], 77, at * 1000000000ULL, &counts[i], &err), "counters");
			if (++rows % ROWS_PER_COMMIT == 0)
				check(store_commit(s, &err), "commit");
		}
		given = until;
		at += fine ? 1 : 60;
	}
	check(store_commit(s, &err), "commit");
	printf("{\"calls\": %lu, \"rows\": %lu}\n", (unsigned long)(given * SERIES), (unsigned long)rows);
	store_close(s);
	return 0;
}
