/* SPDX-License-Identifier: Apache-2.0 */
/* Functions by name and by address: statics, inlined ones, clones, split parts, separate and shared debug files. */
#include "debuginfo_files.h"

static const char header[] =
	"__attribute__((always_inline)) static inline int tiny(int n) { __asm__ volatile(\"\"); return n * 3 + 1; }\n"
	"__attribute__((noinline)) int f_first(int n); __attribute__((noinline)) int f_second(int n);\n";

static const char first[] =
	"#include \"h.h\"\n#include <stdio.h>\n"
	"__attribute__((noinline)) static int same(int n) { __asm__ volatile(\"\"); return n; }\n"
	"__attribute__((noinline)) static int taken_apart(const int *p, int unused) { return *p * 5 + 1; }\n"
	"__attribute__((noinline, cold)) void rare(int n) { printf(\"%d\", n); }\n"
	"__attribute__((noinline)) int parted(int n) { if (__builtin_expect(n > 1000, 0)) { rare(n); rare(n + 1); n = 3; } return n * 2; }\n"
	"int f_first(int n) { return same(n) + tiny(n) + tiny(n + 1) + taken_apart(&n, 3) + taken_apart(&n, 4) + parted(n); }\n"
	"int alias_of(int n) __attribute__((alias(\"f_first\")));\n"
	"int dropped(int n) { return n + 7; }\n"
	"__asm__(\".text\\n.globl by_hand\\n.type by_hand,@function\\nby_hand: ret\\n.size by_hand,.-by_hand\\n\");\n";

static const char second[] =
	"#include \"h.h\"\n"
	"__attribute__((noinline)) static int same(int n) { __asm__ volatile(\"\"); return n + 1; }\n"
	"int f_second(int n) { return same(n) + tiny(n); }\n"
	"static int impl(int n) { return n; } static void *pick(void) { return (void *)impl; }\n"
	"int chosen(int n) __attribute__((ifunc(\"pick\")));\n"
	"int main(int argc, char **argv) { return f_first(argc) + f_second(argc) + chosen(argc); }\n";

static int setup(void **state)
{
	make_dir();
	put("h.h", header, strlen(header));
	put("first.c", first, strlen(first));
	put("second.c", second, strlen(second));
	sh("gcc -w -g -O2 -ffunction-sections -Wl,--gc-sections -Wl,--build-id -o gcc first.c second.c");
	sh("clang-19 -w -g -O2 -ffunction-sections -Wl,--gc-sections -Wl,--build-id -o clang first.c second.c");
	sh("cp gcc stripped && objcopy --only-keep-debug stripped stripped.debug && strip stripped && "
	   "objcopy --add-gnu-debuglink=stripped.debug stripped");
	sh("gcc -w -O2 -o bare first.c second.c");
	return 0;
}

static int find(struct opened *o, const char *name, const struct function ***found, struct error *err)
{
	memset(err, 0, sizeof(*err));
	return debuginfo_find(o->di, name, found, err);
}

static const char *const programs[] = { "gcc", "clang", "stripped" };

static void test_statics_of_one_name(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		struct opened o = must_open_debug(programs[i]);
		const struct function **found;
		struct error err;

		assert_int_equal(find(&o, "same", &found, &err), 2);
		assert_true(found[0]->addr && found[1]->addr && found[0]->addr != found[1]->addr);
		assert_non_null(strstr(found[0]->file, found[0]->line && strstr(found[0]->file, "first") ? "first.c" : "second.c"));
		assert_string_not_equal(found[0]->file, found[1]->file);
		assert_true(found[0]->size > 0 && found[0]->size < 64);
		assert_int_equal(found[0]->lang, LANG_C);
		free(found);
		close_debug(&o);
	}
}

static void test_inlined_everywhere(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		struct opened o = must_open_debug(programs[i]);
		const struct function *fn = must_find_function(&o, "tiny");

		for (int again = 0; again < 2; again++) {
			assert_int_equal(fn->addr, 0);
			assert_int_equal(fn->inlined, 3);
			assert_int_equal(fn->line, 1);
			assert_non_null(strstr(fn->file, "h.h"));
			assert_int_equal(fn->n_params, 1);
			assert_int_equal(fn->params[0].where.kind, LOCATION_NONE);
			fn = must_find_function(&o, "tiny");
		}
		close_debug(&o);
	}
}

