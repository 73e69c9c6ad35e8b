/* SPDX-License-Identifier: Apache-2.0 */
/* plumbd: the agent on each host. */
#include <errno.h>
#include <getopt.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "agent.h"
#include "daemon.h"
#include "log.h"
#include "spool.h"
#include "plumb/wire.h"
#include "sandbox.h"

#define SPOOL_MAX (1ULL << 50)

enum { OPT_PRIVATE = 256, OPT_ATTACH, OPT_BUDGET, OPT_MAX_BUDGET, OPT_RING, OPT_TTL, OPT_MAX_TTL, OPT_GROUP, OPT_CACHE, OPT_CACHE_MIB,
       OPT_HOST, OPT_COLLECTOR, OPT_SPOOL, OPT_SPOOL_BYTES, OPT_TLS_CERT, OPT_TLS_KEY, OPT_TLS_CA, OPT_INSECURE };

#define CONFIG_FILE "/etc/plumb/plumbd.yaml"

static const struct option long_options[] = {
	{ "host", required_argument, NULL, OPT_HOST },
	{ "socket", required_argument, NULL, 's' },
	{ "group", required_argument, NULL, OPT_GROUP },
	{ "attach", required_argument, NULL, OPT_ATTACH },
	{ "budget", required_argument, NULL, OPT_BUDGET },
	{ "max-budget", required_argument, NULL, OPT_MAX_BUDGET },
	{ "ring-kib", required_argument, NULL, OPT_RING },
	{ "ttl", required_argument, NULL, OPT_TTL },
	{ "max-ttl", required_argument, NULL, OPT_MAX_TTL },
	{ "collector", required_argument, NULL, OPT_COLLECTOR },
	{ "spool", required_argument, NULL, OPT_SPOOL },
	{ "spool-bytes", required_argument, NULL, OPT_SPOOL_BYTES },
	{ "tls-cert", required_argument, NULL, OPT_TLS_CERT },
	{ "tls-key", required_argument, NULL, OPT_TLS_KEY },
	{ "tls-ca", required_argument, NULL, OPT_TLS_CA },
	{ "insecure", no_argument, NULL, OPT_INSECURE },
	{ "cache", required_argument, NULL, OPT_CACHE },
	{ "cache-mib", required_argument, NULL, OPT_CACHE_MIB },
	{ "private", required_argument, NULL, OPT_PRIVATE },
	DAEMON_OPTIONS,
};

static void usage(FILE *to)
{
	fputs("usage: plumbd [options]\n"
	      "The agent: attaches probes to running processes on behalf of plumb. Runs in the foreground.\n\n"
	      "  -s, --socket PATH       where to listen (default " PLUMB_SOCKET_PATH ")\n"
	      "      --group NAME        whose members may connect (default plumb)\n"
	      "      --host NAME         what this machine is called in what it records (default: its host name)\n"
	      "      --budget PERCENT    CPU that probes may cost a process, of one core (default 10)\n"
	      "      --max-budget PERCENT  what a request may ask for (default 100)\n"
	      "      --ttl SECONDS       default life of a request (default 600)\n"
	      "      --max-ttl SECONDS   longest life of a request (default 86400)\n"
	      "      --ring-kib N        size of one event buffer (default: 4096 over all CPUs)\n"
	      "      --cache DIR         where inflated debug information is kept, or none (default " CACHE_DIR ")\n"
	      "      --cache-mib N       how much of it at most (default 2048)\n"
	      "      --attach METHOD     auto, session, multi or perf: how breakpoints are attached (default auto)\n"
	      "      --collector HOST:PORT  send what requests see to a collector, and take its requests\n"
	      "      --spool DIR         what waits for the collector (default " PLUMB_SPOOL_DIR ")\n"
	      "      --spool-bytes N     its bound, at which the oldest records give way (default 256M; K, M and G are units)\n"
	      "      --tls-cert FILE     with --tls-key FILE and --tls-ca FILE: who this agent is, and whom it trusts; PEM\n"
	      "      --insecure          no TLS, though the collector is on another machine\n"
	      "      --config FILE       these options as YAML, as in \"budget: 5\" (default " CONFIG_FILE ", if it is there)\n"
	      "      --check-config      say whether the options can be used, and end\n"
	      "  -q, --quiet             log warnings and errors only\n"
	      "  -h, --help              this text\n"
	      "      --version           the version\n", to);
}

/* A number in [min, max], with an optional '%'. */
static int number(const char *text, double min, double max, double *out)
{
	char *end;

	errno = 0;
	*out = strtod(text, &end);
	if (end == text || (*end && strcmp(end, "%")) || errno || !(*out >= min && *out <= max)) {
		fprintf(stderr, "plumbd: '%s' must be a number from %g to %g\n", text, min, max);
		return -EINVAL;
	}
	return 0;
}

