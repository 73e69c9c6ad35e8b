/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

static void put_frame(struct buf *b, const void *body, size_t len)
{
	unsigned char head[4] = { (unsigned char)(len >> 24), (unsigned char)(len >> 16), (unsigned char)(len >> 8),
		(unsigned char)len };

	buf_add(b, head, 4);
	buf_add(b, body, len);
}

static int take(const void *body, size_t len)
{
	struct buf b = { 0 };
	struct frame_in in;
	struct error err = { 0 };
	int rc;

	put_frame(&b, body, len);
	rc = frame_take(b.data, b.len, &in, &err);
	if (rc > 0)
		frame_in_free(&in);
	else if (rc < 0)
		assert_string_not_equal(err.text, "");
	buf_free(&b);
	return rc;
}

static void test_round_trip(void **state)
{
	struct buf b = { 0 };
	struct frame f;
	struct frame_in in;
	uint64_t n;
	int64_t i;
	bool flag;
	char *text, cut[4];
	int used;

	frame_begin(&f, &b, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, 7);
	pack_text(&f.pk, "trace");
	msgpack_pack_map(&f.pk, 4);
	pack_key_u64(&f.pk, "limit", 1ULL << 63);
	pack_key_text(&f.pk, "error", NULL);
	pack_key(&f.pk, "errors");
	msgpack_pack_true(&f.pk);
	pack_key(&f.pk, "delta");
	msgpack_pack_int64(&f.pk, -22);
	assert_int_equal(frame_end(&f), 0);

	for (size_t len = 0; len < b.len; len++)
		assert_int_equal(frame_take(b.data, len, &in, NULL), 0);
	used = frame_take(b.data, b.len, &in, NULL);
	assert_int_equal(used, b.len);
	memset(b.data, 0xff, b.len);   /* the frame owns its memory */
	assert_int_equal(in.type, WIRE_REQUEST);
	assert_int_equal(in.count, 4);
	assert_true(object_u64(&in.items[1], &n));
	assert_int_equal(n, 7);
	text = object_text(&in.items[2], 64);
	assert_string_equal(text, "trace");
	free(text);
	assert_null(object_text(&in.items[2], 4));
	object_copy_text(cut, sizeof(cut), &in.items[2]);
	assert_int_equal(strlen(cut), sizeof(cut) - 1);
	assert_memory_equal(cut, in.items[2].via.str.ptr, sizeof(cut) - 1);
	object_copy_text(cut, sizeof(cut), &in.items[1]);   /* a number */
	assert_string_equal(cut, "");
	object_copy_text(cut, sizeof(cut), NULL);
	assert_string_equal(cut, "");
	assert_true(object_u64(map_get(&in.items[3], "limit"), &n));
	assert_true(n == 1ULL << 63);
	assert_false(object_i64(map_get(&in.items[3], "limit"), &i));
	assert_true(object_i64(map_get(&in.items[3], "delta"), &i));
	assert_int_equal(i, -22);
	assert_false(object_u64(map_get(&in.items[3], "delta"), &n));
	assert_true(object_bool(map_get(&in.items[3], "errors"), &flag));
	assert_true(flag);
	assert_null(map_get(&in.items[3], "limi"));
	assert_null(map_get(&in.items[1], "limit"));
	assert_false(object_u64(NULL, &n));
	frame_in_free(&in);
	buf_free(&b);
}

static void test_two_frames_in_a_row(void **state)
{
	struct buf b = { 0 };
	struct frame_in in;

	put_frame(&b, "\x92\x08\x01", 3);
	put_frame(&b, "\x92\x03\x01", 3);
	assert_int_equal(frame_take(b.data, b.len, &in, NULL), 7);
	assert_int_equal(in.type, WIRE_END);
	frame_in_free(&in);
	assert_int_equal(frame_take(b.data + 7, b.len - 7, &in, NULL), 7);
	assert_int_equal(in.type, WIRE_REPLY);
	frame_in_free(&in);
	buf_free(&b);
}

static void test_text_with_nul_is_refused(void **state)
{
	struct buf b = { 0 };
	struct frame_in in;

	put_frame(&b, "\x92\x02\xa3" "a\0b", 6);
	assert_true(frame_take(b.data, b.len, &in, NULL) > 0);
	assert_null(object_text(&in.items[1], 100));
	frame_in_free(&in);
	buf_free(&b);
}

static void test_bad_lengths(void **state)
{
	struct frame_in in;
	struct error err = { 0 };

	assert_int_equal(frame_take("\0\0\0\0", 4, &in, &err), -EPROTO);
	assert_int_equal(frame_take("\0\x10\0\x01", 4, &in, &err), -EPROTO);
	assert_int_equal(frame_take("\xff\xff\xff\xff", 4, &in, &err), -EPROTO);
	assert_int_equal(frame_take("\0\x10\0\0", 4, &in, &err), 0);
}

