/* SPDX-License-Identifier: Apache-2.0 */
/* Connections. A peer is hostile: what it sends is bounded, and a frame that is not one ends it. */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "collector_internal.h"
#include "log.h"
#include "text.h"

enum {
	KEEPALIVE_IDLE_SECONDS = 30, KEEPALIVE_INTERVAL_SECONDS = 10, KEEPALIVE_PROBES = 3,
	UNSENT_SECONDS = 60,              /* a peer whose machine is gone takes nothing */
	INPUT_MAX = WIRE_FRAME_MAX + (64 << 10),
	HELLO_TEXT_MAX = 255,
};

const char *const refusal_names[REFUSED_REASONS] = {
	[REFUSED_FRAME] = "frame", [REFUSED_PROTOCOL] = "protocol", [REFUSED_ENTRY] = "entry", [REFUSED_BOMB] = "bomb",
	[REFUSED_TLS] = "tls", [REFUSED_LOGIN] = "login", [REFUSED_SLOW] = "slow", [REFUSED_CROWD] = "crowd",
	[REFUSED_STORE] = "store",
};

/* ---- the end ---- */

/* What hangs on the connection. */
static void detach(struct session *s)
{
	if (s->kind == SESSION_AGENT)
		agent_down(s->agent);
	if (s->kind == SESSION_CLIENT)
		control_gone(s);
	s->agent = NULL;
	s->kind = SESSION_LEAVING;
}

static void session_free(struct session *s)
{
	LIST_REMOVE(s, link);
	s->collector->n_sessions--;
	bufferevent_free(s->bev);
	buf_free(&s->out);
	free(s);
}

/* Whoever is on the way through its frame, or through a list of sessions, goes on using it: it is freed by the loop. */
void session_close(struct session *s)
{
	if (s->dead)
		return;
	s->dead = true;
	bufferevent_setcb(s->bev, NULL, NULL, NULL, NULL);
	bufferevent_disable(s->bev, EV_READ | EV_WRITE);
	event_active(s->collector->reap, 0, 0);
	if (!s->busy)
		detach(s);
}

