/* SPDX-License-Identifier: Apache-2.0 */
/* plumb funcs: the functions of a process. */
#include <stdlib.h>

#include "cli.h"
#include "request.h"
#include "table.h"

static const struct column columns[] = {
	{ "HOSTS", "hosts", CELL_TEXTS },
	{ "FUNCTION", "function", CELL_TEXT },
	{ "SIGNATURE", "signature", CELL_TEXT },
	{ "FILE", "file", CELL_TEXT },
	{ "LINE", "line", CELL_NUMBER },
	{ "MODULE", "module", CELL_TEXT },
};

static int show(const struct args *a, struct client *c, const msgpack_object *payload)
{
	char *source = object_text(map_get(payload, "source"), 1024), *builds = object_text(map_get(payload, "builds"), 1024);
	const msgpack_object *functions = map_get(payload, "functions");
	bool more = false;
	int code = show_merged(a, columns, sizeof(columns) / sizeof(columns[0]), payload, "functions");

	if (functions && functions->type == MSGPACK_OBJECT_ARRAY && functions->via.array.size == 0)
		message("no function matches");
	if (source && source[0])
		message("from %s", source);
	if (builds && builds[0])
		message("build %s", builds);
	if (object_bool(map_get(payload, "more"), &more) && more)
		message("there are more: narrow it down with a GLOB");
	free(source);
	free(builds);
	return code;
}

static int run(const struct args *a)
{
	struct question q = { .target = a, .glob = a->n_rest ? a->rest[0] : NULL, .module = a->module };
	struct buf request = { 0 };
	struct error err;

	if (request_pack(&request, REQUEST_ID, "funcs", &q, &err) < 0) {
		show_error(&err, NULL);
		return CLI_REFUSED;
	}
	return request_ask(a, PRIVATE_ROOT, &request, show);
}

const struct command command_funcs = {
	.name = "funcs",
	.synopsis = "TARGET [GLOB] [OPTION...]",
	.summary = "list the functions of a process, with signature and source line",
	.details =
		"Target, one of:\n"
		"  -p, --pid PID         the process\n"
		"  -s, --service NAME    a process of an executable, systemd unit or container\n"
		"  -x, --exe PATH        a process that maps this file\n"
		"      --build ID        one that runs the build whose id begins so\n"
		"      --host A,B        through a collector: on these hosts only\n"
		"Options:\n"
		"  -m, --module NAME     of a library that it has loaded, e.g. libssl.so.3\n"
		"      --json            one JSON object a function\n"
		"Examples:\n"
		"  plumb funcs -p 812\n"
		"  plumb funcs -s checkoutd 'parse_*'\n"
		"  plumb funcs -s nginx -m libssl.so.3 'SSL_*'\n",
	.groups = ARGS_TARGET | ARGS_JSON | ARGS_FUNCS,
	.max_rest = 1,
	.rest_name = "GLOB",
	.run = run,
};
