/* SPDX-License-Identifier: Apache-2.0 */
/* Frames as an agent sends them, for tests of the client. */
#ifndef PLUMB_TEST_WIRE_PACK_H
#define PLUMB_TEST_WIRE_PACK_H

#include <string.h>

#include "frame.h"
#include "plumb/event.h"
#include "shape.h"

static inline void pack_shape(msgpack_packer *pk, enum shape_kind kind, const char *type)
{
	msgpack_pack_array(pk, 3);
	msgpack_pack_int(pk, kind);
	pack_text(pk, type);
}

/* struct order { unsigned id; int qty; struct user { char *name; } user; } behind a pointer */
static inline void pack_order_shape(msgpack_packer *pk)
{
	pack_shape(pk, SHAPE_POINTER, "struct order *");
	pack_shape(pk, SHAPE_STRUCT, "struct order");
	msgpack_pack_array(pk, 3);
	msgpack_pack_array(pk, 2);
	pack_text(pk, "id");
	pack_shape(pk, SHAPE_UINT, "unsigned int");
	msgpack_pack_nil(pk);
	msgpack_pack_array(pk, 2);
	pack_text(pk, "qty");
	pack_shape(pk, SHAPE_INT, "int");
	msgpack_pack_nil(pk);
	msgpack_pack_array(pk, 2);
	pack_text(pk, "user");
	pack_shape(pk, SHAPE_STRUCT, "struct user");
	msgpack_pack_array(pk, 1);
	msgpack_pack_array(pk, 2);
	pack_text(pk, "name");
	pack_shape(pk, SHAPE_STRING, "char *");
	msgpack_pack_nil(pk);
}

enum probe_form { FORM_CALL, FORM_VOID, FORM_ENTRY, FORM_RETURNS };

static inline void pack_field(msgpack_packer *pk, const char *name, int role, enum shape_kind kind)
{
	msgpack_pack_array(pk, 3);
	pack_text(pk, name);
	msgpack_pack_int(pk, role);
	pack_shape(pk, kind, "int");
	msgpack_pack_nil(pk);
}

/* parse_order(o, n), its form deciding what is known of the return. */
static inline void pack_probe_frame(struct buf *out, unsigned id, enum probe_form form, bool condition)
{
	static const unsigned fields[] = { [FORM_CALL] = 3, [FORM_VOID] = 2, [FORM_ENTRY] = 2, [FORM_RETURNS] = 4 };
	struct frame f;

	frame_begin(&f, out, WIRE_PROBE, 3);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_map(&f.pk, 11);
	pack_key(&f.pk, "errno");
	form == FORM_CALL ? msgpack_pack_true(&f.pk) : msgpack_pack_false(&f.pk);
	pack_key_u64(&f.pk, "probe", id);
	pack_key_text(&f.pk, "spec", condition ? "parse_order if n > 1" : "parse_order");
	pack_key_text(&f.pk, "function", "parse_order");
	pack_key_text(&f.pk, "module", "checkoutd");
	pack_key_text(&f.pk, "build_id", "ab12");
	pack_key_text(&f.pk, "file", "order.c");
	pack_key_u64(&f.pk, "line", 12);
	pack_key(&f.pk, "call");
	form == FORM_ENTRY ? msgpack_pack_false(&f.pk) : msgpack_pack_true(&f.pk);
	pack_key(&f.pk, "condition");
	condition ? msgpack_pack_true(&f.pk) : msgpack_pack_false(&f.pk);
	pack_key(&f.pk, "fields");
	msgpack_pack_array(&f.pk, fields[form]);
	msgpack_pack_array(&f.pk, 3);
	pack_text(&f.pk, "o");
	msgpack_pack_int(&f.pk, 0);
	pack_order_shape(&f.pk);
	pack_field(&f.pk, "n", 0, SHAPE_INT);
	if (form == FORM_RETURNS)
		pack_field(&f.pk, "total", 1, SHAPE_INT);
	if (fields[form] > 2)
		pack_field(&f.pk, "$ret", 1, SHAPE_INT);
	frame_end(&f);
}

/* A pattern step_* of so many functions. */
static inline void pack_pattern_frame(struct buf *out, unsigned id, unsigned functions)
{
	struct frame f;

	frame_begin(&f, out, WIRE_PROBE, 3);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_map(&f.pk, 5);
	pack_key_u64(&f.pk, "probe", id);
	pack_key_text(&f.pk, "spec", "step_*");
	pack_key_text(&f.pk, "function", "step_*");
	pack_key_u64(&f.pk, "functions", functions);
	pack_key(&f.pk, "fields");
	msgpack_pack_array(&f.pk, 1);
	pack_field(&f.pk, "$function", 0, SHAPE_INT);
	frame_end(&f);
}

