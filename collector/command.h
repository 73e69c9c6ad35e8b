/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of plumb-collector share (token, agent): they end with an exit code and print for people. */
#ifndef PLUMB_COMMAND_H
#define PLUMB_COMMAND_H

#include "daemon.h"

enum { EXIT_DONE = 0 };

/* Reads --data DIR, --help. 0: the words are from optind on; 'h', '?': usage is wanted, or needed. */
int command_options(int argc, char **argv, const char **data);
/* Says what went wrong -> EXIT_FAILED. */
int command_failed(const struct error *err);

#endif
