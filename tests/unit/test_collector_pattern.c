/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern's functions in the collector: counters by function add up to the pattern's, whatever gets lost, and their number is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>

#include "collector_fixture.h"
#include "collector_internal.h"
#include "ingest_internal.h"
#include "query.h"
#include "wire_pack.h"

enum { PROBE = 1, OTHER_BUILD = 2, FUNCTIONS = 600, RUN = 7 };

static struct fixture fx;
static struct collector_counts counts;
static struct live *live;
static struct ingest *ingest;
static struct stream *stream;
static uint64_t sequence;

static void connect_agent(void)
{
	struct ingest_hello h = { .uid = "00000000000000000000000000000001", .host = "web-1", .program = "plumbd", .subject = "", .run = RUN, .next = 1 };
	struct error err = { 0 };

	ingest = ingest_new(fx.store, live, &counts);
	if (ingest_open(ingest, &h, T0, &stream, &err))
		fail_msg("%s", err.text);
}

static int give(struct buf *frame)
{
	struct error err = { 0 };
	int rc = ingest_entry(stream, ++sequence, frame->data + 4, frame->len - 4, T0 + 10 * SECOND, &err);

	buf_free(frame);
	return rc;
}

static void pack_names(struct buf *out, uint32_t probe, uint32_t first, uint32_t n)
{
	struct frame f;

	frame_begin(&f, out, WIRE_FUNCTIONS, 5);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint32(&f.pk, probe);
	msgpack_pack_uint32(&f.pk, first);
	msgpack_pack_array(&f.pk, n);
	for (uint32_t i = first; i < first + n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "step_%03u", i);
		pack_text(&f.pk, name);
	}
	frame_end(&f);
}

/* One long name for each of them. */
static int give_long_name(uint32_t first, size_t len)
{
	char *name = calloc(1, len + 1);
	struct buf b = { 0 };
	struct frame f;

	assert_non_null(name);
	memset(name, 'x', len);
	frame_begin(&f, &b, WIRE_FUNCTIONS, 5);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint32(&f.pk, PROBE);
	msgpack_pack_uint32(&f.pk, first);
	msgpack_pack_array(&f.pk, 1);
	pack_text(&f.pk, name);
	frame_end(&f);
	free(name);
	return give(&b);
}

static void give_names(uint32_t probe, uint32_t first, uint32_t n)
{
	struct buf b = { 0 };

	pack_names(&b, probe, first, n);
	assert_int_equal(give(&b), 0);
}

static void give_probe(uint32_t number, const char *build)
{
	struct buf probe = { 0 };
	struct frame f;

	frame_begin(&f, &probe, WIRE_PROBE, 3);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_map(&f.pk, 6);
	pack_key_u64(&f.pk, "probe", number);
	pack_key_text(&f.pk, "build_id", build);
	pack_key_text(&f.pk, "spec", "step_*");
	pack_key_text(&f.pk, "function", "step_*");
	pack_key_u64(&f.pk, "functions", FUNCTIONS);
	pack_key(&f.pk, "fields");
	msgpack_pack_array(&f.pk, 1);
	pack_field(&f.pk, "$function", 0, SHAPE_INT);
	frame_end(&f);
	assert_int_equal(give(&probe), 0);
	give_names(number, 0, 300);
	give_names(number, 300, 300);
}

static void give_begin(void)
{
	struct buf run = { 0 };
	struct frame f;

	frame_begin(&f, &run, WIRE_RUN, 3);
	msgpack_pack_uint64(&f.pk, RUN);
	msgpack_pack_uint64(&f.pk, T0);
	frame_end(&f);
	assert_int_equal(give(&run), 0);
	give_probe(PROBE, "aa11");
}

/* What has been counted since the start: in function 0 `a` calls that all failed, in each of the n after it `b` calls. */
static int give_counts(enum wire_type type, unsigned second, uint32_t n, uint64_t a, uint64_t b)
{
	const struct test_count failing[] = { { "calls", a }, { "errors", a }, { "returns", a }, { NULL, 0 } };
	const struct test_count fine[] = { { "calls", b }, { "returns", b }, { NULL, 0 } };
	const struct test_count sum[] = { { "calls", a + n * b }, { "errors", a }, { "returns", a + n * b }, { NULL, 0 } };
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, type, 4);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, T0 + second * SECOND);
	msgpack_pack_array(&f.pk, type == WIRE_STATS ? 1 : n + 1);
	for (uint32_t i = 0; type == WIRE_FUNCTION_STATS && i <= n; i++)
		pack_function_row(&f.pk, PROBE, 100, i, i ? fine : failing);
	if (type == WIRE_STATS)
		pack_row(&f.pk, PROBE, 100, "many", sum, NULL);
	frame_end(&f);
	return give(&out);
}

