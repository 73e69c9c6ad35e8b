/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <zlib.h>

#include "collector_fixture.h"
#include "collector_internal.h"
#include "columns.h"
#include "deflate.h"
#include "ingest.h"
#include "model.h"
#include "wire_pack.h"

#define UID_A "00000000000000000000000000000001"
#define RUN 7

static struct fixture fx;
static struct collector_counts counts;
static struct live *live;
static struct ingest *ingest;
static struct stream *stream;
static uint64_t request;      /* as agents know it */
static uint64_t request_id;   /* as the store does */

static void connect_as(uint64_t run, const uint64_t *serves, size_t n)
{
	struct ingest_hello h = { .uid = UID_A, .host = "web-1", .program = "plumbd", .subject = "", .run = run, .next = 1000000,
				  .serves = serves, .n_serves = n };
	struct error err = { 0 };

	if (ingest_open(ingest, &h, T0, &stream, &err))
		fail_msg("%s", err.text);
}

static void disconnect(void)
{
	ingest_close(stream);
	stream = NULL;
}

/* Everything in memory goes, what is not committed too: as kill -9 does. */
static void restart(void)
{
	struct store *old = fx.store;

	disconnect();
	ingest_free(ingest);
	store_rollback(old);
	fixture_reopen(&fx);
	ingest = ingest_new(fx.store, live, &counts);
	connect_as(RUN, NULL, 0);
}

static int set_up(void **state)
{
	fixture_open(&fx);
	memset(&counts, 0, sizeof(counts));
	live = live_new();
	ingest = ingest_new(fx.store, live, &counts);
	request = 1;   /* as in the frames of wire_pack.h */
	request_id = open_request(&fx, request, 0);
	commit(&fx);
	connect_as(RUN, NULL, 0);
	return 0;
}

static int tear_down(void **state)
{
	disconnect();
	ingest_free(ingest);
	live_free(live);
	fixture_close(&fx);
	return 0;
}

/* ---- entries ---- */

static int give(uint64_t sequence, const struct buf *frame)
{
	struct error err = { 0 };
	int rc = ingest_entry(stream, sequence, frame->data + 4, frame->len - 4, T0 + 10 * SECOND, &err);

	assert_true((rc == 0) == (err.code == 0));
	return rc;
}

static void give_ok(uint64_t sequence, struct buf *frame)
{
	assert_int_equal(give(sequence, frame), 0);
	buf_free(frame);
}

static void give_commit(void)
{
	struct error err = { 0 };

	if (ingest_commit(ingest, &err))
		fail_msg("%s", err.text);
}

static struct buf run_frame(uint64_t run)
{
	struct buf b = { 0 };
	struct frame f;

	frame_begin(&f, &b, WIRE_RUN, 3);
	msgpack_pack_uint64(&f.pk, run);
	msgpack_pack_uint64(&f.pk, T0);
	frame_end(&f);
	return b;
}

static struct buf probe_frame(unsigned number)
{
	struct buf b = { 0 };

	pack_probe_frame(&b, number, FORM_CALL, false);
	return b;
}

static struct buf records_of(unsigned number, unsigned n)
{
	struct buf records = { 0 };

	for (unsigned i = 0; i < n; i++) {
		struct test_record r = { .probe = number, .delta_ns = i * 1000, .pid = 100, .tid = 101,
					 .flags = 1 | (i % 4 ? 0 : 2), .duration_ns = 500 + i, .ret = -1, .form = FORM_CALL, .name = "bob" };

		pack_record(&records, &r);
	}
	return records;
}

static struct buf pack_chunk(const void *data, size_t len, uint64_t count, uint64_t base, int codec)
{
	struct buf b = { 0 };
	struct frame f;

	frame_begin(&f, &b, WIRE_CHUNK, 7);
	msgpack_pack_uint64(&f.pk, request);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, base);
	msgpack_pack_uint64(&f.pk, count);
	msgpack_pack_int(&f.pk, codec);
	msgpack_pack_bin(&f.pk, len);
	msgpack_pack_bin_body(&f.pk, data, len);
	frame_end(&f);
	return b;
}

static struct buf pack_deflated(const struct buf *records, uint64_t count)
{
	uLongf len = compressBound(records->len);
	void *out = malloc(len);
	struct buf b;

