/* SPDX-License-Identifier: Apache-2.0 */
/* Broken ELF files: each is refused or answered within bounds, never a crash, a hang or an answer outside the file. */
#include "image_files.h"

#include <sys/mman.h>

enum { ROUNDS = 2000, SEED = 20240611, SECONDS_MAX = 120 };

static const char source[] =
	"int f1(int n) { return n; } int f2(int n) { return 2 * n; }\n"
	"__asm__(\".symver f1,f@V1\\n.symver f2,f@@V2\");\n"
	"int m(void) __asm__(\"_ZN2ns5Class6methodEi\"); int m(void) { return f1(1); }\n"
	"static int impl(void) { return 1; } static void *pick(void) { return (void *)impl; }\n"
	"int chosen(void) __attribute__((ifunc(\"pick\")));\n";

static unsigned char *elf;
static size_t elf_len;

static int setup(void **state)
{
	make_dir();
	put("a.c", source, strlen(source));
	put("v.map", "V1 { f; }; V2 { f; chosen; _Z*; } V1;\n", 38);
	sh("gcc -w -O1 -shared -fPIC -Wl,--build-id,--version-script=v.map -o whole.so a.c");
	sh("echo debug > x.debug && objcopy --add-gnu-debuglink=x.debug whole.so a.so");
	elf = get("a.so", &elf_len);
	alarm(SECONDS_MAX);
	return 0;
}

static int teardown(void **state)
{
	alarm(0);
	free(elf);
	return remove_dir(state);
}

static int check_symbol(const struct symbol *sym, void *arg)
{
	const struct image *img = arg;
	struct stat st;
	uint64_t offset;
	unsigned char code[16];

	assert_true(sym->name[0] && strlen(sym->name) < elf_len);
	assert_int_equal(fstat(image_fd(img), &st), 0);
	if (image_offset(img, sym->addr, &offset) == 0) {
		assert_true(offset < (uint64_t)st.st_size);
		assert_true(image_code(img, sym->addr, code, sizeof(code)) > 0);
	}
	return 0;
}

