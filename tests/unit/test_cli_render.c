/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "render.h"
#include "wire_pack.h"

#define BASE_NS 1700000000123456000ULL   /* 2023-11-14 22:13:20.123456 UTC */

static const struct test_record call = { .probe = 1, .pid = 812, .tid = 815, .flags = EVENT_RETURN | EVENT_ERROR, .duration_ns = 1204000,
	.ret = -22, .name = "bob" };

struct fixture {
	struct model m;
	struct output out;
	struct render r;
};

static void feed(struct fixture *f, const struct buf *frames, int (*take)(struct fixture *, const struct frame_in *))
{
	size_t at = 0;
	struct frame_in in;

	while (at < frames->len) {
		int n = frame_take(frames->data + at, frames->len - at, &in, NULL);

		assert_true(n > 0);
		assert_int_equal(take(f, &in), 0);
		frame_in_free(&in);
		at += (size_t)n;
	}
}

static int take_frame(struct fixture *f, const struct frame_in *in)
{
	if (in->type == WIRE_PROBE)
		return model_probe(&f->m, in, NULL);
	if (in->type == WIRE_NOTICE)
		return model_notice(&f->m, in);
	return model_stats(&f->m, in, NULL);
}

static void setup_model(struct fixture *f, enum probe_form form, bool condition)
{
	struct buf b = { 0 };

	setenv("TZ", "UTC", 1);
	tzset();
	memset(f, 0, sizeof(*f));
	assert_int_equal(model_init(&f->m), 0);
	output_init(&f->out, STDOUT_FILENO, COLOR_NEVER);
	assert_int_equal(render_init(&f->r, &f->out, &f->m, "web-1"), 0);
	pack_probe_frame(&b, 1, form, condition);
	pack_process_notice(&b, 812, "checkoutd");
	feed(f, &b, take_frame);
	buf_free(&b);
}

static void teardown(struct fixture *f)
{
	render_free(&f->r);
	output_free(&f->out);
	model_free(&f->m);
}

/* All records of one chunk through a renderer. */
static int render_all(struct fixture *f, const struct buf *records, void (*show)(struct render *, const struct record *), struct error *err)
{
	struct buf b = { 0 };
	struct frame_in in;
	struct record rec;
	struct chunk k;
	int rc;

	pack_chunk_frame(&b, BASE_NS, 1, records);
	assert_true(frame_take(b.data, b.len, &in, NULL) > 0);
	rc = chunk_open(&k, &f->m, &in, err);
	while (!rc && (rc = chunk_next(&k, &f->m, &rec, err)) > 0) {
		show(&f->r, &rec);
		rc = 0;
	}
	frame_in_free(&in);
	buf_free(&b);
	return rc;
}

static void check_line(enum probe_form form, const struct test_record *r, void (*show)(struct render *, const struct record *), const char *want)
{
	struct test_record rec = *r;
	struct buf records = { 0 };
	struct fixture f;

	rec.form = form;
	setup_model(&f, form, false);
	pack_record(&records, &rec);
	assert_int_equal(render_all(&f, &records, show, NULL), 0);
	assert_string_equal(buf_text(&f.out.text), want);
	buf_free(&records);
	teardown(&f);
}

static void test_the_documented_line(void **state)
{
	check_line(FORM_CALL, &call, render_text,
		   "22:13:20.123456 checkoutd[812/815] parse_order(o={id=42, qty=0, user={name=\"bob\"}}, n=3) = -22 (EINVAL) <1.204ms> error\n");
}

static void test_lines(void **state)
{
	struct test_record r = call;

	check_line(FORM_RETURNS, &r, render_text,
		   "22:13:20.123456 checkoutd[812/815] parse_order(o={id=42, qty=0, user={name=\"bob\"}}, n=3) = -22 {total=5} <1.204ms> error\n");
	r.flags = EVENT_RETURN;
	r.duration_ns = 340;
	r.delta_ns = -1000000000;
	check_line(FORM_VOID, &r, render_text,
		   "22:13:19.123456 checkoutd[812/815] parse_order(o={id=42, qty=0, user={name=\"bob\"}}, n=3) <340ns>\n");
	r.flags = 0;
	r.delta_ns = 1;
	r.pid = 7;
	check_line(FORM_ENTRY, &r, render_text, "22:13:20.123456 ?[7/815] parse_order(o={id=42, qty=0, user={name=\"bob\"}}, n=3)\n");
	r.name = "\033]0;pwned\a";
	check_line(FORM_CALL, &r, render_text,
		   "22:13:20.123456 ?[7/815] parse_order(o={id=42, qty=0, user={name=\"\\x1b]0;pwned\\x07\"}}, n=3)\n");
}

