/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a directory of its own, and questions to it over a connection of its own. */
#ifndef PLUMB_TEST_COLLECTOR_FIXTURE_H
#define PLUMB_TEST_COLLECTOR_FIXTURE_H

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plumb/wire.h"
#include "store.h"

#define SECOND 1000000000ULL
#define DAY (86400 * SECOND)
#define T0 (1790000000 * SECOND)

struct fixture {
	char dir[64], path[96];
	struct store_options opt;
	struct store *store;
	sqlite3 *reader;
	uint64_t request;
};

static inline void fixture_reopen(struct fixture *f)
{
	struct error err = { 0 };

	store_close(f->store);
	f->store = NULL;
	if (store_open(&f->opt, &f->store, &err))
		fail_msg("%s", err.text);
}

static inline void fixture_open(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	strcpy(f->dir, "/tmp/plumb-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/plumb.db", f->dir);
	f->opt.path = f->path;
	fixture_reopen(f);
	assert_int_equal(sqlite3_open_v2(f->path, &f->reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
}

static inline void fixture_close(struct fixture *f)
{
	static const char *const files[] = { "plumb.db", "plumb.db-wal", "plumb.db-shm" };
	char path[128];

	sqlite3_close(f->reader);
	store_close(f->store);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(f->dir), 0);
}

/* The first column of the first row of what is committed. */
static inline int64_t ask(struct fixture *f, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n;

	if (sqlite3_prepare_v2(f->reader, sql, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
		fail_msg("%s: %s", sql, sqlite3_errmsg(f->reader));
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static inline void ask_text(struct fixture *f, const char *sql, char *out, size_t size)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(f->reader, sql, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
		fail_msg("%s: %s", sql, sqlite3_errmsg(f->reader));
	snprintf(out, size, "%s", sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
}

static inline void commit(struct fixture *f)
{
	struct error err = { 0 };

	if (store_commit(f->store, &err))
		fail_msg("%s", err.text);
}

static inline uint64_t open_request(struct fixture *f, uint64_t wire_id, int64_t agent)
{
	struct store_request r = {
		.wire_id = wire_id, .agent = agent, .verb = "trace", .target = "-s orderd", .service = "orderd",
		.probes_json = "[\"parse_order\"]", .who = "ann", .opened_ns = T0, .expires_ns = T0 + 600 * SECOND,
	};
	struct error err = { 0 };

	if (store_request_open(f->store, &r, &err))
		fail_msg("%s", err.text);
	return r.id;
}

/* What agents know it by. What was not committed is not seen. */
static inline uint64_t wire_id_of(struct fixture *f, uint64_t request)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "SELECT wire_id FROM request WHERE id = %lu", (unsigned long)request);
	commit(f);
	return (uint64_t)ask(f, sql);
}

static inline int64_t add_agent(struct fixture *f, const char *uid)
{
	struct store_agent a;

	assert_int_equal(store_agent(f->store, uid, "web-1", "plumbd 0.1.0", T0, &a, NULL), 0);
	return a.id;
}

static inline int64_t add_probe(struct fixture *f, uint64_t request, int64_t agent, uint64_t run, uint32_t number)
{
	struct store_probe p = {
		.request = request, .agent = agent, .run = run, .number = number, .spec = "parse_order", .function = "parse_order",
		.module = "orderd", .build_id = "ab12", .file = "order.c", .site_kind = "push", .line = 12, .cost_ns = 500, .fields = 3,
		.frame = "x", .frame_len = 1,
	};
	int64_t id = 0;

	assert_int_equal(store_probe(f->store, &p, T0, &id, NULL), 0);
	return id;
}

#endif
