/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that is probed.  Commands come on stdin, one a line; each is answered by one line on stdout.
 *
 *   run FUNCTION CALLS BATCHES    -> WALL CPU            ns per call: the median batch's wall clock, CPU time over all
 *   threads FUNCTION CALLS N      -> WALL CPU            the same from N threads at once; wall: per call of one thread
 *   at FUNCTION RATE MS           -> MEDIAN MEAN          ns per call when called RATE times a second, evenly
 *   pace FUNCTION RATE MS N       -> CALLS NS            N threads together call it RATE times a second (0: flat out)
 *   string LENGTH                 -> LENGTH              bytes of text that the third argument points to
 *   pin CPU | free                -> ok                  which CPU the calls are made on
 *
 * The median of short batches leaves out the ones in which somebody else had the CPU; the CPU time is not
 * disturbed by that but leaves out what happens in interrupts or while a tracer has the thread stopped.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probed.h"

enum { BATCHES_MAX = 4096, THREADS_MAX = 256, TEXT_MAX = 8192 };

typedef int (*probed_fn)(long a, long b, const char *s);

static const struct {
	const char *name;
	probed_fn function;
} functions[] = {
	{ "f_push", f_push },
#ifndef ONE_FUNCTION
	{ "f_endbr", f_endbr }, { "f_sub", f_sub }, { "f_nop5", f_nop5 },
#endif
};

static char text[TEXT_MAX] = "fifteen letters";

