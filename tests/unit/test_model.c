/* SPDX-License-Identifier: Apache-2.0 */
/* What frames of several sources add up to: ids are the source's own, totals are over all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "model.h"
#include "wire_pack.h"

enum { NONE = UINT32_MAX };

/* The frame in `own` with one more element at its end, as a collector passes it on. */
static void add_source(const struct buf *own, uint32_t source, struct buf *out)
{
	struct frame_in in;
	struct frame f;

	assert_true(frame_take(own->data, own->len, &in, NULL) > 0);
	frame_begin(&f, out, in.type, in.count + (source != NONE));
	for (uint32_t i = 1; i < in.count; i++)
		msgpack_pack_object(&f.pk, in.items[i]);
	if (source != NONE)
		msgpack_pack_uint32(&f.pk, source);
	assert_int_equal(frame_end(&f), 0);
	frame_in_free(&in);
}

static int take(struct model *m, struct buf *own, uint32_t source, int (*to)(struct model *, const struct frame_in *, struct error *))
{
	struct buf out = { 0 };
	struct frame_in in;
	int rc;

	add_source(own, source, &out);
	assert_true(frame_take(out.data, out.len, &in, NULL) > 0);
	rc = to(m, &in, NULL);
	frame_in_free(&in);
	buf_free(&out);
	buf_free(own);
	return rc;
}

static int to_notice(struct model *m, const struct frame_in *in, struct error *err)
{
	return model_notice(m, in);
}

static int take_probe(struct model *m, uint32_t source)
{
	struct buf b = { 0 };

	pack_probe_frame(&b, 1, FORM_CALL, false);
	return take(m, &b, source, model_probe);
}

static void take_process(struct model *m, uint32_t source, const char *comm)
{
	struct buf b = { 0 };

	pack_process_notice(&b, 812, comm);
	assert_int_equal(take(m, &b, source, to_notice), 0);
}

static void take_host(struct model *m, uint32_t source, const char *host)
{
	struct buf b = { 0 };
	struct frame f;

	frame_begin(&f, &b, WIRE_NOTICE, 4);
	msgpack_pack_uint64(&f.pk, 1);
	pack_text(&f.pk, "source");
	msgpack_pack_map(&f.pk, 1);
	pack_key_text(&f.pk, "host", host);
	frame_end(&f);
	assert_int_equal(take(m, &b, source, to_notice), 0);
}

static void take_calls(struct model *m, uint32_t source, uint64_t calls, uint64_t max_ns)
{
	const struct test_count counts[] = { { "calls", calls }, { "max_ns", max_ns }, { 0 } };
	struct buf b = { 0 };
	struct frame f;

	frame_begin(&f, &b, WIRE_STATS, 4);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, 5);
	msgpack_pack_array(&f.pk, 1);
	pack_row(&f.pk, 1, 812, NULL, counts, NULL);
	frame_end(&f);
	assert_int_equal(take(m, &b, source, model_stats), 0);
}

/* Two hosts have a probe 1 and a process 812 each: neither takes the other's place. */
static void test_ids_are_the_sources_own(void **state)
{
	struct tally sum;
	struct model m;

	assert_int_equal(model_init(&m), 0);
	take_host(&m, 1, "web-1");
	take_host(&m, 7, "web\033[2J");
	assert_int_equal(take_probe(&m, 1), 0);
	assert_int_equal(take_probe(&m, 7), 0);
	assert_int_equal(take_probe(&m, 7), -EPROTO);
	take_process(&m, 1, "checkoutd");
	take_process(&m, 7, "other");
	assert_int_equal(m.n_sources, 2);
	assert_int_equal(m.n_probes, 2);
	assert_string_equal(m.probe[1]->source->host, "web\\x1b[2J");
	assert_string_equal(source_comm(m.probe[0]->source, 812), "checkoutd");
	assert_string_equal(source_comm(m.probe[1]->source, 812), "other");

	take_calls(&m, 1, 5, 100);
	take_calls(&m, 7, 3, 900);
	take_calls(&m, 7, 4, 900);   /* replaces the snapshot of its source only */
	model_sum(&m, NULL, &sum);
	assert_int_equal(sum.c.calls, 9);
	assert_int_equal(sum.c.max_ns, 900);
	model_sum(&m, m.probe[0], &sum);
	assert_int_equal(sum.c.calls, 5);
	model_free(&m);
}

static void test_a_bad_source_is_refused(void **state)
{
	struct buf b = { 0 }, out = { 0 };
	struct frame_in in;
	struct frame f;
	struct model m;

	assert_int_equal(model_init(&m), 0);
	frame_begin(&f, &b, WIRE_STATS, 5);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, 5);
	msgpack_pack_array(&f.pk, 0);
	pack_text(&f.pk, "web-1");
	frame_end(&f);
	assert_true(frame_take(b.data, b.len, &in, NULL) > 0);
	assert_int_equal(model_stats(&m, &in, NULL), -EPROTO);
	frame_in_free(&in);
	buf_free(&b);
	buf_free(&out);
	for (uint32_t i = 0; i < MODEL_SOURCES_MAX; i++)
		take_calls(&m, i, 1, 1);
	assert_int_equal(take_probe(&m, MODEL_SOURCES_MAX), -EPROTO);
	model_free(&m);
}

/* ---- deflated records ---- */

static void pack_deflated(struct buf *out, const void *bytes, size_t len, unsigned count)
{
	struct frame f;

	frame_begin(&f, out, WIRE_CHUNK, 8);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, 1000);
	msgpack_pack_uint32(&f.pk, count);
	msgpack_pack_int(&f.pk, WIRE_CODEC_DEFLATE);
	msgpack_pack_bin(&f.pk, len);
	msgpack_pack_bin_body(&f.pk, bytes, len);
	msgpack_pack_uint32(&f.pk, 7);
	assert_int_equal(frame_end(&f), 0);
}

