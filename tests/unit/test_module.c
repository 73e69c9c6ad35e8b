/* SPDX-License-Identifier: Apache-2.0 */
/* The files that real children map: found by name, opened by identity. */
#include "children.h"
#include "service.h"

static void check_opens(pid_t pid, const struct module *m, ino_t ino)
{
	struct error err;
	struct stat st;
	int fd = module_open(pid, m, &err);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_ino, ino);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static void opens_a_replaced_executable(void **state)
{
	struct world *w = *state;
	char program[PATH_MAX], other[PATH_MAX];
	struct stat old, new;
	struct module m;
	struct error err;
	pid_t pid;

	make_file(xpath(w, "svc", program));
	assert_int_equal(stat(program, &old), 0);
	pid = start_child(w, program, &(struct child_options){ .args = { NULL } });
	assert_int_equal(module_find(pid, NULL, &m, &err), 0);
	assert_string_equal(m.path, program);
	assert_true(m.dev == old.st_dev && m.ino == old.st_ino && !m.deleted);
	check_opens(pid, &m, old.st_ino);

	make_file(xpath(w, "svc.new", other));
	assert_int_equal(rename(other, program), 0);
	assert_int_equal(stat(program, &new), 0);
	assert_int_not_equal(old.st_ino, new.st_ino);
	assert_int_equal(module_find(pid, NULL, &m, &err), 0);
	assert_string_equal(m.path, program);
	assert_true(m.deleted);
	assert_int_equal(m.ino, old.st_ino);
	check_opens(pid, &m, old.st_ino);

	m.ino += new.st_ino;   /* neither of both: nothing else may be opened for it */
	assert_true(module_open(pid, &m, &err) < 0);
}

static void opens_what_only_the_target_sees(void **state)
{
	struct world *w = *state;
	char hidden[PATH_MAX], program[PATH_MAX], inside[PATH_MAX + 32];
	struct process p;
	struct module m;
	struct stat st;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	mkdir(xpath(w, "hidden", hidden), 0755);
	xpath(w, "hidden/inner", program);
	pid = start_child(w, program, &(struct child_options){ .args = { NULL }, .own_mounts = hidden });
	assert_int_equal(access(program, F_OK), -1);
	assert_int_equal(process_read(pid, &p, NULL), 0);
	assert_string_equal(p.exe, program);
	assert_false(p.exe_deleted);
	snprintf(inside, sizeof(inside), "/proc/%d/root%s", (int)pid, program);
	assert_int_equal(stat(inside, &st), 0);
	assert_int_equal(module_find(pid, NULL, &m, NULL), 0);
	assert_true(m.dev == st.st_dev && m.ino == st.st_ino && !m.deleted);
	check_opens(pid, &m, st.st_ino);
	assert_int_equal(module_find(pid, program, &m, NULL), 0);
	check_opens(pid, &m, st.st_ino);
}

static pid_t child_with_libraries(struct world *w, char libs[3][PATH_MAX])
{
	static const char *const names[] = { "libssl.so.3", "a/libdup.so", "b/libdup.so" };
	char program[PATH_MAX], args[3][PATH_MAX + 8], dir[PATH_MAX];
	int i;

	make_file(xpath(w, "server", program));
	mkdir(xpath(w, "a", dir), 0755);
	mkdir(xpath(w, "b", dir), 0755);
	for (i = 0; i < 3; i++) {
		make_file(xpath(w, names[i], libs[i]));
		snprintf(args[i], sizeof(args[i]), "map=%.4095s", libs[i]);
	}
	return start_child(w, program, &(struct child_options){ .args = { args[0], args[1], args[2] } });
}

static void finds_modules_by_name(void **state)
{
	char libs[3][PATH_MAX], alias[PATH_MAX];
	struct world *w = *state;
	pid_t pid = child_with_libraries(w, libs);
	const char *const names[] = { "libssl", "libssl.so", "libssl.so.3", libs[0] };
	struct module m;
	struct error err;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		assert_int_equal(module_find(pid, names[i], &m, &err), 0);
		assert_string_equal(m.path, libs[0]);
	}
	assert_int_equal(module_find(pid, "server", &m, &err), 0);
	assert_int_equal(module_find(pid, "libss", &m, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "'libssl'"));
	assert_int_equal(module_find(pid, "libsssl.so.3", &m, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "'libssl.so.3'"));
	assert_int_equal(module_find(pid, "libdup.so", &m, &err), -ENOTUNIQ);
	assert_non_null(strstr(err.text, libs[1]));
	assert_non_null(strstr(err.text, libs[2]));
	assert_int_equal(module_find(pid, libs[2], &m, &err), 0);
	assert_string_equal(m.path, libs[2]);
	assert_int_equal(symlink(libs[1], xpath(w, "alias.so", alias)), 0);
	assert_int_equal(module_find(pid, alias, &m, &err), 0);
	assert_string_equal(m.path, libs[1]);
	assert_int_equal(module_find(pid, "", &m, &err), -EINVAL);
	assert_int_equal(module_find(INT_MAX, "x", &m, &err), -ESRCH);
}