	assert_int_equal(compress(out, &len, (const Bytef *)records->data, records->len), Z_OK);
	b = pack_chunk(out, len, count, T0, WIRE_CODEC_DEFLATE);
	free(out);
	return b;
}

/* As agents send them. */
static struct buf pack_columns(const struct buf *records, uint64_t count)
{
	struct deflater *d = deflater_new(1);
	struct columns *c = columns_new();
	struct columns_parts parts;
	struct buf bytes = { 0 }, b;

	assert_int_equal(columns_pack(c, records->data, records->len, &parts), 0);
	assert_int_equal(deflater_columns(d, &parts, &bytes), 0);
	b = pack_chunk(bytes.data, bytes.len, count, T0, WIRE_CODEC_COLUMNS);
	buf_free(&bytes);
	columns_free(c);
	deflater_free(d);
	return b;
}

static struct buf chunk_frame(unsigned number, unsigned n, bool deflate)
{
	struct buf records = records_of(number, n), b;

	b = deflate ? pack_deflated(&records, n) : pack_chunk(records.data, records.len, n, T0, WIRE_CODEC_NONE);
	buf_free(&records);
	return b;
}

static void begin_stats(struct frame *f, struct buf *b, uint64_t ns, unsigned rows)
{
	frame_begin(f, b, WIRE_STATS, 4);
	msgpack_pack_uint64(&f->pk, request);
	msgpack_pack_uint64(&f->pk, ns);
	msgpack_pack_array(&f->pk, rows);
}

static struct buf stats_frame(uint64_t ns, unsigned pid, uint64_t calls)
{
	const struct test_count c[] = { { "calls", calls }, { "unread_fault", 2 * calls }, { "unread_place", calls },
					{ "past_limit", 3 * calls }, { "shown", 4 * calls }, { NULL, 0 } };
	const uint64_t hist[] = { 3, calls, 0, 0 };
	struct buf b = { 0 };
	struct frame f;

	begin_stats(&f, &b, ns, 1);
	pack_row(&f.pk, 1, pid, "orderd", c, hist);
	frame_end(&f);
	return b;
}

static struct buf simple_frame(enum wire_type type, uint64_t id, const char *a, const char *b_text)
{
	struct buf b = { 0 };
	struct frame f;

	frame_begin(&f, &b, type, type == WIRE_END ? 5 : 4);
	msgpack_pack_uint64(&f.pk, id);
	pack_text(&f.pk, a);
	pack_text(&f.pk, b_text);
	if (type == WIRE_END)
		msgpack_pack_array(&f.pk, 0);
	frame_end(&f);
	return b;
}

static void give_start(void)
{
	struct buf run = run_frame(RUN), probe = probe_frame(1);

	give_ok(1, &run);
	give_ok(2, &probe);
}

/* ---- exactly once ---- */

static void test_chunks(void **state)
{
	struct buf plain = chunk_frame(1, 10, false), deflated = chunk_frame(1, 20, true);

	give_start();
	give_ok(3, &plain);
	give_ok(4, &deflated);
	assert_int_equal(stream_acked(stream), 0);   /* nothing is durable yet */
	give_commit();
	assert_int_equal(stream_acked(stream), 4);
	assert_int_equal(counts.records, 30);
	assert_int_equal(ask(&fx, "SELECT sum(records) FROM chunk"), 30);
	assert_int_equal(ask(&fx, "SELECT sum(errors) FROM chunk_probe"), 3 + 5);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM chunk_probe JOIN probe ON probe.id = probe WHERE number = 1"), 2);
	assert_int_equal(ask(&fx, "SELECT first_ns FROM chunk WHERE sequence = 3"), T0);
	assert_int_equal(ask(&fx, "SELECT last_ns FROM chunk WHERE sequence = 4"), T0 + 19000);
	assert_int_equal(ask(&fx, "SELECT acked FROM agent"), 4);
}

