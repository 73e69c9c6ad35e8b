/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "shape.h"
#include "text.h"

/*
 * Shapes and values are written in a small notation, packed here: 123 -5 integers, 'text' str, "text" bin (with \xNN),
 * [ ] arrays, n nil, t f booleans, 1.5d double, 1.5s single.
 */
static const char *pack_one(msgpack_packer *pk, const char *p);

static unsigned count_items(const char *p)
{
	struct buf scratch = { 0 };
	msgpack_packer pk;
	unsigned n = 0;

	pack_into(&pk, &scratch);
	for (p += strspn(p, " ,"); *p != ']'; p += strspn(p, " ,"), n++)
		p = pack_one(&pk, p);
	buf_free(&scratch);
	return n;
}

static const char *pack_array(msgpack_packer *pk, const char *p)
{
	msgpack_pack_array(pk, count_items(p));
	for (p += strspn(p, " ,"); *p != ']'; p += strspn(p, " ,"))
		p = pack_one(pk, p);
	return p + 1;
}

static const char *pack_quoted(msgpack_packer *pk, const char *p, char quote)
{
	struct buf b = { 0 };

	for (; *p != quote; p++) {
		if (p[0] == '\\' && p[1] == 'x') {
			char hex[3] = { p[2], p[3], 0 };

			buf_char(&b, (char)strtol(hex, NULL, 16));
			p += 3;
		} else {
			buf_char(&b, *p);
		}
	}
	if (quote == '"') {
		msgpack_pack_bin(pk, b.len);
		msgpack_pack_bin_body(pk, buf_text(&b), b.len);
	} else {
		msgpack_pack_str(pk, b.len);
		msgpack_pack_str_body(pk, buf_text(&b), b.len);
	}
	buf_free(&b);
	return p + 1;
}

static const char *pack_number(msgpack_packer *pk, const char *p)
{
	size_t len = strspn(p, "0123456789.-+einfa");
	char *end;

	if (p[len] == 'd')
		msgpack_pack_double(pk, strtod(p, &end));
	else if (p[len] == 's')
		msgpack_pack_float(pk, strtof(p, &end));
	else if (p[0] == '-')
		msgpack_pack_int64(pk, strtoll(p, &end, 10));
	else
		msgpack_pack_uint64(pk, strtoull(p, &end, 10));
	return end + (*end == 'd' || *end == 's');
}

static const char *pack_one(msgpack_packer *pk, const char *p)
{
	switch (*p) {
	case '[':
		return pack_array(pk, p + 1);
	case '"':
	case '\'':
		return pack_quoted(pk, p + 1, *p);
	case 'n':
		if (strncmp(p, "nan", 3) == 0)
			return pack_number(pk, p);
		msgpack_pack_nil(pk);
		return p + 1;
	case 't':
		msgpack_pack_true(pk);
		return p + 1;
	case 'f':
		msgpack_pack_false(pk);
		return p + 1;
	default:
		return pack_number(pk, p);
	}
}

static void parse(const char *text, msgpack_unpacked *u)
{
	struct buf b = { 0 };
	msgpack_packer pk;
	size_t off = 0;

	pack_into(&pk, &b);
	pack_one(&pk, text);
	msgpack_unpacked_init(u);
	u->zone = msgpack_zone_new(8192);
	char *copy = msgpack_zone_malloc_no_align(u->zone, b.len);

	memcpy(copy, b.data, b.len);
	assert_int_equal(msgpack_unpack(copy, b.len, &off, u->zone, &u->data), MSGPACK_UNPACK_SUCCESS);
	buf_free(&b);
}

/* A long value goes as '...' so that a table row stays readable. */
static void check(const char *shape, const char *value, const char *text, const char *json)
{
	msgpack_unpacked us, uv;
	struct buf out = { 0 };
	struct shape *s;
	json_error_t je;
	json_t *doc;

	parse(shape, &us);
	parse(value, &uv);
	assert_int_equal(shape_unpack(&us.data, &s, NULL), 0);
	shape_print(s, &uv.data, &out);
	assert_string_equal(buf_text(&out), text);
	buf_clear(&out);
	shape_json(s, &uv.data, &out);
	assert_string_equal(buf_text(&out), json);
	doc = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
	if (!strchr(json, '.') && strlen(json) < 19)   /* jansson has no integers beyond 2^63 */
		assert_non_null(doc);
	json_decref(doc);
	shape_free(s);
	buf_free(&out);
	msgpack_unpacked_destroy(&us);
	msgpack_unpacked_destroy(&uv);
}

#define ORDER "[8,'struct order',[['id',[1,'unsigned int',n]],['qty',[0,'int',n]],['user',[8,'struct user',[['name',[6,'char *',n]]]]]]]"

