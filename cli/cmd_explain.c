/* SPDX-License-Identifier: Apache-2.0 */
/* plumb explain: what a probe would do, stage by stage. */
#include <unistd.h>

#include "cli.h"
#include "output.h"
#include "request.h"
#include "table.h"
#include "text.h"
#include "wrap.h"

/* The agent's text, line by line: it quotes names out of binaries. */
static void put_lines(const char *text, size_t len, struct buf *out)
{
	for (size_t at = 0; at < len;) {
		size_t n = 0;

		while (at + n < len && text[at + n] != '\n')
			n++;
		text_escape(out, text + at, n, 0);
		buf_char(out, '\n');
		at += n + 1;
	}
}

static int show(const struct args *a, struct client *c, const msgpack_object *payload)
{
	const msgpack_object *text = map_get(payload, "text");
	struct buf lines = { 0 };
	struct output o;

	if (!text || text->type != MSGPACK_OBJECT_STR) {
		message("the agent sent no explanation");
		return CLI_REFUSED;
	}
	output_init(&o, STDOUT_FILENO, a->color);
	put_lines(text->via.str.ptr, text->via.str.size, &lines);
	text_wrap(&o.text, buf_text(&lines), output_columns(&o));
	buf_free(&lines);
	output_flush(&o);
	output_free(&o);
	show_failed(payload);
	return o.failed ? CLI_REFUSED : CLI_OK;
}

static int run(const struct args *a)
{
	struct buf request = { 0 };
	struct error err;

	if (request_pack_probes(&request, "explain", a, &err) < 0) {
		show_error(&err, NULL);
		return CLI_REFUSED;
	}
	return request_ask(a, PRIVATE_ROOT, &request, show);
}

const struct command command_explain = {
	.name = "explain",
	.synopsis = "TARGET PROBE [OPTION...]",
	.summary = "show what a probe would do and cost, without attaching it",
	.details =
		"Target, one of:\n"
		"  -p, --pid PID         the process\n"
		"  -s, --service NAME    a process of an executable, systemd unit or container\n"
		"  -x, --exe PATH        a process that maps this file\n"
		"      --build ID        one that runs the build whose id begins so\n"
		"      --host A,B        through a collector: on these hosts only\n"
		"Options:\n"
		"      --error EXPR      what a failing call is\n"
		"      --errors          as if only failing calls were shown\n"
		"      --allow-unwind    as if no exception passed through the function (C++, Rust)\n"
		"      --depth N         pointers to structs that are followed (1, at most 4)\n"
		"      --bytes N         of each struct or array that are captured (256, at most 4096)\n"
		"      --string N        bytes of each text that are captured (64, at most 4096)\n"
		"It shows the places that the probe means, the breakpoint's instruction, what a hit costs and why, and what is\n"
		"captured; what cannot be read is named with the reason. Then how it is done: the probe as it was understood,\n"
		"and the plan that the kernel runs. Where the target runs several builds, the first line says which one it is.\n"
		"Examples:\n"
		"  plumb explain -s checkoutd 'parse_order(o->id) if $ret < 0'\n",
	.groups = ARGS_TARGET | ARGS_EXPLAIN,
	.min_rest = 1,
	.max_rest = 1,
	.rest_name = "PROBE",
	.run = run,
};
