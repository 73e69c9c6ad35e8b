/* SPDX-License-Identifier: Apache-2.0 */
#include "records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decoder.h"
#include "query_internal.h"

/* A chunk that is to be read. */
struct pick {
	int64_t chunk, agent;
	uint64_t run, request;
	int64_t offset_ns;
	char host[256];
};

struct walk {
	struct reader *r;
	const struct query *q;
	int (*visit)(const struct record *rec, const struct record_place *at, void *arg);
	void *arg;
	struct decoder *decoder;
	const char *ids;             /* the wanted probes, for json_each */
	int64_t *wanted;             /* the same, sorted */
	size_t n_wanted;
	int64_t *pattern;            /* sorted: those of which the wanted probes are functions */
	size_t n_patterns;
	uint32_t broken;
	struct error *err;
};

static int by_id(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* "[1,2,3]" -> a sorted array */
static int sort_wanted(struct walk *w)
{
	size_t commas = 1;
	char *end;

	for (const char *at = w->ids; *at; at++)
		commas += *at == ',';
	w->wanted = calloc(commas, sizeof(*w->wanted));
	if (!w->wanted)
		return error_set(w->err, ENOMEM, "no memory for an answer");
	for (const char *at = w->ids + 1; *at && *at != ']'; at = *end == ',' ? end + 1 : end)
		w->wanted[w->n_wanted++] = strtoll(at, &end, 10);
	qsort(w->wanted, w->n_wanted, sizeof(*w->wanted), by_id);
	return 0;
}

static const char select_patterns[] =
	"SELECT DISTINCT pattern FROM probe WHERE pattern <> 0 AND id IN (SELECT value FROM json_each(?1)) ORDER BY pattern";

/* There are no more of them than wanted probes. */
static int read_patterns(struct walk *w)
{
	sqlite3_stmt *st = reader_statement(w->r, select_patterns, w->err);
	int rc;

	if (!st)
		return -w->err->code;
	w->pattern = calloc(w->n_wanted + 1, sizeof(*w->pattern));
	if (!w->pattern)
		return error_set(w->err, ENOMEM, "no memory for an answer");
	reader_bind_text(st, 1, w->ids);
	while ((rc = reader_step(w->r, st, w->err)) > 0 && w->n_patterns < w->n_wanted)
		w->pattern[w->n_patterns++] = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return rc < 0 ? rc : 0;
}

static int decoder_for(struct walk *w, const struct pick *p)
{
	if (decoder_is_for(w->decoder, p->agent, p->run, p->request))
		return 0;
	decoder_free(w->decoder);
	w->decoder = decoder_load(w->r, p->agent, p->run, p->request, w->err);
	return w->decoder ? 0 : -w->err->code;
}

/* ---- records ---- */

static bool is_in(int64_t id, const int64_t *sorted, size_t n)
{
	return bsearch(&id, sorted, n, sizeof(id), by_id);
}

/* A pattern's records are wanted for the name of their function, too. A chunk has records of other patterns of its request as well,
 * e.g. of the same functions in another build. */
static bool is_of_probe(const struct walk *w, const struct record *rec)
{
	int64_t probe = decoder_probe(w->decoder, rec);

	return is_in(probe, w->wanted, w->n_wanted) ||
	       (w->q->function && is_in(probe, w->pattern, w->n_patterns) &&
		!strcmp(probe_function(rec->probe, rec->function), w->q->function));
}

static bool is_wanted(const struct walk *w, const struct record *rec, int64_t offset_ns)
{
	uint64_t at = rec->ts_ns + (uint64_t)offset_ns;

	return is_of_probe(w, rec) && at >= w->q->from_ns && at < w->q->to_ns && (rec->error || !w->q->errors_only);
}

static int visit_chunk(struct walk *w, const struct pick *p, const struct frame_in *in)
{
	struct error ignored = { 0 };
	struct record rec;
	struct chunk k;
	int rc = chunk_open(&k, &w->decoder->model, in, &ignored);

	while (!rc && (rc = chunk_next(&k, &w->decoder->model, &rec, &ignored)) > 0) {
		const struct record_place at = { p->host, source_comm(rec.source, rec.pid), p->offset_ns, p->request };

		rc = is_wanted(w, &rec, p->offset_ns) ? w->visit(&rec, &at, w->arg) : 0;
		if (rc)
			return rc;
	}
	w->broken += rc < 0;
	return rc == -ENOMEM ? rc : 0;
}

static const char select_frame[] = "SELECT frame FROM chunk WHERE id = ?1";

static int visit_pick(struct walk *w, const struct pick *p)
{
	sqlite3_stmt *st;
	struct frame_in in;
	int rc = decoder_for(w, p);

	if (rc)
		return rc;
	st = reader_statement(w->r, select_frame, w->err);
	if (!st)
		return -w->err->code;
	sqlite3_bind_int64(st, 1, p->chunk);
	rc = reader_step(w->r, st, w->err);
	if (rc > 0) {
		rc = frame_read(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), &in, w->err);
		if (!rc) {
			rc = visit_chunk(w, p, &in);
			frame_in_free(&in);
		} else if (rc == -EPROTO) {
			w->broken++;
			rc = 0;
		}
	}
	sqlite3_reset(st);
	return rc;
}

