/* SPDX-License-Identifier: Apache-2.0 */
/* The child: one question, one answer, as long as that makes sense. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper_internal.h"
#include "worker.h"

/* The limits on CPU time and on address space are for all questions together: each of them is to have most of it. */
enum { TIRED_SECONDS = WORKER_CPU_SECONDS / 4, TIRED_SPACE_SHARE = 2 };

struct asked { int fd[KEEPER_FILES]; };

static void forget(struct asked *q)
{
	for (int i = 0; i < KEEPER_FILES; i++)
		if (q->fd[i] >= 0)
			close(q->fd[i]);
}

/* False: there will be no more questions. */
static bool receive(int from, struct asked *q)
{
	union { char bytes[CMSG_SPACE(sizeof(q->fd))]; struct cmsghdr align; } control;
	struct iovec byte = { .iov_base = &(char){ 0 }, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *head;
	ssize_t n;

	for (int i = 0; i < KEEPER_FILES; i++)
		q->fd[i] = -1;
	do
		n = recvmsg(from, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	head = n == 1 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len > CMSG_LEN(sizeof(q->fd)))
		return false;
	memcpy(q->fd, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
	return q->fd[KEEPER_FILE] >= 0;
}

/* A name for the root: all questions are about the same one, and what is kept was found below that name. */
struct root { int fd; char path[32]; };

static void reserve(struct root *root)
{
	root->fd = open("/", O_PATH | O_CLOEXEC);
	if (root->fd < 0)
		_exit(3);
	snprintf(root->path, sizeof(root->path), "/proc/self/fd/%d", root->fd);
}

static void use_root(const struct root *root, const struct asked *q, struct resolve_request *rq)
{
	size_t len = strlen(rq->root);

	if (!len)
		return;
	if (dup3(q->fd[KEEPER_ROOT], root->fd, O_CLOEXEC) < 0)
		_exit(3);
	if (strncmp(rq->path, rq->root, len) == 0 && rq->path[len] == '/')
		rq->path += len;
	rq->root_shown = rq->root;
	rq->root = root->path;
}

static void answer(const struct asked *q, const struct root *root, struct resolve_kept *kept, struct buf *out)
{
	off_t len = lseek(q->fd[KEEPER_QUESTION], 0, SEEK_END);
	void *bytes = len > 0 ? mmap(NULL, (size_t)len, PROT_READ, MAP_PRIVATE, q->fd[KEEPER_QUESTION], 0) : MAP_FAILED;
	struct resolve_question *question = calloc(1, sizeof(*question));

	if (bytes == MAP_FAILED || !question || resolve_question_read(bytes, (size_t)len, &q->fd[KEEPER_FILE], question))
		_exit(3);
	use_root(root, q, &question->request);
	question->request.kept = kept;
	if (question->request.explain)
		explain_work(out, &question->request);
	else
		resolve_work(out, &question->request);
	free(question);
	munmap(bytes, (size_t)len);
}

static bool has_little_space(void)
{
	unsigned long pages = 0;
	struct rlimit limit;
	FILE *f;

	if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return false;
	f = fopen("/proc/self/statm", "re");
	if (!f || fscanf(f, "%lu", &pages) != 1)
		pages = ULONG_MAX;
	if (f)
		fclose(f);
	return pages >= limit.rlim_cur / TIRED_SPACE_SHARE / (unsigned long)sysconf(_SC_PAGESIZE);
}

static bool is_tired(void)
{
	struct rusage used;

	return has_little_space() || getrusage(RUSAGE_SELF, &used) != 0 || used.ru_utime.tv_sec + used.ru_stime.tv_sec >= TIRED_SECONDS;
}

void keeper_serve(int fd)
{
	struct resolve_kept kept = { 0 };
	struct root root;
	struct asked q;

	reserve(&root);
	while (receive(fd, &q)) {
		struct keeper_head head = { 0 };
		struct buf out = { 0 };

		answer(&q, &root, &kept, &out);
		forget(&q);
		if (out.failed)
			_exit(2);
		head.len = out.len;
		head.stays = kept.img && !is_tired();
		worker_say(fd, &head, sizeof(head));
		worker_say(fd, out.data, out.len);
		if (!head.stays)
			break;
		buf_free(&out);
		malloc_trim(0);
	}
	_exit(0);
}
