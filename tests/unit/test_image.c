/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF module against files that are built here by the compiler, the running libc, and broken files. */
#include "image_files.h"

#include <dlfcn.h>
#include <link.h>

static const char source[] =
	"int twice(int n) { return 2 * n; }\n"
	"int alias(int n) __attribute__((alias(\"twice\")));\n"
	"__attribute__((noinline)) static int hidden(int n) { __asm__ volatile(\"\"); return n + 1; }\n"
	"int dup(int n);\n"
	"int (*use[])(int) = { hidden, dup };\n"
	"static int impl(int n) { return n; }\n"
	"static void *pick(void) { return (void *)impl; }\n"
	"int chosen(int n) __attribute__((ifunc(\"pick\")));\n"
	"int cold_part(int n) __asm__(\"parse.cold\"); int cold_part(int n) { return n; }\n"
	"int isra(int n) __asm__(\"parse.isra.0\"); int isra(int n) { return n; }\n"
	"__attribute__((weak)) int weak(int n) { return n; }\n"
	"int data = 1;\n"
	"__asm__(\".text\\n.type outer,@function\\nouter: .zero 8\\n.type inner,@function\\ninner: .zero 8\\n\"\n"
	"	\".size inner,4\\n.zero 48\\n.size outer,64\\n.zero 64\\n\"\n"
	"	\".type sizeless,@function\\nsizeless: .zero 32\\n.type next,@function\\nnext: ret\\n.size next,1\\n.zero 32\\n\");\n"
	"#ifdef MAIN\n"
	"int puts(const char *s); int (*imported)(const char *) = puts;\n"
	"int main(int c, char **v) { return twice(c) + use[c > 9](c) + chosen(c) + (imported == puts); }\n"
	"#endif\n";

static const char other_source[] =
	"int dup(int n) { return n; }\n";

/* The same static name in another unit: the global one must win. */
static const char static_source[] =
	"__attribute__((noinline)) static int dup(int n) { __asm__ volatile(\"\"); return n - 1; }\n"
	"int call_static(int n) { return dup(n); }\n";

static const char versions_source[] =
	"int old(void) { return 1; } int new(void) { return 2; }\n"
	"__asm__(\".symver old,f@V1\\n.symver new,f@@V2\");\n";

static const char mangled_source[] =
	"int a(void) __asm__(\"_ZN2ns5Class6methodEi\"); int a(void) { return 1; }\n"
	"int b(void) __asm__(\"_ZN5Class6methodEi\"); int b(void) { return 2; }\n"
	"int c(void) __asm__(\"_ZN3BoxIiE3putEi\"); int c(void) { return 3; }\n"
	"int i(void) __asm__(\"_ZN4CaseIN2ns4ItemEE4openEi\"); int i(void) { return 8; }\n"
	"int d(void) __asm__(\"_ZN5order5parse17h0123456789abcdefE\"); int d(void) { return 4; }\n"
	"int e(void) __asm__(\"_RNvNtC5order5store4load\"); int e(void) { return 5; }\n"
	"int g(void) __asm__(\"_ZN2ns5Class4slowEv.cold\"); int g(void) { return 6; }\n"
	"int h(void) __asm__(\"_ZN2nslsERKS_\"); int h(void) { return 7; }\n";

static int setup(void **state)
{
	make_dir();
	put("a.c", source, strlen(source));
	put("b.c", other_source, strlen(other_source));
	put("s.c", static_source, strlen(static_source));
	put("v.c", versions_source, strlen(versions_source));
	put("m.c", mangled_source, strlen(mangled_source));
	put("v.map", "V1 { f; }; V2 { f; } V1;\n", 25);
	sh("gcc -w -O1 -g -DMAIN -Wl,--build-id -o pie s.c a.c b.c");
	sh("gcc -w -O1 -g -DMAIN -no-pie -fno-pie -Wl,--build-id -o exe s.c a.c b.c");
	sh("gcc -w -O1 -g -DMAIN -Wl,--build-id=none -o noid a.c b.c");
	sh("gcc -w -O1 -shared -fPIC -Wl,--version-script=v.map -o versions.so v.c");
	sh("gcc -w -O1 -shared -fPIC -o mangled.so m.c");
	sh("gcc -w -O1 -shared -fPIC -o lib.so a.c b.c && strip -o stripped.so lib.so");
	sh("gcc -w -c -o a.o a.c");
	return 0;
}

