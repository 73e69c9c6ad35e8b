/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "histpack.h"

static void test_round_trip_and_merge(void **state)
{
	static __u64 a[HIST_BUCKETS], b[HIST_BUCKETS];
	struct buf packed = { 0 };

	a[0] = 1;
	a[5] = 127;
	a[300] = 128;
	a[HIST_BUCKETS - 1] = UINT64_MAX;
	hist_pack(a, &packed);
	b[5] = 3;
	assert_int_equal(hist_unpack_add(packed.data, packed.len, b), 0);
	assert_int_equal(b[5], 130);
	b[5] = 127;
	assert_memory_equal(a, b, sizeof(a));
	buf_free(&packed);
}

static void test_nothing_counted_is_no_bytes(void **state)
{
	static const __u64 none[HIST_BUCKETS];
	struct buf packed = { 0 };

	hist_pack(none, &packed);
	assert_int_equal(packed.len, 0);
	assert_int_equal(hist_unpack_add("", 0, (__u64[HIST_BUCKETS]){ 0 }), 0);
	buf_free(&packed);
}

static void test_what_is_not_one(void **state)
{
	static const struct { const char *data; size_t len; } bad[] = {
		{ "\x05", 1 },                                               /* no count */
		{ "\x05\x80", 2 },                                           /* a cut count */
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01", 11 },      /* more than 64 bits */
		{ "\xff\x7f\x01", 3 },                                       /* a bucket that there is not */
		{ "\xa0\x04\x01\xa0\x04\x01", 6 },                           /* one after the other: beyond the last */
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01", 11 },      /* would wrap */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(hist_unpack_add(bad[i].data, bad[i].len, (__u64[HIST_BUCKETS]){ 0 }), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_and_merge),
		cmocka_unit_test(test_nothing_counted_is_no_bytes),
		cmocka_unit_test(test_what_is_not_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
