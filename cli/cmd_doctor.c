/* SPDX-License-Identifier: Apache-2.0 */
/* plumb doctor: what this kernel and user can do. */
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "request.h"
#include "table.h"

static const struct column columns[] = {
	{ "HOSTS", "hosts", CELL_TEXTS },
	{ "CHECK", "check", CELL_TEXT },
	{ "STATE", "state", CELL_STATE },
	{ "DETAIL", "detail", CELL_TEXT },
	{ "WHAT TO DO", "advice", CELL_TEXT },
};

static int show(const struct args *a, struct client *c, const msgpack_object *payload)
{
	int code = show_merged(a, columns, sizeof(columns) / sizeof(columns[0]), payload, "checks");

	if (!a->json && !client_is_collector(c))
		message("checked by %s (%s)", client_program(c),
			client_is_private(c) ? "private: no plumbd listens" : args_socket(a));
	return code;
}

static int run(const struct args *a)
{
	struct buf request = { 0 };
	struct question q = { 0 };
	struct error err;

	if (request_pack(&request, REQUEST_ID, "doctor", &q, &err) < 0) {
		show_error(&err, NULL);
		return CLI_REFUSED;
	}
	return request_ask(a, PRIVATE_ANY, &request, show);
}

const struct command command_doctor = {
	.name = "doctor",
	.synopsis = "[--json]",
	.summary = "check what this kernel and user can do",
	.details =
		"Each line is ok, limited (it works, with the loss that DETAIL names) or missing, with what to do about it.\n"
		"      --json            one JSON object a check\n"
		"Examples:\n"
		"  plumb doctor\n"
		"  sudo plumb doctor\n",
	.groups = ARGS_JSON,
	.run = run,
};
