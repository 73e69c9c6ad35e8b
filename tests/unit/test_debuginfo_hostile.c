/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broken debug information: flipped bytes, cut files, and loops built on purpose.  Each round asks everything in a child
 * with limits on memory and time, as the agent does: a crash of libdw would be contained there, but it is a failure here.
 */
#include "debuginfo_files.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { ROUNDS = 1000, ROUNDS_PER_CHILD = 50, SEED = 20240612, SECONDS_MAX = 300, CPU_SECONDS = 60 };

#ifdef __SANITIZE_ADDRESS__
enum { LIMIT_MEMORY = 0 };              /* the sanitizer reserves terabytes */
#else
enum { LIMIT_MEMORY = 1 };
#endif

static const char source[] =
	"struct o { int id; unsigned b : 3, c : 9; struct o *next; union { int i; float f; }; char name[8]; };\n"
	"enum e { A, B = 7 }; typedef int (*cb)(struct o *, enum e);\n"
	"static inline int tiny(int n) { return n * 3; }\n"
	"__attribute__((noinline)) static int st(struct o *p, int k) { __asm__ volatile(\"\"); return p->id + k; }\n"
	"int work(struct o *p, cb f, struct o by, double d, int last) { if (last > 3) return st(p, 3);\n"
	"  return f(p, B) + tiny(by.id) + tiny(last); }\n";

struct file { const char *name; unsigned char *data; size_t len; };

static struct file files[] = { { "gcc5", NULL, 0 }, { "gcc4", NULL, 0 }, { "clang5", NULL, 0 }, { "clang4", NULL, 0 } };

enum { FILES = sizeof(files) / sizeof(files[0]) };

static int setup(void **state)
{
	make_dir();
	put("a.c", source, strlen(source));
	sh("gcc -w -g -gdwarf-5 -O2 -shared -fPIC -o gcc5 a.c && gcc -w -g -gdwarf-4 -O0 -shared -fPIC -o gcc4 a.c");
	sh("clang-19 -w -g -gdwarf-5 -O2 -shared -fPIC -o clang5 a.c && clang-19 -w -g -gdwarf-4 -O0 -shared -fPIC -o clang4 a.c");
	for (int i = 0; i < FILES; i++)
		files[i].data = get(files[i].name, &files[i].len);
	alarm(SECONDS_MAX);
	return 0;
}

static int teardown(void **state)
{
	alarm(0);
	for (int i = 0; i < FILES; i++)
		free(files[i].data);
	return remove_dir(state);
}

/* ---- asking everything; in the child, where abort() is what a failed assertion is ---- */

static void need(bool ok)
{
	if (!ok)
		abort();
}

static void ask_type(struct debuginfo *di, struct type *t, int depth)
{
	type_complete(di, t);
	need(t->name && t->complete);
	if (depth == 0)
		return;
	if (t->target)
		ask_type(di, t->target, depth - 1);
	for (uint32_t i = 0; i < t->n_members && i < 100; i++)
		ask_type(di, t->members[i].type, depth - 1);
}

static int ask_function(const struct function *fn, void *arg)
{
	struct buf text = { 0 };

	function_signature(fn, &text);
	need(text.len > 0 && text.len < 1 << 20);
	buf_free(&text);
	need(fn->ret_where.kind != LOCATION_NONE || fn->ret_where.reason[0]);
	for (uint32_t i = 0; i < fn->n_params; i++) {
		const struct location *l = &fn->params[i].where;

		need(l->kind != LOCATION_NONE || l->reason[0]);
		need(l->reg < 16 && l->piece[0].reg < 16 && l->piece[1].reg < 16);
		ask_type(arg, fn->params[i].type, 4);
	}
	return 0;
}

static void ask_names(struct debuginfo *di)
{
	static const char *const names[] = { "work", "st", "tiny", "nosuch" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct function **found;
		struct error err = { 0 };
		int n = debuginfo_find(di, names[i], &found, &err);

		need(n > 0 || (err.code && err.text[0] && !found));
		for (int k = 0; k < n; k++)
			ask_function(found[k], di);
		free(found);
	}
}

