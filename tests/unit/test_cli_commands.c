/* SPDX-License-Identifier: Apache-2.0 */
/* plumb as a person meets it, against a scripted agent: what is asked, what is printed, how it exits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_agent.h"

#define BASE_NS 1700000000123456000ULL
#define LINE "22:13:20.123456 checkoutd[812/815] parse_order(o={id=42, qty=0, user={name=\"bob\"}}, n=3) = -22 (EINVAL) <1.204ms> error\n"

static const struct test_record failing = { .probe = 1, .pid = 812, .tid = 815, .flags = EVENT_RETURN | EVENT_ERROR, .duration_ns = 1204000,
	.ret = -22, .name = "bob" };
static const struct test_count counts[] = { { "calls", 3 }, { "returns", 3 }, { "errors", 2 }, { 0 } };

static struct run r;

/* Takes the request and leaves the agent's process if it is not the wanted one. */
static void expect(struct fake *a, const char *verb, const char *key, uint64_t value)
{
	struct frame_in in;
	uint64_t got = 0;
	char *text;

	if (!fake_receive(a, &in) || in.type != WIRE_REQUEST || in.count != 4)
		_exit(10);
	text = object_text(&in.items[2], 32);
	if (!text || strcmp(text, verb) != 0)
		_exit(11);
	if (key && (!object_u64(map_get(&in.items[3], key), &got) || got != value))
		_exit(12);
	free(text);
	frame_in_free(&in);
}

static void send_calls(struct fake *a, unsigned n)
{
	struct buf records = { 0 };

	for (unsigned i = 0; i < n; i++)
		pack_record(&records, &failing);
	pack_chunk_frame(&a->out, BASE_NS, n, &records);
	buf_free(&records);
}

static void begin_trace(struct fake *a, const char *key, uint64_t value)
{
	fake_welcome(a, WIRE_VERSION);
	expect(a, "trace", key, value);
	fake_accept(a);
	pack_probe_frame(&a->out, 1, FORM_CALL, false);
	pack_process_notice(&a->out, 812, "checkoutd");
}

static void play_trace(struct fake *a)
{
	begin_trace(a, "limit", 2);
	send_calls(a, 2);
	fake_end(a, "limit", "the number of calls asked for was shown", counts);
}

static void test_trace(void **state)
{
	run_plumb(&r, play_trace, "trace -p 812 --limit 2 parse_order");
	assert_int_equal(r.code, CLI_OK);
	assert_int_equal(r.agent_code, 0);
	assert_string_equal(r.out, LINE LINE);
	assert_string_equal(r.err, "total calls=3 errors=2 shown=2 sampled=0 dropped=0 unread=0\n");
}

static void test_trace_json(void **state)
{
	run_plumb(&r, play_trace, "trace parse_order -p 812 --json --limit 2");
	assert_int_equal(r.code, CLI_OK);
	assert_non_null(strstr(r.out, "{\"ts\":1700000000123456000,\"host\":\"web-1\",\"pid\":812,"));
	assert_non_null(strstr(r.out, "\n{\"total\":{\"calls\":3,\"errors\":2,\"shown\":2,"));
	assert_string_equal(r.err, "");
}

/* The agent's frames as they came, and nothing else. */
static void test_trace_msgpack(void **state)
{
	struct buf want = { 0 }, records = { 0 };

	run_plumb(&r, play_trace, "trace -p 812 --msgpack --limit 2 parse_order");
	assert_int_equal(r.code, CLI_OK);
	pack_probe_frame(&want, 1, FORM_CALL, false);
	pack_process_notice(&want, 812, "checkoutd");
	pack_record(&records, &failing);
	pack_record(&records, &failing);
	pack_chunk_frame(&want, BASE_NS, 2, &records);
	pack_end_frame(&want, "limit", "the number of calls asked for was shown", counts);
	assert_memory_equal(r.out, want.data, want.len);
	assert_int_equal(r.out_len, want.len);
	assert_string_equal(r.err, "total calls=3 errors=2 shown=2 sampled=0 dropped=0 unread=0\n");
	buf_free(&want);
	buf_free(&records);
}