static void test_duplicates(void **state)
{
	struct buf chunk = chunk_frame(1, 10, true);

	give_start();
	assert_int_equal(give(3, &chunk), 0);
	assert_int_equal(give(3, &chunk), 0);
	give_commit();
	disconnect();
	connect_as(RUN, NULL, 0);
	assert_int_equal(stream_acked(stream), 3);
	assert_int_equal(give(2, &chunk), 0);
	assert_int_equal(give(3, &chunk), 0);
	give_commit();
	assert_int_equal(counts.duplicates, 3);
	assert_int_equal(ask(&fx, "SELECT sum(records) FROM chunk"), 10);
	buf_free(&chunk);
}

static void test_killed_before_a_commit(void **state)
{
	struct buf first = chunk_frame(1, 10, true), second = chunk_frame(1, 5, true), again = chunk_frame(1, 5, true);

	give_start();
	give_ok(3, &first);
	give_commit();
	give_ok(4, &second);
	restart();
	assert_int_equal(stream_acked(stream), 3);
	give_ok(4, &again);   /* its probe is found in the store */
	give_commit();
	assert_int_equal(ask(&fx, "SELECT sum(records) FROM chunk"), 15);
}

static void test_gaps_and_losses(void **state)
{
	struct buf chunk = chunk_frame(1, 10, true), loss = { 0 };
	struct frame f;

	frame_begin(&f, &loss, WIRE_LOSS, 4);
	msgpack_pack_uint64(&f.pk, request);
	msgpack_pack_uint64(&f.pk, 1234);
	pack_text(&f.pk, "spool-full");
	frame_end(&f);
	give_start();
	give_ok(9, &chunk);
	give_ok(10, &loss);
	give_commit();
	assert_int_equal(counts.gaps, 6);
	assert_int_equal(counts.lost_records, 1234);
	assert_int_equal(stream_acked(stream), 10);
	assert_int_equal(ask(&fx, "SELECT sum(records) FROM loss WHERE reason = 'spool-full'"), 1234);
}

/* ---- what is malformed: kept as a loss, taken for taken in, and the connection is told to go ---- */

static void refused(uint64_t sequence, struct buf *frame, int want)
{
	int64_t chunks, losses;

	give_commit();
	chunks = ask(&fx, "SELECT count(*) FROM chunk");
	losses = ask(&fx, "SELECT count(*) FROM loss WHERE reason = 'refused'");
	assert_int_equal(give(sequence, frame), want);
	give_commit();
	assert_int_equal(ask(&fx, "SELECT count(*) FROM chunk"), chunks);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM loss WHERE reason = 'refused'"), losses + 1);
	assert_int_equal(stream_acked(stream), sequence);
	buf_free(frame);
}

static void test_lying_counts(void **state)
{
	static const uint64_t lies[] = { 0, 9, 11, UINT32_MAX, UINT64_MAX };
	uint64_t sequence = 2;

	give_start();
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct buf records = records_of(1, 10), chunk = pack_chunk(records.data, records.len, lies[i], T0,
									   WIRE_CODEC_NONE);

		refused(++sequence, &chunk, -EPROTO);
		buf_free(&records);
	}
}

/* The same records, as rows and as columns, are the same to the store; and what is refused of rows is refused of columns. */
static void test_columns(void **state)
{
	struct buf records = records_of(1, 100), rows = pack_deflated(&records, 100), columns = pack_columns(&records, 100);
	struct buf lying = pack_columns(&records, 99), few = { 0 };

	give_start();
	give_ok(3, &rows);
	give_ok(4, &columns);
	give_commit();
	assert_int_equal(ask(&fx, "SELECT count(*) FROM chunk"), 2);
	assert_int_equal(ask(&fx, "SELECT sum(records) FROM chunk"), 200);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM (SELECT DISTINCT first_ns, last_ns, records FROM chunk)"), 1);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM chunk_probe"), 2);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM (SELECT DISTINCT probe, records, errors, first_ns FROM chunk_probe)"), 1);
	refused(5, &lying, -EPROTO);
	buf_add(&few, "\x96\x01\x00\x01\x01\x01\x05", 7);   /* no values, the probe has three */
	columns = pack_columns(&few, 1);
	refused(6, &columns, -EPROTO);
	few.data[0] = (char)0x94;
	few.len = 5;                                          /* no flags, no duration */
	columns = pack_columns(&few, 1);
	refused(7, &columns, -EPROTO);
	buf_free(&few);
	buf_free(&records);
}

