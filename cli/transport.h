/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes to and from an agent or a collector: a unix socket, TCP, or TLS over TCP. */
#ifndef PLUMB_CLI_TRANSPORT_H
#define PLUMB_CLI_TRANSPORT_H

#include <stdbool.h>
#include <sys/types.h>

#include "plumb/error.h"
#include "tls.h"

struct transport {
	int fd;
	SSL *ssl;            /* NULL: clear text */
	int patience_ms;     /* how long the other end may take no byte of what is sent; 0: 20 s */
};

/* How a collector is reached. */
struct collector_address {
	const char *address;     /* HOST:PORT or [ADDRESS]:PORT */
	struct tls_files tls;
	bool insecure;           /* clear text beyond this machine too */
};

/* Connects. Without TLS files: clear text if both ends are loopback or `insecure` is set, else TLS with the system's CAs. */
int transport_connect(struct transport *t, const struct collector_address *where, struct error *err);
/* Sends all of it, however long that takes, as long as it goes on. -ETIMEDOUT: the other end does not read. */
int transport_send(struct transport *t, const void *data, size_t len);
/* What is there, up to len bytes, without waiting. 0: the other end has closed; -EAGAIN: nothing yet; -errno. */
ssize_t transport_receive(struct transport *t, void *to, size_t len);
/* Bytes were read from the socket that transport_receive has not handed out: poll would not tell. */
bool transport_pending(const struct transport *t);
void transport_close(struct transport *t);

#endif
