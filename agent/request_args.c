/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of a trace or stat, as they come from a client: checked one by one, bounded, in one table. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_internal.h"

enum { NS_PER_MS = 1000000 };

static const struct numeric {
	const char *key;
	size_t offset;
	uint64_t min, max;
	const char *what;
} numerics[] = {
	{ "limit", offsetof(struct request_args, limit), 1, UINT64_MAX, "the limit" },
	{ "for_ns", offsetof(struct request_args, for_ns), NS_PER_MS, UINT64_MAX, "the time to run" },
	{ "sample", offsetof(struct request_args, sample), 1, UINT32_MAX, "the sampling rate" },
	{ "rate", offsetof(struct request_args, rate), 1, UINT32_MAX, "the rate" },
	{ "ttl_ns", offsetof(struct request_args, ttl_ns), NS_PER_MS, UINT64_MAX, "the time to live" },
	{ "tick_ns", offsetof(struct request_args, tick_ns), 50 * NS_PER_MS, UINT64_MAX, "the tick" },
};

static const struct capture_limit { const char *key; size_t offset; uint64_t max; } capture_limits[] = {
	{ "depth", offsetof(struct request_args, limits.depth), 4 },
	{ "bytes", offsetof(struct request_args, limits.bytes), 4096 },
	{ "string", offsetof(struct request_args, limits.string), 4096 },
};

static int bad_value(struct error *err, const char *what)
{
	return error_set(err, EINVAL, "%s is missing or out of range", what);
}

static int read_numbers(const msgpack_object *args, struct request_args *out, struct error *err)
{
	for (size_t i = 0; i < sizeof(numerics) / sizeof(numerics[0]); i++) {
		const msgpack_object *o = map_get(args, numerics[i].key);
		uint64_t v;

		if (!o)
			continue;
		if (!object_u64(o, &v) || v < numerics[i].min || v > numerics[i].max)
			return bad_value(err, numerics[i].what);
		*(uint64_t *)((char *)out + numerics[i].offset) = v;
	}
	for (size_t i = 0; i < sizeof(capture_limits) / sizeof(capture_limits[0]); i++) {
		const msgpack_object *o = map_get(args, capture_limits[i].key);
		uint64_t v;

		if (!o)
			continue;
		if (!object_u64(o, &v) || v < 1 || v > capture_limits[i].max)
			return error_set(err, EINVAL, "%s must lie between 1 and %lu", capture_limits[i].key,
					 (unsigned long)capture_limits[i].max);
		*(uint32_t *)((char *)out + capture_limits[i].offset) = (uint32_t)v;
	}
	return 0;
}

static int read_flags(const msgpack_object *args, struct request_args *out, struct error *err)
{
	const struct { const char *key; bool *to; } flags[] = {
		{ "errors", &out->errors_only }, { "keep", &out->keep }, { "unwind_ok", &out->unwind_ok },
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		const msgpack_object *o = map_get(args, flags[i].key);

		if (o && !object_bool(o, flags[i].to))
			return bad_value(err, flags[i].key);
	}
	return 0;
}

/* A list of probes' numbers. */
static int read_shown(const msgpack_object *o, struct request_args *out, struct error *err)
{
	if (!o)
		return 0;
	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size > out->n_probes)
		return bad_value(err, "show_errors");
	for (uint32_t i = 0; i < o->via.array.size; i++) {
		uint64_t probe;

		if (!object_u64(&o->via.array.ptr[i], &probe) || probe >= out->n_probes)
			return bad_value(err, "a probe in show_errors");
		out->show_errors |= 1ULL << probe;
	}
	return 0;
}

int request_target_read(const msgpack_object *o, struct target *t, struct error *err)
{
	static const struct { const char *key; enum target_kind kind; } kinds[] = {
		{ "name", TARGET_NAME }, { "path", TARGET_PATH },
	};
	char *build;
	uint64_t pid;

	if (!o || o->type != MSGPACK_OBJECT_MAP)
		return error_set(err, EINVAL, "a target is needed"), error_hint(err, "-p PID, -s NAME or -x PATH");
	build = object_text(map_get(o, "build"), sizeof(t->build) - 1);
	if (map_get(o, "build") && !build)
		return bad_value(err, "the build-id");
	snprintf(t->build, sizeof(t->build), "%s", build ? build : "");
	free(build);
	if (map_get(o, "pid")) {
		if (!object_u64(map_get(o, "pid"), &pid) || !pid || pid > INT32_MAX)
			return bad_value(err, "the pid");
		t->kind = TARGET_PID;
		t->pid = (pid_t)pid;
		return target_check(t, err);
	}
	for (size_t i = 0; i < 2; i++) {
		char *text = object_text(map_get(o, kinds[i].key), sizeof(t->text) - 1);

		if (!text)
			continue;
		t->kind = kinds[i].kind;
		strcpy(t->text, text);
		free(text);
		return target_check(t, err);
	}
	return bad_value(err, "the target");
}

