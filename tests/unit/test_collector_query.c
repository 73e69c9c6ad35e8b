/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a store that was filled through store.h, as ingest does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <event2/event.h>
#include <jansson.h>

#include "pool.h"
#include "query.h"
#include "store.h"
#include "wire_pack.h"

#define SECOND 1000000000ULL
#define START (1800000000ULL * SECOND)     /* a whole hour */

struct fixture {
	char dir[32], path[64];
	struct store *store;
	struct reader *reader;
	struct error err;
	struct store_agent agent[2];
	uint64_t request;
	int64_t probe[2];
};

static void ok(struct fixture *f, int rc)
{
	if (rc < 0)
		fail_msg("%s", f->err.text);
}

/* ---- filling ---- */

/* The body of a frame, as it is stored. */
static void put_probe(struct fixture *f, int agent, uint32_t number, const char *build)
{
	struct buf frame = { 0 };
	struct store_probe p = { .request = f->request, .agent = f->agent[agent].id, .run = 7, .number = number, .spec = "parse_order",
		.function = "parse_order", .module = "checkoutd", .build_id = build, .file = "order.c", .line = 12, .site_kind = "nop", .cost_ns = 500 };

	pack_probe_frame(&frame, number, FORM_CALL, false);
	p.frame = frame.data + 4;
	p.frame_len = frame.len - 4;
	ok(f, store_probe(f->store, &p, START, &f->probe[agent], &f->err));
	buf_free(&frame);
}

static void put_calls(struct fixture *f, int agent, uint64_t sequence, uint64_t base_ns, const struct test_record *r, unsigned n)
{
	struct buf records = { 0 }, frame = { 0 };
	struct store_chunk_probe part = { .probe = f->probe[agent], .first_ns = base_ns, .records = n };
	struct store_chunk c = { .agent = f->agent[agent].id, .sequence = sequence, .run = 7, .request = f->request, .first_ns = base_ns,
				 .last_ns = base_ns + SECOND, .records = n, .probe = &part, .n_probes = 1 };

	for (unsigned i = 0; i < n; i++) {
		pack_record(&records, &r[i]);
		part.errors += r[i].flags & EVENT_ERROR ? 1 : 0;
	}
	pack_chunk_frame(&frame, base_ns, n, &records);
	c.frame = frame.data + 4;
	c.frame_len = frame.len - 4;
	ok(f, store_chunk(f->store, &c, &f->err));
	buf_free(&records);
	buf_free(&frame);
}

/* `calls` calls of 1000 ns each since the start, `errors` of them failed. */
static void put_stats(struct fixture *f, int agent, uint64_t at_ns, uint64_t calls, uint64_t errors)
{
	struct store_counts now = { .c = { .calls = calls, .returns = calls, .errors = errors, .shipped = calls, .sum_ns = 1000 * calls, .max_ns = 1000 } };

	now.c.hist[hist_bucket(1000)] = calls;
	ok(f, store_stats(f->store, f->probe[agent], 100, at_ns, &now, &f->err));
}

