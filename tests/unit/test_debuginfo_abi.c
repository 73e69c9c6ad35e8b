/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places of parameters and results against the truth: data/abi.c is built by gcc and clang with and without
 * optimisation, in DWARF 4 and 5, and run under ptrace; what is read at the places must be what the program passed.
 */
#include "debuginfo_truth.h"

#include "data/abi.h"

enum when {
	ALWAYS,                       /* must be found in every build */
	UNOPTIMISED,                  /* must be found at -O0; if it is found otherwise, it must be right */
	NEVER,                        /* lies where no one can read it: the reason is `value` */
	FOUND_IF_GCC,                 /* optimised by clang: may be lost */
	BY_GCC,                       /* clang, at any level: may be lost */
};

struct want {
	const char *function, *param; /* param NULL: the result */
	enum when when;
	const void *value;
	size_t size;
};

#define VALUE(type, ...) (const void *)&(const type){ __VA_ARGS__ }, sizeof(type)
#define REASON(text) text, 0
#define PAIR(a, b) &(const struct pair){ a, b }, 12   /* without the padding */

static const __int128 wide = ((__int128)0x1122334455667788 << 64) | 0x99aabbccddeeff00;

static const struct want wants[] = {
	{ "f_ints", "a", ALWAYS, VALUE(int, -1) },
	{ "f_ints", "b", ALWAYS, VALUE(long, 0x123456789abc) },
	{ "f_ints", "c", ALWAYS, VALUE(char, 'x') },
	{ "f_ints", "d", ALWAYS, VALUE(short, -300) },
	{ "f_ints", "e", ALWAYS, VALUE(unsigned char, 250) },
	{ "f_ints", "f", ALWAYS, VALUE(bool, true) },
	{ "f_ints", "g", ALWAYS, VALUE(int, 7) },
	{ "f_ints", "h", ALWAYS, VALUE(long, -8) },
	{ "f_ints", "i", ALWAYS, VALUE(char, 'i') },
	{ "f_ints", NULL, ALWAYS, VALUE(int, -101) },
	{ "f_structs", "p", ALWAYS, VALUE(struct point, 1, 2) },
	{ "f_structs", "q", ALWAYS, PAIR(3, 4) },
	{ "f_structs", "g", ALWAYS, VALUE(struct big, { 5, 6, 7, 8 }) },
	{ "f_structs", "m", NEVER, REASON("partly in an SSE register") },
	{ "f_structs", "f", NEVER, REASON("in an SSE register") },
	{ "f_structs", "o", ALWAYS, VALUE(struct odd, "abc") },
	{ "f_structs", "last", ALWAYS, VALUE(int, 77) },
	{ "f_structs", NULL, ALWAYS, VALUE(long, 77) },
	{ "f_spill", "a", ALWAYS, VALUE(long, 1) },
	{ "f_spill", "e", ALWAYS, VALUE(long, 5) },
	{ "f_spill", "p", ALWAYS, PAIR(3, 4) },
	{ "f_spill", "f", ALWAYS, VALUE(long, 6) },
	{ "f_spill", "g", ALWAYS, VALUE(int, 7) },
	{ "f_spill", NULL, ALWAYS, VALUE(short, -5) },
	{ "f_floats", "d", NEVER, REASON("in an SSE register") },
	{ "f_floats", "e", NEVER, REASON("in an SSE register") },
	{ "f_floats", "i", ALWAYS, VALUE(int, 3) },
	{ "f_floats", "l", UNOPTIMISED, VALUE(char [10], 0, 0, 0, 0, 0, 0, 0, 0x90, 0x01, 0x40) },
	{ "f_floats", "j", ALWAYS, VALUE(int, 5) },
	{ "f_floats", NULL, NEVER, REASON("returned in an SSE register") },
	{ "f_doubles", "h", NEVER, REASON("in an SSE register") },
	{ "f_doubles", "i", UNOPTIMISED, VALUE(double, 9.5) },
	{ "f_doubles", "j", ALWAYS, VALUE(int, 10) },
	{ "f_doubles", NULL, ALWAYS, VALUE(int, 10) },
	{ "f_wide", "a", ALWAYS, VALUE(int, 1) },
	{ "f_wide", "w", UNOPTIMISED, &wide, 16 },
	{ "f_wide", "b", ALWAYS, VALUE(int, 2) },
	{ "f_wide", NULL, ALWAYS, &wide, 16 },
	{ "f_wide_spill", "e", ALWAYS, VALUE(long, 5) },
	{ "f_wide_spill", "w", BY_GCC, &wide, 16 },
	{ "f_wide_spill", "f", BY_GCC, VALUE(long, 6) },
	{ "f_wide_spill", NULL, ALWAYS, VALUE(long, 6) },
	{ "f_sret", "a", FOUND_IF_GCC, VALUE(int, 19) },
	{ "f_sret", "p", UNOPTIMISED, PAIR(3, 4) },
	{ "f_sret", NULL, ALWAYS, VALUE(struct big, { 19, 3, 4, 4 }) },
	{ "f_pair", "col", ALWAYS, VALUE(enum color, BLUE) },
	{ "f_pair", NULL, ALWAYS, PAIR(42, BLUE) },
	{ "f_mix", "a", ALWAYS, VALUE(int, 21) },
	{ "f_mix", NULL, NEVER, REASON("partly returned in an SSE register") },
	{ "f_odd", "o", UNOPTIMISED, VALUE(struct odd, "abc") },
	{ "f_odd", "t", UNOPTIMISED, VALUE(struct twelve, 11, 12, 13) },
	{ "f_odd", NULL, ALWAYS, VALUE(struct odd, "abc") },
	{ "f_twelve", "p", ALWAYS, VALUE(struct packed, 'k', 14) },
	{ "f_twelve", "b", UNOPTIMISED, VALUE(struct bits, 5, 600, -7, -8) },
	{ "f_twelve", "n", UNOPTIMISED, VALUE(struct nested, { 15, 16 }, { 17 }) },
	{ "f_twelve", NULL, ALWAYS, VALUE(struct twelve, 14, 600, 16) },
	{ "f_extended", "x", UNOPTIMISED, VALUE(char [10], 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x3f) },
	{ "f_extended", "u", UNOPTIMISED, VALUE(long, 18) },
	{ "f_extended", "a", ALWAYS, VALUE(int, 20) },
	{ "f_extended", NULL, NEVER, REASON("returned on the x87 stack") },
	{ "f_bool", "yes", ALWAYS, VALUE(bool, true) },
	{ "f_bool", "col", ALWAYS, VALUE(enum color, RED) },
	{ "f_bool", NULL, ALWAYS, VALUE(bool, true) },
	{ "f_modified", "x", FOUND_IF_GCC, VALUE(int, 22) },
	{ "f_modified", "y", ALWAYS, VALUE(int, 23) },
	{ "f_modified", NULL, ALWAYS, VALUE(char, 'c') },
	{ "f_overwritten", "x", UNOPTIMISED, VALUE(int, 24) },
	{ "f_overwritten", "y", ALWAYS, VALUE(int, 25) },
	{ "f_taken", "a", ALWAYS, VALUE(int, 26) },
	{ "f_taken", "b", ALWAYS, VALUE(long, 27) },
	{ "f_register", "a", ALWAYS, VALUE(int, 28) },
	{ "f_register", "b", ALWAYS, VALUE(long, 29) },
	{ "f_variadic", "n", ALWAYS, VALUE(int, 2) },
	{ "f_variadic", NULL, ALWAYS, VALUE(int, 'v' + 4) },
	{ "f_array", "call", UNOPTIMISED, VALUE(void *, NULL) },
	{ "f_array", NULL, ALWAYS, VALUE(int, 6) },
	{ "f_enum", "u", ALWAYS, VALUE(unsigned long long, 30) },
	{ "f_enum", "s", ALWAYS, VALUE(signed char, -31) },
	{ "f_enum", NULL, ALWAYS, VALUE(enum color, RED) },
	{ "s_unused", "a", FOUND_IF_GCC, VALUE(int, 33) },
	{ "s_unused", "unused", UNOPTIMISED, VALUE(int, 33) },
	{ "s_unused", "b", FOUND_IF_GCC, VALUE(int, 34) },
	{ "s_by_value", "n", UNOPTIMISED, VALUE(int, 2) },
	{ "s_constant", "a", FOUND_IF_GCC, VALUE(int, 37) },
	{ "s_constant", "always", UNOPTIMISED, VALUE(int, 5) },
	{ "s_stack", "a", FOUND_IF_GCC, VALUE(long, 1) },
	{ "s_stack", "h", FOUND_IF_GCC, VALUE(long, 9) },
};