static void give_tick(unsigned second, uint32_t n, uint64_t a, uint64_t b)
{
	assert_int_equal(give_counts(WIRE_FUNCTION_STATS, second, n, a, b), 0);
	assert_int_equal(give_counts(WIRE_STATS, second, n, a, b), 0);
}

static int set_up(void **state)
{
	fixture_open(&fx);
	live = live_new();
	sequence = 0;
	assert_int_equal(open_request(&fx, 1, 0), 1);
	connect_agent();
	give_begin();
	return 0;
}

static void disconnect(void)
{
	ingest_close(stream);
	ingest_free(ingest);
}

static int tear_down(void **state)
{
	disconnect();
	live_free(live);
	fixture_close(&fx);
	return 0;
}

/* ---- questions ---- */

/* Of the answer's group with this function: its total's counter; -1: there is no such group. */
static int64_t total(json_t *answer, const char *function, const char *key)
{
	json_t *g, *groups = json_object_get(answer, "groups");
	size_t i;

	json_array_foreach(groups, i, g) {
		const char *name = json_string_value(json_object_get(g, "function"));

		if (!function || (name && !strcmp(name, function)))
			return json_integer_value(json_object_get(json_object_get(g, "total"), key));
	}
	return -1;
}

static json_t *ask_series(struct query q)
{
	struct error err = { 0 };
	struct reader *r = NULL;
	struct buf out = { 0 };
	json_t *o;

	if (ingest_commit(ingest, &err) || reader_open(fx.path, &r, &err))
		fail_msg("%s", err.text);
	q.from_ns = T0;
	q.to_ns = T0 + 60 * SECOND;
	reader_begin(r, 10000);
	if (query_series(r, &q, &out, &err))
		fail_msg("%s", err.text);
	o = json_loads(buf_text(&out), 0, NULL);
	buf_free(&out);
	reader_close(r);
	return o;
}

static int64_t sum_of_groups(json_t *answer, const char *key)
{
	json_t *g;
	int64_t sum = 0;
	size_t i;

	json_array_foreach(json_object_get(answer, "groups"), i, g)
		sum += json_integer_value(json_object_get(json_object_get(g, "total"), key));
	return sum;
}

/* ---- tests ---- */

static void test_functions_add_up(void **state)
{
	json_t *o;

	give_tick(1, 2, 5, 10);
	give_tick(2, 2, 7, 20);
	o = ask_series((struct query){ .by = QUERY_BY_FUNCTION });
	assert_int_equal(json_array_size(json_object_get(o, "groups")), 3);   /* and no rest */
	assert_int_equal(total(o, NULL, "errors"), 7);                        /* the one that fails is first */
	assert_int_equal(total(o, "step_000", "errors"), 7);
	assert_int_equal(total(o, "step_001", "calls"), 20);
	assert_int_equal(sum_of_groups(o, "calls"), 47);
	json_decref(o);
	o = ask_series((struct query){ .step_s = 1 });   /* not told apart: nothing is counted twice */
	assert_int_equal(json_array_size(json_object_get(o, "groups")), 1);
	assert_int_equal(total(o, NULL, "calls"), 47);
	json_decref(o);
	o = ask_series((struct query){ .function = "step_001" });
	assert_int_equal(total(o, NULL, "calls"), 20);
	json_decref(o);
	o = ask_series((struct query){ .function = "step_*" });
	assert_int_equal(total(o, NULL, "calls"), 47);
	json_decref(o);
	o = ask_series((struct query){ .function = "step_*", .by = QUERY_BY_FUNCTION });
	assert_int_equal(json_array_size(json_object_get(o, "groups")), 3);
	json_decref(o);
}