static void test_the_documented_example(void **state)
{
	check("[7,'struct order *'," ORDER "]", "[140000,[42,0,[[\"bob\",f]]]]", "{id=42, qty=0, user={name=\"bob\"}}",
	      "{\"id\":42,\"qty\":0,\"user\":{\"name\":\"bob\"}}");
}

static void test_scalars(void **state)
{
	check("[0,'int',n]", "-22", "-22", "-22");
	check("[0,'long',n]", "-9223372036854775808", "-9223372036854775808", "-9223372036854775808");
	check("[1,'unsigned long',n]", "18446744073709551615", "18446744073709551615", "18446744073709551615");
	check("[2,'char',n]", "97", "'a'", "97");
	check("[2,'char',n]", "39", "'\\''", "39");
	check("[2,'char',n]", "27", "'\\x1b'", "27");
	check("[2,'char',n]", "-3", "-3", "-3");
	check("[2,'uint8_t',n]", "97", "97", "97");
	check("[3,'bool',n]", "t", "true", "true");
	check("[3,'bool',n]", "7", "7", "7");
	check("[4,'double',n]", "0.1d", "0.1", "0.1");
	check("[4,'double',n]", "0.1234567890123456789d", "0.12345678901234568", "0.12345678901234568");
	check("[4,'float',n]", "0.1s", "0.1", "0.1");
	check("[4,'double',n]", "nand", "nan", "\"nan\"");
	check("[4,'double',n]", "-infd", "-inf", "\"-inf\"");
	check("[5,'enum state',[[0,'NEW'],[-1,'GONE']]]", "-1", "GONE", "\"GONE\"");
	check("[5,'enum state',[[0,'NEW'],[-1,'GONE']]]", "6", "6", "6");
	check("[11,'',n]", "\"\\x00\\xff\"", "<00 ff>", "\"00ff\"");
	check("[12,'int','in an SSE register']", "n", "<in an SSE register>", "{\"unreadable\":\"in an SSE register\"}");
}

static void test_pointers(void **state)
{
	check("[7,'void *',n]", "0", "NULL", "\"0x0\"");
	check("[7,'void *',n]", "255", "0xff", "\"0xff\"");
	check("[7,'int *',[0,'int',n]]", "[0,n]", "NULL", "\"0x0\"");
	check("[7,'int *',[0,'int',n]]", "[255,n]", "0xff <unread>", "null");
	check("[7,'int *',[0,'int',n]]", "[255,5]", "5", "5");
	check("[7,'int *',[0,'int',n]]", "255", "0xff", "\"0xff\"");
	check("[7,'int *',n]", "[255,5]", "<malformed>", "{\"unreadable\":\"malformed\"}");
}

static void test_arrays_and_unions(void **state)
{
	check("[10,'int[3]',[3,[0,'int',n]]]", "[1,2,3]", "[1, 2, 3]", "[1,2,3]");
	check("[10,'int[9]',[9,[0,'int',n]]]", "[1,n]", "[1, <unread>, ...]", "[1,null]");
	check("[10,'int[9]',[9,[0,'int',n]]]", "[]", "[...]", "[]");
	check("[10,'int[0]',[0,[0,'int',n]]]", "[]", "[]", "[]");
	check("[9,'union u',[['a',[0,'int',n]],['',[0,'int',n]]]]", "[1,2]", "{a=1, 2}", "{\"a\":1,\"_1\":2}");
}

static void test_values_that_do_not_fit(void **state)
{
	static const char *const m = "<malformed>", *const j = "{\"unreadable\":\"malformed\"}";

	check("[0,'int',n]", "'x'", m, j);
	check("[1,'unsigned',n]", "-1", m, j);
	check("[4,'double',n]", "1", m, j);
	check("[5,'enum e',[]]", "[]", m, j);
	check("[6,'char *',n]", "'str'", m, j);
	check("[6,'char *',n]", "[\"a\"]", m, j);
	check("[6,'char *',n]", "[\"a\",1]", m, j);
	check("[7,'void *',n]", "-1", m, j);
	check("[8,'struct s',[['a',[0,'int',n]]]]", "[1,2]", m, j);
	check("[8,'struct s',[['a',[0,'int',n]]]]", "1", m, j);
	check("[10,'int[1]',[1,[0,'int',n]]]", "[1,2]", m, j);
	check("[11,'',n]", "1", m, j);
	check("[0,'int',n]", "n", "<unread>", "null");
}

