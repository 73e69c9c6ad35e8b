/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded engine: opening, migrating, transactions, statements.
 *
 * WAL with synchronous=FULL: each commit is written to the log and synchronised to the disk before store_commit returns.  With
 * about ten commits a second that costs no throughput that could be measured, and an agent that was told may forget.
 */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema.h"
#include "schema_2.h"
#include "schema_3.h"
#include "schema_4.h"

enum { CACHE_KIB = 8192, PAGE_BYTES = 8192, CHECKPOINT_PAGES = 2048, WAL_BYTES_KEPT = 64 << 20, BUSY_MS = 2000 };

/* ---- errors ---- */

static int code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_CONSTRAINT:
		return EEXIST;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	default:
		return EIO;
	}
}

static int db_error(sqlite3 *db, struct error *err)
{
	int code = code_of(sqlite3_extended_errcode(db));

	return error_set(err, code, "the store: %s", sqlite3_errmsg(db));
}

int store_error(struct store *s, struct error *err)
{
	return db_error(s->db, err);
}

/* ---- statements ---- */

void store_spoil(struct store *s)
{
	s->spoiled = true;
}

bool store_spoiled(const struct store *s)
{
	return s->spoiled;
}

/* Some failures take the whole transaction with them: what is put after that must not be committed as if it followed on. */
static int step_error(struct store *s, struct error *err)
{
	int rc = store_error(s, err);

	if (rc != -EEXIST)
		s->spoiled = true;
	return rc;
}

static int prepare(struct store *s, enum statement id, const char *sql, struct error *err)
{
	if (s->stmt[id] || sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt[id], NULL) == SQLITE_OK)
		return 0;
	return store_error(s, err);
}

static int64_t capped(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

/* The texts and blobs outlive the step. */
static int bind(sqlite3_stmt *st, const char *types, va_list ap)
{
	int rc = SQLITE_OK;

	for (int i = 1; *types && rc == SQLITE_OK; types++, i++) {
		if (*types == 'i') {
			rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
		} else if (*types == 'u') {
			rc = sqlite3_bind_int64(st, i, capped(va_arg(ap, uint64_t)));
		} else if (*types == 't') {
			rc = sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
		} else if (*types == 'b') {
			const void *data = va_arg(ap, const void *);
			size_t len = va_arg(ap, size_t);

			rc = data ? sqlite3_bind_blob64(st, i, data, len, SQLITE_STATIC) : sqlite3_bind_zeroblob(st, i, 0);
		} else {
			rc = sqlite3_bind_null(st, i);
		}
	}
	return rc;
}

int store_next(struct store *s, sqlite3_stmt *row, struct error *err)
{
	int rc = sqlite3_step(row);

	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : step_error(s, err);
}

void store_done(sqlite3_stmt *row)
{
	sqlite3_reset(row);
	sqlite3_clear_bindings(row);
}

int store_begin(struct store *s, struct error *err)
{
	int rc;

	if (s->spoiled)
		return error_set(err, EIO, "the store did not take in what came before");
	if (!sqlite3_get_autocommit(s->db))
		return 0;
	rc = prepare(s, ST_BEGIN, "BEGIN IMMEDIATE", err);
	if (rc)
		return rc;
	if (sqlite3_step(s->stmt[ST_BEGIN]) != SQLITE_DONE)
		rc = store_error(s, err);
	sqlite3_reset(s->stmt[ST_BEGIN]);
	return rc;
}

static int step(struct store *s, enum statement id, const char *sql, struct error *err, const char *types, va_list ap)
{
	int rc = prepare(s, id, sql, err);

	if (!rc && !sqlite3_stmt_readonly(s->stmt[id]))
		rc = store_begin(s, err);
	if (rc)
		return rc;
	rc = bind(s->stmt[id], types, ap);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s->stmt[id]);
	if (rc == SQLITE_ROW)
		return 1;
	rc = rc == SQLITE_DONE ? 0 : step_error(s, err);
	store_done(s->stmt[id]);
	return rc;
}

int store_run(struct store *s, enum statement id, const char *sql, struct error *err, const char *types, ...)
{
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = step(s, id, sql, err, types, ap);
	va_end(ap);
	if (rc > 0)
		store_done(s->stmt[id]);
	return rc < 0 ? rc : 0;
}

