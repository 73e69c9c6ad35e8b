/* SPDX-License-Identifier: Apache-2.0 */
/* Types: their names, sizes and members as text, the same from both compilers and both DWARF versions. */
#include "debuginfo_files.h"

static const char source[] =
	"#include <stddef.h>\n#include <stdint.h>\n#include <stdbool.h>\n"
	"enum color { RED = -1, BLUE = 200 }; enum { ONE = 1, BIG = 0x80000000u };\n"
	"enum huge { HUGE_ONE = 0xffffffffffffffffull };\n"
	"typedef struct client client; struct opaque; struct elsewhere;\n"
	"typedef int (*handler)(client *c, const char *, ...);\n"
	"typedef uint8_t byte; typedef const char *text; typedef struct { int a; } anon_t;\n"
	"struct bits { unsigned a : 3; int b : 13; uint64_t c : 40; bool d : 1; char pad; unsigned e : 5, : 0, f : 7; };\n"
	"struct packed { char c; uint64_t a : 60; uint32_t b : 30; } __attribute__((packed));\n"
	"struct client {\n"
	"  int id; const char *name; struct client *next; volatile long counts[4]; int grid[2][3];\n"
	"  struct { int x; union { int y; float z; }; } pos; union { int inner; long other; };\n"
	"  handler run; int (*table[2])(void); uint8_t raw[8]; unsigned char uc; signed char sc; char c; wchar_t w;\n"
	"  bool ok; enum color color; float f; double d; long double ld; struct opaque *op; struct elsewhere *else_;\n"
	"  anon_t anon; _Atomic int at; byte b; text t; void *p; const void *const cp; int *restrict r; char tail[];\n"
	"};\n"
	"typedef struct node { struct node *left, **children; struct node (*make)(struct node *); } node;\n"
	"int (*choose(int n, int (*cmp)(const void *, const void *)))(char) { return (void *)cmp; }\n"
	"void f(client *c, struct bits *b, struct packed *k, node *n, enum huge h, int v[], int m[][3], char **const argv,\n"
	"       int (*rows)[4], unsigned long long ull, struct elsewhere *e, ...) {}\n"
	"int main(void) { return BIG != 0 && choose && ONE; }\n";

static const char other_source[] = "struct elsewhere { int found; struct deep { short s; } deep; } e; int g(void) { return e.found; }\n";

static void print_type(struct debuginfo *di, struct type *t, struct buf *out)
{
	type_complete(di, t);
	buf_printf(out, "%s %llu", t->name, (unsigned long long)t->size);
	if (t->kind == TYPE_STRUCT || t->kind == TYPE_UNION) {
		buf_str(out, " {");
		for (uint32_t i = 0; i < t->n_members; i++) {
			const struct member *m = &t->members[i];

			buf_printf(out, "%s%s@%llu", i ? ", " : "", m->name, (unsigned long long)m->offset);
			if (m->bit_size)
				buf_printf(out, ".%d:%d", m->bit_offset, m->bit_size);
			buf_printf(out, " %s", m->type->name);
		}
		buf_char(out, '}');
	}
	for (uint32_t i = 0; i < t->n_enumerators; i++)
		buf_printf(out, " %s=%lld", t->enumerators[i].name, (long long)t->enumerators[i].value);
	if (t->kind == TYPE_ENUM)
		buf_str(out, t->is_signed ? " signed" : " unsigned");
}

static void expect_type(struct debuginfo *di, struct type *t, const char *expected)
{
	struct buf text = { 0 };

	print_type(di, t, &text);
	assert_string_equal(buf_text(&text), expected);
	buf_free(&text);
}

static struct type *pointee(struct debuginfo *di, const struct function *fn, const char *param)
{
	struct type *t = must_find_param(fn, param)->type;

	assert_int_equal(t->kind, TYPE_POINTER);
	assert_int_equal(t->size, 8);
	type_complete(di, t->target);
	return t->target;
}

static const char *const builds[] = {
	"gcc -gdwarf-5", "gcc -gdwarf-4 -O2", "gcc -gdwarf-4 -fdebug-types-section", "gcc -gdwarf-3 -gstrict-dwarf",
	"gcc -gdwarf-2 -gstrict-dwarf", "clang-19 -gdwarf-5", "clang-19 -gdwarf-4 -O2", "clang-19 -gdwarf-5 -fdebug-types-section",
};

static struct opened build(const char *flags)
{
	sh("%s -w -o types types.c other.c", flags);
	return must_open_debug("types");
}

struct named { const char *member; enum type_kind kind; uint64_t size; const char *name; };

