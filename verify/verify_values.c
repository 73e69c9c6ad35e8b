/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error values: which values failing calls returned, counted exactly by the agent (STATS, "error_values": [value, count, ...] since
 * the start, per probe and process).  What a value has more than it had is added to its item; a tick takes it from there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verify_internal.h"

enum { VALUES_MAX = 65536, ROW_VALUES_MAX = 64 };

/* The count that this row's value had. NULL: no memory, or too many. */
static uint64_t *value_before(struct arm_request *r, const struct value_before *key)
{
	struct value_before *more;

	for (uint32_t i = 0; i < r->n_values; i++) {
		struct value_before *b = &r->value[i];

		if (b->source == key->source && b->probe == key->probe && b->pid == key->pid && b->value == key->value)
			return &b->count;
	}
	if (r->n_values == VALUES_MAX)
		return NULL;
	more = reallocarray(r->value, r->n_values + 1, sizeof(*more));
	if (!more)
		return NULL;
	r->value = more;
	more[r->n_values] = *key;
	return &more[r->n_values++].count;
}

static int pending_add(struct item *it, enum verify_side side, int64_t value, uint64_t n)
{
	struct item_values *p = &it->values[side];
	struct error_value *more;

	for (uint32_t i = 0; i < p->n; i++)
		if (p->value[i].value == value) {
			p->value[i].count += n;
			return 0;
		}
	if (p->n == CLAIM_VALUES)
		return 0;   /* an error whose value is not told */
	more = reallocarray(p->value, p->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	p->value = more;
	more[p->n++] = (struct error_value){ .value = value, .count = n };
	return 0;
}

int verify_take_values(struct arm_request *r, uint32_t source, uint32_t probe, uint32_t pid, const msgpack_object *list, struct item *it)
{
	const msgpack_object *at = list->via.array.ptr;

	if (list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size % 2 || list->via.array.size > 2 * ROW_VALUES_MAX)
		return -EPROTO;
	for (uint32_t i = 0; i < list->via.array.size; i += 2) {
		struct value_before key = { .source = source, .probe = probe, .pid = pid };
		uint64_t count, *before;
		int rc;

		if (!object_i64(&at[i], &key.value) || !object_u64(&at[i + 1], &count))
			return -EPROTO;
		before = value_before(r, &key);
		if (!before)
			return -ENOMEM;
		/* Fewer than before: another process of that pid. */
		rc = pending_add(it, r->side, key.value, count >= *before ? count - *before : count);
		*before = count;
		if (rc)
			return rc;
	}
	return 0;
}

uint32_t verify_values_of_tick(struct item *it, enum verify_side side, uint32_t where, uint64_t errors, struct error_value *out)
{
	struct item_values *p = &it->values[side];
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n && errors; i++) {
		uint64_t count = p->value[i].count < errors ? p->value[i].count : errors;

		if (!count)
			continue;
		out[n++] = (struct error_value){ where, p->value[i].value, count };
		p->value[i].count -= count;
		errors -= count;
	}
	return n;
}

void verify_values_forget(struct item *it, enum verify_side side)
{
	free(it->values[side].value);
	memset(&it->values[side], 0, sizeof(it->values[side]));
}