static void test_thrown_away_by_the_linker(void **state)
{
	struct opened o = must_open_debug("gcc");
	const struct function *fn = must_find_function(&o, "dropped");

	assert_int_equal(fn->addr, 0);
	assert_int_equal(fn->inlined, 0);
	close_debug(&o);
}

static void test_clones_say_so(void **state)
{
	static const char *const both[] = { "gcc", "stripped" };

	for (size_t i = 0; i < 2; i++) {
		struct opened o = must_open_debug(both[i]);
		const struct function *fn = must_find_function(&o, "taken_apart");

		assert_string_equal(fn->name, "taken_apart");
		assert_non_null(strstr(fn->linkage, ".isra."));
		assert_int_equal(fn->n_params, 2);
		assert_string_equal(fn->params[0].name, "p");
		assert_int_equal(fn->ret_where.kind, LOCATION_NONE);
		assert_non_null(strstr(fn->ret_where.reason, "perhaps removed"));
		close_debug(&o);
	}
}

static void test_hot_and_cold_parts(void **state)
{
	struct opened o = must_open_debug("gcc");
	const struct function *fn = must_find_function(&o, "parted");
	struct symbol sym;

	assert_int_equal(image_find(o.img, "parted", &sym), 0);
	assert_int_equal(fn->addr, sym.addr);
	assert_int_equal(fn->size, sym.size);
	assert_int_equal(image_find(o.img, "parted.cold", &sym), 0);   /* else this tests nothing */
	close_debug(&o);
}

static void test_symbols_without_a_function(void **state)
{
	struct opened o = must_open_debug("gcc");
	const struct function **found;
	struct error err;

	assert_string_equal(must_find_function(&o, "alias_of")->name, "f_first");
	assert_int_equal(find(&o, "printf", &found, &err), 0);          /* only declared */
	assert_null(found);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(find(&o, "chosen", &found, &err), 0);          /* only a resolver */
	assert_int_equal(find(&o, "by_hand", &found, &err), 0);         /* assembler: no parameters are known */
	assert_int_equal(find(&o, "parted.cold", &found, &err), 0);
	assert_int_equal(find(&o, "", &found, &err), -EINVAL);
	close_debug(&o);
}

static void test_nearest_names(void **state)
{
	struct opened o = must_open_debug("clang");
	const struct function **found;
	struct error err;

	assert_int_equal(find(&o, "f_frist", &found, &err), 0);
	assert_non_null(strstr(err.text, "no function 'f_frist'"));
	assert_non_null(strstr(err.hint, "'f_first'"));
	assert_int_equal(find(&o, "tinny", &found, &err), 0);            /* near one that is inlined only */
	assert_non_null(strstr(err.hint, "'tiny'"));
	close_debug(&o);
}

static void test_by_address(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		struct opened o = must_open_debug(programs[i]);
		const struct function *fn = must_find_function(&o, "f_second"), *again;

		assert_int_equal(debuginfo_at(o.di, fn->addr, &again), 0);
		assert_ptr_equal(fn, again);
		assert_int_equal(debuginfo_at(o.di, fn->addr + 1, &again), -ENOENT);
		assert_int_equal(debuginfo_at(o.di, 0, &again), -ENOENT);
		assert_int_equal(debuginfo_at(o.di, UINT64_MAX, &again), -ENOENT);
		close_debug(&o);
	}
}

static int count(const struct function *fn, void *arg)
{
	assert_true(fn->addr != 0);
	return ++*(int *)arg == 100 ? 7 : 0;
}

static int stop(const struct function *fn, void *arg)
{
	return 7;
}

static void test_each(void **state)
{
	struct opened o = must_open_debug("gcc");
	int n = 0;

	assert_int_equal(debuginfo_each(o.di, "f_*", count, &n), 0);
	assert_int_equal(n, 2);
	n = 0;
	assert_int_equal(debuginfo_each(o.di, NULL, count, &n), 0);
	assert_int_equal(n, 10);              /* same twice, taken_apart, rare, parted, f_first, f_second, impl, pick, main */
	assert_int_equal(debuginfo_each(o.di, NULL, stop, &n), 7);
	close_debug(&o);
}

static void test_none(void **state)
{
	struct image *img = must_open("bare");
	struct debuginfo *di;
	struct error err = { 0 };

	assert_int_equal(debuginfo_open(img, dir, NULL, &di, &err), -ENOENT);
	assert_null(di);
	assert_true(err.text[0]);
	image_free(img);
}

