/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for separate debug files: every place, every check, and the ways a hostile directory can lie. */
#include "image_files.h"

static const char source[] = "int f(int n) { return n; }\nint main(void) { return f(0); }\n";

static char build_id[BUILD_ID_HEX_MAX];

/* root/usr/bin/app: stripped, its debug file is in app.debug; the same without a build-id is bare and bare.debug. */
static int setup(void **state)
{
	struct image *img;

	make_dir();
	put("a.c", source, strlen(source));
	sh("gcc -w -g -Wl,--build-id -o app a.c && gcc -w -g -Wl,--build-id=none -o bare a.c");
	sh("for f in app bare; do objcopy --only-keep-debug $f $f.debug && objcopy -S --add-gnu-debuglink=$f.debug $f; done");
	sh("sed s/n,/n+1,/ a.c > b.c; echo 'int other = 3;' >> b.c; gcc -w -g -Wl,--build-id -o other b.c");
	sh("mkdir -p root/usr/bin && cp app bare root/usr/bin && mkdir store && mv app.debug bare.debug store");
	img = must_open("app");
	snprintf(build_id, sizeof(build_id), "%s", image_build_id(img));
	assert_int_equal(strlen(build_id), 40);
	image_free(img);
	return 0;
}

/* Opens `name` under the test's root and looks for its debug file; returns what was found below dir, or NULL. */
static const char *look(const char *image_name, struct error *err)
{
	static char found[512];
	char root[128];
	struct image *img = must_open(image_name), *debug = NULL;
	int fd;

	snprintf(root, sizeof(root), "%s/root", dir);
	fd = image_open_debug(img, root, found, sizeof(found), err);
	image_free(img);
	if (fd < 0) {
		assert_int_equal(fd, -ENOENT);
		assert_int_equal(err->code, ENOENT);
		return NULL;
	}
	assert_int_equal(image_open(fd, found, &debug, NULL), 0);
	assert_true(image_has_debug_info(debug));
	image_free(debug);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	return strncmp(found, dir, strlen(dir)) == 0 ? found + strlen(dir) + 1 : found;
}

static void expect(const char *image_name, const char *want)
{
	struct error err = { 0 };
	const char *found = look(image_name, &err);

	if (want && !found)
		fail_msg("want %s, found none: %s", want, err.text);
	if (want)
		assert_string_equal(found, want);
	else
		assert_null(found);
}

static void test_none(void **state)
{
	struct error err = { 0 };

	assert_null(look("root/usr/bin/app", &err));
	assert_non_null(strstr(err.text, "/root/usr/lib/debug/.build-id/"));
	put("n.c", source, strlen(source));
	sh("gcc -w -s -Wl,--build-id=none -o plain n.c");
	assert_null(look("plain", &err));
	assert_non_null(strstr(err.text, "neither a build-id nor a debuglink"));
}

static void test_build_id_path(void **state)
{
	char path[256];

	snprintf(path, sizeof(path), "root/usr/lib/debug/.build-id/%.2s/%s.debug", build_id, build_id + 2);
	sh("mkdir -p $(dirname %s) && cp store/app.debug %s", path, path);
	expect("root/usr/bin/app", path);
	/* Another program's file under that name is not taken. */
	sh("cp other %s", path);
	expect("root/usr/bin/app", NULL);
	/* Nor is the program itself, which has no debug info. */
	sh("rm %s && ln root/usr/bin/app %s", path, path);
	expect("root/usr/bin/app", NULL);
	sh("rm -r root/usr/lib");
}

/* A program with its own debug info is not its own separate debug file. */
static void test_not_itself(void **state)
{
	struct image *img = must_open("other");
	char path[256];

	snprintf(path, sizeof(path), "root/usr/lib/debug/.build-id/%.2s/%s.debug", image_build_id(img),
		 image_build_id(img) + 2);
	image_free(img);
	sh("mkdir -p $(dirname %s) && ln other %s", path, path);
	expect("other", NULL);
	sh("rm -r root/usr/lib");
}

static void test_debuglink_places(void **state)
{
	static const char *const places[] = { "root/usr/bin", "root/usr/bin/.debug", "root/usr/lib/debug/usr/bin" };
	static const char *const programs[] = { "app", "bare" };
	char want[128], program[128];
	size_t i, k;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		for (k = 0; k < 2; k++) {
			snprintf(program, sizeof(program), "root/usr/bin/%s", programs[k]);
			snprintf(want, sizeof(want), "%s/%s.debug", places[i], programs[k]);
			sh("mkdir -p %s && cp store/%s.debug %s", places[i], programs[k], want);
			expect(program, want);
			sh("rm %s", want);
			expect(program, NULL);
		}
	}
}

