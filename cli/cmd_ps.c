/* SPDX-License-Identifier: Apache-2.0 */
/* plumb ps: what can be probed. */
#include <unistd.h>

#include "cli.h"
#include "request.h"
#include "table.h"

static const struct column columns[] = {
	{ "HOST", "host", CELL_TEXT },
	{ "PID", "pid", CELL_NUMBER },
	{ "NAME", "name", CELL_TEXT },
	{ "EXE", "exe", CELL_HIDDEN },
	{ "UNIT", "unit", CELL_TEXT },
	{ "CONTAINER", "container", CELL_TEXT },
	{ "BUILD-ID", "build_id", CELL_TEXT },
	{ "LANGUAGE", "language", CELL_TEXT },
	{ "DEBUG INFO", "debug_info", CELL_TEXT },
	{ "UID", "uid", CELL_HIDDEN },
	{ "AGE", "age_ns", CELL_HIDDEN },
	{ "THREADS", "threads", CELL_HIDDEN },
};

static int show(const struct args *a, struct client *c, const msgpack_object *payload)
{
	return show_merged(a, columns, sizeof(columns) / sizeof(columns[0]), payload, "processes");
}

static int run(const struct args *a)
{
	struct buf request = { 0 };
	struct question q = { 0 };
	struct error err;

	if (request_pack(&request, REQUEST_ID, "ps", &q, &err) < 0) {
		show_error(&err, NULL);
		return CLI_REFUSED;
	}
	return request_ask(a, PRIVATE_ROOT, &request, show);
}

const struct command command_ps = {
	.name = "ps",
	.synopsis = "[--json]",
	.summary = "list the processes that can be probed",
	.details =
		"      --json            one JSON object a process, with the path of its executable and its uid\n"
		"DEBUG INFO says where types come from: the file itself, a separate file, or none; without any,\n"
		"arguments are $arg0..$arg5.\n"
		"Through a collector: those of all hosts.\n"
		"Examples:\n"
		"  plumb ps\n"
		"  plumb --collector obs-1:7717 ps\n"
		"  plumb ps --json | jq -r 'select(.language == \"C\").pid'\n",
	.groups = ARGS_JSON,
	.run = run,
};
