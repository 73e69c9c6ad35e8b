/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
	pid_t pid;
	int fd;
	struct event *readable, *timeout;
	struct buf answer;
	void (*done)(const char *data, size_t len, const struct error *failed, void *arg);
	void *arg;
};

/* A CPU limit that is hard at once kills without the signal that tells why. */
static void limit(int resource, rlim_t value)
{
	struct rlimit lim = { value, value + (resource == RLIMIT_CPU) };

	setrlimit(resource, &lim);
}

void worker_say(int fd, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(3);
		done += (size_t)n;
	}
}

/*
 * A link that the parent closes lives on in a child that has it open too: the breakpoints would stay as long as the
 * child.  So it keeps its own few files only.
 */
static void close_others(const int *keep, size_t n_keep)
{
	unsigned from = 3;

	for (;;) {
		unsigned next = UINT_MAX;

		for (size_t i = 0; i < n_keep; i++)
			if (keep[i] >= (int)from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > from)
			syscall(SYS_close_range, from, next - 1, 0);
		if (next == UINT_MAX)
			return;
		from = next + 1;
	}
}

void worker_become(const int *keep, size_t n_keep)
{
	sigset_t none;

	close_others(keep, n_keep);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_IGN);     /* a write that may not be is an error like a full disk */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	limit(RLIMIT_CPU, WORKER_CPU_SECONDS);
	limit(RLIMIT_CORE, 0);
#ifndef __SANITIZE_ADDRESS__
	limit(RLIMIT_AS, (rlim_t)4 << 30);
#endif
}

static void __attribute__((noreturn)) child(int fd, const struct worker_files *files,
					    void (*work)(struct buf *out, void *arg), void *arg)
{
	const int keep[] = { fd, files ? files->fd[0] : -1, files ? files->fd[1] : -1 };
	struct buf out = { 0 };

	worker_become(keep, sizeof(keep) / sizeof(keep[0]));
	work(&out, arg);
	if (out.failed)
		_exit(2);
	worker_say(fd, out.data, out.len);
	_exit(0);
}

static void worker_free(struct worker *w)
{
	if (w->readable)
		event_free(w->readable);
	if (w->timeout)
		event_free(w->timeout);
	if (w->fd >= 0)
		close(w->fd);
	buf_free(&w->answer);
	free(w);
}

int worker_reap(pid_t pid)
{
	int status = 0;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

void worker_late(struct error *err)
{
	error_set(err, ETIMEDOUT, "reading the ELF file and its debug info took more than %d s", WORKER_SECONDS);
}

void worker_failed(int status, struct error *err)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
		error_set(err, ETIMEDOUT, "reading the debug info took more than %d s of CPU time", WORKER_CPU_SECONDS);
	else if (WIFSIGNALED(status))
		error_set(err, EBADMSG, "the reader of the ELF file and its debug info died of signal %d (%s)",
			  WTERMSIG(status), strsignal(WTERMSIG(status))), error_hint(err, "the file is probably corrupt");
	else
		error_set(err, ENOMEM, "reading the ELF file and its debug info needs too much memory");
}

static void finish(struct worker *w, const struct error *failed)
{
	void (*done)(const char *, size_t, const struct error *, void *) = w->done;
	struct buf answer = w->answer;
	void *arg = w->arg;

	memset(&w->answer, 0, sizeof(w->answer));
	worker_free(w);
	done(answer.data, answer.len, failed, arg);
	buf_free(&answer);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct error err;

	worker_reap(w->pid);
	worker_late(&err);
	finish(w, &err);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	void *room = buf_reserve(&w->answer, 65536);
	ssize_t n = room ? read(fd, room, 65536) : -1;
	struct error err;
	int status;

	if (n > 0) {
		w->answer.len += (size_t)n;
		if (w->answer.len <= WORKER_ANSWER_MAX)
			return;
		n = -1;
		errno = E2BIG;
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	status = worker_reap(w->pid);
	if (n == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		finish(w, NULL);
		return;
	}
	worker_failed(status, &err);
	finish(w, &err);
}

int worker_start(struct event_base *base, const struct worker_files *files,
		 void (*work)(struct buf *out, void *arg), void *arg,
		 void (*done)(const char *data, size_t len, const struct error *failed, void *arg), void *done_arg,
		 struct worker **out, struct error *err)
{
	struct timeval patience = { .tv_sec = WORKER_SECONDS };
	struct worker *w = calloc(1, sizeof(*w));
	int fds[2];

	if (!w)
		return error_set(err, ENOMEM, "out of memory");
	w->fd = -1;
	if (pipe2(fds, O_CLOEXEC)) {
		free(w);
		return error_set(err, errno, "cannot make a pipe: %s", strerror(errno));
	}
	w->pid = fork();
	if (w->pid == 0)
		child(fds[1], files, work, arg);
	close(fds[1]);
	w->fd = fds[0];
	if (w->pid < 0) {
		int code = errno;

		worker_free(w);
		return error_set(err, code, "cannot fork: %s", strerror(code));
	}
	w->done = done;
	w->arg = done_arg;
	w->readable = event_new(base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	w->timeout = evtimer_new(base, on_timeout, w);
	if (!w->readable || !w->timeout || event_add(w->readable, NULL) || event_add(w->timeout, &patience)) {
		worker_reap(w->pid);
		worker_free(w);
		return error_set(err, ENOMEM, "out of memory");
	}
	*out = w;
	return 0;
}

void worker_cancel(struct worker *w)
{
	if (!w)
		return;
	worker_reap(w->pid);
	worker_free(w);
}