/* Returns whether the file was taken at all. */
static bool ask(const unsigned char *data, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct debuginfo *di;
	struct image *img;
	struct error err = { 0 };
	bool taken = false;

	need(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	if (image_open(fd, "memory", &img, &err) == 0) {
		taken = debuginfo_open(img, dir, NULL, &di, &err) == 0;
		need(taken || err.text[0]);
		if (taken) {
			ask_names(di);
			debuginfo_each(di, NULL, ask_function, di);
			debuginfo_close(di);
		}
		image_free(img);
	}
	close(fd);
	return taken;
}

/* ---- rounds ---- */

static unsigned seed;

static unsigned next(unsigned below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % below;
}

/* Three quarters of the damage goes to the debug sections, which lie behind the first 8 KiB of these files. */
static size_t damage(unsigned char *copy, const struct file *f, unsigned round)
{
	size_t len = f->len, from = next(4) && len > 12000 ? 8192 : 0;
	unsigned flips = 1 + next(round % 2 ? 4 : 64);

	memcpy(copy, f->data, f->len);
	while (flips--)
		copy[from + next((unsigned)(len - from))] = (unsigned char)next(256);
	if (round % 10 == 0)
		len = 64 + next((unsigned)(len - 64));
	return len;
}

static int child_rounds(unsigned first)
{
	struct rlimit memory = { 2ul << 30, 2ul << 30 }, cpu = { CPU_SECONDS, CPU_SECONDS };
	unsigned char *copy = malloc(1 << 20);
	int taken = 0;

	need(copy != NULL);
	if (LIMIT_MEMORY)
		setrlimit(RLIMIT_AS, &memory);
	setrlimit(RLIMIT_CPU, &cpu);
	for (unsigned round = first; round < first + ROUNDS_PER_CHILD; round++) {
		const struct file *f = &files[round % FILES];

		seed = SEED + round * 7919;
		need(f->len <= 1 << 20);
		taken += ask(copy, damage(copy, f, round));
	}
	free(copy);
	return taken;
}

static void test_random_damage(void **state)
{
	int taken = 0;

	for (unsigned first = 0; first < ROUNDS; first += ROUNDS_PER_CHILD) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(child_rounds(first));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status))
			fail_msg("rounds %u to %u: signal %d", first, first + ROUNDS_PER_CHILD - 1, WTERMSIG(status));
		assert_true(WEXITSTATUS(status) <= ROUNDS_PER_CHILD);
		taken += WEXITSTATUS(status);
	}
	assert_true(taken > ROUNDS / 3);              /* else the damage never reached the debug information */
}

static void test_whole_files_are_taken(void **state)
{
	for (int i = 0; i < FILES; i++)
		assert_true(ask(files[i].data, files[i].len));
}

/* ---- built on purpose: written as assembler, so that the bytes are exactly these ---- */

static const char frame[] =
	".section .debug_abbrev,\"\",@progbits\n"
	".uleb128 1,0x11; .byte 1; .uleb128 0x13,0xb,0x03,0x08; .byte 0,0\n"           /* compile unit: language, name */
	".uleb128 2,0x2e; .byte 1; .uleb128 0x03,0x08,0x11,0x01,0x12,0x07; .byte 0,0\n" /* subprogram: name, low, high */
	".uleb128 3,0x05; .byte 0; .uleb128 0x03,0x08,0x49,0x13,0x02,0x18; .byte 0,0\n" /* parameter: name, type, location */
	".uleb128 4,0x16; .byte 0; .uleb128 0x03,0x08,0x49,0x13; .byte 0,0\n"          /* typedef: name, type */
	".uleb128 5,0x0f; .byte 0; .uleb128 0x49,0x13; .byte 0,0\n"                    /* pointer: type */
	".uleb128 6,0x13; .byte 1; .uleb128 0x03,0x08,0x0b,0x0b; .byte 0,0\n"          /* struct: name, size */
	".uleb128 7,0x0d; .byte 0; .uleb128 0x03,0x08,0x49,0x13,0x38,0x0b; .byte 0,0\n" /* member: name, type, place */
	".uleb128 8,0x39; .byte 1; .byte 0,0\n"                                        /* namespace */
	".uleb128 9,0x2e; .byte 0; .uleb128 0x31,0x13,0x11,0x01,0x12,0x07; .byte 0,0\n" /* subprogram: origin, low, high */
	".uleb128 10,0x01; .byte 1; .uleb128 0x49,0x13; .byte 0,0\n"                   /* array: element */
	".uleb128 11,0x21; .byte 0; .uleb128 0x37,0x0f; .byte 0,0\n"                   /* dimension: count */
	".byte 0\n"
	".text\n.globl f\n.type f,@function\nf: ret\n.size f,.-f\n"
	".section .debug_info,\"\",@progbits\n"
	"start: .long end-1f\n1: .short 4; .long .debug_abbrev; .byte 8\n"
	".uleb128 1; .byte %d; .asciz \"unit\"\n%s\n.byte 0\nend:\n";

