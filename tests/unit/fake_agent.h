/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plumbd made of a script, on a unix socket of its own, and plumb run against it with its output caught: what a person
 * would see, without BPF.
 */
#ifndef PLUMB_TEST_FAKE_AGENT_H
#define PLUMB_TEST_FAKE_AGENT_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "stream.h"
#include "wire_pack.h"

/* ---- the agent's side ---- */

struct fake {
	int fd;
	struct buf in, out;
};

static inline void fake_send(struct fake *a)
{
	size_t at = 0;

	while (at < a->out.len) {
		ssize_t n = send(a->fd, a->out.data + at, a->out.len - at, MSG_NOSIGNAL);

		if (n <= 0)
			_exit(3);
		at += (size_t)n;
	}
	buf_clear(&a->out);
}

/* The next frame of the client; false: it has hung up. */
static inline bool fake_receive(struct fake *a, struct frame_in *in)
{
	for (;;) {
		int n = frame_take(buf_text(&a->in), a->in.len, in, NULL);
		ssize_t got;

		if (n < 0)
			_exit(4);
		if (n > 0) {
			buf_consume(&a->in, (size_t)n);
			return true;
		}
		got = recv(a->fd, buf_reserve(&a->in, 4096), 4096, 0);
		if (got <= 0)
			return false;
		a->in.len += (size_t)got;
	}
}

static inline void fake_welcome(struct fake *a, unsigned version)
{
	struct frame_in in;
	struct frame f;

	if (!fake_receive(a, &in) || in.type != WIRE_HELLO)
		_exit(5);
	frame_in_free(&in);
	frame_begin(&f, &a->out, WIRE_WELCOME, 5);
	msgpack_pack_uint32(&f.pk, version);
	pack_text(&f.pk, "plumbd 0.1.0");
	pack_text(&f.pk, "web-1");
	msgpack_pack_map(&f.pk, 0);
	frame_end(&f);
	fake_send(a);
}

static inline void fake_reply(struct fake *a, bool ok, unsigned n, struct frame *f)
{
	frame_begin(f, &a->out, WIRE_REPLY, 4);
	msgpack_pack_uint64(&f->pk, 1);
	ok ? msgpack_pack_true(&f->pk) : msgpack_pack_false(&f->pk);
	msgpack_pack_map(&f->pk, n);
}

static inline void fake_accept(struct fake *a)
{
	struct frame f;

	fake_reply(a, true, 1, &f);
	pack_key_u64(&f.pk, "id", 4);
	frame_end(&f);
}

static inline void pack_end_frame(struct buf *out, const char *reason, const char *text, const struct test_count *counts)
{
	struct frame f;

	frame_begin(&f, out, WIRE_END, 5);
	msgpack_pack_uint64(&f.pk, 1);
	pack_text(&f.pk, reason);
	pack_text(&f.pk, text);
	msgpack_pack_array(&f.pk, 1);
	pack_row(&f.pk, 1, 812, "checkoutd", counts, NULL);
	frame_end(&f);
}

static inline void fake_end(struct fake *a, const char *reason, const char *text, const struct test_count *counts)
{
	pack_end_frame(&a->out, reason, text, counts);
	fake_send(a);
}

/* ---- plumb's side ---- */

struct run {
	int code;            /* exit code, 128 + signal if it was killed */
	char out[1 << 16], err[1 << 14];
	size_t out_len;
	int agent_code;
};

typedef void script(struct fake *a);

struct fixture {
	char dir[64], path[108];
	int listener;
};

static inline void fake_listen(struct fixture *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	strcpy(f->dir, "/tmp/plumb-test-XXXXXX");
	if (!mkdtemp(f->dir))
		abort();
	snprintf(f->path, sizeof(f->path), "%s/sock", f->dir);
	memcpy(sa.sun_path, f->path, sizeof(f->path));
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(f->listener, (struct sockaddr *)&sa, sizeof(sa)) || listen(f->listener, 4))
		abort();
}

static inline void fake_close(struct fixture *f)
{
	close(f->listener);
	unlink(f->path);
	rmdir(f->dir);
}

static inline pid_t start_agent(struct fixture *f, script *play)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct fake a = { .fd = accept(f->listener, NULL, NULL) };

		alarm(20);
		play(&a);
		close(a.fd);
		buf_free(&a.in);
		buf_free(&a.out);
		_exit(0);
	}
	return pid;
}

static inline size_t slurp(int fd, char *to, size_t size)
{
	size_t at = 0;
	ssize_t n;

	lseek(fd, 0, SEEK_SET);
	while (at + 1 < size && (n = read(fd, to + at, size - 1 - at)) > 0)
		at += (size_t)n;
	to[at] = '\0';
	close(fd);
	return at;
}

static inline int wait_code(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* plumb with these words (one blank between them, '_' for a blank inside one), its output in files. */
static inline pid_t start_plumb_words(const char *line, int out_fd, int err_fd)
{
	static char copy[1024];
	char *argv[32] = { (char *)"plumb" };
	int argc = 1;
	pid_t pid = fork();

	if (pid)
		return pid;
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		for (char *c = word; *c; c++)
			*c = *c == '_' ? ' ' : *c;
		argv[argc++] = word;
	}
	dup2(out_fd, STDOUT_FILENO);
	dup2(err_fd, STDERR_FILENO);
	close_range(3, ~0U, 0);   /* not the test's own ends of pipes */
	stream_stop_ms = 1500;
	alarm(20);
	setenv("TZ", "UTC", 1);
	setenv("LC_ALL", "C", 1);
	_exit(cli_run(argc, argv));
}

static inline pid_t start_plumb(const char *socket_path, const char *line, int out_fd, int err_fd)
{
	char words[1024];

	snprintf(words, sizeof(words), "--socket %s %s", socket_path, line);
	return start_plumb_words(words, out_fd, err_fd);
}

static inline int temporary(void)
{
	char path[] = "/tmp/plumb-test-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	return fd;
}

static inline void run_plumb(struct run *r, script *play, const char *line)
{
	int out = temporary(), err = temporary();
	struct fixture f;
	pid_t agent, plumb;

	fake_listen(&f);
	agent = start_agent(&f, play);
	plumb = start_plumb(f.path, line, out, err);
	r->code = wait_code(plumb);
	if (r->code == CLI_USAGE)   /* it never connected */
		kill(agent, SIGKILL);
	r->agent_code = wait_code(agent);
	r->out_len = slurp(out, r->out, sizeof(r->out));
	slurp(err, r->err, sizeof(r->err));
	fake_close(&f);
}

#endif
