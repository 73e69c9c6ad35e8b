/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "error_value.h"

static void test_which_values_have_a_name(void **state)
{
	static const struct { int64_t value; bool may_be_errno; const char *text; } cases[] = {
		{ -22, true, "-22 (EINVAL)" }, { -2, true, "-2 (ENOENT)" }, { -133, true, "-133 (EHWPOISON)" },
		{ -22, false, "-22" },         /* an unsigned number, a pointer, an enum */
		{ -1, true, "-1" },            /* of any failure */
		{ 0, true, "0" }, { 22, true, "22" },
		{ -4095, true, "-4095" }, { -4096, true, "-4096" }, { -2000, true, "-2000" },
		{ INT64_MIN, true, "-9223372036854775808" }, { INT64_MAX, true, "9223372036854775807" },
	};
	char text[ERROR_VALUE_TEXT];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(error_value_text(cases[i].value, cases[i].may_be_errno, text), cases[i].text);
	assert_null(error_value_name(-1));
	assert_string_equal(error_value_name(-5), "EIO");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_which_values_have_a_name) };

	return cmocka_run_group_tests_name("error_value", tests, NULL, NULL);
}