struct test_record {
	unsigned probe;
	int64_t delta_ns;
	unsigned pid, tid, flags;
	uint64_t duration_ns;
	int ret;
	enum probe_form form;
	const char *name;   /* of the user */
};

static inline void pack_record(struct buf *out, const struct test_record *r)
{
	static const unsigned values[] = { [FORM_CALL] = 3, [FORM_VOID] = 2, [FORM_ENTRY] = 2, [FORM_RETURNS] = 4 };
	msgpack_packer pk;

	pack_into(&pk, out);
	msgpack_pack_array(&pk, 6 + values[r->form]);
	msgpack_pack_uint32(&pk, r->probe);
	msgpack_pack_int64(&pk, r->delta_ns);
	msgpack_pack_uint32(&pk, r->pid);
	msgpack_pack_uint32(&pk, r->tid);
	msgpack_pack_uint32(&pk, r->flags);
	msgpack_pack_uint64(&pk, r->duration_ns);
	msgpack_pack_array(&pk, 2);
	msgpack_pack_uint64(&pk, 0x5566);
	msgpack_pack_array(&pk, 3);
	msgpack_pack_int(&pk, 42);
	msgpack_pack_int(&pk, 0);
	msgpack_pack_array(&pk, 1);
	msgpack_pack_array(&pk, 2);
	msgpack_pack_bin(&pk, strlen(r->name));
	msgpack_pack_bin_body(&pk, r->name, strlen(r->name));
	msgpack_pack_false(&pk);
	msgpack_pack_int(&pk, 3);
	if (r->form == FORM_RETURNS)
		msgpack_pack_int(&pk, 5);
	if (values[r->form] > 2)
		r->flags & EVENT_RETURN ? msgpack_pack_int(&pk, r->ret) : msgpack_pack_nil(&pk);
}

static inline void pack_chunk_frame(struct buf *out, uint64_t base_ns, unsigned count, const struct buf *records)
{
	struct frame f;

	frame_begin(&f, out, WIRE_CHUNK, 7);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, base_ns);
	msgpack_pack_uint32(&f.pk, count);
	msgpack_pack_int(&f.pk, WIRE_CODEC_NONE);
	msgpack_pack_bin(&f.pk, records->len);
	msgpack_pack_bin_body(&f.pk, buf_text(records), records->len);
	frame_end(&f);
}

struct test_count {
	const char *key;
	uint64_t n;
};

/* One row; hist: pairs of bucket and count, ended by a count of 0. */
static inline void pack_row(msgpack_packer *pk, unsigned probe, unsigned pid, const char *comm, const struct test_count *counts,
			    const uint64_t *hist)
{
	unsigned n = 0, buckets = 0;

	while (counts[n].key)
		n++;
	while (hist && hist[2 * buckets + 1])
		buckets++;
	msgpack_pack_array(pk, 4);
	msgpack_pack_uint32(pk, probe);
	msgpack_pack_uint32(pk, pid);
	pack_text(pk, comm);
	msgpack_pack_map(pk, n + (hist ? 1 : 0));
	for (unsigned i = 0; i < n; i++)
		pack_key_u64(pk, counts[i].key, counts[i].n);
	if (!hist)
		return;
	pack_key(pk, "hist");
	msgpack_pack_array(pk, 2 * buckets);
	for (unsigned i = 0; i < 2 * buckets; i++)
		msgpack_pack_uint64(pk, hist[i]);
}

/* Of a pattern's function. */
static inline void pack_function_row(msgpack_packer *pk, unsigned probe, unsigned pid, unsigned function, const struct test_count *counts)
{
	unsigned n = 0;

	while (counts[n].key)
		n++;
	msgpack_pack_array(pk, 4);
	msgpack_pack_uint32(pk, probe);
	msgpack_pack_uint32(pk, pid);
	msgpack_pack_uint32(pk, function);
	msgpack_pack_map(pk, n);
	for (unsigned i = 0; i < n; i++)
		pack_key_u64(pk, counts[i].key, counts[i].n);
}

static inline void pack_process_notice(struct buf *out, unsigned pid, const char *comm)
{
	struct frame f;

	frame_begin(&f, out, WIRE_NOTICE, 4);
	msgpack_pack_uint64(&f.pk, 1);
	pack_text(&f.pk, "process");
	msgpack_pack_map(&f.pk, 2);
	pack_key_u64(&f.pk, "pid", pid);
	pack_key_text(&f.pk, "comm", comm);
	frame_end(&f);
}

#endif