static void test_hostile_text(void **state)
{
	check("[6,'',n]", "[\"\\x1b[2J\\x07\",f]", "\"\\x1b[2J\\x07\"", "\"\\u001b[2J\\u0007\"");
	check("[6,'',n]", "[\"a\\x22\\x5cb\\x0a\",t]", "\"a\\\"\\\\b\\x0a\"...", "\"a\\\"\\\\b\\n\xe2\x80\xa6\"");
	check("[6,'',n]", "[\"a\\x00b\",f]", "\"a\\x00b\"", "\"a\\u0000b\"");
	check("[6,'',n]", "[\"gr\\xc3\\xbc\\xc3\\x9fe\",f]", "\"gr\xc3\xbc\xc3\x9f" "e\"", "\"gr\xc3\xbc\xc3\x9f" "e\"");
	check("[6,'',n]", "[\"\\xff\\xc3\",f]", "\"\\xff\\xc3\"", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	check("[6,'',n]", "[\"\\xc2\\x9b\",f]", "\"\\xc2\\x9b\"", "\"\\u009b\"");             /* C1 CSI */
	check("[6,'',n]", "[\"\\xe2\\x80\\xae\",f]", "\"\\xe2\\x80\\xae\"", "\"\\u202e\"");  /* right-to-left override */
	check("[6,'',n]", "[\"\\xc0\\xaf\",f]", "\"\\xc0\\xaf\"", "\"\xef\xbf\xbd\xef\xbf\xbd\"");   /* overlong */
	check("[6,'',n]", "[\"\\xed\\xa0\\x80\",f]", "\"\\xed\\xa0\\x80\"", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	check("[6,'',n]", "[\"\\xf3\\xa0\\x81\\x81\",f]", "\"\\xf3\\xa0\\x81\\x81\"", "\"\\udb40\\udc41\"");
	check("[8,'s',[['a\\x1b[m\"',[0,'int',n]]]]", "[1]", "{a\\x1b[m\"=1}", "{\"a\\\\x1b[m\\\"\":1}");
	check("[12,'int','\\x1b[m']", "n", "<\\x1b[m>", "{\"unreadable\":\"\\\\x1b[m\"}");
}

static int unpack(const char *text)
{
	struct error err = { 0 };
	msgpack_unpacked u;
	struct shape *s;
	int rc;

	parse(text, &u);
	rc = shape_unpack(&u.data, &s, &err);
	assert_true((rc == 0) == (s != NULL));
	assert_true((rc == 0) == (err.text[0] == '\0'));
	shape_free(s);
	msgpack_unpacked_destroy(&u);
	return rc;
}

static void test_malformed_shapes(void **state)
{
	static const char *const bad[] = {
		"1", "[]", "[0,'int']", "[13,'int',n]", "[-1,'int',n]", "['0','int',n]", "[0,5,n]", "[0,'a\\x00b',n]",
		"[8,'s',n]", "[8,'s',[1]]", "[8,'s',[['a']]]", "[8,'s',[[1,[0,'',n]]]]", "[8,'s',[['a',[0,'',n]],['b',1]]]",
		"[10,'a',n]", "[10,'a',[1]]", "[10,'a',[-1,[0,'',n]]]", "[10,'a',[1,n]]", "[7,'p',1]", "[5,'e',[['A',0]]]",
		"[5,'e',[[1.5d,'A']]]", "[12,'int',n]",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(unpack(bad[i]), -EPROTO);
}

static void test_depth_is_bounded(void **state)
{
	for (int depth = SHAPE_DEPTH_MAX; depth <= SHAPE_DEPTH_MAX + 1; depth++) {
		struct buf b = { 0 };

		for (int i = 1; i < depth; i++)
			buf_str(&b, "[7,'',");
		buf_str(&b, "[0,'',n]");
		for (int i = 1; i < depth; i++)
			buf_char(&b, ']');
		assert_int_equal(unpack(b.data), depth <= SHAPE_DEPTH_MAX ? 0 : -EPROTO);
		buf_free(&b);
	}
}

static void test_member_count_is_bounded(void **state)
{
	struct buf b = { 0 };

	buf_str(&b, "[5,'e',[");
	for (int i = 0; i <= SHAPE_CHILDREN_MAX; i++)
		buf_str(&b, "[1,'A'],");
	buf_str(&b, "]]");
	assert_int_equal(unpack(b.data), -EPROTO);
	buf_free(&b);
}

static void test_columns(void **state)
{
	assert_int_equal(utf8_columns('a'), 1);
	assert_int_equal(utf8_columns(0x301), 0);
	assert_int_equal(utf8_columns(0x4e2d), 2);
	assert_int_equal(utf8_columns(0x2026), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_documented_example),
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_arrays_and_unions),
		cmocka_unit_test(test_values_that_do_not_fit),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_malformed_shapes),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_member_count_is_bounded),
		cmocka_unit_test(test_columns),
	};

	return cmocka_run_group_tests_name("shape", tests, NULL, NULL);
}
