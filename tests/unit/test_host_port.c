/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host_port.h"

#define LONG_63 "123456789012345678901234567890123456789012345678901234567890123"

static const struct {
	const char *text, *host, *port; /* host NULL: refused */
	bool listen;
} cases[] = {
	{ "web-1:7717", "web-1", "7717", false },
	{ "127.0.0.1:1", "127.0.0.1", "1", false },
	{ "[::1]:65535", "::1", "65535", false },
	{ "a:00080", "a", "80", false },
	{ ":7717", "", "7717", true },
	{ "localhost:0", "localhost", "0", true },
	{ "[::]:0", "::", "0", true },
	{ .text = ":7717", .listen = false },
	{ .text = "web-1:0" },
	{ .text = "" },
	{ .text = ":" },
	{ .text = "web-1" },
	{ .text = "web-1:" },
	{ .text = "web-1:65536" },
	{ .text = "web-1:999999999999999999999" },
	{ .text = "web-1:http" },
	{ .text = "web-1:+80" },
	{ .text = "web-1: 80" },
	{ .text = "::1:80", .listen = true },
	{ .text = "::1:80" },
	{ .text = "[::1]80" },
	{ .text = "[]:80" },
	{ .text = "[::1:80" },
	{ .text = LONG_63 "." LONG_63 "." LONG_63 "." LONG_63 ".:1" },
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct host_port p;
		struct error err = { 0 };
		int rc = host_port_read(cases[i].text, cases[i].listen, &p, &err);

		if (rc != (cases[i].host ? 0 : -EINVAL))
			fail_msg("'%s': %d", cases[i].text, rc);
		if (rc) {
			assert_non_null(strstr(err.text, "is no HOST:PORT"));
			continue;
		}
		assert_string_equal(p.host, cases[i].host);
		assert_string_equal(p.port, cases[i].port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