static void test_colour(void **state)
{
	struct buf records = { 0 };
	struct fixture f;

	setup_model(&f, FORM_CALL, false);
	f.out.color = true;
	pack_record(&records, &call);
	assert_int_equal(render_all(&f, &records, render_text, NULL), 0);
	assert_string_equal(buf_text(&f.out.text),
			    "\033[2m22:13:20.123456\033[0m checkoutd[812/815] \033[1mparse_order\033[0m(o={id=42, qty=0, user={name=\"bob\"}}, "
			    "n=3) = \033[31m-22 (EINVAL)\033[0m <1.204ms>\033[31m error\033[0m\n");
	buf_free(&records);
	teardown(&f);
}

static void test_json(void **state)
{
	struct test_record r = call;

	check_line(FORM_CALL, &r, render_json,
		   "{\"ts\":1700000000123456000,\"host\":\"web-1\",\"pid\":812,\"tid\":815,\"comm\":\"checkoutd\",\"probe\":\"parse_order\","
		   "\"function\":\"parse_order\",\"build_id\":\"ab12\",\"args\":{\"o\":{\"id\":42,\"qty\":0,\"user\":{\"name\":\"bob\"}},\"n\":3},"
		   "\"ret\":-22,\"duration_ns\":1204000,\"error\":true}\n");
	check_line(FORM_RETURNS, &r, render_json,
		   "{\"ts\":1700000000123456000,\"host\":\"web-1\",\"pid\":812,\"tid\":815,\"comm\":\"checkoutd\",\"probe\":\"parse_order\","
		   "\"function\":\"parse_order\",\"build_id\":\"ab12\",\"args\":{\"o\":{\"id\":42,\"qty\":0,\"user\":{\"name\":\"bob\"}},\"n\":3},"
		   "\"ret\":-22,\"returns\":{\"total\":5},\"duration_ns\":1204000,\"error\":true}\n");
	r.flags = 0;
	check_line(FORM_ENTRY, &r, render_json,
		   "{\"ts\":1700000000123456000,\"host\":\"web-1\",\"pid\":812,\"tid\":815,\"comm\":\"checkoutd\",\"probe\":\"parse_order\","
		   "\"function\":\"parse_order\",\"build_id\":\"ab12\",\"args\":{\"o\":{\"id\":42,\"qty\":0,\"user\":{\"name\":\"bob\"}},\"n\":3},"
		   "\"ret\":null,\"duration_ns\":null,\"error\":false}\n");
}

static void test_malformed_records(void **state)
{
	static const struct { const char *bytes; size_t len; } bad[] = {
		{ "\x01", 1 },                                   /* not an array */
		{ "\x95\x01\x00\x01\x01\x00", 6 },               /* too few */
		{ "\x96\x01\x00\x01\x01\x00\x00", 7 },           /* no values */
		{ "\x99\x02\x00\x01\x01\x00\x00\xc0\xc0\xc0", 10 },   /* a probe that nobody told of */
		{ "\x99\x01\xa1x\x01\x01\x00\x00\xc0\xc0\xc0", 11 },
		{ "\x99\x01\x00\x01\x01\x00\x00\xc0\xc0", 9 },   /* cut */
		{ "\xdd\xff\xff\xff\xff\x01", 6 },               /* a count that lies */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf records = { 0 };
		struct error err = { 0 };
		struct fixture f;

		setup_model(&f, FORM_CALL, false);
		buf_add(&records, bad[i].bytes, bad[i].len);
		assert_int_equal(render_all(&f, &records, render_text, &err), -EPROTO);
		assert_string_not_equal(err.text, "");
		buf_free(&records);
		teardown(&f);
	}
}

/* The steady state of a busy stream takes no memory. */
static void test_no_allocation_per_record(void **state)
{
	struct buf records = { 0 };
	struct mallinfo2 before, after;
	struct fixture f;

	setup_model(&f, FORM_CALL, false);
	for (int i = 0; i < 1000; i++)
		pack_record(&records, &call);
	render_all(&f, &records, render_text, NULL);
	buf_clear(&f.out.text);
	before = mallinfo2();
	render_all(&f, &records, render_text, NULL);
	after = mallinfo2();
	assert_true(after.uordblks <= before.uordblks + 4096);
	buf_free(&records);
	teardown(&f);
}