enum { WANTS = sizeof(wants) / sizeof(wants[0]) };

struct build { const char *compiler, *flags; bool optimised, clang; };

static const struct build builds[] = {
	{ "gcc", "-O0 -gdwarf-4", false, false },
	{ "gcc", "-O0 -gdwarf-5 -fomit-frame-pointer -no-pie -fno-pie", false, false },
	{ "gcc", "-O1 -gdwarf-5", true, false },
	{ "gcc", "-O2 -gdwarf-4", true, false },
	{ "gcc", "-O2 -gdwarf-5 -no-pie -fno-pie -fcf-protection", true, false },
	{ "gcc", "-O2 -gdwarf-5 -gno-variable-location-views", true, false },
	{ "gcc", "-O3 -gdwarf-5 -fno-omit-frame-pointer", true, false },
	{ "clang-19", "-O0 -gdwarf-4", false, true },
	{ "clang-19", "-O0 -gdwarf-5 -fomit-frame-pointer", false, true },
	{ "clang-19", "-O1 -gdwarf-5", true, true },
	{ "clang-19", "-O2 -gdwarf-4", true, true },
	{ "clang-19", "-O2 -gdwarf-5 -fno-omit-frame-pointer -no-pie -fno-pie", true, true },
	{ "clang-19", "-O3 -gdwarf-5", true, true },
};