static void test_bomb(void **state)
{
	struct buf zeros = { 0 }, chunk;
	size_t size = CHUNK_RAW_MAX + 1;

	give_start();
	memset(buf_reserve(&zeros, size), 0, size);
	zeros.len = size;
	chunk = pack_deflated(&zeros, 10);
	assert_true(chunk.len < 8192);
	refused(3, &chunk, -EMSGSIZE);
	buf_free(&zeros);
}

static void test_malformed_records(void **state)
{
	struct buf records = records_of(1, 10), chunk;
	uint64_t sequence = 2;

	give_start();
	chunk = pack_chunk(records.data, records.len - 1, 10, T0, WIRE_CODEC_NONE);
	refused(++sequence, &chunk, -EPROTO);
	chunk = pack_chunk("\x01\x02\x03", 3, 3, T0, WIRE_CODEC_NONE);
	refused(++sequence, &chunk, -EPROTO);
	chunk = pack_chunk("\x96\x01\x00\x01\x01\x01\x05", 7, 1, T0, WIRE_CODEC_NONE);   /* no values, the probe has three */
	refused(++sequence, &chunk, -EPROTO);
	chunk = pack_chunk("\x93\x01\x00\x01", 4, 1, T0, WIRE_CODEC_NONE);
	refused(++sequence, &chunk, -EPROTO);
	chunk = pack_chunk("\x96\x01\xa1x\x01\x01\x01\x05", 8, 1, T0, WIRE_CODEC_NONE);   /* a time that is a text */
	refused(++sequence, &chunk, -EPROTO);
	chunk = pack_chunk(records.data, records.len, 10, T0, 17);
	refused(++sequence, &chunk, -EPROTO);
	chunk = pack_chunk(records.data, records.len, 10, T0, WIRE_CODEC_DEFLATE);
	refused(++sequence, &chunk, -EPROTO);
	chunk = pack_chunk(records.data, records.len, 10, UINT64_MAX, WIRE_CODEC_NONE);
	refused(++sequence, &chunk, -EPROTO);
	chunk = pack_chunk("\x99\x01\xd3\x80\0\0\0\0\0\0\0\x01\x01\x01\x05\xc0\xc0\xc0", 18, 1, T0,
			   WIRE_CODEC_NONE);   /* before the epoch */
	refused(++sequence, &chunk, -EPROTO);
	buf_free(&records);
}

static void test_deep_values(void **state)
{
	struct buf records = { 0 }, chunk;

	give_start();
	buf_add(&records, "\x99\x01\x00\x01\x01\x01\x05\xc0\xc0", 9);
	for (int i = 0; i < FRAME_DEPTH_MAX; i++)
		buf_char(&records, '\x91');
	buf_char(&records, '\xc0');
	chunk = pack_chunk(records.data, records.len, 1, T0, WIRE_CODEC_NONE);
	refused(3, &chunk, -EPROTO);
	buf_free(&records);
}

static void test_entries_that_are_no_frames(void **state)
{
	static const struct { const char *data; size_t len; } bad[] = {
		{ "", 0 }, { "\xc1", 1 }, { "\x90", 1 }, { "\x92\x05", 2 }, { "\x91\x7f", 2 }, { "\x91\x00", 2 }, { "\x92\x02\x01", 3 },
		{ "\xdd\xff\xff\xff\xff", 5 }, { "\x91\x05", 2 }, { "\x92\x05\xc0", 3 }, { "\x91\x0c", 2 }, { "\x93\x0c\x00\x00",
		4 },
		{ "\x92\x0d\x01", 3 }, { "\x92\x0e\x01", 3 }, { "\x94\x03\x01\xc2\x80", 5 }, { "\x94\x07\x01\xc0\xc0", 5 },
		{ "\x95\x08\x01\xa0\xa0\xc0", 6 }, { "\x94\x06\x01\x01\x91\x90", 6 }, { "\x93\x04\x01\x80", 4 },
	};
	uint64_t sequence = 2;

	give_start();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf frame = { 0 };

		buf_add(&frame, "....", 4);
		buf_add(&frame, bad[i].data, bad[i].len);
		refused(++sequence, &frame, -EPROTO);
	}
}

