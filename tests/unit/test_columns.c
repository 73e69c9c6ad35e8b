/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "deflate.h"
#include "frame.h"
#include "inflate.h"
#include "plumb/wire.h"

static uint64_t state = 88172645463325252ULL;

static uint64_t chance(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Time, process, thread; `elements` more will follow. */
static void begin(struct buf *b, msgpack_packer *pk, unsigned elements, uint64_t probe)
{
	pack_into(pk, b);
	msgpack_pack_array(pk, 4 + elements);
	msgpack_pack_uint64(pk, probe);
	for (int i = 0; i < 3; i++)
		msgpack_pack_int(pk, i);
}

/* More than any of the records here can be reckoned to take. */
enum { MAX = 4 << 20 };

static int unpack(const struct columns_parts *p, size_t max, struct buf *out)
{
	struct columns_reader *r = columns_reader_new();
	int rc = columns_open(r, p->soft->data, p->soft->len, buf_text(p->hard), p->hard->len, max);

	if (!rc)
		rc = columns_records(r, out);
	columns_reader_free(r);
	return rc;
}

/* There and back: the same bytes. Returns the columns' size. */
static size_t round_trip(const struct buf *records)
{
	struct columns *c = columns_new();
	struct columns_parts p;
	struct buf back = { 0 };
	size_t len;

	for (int again = 0; again < 2; again++) {   /* with memory that was used before */
		assert_int_equal(columns_pack(c, records->data, records->len, &p), 0);
		buf_clear(&back);
		assert_int_equal(unpack(&p, MAX, &back), 0);
		assert_int_equal(back.len, records->len);
		assert_memory_equal(buf_text(&back), buf_text(records), back.len);
	}
	if (records->len)
		assert_int_equal(unpack(&p, records->len - 1, &back), -EMSGSIZE);
	len = p.soft->len + p.hard->len;
	buf_free(&back);
	columns_free(c);
	return len;
}

static void test_nothing(void **unused)
{
	struct buf b = { 0 };

	round_trip(&b);
}

static void test_integers_of_all_sizes(void **unused)
{
	static const uint64_t edges[] = { 0, 1, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, 1ULL << 32, INT64_MAX };
	struct buf b = { 0 };
	msgpack_packer pk;

	for (size_t i = 0; i < 11; i++) {
		for (size_t k = 0; k < 11; k++) {
			begin(&b, &pk, 5, 3);
			msgpack_pack_uint64(&pk, edges[i]);
			msgpack_pack_int64(&pk, -(int64_t)edges[k]);
			msgpack_pack_uint64(&pk, edges[i] * 2 + 1);         /* beyond what is signed */
			msgpack_pack_int64(&pk, (i + k) % 2 ? INT64_MIN : INT64_MAX);
			msgpack_pack_uint64(&pk, UINT64_MAX - k);
		}
	}
	round_trip(&b);
	buf_free(&b);
}

/* Negative ones and unsigned ones that no signed type holds, nil, texts, floats, structs: kept as they are. */
static void test_mixed_kinds(void **unused)
{
	struct buf b = { 0 };
	msgpack_packer pk;

	for (int i = 0; i < 300; i++) {
		begin(&b, &pk, i % 3 ? 4 : 19, 70000 + (unsigned)i % 7);
		i % 2 ? msgpack_pack_uint64(&pk, UINT64_MAX) : msgpack_pack_int64(&pk, -1);
		i % 5 ? msgpack_pack_nil(&pk) : msgpack_pack_int(&pk, i);
		msgpack_pack_array(&pk, 2);
		msgpack_pack_bin(&pk, (size_t)i % 40);
		msgpack_pack_bin_body(&pk, "0123456789012345678901234567890123456789", (size_t)i % 40);
		msgpack_pack_false(&pk);
		msgpack_pack_double(&pk, i / 3.0);
		for (int k = 5; i % 3 == 0 && k < 20; k++)
			msgpack_pack_int(&pk, k * i);
	}
	round_trip(&b);
	buf_free(&b);
}

static void typical(struct buf *b, int n)
{
	static const char *const names[] = { "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi" };
	uint64_t at = 0;
	msgpack_packer pk;

	for (int i = 0; i < n; i++) {
		const char *name = names[chance() % 8];

		at += chance() % 4000;
		pack_into(&pk, b);
		msgpack_pack_array(&pk, 9);
		msgpack_pack_int(&pk, 3);
		msgpack_pack_uint64(&pk, at);
		msgpack_pack_uint64(&pk, 28215);
		msgpack_pack_uint64(&pk, 28215 + chance() % 4);
		msgpack_pack_uint64(&pk, 1);
		msgpack_pack_uint64(&pk, 1500 + chance() % 3000);
		msgpack_pack_uint64(&pk, 1000000 + (uint64_t)i);
		msgpack_pack_uint64(&pk, chance() % 10);
		msgpack_pack_array(&pk, 2);
		msgpack_pack_bin(&pk, strlen(name));
		msgpack_pack_bin_body(&pk, name, strlen(name));
		msgpack_pack_false(&pk);
	}
}

/* Two integers and a short text, as they are captured all day: at most 5 bytes a record, against 12 and more row by row. */
static void test_typical_size(void **unused)
{
	enum { RECORDS = 1500 };
	struct buf rows = { 0 }, as_rows = { 0 }, as_columns = { 0 };
	struct deflater *d = deflater_new(1);
	struct inflater *in = inflater_new();
	struct columns *c = columns_new();
	struct columns_parts p;
	const char *back;
	size_t len;

	typical(&rows, RECORDS);
	assert_int_equal(columns_pack(c, rows.data, rows.len, &p), 0);
	assert_int_equal(deflater_run(d, rows.data, rows.len, &as_rows), 0);
	assert_int_equal(deflater_columns(d, &p, &as_columns), 0);
	print_message("bytes per record: %.2f as rows, %.2f as columns\n", (double)as_rows.len / RECORDS, (double)as_columns.len / RECORDS);
	assert_true(as_columns.len <= 5 * RECORDS && as_columns.len < as_rows.len / 2);
	assert_int_equal(inflater_records(in, WIRE_CODEC_COLUMNS, as_columns.data, as_columns.len, MAX, &back, &len), 0);
	assert_int_equal(len, rows.len);
	assert_memory_equal(back, rows.data, rows.len);
	for (size_t cut = 0; cut < as_columns.len; cut++)
		assert_true(inflater_records(in, WIRE_CODEC_COLUMNS, as_columns.data, cut, MAX, &back, &len) < 0);
	columns_free(c);
	deflater_free(d);
	inflater_free(in);
	buf_free(&rows), buf_free(&as_rows), buf_free(&as_columns);
}

/* ---- every way in which integers are written ---- */

/* The i-th value of a column of kind `k`, whose numbers have `bits` bits. */
static uint64_t value_of(unsigned k, unsigned bits, unsigned i, uint64_t before)
{
	uint64_t mask = bits == 64 ? UINT64_MAX : (1ULL << bits) - 1, x = chance() & mask;

	switch (k) {
	case 0: return x;                                              /* random */
	case 1: return before + (x >> 4);                              /* rising */
	case 2: return i % 97 ? x >> bits / 2 : x;                     /* a long tail */
	case 3: return before + 1000 - (i % 50 ? 0 : x);               /* rising with jumps back */
	case 4: return i % 7 * (mask / 7);                             /* a pattern */
	case 5: return mask;                                           /* the same */
	default: return i % 40 ? 0 : x;                                /* mostly nothing */
	}
}

static void test_integers_of_all_widths(void **unused)
{
	static const unsigned lengths[] = { 1, 2, 3, 9, 300, 2000 };

	for (unsigned k = 0; k < 7; k++) {
		for (unsigned bits = 1; bits <= 64; bits++) {
			struct buf b = { 0 };
			msgpack_packer pk;
			uint64_t v = 0;

			for (unsigned i = 0; i < lengths[bits % 6]; i++) {
				v = value_of(k, bits, i, v);
				begin(&b, &pk, 2, 1);
				msgpack_pack_uint64(&pk, v);
				msgpack_pack_int64(&pk, (int64_t)v);
			}
			round_trip(&b);
			buf_free(&b);
		}
	}
}

/* Random bits are not blown up, and what repeats takes next to nothing. */
static void test_random_and_repeated(void **unused)
{
	enum { N = 4000 };
	struct buf random = { 0 }, same = { 0 };
	msgpack_packer pk;

	for (unsigned i = 0; i < N; i++) {
		begin(&random, &pk, 1, 1);
		msgpack_pack_uint64(&pk, 77000 + (chance() & 0xfff));
		begin(&same, &pk, 2, 1);
		msgpack_pack_uint64(&pk, 1ULL << 40);
		msgpack_pack_nil(&pk);
	}
	assert_true(round_trip(&random) <= N * 12 / 8 + 64);
	assert_true(round_trip(&same) <= 64);
	buf_free(&random);
	buf_free(&same);
}

/* More words than there is room for, and words that come once: those columns are kept as they are. */
static void test_many_words(void **unused)
{
	struct buf b = { 0 };
	msgpack_packer pk;
	char text[32];

	for (unsigned i = 0; i < 3 * COLUMNS_WORDS_MAX; i++) {
		unsigned word[] = { i % (COLUMNS_WORDS_MAX + 100), i, i % 300, i / 2 };

		begin(&b, &pk, 4, 1);
		for (int k = 0; k < 4; k++) {
			snprintf(text, sizeof(text), "%.*s%u", k * 4, "abcdefghijklmnop", word[k]);
			pack_text(&pk, text);
		}
	}
	round_trip(&b);
	buf_free(&b);
}

static void test_groups_take_turns(void **unused)
{
	struct buf b = { 0 };
	msgpack_packer pk;

	for (unsigned i = 0; i < 5000; i++) {
		unsigned probe = (unsigned)(i % 2 ? chance() % COLUMNS_GROUPS_MAX : i % 3), elements = probe % 5;

		begin(&b, &pk, elements, probe);
		for (unsigned k = 0; k < elements; k++)
			msgpack_pack_uint64(&pk, i * k);
	}
	round_trip(&b);
	buf_free(&b);
}

/* ---- heads ---- */

static int heads(const struct buf *rows, struct columns_reader *r, const struct columns_head **h, size_t *n)
{
	struct columns *c = columns_new();
	struct columns_parts p;
	int rc = columns_pack(c, rows->data, rows->len, &p);

	assert_int_equal(rc, 0);
	assert_int_equal(columns_open(r, p.soft->data, p.soft->len, buf_text(p.hard), p.hard->len, MAX), 0);
	rc = columns_heads(r, h, n);
	columns_free(c);
	return rc;
}

static void add_head(struct buf *b, int64_t delta, uint64_t pid, int64_t flags, int64_t duration, uint64_t probe)
{
	msgpack_packer pk;

	pack_into(&pk, b);
	msgpack_pack_array(&pk, 6 + (probe & 1));
	msgpack_pack_uint64(&pk, probe);
	msgpack_pack_int64(&pk, delta);
	msgpack_pack_uint64(&pk, pid);
	msgpack_pack_uint64(&pk, 5);
	msgpack_pack_int64(&pk, flags);
	msgpack_pack_int64(&pk, duration);
	if (probe & 1)
		msgpack_pack_nil(&pk);
}

static void test_heads(void **unused)
{
	struct columns_reader *r = columns_reader_new();
	const struct columns_head *h;
	struct buf b = { 0 };
	size_t n;

	for (int i = 0; i < 1000; i++)
		add_head(&b, i * 7 - 100, 4321, i % 4, i, 10 + (unsigned)i % 3);
	assert_int_equal(heads(&b, r, &h, &n), 0);
	assert_int_equal(n, 1000);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(h[i].probe, 10 + i % 3);
		assert_int_equal(h[i].values, (10 + i % 3) & 1);
		assert_int_equal(h[i].delta, (int64_t)i * 7 - 100);
		assert_int_equal(h[i].flags, i % 4);
	}
	buf_free(&b);
	columns_reader_free(r);
}