static const struct build *build;
static bool seen[WANTS];

static bool must_be_found(const struct want *w)
{
	if (w->when == BY_GCC)
		return !build->clang;
	if (w->when == ALWAYS || !build->optimised)
		return true;
	return w->when == FOUND_IF_GCC && !build->clang;
}

static void check_never(const struct want *w, const struct location *where)
{
	if (where->kind != LOCATION_NONE || strcmp(where->reason, w->value) != 0) {
		/* A struct that an optimiser took apart may be lost for other reasons as well. */
		if (where->kind == LOCATION_NONE && build->optimised && where->reason[0])
			return;
		fail_msg("%s %s: %s.%s: '%s' instead of '%s'", build->compiler, build->flags, w->function,
			 w->param ? w->param : "return", where->reason, (const char *)w->value);
	}
}

static void check_value(struct tracee *t, const struct want *w, const struct location *where,
			const struct user_regs_struct *regs)
{
	uint8_t value[VALUE_MAX];
	struct buf text = { 0 };

	print_location(where, &text);
	if (!read_value(t->pid, regs, where, value, w->size)) {
		assert_true(where->reason[0]);
		if (must_be_found(w))
			fail_msg("%s %s: %s.%s: %s", build->compiler, build->flags, w->function,
				 w->param ? w->param : "return", buf_text(&text));
	} else if (memcmp(value, w->value, w->size) != 0) {
		fail_msg("%s %s: %s.%s is not at %s (%#x)", build->compiler, build->flags, w->function,
			 w->param ? w->param : "return", buf_text(&text), *(unsigned *)value);
	}
	buf_free(&text);
}