/* ---- opening ---- */

static void test_refuses_other_files(void **state)
{
	static const struct { size_t offset; unsigned char value; const char *why; } patches[] = {
		{ 0, 'X', "not an ELF file" },
		{ EI_CLASS, ELFCLASS32, "not for x86-64" },
		{ EI_DATA, ELFDATA2MSB, "not for x86-64" },
		{ offsetof(Elf64_Ehdr, e_machine), EM_AARCH64, "not for x86-64" },
		{ offsetof(Elf64_Ehdr, e_type), ET_CORE, "core dump" },
		{ offsetof(Elf64_Ehdr, e_type), 77, "neither a program" },
		{ offsetof(Elf64_Ehdr, e_version), 9, "ELF version" },
		{ offsetof(Elf64_Ehdr, e_phentsize), 3, "program headers" },
		{ offsetof(Elf64_Ehdr, e_phnum) + 1, 0xff, "too many program headers" },
		{ offsetof(Elf64_Ehdr, e_shoff) + 5, 1, "truncated" },
		{ offsetof(Elf64_Ehdr, e_shnum) + 1, 0xff, "truncated" },
	};
	struct image *img;
	struct error err;
	size_t i, len;
	unsigned char *elf = get("pie", &len), saved;

	for (i = 0; i < sizeof(patches) / sizeof(patches[0]); i++) {
		saved = elf[patches[i].offset];
		elf[patches[i].offset] = patches[i].value;
		put("patched", elf, len);
		elf[patches[i].offset] = saved;
		assert_int_equal(try_open(at("patched"), &img, &err), -ENOEXEC);
		if (!strstr(err.text, patches[i].why))
			fail_msg("want '%s', got '%s'", patches[i].why, err.text);
	}
	free(elf);
	assert_int_equal(try_open(at("a.o"), &img, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "object file"));
	assert_int_equal(try_open(dir, &img, &err), -ENOEXEC);
	assert_int_equal(try_open("/dev/null", &img, &err), -ENOEXEC);
	put("empty", "", 0);
	assert_int_equal(try_open(at("empty"), &img, &err), -ENOEXEC);
}

static void test_identity(void **state)
{
	struct image *pie = must_open("pie"), *none = must_open("noid"), *stripped = must_open("stripped.so");

	assert_int_equal(strlen(image_build_id(pie)), 40);
	assert_int_equal(strspn(image_build_id(pie), "0123456789abcdef"), 40);
	assert_string_equal(image_build_id(none), "");
	assert_true(image_has_debug_info(pie));
	assert_false(image_has_debug_info(stripped));
	assert_int_equal(image_mentions(pie, (const char *const[]){ "__libc_start_mai", "__libc_start_main", "", "d", "data", "data2" }, 6),
			 1 << 1 | 1 << 4);
	assert_true(fcntl(image_fd(pie), F_GETFD) & FD_CLOEXEC);
	image_free(pie);
	image_free(none);
	image_free(stripped);
	image_free(NULL);
}

/* ---- symbols ---- */

static void check_symbols(const char *file)
{
	struct image *img = must_open(file);
	struct symbol twice = must_find(img, "twice"), sym = must_find(img, "alias");

	assert_int_equal(sym.addr, twice.addr);
	assert_string_equal(sym.name, "alias");
	assert_true(twice.size > 0 && !twice.local && !twice.indirect && !twice.dynamic);
	assert_true(must_find(img, "hidden").local);
	assert_true(must_find(img, "chosen").indirect);
	must_find(img, "weak");
	must_find(img, "parse.cold");
	must_miss(img, "parse");
	must_miss(img, "data");
	must_miss(img, "__libc_start_main");
	must_miss(img, "puts");               /* without PIE it has an address: its PLT entry */
	must_miss(img, "twic");
	must_miss(img, "");
	must_miss(img, "@");
	image_free(img);
}

static void test_finds_names(void **state)
{
	struct image *img;

	check_symbols("pie");
	check_symbols("exe");
	img = must_open("exe");
	assert_false(must_find(img, "dup").local);
	image_free(img);
	img = must_open("stripped.so");
	assert_true(must_find(img, "twice").dynamic);
	assert_true(must_find(img, "chosen").indirect);
	must_miss(img, "hidden");
	image_free(img);
}

