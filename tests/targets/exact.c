/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exact: calls known functions with known arguments an exact number of times.
 *
 *   exact SCENARIO [--calls N] [--threads T] [--busy]        default: 100 calls, 1 thread
 *
 * It prints "ready PID", waits for a line on stdin (attach now), runs, prints one line of JSON with the truth, waits for
 * another line (count and detach now), exits: 0 if all that the functions returned was right, 1 if not.  End of file
 * counts as a line.  Threads with an even number exist before "ready", the odd ones start after the first line.
 * Without --busy a thread rests 1 ms after each 64 calls, so that a reader of events keeps up; with it there is no rest.
 *
 *   {"scenario":"ints","pid":1,"threads":T,"calls":N*T,"ok":true,
 *    "functions":{"take_ints":{"calls":C,"errors":E,"unwound":U},...}}
 *
 * calls: times that the function was entered in this process; errors: of these, how many returned a negative integer or
 * a NULL pointer; unwound: how many never returned in this process.
 *
 * The calls of a scenario are numbered i = 0 .. N*T-1, each number once: thread t has t*N .. t*N+N-1, in order.
 * fails(i) is i % 7 == 6.  Below, "+e" = returns -22 where fails(i), 0 otherwise.  Casts cut as in C.
 *
 *   ints      take_ints(a=(int8_t)i, b=(uint8_t)(3*i), c=(int16_t)-i, d=(uint16_t)(7*i), e=(int32_t)(-1000*i),
 *                       f=(uint32_t)(i*2654435761)) +e    (i < 2,000,000)
 *             take_longs(a=-i*1000000000000, b=i*0x9e3779b97f4a7c15, c='a'+i%26, d=i%2==1, e={RED,GREEN,BLUE,ALPHA}[i%4],
 *                        p=0x1000+16*i) +e
 *   strings   take_strings(text, tag="tag<i%10>", none=NULL, i) +e; text: NULL if i%5==4, else "" if i%11==10, else 300 'x' if
 *                       i%13==12, else "call-<i>"
 *             take_names(names, i) +e; fixed: "name<i%1000 as 4 digits>" without a NUL if i%3==2, else "n<i%1000>"; text:
 *                       "text <i>\t\"q\""; bytes: i, i+1, i+2, i+3; numbers: i, -i, 7
 *   tree      take_tree(root, i) +e; three nodes: id i, i+1, i+2, names "root", "mid", "last", own.value i, i+10, i+20, own.label
 *                       "own"; each leaf: value 5*i, label "leaf".  i%4==1: root->next NULL; i%4==2: root->leaf is 0x1 and
 *                       root->next->leaf NULL; i%4==3: root->next is an unmapped address; the last node's next is NULL
 *   absent    take_absent(page, i) +e; page->value == (int32_t)i and label "absent", on a page of a file that is in memory, but
 *                       not in this process's page table until the function's body reads it (N*T <= 4096)
 *   structs   take_pair({first=i, second=-i}, i) +e    take_mixed({ratio=i+0.25, count=i, mark='A'+i%26}, i) +e
 *             take_large({id=i, values={i,i+1,i+2,i+3}, name="large-<i>"}, i) +e
 *             take_union({whole=i<<8|1}, p -> {real=i+0.5}, i) +e
 *             take_bits({low=i%8, middle=i%32-16, high=i%2^24, wide=i*0x100000001 % 2^33, flag=i%2, code=i*65537,
 *                        color={RED,GREEN,BLUE,ALPHA}[i%4]}, i) +e; so minor=i%65536, major=(i*65537)>>16
 *   floats    take_floats(f=i+0.5, d=i*0.25, i) +e
 *             take_float_members({single=i*0.5, twice=-i*0.125, vector={i,i+1,i+2}}, i) +e    (exact for i < 2^20)
 *   many      take_many(a=i, b=i+1, c=i+2, d=i+3, e=i+4, f=i+5, g=-i, h="h<i>", i=(uint8_t)i) +e; g, h, i on the stack
 *   static    take_static(i) +e, which calls the local function hidden_static(i) +e; only_inlined has no code of its own
 *   give      give_void(i); give_int(i) = i%65536, give_long(i) = i<<32|1 (both -22 where fails(i)); give_byte(i) = (uint8_t)i;
 *             give_bool(i) = !fails(i) (not an error); give_enum(i) = {LOW,MID,HIGH}[i%3]; give_pointer(i) = &given_leaf
 *             ({4711, "given"}), give_text(i) = "text-<i>" (both NULL where fails(i)); give_pair(i) = {i,-i} in registers;
 *             give_wide(i) = {i,i+1,i+2,i+3} through memory; give_double(i) = i+0.5
 *   early     give_early(v): v = -i-1 if fails(i), else i%5: -22 for v < 0, 1 for 0, 2 for odd, 4 for other v
 *   slow      give_slowly(i) +e: sleeps 20 ms if i%10==9, else 0.2 ms
 *   recurse   descend(50, i) = 50: per call 50 nested entries, n = 50 .. 1, each returning its n
 *   deep      descend(100, i) = 100: likewise; more than 64 are open at once
 *   mutual    ping(10) = 11: per call ping is entered 6 times (n = 10, 8 .. 0), pong 5 times (9, 7 .. 1), each returning n+1
 *   longjmp   guarded(i) -> leap_outer(i) -> leap_inner(i): i even: return 3, 2, 1; i odd: leap_inner jumps into
 *             guarded, which returns 100: leap_outer and leap_inner are unwound
 *   vanish    vanish(i), each in a thread of its own: i even: returns 1; i odd: the thread exits inside
 *   fork      fork_exits(i) = i%128: the child exits inside the call; fork_returns(i, child): returns 1 here, and 2 in a child,
 *             which then exits: a return in a process that the call was not entered in
 *   tail      tail_sum(10, 0) = 55: per call 11 entries, n = 10 .. 0, by jumps: one machine return ends them all, each with 55
 *   all       each of the above but slow, absent, vanish and fork, for the same i
 */