static void test_what_is_no_head(void **unused)
{
	static const struct { int64_t delta; uint64_t pid; int64_t flags, duration; } bad[] = {
		{ 0, 1ULL << 32, 0, 0 }, { 0, 1, -1, 0 }, { 0, 1, 0, -5 },
	};
	struct columns_reader *r = columns_reader_new();
	const struct columns_head *h;
	struct buf b = { 0 };
	msgpack_packer pk;
	size_t n;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_clear(&b);
		add_head(&b, bad[i].delta, bad[i].pid, bad[i].flags, bad[i].duration, 2);
		assert_int_equal(heads(&b, r, &h, &n), -EPROTO);
	}
	buf_clear(&b);
	begin(&b, &pk, 1, 2);            /* no duration */
	msgpack_pack_int(&pk, 1);
	assert_int_equal(heads(&b, r, &h, &n), -EPROTO);
	buf_clear(&b);
	add_head(&b, 0, 1, 0, 0, 2);
	assert_int_equal(heads(&b, r, &h, &n), 0);
	buf_free(&b);
	columns_reader_free(r);
}

/* ---- hostile ---- */

static void test_refuses_what_are_no_records(void **unused)
{
	static const struct { const char *bytes; size_t len; } bad[] = {
		{ "\x01", 1 }, { "\x93\x01\x02\x03", 4 }, { "\x94\xa1x\x01\x01\x01", 6 }, { "\x94\x01\x02\x03", 4 }, { "\xc1", 1 },
		{ "\x94\x01\xc0\x02\x03", 5 }, { "\x94\xcf\x01\x00\x00\x00\x00\x00\x00\x00\x01\x01\x01", 13 }, { "\xdc\x00", 2 },
		{ "\x95\x01\x02\x03\x04\xcd\x01", 7 }, { "\x95\x01\x02\x03\x04\xc4\x05\x01", 8 },
	};
	struct columns *c = columns_new();
	struct columns_parts p;
	struct buf b = { 0 };
	msgpack_packer pk;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(columns_pack(c, bad[i].bytes, bad[i].len, &p), -EPROTO);
	for (uint64_t probe = 0; probe <= COLUMNS_GROUPS_MAX; probe++)
		begin(&b, &pk, 0, probe);
	assert_int_equal(columns_pack(c, b.data, b.len, &p), -E2BIG);
	buf_free(&b);
	columns_free(c);
}

