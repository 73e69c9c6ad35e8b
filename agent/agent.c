/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent_internal.h"
#include "clock_ns.h"
#include "feature.h"
#include "kernel_numbers.h"
#include "log.h"
#include "uplink.h"

enum { STOP_SECONDS = 5 };

#define SCAN_NS 900000000ULL /* between looks at all processes: less than a second, so that a whole number of ticks reaches it */

uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t wall_offset_ns(void)
{
	return clock_ns(CLOCK_REALTIME) - now_ns();
}

void agent_options_default(struct agent_options *opt)
{
	*opt = (struct agent_options){
		.socket_path = PLUMB_SOCKET_PATH, .socket_group = "plumb", .private_fd = -1, .method = ATTACH_AUTO,
		.budget_ppm = 100000, .max_budget_ppm = 1000000, .ring_bytes = 0,
		.ttl_ns = 600ULL * 1000000000, .max_ttl_ns = 24ULL * 3600 * 1000000000, .max_requests = 256,
		.spool_dir = PLUMB_SPOOL_DIR, .spool_bytes = SPOOL_BYTES_DEFAULT,
		.cache = { .dir = CACHE_DIR, .max_bytes = 2048ULL << 20 },
	};
}

/* ---- calibration: in a worker, the defaults serve until it is done ---- */

static void calibrate_work(struct buf *out, void *arg)
{
	struct site_costs costs;

	calibrate(&costs, NULL);
	buf_add(out, &costs, sizeof(costs));
}

static void on_calibrated(const char *data, size_t len, const struct error *failed, void *arg)
{
	struct agent *a = arg;

	a->calibrator = NULL;
	if (!failed && len == sizeof(a->costs))
		memcpy(&a->costs, data, sizeof(a->costs));
}

/* ---- ticks ---- */

static void tick_in(struct agent *a, unsigned ms)
{
	struct timeval tv = { .tv_usec = ms * 1000 };

	a->tick_due_ns = now_ns() + ms * 1000000ULL;
	event_add(a->tick, &tv);
}

/* Without requests and collector there is nothing to do. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	uint64_t now = now_ns();
	bool closely = guard_tick(a, now);

	clients_check(a);
	if (a->uplink)
		uplink_tick(a->uplink);
	if (now >= a->next_scan_ns) {
		a->next_scan_ns = now + SCAN_NS;
		watch_scan(a);
	}
	if (a->uplink || !LIST_EMPTY(&a->requests))
		tick_in(a, closely || a->uplink ? TICK_MS : TICK_CALM_MS);
}

void agent_tick_soon(struct agent *a)
{
	uint64_t now = now_ns();
	bool pending = event_pending(a->tick, EV_TIMEOUT, NULL);

	if (!pending)
		guard_begin(a, now);
	if (!pending || a->tick_due_ns > now + TICK_MS * 1000000ULL) /* sooner, never later: requests may come all the time */
		tick_in(a, TICK_MS);
}

/* ---- stopping ---- */

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct timeval patience = { .tv_sec = STOP_SECONDS };
	struct agent *a = arg;
	struct request *rq, *next;

	a->stopping = true;
	log_info("agent", "stopping", "signal=%d requests=%u", (int)sig, a->n_requests);
	for (rq = LIST_FIRST(&a->requests); rq; rq = next) {
		next = LIST_NEXT(rq, link);
		request_end(rq, "shutdown", "the agent is shutting down");
	}
	event_base_loopexit(a->base, a->n_requests ? &patience : NULL);
}

static void on_hangup(evutil_socket_t sig, short what, void *arg)
{
	struct agent *a = arg;

	if (a->reload)
		a->reload(a, a->reload_arg);
}

void agent_on_reload(struct agent *a, agent_reload_fn *fn, void *arg)
{
	a->reload = fn;
	a->reload_arg = arg;
}

static void needs_restart(const char *option, const char *now, const char *wanted)
{
	if (strcmp(now ? now : "", wanted ? wanted : ""))
		log_warn("agent", "needs-restart", "option=%s now=\"%s\" wanted=\"%s\"", option, now ? now : "", wanted ? wanted : "");
}

void agent_reload(struct agent *a, const struct agent_options *opt)
{
	needs_restart("socket", a->opt.socket_path, opt->socket_path);
	needs_restart("group", a->opt.socket_group, opt->socket_group);
	needs_restart("collector", a->opt.collector, opt->collector);
	needs_restart("spool", a->opt.spool_dir, opt->spool_dir);
	needs_restart("tls-cert", a->opt.tls_cert, opt->tls_cert);
	needs_restart("tls-ca", a->opt.tls_ca, opt->tls_ca);
	a->opt.budget_ppm = opt->budget_ppm;
	a->opt.max_budget_ppm = opt->max_budget_ppm;
	a->opt.ttl_ns = opt->ttl_ns;
	a->opt.max_ttl_ns = opt->max_ttl_ns;
	log_info("agent", "reloaded", "budget_ppm=%u max_budget_ppm=%u ttl_s=%lu", opt->budget_ppm, opt->max_budget_ppm,
		 (unsigned long)(opt->ttl_ns / 1000000000));
}

static int add_events(struct agent *a)
{
	a->tick = evtimer_new(a->base, on_tick, a);
	a->sigterm = evsignal_new(a->base, SIGTERM, on_signal, a);
	a->sigint = evsignal_new(a->base, SIGINT, on_signal, a);
	a->sighup = evsignal_new(a->base, SIGHUP, on_hangup, a);
	if (!a->tick || !a->sigterm || !a->sigint || !a->sighup || event_add(a->sighup, NULL))
		return -ENOMEM;
	return event_add(a->sigterm, NULL) || event_add(a->sigint, NULL) ? -ENOMEM : 0;
}