static void play_options(struct fake *a)
{
	static const struct test_count want[] = {
		{ "limit", 5 }, { "for_ns", 2000000000 }, { "sample", 7 }, { "rate", 9 }, { "ttl_ns", 3600000000000 }, { "budget_ppm", 50000 },
	};
	struct frame_in in;
	uint64_t n;
	bool flag;
	char *text;

	fake_welcome(a, WIRE_VERSION);
	if (!fake_receive(a, &in))
		_exit(10);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		if (!object_u64(map_get(&in.items[3], want[i].key), &n) || n != want[i].n)
			_exit(20 + (int)i);
	if (!object_bool(map_get(&in.items[3], "errors"), &flag) || map_get(&in.items[3], "keep"))
		_exit(30);
	text = object_text(map_get(&in.items[3], "error"), 64);
	if (!text || strcmp(text, "$ret != 0") != 0 || map_get(&in.items[3], "probes")->via.array.size != 2)
		_exit(31);
	free(text);
	text = object_text(map_get(map_get(&in.items[3], "target"), "name"), 64);
	if (!text || strcmp(text, "checkoutd") != 0)
		_exit(32);
	free(text);
	frame_in_free(&in);
	fake_accept(a);
	fake_end(a, "for", "", counts);
}

static void test_every_option_is_sent(void **state)
{
	run_plumb(&r, play_options, "trace -s checkoutd --limit 5 --for 2s --sample 1/7 --rate 9/s --ttl 1h --budget 5% --errors "
				    "--error $ret_!=_0 f g_if_n_>_1");
	assert_int_equal(r.agent_code, 0);
	assert_int_equal(r.code, CLI_OK);
}

/* ---- ends ---- */

static void play_gone(struct fake *a)
{
	begin_trace(a, NULL, 0);
	send_calls(a, 1);
	fake_end(a, "gone", "process 812 (checkoutd) has ended", counts);
}

static void test_target_gone(void **state)
{
	run_plumb(&r, play_gone, "trace -p 812 parse_order");
	assert_int_equal(r.code, CLI_REFUSED);
	assert_string_equal(r.out, LINE);
	assert_string_equal(r.err, "plumb: ended (gone): process 812 (checkoutd) has ended\n"
				   "total calls=3 errors=2 shown=1 sampled=0 dropped=0 unread=0\n");
}

static void play_crash(struct fake *a)
{
	begin_trace(a, NULL, 0);
	send_calls(a, 1);
	fake_send(a);
}

static void test_agent_lost(void **state)
{
	run_plumb(&r, play_crash, "trace -p 812 parse_order");
	assert_int_equal(r.code, CLI_REFUSED);
	assert_string_equal(r.out, LINE);
	assert_string_equal(r.err, "plumb: the agent has closed the connection\n");
}

static void play_notice(struct fake *a)
{
	struct frame f;

	begin_trace(a, NULL, 0);
	frame_begin(&f, &a->out, WIRE_NOTICE, 4);
	msgpack_pack_int(&f.pk, 1);
	pack_text(&f.pk, "guard");
	pack_text(&f.pk, "parse_order\033[2J is too dear");
	frame_end(&f);
	fake_end(a, "stopped", "", counts);
}

static void test_notices_are_shown_and_safe(void **state)
{
	run_plumb(&r, play_notice, "trace -p 812 parse_order");
	assert_int_equal(r.code, CLI_OK);
	assert_non_null(strstr(r.err, "plumb: parse_order\\x1b[2J is too dear\n"));
}

static void play_refusal(struct fake *a)
{
	struct frame f;

	fake_welcome(a, WIRE_VERSION);
	expect(a, "trace", NULL, 0);
	fake_reply(a, false, 6, &f);
	pack_key_u64(&f.pk, "code", ENOENT);
	pack_key_text(&f.pk, "text", "no parameter 'ordr'");
	pack_key_text(&f.pk, "hint", "did you mean 'order'?");
	pack_key_u64(&f.pk, "col", 13);
	pack_key_u64(&f.pk, "len", 4);
	pack_key_u64(&f.pk, "probe", 1);
	frame_end(&f);
	fake_send(a);
}

static void test_refusal_has_a_caret(void **state)
{
	run_plumb(&r, play_refusal, "trace -p 812 f parse_order(ordr->id)");
	assert_int_equal(r.code, CLI_REFUSED);
	assert_string_equal(r.out, "");
	assert_non_null(strstr(r.err, "plumb: no parameter 'ordr'\n"));
	assert_non_null(strstr(r.err, "1:13 | parse order(ordr->id)\n"));
	assert_non_null(strstr(r.err, "^~~~\n"));
	assert_non_null(strstr(r.err, "hint: did you mean 'order'?\n"));
}

static void play_other_version(struct fake *a)
{
	struct frame_in in;

	fake_welcome(a, WIRE_VERSION + 1);
	fake_receive(a, &in);
}

