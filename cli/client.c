/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock_ns.h"

enum {
	READ_BYTES = 256 * 1024,
	PRIVATE_END_MS = 20000,
	CONNECT_SECONDS = 10,
	HANDSHAKE_MS = 15000,    /* a private agent calibrates the machine when it starts */
};

struct client {
	struct transport transport;
	const char *peer;        /* "the agent" */
	const char *token;       /* of a collector's client, until the handshake is done; borrowed */
	bool collector;
	int err_fd;              /* a private agent's standard error; -1 */
	pid_t private_pid;       /* 0: none */
	struct buf in;
	size_t at;               /* bytes of in that were taken */
	char *host, *program;
};

int client_fd(const struct client *c)
{
	return c->transport.fd;
}

bool client_is_collector(const struct client *c)
{
	return c->collector;
}

bool client_pending(const struct client *c)
{
	return transport_pending(&c->transport);
}

bool client_is_private(const struct client *c)
{
	return c->private_pid > 0;
}

const char *client_host(const struct client *c)
{
	return c->host ? c->host : "";
}

const char *client_program(const struct client *c)
{
	return c->program ? c->program : "";
}

/* ---- bytes ---- */

int client_send(struct client *c, struct buf *frames, struct error *err)
{
	int rc;

	if (frames->failed)
		return error_set(err, ENOMEM, "no memory for a request");
	rc = transport_send(&c->transport, buf_text(frames), frames->len);
	if (rc)
		return error_set(err, -rc, "%s does not take requests: %s", c->peer, strerror(-rc));
	buf_clear(frames);
	return 0;
}

static int lost(const struct client *c, struct error *err)
{
	return error_set(err, ECONNRESET, "%s has closed the connection", c->peer);
}

static int wait_input(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n = poll(&p, 1, ms);

	return n < 0 && errno != EINTR ? -errno : n > 0;
}

int client_fill(struct client *c, int wait_ms, struct error *err)
{
	ssize_t n;
	char *to;
	int ready;

	ready = client_pending(c) ? 1 : wait_input(c->transport.fd, wait_ms);
	if (ready <= 0)
		return ready < 0 ? error_set(err, -ready, "cannot wait for %s: %s", c->peer, strerror(-ready)) : 0;
	buf_consume(&c->in, c->at);
	c->at = 0;
	to = buf_reserve(&c->in, READ_BYTES);
	if (!to)
		return error_set(err, ENOMEM, "no memory for what %s sends", c->peer);
	n = transport_receive(&c->transport, to, READ_BYTES);
	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return lost(c, err);
	c->in.len += (size_t)n;
	return 1;
}

int client_next(struct client *c, struct frame_in *in, const char **raw, size_t *raw_len, struct error *err)
{
	const char *data = c->in.data ? c->in.data + c->at : "";
	int n = frame_take(data, c->in.len - c->at, in, err);

	if (n <= 0)
		return n;
	c->at += (size_t)n;
	if (raw) {
		*raw = data;
		*raw_len = (size_t)n;
	}
	return 1;
}

/* Waits for one frame; until_ms 0: for ever. */
static int receive(struct client *c, struct frame_in *in, int64_t until_ms, struct error *err)
{
	for (;;) {
		int64_t left = until_ms ? until_ms - clock_ms(CLOCK_MONOTONIC) : -1;
		int rc = client_next(c, in, NULL, NULL, err);

		if (rc)
			return rc < 0 ? rc : 0;
		if (until_ms && left <= 0)
			return error_set(err, ETIMEDOUT, "%s does not answer", c->peer);
		rc = client_fill(c, (int)left, err);
		if (rc < 0)
			return rc;
	}
}

/* ---- refusals ---- */

