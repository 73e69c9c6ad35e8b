/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orderload: traffic for orderd.
 *   orderload --port N [--rate N] [--seconds S] [--count N] [--connections N] [--seed N] [--bad-percent P]
 *             [--unknown-percent P]
 * Each connection is a thread that sends an order and waits for the answer.  rate: orders per second over all
 * connections, 0 (the default) = flat out; it ends after S seconds (default 10) or N orders, whatever comes first, or at
 * SIGTERM.  Order number n is a function of (seed, n) only.
 * bad-percent: that share meets the planted bug (coupon HALF, qty 0).  unknown-percent: that share asks for goods that
 * do not exist (ERR -2), an error that has nothing to do with the bug.  All others succeed.
 * The last line is "sent=N ok=N err=N"; exit 1 if a connection failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, LINE_BYTES = 256 };

struct options {
	uint16_t port;
	double rate, seconds;
	uint64_t count, seed;
	unsigned int connections;
	double bad_percent, unknown_percent;
};

static struct options options = { .seconds = 10, .count = UINT64_MAX, .connections = 4, .seed = 1 };
static atomic_uint_fast64_t next_order, sent, answered_ok, answered_err;
static atomic_bool stopping;
static uint64_t start_ns;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* splitmix64, https://prng.di.unimi.it/splitmix64.c (public domain) */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static bool chance(uint64_t random, double percent)
{
	return (double)(random >> 11) / (double)(1ull << 53) * 100 < percent;
}

static int order_line(uint64_t n, char *line, size_t size)
{
	static const char *const users[] = { "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi" };
	static const char *const coupons[] = { "", "", " coupon=SAVE10", " coupon=FIVE", " coupon=HALF" };
	static const char *const kinds[] = { "standard", "express", "pickup" };
	uint64_t r = mix(mix(options.seed) ^ n), kind = mix(r);
	unsigned int sku = 1 + r % 63, qty = 1 + (r >> 8) % 5;
	const char *coupon = coupons[(r >> 16) % 5];

	if (chance(kind, options.bad_percent)) {
		qty = 0;
		coupon = " coupon=HALF";
	} else if (chance(mix(kind), options.unknown_percent)) {
		sku = 9999;
	}
	return snprintf(line, size, "ORDER id=%llu sku=%u qty=%u user=%s%s kind=%s\n", (unsigned long long)n, sku, qty,
			users[(r >> 24) % 8], coupon, kinds[(r >> 32) % 3]);
}

static int dial(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(options.port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -errno;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	on = -errno;
	close(fd);
	return on;
}

/* One answer line; it comes alone, because the next order is sent after it. */
static int read_answer(int fd, char *answer, size_t size)
{
	size_t used = 0;

	while (used < size - 1) {
		ssize_t n = recv(fd, answer + used, size - 1 - used, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -ECONNRESET;
		used += n;
		answer[used] = '\0';
		if (answer[used - 1] == '\n')
			return 0;
	}
	return -EMSGSIZE;
}

static int exchange(int fd, uint64_t n)
{
	char line[LINE_BYTES], answer[LINE_BYTES];
	int len = order_line(n, line, sizeof(line)), rc;

	if (send(fd, line, len, MSG_NOSIGNAL) != len)
		return -ECONNRESET;
	sent++;
	rc = read_answer(fd, answer, sizeof(answer));
	if (rc)
		return rc;
	if (strncmp(answer, "OK ", 3) == 0)
		answered_ok++;
	else
		answered_err++;
	return 0;
}

/* False: the time is over. */
static bool wait_for_turn(uint64_t n)
{
	uint64_t end = start_ns + (uint64_t)(options.seconds * 1e9), due = start_ns;
	struct timespec ts;

	if (options.rate > 0)
		due += (uint64_t)(n / options.rate * 1e9);
	if (stopping || due >= end || now_ns() >= end)
		return false;
	if (options.rate > 0) {
		ts = (struct timespec){ due / 1000000000, due % 1000000000 };
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR && !stopping)
			;
	}
	return !stopping;
}

static void *connection(void *arg)
{
	int fd = dial(), rc = fd < 0 ? fd : 0;

	while (rc == 0) {
		uint64_t n = next_order++;

		if (n >= options.count || !wait_for_turn(n))
			break;
		rc = exchange(fd, n);
	}
	if (fd >= 0)
		close(fd);
	return (void *)(intptr_t)rc;
}

static void on_signal(int sig)
{
	stopping = true;
}

static int parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "port", 1, NULL, 'p' }, { "rate", 1, NULL, 'r' }, { "seconds", 1, NULL, 's' }, { "count", 1, NULL, 'n' },
		{ "connections", 1, NULL, 'c' }, { "seed", 1, NULL, 'S' }, { "bad-percent", 1, NULL, 'b' },
		{ "unknown-percent", 1, NULL, 'u' }, { 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'p': options.port = atoi(optarg); break;
		case 'r': options.rate = atof(optarg); break;
		case 's': options.seconds = atof(optarg); break;
		case 'n': options.count = strtoull(optarg, NULL, 10); break;
		case 'c': options.connections = atoi(optarg); break;
		case 'S': options.seed = strtoull(optarg, NULL, 10); break;
		case 'b': options.bad_percent = atof(optarg); break;
		case 'u': options.unknown_percent = atof(optarg); break;
		default: return -EINVAL;
		}
	}
	if (optind != argc || !options.port || options.connections < 1 || options.connections > CONNECTIONS_MAX)
		return -EINVAL;
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction stop = { .sa_handler = on_signal };
	pthread_t threads[CONNECTIONS_MAX];
	unsigned int i, started;
	bool failed = false;
	void *rc;

	if (parse_options(argc, argv)) {
		fprintf(stderr, "usage: orderload --port N [--rate N] [--seconds S] [--count N] [--connections N] "
			"[--seed N] [--bad-percent P] [--unknown-percent P]\n");
		return 2;
	}
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	start_ns = now_ns();
	for (started = 0; started < options.connections; started++)
		if (pthread_create(&threads[started], NULL, connection, NULL))
			break;
	for (i = 0; i < started; i++) {
		pthread_join(threads[i], &rc);
		if (rc && !failed)
			fprintf(stderr, "orderload: %s\n", strerror(-(int)(intptr_t)rc));
		failed |= rc != NULL;
	}
	printf("sent=%llu ok=%llu err=%llu\n", (unsigned long long)sent, (unsigned long long)answered_ok,
	       (unsigned long long)answered_err);
	return failed || started < options.connections;
}
