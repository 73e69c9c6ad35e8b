/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "deflate.h"
#include "frame.h"
#include "inflate.h"

static uint64_t state = 88172645463325252ULL;

static uint64_t chance(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void begin(struct buf *b, msgpack_packer *pk, unsigned elements, uint64_t probe)
{
	pack_into(pk, b);
	msgpack_pack_array(pk, elements);
	msgpack_pack_uint64(pk, probe);
}

/* There and back: the same bytes. Returns the columns' size. */
static size_t round_trip(const struct buf *records)
{
	struct columns *c = columns_new();
	const struct buf *packed;
	const size_t *piece;
	struct buf back = { 0 };
	uint32_t n;
	size_t len;

	assert_int_equal(columns_pack(c, records->data, records->len, &packed, &piece, &n), 0);
	for (uint32_t i = 1; i < n; i++)
		assert_true(piece[i] > piece[i - 1] && piece[i] <= packed->len);
	assert_int_equal(columns_unpack(packed->data, packed->len, records->len, &back), 0);
	assert_int_equal(back.len, records->len);
	assert_memory_equal(buf_text(&back), buf_text(records), back.len);
	if (records->len)
		assert_int_equal(columns_unpack(packed->data, packed->len, records->len - 1, &back), -EMSGSIZE);
	len = packed->len;
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
			begin(&b, &pk, 6, 3);
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
		begin(&b, &pk, i % 3 ? 5 : 20, 70000 + (unsigned)i % 7);
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
		begin(b, &pk, 9, 3);
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

/* Two integers and a short text, as they are captured all day: at most 8 bytes a record, against 12 and more row by row. */
static void test_typical_size(void **unused)
{
	enum { RECORDS = 1500 };
	struct buf rows = { 0 }, as_rows = { 0 }, as_columns = { 0 }, back = { 0 };
	struct deflater *d = deflater_new(1);
	struct inflater *in = inflater_new();
	struct columns *c = columns_new();
	const struct buf *packed;
	const size_t *piece;
	const char *raw;
	uint32_t n;
	size_t len;

	typical(&rows, RECORDS);
	assert_int_equal(columns_pack(c, rows.data, rows.len, &packed, &piece, &n), 0);
	assert_int_equal(deflater_run(d, rows.data, rows.len, NULL, 0, &as_rows), 0);
	assert_int_equal(deflater_run(d, packed->data, packed->len, piece, n, &as_columns), 0);
	print_message("bytes per record: %.2f as rows, %.2f as columns\n", (double)as_rows.len / RECORDS, (double)as_columns.len / RECORDS);
	assert_true(as_columns.len <= 8 * RECORDS && as_columns.len < as_rows.len * 2 / 3);
	assert_int_equal(inflater_run(in, as_columns.data, as_columns.len, 1 << 20, &raw, &len), 0);
	assert_int_equal(columns_unpack(raw, len, 1 << 20, &back), 0);
	assert_int_equal(back.len, rows.len);
	assert_memory_equal(back.data, rows.data, rows.len);
	columns_free(c);
	deflater_free(d);
	inflater_free(in);
	buf_free(&rows), buf_free(&as_rows), buf_free(&as_columns), buf_free(&back);
}

static void test_refuses_what_are_no_records(void **unused)
{
	static const char *const bad[] = { "\x01", "\x91\x01", "\x92\xa1x\x01", "\x93\x01\x02", "\x92\xcf\x01\x00\x00\x00\x00\x00\x00\x00\x01", "\xc1" };
	struct columns *c = columns_new();
	const struct buf *packed;
	const size_t *piece;
	uint32_t n;
	struct buf b = { 0 };
	msgpack_packer pk;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(columns_pack(c, bad[i], i == 4 ? 11 : strlen(bad[i]), &packed, &piece, &n), -EPROTO);
	for (uint64_t probe = 0; probe < 300; probe++) {
		begin(&b, &pk, 2, probe);
		msgpack_pack_int(&pk, 1);
	}
	assert_int_equal(columns_pack(c, b.data, b.len, &packed, &piece, &n), -E2BIG);
	buf_free(&b);
	columns_free(c);
}

/* Cut anywhere, or with any byte changed, it is refused or gives records, within the bound. */
static void test_damaged(void **unused)
{
	struct columns *c = columns_new();
	const struct buf *packed;
	const size_t *piece;
	struct buf rows = { 0 }, out = { 0 };
	msgpack_packer pk;
	uint32_t n;

	typical(&rows, 20);
	begin(&rows, &pk, 3, 9);
	msgpack_pack_nil(&pk);
	msgpack_pack_int(&pk, -7);
	assert_int_equal(columns_pack(c, rows.data, rows.len, &packed, &piece, &n), 0);
	for (size_t i = 0; i < packed->len; i++) {
		char *copy = malloc(i + 1);

		memcpy(copy, packed->data, i);
		assert_true(columns_unpack(copy, i, 1 << 16, &out) < 0);
		free(copy);
		for (int bit = 0; bit < 8; bit++) {
			packed->data[i] ^= (char)(1 << bit);
			buf_clear(&out);
			columns_unpack(packed->data, packed->len, 1 << 16, &out);
			assert_true(out.len <= (1 << 16) + 4096);
			packed->data[i] ^= (char)(1 << bit);
		}
	}
	buf_free(&rows);
	buf_free(&out);
	columns_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing), cmocka_unit_test(test_integers_of_all_sizes), cmocka_unit_test(test_mixed_kinds),
		cmocka_unit_test(test_typical_size), cmocka_unit_test(test_refuses_what_are_no_records), cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