/* {"code","text","hint","col","len","probe"} -> error; probe -1 is the --error expression. */
static int refused(const struct client *c, const msgpack_object *payload, int *input, struct error *err)
{
	char text[sizeof(err->text)];
	uint64_t code = 0;
	int64_t col = 0, len = 0, probe = 0;

	object_u64(map_get(payload, "code"), &code);
	object_copy_text(text, sizeof(text), map_get(payload, "text"));
	error_set(err, code > 0 && code < 4096 ? (int)code : EINVAL, "%s%s", text[0] ? text : c->peer, text[0] ? "" : " refused the request");
	object_i64(map_get(payload, "col"), &col);
	object_i64(map_get(payload, "len"), &len);
	if (err) {
		object_copy_text(err->hint, sizeof(err->hint), map_get(payload, "hint"));
		if (col > 0 && col <= INT32_MAX)
			error_at(err, (int)col, len > 0 && len <= INT32_MAX ? (int)len : 1);
	}
	if (input && object_i64(map_get(payload, "probe"), &probe) && probe <= INT16_MAX)
		*input = probe < 0 ? INPUT_ERROR_EXPR : (int)probe;
	return err ? -err->code : -EINVAL;
}

/* ---- the handshake ---- */

static int say_hello(struct client *c, struct error *err)
{
	struct buf out = { 0 };
	char host[256] = "";
	struct frame f;
	int rc;

	gethostname(host, sizeof(host) - 1);
	frame_begin(&f, &out, WIRE_HELLO, c->token ? 5 : 4);
	msgpack_pack_int(&f.pk, WIRE_VERSION);
	pack_text(&f.pk, "plumb " PLUMB_VERSION);
	pack_text(&f.pk, host);
	if (c->token) {
		msgpack_pack_map(&f.pk, 1);
		pack_key_text(&f.pk, "token", c->token);
	}
	rc = frame_end(&f);
	if (!rc)
		rc = client_send(c, &out, err);
	else
		error_set(err, -rc, "no memory for a request");
	buf_free(&out);
	return rc;
}

static int take_welcome(struct client *c, const struct frame_in *in, struct error *err)
{
	uint64_t version;

	if (in->type == WIRE_REPLY && in->count >= 4)   /* a collector that does not know the token */
		return refused(c, &in->items[3], NULL, err);
	if (in->type != WIRE_WELCOME || in->count < 4 || !object_u64(&in->items[1], &version))
		return error_set(err, EPROTO, "what listens there is not %s", c->collector ? "a plumb-collector" : "plumbd");
	c->program = object_text(&in->items[2], 256);
	c->host = object_text(&in->items[3], 256);
	if (version == WIRE_VERSION)
		return 0;
	error_set(err, EPROTO, "%s speaks version %llu of the protocol, plumb %s speaks %d",
		  c->program ? c->program : "plumbd", (unsigned long long)version, PLUMB_VERSION, WIRE_VERSION);
	return error_hint(err, "install plumb and plumbd of the same version");
}

static int handshake(struct client *c, struct error *err)
{
	struct frame_in in;
	int rc = say_hello(c, err);

	if (!rc)
		rc = receive(c, &in, clock_ms(CLOCK_MONOTONIC) + HANDSHAKE_MS, err);
	if (rc)
		return rc;
	rc = take_welcome(c, &in, err);
	frame_in_free(&in);
	c->token = NULL;
	return rc;
}

/* ---- connecting ---- */

static struct client *client_new(int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	c->transport.fd = fd;
	c->peer = "the agent";
	c->err_fd = -1;
	return c;
}

