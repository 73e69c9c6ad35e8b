/* SPDX-License-Identifier: Apache-2.0 */
#include "resolved.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "frame.h"
#include "shape.h"

/* Parent and child are one program: the struct travels as it is, with its arrays behind it. */
void resolved_write(const struct resolved *r, struct buf *out)
{
	const struct layout *l = &r->layout;

	buf_add(out, r, sizeof(*r));
	buf_add(out, l->node, l->n_nodes * sizeof(*l->node));
	buf_add(out, l->enums, l->n_enums * sizeof(*l->enums));
	buf_add(out, l->strings, l->n_strings);
	buf_add(out, r->functions, r->n_functions * sizeof(*r->functions));
	buf_add(out, r->names, r->names_len);
}

const char *resolved_function_name(const struct resolved *r, uint32_t i)
{
	return i < r->n_functions ? r->names + r->functions[i].name : r->function;
}

static int take(const uint8_t **data, size_t *len, void *to_pointer, uint32_t count, size_t size)
{
	void *copy;

	if (!count) {
		*(void **)to_pointer = NULL;
		return 0;
	}
	if ((uint64_t)count * size > *len)
		return -EPROTO;
	copy = malloc(count * size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, *data, count * size);
	*(void **)to_pointer = copy;
	*data += count * size;
	*len -= count * size;
	return 0;
}

/* Bytes of the event's data that an operation touches from op->off on. */
static uint64_t op_bytes(const struct plan_op *op)
{
	switch (op->code) {
	case OP_STORE:
		return 8;
	case OP_DATA:
		return op->size == 1 || op->size == 2 || op->size == 4 ? op->size : 8;
	case OP_READ:
		return op->size;
	case OP_STRING:
		return sizeof(struct event_string) + (uint64_t)op->size;
	case OP_STREQ:
		return sizeof(struct event_string) + PLAN_LITERAL_WORDS * 8;
	default:
		return 0;
	}
}

static bool check_op(const struct plan_op *op, const struct plan *p)
{
	static const uint8_t b_limits[OP_ERROR + 1] = {
		[OP_REG] = GPR_COUNT, [OP_SPECIAL] = SPECIALS, [OP_BITS] = 64, [OP_BINARY] = PLAN_REGS,
		[OP_STREQ] = PLAN_LITERALS,
	};
	bool value = op->code == OP_REG || op->code == OP_LOAD || op->code == OP_DATA || op->code == OP_SPECIAL;
	bool bytes = op->code == OP_READ || op->code == OP_STRING;

	if (op->code == OP_END || op->code > OP_ERROR || op->dst >= PLAN_REGS || op->a >= PLAN_REGS || op->sign > 1 ||
	    (op->bit != LAYOUT_BIT_NONE && op->bit >= PLAN_READ_BITS))
		return false;
	if (b_limits[op->code] && op->b >= b_limits[op->code])
		return false;
	if ((value && (!op->size || op->size > 8)) || (bytes && !op->size) ||
	    (op->code == OP_BITS && (!op->size || op->size > 64)))
		return false;
	if ((op->code == OP_BINARY && op->sub > BIN_LOR) || (op->code == OP_UNARY && op->sub > UN_LNOT))
		return false;
	return op->off + op_bytes(op) <= p->data_bytes;
}

static bool check_ops(const struct plan_op *ops, uint32_t n, const struct plan *p)
{
	for (uint32_t i = 0; i < n; i++)
		if (!check_op(&ops[i], p))
			return false;
	return true;
}

static bool check_plan(const struct plan *p)
{
	return p->n_entry <= PLAN_ENTRY_OPS && p->n_return <= PLAN_RETURN_OPS && p->data_bytes <= PLAN_DATA_MAX &&
	       p->data_bytes % 8 == 0 && p->event_bytes == sizeof(struct event) + p->data_bytes &&
	       !(p->flags & ~(uint32_t)(PLAN_CALL | PLAN_SHIP | PLAN_ERRORS_ONLY | PLAN_PATTERN | PLAN_ERROR_VALUES)) &&
	       p->ret_signed <= 1 && p->ret_bytes <= 8 &&
	       check_ops(p->entry, p->n_entry, p) && check_ops(p->ret, p->n_return, p);
}

static bool check_names(const struct resolved *r)
{
	const struct { const char *text; size_t size; } texts[] = {
		{ r->function, sizeof(r->function) }, { r->signature, sizeof(r->signature) },
		{ r->file, sizeof(r->file) }, { r->module, sizeof(r->module) },
		{ r->build_id, sizeof(r->build_id) }, { r->site.text, sizeof(r->site.text) },
		{ r->site.reason, sizeof(r->site.reason) }, { r->note, sizeof(r->note) },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!memchr(texts[i].text, '\0', texts[i].size))
			return false;
	return true;
}

static bool check_site(const struct site *s)
{
	return (unsigned)s->kind < SITE_KINDS && s->length <= sizeof(s->bytes);
}

static bool check_functions(const struct resolved *r)
{
	if (!(r->plan.flags & PLAN_PATTERN) != !r->n_functions || r->n_functions > PATTERN_FUNCTIONS_MAX ||
	    r->names_len > PATTERN_NAMES_MAX)
		return false;
	if (r->n_functions && (!r->names_len || r->names[r->names_len - 1]))
		return false;
	for (uint32_t i = 0; i < r->n_functions; i++)
		if (r->functions[i].name >= r->names_len || r->functions[i].kind >= SITE_KINDS)
			return false;
	return true;
}

