/* SPDX-License-Identifier: Apache-2.0 */
/* The table of failing calls' arguments: what it counts, and that it stays small whatever comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "failing.h"
#include "text.h"
#include "wire_pack.h"

/* One call of f(ARGUMENT...): all of one kind. */
struct one_call {
	struct probe probe;
	struct field field[64];
	char name[64][16];
	struct shape shape;
	msgpack_object value[64];
	struct record record;
};

static void call_init(struct one_call *c, unsigned fields, enum shape_kind kind)
{
	memset(c, 0, sizeof(*c));
	c->shape.kind = kind;
	c->shape.type = (char *)"t";
	c->probe.field = c->field;
	c->probe.n_fields = fields;
	for (unsigned i = 0; i < fields; i++) {
		snprintf(c->name[i], sizeof(c->name[i]), "a%u", i);
		c->field[i] = (struct field){ c->name[i], false, &c->shape };
		c->value[i] = (msgpack_object){ .type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 0 };
	}
	c->record = (struct record){ .probe = &c->probe, .error = true, .value = c->value };
}

static void values_beyond_the_room_are_counted_together(void **state)
{
	struct failing_row row[200];
	struct failing *f = failing_new();
	struct one_call c;
	unsigned n;

	call_init(&c, 1, SHAPE_INT);
	for (uint64_t i = 0; i < 1000; i++) {   /* each value twice */
		c.value[0].via.u64 = i / 2;
		assert_int_equal(failing_add(f, BASELINE, &c.record), 0);
	}
	n = failing_rows(f, row, 200);
	assert_int_equal(n, FAILING_VALUES);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(row[i].count[BASELINE], 2);
		assert_false(row[i].only);   /* no call of the candidate was shown: there is nothing that it lacks */
	}
	assert_int_equal(failing_others(f, row, 200), 1);
	assert_string_equal(row[0].name, "a0");
	assert_int_equal(row[0].count[BASELINE], 1000 - 2 * FAILING_VALUES);
	assert_int_equal(row[0].count[CANDIDATE], 0);
	assert_int_equal(failing_others(f, row, 0), 0);
	assert_int_equal(failing_calls(f, BASELINE), 1000);
	failing_free(f);
}

static void arguments_beyond_the_room_are_counted(void **state)
{
	struct failing *f = failing_new();
	struct failing_row row[64];
	struct one_call c;

	call_init(&c, 60, SHAPE_INT);
	for (int i = 0; i < 3; i++)
		failing_add(f, CANDIDATE, &c.record);
	assert_int_equal(failing_left_out(f), 60 - FAILING_ARGUMENTS);
	assert_int_equal(failing_rows(f, row, 64), 0);   /* they have one value each */
	assert_int_equal(failing_always(f, row, 64), FAILING_ARGUMENTS);
	assert_int_equal(failing_always(f, row, 5), 5);
	assert_int_equal(failing_others(f, row, 64), 0);
	c.value[3].via.u64 = 7;
	for (int i = 0; i < 2; i++)
		failing_add(f, CANDIDATE, &c.record);
	assert_int_equal(failing_always(f, row, 64), FAILING_ARGUMENTS - 1);
	assert_int_equal(failing_rows(f, row, 64), 2);
	assert_string_equal(row[0].value, "0");
	assert_int_equal(row[0].count[CANDIDATE], 3);
	assert_int_equal(failing_rows(f, row, 1), 1);
	assert_int_equal(failing_rows(f, row, 0), 0);
	failing_free(f);
}

/* What differs most between the arms is first; what both have alike is last. */
static void differences_come_first(void **state)
{
	static const uint64_t base[][4] = { { 1, 1, 1, 2 }, { 7, 7, 7, 7 } }, cand[][4] = { { 1, 1, 2, 1 }, { 7, 7, 9, 9 } };
	struct failing *f = failing_new();
	struct failing_row row[8];
	struct one_call c;

	call_init(&c, 2, SHAPE_INT);
	for (unsigned i = 0; i < 40; i++) {
		for (unsigned k = 0; k < 2; k++)
			c.value[k].via.u64 = base[k][i % 4];
		failing_add(f, BASELINE, &c.record);
		for (unsigned k = 0; k < 2; k++)
			c.value[k].via.u64 = cand[k][i % 4];
		failing_add(f, CANDIDATE, &c.record);
	}
	assert_int_equal(failing_rows(f, row, 8), 4);
	assert_string_equal(row[0].name, "a1");
	assert_string_equal(row[0].value, "7");
	assert_int_equal(row[0].count[BASELINE], 40);
	assert_int_equal(row[0].count[CANDIDATE], 20);
	assert_false(row[0].only);
	assert_string_equal(row[1].value, "9");
	assert_true(row[1].only);
	assert_string_equal(row[2].name, "a0");
	assert_string_equal(row[2].value, "1");
	assert_int_equal(row[2].count[CANDIDATE], 30);
	failing_free(f);
}