static const struct named client_members[] = {
	{ "id", TYPE_SIGNED, 4, "int" },
	{ "name", TYPE_POINTER, 8, "const char *" },
	{ "next", TYPE_POINTER, 8, "struct client *" },
	{ "grid", TYPE_ARRAY, 24, "int [2][3]" },
	{ "x", TYPE_OTHER, 0, NULL },             /* not a member of client itself */
	{ "inner", TYPE_SIGNED, 4, "int" },       /* through an anonymous union */
	{ "run", TYPE_POINTER, 8, "handler" },
	{ "table", TYPE_ARRAY, 16, "int (*[2])(void)" },
	{ "raw", TYPE_ARRAY, 8, "uint8_t [8]" },
	{ "uc", TYPE_CHAR, 1, "unsigned char" },
	{ "sc", TYPE_CHAR, 1, "signed char" },
	{ "c", TYPE_CHAR, 1, "char" },
	{ "w", TYPE_SIGNED, 4, "wchar_t" },
	{ "ok", TYPE_BOOL, 1, "_Bool" },
	{ "color", TYPE_ENUM, 4, "enum color" },
	{ "f", TYPE_FLOAT, 4, "float" },
	{ "d", TYPE_FLOAT, 8, "double" },
	{ "ld", TYPE_FLOAT, 16, "long double" },
	{ "op", TYPE_POINTER, 8, "struct opaque *" },
	{ "anon", TYPE_STRUCT, 4, "anon_t" },
	{ "b", TYPE_UNSIGNED, 1, "byte" },
	{ "t", TYPE_POINTER, 8, "text" },
	{ "p", TYPE_POINTER, 8, "void *" },
	{ "tail", TYPE_ARRAY, 0, "char []" },
};

static void check_member(struct debuginfo *di, struct type *client, const struct named *want)
{
	uint64_t offset = 0;
	const struct member *m = type_member(di, client, want->member, &offset);

	if (!want->name) {
		assert_null(m);
		return;
	}
	if (!m)
		fail_msg("no member %s", want->member);
	assert_string_equal(m->type->name, want->name);
	assert_int_equal(m->type->kind, want->kind);
	assert_int_equal(m->type->size, want->size);
}

static void check_client(struct debuginfo *di, const struct function *fn)
{
	struct type *client = pointee(di, fn, "c");
	const struct member *m;
	uint64_t at;

	assert_string_equal(client->name, "client");
	for (size_t i = 0; i < sizeof(client_members) / sizeof(client_members[0]); i++)
		check_member(di, client, &client_members[i]);
	m = type_member(di, client, "pos", &at);
	assert_int_equal(at, 80);
	assert_non_null(type_member(di, m->type, "z", &at));
	assert_int_equal(at, 4);
	m = type_member(di, client, "raw", NULL);
	assert_int_equal(m->type->target->kind, TYPE_UNSIGNED);
	assert_int_equal(m->type->count, 8);
	m = type_member(di, client, "grid", NULL);
	assert_int_equal(m->type->count, 2);
	assert_string_equal(m->type->target->name, "int [3]");
	m = type_member(di, client, "counts", NULL);
	assert_string_equal(m->type->name, "volatile long int [4]");
}

static void check_declared_elsewhere(struct debuginfo *di, const struct function *fn)
{
	struct type *e = must_find_param(fn, "e")->type->target, *opaque;
	const struct member *op = type_member(di, pointee(di, fn, "c"), "op", NULL);

	expect_type(di, e, "struct elsewhere 8 {found@0 int, deep@4 struct deep}");
	opaque = op->type->target;
	type_complete(di, opaque);
	assert_int_equal(opaque->kind, TYPE_INCOMPLETE);
	assert_string_equal(opaque->name, "struct opaque");
	assert_null(type_member(di, opaque, "x", NULL));
}

static void check_rest(struct debuginfo *di, const struct function *fn)
{
	const struct member *color = type_member(di, pointee(di, fn, "c"), "color", NULL);

	expect_type(di, color->type, "enum color 4 RED=-1 BLUE=200 signed");
	expect_type(di, must_find_param(fn, "h")->type, "enum huge 8 HUGE_ONE=-1 unsigned");
	expect_type(di, pointee(di, fn, "n"), "node 24 {left@0 struct node *, children@8 struct node **, "
		    "make@16 struct node (*)(struct node *)}");
	assert_string_equal(must_find_param(fn, "rows")->type->name, "int (*)[4]");
	assert_string_equal(must_find_param(fn, "m")->type->name, "int (*)[3]");
	assert_string_equal(must_find_param(fn, "v")->type->name, "int *");
	assert_string_equal(must_find_param(fn, "argv")->type->name, "char **const");
	assert_string_equal(must_find_param(fn, "argv")->type->target->name, "char *");
	assert_null(fn->ret);
	assert_true(fn->variadic);
}

