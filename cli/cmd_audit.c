/* SPDX-License-Identifier: Apache-2.0 */
/* plumb audit: who asked a collector for what, and how it ended. */
#include "cli.h"
#include "output.h"
#include "request.h"
#include "table.h"

static const struct column columns[] = {
	{ "TIME", "at_ns", CELL_TIME },
	{ "WHO", "who", CELL_TEXT },
	{ "ROLE", "role", CELL_TEXT },
	{ "FROM", "peer", CELL_TEXT },
	{ "ACTION", "action", CELL_TEXT },
	{ "DETAIL", "detail", CELL_TEXT },
	{ "REQUEST", "request", CELL_NUMBER },
	{ "OUTCOME", "outcome", CELL_TEXT },
	{ "ENDED", "ended_ns", CELL_TIME },
};

static int show(const struct args *a, struct client *c, const msgpack_object *payload)
{
	int code = show_rows(a, columns, sizeof(columns) / sizeof(columns[0]), map_get(payload, "entries"));
	bool more = false;

	if (object_bool(map_get(payload, "more"), &more) && more)
		message("there are older entries: these are the last ones; --since limits the time");
	return code;
}

static int run(const struct args *a)
{
	const struct question q = { .since_ns = a->since_ns };

	return request_ask_collector(a, "audit", &q, show);
}

const struct command command_audit = {
	.name = "audit",
	.synopsis = "[--since DURATION] [--json]",
	.summary = "show who asked a collector for what, and how it ended",
	.details =
		"      --since DURATION  what happened since 30m, 12h, 7d ago; else the last entries\n"
		"      --json            one JSON object an entry\n"
		"Refused logins and refused requests are entries too. It takes a token with the role admin.\n"
		"Examples:\n"
		"  plumb --collector obs-1:7717 audit --since 1d\n",
	.groups = ARGS_JSON | ARGS_SINCE,
	.run = run,
};
