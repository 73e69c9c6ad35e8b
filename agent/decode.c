/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"

#include <string.h>

#include "pack.h"
#include "shape.h"

enum { HEAD_BYTES = 5 + 6 * PACK_HEAD_MAX }; /* of a record: what comes before its values */

struct decoder {
	const struct layout *l;
	const struct event *ev;
	uint8_t *at;           /* layout_check has worked out the room for it */
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
		d->at = put_f32(d->at, f32);
	} else if (n->size == 8) {
		memcpy(&f64, from, sizeof(f64));
		d->at = put_f64(d->at, f64);
	} else {
		memcpy(&x, from, sizeof(x));
		d->at = put_f64(d->at, (double)x);
	}
}

static void pack_string(struct decoder *d, const char *text, uint32_t len, bool cut)
{
	d->at = put_array(d->at, 2);
	d->at = put_bin(d->at, text, len);
	d->at = put_bool(d->at, cut);
}

static void decode_string(struct decoder *d, const struct layout_node *n, const uint8_t *from)
{
	const char *text = (const char *)from;
	struct event_string s;
	uint32_t room, len;

	if (n->in_place) {
		len = (uint32_t)strnlen(text, n->size);
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
		d->at = put_u64(d->at, address);
		return;
	}
	d->at = put_array(d->at, 2);
	d->at = put_u64(d->at, address);
	decode_node(d, i + 1, NULL);
}

static void decode_members(struct decoder *d, uint32_t i, const uint8_t *element)
{
	const struct layout_node *node = d->l->node;
	uint32_t n = 0;

	for (uint32_t c = i + 1; c < node[i].next; c = node[c].next)
		n++;
	d->at = put_array(d->at, n);
	for (uint32_t c = i + 1; c < node[i].next; c = node[c].next)
		decode_node(d, c, element);
}

static void decode_array(struct decoder *d, uint32_t i, const uint8_t *from)
{
	const struct layout_node *n = &d->l->node[i];

	d->at = put_array(d->at, n->count);
	for (uint32_t k = 0; k < n->count; k++)
		decode_node(d, i + 1, from + (size_t)k * d->l->node[i + 1].size);
}

static void decode_node(struct decoder *d, uint32_t i, const uint8_t *element)
{
	const struct layout_node *n = &d->l->node[i];
	const uint8_t *from = node_bytes(d, n, element);

	if (n->bit != LAYOUT_BIT_NONE && d->ev->unread >> (n->bit & 63) & 1 && !element) {
		d->unread++;
		d->at = put_nil(d->at);
		return;
	}
	switch (n->kind) {
	case SHAPE_INT: case SHAPE_CHAR:
		d->at = put_i64(d->at, (int64_t)load_bits(n, from, n->kind == SHAPE_INT || n->is_signed));
		break;
	case SHAPE_UINT:
		d->at = put_u64(d->at, load_bits(n, from, false));
		break;
	case SHAPE_ENUM:
		if (n->is_signed)
			d->at = put_i64(d->at, (int64_t)load_bits(n, from, true));
		else
			d->at = put_u64(d->at, load_bits(n, from, false));
		break;
	case SHAPE_BOOL:
		d->at = put_bool(d->at, load_bits(n, from, false));
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
		d->at = put_bin(d->at, from, n->size);
		break;
	default:
		d->at = put_nil(d->at);
		break;
	}
}

static uint8_t *put_head(uint8_t *at, const struct event *ev, uint64_t base_ns, uint32_t fields)
{
	at = put_array(at, 6 + fields);
	at = put_u64(at, ev->probe);
	at = put_i64(at, (int64_t)(ev->ts_ns - base_ns));
	at = put_u64(at, ev->pid);
	at = put_u64(at, ev->tid);
	at = put_u64(at, ev->flags);
	return put_u64(at, ev->duration_ns);
}

uint32_t decode_event(const struct layout *l, const struct event *ev, uint64_t base_ns, struct buf *out)
{
	uint8_t *start = buf_reserve(out, HEAD_BYTES + l->record_max);
	struct decoder d = { .l = l, .ev = ev };
	uint32_t fields = 0;

	if (!start)
		return 0;
	for (uint32_t i = 0; i < l->n_nodes; i = l->node[i].next)
		fields++;
	d.at = put_head(start, ev, base_ns, fields);
	for (uint32_t i = 0; i < l->n_nodes; i = l->node[i].next) {
		if (l->node[i].role == ROLE_RETURN && !(ev->flags & EVENT_RETURN))
			d.at = put_nil(d.at);
		else
			decode_node(&d, i, NULL);
	}
	out->len += (size_t)(d.at - start);
	out->data[out->len] = '\0';
	return d.unread;
}

uint32_t decode_unreadable(const struct layout *l)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n_nodes; i = l->node[i].next)
		n += l->node[i].kind == SHAPE_UNREADABLE;
	return n;
}