static struct opened assemble(int language, const char *dies)
{
	char *text = malloc(strlen(frame) + strlen(dies) + 64);
	int n;

	assert_non_null(text);
	n = sprintf(text, frame, language, dies);
	put("x.s", text, (size_t)n);
	free(text);
	sh("gcc -shared -nostdlib -o x x.s");
	return must_open_debug("x");
}

#define FUNCTION ".uleb128 2; .asciz \"f\"; .quad f; .quad 1\n"
#define PARAM ".uleb128 3; .asciz \"p\"; .long type-start; .uleb128 1; .byte 0x55\n.byte 0\n"

static const struct type *first_param(struct opened *o)
{
	const struct function *fn = must_find_function(o, "f");

	assert_int_equal(fn->n_params, 1);
	ask_type(o->di, fn->params[0].type, 6);
	return fn->params[0].type;
}

static void test_types_that_contain_themselves(void **state)
{
	static const struct { const char *dies; enum type_kind kind; } rows[] = {
		{ FUNCTION PARAM "type: .uleb128 4; .asciz \"t\"; .long type-start", TYPE_OTHER },
		{ FUNCTION PARAM "type: .uleb128 4; .asciz \"t\"; .long u-start\nu: .uleb128 4; .asciz \"u\"; .long type-start",
		  TYPE_OTHER },
		{ FUNCTION PARAM "type: .uleb128 5; .long type-start", TYPE_OTHER },
		{ FUNCTION PARAM "type: .uleb128 5; .long u-start\nu: .uleb128 5; .long type-start", TYPE_OTHER },
		{ FUNCTION PARAM "type: .uleb128 6; .asciz \"s\"; .byte 8\n.uleb128 7; .asciz \"m\"; .long type-start; .byte 0\n"
		  ".byte 0", TYPE_STRUCT },
		{ FUNCTION PARAM "type: .uleb128 10; .long type-start\n.uleb128 11; .uleb128 2\n.byte 0", TYPE_OTHER },
		{ FUNCTION PARAM "type: .uleb128 10; .long u-start\n.uleb128 11; .uleb128 0xffffffffffff\n.byte 0\n"
		  "u: .uleb128 10; .long v-start\n.uleb128 11; .uleb128 0xffffffff\n.byte 0\n"
		  "v: .uleb128 6; .asciz \"s\"; .byte 255\n.byte 0", TYPE_ARRAY },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct opened o = assemble(12, rows[i].dies);

		assert_int_equal(first_param(&o)->kind, rows[i].kind);
		close_debug(&o);
	}
}

static void test_an_origin_that_is_itself(void **state)
{
	struct opened o = assemble(12, "type: .uleb128 9; .long type-start; .quad f; .quad 1");
	const struct function *fn;

	if (debuginfo_at(o.di, must_find(o.img, "f").addr, &fn) == 0)
		assert_string_equal(fn->name, "");
	close_debug(&o);
}

/* Deeper than anyone nests: what lies there is not found, but the walk ends. */
static void test_deep_nesting(void **state)
{
	struct opened o = assemble(4, ".rept 100000\n.uleb128 8\n.endr\n" FUNCTION ".byte 0\n.rept 100000\n.byte 0\n.endr");
	const struct function **found;
	struct error err = { 0 };

	assert_int_equal(debuginfo_find(o.di, "f", &found, &err), 0);
	assert_int_equal(err.code, ENOENT);
	close_debug(&o);
}

static void test_deep_pointers(void **state)
{
	struct opened o = assemble(12, FUNCTION PARAM "type: .uleb128 5; .long 1f-start\n.rept 200\n1: .uleb128 5; .long 1f-start\n.endr\n"
				   "1: .uleb128 6; .asciz \"s\"; .byte 8\n.byte 0");
	const struct type *t = first_param(&o);

	for (int depth = 0; depth < 1000 && t->kind == TYPE_POINTER; depth++)
		t = t->target;
	assert_true(t->kind == TYPE_OTHER || t->kind == TYPE_STRUCT);
	close_debug(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_files_are_taken),
		cmocka_unit_test(test_random_damage),
		cmocka_unit_test(test_types_that_contain_themselves),
		cmocka_unit_test(test_an_origin_that_is_itself),
		cmocka_unit_test(test_deep_nesting),
		cmocka_unit_test(test_deep_pointers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