static void test_versions(void **state)
{
	static const char *const files[] = { "versions.so", "versions-stripped.so" };
	struct image *img;
	struct symbol v1, v2;
	size_t i;

	sh("strip -o versions-stripped.so versions.so");
	for (i = 0; i < 2; i++) {
		img = must_open(files[i]);
		v1 = must_find(img, "f@V1");
		v2 = must_find(img, "f@@V2");
		assert_true(v1.addr != v2.addr);
		assert_int_equal(must_find(img, "f").addr, v2.addr);
		assert_int_equal(must_find(img, "f@V2").addr, v2.addr);
		must_miss(img, "f@@V1");
		must_miss(img, "f@V3");
		assert_int_equal(image_mentions(img, (const char *const[]){ "g", "f" }, 2), 2);
		image_free(img);
	}
}

static int take_libc(struct dl_phdr_info *info, size_t size, void *arg)
{
	if (!strstr(info->dlpi_name, "libc.so"))
		return 0;
	*(struct dl_phdr_info *)arg = *info;
	return 1;
}

static void test_running_libc(void **state)
{
	struct dl_phdr_info libc = { 0 };
	struct image *img;
	struct symbol sym;
	unsigned char code[64];
	uintptr_t addr;

	assert_int_equal(dl_iterate_phdr(take_libc, &libc), 1);
	img = must_open(libc.dlpi_name);
	addr = (uintptr_t)dlsym(RTLD_DEFAULT, "getppid");
	sym = must_find(img, "getppid");
	assert_int_equal(sym.addr, addr - libc.dlpi_addr);
	assert_int_equal(image_code(img, sym.addr, code, 8), 8);
	assert_memory_equal(code, (void *)addr, 8);
	assert_true(must_find(img, "memcpy").indirect);
	assert_int_equal(must_find(img, "memcpy").addr, must_find(img, "memcpy@@GLIBC_2.14").addr);
	sym = must_find(img, "memcpy@GLIBC_2.2.5");
	assert_int_not_equal(sym.addr, must_find(img, "memcpy").addr);
	must_miss(img, "memcpy@@GLIBC_2.2.5");
	assert_int_equal(image_language(img), LANG_C);
	image_free(img);
}

static void test_demangled_names(void **state)
{
	struct image *img = must_open("mangled.so");

	assert_string_equal(must_find(img, "ns::Class::method").name, "_ZN2ns5Class6methodEi");
	assert_string_equal(must_find(img, "Class::method").name, "_ZN5Class6methodEi");
	assert_non_null(strstr(must_find(img, "method").name, "5Class6methodEi"));
	assert_string_equal(must_find(img, "Box<int>::put").name, "_ZN3BoxIiE3putEi");
	assert_string_equal(must_find(img, "Box::put").name, "_ZN3BoxIiE3putEi");
	assert_string_equal(must_find(img, "order::parse").name, "_ZN5order5parse17h0123456789abcdefE");
	assert_string_equal(must_find(img, "order::store::load").name, "_RNvNtC5order5store4load");
	assert_string_equal(must_find(img, "ns::operator<<").name, "_ZN2nslsERKS_");
	must_miss(img, "Item>::open");
	must_miss(img, "ns::Class::slow");
	must_miss(img, "lass::method");
	must_miss(img, "ns::Class");
	assert_int_equal(image_language(img), LANG_RUST);
	image_free(img);
}

/* ---- by address ---- */

struct seen {
	const struct image *img;
	uint64_t last;
	unsigned count, twice, stop_at;
};

static int see(const struct symbol *sym, void *arg)
{
	struct seen *s = arg;
	struct symbol at_addr;

	assert_true(sym->addr >= s->last);
	s->last = sym->addr;
	assert_int_equal(image_symbol_at(s->img, sym->addr, &at_addr), 0);
	assert_int_equal(at_addr.addr, sym->addr);
	if (strcmp(sym->name, "twice") == 0)
		s->twice++;
	return ++s->count == s->stop_at ? 42 : 0;
}

