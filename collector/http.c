/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server.  libevent parses, and bounds headers and bodies; http_connections.c bounds the rest.
 */
#include "http_internal.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>


#include "tls.h"

enum { TICK_SECONDS = 1 };

const char *http_address(const struct collector *c)
{
	return c->http ? c->http->address : "";
}

/* ---- connections ---- */

/* libevent asks for each connection. NULL: it makes a plain one. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
	struct http *h = arg;
	SSL *ssl = NULL;

	http_connection_new(h);
	if (!h->collector->tls || tls_session(h->collector->tls, NULL, &ssl, NULL))
		return NULL;
	return bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

static void on_complete(struct evhttp_request *req, void *arg)
{
	http_connection_busy(arg, req, false);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	http_connections_tick(arg);
}

/* ---- answers ---- */

int http_status(int code)
{
	static const struct { int code, status; } of[] = {
		{ EINVAL, 400 }, { E2BIG, 400 }, { EACCES, 403 }, { EPERM, 403 }, { ENOENT, 404 }, { ENOSYS, 404 }, { ESRCH, 404 },
		{ EEXIST, 409 }, { EAGAIN, 503 }, { ETIME, 503 }, { ETIMEDOUT, 504 }, { EMSGSIZE, 413 },
	};

	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++)
		if (of[i].code == code)
			return of[i].status;
	return 500;
}

static void put_headers(struct evhttp_request *req, const char *type)
{
	static const char *const always[][2] = {
		{ "X-Content-Type-Options", "nosniff" }, { "X-Frame-Options", "DENY" }, { "Referrer-Policy", "no-referrer" },
		{ "Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
					     "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
	};
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		evhttp_add_header(headers, always[i][0], always[i][1]);
	evhttp_add_header(headers, "Content-Type", type);
}

void call_headers(struct call *call, const char *type, const char *caching)
{
	put_headers(call->req, type);
	evhttp_add_header(evhttp_request_get_output_headers(call->req), "Cache-Control", caching);
}

void call_send(struct call *call, int status, const void *data, size_t len)
{
	struct evbuffer *body = evbuffer_new();

	call->http->requests[status / 100]++;
	if (body)
		evbuffer_add(body, data, len);
	evhttp_send_reply(call->req, status, NULL, body);
	if (body)
		evbuffer_free(body);
}

/* When the peer goes first, libevent takes the request off its connection and leaves it to us; when the server goes, it does not. */
void call_gone(struct call *call)
{
	if (!evhttp_request_get_connection(call->req))
		evhttp_request_free(call->req);
}

void call_json(struct call *call, int status, const char *text, size_t len)
{
	call_headers(call, "application/json", "no-store");
	call_send(call, status, text, len);
}

void call_error(struct call *call, const struct error *err)
{
	json_t *o = json_pack("{ssss}", "error", err->text[0] ? err->text : strerror(err->code), "hint", err->hint);
	char *text;

	if (o && err->col > 0) {
		json_object_set_new(o, "column", json_integer(err->col));
		json_object_set_new(o, "length", json_integer(err->len));
	}
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	call_json(call, call->status ? call->status : http_status(err->code), text ? text : "{}", text ? strlen(text) : 2);
	free(text);
	json_decref(o);
}

const char *call_param(const struct call *call, const char *name)
{
	const char *value = evhttp_find_header(&call->params, name);

	return value && value[0] ? value : NULL;
}

const char *http_number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return NULL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno || *out > max ? NULL : end;
}

/* ---- routes ---- */

static const struct {
	enum evhttp_cmd_type method;
	const char *path;             /* a '*' at the end: an id, or a word */
	const char *action;           /* what the role must allow (roles.h); NULL: anybody */
	route_fn *run;
} routes[] = {
	{ EVHTTP_REQ_GET, "/api/v1/whoami", "query", api_whoami },
	{ EVHTTP_REQ_GET, "/api/v1/live", "live", sse_live },
	{ EVHTTP_REQ_POST, "/api/v1/requests", "trace", api_request_open },
	{ EVHTTP_REQ_DELETE, "/api/v1/requests/*", "rm", api_request_remove },
	{ EVHTTP_REQ_POST, "/api/v1/verify", "verdict", api_verify },
	{ EVHTTP_REQ_POST, "/api/v1/verdicts", "verdict", api_verdict_store },
	{ EVHTTP_REQ_GET, "/api/v1/audit", "audit", api_query },
	{ EVHTTP_REQ_GET, "/api/v1/*", "query", api_query },
	{ EVHTTP_REQ_GET, "/metrics", "query", metrics_get },
	{ EVHTTP_REQ_GET, "/healthz", NULL, api_healthz },
	{ EVHTTP_REQ_GET, "/*", NULL, assets_get },
};
enum { N_ROUTES = sizeof(routes) / sizeof(routes[0]) };