static void test_version_mismatch(void **state)
{
	run_plumb(&r, play_other_version, "list");
	assert_int_equal(r.code, CLI_REFUSED);
	assert_non_null(strstr(r.err, "protocol"));
}

static void play_garbage(struct fake *a)
{
	struct frame_in in;

	if (fake_receive(a, &in))
		frame_in_free(&in);
	buf_add(&a->out, "\xff\xff\xff\xffHTTP/1.1 400", 16);
	fake_send(a);
}

static void test_not_an_agent(void **state)
{
	run_plumb(&r, play_garbage, "ps");
	assert_int_equal(r.code, CLI_REFUSED);
	assert_non_null(strstr(r.err, "plumb: the peer sent a frame of"));
}

/* ---- stopping ---- */

static void play_until_stop(struct fake *a)
{
	begin_trace(a, NULL, 0);
	send_calls(a, 1);
	fake_send(a);
	expect(a, "stop", "id", 1);
	fake_end(a, "stopped", "the requester stopped it", counts);
}

static void play_never_end(struct fake *a)
{
	struct frame_in in;

	begin_trace(a, NULL, 0);
	send_calls(a, 1);
	fake_send(a);
	expect(a, "stop", "id", 1);
	if (fake_receive(a, &in))
		_exit(13);
}

static void play_kept(struct fake *a)
{
	struct frame_in in;

	begin_trace(a, NULL, 0);
	send_calls(a, 1);
	fake_send(a);
	if (fake_receive(a, &in))   /* no "stop": the request is to stay */
		_exit(14);
}

/* Until a signal has reached the process: one that waits to be taken would swallow the next one. */
static void wait_taken(pid_t pid, int sig)
{
	char path[64], line[256];
	unsigned long long mask, waiting = 1;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	for (int i = 0; i < 2000 && waiting; i++) {
		FILE *f = fopen(path, "r");

		assert_non_null(f);
		for (waiting = 0; fgets(line, sizeof(line), f);)
			if (sscanf(line, "SigPnd: %llx", &mask) == 1 || sscanf(line, "ShdPnd: %llx", &mask) == 1)
				waiting |= mask >> (sig - 1) & 1;
		fclose(f);
		if (waiting)
			usleep(5000);
	}
	assert_int_equal(waiting, 0);
}

/* Runs plumb until it has printed a line, then signals it. */
static void run_and_signal(script *play, const char *line, int signals)
{
	int out = temporary(), err = temporary();
	struct fixture f;
	pid_t agent, plumb;

	fake_listen(&f);
	agent = start_agent(&f, play);
	plumb = start_plumb(f.path, line, out, err);
	for (int i = 0; i < 2000 && lseek(out, 0, SEEK_END) < (off_t)strlen(LINE); i++)
		usleep(5000);
	for (int i = 0; i < signals; i++) {
		kill(plumb, SIGINT);
		wait_taken(plumb, SIGINT);
	}
	r.code = wait_code(plumb);
	r.agent_code = wait_code(agent);
	slurp(out, r.out, sizeof(r.out));
	slurp(err, r.err, sizeof(r.err));
	fake_close(&f);
}

static void test_interrupt_stops_and_totals(void **state)
{
	run_and_signal(play_until_stop, "trace -p 812 parse_order", 1);
	assert_int_equal(r.code, CLI_OK);
	assert_int_equal(r.agent_code, 0);
	assert_string_equal(r.out, LINE);
	assert_string_equal(r.err, "total calls=3 errors=2 shown=1 sampled=0 dropped=0 unread=0\n");
}

static void test_silent_agent_is_not_waited_for(void **state)
{
	run_and_signal(play_never_end, "trace -p 812 parse_order", 1);
	assert_int_equal(r.code, CLI_REFUSED);
	assert_non_null(strstr(r.err, "there are no totals"));
}

static void test_second_interrupt_ends_at_once(void **state)
{
	run_and_signal(play_never_end, "trace -p 812 parse_order", 2);
	assert_int_equal(r.code, 128 + SIGINT);
}

static void test_kept_request_is_left(void **state)
{
	run_and_signal(play_kept, "trace -p 812 --keep parse_order", 1);
	assert_int_equal(r.code, CLI_OK);
	assert_int_equal(r.agent_code, 0);
	assert_non_null(strstr(r.err, "request 4 stays when this command ends: plumb list shows it, plumb rm 4 removes it"));
	assert_non_null(strstr(r.err, "request 4 goes on without this terminal"));
}

