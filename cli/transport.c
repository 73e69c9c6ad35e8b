/* SPDX-License-Identifier: Apache-2.0 */
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "host_port.h"

enum { CONNECT_SECONDS = 10, PATIENCE_MS = 20000 };

/* ---- connecting ---- */

/* A socket's own limits hold for connect and for the TLS hand-shake alike. */
static void set_limits(int fd, int seconds)
{
	struct timeval tv = { .tv_sec = seconds };
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int connect_one(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol), rc;

	if (fd < 0)
		return -errno;
	set_limits(fd, CONNECT_SECONDS);
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return fd;
	rc = errno == EINPROGRESS ? -ETIMEDOUT : -errno;
	close(fd);
	return rc;
}

static int connect_any(const struct host_port *at, const char *address, struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int rc = getaddrinfo(at->host, at->port, &hints, &list), fd = -ECONNREFUSED;

	if (rc)
		return error_set(err, EINVAL, "no address of the collector '%s': %s", address, gai_strerror(rc));
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = connect_one(a);
	freeaddrinfo(list);
	if (fd < 0) {
		error_set(err, -fd, "no collector answers on %s: %s", address, strerror(-fd));
		error_hint(err, "is plumb-collector running there, and is this the address of its --listen?");
		return fd;
	}
	return fd;
}

static bool plain_allowed(int fd, bool insecure)
{
	struct sockaddr_storage here, there;
	socklen_t here_len = sizeof(here), there_len = sizeof(there);

	if (getsockname(fd, (struct sockaddr *)&here, &here_len) || getpeername(fd, (struct sockaddr *)&there, &there_len))
		return false;
	return tls_plain_allowed((struct sockaddr *)&here, (struct sockaddr *)&there, insecure, NULL) == 0;
}

static int start_tls(struct transport *t, const struct tls_files *files, const char *host, struct error *err)
{
	struct tls *tls = NULL;
	int rc = tls_client_new(files, &tls, err);

	if (!rc)
		rc = tls_connect(tls, t->fd, host, &t->ssl, err);
	tls_free(tls);
	if (rc)
		error_hint(err, "--tls-ca names the CA of the collector's certificate; --insecure does without TLS, on a network that you trust");
	return rc;
}

int transport_connect(struct transport *t, const struct collector_address *where, struct error *err)
{
	bool files = where->tls.ca || where->tls.cert || where->tls.key;
	struct host_port at;
	int rc = host_port_read(where->address, false, &at, err);

	t->ssl = NULL;
	if (rc)
		return rc;
	t->fd = connect_any(&at, where->address, err);
	if (t->fd < 0)
		return t->fd;
	if (files || !plain_allowed(t->fd, where->insecure))
		rc = start_tls(t, &where->tls, at.host, err);
	if (!rc && fcntl(t->fd, F_SETFL, O_NONBLOCK) < 0)
		rc = error_set(err, errno, "cannot use the connection: %s", strerror(errno));
	if (rc) {
		transport_close(t);
		return rc;
	}
	set_limits(t->fd, 0);
	return 0;
}

void transport_close(struct transport *t)
{
	if (t->ssl) {
		SSL_shutdown(t->ssl);
		SSL_free(t->ssl);
	}
	t->ssl = NULL;
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

/* ---- bytes ---- */

/* -EAGAIN: to be tried again. */
static int wait_for(const struct transport *t, short what)
{
	struct pollfd p = { .fd = t->fd, .events = what };

	return poll(&p, 1, t->patience_ms ? t->patience_ms : PATIENCE_MS) ? -EAGAIN : -ETIMEDOUT;
}

/* What a TLS call that did not get on waits for: 0 and *what, or -errno. */
static int tls_wants(struct transport *t, int rc, short *what)
{
	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		*what = POLLIN;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		*what = POLLOUT;
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return -ECONNRESET;
	default:
		ERR_clear_error();
		return -EPROTO;
	}
}

/* One step: bytes sent, or -EAGAIN after having waited. A unix socket may be a blocking one. */
static ssize_t send_some(struct transport *t, const char *data, size_t len)
{
	short what = POLLOUT;
	ssize_t n;
	int rc;

	if (t->ssl) {
		n = SSL_write(t->ssl, data, len < INT32_MAX ? (int)len : INT32_MAX);
		rc = n > 0 ? 0 : tls_wants(t, (int)n, &what);
	} else {
		n = send(t->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		rc = n >= 0 || errno == EAGAIN || errno == EINTR ? 0 : -errno;
	}
	if (n > 0 || rc)
		return rc ? rc : n;
	return wait_for(t, what);
}

int transport_send(struct transport *t, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = send_some(t, at, len);

		if (n < 0 && n != -EAGAIN)
			return (int)n;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

ssize_t transport_receive(struct transport *t, void *to, size_t len)
{
	short what = 0;
	size_t got = 0;
	ssize_t n;
	int rc = 0;

	if (!t->ssl) {
		n = recv(t->fd, to, len, MSG_DONTWAIT);
		return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
	}
	/* One call hands out one record of 16 KiB at most. */
	while (got < len) {
		n = SSL_read(t->ssl, (char *)to + got, (int)(len - got));
		if (n <= 0) {
			rc = tls_wants(t, (int)n, &what);
			break;
		}
		got += (size_t)n;
	}
	if (got)
		return (ssize_t)got;
	return rc == -ECONNRESET ? 0 : rc ? rc : -EAGAIN;
}

bool transport_pending(const struct transport *t)
{
	return t->ssl && SSL_has_pending(t->ssl);
}