static void try_damaged(const struct columns_parts *p, const struct buf *part, size_t i, size_t bound)
{
	struct buf out = { 0 };

	for (int bit = 0; bit < 8; bit++) {
		part->data[i] ^= (char)(1 << bit);
		unpack(p, bound, &out);
		assert_true(out.len <= bound);
		buf_clear(&out);
		part->data[i] ^= (char)(1 << bit);
	}
	buf_free(&out);
}

/* Cut anywhere, or with any byte changed, it is refused or gives records, within the bound. */
static void test_damaged(void **unused)
{
	struct columns_reader *r = columns_reader_new();
	struct columns *c = columns_new();
	struct columns_parts p;
	struct buf rows = { 0 };
	msgpack_packer pk;

	typical(&rows, 20);
	begin(&rows, &pk, 2, 9);
	msgpack_pack_nil(&pk);
	msgpack_pack_int(&pk, -7);
	assert_int_equal(columns_pack(c, rows.data, rows.len, &p), 0);
	for (size_t i = 0; i < p.soft->len; i++) {
		char *copy = malloc(i + 1);

		memcpy(copy, p.soft->data, i);
		assert_true(columns_open(r, copy, i, p.hard->data, p.hard->len, 1 << 16) < 0);
		free(copy);
		try_damaged(&p, p.soft, i, 1 << 16);
	}
	for (size_t i = 0; i < p.hard->len; i++) {
		assert_int_equal(columns_open(r, p.soft->data, p.soft->len, p.hard->data, i, 1 << 16), -EPROTO);
		try_damaged(&p, p.hard, i, 1 << 16);
	}
	buf_free(&rows);
	columns_free(c);
	columns_reader_free(r);
}

