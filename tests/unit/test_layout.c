/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts: what is added is found again, and whatever could lead a decoder out of the event is refused. */
#include "layouts.h"

#include "buf.h"

static void test_strings(void **state)
{
	struct layout l = { 0 };
	uint32_t a = layout_string(&l, "alpha"), b = layout_string(&l, "beta");

	assert_true(a != 0 && b != 0 && a != b);
	assert_int_equal(layout_string(&l, "alpha"), a);
	assert_int_equal(layout_string(&l, "alph") == a, 0);
	assert_int_equal(layout_string(&l, ""), 0);
	assert_int_equal(layout_string(&l, NULL), 0);
	assert_string_equal(layout_text(&l, a), "alpha");
	assert_string_equal(layout_text(&l, b), "beta");
	assert_string_equal(layout_text(&l, 0), "");
	assert_string_equal(layout_text(&l, l.n_strings), "");
	assert_string_equal(layout_text(&l, UINT32_MAX), "");
	layout_free(&l);
	assert_string_equal(layout_text(&l, a), "");
}

static void test_full(void **state)
{
	struct layout l = { 0 };
	char text[1024];
	uint32_t at;

	for (unsigned i = 0; i < LAYOUT_NODES_MAX; i++)
		assert_int_equal(layout_add(&l, SHAPE_INT, "n", ""), i);
	assert_int_equal(layout_add(&l, SHAPE_INT, "n", ""), -ENOSPC);
	for (unsigned i = 0; i < LAYOUT_ENUMS_MAX; i++)
		assert_int_equal(layout_add_enum(&l, i, "e"), i);
	assert_int_equal(layout_add_enum(&l, 0, "e"), -ENOSPC);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (unsigned i = 0; i < 300; i++) {
		snprintf(text, 8, "%07u", i);
		text[7] = 'x';
		at = layout_string(&l, text);
		assert_string_equal(layout_text(&l, at), at ? text : "");
	}
	assert_int_equal(at, 0);
	assert_true(l.n_strings <= LAYOUT_STRINGS_MAX);
	layout_free(&l);
}

static void test_dump(void **state)
{
	struct layout l;
	struct buf out = { 0 };

	sample_layout(&l);
	layout_dump(&l, &out);
	assert_string_equal(buf_text(&out),
		"  o: pointer 'void *' data+0, 8 bytes, read bit 0\n"
		"    s: struct data+8, 40 bytes, read bit 1\n"
		"      list: array data+8, 16 bytes, 2 of 3 elements\n"
		"        element: struct data+0, 8 bytes\n"
		"          x: int data+0, 4 bytes\n"
		"          c: string data+4, 4 bytes\n"
		"      bits: uint data+24, 2 bytes, bits 3..12\n"
		"      kind: enum data+28, 4 bytes\n"
		"      gone: unreadable: optimised out\n"
		"  text: string data+40, 24 bytes, read bit 2\n"
		"  ret: int ret+8, 8 bytes\n");
	assert_int_equal(layout_check(&l, SAMPLE_BYTES, NULL), 0);
	buf_free(&out);
	layout_free(&l);
}

enum { POINTER, STRUCT, LIST, ELEMENT, X, C, BITS, KIND, GONE, TEXT, RET };

