/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock_ns.h"
#include "collector_internal.h"
#include "http.h"
#include "ingest.h"
#include "log.h"
#include "pool.h"

#define EXPIRE_NS (20ULL * 1000000)
#define EXPIRE_PAUSE_NS (5ULL * 1000000000)
#define DAY_NS (86400ULL * 1000000000)

uint64_t mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* For clock.h. */
static uint64_t boot_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

uint64_t wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

const struct collector_counts *collector_counts(const struct collector *c)
{
	return &c->counts;
}

const char *collector_address(const struct collector *c)
{
	return c->address;
}

const char *collector_http_address(const struct collector *c)
{
	return http_address(c);
}

void collector_options_default(struct collector_options *opt)
{
	*opt = (struct collector_options){
		.listen = COLLECTOR_LISTEN, .http = COLLECTOR_HTTP, .data = COLLECTOR_DATA,
		.keep_ns = 7 * DAY_NS, .max_bytes = 10ULL << 30,
	};
}

/* ---- the data directory ---- */

/* Two collectors on one store would give ids twice. The lock goes with the process, however it ends. */
static int lock_data(struct collector *c, struct error *err)
{
	char path[4096];

	if (mkdir(c->opt.data, 0750) && errno != EEXIST)
		return error_set(err, errno, "cannot make %s: %s", c->opt.data, strerror(errno));
	if (snprintf(path, sizeof(path), "%s/lock", c->opt.data) >= (int)sizeof(path))
		return error_set(err, ENAMETOOLONG, "the path of the data directory is too long");
	c->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (c->lock_fd < 0)
		return error_set(err, errno, "cannot write to %s: %s", c->opt.data, strerror(errno));
	if (flock(c->lock_fd, LOCK_EX | LOCK_NB))
		return error_set(err, EBUSY, "another plumb-collector uses %s", c->opt.data);
	return 0;
}

/* ---- the store ---- */

static int open_store(struct collector *c, struct error *err)
{
	struct store_options opt = { .path = c->store_path, .keep_ns = c->opt.keep_ns, .max_bytes = c->opt.max_bytes };
	int rc;

	if (snprintf(c->store_path, sizeof(c->store_path), "%s/plumb.db", c->opt.data) >= (int)sizeof(c->store_path))
		return error_set(err, ENAMETOOLONG, "the path of the data directory is too long");
	rc = store_open(&opt, &c->store, err);
	if (rc)
		return rc;
	c->ingest = ingest_new(c->store, c->live, &c->counts);
	return c->ingest ? 0 : error_set(err, ENOMEM, "out of memory");
}

int collector_commit(struct collector *c, struct error *err)
{
	struct error why = { 0 };
	int rc = ingest_commit(c->ingest, &why);

	if (!rc) {
		agents_ack(c);
		return 0;
	}
	log_error("collector", "not-stored", "reason=\"%s\" agents=%u", why.text, c->n_agents);
	agents_drop(c, why.text);
	if (err)
		*err = why;
	return rc;
}

/* For a part of each tick, so that ingest goes on. Nothing can be removed on a full disk either. */
static void expire(struct collector *c)
{
	uint64_t began = mono_ns();
	struct error err = { 0 };
	int rc;

	if (began < c->expire_again_ns)
		return;
	do
		rc = store_expire(c->store, clock_for_age(&c->clock, wall_ns(), boot_ns()), &err);
	while (rc > 0 && mono_ns() - began < EXPIRE_NS);
	if (rc < 0) {   /* the commit that follows fails as well */
		log_error("collector", "not-expired", "reason=\"%s\"", err.text);
		c->expire_again_ns = began + EXPIRE_PAUSE_NS;
	}
}

/* The first token is made here, so that root can ask at once. */
static int open_tokens(struct collector *c, struct error *err)
{
	char path[4096], admin[4096];
	int rc;

	if (snprintf(path, sizeof(path), "%s/tokens", c->opt.data) >= (int)sizeof(path) ||
	    snprintf(admin, sizeof(admin), "%s/admin.token", c->opt.data) >= (int)sizeof(admin))
		return error_set(err, ENAMETOOLONG, "the path of the data directory is too long");
	rc = tokens_first(path, admin, err);
	if (rc > 0)
		log_info("collector", "first-token", "role=admin file=\"%s\"", admin);
	return rc < 0 ? rc : tokens_open(path, &c->tokens, err);
}

/* ---- the loop ---- */

/* What lies ahead keeps its distance: requests and verdicts, and the clocks of agents, which did not jump. */
static void follow_clock(struct collector *c)
{
	int64_t jump = clock_jump(&c->clock, wall_ns(), boot_ns());
	struct error err = { 0 };

	if (!jump)
		return;
	c->counts.clock_jumps++;
	log_warn("collector", "clock-was-set", "seconds=%.0f", (double)jump / 1e9);
	agents_clock_jumped(c, jump);
	control_clock_jumped(c, jump);
	if (ingest_clock_jumped(c->ingest, jump, &err) || store_clock_jumped(c->store, jump, &err))   /* the commit that follows fails as well */
		log_error("collector", "not-stored", "reason=\"%s\"", err.text);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct collector *c = arg;

	follow_clock(c);
	sessions_check(c);
	control_tick(c);
	expire(c);
	collector_commit(c, NULL);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct collector *c = arg;

	log_info("collector", "stopping", "signal=%d connections=%u", (int)sig, c->n_sessions);
	event_base_loopexit(c->base, NULL);
}

