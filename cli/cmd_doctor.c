/* SPDX-License-Identifier: Apache-2.0 */
/* plumb doctor: what this kernel and user can do. */
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "request.h"
#include "table.h"
#include "text.h"
#include "wrap.h"

static const struct column columns[] = {
	{ "HOSTS", "hosts", CELL_TEXTS },
	{ "CHECK", "check", CELL_TEXT },
	{ "STATE", "state", CELL_STATE },
	{ "DETAIL", "detail", CELL_TEXT },
	{ "WHAT TO DO", "advice", CELL_TEXT },
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]), CELL_STATE_AT = 2 /* of columns */ };

/* "CHECK is limited: DETAIL", and what to do: whole sentences, which a table would cut. */
static void put_advice(const msgpack_object *cell, struct buf *out)
{
	struct buf text[3] = { 0 };

	for (int i = 0; i < 3; i++) {
		const msgpack_object *o = &cell[i < 2 ? i : i + 1];   /* check, state, advice */

		if (o->type == MSGPACK_OBJECT_STR)
			text_escape(&text[i], o->via.str.ptr, o->via.str.size, 0);
	}
	buf_printf(out, "\n%s is %s: ", buf_text(&text[0]), buf_text(&text[1]));
	if (cell[2].type == MSGPACK_OBJECT_STR)
		text_escape(out, cell[2].via.str.ptr, cell[2].via.str.size, 0);
	buf_printf(out, text[2].len ? "\n  %s\n" : "\n", buf_text(&text[2]));
	for (int i = 0; i < 3; i++)
		buf_free(&text[i]);
}

static void show_advice(const struct args *a, const msgpack_object *rows)
{
	unsigned first = args_collector(a) ? 1 : 0;   /* before it the hosts */
	struct buf text = { 0 };
	struct output o;

	output_init(&o, STDOUT_FILENO, a->color);
	for (uint32_t i = 0; i < rows->via.array.size; i++) {
		const msgpack_object *row = &rows->via.array.ptr[i];

		if (row->type == MSGPACK_OBJECT_ARRAY && row->via.array.size >= first + COLUMNS - 1 &&
		    !object_is(&row->via.array.ptr[first + CELL_STATE_AT - 1], "ok"))
			put_advice(&row->via.array.ptr[first], &text);
	}
	text_wrap(&o.text, buf_text(&text), output_columns(&o));
	output_flush(&o);
	output_free(&o);
	buf_free(&text);
}

static int show(const struct args *a, struct client *c, const msgpack_object *payload)
{
	bool apart = !a->json && isatty(STDOUT_FILENO);
	int code = show_merged(a, columns, COLUMNS - apart, payload, "checks");

	if (apart && code == CLI_OK)
		show_advice(a, map_get(payload, "checks"));
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
