/* SPDX-License-Identifier: Apache-2.0 */
/* plumb-collector agent: what an administrator types. A running collector finds the change when the agent comes again. */
#include "agent_command.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "store.h"

static int usage(FILE *to)
{
	fputs("usage: plumb-collector agent unbind AGENT [--data DIR]\n"
	      "An agent belongs to the subject of the certificate that it first came with; others are refused, and the log names both.\n"
	      "unbind lets go of it: it then belongs to the next certificate it comes with. AGENT: its 32 hex digits.\n",
	      to);
	return to == stdout ? EXIT_DONE : EXIT_USAGE;
}

/* Beside a running collector: both write for some milliseconds at a time. */
static int unbind(const char *data, const char *uid, struct error *err)
{
	struct store_options opt = { .path = NULL };
	struct store *s = NULL;
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/plumb.db", data);
	if (access(path, F_OK))
		return error_set(err, errno, "there is no store in %.200s: %s", data, strerror(errno));
	opt.path = path;
	rc = store_open(&opt, &s, err);
	if (!rc)
		rc = store_agent_unbind(s, uid, err);
	if (!rc)
		rc = store_commit(s, err);
	store_close(s);
	return rc;
}

static int run(const char *data, int argc, char **argv)
{
	struct error err = { 0 };

	if (argc != 2 || strcmp(argv[0], "unbind") != 0)
		return usage(stderr);
	if (unbind(data, argv[1], &err) == 0)
		return EXIT_DONE;
	return command_failed(&err);
}

int agent_command(int argc, char **argv)
{
	const char *data;
	int rc = command_options(argc, argv, &data);

	return rc ? usage(rc == 'h' ? stdout : stderr) : run(data, argc - optind, argv + optind);
}
