/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer of the resolver as the agent reads it.  Input: bytes that are laid over a sound answer, so that it
 * gets past the first length check: pairs of a position (2 bytes) and a byte; or, with 0xff first, the raw answer.
 * What is accepted must be decodable.
 * fuzz-sources: agent/resolved.c agent/layout.c agent/decode.c common/frame.c common/buf.c common/error.c common/text.c
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "decode.h"
#include "resolved.h"
#include "shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buf sound;

static void add(struct layout *l, uint8_t kind, uint32_t off, uint32_t size, uint32_t count)
{
	int i = layout_add(l, kind, "name", "type");

	l->node[i].off = off;
	l->node[i].size = size;
	l->node[i].count = l->node[i].total = count;
}

/* A followed pointer, structs in an array, a text, a bit-field. */
static void make_sound(void)
{
	struct resolved r = { .plan = { .flags = PLAN_CALL, .data_bytes = 64, .event_bytes = sizeof(struct event) + 64 } };
	struct layout *l = &r.layout;

	r.plan.entry[r.plan.n_entry++] = (struct plan_op){ .code = OP_READ, .size = 8 };
	r.plan.ret[r.plan.n_return++] = (struct plan_op){ .code = OP_IMM };
	add(l, SHAPE_POINTER, 0, 8, 0);
	add(l, SHAPE_STRUCT, 8, 32, 0);
	add(l, SHAPE_ARRAY, 8, 16, 2);
	add(l, SHAPE_STRUCT, 0, 8, 0);
	add(l, SHAPE_INT, 0, 4, 0);
	add(l, SHAPE_STRING, 4, 4, 4);
	l->node[5].in_place = 1;
	layout_close(l, 2);
	layout_close(l, 3);
	add(l, SHAPE_ENUM, 24, 4, 0);
	l->node[6].n_enums = 1;
	layout_add_enum(l, 1, "ONE");
	layout_close(l, 0);
	layout_close(l, 1);
	add(l, SHAPE_STRING, 40, 24, 0);
	add(l, SHAPE_FLOAT, 16, 16, 0);
	add(l, SHAPE_UINT, 8, 8, 0);
	l->node[9].base = BASE_RET;
	r.plan.flags |= PLAN_PATTERN;
	r.n_functions = 2;
	r.functions = calloc(2, sizeof(*r.functions));
	r.functions[1].name = 2;
	r.names_len = 4;
	r.names = malloc(4);
	memcpy(r.names, "f\0g", 4);
	resolved_write(&r, &sound);
	resolved_free(&r);
}

static void use(const struct resolved *r)
{
	struct event *ev = calloc(1, r->plan.event_bytes);
	struct buf out = { 0 };

	ev->flags = EVENT_RETURN;
	decode_event(&r->layout, ev, 0, &out);
	memset(ev->data, 0xff, r->plan.data_bytes);
	decode_event(&r->layout, ev, 0, &out);
	buf_clear(&out);
	layout_pack_fields(&r->layout, &out);
	layout_dump(&r->layout, &out);
	for (uint32_t i = 0; i <= r->n_functions; i++)
		buf_str(&out, resolved_function_name(r, i));
	buf_free(&out);
	free(ev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolved r;
	uint8_t *answer;
	size_t len;
	int n;

	if (!sound.len)
		make_sound();
	len = size && data[0] == 0xff ? size - 1 : sound.len;
	answer = malloc(len + 1);
	if (size && data[0] == 0xff) {
		memcpy(answer, data + 1, len);
	} else {
		memcpy(answer, sound.data, len);
		for (size_t i = 0; i + 3 <= size; i += 3)
			answer[(data[i] << 8 | data[i + 1]) % len] = data[i + 2];
	}
	n = resolved_read(answer, len, &r, NULL);
	if (n > 0) {
		if ((size_t)n > len)
			abort();
		use(&r);
		resolved_free(&r);
	}
	free(answer);
	return 0;
}