static void test_separate_file(void **state)
{
	struct opened o = must_open_debug("stripped");

	assert_non_null(strstr(debuginfo_path(o.di), "stripped.debug"));
	close_debug(&o);
	o = must_open_debug("gcc");
	assert_non_null(strstr(debuginfo_path(o.di), "/gcc"));
	close_debug(&o);
}

static void test_split_dwarf_is_named(void **state)
{
	const struct function **found;
	struct error err;
	struct opened o;

	sh("clang-19 -w -g -gsplit-dwarf -c first.c -o split1.o && clang-19 -w -g -gsplit-dwarf -c second.c -o split2.o && "
	   "clang-19 -o split split1.o split2.o");
	o = must_open_debug("split");
	assert_int_equal(find(&o, "f_first", &found, &err), 0);
	assert_non_null(strstr(err.text, ".dwo"));
	assert_non_null(strstr(err.hint, "-gsplit-dwarf"));
	close_debug(&o);
}

/* Functions inside of functions, and of classes that only a function knows: found though bodies are not read at first. */
static void test_inside_of_functions(void **state)
{
	static const char nested[] = "int outer(int n) { int __attribute__((noinline)) inner(int k) { return k * n + 1; } return inner(n) + inner(3); }\n"
				     "int main(int c, char **v) { return outer(c); }\n";
	static const char local[] = "namespace ns { struct Same { int tell(int); }; int Same::tell(int n) { return n; }\n"
				    "int outer(int n) { struct Local { int __attribute__((noinline)) tell(int k) { return k + 1; } } l;\n"
				    "return l.tell(n) + Same().tell(n); } }\n"
				    "int main(int c, char **) { return ns::outer(c); }\n";
	struct opened o;

	put("nested.c", nested, sizeof(nested) - 1);
	put("local.cc", local, sizeof(local) - 1);
	sh("gcc -w -g -O1 -o nested nested.c && g++ -w -g -O1 -o local local.cc");
	o = must_open_debug("nested");
	assert_string_equal(must_find_function(&o, "inner")->params[0].name, "k");
	close_debug(&o);
	o = must_open_debug("local");
	assert_string_equal(must_find_function(&o, "Local::tell")->params[1].name, "k");
	assert_string_equal(must_find_function(&o, "Same::tell")->params[1].name, "n");
	assert_string_equal(must_find_function(&o, "ns::Same::tell")->name, "ns::Same::tell");
	close_debug(&o);
}

/* What Debian's debug packages look like: common DIEs in a file of their own. */
static void test_alternate_file(void **state)
{
	struct opened o;

	if (system("command -v dwz >/dev/null 2>&1") != 0)
		skip();
	sh("gcc -w -g -O2 -Wl,--build-id -o dwz1 first.c second.c && cp dwz1 dwz2");
	sh("mkdir -p shared && dwz -m shared/common.debug -M ../shared/common.debug dwz1 dwz2 && mkdir -p bin && mv dwz1 bin");
	sh("objdump -h bin/dwz1 | grep -q gnu_debugaltlink");
	o = must_open_debug("bin/dwz1");
	assert_string_equal(must_find_function(&o, "f_second")->params[0].type->name, "int");
	assert_int_equal(must_find_function(&o, "tiny")->inlined, 3);
	assert_string_equal(must_find_function(&o, "main")->params[1].type->name, "char **");
	close_debug(&o);
	/* Another file in its place is not taken: types are unknown, nothing breaks. */
	sh("cp gcc shared/common.debug");
	o = must_open_debug("bin/dwz1");
	assert_int_equal(must_find_function(&o, "f_second")->n_params, 1);
	close_debug(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statics_of_one_name),
		cmocka_unit_test(test_inside_of_functions),
		cmocka_unit_test(test_inlined_everywhere),
		cmocka_unit_test(test_thrown_away_by_the_linker),
		cmocka_unit_test(test_clones_say_so),
		cmocka_unit_test(test_hot_and_cold_parts),
		cmocka_unit_test(test_symbols_without_a_function),
		cmocka_unit_test(test_nearest_names),
		cmocka_unit_test(test_by_address),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_separate_file),
		cmocka_unit_test(test_split_dwarf_is_named),
		cmocka_unit_test(test_alternate_file),
	};

	return cmocka_run_group_tests(tests, setup, remove_dir);
}
