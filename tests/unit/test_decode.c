/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events made by hand -> records -> the text that a person sees.  The same shapes go over the wire to the one who
 * prints, so that both ends are held against each other here.
 */
#include "layouts.h"

#include <float.h>
#include <math.h>

#include "buf.h"
#include "decode.h"
#include "frame.h"
#include "resolved.h"

static struct {
	struct event ev;
	uint8_t data[256];
} e;

static uint32_t last_unread;

static void put(size_t off, const void *bytes, size_t len)
{
	assert_true(off + len <= sizeof(e.data));
	memcpy(e.data + off, bytes, len);
}

static void put_u64(size_t off, uint64_t v)
{
	put(off, &v, sizeof(v));
}

static void put_text(size_t off, const char *text, uint32_t cut)
{
	struct event_string s = { .len = (uint32_t)strlen(text), .cut = cut };

	put(off, &s, sizeof(s));
	put(off + sizeof(s), text, s.len + 1);
}

static int reset(void **state)
{
	memset(&e, 0, sizeof(e));
	e.ev.flags = EVENT_RETURN;
	return 0;
}

static void unpack(const struct buf *b, msgpack_unpacked *u)
{
	msgpack_unpacked_init(u);
	assert_int_equal(msgpack_unpack_next(u, b->data, b->len, NULL), MSGPACK_UNPACK_SUCCESS);
}

/* "a=1 b=..." as the receiver would print the record. */
static const char *shown(struct layout *l)
{
	static struct buf text;
	struct buf fields = { 0 }, record = { 0 };
	msgpack_unpacked uf, ur;
	struct shape *s;

	assert_int_equal(layout_check(l, sizeof(e.data), NULL), 0);
	layout_pack_fields(l, &fields);
	last_unread = decode_event(l, &e.ev, 0, &record);
	assert_true(record.len <= 5 + 6 * 9 + l->record_max); /* its head, and the room that was kept for its values */
	unpack(&fields, &uf);
	unpack(&record, &ur);
	assert_int_equal(ur.data.via.array.size, 6 + uf.data.via.array.size);
	buf_clear(&text);
	for (uint32_t i = 0; i < uf.data.via.array.size; i++) {
		const msgpack_object *field = uf.data.via.array.ptr[i].via.array.ptr;

		assert_int_equal(shape_unpack(&field[2], &s, NULL), 0);
		buf_printf(&text, "%s%.*s=", i ? " " : "", (int)field[0].via.str.size, field[0].via.str.ptr);
		shape_print(s, &ur.data.via.array.ptr[6 + i], &text);
		shape_free(s);
	}
	msgpack_unpacked_destroy(&uf);
	msgpack_unpacked_destroy(&ur);
	buf_free(&fields);
	buf_free(&record);
	layout_free(l);
	return buf_text(&text);
}