static void fill(struct fixture *f)
{
	struct store_request rq = { .verb = "trace", .target = "-s checkoutd", .service = "checkoutd", .probes_json = "[\"parse_order\"]",
				    .who = "alice", .opened_ns = START, .expires_ns = START + 600 * SECOND };
	const struct test_record calls[] = {
		{ 1, 0, 100, 101, EVENT_RETURN, 900, 0, FORM_CALL, "bob" },
		{ 1, 10, 100, 101, EVENT_RETURN | EVENT_ERROR, 1000, -22, FORM_CALL, "eve" },
		{ 1, 20, 100, 102, EVENT_RETURN | EVENT_ERROR, 1100, -22, FORM_CALL, "eve" },
	};

	ok(f, store_agent(f->store, "00112233445566778899aabbccddeeff", "red", "plumbd 0.1.0", START, &f->agent[0], &f->err));
	ok(f, store_agent(f->store, "ff112233445566778899aabbccddeeff", "blue", "plumbd 0.1.0", START, &f->agent[1], &f->err));
	ok(f, store_request_open(f->store, &rq, &f->err));
	f->request = rq.id;
	put_probe(f, 0, 1, "aaaa1111");
	put_probe(f, 1, 1, "bbbb2222");
	ok(f, store_process(f->store, f->agent[0].id, 7, 100, "worker", &f->err));
	put_calls(f, 0, 1, START, calls, 3);
	put_calls(f, 1, 1, START + 5 * SECOND, calls, 1);
	put_stats(f, 0, START + SECOND / 2, 100, 0);
	put_stats(f, 0, START + SECOND + SECOND / 2, 150, 5);
	put_stats(f, 0, START + 61 * SECOND, 160, 5);
	put_stats(f, 1, START + SECOND, 1000, 0);
	ok(f, store_commit(f->store, &f->err));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct store_options opt = { .path = f->path };

	strcpy(f->dir, "/tmp/plumb-query.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/db", f->dir);
	ok(f, store_open(&opt, &f->store, &f->err));
	fill(f);
	ok(f, reader_open(f->path, &f->reader, &f->err));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	struct fixture *f = *state;
	char path[80];

	reader_close(f->reader);
	store_close(f->store);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", f->path, ends[i]);
		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

static json_t *ask(struct fixture *f, query_fn *fn, struct query q)
{
	struct buf out = { 0 };
	json_t *o;

	if (!q.to_ns)
		q.to_ns = START + 3600 * SECOND;
	if (!q.from_ns)
		q.from_ns = START;
	ok(f, query_check(&q, START, &f->err));
	reader_begin(f->reader, 10000);
	ok(f, fn(f->reader, &q, &out, &f->err));
	o = json_loads(buf_text(&out), 0, NULL);
	if (!o)
		fail_msg("no JSON: %s", buf_text(&out));
	buf_free(&out);
	return o;
}

static int64_t at(json_t *o, const char *list, size_t i, const char *key)
{
	return json_integer_value(json_object_get(json_array_get(json_object_get(o, list), i), key));
}

static json_t *group(json_t *answer, size_t i)
{
	return json_array_get(json_object_get(answer, "groups"), i);
}

/* ---- tests ---- */

static void test_series_by_second(void **state)
{
	json_t *o = ask(*state, query_series, (struct query){ .step_s = 1, .by = QUERY_BY_BUILD | QUERY_BY_HOST, .to_ns = START + 10 * SECOND });
	json_t *red = group(o, 0);

	assert_int_equal(json_array_size(json_object_get(o, "groups")), 2);
	assert_string_equal(json_string_value(json_object_get(red, "host")), "red");
	assert_string_equal(json_string_value(json_object_get(red, "build_id")), "aaaa1111");
	assert_int_equal(json_array_size(json_object_get(red, "points")), 2);
	assert_int_equal(at(red, "points", 0, "calls"), 100);
	assert_int_equal(at(red, "points", 1, "calls"), 50);
	assert_int_equal(at(red, "points", 1, "errors"), 5);
	assert_in_range(at(red, "points", 1, "p99_ns"), 940, 1000);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(red, "total"), "calls")), 150);
	json_decref(o);
}

/* Hosts and builds merge when they are not told apart; minutes and hours say the same as seconds. */
static void test_series_of_spans_agree(void **state)
{
	static const uint32_t steps[] = { 1, 60, 3600 };

	for (size_t i = 0; i < 3; i++) {
		json_t *o = ask(*state, query_series, (struct query){ .step_s = steps[i] });
		json_t *total = json_object_get(group(o, 0), "total");

		assert_int_equal(json_integer_value(json_object_get(o, "span")), steps[i]);
		assert_int_equal(json_integer_value(json_object_get(total, "calls")), 1160);
		assert_int_equal(json_integer_value(json_object_get(total, "errors")), 5);
		json_decref(o);
	}
}

