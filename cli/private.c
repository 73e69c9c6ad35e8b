/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private agent lives exactly as long as its end of the socket pair is open: it ends when this process closes the
 * other end, however this process ends.  It gets a process group of its own, so that the terminal's Ctrl-C reaches plumb
 * alone, which then asks it to stop and still gets the totals.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

/* Beside this executable (a build tree, a private installation), else where plumbd is installed. */
static int find_plumbd(char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		if ((size_t)snprintf(path, size, "%s/plumbd", dirname(self)) < size && access(path, X_OK) == 0)
			return 0;
	}
	snprintf(path, size, "%s/plumbd", PLUMB_SBINDIR);
	return access(path, X_OK) == 0 ? 0 : -ENOENT;
}

static void exec_plumbd(const char *path, int fd, int err_fd)
{
	int null = open("/dev/null", O_RDWR);
	char arg[32];

	setpgid(0, 0);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(err_fd, STDERR_FILENO) < 0)
		_exit(127);
	fcntl(fd, F_SETFD, 0);
	signal(SIGPIPE, SIG_DFL);
	snprintf(arg, sizeof(arg), "--private=%d", fd);
	execl(path, "plumbd", arg, (char *)NULL);
	_exit(127);
}

struct ends {
	int here, there;
};

static void close_ends(struct ends e)
{
	close(e.here);
	close(e.there);
}

int private_agent_start(pid_t *pid, int *err_fd, struct error *err)
{
	char path[PATH_MAX];
	int sv[2], pipefd[2];

	if (find_plumbd(path, sizeof(path)) < 0) {
		error_set(err, ENOENT, "no plumbd listens and none was found to run privately");
		return error_hint(err, "plumbd is expected beside plumb or in %s", PLUMB_SBINDIR);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return error_set(err, errno, "no socket pair: %s", strerror(errno));
	/* Nobody reads the pipe while all goes well: a full one must not block the agent. */
	if (pipe2(pipefd, O_CLOEXEC | O_NONBLOCK) < 0) {
		int code = errno;

		close_ends((struct ends){ sv[0], sv[1] });
		return error_set(err, code, "no pipe: %s", strerror(code));
	}
	*pid = fork();
	if (*pid == 0)
		exec_plumbd(path, sv[1], pipefd[1]);
	close(sv[1]);
	close(pipefd[1]);
	if (*pid < 0) {
		int code = errno;

		close_ends((struct ends){ sv[0], pipefd[0] });
		return error_set(err, code, "no process for a private agent: %s", strerror(code));
	}
	*err_fd = pipefd[0];
	return sv[0];
}

void private_agent_end(pid_t pid, int patience_ms)
{
	const struct timespec step = { .tv_nsec = 5000000 };
	pid_t got = 0;

	for (int ms = 0; ms < patience_ms && (got = waitpid(pid, NULL, WNOHANG)) == 0; ms += 5)
		nanosleep(&step, NULL);
	if (got)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