static void test_number_is_bounded(void **state)
{
	json_t *o;

	give_tick(1, FUNCTIONS - 1, 1, 2);
	give_tick(2, FUNCTIONS - 1, 2, 4);
	o = ask_series((struct query){ .by = QUERY_BY_FUNCTION });
	assert_int_equal(json_array_size(json_object_get(o, "groups")), STREAM_FUNCTIONS_MAX + 1);
	assert_int_equal(total(o, "other of step_*", "calls"), 4 * (FUNCTIONS - STREAM_FUNCTIONS_MAX));
	assert_int_equal(sum_of_groups(o, "calls"), 2 + 4 * (FUNCTIONS - 1));
	assert_int_equal(sum_of_groups(o, "errors"), 2);
	json_decref(o);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM probe WHERE pattern <> 0"), STREAM_FUNCTIONS_MAX);
}

/* Neither a new connection nor a new collector begins anew. */
static void test_after_a_restart(void **state)
{
	json_t *o;

	give_tick(1, 2, 5, 10);
	json_decref(ask_series((struct query){ .step_s = 1 }));
	disconnect();
	fixture_reopen(&fx);
	connect_agent();
	give_tick(2, 2, 6, 12);
	o = ask_series((struct query){ .by = QUERY_BY_FUNCTION });
	assert_int_equal(json_array_size(json_object_get(o, "groups")), 3);
	assert_int_equal(total(o, "step_000", "calls"), 6);
	assert_int_equal(sum_of_groups(o, "calls"), 30);
	json_decref(o);
}

/* A tick's functions are lost: they are the rest until the next one, which tells all since the start. */
static void test_what_is_lost_is_made_up_for(void **state)
{
	json_t *o;

	give_tick(1, 1, 5, 10);
	assert_int_equal(give_counts(WIRE_STATS, 2, 1, 6, 20), 0);
	o = ask_series((struct query){ .by = QUERY_BY_FUNCTION });
	assert_int_equal(total(o, "other of step_*", "calls"), 11);
	json_decref(o);
	give_tick(3, 1, 6, 20);
	o = ask_series((struct query){ .by = QUERY_BY_FUNCTION });
	assert_int_equal(total(o, "other of step_*", "calls"), -1);
	assert_int_equal(total(o, "step_001", "calls"), 20);
	assert_int_equal(sum_of_groups(o, "calls"), 26);
	json_decref(o);
}

static void test_functions_that_are_none(void **state)
{
	const struct test_count c[] = { { "calls", 1 }, { NULL, 0 } };
	struct buf names = { 0 }, rows = { 0 }, orphans = { 0 };
	uint64_t before = counts.orphans;
	struct frame f;

	pack_names(&names, PROBE, FUNCTIONS - 1, 2);
	assert_int_equal(give(&names), -EPROTO);
	frame_begin(&f, &rows, WIRE_FUNCTION_STATS, 4);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, T0);
	msgpack_pack_array(&f.pk, 2);
	pack_function_row(&f.pk, PROBE, 100, 0, c);
	pack_function_row(&f.pk, PROBE, 100, FUNCTIONS, c);
	frame_end(&f);
	assert_int_equal(give(&rows), -EPROTO);
	frame_begin(&f, &orphans, WIRE_FUNCTION_STATS, 4);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, T0);
	msgpack_pack_array(&f.pk, 1);
	pack_function_row(&f.pk, PROBE + 1, 100, 0, c);
	frame_end(&f);
	assert_int_equal(give(&orphans), 0);
	assert_true(counts.orphans == before + 1);
	assert_int_equal(ingest_commit(ingest, NULL), 0);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM probe WHERE pattern <> 0"), 0);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM rollup"), 0);
}

/* As much as an agent may have; told again, nothing more. */
static void test_names_are_bounded(void **state)
{
	enum { PART = 512 << 10 };
	uint32_t most = STREAM_NAMES_MAX / PART - 1;

	for (uint32_t i = 1; i <= most; i++)
		assert_int_equal(give_long_name(i, PART), 0);
	for (uint32_t i = 1; i <= most; i++)
		assert_int_equal(give_long_name(i, PART), 0);
	assert_int_equal(give_long_name(most + 1, PART), -EPROTO);
	assert_int_equal(ingest_commit(ingest, NULL), 0);
	disconnect();
	fixture_reopen(&fx);
	connect_agent();
	assert_int_equal(give_long_name(most + 2, PART), -EPROTO);
	assert_int_equal(give_long_name(most, PART), 0);
	assert_int_equal(ingest_commit(ingest, NULL), 0);
	assert_true(ask(&fx, "SELECT sum(length(frame)) FROM pattern_names") <= STREAM_NAMES_MAX);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM loss WHERE reason = 'refused'"), 2);
}