static void test_refuses(void **state)
{
	static const struct { int node; size_t field, bytes; uint32_t value; } changes[] = {
#define CHANGE(n, f, v) { n, offsetof(struct layout_node, f), sizeof(((struct layout_node *)0)->f), v }
		CHANGE(POINTER, kind, SHAPE_KINDS), CHANGE(POINTER, size, 4), CHANGE(POINTER, off, 57),
		CHANGE(POINTER, base, 2), CHANGE(POINTER, role, 2), CHANGE(POINTER, next, 0), CHANGE(POINTER, next, 12),
		CHANGE(STRUCT, off, 25), CHANGE(STRUCT, next, 12), CHANGE(STRUCT, off, UINT32_MAX),
		CHANGE(LIST, count, 8), CHANGE(LIST, off, 50), CHANGE(LIST, next, 3), CHANGE(LIST, total, 1),
		CHANGE(ELEMENT, size, 0), CHANGE(ELEMENT, size, 60), CHANGE(ELEMENT, off, 4), CHANGE(ELEMENT, next, 5),
		CHANGE(X, off, 5), CHANGE(X, size, 16), CHANGE(X, size, 0), CHANGE(C, size, 5), CHANGE(C, in_place, 0),
		CHANGE(BITS, bit_offset, 64), CHANGE(BITS, bit_size, 65), CHANGE(KIND, first_enum, 1),
		CHANGE(KIND, n_enums, 2), CHANGE(KIND, n_enums, UINT32_MAX), CHANGE(TEXT, size, 8), CHANGE(TEXT, size, 25),
		CHANGE(RET, off, 9), CHANGE(RET, size, 9),
		CHANGE(X, kind, SHAPE_POINTER), CHANGE(BITS, kind, SHAPE_ARRAY),
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct error err = { 0 };
		struct layout l;

		sample_layout(&l);
		memcpy((char *)&l.node[changes[i].node] + changes[i].field, &changes[i].value, changes[i].bytes);
		if (layout_check(&l, SAMPLE_BYTES, &err) != -EPROTO)
			fail_msg("change %zu was accepted", i);
		assert_int_equal(err.code, EPROTO);
		layout_free(&l);
	}
}

/* A pointer below an array would be followed to bytes that were checked against one element only. */
static void test_pointer_in_array(void **state)
{
	struct layout l = { 0 };

	add_array(&l, "a", 0, 8, 1, 1);
	l.node[0].base = BASE_RET;
	add(&l, SHAPE_POINTER, "p", 0, 8);
	assert_true(layout_add(&l, SHAPE_INT, "i", "") > 0);
	l.node[2].size = 8;
	end(&l, "p");
	end(&l, "a");
	assert_int_equal(layout_check(&l, 0, NULL), -EPROTO);
	layout_close(&l, 1);
	l.n_nodes = 2;
	l.node[1].next = l.node[0].next = 2;
	assert_int_equal(layout_check(&l, 0, NULL), 0);
	layout_free(&l);
}

static void test_depth(void **state)
{
	struct layout l = { 0 };

	for (int i = 0; i < LAYOUT_DEPTH_MAX + 1; i++)
		add(&l, SHAPE_STRUCT, "s", 0, 8);
	for (int i = 0; i < LAYOUT_DEPTH_MAX + 1; i++)
		layout_close(&l, i);
	assert_int_equal(layout_check(&l, 8, NULL), -EPROTO);
	layout_free(&l);
}

/* The members of a union share their bytes in the event, not in the record. */
static void test_record_too_large(void **state)
{
	struct layout l = { 0 };
	struct error err = { 0 };

	add(&l, SHAPE_UNION, "u", 0, PLAN_DATA_MAX);
	for (int i = 0; i < LAYOUT_RECORD_MAX / PLAN_DATA_MAX - 1; i++)
		add(&l, SHAPE_BYTES, "member", 0, PLAN_DATA_MAX);
	end(&l, "u");
	assert_int_equal(layout_check(&l, PLAN_DATA_MAX, &err), 0);
	assert_in_range(l.record_max, LAYOUT_RECORD_MAX - PLAN_DATA_MAX, LAYOUT_RECORD_MAX);
	add(&l, SHAPE_BYTES, "member", 0, PLAN_DATA_MAX);
	end(&l, "u");
	assert_int_equal(layout_check(&l, PLAN_DATA_MAX, &err), -EMSGSIZE);
	assert_int_equal(err.code, EMSGSIZE);
	layout_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings), cmocka_unit_test(test_full), cmocka_unit_test(test_dump),
		cmocka_unit_test(test_refuses), cmocka_unit_test(test_pointer_in_array), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_record_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