static void reap(struct collector *c)
{
	struct session *s, *next;

	for (s = LIST_FIRST(&c->sessions); s; s = next) {
		next = LIST_NEXT(s, link);
		if (s->dead)
			session_free(s);
	}
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
	reap(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg);

static void on_written(struct bufferevent *bev, void *arg)
{
	session_close(arg);
}

/* The peer is told why; when that is written, or does not get written, the connection is closed. */
static void leave(struct session *s, const struct error *err)
{
	detach(s);
	s->opened_ns = mono_ns();
	bufferevent_disable(s->bev, EV_READ);
	bufferevent_setcb(s->bev, NULL, on_written, on_event, s);
	session_reply_error(s, 0, err, -1);
}

static bool can_be_told(const struct session *s)
{
	const SSL *ssl = bufferevent_openssl_get_ssl(s->bev);

	return !s->busy && (!ssl || SSL_is_init_finished(ssl));
}

void session_refuse(struct session *s, enum refusal why, const char *fmt, ...)
{
	struct error err = { .code = EPROTO };
	va_list ap;

	if (s->dead || s->kind == SESSION_LEAVING)
		return;
	va_start(ap, fmt);
	vsnprintf(err.text, sizeof(err.text), fmt, ap);
	va_end(ap);
	s->collector->counts.refused[why]++;
	log_warn("session", "closing", "peer=%s agent=%s kind=%s reason=\"%s\"", s->peer, s->agent ? s->agent->uid : "-",
		 refusal_names[why], err.text);
	if (can_be_told(s) && why != REFUSED_SLOW)
		leave(s, &err);
	else
		session_close(s);
}

static void each_session(struct collector *c, void (*fn)(struct session *))
{
	struct session *s;

	LIST_FOREACH(s, &c->sessions, link)
		if (!s->dead)
			fn(s);
}

int sessions_start(struct collector *c, struct error *err)
{
	c->reap = event_new(c->base, -1, 0, on_reap, c);
	return c->reap ? 0 : error_set(err, ENOMEM, "out of memory");
}

void sessions_stop(struct collector *c)
{
	if (!c->reap)
		return;
	each_session(c, session_close);
	reap(c);
	event_free(c->reap);
	c->reap = NULL;
}

static void check(struct session *s)
{
	bool late = mono_ns() - s->opened_ns > SESSION_HELLO_SECONDS * 1000000000ULL;

	if (s->kind == SESSION_NEW && late)
		session_refuse(s, REFUSED_SLOW, "no HELLO within %d seconds", SESSION_HELLO_SECONDS);
	else if (s->kind == SESSION_LEAVING && late)
		session_close(s);
	else if (session_backlog(s) > SESSION_BACKLOG_MAX)
		session_refuse(s, REFUSED_SLOW, "it does not read what it is sent");
}

void sessions_check(struct collector *c)
{
	each_session(c, check);
}

/* ---- sending ---- */

size_t session_backlog(const struct session *s)
{
	return evbuffer_get_length(bufferevent_get_output(s->bev));
}

/* What ran out of memory half way would be taken for the beginning of the next frame. */
void session_flush(struct session *s)
{
	if (s->out.failed) {
		log_error("session", "lost-frame", "peer=%s reason=\"out of memory\"", s->peer);
		buf_free(&s->out);
	} else if (s->out.len) {
		bufferevent_write(s->bev, s->out.data, s->out.len);
		buf_clear(&s->out);
	}
}

void session_reply_begin(struct session *s, struct frame *f, uint64_t id, unsigned n)
{
	frame_reply_begin(f, &s->out, id, n);
}

void session_reply_error(struct session *s, uint64_t id, const struct error *err, int64_t probe)
{
	frame_reply_error(&s->out, id, err, probe);
	session_flush(s);
}

void session_welcome(struct session *s, uint64_t acked)
{
	struct frame f;

	frame_begin(&f, &s->out, WIRE_WELCOME, 5);
	msgpack_pack_int(&f.pk, WIRE_VERSION);
	pack_text(&f.pk, "plumb-collector " PLUMB_VERSION);
	pack_text(&f.pk, s->collector->host);
	msgpack_pack_map(&f.pk, 3);
	pack_key_u64(&f.pk, "acked", acked);
	pack_key_u64(&f.pk, "received_ns", s->received_ns);
	pack_key_u64(&f.pk, "sent_ns", wall_ns());
	frame_end(&f);
	session_flush(s);
}

/* ---- receiving ---- */

/* Text that is safe to print and to log. -EPROTO: it is none. */
static int take_text(const msgpack_object *o, char *out, size_t size)
{
	char *raw = object_text(o, HELLO_TEXT_MAX);
	struct buf safe = { 0 };

	if (!raw)
		return -EPROTO;
	text_escape(&safe, raw, strlen(raw), '"');
	snprintf(out, size, "%s", buf_text(&safe));
	buf_free(&safe);
	free(raw);
	return 0;
}

static int client_hello(struct session *s, const msgpack_object *token, enum refusal *why, struct error *err)
{
	char *text = object_text(token, HELLO_TEXT_MAX);
	int rc;

	if (!text)
		return error_set(err, EPROTO, "malformed HELLO: a token is text");
	s->kind = SESSION_CLIENT;
	s->collector->counts.client_connections++;
	*why = REFUSED_LOGIN;
	rc = control_hello(s, text, err);
	free(text);
	if (!rc)
		session_welcome(s, 0);
	return rc;
}

static int on_hello(struct session *s, const struct frame_in *in, enum refusal *why, struct error *err)
{
	const msgpack_object *map = in->count > 4 ? &in->items[4] : NULL;
	uint64_t version = 0;

	s->received_ns = wall_ns();
	if (in->count < 5 || !object_u64(&in->items[1], &version))
		return error_set(err, EPROTO, "malformed HELLO");
	if (version != WIRE_VERSION)
		return error_set(err, EPROTO, "protocol version %lu, this collector speaks %d", (unsigned long)version,
				 WIRE_VERSION);
	if (take_text(&in->items[2], s->program, sizeof(s->program)) || take_text(&in->items[3], s->host, sizeof(s->host)))
		return error_set(err, EPROTO, "malformed HELLO: program and host are texts");
	if (map_get(map, "agent"))
		return agent_hello(s, map, why, err);
	if (map_get(map, "token"))
		return client_hello(s, map_get(map, "token"), why, err);
	return error_set(err, EPROTO, "a HELLO of neither an agent nor a plumb with a token");
}

static int on_request(struct session *s, const struct frame_in *in, struct error *err)
{
	uint64_t id;
	char *verb;

	if (in->type != WIRE_REQUEST)
		return error_set(err, EPROTO, "unexpected frame of type %d", in->type);
	verb = in->count == 4 ? object_text(&in->items[2], 32) : NULL;
	if (!verb || !object_u64(&in->items[1], &id)) {
		free(verb);
		return error_set(err, EPROTO, "malformed REQUEST");
	}
	control_request(s, id, verb, &in->items[3]);
	free(verb);
	return 0;
}

static int on_frame(struct session *s, const struct frame_in *in, enum refusal *why, struct error *err)
{
	*why = REFUSED_PROTOCOL;
	switch (s->kind) {
	case SESSION_AGENT:
		return agent_frame(s->agent, in, why, err);
	case SESSION_CLIENT:
		return on_request(s, in, err);
	default:
		if (in->type != WIRE_HELLO)
			return error_set(err, EPROTO, "the first frame is of type %d, not HELLO", in->type);
		return on_hello(s, in, why, err);
	}
}

/* Takes one frame from the input. 1: done, there may be more; 0: not complete yet; < 0: the session has ended. */
static int take_frame(struct session *s)
{
	struct evbuffer *input = bufferevent_get_input(s->bev);
	uint32_t max = s->kind == SESSION_NEW ? SESSION_HELLO_MAX : WIRE_FRAME_MAX, len;
	enum refusal why = REFUSED_FRAME;
	struct error err = { 0 };
	struct frame_in in;
	int rc;

	if (evbuffer_copyout(input, &len, sizeof(len)) < (ssize_t)sizeof(len))
		return 0;
	len = ntohl(len);
	if (len == 0 || len > max) {
		session_refuse(s, why, "a frame of %u bytes (allowed: 1 to %u)", len, max);
		return -EPROTO;
	}
	len += sizeof(len);
	if (evbuffer_get_length(input) < len)
		return 0;
	rc = frame_take(evbuffer_pullup(input, len), len, &in, &err);
	s->collector->counts.bytes_received += len;
	s->busy = true;
	if (rc > 0) {
		rc = on_frame(s, &in, &why, &err);
		frame_in_free(&in);
	}
	s->busy = false;
	if (s->dead) {
		detach(s);
		return -ECONNRESET;
	}
	if (rc < 0) {
		session_refuse(s, why, "%s", err.text);
		return rc;
	}
	evbuffer_drain(input, len);
	return 1;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	while (take_frame(arg) > 0)
		;
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct session *s = arg;
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	unsigned long code = ssl ? bufferevent_get_openssl_error(bev) : 0;
	struct error err;

	if (s->kind == SESSION_LEAVING) {
		session_close(s);
	} else if (what & BEV_EVENT_CONNECTED) {
		if (tls_peer_name(ssl, s->subject, sizeof(s->subject)))
			log_info("session", "certificate", "peer=%s subject=\"%s\"", s->peer, s->subject);
	} else if (ssl && !SSL_is_init_finished(ssl)) {
		tls_error(ssl, code, "the TLS hand-shake", &err);
		session_refuse(s, REFUSED_TLS, "%s", err.text);
	} else if (what & BEV_EVENT_TIMEOUT) {
		session_refuse(s, REFUSED_SLOW, "it takes nothing of what it is sent");
	} else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
		session_close(s);
	}
}

