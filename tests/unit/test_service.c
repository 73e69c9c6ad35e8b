/* SPDX-License-Identifier: Apache-2.0 */
/* Process discovery and targets, against real children. */
#include "children.h"
#include "service.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* ---- processes ---- */

static void reads_a_process(void **state)
{
	struct world *w = *state;
	char program[PATH_MAX];
	struct process p, again;
	struct stat st;
	pid_t pid;

	make_file(xpath(w, "orderd", program));
	assert_int_equal(stat(program, &st), 0);
	pid = start_child(w, program, &(struct child_options){ .args = { "comm=) R 1\n(", "threads=3" } });
	assert_int_equal(process_read(pid, &p, NULL), 0);
	assert_int_equal(p.pid, pid);
	assert_int_equal(p.uid, geteuid());
	assert_string_equal(p.comm, ") R 1\n(");
	assert_string_equal(p.exe, program);
	assert_false(p.exe_deleted);
	assert_true(p.exe_dev == st.st_dev && p.exe_ino == st.st_ino);
	assert_true(p.start_ticks > 0);
	assert_int_equal(process_read(pid, &again, NULL), 0);
	assert_memory_equal(&p, &again, sizeof(p));
}

static void keeps_a_name_that_ends_in_deleted(void **state)
{
	struct world *w = *state;
	char program[PATH_MAX];
	struct process p;
	pid_t pid;

	make_file(xpath(w, "odd (deleted)", program));
	pid = start_child(w, program, &(struct child_options){ .args = { NULL } });
	assert_int_equal(process_read(pid, &p, NULL), 0);
	assert_string_equal(p.exe, program);
	assert_false(p.exe_deleted);
	unlink(program);
	assert_int_equal(process_read(pid, &p, NULL), 0);
	assert_string_equal(p.exe, program);
	assert_true(p.exe_deleted);
}

