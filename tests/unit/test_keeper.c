/* SPDX-License-Identifier: Apache-2.0 */
/* Children that keep a file's debug information for the next question: what they answer, when they forget, how many stay. */
#include "debuginfo_files.h"

#include <event2/event.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "debuginfo_internal.h"
#include "keeper_internal.h"

enum { PATIENCE_S = 60 };

/* The code is the same for both, and by order of the linker the build-id: only what the debug information says differs. */
static void write_source(const char *file, const char *param)
{
	FILE *f = fopen(at(file), "w");

	assert_non_null(f);
	fprintf(f, "struct order { int id; const char *user; };\n"
		"__attribute__((noinline)) int take(struct order *%s) { __asm__ volatile(\"\" ::: \"memory\"); return %s->id; }\n"
		"__attribute__((noinline)) int give(int amount) { __asm__ volatile(\"\" ::: \"memory\"); return amount + 1; }\n"
		"int main(void) { struct order o = { 1, 0 }; return take(&o) + give(2); }\n", param, param);
	fclose(f);
}

static int build_files(void **state)
{
	make_dir();
	write_source("old.c", "older");
	write_source("new.c", "newer");
	sh("for v in old new; do gcc -g -O1 -Wl,--build-id=0xabcdef0102 -o $v.full $v.c && "
	   "objcopy --only-keep-debug $v.full $v.debug || exit 1; done");
	sh("objcopy --strip-all old.full stripped");
	sh("mkdir -p usr/lib/debug/.build-id/ab");
	return 0;
}

static const char DEBUG[] = "usr/lib/debug/.build-id/ab/cdef0102.debug";

/* ---- asking ---- */

struct asked { struct event_base *base; char *text; struct error failed; bool over; };

static void on_answer(const char *data, size_t len, const struct error *failed, void *arg)
{
	struct asked *a = arg;
	struct resolve_answer answer = { 0 };

	a->over = true;
	event_base_loopbreak(a->base);
	if (failed) {
		a->failed = *failed;
		return;
	}
	assert_int_equal(resolve_answer_read(data, len, &answer, NULL), 0);
	a->failed = answer.err;
	if (!answer.err.code) {
		assert_int_equal(answer.n_resolved, 1);
		a->text = strdup(answer.resolved[0].signature);
	}
	resolve_answer_free(&answer);
}

struct house { struct event_base *base; struct keepers *ks; struct keepers_options opt; };

static struct house open_house(void)
{
	struct house h = { .base = event_base_new() };

	keepers_options_default(&h.opt);
	assert_non_null(h.base);
	return h;
}

static struct keepers *keepers_of(struct house *h)
{
	if (!h->ks)
		h->ks = keepers_new(h->base, &h->opt);
	assert_non_null(h->ks);
	return h->ks;
}

static void close_house(struct house *h)
{
	keepers_free(h->ks);
	event_base_free(h->base);
}

struct inquiry { const char *file, *probe, *error_expr, *root, *path, *exe; };    /* NULL: none; `dir`; the file; the file */

