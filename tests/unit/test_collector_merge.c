/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of several agents as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "control_internal.h"

static void add(struct merge *m, const char *host, const char *text)
{
	const msgpack_object o = { .type = MSGPACK_OBJECT_STR, .via.str = { (uint32_t)strlen(text), text } };

	assert_int_equal(merge_add(m, host, &o), 0);
}

static void assert_text(const struct merge *m, const char *want)
{
	struct buf out = { 0 };
	msgpack_zone zone;
	msgpack_object o;
	msgpack_packer pk;

	pack_into(&pk, &out);
	merge_pack(m, &pk);
	assert_true(msgpack_zone_init(&zone, 256));
	assert_int_equal(pack_take(out.data, out.len, &zone, &o), out.len);
	assert_int_equal(o.type, MSGPACK_OBJECT_STR);
	assert_int_equal(o.via.str.size, strlen(want));
	assert_memory_equal(o.via.str.ptr, want, strlen(want));
	msgpack_zone_destroy(&zone);
	buf_free(&out);
}

#define COST(ns) "site 0x10\ncost " ns " ns (measured on this machine)\nplan\n"

/* Each host measures for itself: that does not make another text. */
static void test_equal_texts_are_one(void **state)
{
	struct merge *m = merge_new(MERGE_TEXT);

	add(m, "web-1", COST("500"));
	add(m, "web-2", COST("600"));
	add(m, "web-3", COST("500"));
	add(m, "web-4", "site 0x20\nplan\n");
	add(m, "web-5", "");
	assert_text(m, "web-1, web-2, web-3:\n" COST("500") "on web-2\ncost 600 ns (measured on this machine)\n\nweb-4:\nsite 0x20\nplan\n\nweb-5:\n");
	assert_false(merge_cut(m));
	merge_free(m);
}

static void test_texts_are_bounded(void **state)
{
	struct merge *m = merge_new(MERGE_TEXT);
	char *text = malloc((1 << 20) + 1);
	char host[16];

	memset(text, 'x', 300000);
	for (unsigned i = 0; i < 8; i++) {
		snprintf(host, sizeof(host), "web-%u", i);
		snprintf(text + 300000, 64, "\n%u (measured on this machine)\n", i);
		text[0] = (char)('a' + i);
		add(m, host, text);
	}
	assert_true(merge_cut(m));
	free(text);
	merge_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_texts_are_one), cmocka_unit_test(test_texts_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