/* Two of thirty, and none of ten: that says nothing. */
static void few_calls_are_in_no_arm_only(void **state)
{
	struct failing *f = failing_new();
	struct failing_row row[8];
	struct one_call c;

	call_init(&c, 1, SHAPE_INT);
	for (unsigned i = 0; i < 30; i++) {
		c.value[0].via.u64 = i < 2;
		failing_add(f, CANDIDATE, &c.record);
		c.value[0].via.u64 = 0;
		if (i < 10)
			failing_add(f, BASELINE, &c.record);
	}
	assert_int_equal(failing_rows(f, row, 8), 2);
	assert_string_equal(row[0].value, "0");
	assert_int_equal(row[1].count[CANDIDATE], 2);
	assert_false(row[1].only);
	failing_free(f);
}

/* A megabyte of text is one short value, valid as UTF-8 and harmless. */
static void a_long_value_is_cut(void **state)
{
	static const char *const units[] = { "x", "\xc3\xa9", "\xf0\x9f\x98\x80", "\x1b", "\xff", "\"" };

	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		size_t len = strlen(units[u]), n = (1 << 20) / len;
		struct failing *f = failing_new();
		msgpack_object part[2] = { { .type = MSGPACK_OBJECT_BIN }, { .type = MSGPACK_OBJECT_BOOLEAN } };
		char *text = malloc(n * len);
		struct failing_row row;
		struct one_call c;

		assert_non_null(text);
		for (size_t i = 0; i < n; i++)
			memcpy(text + i * len, units[u], len);
		part[0].via.bin.ptr = text;
		part[0].via.bin.size = (uint32_t)(n * len);
		call_init(&c, 1, SHAPE_STRING);
		c.value[0] = (msgpack_object){ .type = MSGPACK_OBJECT_ARRAY, .via.array = { 2, part } };
		failing_add(f, BASELINE, &c.record);
		assert_int_equal(failing_always(f, &row, 1), 1);
		assert_true(strlen(row.value) < FAILING_TEXT);
		assert_string_equal(row.value + strlen(row.value) - 3, "...");
		for (size_t i = 0; row.value[i];) {
			uint32_t code;
			unsigned bytes = utf8_decode(row.value + i, strlen(row.value) - i, &code);

			assert_true(bytes && utf8_is_safe(code));
			i += bytes;
		}
		failing_free(f);
		free(text);
	}
}

/* Values that do not fit their shape, NULL, unread, addresses. */
static void odd_values(void **state)
{
	static const struct { enum shape_kind kind; msgpack_object value; const char *says; } cases[] = {
		{ SHAPE_INT, { .type = MSGPACK_OBJECT_NIL }, "<unread>" },
		{ SHAPE_STRUCT, { .type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 3 }, "<malformed>" },
		{ SHAPE_STRING, { .type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = true }, "<malformed>" },
		{ SHAPE_POINTER, { .type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 0 }, "NULL" },
		{ SHAPE_POINTER, { .type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 0x7f00 }, "not NULL" },
		{ SHAPE_POINTER, { .type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = true }, "<malformed>" },
		{ SHAPE_UNREADABLE, { .type = MSGPACK_OBJECT_NIL }, "<unreadable>" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct failing *f = failing_new();
		struct failing_row row;
		struct one_call c;

		call_init(&c, 1, cases[i].kind);
		c.value[0] = cases[i].value;
		failing_add(f, BASELINE, &c.record);
		assert_int_equal(failing_always(f, &row, 1), 1);
		assert_string_equal(row.value, cases[i].says);
		failing_free(f);
	}
}

static void nothing_is_nothing(void **state)
{
	failing_free(NULL);
	assert_int_equal(failing_calls(NULL, BASELINE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_beyond_the_room_are_counted_together), cmocka_unit_test(arguments_beyond_the_room_are_counted),
		cmocka_unit_test(differences_come_first), cmocka_unit_test(few_calls_are_in_no_arm_only),
		cmocka_unit_test(a_long_value_is_cut), cmocka_unit_test(odd_values),
		cmocka_unit_test(nothing_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
