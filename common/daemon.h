/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of a daemon, as far as daemons are alike: options from the command line and a file, read again at SIGHUP, with systemd
 * being told.  A part of main: it prints for people, and exit codes come from here.
 */
#ifndef PLUMB_DAEMON_H
#define PLUMB_DAEMON_H

#include <stdbool.h>
#include <stdio.h>

#include "config.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* The options that all have; at the end of a table. */
enum { DAEMON_CONFIG = 1000, DAEMON_CHECK };
#define DAEMON_OPTIONS \
	{ "config", required_argument, NULL, DAEMON_CONFIG }, { "check-config", no_argument, NULL, DAEMON_CHECK }, \
	{ "quiet", no_argument, NULL, 'q' }, { "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 }

struct daemon {
	const char *name, *part;         /* in messages, in the log */
	const char *file;                /* of options, read if it is there; NULL: none */
	const char *short_options;       /* with "qhV" */
	const struct option *options;
	void (*usage)(FILE *to);
	void (*reset)(void *options);    /* to what they are when nothing is said */
	/* Takes one option of its own. 0; < 0: no such value, which it has said. */
	int (*take)(int opt, const char *text, void *options);
	/* What has changed; text lives for the call. */
	int (*apply)(void *target, void *options, struct error *err);
	int argc;                        /* the command line, which is read again with the file */
	char **argv;
	bool check_only;                 /* --check-config was given */
};

/* 0, or the exit code + 1: it was said why. On 0 the config owns the texts of the options. */
int daemon_read(struct daemon *d, void *options, struct config **config);
/* At SIGHUP: reads all anew into `options` and applies it to the target. What cannot be used changes nothing, and is logged. */
void daemon_reload(struct daemon *d, void *options, void *target);
/* --check-config has found nothing. */
void daemon_checked(const struct config *config);
/* Says what went wrong, if anything. */
void daemon_failed(const struct daemon *d, const struct error *err);

#endif
