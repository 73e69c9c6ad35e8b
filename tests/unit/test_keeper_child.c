/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent makes of children that a file has taken over: they say and do what they like. */
#include "image_files.h"

#include <event2/event.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "keeper_internal.h"
#include "worker.h"

enum { PATIENCE_S = 60 };

/* ---- children: the test's keeper_serve takes the place of keeper_child.c ---- */

static void (*child)(int fd);

void keeper_serve(int fd)
{
	char byte;

	if (recv(fd, &byte, 1, 0) == 1)
		child(fd);
	for (;;)
		pause();
}

static void say(int fd, uint64_t len, uint8_t stays, const char *text)
{
	struct keeper_head head = { .len = len, .stays = stays };

	worker_say(fd, &head, sizeof(head));
	worker_say(fd, text, strlen(text));
}

static void closes_its_end(int fd)
{
	close(fd);
}

static void answers(int fd)
{
	say(fd, 5, 1, "right");
}

static void answers_once(int fd)
{
	char byte;

	answers(fd);
	if (recv(fd, &byte, 1, 0) == 1)
		close(fd);
}

static void says_too_much(int fd)
{
	say(fd, 5, 1, "right and more");
}

static void promises_too_much(int fd)
{
	say(fd, (uint64_t)WORKER_ANSWER_MAX + 1, 1, "");
}

static void says_half(int fd)
{
	say(fd, 10, 1, "right");
	close(fd);
}

static void talks_unasked(int fd)
{
	char byte;

	answers(fd);
	if (recv(fd, &byte, 1, 0) == 1)    /* the test's: it has the answer */
		worker_say(fd, "more", 4);
}

static void stays_in_another_way(int fd)
{
	say(fd, 5, 0x5a, "right");
}

/* ---- asking ---- */

struct asked { struct event_base *base; char text[1000]; bool failed, over; struct keeper *who; pid_t pid; };

static void on_answer(const char *data, size_t len, const struct error *failed, void *arg)
{
	struct asked *a = arg;

	assert_false(a->over);
	a->over = true;
	a->failed = failed;
	snprintf(a->text, sizeof(a->text), "%.*s", failed ? (int)strlen(failed->text) : (int)len, failed ? failed->text : data);
	event_base_loopbreak(a->base);
}

static void on_patience_end(evutil_socket_t fd, short what, void *arg)
{
	fail_msg("nothing happens");
}

static struct event *begin_patience(struct event_base *base)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	struct event *end = evtimer_new(base, on_patience_end, NULL);

	event_add(end, &patience);
	return end;
}

static void ask(struct event_base *base, struct keepers *ks, struct asked *a)
{
	const char *const probes[] = { "f" };
	const uint32_t index = 0;
	struct resolve_request rq = { .path = "file", .root = dir, .index = &index, .n_index = 1, .probes = probes };
	struct event *end = begin_patience(base);
	struct error err = { 0 };

	*a = (struct asked){ .base = base };
	rq.fd = rq.exe_fd = open(at("file"), O_RDONLY | O_CLOEXEC);
	assert_true(rq.fd >= 0);
	assert_int_equal(keepers_ask(ks, &rq, on_answer, a, &a->who, &err), 0);
	a->pid = a->who->pid;
	close(rq.fd);
	while (!a->over)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(end);
}

static unsigned waiting(struct keepers *ks)
{
	uint64_t bytes;

	return keepers_waiting(ks, &bytes);
}

static struct keepers *keepers_of(struct event_base *base)
{
	struct keepers_options opt;

	keepers_options_default(&opt);
	return keepers_new(base, &opt);
}

static void is_refused(void (*body)(int fd))
{
	struct event_base *base = event_base_new();
	struct keepers *ks = keepers_of(base);
	struct asked a;

	child = body;
	ask(base, ks, &a);
	assert_true(a.failed);
	assert_non_null(strstr(a.text, "died of signal 9"));
	assert_int_equal(waiting(ks), 0);
	assert_int_equal(kill(a.pid, 0), -1);
	keepers_free(ks);
	event_base_free(base);
}

