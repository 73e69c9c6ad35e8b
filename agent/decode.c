/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"

#include <msgpack.h>
#include <string.h>

#include "frame.h"
#include "shape.h"

struct decoder {
	const struct layout *l;
	const struct event *ev;
	msgpack_packer pk;
	uint32_t unread;
};

static void decode_node(struct decoder *d, uint32_t i, const uint8_t *element);

static const uint8_t *node_bytes(const struct decoder *d, const struct layout_node *n, const uint8_t *element)
{
	const uint8_t *base = element ? element : n->base == BASE_RET ? (const uint8_t *)d->ev->ret : d->ev->data;

	return base + n->off;
}

static uint64_t load_bits(const struct layout_node *n, const uint8_t *from, bool is_signed)
{
	uint32_t bits = n->bit_size ? n->bit_size : n->size * 8;
	uint64_t v = 0;

	memcpy(&v, from, n->size);
	v >>= n->bit_offset;
	if (bits >= 64)
		return v;
	v &= (1ULL << bits) - 1;
	return is_signed && v >> (bits - 1) ? v | ~0ULL << bits : v;
}

static void decode_float(struct decoder *d, const struct layout_node *n, const uint8_t *from)
{
	long double x;
	double f64;
	float f32;

	if (n->size == 4) {
		memcpy(&f32, from, sizeof(f32));
		msgpack_pack_float(&d->pk, f32);
	} else if (n->size == 8) {
		memcpy(&f64, from, sizeof(f64));
		msgpack_pack_double(&d->pk, f64);
	} else {
		memcpy(&x, from, sizeof(x));
		msgpack_pack_double(&d->pk, (double)x);
	}
}

static void pack_string(struct decoder *d, const char *text, size_t len, bool cut)
{
	msgpack_pack_array(&d->pk, 2);
	msgpack_pack_bin(&d->pk, len);
	msgpack_pack_bin_body(&d->pk, text, len);
	cut ? msgpack_pack_true(&d->pk) : msgpack_pack_false(&d->pk);
}

static void decode_string(struct decoder *d, const struct layout_node *n, const uint8_t *from)
{
	const char *text = (const char *)from;
	struct event_string s;
	uint32_t room;
	size_t len;

	if (n->in_place) {
		len = strnlen(text, n->size);
		pack_string(d, text, len, len == n->size && n->size < n->total);
		return;
	}
	memcpy(&s, from, sizeof(s));
	room = n->size - sizeof(s);
	pack_string(d, text + sizeof(s), s.len < room ? s.len : room, s.cut != 0);
}

static void decode_pointer(struct decoder *d, uint32_t i, const uint8_t *from)
{
	const struct layout_node *n = &d->l->node[i];
	uint64_t address;

	memcpy(&address, from, sizeof(address));
	if (!address || n->next == i + 1) {
		msgpack_pack_uint64(&d->pk, address);
		return;
	}
	msgpack_pack_array(&d->pk, 2);
	msgpack_pack_uint64(&d->pk, address);
	decode_node(d, i + 1, NULL);
}

static void decode_members(struct decoder *d, uint32_t i, const uint8_t *element)
{
	const struct layout_node *node = d->l->node;
	uint32_t n = 0;

	for (uint32_t c = i + 1; c < node[i].next; c = node[c].next)
		n++;
	msgpack_pack_array(&d->pk, n);
	for (uint32_t c = i + 1; c < node[i].next; c = node[c].next)
		decode_node(d, c, element);
}

static void decode_array(struct decoder *d, uint32_t i, const uint8_t *from)
{
	const struct layout_node *n = &d->l->node[i];

	msgpack_pack_array(&d->pk, n->count);
	for (uint32_t k = 0; k < n->count; k++)
		decode_node(d, i + 1, from + (size_t)k * d->l->node[i + 1].size);
}

static void decode_node(struct decoder *d, uint32_t i, const uint8_t *element)
{
	const struct layout_node *n = &d->l->node[i];
	const uint8_t *from = node_bytes(d, n, element);

	if (n->bit != LAYOUT_BIT_NONE && d->ev->unread >> (n->bit & 63) & 1 && !element) {
		d->unread++;
		msgpack_pack_nil(&d->pk);
		return;
	}
	switch (n->kind) {
	case SHAPE_INT: case SHAPE_CHAR:
		msgpack_pack_int64(&d->pk, (int64_t)load_bits(n, from, n->kind == SHAPE_INT || n->is_signed));
		break;
	case SHAPE_UINT:
		msgpack_pack_uint64(&d->pk, load_bits(n, from, false));
		break;
	case SHAPE_ENUM:
		if (n->is_signed)
			msgpack_pack_int64(&d->pk, (int64_t)load_bits(n, from, true));
		else
			msgpack_pack_uint64(&d->pk, load_bits(n, from, false));
		break;
	case SHAPE_BOOL:
		load_bits(n, from, false) ? msgpack_pack_true(&d->pk) : msgpack_pack_false(&d->pk);
		break;
	case SHAPE_FLOAT:
		decode_float(d, n, from);
		break;
	case SHAPE_STRING:
		decode_string(d, n, from);
		break;
	case SHAPE_POINTER:
		decode_pointer(d, i, from);
		break;
	case SHAPE_STRUCT: case SHAPE_UNION:
		decode_members(d, i, element);
		break;
	case SHAPE_ARRAY:
		decode_array(d, i, from);
		break;
	case SHAPE_BYTES:
		msgpack_pack_bin(&d->pk, n->size);
		msgpack_pack_bin_body(&d->pk, from, n->size);
		break;
	default:
		msgpack_pack_nil(&d->pk);
		break;
	}
}

uint32_t decode_event(const struct layout *l, const struct event *ev, uint64_t base_ns, struct buf *out)
{
	struct decoder d = { .l = l, .ev = ev };
	uint32_t fields = 0;

	for (uint32_t i = 0; i < l->n_nodes; i = l->node[i].next)
		fields++;
	pack_into(&d.pk, out);
	msgpack_pack_array(&d.pk, 6 + fields);
	msgpack_pack_uint32(&d.pk, ev->probe);
	msgpack_pack_int64(&d.pk, (int64_t)(ev->ts_ns - base_ns));
	msgpack_pack_uint32(&d.pk, ev->pid);
	msgpack_pack_uint32(&d.pk, ev->tid);
	msgpack_pack_uint32(&d.pk, ev->flags);
	msgpack_pack_uint64(&d.pk, ev->duration_ns);
	for (uint32_t i = 0; i < l->n_nodes; i = l->node[i].next) {
		if (l->node[i].role == ROLE_RETURN && !(ev->flags & EVENT_RETURN))
			msgpack_pack_nil(&d.pk);
		else
			decode_node(&d, i, NULL);
	}
	return d.unread;
}

uint32_t decode_unreadable(const struct layout *l)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n_nodes; i = l->node[i].next)
		n += l->node[i].kind == SHAPE_UNREADABLE;
	return n;
}
