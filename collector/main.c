/* SPDX-License-Identifier: Apache-2.0 */
/* plumb-collector: takes in what agents see, keeps it, answers questions. */
#include <errno.h>
#include <getopt.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "collector.h"
#include "daemon.h"
#include "log.h"
#include "sandbox.h"
#include "agent_command.h"
#include "token_command.h"
#include "verify_record.h"

enum { OPT_CERT = 256, OPT_KEY, OPT_CA, OPT_SIGN_KEY, OPT_INSECURE, OPT_KEEP, OPT_MAX_BYTES, OPT_HTTP };

#define CONFIG_FILE "/etc/plumb/collector.yaml"

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, 'l' },
	{ "http", required_argument, NULL, OPT_HTTP },
	{ "data", required_argument, NULL, 'd' },
	{ "tls-cert", required_argument, NULL, OPT_CERT },
	{ "tls-key", required_argument, NULL, OPT_KEY },
	{ "tls-ca", required_argument, NULL, OPT_CA },
	{ "sign-key", required_argument, NULL, OPT_SIGN_KEY },
	{ "insecure", no_argument, NULL, OPT_INSECURE },
	{ "keep-days", required_argument, NULL, OPT_KEEP },
	{ "max-bytes", required_argument, NULL, OPT_MAX_BYTES },
	DAEMON_OPTIONS,
};

static void usage(FILE *to)
{
	fputs("usage: plumb-collector [options]\n"
	      "       plumb-collector token add|rm|list ...\n"
	      "       plumb-collector agent unbind AGENT\n"
	      "Takes in what agents see, keeps it, answers questions. Runs in the foreground.\n\n"
	      "  -l, --listen HOST:PORT  where agents and plumb connect (default " COLLECTOR_LISTEN ")\n"
	      "      --http HOST:PORT    where the HTTP API and the pages are (default " COLLECTOR_HTTP ")\n"
	      "  -d, --data DIR          where the store is (default " COLLECTOR_DATA ")\n"
	      "      --tls-cert FILE     certificate of this collector, PEM\n"
	      "      --tls-key FILE      its key\n"
	      "      --tls-ca FILE       whose signature agents' certificates must have\n"
	      "      --sign-key FILE     private key (Ed25519, PEM) that signs the records of what the collector verifies\n"
	      "      --insecure          listen beyond this machine without TLS\n"
	      "      --keep-days DAYS    age at which calls and seconds go (default 7; minutes: x 10, hours: x 100; 0: never)\n"
	      "      --max-bytes SIZE    of the store, as in 20G (default 10G; 0: no limit)\n"
	      "      --config FILE       these options as YAML, as in \"listen: 0.0.0.0:7717\" (default " CONFIG_FILE ", if it is there)\n"
	      "      --check-config      say whether the options can be used, and end\n"
	      "  -q, --quiet             log warnings and errors only\n"
	      "  -h, --help              this text\n"
	      "      --version           the version\n", to);
}

static int bad_value(const char *what, const char *text)
{
	fprintf(stderr, "plumb-collector: '%s' is no %s\n", text, what);
	return -EINVAL;
}

static int read_days(const char *text, uint64_t *ns)
{
	char *end;
	double days = strtod(text, &end);

	if (end == text || *end || !(days >= 0 && days <= 36500))
		return bad_value("number of days from 0 to 36500", text);
	*ns = (uint64_t)(days * 86400e9);
	return 0;
}

static int read_bytes(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	char *end;
	double n = strtod(text, &end);
	const char *unit = *end ? strchr(units, *end) : NULL;

	if (unit) {
		n *= (double)(1ULL << (10 * (unit - units + 1)));
		end++;
	}
	if (end == text || *end || !(n >= 0 && n <= 1e18))
		return bad_value("size, as in 500M or 20G", text);
	*bytes = (uint64_t)n;
	return 0;
}

