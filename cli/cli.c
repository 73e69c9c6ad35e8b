/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "plumb/wire.h"
#include "wrap.h"

static const struct command *const commands[] = {
	&command_doctor, &command_ps, &command_funcs, &command_explain, &command_trace, &command_stat, &command_list, &command_rm,
	&command_hosts, &command_audit, &command_query, &command_verify,
};
enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

/* ---- help ---- */

static int print(struct buf *text)
{
	struct output o;

	output_init(&o, STDOUT_FILENO, COLOR_NEVER);
	text_wrap(&o.text, buf_text(text), output_columns(&o));
	output_flush(&o);
	output_free(&o);
	buf_free(text);
	return o.failed ? CLI_REFUSED : CLI_OK;
}

static int help(void)
{
	struct buf out = { 0 };

	buf_str(&out, "plumb shows what the functions of a running program do: arguments, results, durations, errors.\n\n"
		      "usage: plumb [--socket PATH | --collector HOST:PORT] [--color=auto|always|never] COMMAND ...\n\n");
	for (int i = 0; i < N_COMMANDS; i++)
		buf_printf(&out, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
	buf_str(&out, "\nWith every command:\n"
		      "  --socket PATH          the agent's socket (PLUMB_SOCKET; " PLUMB_SOCKET_PATH ")\n"
		      "  --color=WHEN           auto: on a terminal, unless NO_COLOR is set; always, never\n"
		      "  -h, --help             its options and examples; -V, --version: plumb's version\n"
		      "Across hosts, with every command:\n"
		      "  --collector HOST:PORT  ask a collector, which reaches all its hosts (PLUMB_COLLECTOR)\n"
		      "  --token-file FILE      who asks (PLUMB_TOKEN_FILE; ~/.config/plumb/token)\n"
		      "  --tls-ca FILE          whose signature the collector's certificate has (PLUMB_TLS_CA)\n"
		      "  --tls-cert, --tls-key  a certificate of one's own, where the collector wants one\n"
		      "  --insecure             clear text beyond this machine\n"
		      "\nExit codes: 0; 1 refused, or the target or the agent is gone; 2 the command line\n"
		      "is wrong. plumb verify has its own: plumb help verify.\n"
		      "A first look: plumb ps, then plumb funcs -p PID, then plumb trace -p PID FUNCTION.\n");
	return print(&out);
}

static int version(void)
{
	struct buf out = { 0 };

	buf_str(&out, "plumb " PLUMB_VERSION "\n");
	return print(&out);
}

static int help_command(const struct command *c)
{
	struct buf out = { 0 };

	buf_printf(&out, "usage: plumb %s %s\n\nplumb %s: %s\n\n%sOptions of every command, --collector among them: plumb --help\n", c->name, c->synopsis, c->name,
		   c->summary, c->details);
	return print(&out);
}

/* ---- dispatch ---- */

static int usage(const struct error *err, const struct command *c)
{
	show_error(err, NULL);
	if (c)
		message("usage: plumb %s %s", c->name, c->synopsis);
	else
		message("usage: plumb COMMAND ...; plumb --help lists the commands");
	return CLI_USAGE;
}

static const struct command *find(const char *name, struct error *err)
{
	struct nearest n;

	nearest_init(&n, name);
	for (int i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
		nearest_offer(&n, commands[i]->name);
	}
	error_set(err, EINVAL, "there is no command '%s'", name);
	nearest_hint(&n, err);
	return NULL;
}

static int check_rest(const struct command *c, const struct args *a, struct error *err)
{
	if ((c->groups & ARGS_TARGET) && !(c->groups & (ARGS_VERIFY | ARGS_QUERY)) && a->target == TARGET_NONE) {
		error_set(err, EINVAL, "no target is given");
		return error_hint(err, "one of -p PID, -s NAME, -x PATH; plumb ps lists the processes");
	}
	if (a->query.host && !(c->groups & ARGS_QUERY) && !args_collector(a)) {
		error_set(err, EINVAL, "--host is for a collector: an agent knows its own host only");
		return error_hint(err, "plumb --collector HOST:PORT %s ...", c->name);
	}
	if (a->n_rest < c->min_rest)
		return error_set(err, EINVAL, "no %s is given", c->rest_name);
	if (c->max_rest >= 0 && a->n_rest > c->max_rest)
		return error_set(err, EINVAL, "'%s' is one argument too many", a->rest[c->max_rest]);
	return 0;
}

static int run_command(const struct command *c, struct args *a, int argc, char **argv)
{
	struct error err = { 0 };

	if (args_parse(a, ARGS_GLOBAL | c->groups, false, argc, argv, &err) < 0)
		return usage(&err, c);
	if (a->help)
		return help_command(c);
	if (check_rest(c, a, &err) < 0)
		return usage(&err, c);
	return c->run(a);
}

static int run_help(int argc, char **argv)
{
	struct error err = { 0 };
	const struct command *c;

	if (argc < 2)
		return help();
	c = find(argv[1], &err);
	return c ? help_command(c) : usage(&err, NULL);
}

/* Else the first socket takes the place of a closed standard stream, and what is printed goes to the agent. */
static int fill_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int cli_run(int argc, char **argv)
{
	const struct command *c;
	struct error err = { 0 };
	struct args a;
	char **rest;
	int n;

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	if (fill_standard_streams() < 0)
		return CLI_REFUSED;
	args_init(&a);
	if (args_parse(&a, ARGS_GLOBAL | ARGS_VERSION, true, argc, argv, &err) < 0)
		return usage(&err, NULL);
	if (a.version)
		return version();
	if (a.help)
		return help();
	if (a.n_rest == 0) {
		error_set(&err, EINVAL, "no command is given");
		return usage(&err, NULL);
	}
	rest = a.rest;
	n = a.n_rest;
	if (strcmp(rest[0], "help") == 0)
		return run_help(n, rest);
	c = find(rest[0], &err);
	return c ? run_command(c, &a, n, rest) : usage(&err, NULL);
}
