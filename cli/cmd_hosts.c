/* SPDX-License-Identifier: Apache-2.0 */
/* plumb hosts: the agents that a collector knows. */
#include <string.h>

#include "cli.h"
#include "request.h"
#include "output.h"
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

enum { CELL_HOST = 0, CELL_CONNECTED = 3 };   /* of a row */

/* The host of a row whose agent is connected; NULL: it is not. */
static const msgpack_object_str *connected_host(const msgpack_object *row)
{
	const msgpack_object *cell = row->type == MSGPACK_OBJECT_ARRAY && row->via.array.size > CELL_CONNECTED ? row->via.array.ptr : NULL;
	bool connected = false;

	if (!cell || cell[CELL_HOST].type != MSGPACK_OBJECT_STR || !object_bool(&cell[CELL_CONNECTED], &connected) || !connected)
		return NULL;
	return &cell[CELL_HOST].via.str;
}

static bool same(const msgpack_object_str *a, const msgpack_object_str *b)
{
	return a && b && a->size == b->size && memcmp(a->ptr, b->ptr, a->size) == 0;
}

/* An agent that lost its spool comes back as another one, and the old row stays; two that are connected at once are two machines. */
static void warn_of_namesakes(const msgpack_object_array *rows)
{
	for (uint32_t i = 0; i < rows->size; i++) {
		const msgpack_object_str *host = connected_host(&rows->ptr[i]);
		unsigned before = 0, n = 0;

		for (uint32_t k = 0; host && k < rows->size; k++) {
			bool match = same(host, connected_host(&rows->ptr[k]));

			n += match;
			before += match && k < i;
		}
		if (n > 1 && !before)
			message("%u agents are connected as host %.*s: nothing tells them apart in what is shown and stored; give each its own --host", n,
				(int)host->size, host->ptr);
	}
}

static int show(const struct args *a, struct client *c, const msgpack_object *payload)
{
	const msgpack_object *rows = map_get(payload, "hosts");
	int code = show_rows(a, columns, sizeof(columns) / sizeof(columns[0]), rows);

	if (code == CLI_OK)
		warn_of_namesakes(&rows->via.array);
	return code;
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
