/* SPDX-License-Identifier: Apache-2.0 */
/* plumb-collector: an event loop with connections of agents and of plumb, and a store. */
#ifndef PLUMB_COLLECTOR_H
#define PLUMB_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "plumb/error.h"
#include "tls.h"

#define COLLECTOR_LISTEN "127.0.0.1:7717"
#define COLLECTOR_HTTP "127.0.0.1:7718"
#define COLLECTOR_DATA "/var/lib/plumb-collector"

struct collector_options {
	const char *listen;      /* HOST:PORT of agents and plumb; port 0: any free one */
	const char *http;        /* HOST:PORT of the API and the pages */
	const char *data;        /* directory of the store; made if it is not there */
	struct tls_files tls;    /* all NULL: without TLS */
	const char *sign_key;    /* file of the key that signs records of verifications (verify_record.h); NULL: not signed */
	bool insecure;           /* without TLS also beyond this machine */
	uint64_t keep_ns;        /* see store.h */
	uint64_t max_bytes;
};

struct collector;

/* SIGHUP calls it; the callee reads its options anew and hands them to collector_reload. */
typedef void collector_reload_fn(struct collector *c, void *arg);

void collector_options_default(struct collector_options *opt);
/* Opens the store and the socket. `opt` is copied; its strings are borrowed. */
int collector_new(const struct collector_options *opt, struct collector **out, struct error *err);
/* The address that agents connect to, with the port that was chosen. */
const char *collector_address(const struct collector *c);
/* The same of the HTTP side; "": there is none. */
const char *collector_http_address(const struct collector *c);
void collector_on_reload(struct collector *c, collector_reload_fn *fn, void *arg);
/* Takes over what can change while it runs: ages, sizes, certificates (for new connections), the key that signs. What else differs is
 * logged as needing a restart. -errno: a certificate or key cannot be used, and nothing has changed. */
int collector_reload(struct collector *c, const struct collector_options *opt, struct error *err);
/* Runs until SIGTERM or SIGINT. */
int collector_run(struct collector *c);
void collector_free(struct collector *c);

#endif
