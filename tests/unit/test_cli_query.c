/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "queryview.h"
#include "table.h"

static const char series[] =
	"{\"step\":0,\"groups\":[{\"service\":\"checkoutd\",\"function\":\"a_function_with_quite_a_long_name_that_nobody_types\",\"build_id\":\"df5484069c5ab1b3\","
	"\"total\":{\"calls\":93068,\"errors\":3695,\"p50_ns\":1600,\"p90_ns\":2300,\"p99_ns\":3100,\"max_ns\":55700,\"sampled\":92,\"drop_ring\":3}}]}";
static const char calls[] =
	"{\"calls\":[{\"ts\":1764185000000000000,\"host\":\"web-1\",\"comm\":\"checkoutd\",\"pid\":812,\"function\":\"checkout\",\"args\":{\"o\":{\"id\":103432,"
	"\"sku\":9,\"qty\":0,\"kind\":\"ORDER_STANDARD\"}},\"ret\":-34,\"duration_ns\":1800}],\"more\":true}";

static void show(const char *what, const char *json, enum query_format format, const char *columns, struct output *o)
{
	memset(o, 0, sizeof(*o));
	o->fd = -1;
	o->terminal = columns != NULL;
	if (columns)
		setenv("COLUMNS", columns, 1);
	assert_int_equal(query_show(what, json, format, o, NULL), 0);
	unsetenv("COLUMNS");
}

static void test_what_was_asked_for_is_no_loss(void **state)
{
	struct output o;

	show("series", series, QUERY_TABLE, NULL, &o);
	assert_non_null(strstr(buf_text(&o.text), "  sampled=92 (as asked) drop_ring=3\n"));
	output_free(&o);
	show("series", series, QUERY_CSV, NULL, &o);
	assert_non_null(strstr(buf_text(&o.text), ",sampled=92 drop_ring=3\r\n"));
	output_free(&o);
}

/* Every line fits, texts give way first and say so; numbers and times stay whole. */
static void test_on_a_terminal(void **state)
{
	static const struct { const char *what, *json, *columns; const char *whole[4]; } cases[] = {
		{ "series", series, "100", { "df5484069c5a", "93068", "3.97 %", "55.7us" } },
		{ "series", series, "80", { "93068", "3695", "1.6us", "3.1us" } },
		{ "calls", calls, "120", { "2025-11-26", "812", "-34", "1.8us" } },
		{ "calls", calls, "80", { "2025-11-26", "812", "web-1", "-34" } },
	};

	setenv("TZ", "UTC", 1);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned columns = (unsigned)atoi(cases[i].columns);
		const char *line;
		struct output o;

		show(cases[i].what, cases[i].json, QUERY_TABLE, cases[i].columns, &o);
		for (line = buf_text(&o.text); *line; line += strcspn(line, "\n") + 1)
			assert_in_range(text_columns(line, strcspn(line, "\n")), 1, columns);
		for (unsigned k = 0; k < 4; k++)
			if (!strstr(buf_text(&o.text), cases[i].whole[k]))
				fail_msg("case %u: no %s in\n%s", i, cases[i].whole[k], buf_text(&o.text));
		assert_non_null(strchr(buf_text(&o.text), '~'));
		output_free(&o);
	}
	/* In a pipe nothing is cut. */
	{
		struct output o;

		show("calls", calls, QUERY_TABLE, NULL, &o);
		assert_non_null(strstr(buf_text(&o.text), "{\"o\":{\"id\":103432,\"sku\":9,\"qty\":0,\"kind\":\"ORDER_STANDARD\"}}"));
		assert_null(strchr(buf_text(&o.text), '~'));
		output_free(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_was_asked_for_is_no_loss), cmocka_unit_test(test_on_a_terminal) };

	return cmocka_run_group_tests_name("cli_query", tests, NULL, NULL);
}
