/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of a subcommand: which options it takes is one mask, what they mean is one table (args.c). */
#ifndef PLUMB_CLI_ARGS_H
#define PLUMB_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plumb/error.h"
#include "tls.h"

enum arg_groups {
	ARGS_GLOBAL = 1,     /* --socket --collector ... --color --help; main's, and every subcommand's */
	ARGS_TARGET = 2,     /* -p -s -x --build --host */
	ARGS_JSON = 4,       /* --json */
	ARGS_REQUEST = 8,    /* --error --for --keep --ttl --budget --allow-unwind: what trace and stat share */
	ARGS_TRACE = 16,     /* --errors --limit --sample --rate --msgpack --depth --bytes --string */
	ARGS_STAT = 32,      /* --tick --by */
	ARGS_FUNCS = 64,     /* --module */
	ARGS_EXPLAIN = 128,  /* --error --errors --depth --bytes --string */
	ARGS_VERSION = 256,  /* --version; main's */
	ARGS_SINCE = 512,    /* --since */
	ARGS_VERIFY = 1024,  /* what only verify takes */
	ARGS_QUERY = 2048,   /* --function --host --request --step --by --errors --limit --csv */
};

enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };
enum target_kind { TARGET_NONE, TARGET_PID, TARGET_NAME, TARGET_PATH };

enum { ARGS_GUARDS = 16 };

/* Options of verify, as they were given; NULL: not. */
struct verify_args {
	const char *patch, *strip, *baseline, *candidate, *arm_by, *function, *trigger, *expect, *lines, *min_triggers, *alpha, *together,
		*report, *record, *replay, *sign_key, *verify_key, *title;
	const char *guard[ARGS_GUARDS];
	int n_guards;
	bool aa, by_time;
};

/* Borrows all its texts from argv and the environment. A quantity of 0 was not given. */
struct args {
	const char *socket;
	const char *collector, *token_file;
	struct tls_files tls;
	bool insecure;
	bool socket_given, collector_given;   /* on the command line, which outranks the environment */
	enum color_mode color;
	bool help, version;
	enum target_kind target;
	uint64_t pid;
	const char *target_text;
	const char *build;   /* beginning of a build-id; NULL: any */
	const char *error, *module;
	bool errors, json, msgpack, keep, allow_unwind, by_host;
	uint64_t limit, for_ns, sample, rate, ttl_ns, budget_ppm, tick_ns, depth, bytes, string, since_ns;
	struct verify_args verify;
	struct query_args { const char *host, *by; uint64_t request, step_ns; bool csv; } query;
	char **rest;         /* what is left: probes, a glob, an id */
	int n_rest;
};

/* Defaults, and what the environment says (PLUMB_SOCKET, PLUMB_COLLECTOR, PLUMB_TOKEN_FILE, PLUMB_TLS_CA, ..._CERT, ..._KEY). */
void args_init(struct args *a);
/* Parses argv[1..]. With `stop_at_word` the first word that is no option ends it (main: the subcommand), else options may
 * stand anywhere. -EINVAL: err says what is wrong. */
int args_parse(struct args *a, unsigned groups, bool stop_at_word, int argc, char **argv, struct error *err);
/* The path of the socket. */
const char *args_socket(const struct args *a);
/* HOST:PORT of the collector to ask; NULL: the agent of this host. */
const char *args_collector(const struct args *a);

#endif