void request_target_pack(const struct target *t, msgpack_packer *pk)
{
	msgpack_pack_map(pk, t->build[0] ? 2 : 1);
	if (t->build[0])
		pack_key_text(pk, "build", t->build);
	if (t->kind == TARGET_PID)
		pack_key_u64(pk, "pid", (uint64_t)t->pid);
	else
		pack_key_text(pk, t->kind == TARGET_NAME ? "name" : "path", t->text);
}

static int read_probes(const msgpack_object *o, struct request_args *out, struct error *err)
{
	if (!o || o->type != MSGPACK_OBJECT_ARRAY || !o->via.array.size)
		return error_set(err, EINVAL, "no probe was given");
	if (o->via.array.size > PROBES_MAX)
		return error_set(err, E2BIG, "a request takes at most %d probes", PROBES_MAX);
	for (uint32_t i = 0; i < o->via.array.size; i++) {
		out->probes[i] = object_text(&o->via.array.ptr[i], SPEC_TEXT_MAX);
		if (!out->probes[i])
			return bad_value(err, "a probe's text");
		out->n_probes++;
	}
	return 0;
}

static int read_budget(const struct agent *a, const msgpack_object *args, struct request_args *out, struct error *err)
{
	uint64_t ppm = a->opt.budget_ppm;
	const msgpack_object *o = map_get(args, "budget_ppm");

	if (o && (!object_u64(o, &ppm) || !ppm))
		return bad_value(err, "the budget");
	if (ppm > a->opt.max_budget_ppm) {
		error_set(err, EPERM, "this agent allows a budget of %.4g%% of one core at most", a->opt.max_budget_ppm / 1e4);
		return error_hint(err, "plumbd --max-budget");
	}
	out->budget_ppm = (uint32_t)ppm;
	return 0;
}

/* Syntax is checked here, before anything else is looked at. */
static int check_syntax(const struct request_args *in, struct error *err, int64_t *probe)
{
	struct expr *e = NULL;
	int rc = 0;

	for (uint32_t i = 0; !rc && i < in->n_probes; i++) {
		struct spec *s = NULL;

		*probe = i;
		rc = spec_parse(in->probes[i], &s, err);
		spec_free(s);
	}
	if (!rc && in->error_expr) {
		*probe = -1;
		rc = spec_parse_expr(in->error_expr, &e, err);
		expr_free(e);
	}
	return rc;
}

int request_args_read(const struct agent *a, const msgpack_object *args, struct request_args *out, struct error *err,
		      int64_t *probe)
{
	const msgpack_object *e;
	int rc;

	memset(out, 0, sizeof(*out));
	*probe = 0;
	if (args->type != MSGPACK_OBJECT_MAP)
		return bad_value(err, "the arguments");
	rc = read_probes(map_get(args, "probes"), out, err);
	e = map_get(args, "error");
	if (!rc && e && !(out->error_expr = object_text(e, SPEC_TEXT_MAX)))
		rc = bad_value(err, "the error expression");
	if (!rc)
		rc = check_syntax(out, err, probe);
	if (!rc)
		rc = request_target_read(map_get(args, "target"), &out->target, err);
	if (!rc)
		rc = read_numbers(args, out, err);
	if (!rc)
		rc = read_flags(args, out, err);
	if (!rc)
		rc = read_shown(map_get(args, "show_errors"), out, err);
	if (!rc)
		rc = read_budget(a, args, out, err);
	if (!out->ttl_ns)
		out->ttl_ns = a->opt.ttl_ns;
	if (!rc && out->ttl_ns > a->opt.max_ttl_ns)
		rc = error_set(err, EPERM, "this agent lets a probe live %lu minutes at most",
			       (unsigned long)(a->opt.max_ttl_ns / 60000000000ULL));
	if (!out->tick_ns)
		out->tick_ns = 1000000000ULL;
	return rc;
}

void request_args_free(struct request_args *args)
{
	for (uint32_t i = 0; i < args->n_probes; i++)
		free(args->probes[i]);
	free(args->error_expr);
	memset(args, 0, sizeof(*args));
}
