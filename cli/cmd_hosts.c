/* SPDX-License-Identifier: Apache-2.0 */
/* plumb hosts: the agents that a collector knows. */
#include "cli.h"
#include "request.h"
#include "table.h"

static const struct column columns[] = {
	{ "HOST", "host", CELL_TEXT },
	{ "AGENT", "agent", CELL_HIDDEN },
	{ "PROGRAM", "program", CELL_TEXT },
	{ "CONNECTED", "connected", CELL_FLAG },
	{ "LAST SEEN", "last_seen_ns", CELL_TIME },
	{ "CLOCK", "offset_ns", CELL_OFFSET },
	{ "ROUND TRIP", "delay_ns", CELL_OFFSET },
	{ "LOST RECORDS", "lost_records", CELL_NUMBER },
	{ "ADDRESS", "address", CELL_TEXT },
};

static int show(const struct args *a, struct client *c, const msgpack_object *payload)
{
	return show_rows(a, columns, sizeof(columns) / sizeof(columns[0]), map_get(payload, "hosts"));
}

static int run(const struct args *a)
{
	const struct question q = { 0 };

	return request_ask_collector(a, "hosts", &q, show);
}

const struct command command_hosts = {
	.name = "hosts",
	.synopsis = "[--json]",
	.summary = "list the hosts whose agents a collector knows",
	.details =
		"      --json            one JSON object a host, with its agent's identity\n"
		"CLOCK is what the collector's clock is ahead of the host's; times that are shown have it added. LOST RECORDS are\n"
		"calls that the host's spool had to give up before the collector had them.\n"
		"Examples:\n"
		"  plumb --collector obs-1:7717 hosts\n",
	.groups = ARGS_JSON,
	.run = run,
};