static void refuses_what_is_no_process(void **state)
{
	struct world *w = *state;
	struct error err;
	struct process p;
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	w->child[w->children++] = pid;
	assert_int_equal(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(process_read(pid, &p, &err), -ESRCH);     /* zombie */
	assert_int_equal(err.code, ESRCH);
	assert_int_equal(process_read(INT_MAX, &p, &err), -ESRCH);
	assert_int_equal(process_read(0, &p, NULL), -ESRCH);
	assert_int_equal(process_read(-1, &p, &err), -ESRCH);
}

static void refuses_a_thread(void **state)
{
	struct world *w = *state;
	char program[PATH_MAX], task[64];
	struct process p;
	struct error err;
	pid_t pid, tid;

	make_file(xpath(w, "threaded", program));
	pid = start_child(w, program, &(struct child_options){ .args = { "threads=1" } });
	for (tid = pid + 1; tid < pid + 1000; tid++) {
		snprintf(task, sizeof(task), "/proc/%d/task/%d", (int)pid, (int)tid);
		if (access(task, F_OK) == 0)
			break;
	}
	assert_int_equal(process_read(tid, &p, &err), -ESRCH);
	assert_non_null(strstr(err.text, "is a thread"));
	snprintf(task, sizeof(task), "process %d", (int)pid);
	assert_non_null(strstr(err.hint, task));
}

static void lists_processes_by_pid_without_itself(void **state)
{
	struct world *w = *state;
	char program[PATH_MAX];
	struct process *all;
	bool found = false;
	size_t n, i;
	pid_t pid;

	make_file(xpath(w, "listed", program));
	pid = start_child(w, program, &(struct child_options){ .args = { NULL } });
	assert_int_equal(process_list(&all, &n), 0);
	for (i = 0; i < n; i++) {
		assert_int_not_equal(all[i].pid, getpid());
		assert_true(all[i].exe[0]);
		assert_true(i == 0 || all[i].pid > all[i - 1].pid);
		found |= all[i].pid == pid;
	}
	assert_true(found);
	free(all);
}

/* ---- targets ---- */

static struct target name_target(const char *name)
{
	struct target t = { .kind = TARGET_NAME };

	snprintf(t.text, sizeof(t.text), "%s", name);
	return t;
}

static void checks_targets(void **state)
{
	struct target t = { .kind = TARGET_PID, .pid = 0 };
	struct error err;
	struct stat st;

	assert_int_equal(target_check(&t, &err), -EINVAL);
	t.pid = 1;
	assert_int_equal(target_check(&t, &err), 0);
	t = name_target("");
	assert_int_equal(target_check(&t, &err), -EINVAL);
	t = name_target("/usr/bin/redis");
	assert_int_equal(target_check(&t, &err), -EINVAL);
	assert_non_null(strstr(err.hint, "-x"));
	memset(t.text, 'a', sizeof(t.text));
	assert_int_equal(target_check(&t, &err), -ENAMETOOLONG);
	t = (struct target){ .kind = TARGET_PATH, .text = "relative" };
	assert_int_equal(target_check(&t, &err), -EINVAL);
	snprintf(t.text, sizeof(t.text), "/nonexistent-plumb");
	assert_int_equal(target_check(&t, &err), -ENOENT);
	snprintf(t.text, sizeof(t.text), "/dev/null");
	assert_int_equal(target_check(&t, &err), -EINVAL);
	snprintf(t.text, sizeof(t.text), "/proc/self/exe");
	assert_int_equal(target_check(&t, &err), 0);
	assert_int_equal(stat("/proc/self/exe", &st), 0);
	assert_true(t.dev == st.st_dev && t.ino == st.st_ino);
}

static void matches_names(void **state)
{
	static const struct process p = {
		.pid = 1, .exe = "/usr/bin/redis-server", .comm = "io_thd_1", .unit = "cache.service", .container = ID,
	};
	static const struct { const char *name; bool match; } cases[] = {
		{ "redis-server", true }, { "redis", false }, { "/usr/bin/redis-server", false }, { "io_thd_1", true },
		{ "cache", true }, { "cache.service", true }, { "cach", false }, { "cache.servic", false },
		{ "01234567", true }, { "0123456", false }, { ID, true }, { ID "0", false }, { "12345678", false },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct target t = name_target(cases[i].name);

		assert_int_equal(process_matches(&p, &t), cases[i].match);
	}
}

static void never_matches_itself(void **state)
{
	struct target pid = { .kind = TARGET_PID, .pid = getpid() }, path = { .kind = TARGET_PATH };
	struct process self, *list;
	struct target name;
	struct error err;
	size_t n, i;

	assert_int_equal(process_read(getpid(), &self, NULL), 0);
	name = name_target(strrchr(self.exe, '/') + 1);
	snprintf(path.text, sizeof(path.text), "/proc/self/exe");
	assert_int_equal(target_check(&path, NULL), 0);
	assert_false(process_matches(&self, &pid));
	assert_false(process_matches(&self, &name));
	assert_false(process_matches(&self, &path));
	assert_int_equal(target_processes(&pid, &list, &n, &err), -EINVAL);
	assert_int_equal(target_processes(&path, &list, &n, &err), 0);
	for (i = 0; i < n; i++)
		assert_int_not_equal(list[i].pid, getpid());
	free(list);
}

static void finds_by_name(void **state)
{
	struct world *w = *state;
	char program[PATH_MAX];
	struct process *list;
	struct target t;
	struct error err;
	pid_t first, second;
	size_t n;

	make_file(xpath(w, "plumbtest-paymentd", program));
	first = start_child(w, program, &(struct child_options){ .args = { "comm=plumbtest-x" } });
	second = start_child(w, program, &(struct child_options){ .args = { NULL } });
	unlink(program);
	t = name_target("plumbtest-paymentd");
	assert_int_equal(target_processes(&t, &list, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_true((list[0].pid == first && list[1].pid == second) || (list[0].pid == second && list[1].pid == first));
	assert_true(list[0].exe_deleted);
	free(list);

	t = name_target("plumbtest-paymntd");
	assert_int_equal(target_processes(&t, &list, &n, &err), -ESRCH);
	assert_non_null(strstr(err.hint, "plumbtest-paymentd"));

	t = name_target("plumbtest-x");   /* what top shows */
	assert_int_equal(target_processes(&t, &list, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].pid, first);
	free(list);

	t = name_target("plumbtest-z");
	assert_int_equal(target_processes(&t, &list, &n, &err), -ESRCH);
	assert_non_null(strstr(err.hint, "plumbtest-x"));
	assert_int_equal(target_processes(&t, &list, &n, NULL), -ESRCH);
}

static void finds_by_mapped_file(void **state)
{
	struct world *w = *state;
	char program[PATH_MAX], lib[PATH_MAX], arg[PATH_MAX + 8];
	struct target t = { .kind = TARGET_PATH };
	struct process *list;
	struct error err;
	size_t n;
	pid_t user;

	make_file(xpath(w, "user", program));
	make_file(xpath(w, "libplumbtest.so.1", lib));
	snprintf(arg, sizeof(arg), "map=%s", lib);
	memcpy(t.text, lib, sizeof(lib));
	assert_int_equal(target_check(&t, &err), 0);
	assert_int_equal(target_processes(&t, &list, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_null(list);
	start_child(w, program, &(struct child_options){ .args = { NULL } });
	user = start_child(w, program, &(struct child_options){ .args = { arg } });
	assert_int_equal(target_processes(&t, &list, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].pid, user);
	free(list);
	memcpy(t.text, program, sizeof(program));
	assert_int_equal(target_check(&t, &err), 0);
	assert_int_equal(target_processes(&t, &list, &n, &err), 0);
	assert_int_equal(n, 2);
	free(list);
}

/* Several targets at a time get what each alone would. */
static void matches_each(void **state)
{
	static const char *const names[] = { "user", "nobody", "libplumbtest.so.2", "libplumbtest.so.3" };
	struct world *w = *state;
	char program[PATH_MAX], lib[PATH_MAX], arg[PATH_MAX + 8];
	struct target t[4] = { { .kind = TARGET_NAME }, { .kind = TARGET_NAME }, { .kind = TARGET_PATH }, { .kind = TARGET_PATH } };
	const struct target *all[] = { &t[3], &t[2], &t[1], &t[0] };
	bool match[4];
	struct process p;
	struct error err;

	make_file(xpath(w, "user", program));
	for (int i = 0; i < 4; i++) {
		snprintf(t[i].text, sizeof(t[i].text), "%s", names[i]);
		if (t[i].kind == TARGET_PATH)
			make_file(xpath(w, names[i], t[i].text));
		assert_int_equal(target_check(&t[i], &err), 0);
	}
	xpath(w, names[2], lib);
	snprintf(arg, sizeof(arg), "map=%s", lib);
	assert_int_equal(process_read(start_child(w, program, &(struct child_options){ .args = { arg } }), &p, &err), 0);
	process_matches_each(&p, all, 4, match);
	assert_false(match[0]);
	assert_true(match[1]);
	assert_false(match[2]);
	assert_true(match[3]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(process_matches(&p, all[i]), match[i]);
}

/* As libelf sees it; and whatever is cut off or overwritten has none, or that one. */
static void reads_build_ids(void **state)
{
	char path[] = "/tmp/plumb-build-id.XXXXXX", id[BUILD_ID_HEX_MAX], again[BUILD_ID_HEX_MAX];
	unsigned char bytes[8192];
	int own = open("/proc/self/exe", O_RDONLY), copy = mkstemp(path);
	struct image *img;
	ssize_t n = pread(own, bytes, sizeof(bytes), 0);

	assert_true(n == sizeof(bytes) && copy >= 0 && unlink(path) == 0);
	assert_int_equal(image_open(own, "self", &img, NULL), 0);
	assert_true(build_id_read(own, id));
	assert_string_equal(id, image_build_id(img));
	image_free(img);
	for (size_t len = 0; len <= sizeof(bytes); len += 7) {
		assert_int_equal(ftruncate(copy, 0), 0);
		assert_int_equal(pwrite(copy, bytes, len, 0), len);
		assert_true(!build_id_read(copy, again) || strcmp(id, again) == 0);
	}
	assert_int_equal(pwrite(copy, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_true(build_id_read(copy, again));
	for (size_t at = 0; at < 1024; at++) {
		unsigned char other = bytes[at] ^ 0xff;

		assert_int_equal(pwrite(copy, &other, 1, (off_t)at), 1);
		build_id_read(copy, again);
		assert_true(strspn(again, "0123456789abcdef") == strlen(again));
		assert_int_equal(pwrite(copy, &bytes[at], 1, (off_t)at), 1);
	}
	close(own);
	close(copy);
}

static void checks_builds(void **state)
{
	static const struct { const char *text; int rc; const char *kept; } cases[] = {
		{ "", 0, "" }, { "8F3a21", 0, "8f3a21" }, { "8f3a2", -EINVAL, NULL }, { "8f3a21g", -EINVAL, NULL }, { "build:8f", -EINVAL, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct target t = { .kind = TARGET_NAME, .text = "orderd" };
		struct error err;

		snprintf(t.build, sizeof(t.build), "%s", cases[i].text);
		assert_int_equal(target_check(&t, &err), cases[i].rc);
		if (cases[i].kept)
			assert_string_equal(t.build, cases[i].kept);
	}
}

/* The tests' children all run this very file. */
static void finds_by_build(void **state)
{
	struct world *w = *state;
	char program[PATH_MAX];
	struct target t = { .kind = TARGET_NAME, .text = "built" };
	struct process *list;
	struct error err;
	int own = open("/proc/self/exe", O_RDONLY);
	size_t n;

	make_file(xpath(w, "built", program));
	start_child(w, program, &(struct child_options){ .args = { NULL } });
	assert_true(build_id_read(own, t.build));
	close(own);
	t.build[8] = '\0';
	assert_int_equal(target_processes_built(&t, NULL, 0, &list, &n, &err), 0);
	assert_int_equal(n, 1);
	free(list);
	t.build[0] = t.build[0] == '0' ? '1' : '0';
	assert_int_equal(target_processes_built(&t, NULL, 0, &list, &n, &err), -ESRCH);
	assert_int_equal(n, 0);
	assert_null(list);
	assert_non_null(strstr(err.hint, t.build + 1));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_a_process, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_a_name_that_ends_in_deleted, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_process, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_a_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_processes_by_pid_without_itself, setup, teardown),
		cmocka_unit_test(checks_targets),
		cmocka_unit_test(matches_names),
		cmocka_unit_test(never_matches_itself),
		cmocka_unit_test_setup_teardown(finds_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_by_mapped_file, setup, teardown),
		cmocka_unit_test_setup_teardown(matches_each, setup, teardown),
		cmocka_unit_test(reads_build_ids),
		cmocka_unit_test(checks_builds),
		cmocka_unit_test_setup_teardown(finds_by_build, setup, teardown),
	};

	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return child_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
