/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries and returns are paired, or what is not paired is counted: recursion within and beyond the limit, longjmp,
 * threads that end inside of a call, calls that are left out, large events; and what is shipped of the calls.
 */
#include "kernel_probe.h"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>

#define PROBED __attribute__((noinline, noclone))

static jmp_buf away;

enum how { RETURNS, JUMPS, ENDS_THREAD };

/* Calls itself n times, then ends as asked. */
PROBED static long nest(long n, enum how how)
{
	long below = 0;

	if (n > 0)
		below = nest(n - 1, how);
	else if (how == JUMPS)
		longjmp(away, 1);
	else if (how == ENDS_THREAD)
		syscall(SYS_exit, 0);
	__asm__ volatile("" : "+r"(below));
	return below + n;
}

static long sum(long n)
{
	return n * (n + 1) / 2;
}

/* Captures n at 0; a call is an error if it returns 0. */
static struct plan nest_plan(uint32_t data_bytes)
{
	struct plan p = { .flags = PLAN_CALL | PLAN_SHIP, .data_bytes = data_bytes, .n_entry = 2, .n_return = 4 };

	p.entry[0] = (struct plan_op){ .code = OP_REG, .b = GPR_DI, .size = 8, .bit = NO_BIT };
	p.entry[1] = (struct plan_op){ .code = OP_STORE, .size = 8, .bit = NO_BIT };
	p.ret[0] = (struct plan_op){ .code = OP_SPECIAL, .b = SPECIAL_RET, .size = 8, .bit = NO_BIT };
	p.ret[1] = (struct plan_op){ .code = OP_IMM, .dst = 1, .bit = NO_BIT };
	p.ret[2] = (struct plan_op){ .code = OP_BINARY, .sub = BIN_EQ, .b = 1, .bit = NO_BIT };
	p.ret[3] = (struct plan_op){ .code = OP_ERROR, .bit = NO_BIT };
	return p;
}

struct seen { unsigned events, mispaired, odd; uint64_t longest; };

static void take(const struct event *ev, size_t len, void *arg)
{
	struct seen *seen = arg;
	uint64_t n;

	memcpy(&n, ev->data, 8);
	seen->events++;
	seen->odd += n % 2;
	seen->mispaired += ev->ret[0] != (uint64_t)sum((long)n) || !!(ev->flags & EVENT_ERROR) != !n;
	if (ev->duration_ns > seen->longest)
		seen->longest = ev->duration_ns;
}

static struct seen collect(void)
{
	struct seen seen = { 0 };

	rings_consume(rings, take, &seen, SIZE_MAX);
	return seen;
}

/* Runs `check` on each way to attach that this kernel has. */
static void each_method(uint32_t data_bytes, void (*check)(struct loaded *l, enum attach_method m))
{
	for (int i = 0; i < METHODS; i++) {
		struct load_options options = { .method = methods[i] };
		struct plan p = nest_plan(data_bytes);
		struct loaded *l;

		if (!method_works(methods[i]))
			continue;
		collect();
		l = probe(&p, &options, nest);
		check(l, methods[i]);
		loader_free(l);
	}
}

static void expect(const struct loaded *l, uint64_t calls, uint64_t returns, uint64_t too_deep, uint64_t unwound)
{
	struct counts c = counts_of(l);

	if (c.calls != calls || c.returns != returns || c.too_deep != too_deep || c.unwound != unwound || c.stray)
		fail_msg("%s: calls %llu of %lu, returns %llu of %lu, too deep %llu of %lu, unwound %llu of %lu, stray %llu",
			 attach_method_name(loader_method(l)), c.calls, calls, c.returns, returns, c.too_deep, too_deep, c.unwound,
			 unwound, c.stray);
}

static void expect_events(unsigned events)
{
	struct seen seen = collect();

	assert_int_equal(seen.mispaired, 0);
	assert_int_equal(seen.events, events);
}

/* ---- recursion ---- */

static void recurse(struct loaded *l, enum attach_method m)
{
	for (long depth = 0; depth < FRAMES_MAX; depth += 9)
		assert_int_equal(nest(depth, RETURNS), sum(depth));
	expect(l, 1 + 10 + 19 + 28 + 37 + 46 + 55 + 64, 1 + 10 + 19 + 28 + 37 + 46 + 55 + 64, 0, 0);
	expect_events(1 + 10 + 19 + 28 + 37 + 46 + 55 + 64);
	assert_int_equal(counts_of(l).errors, 8);
}

static void test_recursion(void **state)
{
	NEEDS_KERNEL();
	each_method(8, recurse);
}