static void test_integers(void **state)
{
	static const struct { uint8_t kind; uint32_t size; uint64_t bytes; const char *text; } cases[] = {
		{ SHAPE_INT, 1, 0xff80, "a=-128" }, { SHAPE_INT, 2, 0x8000, "a=-32768" }, { SHAPE_INT, 4, 0xfffffffe, "a=-2" },
		{ SHAPE_INT, 8, 1ULL << 63, "a=-9223372036854775808" }, { SHAPE_INT, 4, 0x1ffffffff, "a=-1" },
		{ SHAPE_UINT, 1, 0xff80, "a=128" }, { SHAPE_UINT, 2, 0x18000, "a=32768" },
		{ SHAPE_UINT, 8, UINT64_MAX, "a=18446744073709551615" }, { SHAPE_INT, 3, 0xff800000, "a=-8388608" },
		{ SHAPE_UINT, 3, 0xffffffff, "a=16777215" }, { SHAPE_BOOL, 1, 1, "a=true" }, { SHAPE_BOOL, 1, 0x100, "a=false" },
		{ SHAPE_CHAR, 1, 'x', "a='x'" }, { SHAPE_POINTER, 8, 0, "a=NULL" }, { SHAPE_POINTER, 8, 0x7f1234, "a=0x7f1234" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct layout l = { 0 };

		put_u64(8, cases[i].bytes);
		add(&l, cases[i].kind, "a", 8, cases[i].size);
		assert_string_equal(shown(&l), cases[i].text);
	}
}

static void test_char_signs(void **state)
{
	struct layout l = { 0 };

	put_u64(0, 0xff);
	add(&l, SHAPE_CHAR, "s", 0, 1)->is_signed = 1;
	add(&l, SHAPE_CHAR, "u", 0, 1);
	assert_string_equal(shown(&l), "s=-1 u=255");
}

static void test_bit_fields(void **state)
{
	static const struct { uint8_t offset, size, bytes; bool is_signed; uint64_t value; const char *text; } cases[] = {
		{ 3, 10, 2, false, 0x1ff8, "a=1023" }, { 3, 10, 2, true, 0x1ff8, "a=-1" }, { 7, 2, 2, false, 0x180, "a=3" },
		{ 7, 2, 2, true, 0x100, "a=-2" }, { 0, 1, 1, true, 1, "a=-1" }, { 0, 1, 1, false, 1, "a=1" },
		{ 0, 64, 8, false, UINT64_MAX, "a=18446744073709551615" }, { 0, 64, 8, true, UINT64_MAX, "a=-1" },
		{ 4, 60, 8, true, 1ULL << 63, "a=-576460752303423488" }, { 13, 5, 3, true, 0x1e000, "a=15" },
		{ 13, 5, 3, true, 0x3e000, "a=-1" }, { 63, 1, 8, false, 1ULL << 63, "a=1" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct layout l = { 0 };
		struct layout_node *n = add(&l, cases[i].is_signed ? SHAPE_INT : SHAPE_UINT, "a", 1, cases[i].bytes);

		put_u64(1, cases[i].value);
		n->bit_offset = cases[i].offset;
		n->bit_size = cases[i].size;
		assert_string_equal(shown(&l), cases[i].text);
	}
}

static void test_enums(void **state)
{
	struct layout l = { 0 };
	struct layout_node *n;

	layout_add_enum(&l, -2, "LOW");
	layout_add_enum(&l, 5, "HIGH");
	layout_add_enum(&l, 0xffffffff, "ALL");
	put_u64(0, 0xfffffffe);
	put_u64(8, 5);
	put_u64(16, 0xffffffff);
	for (int i = 0; i < 4; i++) {
		const char name[] = { (char)('a' + i), '\0' };

		n = add(&l, SHAPE_ENUM, name, i < 3 ? 8 * (uint32_t)i : 0, 4);
		n->n_enums = 3;
		n->is_signed = i == 0;
	}
	assert_string_equal(shown(&l), "a=LOW b=HIGH c=ALL d=4294967294");
}

static void test_floats(void **state)
{
	struct layout l = { 0 };
	long double x = -2.5L;
	double d = 0.1, inf = INFINITY;
	float f = 0.5f;

	put(0, &f, sizeof(f));
	put(9, &d, sizeof(d));
	put(32, &x, sizeof(x));
	put(48, &inf, sizeof(inf));
	add(&l, SHAPE_FLOAT, "f", 0, 4);
	add(&l, SHAPE_FLOAT, "d", 9, 8);
	add(&l, SHAPE_FLOAT, "x", 32, 16);
	add(&l, SHAPE_FLOAT, "i", 48, 8);
	assert_string_equal(shown(&l), "f=0.5 d=0.1 x=-2.5 i=inf");
}

static void in_place(struct layout *l, const char *name, uint32_t off, uint32_t size, uint32_t total)
{
	struct layout_node *n = add(l, SHAPE_STRING, name, off, size);

	n->in_place = 1;
	n->total = total;
}

static void test_texts(void **state)
{
	struct layout l = { 0 };

	put_text(0, "bob", 0);
	put_text(16, "long", 1);
	put(40, "abcd\0ef\x80", 8);
	add(&l, SHAPE_STRING, "a", 0, 16);
	add(&l, SHAPE_STRING, "b", 16, 16);
	in_place(&l, "ends", 40, 8, 8);
	in_place(&l, "full", 40, 4, 4);
	in_place(&l, "cut", 40, 3, 8);
	in_place(&l, "bytes", 45, 3, 3);
	assert_string_equal(shown(&l), "a=\"bob\" b=\"long\"... ends=\"abcd\" full=\"abcd\" cut=\"abc\"... bytes=\"ef\\x80\"");
}

/* A length from the event is not believed beyond the room that the text has; no alignment is taken for granted. */
static void test_text_lengths(void **state)
{
	struct event_string s = { .len = UINT32_MAX };
	struct layout l = { 0 };

	put(3, &s, sizeof(s));
	put(11, "xyz", 3);
	add(&l, SHAPE_STRING, "a", 3, sizeof(s) + 3);
	assert_string_equal(shown(&l), "a=\"xyz\"");
}

static void test_pointers(void **state)
{
	struct layout l = { 0 };
	struct layout_node *n;

	put_u64(0, 0x1000);
	put_u64(8, 42);
	put_u64(16, 0x2000);
	put_text(24, "bob", 0);
	put_u64(40, 0);
	add(&l, SHAPE_POINTER, "o", 0, 8)->bit = 0;
	add(&l, SHAPE_STRUCT, "s", 8, 16)->bit = 1;
	add(&l, SHAPE_INT, "id", 8, 4);
	add(&l, SHAPE_POINTER, "name", 16, 8)->bit = 1;
	n = add(&l, SHAPE_STRING, "text", 24, 16);
	n->bit = 2;
	end(&l, "name");
	add(&l, SHAPE_POINTER, "next", 40, 8);
	end(&l, "s");
	end(&l, "o");
	assert_string_equal(shown(&l), "o={id=42, name=\"bob\", next=NULL}");
	assert_int_equal(last_unread, 0);
}

static void followed(struct layout *l)
{
	memset(l, 0, sizeof(*l));
	add(l, SHAPE_POINTER, "p", 0, 8)->bit = 0;
	add(l, SHAPE_STRUCT, "s", 8, 8)->bit = 63;
	add(l, SHAPE_INT, "x", 8, 4)->bit = 63;
	end(l, "s");
	end(l, "p");
	add(l, SHAPE_INT, "y", 16, 4)->bit = 5;
}

static void test_unread(void **state)
{
	struct layout l;

	put_u64(0, 0xdead);
	followed(&l);
	e.ev.unread = 1ULL << 63;
	assert_string_equal(shown(&l), "p=0xdead <unread> y=0");
	assert_int_equal(last_unread, 1);
	followed(&l);
	e.ev.unread = 1ULL << 5 | 1;
	assert_string_equal(shown(&l), "p=<unread> y=<unread>");
	assert_int_equal(last_unread, 2);
	/* Behind NULL nothing was expected, so nothing is missed. */
	put_u64(0, 0);
	followed(&l);
	e.ev.unread = 1ULL << 63;
	assert_string_equal(shown(&l), "p=NULL y=0");
	assert_int_equal(last_unread, 0);
	followed(&l);
	e.ev.unread = UINT64_MAX;
	l.node[3].bit = l.node[0].bit = LAYOUT_BIT_NONE;
	assert_string_equal(shown(&l), "p=NULL y=0");
}

static void test_arrays(void **state)
{
	struct layout l = { 0 };
	struct layout_node *n;
	uint32_t cells[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

	put(16, cells, sizeof(cells));
	add_array(&l, "rows", 16, 48, 3, 3);
	add_array(&l, "row", 0, 16, 2, 4); /* two of four are shown: the step to the next row stays 16 */
	add(&l, SHAPE_INT, "cell", 0, 4);
	end(&l, "row");
	end(&l, "rows");
	add_array(&l, "pairs", 16, 16, 2, 9);
	add(&l, SHAPE_STRUCT, "pair", 0, 8);
	add(&l, SHAPE_UINT, "x", 0, 4);
	n = add(&l, SHAPE_UINT, "low", 4, 1);
	n->bit_offset = 1;
	n->bit_size = 2;
	end(&l, "pair");
	end(&l, "pairs");
	add_array(&l, "texts", 16, 8, 2, 2);
	in_place(&l, "", 0, 4, 4);
	end(&l, "texts");
	add_array(&l, "none", 16, 0, 0, 5);
	add(&l, SHAPE_INT, "cell", 0, 4);
	end(&l, "none");
	assert_string_equal(shown(&l), "rows=[[1, 2, ...], [5, 6, ...], [9, 10, ...]] pairs=[{x=1, low=1}, {x=3, low=2}, ...] "
			    "texts=[\"\\x01\", \"\\x02\"] none=[...]");
}

static void test_returns(void **state)
{
	struct layout l = { 0 };

	e.ev.ret[0] = 0xffffffff00000007;
	e.ev.ret[1] = 9;
	add(&l, SHAPE_STRUCT, "$ret", 0, 16)->base = BASE_RET;
	add(&l, SHAPE_INT, "a", 0, 4)->base = BASE_RET;
	add(&l, SHAPE_INT, "b", 4, 4)->base = BASE_RET;
	add(&l, SHAPE_UINT, "c", 8, 8)->base = BASE_RET;
	end(&l, "$ret");
	l.node[0].role = ROLE_RETURN;
	assert_string_equal(shown(&l), "$ret={a=7, b=-1, c=9}");
}

static void test_role_return(void **state)
{
	struct layout l = { 0 };

	e.ev.flags = 0;
	add(&l, SHAPE_INT, "a", 0, 4);
	add(&l, SHAPE_INT, "$ret", 0, 4)->role = ROLE_RETURN;
	assert_string_equal(shown(&l), "a=0 $ret=<unread>");
	assert_int_equal(last_unread, 0);
}

static void test_unreadable(void **state)
{
	struct layout l = { 0 };
	struct layout_node *n = add(&l, SHAPE_UNREADABLE, "f", 0, 0);

	n->reason = layout_string(&l, "in an SSE register");
	assert_int_equal(decode_unreadable(&l), 1);
	assert_string_equal(shown(&l), "f=<in an SSE register>");
}

static void test_head(void **state)
{
	struct layout l = { 0 };
	struct buf out = { 0 };
	msgpack_unpacked u;
	const msgpack_object *v;

	e.ev = (struct event){ .probe = 7, .flags = EVENT_RETURN | EVENT_ERROR, .pid = 11, .tid = 12, .ts_ns = 900,
			       .duration_ns = 1ULL << 40 };
	decode_event(&l, &e.ev, 1000, &out);
	unpack(&out, &u);
	v = u.data.via.array.ptr;
	assert_int_equal(u.data.via.array.size, 6);
	assert_int_equal(v[0].via.u64, 7);
	assert_int_equal(v[1].via.i64, -100); /* the chunk's base is another event, which may have begun later */
	assert_int_equal(v[2].via.u64, 11);
	assert_int_equal(v[3].via.u64, 12);
	assert_int_equal(v[4].via.u64, EVENT_RETURN | EVENT_ERROR);
	assert_int_equal(v[5].via.u64, 1ULL << 40);
	msgpack_unpacked_destroy(&u);
	buf_free(&out);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, reset)
	const struct CMUnitTest tests[] = {
		TEST(test_integers), TEST(test_char_signs), TEST(test_bit_fields), TEST(test_enums), TEST(test_floats),
		TEST(test_texts), TEST(test_text_lengths), TEST(test_pointers), TEST(test_unread), TEST(test_arrays),
		TEST(test_returns), TEST(test_role_return), TEST(test_unreadable), TEST(test_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
