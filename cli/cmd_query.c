/* SPDX-License-Identifier: Apache-2.0 */
/* plumb query: what a collector has stored. The collector answers in JSON; here it becomes a table, or CSV. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "output.h"
#include "queryview.h"
#include "request.h"

enum { NS_PER_S = 1000000000 };

/* What is told apart unless one says otherwise. */
static const char *by_of(const struct args *a)
{
	return a->query.by ? a->query.by : "function,build";
}

static int pack(struct buf *out, const struct args *a, const char *what, struct error *err)
{
	const struct { const char *key, *value; } text[] = {
		{ "what", what }, { "service", a->target_text }, { "function", a->verify.function }, { "build", a->build },
		{ "host", a->query.host }, { "by", by_of(a) },
	};
	const struct { const char *key; uint64_t value; } number[] = {
		{ "request", a->query.request }, { "since_ns", a->since_ns }, { "step_s", a->query.step_ns / NS_PER_S }, { "limit", a->limit },
	};
	unsigned keys = 1;
	struct frame f;

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		keys += text[i].value != NULL;
	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++)
		keys += number[i].value != 0;
	frame_begin(&f, out, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, REQUEST_ID);
	pack_text(&f.pk, "query");
	msgpack_pack_map(&f.pk, keys);
	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (text[i].value)
			pack_key_text(&f.pk, text[i].key, text[i].value);
	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++)
		if (number[i].value)
			pack_key_u64(&f.pk, number[i].key, number[i].value);
	pack_key(&f.pk, "errors");
	a->errors ? msgpack_pack_true(&f.pk) : msgpack_pack_false(&f.pk);
	return frame_end(&f) ? error_set(err, EMSGSIZE, "the question is too long") : 0;
}

static const char *what_of(const struct args *a)
{
	return a->n_rest ? a->rest[0] : "series";
}

static int show(const struct args *a, struct client *c, const msgpack_object *payload)
{
	char *json = object_text(map_get(payload, "json"), WIRE_FRAME_MAX);
	enum query_format format = a->json ? QUERY_JSON : a->query.csv ? QUERY_CSV : QUERY_TABLE;
	struct error err = { 0 };
	struct output o;
	int rc;

	output_init(&o, STDOUT_FILENO, a->color);
	rc = json ? query_show(what_of(a), json, format, &o, &err) : error_set(&err, EPROTO, "the collector sent no answer");
	output_flush(&o);
	if (rc)
		show_error(&err, NULL);
	rc = rc || o.failed ? CLI_REFUSED : CLI_OK;
	output_free(&o);
	free(json);
	return rc;
}

static int run(const struct args *a)
{
	struct buf request = { 0 };
	struct error err = { 0 };

	if (!args_collector(a)) {
		error_set(&err, EINVAL, "query asks a collector"), error_hint(&err, "say which: --collector HOST:PORT, or PLUMB_COLLECTOR");
	} else if (!query_known(what_of(a))) {
		error_set(&err, EINVAL, "there is no question '%s'", what_of(a)), error_hint(&err, "plumb help query lists them");
	} else if (a->target != TARGET_NONE && a->target != TARGET_NAME) {
		error_set(&err, EINVAL, "what is stored is asked for by service: -s NAME");
	} else if (a->json && a->query.csv) {
		error_set(&err, EINVAL, "either --json or --csv");
	}
	if (err.code || pack(&request, a, what_of(a), &err)) {
		show_error(&err, NULL);
		return CLI_USAGE;
	}
	return request_ask(a, PRIVATE_NEVER, &request, show);
}

const struct command command_query = {
	.name = "query",
	.synopsis = "[WHAT] [-s SERVICE] [OPTION...]",
	.summary = "ask a collector for what it has stored",
	.details =
		"WHAT is one of:\n"
		"  series      calls, errors and durations, exact (the default)\n"
		"  top         the commonest values of each argument, over the recorded calls\n"
		"  calls       the newest recorded calls\n"
		"  services, hosts, requests, probes, verdicts\n"
		"Options:\n"
		"  -s, --service NAME    of one service\n"
		"      --function F      of one function\n"
		"      --build ID        of builds whose build-id begins so\n"
		"      --host NAME       of one host\n"
		"      --request N       of one request\n"
		"      --since DURATION  how far back (1h)\n"
		"      --step DURATION   series: a row for each step of time, 1s or more\n"
		"      --by LIST         series: what is told apart, of function, build and host (function,build)\n"
		"      --errors          calls, top: failing calls only\n"
		"      --limit N         rows at most; top: values of each argument at most\n"
		"      --json, --csv     for programs\n"
		"Examples:\n"
		"  plumb --collector obs-1:7717 query -s orderd --since 1d\n"
		"  plumb --collector obs-1:7717 query -s orderd --function checkout --step 1m --by build,host\n"
		"  plumb --collector obs-1:7717 query top -s orderd --errors\n",
	.groups = ARGS_TARGET | ARGS_JSON | ARGS_SINCE | ARGS_QUERY,
	.max_rest = 1,
	.rest_name = "WHAT",
	.run = run,
};