static void test_by_address(void **state)
{
	struct image *img = must_open("lib.so");
	struct seen seen = { .img = img }, stopped = { .img = img, .stop_at = 2 };
	struct symbol twice = must_find(img, "twice"), sym;
	uint64_t offset;
	uint8_t code[16];

	assert_int_equal(image_each(img, see, &seen), 0);
	assert_int_equal(seen.twice, 1);              /* it is in both tables */
	assert_int_equal(image_each(img, see, &stopped), 42);
	assert_int_equal(stopped.count, 2);
	assert_int_equal(image_symbol_at(img, twice.addr + twice.size - 1, &sym), 0);
	assert_int_equal(sym.addr, twice.addr);
	assert_int_equal(image_symbol_at(img, 0, &sym), -ENOENT);
	assert_int_equal(image_symbol_at(img, UINT64_MAX, &sym), -ENOENT);
	assert_int_equal(image_offset(img, twice.addr, &offset), 0);
	assert_int_equal(pread(image_fd(img), code, 1, (off_t)offset), 1);
	assert_int_equal(image_offset(img, UINT64_MAX, &offset), -ERANGE);
	assert_int_equal(image_code(img, 0, code, sizeof(code)), -ERANGE);
	image_free(img);
}

static void expect_at(const struct image *img, uint64_t addr, const char *want)
{
	struct symbol sym;

	if (!want) {
		assert_int_equal(image_symbol_at(img, addr, &sym), -ENOENT);
		return;
	}
	assert_int_equal(image_symbol_at(img, addr, &sym), 0);
	assert_string_equal(sym.name, want);
}

static void test_overlapping_symbols(void **state)
{
	struct image *img = must_open("lib.so");
	uint64_t outer = must_find(img, "outer").addr, sizeless = must_find(img, "sizeless").addr;

	expect_at(img, outer, "outer");
	expect_at(img, outer + 8, "inner");
	expect_at(img, outer + 11, "inner");
	expect_at(img, outer + 12, "outer");
	expect_at(img, outer + 63, "outer");
	expect_at(img, outer + 64, NULL);
	expect_at(img, outer + 127, NULL);
	expect_at(img, sizeless, "sizeless");
	expect_at(img, sizeless + 31, "sizeless");
	expect_at(img, sizeless + 32, "next");
	expect_at(img, sizeless + 33, NULL);
	image_free(img);
}

static void test_code_ends_with_its_segment(void **state)
{
	struct image *img = must_open("lib.so");
	uint64_t addr = must_find(img, "twice").addr, offset;
	uint8_t code[16];

	while (image_offset(img, addr + 1, &offset) == 0)
		addr++;
	assert_int_equal(image_code(img, addr - 3, code, sizeof(code)), 4);
	assert_int_equal(image_code(img, addr + 1, code, sizeof(code)), -ERANGE);
	image_free(img);
}

static void test_language(void **state)
{
	static const struct { const char *text; enum language want; } cases[] = {
		{ "int f(void) { return 1; }", LANG_C },
		{ "int f(void) __asm__(\"_Z1fv\"); int f(void) { return 1; }", LANG_CXX },
		{ "int f(void) __asm__(\"_ZN1a1f17h0123456789abcdefE\"); int f(void) { return 1; }", LANG_RUST },
		{ "__asm__(\".section .comment\\n.string \\\"rustc version 1.63.0\\\"\");", LANG_RUST },
		{ "__attribute__((section(\".go.buildinfo\"))) int f = 1;", LANG_GO },
		{ "extern void f(void) __asm__(\"_Znwm\"); void g(void) { f(); }", LANG_CXX },
	};
	struct image *img;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put("l.c", cases[i].text, strlen(cases[i].text));
		sh("gcc -w -O1 -shared -fPIC -s -o l.so l.c");
		img = must_open("l.so");
		assert_string_equal(language_name(image_language(img)), language_name(cases[i].want));
		image_free(img);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses_other_files),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_finds_names),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_running_libc),
		cmocka_unit_test(test_demangled_names),
		cmocka_unit_test(test_by_address),
		cmocka_unit_test(test_overlapping_symbols),
		cmocka_unit_test(test_code_ends_with_its_segment),
		cmocka_unit_test(test_language),
	};

	return cmocka_run_group_tests(tests, setup, remove_dir);
}
