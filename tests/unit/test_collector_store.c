/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "collector_fixture.h"
#include "hist.h"
#include "histpack.h"
#include "schema.h"
#include "store_internal.h"

#define UID_A "00000000000000000000000000000001"
#define UID_B "00000000000000000000000000000002"

static int set_up(void **state)
{
	static struct fixture f;

	fixture_open(&f);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	fixture_close(*state);
	return 0;
}

/* ---- agents and requests ---- */

static void test_agents(void **state)
{
	struct fixture *f = *state;
	struct store_agent a, again;

	assert_int_equal(store_agent(f->store, UID_A, "web-1", "plumbd", T0, &a, NULL), 0);
	assert_int_equal(a.acked, 0);
	assert_int_equal(store_agent_acked(f->store, a.id, 77, T0 + 3 * SECOND, NULL), 0);
	assert_int_equal(store_agent_clock(f->store, a.id, -1500, 300, NULL), 0);
	assert_int_equal(store_agent_restarted(f->store, a.id, 0xfedcba9876543210ULL, NULL, 0, T0, NULL), 0);
	commit(f);
	fixture_reopen(f);
	assert_int_equal(ask(f, "SELECT last_seen_ns - first_seen_ns FROM agent"), 3 * SECOND);
	assert_int_equal(store_agent_seen(f->store, a.id, T0 + 2 * SECOND, NULL), 0);   /* never back */
	commit(f);
	assert_int_equal(ask(f, "SELECT last_seen_ns - first_seen_ns FROM agent"), 3 * SECOND);
	assert_int_equal(store_agent_seen(f->store, a.id, T0 + 4 * SECOND, NULL), 0);
	commit(f);
	assert_int_equal(ask(f, "SELECT last_seen_ns - first_seen_ns FROM agent"), 4 * SECOND);
	assert_int_equal(store_agent(f->store, UID_A, "web-2", "plumbd", T0 + SECOND, &again, NULL), 0);
	assert_int_equal(again.id, a.id);
	assert_int_equal(again.acked, 77);
	assert_int_equal(again.offset_ns, -1500);
	assert_true(again.run == 0xfedcba9876543210ULL);
	assert_true(add_agent(f, UID_B) > a.id);
	commit(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM agent WHERE first_seen_ns < last_seen_ns AND host = 'web-2'"), 1);
}

static void test_agents_belong_to_certificates(void **state)
{
	struct fixture *f = *state;
	struct store_subject bound;
	int64_t a = add_agent(f, UID_A);

	assert_int_equal(store_agent_subject(f->store, UID_A, &bound, NULL), 0);
	assert_string_equal(bound.text, "");
	assert_int_equal(store_agent_bind(f->store, a, "CN=web-1", NULL), 0);
	assert_int_equal(store_agent_bind(f->store, a, "CN=web-2", NULL), 0);
	commit(f);
	fixture_reopen(f);
	assert_int_equal(store_agent_subject(f->store, UID_A, &bound, NULL), 0);
	assert_string_equal(bound.text, "CN=web-1");
	assert_int_equal(store_agent_subject(f->store, UID_B, &bound, NULL), 0);
	assert_string_equal(bound.text, "");
	assert_int_equal(store_agent_unbind(f->store, UID_B, NULL), -ENOENT);
	assert_int_equal(store_agent_unbind(f->store, UID_A, NULL), 0);
	assert_int_equal(store_agent_bind(f->store, a, "CN=web-2", NULL), 0);
	assert_int_equal(store_agent_subject(f->store, UID_A, &bound, NULL), 0);
	assert_string_equal(bound.text, "CN=web-2");
}

static void test_uncommitted_is_gone(void **state)
{
	struct fixture *f = *state;
	struct store_agent a;

	add_agent(f, UID_A);
	commit(f);
	assert_int_equal(store_agent(f->store, UID_A, "web-1", "plumbd", T0, &a, NULL), 0);
	store_agent_acked(f->store, a.id, 5, T0, NULL);
	store_rollback(f->store);
	store_agent_acked(f->store, a.id, 4, T0, NULL);
	fixture_reopen(f);
	assert_int_equal(ask(f, "SELECT acked FROM agent"), 0);
}

static int count_open(const struct store_request *r, void *arg)
{
	assert_string_equal(r->service, "orderd");
	*(unsigned *)arg += 1;
	return 0;
}

static void test_requests(void **state)
{
	struct fixture *f = *state;
	int64_t agent = add_agent(f, UID_A), other = add_agent(f, UID_B);
	uint64_t ours = open_request(f, 0, 0), local = open_request(f, WIRE_LOCAL_REQUEST + 1, agent), id = 0;
	uint64_t same_number = open_request(f, WIRE_LOCAL_REQUEST + 1, other);
	unsigned open = 0;

	assert_int_equal(store_request_find(f->store, agent, wire_id_of(f, ours), &id, NULL), 1);
	assert_int_equal(id, ours);
	assert_int_equal(store_request_find(f->store, agent, WIRE_LOCAL_REQUEST + 1, &id, NULL), 1);
	assert_int_equal(id, local);
	assert_int_equal(store_request_find(f->store, other, WIRE_LOCAL_REQUEST + 1, &id, NULL), 1);
	assert_int_equal(id, same_number);
	assert_int_equal(store_request_find(f->store, agent, 99, &id, NULL), 0);
	assert_int_equal(id, 0);
	assert_int_equal(store_request_each_open(f->store, T0, count_open, &open, NULL), 0);
	assert_int_equal(open, 1);   /* what agents opened themselves is not the collector's to go on with */
	assert_int_equal(store_request_each_open(f->store, T0 + 601 * SECOND, count_open, &open, NULL), 0);
	assert_int_equal(open, 1);
	assert_int_equal(store_request_end(f->store, ours, "rm", "removed", T0 + SECOND, NULL), 0);
	assert_int_equal(store_request_end(f->store, ours, "ttl", "too late", T0 + 2 * SECOND, NULL), 0);
	assert_int_equal(store_request_each_open(f->store, T0, count_open, &open, NULL), 0);
	assert_int_equal(open, 1);
	commit(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM request WHERE reason = 'rm'"), 1);
}

/* Ids begin anew in a store that replaces another one: what agents know a request by does not. */
static void test_wire_ids_are_of_one_store(void **state)
{
	enum { STORES = 4 };
	struct fixture *f = *state, other[STORES];
	uint64_t wire = wire_id_of(f, open_request(f, 0, 0)), id;

	assert_true(wire > UINT32_MAX && wire < 1ULL << 60);
	for (int i = 0; i < STORES; i++) {
		fixture_open(&other[i]);
		assert_int_equal(open_request(&other[i], 0, 0), 1);
		assert_true(wire_id_of(&other[i], 1) != wire);
		assert_int_equal(store_request_find(other[i].store, 0, wire, &id, NULL), 0);
		fixture_close(&other[i]);
	}
}

static void test_restart_ends_what_is_not_served(void **state)
{
	struct fixture *f = *state;
	int64_t agent = add_agent(f, UID_A), other = add_agent(f, UID_B);
	uint64_t gone = open_request(f, 0, 0), served = open_request(f, 0, 0), local = open_request(f, WIRE_LOCAL_REQUEST + 1,
												    agent);
	uint64_t serves = wire_id_of(f, served);
	char sql[128];

	store_request_agent(f->store, gone, agent, "running", "", "", T0, NULL);
	store_request_agent(f->store, served, agent, "running", "", "", T0, NULL);
	store_request_agent(f->store, gone, other, "running", "", "", T0, NULL);
	assert_int_equal(store_agent_restarted(f->store, agent, 8, &serves, 1, T0 + SECOND, NULL), 0);
	commit(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM request_agent WHERE state = 'ended' AND reason = 'restart'"), 1);
	snprintf(sql, sizeof(sql), "SELECT request FROM request_agent WHERE state = 'ended' AND agent = %d", (int)agent);
	assert_int_equal(ask(f, sql), gone);
	assert_int_equal(ask(f, "SELECT id FROM request WHERE ended_ns IS NOT NULL"), local);
}

/* ---- counters ---- */

static struct store_counts *counters(uint64_t calls, uint64_t errors, uint64_t ns)
{
	static struct store_counts c;

	memset(&c, 0, sizeof(c));
	c.c.calls = c.c.returns = calls;
	c.c.errors = errors;
	c.c.max_ns = ns;
	c.c.sum_ns = calls * ns;
	c.c.hist[hist_bucket(ns)] = calls;
	return &c;
}

static int64_t sum(struct fixture *f, const char *column, unsigned span)
{
	char sql[128];

	commit(f);
	snprintf(sql, sizeof(sql), "SELECT sum(%s) FROM rollup WHERE span = %u", column, span);
	return ask(f, sql);
}

static void test_rollups(void **state)
{
	struct fixture *f = *state;
	int64_t agent = add_agent(f, UID_A), probe = add_probe(f, open_request(f, 0, 0), agent, 7, 1);
	__u64 hist[HIST_BUCKETS] = { 0 };
	struct store_counts *last;
	sqlite3_stmt *st;

	store_stats(f->store, probe, 100, T0 + SECOND / 2, counters(10, 1, 500), NULL);
	store_stats(f->store, probe, 100, T0 + SECOND, counters(25, 1, 500), NULL);
	store_stats(f->store, probe, 100, T0 + SECOND + SECOND / 2, counters(30, 4, 500), NULL);
	store_stats(f->store, probe, 100, T0 + 61 * SECOND, counters(30, 4, 500), NULL);   /* nothing has come */
	last = counters(31, 4, 900);
	last->c.hist[hist_bucket(500)] = 30;
	last->c.hist[hist_bucket(900)] = 1;
	last->c.sum_ns = 30 * 500 + 900;
	store_stats(f->store, probe, 100, T0 + 62 * SECOND, last, NULL);
	assert_int_equal(sum(f, "calls", 1), 31);
	assert_int_equal(sum(f, "calls", 60), 31);
	assert_int_equal(sum(f, "errors", 3600), 4);
	assert_int_equal(ask(f, "SELECT count(*) FROM rollup WHERE span = 1"), 3);
	assert_int_equal(ask(f, "SELECT count(*) FROM rollup WHERE span = 60"), 2);
	assert_int_equal(ask(f, "SELECT calls FROM rollup WHERE span = 1 ORDER BY at LIMIT 1 OFFSET 1"), 20);
	assert_int_equal(ask(f, "SELECT max_ns FROM rollup WHERE span = 3600"), 900);
	assert_int_equal(sqlite3_prepare_v2(f->reader, "SELECT hist FROM rollup WHERE span = 3600", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(hist_unpack_add(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), hist), 0);
	sqlite3_finalize(st);
	assert_int_equal(hist[hist_bucket(500)], 30);
	assert_int_equal(hist[hist_bucket(900)], 1);
	assert_int_equal(hist_total(hist), 31);
	assert_int_equal(ask(f, "SELECT sum_ns FROM rollup WHERE span = 3600"), 30 * 500 + 900);
}

static void test_differences_survive_a_restart(void **state)
{
	struct fixture *f = *state;
	int64_t probe = add_probe(f, open_request(f, 0, 0), add_agent(f, UID_A), 7, 1);

	store_stats(f->store, probe, 100, T0, counters(10, 0, 500), NULL);
	commit(f);
	store_stats(f->store, probe, 100, T0 + SECOND, counters(20, 0, 500), NULL);
	fixture_reopen(f);   /* before a commit: it comes again */
	store_stats(f->store, probe, 100, T0 + SECOND, counters(20, 0, 500), NULL);
	store_stats(f->store, probe, 100, T0 + 2 * SECOND, counters(25, 0, 500), NULL);
	assert_int_equal(sum(f, "calls", 1), 25);
}

static void test_resets_and_processes(void **state)
{
	struct fixture *f = *state;
	int64_t probe = add_probe(f, open_request(f, 0, 0), add_agent(f, UID_A), 7, 1);

	store_stats(f->store, probe, 100, T0, counters(10, 0, 500), NULL);
	store_stats(f->store, probe, 200, T0, counters(5, 0, 500), NULL);       /* another process */
	store_stats(f->store, probe, 100, T0 + SECOND, counters(3, 0, 500), NULL);   /* began anew */
	store_stats(f->store, probe, 200, T0 + SECOND, counters(6, 0, 500), NULL);
	assert_int_equal(sum(f, "calls", 1), 10 + 5 + 3 + 1);
	assert_int_equal(sum(f, "calls", 3600), 10 + 5 + 3 + 1);
	assert_int_equal(ask(f, "SELECT sum(calls) FROM rollup WHERE span = 60 AND pid = 200"), 6);
}

static void test_end_forgets_last_counters(void **state)
{
	struct fixture *f = *state;
	int64_t agent = add_agent(f, UID_A);
	uint64_t request = open_request(f, 0, 0);
	int64_t probe = add_probe(f, request, agent, 7, 1);

	store_stats(f->store, probe, 100, T0, counters(10, 0, 500), NULL);
	commit(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM tally"), 1);
	store_request_agent(f->store, request, agent, "ended", "stopped", "", T0, NULL);
	commit(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM tally"), 0);
}

/* Ended here while the agent was away: what its spool still has goes on from the counters before. */
static void test_counters_after_the_end(void **state)
{
	struct fixture *f = *state;
	int64_t agent = add_agent(f, UID_A);
	uint64_t request = open_request(f, 0, 0);
	int64_t probe = add_probe(f, request, agent, 7, 1);

	store_stats(f->store, probe, 100, T0, counters(10, 0, 500), NULL);
	store_request_end(f->store, request, "removed", "", T0, NULL);
	store_stats(f->store, probe, 100, T0 + SECOND, counters(25, 0, 500), NULL);
	assert_int_equal(sum(f, "calls", 1), 25);
	store_request_agent(f->store, request, agent, "ended", "removed", "", T0 + SECOND, NULL);
	commit(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM tally"), 0);
}

static void test_difference(void **state)
{
	static struct rollup now, before, out;

	now.value[ROLLUP_CALLS] = 10;
	now.value[ROLLUP_MAX_NS] = 70;
	now.hist[3] = 10;
	before.value[ROLLUP_CALLS] = 8;
	before.value[ROLLUP_MAX_NS] = 70;
	before.hist[3] = 8;
	assert_true(rollup_difference(&now, &before, &out));
	assert_int_equal(out.value[ROLLUP_CALLS], 2);
	assert_int_equal(out.value[ROLLUP_MAX_NS], 70);
	assert_int_equal(out.hist[3], 2);
	assert_false(rollup_difference(&now, &now, &out));
	before.hist[3] = 11;
	assert_true(rollup_difference(&now, &before, &out));
	assert_int_equal(out.value[ROLLUP_CALLS], 10);
	assert_int_equal(out.hist[3], 10);
}

/* ---- chunks and what is too old or too much ---- */

static void add_chunk(struct fixture *f, int64_t agent, int64_t probe, uint64_t sequence, uint64_t ns, size_t bytes)
{
	struct store_chunk_probe p = { .probe = probe, .first_ns = ns, .records = 3, .errors = 1 };
	char *frame = calloc(1, bytes);
	struct store_chunk c = {
		.agent = agent, .sequence = sequence, .run = 7, .request = 1, .first_ns = ns, .last_ns = ns + 5, .received_ns = ns,
		.records = 3, .frame = frame, .frame_len = bytes, .probe = &p, .n_probes = 1,
	};
	struct error err = { 0 };

	if (store_chunk(f->store, &c, &err))
		fail_msg("%s", err.text);
	free(frame);
}

static void expire_all(struct fixture *f, uint64_t now)
{
	struct error err = { 0 };
	int rc, rounds = 0;

	while ((rc = store_expire(f->store, now, &err)) > 0)
		assert_true(++rounds < 100000);
	if (rc)
		fail_msg("%s", err.text);
	commit(f);
}

static void test_age(void **state)
{
	struct fixture *f = *state;
	int64_t agent, probe;

	f->opt.keep_ns = 7 * DAY;
	fixture_reopen(f);
	agent = add_agent(f, UID_A);
	probe = add_probe(f, open_request(f, 0, 0), agent, 7, 1);
	for (unsigned day = 0; day < 100; day++) {
		add_chunk(f, agent, probe, day + 1, T0 + day * DAY, 500);
		store_stats(f->store, probe, 100, T0 + day * DAY, counters(day + 1, 0, 500), NULL);
	}
	expire_all(f, T0 + 99 * DAY + SECOND);
	assert_int_equal(ask(f, "SELECT count(*) FROM chunk"), 7);
	assert_int_equal(ask(f, "SELECT min(sequence) FROM chunk"), 94);
	assert_int_equal(ask(f, "SELECT count(*) FROM chunk_probe"), 7);
	assert_int_equal(sum(f, "1", 1), 7);
	assert_int_equal(sum(f, "1", 60), 70);
	assert_int_equal(sum(f, "1", 3600), 100);
	/* Nothing more is written when there is nothing to do. */
	assert_int_equal(store_expire(f->store, T0 + 99 * DAY + 2 * SECOND, NULL), 0);
}

static void test_old_requests_go_whole(void **state)
{
	struct fixture *f = *state;
	int64_t agent;
	uint64_t old, young;

	f->opt.keep_ns = DAY;
	fixture_reopen(f);
	agent = add_agent(f, UID_A);
	old = open_request(f, 0, 0);
	young = open_request(f, 0, 0);
	add_probe(f, old, agent, 7, 1);
	add_probe(f, young, agent, 8, 1);
	store_process(f->store, agent, 7, 100, "orderd", NULL);
	store_process(f->store, agent, 8, 100, "orderd", NULL);
	store_request_agent(f->store, old, agent, "ended", "stopped", "", T0, NULL);
	store_request_end(f->store, old, "stopped", "", T0, NULL);
	store_request_end(f->store, young, "stopped", "", T0 + 50 * DAY, NULL);
	store_notice(f->store, agent, old, T0, "loss", "x", NULL);
	store_loss(f->store, agent, old, T0, 5, "spool-full", NULL);
	expire_all(f, T0 + 101 * DAY);
	assert_int_equal(ask(f, "SELECT id FROM request"), young);
	assert_int_equal(ask(f, "SELECT request FROM probe"), young);
	assert_int_equal(ask(f, "SELECT run FROM process"), 8);
	assert_int_equal(ask(f,
			     "SELECT (SELECT count(*) FROM request_agent) + (SELECT count(*) FROM notice) + (SELECT count(*) FROM loss)"), 0);
	assert_int_equal(open_request(f, 0, 0), young + 1);
}

static void test_size(void **state)
{
	struct fixture *f = *state;
	struct store_size size;
	int64_t agent, probe;

	f->opt.max_bytes = 2 << 20;
	fixture_reopen(f);
	agent = add_agent(f, UID_A);
	probe = add_probe(f, open_request(f, 0, 0), agent, 7, 1);
	for (unsigned i = 0; i < 400; i++) {
		add_chunk(f, agent, probe, i + 1, T0 + i * SECOND, 20000);
		expire_all(f, T0 + i * SECOND);
	}
	store_size(f->store, &size);
	assert_true(size.used_bytes <= 2 << 20);
	assert_true(size.used_bytes > 1 << 20);
	assert_true(size.file_bytes < 3 << 20);   /* what was freed is used again */
	assert_int_equal(ask(f, "SELECT max(sequence) FROM chunk"), 400);
	assert_int_equal(ask(f, "SELECT count(*) FROM chunk") + (int64_t)size.expired_chunks, 400);
}

/* Seconds alone can be too much: then their age is cut until it fits. */
static void test_size_without_chunks(void **state)
{
	struct fixture *f = *state;
	struct store_size size;
	int64_t probe;

	f->opt.max_bytes = 600 << 10;
	f->opt.keep_ns = 7 * DAY;
	fixture_reopen(f);
	probe = add_probe(f, open_request(f, 0, 0), add_agent(f, UID_A), 7, 1);
	for (unsigned i = 0; i < 20000; i++)
		store_stats(f->store, probe, 100, T0 + i * SECOND, counters(i + 1, 0, 500), NULL);
	for (unsigned pass = 0; pass < 20; pass++)
		expire_all(f, T0 + 20000 * SECOND + pass * 61 * SECOND);
	store_size(f->store, &size);
	assert_true(size.used_bytes <= 600 << 10);
	assert_true(sum(f, "calls", 1) < 20000);
	assert_int_equal(sum(f, "calls", 3600), 20000);
}

/* ---- a full disk ---- */

static void test_full(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };
	int64_t agent, probe;
	uint64_t sequence = 1;
	int rc = 0;

	f->opt.max_pages = 100;
	fixture_reopen(f);
	agent = add_agent(f, UID_A);
	probe = add_probe(f, open_request(f, 0, 0), agent, 7, 1);
	commit(f);
	for (; !rc && sequence < 1000; sequence++) {
		struct store_chunk c = { .agent = agent, .sequence = sequence, .run = 7, .request = 1, .frame = f->dir,
		.frame_len = 0 };
		char frame[4000] = { 0 };

		c.frame = frame;
		c.frame_len = sizeof(frame);
		rc = store_chunk(f->store, &c, &err);
	}
	assert_int_equal(rc, -ENOSPC);
	/* Whatever the engine has kept of it: it must not be taken for stored. */
	assert_true(store_spoiled(f->store));
	assert_int_equal(store_agent_acked(f->store, agent, 5, T0, NULL), -EIO);
	assert_int_equal(store_commit(f->store, NULL), -EIO);
	store_rollback(f->store);
	commit(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM chunk"), 0);
	/* Room comes: it goes on. */
	f->opt.max_pages = 10000;
	fixture_reopen(f);
	add_chunk(f, agent, probe, 1, T0, 4000);
	commit(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM chunk"), 1);
}

/* ---- versions ---- */

static int version(sqlite3 *db)
{
	sqlite3_stmt *st;
	int v;

	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL), SQLITE_OK);
	sqlite3_step(st);
	v = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return v;
}

static void test_migration(void **state)
{
	static const char *const old_steps[] = { "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (7);" };
	static const char *const steps[] = { old_steps[0], "ALTER TABLE t ADD COLUMN b INTEGER NOT NULL DEFAULT 0",
	"UPDATE t SET b = a * 2" };
	static const char *const broken[] = { old_steps[0], steps[1], steps[2], "UPDATE t SET b = 0; SELECT nonsense FROM t" };
	struct error err = { 0 };
	sqlite3_stmt *st;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(store_migrate(db, old_steps, 1, &err), 0);
	assert_int_equal(version(db), 1);
	assert_int_equal(store_migrate(db, steps, 3, &err), 0);
	assert_int_equal(version(db), 3);
	assert_int_not_equal(store_migrate(db, broken, 4, &err), 0);   /* nothing of it stays */
	assert_int_equal(version(db), 3);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT b FROM t", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(st, 0), 14);
	sqlite3_finalize(st);
	assert_int_equal(store_migrate(db, old_steps, 1, &err), -EINVAL);
	assert_non_null(strstr(err.text, "version 3"));
	sqlite3_close(db);
}

static void test_later_version_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };
	struct store *s = NULL;
	sqlite3 *db;

	store_close(f->store);
	f->store = NULL;
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 1000", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(store_open(&f->opt, &s, &err), -EINVAL);
	assert_null(s);
	assert_non_null(strstr(err.text, "version 1000"));
}

static void test_no_database(void **state)
{
	struct fixture *f = *state;
	struct store_options opt = { .path = "/nowhere/plumb.db" };
	struct error err = { 0 };
	struct store *s = NULL;
	FILE *file;

	assert_true(store_open(&opt, &s, &err) < 0);
	assert_non_null(strstr(err.text, "/nowhere/plumb.db"));
	store_close(f->store);
	f->store = NULL;
	sqlite3_close(f->reader);
	f->reader = NULL;
	file = fopen(f->path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no database", file);
	fclose(file);
	assert_true(store_open(&f->opt, &s, &err) < 0);
	assert_null(s);
}

/* ---- audit ---- */

static void test_audit(void **state)
{
	struct fixture *f = *state;
	struct store_audit a = { .at_ns = T0, .request = 5, .who = "ann", .role = "probe", .peer = "::1", .action = "trace",
	.detail = "x" };
	struct store_audit b = { .at_ns = T0, .who = "?", .role = "", .peer = "::1", .action = "login refused", .detail = "",
	.outcome = "refused" };

	assert_int_equal(store_audit(f->store, &a, NULL), 0);
	assert_int_equal(store_audit(f->store, &b, NULL), 0);
	assert_int_equal(store_audit_end(f->store, a.id, "stopped", T0 + SECOND, NULL), 0);
	commit(f);
	assert_int_equal(ask(f, "SELECT request FROM audit WHERE outcome = 'stopped'"), 5);
	assert_int_equal(ask(f, "SELECT count(*) FROM audit WHERE request IS NULL AND ended_ns IS NULL"), 1);
}

/* ---- verdicts ---- */

static void test_verdict(void **state)
{
	struct fixture *f = *state;
	struct store_verdict v = { .who = "ann", .state = "RUNNING", .title = "fix", .record = "ab\0", .record_len = 3, .now_ns = T0, .audit = 7 };
	struct store_verdict more = { .state = "PASS", .reason = "all gates", .report = "{\"a\":1}", .record = "c", .record_len = 1, .record_at = 3,
				      .now_ns = T0 + SECOND };
	struct store_verdict_state at = { 0 };
	int64_t id = 0;

	assert_int_equal(store_verdict(f->store, &v, NULL), 0);
	assert_int_equal(store_verdict_find(f->store, v.id, &at, NULL), 1);
	assert_true(at.running);
	assert_string_equal(at.who, "ann");
	assert_int_equal(at.record_bytes, 3);
	assert_int_equal(at.audit, 7);
	assert_int_equal(store_verdict_silent(f->store, T0, &id, NULL), 0);
	assert_int_equal(store_verdict_silent(f->store, T0 + 1, &id, NULL), 1);
	assert_int_equal(id, v.id);
	more.id = v.id;
	assert_int_equal(store_verdict(f->store, &more, NULL), 0);
	assert_int_equal(store_verdict_find(f->store, v.id, &at, NULL), 1);
	assert_false(at.running);
	assert_int_equal(store_verdict_find(f->store, v.id + 1, &at, NULL), 0);
	assert_int_equal(store_verdict_silent(f->store, T0 + 10 * SECOND, &id, NULL), 0);
	commit(f);
	assert_int_equal(ask(f, "SELECT sum(length(bytes)) FROM verdict_record"), 4);
	assert_int_equal(ask(f, "SELECT count(*) FROM verdict WHERE title = 'fix' AND service = '' AND reason = 'all gates' AND record_bytes = 4"), 1);
	assert_int_equal(ask(f, "SELECT updated_ns - at_ns FROM verdict"), SECOND);
	assert_int_equal(store_verdict(f->store, &more, NULL), -EEXIST);   /* that part of the record is there */
}

/* A store of version 1 keeps its verdicts and what they were made of. */
static void test_verdicts_of_version_1(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db;

	store_close(f->store);
	f->store = NULL;
	sqlite3_close(f->reader);
	remove(f->path);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, schema_sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 1; INSERT INTO verdict (at_ns, who, state, title, inputs, report) VALUES"
				      " (5, 'ann', 'PASS', 'fix', x'610062', '{}'), (6, 'ann', 'FAIL', 'fix', x'', '{}')", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	fixture_reopen(f);
	assert_int_equal(sqlite3_open_v2(f->path, &f->reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(ask(f, "PRAGMA user_version"), STORE_VERSION);
	assert_int_equal(ask(f, "SELECT record_bytes FROM verdict WHERE state = 'PASS' AND updated_ns = 5"), 3);
	assert_int_equal(ask(f, "SELECT count(*) FROM verdict_record WHERE bytes = x'610062' AND at = 0"), 1);
	assert_int_equal(ask(f, "SELECT count(*) FROM verdict_record"), 1);
}

#define STORE_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_agents), STORE_TEST(test_agents_belong_to_certificates), STORE_TEST(test_uncommitted_is_gone),
		STORE_TEST(test_requests), STORE_TEST(test_wire_ids_are_of_one_store),
		STORE_TEST(test_restart_ends_what_is_not_served), STORE_TEST(test_rollups), STORE_TEST(test_differences_survive_a_restart),
		STORE_TEST(test_resets_and_processes), STORE_TEST(test_end_forgets_last_counters), STORE_TEST(test_counters_after_the_end),
		cmocka_unit_test(test_difference),
		STORE_TEST(test_age), STORE_TEST(test_old_requests_go_whole), STORE_TEST(test_size), STORE_TEST(test_size_without_chunks),
		STORE_TEST(test_full), cmocka_unit_test(test_migration), STORE_TEST(test_later_version_is_refused), STORE_TEST(test_no_database),
		STORE_TEST(test_audit), STORE_TEST(test_verdict), STORE_TEST(test_verdicts_of_version_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
