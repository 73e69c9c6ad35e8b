/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes on the HTTP port of a collector that runs in this process: with a good token where the input says TOKEN.  Whatever comes,
 * the next one is served, and nothing is left over (the sanitizers look).  The page's files are left out.
 *
 * fuzz-sources: $(find collector common verify verdict -name '*.c' | grep -v -e /main.c -e /assets.c) -Icollector -levent -levent_openssl -lssl -lcrypto -lsqlite3 -lmsgpackc -lz -ldeflate -ljansson -lcyaml -lseccomp -lcap-ng -lsystemd -lm
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../collector/collector_internal.h"
#include "../../collector/http_internal.h"
#include "buf.h"
#include "log.h"

enum { TURNS = 6, TURN_MS = 2, INPUT_MAX = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void assets_get(struct call *call)
{
	call_json(call, 404, "{}", 2);
}

static struct collector *collector;
static char dir[] = "/tmp/plumb-fuzz-http.XXXXXX", token[128];

static void forget_store(void)
{
	char command[128];

	collector_free(collector);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	(void)!system(command);
}

static void start(void)
{
	struct collector_options opt;
	struct error err = { 0 };
	char path[64];
	FILE *f;

	collector_options_default(&opt);
	log_set_level(LOG_LEVEL_ERROR);
	if (!mkdtemp(dir))
		abort();
	opt.data = dir;
	opt.listen = "127.0.0.1:0";
	opt.http = "127.0.0.1:0";
	if (collector_new(&opt, &collector, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	snprintf(path, sizeof(path), "%s/admin.token", dir);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%127s", token) != 1)
		abort();
	fclose(f);
	atexit(forget_store);
}

static int dial(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	to.sin_port = htons((uint16_t)atoi(strrchr(http_address(collector), ':') + 1));
	connect(fd, (struct sockaddr *)&to, sizeof(to));
	return fd;
}

static void turn(int fd)
{
	char answer[4096];

	event_base_loop(collector->base, EVLOOP_NONBLOCK);
	while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	poll(NULL, 0, TURN_MS);
}

/* The input with each TOKEN replaced by one. */
static void expand(const uint8_t *data, size_t size, struct buf *out)
{
	for (size_t i = 0; i < size;) {
		if (size - i >= 5 && !memcmp(data + i, "TOKEN", 5)) {
			buf_str(out, token);
			i += 5;
		} else {
			buf_char(out, (char)data[i++]);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf request = { 0 };
	int fd;

	if (!collector)
		start();
	if (size > INPUT_MAX)
		return 0;
	expand(data, size, &request);
	fd = dial();
	turn(fd);
	(void)!send(fd, buf_text(&request), request.len, MSG_NOSIGNAL);
	for (int i = 0; i < TURNS; i++)
		turn(fd);
	close(fd);
	turn(-1);
	buf_free(&request);
	return 0;
}
