/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <systemd/sd-daemon.h>

#include "log.h"

/* Options that all have. 0: taken, 1: it is none of them, < 0: -(exit code + 1) */
static int take_common(struct daemon *d, int opt)
{
	switch (opt) {
	case DAEMON_CONFIG:
		return 0; /* it was read before */
	case DAEMON_CHECK:
		d->check_only = true;
		return 0;
	case 'q':
		log_set_level(LOG_LEVEL_WARN);
		return 0;
	case 'h':
		d->usage(stdout);
		return -1;
	case 'V':
		printf("%s " PLUMB_VERSION "\n", d->name);
		return -1;
	case '?':
		d->usage(stderr);
		return -(EXIT_USAGE + 1);
	default:
		return 1;
	}
}

static int take_all(struct daemon *d, int argc, char **argv, void *options)
{
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, d->short_options, d->options, NULL)) != -1) {
		int rc = take_common(d, opt);

		if (rc < 0)
			return -rc;
		if (rc && d->take(opt, optarg, options))
			return EXIT_USAGE + 1;
	}
	if (optind >= argc)
		return 0;
	fprintf(stderr, "%s: unexpected argument '%s'\n", d->name, argv[optind]);
	return EXIT_USAGE + 1;
}

int daemon_read(struct daemon *d, void *options, struct config **config)
{
	struct error err = { 0 };
	int rc;

	if (config_read(d->file, d->options, d->argc, d->argv, config, &err)) {
		daemon_failed(d, &err);
		return EXIT_USAGE + 1;
	}
	d->reset(options);
	log_set_level(LOG_LEVEL_INFO);
	rc = take_all(d, config_argc(*config), config_argv(*config), options);
	if (rc) {
		config_free(*config);
		*config = NULL;
	}
	return rc;
}

void daemon_reload(struct daemon *d, void *options, void *target)
{
	struct config *config = NULL;
	struct error err = { 0 };

	sd_notify(0, "RELOADING=1");
	if (daemon_read(d, options, &config))
		log_error(d->part, "not-reloaded", "reason=\"the options cannot be used\"");
	else if (d->apply(target, options, &err))
		log_error(d->part, "not-reloaded", "reason=\"%s\"", err.text);
	config_free(config); /* what is kept of it was copied */
	sd_notify(0, "READY=1");
}

void daemon_checked(const struct config *config)
{
	printf("the options can be used%s%s\n", config_path(config)[0] ? "; file: " : "", config_path(config));
}

void daemon_failed(const struct daemon *d, const struct error *err)
{
	if (err->code)
		fprintf(stderr, "%s: %s%s%s\n", d->name, err->text, err->hint[0] ? "; " : "", err->hint);
}
