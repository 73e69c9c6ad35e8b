/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection: name, addresses one after the other, TLS, and again after a while.  The while doubles up to 30 s, and half of
 * it is chance, so that agents do not all come back at once.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "log.h"
#include "uplink_internal.h"

enum {
	KEEPALIVE_IDLE_SECONDS = 15, KEEPALIVE_INTERVAL_SECONDS = 5, KEEPALIVE_PROBES = 3,
	UNACKED_MS = 30000,                 /* bytes that the other machine has not taken */
	STEADY_NS = 2000000000,             /* a link that held so long begins its back-off anew */
};

static void connect_next(struct uplink *u);

/* ---- waiting ---- */

static void set_timer(struct uplink *u, unsigned ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	event_add(u->timer, &tv);
}

static unsigned next_wait_ms(struct uplink *u)
{
	unsigned random = 0;

	u->backoff_ms = !u->backoff_ms ? BACKOFF_FIRST_MS : u->backoff_ms < BACKOFF_MAX_MS / 2 ? 2 * u->backoff_ms : BACKOFF_MAX_MS;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (unsigned)now_ns();
	return u->backoff_ms / 2 + random % (u->backoff_ms / 2 + 1);
}

static void close_connection(struct uplink *u)
{
	if (u->query)
		evdns_getaddrinfo_cancel(u->query);
	u->query = NULL;
	if (u->bev)
		bufferevent_free(u->bev);
	u->bev = NULL;
	u->n_flight = u->flight_first = 0;
	u->flight_bytes = 0;
	questions_cancel(u->agent, &u->client);
}

void link_drop(struct uplink *u, const char *fmt, ...)
{
	bool was_up = u->state == LINK_UP, news = was_up || !u->why.code;
	char text[sizeof(u->why.text)];
	unsigned ms;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	news |= strcmp(text, u->why.text) != 0;
	error_set(&u->why, ENOTCONN, "%s", text);
	if (was_up && now_ns() - u->up_ns > STEADY_NS)
		u->backoff_ms = 0;
	close_connection(u);
	u->state = LINK_WAITING;
	ms = next_wait_ms(u);
	if (news)
		log_warn("uplink", was_up ? "lost" : "unreachable", "collector=%s:%s again_in_ms=%u reason=\"%s\"", u->collector.host, u->collector.port, ms, text);
	set_timer(u, ms);
}

void link_up(struct uplink *u)
{
	u->state = LINK_UP;
	u->up_ns = now_ns();
	memset(&u->why, 0, sizeof(u->why));
	event_del(u->timer);
	log_info("uplink", "connected", "collector=%s:%s", u->collector.host, u->collector.port);
}

/* ---- connecting ---- */

static void watch_line(int fd)
{
	const struct { int level, name, value; } options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS }, { IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS }, { IPPROTO_TCP, TCP_NODELAY, 1 },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
}

static void on_connected(struct uplink *u)
{
	watch_line(bufferevent_getfd(u->bev));
	u->state = LINK_GREETING;
	talk_hello(u);
}

static void describe_failure(struct uplink *u, short what, struct error *err)
{
	SSL *ssl = bufferevent_openssl_get_ssl(u->bev);
	unsigned long code = ssl ? bufferevent_get_openssl_error(u->bev) : 0;
	int sys = EVUTIL_SOCKET_ERROR();

	if (ssl && (code || SSL_get_verify_result(ssl) != X509_V_OK))
		tls_error(ssl, code, "TLS", err);
	else if (what & BEV_EVENT_EOF)
		error_set(err, ECONNRESET, "it closed the connection");
	else
		error_set(err, sys ? sys : ECONNRESET, "%s", strerror(sys ? sys : ECONNRESET));
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct uplink *u = arg;
	struct error err;

	if (what & BEV_EVENT_CONNECTED) {
		on_connected(u);
		return;
	}
	if (u->state == LINK_GREETING) {   /* it may have said why */
		talk_read(bev, u);
		if (u->bev != bev)
			return;
	}
	describe_failure(u, what, &err);
	if (u->state == LINK_CONNECTING && u->next_address < u->n_addresses) {
		bufferevent_free(u->bev);
		u->bev = NULL;
		connect_next(u);
	} else {
		link_drop(u, "%s", err.text);
	}
}

static void on_written(struct bufferevent *bev, void *arg)
{
	talk_send(arg);
}

