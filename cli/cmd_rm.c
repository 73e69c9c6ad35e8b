/* SPDX-License-Identifier: Apache-2.0 */
/* plumb rm: removes a request. */
#include "cli.h"
#include "output.h"
#include "request.h"
#include "units.h"

static int show(const struct args *a, struct client *c, const msgpack_object *payload)
{
	return CLI_OK;
}

static int run(const struct args *a)
{
	struct buf request = { 0 };
	struct question q = { 0 };
	struct error err;

	if (parse_count(a->rest[0], &q.id, NULL) < 0) {
		message("'%s' is not the id of a request; plumb list shows them", a->rest[0]);
		return CLI_USAGE;
	}
	if (request_pack(&request, REQUEST_ID, "rm", &q, &err) < 0) {
		show_error(&err, NULL);
		return CLI_REFUSED;
	}
	return request_ask(a, PRIVATE_NEVER, &request, show);
}

const struct command command_rm = {
	.name = "rm",
	.synopsis = "ID",
	.summary = "remove probes that plumbd holds",
	.details =
		"ID is what plumb list and plumb trace --keep show. Who watches the request is told that it was removed.\n"
		"Examples:\n"
		"  plumb rm 7\n",
	.min_rest = 1,
	.max_rest = 1,
	.rest_name = "ID",
	.run = run,
};