static void too_deep(struct loaded *l, enum attach_method m)
{
	nest(99, RETURNS);
	expect(l, 100, FRAMES_MAX, 100 - FRAMES_MAX, 0);
	expect_events(FRAMES_MAX);
	nest(3, RETURNS); /* no trace of it is left */
	expect(l, 104, FRAMES_MAX + 4, 100 - FRAMES_MAX, 0);
	expect_events(4);
}

static void test_too_deep(void **state)
{
	NEEDS_KERNEL();
	each_method(8, too_deep);
}

/* One frame fits into the thread's storage: the other ones are in the hash map. */
static void test_large_events(void **state)
{
	NEEDS_KERNEL();
	each_method(6000, recurse);
}

static void *nest_three(void *arg)
{
	return (void *)nest(2, RETURNS);
}

/* More calls than the hash map has room for, of threads that are gone. */
static void deep_threads(struct loaded *l, enum attach_method m)
{
	enum { THREADS = 2200, PER_BATCH = 20 };

	for (int i = 0; i < THREADS / PER_BATCH; i++) {
		pthread_t t[PER_BATCH];

		for (int k = 0; k < PER_BATCH; k++)
			assert_int_equal(pthread_create(&t[k], NULL, nest_three, NULL), 0);
		for (int k = 0; k < PER_BATCH; k++)
			assert_int_equal(pthread_join(t[k], NULL), 0);
		assert_int_equal(collect().mispaired, 0);
	}
	expect(l, 3 * THREADS, 3 * THREADS, 0, 0);
}

static void test_deep_threads(void **state)
{
	NEEDS_KERNEL();
	each_method(6000, deep_threads);
}

/* ---- calls that do not return ---- */

static void nest_and_jump(void)
{
	if (!setjmp(away))
		nest(4, JUMPS);
}

static void jump(struct loaded *l, enum attach_method m)
{
	nest_and_jump();
	nest_and_jump();
	nest_and_jump();
	assert_int_equal(nest(2, RETURNS), 3);
	expect(l, 3 * 5 + 3, 3, 0, 3 * 5);
	expect_events(3);
}

static void test_longjmp(void **state)
{
	NEEDS_KERNEL();
	each_method(8, jump);
	each_method(6000, jump);
}

static int end_inside(void *arg)
{
	return (int)nest((long)arg, ENDS_THREAD);
}

/* A thread that libraries and sanitizers do not know of: nothing but the kernel sees it end in the middle of a call. */
static void bare_thread(void)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	static volatile int alive;
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;

	alive = 1;
	assert_true(clone(end_inside, stack + sizeof(stack), flags, (void *)2, NULL, NULL, &alive) > 0);
	while (alive)
		usleep(100);
}

static void end_threads(struct loaded *l, enum attach_method m)
{
	for (int i = 0; i < 50; i++)
		bare_thread();
	expect(l, 150, 0, 0, 0);
	nest(2, RETURNS);
	expect(l, 153, 3, 0, 0);
	expect_events(3);
}

static void test_thread_exit(void **state)
{
	NEEDS_KERNEL();
	each_method(8, end_threads);
	each_method(6000, end_threads);
}

/* ---- calls that are left out ---- */

/* Only calls with an even n are asked for, at entry: the odd ones lie in between. */
static void test_entry_condition(void **state)
{
	struct plan p = nest_plan(16);
	struct seen seen;

	NEEDS_KERNEL();
	p.entry[2] = (struct plan_op){ .code = OP_IMM, .dst = 1, .imm = 1, .bit = NO_BIT };
	p.entry[3] = (struct plan_op){ .code = OP_BINARY, .sub = BIN_AND, .b = 1, .bit = NO_BIT };
	p.entry[4] = (struct plan_op){ .code = OP_UNARY, .sub = UN_LNOT, .bit = NO_BIT };
	p.entry[5] = (struct plan_op){ .code = OP_REQUIRE, .bit = NO_BIT };
	p.n_entry = 6;
	for (int i = 0; i < METHODS; i++) {
		struct load_options options = { .method = methods[i] };
		struct loaded *l;

		if (!method_works(methods[i]))
			continue;
		l = probe(&p, &options, nest);
		nest(9, RETURNS);
		nest(20, RETURNS);
		expect(l, 31, 5 + 11, 0, 0);
		seen = collect();
		assert_int_equal(seen.events, 16);
		assert_int_equal(seen.odd, 0);
		assert_int_equal(seen.mispaired, 0);
		loader_free(l);
	}
}

/* ---- what is shipped ---- */

static struct counts call_often(struct load_options options, uint32_t flags, unsigned calls)
{
	struct plan p = nest_plan(8);
	struct loaded *l;
	struct counts c;

	p.flags |= flags;
	l = probe(&p, &options, nest);
	for (unsigned i = 0; i < calls; i++)
		nest(i % 4 != 0, RETURNS);
	c = counts_of(l);
	loader_free(l);
	return c;
}