static struct bufferevent *make_bev(struct uplink *u, struct error *err)
{
	const int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
	struct bufferevent *bev;
	SSL *ssl = NULL;

	if (u->tls && tls_session(u->tls, u->collector.host, &ssl, err))
		return NULL;
	bev = ssl ? bufferevent_openssl_socket_new(u->agent->base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, options) :
		    bufferevent_socket_new(u->agent->base, -1, options);
	if (!bev) {
		SSL_free(ssl);
		error_set(err, ENOMEM, "no memory for a connection");
	}
	return bev;
}

static void connect_next(struct uplink *u)
{
	struct sockaddr *addr = (struct sockaddr *)&u->address[u->next_address];
	int len = u->address_len[u->next_address++];
	struct error err;

	if (!u->tls && tls_plain_allowed(addr, addr, u->agent->opt.insecure, &err)) {
		link_drop(u, "%s: %s", err.text, err.hint);
		return;
	}
	u->bev = make_bev(u, &err);
	if (!u->bev) {
		link_drop(u, "%s", err.text);
		return;
	}
	bufferevent_setcb(u->bev, talk_read, on_written, on_event, u);
	bufferevent_setwatermark(u->bev, EV_WRITE, UNSENT_BYTES / 4, 0);
	bufferevent_enable(u->bev, EV_READ | EV_WRITE);
	u->state = LINK_CONNECTING;
	if (bufferevent_socket_connect(u->bev, addr, len))
		link_drop(u, "cannot connect: %s", strerror(errno));
}

/* ---- the name ---- */

static void take_addresses(struct uplink *u, const struct evutil_addrinfo *list)
{
	u->n_addresses = u->next_address = 0;
	for (; list && u->n_addresses < ADDRESSES_MAX; list = list->ai_next) {
		if (list->ai_addrlen > sizeof(u->address[0]))
			continue;
		memcpy(&u->address[u->n_addresses], list->ai_addr, list->ai_addrlen);
		u->address_len[u->n_addresses++] = (int)list->ai_addrlen;
	}
}

static void on_resolved(int result, struct evutil_addrinfo *list, void *arg)
{
	struct uplink *u = arg;

	u->query = NULL;
	if (result == EVUTIL_EAI_CANCEL)
		return;
	take_addresses(u, list);
	if (list)
		evutil_freeaddrinfo(list);
	if (u->n_addresses)
		connect_next(u);
	else
		link_drop(u, "no address of '%s': %s", u->collector.host, evutil_gai_strerror(result));
}

/* A new base each time: /etc/resolv.conf and /etc/hosts may have changed. */
static void resolve(struct uplink *u)
{
	struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP };
	struct evdns_getaddrinfo_request *query;

	if (u->dns)
		evdns_base_free(u->dns, 0);
	u->dns = evdns_base_new(u->agent->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!u->dns) {
		link_drop(u, "no memory to look up a name");
		return;
	}
	evdns_base_resolv_conf_parse(u->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
	u->state = LINK_RESOLVING;
	set_timer(u, HANDSHAKE_SECONDS * 1000);
	query = evdns_getaddrinfo(u->dns, u->collector.host, u->collector.port, &hints, on_resolved, u);
	if (u->state == LINK_RESOLVING)   /* else it was answered at once */
		u->query = query;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct uplink *u = arg;

	if (u->state == LINK_WAITING)
		resolve(u);
	else if (u->state != LINK_UP)
		link_drop(u, "no answer within %d s", HANDSHAKE_SECONDS);
}

/* ---- life ---- */

int link_new(struct uplink *u, struct error *err)
{
	const struct agent_options *opt = &u->agent->opt;
	const struct tls_files files = { .cert = opt->tls_cert, .key = opt->tls_key, .ca = opt->tls_ca };
	int rc = host_port_read(opt->collector, false, &u->collector, err);

	if (!rc && (files.cert || files.key || files.ca))
		rc = tls_client_new(&files, &u->tls, err);
	if (rc)
		return rc;
	u->timer = evtimer_new(u->agent->base, on_timer, u);
	if (!u->timer)
		return error_set(err, ENOMEM, "out of memory");
	set_timer(u, 0);
	return 0;
}

void link_free(struct uplink *u)
{
	if (u->timer)
		close_connection(u);
	if (u->dns)
		evdns_base_free(u->dns, 0);
	if (u->timer)
		event_free(u->timer);
	tls_free(u->tls);
}