static void test_filters(void **state)
{
	const struct { struct query q; size_t groups; } cases[] = {
		{ { .build = "aaaa" }, 1 }, { { .build = "aa%" }, 0 }, { { .host = "blue" }, 1 }, { { .host = "gr\"een" }, 0 },
		{ { .function = "parse_order" }, 1 }, { { .function = "parse%" }, 0 }, { { .service = "checkoutd" }, 1 },
		{ { .service = "' OR 1=1 --" }, 0 }, { { .request = 99 }, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *o = ask(*state, query_series, cases[i].q);

		assert_int_equal(json_array_size(json_object_get(o, "groups")), cases[i].groups);
		json_decref(o);
	}
}

static void test_calls_newest_first(void **state)
{
	json_t *o = ask(*state, query_calls, (struct query){ .limit = 3 });
	json_t *first = json_array_get(json_object_get(o, "calls"), 0), *second = json_array_get(json_object_get(o, "calls"), 1);

	assert_int_equal(json_array_size(json_object_get(o, "calls")), 3);
	assert_true(json_is_true(json_object_get(o, "more")));
	assert_string_equal(json_string_value(json_object_get(first, "host")), "blue");
	assert_string_equal(json_string_value(json_object_get(first, "comm")), "?");
	assert_string_equal(json_string_value(json_object_get(second, "comm")), "worker");
	assert_int_equal(json_integer_value(json_object_get(second, "ret")), -22);
	assert_true(json_is_true(json_object_get(second, "error")));
	json_decref(o);
}

static void test_failing_calls_of_a_time(void **state)
{
	json_t *o = ask(*state, query_calls, (struct query){ .errors_only = true });

	assert_int_equal(json_array_size(json_object_get(o, "calls")), 2);
	assert_true(json_is_false(json_object_get(o, "more")));
	json_decref(o);
	o = ask(*state, query_calls, (struct query){ .from_ns = START + 2 * SECOND });
	assert_int_equal(json_array_size(json_object_get(o, "calls")), 1);
	json_decref(o);
}

static void test_commonest_values(void **state)
{
	json_t *o = ask(*state, query_top, (struct query){ .errors_only = true }), *field, *list = json_object_get(o, "fields");
	bool found = false;
	size_t i;

	assert_int_equal(json_integer_value(json_object_get(o, "calls")), 2);
	json_array_foreach(list, i, field) {
		if (strcmp(json_string_value(json_object_get(field, "name")), "o.user.name"))
			continue;
		found = true;
		assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(field, "values"), 0), "value")), "eve");
		assert_int_equal(at(field, "values", 0, "calls"), 2);
	}
	assert_true(found);
	json_decref(o);
}

static void test_lists(void **state)
{
	static const struct { const char *name, *key; size_t rows; } lists[] = {
		{ "services", "services", 1 }, { "hosts", "hosts", 2 }, { "requests", "requests", 1 }, { "probes", "probes", 2 },
		{ "audit", "audit", 0 }, { "verdicts", "verdicts", 0 },
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		json_t *o = ask(*state, query_find(lists[i].name), (struct query){ 0 });

		assert_int_equal(json_array_size(json_object_get(o, lists[i].key)), lists[i].rows);
		json_decref(o);
	}
	assert_null(query_find("secrets"));
}

static void test_questions_that_make_no_sense(void **state)
{
	struct error err;

	assert_int_equal(query_check(&(struct query){ .from_ns = 2, .to_ns = 1 }, START, &err), -EINVAL);
	assert_int_equal(query_check(&(struct query){ .step_s = 100000 }, START, &err), -EINVAL);
}

static void test_too_many_points(void **state)
{
	struct fixture *f = *state;
	struct query q = { .step_s = 1, .from_ns = START, .to_ns = START + 10000 * SECOND };
	struct buf out = { 0 };

	for (uint64_t i = 0; i <= QUERY_POINTS_MAX; i++)
		put_stats(f, 1, START + (100 + i) * SECOND, 1000 + i + 1, 0);
	ok(f, store_commit(f->store, &f->err));
	assert_int_equal(query_series(f->reader, &q, &out, &f->err), -E2BIG);
	buf_free(&out);
}

/* ---- the pool ---- */

struct asked { struct event_base *base; int answers; bool bad; };

static void on_answer(struct buf *answer, const struct error *err, void *arg)
{
	struct asked *a = arg;

	a->bad |= err->code != 0 || !strstr(buf_text(answer), "\"hosts\"");
	if (++a->answers == 2)
		event_base_loopexit(a->base, NULL);
}

static void test_pool(void **state)
{
	struct fixture *f = *state;
	struct asked a = { .base = event_base_new() };
	struct timeval patience = { .tv_sec = 20 };
	struct pool_job *job;
	char host[] = "red";
	struct pool *p;

	ok(f, pool_new(a.base, f->path, &p, &f->err));
	for (int i = 0; i < 3; i++) {
		ok(f, pool_ask(p, query_hosts, &(struct query){ .host = host, .to_ns = INT64_MAX }, on_answer, &a, &job, &f->err));
		if (i == 1)
			pool_forget(job);
	}
	memset(host, 'x', 3); /* the pool has a copy */
	event_base_loopexit(a.base, &patience);
	event_base_dispatch(a.base);
	assert_int_equal(a.answers, 2);
	assert_false(a.bad);
	pool_free(p);
	event_base_free(a.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_series_by_second, setup, teardown),
		cmocka_unit_test_setup_teardown(test_series_of_spans_agree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls_newest_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failing_calls_of_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commonest_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
		cmocka_unit_test(test_questions_that_make_no_sense),
		cmocka_unit_test_setup_teardown(test_too_many_points, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pool, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