static uint64_t in_histogram(const struct counts *c)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		n += c->hist[i];
	return n;
}

static void test_shipping(void **state)
{
	struct counts c;

	NEEDS_KERNEL();
	c = call_often((struct load_options){ 0 }, PLAN_ERRORS_ONLY, 400); /* 700 calls, 400 of them return 0 */
	assert_int_equal(c.calls, 700);
	assert_int_equal(c.errors, 400);
	assert_int_equal(c.shipped, 400);
	assert_int_equal(in_histogram(&c), 700);
	expect_events(400);
	c = call_often((struct load_options){ .sample = 10 }, 0, 2000);
	assert_int_equal(c.shipped + c.sampled, c.calls);
	assert_in_range(c.shipped, c.calls / 20, c.calls / 5);
	assert_int_equal(collect().events, c.shipped);
	assert_true(c.max_ns > 0 && c.sum_ns >= c.max_ns);
}

static void test_rate(void **state)
{
	struct timespec from, to;
	struct counts c;
	uint64_t seconds;

	NEEDS_KERNEL();
	clock_gettime(CLOCK_MONOTONIC, &from);
	c = call_often((struct load_options){ .rate_per_s = 3 }, 0, 2000);
	clock_gettime(CLOCK_MONOTONIC, &to);
	seconds = (uint64_t)(to.tv_sec - from.tv_sec) + 2; /* windows that were touched */
	assert_in_range(c.shipped, 1, 3 * seconds);
	assert_int_equal(c.shipped + c.dropped[DROP_RATE], c.calls);
	assert_int_equal(collect().events, c.shipped);
}

static void test_full_ring(void **state)
{
	struct plan p = nest_plan(8000);
	struct load_options options = { 0 };
	struct loaded *l;
	struct counts c;

	NEEDS_KERNEL();
	l = probe(&p, &options, nest);
	for (int i = 0; i < 2000; i++) /* 16 MB into 8 */
		nest(0, RETURNS);
	c = counts_of(l);
	assert_int_equal(c.calls, 2000);
	assert_int_equal(c.returns, 2000);
	assert_true(c.dropped[DROP_RING] > 0);
	assert_int_equal(c.shipped + c.dropped[DROP_RING], 2000);
	assert_int_equal(collect().events, c.shipped);
	loader_free(l);
}

/* ---- waking the reader ---- */

enum { WAKES = 3000 };

static void *call_at_odd_times(void *arg)
{
	volatile unsigned *turn = arg;
	unsigned spin = 1;

	for (unsigned i = 0; i < WAKES; i++) {
		while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) <= i)
			;
		spin = spin * 1103515245 + 12345;
		for (volatile unsigned k = spin >> 16 & 2047; k > 0; k--)
			;
		nest(0, RETURNS);
	}
	return NULL;
}

/* However an event and the wish to be woken meet: nobody sleeps over an event. */
static void test_wake(void **state)
{
	struct load_options options = { 0 };
	struct plan p = nest_plan(8);
	struct epoll_event ready;
	unsigned turn = 0, got = 0;
	struct loaded *l;
	pthread_t t;

	NEEDS_KERNEL();
	l = probe(&p, &options, nest);
	collect();
	assert_int_equal(pthread_create(&t, NULL, call_at_odd_times, &turn), 0);
	for (unsigned i = 0; i < WAKES; i++) {
		__atomic_store_n(&turn, i + 1, __ATOMIC_RELEASE);
		while (got <= i) {
			if (rings_arm(rings) && epoll_wait(rings_epoll_fd(rings), &ready, 1, 2000) == 0)
				fail_msg("no wake-up for event %u in two seconds", i);
			got += collect().events;
		}
	}
	pthread_join(t, NULL);
	assert_int_equal(got, WAKES);
	loader_free(l);
}

static void test_process_has_one_slot(void **state)
{
	struct load_options options = { 0 };
	struct plan p = nest_plan(8);
	struct loaded *l;

	NEEDS_KERNEL();
	l = probe(&p, &options, nest);
	assert_int_equal(loader_add_process(l, getpid()), MY_SLOT);
	nest(0, RETURNS);
	assert_int_equal(counts_of(l).calls, 1);
	loader_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recursion), cmocka_unit_test(test_too_deep), cmocka_unit_test(test_large_events),
		cmocka_unit_test(test_deep_threads), cmocka_unit_test(test_longjmp), cmocka_unit_test(test_thread_exit),
		cmocka_unit_test(test_entry_condition), cmocka_unit_test(test_shipping), cmocka_unit_test(test_rate),
		cmocka_unit_test(test_full_ring), cmocka_unit_test(test_wake), cmocka_unit_test(test_process_has_one_slot),
	};

	return cmocka_run_group_tests(tests, kernel_setup, kernel_teardown);
}
