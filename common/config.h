/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon's options from a YAML file: a mapping whose keys are the long options of its command line.
 *
 *     listen: 0.0.0.0:7717
 *     tls-cert: /etc/plumb/collector.pem
 *     quiet: true
 *
 * The file becomes arguments in front of those that were typed, which therefore win, and both are read by one piece of code. A key
 * that is no option, a value that is no scalar, an alias: an error with its line.
 */
#ifndef PLUMB_CONFIG_H
#define PLUMB_CONFIG_H

#include <getopt.h>

#include "plumb/error.h"

enum { CONFIG_BYTES_MAX = 1 << 20 };

struct config;   /* owns the arguments */

/* Options of these names stay those of the command line: help, version, config, check-config, private. `default_path` is
 * read if it is there (NULL: none); --config FILE among argv names another one, which must be there. */
int config_read(const char *default_path, const struct option *options, int argc, char **argv, struct config **out, struct error *err);
/* All arguments, the program's name first, NULL-terminated; valid as long as the config. */
int config_argc(const struct config *c);
char **config_argv(const struct config *c);
/* The file that was read; "" if none. */
const char *config_path(const struct config *c);
void config_free(struct config *c);   /* takes NULL */

#endif