static bool path_matches(const char *pattern, const char *path, const char **rest)
{
	size_t len = strlen(pattern);

	if (pattern[len - 1] != '*') {
		*rest = strrchr(path, '/') + 1;
		return !strcmp(pattern, path);
	}
	*rest = path + len - 1;
	return !strncmp(pattern, path, len - 1);
}

/* "Authorization: Bearer TOKEN" */
static int authorize(struct call *call, const char *action, struct error *err)
{
	const char *header = evhttp_find_header(evhttp_request_get_input_headers(call->req), "Authorization");
	int rc;

	if (!action)
		return 0;
	call->status = 401;
	if (!header || strncasecmp(header, "Bearer ", 7))
		return error_set(err, EACCES, "a token is needed"), error_hint(err, "send it as Authorization: Bearer TOKEN");
	rc = tokens_check(call->http->collector->tokens, header + 7, &call->who, err);
	if (rc) {
		control_login_refused(call->http->collector, call->peer);
		return rc;
	}
	call->status = 0;
	return role_check(&call->who, action, err);
}

static void run_route(struct call *call, const char *path)
{
	struct error err = { 0 };
	bool other_method = false;

	for (int i = 0; path[0] == '/' && i < N_ROUTES; i++) {
		if (!path_matches(routes[i].path, path, &call->rest))
			continue;
		if (routes[i].method != evhttp_request_get_command(call->req)) {
			other_method = true;
			continue;
		}
		if (authorize(call, routes[i].action, &err))
			break;
		routes[i].run(call);
		return;
	}
	if (!err.code) {
		error_set(&err, ENOENT, other_method ? "that cannot be done there" : "there is nothing there");
		call->status = other_method ? 405 : 0;
	}
	if (call->status == 401)
		evhttp_add_header(evhttp_request_get_output_headers(call->req), "WWW-Authenticate", "Bearer");
	call_error(call, &err);
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct http *h = arg;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL, *query = uri ? evhttp_uri_get_query(uri) : NULL;
	struct call call = { .http = h, .req = req };
	struct error err;
	char *address = NULL;
	ev_uint16_t port = 0;

	http_connection_busy(h, req, true);
	evhttp_request_set_on_complete_cb(req, on_complete, h);
	evhttp_connection_get_peer(evhttp_request_get_connection(req), &address, &port);
	snprintf(call.peer, sizeof(call.peer), "%s", address ? address : "?");
	TAILQ_INIT(&call.params);
	/* A text ends at a NUL: what is left of it would be another question. */
	if (!path || (query && (strstr(query, "%00") || evhttp_parse_query_str(query, &call.params)))) {
		error_set(&err, EINVAL, "that is no address");
		call_error(&call, &err);
	} else {
		run_route(&call, path[0] ? path : "/");
	}
	evhttp_clear_headers(&call.params);
}

/* ---- life ---- */

static int start(struct http *h, struct error *err)
{
	struct timeval tick = { .tv_sec = TICK_SECONDS };
	struct collector *c = h->collector;

	h->server = evhttp_new(c->base);
	h->tick = event_new(c->base, -1, EV_PERSIST, on_tick, h);
	if (!h->server || !h->tick || event_add(h->tick, &tick))
		return error_set(err, ENOMEM, "out of memory");
	evhttp_set_max_headers_size(h->server, HTTP_HEADERS_MAX);
	evhttp_set_max_body_size(h->server, HTTP_BODY_MAX);
	evhttp_set_timeout(h->server, HTTP_SECONDS);
	evhttp_set_allowed_methods(h->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_DELETE);
	evhttp_set_bevcb(h->server, on_connection, h);
	evhttp_set_gencb(h->server, on_request, h);
	h->listener = listener_bind(c, c->opt.http, h->address, sizeof(h->address), err);
	if (!h->listener)
		return -err->code;
	if (!evhttp_bind_listener(h->server, h->listener)) {
		evconnlistener_free(h->listener);
		h->listener = NULL;
		return error_set(err, ENOMEM, "out of memory");
	}
	if (http_connections_start(h))
		return error_set(err, ENOMEM, "out of memory");
	return evconnlistener_enable(h->listener) ? error_set(err, EIO, "cannot listen on %s", c->opt.http) : 0;
}

int http_start(struct collector *c, struct error *err)
{
	struct http *h = calloc(1, sizeof(*h));

	if (!h)
		return error_set(err, ENOMEM, "out of memory");
	h->collector = c;
	LIST_INIT(&h->live);
	LIST_INIT(&h->running);
	c->http = h;
	return start(h, err);
}

void http_stop(struct collector *c)
{
	struct http *h = c->http;

	if (!h)
		return;
	sse_stop(h);
	verifications_stop(h);
	if (h->tick)
		event_free(h->tick);
	h->listener = NULL; /* the server's, and it goes with its connections */
	if (h->server)
		evhttp_free(h->server);
	c->http = NULL;
	free(h->seen);
	free(h);
}