static void check_stop(struct tracee *t, const struct stop *s, const struct user_regs_struct *regs)
{
	for (int i = 0; i < WANTS; i++) {
		const struct want *w = &wants[i];
		const struct location *where;

		if (strcmp(w->function, s->fn->name) != 0 || s->is_return != !w->param)
			continue;
		where = w->param ? &must_find_param(s->fn, w->param)->where : &s->fn->ret_where;
		if (w->when == NEVER)
			check_never(w, where);
		else
			check_value(t, w, where, regs);
		seen[i] = true;
	}
}

static void stop_at_all(struct tracee *t, struct opened *o)
{
	for (int i = 0; i < WANTS; i++) {
		const struct function *fn;

		if (i > 0 && strcmp(wants[i].function, wants[i - 1].function) == 0)
			continue;
		fn = must_find_function(o, wants[i].function);
		assert_true(fn->addr != 0);
		add_stop(t, t->bias + fn->addr, fn, false);
	}
}

static void test_places_hold_what_was_passed(void **state)
{
	for (size_t i = 0; i < sizeof(builds) / sizeof(builds[0]); i++) {
		struct tracee t;
		struct opened o;

		build = &builds[i];
		sh("%s -w %s -o abi abi.c", build->compiler, build->flags);
		o = must_open_debug("abi");
		memset(seen, 0, sizeof(seen));
		start_tracee(&t, at("abi"));
		stop_at_all(&t, &o);
		run_tracee(&t, check_stop);
		for (int k = 0; k < WANTS; k++)
			if (!seen[k])
				fail_msg("%s was not called", wants[k].function);
		close_debug(&o);
	}
}

/* The same, seen by a person: the rules themselves. */
static void test_places_are_those_of_the_abi(void **state)
{
	static const struct { const char *function, *places; } rows[] = {
		{ "f_ints", "di:4 si:8 dx:1 cx:2 r8:1 r9:1 [sp+8] [sp+16] [sp+24] -> ax:4" },
		{ "f_structs", "di:8 si:8 dx:8 [sp+8] <partly in an SSE register> <in an SSE register> r8:3 r9:4 -> ax:8" },
		{ "f_spill", "di:8 si:8 dx:8 cx:8 r8:8 [sp+8] r9:8 [sp+24] -> ax:2" },
		{ "f_wide_spill", "di:8 si:8 dx:8 cx:8 r8:8 <passed by clang's own rules> "
		  "<behind a parameter whose place is not known> -> ax:8" },
		{ "f_wide", "di:4 si:8 dx:8 cx:4 -> ax:8 dx:8" },
		{ "f_sret", "si:4 dx:8 cx:8 -> [ax+0]" },
		{ "f_twelve", "[sp+8] di:8 si:8 dx:8 cx:8 -> ax:8 dx:4" },
		{ "f_odd", "di:3 si:8 dx:4 -> ax:3" },
	};

	sh("clang-19 -w -O0 -g -fomit-frame-pointer -o abi abi.c");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct opened o = must_open_debug("abi");
		const struct function *fn = must_find_function(&o, rows[i].function);
		struct buf text = { 0 };

		for (uint32_t k = 0; k < fn->n_params; k++) {
			print_location(&fn->params[k].where, &text);
			buf_char(&text, ' ');
		}
		buf_str(&text, "-> ");
		print_location(&fn->ret_where, &text);
		assert_string_equal(buf_text(&text), rows[i].places);
		buf_free(&text);
		close_debug(&o);
	}
}

static int setup(void **state)
{
	char *data = realpath("tests/unit/data", NULL);

	assert_non_null(data);
	make_dir();
	sh("cp %s/abi.c %s/abi.h .", data, data);
	free(data);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places_hold_what_was_passed),
		cmocka_unit_test(test_places_are_those_of_the_abi),
	};

	return cmocka_run_group_tests(tests, setup, remove_dir);
}
