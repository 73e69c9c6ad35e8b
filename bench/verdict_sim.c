/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict_sim RUNS [SEED]: simulates what plumb verify decides, as one JSON object:
 *   bare: false alarms of each test on identical arms     null: wrong verdicts     real: right ones, and the calls they took
 */
#include <inttypes.h>
#include <stdio.h>

#include "verdict_scenarios.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void bare(unsigned runs, uint64_t seed)
{
	static const struct { double share, rate; unsigned ticks, together; } at[] = {
		{ 1, 0.02, 300, 1 }, { 0.1, 0.05, 300, 1 }, { 0.01, 0.05, 300, 1 }, { 1, 0.4, 100, 1 }, { 1, 0.02, 300, 5 },
	};
	struct random rnd = { seed };

	printf("\"bare\": [");
	for (size_t i = 0; i < COUNT(at); i++) {
		unsigned found[BARE_TESTS] = { 0 };

		bare_null(&rnd, runs, at[i].ticks, at[i].share, at[i].rate, at[i].together, true, found);
		printf("%s{\"share\": %g, \"rate\": %g, \"ticks\": %u, \"together\": %u", i ? ", " : "", at[i].share, at[i].rate,
		       at[i].ticks, at[i].together);
		for (unsigned k = 0; k < BARE_TESTS; k++)
			printf(", \"%s\": %.6g", bare_names[k], (double)found[k] / runs);
		printf("}");
	}
	printf("]");
}

static void scenarios(const char *name, const struct scenario *s, size_t n, unsigned runs, uint64_t seed)
{
	printf(", \"%s\": [", name);
	for (size_t i = 0; i < n; i++) {
		struct scenario_result r = scenario_repeat(&s[i], runs, seed);

		printf("%s{\"name\": \"%s\", \"state\": \"%s\", \"alpha\": %g, \"share\": %.6g, \"median_calls\": %" PRIu64
		       ", \"p90_calls\": %" PRIu64 "}",
		       i ? ", " : "", s[i].name, verdict_state_name(s[i].watched), s[i].alpha, (double)r.came / runs, r.median,
		       r.p90);
		fflush(stdout);
	}
	printf("]");
}

int main(int argc, char **argv)
{
	unsigned runs = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

	if (runs == 0) {
		fprintf(stderr, "usage: verdict_sim RUNS [SEED]\n");
		return 2;
	}
	printf("{\"runs\": %u, \"seed\": %" PRIu64 ", ", runs, seed);
	bare(runs, seed);
	scenarios("null", scenarios_null, COUNT(scenarios_null), runs, seed);
	scenarios("real", scenarios_real, COUNT(scenarios_real), runs, seed);
	printf("}\n");
	return 0;
}