static void lists_each_file_once(void **state)
{
	char libs[3][PATH_MAX], link_path[PATH_MAX], arg[2][PATH_MAX + 8], program[PATH_MAX];
	struct world *w = *state;
	unsigned found = 0;
	struct module *list;
	size_t n, i, j;
	pid_t pid;

	make_file(xpath(w, "server", program));
	make_file(xpath(w, "lib one.so", libs[0]));
	assert_int_equal(link(libs[0], xpath(w, "lib\ntwo.so", link_path)), 0);
	snprintf(arg[0], sizeof(arg[0]), "map=%s", libs[0]);
	snprintf(arg[1], sizeof(arg[1]), "map=%s", link_path);
	pid = start_child(w, program, &(struct child_options){ .args = { arg[0], arg[1], arg[0] } });
	assert_int_equal(module_list(pid, &list, &n), 0);
	for (i = 0; i < n; i++) {
		found += strcmp(list[i].path, libs[0]) == 0 || strcmp(list[i].path, link_path) == 0;
		for (j = 0; j < i; j++)
			assert_false(list[i].dev == list[j].dev && list[i].ino == list[j].ino);
	}
	assert_int_equal(found, 1);
	free(list);
}

static void notices_that_a_mapping_is_gone(void **state)
{
	struct world *w = *state;
	char program[PATH_MAX];
	struct module m;
	struct error err;
	pid_t pid;

	make_file(xpath(w, "mortal", program));
	pid = start_child(w, program, &(struct child_options){ .args = { NULL } });
	assert_int_equal(module_find(pid, NULL, &m, &err), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	w->children--;
	assert_int_equal(module_open(pid, &m, &err), -ESRCH);
}

/* What an agent without CAP_SYS_ADMIN sees: run in a child that has no privilege at all. Bits name what went wrong. */
static int unprivileged_view(pid_t pid, const char *lib, const char *gone)
{
	struct module m;
	struct stat st;
	int fd, bad = 0;

	if (setresuid(NOBODY, NOBODY, NOBODY) || prctl(PR_SET_DUMPABLE, 1))
		return 128;
	if (module_find(pid, NULL, &m, NULL) || (fd = module_open(pid, &m, NULL)) < 0)
		bad |= 1;
	if (!m.deleted)
		bad |= 2;
	if (module_find(pid, lib, &m, NULL) || stat(lib, &st) || m.dev != st.st_dev || m.ino != st.st_ino)
		bad |= 4;
	if ((fd = module_open(pid, &m, NULL)) < 0 || fstat(fd, &st) || st.st_ino != m.ino)
		bad |= 8;
	if (module_find(pid, gone, &m, NULL) || !m.deleted || module_open(pid, &m, NULL) != -EACCES)
		bad |= 16;
	return bad;
}

static void falls_back_without_map_files(void **state)
{
	char program[PATH_MAX], lib[PATH_MAX], gone[PATH_MAX], args[2][PATH_MAX + 8];
	struct world *w = *state;
	int status;
	pid_t pid, viewer;

	if (geteuid() != 0)
		skip();
	make_file(xpath(w, "low", program));
	make_file(xpath(w, "libhere.so", lib));
	make_file(xpath(w, "libgone.so", gone));
	snprintf(args[0], sizeof(args[0]), "map=%s", lib);
	snprintf(args[1], sizeof(args[1]), "map=%s", gone);
	pid = start_child(w, program, &(struct child_options){ .args = { args[0], args[1] }, .as_nobody = true });
	unlink(program);
	unlink(gone);
	viewer = fork();
	if (viewer == 0)
		_exit(unprivileged_view(pid, lib, gone));
	assert_int_equal(waitpid(viewer, &status, 0), viewer);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opens_a_replaced_executable, setup, teardown),
		cmocka_unit_test_setup_teardown(opens_what_only_the_target_sees, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_modules_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_each_file_once, setup, teardown),
		cmocka_unit_test_setup_teardown(notices_that_a_mapping_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(falls_back_without_map_files, setup, teardown),
	};

	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return child_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
