/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source lines -> code, against what binutils say of the same files: readelf's table tells which lines have code and where their
 * statements begin, addr2line whose source an address is. The same sources by gcc and clang, with and without optimisation, in
 * DWARF 4 and 5, with functions that are inlined, of a header, static ones of one name, and with the debug information apart.
 */
#include "debuginfo_files.h"

static const char header[] =
	"static inline int scale(int n)\n"
	"{\n"
	"\tint by = 3;\n"
	"\tif (n > 100)\n"
	"\t\tby = n / 7;\n"
	"\treturn n * by + 1;\n"
	"}\n"
	"int f_first(int n);\n"
	"int f_second(int n);\n";

static const char first[] =
	"#include \"lib/scale.h\"\n"
	"#include <stdio.h>\n"
	"/* a comment */\n"
	"#ifdef NEVER\n"
	"int never(void) { return 1; }\n"
	"#endif\n"
	"__attribute__((noinline)) static int same(int n)\n"
	"{\n"
	"\tint sum = 0;\n"
	"\tfor (int i = 0; i < n; i++)\n"
	"\t\tsum += i * n;\n"
	"\tif (sum > 1000) {\n"
	"\t\tputs(\"large\");\n"
	"\t\treturn -1;\n"
	"\t}\n"
	"\treturn sum;\n"
	"}\n"
	"\n"
	"int dropped(int n)\n"
	"{\n"
	"\treturn n + 7;\n"
	"}\n"
	"\n"
	"int f_first(int n)\n"
	"{\n"
	"\tint a = scale(n);\n"
	"\tint b = scale(n + 1);\n"
	"\tswitch (n) {\n"
	"\tcase 1: return a;\n"
	"\tcase 2: return b;\n"
	"\tdefault: break;\n"
	"\t}\n"
	"\treturn same(a) + b;\n"
	"}\n";

static const char second[] =
	"#include \"lib/scale.h\"\n"
	"__attribute__((noinline)) static int same(int n)\n"
	"{\n"
	"\treturn scale(n) + 1;\n"
	"}\n"
	"int f_second(int n) { return same(n); }\n"
	"int main(int argc, char **argv) { return f_first(argc) + f_second(argc); }\n";

static const char cold[] =
	"#include <stdlib.h>\n"
	"__attribute__((noinline)) static int parse(int n)\n"
	"{\n"
	"\t__asm__ volatile(\"\");\n"
	"\tif (n % 1500 == 1499)\n"
	"\t\tabort();\n"
	"\treturn n + 1;\n"
	"}\n"
	"int main(int argc, char **argv) { return parse(argc); }\n";

static const struct { const char *name, *command; } builds[] = {
	{ "gcc-O0-4", "gcc -O0 -gdwarf-4" }, { "gcc-O0-5", "gcc -O0 -gdwarf-5" },
	{ "gcc-O2-4", "gcc -O2 -gdwarf-4" }, { "gcc-O2-5", "gcc -O2 -gdwarf-5" },
	{ "gcc-O3-no-views", "gcc -O3 -gdwarf-5 -gno-variable-location-views" },
	{ "clang-O0-4", "clang-19 -O0 -gdwarf-4" }, { "clang-O0-5", "clang-19 -O0 -gdwarf-5" },
	{ "clang-O2-4", "clang-19 -O2 -gdwarf-4" }, { "clang-O2-5", "clang-19 -O2 -gdwarf-5" },
	{ "apart", "gcc -O2 -gdwarf-5" }, { "packed", "gcc -O2 -gdwarf-5 -gz" },
};

#define QUERY(p, l, n) { .path = p, .lines = l, .n_lines = n }

enum { BUILDS = sizeof(builds) / sizeof(builds[0]), PLACES_MAX = 512, ROWS_MAX = 2048, LINES = 40 };

static int setup(void **state)
{
	make_dir();
	sh("mkdir -p src/lib");
	put("src/lib/scale.h", header, strlen(header));
	put("src/first.c", first, strlen(first));
	put("src/second.c", second, strlen(second));
	for (size_t i = 0; i < BUILDS; i++)
		sh("%s -w -ffunction-sections -Wl,--gc-sections -Wl,--build-id -o %s src/first.c src/second.c", builds[i].command,
		   builds[i].name);
	put("src/cold.c", cold, strlen(cold));
	sh("gcc -O2 -g -w -Wl,--build-id -o cold src/cold.c");
	sh("objcopy --only-keep-debug apart apart.debug && strip apart && objcopy --add-gnu-debuglink=apart.debug apart");
	return 0;
}

