/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orderd: an order service over loopback TCP.
 *   orderd [--port N] [--threads N]
 * Prints "listening on 127.0.0.1:PORT"; at SIGTERM or SIGINT "orders=N errors=N", and exits 0.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "order.h"

enum { THREADS_MAX = 64 };

struct options {
	uint16_t port;
	unsigned int threads;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "port", required_argument, NULL, 'p' }, { "threads", required_argument, NULL, 't' }, { 0 },
	};
	int opt;

	*o = (struct options){ .threads = 4 };
	while ((opt = getopt_long(argc, argv, "p:t:", longs, NULL)) != -1) {
		if (opt == 'p')
			o->port = atoi(optarg);
		else if (opt == 't')
			o->threads = atoi(optarg);
		else
			return -EINVAL;
	}
	return optind != argc || o->threads < 1 || o->threads > THREADS_MAX ? -EINVAL : 0;
}

static int stop_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void accept_until_stopped(int listener, int signals, struct worker **workers, unsigned int n)
{
	struct pollfd fds[] = { { .fd = listener, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
	unsigned int next = 0;
	int fd;

	while (!fds[1].revents) {
		if (poll(fds, 2, -1) < 0 || !fds[0].revents)
			continue;
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0 && worker_give(workers[next++ % n], fd))
			close(fd);
	}
}

static int serve(int listener, int signals, unsigned int threads)
{
	struct worker *workers[THREADS_MAX];
	uint64_t orders = 0, errors = 0;
	unsigned int n;

	for (n = 0; n < threads; n++) {
		workers[n] = worker_start();
		if (!workers[n])
			break;
	}
	if (n)
		accept_until_stopped(listener, signals, workers, n);
	while (n)
		worker_stop(workers[--n], &orders, &errors);
	printf("orders=%llu errors=%llu\n", (unsigned long long)orders, (unsigned long long)errors);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o;
	int listener, signals;

	if (parse_options(argc, argv, &o)) {
		fprintf(stderr, "usage: orderd [--port N] [--threads N]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signals = stop_signals();   /* before the threads, which inherit the mask */
	listener = net_listen(&o.port);
	if (listener < 0 || signals < 0) {
		fprintf(stderr, "orderd: %s\n", strerror(listener < 0 ? -listener : errno));
		return 1;
	}
	stock_init();
	printf("listening on 127.0.0.1:%u\n", o.port);
	serve(listener, signals, o.threads);
	close(listener);
	close(signals);
	return 0;
}