static void test_types_of_c(void **state)
{
	for (size_t i = 0; i < sizeof(builds) / sizeof(builds[0]); i++) {
		struct opened o = build(builds[i]);
		const struct function *fn = must_find_function(&o, "f");

		if (strstr(builds[i], "gcc"))     /* clang says "long" */
			check_client(o.di, fn);
		check_declared_elsewhere(o.di, fn);
		check_rest(o.di, fn);
		close_debug(&o);
	}
}

static uint64_t bits_at(const uint8_t *object, const struct member *m)
{
	uint64_t word = 0;

	assert_non_null(m);
	memcpy(&word, object + m->offset, 8);
	word >>= m->bit_offset;
	if (m->bit_offset + m->bit_size > 64)
		word |= (uint64_t)object[m->offset + 8] << (64 - m->bit_offset);
	return word & ((UINT64_C(1) << m->bit_size) - 1);
}

/* The same structs here: the compiler of this test is the truth. */
static void test_bit_fields(void **state)
{
	struct bits { unsigned a : 3; int b : 13; uint64_t c : 40; _Bool d : 1; char pad; unsigned e : 5, : 0, f : 7; };
	struct packed { char c; uint64_t a : 60; uint32_t b : 30; } __attribute__((packed));
	union { struct bits b; uint8_t bytes[64]; } x = { .bytes = { 0 } };
	union { struct packed k; uint8_t bytes[64]; } y = { .bytes = { 0 } };

	x.b = (struct bits){ .a = 5, .b = -1234, .c = 0x123456789a, .d = 1, .e = 19, .f = 77 };
	y.k = (struct packed){ .c = 1, .a = 0xabcdef012345678, .b = 0x2345678 };
	for (size_t i = 0; i < sizeof(builds) / sizeof(builds[0]); i++) {
		struct opened o = build(builds[i]);
		const struct function *fn = must_find_function(&o, "f");
		struct type *b = pointee(o.di, fn, "b"), *k = pointee(o.di, fn, "k");

		assert_int_equal(b->size, sizeof(x.b));
		assert_int_equal(k->size, sizeof(y.k));
		assert_int_equal(bits_at(x.bytes, type_member(o.di, b, "a", NULL)), 5);
		assert_int_equal(bits_at(x.bytes, type_member(o.di, b, "b", NULL)), (uint64_t)-1234 & 0x1fff);
		assert_int_equal(bits_at(x.bytes, type_member(o.di, b, "c", NULL)), 0x123456789a);
		assert_int_equal(bits_at(x.bytes, type_member(o.di, b, "d", NULL)), 1);
		assert_int_equal(bits_at(x.bytes, type_member(o.di, b, "e", NULL)), 19);
		assert_int_equal(bits_at(x.bytes, type_member(o.di, b, "f", NULL)), 77);
		assert_int_equal(bits_at(y.bytes, type_member(o.di, k, "a", NULL)), 0xabcdef012345678);
		assert_int_equal(bits_at(y.bytes, type_member(o.di, k, "b", NULL)), 0x2345678);
		close_debug(&o);
	}
}

static void expect_signature(struct opened *o, const char *name, const char *expected)
{
	struct buf text = { 0 };

	function_signature(must_find_function(o, name), &text);
	assert_string_equal(buf_text(&text), expected);
	buf_free(&text);
}

static void test_signatures(void **state)
{
	struct opened o = build("clang-19 -gdwarf-5");

	expect_signature(&o, "main", "int main(void)");
	expect_signature(&o, "choose", "int (*choose(int n, int (*cmp)(const void *, const void *)))(char)");
	expect_signature(&o, "f", "void f(client *c, struct bits *b, struct packed *k, node *n, enum huge h, int *v, int (*m)[3], "
			 "char **const argv, int (*rows)[4], unsigned long long ull, struct elsewhere *e, ...)");
	close_debug(&o);
}

static int setup(void **state)
{
	make_dir();
	put("types.c", source, strlen(source));
	put("other.c", other_source, strlen(other_source));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types_of_c),
		cmocka_unit_test(test_bit_fields),
		cmocka_unit_test(test_signatures),
	};

	return cmocka_run_group_tests(tests, setup, remove_dir);
}