static void play_flood(struct fake *a)
{
	struct pollfd p = { .fd = a->fd, .events = POLLIN };

	begin_trace(a, NULL, 0);
	do {
		send_calls(a, 100);
		fake_send(a);
	} while (poll(&p, 1, 0) == 0);
	expect(a, "stop", "id", 1);
	fake_end(a, "stopped", "", counts);
}

/* plumb trace | head: stops the agent, says nothing. */
static void test_closed_output(void **state)
{
	int pipefd[2], err = temporary();
	struct fixture f;
	pid_t agent, plumb;

	fake_listen(&f);
	agent = start_agent(&f, play_flood);
	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	plumb = start_plumb(f.path, "trace -p 812 parse_order", pipefd[1], err);
	close(pipefd[1]);
	assert_true(read(pipefd[0], r.out, 100) > 0);
	close(pipefd[0]);
	assert_int_equal(wait_code(plumb), CLI_OK);
	assert_int_equal(wait_code(agent), 0);
	slurp(err, r.err, sizeof(r.err));
	assert_string_equal(r.err, "");
	fake_close(&f);
}

/* ---- questions ---- */

static void play_ps(struct fake *a)
{
	struct frame f;

	fake_welcome(a, WIRE_VERSION);
	expect(a, "ps", NULL, 0);
	fake_reply(a, true, 1, &f);
	pack_key(&f.pk, "processes");
	msgpack_pack_array(&f.pk, 1);
	msgpack_pack_array(&f.pk, 11);
	msgpack_pack_int(&f.pk, 812);
	pack_text(&f.pk, "checkoutd");
	pack_text(&f.pk, "/usr/bin/checkoutd");
	pack_text(&f.pk, "checkout.service");
	pack_text(&f.pk, "");
	pack_text(&f.pk, "ab12");
	pack_text(&f.pk, "C");
	pack_text(&f.pk, "in the file");
	msgpack_pack_int(&f.pk, 1000);
	msgpack_pack_uint64(&f.pk, 7000000000);
	msgpack_pack_int(&f.pk, 3);
	frame_end(&f);
	fake_send(a);
}

static void test_ps(void **state)
{
	run_plumb(&r, play_ps, "ps");
	assert_int_equal(r.code, CLI_OK);
	assert_string_equal(r.out, "PID  NAME       UNIT              CONTAINER  BUILD-ID  LANGUAGE  DEBUG INFO\n"
				   "812  checkoutd  checkout.service  -          ab12      C         in the file\n");
	run_plumb(&r, play_ps, "ps --json");
	assert_string_equal(r.out, "{\"pid\":812,\"name\":\"checkoutd\",\"exe\":\"/usr/bin/checkoutd\",\"unit\":\"checkout.service\",\"container\":\"\","
				   "\"build_id\":\"ab12\",\"language\":\"C\",\"debug_info\":\"in the file\",\"uid\":1000,\"age_ns\":7000000000,\"threads\":3}\n");
}

static void play_funcs(struct fake *a)
{
	struct frame f;

	fake_welcome(a, WIRE_VERSION);
	expect(a, "funcs", NULL, 0);
	fake_reply(a, true, 3, &f);
	pack_key(&f.pk, "functions");
	msgpack_pack_array(&f.pk, 1);
	msgpack_pack_array(&f.pk, 5);
	pack_text(&f.pk, "parse_order");
	pack_text(&f.pk, "int (struct order *o, int n)");
	pack_text(&f.pk, "src/order.c");
	msgpack_pack_int(&f.pk, 212);
	pack_text(&f.pk, "checkoutd");
	pack_key(&f.pk, "more");
	msgpack_pack_true(&f.pk);
	pack_key_text(&f.pk, "source", "DWARF");
	frame_end(&f);
	fake_send(a);
}

static void test_funcs(void **state)
{
	run_plumb(&r, play_funcs, "funcs -p 812 parse*");
	assert_int_equal(r.code, CLI_OK);
	assert_string_equal(r.out, "FUNCTION     SIGNATURE                     FILE         LINE  MODULE\n"
				   "parse_order  int (struct order *o, int n)  src/order.c   212  checkoutd\n");
	assert_non_null(strstr(r.err, "narrow it down"));
}

static void play_explain(struct fake *a)
{
	struct frame f;

	fake_welcome(a, WIRE_VERSION);
	expect(a, "explain", NULL, 0);
	fake_reply(a, true, 1, &f);
	pack_key_text(&f.pk, "text", "spec: parse_order\n  site: push %rbx\033[2J\n");
	frame_end(&f);
	fake_send(a);
}

