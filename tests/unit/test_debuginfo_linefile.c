/* SPDX-License-Identifier: Apache-2.0 */
/* The names of files by the header of a line table: those that libdw gives, which decodes the whole table for them. */
#include "debuginfo_files.h"

#include "debuginfo_internal.h"

static const char *const commands[] = {
	"gcc -O0 -gdwarf-2 -gstrict-dwarf", "gcc -O2 -gdwarf-3 -gstrict-dwarf", "gcc -O2 -gdwarf-4", "gcc -O2 -gdwarf-5", "gcc -O2 -gdwarf-5 -gz",
	"gcc -O2 -gdwarf64 -gdwarf-5", "clang-19 -O2 -gdwarf-4", "clang-19 -O2 -gdwarf-5",
};

struct compared { unsigned units, files; };

static void compare(struct debuginfo *di, Dwarf_Die *cu, struct compared *seen)
{
	struct unit *u = unit_of(di, cu);
	Dwarf_Files *files;
	size_t n;

	assert_non_null(u);
	assert_int_equal(dwarf_getsrcfiles(cu, &files, &n), 0);
	for (size_t i = 0; i < n; i++) {
		const char *want = dwarf_filesrc(files, i, NULL, NULL), *name = NULL;

		assert_true(line_file(di, u, i, &name));
		assert_string_equal(name, strcmp(want, "???") == 0 ? "" : want);
		assert_true(line_file(di, u, i, &want));
		assert_ptr_equal(want, name);
		seen->files++;
	}
	assert_false(line_file(di, u, n, &(const char *){ NULL }));
	seen->units++;
}

static bool visit(struct debuginfo *di, Dwarf_Die *cu, void *arg)
{
	compare(di, cu, arg);
	return true;
}

static void names_are_those_of_libdw(void **state)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct compared seen = { 0 };
		struct opened o;

		sh("%s -Iinc -w -o files src/one.c $PWD/src/two.c", commands[i]);
		o = must_open_debug("files");
		budget_begin(o.di);
		units_each(o.di, visit, &seen);
		budget_end(o.di);
		assert_int_equal(seen.units, 2);
		assert_true(seen.files >= 6);
		close_debug(&o);
	}
}

/* A table whose header ends early, whose lists have no end, or have more entries than bytes: left to libdw, at no cost. */
static void damaged_headers_are_left_alone(void **state)
{
	static char table[4096];
	struct opened o;
	const char *name;
	Elf_Data line;
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	unsigned understood = 0;

	sh("gcc -O2 -gdwarf-5 -w -Iinc -o files src/one.c src/two.c");
	o = must_open_debug("files");
	line_sections(o.di);
	assert_true(o.di->line->d_size < sizeof(table));
	assert_int_equal(dwarf_get_units(o.di->dwarf, cu, &cu, NULL, NULL, &die, NULL), 0);
	line = *o.di->line;
	memcpy(table, line.d_buf, line.d_size);
	line.d_buf = table;
	o.di->line = &line;
	budget_begin(o.di);
	for (size_t at = 0; at < line.d_size; at++) {
		for (int bit = 0; bit < 8; bit++) {
			struct unit *u = unit_of(o.di, &die);

			table[at] ^= (char)(1 << bit);
			for (uint64_t i = 0; i < 8; i++)
				if (line_file(o.di, u, i, &name))
					understood += strlen(name) > 0;
			line_files_free(u->files);
			u->files = NULL;
			u->files_asked = false;
			table[at] ^= (char)(1 << bit);
		}
	}
	budget_end(o.di);
	assert_true(understood > 0);
	close_debug(&o);
}

static int setup(void **state)
{
	make_dir();
	sh("mkdir -p src inc/deep");
	sh("echo 'static inline int in_header(int a) { return a * 3; }' > inc/deep/header.h");
	sh("printf '#include \"deep/header.h\"\\n#include <stdlib.h>\\nint two(int);\\n#line 7 \"/abs/made.c\"\\n"
	   "int main(int c, char **v) { return two(c) + in_header(c) + atoi(v[0]); }\\n' > src/one.c");
	sh("printf '#include \"deep/header.h\"\\n#line 9 \"rel/made.y\"\\nint two(int a) { return in_header(a) + 1; }\\n' > src/two.c");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_libdw),
		cmocka_unit_test(damaged_headers_are_left_alone),
	};

	return cmocka_run_group_tests(tests, setup, remove_dir);
}