static int take(int opt, const char *text, void *options)
{
	struct collector_options *o = options;

	switch (opt) {
	case 'l':
		o->listen = text;
		return 0;
	case 'd':
		o->data = text;
		return 0;
	case OPT_HTTP:
		o->http = text;
		return 0;
	case OPT_CERT:
		o->tls.cert = text;
		return 0;
	case OPT_KEY:
		o->tls.key = text;
		return 0;
	case OPT_CA:
		o->tls.ca = text;
		return 0;
	case OPT_SIGN_KEY:
		o->sign_key = text;
		return 0;
	case OPT_INSECURE:
		o->insecure = true;
		return 0;
	case OPT_KEEP:
		return read_days(text, &o->keep_ns);
	default:
		return read_bytes(text, &o->max_bytes);
	}
}

static void reset(void *options)
{
	collector_options_default(options);
}

static int apply(void *collector, void *options, struct error *err)
{
	return collector_reload(collector, options, err);
}

static void reload(struct collector *c, void *daemon)
{
	struct collector_options options;

	daemon_reload(daemon, &options, c);
}

static int check(const struct collector_options *o, const struct config *config)
{
	struct record_key key = { 0 };
	struct error err = { 0 };
	struct tls *tls = NULL;

	if ((o->tls.cert && tls_server_new(&o->tls, &tls, &err)) || (o->sign_key && record_key_read(o->sign_key, &key, &err)))
		fprintf(stderr, "plumb-collector: %s\n", err.text);
	tls_free(tls);
	record_key_free(&key);
	if (err.code)
		return EXIT_USAGE;
	daemon_checked(config);
	return 0;
}

static int run(struct collector_options *options, struct daemon *daemon, struct error *err)
{
	static const int needed[] = { CAP_NET_BIND_SERVICE, -1 };
	struct collector *c = NULL;
	int rc = sandbox_capabilities(needed, err); /* before there are threads: each has its own */

	if (!rc)
		rc = collector_new(options, &c, err);
	if (!rc)
		rc = sandbox_syscalls(SANDBOX_COLLECTOR, err);
	if (!rc) {
		collector_on_reload(c, reload, daemon);
		log_info("collector", "ready", "listen=%s data=%s tls=%s http=%s", collector_address(c), options->data,
			 options->tls.cert ? "yes" : "no", collector_http_address(c));
		sd_notify(0, "READY=1");
		rc = collector_run(c);
		sd_notify(0, "STOPPING=1");
	}
	collector_free(c);
	return rc;
}

/* "--data DIR token add ..." is "token --data DIR add ...": the word comes to the front. */
static void word_first(int argc, char **argv)
{
	int at = 1;
	char *word;

	while (at < argc && (!strcmp(argv[at], "-d") || !strcmp(argv[at], "--data") || !strncmp(argv[at], "--data=", 7)))
		at += strchr(argv[at], '=') ? 1 : 2;
	if (at >= argc || (strcmp(argv[at], "token") && strcmp(argv[at], "agent")))
		return;
	word = argv[at];
	memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof(*argv));
	argv[1] = word;
}

int main(int argc, char **argv)
{
	struct daemon daemon = {
		.name = "plumb-collector", .part = "collector", .file = CONFIG_FILE, .short_options = "l:d:qhV", .options = long_options,
		.usage = usage, .reset = reset, .take = take, .apply = apply, .argc = argc, .argv = argv,
	};
	struct collector_options options;
	struct config *config = NULL;
	struct error err = { 0 };
	int rc;

	word_first(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "token"))
		return token_command(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "agent"))
		return agent_command(argc - 1, argv + 1);
	rc = daemon_read(&daemon, &options, &config);
	if (rc)
		return rc - 1;
	signal(SIGPIPE, SIG_IGN);
	if (daemon.check_only)
		rc = check(&options, config);
	else if (run(&options, &daemon, &err))
		rc = EXIT_FAILED;
	daemon_failed(&daemon, &err);
	config_free(config);
	return rc;
}