static void on_hangup(evutil_socket_t sig, short what, void *arg)
{
	struct collector *c = arg;

	if (c->reload)
		c->reload(c, c->reload_arg);
}

void collector_on_reload(struct collector *c, collector_reload_fn *fn, void *arg)
{
	c->reload = fn;
	c->reload_arg = arg;
}

static int add_events(struct collector *c, struct error *err)
{
	struct timeval tick = { .tv_usec = COLLECTOR_TICK_MS * 1000 };

	c->tick = event_new(c->base, -1, EV_PERSIST, on_tick, c);
	c->sigterm = evsignal_new(c->base, SIGTERM, on_signal, c);
	c->sigint = evsignal_new(c->base, SIGINT, on_signal, c);
	c->sighup = evsignal_new(c->base, SIGHUP, on_hangup, c);
	if (!c->tick || !c->sigterm || !c->sigint || !c->sighup || event_add(c->tick, &tick) || event_add(c->sigterm, NULL) ||
	    event_add(c->sigint, NULL) || event_add(c->sighup, NULL))
		return error_set(err, ENOMEM, "out of memory");
	return 0;
}

/* Each connection is a file. */
static void raise_limits(void)
{
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static bool wants_tls(const struct tls_files *t)
{
	return t->cert || t->key || t->ca;
}

static int read_sign_key(const struct collector_options *opt, struct record_key *key, struct error *err)
{
	return opt->sign_key ? record_key_read(opt->sign_key, key, err) : 0;
}

static int start(struct collector *c, struct error *err)
{
	int rc;

	raise_limits();
	gethostname(c->host, sizeof(c->host) - 1);
	c->started_ns = wall_ns();
	clock_jump(&c->clock, c->started_ns, boot_ns());
	c->base = event_base_new();
	c->live = live_new();
	if (!c->base || !c->live)
		return error_set(err, ENOMEM, "out of memory");
	rc = wants_tls(&c->opt.tls) ? tls_server_new(&c->opt.tls, &c->tls, err) : 0;
	if (!rc)
		rc = read_sign_key(&c->opt, &c->sign_key, err);
	if (!rc)
		rc = sessions_start(c, err);
	if (!rc)
		rc = lock_data(c, err);
	if (!rc)
		rc = open_store(c, err);
	if (!rc)
		rc = open_tokens(c, err);
	if (!rc)
		rc = control_start(c, err);
	if (!rc)
		rc = add_events(c, err);
	if (!rc)
		rc = listener_start(c, err);
	if (!rc)
		rc = pool_new(c->base, c->store_path, &c->pool, err);
	if (!rc && c->opt.http[0])
		rc = http_start(c, err);
	return rc;
}

int collector_new(const struct collector_options *opt, struct collector **out, struct error *err)
{
	struct collector *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return error_set(err, ENOMEM, "out of memory");
	c->opt = *opt;
	c->lock_fd = -1;
	rc = start(c, err);
	if (rc) {
		collector_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

static void needs_restart(const char *option, const char *now, const char *wanted)
{
	if (strcmp(now ? now : "", wanted ? wanted : ""))
		log_warn("collector", "needs-restart", "option=%s now=\"%s\" wanted=\"%s\"", option, now ? now : "", wanted ? wanted : "");
}

int collector_reload(struct collector *c, const struct collector_options *opt, struct error *err)
{
	struct record_key key = { 0 };
	struct tls *tls = NULL;
	int rc = read_sign_key(opt, &key, err);

	if (!rc && c->tls && wants_tls(&opt->tls))
		rc = tls_server_new(&opt->tls, &tls, err);
	if (rc) {
		record_key_free(&key);
		return rc;
	}
	record_key_free(&c->sign_key);
	c->sign_key = key;
	if (tls) {
		tls_free(c->tls);
		c->tls = tls;
	}
	needs_restart("listen", c->opt.listen, opt->listen);
	needs_restart("http", c->opt.http, opt->http);
	needs_restart("data", c->opt.data, opt->data);
	if (!c->tls != !wants_tls(&opt->tls) || c->opt.insecure != opt->insecure)
		log_warn("collector", "needs-restart", "option=tls");
	store_limits(c->store, opt->keep_ns, opt->max_bytes);
	log_info("collector", "reloaded", "keep_days=%.3g max_bytes=%lu certificates=%s sign_key=%s", (double)opt->keep_ns / (double)DAY_NS,
		 (unsigned long)opt->max_bytes, tls ? "read" : "none", key.pem ? "read" : "none");
	return 0;
}

int collector_run(struct collector *c)
{
	return event_base_dispatch(c->base) < 0 ? -EIO : 0;
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

void collector_free(struct collector *c)
{
	if (!c)
		return;
	http_stop(c);
	listener_stop(c);
	if (c->ingest)
		collector_commit(c, NULL);
	sessions_stop(c);
	control_stop(c);
	pool_free(c->pool); /* nobody is left who asked */
	ingest_free(c->ingest);
	if (c->store)
		store_commit(c->store, NULL);
	store_close(c->store);
	live_free(c->live);
	free_event(c->tick);
	free_event(c->sigterm);
	free_event(c->sigint);
	free_event(c->sighup);
	tls_free(c->tls);
	record_key_free(&c->sign_key);
	tokens_free(c->tokens);
	if (c->base) {
		event_base_loop(c->base, EVLOOP_NONBLOCK);   /* pairs of bufferevents (inside.c) hold on to each other until callbacks are run */
		event_base_free(c->base);
	}
	if (c->lock_fd >= 0)
		close(c->lock_fd);
	free(c);
}