static void *deflated(const void *data, size_t len, size_t *out_len)
{
	uLongf n = compressBound(len);
	void *out = malloc(n);

	assert_non_null(out);
	assert_int_equal(compress2(out, &n, data, len, 9), Z_OK);
	*out_len = n;
	return out;
}

static int open_deflated(struct model *m, const void *bytes, size_t len, struct chunk *k, struct frame_in *in, struct buf *frame,
			 struct error *err)
{
	pack_deflated(frame, bytes, len, 3);
	assert_true(frame_take(frame->data, frame->len, in, NULL) > 0);
	return chunk_open(k, m, in, err);
}

static void test_deflated_records(void **state)
{
	const struct test_record rec = { .probe = 1, .pid = 812, .tid = 815, .delta_ns = 5, .flags = EVENT_RETURN, .name = "bob" };
	struct buf records = { 0 }, frame = { 0 };
	struct error err = { 0 };
	struct frame_in in;
	struct record r;
	struct chunk k;
	struct model m;
	size_t len;
	void *bytes;

	assert_int_equal(model_init(&m), 0);
	assert_int_equal(take_probe(&m, 7), 0);
	take_process(&m, 7, "checkoutd");
	for (int i = 0; i < 3; i++)
		pack_record(&records, &rec);
	bytes = deflated(records.data, records.len, &len);
	assert_int_equal(open_deflated(&m, bytes, len, &k, &in, &frame, &err), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(chunk_next(&k, &m, &r, &err), 1);
		assert_int_equal(r.ts_ns, 1005);
		assert_int_equal(r.source->number, 7);
		assert_string_equal(source_comm(r.source, r.pid), "checkoutd");
	}
	assert_int_equal(chunk_next(&k, &m, &r, &err), 0);
	frame_in_free(&in);
	buf_free(&frame);
	buf_free(&records);
	free(bytes);
	model_free(&m);
}

static void refused_bytes(const void *bytes, size_t len, const char *why)
{
	struct buf frame = { 0 };
	struct error err = { 0 };
	struct frame_in in;
	struct chunk k;
	struct model m;

	assert_int_equal(model_init(&m), 0);
	assert_int_equal(open_deflated(&m, bytes, len, &k, &in, &frame, &err), -EPROTO);
	assert_non_null(strstr(err.text, why));
	frame_in_free(&in);
	buf_free(&frame);
	model_free(&m);
}

static void test_a_bomb_and_other_bytes(void **state)
{
	size_t big = 256 << 20, len;
	char *zeros = calloc(1, big);
	unsigned char *bytes;

	assert_non_null(zeros);
	bytes = deflated(zeros, big, &len);
	refused_bytes(bytes, len, "too large");
	free(bytes);
	bytes = deflated(zeros, 1000, &len);
	refused_bytes(bytes, len - 1, "cannot be inflated");
	bytes[0] ^= 0xff;
	refused_bytes(bytes, len, "cannot be inflated");
	refused_bytes("", 0, "cannot be inflated");
	free(bytes);
	free(zeros);
}

/* A row's map with one key. 0, or what tally_unpack refuses it with. */
static int unpack_values(struct tally *t, uint32_t n, const int64_t *numbers)
{
	struct buf b = { 0 };
	msgpack_packer pk;
	msgpack_zone zone;
	msgpack_object o;
	int rc;

	pack_into(&pk, &b);
	msgpack_pack_map(&pk, 1);
	pack_key(&pk, "error_values");
	msgpack_pack_array(&pk, n);
	for (uint32_t i = 0; i < n; i++)
		msgpack_pack_int64(&pk, numbers[i]);
	assert_true(msgpack_zone_init(&zone, 4096));
	assert_true(pack_take(b.data, b.len, &zone, &o) > 0);
	rc = tally_unpack(t, &o);
	msgpack_zone_destroy(&zone);
	buf_free(&b);
	return rc;
}

static void test_error_values(void **state)
{
	static const int64_t one[] = { -22, 13, -5, 2 }, other[] = { -5, 3, INT64_MIN, 1 }, negative[] = { -22, -1 };
	int64_t many[2 * ERROR_VALUES_MAX + 2];
	static struct tally a, b;

	assert_int_equal(unpack_values(&a, 4, one), 0);
	assert_int_equal(unpack_values(&b, 4, other), 0);
	tally_add(&a, &b);
	assert_int_equal(a.n_error_values, 3);
	assert_true(a.error_value[0].value == -22 && a.error_value[0].count == 13);
	assert_true(a.error_value[1].value == -5 && a.error_value[1].count == 5);
	assert_true(a.error_value[2].value == INT64_MIN && a.error_value[2].count == 1);
	assert_int_equal(unpack_values(&b, 3, one), -EPROTO);
	assert_int_equal(unpack_values(&b, 2, negative), -EPROTO);
	for (int i = 0; i < 2 * ERROR_VALUES_MAX + 2; i++)
		many[i] = i + 1000;
	assert_int_equal(unpack_values(&b, 2 * ERROR_VALUES_MAX + 2, many), -EPROTO);
	assert_int_equal(unpack_values(&b, 2 * ERROR_VALUES_MAX, many), 0);
	/* Several processes may have more values together: the sum says less, and never wrong. */
	tally_add(&a, &b);
	assert_int_equal(a.n_error_values, ERROR_VALUES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_values),
		cmocka_unit_test(test_ids_are_the_sources_own),
		cmocka_unit_test(test_a_bad_source_is_refused),
		cmocka_unit_test(test_deflated_records),
		cmocka_unit_test(test_a_bomb_and_other_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