static void test_probe_number_is_taken(void **state)
{
	struct buf again = probe_frame(1);

	give_start();
	refused(3, &again, -EPROTO);
}

/* Not the agent's fault: the store was replaced. The connection goes on. */
static void test_unknown_probe(void **state)
{
	struct buf chunk = chunk_frame(2, 10, true), stats = stats_frame(T0, 1, 5);

	give_ok(1, &chunk);
	give_ok(2, &stats);
	give_commit();
	assert_int_equal(counts.orphans, 2);
	assert_int_equal(ask(&fx, "SELECT records FROM loss WHERE reason = 'unknown-probe'"), 10);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM chunk"), 0);
}

/* ---- counters ---- */

static void test_stats(void **state)
{
	struct buf a = stats_frame(T0, 100, 5), b = stats_frame(T0 + SECOND, 100, 8), c = stats_frame(T0 + SECOND, 200, 1);
	char comm[32];

	give_start();
	give_ok(3, &a);
	give_ok(4, &b);
	give_ok(5, &c);
	give_commit();
	assert_int_equal(ask(&fx, "SELECT sum(calls) FROM rollup WHERE span = 3600"), 9);
	assert_int_equal(ask(&fx, "SELECT sum(unread) FROM rollup WHERE span = 3600"), 27);
	assert_int_equal(ask(&fx, "SELECT sum(past_limit) * 1000 + sum(shown) FROM rollup WHERE span = 3600"), 27036);
	assert_int_equal(ask(&fx, "SELECT calls FROM rollup WHERE span = 1 AND pid = 100 ORDER BY at DESC LIMIT 1"), 3);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM process"), 2);
	ask_text(&fx, "SELECT comm FROM process", comm, sizeof(comm));
	assert_string_equal(comm, "orderd");
}

static void test_rows_without_process_add_up(void **state)
{
	const struct test_count c[] = { { "calls", 4 }, { NULL, 0 } };

	give_start();
	for (unsigned i = 0; i < 2; i++) {
		struct buf b = { 0 };
		struct frame f;

		begin_stats(&f, &b, T0 + i * SECOND, 3);
		pack_row(&f.pk, 1, 0, "", c, NULL);
		pack_row(&f.pk, 1, 100, "orderd", c, NULL);
		pack_row(&f.pk, 1, 0, "", c, NULL);
		frame_end(&f);
		give_ok(3 + i, &b);
	}
	give_commit();
	assert_int_equal(ask(&fx, "SELECT sum(calls) FROM rollup WHERE span = 1 AND pid = 0"), 8);
	assert_int_equal(ask(&fx, "SELECT sum(calls) FROM rollup WHERE span = 1 AND pid = 100"), 4);
}

static void test_end_has_the_last_counters(void **state)
{
	const struct test_count c[] = { { "calls", 9 }, { NULL, 0 } };
	struct buf stats = stats_frame(T0, 100, 5), end = { 0 };
	struct frame f;

	frame_begin(&f, &end, WIRE_END, 5);
	msgpack_pack_uint64(&f.pk, request);
	pack_text(&f.pk, "limit");
	pack_text(&f.pk, "all were \x1b[31mshown");
	msgpack_pack_array(&f.pk, 1);
	pack_row(&f.pk, 1, 100, "orderd", c, NULL);
	frame_end(&f);
	give_start();
	give_ok(3, &stats);
	give_ok(4, &end);
	give_commit();
	/* The histogram went back, so the row counts as begun anew: 5 and 9. */
	assert_int_equal(ask(&fx, "SELECT sum(calls) FROM rollup WHERE span = 60"), 14);
	assert_int_equal(ask(&fx,
			     "SELECT count(*) FROM request_agent WHERE state = 'ended' AND reason = 'limit' AND instr(text, char(27)) = 0"), 1);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM request WHERE ended_ns IS NOT NULL"),
			 0);   /* that is for control to say */
	assert_int_equal(ask(&fx, "SELECT count(*) FROM tally"), 0);
}