static void one_that_closes_its_end_holds_nobody_up(void **state)
{
	is_refused(closes_its_end);
	is_refused(says_half);
}

static void one_that_says_too_much_is_not_believed(void **state)
{
	is_refused(says_too_much);
	is_refused(promises_too_much);
}

static void a_new_one_is_asked_once(void **state)
{
	struct event_base *base = event_base_new();
	struct keepers *ks = keepers_of(base);
	struct asked a;
	pid_t first;

	child = answers_once;
	ask(base, ks, &a);
	assert_string_equal(a.text, "right");
	first = a.pid;
	child = closes_its_end;
	ask(base, ks, &a);
	assert_int_equal(a.pid, first);
	assert_true(a.failed);
	assert_non_null(strstr(a.text, "died of signal 9"));
	assert_int_equal(waiting(ks), 0);
	child = answers_once;
	ask(base, ks, &a);
	child = answers;
	ask(base, ks, &a);
	assert_string_equal(a.text, "right");
	assert_int_equal(waiting(ks), 1);
	keepers_free(ks);
	event_base_free(base);
}

static void one_that_talks_unasked_ends(void **state)
{
	struct event_base *base = event_base_new();
	struct keepers *ks = keepers_of(base);
	struct event *end;
	struct asked a;

	child = talks_unasked;
	ask(base, ks, &a);
	end = begin_patience(base);
	assert_string_equal(a.text, "right");
	assert_int_equal(send(a.who->fd, "!", 1, 0), 1);
	while (waiting(ks))
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(kill(a.pid, 0), -1);
	event_free(end);
	keepers_free(ks);
	event_base_free(base);
}

static void one_that_stays_says_so_with_any_number(void **state)
{
	struct event_base *base = event_base_new();
	struct keepers *ks = keepers_of(base);
	struct asked a;

	child = stays_in_another_way;
	ask(base, ks, &a);
	assert_string_equal(a.text, "right");
	assert_int_equal(waiting(ks), 1);
	keepers_free(ks);
	event_base_free(base);
}

/* ---- the same of a worker ---- */

static void close_all(struct buf *out, void *arg)
{
	syscall(SYS_close_range, 3, ~0U, 0);
	for (;;)
		pause();
}

static void ends_by_itself(struct buf *out, void *arg)
{
	_exit(2);
}

static void run_worker(void (*work)(struct buf *out, void *arg), struct asked *a)
{
	struct event_base *base = event_base_new();
	struct event *end = begin_patience(base);
	struct error err = { 0 };
	struct worker *w;

	*a = (struct asked){ .base = base };
	assert_int_equal(worker_start(base, NULL, work, NULL, on_answer, a, &w, &err), 0);
	while (!a->over)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(end);
	event_base_free(base);
}

static void a_worker_that_closes_its_end_holds_nobody_up(void **state)
{
	struct asked a;

	run_worker(close_all, &a);
	assert_true(a.failed);
	assert_non_null(strstr(a.text, "died of signal 9"));
}

/* It is killed on its way out: what is told is how it ended by itself. */
static void a_worker_that_ends_is_told_by_its_own_end(void **state)
{
	struct asked a;

	run_worker(ends_by_itself, &a);
	assert_true(a.failed);
	assert_non_null(strstr(a.text, "too much memory"));
}

static int make_file(void **state)
{
	make_dir();
	sh("echo text > file");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_closes_its_end_holds_nobody_up),
		cmocka_unit_test(one_that_says_too_much_is_not_believed),
		cmocka_unit_test(a_new_one_is_asked_once),
		cmocka_unit_test(one_that_talks_unasked_ends),
		cmocka_unit_test(one_that_stays_says_so_with_any_number),
		cmocka_unit_test(a_worker_that_closes_its_end_holds_nobody_up),
		cmocka_unit_test(a_worker_that_ends_is_told_by_its_own_end),
	};

	return cmocka_run_group_tests(tests, make_file, remove_dir);
}
