/* SPDX-License-Identifier: Apache-2.0 */
/* plumb-collector: takes in what agents see, keeps it, answers questions. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector.h"
#include "log.h"
#include "token_command.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum { OPT_CERT = 256, OPT_KEY, OPT_CA, OPT_INSECURE, OPT_KEEP, OPT_MAX_BYTES, OPT_HTTP };

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, 'l' },
	{ "http", required_argument, NULL, OPT_HTTP },
	{ "data", required_argument, NULL, 'd' },
	{ "tls-cert", required_argument, NULL, OPT_CERT },
	{ "tls-key", required_argument, NULL, OPT_KEY },
	{ "tls-ca", required_argument, NULL, OPT_CA },
	{ "insecure", no_argument, NULL, OPT_INSECURE },
	{ "keep-days", required_argument, NULL, OPT_KEEP },
	{ "max-bytes", required_argument, NULL, OPT_MAX_BYTES },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void usage(FILE *to)
{
	fputs("usage: plumb-collector [options]\n"
	      "       plumb-collector token add|rm|list ...\n"
	      "Takes in what agents see, keeps it, answers questions. Runs in the foreground.\n\n"
	      "  -l, --listen HOST:PORT  where agents and plumb connect (default " COLLECTOR_LISTEN ")\n"
	      "      --http HOST:PORT    where the HTTP API and the pages are (default " COLLECTOR_HTTP ")\n"
	      "  -d, --data DIR          where the store is (default " COLLECTOR_DATA ")\n"
	      "      --tls-cert FILE     certificate of this collector, PEM\n"
	      "      --tls-key FILE      its key\n"
	      "      --tls-ca FILE       whose signature agents' certificates must have\n"
	      "      --insecure          listen beyond this machine without TLS\n"
	      "      --keep-days DAYS    age at which calls and seconds go (default 7; minutes: x 10, hours: x 100; 0: never)\n"
	      "      --max-bytes SIZE    of the store, as in 20G (default 10G; 0: no limit)\n"
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

int main(int argc, char **argv)
{
	struct collector_options options;
	struct collector *collector = NULL;
	struct error err = { 0 };
	int rc;

	if (argc > 1 && !strcmp(argv[1], "token"))
		return token_command(argc - 1, argv + 1);
	collector_options_default(&options);
	rc = read_options(argc, argv, &options);
	if (rc)
		return rc - 1;
	signal(SIGPIPE, SIG_IGN);
	rc = collector_new(&options, &collector, &err);
	if (rc) {
		fprintf(stderr, "plumb-collector: %s%s%s\n", err.text, err.hint[0] ? "; " : "", err.hint);
		return EXIT_FAILED;
	}
	log_info("collector", "ready", "listen=%s data=%s tls=%s http=%s", collector_address(collector), options.data,
		 options.tls.cert ? "yes" : "no", collector_http_address(collector));
	rc = collector_run(collector);
	collector_free(collector);
	return rc ? EXIT_FAILED : 0;
}
