/* SPDX-License-Identifier: Apache-2.0 */
#include "decoder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char select_frames[] = "SELECT id, frame FROM probe WHERE agent = ?1 AND run = ?2 AND request = ?3 AND pattern = 0 LIMIT 65536";
static const char select_names[] =
	"SELECT n.frame FROM pattern_names n JOIN probe p ON p.id = n.probe WHERE p.agent = ?1 AND p.run = ?2 AND p.request = ?3 LIMIT 65536";
static const char select_processes[] = "SELECT pid, comm FROM process WHERE agent = ?1 AND run = ?2 LIMIT 65536";

/* Room for the id of the next probe. */
static int grow(struct decoder *d, int64_t id, struct error *err)
{
	int64_t *ids = realloc(d->probe_id, (d->model.n_probes + 1) * sizeof(*ids));

	if (!ids)
		return error_set(err, ENOMEM, "no memory to read records");
	d->probe_id = ids;
	ids[d->model.n_probes] = id;
	return 0;
}

static int learn_probe(struct decoder *d, sqlite3_stmt *st, struct error *err)
{
	struct frame_in in;
	int rc = grow(d, sqlite3_column_int64(st, 0), err);

	if (!rc)
		rc = frame_read(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1), &in, err);
	if (rc)
		return rc;
	rc = model_probe(&d->model, &in, err);
	frame_in_free(&in);
	return rc;
}

/* What is not understood leaves the pattern as the function's name. */
static int learn_names(struct decoder *d, sqlite3_stmt *st, struct error *err)
{
	struct error ignored = { 0 };
	struct frame_in in;
	int rc = frame_read(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), &in, err);

	if (rc)
		return rc;
	rc = model_functions(&d->model, &in, &ignored);
	frame_in_free(&in);
	return rc == -ENOMEM ? error_set(err, ENOMEM, "no memory to read records") : 0;
}

static msgpack_object text_object(const char *text)
{
	return (msgpack_object){ .type = MSGPACK_OBJECT_STR, .via.str = { (uint32_t)strlen(text), text } };
}

/* The store's names go in as they came over the wire: as a NOTICE. */
static int learn_process(struct decoder *d, sqlite3_stmt *st, struct error *err)
{
	const msgpack_object pid = { .type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = (uint64_t)sqlite3_column_int64(st, 0) };
	msgpack_object_kv pair[2] = {
		{ .key = text_object("pid"), .val = pid }, { .key = text_object("comm"), .val = text_object(reader_text(st, 1)) },
	};
	const msgpack_object item[4] = {
		{ .type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = WIRE_NOTICE }, { .type = MSGPACK_OBJECT_POSITIVE_INTEGER },
		text_object("process"), { .type = MSGPACK_OBJECT_MAP, .via.map = { 2, pair } },
	};
	const struct frame_in in = { .type = WIRE_NOTICE, .items = item, .count = 4 };

	return model_notice(&d->model, &in) == -ENOMEM ? error_set(err, ENOMEM, "no memory to read records") : 0;
}

static int learn(struct decoder *d, struct reader *r, const char *sql, int (*row)(struct decoder *, sqlite3_stmt *, struct error *),
		 struct error *err)
{
	sqlite3_stmt *st = reader_statement(r, sql, err);
	int rc;

	if (!st)
		return -err->code;
	sqlite3_bind_int64(st, 1, d->agent);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)d->run);
	if (sqlite3_bind_parameter_count(st) > 2)
		sqlite3_bind_int64(st, 3, (sqlite3_int64)d->request);
	while ((rc = reader_step(r, st, err)) > 0) {
		rc = row(d, st, err);
		if (rc)
			break;
	}
	sqlite3_reset(st);
	return rc;
}

struct decoder *decoder_load(struct reader *r, int64_t agent, uint64_t run, uint64_t request, struct error *err)
{
	struct decoder *d = calloc(1, sizeof(*d));

	if (!d || model_init(&d->model)) {
		free(d);
		error_set(err, ENOMEM, "no memory to read records");
		return NULL;
	}
	d->agent = agent;
	d->run = run;
	d->request = request;
	if (learn(d, r, select_frames, learn_probe, err) || learn(d, r, select_names, learn_names, err) ||
	    learn(d, r, select_processes, learn_process, err)) {
		decoder_free(d);
		return NULL;
	}
	return d;
}

void decoder_free(struct decoder *d)
{
	if (!d)
		return;
	model_free(&d->model);
	free(d->probe_id);
	free(d);
}

void decoder_learn(struct decoder *d, const struct frame_in *in)
{
	if (in->type == WIRE_NOTICE)
		model_notice(&d->model, in);
	else if (in->type == WIRE_FUNCTIONS)
		model_functions(&d->model, in, NULL);
	else if (in->type == WIRE_PROBE && !grow(d, 0, NULL))
		model_probe(&d->model, in, NULL);
}

bool decoder_is_for(const struct decoder *d, int64_t agent, uint64_t run, uint64_t request)
{
	return d && d->agent == agent && d->run == run && d->request == request;
}

int64_t decoder_probe(const struct decoder *d, const struct record *rec)
{
	for (uint32_t i = 0; i < d->model.n_probes; i++)
		if (d->model.probe[i] == rec->probe)
			return d->probe_id[i];
	return 0;
}