/* A few bytes that promise more records, or longer ones, than there may be. */
static void test_bombs(void **unused)
{
	static const struct { const char *bytes; size_t len; } bombs[] = {
		/* 2^28 records of which all values are the same */
		{ "\x80\x80\x80\x80\x01\x01\x04\x01\x80\x80\x80\x80\x01" "\x01\x00\x00\x00" "\x01\x00\x00\x00" "\x01\x00\x00\x00" "\x00", 26 },
		/* two records of 65535 elements */
		{ "\x02\x01\xff\xff\x03\x01\x02", 7 },
		/* more in the groups than together */
		{ "\x01\x02\x04\x01\x01\x04\x02\x01", 8 },
	};
	struct columns_reader *r = columns_reader_new();

	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++)
		assert_true(columns_open(r, bombs[i].bytes, bombs[i].len, "", 0, MAX) < 0);
	columns_reader_free(r);
}

/* A value as deep as a record may hold, and one deeper: the record could not be read. */
static void test_depth(void **unused)
{
	struct columns *c = columns_new();
	struct columns_parts p;
	struct buf out = { 0 };

	for (int depth = FRAME_DEPTH_MAX - 1; depth <= FRAME_DEPTH_MAX; depth++) {
		struct buf b = { 0 };
		msgpack_packer pk;

		begin(&b, &pk, 1, 1);
		for (int i = 0; i < depth; i++)
			msgpack_pack_array(&pk, 1);
		msgpack_pack_nil(&pk);
		assert_int_equal(columns_pack(c, b.data, b.len, &p), depth < FRAME_DEPTH_MAX ? 0 : -EPROTO);
		if (depth < FRAME_DEPTH_MAX) {
			buf_clear(&out);
			assert_int_equal(unpack(&p, MAX, &out), 0);
			assert_int_equal(pack_measure(out.data, out.len), out.len);
		}
		buf_free(&b);
	}
	buf_free(&out);
	columns_free(c);
}