/* BPF maps count against RLIMIT_MEMLOCK before 5.11; perf-event uprobes and links need a file each. */
static void raise_limits(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY }, files;

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* The rings are mapped twice and count as resident: together they stay below 8 MiB, but none below 256 KiB. */
static uint32_t ring_bytes(const struct agent_options *opt, unsigned cpus)
{
	uint32_t each = (4U << 20) / cpus;

	return opt->ring_bytes ? opt->ring_bytes : each < 256U << 10 ? 256U << 10 : each > 2U << 20 ? 2U << 20 : each;
}

static void cannot_probe(struct error *err)
{
	size_t n;
	const struct feature *f = features(&n);

	error_set(err, EPERM, "this user or kernel cannot attach probes: %s", f[FEATURE_BPF].detail);
	error_hint(err, "%s; plumb doctor tells more", f[FEATURE_BPF].advice ? f[FEATURE_BPF].advice : "run it as root");
}

/* libevent's usual clock is up to 4 ms late, so that a timer wakes the loop once in vain, and a second time. */
static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && !event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER))
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

/* Tried once, so that it is said once; an agent without a cache is only slower. */
static void check_cache(struct agent *a)
{
	const char *dir = a->opt.cache.dir;
	int fd = dir ? cache_open(dir) : -1;

	if (fd >= 0) {
		close(fd);
		return;
	}
	if (dir)
		log_warn("agent", "cache_unusable", "dir=%s reason=\"%s\"", dir,
			 fd == -EPERM ? "it is open to others than this user" : strerror(-fd));
	a->opt.cache.dir = NULL;
}

static int start_keepers(struct agent *a, struct error *err)
{
	struct keepers_options opt;

	keepers_options_default(&opt);
	a->keepers = keepers_new(a->base, &opt);
	return a->keepers ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int start(struct agent *a, struct error *err)
{
	unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	size_t n;
	int rc;

	raise_limits();
	if (a->opt.host)
		snprintf(a->host, sizeof(a->host), "%s", a->opt.host);
	else
		gethostname(a->host, sizeof(a->host) - 1);
	site_costs_default(&a->costs);
	check_cache(a);
	features(&n); /* tries all of them now: later the loop would wait for it */
	kernel_numbers();
	site_kernel_set(feature_site_kernel());
	if (!feature_has(FEATURE_BPF))
		cannot_probe(&a->unusable);
	/* A private agent answers nevertheless: plumb doctor tells what is missing. */
	if (a->unusable.code && a->opt.private_fd < 0) {
		*err = a->unusable;
		return -err->code;
	}
	a->base = new_base();
	if (!a->base)
		return error_set(err, ENOMEM, "out of memory");
	rc = reaper_new(a->base, &a->reaper, err);
	if (!rc)
		rc = start_keepers(a, err);
	if (!rc && !a->unusable.code)
		rc = rings_new(cpus, ring_bytes(&a->opt, cpus), &a->rings, err);
	if (!rc && a->rings)
		rc = stream_start(a, err);
	if (!rc && add_events(a))
		rc = error_set(err, ENOMEM, "out of memory");
	if (!rc && a->opt.collector)
		rc = uplink_new(a, &a->uplink, err);
	if (!rc && a->uplink)
		agent_tick_soon(a);
	if (!rc && a->opt.private_fd >= 0)
		rc = client_add(a, a->opt.private_fd, err);
	if (!rc && a->opt.socket_path && a->opt.private_fd < 0)
		rc = clients_listen(a, err);
	if (!rc && a->rings && worker_start(a->base, NULL, calibrate_work, NULL, on_calibrated, a, &a->calibrator, NULL))
		a->calibrator = NULL; /* the defaults stay */
	return rc;
}

int agent_new(const struct agent_options *opt, struct agent **out, struct error *err)
{
	struct agent *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return error_set(err, ENOMEM, "out of memory");
	a->opt = *opt;
	a->stats_fd = -1;
	rc = start(a, err);
	if (rc) {
		agent_free(a);
		return rc;
	}
	*out = a;
	return 0;
}

int agent_run(struct agent *a)
{
	return event_base_dispatch(a->base) < 0 ? -EIO : 0;
}

/* What the loop did not come to write any more, as far as the socket takes it. */
static void write_rest(struct client *c)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	evbuffer_unfreeze(out, 1); /* a bufferevent lets nobody else take from it */
	while (evbuffer_get_length(out) && evbuffer_write(out, bufferevent_getfd(c->bev)) > 0)
		;
}

static void free_clients(struct agent *a)
{
	struct client *c, *next;

	for (c = LIST_FIRST(&a->clients); c; c = next) {
		next = LIST_NEXT(c, link);
		write_rest(c);
		client_close(c);
	}
}

/* What is left after the patience of a shutdown is detached here. */
static void free_requests(struct agent *a)
{
	struct request *rq, *next;

	for (rq = LIST_FIRST(&a->requests); rq; rq = next) {
		next = LIST_NEXT(rq, link);
		request_drop(rq);
	}
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	questions_cancel(a, NULL);
	if (a->base)
		free_clients(a);
	worker_cancel(a->calibrator);
	if (a->listener) {
		evconnlistener_free(a->listener);
		unlink(a->opt.socket_path);
	}
	guard_stop(a);
	reaper_free(a->reaper);
	free_requests(a);
	keepers_free(a->keepers);
	uplink_free(a->uplink);
	stream_stop(a);
	free_event(a->tick);
	free_event(a->sigterm);
	free_event(a->sigint);
	free_event(a->sighup);
	rings_free(a->rings);
	if (a->base)
		event_base_free(a->base);
	free(a);
}