/* ---- what plumb says ---- */

struct found {
	struct line_place place[PLACES_MAX];
	uint32_t query[PLACES_MAX];
	int n;
};

static int keep(uint32_t query, const struct line_place *p, void *arg)
{
	struct found *f = arg;

	assert_true(f->n < PLACES_MAX);
	assert_true(p->start < p->end && p->next_statement > p->start && p->next_statement <= p->end);
	f->query[f->n] = query;
	f->place[f->n++] = *p;
	return 0;
}

static int ask(struct opened *o, struct line_query *q, uint32_t n, struct found *f, struct error *err)
{
	const struct line_visitor visitor = { .place = keep, .arg = f };

	f->n = 0;
	memset(err, 0, sizeof(*err));
	return debuginfo_lines(o->di, q, n, &visitor, err);
}

static void ask_everything(struct opened *o, struct found *f)
{
	static uint32_t all[LINES];
	struct line_query q[] = { QUERY("src/first.c", all, LINES), QUERY("./src//second.c", all, LINES), QUERY("lib/scale.h", all, LINES) };
	struct error err;

	for (uint32_t i = 0; i < LINES; i++)
		all[i] = i + 1;
	if (ask(o, q, 3, f, &err))
		fail_msg("%s", err.text);
	assert_true(q[0].n_files && q[1].n_files && q[2].n_files);
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- what readelf says ---- */

struct row { char file[128]; int line; unsigned long addr; bool statement, end; };

static int read_truth(const char *name, struct row *rows)
{
	char text[512];
	FILE *f;
	int n = 0;

	sh("readelf -W --debug-dump=decodedline %s%s > rows 2>/dev/null", name, strcmp(name, "apart") ? "" : ".debug");
	f = fopen(at("rows"), "r");
	assert_non_null(f);
	while (fgets(text, sizeof(text), f)) {
		struct row r = { 0 };
		char line[32];

		if (sscanf(text, "%127s %31s 0x%lx", r.file, line, &r.addr) != 3 && sscanf(text, "%127s %31s %lu", r.file, line, &r.addr) != 3)
			continue;
		memmove(r.file, base(r.file), strlen(base(r.file)) + 1);
		r.end = !strcmp(line, "-");
		r.line = atoi(line);
		r.statement = text[strcspn(text, "\n") - 1] == 'x';
		assert_true(n < ROWS_MAX);
		rows[n++] = r;
	}
	fclose(f);
	assert_true(n > 20);
	return n;
}

/* A row of one of our files, which the linker has kept and which has instructions. */
static bool has_code(const struct row *rows, int n, int i)
{
	return i + 1 < n && !rows[i].end && rows[i].line > 0 && rows[i].addr > 0x100 && rows[i + 1].addr > rows[i].addr &&
	       (!strcmp(rows[i].file, "first.c") || !strcmp(rows[i].file, "second.c") || !strcmp(rows[i].file, "scale.h"));
}

static const struct line_place *place_of(const struct found *f, const struct row *r, bool there)
{
	for (int i = 0; i < f->n; i++)
		if (!strcmp(base(f->place[i].file), r->file) && f->place[i].line == (uint32_t)r->line &&
		    (!there || f->place[i].start == r->addr))
			return &f->place[i];
	return NULL;
}

static void test_lines_with_code_are_those_of_readelf(void **state)
{
	static struct row rows[ROWS_MAX];
	static struct found f;

	for (size_t b = 0; b < BUILDS; b++) {
		struct opened o = must_open_debug(builds[b].name);
		int n = read_truth(builds[b].name, rows);

		ask_everything(&o, &f);
		for (int i = 0; i < n; i++)
			if (has_code(rows, n, i) && !place_of(&f, &rows[i], false))
				fail_msg("%s: no place for %s:%d", builds[b].name, rows[i].file, rows[i].line);
		/* ... and none but those, marks of merged statements aside */
		for (int p = 0; p < f.n; p++) {
			bool known = false;

			for (int i = 0; i < n && !known; i++)
				known = rows[i].addr == f.place[p].start && rows[i].line == (int)f.place[p].line &&
					!strcmp(rows[i].file, base(f.place[p].file)) &&
					(f.place[p].merged ? rows[i].statement : has_code(rows, n, i));
			if (!known)
				fail_msg("%s: %s:%u at 0x%lx is not in the table", builds[b].name, f.place[p].file, f.place[p].line,
					 f.place[p].start);
		}
		close_debug(&o);
	}
}

static void test_statements_that_begin_are_places(void **state)
{
	static struct row rows[ROWS_MAX];
	static struct found f;

	for (size_t b = 0; b < BUILDS; b++) {
		struct opened o = must_open_debug(builds[b].name);
		int n = read_truth(builds[b].name, rows);

		ask_everything(&o, &f);
		for (int i = 1; i < n; i++) {
			if (!has_code(rows, n, i) || !rows[i].statement || rows[i - 1].addr == rows[i].addr)
				continue;
			if (rows[i - 1].end || rows[i - 1].line != rows[i].line || strcmp(rows[i - 1].file, rows[i].file))
				if (!place_of(&f, &rows[i], true))
					fail_msg("%s: %s:%d begins at 0x%lx, no place there", builds[b].name, rows[i].file,
						 rows[i].line, rows[i].addr);
		}
		close_debug(&o);
	}
}

/* ---- what addr2line says ---- */

static void test_functions_are_those_of_addr2line(void **state)
{
	static struct found f;

	for (size_t b = 0; b < BUILDS; b++) {
		struct opened o = must_open_debug(builds[b].name);
		FILE *addresses = fopen(at("addresses"), "w"), *truth;

		ask_everything(&o, &f);
		assert_non_null(addresses);
		for (int i = 0; i < f.n; i++)
			fprintf(addresses, "0x%lx\n", f.place[i].start);
		fclose(addresses);
		sh("addr2line -e %s%s -f < addresses > names", builds[b].name, strcmp(builds[b].name, "apart") ? "" : ".debug");
		truth = fopen(at("names"), "r");
		assert_non_null(truth);
		for (int i = 0; i < f.n; i++) {
			char name[128], where[512], *colon;

			assert_int_equal(fscanf(truth, "%127s %511[^\n]", name, where), 2);
			if (f.place[i].merged)
				continue;
			colon = strrchr(where, ':');
			assert_non_null(colon);
			*colon = '\0';
			if (!f.place[i].fn || strcmp(f.place[i].fn->name, name) || (uint32_t)atoi(colon + 1) != f.place[i].line)
				fail_msg("%s: 0x%lx is %s %s:%s, not %s %s:%u", builds[b].name, f.place[i].start, name, where, colon + 1,
					 f.place[i].fn ? f.place[i].fn->name : "?", f.place[i].file, f.place[i].line);
		}
		fclose(truth);
		close_debug(&o);
	}
}

/* ---- the rest ---- */

static int count(const struct found *f, const char *function, bool inlined)
{
	int n = 0;

	for (int i = 0; i < f->n; i++)
		n += f->place[i].fn && !strcmp(f->place[i].fn->name, function) && f->place[i].inlined == inlined;
	return n;
}

static void test_inlined_copies(void **state)
{
	static const char *const optimised[] = { "gcc-O2-4", "gcc-O2-5", "clang-O2-4", "clang-O2-5", "apart", "packed" };
	const uint32_t line = 6;
	struct line_query q = QUERY("scale.h", &line, 1);
	static struct found f;
	struct error err;

	for (size_t i = 0; i < 6; i++) {
		struct opened o = must_open_debug(optimised[i]);

		assert_int_equal(ask(&o, &q, 1, &f, &err), 0);
		/* twice in f_first, once in same; clang gives what two copies share no line */
		if (count(&f, "scale", true) < (strncmp(optimised[i], "clang", 5) ? 3 : 2))
			fail_msg("%s: %d of %d", optimised[i], count(&f, "scale", true), f.n);
		assert_int_equal(count(&f, "scale", false), 0);
		for (int k = 0; k < f.n; k++)
			assert_true(f.place[k].fn->inlined >= 1 && f.place[k].fn->addr == 0);
		close_debug(&o);
	}
	for (size_t i = 0; i < 2; i++) {
		struct opened o = must_open_debug(i ? "clang-O0-5" : "gcc-O0-4");

		assert_int_equal(ask(&o, &q, 1, &f, &err), 0);
		assert_int_equal(count(&f, "scale", false), 2); /* one in each unit */
		assert_int_equal(f.n, 2);
		close_debug(&o);
	}
}

static void test_static_functions_of_one_name(void **state)
{
	const uint32_t four = 4, twelve = 12;
	struct line_query q[] = { QUERY("src/second.c", &four, 1), QUERY("src/first.c", &twelve, 1) };
	static struct found f;
	struct error err;

	for (size_t b = 0; b < BUILDS; b++) {
		struct opened o = must_open_debug(builds[b].name);

		assert_int_equal(ask(&o, q, 2, &f, &err), 0);
		for (int i = 0; i < f.n; i++)
			assert_string_equal(base(f.place[i].file), f.query[i] ? "first.c" : "second.c");
		if (count(&f, "same", false) < 2)
			fail_msg("%s: %d of %d", builds[b].name, count(&f, "same", false), f.n);
		close_debug(&o);
	}
}

static void test_lines_without_code_name_their_neighbours(void **state)
{
	const uint32_t comment = 3, dropped = 21;
	struct line_query q = QUERY("first.c", &comment, 1);
	static struct found f;
	struct error err;

	for (size_t b = 0; b < BUILDS; b++) {
		struct opened o = must_open_debug(builds[b].name);

		q.lines = &comment;
		assert_int_equal(ask(&o, &q, 1, &f, &err), 0);
		assert_int_equal(f.n, 0);
		assert_int_equal(q.before, 0);
		assert_true(q.after >= 7 && q.after <= 10);
		q.lines = &dropped;      /* the linker threw its function away */
		assert_int_equal(ask(&o, &q, 1, &f, &err), 0);
		assert_int_equal(f.n, 0);
		assert_true(q.before >= 14 && q.before <= 17);
		assert_true(q.after >= 24 && q.after <= 26);
		close_debug(&o);
	}
}

static void test_unknown_file(void **state)
{
	const uint32_t line = 1;
	struct line_query q = QUERY("src/frist.c", &line, 1);
	static struct found f;
	struct error err;

	for (size_t b = 0; b < BUILDS; b++) {
		struct opened o = must_open_debug(builds[b].name);

		assert_int_equal(ask(&o, &q, 1, &f, &err), -ENOENT);
		assert_non_null(strstr(err.text, "src/frist.c"));
		assert_non_null(strstr(err.hint, "src/first.c"));
		q.path = "other/first.c";
		assert_int_equal(ask(&o, &q, 1, &f, &err), -ENOENT);
		q.path = "src/frist.c";
		close_debug(&o);
	}
}

static void test_loops_have_several_places(void **state)
{
	const uint32_t lines[] = { 10, 11, 16 };
	struct line_query q = QUERY("first.c", lines, 3);
	struct opened o = must_open_debug("gcc-O0-5");
	static struct found f;
	struct error err;
	int n;

	assert_int_equal(ask(&o, &q, 1, &f, &err), 0);
	n = f.n;
	assert_true(n >= 4);       /* the loop's line has several runs */
	for (int i = 0; i < n; i++) {
		struct code_range code[LINE_CODE_RANGES_MAX];
		uint64_t entry;

		assert_int_equal(debuginfo_line_code(o.di, &f.place[i], code, &entry), 1);
		assert_true(code[0].start == f.place[i].fn->addr && f.place[i].end <= code[0].end);
	}
	close_debug(&o);
}

/* The call that does not return ends its section: the line's last row is where the sequence ends, and what lies there is padding. */
static void test_nothing_begins_where_a_sequence_ends(void **state)
{
	const uint32_t line = 6;
	struct line_query q = QUERY("cold.c", &line, 1);
	struct opened o = must_open_debug("cold");
	static struct found f;
	struct error err;

	assert_int_equal(ask(&o, &q, 1, &f, &err), 0);
	assert_int_equal(f.n, 1);
	assert_non_null(f.place[0].fn);
	assert_string_equal(f.place[0].fn->name, "parse");
	close_debug(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_with_code_are_those_of_readelf),
		cmocka_unit_test(test_statements_that_begin_are_places),
		cmocka_unit_test(test_functions_are_those_of_addr2line),
		cmocka_unit_test(test_inlined_copies),
		cmocka_unit_test(test_static_functions_of_one_name),
		cmocka_unit_test(test_lines_without_code_name_their_neighbours),
		cmocka_unit_test(test_unknown_file),
		cmocka_unit_test(test_loops_have_several_places),
		cmocka_unit_test(test_nothing_begins_where_a_sequence_ends),
	};

	return cmocka_run_group_tests(tests, setup, remove_dir);
}
