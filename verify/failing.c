/* SPDX-License-Identifier: Apache-2.0 */
#include "failing.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shape_walk.h"

#define TELLING 4.0      /* standard errors between the arms: with a few hundred rows, hardly chance */
#define BY_CHANCE 0.01

struct value {
	char *text;
	uint64_t count[VERIFY_SIDES];
};

struct argument {
	char *name;
	struct value value[FAILING_VALUES];
	uint32_t n_values;
	uint64_t others[VERIFY_SIDES];   /* calls with a value that has no row */
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
	if (!arg)
		return;
	if (arg->n_values == FAILING_VALUES) {
		arg->others[a->side]++;
		return;
	}
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

/* How far the arms' shares are apart, in standard errors. */
static double apart(const struct failing *f, const struct failing_row *r)
{
	double n_b = (double)f->calls[BASELINE], n_c = (double)f->calls[CANDIDATE];
	double both = (double)(r->count[BASELINE] + r->count[CANDIDATE]) / (n_b + n_c);
	double error = n_b > 0 && n_c > 0 ? sqrt(both * (1 - both) * (1 / n_b + 1 / n_c)) : 0;

	return error > 0 ? fabs(share(f, r, BASELINE) - share(f, r, CANDIDATE)) / error : 0;
}

/* True if an arm with none of these calls would hardly have none by chance: as many as the other arm's share of its calls are due. */
static bool only_in(const struct failing *f, const struct failing_row *r, enum verify_side side)
{
	double due = (double)f->calls[!side] * log1p(-fmin(share(f, r, side), 1 - 1e-9));

	return r->count[side] && !r->count[!side] && due < log(BY_CHANCE);
}

static bool is_before(const struct failing *f, const struct failing_row *a, const struct failing_row *b)
{
	double apart_a = apart(f, a), apart_b = apart(f, b);
	double most_a = fmax(share(f, a, BASELINE), share(f, a, CANDIDATE)), most_b = fmax(share(f, b, BASELINE), share(f, b, CANDIDATE));

	if ((apart_a >= TELLING) != (apart_b >= TELLING))
		return apart_a >= TELLING;
	if (apart_a >= TELLING && apart_a != apart_b)
		return apart_a > apart_b;
	return most_a > most_b;
}

static struct failing_row row_of(const struct failing *f, const struct argument *a, uint32_t k)
{
	const struct value *v = &a->value[k];
	struct failing_row row = { a->name, v->text, { v->count[BASELINE], v->count[CANDIDATE] }, false };

	row.only = only_in(f, &row, BASELINE) || only_in(f, &row, CANDIDATE);
	return row;
}

/* One value, in all calls that were shown. */
static bool is_constant(const struct failing *f, const struct argument *a)
{
	return a->n_values == 1 && a->value[0].count[BASELINE] == f->calls[BASELINE] && a->value[0].count[CANDIDATE] == f->calls[CANDIDATE];
}

unsigned failing_always(const struct failing *f, struct failing_row *out, unsigned max)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < f->n_arguments && n < max; i++)
		if (is_constant(f, f->argument[i]))
			out[n++] = row_of(f, f->argument[i], 0);
	return n;
}

unsigned failing_others(const struct failing *f, struct failing_row *out, unsigned max)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < f->n_arguments && n < max; i++) {
		const struct argument *a = f->argument[i];

		if (a->others[BASELINE] || a->others[CANDIDATE])
			out[n++] = (struct failing_row){ a->name, NULL, { a->others[BASELINE], a->others[CANDIDATE] }, false };
	}
	return n;
}

unsigned failing_rows(const struct failing *f, struct failing_row *out, unsigned max)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < f->n_arguments; i++)
		for (uint32_t k = 0; k < f->argument[i]->n_values && !is_constant(f, f->argument[i]); k++) {
			struct failing_row row = row_of(f, f->argument[i], k);
			unsigned at;

			if (!max || (row.count[BASELINE] < 2 && row.count[CANDIDATE] < 2) || (n == max && !is_before(f, &row, &out[n - 1])))
				continue;
			for (at = n < max ? n++ : n - 1; at && is_before(f, &row, &out[at - 1]); at--)
				out[at] = out[at - 1];
			out[at] = row;
		}
	return n;
}