static void test_explain(void **state)
{
	run_plumb(&r, play_explain, "explain -p 812 parse_order");
	assert_int_equal(r.code, CLI_OK);
	assert_string_equal(r.out, "spec: parse_order\n  site: push %rbx\\x1b[2J\n");
}

static void play_rm(struct fake *a)
{
	struct frame f;

	fake_welcome(a, WIRE_VERSION);
	expect(a, "rm", "id", 7);
	fake_reply(a, true, 0, &f);
	frame_end(&f);
	fake_send(a);
}

static void test_rm(void **state)
{
	run_plumb(&r, play_rm, "rm 7");
	assert_int_equal(r.code, CLI_OK);
	assert_int_equal(r.agent_code, 0);
	assert_string_equal(r.out, "");
	assert_string_equal(r.err, "");
}

/* ---- usage ---- */

static void play_nothing(struct fake *a)
{
}

static void test_usage(void **state)
{
	static const struct { const char *line, *err; } bad[] = {
		{ "", "no command is given" },
		{ "trce -p 1 f", "did you mean 'trace'?" },
		{ "trace f", "no target is given" },
		{ "trace -p 812", "no PROBE is given" },
		{ "explain -p 812 f g", "'g' is one argument too many" },
		{ "trace -p 812 --json --msgpack f", "exclude each other" },
		{ "rm x", "'x' is not the id of a request" },
		{ "rm", "no ID is given" },
		{ "ps extra", "'extra' is one argument too many" },
		{ "help nonsense", "there is no command 'nonsense'" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		run_plumb(&r, play_nothing, bad[i].line);
		assert_int_equal(r.code, CLI_USAGE);
		assert_non_null(strstr(r.err, bad[i].err));
		assert_string_equal(r.out, "");
	}
}

static void run_alone(const char *line)
{
	int out = temporary(), err = temporary();

	r.code = wait_code(start_plumb("/nonexistent/sock", line, out, err));
	slurp(out, r.out, sizeof(r.out));
	slurp(err, r.err, sizeof(r.err));
}

static void test_help(void **state)
{
	static const char *const commands[] = { "doctor", "ps", "funcs", "explain", "trace", "stat", "list", "rm" };

	run_alone("--version");
	assert_int_equal(r.code, CLI_OK);
	assert_string_equal(r.out, "plumb " PLUMB_VERSION "\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char line[64], usage[64];

		run_alone("--help");
		assert_int_equal(r.code, CLI_OK);
		snprintf(usage, sizeof(usage), "\n  %-9s ", commands[i]);
		assert_non_null(strstr(r.out, usage));
		snprintf(usage, sizeof(usage), "usage: plumb %s ", commands[i]);
		snprintf(line, sizeof(line), "help %s", commands[i]);
		run_alone(line);
		assert_int_equal(r.code, CLI_OK);
		assert_int_equal(strncmp(r.out, usage, strlen(usage)), 0);
		assert_non_null(strstr(r.out, "Examples:\n"));
		snprintf(line, sizeof(line), "%s --help", commands[i]);
		run_alone(line);
		assert_int_equal(strncmp(r.out, usage, strlen(usage)), 0);
	}
}

static void test_nobody_listens(void **state)
{
	run_alone("list");
	assert_int_equal(r.code, CLI_REFUSED);
	assert_string_equal(r.err, "plumb: no plumbd listens on /nonexistent/sock\n"
				   "hint: start it: sudo systemctl start plumbd (or sudo plumbd)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_trace_json),
		cmocka_unit_test(test_trace_msgpack),
		cmocka_unit_test(test_every_option_is_sent),
		cmocka_unit_test(test_target_gone),
		cmocka_unit_test(test_agent_lost),
		cmocka_unit_test(test_notices_are_shown_and_safe),
		cmocka_unit_test(test_refusal_has_a_caret),
		cmocka_unit_test(test_version_mismatch),
		cmocka_unit_test(test_not_an_agent),
		cmocka_unit_test(test_interrupt_stops_and_totals),
		cmocka_unit_test(test_silent_agent_is_not_waited_for),
		cmocka_unit_test(test_second_interrupt_ends_at_once),
		cmocka_unit_test(test_kept_request_is_left),
		cmocka_unit_test(test_closed_output),
		cmocka_unit_test(test_ps),
		cmocka_unit_test(test_funcs),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_rm),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_nobody_listens),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("cli_commands", tests, NULL, NULL);
}