static void test_clocks(void **state)
{
	struct buf chunk = chunk_frame(1, 10, true), a = stats_frame(T0, 100, 5), far = stats_frame(T0 + 5000 * SECOND, 100, 6);

	give_start();
	assert_int_equal(ingest_clock(stream, -3 * (int64_t)SECOND, 1000, NULL), 0);
	give_ok(3, &chunk);
	give_ok(4, &a);
	give_ok(5, &far);   /* the collector's clock says T0 + 10 s */
	give_commit();
	assert_int_equal(ask(&fx, "SELECT first_ns FROM chunk"), T0 - 3 * SECOND);
	assert_int_equal(ask(&fx, "SELECT offset_ns FROM chunk"), -3 * (int64_t)SECOND);
	assert_int_equal(ask(&fx, "SELECT offset_ns FROM agent"), -3 * (int64_t)SECOND);
	assert_int_equal(ask(&fx, "SELECT min(at) FROM rollup WHERE span = 1"), T0 / SECOND - 3);
	assert_int_equal(ask(&fx, "SELECT max(at) FROM rollup WHERE span = 1"), T0 / SECOND + 10);
	assert_int_equal(counts.wrong_times, 1);
}

/* An agent's clock is set back by an hour, and the collector's: what comes goes on where it was, in the seconds that follow. */
static void test_clocks_that_are_set(void **state)
{
	struct buf a = stats_frame(T0, 100, 5), b = stats_frame(T0 + SECOND - 3600 * SECOND, 100, 7), c = stats_frame(T0 + 2 * SECOND - 3600 * SECOND, 100, 8);
	struct buf d = stats_frame(T0 + 3 * SECOND - 3600 * SECOND, 100, 10);

	give_start();
	give_ok(3, &a);
	give_ok(4, &b);
	give_ok(5, &c);
	give_commit();
	assert_int_equal(counts.clock_jumps, 1);
	assert_int_equal(ask(&fx, "SELECT min(at) FROM rollup WHERE span = 1"), T0 / SECOND);
	assert_int_equal(ask(&fx, "SELECT calls FROM rollup WHERE span = 1 ORDER BY at DESC LIMIT 1"), 1);
	assert_int_equal(ask(&fx, "SELECT max(at) FROM rollup WHERE span = 1"), T0 / SECOND + 1);
	assert_int_equal(ingest_clock_jumped(ingest, -7200 * (int64_t)SECOND, NULL), 0);
	give_ok(6, &d);
	give_commit();
	assert_int_equal(counts.clock_jumps, 1);
	assert_int_equal(ask(&fx, "SELECT min(at) FROM rollup WHERE span = 1"), T0 / SECOND + 2 - 7200);
	assert_int_equal(counts.wrong_times, 0);
}

/* ---- requests ---- */

static void test_reply_and_notice(void **state)
{
	struct buf ok = { 0 }, notice = simple_frame(WIRE_NOTICE, request, "guard", "too dear"), process = { 0 }, removed = { 0 };
	struct frame f;

	frame_begin(&f, &ok, WIRE_REPLY, 4);
	msgpack_pack_uint64(&f.pk, request);
	msgpack_pack_true(&f.pk);
	msgpack_pack_map(&f.pk, 0);
	frame_end(&f);
	pack_process_notice(&process, 100, "orderd");
	frame_begin(&f, &removed, WIRE_NOTICE, 4);
	msgpack_pack_uint64(&f.pk, request);
	pack_text(&f.pk, "removed");
	msgpack_pack_map(&f.pk, 1);
	pack_key_u64(&f.pk, "probe", 1);
	frame_end(&f);
	give_start();
	give_ok(3, &ok);
	give_ok(4, &notice);
	give_ok(5, &process);
	give_ok(6, &removed);   /* says to programs what "guard" has told */
	give_commit();
	assert_int_equal(ask(&fx, "SELECT count(*) FROM request_agent WHERE state = 'running'"), 1);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM notice WHERE code = 'guard' AND text = 'too dear'"), 1);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM notice"), 1);
	assert_int_equal(ask(&fx, "SELECT pid FROM process"), 100);
}

static struct buf opened_frame(uint64_t id)
{
	struct buf b = { 0 };
	struct frame f;

