/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execer: calls tick(generation, n) about a thousand times a second, and at a signal becomes something else.
 *   execer [PROGRAM [ARG...]]
 * Prints "ready PID generation=G" (G = 0, and one more after each exec of itself).
 *   SIGUSR1: executes itself again, same pid, next generation
 *   SIGUSR2: executes PROGRAM (exit 4 if there is none)
 *   SIGHUP:  exits with status 3 inside tick
 *   SIGTERM: prints "ticks=N" (of this generation) and exits 0
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "probed.h"

static const char GENERATION[] = "EXECER_GENERATION";

static int leave_with;

PROBED int tick(unsigned int generation, uint64_t n);

PROBED int tick(unsigned int generation, uint64_t n)
{
	if (leave_with)
		_exit(leave_with);
	return (int)(n % 1000) + (generation ? 1 : 0);
}

static void exec_self(char **argv, unsigned int generation)
{
	char next[16];

	snprintf(next, sizeof(next), "%u", generation + 1);
	setenv(GENERATION, next, 1);
	execv("/proc/self/exe", argv);
}

static void exec_other(char **argv)
{
	sigset_t none;

	if (!argv[1])
		return;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	unsetenv(GENERATION);
	execvp(argv[1], argv + 1);
}

/* Returns only if the exec failed, or if there is nothing to become. */
static void handle(int sig, char **argv, unsigned int generation, uint64_t ticks)
{
	switch (sig) {
	case SIGUSR1:
		exec_self(argv, generation);
		_exit(4);
	case SIGUSR2:
		exec_other(argv);
		_exit(4);
	case SIGHUP:
		leave_with = 3;
		break;
	case SIGTERM:
		printf("ticks=%llu\n", (unsigned long long)ticks);
		exit(0);
	}
}

int main(int argc, char **argv)
{
	const struct timespec pause_time = { .tv_nsec = 1000000 };
	const char *text = getenv(GENERATION);
	unsigned int generation = text ? atoi(text) : 0;
	sigset_t signals;
	uint64_t n;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	printf("ready %d generation=%u\n", (int)getpid(), generation);
	fflush(stdout);
	for (n = 0;; n++) {
		tick(generation, n);
		handle(sigtimedwait(&signals, NULL, &pause_time), argv, generation, n + 1);
	}
}