/* ---- which chunks ---- */

static const char select_chunks[] =
	"SELECT DISTINCT c.id, c.agent, c.run, c.request, c.offset_ns, a.host, c.first_ns FROM chunk_probe cp JOIN chunk c ON c.id = cp.chunk"
	" JOIN agent a ON a.id = c.agent WHERE cp.probe IN (SELECT iif(pattern, pattern, id) FROM probe WHERE id IN (SELECT value FROM json_each(?1))) AND c.last_ns >= ?2 AND cp.first_ns < ?3"
	" AND (?4 = 0 OR cp.errors > 0) ORDER BY c.last_ns DESC LIMIT ?5";

static int pick_chunks(struct walk *w, uint32_t max, struct pick *out, uint32_t *n)
{
	sqlite3_stmt *st = reader_statement(w->r, select_chunks, w->err);
	int rc;

	if (!st)
		return -w->err->code;
	reader_bind_text(st, 1, w->ids);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)w->q->from_ns);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)w->q->to_ns);
	sqlite3_bind_int(st, 4, w->q->errors_only);
	sqlite3_bind_int64(st, 5, max + 1);
	for (*n = 0; (rc = reader_step(w->r, st, w->err)) > 0; ++*n) {
		struct pick *p = &out[*n];

		*p = (struct pick){ .chunk = sqlite3_column_int64(st, 0), .agent = sqlite3_column_int64(st, 1),
				    .run = (uint64_t)sqlite3_column_int64(st, 2), .request = (uint64_t)sqlite3_column_int64(st, 3),
				    .offset_ns = sqlite3_column_int64(st, 4) };
		snprintf(p->host, sizeof(p->host), "%s", reader_text(st, 5));
	}
	return rc;
}

/* All probes of the question as one JSON array. */
static int wanted_ids(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	struct query merged = *q;
	struct groups gs;
	int rc;

	merged.by = 0;
	rc = groups_select(r, &merged, &gs, err);
	if (rc)
		return rc;
	buf_char(out, '[');
	for (uint32_t i = 0; i < gs.n; i++) {
		const struct buf *ids = &gs.group[i].ids;

		if (i)
			buf_char(out, ',');
		buf_add(out, ids->data + 1, ids->len - 2);
	}
	buf_char(out, ']');
	groups_free(&gs);
	return out->failed ? error_set(err, ENOMEM, "no memory for an answer") : 0;
}

int records_each(struct reader *r, const struct query *q, uint32_t chunks_max,
		 int (*visit)(const struct record *rec, const struct record_place *at, void *arg), void *arg, bool *more, uint32_t *broken,
		 struct error *err)
{
	struct walk w = { .r = r, .q = q, .visit = visit, .arg = arg, .err = err };
	struct pick *pick = calloc(chunks_max + 1, sizeof(*pick));
	struct buf ids = { 0 };
	uint32_t n = 0;
	int rc;

	if (!pick)
		return error_set(err, ENOMEM, "no memory for an answer");
	rc = wanted_ids(r, q, &ids, err);
	w.ids = buf_text(&ids);
	if (!rc)
		rc = sort_wanted(&w);
	if (!rc)
		rc = read_patterns(&w);
	if (!rc)
		rc = pick_chunks(&w, chunks_max, pick, &n);
	*more = n > chunks_max;
	for (uint32_t i = 0; !rc && i < n && i < chunks_max; i++)
		rc = visit_pick(&w, &pick[i]);
	*broken = w.broken;
	decoder_free(w.decoder);
	free(w.wanted);
	free(w.pattern);
	buf_free(&ids);
	free(pick);
	return rc < 0 ? rc : 0;
}
