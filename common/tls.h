/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.3, and nothing older, between agents, plumb and a collector.  The files are PEM.
 *
 * A collector shows its certificate to everybody and asks for one.  An agent must have one that the collector's CA has signed
 * (tls_peer_name); somebody who comes with a token may do without.  Agents and plumb always check the collector's certificate,
 * and that it is for the name or address they connect to.
 */
#ifndef PLUMB_TLS_H
#define PLUMB_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "plumb/error.h"

struct tls;   /* certificate, key and CAs of one end; owns its SSL_CTX */

struct tls_files {
	const char *cert;   /* with its chain; a client's may be NULL, then key is NULL as well */
	const char *key;
	const char *ca;     /* whom to trust; a client's may be NULL: the system's. A server's: who may have signed clients */
};

int tls_server_new(const struct tls_files *files, struct tls **out, struct error *err);
int tls_client_new(const struct tls_files *files, struct tls **out, struct error *err);
/* Takes NULL. Sessions that were made from it stay valid. */
void tls_free(struct tls *t);

/* One connection's state, not yet bound to a socket; the caller (or the bufferevent that it is given to) frees it with
 * SSL_free. Of a client: `host` is the name or the address that the collector's certificate must be for. Of a server: NULL. */
int tls_session(const struct tls *t, const char *host, SSL **out, struct error *err);
/* For a blocking client: a session over fd, after the hand-shake. fd stays the caller's. */
int tls_connect(const struct tls *t, int fd, const char *host, SSL **out, struct error *err);

enum { TLS_NAME_MAX = 256 };

/* The subject of the peer's certificate, verified, into name (TLS_NAME_MAX bytes are enough for any that counts). False: it has none. */
bool tls_peer_name(const SSL *ssl, char *name, size_t size);
/* Fills err with what OpenSSL says of the last failure: `code` as from bufferevent_get_openssl_error, 0: the thread's queue.
 * `ssl` may be NULL; with it a certificate that was not accepted is named. Returns -EPROTO. */
int tls_error(const SSL *ssl, unsigned long code, const char *what, struct error *err);

/* Whether an address cannot leave this machine: 127.0.0.0/8, ::1, the former inside IPv6, a unix socket. */
bool tls_is_loopback(const struct sockaddr *addr);
/* Whether two ends may talk without TLS: both are loopback, or `insecure` says so. -EACCES with what to do. */
int tls_plain_allowed(const struct sockaddr *local, const struct sockaddr *peer, bool insecure, struct error *err);

#endif