static int must_open_file(const char *name)
{
	int fd = open(at(name), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static struct keeper *begin_with(struct house *h, const struct inquiry *i, struct asked *a)
{
	const uint32_t index = 3;     /* not the first of the request's texts */
	const char *const probes[] = { NULL, NULL, NULL, i->probe };
	struct resolve_request rq = { .path = i->path ? i->path : i->file, .root = i->root ? i->root : dir, .index = &index, .n_index = 1, .probes = probes, .ship = true,
				      .limits = { 1, 256, 64 }, .error_expr = i->error_expr };
	struct error err = { 0 };
	struct keeper *k;

	*a = (struct asked){ .base = h->base };
	rq.fd = must_open_file(i->file);
	rq.exe_fd = i->exe ? must_open_file(i->exe) : rq.fd;
	if (keepers_ask(keepers_of(h), &rq, on_answer, a, &k, &err))
		fail_msg("%s", err.text);
	if (i->exe)
		close(rq.exe_fd);
	close(rq.fd);
	return k;
}

static struct keeper *begin(struct house *h, const char *file, const char *probe, struct asked *a)
{
	return begin_with(h, &(struct inquiry){ .file = file, .probe = probe }, a);
}

static void on_patience_end(evutil_socket_t fd, short what, void *arg)
{
	fail_msg("nothing happens");
}

/* Until the loop is broken, or `until` is true. */
static void run(struct house *h, const bool *over, bool (*until)(struct house *h))
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	struct event *end = evtimer_new(h->base, on_patience_end, NULL);

	event_add(end, &patience);
	while (over ? !*over : !until(h))
		event_base_loop(h->base, EVLOOP_ONCE);
	event_free(end);
}

/* -> the function's signature as the answer has it, "" if there is none; the pid of who answered. */
static const char *ask_with(struct house *h, const struct inquiry *i, pid_t *who)
{
	static char text[4][600];
	static unsigned next;
	char *out = text[next++ % 4];
	struct asked a;
	pid_t pid = begin_with(h, i, &a)->pid;

	run(h, &a.over, NULL);
	if (who)
		*who = pid;
	snprintf(out, sizeof(text[0]), "%s", a.text ? a.text : a.failed.text);
	free(a.text);
	return out;
}

static const char *ask(struct house *h, const char *file, const char *probe, pid_t *who)
{
	return ask_with(h, &(struct inquiry){ .file = file, .probe = probe }, who);
}

static unsigned waiting(struct house *h)
{
	uint64_t bytes;

	return keepers_waiting(h->ks, &bytes);
}

static bool none_waits(struct house *h)
{
	return waiting(h) == 0;
}

/* ---- what is kept ---- */

static void the_next_question_has_the_same_answerer(void **state)
{
	struct house h = open_house();
	pid_t first, second;
	uint64_t bytes;

	sh("cp -f old.debug %s", DEBUG);
	assert_string_equal(ask(&h, "stripped", "take", &first), "int take(struct order *older)");
	assert_int_equal(waiting(&h), 1);
	assert_string_equal(ask(&h, "stripped", "give", &second), "int give(int amount)");
	assert_int_equal(first, second);
	assert_non_null(strstr(ask(&h, "stripped", "tak", &second), "no function 'tak'"));
	assert_int_equal(first, second);
	assert_string_equal(ask(&h, "stripped", "take", &second), "int take(struct order *older)");
	assert_int_equal(first, second);
	assert_int_equal(keepers_waiting(h.ks, &bytes), 1);
	assert_true(bytes > 4096);
	close_house(&h);
	assert_int_equal(kill(first, 0), -1);
}

static void a_question_that_makes_no_sense_costs_nothing(void **state)
{
	struct house h = open_house();
	struct asked a;
	pid_t first, second;

	ask(&h, "old.full", "take", &first);
	begin_with(&h, &(struct inquiry){ "old.full", "take", .error_expr = "$ret <" }, &a);
	run(&h, &a.over, NULL);
	assert_int_not_equal(a.failed.code, 0);
	assert_int_equal(waiting(&h), 1);
	assert_string_equal(ask(&h, "old.full", "take", &second), "int take(struct order *older)");
	assert_int_equal(first, second);
	close_house(&h);
}

/* The question's bytes, which the cache's directory is a part of, are gone when it is answered. */
static void what_is_kept_has_nothing_of_the_question(void **state)
{
	const struct cache_place cache = { "/nonexistent", 1 << 20 };
	struct image *img = must_open("old.full");
	struct error err = { 0 };
	struct debuginfo *di;

	assert_int_equal(debuginfo_open(img, dir, &cache, &di, &err), 0);
	assert_null(di->cache.dir);
	debuginfo_close(di);
	image_free(img);
}

/* Under its path, with the build-id that is wanted: only the file itself tells. */
static void a_replaced_debug_file_is_read(void **state)
{
	struct house h = open_house();
	pid_t first, second;

	sh("cp -f old.debug %s", DEBUG);
	assert_string_equal(ask(&h, "stripped", "take", &first), "int take(struct order *older)");
	sh("cp new.debug other && mv other %s", DEBUG);
	assert_string_equal(ask(&h, "stripped", "take", &second), "int take(struct order *newer)");
	assert_int_equal(first, second);
	sh("cat old.debug > %s", DEBUG);            /* the same inode */
	assert_string_equal(ask(&h, "stripped", "take", &second), "int take(struct order *older)");
	sh("rm %s", DEBUG);
	assert_non_null(strstr(ask(&h, "stripped", "take", &second), "no function 'take'"));
	sh("cp new.debug %s", DEBUG);
	assert_string_equal(ask(&h, "stripped", "take", &second), "int take(struct order *newer)");
	sh("truncate -s 100 %s", DEBUG);
	assert_non_null(strstr(ask(&h, "stripped", "take", &second), "no function 'take'"));
	close_house(&h);
}

static void a_replaced_file_is_read(void **state)
{
	struct house h = open_house();
	pid_t first, second;

	sh("cp old.full program");
	assert_string_equal(ask(&h, "program", "take", &first), "int take(struct order *older)");
	sh("cat new.full > program");
	assert_string_equal(ask(&h, "program", "take", &second), "int take(struct order *newer)");
	assert_int_not_equal(first, second);
	sh("cp old.full other && mv other program");
	assert_string_equal(ask(&h, "program", "take", NULL), "int take(struct order *older)");
	close_house(&h);
}

/* ---- who may ask whom ---- */

static void make_roots(void)
{
	sh("mkdir -p old.root/usr/lib/debug/.build-id/ab new.root/usr/lib/debug/.build-id/ab");
	sh("cp old.debug old.root/%s && cp new.debug new.root/%s", DEBUG, DEBUG);
}

static struct inquiry below(const char *root)
{
	return (struct inquiry){ .file = "stripped", .probe = "take", .root = root };
}

static void another_root_is_another_answerer(void **state)
{
	struct house h = open_house();
	struct inquiry old, new;
	char path[2][sizeof(dir) + 20];
	pid_t first, second;

	make_roots();
	snprintf(path[0], sizeof(path[0]), "%s/old.root", dir);
	snprintf(path[1], sizeof(path[1]), "%s/new.root", dir);
	old = below(path[0]);
	new = below(path[1]);
	assert_string_equal(ask_with(&h, &old, &first), "int take(struct order *older)");
	assert_string_equal(ask_with(&h, &new, &second), "int take(struct order *newer)");
	assert_int_not_equal(first, second);
	assert_int_equal(waiting(&h), 2);
	assert_string_equal(ask_with(&h, &old, &second), "int take(struct order *older)");
	assert_int_equal(first, second);
	close_house(&h);
}

/* Its name says so to the agent; when the child comes to it, it means something else. */
static void a_root_that_turns_into_another_is_not_read(void **state)
{
	struct house h = open_house();
	char path[sizeof(dir) + 20];
	struct inquiry i = below(path);
	struct asked a;
	pid_t pid;

	make_roots();
	snprintf(path, sizeof(path), "%s/link", dir);
	sh("ln -sfn old.root link");
	assert_string_equal(ask_with(&h, &i, &pid), "int take(struct order *older)");
	kill(pid, SIGSTOP);
	assert_int_equal(begin_with(&h, &i, &a)->pid, pid);
	sh("ln -sfn new.root link");
	kill(pid, SIGCONT);
	run(&h, &a.over, NULL);
	assert_string_equal(a.text, "int take(struct order *older)");
	free(a.text);
	close_house(&h);
}

/* Anybody's: the same directory is its root, with debug files of his own mounted below it. -> 0: not allowed here */
static pid_t enter_namespace(void)
{
	int said[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(said), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);     /* a test that fails leaves nobody */
		if (unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) == 0 &&
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		    mount("none", at("usr/lib/debug"), "tmpfs", 0, NULL) == 0) {
			sh("mkdir -p usr/lib/debug/.build-id/ab && cp new.debug %s", DEBUG);
			if (write(said[1], "!", 1) == 1)
				pause();
		}
		_exit(1);
	}
	close(said[1]);
	if (read(said[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = 0;
	}
	close(said[0]);
	return pid;
}

static void another_mount_namespace_is_another_answerer(void **state)
{
	struct house h = open_house();
	char inside[sizeof(dir) + 40];
	struct inquiry own = below(dir), other = below(inside);
	struct stat st[2];
	pid_t first, second, pid;

	sh("cp -f old.debug %s", DEBUG);
	pid = enter_namespace();
	if (!pid)
		skip();
	snprintf(inside, sizeof(inside), "/proc/%d/root%s", pid, dir);
	assert_int_equal(stat(dir, &st[0]) | stat(inside, &st[1]), 0);
	assert_int_equal(st[0].st_ino, st[1].st_ino);
	assert_int_equal(st[0].st_dev, st[1].st_dev);
	assert_string_equal(ask_with(&h, &other, &first), "int take(struct order *newer)");
	assert_string_equal(ask_with(&h, &own, &second), "int take(struct order *older)");
	assert_int_not_equal(first, second);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close_house(&h);
}

static void another_executable_is_another_answerer(void **state)
{
	struct house h = open_house();
	struct inquiry i = { .file = "old.full", .probe = "take", .exe = "new.full" };
	pid_t first, second;

	ask(&h, "old.full", "take", &first);
	assert_string_equal(ask_with(&h, &i, &second), "int take(struct order *older)");
	assert_int_not_equal(first, second);
	ask_with(&h, &i, &first);
	assert_int_equal(first, second);
	sh("cp new.full other.exe");
	i.exe = "other.exe";
	ask_with(&h, &i, &second);
	assert_int_not_equal(first, second);
	close_house(&h);
}

static void another_path_is_another_answerer(void **state)
{
	struct house h = open_house();
	struct inquiry i = { .file = "old.full", .probe = "take", .path = "/bin/here" };
	pid_t first, second;

	ask_with(&h, &i, &first);
	i.path = "/tmp/there";
	ask_with(&h, &i, &second);
	assert_int_not_equal(first, second);
	close_house(&h);
}

static void a_root_that_is_gone_has_no_debug_files(void **state)
{
	struct house h = open_house();
	struct inquiry gone = below("/nonexistent"), full = { .file = "old.full", .probe = "take", .root = "/nonexistent" };
	const char *said = ask_with(&h, &gone, NULL);
	pid_t first, second;

	assert_non_null(strstr(said, "no function 'take'"));
	assert_null(strstr(said, "/proc/self"));
	assert_string_equal(ask_with(&h, &full, &first), "int take(struct order *older)");
	assert_string_equal(ask_with(&h, &full, &second), "int take(struct order *older)");
	assert_int_not_equal(first, second);
	close_house(&h);
}

/* As dwz names it: a path, and the build-id that must be there. */
static void the_alternate_file_must_be_the_same(void **state)
{
	struct opened o;

	sh("mkdir -p first second");
	sh("gcc -g -Wl,--build-id=0x12345678 -o first/common old.c && gcc -g -o with_alt old.c");
	sh("printf '/common\\0\\022\\064\\126\\170' > altlink && objcopy --add-section .gnu_debugaltlink=altlink with_alt");
	sh("cp first/common common && cp first/common second/common");
	o = must_open_debug("with_alt");
	assert_non_null(o.di->alt);
	assert_true(debuginfo_is_current(o.di, o.img, dir));
	assert_false(debuginfo_is_current(o.di, o.img, at("second")));
	sh("cp common copy && mv copy common");
	assert_false(debuginfo_is_current(o.di, o.img, dir));
	close_debug(&o);
	o = must_open_debug("with_alt");
	assert_true(debuginfo_is_current(o.di, o.img, dir));
	sh("rm common");
	assert_false(debuginfo_is_current(o.di, o.img, dir));
	close_debug(&o);
}

/* ---- how many, how long ---- */

static void there_are_not_more_than_allowed(void **state)
{
	static const char *const file[] = { "one", "two", "three" };
	struct house h = open_house();
	pid_t pid[3], again;

	h.opt.max = 2;
	for (int i = 0; i < 3; i++) {
		sh("cp old.full %s", file[i]);
		assert_string_equal(ask(&h, file[i], "take", &pid[i]), "int take(struct order *older)");
	}
	assert_int_equal(waiting(&h), 2);
	assert_int_equal(kill(pid[0], 0), -1);        /* it had waited longest */
	ask(&h, "two", "give", &again);
	assert_int_equal(again, pid[1]);
	ask(&h, "one", "give", &again);               /* now "three" has */
	assert_int_equal(waiting(&h), 2);
	assert_int_equal(kill(pid[2], 0), -1);
	assert_int_equal(kill(pid[1], 0), 0);
	close_house(&h);
}

static void their_memory_is_bounded(void **state)
{
	struct house h = open_house();
	pid_t pid;

	h.opt.max_bytes = 4096;
	assert_string_equal(ask(&h, "old.full", "take", &pid), "int take(struct order *older)");
	assert_int_equal(waiting(&h), 0);
	assert_int_equal(kill(pid, 0), -1);
	close_house(&h);
}

static void the_memory_of_several_is_bounded_together(void **state)
{
	static const char *const file[] = { "one", "two", "three" };
	struct house h = open_house();
	uint64_t bytes;
	pid_t pid[3];

	for (int i = 0; i < 3; i++)
		sh("cp old.full %s", file[i]);
	ask(&h, "one", "take", NULL);
	assert_int_equal(keepers_waiting(h.ks, &bytes), 1);
	close_house(&h);
	h = open_house();
	h.opt.max_bytes = bytes * 5 / 2;
	for (int i = 0; i < 3; i++)
		ask(&h, file[i], "take", &pid[i]);
	assert_int_equal(keepers_waiting(h.ks, &bytes), 2);
	assert_true(bytes <= h.opt.max_bytes);
	assert_int_equal(kill(pid[0], 0), -1);
	assert_int_equal(kill(pid[1], 0) | kill(pid[2], 0), 0);
	close_house(&h);
}

static uint64_t address_space(pid_t pid)
{
	unsigned long pages = 0;
	char path[40];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu", &pages), 1);
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void one_with_little_address_space_left_ends(void **state)
{
	struct house h = open_house();
	struct rlimit limit;
	pid_t first, second;

	ask(&h, "old.full", "take", &first);
	assert_int_equal(prlimit(first, RLIMIT_AS, NULL, &limit), 0);
	limit.rlim_cur = address_space(first) * 3 / 2;
	assert_int_equal(prlimit(first, RLIMIT_AS, &limit, NULL), 0);
	assert_string_equal(ask(&h, "old.full", "give", &second), "int give(int amount)");
	assert_int_equal(first, second);
	assert_int_equal(waiting(&h), 0);
	assert_string_equal(ask(&h, "old.full", "take", &second), "int take(struct order *older)");
	assert_int_equal(waiting(&h), 1);
	close_house(&h);
}

static void nobody_asks_any_more(void **state)
{
	struct house h = open_house();
	pid_t pid;

	h.opt.idle_ms = 20;
	ask(&h, "old.full", "take", &pid);
	run(&h, NULL, none_waits);
	assert_int_equal(kill(pid, 0), -1);
	close_house(&h);
}

static void two_at_once_are_two(void **state)
{
	struct house h = open_house();
	struct asked a, b;
	pid_t first = begin(&h, "old.full", "take", &a)->pid, second = begin(&h, "old.full", "give", &b)->pid;

	assert_int_not_equal(first, second);
	run(&h, &a.over, NULL);
	run(&h, &b.over, NULL);
	assert_string_equal(a.text, "int take(struct order *older)");
	assert_string_equal(b.text, "int give(int amount)");
	assert_int_equal(waiting(&h), 1);
	free(a.text);
	free(b.text);
	close_house(&h);
}

/* ---- ends that nobody wanted ---- */

static void one_that_died_is_replaced(void **state)
{
	struct house h = open_house();
	pid_t first, second;

	ask(&h, "old.full", "take", &first);
	kill(first, SIGKILL);
	run(&h, NULL, none_waits);
	assert_string_equal(ask(&h, "old.full", "take", &second), "int take(struct order *older)");
	assert_int_not_equal(first, second);
	close_house(&h);
}

/* What it has used up may be why it died: the file is not to blame before a new one has died of it too. */
static void one_that_dies_over_a_later_question_is_replaced(void **state)
{
	struct house h = open_house();
	struct asked a;
	struct keeper *k;
	pid_t pid;

	ask(&h, "old.full", "take", &pid);
	kill(pid, SIGSTOP);
	k = begin(&h, "old.full", "give", &a);
	assert_int_equal(k->pid, pid);
	kill(pid, SIGKILL);
	run(&h, &a.over, NULL);
	assert_string_equal(a.text, "int give(int amount)");
	free(a.text);
	assert_int_equal(waiting(&h), 1);
	assert_int_not_equal(k->pid, pid);
	close_house(&h);
}

static void a_cancelled_question_is_not_answered(void **state)
{
	struct house h = open_house();
	struct asked a;
	struct keeper *k = begin(&h, "old.full", "take", &a);
	pid_t pid = k->pid;

	keeper_cancel(k);
	keeper_cancel(NULL);
	assert_int_equal(kill(pid, 0), -1);
	event_base_loop(h.base, EVLOOP_NONBLOCK);
	assert_false(a.over);
	close_house(&h);
}

/* ---- the question itself ---- */

static void a_question_comes_through_whole(void **state)
{
	const uint32_t index[] = { 2, 0 };
	const char *const probes[] = { "first", "not asked", "third if $ret < 0" };
	const struct resolve_request rq = {
		.fd = 7, .exe_fd = 9, .path = "/bin/x", .root = "", .cache = { "/var/cache", 1 << 20 },
		.probes = probes, .index = index, .n_index = 2, .error_expr = "$ret != 0",
		.errors_only = true, .force_call = true, .explain = true, .show_errors = 5, .limits = { 1, 2, 3 },
		.method = { "a", "b" }, .builds = "1 of 2" };
	struct resolve_question q;
	struct buf bytes = { 0 };

	resolve_question_write(&rq, &bytes);
	assert_int_equal(resolve_question_read(bytes.data, bytes.len, (int[]){ 3, 4 }, &q), 0);
	assert_int_equal(q.request.fd, 3);
	assert_int_equal(q.request.exe_fd, 4);
	assert_string_equal(q.request.path, "/bin/x");
	assert_string_equal(q.request.root, "");
	assert_string_equal(q.request.cache.dir, "/var/cache");
	assert_int_equal(q.request.cache.max_bytes, 1 << 20);
	assert_int_equal(q.request.n_index, 2);
	assert_string_equal(q.request.probes[q.request.index[0]], probes[2]);
	assert_string_equal(q.request.probes[q.request.index[1]], probes[0]);
	assert_null(q.request.probes[1]);
	assert_string_equal(q.request.error_expr, "$ret != 0");
	assert_true(q.request.errors_only && q.request.force_call && q.request.explain);
	assert_false(q.request.ship || q.request.unwind_ok);
	assert_int_equal(q.request.show_errors, 5);
	assert_memory_equal(&q.request.limits, &rq.limits, sizeof(rq.limits));
	assert_string_equal(q.request.method[1], "b");
	assert_string_equal(q.request.builds, "1 of 2");
	for (size_t cut = 0; cut < bytes.len; cut++) {
		char *part = malloc(cut ? cut : 1);   /* exactly so long: a read behind it is found */

		memcpy(part, bytes.data, cut);
		assert_int_equal(resolve_question_read(part, cut, (int[]){ 3, 4 }, &q), -EPROTO);
		free(part);
	}
	buf_free(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_question_has_the_same_answerer),
		cmocka_unit_test(a_question_that_makes_no_sense_costs_nothing),
		cmocka_unit_test(what_is_kept_has_nothing_of_the_question),
		cmocka_unit_test(a_replaced_debug_file_is_read),
		cmocka_unit_test(a_replaced_file_is_read),
		cmocka_unit_test(another_root_is_another_answerer),
		cmocka_unit_test(a_root_that_turns_into_another_is_not_read),
		cmocka_unit_test(another_mount_namespace_is_another_answerer),
		cmocka_unit_test(another_executable_is_another_answerer),
		cmocka_unit_test(another_path_is_another_answerer),
		cmocka_unit_test(a_root_that_is_gone_has_no_debug_files),
		cmocka_unit_test(the_alternate_file_must_be_the_same),
		cmocka_unit_test(there_are_not_more_than_allowed),
		cmocka_unit_test(their_memory_is_bounded),
		cmocka_unit_test(the_memory_of_several_is_bounded_together),
		cmocka_unit_test(one_with_little_address_space_left_ends),
		cmocka_unit_test(nobody_asks_any_more),
		cmocka_unit_test(two_at_once_are_two),
		cmocka_unit_test(one_that_died_is_replaced),
		cmocka_unit_test(one_that_dies_over_a_later_question_is_replaced),
		cmocka_unit_test(a_cancelled_question_is_not_answered),
		cmocka_unit_test(a_question_comes_through_whole),
	};

	return cmocka_run_group_tests(tests, build_files, remove_dir);
}