/* Opens the bytes as a file and asks everything. Returns image_open's answer. */
static int ask(const unsigned char *data, size_t len)
{
	static const char *const names[] = { "f", "f@V1", "f@@V2", "chosen", "ns::Class::method", "nosuch" };
	int fd = memfd_create("image", MFD_CLOEXEC), rc, debug;
	struct image *img;
	struct error err = { 0 };
	struct symbol sym;
	size_t i;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	rc = image_open(fd, "memory", &img, &err);
	close(fd);
	if (rc != 0) {
		assert_int_equal(rc, -ENOEXEC);
		assert_true(err.code == ENOEXEC && err.text[0]);
		return rc;
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (image_find(img, names[i], &sym) == 0)
			check_symbol(&sym, img);
	image_language(img);
	image_each(img, check_symbol, img);
	debug = image_open_debug(img, dir, NULL, 0, &err);
	assert_true(debug < 0);
	image_free(img);
	return 0;
}

static void test_the_whole_file_is_good(void **state)
{
	struct image *img = must_open("a.so");

	assert_int_equal(ask(elf, elf_len), 0);
	must_find(img, "f@V1");
	must_find(img, "ns::Class::method");
	assert_true(must_find(img, "chosen").indirect);
	image_free(img);
}

static void test_truncations(void **state)
{
	size_t len;

	for (len = 0; len < elf_len; len += 64)
		assert_int_equal(ask(elf, len), -ENOEXEC);    /* the section headers come last */
}

static void test_byte_flips(void **state)
{
	unsigned char *copy = malloc(elf_len);
	unsigned seed = SEED, refused = 0, n, flips;

	assert_non_null(copy);
	for (n = 0; n < ROUNDS; n++) {
		memcpy(copy, elf, elf_len);
		for (flips = 1 + (unsigned)rand_r(&seed) % 8; flips > 0; flips--) {
			/* Half of them in the headers, where they hurt most. */
			size_t part = rand_r(&seed) % 2 ? 1024 : elf_len;

			copy[(size_t)rand_r(&seed) % part] ^= (unsigned char)(1 << rand_r(&seed) % 8);
		}
		refused += ask(copy, elf_len) != 0;
	}
	free(copy);
	assert_true(refused > ROUNDS / 20 && refused < ROUNDS);
}

/* A copy of the file in which one section header is at hand. */
static Elf64_Shdr *section(unsigned char *copy, uint32_t type)
{
	Elf64_Ehdr *eh = (Elf64_Ehdr *)copy;
	Elf64_Shdr *sh = (Elf64_Shdr *)(copy + eh->e_shoff);
	unsigned i;

	for (i = 0; i < eh->e_shnum; i++)
		if (sh[i].sh_type == type)
			return &sh[i];
	fail_msg("no section of type %u", type);
	return NULL;
}

static void with_section(uint32_t type, void (*change)(Elf64_Shdr *sh), int want)
{
	unsigned char *copy = malloc(elf_len);

	assert_non_null(copy);
	memcpy(copy, elf, elf_len);
	change(section(copy, type));
	assert_int_equal(ask(copy, elf_len), want);
	free(copy);
}

static void too_long(Elf64_Shdr *sh) { sh->sh_size = UINT64_MAX - sh->sh_offset + 1; }
static void far_away(Elf64_Shdr *sh) { sh->sh_offset = UINT64_MAX; }
static void odd_entries(Elf64_Shdr *sh) { sh->sh_entsize = 7; }
static void no_strings(Elf64_Shdr *sh) { sh->sh_link = 0xffffff; }
static void own_strings(Elf64_Shdr *sh) { sh->sh_link = 0; }
static void compressed(Elf64_Shdr *sh) { sh->sh_flags |= SHF_COMPRESSED; }
static void cut_entry(Elf64_Shdr *sh) { sh->sh_size -= 5; }
static void empty(Elf64_Shdr *sh) { sh->sh_size = 0; }
static void one_byte(Elf64_Shdr *sh) { sh->sh_size = 1; }

static void test_broken_tables(void **state)
{
	static const uint32_t tables[] = { SHT_SYMTAB, SHT_DYNSYM };
	static const struct { void (*change)(Elf64_Shdr *sh); int want; } changes[] = {
		{ too_long, -ENOEXEC }, { far_away, -ENOEXEC }, { odd_entries, -ENOEXEC }, { no_strings, -ENOEXEC },
		{ own_strings, -ENOEXEC }, { compressed, -ENOEXEC }, { cut_entry, 0 }, { empty, 0 }, { one_byte, 0 },
	};
	size_t t, i;

	for (t = 0; t < 2; t++)
		for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
			with_section(tables[t], changes[i].change, changes[i].want);
	with_section(SHT_GNU_verdef, one_byte, 0);
	with_section(SHT_GNU_versym, one_byte, 0);
	with_section(SHT_NOTE, one_byte, 0);
	with_section(SHT_NOTE, far_away, -ENOEXEC);
}

/* A version definition that names itself as the next one. */
static void test_version_chain_ends(void **state)
{
	unsigned char *copy = malloc(elf_len);
	Elf64_Verdef *def;

	assert_non_null(copy);
	memcpy(copy, elf, elf_len);
	def = (Elf64_Verdef *)(copy + section(copy, SHT_GNU_verdef)->sh_offset);
	def->vd_next = 1;
	assert_int_equal(ask(copy, elf_len), 0);
	def->vd_next = UINT32_MAX;
	def->vd_aux = UINT32_MAX;
	assert_int_equal(ask(copy, elf_len), 0);
	free(copy);
}

/* A sparse file costs its owner nothing: what a header claims must not become memory here. */
static void test_huge_claims(void **state)
{
	unsigned char *copy = malloc(elf_len);
	struct image *img;
	struct error err;

	assert_non_null(copy);
	memcpy(copy, elf, elf_len);
	section(copy, SHT_SYMTAB)->sh_size = 24ULL << 32;
	put("sparse", copy, elf_len);
	assert_int_equal(truncate(at("sparse"), 1LL << 40), 0);
	assert_int_equal(try_open(at("sparse"), &img, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "too large"));

	memcpy(copy, elf, elf_len);
	((Elf64_Ehdr *)copy)->e_shnum = 0;
	((Elf64_Shdr *)(copy + ((Elf64_Ehdr *)copy)->e_shoff))->sh_size = 1U << 30;
	put("sparse", copy, elf_len);
	assert_int_equal(truncate(at("sparse"), 1LL << 40), 0);
	assert_int_equal(try_open(at("sparse"), &img, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "too many sections"));
	free(copy);
}

/* Every symbol has the same long name: a small file whose names add up to gigabytes. */
static void test_shared_long_name(void **state)
{
	enum { NAME = 200000, SYMBOLS = 20000 };
	size_t len;
	unsigned char *copy;
	struct image *img;
	struct symbol sym;
	Elf64_Shdr *table;
	Elf64_Sym *syms;
	uint32_t longest = 0;
	size_t i, names;

	sh("{ echo .text; awk 'BEGIN { for (i = 0; i < %d; i++) print \"_Z\" i \":\" }'; printf _Z; "
	   "head -c %d /dev/zero | tr '\\0' x; echo ': ret'; } > l.s && gcc -shared -nostdlib -o l.so l.s", SYMBOLS, NAME);
	copy = get("l.so", &len);
	table = section(copy, SHT_SYMTAB);
	names = ((Elf64_Shdr *)(copy + ((Elf64_Ehdr *)copy)->e_shoff))[table->sh_link].sh_offset;
	syms = (Elf64_Sym *)(copy + table->sh_offset);
	for (i = 0; i < table->sh_size / sizeof(*syms); i++)
		if (strlen((char *)copy + names + syms[i].st_name) > NAME)
			longest = syms[i].st_name;
	assert_int_not_equal(longest, 0);
	for (i = 1; i < table->sh_size / sizeof(*syms); i++) {
		syms[i].st_name = longest;
		syms[i].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
	}
	put("l.so", copy, len);
	free(copy);
	img = must_open("l.so");
	assert_int_equal(image_find(img, "y", &sym), -ENOEXEC);
	assert_int_equal(image_each(img, check_symbol, img), -ENOEXEC);
	image_free(img);
}

/* The owner truncates the file after it was opened: an error, no signal. */
static void test_truncated_while_open(void **state)
{
	struct image *img;
	struct symbol sym;
	unsigned char code[16];
	uint64_t addr;

	sh("cp a.so shrinks.so");
	img = must_open("shrinks.so");
	addr = must_find(img, "chosen").addr;
	assert_int_equal(truncate(at("shrinks.so"), 100), 0);
	assert_true(image_code(img, addr, code, sizeof(code)) < 0);
	assert_int_equal(image_find(img, "chosen", &sym), 0);     /* was read before and stays what it was */
	image_free(img);
	sh("cp a.so shrinks.so");
	img = must_open("shrinks.so");
	assert_int_equal(truncate(at("shrinks.so"), 100), 0);
	assert_true(image_find(img, "chosen", &sym) < 0);
	image_free(img);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_whole_file_is_good),
		cmocka_unit_test(test_truncations),
		cmocka_unit_test(test_byte_flips),
		cmocka_unit_test(test_broken_tables),
		cmocka_unit_test(test_version_chain_ends),
		cmocka_unit_test(test_huge_claims),
		cmocka_unit_test(test_shared_long_name),
		cmocka_unit_test(test_truncated_while_open),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
