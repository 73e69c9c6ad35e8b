/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the entries of an agent that has two probes and a pattern: u16 length, frame, and so on.  What is refused must not have been put
 * into the store; what was taken in must be readable by who reads it later.
 * fuzz-sources: collector/ingest.c collector/ingest_chunk.c collector/ingest_pattern.c collector/ingest_stats.c collector/ingest_frames.c collector/target_text.c collector/live.c collector/rollup.c collector/store.c collector/store_agents.c collector/store_data.c collector/store_rollup.c collector/store_expire.c common/frame.c common/model*.c common/chunk.c common/inflate.c common/columns_read.c common/columns_records.c common/bits.c common/planes.c common/idmap.c common/shape.c common/histpack.c common/text.c common/buf.c common/error.c common/log.c -Icollector -Itests/unit -lsqlite3 -lz -lmsgpackc
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "collector_internal.h"
#include "ingest.h"
#include "log.h"
#include "model.h"
#include "wire_pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_S = 1790000000 };
#define NOW_NS (NOW_S * 1000000000ULL)

uint64_t mono_ns(void)
{
	return NOW_NS;
}

/* Numbers of probes begin anew with each run. */
struct reader {
	struct model model;
	uint64_t run;
};

/* What was stored of a chunk is read as a query reads it. */
static void read_again(const struct live_item *item, void *arg)
{
	struct reader *r = arg;
	struct model *m = &r->model;
	uint64_t records = 0;
	struct frame_in in;
	struct record rec;
	struct chunk k;
	int rc;

	if (item->run != r->run) {
		model_free(m);
		if (model_init(m))
			abort();
		r->run = item->run;
	}
	if (item->type == WIRE_PROBE && model_probe(m, item->in, NULL))
		abort();
	if (item->type != WIRE_CHUNK)
		return;
	if (frame_read(item->frame, item->len, &in, NULL) || chunk_open(&k, m, &in, NULL))
		abort();
	while ((rc = chunk_next(&k, m, &rec, NULL)) > 0)
		records++;
	if (rc || records != k.count)
		abort();
	frame_in_free(&in);
}

static void give(struct stream *st, uint64_t sequence, const void *frame, size_t len)
{
	struct error err = { 0 };
	int rc = ingest_entry(st, sequence, frame, len, NOW_NS, &err);

	if (rc && rc != -EPROTO && rc != -EMSGSIZE)
		abort();
	if (rc && !err.text[0])
		abort();
}

static void give_probes(struct stream *st)
{
	struct buf b = { 0 };

	pack_probe_frame(&b, 1, FORM_CALL, false);
	give(st, 1, b.data + 4, b.len - 4);
	buf_clear(&b);
	pack_probe_frame(&b, 2, FORM_ENTRY, true);
	give(st, 2, b.data + 4, b.len - 4);
	buf_clear(&b);
	pack_pattern_frame(&b, 3, 4);
	give(st, 3, b.data + 4, b.len - 4);
	buf_free(&b);
}

static void give_all(struct stream *st, const uint8_t *data, size_t size)
{
	uint64_t sequence = 4;

	while (size >= 2) {
		size_t len = (size_t)data[0] << 8 | data[1];

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		give(st, sequence++, data, len);
		data += len;
		size -= len;
	}
}

/* One store for all inputs, each rolled back: making its schema takes longer than an input. */
static struct store *store_of_all(void)
{
	static struct store *s;
	struct store_options opt = { .path = ":memory:" };
	struct store_request r = { .wire_id = 1, .verb = "trace", .target = "", .service = "", .probes_json = "[]", .who = "", .expires_ns = NOW_NS };

	if (s)
		return s;
	log_set_level(LOG_LEVEL_ERROR);
	if (store_open(&opt, &s, NULL) || store_request_open(s, &r, NULL) || r.id != 1 || store_commit(s, NULL))
		abort();
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ingest_hello h = { .uid = "0", .host = "h", .program = "p", .subject = "", .run = 7, .next = 1 };
	struct collector_counts counts = { 0 };
	struct store *s = store_of_all();
	struct live *live = live_new();
	struct ingest *g = ingest_new(s, live, &counts);
	struct stream *st = NULL;
	struct reader r = { 0 };

	if (!g || model_init(&r.model) || ingest_open(g, &h, NOW_NS, &st, NULL) || !live_subscribe(live, 0, read_again, &r))
		abort();
	give_probes(st);
	give_all(st, data, size);
	if (store_spoiled(s))
		abort();
	while (store_expire(s, NOW_NS + 1000000000, NULL) > 0)
		;
	ingest_close(st);
	ingest_free(g);
	live_free(live);
	model_free(&r.model);
	store_rollback(s);
	return 0;
}
