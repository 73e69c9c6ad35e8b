/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper_internal.h"
#include "worker.h"

enum { READ_BYTES = 65536 };

static void child_end(struct keeper *k)
{
	if (k->pid > 0)
		worker_reap(k->pid);
	if (k->readable)
		event_free(k->readable);
	if (k->timeout)
		event_free(k->timeout);
	if (k->fd >= 0)
		close(k->fd);
	buf_free(&k->in);
	k->pid = 0;
	k->fd = -1;
	k->readable = k->timeout = NULL;
	memset(&k->in, 0, sizeof(k->in));
}

static void forget_question(struct keeper *k)
{
	for (int i = 0; i < KEEPER_FILES; i++) {
		if (k->again[i] >= 0)
			close(k->again[i]);
		k->again[i] = -1;
	}
}

static void keeper_free(struct keeper *k)
{
	child_end(k);
	forget_question(k);
	subject_close(&k->subject);
	free(k);
}

void keeper_end(struct keeper *k)
{
	LIST_REMOVE(k, link);
	keeper_free(k);
}

/* It is gone, and there was no answer. */
static void give_up(struct keeper *k, const struct error *why)
{
	void (*done)(const char *, size_t, const struct error *, void *) = k->done;
	void *arg = k->arg;

	keeper_end(k);
	if (done)
		done(NULL, 0, why, arg);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
	struct error err;

	worker_late(&err);
	give_up(k, &err);
}

static int ask_again(struct keeper *k, struct error *err);

/* Dead, or it said more than it was asked. */
static void on_failure(struct keeper *k)
{
	struct error err;
	int status = worker_reap(k->pid);

	k->pid = 0;
	worker_failed(status, &err);
	if (!k->done || k->again[KEEPER_QUESTION] < 0 || ask_again(k, &err) != 0)
		give_up(k, &err);
}

static void on_answer(struct keeper *k, bool stays)
{
	void (*done)(const char *, size_t, const struct error *, void *) = k->done;
	struct buf answer = k->in;
	void *arg = k->arg;

	memset(&k->in, 0, sizeof(k->in));
	k->done = NULL;
	forget_question(k);
	if (stays)
		keepers_idle(k->all, k);
	else
		keeper_end(k);
	done(answer.data + sizeof(struct keeper_head), answer.len - sizeof(struct keeper_head), NULL, arg);
	buf_free(&answer);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
	void *room = buf_reserve(&k->in, READ_BYTES);
	ssize_t n = room ? recv(k->fd, room, READ_BYTES, MSG_DONTWAIT) : -1;
	struct keeper_head head;

	if (n < 0 && room && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0 || !k->done) {
		on_failure(k);
		return;
	}
	k->in.len += (size_t)n;
	if (k->in.len < sizeof(head))
		return;
	memcpy(&head, k->in.data, sizeof(head));
	if (head.len > WORKER_ANSWER_MAX || k->in.len - sizeof(head) > head.len)
		on_failure(k);
	else if (k->in.len - sizeof(head) == head.len)
		on_answer(k, head.stays);
}

static int add_events(struct keeper *k, struct event_base *base)
{
	k->readable = event_new(base, k->fd, EV_READ | EV_PERSIST, on_readable, k);
	k->timeout = evtimer_new(base, on_timeout, k);
	return k->readable && k->timeout && event_add(k->readable, NULL) == 0 ? 0 : -ENOMEM;
}

static struct keeper *keeper_new(struct keepers *all, const struct keeper_subject *subject)
{
	struct keeper_subject unused = *subject;
	struct keeper *k = calloc(1, sizeof(*k));

	if (!k) {
		subject_close(&unused);
		return NULL;
	}
	k->all = all;
	k->subject = *subject;
	k->fd = -1;
	memset(k->again, -1, sizeof(k->again));
	return k;
}

