/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"
#include "text.h"

static int bad(struct error *err, const char *what)
{
	return error_set(err, EINVAL, "%s is missing or out of range", what);
}

/* ---- hosts ---- */

int host_list_read(const msgpack_object *target, struct host_list *out, struct error *err)
{
	const msgpack_object *list = map_get(target, "hosts");

	if (!list)
		return 0;
	if (list->type != MSGPACK_OBJECT_ARRAY || !list->via.array.size || list->via.array.size > NAMED_HOSTS_MAX)
		return error_set(err, EINVAL, "a request names 1 to %d hosts, or none", NAMED_HOSTS_MAX);
	out->name = calloc(list->via.array.size, sizeof(*out->name));
	if (!out->name)
		return error_set(err, ENOMEM, "out of memory");
	for (; out->n < list->via.array.size; out->n++) {
		char *name = object_text(&list->via.array.ptr[out->n], HOST_TEXT_MAX);

		if (!name || !name[0]) {
			free(name);
			return bad(err, "a host's name");
		}
		out->name[out->n] = name;
	}
	return 0;
}

bool host_list_has(const struct host_list *l, const char *host)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (strcmp(l->name[i], host) == 0)
			return true;
	return l->n == 0;
}

void host_list_free(struct host_list *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		free(l->name[i]);
	free(l->name);
	memset(l, 0, sizeof(*l));
}

/* ---- what a request says ---- */

static void describe_hosts(const struct host_list *l, struct buf *out)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const char *name = l->name[i] ? l->name[i] : "";

		buf_str(out, i ? "," : " --host ");
		text_safe(out, name);
	}
}

/* A pid means another process on each host. */
static int read_target(const msgpack_object *o, struct request_args *out, struct error *err)
{
	char *name = object_text(map_get(o, "name"), 255), *path = name ? NULL : object_text(map_get(o, "path"), PATH_MAX - 1);
	const char *text = name ? name : path;
	char *build = object_text(map_get(o, "build"), 128);
	struct buf target = { 0 };

	if (!text || !text[0]) {
		free(name);
		free(path);
		free(build);
		if (!map_get(o, "pid"))
			return bad(err, "the target");
		error_set(err, EINVAL, "a process number means another process on each host");
		error_hint(err, "through a collector: -s NAME or -x PATH");
		return -EINVAL;
	}
	buf_str(&target, name ? "-s " : "-x ");
	text_safe(&target, text);
	if (build) {
		buf_str(&target, " --build ");
		text_safe(&target, build);
	}
	free(build);
	describe_hosts(&out->hosts, &target);
	out->service = strdup(name ? name : strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
	out->target = target.data;
	free(name);
	free(path);
	return target.failed || !out->service ? error_set(err, ENOMEM, "out of memory") : 0;
}

static int read_probes(const msgpack_object *o, struct request_args *out, struct error *err)
{
	struct buf json = { 0 }, detail = { 0 };

	if (!o || o->type != MSGPACK_OBJECT_ARRAY || !o->via.array.size)
		return error_set(err, EINVAL, "no probe was given");
	if (o->via.array.size > PROBES_MAX)
		return error_set(err, E2BIG, "a request takes at most %d probes", PROBES_MAX);
	buf_str(&detail, out->target);
	for (uint32_t i = 0; i < o->via.array.size; i++) {
		char *text = object_text(&o->via.array.ptr[i], PROBE_TEXT_MAX);

		if (!text) {
			buf_free(&json);
			buf_free(&detail);
			return bad(err, "a probe's text");
		}
		buf_char(&json, i ? ',' : '[');
		text_json_str(&json, text);
		buf_str(&detail, " '");
		text_safe(&detail, text);
		buf_char(&detail, '\'');
		free(text);
	}
	buf_char(&json, ']');
	out->probes_json = json.data;
	out->detail = detail.data;
	return json.failed || detail.failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

static int read_numbers(const msgpack_object *args, struct request_args *out, struct error *err)
{
	const struct { const char *key; uint64_t *to, max; } numbers[] = {
		{ "limit", &out->limit, UINT64_MAX }, { "for_ns", &out->for_ns, TTL_MAX_NS }, { "ttl_ns", &out->ttl_ns, TTL_MAX_NS },
	};
	const msgpack_object *keep = map_get(args, "keep");

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const msgpack_object *o = map_get(args, numbers[i].key);

		if (o && (!object_u64(o, numbers[i].to) || !*numbers[i].to || *numbers[i].to > numbers[i].max))
			return bad(err, numbers[i].key);
	}
	if (keep && !object_bool(keep, &out->keep))
		return bad(err, "keep");
	if (!out->ttl_ns)
		out->ttl_ns = TTL_DEFAULT_NS;
	return 0;
}

int control_args_read(const msgpack_object *args, struct request_args *out, struct error *err)
{
	int rc;

	memset(out, 0, sizeof(*out));
	if (args->type != MSGPACK_OBJECT_MAP)
		return bad(err, "the arguments");
	rc = host_list_read(map_get(args, "target"), &out->hosts, err);
	if (!rc)
		rc = read_target(map_get(args, "target"), out, err);
	if (!rc)
		rc = read_probes(map_get(args, "probes"), out, err);
	if (!rc)
		rc = read_numbers(args, out, err);
	return rc;
}

void control_args_free(struct request_args *a)
{
	host_list_free(&a->hosts);
	free(a->target);
	free(a->service);
	free(a->probes_json);
	free(a->detail);
	memset(a, 0, sizeof(*a));
}

/* ---- for an agent ---- */

static bool is_time(const msgpack_object *key)
{
	return object_is(key, "ttl_ns") || object_is(key, "for_ns");
}

static void repack(const msgpack_object_map *map, uint64_t ttl_left_ns, uint64_t for_left_ns, struct buf *out)
{
	uint32_t n = (ttl_left_ns != 0) + (for_left_ns != 0);
	msgpack_packer pk;

	for (uint32_t i = 0; i < map->size; i++)
		n += !is_time(&map->ptr[i].key);
	pack_into(&pk, out);
	msgpack_pack_map(&pk, n);
	if (ttl_left_ns)
		pack_key_u64(&pk, "ttl_ns", ttl_left_ns);
	if (for_left_ns)
		pack_key_u64(&pk, "for_ns", for_left_ns);
	for (uint32_t i = 0; i < map->size; i++) {
		if (is_time(&map->ptr[i].key))
			continue;
		msgpack_pack_object(&pk, map->ptr[i].key);
		msgpack_pack_object(&pk, map->ptr[i].val);
	}
}

void control_args_pack(const void *args, size_t len, uint64_t ttl_left_ns, uint64_t for_left_ns, struct buf *out)
{
	msgpack_zone zone;
	msgpack_object o;

	if (!msgpack_zone_init(&zone, 4096)) {
		out->failed = true;
		return;
	}
	if (pack_take(args, len, &zone, &o) > 0 && o.type == MSGPACK_OBJECT_MAP)
		repack(&o.via.map, ttl_left_ns, for_left_ns, out);
	else
		out->failed = true;
	msgpack_zone_destroy(&zone);
}