static void test_bad_bodies(void **state)
{
	static const struct { const char *bytes; size_t len; } bad[] = {
		{ "\x05", 1 },                      /* not an array */
		{ "\x90", 1 },                      /* no type */
		{ "\x91\xff", 2 },                  /* negative type */
		{ "\x91\x11", 2 },                  /* unknown type */
		{ "\x91\xa1x", 3 },                 /* a text as type */
		{ "\x91\xc1", 2 },                  /* the byte that msgpack never uses */
		{ "\x92\x01", 2 },                  /* ends early */
		{ "\x91\x01\x01", 3 },              /* more than one object */
		{ "\x92\x01\xdb\xff\xff\xff\xff", 7 },
		{ "\x92\x01\xc9\xff\xff\xff\xff\x01", 8 },
		{ "\x92\x01\xdd\xff\xff\xff\xff\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01", 19 },
		{ "\x92\x01\xdf\xff\xff\xff\xff\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01", 19 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(take(bad[i].bytes, bad[i].len), -EPROTO);
}

/* Nested arrays that promise the rest of the frame each cost nothing either. */
static void test_lying_counts_do_not_allocate(void **state)
{
	struct mallinfo2 before, after;
	struct buf b = { 0 };
	struct frame_in in;

	for (int i = 0; i < 30; i++)
		buf_add(&b, "\xdd\x00\x0f\xff\xff", 5);
	while (b.len < WIRE_FRAME_MAX)
		buf_char(&b, 1);
	struct buf whole = { 0 };

	put_frame(&whole, b.data, b.len);
	before = mallinfo2();
	assert_int_equal(frame_take(whole.data, whole.len, &in, NULL), -EPROTO);
	after = mallinfo2();
	assert_true(after.arena + after.hblkhd <= before.arena + before.hblkhd + 65536);
	buf_free(&whole);
	buf_free(&b);
}

static int take_nested(int depth)
{
	char body[80];
	size_t n = 0;

	body[n++] = '\x92';
	body[n++] = 1;
	for (int i = 1; i < depth; i++)
		body[n++] = '\x91';
	body[n++] = 1;
	return take(body, n);
}

static void test_depth(void **state)
{
	assert_true(take_nested(FRAME_DEPTH_MAX) > 0);
	assert_int_equal(take_nested(FRAME_DEPTH_MAX + 1), -EPROTO);
}

/* Every first byte, followed by zeros and by ones: read as msgpack-c reads it. */
static ssize_t compare_with_msgpack(const unsigned char *body, size_t len)
{
	msgpack_unpacked u;
	msgpack_zone zone;
	msgpack_object mine;
	size_t off = 0;
	ssize_t n;
	int rc;

	assert_true(msgpack_zone_init(&zone, 8192));
	n = pack_take(body, len, &zone, &mine);
	msgpack_unpacked_init(&u);
	if (n > 0) {   /* msgpack-c would allocate what a lying count asks for */
		rc = msgpack_unpack_next(&u, (const char *)body, len, &off);
		assert_true(rc == MSGPACK_UNPACK_SUCCESS || rc == MSGPACK_UNPACK_EXTRA_BYTES);
		assert_int_equal(n, off);
		assert_int_equal(n, pack_measure(body, len));
		assert_int_equal(mine.type, u.data.type);
		assert_true(msgpack_object_equal(mine, u.data));
	}
	msgpack_unpacked_destroy(&u);
	msgpack_zone_destroy(&zone);
	return n;
}

static void test_reads_as_msgpack_does(void **state)
{
	static const unsigned char fills[] = { 0, 1, 0x40, 0x81, 0xf0 };
	unsigned char body[600];
	int taken = 0;

	for (size_t f = 0; f < sizeof(fills); f++) {
		for (int lead = 0; lead < 256; lead++) {
			memset(body, fills[f], sizeof(body));
			body[0] = (unsigned char)lead;
			taken += compare_with_msgpack(body, sizeof(body)) > 0;
		}
	}
	assert_in_range(taken, 5 * 240, 5 * 255);
	compare_with_msgpack((const unsigned char *)"\x82\xa1" "a\x92\xcb\x3f\xf8\0\0\0\0\0\0\xd0\x80\xa1" "b\x80", 16);
}

static void test_too_large_leaves_nothing(void **state)
{
	struct buf b = { 0 };
	struct frame f;
	char *big = calloc(1, WIRE_FRAME_MAX);

	buf_str(&b, "kept");
	frame_begin(&f, &b, WIRE_CHUNK, 2);
	msgpack_pack_bin(&f.pk, WIRE_FRAME_MAX);
	msgpack_pack_bin_body(&f.pk, big, WIRE_FRAME_MAX);
	assert_int_equal(frame_end(&f), -EMSGSIZE);
	assert_string_equal(buf_text(&b), "kept");
	free(big);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_two_frames_in_a_row),
		cmocka_unit_test(test_text_with_nul_is_refused),
		cmocka_unit_test(test_bad_lengths),
		cmocka_unit_test(test_bad_bodies),
		cmocka_unit_test(test_lying_counts_do_not_allocate),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_reads_as_msgpack_does),
		cmocka_unit_test(test_too_large_leaves_nothing),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
