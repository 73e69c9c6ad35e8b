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
#include "config.h"
#include "log.h"
#include "sandbox.h"
#include "agent_command.h"
#include "token_command.h"
#include "verify_record.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum { OPT_CERT = 256, OPT_KEY, OPT_CA, OPT_SIGN_KEY, OPT_INSECURE, OPT_KEEP, OPT_MAX_BYTES, OPT_HTTP, OPT_CONFIG, OPT_CHECK };

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
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "check-config", no_argument, NULL, OPT_CHECK },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static bool check_only;

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

static int set_option(int opt, struct collector_options *o)
{
	switch (opt) {
	case 'l':
		o->listen = optarg;
		return 0;
	case 'd':
		o->data = optarg;
		return 0;
	case OPT_HTTP:
		o->http = optarg;
		return 0;
	case OPT_CERT:
		o->tls.cert = optarg;
		return 0;
	case OPT_KEY:
		o->tls.key = optarg;
		return 0;
	case OPT_CA:
		o->tls.ca = optarg;
		return 0;
	case OPT_SIGN_KEY:
		o->sign_key = optarg;
		return 0;
	case OPT_INSECURE:
		o->insecure = true;
		return 0;
	case OPT_KEEP:
		return read_days(optarg, &o->keep_ns);
	default:
		return read_bytes(optarg, &o->max_bytes);
	}
}

/* -> 0 to go on, else the exit code + 1 */
static int read_options(int argc, char **argv, struct collector_options *o)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "l:d:qhV", long_options, NULL)) != -1) {
		switch (opt) {
		case 'q':
			log_set_level(LOG_LEVEL_WARN);
			break;
		case OPT_CONFIG:
			break; /* it was read before */
		case OPT_CHECK:
			check_only = true;
			break;
		case 'h':
			usage(stdout);
			return 1;
		case 'V':
			puts("plumb-collector " PLUMB_VERSION);
			return 1;
		case '?':
			usage(stderr);
			return EXIT_USAGE + 1;
		default:
			if (set_option(opt, o))
				return EXIT_USAGE + 1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "plumb-collector: unexpected argument '%s'\n", argv[optind]);
		return EXIT_USAGE + 1;
	}
	return 0;
}

/* The command line, read again with the file at each reload. */
struct typed { int argc; char **argv; };

/* -> 0, or the exit code + 1. On 0 the config owns the texts of the options. */
static int read_all(const struct typed *t, struct collector_options *o, struct config **config)
{
	struct error err = { 0 };
	int rc;

	if (config_read(CONFIG_FILE, long_options, t->argc, t->argv, config, &err)) {
		fprintf(stderr, "plumb-collector: %s\n", err.text);
		return EXIT_USAGE + 1;
	}
	collector_options_default(o);
	log_set_level(LOG_LEVEL_INFO);
	optind = 0;
	rc = read_options(config_argc(*config), config_argv(*config), o);
	if (rc) {
		config_free(*config);
		*config = NULL;
	}
	return rc;
}

static void reload(struct collector *c, void *arg)
{
	struct collector_options options;
	struct config *config = NULL;
	struct error err = { 0 };

	sd_notify(0, "RELOADING=1");
	if (read_all(arg, &options, &config))
		log_error("collector", "not-reloaded", "reason=\"the options cannot be used\"");
	else if (collector_reload(c, &options, &err))
		log_error("collector", "not-reloaded", "reason=\"%s\"", err.text);
	config_free(config); /* what it keeps, it has copied */
	sd_notify(0, "READY=1");
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
	printf("the options can be used%s%s\n", config_path(config)[0] ? "; file: " : "", config_path(config));
	return 0;
}

static int run(struct collector_options *options, struct typed *typed, struct error *err)
{
	static const int needed[] = { CAP_NET_BIND_SERVICE, -1 };
	struct collector *c = NULL;
	int rc = sandbox_capabilities(needed, err); /* before there are threads: each has its own */

	if (!rc)
		rc = collector_new(options, &c, err);
	if (!rc)
		rc = sandbox_syscalls(SANDBOX_COLLECTOR, err);
	if (!rc) {
		collector_on_reload(c, reload, typed);
		log_info("collector", "ready", "listen=%s data=%s tls=%s http=%s", collector_address(c), options->data,
			 options->tls.cert ? "yes" : "no", collector_http_address(c));
		sd_notify(0, "READY=1");
		rc = collector_run(c);
		sd_notify(0, "STOPPING=1");
	}
	collector_free(c);
	return rc;
}

int main(int argc, char **argv)
{
	struct typed typed = { argc, argv };
	struct collector_options options;
	struct config *config = NULL;
	struct error err = { 0 };
	int rc;

	if (argc > 1 && !strcmp(argv[1], "token"))
		return token_command(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "agent"))
		return agent_command(argc - 1, argv + 1);
	rc = read_all(&typed, &options, &config);
	if (rc)
		return rc - 1;
	signal(SIGPIPE, SIG_IGN);
	if (check_only)
		rc = check(&options, config);
	else if (run(&options, &typed, &err))
		rc = EXIT_FAILED;
	if (err.code)
		fprintf(stderr, "plumb-collector: %s%s%s\n", err.text, err.hint[0] ? "; " : "", err.hint);
	config_free(config);
	return rc;
}