/* Bytes, with a unit. */
static int spool_bytes(const char *text, uint64_t *out)
{
	static const char units[] = "KMG";
	char *end;
	uint64_t v = strtoull(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;

	if (end == text || text[0] == '-' || (*end && (!unit || end[1])) || v > SPOOL_MAX >> shift || v << shift < SPOOL_BYTES_MIN) {
		fprintf(stderr, "plumbd: --spool-bytes is at least 1M, a number with K, M or G, not '%s'\n", text);
		return -EINVAL;
	}
	*out = v << shift;
	return 0;
}

static int set_number(int opt, const char *text, struct agent_options *o)
{
	double v = 0;
	int rc;

	switch (opt) {
	case OPT_BUDGET:
		rc = number(text, 0.01, 10000, &v);
		o->budget_ppm = (uint32_t)(v * 1e4);
		return rc;
	case OPT_MAX_BUDGET:
		rc = number(text, 0.01, 10000, &v);
		o->max_budget_ppm = (uint32_t)(v * 1e4);
		return rc;
	case OPT_RING:
		rc = number(text, 4, 1 << 20, &v);
		o->ring_bytes = (uint32_t)v << 10;
		return rc;
	case OPT_CACHE_MIB:
		rc = number(text, 1, 1 << 20, &v);
		o->cache.max_bytes = (uint64_t)v << 20;
		return rc;
	case OPT_TTL:
		rc = number(text, 1, 1e7, &v);
		o->ttl_ns = (uint64_t)(v * 1e9);
		return rc;
	case OPT_MAX_TTL:
		rc = number(text, 1, 1e7, &v);
		o->max_ttl_ns = (uint64_t)(v * 1e9);
		return rc;
	case OPT_SPOOL_BYTES:
		return spool_bytes(text, &o->spool_bytes);
	default:
		rc = number(text, 3, 1 << 20, &v);
		o->private_fd = (int)v;
		return rc;
	}
}

static bool set_text(int opt, const char *text, struct agent_options *o)
{
	const struct { int opt; const char **to; } texts[] = {
		{ OPT_GROUP, &o->socket_group }, { OPT_HOST, &o->host }, { OPT_COLLECTOR, &o->collector }, { OPT_SPOOL, &o->spool_dir },
		{ OPT_TLS_CERT, &o->tls_cert }, { OPT_TLS_KEY, &o->tls_key }, { OPT_TLS_CA, &o->tls_ca },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].opt == opt) {
			*texts[i].to = text;
			return true;
		}
	}
	return false;
}

static int take(int opt, const char *text, void *options)
{
	struct agent_options *o = options;

	switch (opt) {
	case 's':
		o->socket_path = text;
		return 0;
	case OPT_INSECURE:
		o->insecure = true;
		return 0;
	case OPT_CACHE:
		o->cache.dir = strcmp(text, "none") ? text : NULL;
		return 0;
	case OPT_ATTACH:
		if (!attach_method_parse(text, &o->method))
			return 0;
		fprintf(stderr, "plumbd: --attach is auto, session, multi or perf, not '%s'\n", text);
		return -EINVAL;
	default:
		return set_text(opt, text, o) ? 0 : set_number(opt, text, o);
	}
}

static void reset(void *options)
{
	agent_options_default(options);
}

/* A private agent is what its plumb says, whatever the host's file says. */
static bool is_private(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], "--private", 9))
			return true;
	return false;
}

static void keep_within_max(struct agent_options *o)
{
	if (o->budget_ppm > o->max_budget_ppm)
		o->budget_ppm = o->max_budget_ppm;
}

static int apply(void *agent, void *options, struct error *err)
{
	keep_within_max(options);
	agent_reload(agent, options);
	return 0;
}

static void reload(struct agent *a, void *daemon)
{
	struct agent_options options;

	daemon_reload(daemon, &options, a);
}

static int run(struct agent_options *options, struct daemon *daemon, struct error *err)
{
	static const int needed[] = { CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH, CAP_CHECKPOINT_RESTORE, CAP_CHOWN,
				      CAP_SYS_RESOURCE, -1 };
	struct agent *agent = NULL;
	int rc = sandbox_capabilities(needed, err); /* before there are threads: each has its own */

	if (!rc)
		rc = agent_new(options, &agent, err);
	if (!rc)
		rc = sandbox_syscalls(SANDBOX_AGENT, err);
	if (!rc) {
		agent_on_reload(agent, reload, daemon);
		log_info("agent", "ready", "socket=%s", options->private_fd >= 0 ? "private" : options->socket_path);
		sd_notify(0, "READY=1");
		rc = agent_run(agent);
		sd_notify(0, "STOPPING=1");
	}
	agent_free(agent);
	return rc;
}

int main(int argc, char **argv)
{
	struct daemon daemon = {
		.name = "plumbd", .part = "agent", .file = is_private(argc, argv) ? NULL : CONFIG_FILE, .short_options = "s:qhV",
		.options = long_options, .usage = usage, .reset = reset, .take = take, .apply = apply, .argc = argc, .argv = argv,
	};
	struct agent_options options;
	struct config *config = NULL;
	struct error err = { 0 };
	int rc = daemon_read(&daemon, &options, &config);

	if (rc)
		return rc - 1;
	keep_within_max(&options);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of write */
	if (options.private_fd >= 0) {
		options.collector = NULL;
		log_set_level(LOG_LEVEL_ERROR);
	}
	if (daemon.check_only)
		daemon_checked(config);
	else if (run(&options, &daemon, &err))
		rc = EXIT_FAILED;
	daemon_failed(&daemon, &err);
	config_free(config);
	return rc;
}
