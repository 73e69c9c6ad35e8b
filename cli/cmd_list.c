/* SPDX-License-Identifier: Apache-2.0 */
/* plumb list: the requests that plumbd holds. */
#include <unistd.h>

#include "cli.h"
#include "output.h"
#include "request.h"
#include "table.h"

static const struct column columns[] = {
	{ "ID", "id", CELL_NUMBER },
	{ "VERB", "verb", CELL_TEXT },
	{ "TARGET", "target", CELL_TEXT },
	{ "PROBES", "probes", CELL_TEXTS },
	{ "UID", "uid", CELL_NUMBER },
	{ "AGE", "age_ns", CELL_AGE },
	{ "LEFT", "ttl_left_ns", CELL_AGE },
	{ "STATE", "state", CELL_TEXT },
	{ "CALLS", "calls", CELL_NUMBER },
	{ "SHIPPED", "shipped", CELL_NUMBER },
};

/* Through a collector: its requests, and what has become of them on each host. */
static const struct column merged[] = {
	{ "ID", "id", CELL_NUMBER },
	{ "VERB", "verb", CELL_TEXT },
	{ "TARGET", "target", CELL_TEXT },
	{ "PROBES", "probes", CELL_TEXTS },
	{ "WHO", "who", CELL_TEXT },
	{ "AGE", "age_ns", CELL_AGE },
	{ "LEFT", "ttl_left_ns", CELL_AGE },
	{ "STATE", "state", CELL_TEXT },
	{ "CALLS", "calls", CELL_NUMBER },
	{ "SHIPPED", "shipped", CELL_NUMBER },
	{ "HOSTS", "hosts", CELL_TEXTS },
};

static int show(const struct args *a, struct client *c, const msgpack_object *payload)
{
	const msgpack_object *rows = map_get(payload, "requests");

	if (!a->json && rows && rows->type == MSGPACK_OBJECT_ARRAY && rows->via.array.size == 0) {
		message("nothing is probed at present");
		return CLI_OK;
	}
	return client_is_collector(c) ? show_rows(a, merged, sizeof(merged) / sizeof(merged[0]), rows) :
					show_rows(a, columns, sizeof(columns) / sizeof(columns[0]), rows);
}

static int run(const struct args *a)
{
	struct buf request = { 0 };
	struct question q = { 0 };
	struct error err;

	if (request_pack(&request, REQUEST_ID, "list", &q, &err) < 0) {
		show_error(&err, NULL);
		return CLI_REFUSED;
	}
	return request_ask(a, PRIVATE_NEVER, &request, show);
}

const struct command command_list = {
	.name = "list",
	.synopsis = "[--json]",
	.summary = "list the probes that plumbd holds now",
	.details =
		"      --json            one JSON object a request\n"
		"Members of the group plumb see their own requests, root sees all. LEFT is what remains of the time to live.\n"
		"Through a collector: the requests of all who use it, and what has become of each on every host.\n"
		"Examples:\n"
		"  plumb list\n"
		"  plumb --collector obs-1:7717 list\n",
	.groups = ARGS_JSON,
	.run = run,
};