	frame_begin(&f, &b, WIRE_OPENED, 3);
	msgpack_pack_uint64(&f.pk, id);
	msgpack_pack_map(&f.pk, 4);
	pack_key_text(&f.pk, "verb", "trace");
	pack_key(&f.pk, "target");
	msgpack_pack_map(&f.pk, 1);
	pack_key_text(&f.pk, "path", "/usr/sbin/orderd");
	pack_key(&f.pk, "probes");
	msgpack_pack_array(&f.pk, 2);
	pack_text(&f.pk, "f(\"x\")");
	pack_text(&f.pk, "g");
	pack_key_u64(&f.pk, "uid", 1000);
	frame_end(&f);
	return b;
}

static void test_local_request(void **state)
{
	struct buf opened = opened_frame(WIRE_LOCAL_REQUEST + 3), again = opened_frame(WIRE_LOCAL_REQUEST + 3), low = opened_frame(12),
		   end = simple_frame(WIRE_END, WIRE_LOCAL_REQUEST + 3, "rm", "");
	char probes[64];

	give_start();
	give_ok(3, &opened);
	give_commit();
	ask_text(&fx, "SELECT probes FROM request WHERE service = 'orderd' AND target = '/usr/sbin/orderd' AND who = 'uid 1000'",
		 probes, sizeof(probes));
	assert_string_equal(probes, "[\"f(\\\"x\\\")\",\"g\"]");
	refused(4, &again, -EPROTO);
	refused(5, &low, -EPROTO);
	give_ok(6, &end);
	give_commit();
	assert_int_equal(ask(&fx, "SELECT count(*) FROM request WHERE reason = 'rm'"), 1);
}

static void test_another_run(void **state)
{
	struct buf opened = opened_frame(WIRE_LOCAL_REQUEST + 3), stats = stats_frame(T0, 100, 5), run = run_frame(RUN + 1),
		   probe = probe_frame(1), after = stats_frame(T0 + SECOND, 100, 2);

	give_start();
	give_ok(3, &opened);
	give_ok(4, &stats);
	store_request_agent(fx.store, request_id, stream_agent(stream), "running", "", "", T0, NULL);
	give_commit();
	disconnect();
	connect_as(RUN + 1, NULL, 0);
	assert_true(stream_restarted(stream));
	assert_int_equal(stream_run(stream), RUN);   /* its old entries come first */
	give_ok(5, &run);
	assert_int_equal(stream_run(stream), RUN + 1);
	give_ok(6, &probe);                          /* numbers begin anew */
	give_ok(7, &after);
	give_commit();
	assert_int_equal(ask(&fx, "SELECT count(*) FROM request_agent WHERE state = 'ended' AND reason = 'restart'"), 2);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM request WHERE reason = 'restart'"), 1);
	assert_int_equal(ask(&fx, "SELECT count(*) FROM probe WHERE number = 1"), 2);
	assert_int_equal(ask(&fx, "SELECT sum(calls) FROM rollup WHERE span = 1"), 7);
}

static void test_another_run_that_still_serves(void **state)
{
	struct buf run = run_frame(RUN + 1);

	give_start();
	store_request_agent(fx.store, request_id, stream_agent(stream), "running", "", "", T0, NULL);
	give_commit();
	disconnect();
	connect_as(RUN + 1, &request, 1);
	give_ok(3, &run);
	give_commit();
	assert_int_equal(ask(&fx, "SELECT count(*) FROM request_agent WHERE state = 'running'"), 1);
}

/* ---- a store that takes nothing in ---- */

static void test_full_disk(void **state)
{
	struct buf chunk = chunk_frame(1, 1000, false);
	uint64_t sequence = 2, durable;
	int rc = 0;

	disconnect();
	ingest_free(ingest);
	fx.opt.max_pages = 150;
	fixture_reopen(&fx);
	ingest = ingest_new(fx.store, live, &counts);
	connect_as(RUN, NULL, 0);
	give_start();
	while (!rc && sequence < 1000) {
		rc = give(++sequence, &chunk);
		if (!rc && sequence % 4 == 0)
			rc = ingest_commit(ingest, NULL);
	}
	assert_true(rc == -ENOSPC);
	durable = stream_acked(stream);
	assert_true(durable >= 4 && durable < sequence);
	assert_int_not_equal(ingest_commit(ingest, NULL), 0);
	assert_int_equal(give(sequence + 1, &chunk), -EIO);   /* what is in memory may be ahead of the store */
	assert_int_not_equal(ingest_commit(ingest, NULL), 0);
	disconnect();
	assert_int_equal(ingest_commit(ingest, NULL), 0);
	assert_int_equal(ask(&fx, "SELECT acked FROM agent"), (int64_t)durable);
	assert_int_equal(ask(&fx, "SELECT max(sequence) FROM chunk"), (int64_t)durable);
	/* Room comes, the agent comes back and sends again. */
	ingest_free(ingest);
	fx.opt.max_pages = 100000;
	fixture_reopen(&fx);
	ingest = ingest_new(fx.store, live, &counts);
	connect_as(RUN, NULL, 0);
	for (uint64_t i = stream_acked(stream) + 1; i <= sequence; i++)
		assert_int_equal(give(i, &chunk), 0);
	give_commit();
	assert_int_equal(ask(&fx, "SELECT count(*) FROM chunk"), (int64_t)sequence - 2);
	buf_free(&chunk);
}

