/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

#include <errno.h>
#include <stdlib.h>

#include "clock_ns.h"

enum { STATEMENTS_MAX = 64, STEPS_PER_LOOK = 10000, CACHE_KIB = 4096 };

struct reader {
	sqlite3 *db;
	uint64_t deadline_ns;     /* 0: none */
	struct { const char *sql; sqlite3_stmt *st; } kept[STATEMENTS_MAX];
	int n_kept;
};

static int is_late(void *arg)
{
	const struct reader *r = arg;

	return r->deadline_ns && clock_ns(CLOCK_MONOTONIC) > r->deadline_ns;
}

int reader_open(const char *path, struct reader **out, struct error *err)
{
	struct reader *r = calloc(1, sizeof(*r));
	char pragma[64];

	if (!r)
		return error_set(err, ENOMEM, "no memory for a reader of the store");
	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		error_set(err, EIO, "cannot read the store %s: %s", path, r->db ? sqlite3_errmsg(r->db) : "no memory");
		reader_close(r);
		return -EIO;
	}
	sqlite3_busy_timeout(r->db, 1000);
	sqlite3_progress_handler(r->db, STEPS_PER_LOOK, is_late, r);
	sqlite3_snprintf(sizeof(pragma), pragma, "PRAGMA cache_size = -%d", CACHE_KIB);
	sqlite3_exec(r->db, pragma, NULL, NULL, NULL);
	*out = r;
	return 0;
}

void reader_close(struct reader *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->n_kept; i++)
		sqlite3_finalize(r->kept[i].st);
	sqlite3_close(r->db);
	free(r);
}

void reader_begin(struct reader *r, unsigned milliseconds)
{
	r->deadline_ns = clock_ns(CLOCK_MONOTONIC) + milliseconds * 1000000ULL;
}

static int failed(struct reader *r, struct error *err)
{
	if (sqlite3_errcode(r->db) == SQLITE_INTERRUPT) {
		error_set(err, ETIME, "the question took too long");
		return error_hint(err, "ask for less time, or for one function");
	}
	return error_set(err, EIO, "cannot read the store: %s", sqlite3_errmsg(r->db));
}

sqlite3_stmt *reader_statement(struct reader *r, const char *sql, struct error *err)
{
	for (int i = 0; i < r->n_kept; i++) {
		if (r->kept[i].sql != sql)
			continue;
		sqlite3_reset(r->kept[i].st);
		sqlite3_clear_bindings(r->kept[i].st);
		return r->kept[i].st;
	}
	if (r->n_kept == STATEMENTS_MAX) {
		error_set(err, ENOSPC, "too many kinds of questions to the store");
		return NULL;
	}
	if (sqlite3_prepare_v3(r->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &r->kept[r->n_kept].st, NULL) != SQLITE_OK) {
		failed(r, err);
		return NULL;
	}
	r->kept[r->n_kept].sql = sql;
	return r->kept[r->n_kept++].st;
}

int reader_step(struct reader *r, sqlite3_stmt *st, struct error *err)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	rc = rc == SQLITE_DONE ? 0 : failed(r, err);
	sqlite3_reset(st);
	return rc;
}

void reader_bind_text(sqlite3_stmt *st, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

const char *reader_text(sqlite3_stmt *st, int column)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	return text ? (const char *)text : "";
}