/* child_end also after an error. */
static int child_start(struct keeper *k, struct event_base *base, struct error *err)
{
	int fds[2], code;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return error_set(err, errno, "cannot make a socket: %s", strerror(errno));
	k->pid = fork();
	code = errno;
	if (k->pid == 0) {
		worker_become(&fds[1], 1);
		keeper_serve(fds[1]);
	}
	close(fds[1]);
	k->fd = fds[0];
	if (k->pid > 0 && add_events(k, base) == 0)
		return 0;
	if (k->pid > 0)
		code = ENOMEM;
	return error_set(err, code, "cannot fork: %s", strerror(code));
}

int keeper_start(struct keepers *all, struct event_base *base, const struct keeper_subject *subject, struct keeper **out,
		 struct error *err)
{
	struct keeper *k = keeper_new(all, subject);
	int rc = k ? child_start(k, base, err) : error_set(err, ENOMEM, "out of memory");

	if (!rc)
		*out = k;
	else if (k)
		keeper_free(k);
	return rc;
}

/* ---- asking ---- */

static int write_question(const struct resolve_request *rq)
{
	struct buf bytes = { 0 };
	int fd = memfd_create("plumb-question", MFD_CLOEXEC);

	resolve_question_write(rq, &bytes);
	if (fd >= 0 && (bytes.failed || write(fd, bytes.data, bytes.len) != (ssize_t)bytes.len)) {
		close(fd);
		fd = -1;
	}
	buf_free(&bytes);
	return fd;
}

static int send_files(int to, const int *fd, size_t n)
{
	union { char bytes[CMSG_SPACE(KEEPER_FILES * sizeof(int))]; struct cmsghdr align; } control = { .bytes = { 0 } };
	struct iovec byte = { .iov_base = &(char){ '?' }, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = control.bytes,
			      .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(head), fd, n * sizeof(int));
	return sendmsg(to, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int send_question(struct keeper *k, const int *fd, size_t n)
{
	const struct timeval patience = { .tv_sec = WORKER_SECONDS };
	int rc = send_files(k->fd, fd, n);

	return rc ? rc : event_add(k->timeout, &patience);
}

static int ask_again(struct keeper *k, struct error *err)
{
	struct event_base *base = event_get_base(k->readable);
	int rc;

	child_end(k);
	rc = child_start(k, base, err);
	if (rc)
		return rc;
	rc = send_question(k, k->again, k->again[KEEPER_EXE] >= 0 ? KEEPER_FILES : KEEPER_EXE);
	forget_question(k);
	return rc ? error_set(err, -rc, "cannot ask the resolver: %s", strerror(-rc)) : 0;
}

/* All of it, or nothing. */
static void remember_question(struct keeper *k, const int *fd, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		k->again[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, 3);
		if (k->again[i] < 0) {
			forget_question(k);
			return;
		}
	}
}

int keeper_ask(struct keeper *k, const struct resolve_request *rq, bool before)
{
	bool other = rq->exe_fd >= 0 && rq->exe_fd != rq->fd;
	int question = write_question(rq), rc;
	/* No root: what is no directory has nothing below it. */
	const int fd[KEEPER_FILES] = { [KEEPER_QUESTION] = question, [KEEPER_FILE] = rq->fd, [KEEPER_EXE] = rq->exe_fd,
				       [KEEPER_ROOT] = k->subject.root_fd >= 0 ? k->subject.root_fd : question };

	if (question < 0)
		return -ENOMEM;
	rc = send_question(k, fd, other ? KEEPER_FILES : KEEPER_EXE);
	if (!rc && before)
		remember_question(k, fd, other ? KEEPER_FILES : KEEPER_EXE);
	close(question);
	return rc;
}

void keeper_wait(struct keeper *k, unsigned idle_ms)
{
	struct timeval tv = { .tv_sec = idle_ms / 1000, .tv_usec = idle_ms % 1000 * 1000 };

	event_add(k->timeout, &tv);
}
