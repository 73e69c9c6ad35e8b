/* SPDX-License-Identifier: Apache-2.0 */
/* plumb with --collector as a person meets it, against a scripted collector on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "fake_agent.h"

#define BASE_NS 1700000000123456000ULL
#define CALL "checkoutd[812/815] parse_order(o={id=42, qty=0, user={name=\"bob\"}}, n=3) = -22 (EINVAL) <1.204ms> error\n"

static const struct test_record failing = { .probe = 1, .pid = 812, .tid = 815, .flags = EVENT_RETURN | EVENT_ERROR, .duration_ns = 1204000,
	.ret = -22, .name = "bob" };

static struct run r;
static char token_path[64];

/* ---- the collector's side ---- */

static void take_login(struct fake *a)
{
	struct frame_in in;
	char *token;

	if (!fake_receive(a, &in) || in.type != WIRE_HELLO || in.count != 5)
		_exit(50);
	token = object_text(map_get(&in.items[4], "token"), 128);
	if (!token || strcmp(token, "plumb_0123") != 0)
		_exit(51);
	free(token);
	frame_in_free(&in);
}

static void welcome(struct fake *a)
{
	struct frame f;

	take_login(a);
	frame_begin(&f, &a->out, WIRE_WELCOME, 5);
	msgpack_pack_int(&f.pk, WIRE_VERSION);
	pack_text(&f.pk, "plumb-collector 0.1.0");
	pack_text(&f.pk, "obs-1");
	msgpack_pack_map(&f.pk, 0);
	frame_end(&f);
	fake_send(a);
}

static void take_request(struct fake *a, const char *verb)
{
	struct frame_in in;
	char *text;

	if (!fake_receive(a, &in) || in.type != WIRE_REQUEST)
		_exit(52);
	text = object_text(&in.items[2], 32);
	if (!text || strcmp(text, verb) != 0)
		_exit(53);
	free(text);
	frame_in_free(&in);
}

/* The frame that stands alone in `own`, with the number of its source. */
static void pass_on(struct fake *a, struct buf *own, unsigned source)
{
	struct frame_in in;
	struct frame f;

	if (frame_take(own->data, own->len, &in, NULL) <= 0)
		_exit(54);
	frame_begin(&f, &a->out, in.type, in.count + 1);
	for (uint32_t i = 1; i < in.count; i++)
		msgpack_pack_object(&f.pk, in.items[i]);
	msgpack_pack_uint32(&f.pk, source);
	frame_end(&f);
	frame_in_free(&in);
	buf_clear(own);
}

static void notice_map(struct fake *a, const char *code, const char *key, const char *value, const char *text, unsigned source)
{
	struct frame f;

	frame_begin(&f, &a->out, WIRE_NOTICE, 5);
	msgpack_pack_uint64(&f.pk, 1);
	pack_text(&f.pk, code);
	msgpack_pack_map(&f.pk, 2);
	pack_key_text(&f.pk, key, value);
	pack_key_text(&f.pk, "text", text);
	msgpack_pack_uint32(&f.pk, source);
	frame_end(&f);
}

static void begin_source(struct fake *a, unsigned source, const char *host)
{
	struct buf b = { 0 };

	notice_map(a, "source", "host", host, "", source);
	pack_probe_frame(&b, 1, FORM_CALL, false);
	pass_on(a, &b, source);
	pack_process_notice(&b, 812, "checkoutd");
	pass_on(a, &b, source);
	buf_free(&b);
}

static void send_calls(struct fake *a, unsigned source, unsigned n)
{
	struct buf records = { 0 }, b = { 0 };

	for (unsigned i = 0; i < n; i++)
		pack_record(&records, &failing);
	pack_chunk_frame(&b, BASE_NS, n, &records);
	pass_on(a, &b, source);
	buf_free(&records);
	buf_free(&b);
}

static void send_counts(struct fake *a, unsigned source, uint64_t calls)
{
	const uint64_t hist[] = { 100, calls, 0, 0 };
	const struct test_count counts[] = { { "calls", calls }, { "returns", calls }, { "errors", 1 }, { 0 } };
	struct buf b = { 0 };
	struct frame f;

	frame_begin(&f, &b, WIRE_STATS, 4);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, 5);
	msgpack_pack_array(&f.pk, 1);
	pack_row(&f.pk, 1, 812, "checkoutd", counts, hist);
	frame_end(&f);
	pass_on(a, &b, source);
	buf_free(&b);
}

static void send_end(struct fake *a, const char *reason)
{
	struct frame f;

	frame_begin(&f, &a->out, WIRE_END, 5);
	msgpack_pack_uint64(&f.pk, 1);
	pack_text(&f.pk, reason);
	pack_text(&f.pk, "it has ended");
	msgpack_pack_array(&f.pk, 0);
	frame_end(&f);
	fake_send(a);
}

