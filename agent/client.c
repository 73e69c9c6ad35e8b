/* SPDX-License-Identifier: Apache-2.0 */
/* Connections. A client is hostile: what it sends is bounded, and a frame that is not one ends it. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/listener.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent_internal.h"
#include "log.h"
#include "uplink.h"

size_t client_backlog(const struct client *c)
{
	if (c->uplink) /* its backlog is on disk, and bounded there */
		return 0;
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* The socket mostly takes it at once: then it is not copied, and the loop need not wait for the socket. An error is left to
 * the loop, which meets it again when it writes. */
static size_t send_now(const struct client *c)
{
	ssize_t n = client_backlog(c) ? 0 : send(bufferevent_getfd(c->bev), c->out.data, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n > 0 ? (size_t)n : 0;
}

/* What ran out of memory half way would be taken for the beginning of the next frame. */
int client_flush(struct client *c)
{
	int rc = 0;

	if (c->out.failed) {
		log_error("client", "lost-frame", "pid=%d reason=\"out of memory\"", c->pid);
		buf_free(&c->out);
		return -ENOMEM;
	}
	if (c->out.len && c->uplink) {
		rc = uplink_take(c->uplink, &c->out);
	} else if (c->out.len) {
		size_t sent = send_now(c);

		if (sent < c->out.len)
			bufferevent_write(c->bev, c->out.data + sent, c->out.len - sent);
	}
	buf_clear(&c->out);
	return rc;
}

/* Records for a client that does not read are dropped; one that goes on asking without reading the answers is let go. */
static bool let_go(struct client *c)
{
	if (client_backlog(c) <= 2 * CLIENT_BACKLOG_MAX)
		return false;
	log_warn("client", "closing", "pid=%d uid=%u reason=\"it does not read its answers\"", c->pid, c->uid);
	client_close(c);
	return true;
}

void clients_check(struct agent *a)
{
	struct client *c, *next;

	for (c = LIST_FIRST(&a->clients); c; c = next) {
		next = LIST_NEXT(c, link);
		let_go(c);
	}
}

void client_reply_begin(struct client *c, struct frame *f, uint64_t id, unsigned n)
{
	frame_reply_begin(f, &c->out, id, n);
}

void client_reply_error(struct client *c, uint64_t id, const struct error *err, int64_t probe)
{
	frame_reply_error(&c->out, id, err, probe);
	client_flush(c);
}

static void send_welcome(struct client *c)
{
	struct frame f;

	frame_begin(&f, &c->out, WIRE_WELCOME, 5);
	msgpack_pack_int(&f.pk, WIRE_VERSION);
	pack_text(&f.pk, "plumbd " PLUMB_VERSION);
	pack_text(&f.pk, c->agent->host);
	msgpack_pack_map(&f.pk, 0);
	frame_end(&f);
	client_flush(c);
}

static int on_hello(struct client *c, const struct frame_in *in, struct error *err)
{
	uint64_t version = 0;

	if (in->count < 2 || !object_u64(&in->items[1], &version))
		return error_set(err, EPROTO, "malformed HELLO");
	if (version != WIRE_VERSION)
		return error_set(err, EPROTO, "protocol version %lu, this agent speaks %d", (unsigned long)version, WIRE_VERSION);
	c->greeted = true;
	send_welcome(c);
	return 0;
}

static int on_frame(struct client *c, const struct frame_in *in, struct error *err)
{
	uint64_t id;
	char *verb;

	if (in->type == WIRE_HELLO)
		return on_hello(c, in, err);
	if (!c->greeted || in->type != WIRE_REQUEST)
		return error_set(err, EPROTO, "unexpected frame of type %d", in->type);
	if (in->count != 4 || !object_u64(&in->items[1], &id))
		return error_set(err, EPROTO, "malformed REQUEST");
	verb = object_text(&in->items[2], 32);
	if (!verb)
		return error_set(err, EPROTO, "malformed REQUEST");
	verb_dispatch(c, id, verb, &in->items[3]);
	free(verb);
	return 0;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;
	struct evbuffer *input = bufferevent_get_input(bev);
	struct error err = { 0 };

	for (;;) {
		size_t len = evbuffer_get_length(input);
		struct frame_in in;
		int used, rc;

		if (!len)
			return;
		used = frame_take(evbuffer_pullup(input, -1), len, &in, &err);
		if (used == 0 && len <= CLIENT_INPUT_MAX)
			return;
		rc = used > 0 ? on_frame(c, &in, &err) : used < 0 ? used : -E2BIG;
		if (used > 0) {
			frame_in_free(&in);
			evbuffer_drain(input, (size_t)used);
		}
		if (rc < 0) {
			log_warn("client", "closing", "pid=%d uid=%u reason=\"%s\"", c->pid, c->uid, err.text);
			client_close(c);
			return;
		}
		if (let_go(c)) /* at once: between two ticks its answers could fill the memory */
			return;
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		client_close(arg);
}

void client_close(struct client *c)
{
	struct agent *a = c->agent;
	struct request *rq, *next;

	for (rq = LIST_FIRST(&a->requests); rq; rq = next) {
		next = LIST_NEXT(rq, link);
		if (rq->client == c)
			request_client_gone(rq);
	}
	questions_cancel(a, c);
	LIST_REMOVE(c, link);
	a->n_clients--;
	bufferevent_free(c->bev);
	buf_free(&c->out);
	free(c);
	if (a->opt.private_fd >= 0 && !a->n_clients)
		event_base_loopexit(a->base, NULL);
}

static int identify(struct client *c, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -errno;
	c->uid = cred.uid;
	c->pid = cred.pid;
	return 0;
}

int client_add(struct agent *a, int fd, struct error *err)
{
	struct client *c = a->n_clients < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return error_set(err, EMFILE, "too many clients");
	c->agent = a;
	if (identify(c, fd)) {
		free(c);
		return error_set(err, EACCES, "the peer's credentials are not known");
	}
	evutil_make_socket_nonblocking(fd);
	c->bev = bufferevent_socket_new(a->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!c->bev) {
		free(c);
		return error_set(err, ENOMEM, "out of memory");
	}
	bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	LIST_INSERT_HEAD(&a->clients, c, link);
	a->n_clients++;
	return 0;
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
	struct error err;

	if (client_add(arg, fd, &err)) {
		log_warn("client", "refused", "reason=\"%s\"", err.text);
		close(fd);
	}
}

/* A socket file that nobody listens on is left from an agent that was killed. Another file refuses connections too. */
static bool is_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	bool stale;
	int fd;

	if (lstat(addr->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	stale = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) && errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return stale;
}

static void make_parent(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = '\0';
		mkdir(dir, 0755);
	}
}

static int bind_socket(const struct agent *a, int fd, struct sockaddr_un *addr)
{
	mode_t old = umask(0117); /* 0660 from the first moment */
	int rc = bind(fd, (struct sockaddr *)addr, sizeof(*addr)) ? -errno : 0;
	struct group *gr;

	umask(old);
	gr = rc ? NULL : getgrnam(a->opt.socket_group);
	if (gr && lchown(addr->sun_path, (uid_t)-1, gr->gr_gid))
		rc = -errno;
	if (!rc && !gr)
		log_info("client", "no-group", "group=%s effect=\"only root can connect\"", a->opt.socket_group);
	return rc;
}

int clients_listen(struct agent *a, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(a->opt.socket_path) >= sizeof(addr.sun_path))
		return error_set(err, ENAMETOOLONG, "the socket path is too long: %s", a->opt.socket_path);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", a->opt.socket_path);
	make_parent(addr.sun_path);
	if (is_stale(&addr))
		unlink(addr.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, errno, "cannot make a socket: %s", strerror(errno));
	rc = bind_socket(a, fd, &addr);
	if (rc) {
		close(fd);
		return error_set(err, -rc, rc == -EADDRINUSE ? "%s is there already: another plumbd listens on it, or it is no socket" : "cannot listen on %s: %s",
				 a->opt.socket_path, strerror(-rc));
	}
	a->listener = evconnlistener_new(a->base, on_accept, a, LEV_OPT_CLOSE_ON_FREE, 64, fd);
	return a->listener ? 0 : error_set(err, ENOMEM, "cannot listen on %s", a->opt.socket_path);
}
