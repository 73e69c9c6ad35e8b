/* SPDX-License-Identifier: Apache-2.0 */
/* C++ and Rust names, and names that are built to run out of time, stack or memory. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "image.h"

static void test_names(void **state)
{
	static const struct { const char *name, *bare, *full; } cases[] = {
		{ "_ZN2ns5Class6methodEi", "ns::Class::method", "ns::Class::method(int)" },
		{ "_ZN5StackIiE4pushERKi", "Stack<int>::push", "Stack<int>::push(int const&)" },
		{ "_ZNK1AcvbEv", "A::operator bool", "A::operator bool() const" },
		{ "_ZN5order5parse17h0123456789abcdefE", "order::parse", "order::parse" },
		{ "_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place",
		  "core::ptr::drop_in_place" },
		{ "_RNvNtC5order5store4load", "order::store::load", "order::store::load" },
		{ "_ZN1A1fEv.cold", "A::f", "A::f() [clone .cold]" },
		{ "main", NULL, NULL }, { "", NULL, NULL }, { "_", NULL, NULL }, { "_Z", NULL, NULL }, { "_R", NULL, NULL },
		{ "_ZN1A1fEv@@V1", "A::f", "A::f()" },
		{ "_Read", NULL, NULL }, { "_ZN2ns5Class", NULL, NULL }, { "_ZN99999999999999999999aE", NULL, NULL },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *bare = demangle(cases[i].name, false), *full = demangle(cases[i].name, true);

		if (cases[i].bare) {
			assert_non_null(bare);
			assert_non_null(full);
			assert_string_equal(bare, cases[i].bare);
			assert_string_equal(full, cases[i].full);
		} else {
			assert_null(bare);
			assert_null(full);
		}
		free(bare);
		free(full);
	}
}

/* The n-th substitution: S_, S0_ ... SZ_, S10_ ... */
static void substitution(struct buf *b, unsigned n)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	buf_char(b, 'S');
	if (n > 36)
		buf_char(b, digits[(n - 1) / 36]);
	if (n > 0)
		buf_char(b, digits[(n - 1) % 36]);
	buf_char(b, '_');
}

/* a<int, int>, a<of that, of that>, ...: n times double, where `first` is a's number. Returns the last one's number. */
static unsigned doublings(struct buf *b, unsigned first, unsigned n)
{
	unsigned last = first + 1;

	buf_str(b, "1aIiiE");
	for (; n > 0; n--, last++) {
		substitution(b, first);
		buf_char(b, 'I');
		substitution(b, last);
		substitution(b, last);
		buf_char(b, 'E');
	}
	return last;
}

static void repeat(struct buf *b, const char *text, unsigned n)
{
	while (n-- > 0)
		buf_str(b, text);
}

static void bomb_text(struct buf *b)
{
	buf_str(b, "_Z1f");
	doublings(b, 0, 60);
}

static void bomb_pack(struct buf *b)
{
	unsigned last;

	buf_str(b, "_ZTC1bI");
	last = doublings(b, 1, 60);
	buf_str(b, "E0_1bIDp");
	substitution(b, last);
	buf_char(b, 'E');
}

static void bomb_conversion(struct buf *b)
{
	buf_str(b, "_ZN1acv");
	repeat(b, "T_I", 60);
	buf_char(b, 'i');
	repeat(b, "E", 61);
	buf_char(b, 'v');
}

/* A back reference to a position behind "_R": base 62, one less than the value. */
static void back_reference(struct buf *b, size_t position)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	buf_char(b, 'B');
	if (position > 62)
		buf_char(b, digits[(position - 1) / 62]);
	buf_char(b, digits[(position - 1) % 62]);
	buf_char(b, '_');
}

/* f::<(i32, i32), ((i32, i32), (i32, i32)), ...>: n times double */
static void rust_doublings(struct buf *b, unsigned n)
{
	size_t last, here;

	buf_str(b, "_RINvC1a1f");
	last = b->len - 2;
	buf_str(b, "TllE");
	for (; n > 0; n--, last = here) {
		here = b->len - 2;
		buf_char(b, 'T');
		back_reference(b, last);
		back_reference(b, last);
		buf_char(b, 'E');
	}
	buf_char(b, 'E');
}

static void bomb_rust(struct buf *b)
{
	rust_doublings(b, 60);
}

static void bomb_pointers(struct buf *b)
{
	buf_str(b, "_Z1f");
	repeat(b, "P", 1000);
	buf_char(b, 'i');
}

static void bomb_rust_depth(struct buf *b)
{
	buf_str(b, "_RINvC1a1f");
	repeat(b, "R", 4000);
	buf_str(b, "lE");
}

static void bomb_rust_loop(struct buf *b)
{
	buf_str(b, "_RINvC1a1fB8_E");
}

static void long_name(struct buf *b)
{
	buf_str(b, "_Z5000");
	repeat(b, "x", 5000);
	buf_char(b, 'v');
}

static void test_bombs(void **state)
{
	void (*const bombs[])(struct buf *) = { bomb_text, bomb_pack, bomb_conversion, bomb_rust, bomb_pointers,
						bomb_rust_depth, bomb_rust_loop, long_name };
	struct buf b = { 0 };
	size_t i;
	char *text;

	alarm(20);
	for (i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		buf_clear(&b);
		bombs[i](&b);
		assert_false(b.failed);
		free(demangle(buf_text(&b), false));
		text = demangle(buf_text(&b), true);
		assert_true(!text || strlen(text) < 65536);
		free(text);
	}
	alarm(0);
	buf_free(&b);
}

/* The guards must not cost real names: three doublings and a pack expansion are fine. */
static void test_small_ones_pass(void **state)
{
	struct buf b = { 0 };
	char *text;

	buf_str(&b, "_Z1f");
	doublings(&b, 0, 3);
	buf_str(&b, "DpS2_");
	text = demangle(buf_text(&b), true);
	assert_non_null(text);
	assert_non_null(strstr(text, "a<a<int, int>, a<int, int> >"));
	free(text);
	buf_clear(&b);
	rust_doublings(&b, 2);
	text = demangle(buf_text(&b), true);
	assert_non_null(text);
	assert_string_equal(text, "a::f::<(i32, i32), ((i32, i32), (i32, i32)), "
			    "(((i32, i32), (i32, i32)), ((i32, i32), (i32, i32)))>");
	free(text);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_small_ones_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