#include "exact.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "exact_step.h"

enum { THREADS_MAX = 256, REST_EVERY = 64 };

struct options {
	const struct scenario *scenario;
	uint64_t calls;
	unsigned int threads;
	bool busy;
};

struct runner {
	pthread_t thread;
	unsigned int number;
	struct tally tally;
};

static struct options options = { .calls = 100, .threads = 1 };
static struct runner runners[THREADS_MAX];
static pthread_barrier_t start;

static void rest(void)
{
	struct timespec ts = { .tv_nsec = 1000000 };

	nanosleep(&ts, NULL);
}

static void *run(void *arg)
{
	struct runner *r = arg;
	uint64_t first = r->number * options.calls, i;

	pthread_barrier_wait(&start);
	for (i = first; i < first + options.calls; i++) {
		options.scenario->step(i, &r->tally);
		if (!options.busy && (i - first) % REST_EVERY == REST_EVERY - 1)
			rest();
	}
	return NULL;
}

static int start_threads(unsigned int first)
{
	unsigned int i;

	for (i = first; i < options.threads; i += 2) {
		runners[i].number = i;
		if (pthread_create(&runners[i].thread, NULL, run, &runners[i]))
			return -1;
	}
	return 0;
}

static void wait_for_line(void)
{
	char c;

	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
}

static void print_truth(const struct tally *sum)
{
	const char *comma = "";
	unsigned int f;

	printf("{\"scenario\":\"%s\",\"pid\":%d,\"threads\":%u,\"calls\":%llu,\"ok\":%s,\"functions\":{",
	       options.scenario->name, (int)getpid(), options.threads,
	       (unsigned long long)options.calls * options.threads, sum->wrong ? "false" : "true");
	for (f = 0; f < FUNCTIONS; f++) {
		if (!sum->calls[f])
			continue;
		printf("%s\"%s\":{\"calls\":%llu,\"errors\":%llu,\"unwound\":%llu}", comma, function_names[f],
		       (unsigned long long)sum->calls[f], (unsigned long long)sum->errors[f],
		       (unsigned long long)sum->unwound[f]);
		comma = ",";
	}
	printf("}}\n");
}

static int parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "calls", 1, NULL, 'n' }, { "threads", 1, NULL, 't' }, { "busy", 0, NULL, 'b' }, { 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'n': options.calls = strtoull(optarg, NULL, 10); break;
		case 't': options.threads = atoi(optarg); break;
		case 'b': options.busy = true; break;
		default: return -EINVAL;
		}
	}
	if (optind != argc - 1 || options.threads < 1 || options.threads > THREADS_MAX)
		return -EINVAL;
	options.scenario = scenario_find(argv[optind]);
	if (!options.scenario)
		return -EINVAL;
	return options.scenario->max_calls && options.calls * options.threads > options.scenario->max_calls ? -ERANGE : 0;
}

int main(int argc, char **argv)
{
	struct tally sum = { 0 };
	unsigned int i;

	if (parse_options(argc, argv)) {
		fprintf(stderr, "usage: exact SCENARIO [--calls N] [--threads T] [--busy]\n");
		return 2;
	}
	if (steps_prepare(options.calls * options.threads))
		return 3;
	setvbuf(stdout, NULL, _IOLBF, 0);
	pthread_barrier_init(&start, NULL, options.threads);
	if (options.threads > 1 && start_threads(0))
		return 3;
	printf("ready %d\n", (int)getpid());
	wait_for_line();
	if (start_threads(options.threads > 1 ? 1 : 0))
		return 3;
	for (i = 0; i < options.threads; i++) {
		pthread_join(runners[i].thread, NULL);
		tally_add(&sum, &runners[i].tally);
	}
	print_truth(&sum);
	wait_for_line();
	return sum.wrong ? 1 : 0;
}