/* Half of what belongs together was put by somebody else, and failed: nothing of it may become durable with the next commit. */
static void test_spoiled_by_another(void **state)
{
	struct buf chunk = chunk_frame(1, 10, true);

	give_start();
	give_commit();
	assert_int_equal(give(3, &chunk), 0);
	store_spoil(fx.store);
	assert_int_equal(give(4, &chunk), -EIO);
	assert_int_equal(ingest_commit(ingest, NULL), -EIO);
	disconnect();
	connect_as(RUN, NULL, 0);
	assert_int_equal(stream_acked(stream), 2);
	assert_int_equal(give(3, &chunk), 0);
	give_commit();
	assert_int_equal(ask(&fx, "SELECT sum(records) FROM chunk"), 10);
	buf_free(&chunk);
}

/* ---- those who look on ---- */

static void note(const struct live_item *item, void *arg)
{
	unsigned *seen = arg;

	assert_int_equal(item->request, request_id);
	assert_string_equal(item->host, "web-1");
	assert_int_equal(item->run, RUN);
	seen[item->type]++;
}

static void test_live(void **state)
{
	unsigned all[WIRE_TYPES] = { 0 }, none[WIRE_TYPES] = { 0 }, left[WIRE_TYPES] = { 0 };
	struct buf chunk = chunk_frame(1, 10, true), stats = stats_frame(T0, 100, 5);
	struct live_subscriber *s = live_subscribe(live, 0, note, left);

	live_subscribe(live, request_id, note, all);
	live_subscribe(live, request_id + 1, note, none);
	give_start();
	live_unsubscribe(s);
	assert_int_equal(give(3, &chunk), 0);
	assert_int_equal(give(3, &chunk), 0);   /* a duplicate is not news */
	give_ok(4, &stats);
	assert_int_equal(all[WIRE_PROBE], 1);
	assert_int_equal(all[WIRE_CHUNK], 1);
	assert_int_equal(all[WIRE_STATS], 1);
	assert_int_equal(none[WIRE_CHUNK], 0);
	assert_int_equal(left[WIRE_PROBE], 1);
	assert_int_equal(left[WIRE_CHUNK], 0);
	buf_free(&chunk);
}

#define INGEST_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		INGEST_TEST(test_chunks), INGEST_TEST(test_duplicates), INGEST_TEST(test_killed_before_a_commit), INGEST_TEST(test_gaps_and_losses),
		INGEST_TEST(test_lying_counts), INGEST_TEST(test_columns), INGEST_TEST(test_bomb), INGEST_TEST(test_malformed_records), INGEST_TEST(test_deep_values),
		INGEST_TEST(test_entries_that_are_no_frames), INGEST_TEST(test_probe_number_is_taken), INGEST_TEST(test_unknown_probe),
		INGEST_TEST(test_stats), INGEST_TEST(test_rows_without_process_add_up), INGEST_TEST(test_end_has_the_last_counters),
		INGEST_TEST(test_clocks), INGEST_TEST(test_clocks_that_are_set), INGEST_TEST(test_reply_and_notice), INGEST_TEST(test_local_request), INGEST_TEST(test_another_run),
		INGEST_TEST(test_another_run_that_still_serves), INGEST_TEST(test_full_disk), INGEST_TEST(test_spoiled_by_another),
		INGEST_TEST(test_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