/* ---- the beginning ---- */

/* A peer that is silent has nothing to say; one whose machine is gone is told apart by the kernel's probes. */
static void watch_line(int fd)
{
	int on = 1, idle = KEEPALIVE_IDLE_SECONDS, interval = KEEPALIVE_INTERVAL_SECONDS, probes = KEEPALIVE_PROBES;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void name_peer(const struct sockaddr *addr, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN + 8] = "?", port[8] = "?";

	getnameinfo(addr, addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in), host,
		    sizeof(host),
		    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(out, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static struct bufferevent *make_bev(struct collector *c, int fd, struct error *err)
{
	const int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
	struct bufferevent *bev;
	SSL *ssl = NULL;

	if (c->tls && tls_session(c->tls, NULL, &ssl, err))
		return NULL;
	bev = ssl ? bufferevent_openssl_socket_new(c->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, options) :
		    bufferevent_socket_new(c->base, fd, options);
	if (!bev) {
		SSL_free(ssl);
		error_set(err, ENOMEM, "no memory for a connection");
	}
	return bev;
}

static struct session *session_new(struct collector *c, struct error *err)
{
	struct session *s = c->n_sessions < SESSIONS_MAX ? calloc(1, sizeof(*s)) : NULL;

	if (!s) {
		error_set(err, EMFILE, "too many connections");
		return NULL;
	}
	s->collector = c;
	s->opened_ns = mono_ns();
	return s;
}

static void begin(struct session *s)
{
	bufferevent_setcb(s->bev, on_read, NULL, on_event, s);
	bufferevent_setwatermark(s->bev, EV_READ, 0, INPUT_MAX);
	bufferevent_enable(s->bev, EV_READ | EV_WRITE);
	LIST_INSERT_HEAD(&s->collector->sessions, s, link);
	s->collector->n_sessions++;
}

int session_add(struct collector *c, int fd, const struct sockaddr *peer, struct error *err)
{
	struct timeval unsent = { .tv_sec = UNSENT_SECONDS };
	struct session *s = session_new(c, err);

	if (!s)
		return -EMFILE;
	name_peer(peer, s->peer, sizeof(s->peer));
	watch_line(fd);
	s->bev = make_bev(c, fd, err);
	if (!s->bev) {
		free(s);
		return -ENOMEM;
	}
	bufferevent_set_timeouts(s->bev, NULL, &unsent);
	begin(s);
	return 0;
}

int session_add_inside(struct collector *c, struct bufferevent *bev, const char *peer, const struct identity *who, struct error *err)
{
	struct session *s = session_new(c, err);

	if (!s)
		return -EMFILE;
	snprintf(s->peer, sizeof(s->peer), "%s", peer);
	if (control_hello_inside(s, who, err)) {
		free(s);
		return -ENOMEM;
	}
	s->kind = SESSION_CLIENT;
	s->bev = bev;
	begin(s);
	return 0;
}