/* The arrays behind the struct, whose pointers are the other process's. */
static int take_arrays(struct resolved *out, const uint8_t **at, size_t *left)
{
	struct layout *l = &out->layout;
	int rc = take(at, left, &l->node, l->n_nodes, sizeof(*l->node));

	if (!rc)
		rc = take(at, left, &l->enums, l->n_enums, sizeof(*l->enums));
	if (!rc)
		rc = take(at, left, &l->strings, l->n_strings, 1);
	if (!rc)
		rc = take(at, left, &out->functions, out->n_functions, sizeof(*out->functions));
	if (!rc)
		rc = take(at, left, &out->names, out->names_len, 1);
	return rc;
}

int resolved_read(const void *data, size_t len, struct resolved *out, struct error *err)
{
	const uint8_t *at = data;
	struct layout *l = &out->layout;
	size_t left;
	int rc;

	memset(out, 0, sizeof(*out));
	if (len < sizeof(*out) || len > INT_MAX)
		return error_set(err, EPROTO, "the resolver's answer is too short");
	left = len - sizeof(*out);
	memcpy(out, data, sizeof(*out));
	at += sizeof(*out);
	l->node = NULL;
	l->enums = NULL;
	l->strings = NULL;
	out->functions = NULL;
	out->names = NULL;
	l->cap_nodes = l->n_nodes;
	l->cap_enums = l->n_enums;
	l->cap_strings = l->n_strings;
	if (l->n_nodes > LAYOUT_NODES_MAX || l->n_enums > LAYOUT_ENUMS_MAX || l->n_strings > LAYOUT_STRINGS_MAX) {
		memset(out, 0, sizeof(*out));
		return error_set(err, EPROTO, "the resolver's answer is malformed");
	}
	rc = take_arrays(out, &at, &left);
	if (!rc && (!check_plan(&out->plan) || !check_names(out) || !check_site(&out->site) || !check_functions(out)))
		rc = -EPROTO;
	if (!rc)
		rc = layout_check(l, out->plan.data_bytes, err);
	if (rc) {
		resolved_free(out);
		if (rc == -EMSGSIZE)
			return rc;
		return error_set(err, -rc, "the resolver's answer is malformed");
	}
	return (int)(len - left);
}

void resolved_free(struct resolved *r)
{
	layout_free(&r->layout);
	free(r->functions);
	free(r->names);
	resolved_moved(r);
}

void resolved_moved(struct resolved *r)
{
	memset(&r->layout, 0, sizeof(r->layout));
	r->functions = NULL;
	r->names = NULL;
	r->n_functions = r->names_len = 0;
}

/* ---- shapes for the receiver (shape.h) ---- */

static void pack_shape(const struct layout *l, uint32_t i, msgpack_packer *pk);

static uint32_t children_of(const struct layout *l, uint32_t i)
{
	uint32_t n = 0;

	for (uint32_t c = i + 1; c < l->node[i].next; c = l->node[c].next)
		n++;
	return n;
}

static void pack_members(const struct layout *l, uint32_t i, msgpack_packer *pk)
{
	msgpack_pack_array(pk, children_of(l, i));
	for (uint32_t c = i + 1; c < l->node[i].next; c = l->node[c].next) {
		msgpack_pack_array(pk, 2);
		pack_text(pk, layout_text(l, l->node[c].name));
		pack_shape(l, c, pk);
	}
}

static void pack_enums(const struct layout *l, const struct layout_node *n, msgpack_packer *pk)
{
	msgpack_pack_array(pk, n->n_enums);
	for (uint32_t e = n->first_enum; e < n->first_enum + n->n_enums; e++) {
		msgpack_pack_array(pk, 2);
		msgpack_pack_int64(pk, l->enums[e].value);
		pack_text(pk, layout_text(l, l->enums[e].name));
	}
}

static void pack_shape(const struct layout *l, uint32_t i, msgpack_packer *pk)
{
	const struct layout_node *n = &l->node[i];
	bool has_child = n->next > i + 1;

	msgpack_pack_array(pk, 3);
	msgpack_pack_int(pk, n->kind);
	pack_text(pk, layout_text(l, n->type));
	switch (n->kind) {
	case SHAPE_STRUCT: case SHAPE_UNION:
		pack_members(l, i, pk);
		break;
	case SHAPE_ARRAY:
		msgpack_pack_array(pk, 2);
		msgpack_pack_uint32(pk, n->total);
		pack_shape(l, i + 1, pk);
		break;
	case SHAPE_ENUM:
		pack_enums(l, n, pk);
		break;
	case SHAPE_UNREADABLE:
		pack_text(pk, layout_text(l, n->reason));
		break;
	default:
		if (n->kind == SHAPE_POINTER && has_child)
			pack_shape(l, i + 1, pk);
		else
			msgpack_pack_nil(pk);
		break;
	}
}

void layout_pack_fields(const struct layout *l, struct buf *out)
{
	msgpack_packer pk;
	uint32_t n = 0;

	pack_into(&pk, out);
	for (uint32_t i = 0; i < l->n_nodes; i = l->node[i].next)
		n++;
	msgpack_pack_array(&pk, n);
	for (uint32_t i = 0; i < l->n_nodes; i = l->node[i].next) {
		msgpack_pack_array(&pk, 3);
		pack_text(&pk, layout_text(l, l->node[i].name));
		msgpack_pack_int(&pk, l->node[i].role);
		pack_shape(l, i, &pk);
	}
}
