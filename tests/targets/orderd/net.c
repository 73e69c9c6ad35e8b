/* SPDX-License-Identifier: Apache-2.0 */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "order.h"

enum { LINE_MAX_BYTES = 4096, REPLY_BYTES = 64, EVENTS = 32 };

struct conn {
	struct conn *next, *prev;
	int fd;
	size_t used;
	char in[LINE_MAX_BYTES];
};

struct worker {
	pthread_t thread;
	int epoll, wake;
	struct conn conns;           /* head of a ring; touched by the worker's thread, and by worker_stop after it */
	pthread_mutex_t lock;        /* for the ring */
	uint64_t orders, errors;
};

int net_listen(uint16_t *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(*port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, rc;
	socklen_t len = sizeof(addr);

	if (fd < 0)
		return -errno;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 128) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*port = ntohs(addr.sin_port);
	return fd;
}

/* ---- one connection ---- */

NOINLINE int handle_line(struct worker *w, const char *line, char *reply, int size)
{
	struct order o;
	int rc = parse_order(&o, line);

	if (rc == 0)
		rc = checkout(&o);
	w->orders++;
	if (rc) {
		w->errors++;
		rc = snprintf(reply, size, "ERR %d\n", rc);
	} else {
		rc = snprintf(reply, size, "OK total=%lld\n", (long long)o.price.total);
	}
	order_clear(&o);
	return rc;
}

static int send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= n;
	}
	return 0;
}

/* Answers each whole line of the buffer; < 0: hang up. */
static int handle_lines(struct worker *w, struct conn *c)
{
	char *line = c->in, *end = c->in + c->used, *newline, reply[REPLY_BYTES];
	int rc;

	while ((newline = memchr(line, '\n', end - line))) {
		*newline = '\0';
		rc = handle_line(w, line, reply, sizeof(reply));
		rc = send_all(c->fd, reply, rc);
		if (rc)
			return rc;
		line = newline + 1;
	}
	c->used = end - line;
	memmove(c->in, line, c->used);
	return c->used == sizeof(c->in) ? -EMSGSIZE : 0;
}

static void conn_close(struct worker *w, struct conn *c)
{
	pthread_mutex_lock(&w->lock);
	c->prev->next = c->next;
	c->next->prev = c->prev;
	pthread_mutex_unlock(&w->lock);
	close(c->fd);
	free(c);
}

static void conn_readable(struct worker *w, struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->used, sizeof(c->in) - c->used, 0);

	if (n < 0 && errno == EINTR)
		return;
	if (n > 0) {
		c->used += n;
		if (handle_lines(w, c) == 0)
			return;
	}
	conn_close(w, c);
}

/* ---- workers ---- */

static void *worker_main(void *arg)
{
	struct epoll_event events[EVENTS];
	struct worker *w = arg;

	for (;;) {
		int n = epoll_wait(w->epoll, events, EVENTS, -1), i;

		for (i = 0; i < n; i++) {
			if (!events[i].data.ptr)
				return NULL;
			conn_readable(w, events[i].data.ptr);
		}
	}
}

struct worker *worker_start(void)
{
	struct epoll_event wake = { .events = EPOLLIN };
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->conns.next = w->conns.prev = &w->conns;
	pthread_mutex_init(&w->lock, NULL);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->wake = eventfd(0, EFD_CLOEXEC);
	if (w->epoll >= 0 && w->wake >= 0 && epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &wake) == 0 &&
	    pthread_create(&w->thread, NULL, worker_main, w) == 0)
		return w;
	close(w->epoll);
	close(w->wake);
	free(w);
	return NULL;
}

int worker_give(struct worker *w, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	int on = 1, rc;

	if (!c)
		return -ENOMEM;
	c->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	pthread_mutex_lock(&w->lock);
	c->next = w->conns.next;
	c->prev = &w->conns;
	c->next->prev = c->prev->next = c;
	rc = epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
	if (rc) {
		c->prev->next = c->next;
		c->next->prev = c->prev;
		free(c);
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

void worker_stop(struct worker *w, uint64_t *orders, uint64_t *errors)
{
	uint64_t one = 1;

	if (write(w->wake, &one, sizeof(one)) == sizeof(one))
		pthread_join(w->thread, NULL);
	while (w->conns.next != &w->conns)
		conn_close(w, w->conns.next);
	*orders += w->orders;
	*errors += w->errors;
	close(w->epoll);
	close(w->wake);
	free(w);
}
