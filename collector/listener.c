/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector_internal.h"
#include "host_port.h"
#include "log.h"

enum { BACKLOG = 128, PAUSE_SECONDS = 1 };

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *peer, int len, void *arg)
{
	struct collector *c = arg;
	struct error err;

	c->counts.connections++;
	if (session_add(c, fd, peer, &err)) {
		c->counts.refused[REFUSED_CROWD]++;
		log_warn("listener", "refused", "reason=\"%s\"", err.text);
		close(fd);
	}
}

/* Out of files, most likely: the connection stays in the queue, and asking again at once would take a whole processor. */
static void on_accept_error(struct evconnlistener *l, void *arg)
{
	struct timeval pause = { .tv_sec = PAUSE_SECONDS };
	struct collector *c = arg;

	log_warn("listener", "pausing", "reason=\"%s\"", strerror(EVUTIL_SOCKET_ERROR()));
	evconnlistener_disable(l);
	event_add(c->listen_again, &pause);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct collector *c = arg;

	evconnlistener_enable(c->listener);
}

/* NULL: err tells why. */
static struct addrinfo *resolve(const char *text, struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list = NULL;
	struct host_port at;
	int rc;

	if (host_port_read(text, true, &at, err))
		return NULL;
	rc = getaddrinfo(at.host[0] ? at.host : NULL, at.port, &hints, &list);
	if (rc)
		error_set(err, EINVAL, "cannot listen on '%s': %s", text, gai_strerror(rc));
	return rc ? NULL : list;
}

/* "127.0.0.1:7717", "[::1]:7717" of a bound socket. */
static int name_socket(int fd, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN + 32], port[8];
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) ||
	    getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return -errno;
	snprintf(out, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

static struct evconnlistener *bind_address(struct collector *c, const struct addrinfo *a, const char *address, struct error *err)
{
	struct evconnlistener *l;

	if (!c->tls && tls_plain_allowed(a->ai_addr, a->ai_addr, c->opt.insecure, err))
		return NULL;
	l = evconnlistener_new_bind(c->base, NULL, c,
				    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED,
				    BACKLOG, a->ai_addr, (int)a->ai_addrlen);
	if (!l)
		error_set(err, errno, "cannot listen on %s: %s", address, strerror(errno));
	return l;
}

struct evconnlistener *listener_bind(struct collector *c, const char *address, char *name, size_t size, struct error *err)
{
	struct addrinfo *list = resolve(address, err);
	struct evconnlistener *l = list ? bind_address(c, list, address, err) : NULL;

	if (list)
		freeaddrinfo(list);
	if (l && name_socket(evconnlistener_get_fd(l), name, size)) {
		error_set(err, EIO, "cannot listen on %s", address);
		evconnlistener_free(l);
		return NULL;
	}
	return l;
}

int listener_start(struct collector *c, struct error *err)
{
	c->listener = listener_bind(c, c->opt.listen, c->address, sizeof(c->address), err);
	if (!c->listener)
		return -err->code;
	c->listen_again = evtimer_new(c->base, on_again, c);
	if (!c->listen_again)
		return error_set(err, ENOMEM, "out of memory");
	evconnlistener_set_cb(c->listener, on_accept, c);
	evconnlistener_set_error_cb(c->listener, on_accept_error);
	return evconnlistener_enable(c->listener) ? error_set(err, EIO, "cannot listen on %s", c->opt.listen) : 0;
}

void listener_stop(struct collector *c)
{
	if (c->listener)
		evconnlistener_free(c->listener);
	if (c->listen_again)
		event_free(c->listen_again);
}