/* ---- totals ---- */

static void give_counts(struct fixture *f, const struct test_count *counts)
{
	struct buf b = { 0 };
	struct frame fr;

	frame_begin(&fr, &b, WIRE_STATS, 4);
	msgpack_pack_uint64(&fr.pk, 1);
	msgpack_pack_uint64(&fr.pk, BASE_NS);
	msgpack_pack_array(&fr.pk, 1);
	pack_row(&fr.pk, 1, 812, "checkoutd", counts, NULL);
	frame_end(&fr);
	feed(f, &b, take_frame);
	buf_free(&b);
}

static void check_totals(bool condition, const struct test_count *counts, uint64_t shown, const char *want)
{
	struct buf out = { 0 };
	struct totals t;
	struct fixture f;
	json_error_t je;
	json_t *doc;

	setup_model(&f, FORM_CALL, condition);
	give_counts(&f, counts);
	totals_of(&f.m, shown, &t);
	totals_text(&t, &out);
	assert_string_equal(buf_text(&out), want);
	buf_clear(&out);
	totals_json(&t, "stopped", &out);
	doc = json_loads(buf_text(&out), 0, &je);
	assert_non_null(doc);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(doc, "total"), "shown")), shown);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(doc, "total"), "calls")), counts[0].n);
	json_decref(doc);
	buf_free(&out);
	teardown(&f);
}

static void test_totals(void **state)
{
	check_totals(false, (struct test_count[]){ { "calls", 5 }, { "returns", 5 }, { "errors", 2 }, { "matched", 5 }, { 0 } }, 5,
		     "total calls=5 errors=2 shown=5 sampled=0 dropped=0 unread=0\n");
	check_totals(false, (struct test_count[]){ { "calls", 100 }, { "returns", 90 }, { "sampled", 7 }, { "drop_ring", 3 }, { "drop_client", 2 },
		     { "drop_rate", 4 }, { "drop_nomem", 1 }, { "unread_fault", 6 }, { "unread_place", 1 }, { "too_deep", 2 }, { "unwound", 3 },
		     { "stray", 1 }, { 0 } }, 60,
		     "total calls=100 errors=0 shown=60 sampled=7 dropped=10 (ring=3 rate=4 memory=1 client=2) unread=7 (not in memory=6 "
		     "not in a readable place=1) missed=5 (too deep=2 unwound=3) open=4 early=1\n");
	check_totals(true, (struct test_count[]){ { "calls", 9 }, { "returns", 3 }, { "matched", 3 }, { "undecided", 1 }, { 0 } }, 3,
		     "total calls=9 errors=0 shown=3 sampled=0 dropped=0 unread=0 matched=3 undecided=1\n");
}

/* A snapshot replaces the one before; rows of no process add up within one. */
static void test_snapshots_replace(void **state)
{
	static const struct test_count five[] = { { "calls", 5 }, { "max_ns", 9 }, { 0 } }, seven[] = { { "calls", 7 }, { "max_ns", 3 }, { 0 } };
	struct buf b = { 0 };
	struct fixture f;
	struct frame fr;
	struct tally sum;

	setup_model(&f, FORM_CALL, false);
	give_counts(&f, five);
	give_counts(&f, seven);
	model_sum(&f.m, NULL, &sum);
	assert_int_equal(sum.c.calls, 7);
	frame_begin(&fr, &b, WIRE_STATS, 4);
	msgpack_pack_uint64(&fr.pk, 1);
	msgpack_pack_uint64(&fr.pk, BASE_NS);
	msgpack_pack_array(&fr.pk, 2);
	pack_row(&fr.pk, 1, 0, "", five, NULL);
	pack_row(&fr.pk, 1, 0, "", seven, NULL);
	frame_end(&fr);
	feed(&f, &b, take_frame);
	model_sum(&f.m, f.m.probe[0], &sum);
	assert_int_equal(sum.c.calls, 12);
	assert_int_equal(sum.c.max_ns, 9);
	assert_string_equal(source_comm(f.m.source[0], 812), "checkoutd");
	buf_free(&b);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_documented_line),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_colour),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_malformed_records),
		cmocka_unit_test(test_no_allocation_per_record),
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_snapshots_replace),
	};

	return cmocka_run_group_tests_name("cli_render", tests, NULL, NULL);
}
