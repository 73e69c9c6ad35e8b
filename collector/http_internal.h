/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the HTTP side share. */
#ifndef PLUMB_HTTP_INTERNAL_H
#define PLUMB_HTTP_INTERNAL_H

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "collector_internal.h"
#include "http.h"
#include "pool.h"
#include "roles.h"

enum {
	HTTP_HEADERS_MAX = 16 << 10,
	HTTP_BODY_MAX = 256 << 10,
	HTTP_SECONDS = 30,            /* without a byte from the peer, or to it */
	HTTP_CONNECTIONS_MAX = 256,
	HTTP_LIVE_MAX = 64,           /* live streams at a time */
	VERIFICATIONS_MAX = 4,        /* that the collector runs at a time */
};

struct http {
	struct collector *collector;
	struct evhttp *server;
	struct evconnlistener *listener;
	struct event *tick;
	LIST_HEAD(, live_stream) live;
	unsigned streams;
	LIST_HEAD(, verification) running;
	unsigned verifications;
	unsigned connections;         /* at most: see http_connections.c */
	bool crowded;
	struct sockaddr_storage bound;
	struct seen_socket *seen;     /* by number of the socket */
	int n_seen;
	char address[300];
	uint64_t requests[6];         /* by hundreds of their status: 1xx .. 5xx */
};

/* One request while it is handled. */
struct call {
	struct http *http;
	struct evhttp_request *req;
	struct evkeyvalq params;      /* of the URI, decoded */
	struct identity who;          /* role ROLE_NONE: the route is for anybody */
	char peer[64];
	const char *rest;             /* of the path, behind the route's */
	int status;                   /* of an error; 0: as its code says */
};

/* http_connections.c */
int http_connections_start(struct http *h);
void http_connections_tick(struct http *h);
void http_connection_new(struct http *h);
void http_connection_busy(struct http *h, struct evhttp_request *req, bool busy);

const char *call_param(const struct call *call, const char *name);   /* NULL: not given, or empty */
/* Digits, and nothing else that strtoull would take; what stands behind them, NULL: there are none, or it is more than max. */
const char *http_number(const char *text, uint64_t max, uint64_t *out);
/* Answers. JSON is sent with no-store; `text` is borrowed. */
void call_json(struct call *call, int status, const char *text, size_t len);
/* {"error": text, "hint": ...}; the status follows from the code: EINVAL 400, EACCES 403, ENOENT 404, EAGAIN 503, ... */
void call_error(struct call *call, const struct error *err);
int http_status(int code);

/* In the callback of a connection that goes while its request waits for an answer. */
void call_gone(struct call *call);
void call_headers(struct call *call, const char *type, const char *caching);
void call_send(struct call *call, int status, const void *data, size_t len);

/* Asks the store in another thread; `done` gets the answer, and sends it. An error is sent at once. (api.c) */
void call_ask(struct call *call, query_fn *ask, const struct query *q, void (*done)(struct call *call, struct buf *answer));

/* api.c: answers the questions of query.h and the control verbs. */
typedef void route_fn(struct call *call);
route_fn api_query, api_whoami, api_healthz;
/* api_json.c */
/* The body; NULL: it is no JSON. The caller's to json_decref. */
struct json_t *api_body(struct call *call);
struct api_key {
	const char *name;
	int (*put)(const struct json_t *value, msgpack_packer *pk, struct error *err);   /* -EINVAL: it is no such value */
};
struct api_keys { const char *of; const struct api_key *key; size_t n; };
int api_put_bool(const struct json_t *value, msgpack_packer *pk, struct error *err);
int api_put_number(const struct json_t *value, msgpack_packer *pk, struct error *err);
int api_put_text(const struct json_t *value, msgpack_packer *pk, struct error *err);
/* All members of an object as keys and values, without a map around them. -EINVAL: one is unknown, or has no such value. */
int api_put_all(struct json_t *body, const struct api_keys *keys, msgpack_packer *pk, struct error *err);
/* api_request.c */
route_fn api_request_open, api_request_remove;
/* Begins a REQUEST with that verb; its map of arguments and frame_end follow. */
void api_frame_begin(struct frame *f, struct buf *out, const char *verb);
/* Sends it as whoever the token belongs to, and answers with the id of the REPLY, or else with this one. */
void api_ask(struct call *call, struct buf *frame, int status, uint64_t id);
/* Reads the payload of a REPLY that is not ok. */
void api_read_refusal(const msgpack_object *payload, struct error *err);
/* verification.c: verifications that the collector runs */
route_fn api_verify;
void verifications_stop(struct http *h);
/* api_verdict.c */
route_fn api_verdict_store;
void api_send_record(struct call *call, struct buf *answer);
void api_send_final(struct call *call, struct buf *answer);
/* sse.c */
route_fn sse_live;
void sse_stop(struct http *h);
/* metrics.c */
route_fn metrics_get;
/* assets.c: the dashboard's files */
route_fn assets_get;

#endif
