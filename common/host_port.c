/* SPDX-License-Identifier: Apache-2.0 */
#include "host_port.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* -1: none. */
static long read_port(const char *text)
{
	long port = 0;

	if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 5)
		return -1;
	for (; *text; text++)
		port = port * 10 + (*text - '0');
	return port <= UINT16_MAX ? port : -1;
}

int host_port_read(const char *text, bool listen, struct host_port *out, struct error *err)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	long port = colon ? read_port(colon + 1) : -1;
	bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';

	if (brackets) {
		host++;
		len -= 2;
	}
	if (port < !listen || (!len && !listen) || len >= sizeof(out->host) || (!brackets && memchr(host, ':', len))) {
		error_set(err, EINVAL, "'%s' is no HOST:PORT", text);
		return error_hint(err, "as in obs-1:7717; an IPv6 address stands in brackets: [::1]:7717");
	}
	memcpy(out->host, host, len);
	out->host[len] = '\0';
	snprintf(out->port, sizeof(out->port), "%ld", port);
	return 0;
}