static probed_fn find(const char *name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (!strcmp(functions[i].name, name))
			return functions[i].function;
	return NULL;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void call_many(probed_fn f, uint64_t first, uint64_t calls)
{
	for (uint64_t i = first; i < first + calls; i++)
		f((long)i, (long)(i ^ 0x55), text);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void run(probed_fn f, uint64_t calls, unsigned batches)
{
	static double wall[BATCHES_MAX];
	uint64_t cpu, each;

	batches = batches < 1 ? 1 : batches > BATCHES_MAX ? BATCHES_MAX : batches;
	each = calls / batches ? calls / batches : 1;
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned i = 0; i < batches; i++) {
		uint64_t start = clock_ns(CLOCK_MONOTONIC);

		call_many(f, i * each, each);
		wall[i] = (double)(clock_ns(CLOCK_MONOTONIC) - start) / (double)each;
	}
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	qsort(wall, batches, sizeof(wall[0]), by_value);
	printf("%.2f %.2f\n", wall[batches / 2], (double)cpu / (double)(each * batches));
}

/* What one call costs at a rate at which a reader may fall asleep between two of them; less what the clock costs. */
static void at_rate(probed_fn f, double rate, uint64_t ms)
{
	enum { SAMPLES_MAX = 1 << 16 };
	static double sample[SAMPLES_MAX];
	uint64_t start = clock_ns(CLOCK_MONOTONIC), now = start, before, calls = 0, clock_cost = ~0ULL;
	double sum = 0;

	for (int i = 0; i < 1000; i++) {
		before = clock_ns(CLOCK_MONOTONIC);
		now = clock_ns(CLOCK_MONOTONIC) - before;
		clock_cost = now < clock_cost ? now : clock_cost;
	}
	for (now = start; now - start < ms * 1000000; now = clock_ns(CLOCK_MONOTONIC)) {
		if ((double)calls >= (double)(now - start) * rate / 1e9)
			continue;
		before = clock_ns(CLOCK_MONOTONIC);
		f((long)calls, (long)(calls ^ 0x55), text);
		now = clock_ns(CLOCK_MONOTONIC) - before;
		sample[calls % SAMPLES_MAX] = (double)now - (double)clock_cost;
		sum += (double)now - (double)clock_cost;
		calls++;
	}
	if (!calls) {
		puts("0 0");
		return;
	}
	qsort(sample, calls < SAMPLES_MAX ? calls : SAMPLES_MAX, sizeof(sample[0]), by_value);
	printf("%.2f %.2f\n", sample[(calls < SAMPLES_MAX ? calls : SAMPLES_MAX) / 2], sum / (double)calls);
}

/* ---- several threads ---- */

struct work {
	pthread_t thread;
	probed_fn f;
	uint64_t calls;      /* to make; pace: made */
	double rate;         /* of this thread; 0: flat out */
	uint64_t ns;
	uint64_t wall, cpu;
};

static void *call_in_thread(void *arg)
{
	struct work *w = arg;
	uint64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	call_many(w->f, 0, w->calls);
	w->cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	w->wall = clock_ns(CLOCK_MONOTONIC) - wall;
	return NULL;
}

static void *pace_in_thread(void *arg)
{
	struct work *w = arg;
	uint64_t start = clock_ns(CLOCK_MONOTONIC), now = start;

	w->calls = 0;
	while (now - start < w->ns) {
		uint64_t due = w->rate > 0 ? (uint64_t)((double)(now - start) * w->rate / 1e9) : w->calls + 1000;

		if (w->calls < due) {
			uint64_t n = due - w->calls < 100 ? due - w->calls : 100;

			call_many(w->f, w->calls, n);
			w->calls += n;
		} else if (w->rate < 20000) {
			usleep(500);
		}
		now = clock_ns(CLOCK_MONOTONIC);
	}
	w->wall = now - start;
	return NULL;
}

static unsigned start_all(struct work *work, unsigned n, const struct work *one, void *(*body)(void *))
{
	unsigned started = 0;

	n = n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
	for (; started < n; started++) {
		work[started] = *one;
		if (pthread_create(&work[started].thread, NULL, body, &work[started]))
			break;
	}
	for (unsigned i = 0; i < started; i++)
		pthread_join(work[i].thread, NULL);
	return started;
}

static void threads(probed_fn f, uint64_t calls, unsigned n)
{
	static struct work work[THREADS_MAX];
	struct work one = { .f = f, .calls = calls };
	double wall = 0, cpu = 0;

	n = start_all(work, n, &one, call_in_thread);
	for (unsigned i = 0; i < n; i++) {
		wall += (double)work[i].wall / (double)calls / n;
		cpu += (double)work[i].cpu / (double)calls / n;
	}
	printf("%.2f %.2f\n", wall, cpu);
}

static void pace(probed_fn f, double rate, uint64_t ms, unsigned n)
{
	static struct work work[THREADS_MAX];
	struct work one = { .f = f, .ns = ms * 1000000, .rate = rate / (n ? n : 1) };
	uint64_t calls = 0, longest = 0;

	n = start_all(work, n, &one, pace_in_thread);
	for (unsigned i = 0; i < n; i++) {
		calls += work[i].calls;
		longest = work[i].wall > longest ? work[i].wall : longest;
	}
	printf("%llu %llu\n", (unsigned long long)calls, (unsigned long long)longest);
}

static void set_string(unsigned length)
{
	length = length < TEXT_MAX ? length : TEXT_MAX - 1;
	memset(text, 'x', length);
	text[length] = '\0';
	printf("%u\n", length);
}

static void pin(long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (long i = 0; i < sysconf(_SC_NPROCESSORS_ONLN); i++)
		if (cpu < 0 || i == cpu)
			CPU_SET((size_t)i, &set);
	puts(sched_setaffinity(0, sizeof(set), &set) ? "failed" : "ok");
}

static void command(char *line)
{
	char verb[16], name[32] = "";
	unsigned long long a = 0, b = 0, c = 0;
	probed_fn f = NULL;

	if (sscanf(line, "string %llu", &a) == 1)
		return set_string((unsigned)a);
	if (sscanf(line, "pin %llu", &a) == 1)
		return pin((long)a);
	if (!strncmp(line, "free", 4))
		return pin(-1);
	if (sscanf(line, "%15s %31s %llu %llu %llu", verb, name, &a, &b, &c) >= 4)
		f = find(name);
	if (f && !strcmp(verb, "run"))
		run(f, a, (unsigned)b);
	else if (f && !strcmp(verb, "threads"))
		threads(f, a, (unsigned)b);
	else if (f && !strcmp(verb, "at"))
		at_rate(f, (double)a, b);
	else if (f && !strcmp(verb, "pace"))
		pace(f, (double)a, b, (unsigned)c);
	else
		puts("unknown command");
}

int main(void)
{
	char line[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin))
		command(line);
	return 0;
}