/* ---- plumb's side ---- */

static int tcp_listen(int *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

static void play_nothing(struct fake *a)
{
}

static void run_collector(script *play, const char *words)
{
	int out = temporary(), err = temporary(), port;
	struct fixture f = { .listener = tcp_listen(&port) };
	pid_t collector = start_agent(&f, play), plumb;
	char line[900];

	snprintf(line, sizeof(line), "--collector 127.0.0.1:%d %s", port, words);
	plumb = start_plumb_words(line, out, err);
	r.code = wait_code(plumb);
	if (r.code == CLI_USAGE || play == play_nothing)   /* it never connected */
		kill(collector, SIGKILL);
	close(f.listener);
	r.agent_code = wait_code(collector);
	r.out_len = slurp(out, r.out, sizeof(r.out));
	slurp(err, r.err, sizeof(r.err));
}

/* ---- trace ---- */

static void play_trace(struct fake *a)
{
	welcome(a);
	take_request(a, "trace");
	fake_accept(a);
	begin_source(a, 1, "web-1");
	begin_source(a, 2, "web-2");
	notice_map(a, "source", "host", "old-1", "", 3);
	notice_map(a, "refused", "hint", "build with -g", "no parameter 'o'", 3);
	send_calls(a, 1, 1);
	send_calls(a, 2, 1);
	send_counts(a, 1, 10);
	send_counts(a, 2, 5);
	notice_map(a, "end", "reason", "guard", "its probes cost too much", 2);
	notice_map(a, "end", "reason", "stopped", "the requester stopped it", 1);
	send_end(a, "for");
}

static void test_trace(void **state)
{
	run_collector(play_trace, "trace -s checkoutd parse");
	assert_int_equal(r.code, CLI_OK);
	assert_int_equal(r.agent_code, 0);
	assert_string_equal(r.out, "22:13:20.123456 web-1:" CALL "22:13:20.123456 web-2:" CALL);
	assert_string_equal(r.err, "plumb: old-1: refused: no parameter 'o' (build with -g)\n"
				   "plumb: web-2: ended (guard): its probes cost too much\n"
				   "total calls=15 errors=2 shown=2 sampled=0 dropped=0 unread=0\n");
}

static void test_trace_json(void **state)
{
	run_collector(play_trace, "trace -s checkoutd --json parse");
	assert_int_equal(r.code, CLI_OK);
	assert_non_null(strstr(r.out, "{\"ts\":1700000000123456000,\"host\":\"web-1\",\"pid\":812,"));
	assert_non_null(strstr(r.out, "{\"ts\":1700000000123456000,\"host\":\"web-2\",\"pid\":812,"));
	assert_non_null(strstr(r.out, "{\"total\":{\"calls\":15,\"errors\":2,\"shown\":2,"));
}

/* Each host has stopped at the limit by itself. */
static void play_too_many(struct fake *a)
{
	welcome(a);
	take_request(a, "trace");
	fake_accept(a);
	begin_source(a, 1, "web-1");
	begin_source(a, 2, "web-2");
	send_calls(a, 1, 3);
	send_calls(a, 2, 3);
	send_end(a, "limit");
}

static void test_the_limit_is_of_all(void **state)
{
	run_collector(play_too_many, "trace -s checkoutd --limit 4 parse");
	assert_int_equal(r.code, CLI_OK);
	assert_string_equal(r.out, "22:13:20.123456 web-1:" CALL "22:13:20.123456 web-1:" CALL "22:13:20.123456 web-1:" CALL "22:13:20.123456 web-2:" CALL);
	assert_non_null(strstr(r.err, " shown=4 "));
}

/* ---- stat ---- */

static void play_stat(struct fake *a)
{
	welcome(a);
	take_request(a, "stat");
	fake_accept(a);
	begin_source(a, 1, "web-1");
	begin_source(a, 2, "web-2");
	send_counts(a, 1, 10);
	send_counts(a, 2, 5);
	notice_map(a, "end", "reason", "gone", "the service has ended", 2);
	send_end(a, "for");
}

static void test_stat_sums_up(void **state)
{
	run_collector(play_stat, "stat -s checkoutd parse");
	assert_int_equal(r.code, CLI_OK);
	assert_non_null(strstr(r.out, "HOSTS  web-1, (web-2)\n"));
	assert_non_null(strstr(r.out, "  since the start              15          2"));
	assert_non_null(strstr(r.err, "total calls=15 "));
}

static void test_stat_by_host(void **state)
{
	run_collector(play_stat, "stat -s checkoutd --by host parse");
	assert_int_equal(r.code, CLI_OK);
	assert_non_null(strstr(r.out, "parse_order web-1 "));
	assert_non_null(strstr(r.out, "parse_order web-2 "));
	assert_non_null(strstr(r.out, "  since the start              10 "));
	assert_non_null(strstr(r.out, "  since the start               5 "));
}

static void test_stat_json(void **state)
{
	run_collector(play_stat, "stat -s checkoutd --by host --json parse");
	assert_int_equal(r.code, CLI_OK);
	assert_non_null(strstr(r.out, "\"host\":null,\"hosts\":[\"web-1\",\"web-2\"],\"tick_ns\":"));
	assert_non_null(strstr(r.out, "{\"host\":\"web-1\",\"probe\":\"parse_order\""));
}

/* What each tick of one function holds adds up to what all hosts have counted. */
static void play_stat_goes_on(struct fake *a)
{
	welcome(a);
	take_request(a, "stat");
	fake_accept(a);
	begin_source(a, 1, "web-1");
	begin_source(a, 2, "web-2");
	send_counts(a, 1, 10);
	send_counts(a, 2, 5);
	fake_send(a);
	usleep(600000);   /* a tick is at least half of its time */
	send_counts(a, 1, 20);
	send_counts(a, 2, 8);
	send_counts(a, 1, 40);
	send_counts(a, 2, 9);
	send_end(a, "for");
}

static void test_stat_ticks_add_up(void **state)
{
	static const char tick[] = "\"tick\":{\"calls\":";
	uint64_t sum = 0;

	run_collector(play_stat_goes_on, "stat -s checkoutd --json parse");
	assert_int_equal(r.code, CLI_OK);
	for (const char *at = r.out; (at = strstr(at, tick)) != NULL; at++)
		sum += strtoull(at + sizeof(tick) - 1, NULL, 10);
	assert_int_equal(sum, 49);
}

/* ---- answers of several ---- */

static void play_ps(struct fake *a)
{
	static const char *const hosts[] = { "web-1", "web-2" };
	struct frame f;

	welcome(a);
	take_request(a, "ps");
	fake_reply(a, true, 3, &f);
	pack_key(&f.pk, "processes");
	msgpack_pack_array(&f.pk, 2);
	for (int i = 0; i < 2; i++) {
		msgpack_pack_array(&f.pk, 4);
		pack_text(&f.pk, hosts[i]);
		msgpack_pack_int(&f.pk, 812 + i);
		pack_text(&f.pk, "checkoutd");
		pack_text(&f.pk, "/usr/bin/checkoutd");
	}
	pack_key(&f.pk, "failed");
	msgpack_pack_array(&f.pk, 1);
	msgpack_pack_array(&f.pk, 2);
	pack_text(&f.pk, "web-3\033[2J");
	pack_text(&f.pk, "it did not answer in time");
	pack_key(&f.pk, "cut");
	msgpack_pack_true(&f.pk);
	frame_end(&f);
	fake_send(a);
}

static void test_ps(void **state)
{
	run_collector(play_ps, "ps");
	assert_int_equal(r.code, CLI_OK);
	assert_non_null(strstr(r.out, "HOST   PID  NAME "));
	assert_non_null(strstr(r.out, "web-1  812  checkoutd "));
	assert_non_null(strstr(r.out, "web-2  813  checkoutd "));
	assert_string_equal(r.err, "plumb: web-3\\x1b[2J: it did not answer in time\n"
				   "plumb: there are more than fit into one answer: these are not all\n");
}

static void play_hosts(struct fake *a)
{
	static const struct { const char *host, *uid; bool connected; } rows[] = {
		{ "web-1", "aa", true }, { "web-1", "bb", true }, { "web-2", "cc", true },
		{ "web-2", "dd", false },      /* it has lost its spool, and is another agent since */
	};
	struct frame f;

	welcome(a);
	take_request(a, "hosts");
	fake_reply(a, true, 1, &f);
	pack_key(&f.pk, "hosts");
	msgpack_pack_array(&f.pk, 4);
	for (int i = 0; i < 4; i++) {
		msgpack_pack_array(&f.pk, 9);
		pack_text(&f.pk, rows[i].host);
		pack_text(&f.pk, rows[i].uid);
		pack_text(&f.pk, "plumbd");
		rows[i].connected ? msgpack_pack_true(&f.pk) : msgpack_pack_false(&f.pk);
		for (int k = 0; k < 4; k++)
			msgpack_pack_int(&f.pk, 0);
		pack_text(&f.pk, "127.0.0.1:5");
	}
	frame_end(&f);
	fake_send(a);
}

static void test_two_machines_of_one_name(void **state)
{
	run_collector(play_hosts, "hosts");
	assert_int_equal(r.code, CLI_OK);
	assert_string_equal(r.err, "plumb: 2 agents are connected as host web-1: nothing tells them apart in what is shown and stored; give each its "
				   "own --host\n");
}

static void play_audit(struct fake *a)
{
	struct frame f;

	welcome(a);
	take_request(a, "audit");
	fake_reply(a, true, 2, &f);
	pack_key(&f.pk, "entries");
	msgpack_pack_array(&f.pk, 1);
	msgpack_pack_array(&f.pk, 9);
	msgpack_pack_uint64(&f.pk, BASE_NS);
	for (int i = 0; i < 5; i++)
		pack_text(&f.pk, ((const char *[]){ "anna", "probe", "127.0.0.1:5", "trace", "-s checkoutd 'f'" })[i]);
	msgpack_pack_uint64(&f.pk, 7);
	pack_text(&f.pk, "ended (for)");
	msgpack_pack_nil(&f.pk);
	pack_key(&f.pk, "more");
	msgpack_pack_false(&f.pk);
	frame_end(&f);
	fake_send(a);
}

static void test_audit(void **state)
{
	run_collector(play_audit, "audit --since 1h");
	assert_int_equal(r.code, CLI_OK);
	assert_non_null(strstr(r.out, "2023-11-14 22:13:20  anna  probe  127.0.0.1:5  trace   -s checkoutd 'f'        7  ended (for)  -"));
}

/* ---- who asks ---- */

static void play_refused_login(struct fake *a)
{
	struct frame f;

	take_login(a);
	frame_begin(&f, &a->out, WIRE_REPLY, 4);
	msgpack_pack_uint64(&f.pk, 0);
	msgpack_pack_false(&f.pk);
	msgpack_pack_map(&f.pk, 3);
	pack_key_u64(&f.pk, "code", EACCES);
	pack_key_text(&f.pk, "text", "the collector does not know this token");
	pack_key_text(&f.pk, "hint", "ask for one");
	frame_end(&f);
	fake_send(a);
}

static void test_a_refused_login(void **state)
{
	run_collector(play_refused_login, "ps");
	assert_int_equal(r.code, CLI_REFUSED);
	assert_string_equal(r.err, "plumb: the collector does not know this token\nhint: ask for one\n");
}

static void test_a_token_that_others_read(void **state)
{
	chmod(token_path, 0644);
	run_collector(play_nothing, "ps");
	chmod(token_path, 0600);
	assert_int_equal(r.code, CLI_REFUSED);
	assert_non_null(strstr(r.err, "plumb: others can read the token in "));
	assert_non_null(strstr(r.err, "hint: chmod 600 "));
}

static void test_nobody_answers(void **state)
{
	int out = temporary(), err = temporary();

	r.code = wait_code(start_plumb_words("--collector 127.0.0.1:1 ps", out, err));
	slurp(out, r.out, sizeof(r.out));
	slurp(err, r.err, sizeof(r.err));
	assert_int_equal(r.code, CLI_REFUSED);
	assert_non_null(strstr(r.err, "plumb: no collector answers on 127.0.0.1:1: Connection refused\n"));
	r.code = wait_code(start_plumb_words("--collector localhost ps", temporary(), temporary()));
	assert_int_equal(r.code, CLI_REFUSED);
	r.code = wait_code(start_plumb_words("hosts", temporary(), temporary()));
	assert_int_equal(r.code, CLI_USAGE);
}

static int make_token(void **state)
{
	int fd;

	strcpy(token_path, "/tmp/plumb-token.XXXXXX");
	fd = mkstemp(token_path);
	if (fd < 0 || write(fd, "plumb_0123\n", 11) != 11)
		return -1;
	close(fd);
	unsetenv("PLUMB_SOCKET");
	return setenv("PLUMB_TOKEN_FILE", token_path, 1);
}

static int remove_token(void **state)
{
	return unlink(token_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace), cmocka_unit_test(test_trace_json), cmocka_unit_test(test_the_limit_is_of_all),
		cmocka_unit_test(test_stat_sums_up), cmocka_unit_test(test_stat_by_host), cmocka_unit_test(test_stat_json), cmocka_unit_test(test_stat_ticks_add_up),
		cmocka_unit_test(test_ps), cmocka_unit_test(test_audit), cmocka_unit_test(test_two_machines_of_one_name), cmocka_unit_test(test_a_refused_login),
		cmocka_unit_test(test_a_token_that_others_read), cmocka_unit_test(test_nobody_answers),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("cli_collector", tests, make_token, remove_token);
}
