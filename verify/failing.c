/* SPDX-License-Identifier: Apache-2.0 */
#include "failing.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shape_walk.h"

struct value {
	char *text;
	uint64_t count[VERIFY_SIDES];
};

struct argument {
	char *name;
	struct value value[FAILING_VALUES];
	uint32_t n_values;
};

struct failing {
	struct argument *argument[FAILING_ARGUMENTS];
	uint32_t n_arguments, left_out;
	uint64_t calls[VERIFY_SIDES];
};

/* The call that is being added. */
struct adding {
	struct failing *f;
	enum verify_side side;
	uint32_t left_out;
	bool no_memory;
};

struct failing *failing_new(void)
{
	return calloc(1, sizeof(struct failing));
}

void failing_free(struct failing *f)
{
	for (uint32_t i = 0; f && i < f->n_arguments; i++) {
		for (uint32_t k = 0; k < f->argument[i]->n_values; k++)
			free(f->argument[i]->value[k].text);
		free(f->argument[i]->name);
		free(f->argument[i]);
	}
	free(f);
}

uint64_t failing_calls(const struct failing *f, enum verify_side side)
{
	return f ? f->calls[side] : 0;
}

uint32_t failing_left_out(const struct failing *f)
{
	return f->left_out;
}

/* ---- one call ---- */

/* NULL: there are too many, or no memory. */
static struct argument *argument_of(struct adding *a, const char *name)
{
	struct failing *f = a->f;
	struct argument *new;

	for (uint32_t i = 0; i < f->n_arguments; i++)
		if (strcmp(f->argument[i]->name, name) == 0)
			return f->argument[i];
	if (f->n_arguments == FAILING_ARGUMENTS) {
		a->left_out++;
		return NULL;
	}
	new = calloc(1, sizeof(*new));
	if (new && (new->name = strdup(name)))
		return f->argument[f->n_arguments++] = new;
	free(new);
	a->no_memory = true;
	return NULL;
}

static void count_value(struct adding *a, const char *name, const char *text)
{
	struct argument *arg = argument_of(a, name);
	struct value *v;

	for (uint32_t i = 0; arg && i < arg->n_values; i++)
		if (strcmp(arg->value[i].text, text) == 0) {
			arg->value[i].count[a->side]++;
			return;
		}
	if (!arg || arg->n_values == FAILING_VALUES)
		return;
	v = &arg->value[arg->n_values];
	v->text = strdup(text);
	a->no_memory |= !v->text;
	v->count[a->side] = 1;
	arg->n_values += v->text != NULL;
}

/* A long text loses its end, and no part of a character. */
static void cut(struct buf *text)
{
	size_t len = FAILING_TEXT - 4;

	if (text->len < FAILING_TEXT)
		return;
	while (len && ((unsigned char)text->data[len] & 0xc0) == 0x80)
		len--;
	text->len = len;
	buf_str(text, "...");
}

static void take_leaf(struct adding *a, const char *name, const struct shape *s, const msgpack_object *value)
{
	struct buf text = { 0 };

	shape_print(s, value, &text);
	cut(&text);
	a->no_memory |= text.failed;
	if (!text.failed)
		count_value(a, name, buf_text(&text));
	buf_free(&text);
}

static void take_value(struct adding *a, const char *name, const struct shape *s, const msgpack_object *value, const char *separator);

static void take_members(struct adding *a, const char *name, const struct shape *s, const msgpack_object *value, const char *separator)
{
	for (uint32_t i = 0; i < s->n_children; i++) {
		const char *member = s->child[i].name ? s->child[i].name : "";
		char full[FAILING_NAME];
		int n = snprintf(full, sizeof(full), "%s%s%s", name, member[0] ? separator : "", member);

		if (n < (int)sizeof(full))
			take_value(a, full, s->child[i].shape, &value->via.array.ptr[i], ".");
		else
			a->left_out++;
	}
}

/* An address says little of a failing call, but whether there is one says much. */
static void take_pointer(struct adding *a, const char *name, const struct shape *s, const msgpack_object *value)
{
	const msgpack_object *pointee;
	uint64_t address;

	if (!value_pointer(s, value, &address, &pointee) || address == 0)
		take_leaf(a, name, s, value);
	else if (pointee && pointee->type != MSGPACK_OBJECT_NIL)
		take_value(a, name, s->child[0].shape, pointee, "->");
	else if (s->type[0])
		count_value(a, name, pointee ? "<unread>" : "not NULL");
	else
		take_leaf(a, name, s, value);   /* a register: it may be a number */
}

/* The nesting is bounded by shape_unpack. */
static void take_value(struct adding *a, const char *name, const struct shape *s, const msgpack_object *value, const char *separator)
{
	bool has_members = (s->kind == SHAPE_STRUCT || s->kind == SHAPE_UNION) && value_parts(s, value) && s->n_children;

	if (has_members)
		take_members(a, name, s, value, separator);
	else if (s->kind == SHAPE_POINTER)
		take_pointer(a, name, s, value);
	else
		take_leaf(a, name, s, value);
}

int failing_add(struct failing *f, enum verify_side side, const struct record *r)
{
	struct adding a = { .f = f, .side = side };

	for (uint32_t i = 0; i < r->probe->n_fields; i++)
		if (!r->probe->field[i].at_return)
			take_value(&a, r->probe->field[i].name, r->probe->field[i].shape, &r->value[i], ".");
	f->calls[side]++;
	f->left_out = a.left_out > f->left_out ? a.left_out : f->left_out;
	return a.no_memory ? -ENOMEM : 0;
}

/* ---- rows ---- */

static double share(const struct failing *f, const struct failing_row *r, enum verify_side side)
{
	return f->calls[side] ? (double)r->count[side] / (double)f->calls[side] : 0;
}

/* Differences first: what is the same in both arms does not tell them apart. */
static bool is_before(const struct failing *f, const struct failing_row *a, const struct failing_row *b)
{
	double base_a = share(f, a, BASELINE), cand_a = share(f, a, CANDIDATE), base_b = share(f, b, BASELINE),
	       cand_b = share(f, b, CANDIDATE);
	double differ_a = fabs(base_a - cand_a), differ_b = fabs(base_b - cand_b);

	if (differ_a != differ_b)
		return differ_a > differ_b;
	return base_a + cand_a > base_b + cand_b;
}

static bool is_telling(const struct failing *f, const struct failing_row *r)
{
	return r->count[BASELINE] > 1 || r->count[CANDIDATE] > 1 || (r->count[BASELINE] && f->calls[BASELINE] == 1) ||
	       (r->count[CANDIDATE] && f->calls[CANDIDATE] == 1);
}

unsigned failing_rows(const struct failing *f, struct failing_row *out, unsigned max)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < f->n_arguments; i++)
		for (uint32_t k = 0; k < f->argument[i]->n_values; k++) {
			const struct value *v = &f->argument[i]->value[k];
			struct failing_row row = { f->argument[i]->name, v->text, { v->count[BASELINE], v->count[CANDIDATE] }, false };
			unsigned at;

			row.only = f->calls[BASELINE] && f->calls[CANDIDATE] && (!row.count[BASELINE] || !row.count[CANDIDATE]);
			if (!max || !is_telling(f, &row) || (n == max && !is_before(f, &row, &out[n - 1])))
				continue;
			for (at = n < max ? n++ : n - 1; at && is_before(f, &row, &out[at - 1]); at--)
				out[at] = out[at - 1];
			out[at] = row;
		}
	return n;
}
