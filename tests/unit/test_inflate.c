/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "inflate.h"

enum { MAX = 1 << 20 };

static char plain[MAX + 1], packed[MAX + 4096];

static size_t pack(size_t len)
{
	uLongf n = sizeof(packed);

	assert_int_equal(compress2((Bytef *)packed, &n, (const Bytef *)plain, len, 1), Z_OK);
	return n;
}

static int setup(void **state)
{
	srand(1);
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (char)(rand() % 7);
	*state = inflater_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	inflater_free(*state);
	return 0;
}

static void test_sizes_up_to_the_limit(void **state)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 131072, MAX - 1, MAX };
	const char *out;
	size_t n;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(inflater_run(*state, packed, pack(sizes[i]), MAX, &out, &n), 0);
		assert_int_equal(n, sizes[i]);
		assert_memory_equal(out, plain, n);
	}
}

static void test_one_byte_too_many(void **state)
{
	const char *out;
	size_t n;

	assert_int_equal(inflater_run(*state, packed, pack(MAX + 1), MAX, &out, &n), -EMSGSIZE);
}

static void test_what_is_not_a_whole_stream(void **state)
{
	size_t len = pack(50000), n;
	const char *out;

	for (size_t cut = 0; cut < len; cut += 1 + len / 100)
		assert_int_equal(inflater_run(*state, packed, cut, MAX, &out, &n), -EPROTO);
	packed[len] = 'x';
	assert_int_equal(inflater_run(*state, packed, len + 1, MAX, &out, &n), -EPROTO);
	packed[len - 1] ^= 1; /* the checksum */
	assert_int_equal(inflater_run(*state, packed, len, MAX, &out, &n), -EPROTO);
	assert_int_equal(inflater_run(*state, packed, pack(10), MAX, &out, &n), 0); /* and it goes on */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_up_to_the_limit),
		cmocka_unit_test(test_one_byte_too_many),
		cmocka_unit_test(test_what_is_not_a_whole_stream),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
