/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many connections the HTTP server has, and which of them take for ever to send a request.  libevent neither bounds the one
 * nor tells when a connection goes, and its timer starts anew with each byte.  So the process's sockets are looked at: once a
 * second, and when as many were accepted since as there is room for.  A socket is known by its cookie, which is never used twice.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "http_internal.h"
#include "log.h"

enum { FILES_MAX = 1 << 16, REQUEST_SECONDS_MAX = 60, NS_PER_S = 1000000000 };

/* A socket of ours, by its number. */
struct seen_socket {
	uint64_t cookie;
	uint64_t since_ns;   /* when it was seen first, or its last request was done */
	bool busy;           /* a request is being answered */
};

static bool is_ours(const struct http *h, int fd)
{
	struct sockaddr_storage here = { 0 };
	socklen_t len = sizeof(here);

	if (fd == evconnlistener_get_fd(h->listener) || getsockname(fd, (struct sockaddr *)&here, &len) || here.ss_family != h->bound.ss_family)
		return false;
	/* The port alone: it may listen on any address. */
	if (here.ss_family == AF_INET)
		return ((struct sockaddr_in *)&here)->sin_port == ((const struct sockaddr_in *)&h->bound)->sin_port;
	return here.ss_family == AF_INET6 && ((struct sockaddr_in6 *)&here)->sin6_port == ((const struct sockaddr_in6 *)&h->bound)->sin6_port;
}

/* Its entry, begun anew if the number is of another socket now. NULL: not a socket. */
static struct seen_socket *look_at(struct http *h, int fd, uint64_t now)
{
	uint64_t cookie;
	socklen_t len = sizeof(cookie);

	if (fd < 0 || fd >= h->n_seen || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len))
		return NULL;
	if (h->seen[fd].cookie != cookie)
		h->seen[fd] = (struct seen_socket){ .cookie = cookie, .since_ns = now };
	return &h->seen[fd];
}

static void count_sockets(struct http *h)
{
	uint64_t now = mono_ns();

	h->connections = 0;
	for (int fd = 0; fd < h->n_seen; fd++) {
		struct seen_socket *s = is_ours(h, fd) ? look_at(h, fd, now) : NULL;

		if (!s)
			continue;
		h->connections++;
		if (!s->busy && now - s->since_ns > (uint64_t)REQUEST_SECONDS_MAX * NS_PER_S)
			shutdown(fd, SHUT_RDWR);
	}
}

void http_connections_tick(struct http *h)
{
	bool full;

	count_sockets(h);
	full = h->connections >= HTTP_CONNECTIONS_MAX;
	if (full && !h->crowded) {
		log_warn("http", "crowded", "connections=%u", h->connections);
		evconnlistener_disable(h->listener);
	} else if (!full && h->crowded) {
		evconnlistener_enable(h->listener);
	}
	h->crowded = full;
}

void http_connection_new(struct http *h)
{
	if (++h->connections >= HTTP_CONNECTIONS_MAX) /* at most: those that went since are not known */
		http_connections_tick(h);
}

void http_connection_busy(struct http *h, struct evhttp_request *req, bool busy)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);
	struct seen_socket *s;

	if (!evcon)
		return;
	s = look_at(h, bufferevent_getfd(evhttp_connection_get_bufferevent(evcon)), mono_ns());
	if (!s)
		return;
	s->busy = busy;
	s->since_ns = mono_ns();
}

int http_connections_start(struct http *h)
{
	socklen_t len = sizeof(h->bound);
	struct rlimit files;

	if (getsockname(evconnlistener_get_fd(h->listener), (struct sockaddr *)&h->bound, &len) || getrlimit(RLIMIT_NOFILE, &files))
		return -errno;
	h->n_seen = files.rlim_cur < FILES_MAX ? (int)files.rlim_cur : FILES_MAX;
	h->seen = calloc((size_t)h->n_seen, sizeof(*h->seen));
	return h->seen ? 0 : -ENOMEM;
}
