/* SPDX-License-Identifier: Apache-2.0 */
/* plumb-collector token: what an administrator types. A running collector sees the change with the next login. */
#include "token_command.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "tokens.h"

static int usage(FILE *to)
{
	fputs("usage: plumb-collector token add NAME view|probe|admin [--data DIR]\n"
	      "       plumb-collector token rm NAME [--data DIR]\n"
	      "       plumb-collector token list [--data DIR]\n"
	      "Who may ask this collector. add prints the token, once: put it into ~/.config/plumb/token of the user, mode 600.\n"
	      "view: look at what is there; probe: trace and stat as well, and remove one's own; admin: remove others', read the audit.\n",
	      to);
	return to == stdout ? EXIT_DONE : EXIT_USAGE;
}

static int add(const char *path, char **arg, struct error *err)
{
	char token[TOKEN_TEXT_MAX];
	int rc = token_add(path, arg[0], role_parse(arg[1]), token, err);

	if (!rc)
		puts(token);
	return rc;
}

static int rm(const char *path, char **arg, struct error *err)
{
	return token_remove(path, arg[0], err);
}

static int list(const char *path, char **arg, struct error *err)
{
	struct buf out = { 0 };
	int rc = token_list(path, &out, err);

	if (!rc)
		fputs(buf_text(&out), stdout);
	buf_free(&out);
	return rc;
}

static const struct {
	const char *name;
	int n_args;
	int (*run)(const char *path, char **arg, struct error *err);
} commands[] = {
	{ "add", 2, add }, { "rm", 1, rm }, { "list", 0, list },
};

static int run(const char *data, int argc, char **argv)
{
	struct error err = { 0 };
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/tokens", data);
	for (size_t i = 0; argc > 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, argv[0]) != 0 || commands[i].n_args != argc - 1)
			continue;
		if (commands[i].run(path, argv + 1, &err) == 0)
			return EXIT_DONE;
		return command_failed(&err);
	}
	return usage(stderr);
}

int token_command(int argc, char **argv)
{
	const char *data;
	int rc = command_options(argc, argv, &data);

	return rc ? usage(rc == 'h' ? stdout : stderr) : run(data, argc - optind, argv + optind);
}
