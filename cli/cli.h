/* SPDX-License-Identifier: Apache-2.0 */
/* plumb: a table of subcommands (cli.c), one file each. */
#ifndef PLUMB_CLI_CLI_H
#define PLUMB_CLI_CLI_H

#include "args.h"

enum cli_exit { CLI_OK = 0, CLI_REFUSED = 1, CLI_USAGE = 2 };

struct command {
	const char *name;
	const char *synopsis;    /* behind the name */
	const char *summary;     /* one line of plumb --help */
	const char *details;     /* options and examples of plumb help NAME */
	unsigned groups;         /* options it takes, enum arg_groups */
	int min_rest, max_rest;  /* arguments that are no options; -1: any number */
	const char *rest_name;   /* what they are: "PROBE" */
	int (*run)(const struct args *a);
};

extern const struct command command_doctor, command_ps, command_funcs, command_explain, command_trace, command_stat,
	command_list, command_rm, command_hosts, command_audit, command_query, command_verify;

/* Runs plumb with these arguments. Returns the exit code. */
int cli_run(int argc, char **argv);

#endif
