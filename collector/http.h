/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector's HTTP side: the API (api.c), live events (sse.c), /metrics (metrics.c) and the dashboard (assets.c,
 * dashboard/) behind one listener.  A request is hostile: header, body, number of connections, time are bounded, and nothing but the page's
 * files and /healthz is answered without a token of the right role.
 */
#ifndef PLUMB_HTTP_H
#define PLUMB_HTTP_H

#include "plumb/error.h"

struct collector;

int http_start(struct collector *c, struct error *err);
void http_stop(struct collector *c);
/* Where it listens, "127.0.0.1:7718"; "" if it does not. */
const char *http_address(const struct collector *c);

#endif