/* A path as the process sees it (from its maps) means a place inside the root. */
static void test_path_inside_the_root(void **state)
{
	struct image *img;
	char root[128], found[256];
	int fd = open(at("root/usr/bin/app"), O_RDONLY | O_CLOEXEC), debug;

	snprintf(root, sizeof(root), "%s/root", dir);
	assert_int_equal(image_open(fd, "/usr/bin/app", &img, NULL), 0);
	close(fd);
	sh("cp store/app.debug root/usr/bin");
	debug = image_open_debug(img, root, found, sizeof(found), NULL);
	assert_true(debug >= 0);
	assert_string_equal(found, at("root/usr/bin/app.debug"));
	close(debug);
	debug = image_open_debug(img, root, NULL, 0, NULL);
	assert_true(debug >= 0);
	close(debug);
	sh("rm root/usr/bin/app.debug");
	image_free(img);
}

static void test_own_root(void **state)
{
	struct image *img;
	char found[256];
	int fd;

	sh("cp store/app.debug .");
	img = must_open("app");
	fd = image_open_debug(img, "", found, sizeof(found), NULL);
	assert_true(fd >= 0);
	assert_string_equal(found, at("app.debug"));
	close(fd);
	image_free(img);
	sh("rm app.debug");
}

static void test_checks_identity(void **state)
{
	/* With a build-id on both sides it decides; without, the CRC does: one changed byte is another file. */
	sh("cp other root/usr/bin/app.debug && cp other root/usr/bin/bare.debug");
	expect("root/usr/bin/app", NULL);
	expect("root/usr/bin/bare", NULL);
	sh("cp store/bare.debug root/usr/bin && printf x >> root/usr/bin/bare.debug");
	expect("root/usr/bin/bare", NULL);
	sh("rm root/usr/bin/*.debug");
}

static void test_only_regular_files(void **state)
{
	alarm(20);      /* opening a fifo without a writer would wait for ever */
	sh("mkfifo root/usr/bin/app.debug");
	expect("root/usr/bin/app", NULL);
	sh("rm root/usr/bin/app.debug && mkdir root/usr/bin/app.debug");
	expect("root/usr/bin/app", NULL);
	sh("rmdir root/usr/bin/app.debug && ln -s /dev/zero root/usr/bin/app.debug");
	expect("root/usr/bin/app", NULL);
	sh("rm root/usr/bin/app.debug && ln -s app.debug root/usr/bin/app.debug");
	expect("root/usr/bin/app", NULL);
	sh("rm root/usr/bin/app.debug");
	alarm(0);
}

/* In a container, "/x" and "../.." in a link mean the container's root, not the host's. */
static void test_links_stay_inside_the_root(void **state)
{
	sh("ln -s %s/store/app.debug root/usr/bin/app.debug", dir);
	expect("root/usr/bin/app", NULL);
	sh("ln -sf ../../../store/app.debug root/usr/bin/app.debug");
	expect("root/usr/bin/app", NULL);
	sh("mkdir root/store && cp store/app.debug root/store && ln -sf /store/app.debug root/usr/bin/app.debug");
	expect("root/usr/bin/app", "root/usr/bin/app.debug");
	sh("rm -r root/store root/usr/bin/app.debug");
}

static void test_hostile_link_names(void **state)
{
	static const struct { const char *bytes; size_t len; } links[] = {
		{ "../app.debug\0\0\0\0\1\2\3\4", 20 }, { "/etc/passwd\0\1\2\3\4", 16 }, { "..\0\0\1\2\3\4", 8 },
		{ ".\0\0\0\1\2\3\4", 8 }, { "\0\0\0\0\1\2\3\4", 8 }, { "app.debug", 9 }, { "app.debug\0\0\0\1\2", 14 },
		{ "a", 1 },
	};
	struct error err = { 0 };
	size_t i;

	sh("cp store/bare.debug root/usr/app.debug");
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		put("link", links[i].bytes, links[i].len);
		sh("objcopy -R .gnu_debuglink bare t && objcopy --add-section .gnu_debuglink=link t root/usr/bin/t");
		assert_null(look("root/usr/bin/t", &err));
		assert_non_null(strstr(err.text, "neither a build-id nor a debuglink"));
	}
	sh("rm root/usr/app.debug root/usr/bin/t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_build_id_path),
		cmocka_unit_test(test_not_itself),
		cmocka_unit_test(test_debuglink_places),
		cmocka_unit_test(test_path_inside_the_root),
		cmocka_unit_test(test_own_root),
		cmocka_unit_test(test_checks_identity),
		cmocka_unit_test(test_only_regular_files),
		cmocka_unit_test(test_links_stay_inside_the_root),
		cmocka_unit_test(test_hostile_link_names),
	};

	return cmocka_run_group_tests(tests, setup, remove_dir);
}