int client_attach(struct client **out, int fd, struct error *err)
{
	struct client *c = client_new(fd);
	int rc;

	if (!c)
		return error_set(err, ENOMEM, "no memory");
	rc = handshake(c, err);
	if (rc) {
		client_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

int client_open_collector(struct client **out, const struct collector_address *where, const char *token, struct error *err)
{
	struct client *c = client_new(-1);
	int rc;

	if (!c)
		return error_set(err, ENOMEM, "no memory");
	c->collector = true;
	c->peer = "the collector";
	c->token = token;
	rc = transport_connect(&c->transport, where, err);
	if (!rc)
		rc = handshake(c, err);
	if (rc) {
		client_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	transport_close(&c->transport);
	if (c->err_fd >= 0)
		close(c->err_fd);
	if (c->private_pid > 0)
		private_agent_end(c->private_pid, PRIVATE_END_MS);
	buf_free(&c->in);
	free(c->host);
	free(c->program);
	free(c);
}

static int connect_socket(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = CONNECT_SECONDS };
	int fd, rc;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));   /* connect waits while the other end's queue is full */
	do {
		rc = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
	} while (rc == -EINTR);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

/* The last thing that a private agent which did not start has to say. */
static int private_failure(struct client *c, struct error *err)
{
	char text[sizeof(err->text)];
	ssize_t n = read(c->err_fd, text, sizeof(text) - 1);

	if (n <= 0)
		return -err->code;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	error_set(err, err->code, "the private plumbd did not start: %s",
		  strncmp(text, "plumbd: ", 8) == 0 ? text + 8 : text);
	return error_hint(err, "plumb doctor says what this kernel and user can do");
}

static int open_private(struct client **out, struct error *err)
{
	int err_fd = -1, fd, rc;
	struct client *c;
	pid_t pid = 0;

	fd = private_agent_start(&pid, &err_fd, err);
	if (fd < 0)
		return fd;
	c = client_new(fd);
	if (!c) {
		close(err_fd);
		return error_set(err, ENOMEM, "no memory");
	}
	c->private_pid = pid;
	c->err_fd = err_fd;
	rc = handshake(c, err);
	if (!rc) {
		*out = c;
		return 0;
	}
	shutdown(c->transport.fd, SHUT_RDWR);
	private_agent_end(pid, rc == -ETIMEDOUT ? 0 : PRIVATE_END_MS);
	c->private_pid = 0;
	rc = private_failure(c, err);
	client_close(c);
	return rc;
}

static int explain_connect(const char *path, int rc, enum client_private mode, struct error *err)
{
	switch (-rc) {
	case EACCES:
	case EPERM:
		error_set(err, EACCES, "no permission to use %s", path);
		return error_hint(err, "join its group and log in again: sudo usermod -aG plumb \"$USER\"");
	case ENOENT:
	case ECONNREFUSED:
		error_set(err, -rc, "no plumbd listens on %s", path);
		return error_hint(err, "start it: sudo systemctl start plumbd (or sudo plumbd)%s",
				  mode == PRIVATE_NEVER ? "" : "; or run plumb as root, which then starts a private one");
	case EAGAIN:
		return error_set(err, ETIMEDOUT, "what listens on %s takes no connections", path);
	case ENAMETOOLONG:
		return error_set(err, -rc, "the socket's path is too long: %s", path);
	default:
		return error_set(err, -rc, "cannot connect to %s: %s", path, strerror(-rc));
	}
}

int client_open(struct client **out, const char *path, enum client_private mode, struct error *err)
{
	int fd = connect_socket(path);
	bool may_start = mode == PRIVATE_ANY || (mode == PRIVATE_ROOT && geteuid() == 0);

	if (fd >= 0)
		return client_attach(out, fd, err);
	if (may_start && (fd == -ENOENT || fd == -ECONNREFUSED || (fd == -EACCES && mode == PRIVATE_ANY)))
		return open_private(out, err);
	return explain_connect(path, fd, mode, err);
}

/* ---- requests ---- */

static bool is_reply(const struct frame_in *in, uint64_t id)
{
	uint64_t got;

	return in->type == WIRE_REPLY && in->count >= 4 && object_u64(&in->items[1], &got) && got == id;
}

int client_call(struct client *c, struct buf *request, uint64_t id, struct frame_in *in, const msgpack_object **payload,
		int *input, struct error *err)
{
	bool ok = false;
	int rc;

	if (input)
		*input = INPUT_NONE;
	rc = client_send(c, request, err);
	while (!rc) {
		rc = receive(c, in, 0, err);
		if (rc || is_reply(in, id))
			break;
		frame_in_free(in);
	}
	if (rc)
		return rc;
	*payload = &in->items[3];
	if (object_bool(&in->items[2], &ok) && ok)
		return 0;
	rc = refused(c, *payload, input, err);
	frame_in_free(in);
	return rc;
}