int store_row(struct store *s, enum statement id, const char *sql, sqlite3_stmt **row, struct error *err, const char *types, ...)
{
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = step(s, id, sql, err, types, ap);
	va_end(ap);
	*row = s->stmt[id];
	return rc;
}

/* ---- transactions ---- */

int store_commit(struct store *s, struct error *err)
{
	int rc;

	if (s->spoiled)
		return error_set(err, EIO, "the store did not take in what came");
	if (sqlite3_get_autocommit(s->db))
		return 0;
	rc = prepare(s, ST_COMMIT, "COMMIT", err);
	if (!rc && sqlite3_step(s->stmt[ST_COMMIT]) != SQLITE_DONE)
		rc = store_error(s, err);
	sqlite3_reset(s->stmt[ST_COMMIT]);
	return rc;
}

/* Some failures have rolled back already. */
void store_rollback(struct store *s)
{
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->spoiled = false;
}

/* ---- versions ---- */

static int exec(sqlite3 *db, const char *sql, struct error *err)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(db, err);
}

static int pragma(sqlite3 *db, const char *name, int64_t *value, struct error *err)
{
	sqlite3_stmt *st = NULL;
	char sql[64];
	int rc = 0;

	snprintf(sql, sizeof(sql), "PRAGMA %s", name);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
		rc = db_error(db, err);
	else
		*value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rc;
}

static int run_steps(sqlite3 *db, const char *const *steps, int64_t from, int version, struct error *err)
{
	char sql[64];
	int rc = 0;

	for (int64_t v = from; v < version && !rc; v++)
		rc = exec(db, steps[v], err);
	if (rc)
		return rc;
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", version);
	return exec(db, sql, err);
}

int store_migrate(sqlite3 *db, const char *const *steps, int version, struct error *err)
{
	int64_t from = 0;
	int rc = pragma(db, "user_version", &from, err);

	if (rc || from == version)
		return rc;
	if (from < 0 || from > version)
		return error_set(err, EINVAL, "the store is of version %ld, this collector knows versions up to %d", (long)from,
				 version);
	rc = exec(db, "BEGIN IMMEDIATE", err);
	if (rc)
		return rc;
	rc = run_steps(db, steps, from, version, err);
	if (!rc)
		rc = exec(db, "COMMIT", err);
	if (rc)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

/* steps[n]: from version n to n + 1. A step that has been released is never changed again. */
static const char *const steps[STORE_VERSION] = {
	schema_sql, schema_2_sql, schema_3_sql, schema_4_sql,
};

/* ---- life ---- */

static int set_up(struct store *s, struct error *err)
{
	int64_t page_bytes = 0;
	char sql[400];
	int rc;

	snprintf(sql, sizeof(sql),
		 "PRAGMA page_size = %d; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -%d;"
		 "PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %d; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;",
		 PAGE_BYTES, CACHE_KIB, CHECKPOINT_PAGES, WAL_BYTES_KEPT);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	rc = exec(s->db, sql, err);
	if (!rc && s->opt.max_pages) {
		snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %lu", (unsigned long)s->opt.max_pages);
		rc = exec(s->db, sql, err);
	}
	if (!rc)
		rc = store_add_functions(s->db) == SQLITE_OK ? 0 : store_error(s, err);
	if (!rc)
		rc = store_migrate(s->db, steps, STORE_VERSION, err);
	if (!rc)
		rc = pragma(s->db, "page_size", &page_bytes, err);
	s->page_bytes = (uint64_t)page_bytes;
	return rc;
}

/* SQLite makes files that all may read, and gives those beside a database its mode. What fails here fails there too, with words. */
static void create_private(const char *path)
{
	int fd = strcmp(path, ":memory:") ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640) : -1;

	if (fd >= 0)
		close(fd);
}

int store_open(const struct store_options *opt, struct store **out, struct error *err)
{
	struct store *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return error_set(err, ENOMEM, "out of memory");
	s->opt = *opt;
	s->opt.path = NULL;   /* the caller's */
	create_private(opt->path);
	rc = sqlite3_open_v2(opt->path, &s->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc == SQLITE_OK)
		rc = set_up(s, err);
	else
		rc = error_set(err, code_of(rc), "cannot open %s: %s", opt->path,
			       s->db ? sqlite3_errmsg(s->db) : "out of memory");
	if (rc) {
		store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_rollback(s);
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->stmt[i]);
	sqlite3_close(s->db);
	buf_free(&s->scratch);
	free(s);
}
