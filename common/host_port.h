/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_HOST_PORT_H
#define PLUMB_HOST_PORT_H

#include <stdbool.h>

#include "plumb/error.h"

/* Where somebody connects to, or listens: as getaddrinfo takes it. */
struct host_port {
	char host[256], port[8];
};

/* Reads "HOST:PORT" or "[IPv6]:PORT". listen: the host may be missing (all addresses) and the port 0 (any free one). Returns 0, -EINVAL. */
int host_port_read(const char *text, bool listen, struct host_port *out, struct error *err);

#endif
