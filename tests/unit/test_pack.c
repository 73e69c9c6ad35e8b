/* SPDX-License-Identifier: Apache-2.0 */
/* What pack.h writes is what msgpack-c writes, byte for byte, at both sides of each limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "frame.h"
#include "pack.h"

static struct buf want;
static msgpack_packer pk;
static uint8_t got[80000];

static int begin(void **state)
{
	buf_free(&want);
	pack_into(&pk, &want);
	return 0;
}

static void same(const uint8_t *end)
{
	assert_int_equal(end - got, want.len);
	assert_memory_equal(got, want.data, want.len);
	buf_clear(&want);
}

static void check_number(uint64_t v)
{
	msgpack_pack_uint64(&pk, v);
	same(put_u64(got, v));
	msgpack_pack_int64(&pk, (int64_t)v);
	same(put_i64(got, (int64_t)v));
}

static void test_numbers(void **state)
{
	for (int bit = 0; bit < 64; bit++) {
		for (int64_t near = -2; near <= 2; near++) {
			check_number((1ULL << bit) + (uint64_t)near);
			check_number(0 - (1ULL << bit) + (uint64_t)near);
		}
	}
}

static void test_small(void **state)
{
	msgpack_pack_nil(&pk);
	msgpack_pack_true(&pk);
	msgpack_pack_false(&pk);
	msgpack_pack_float(&pk, -1.5f);
	msgpack_pack_double(&pk, (double)INFINITY);
	same(put_f64(put_f32(put_bool(put_bool(put_nil(got), true), false), -1.5f), (double)INFINITY));
}

static void test_sizes(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 15, 16, 255, 256, 65535, 65536, 70000 };
	static char body[70000];

	memset(body, 'x', sizeof(body));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		msgpack_pack_array(&pk, sizes[i]);
		same(put_array(got, sizes[i]));
		msgpack_pack_bin(&pk, sizes[i]);
		msgpack_pack_bin_body(&pk, body, sizes[i]);
		same(put_bin(got, body, sizes[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_numbers, begin), cmocka_unit_test_setup(test_small, begin),
		cmocka_unit_test_setup(test_sizes, begin),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	buf_free(&want);
	return rc;
}