/* Two failing calls of function 0, one of each build, in one chunk. */
static void give_calls(void)
{
	const struct test_count c[] = { { "calls", 1 }, { "errors", 1 }, { NULL, 0 } };
	struct buf rows = { 0 }, records = { 0 }, chunk = { 0 };
	struct frame f;
	msgpack_packer pk;

	frame_begin(&f, &rows, WIRE_FUNCTION_STATS, 4);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, T0 + SECOND);
	msgpack_pack_array(&f.pk, 2);
	pack_function_row(&f.pk, PROBE, 100, 0, c);
	pack_function_row(&f.pk, OTHER_BUILD, 101, 0, c);
	frame_end(&f);
	assert_int_equal(give(&rows), 0);
	pack_into(&pk, &records);
	for (uint32_t probe = PROBE; probe <= OTHER_BUILD; probe++) {
		msgpack_pack_array(&pk, 7);
		msgpack_pack_uint32(&pk, probe);
		msgpack_pack_int(&pk, 5);
		msgpack_pack_uint32(&pk, 99 + probe);
		msgpack_pack_uint32(&pk, 99 + probe);
		msgpack_pack_uint32(&pk, EVENT_RETURN | EVENT_ERROR);
		msgpack_pack_int(&pk, 1000);
		msgpack_pack_int(&pk, 0);
	}
	pack_chunk_frame(&chunk, T0 + SECOND, 2, &records);
	buf_free(&records);
	assert_int_equal(give(&chunk), 0);
	assert_int_equal(ingest_commit(ingest, NULL), 0);
}

static void assert_calls(const char *build, size_t n, int64_t pid)
{
	struct query q = { .from_ns = T0, .to_ns = T0 + 60 * SECOND, .function = "step_000", .build = build, .errors_only = true };
	struct error err = { 0 };
	struct reader *r = NULL;
	struct buf out = { 0 };
	json_t *o, *calls;

	if (reader_open(fx.path, &r, &err))
		fail_msg("%s", err.text);
	reader_begin(r, 10000);
	if (query_calls(r, &q, &out, &err))
		fail_msg("%s", err.text);
	o = json_loads(buf_text(&out), 0, NULL);
	calls = json_object_get(o, "calls");
	assert_int_equal(json_array_size(calls), n);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(calls, 0), "pid")), pid);
	json_decref(o);
	buf_free(&out);
	reader_close(r);
}

/* Both builds run on one host: their records are in the same chunks. */
static void test_calls_of_one_build(void **state)
{
	give_probe(OTHER_BUILD, "bb22");
	give_calls();
	assert_calls("aa", 1, 100);
	assert_calls("bb", 1, 101);
	assert_calls("cc", 0, 0);
	assert_calls(NULL, 2, 101);
}

/* Names, functions and their counters go with their request. */
static void test_age(void **state)
{
	struct error err = { 0 };
	int rc;

	give_tick(1, 2, 5, 10);
	assert_int_equal(store_request_end(fx.store, 1, "ttl", "", T0 + SECOND, &err), 0);
	assert_int_equal(ingest_commit(ingest, NULL), 0);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM pattern_names"), 2);
	store_limits(fx.store, DAY, 0);
	while ((rc = store_expire(fx.store, T0 + 200 * DAY, &err)) > 0)
		;
	assert_int_equal(rc, 0);
	assert_int_equal(ingest_commit(ingest, NULL), 0);
	assert_int_equal(ask(&fx, "SELECT (SELECT count(*) FROM probe) + (SELECT count(*) FROM pattern_names) + (SELECT count(*) FROM rollup)"), 0);
}

#define PATTERN_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PATTERN_TEST(test_functions_add_up), PATTERN_TEST(test_number_is_bounded), PATTERN_TEST(test_after_a_restart),
		PATTERN_TEST(test_what_is_lost_is_made_up_for), PATTERN_TEST(test_functions_that_are_none), PATTERN_TEST(test_calls_of_one_build), PATTERN_TEST(test_names_are_bounded),
		PATTERN_TEST(test_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