/* One word of 60 KiB, twenty times. */
static void test_repeated_words_are_bounded(void **unused)
{
	enum { BYTES = 60000, TIMES = 20 };
	struct columns *c = columns_new();
	struct columns_parts p;
	struct buf b = { 0 }, out = { 0 };
	char *word = calloc(1, BYTES);
	msgpack_packer pk;

	for (int i = 0; i < TIMES; i++) {
		begin(&b, &pk, 1, 1);
		msgpack_pack_bin(&pk, BYTES);
		msgpack_pack_bin_body(&pk, word, BYTES);
	}
	assert_int_equal(columns_pack(c, b.data, b.len, &p), 0);
	assert_true(p.soft->len < 2 * BYTES);
	assert_int_equal(unpack(&p, BYTES * TIMES, &out), -EMSGSIZE);
	assert_int_equal(unpack(&p, MAX, &out), 0);
	assert_int_equal(out.len, b.len);
	buf_free(&b);
	buf_free(&out);
	free(word);
	columns_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing), cmocka_unit_test(test_integers_of_all_sizes), cmocka_unit_test(test_mixed_kinds),
		cmocka_unit_test(test_typical_size), cmocka_unit_test(test_integers_of_all_widths), cmocka_unit_test(test_random_and_repeated),
		cmocka_unit_test(test_many_words), cmocka_unit_test(test_groups_take_turns), cmocka_unit_test(test_heads),
		cmocka_unit_test(test_what_is_no_head), cmocka_unit_test(test_refuses_what_are_no_records), cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_bombs), cmocka_unit_test(test_depth), cmocka_unit_test(test_repeated_words_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
