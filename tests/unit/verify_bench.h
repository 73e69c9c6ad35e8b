/* SPDX-License-Identifier: Apache-2.0 */
/* A verification and the agent's side of it, played by a test: frames and seconds go in. */
#ifndef PLUMB_TEST_VERIFY_BENCH_H
#define PLUMB_TEST_VERIFY_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "verify.h"
#include "wire_pack.h"

#define SECOND 1000000000ULL
#define BUILD_B "aaaaaaaaaaaaaaaaaaaa"
#define BUILD_C "cccccccccccccccccccc"

static const char patch_text[] = "--- a/src/f.c\n+++ b/src/f.c\n@@ -10,3 +10,3 @@\n int f(int n)\n-\treturn -1;\n+\treturn n ? 0 : 1;\n }\n";

/* ---- the agent's side ---- */

struct bench {
	struct verify *v;
	uint64_t now_ns;
	struct error err;
	uint64_t calls[2], errors[2];   /* what f has counted, by side */
	unsigned line_hits, threads;     /* threads: of each process */
	int value[2];                   /* what failing calls return; 0: not told */
	uint32_t request[2], lines_request[2];
	bool shared;                    /* line 11 has no statement of its own */
	uint64_t pid[2];                /* of the process that counts; 0: 100 and 101 */
	uint64_t open[2];               /* of `calls`, these have not returned */
};

/* A row of ps. */
struct bench_process { uint64_t pid; const char *build, *host; unsigned age_s; };

static inline int give(struct bench *b, struct buf *frame)
{
	struct frame_in in;
	int rc;

	assert_int_equal(frame_take(frame->data, frame->len, &in, NULL), frame->len);
	rc = verify_frame(b->v, &in, frame->data, frame->len, b->now_ns, &b->err);
	frame_in_free(&in);
	buf_free(frame);
	return rc;
}

static inline void reply(struct frame *f, struct buf *out, uint64_t id, bool ok, unsigned keys)
{
	frame_begin(f, out, WIRE_REPLY, 4);
	msgpack_pack_uint64(&f->pk, id);
	ok ? msgpack_pack_true(&f->pk) : msgpack_pack_false(&f->pk);
	msgpack_pack_map(&f->pk, keys);
}

static inline int give_processes(struct bench *b, unsigned n, const struct bench_process *p)
{
	struct buf out = { 0 };
	struct frame f;

	reply(&f, &out, 1, true, 1);
	pack_key(&f.pk, "processes");
	msgpack_pack_array(&f.pk, n);
	for (unsigned i = 0; i < n; i++) {
		msgpack_pack_array(&f.pk, p[i].host ? 12 : 11);
		if (p[i].host)
			pack_text(&f.pk, p[i].host);
		msgpack_pack_uint64(&f.pk, p[i].pid);
		pack_text(&f.pk, "orderd");
		pack_text(&f.pk, "/usr/sbin/orderd");
		pack_text(&f.pk, "");
		pack_text(&f.pk, "");
		pack_text(&f.pk, p[i].build);
		pack_text(&f.pk, "C");
		pack_text(&f.pk, "yes");
		msgpack_pack_int(&f.pk, 0);
		msgpack_pack_uint64(&f.pk, p[i].age_s * SECOND);
		msgpack_pack_uint64(&f.pk, b->threads);
	}
	frame_end(&f);
	return give(b, &out);
}

static inline int give_ps(struct bench *b, unsigned n, const char *const *build)
{
	struct bench_process p[8];

	for (unsigned i = 0; i < n; i++)
		p[i] = (struct bench_process){ 100 + i, build[i], NULL, 10 - i };
	return give_processes(b, n, p);
}

/* f's line 11 has code; own: f can be called there. */
static inline int give_lines(struct bench *b, unsigned side, const char *signature, bool own, bool has_code)
{
	struct buf out = { 0 };
	struct frame f;

	reply(&f, &out, 2 + side, true, 4);
	pack_key_text(&f.pk, "build_id", side ? BUILD_C : BUILD_B);
	pack_key_text(&f.pk, "module", "orderd");
	pack_key(&f.pk, "functions");
	msgpack_pack_array(&f.pk, 1);
	msgpack_pack_array(&f.pk, 6);
	pack_text(&f.pk, "f");
	pack_text(&f.pk, signature);
	pack_text(&f.pk, "src/f.c");
	msgpack_pack_int(&f.pk, 10);
	msgpack_pack_int(&f.pk, own ? 0 : 2);
	own ? msgpack_pack_true(&f.pk) : msgpack_pack_false(&f.pk);
	pack_key(&f.pk, "lines");
	msgpack_pack_array(&f.pk, 1);
	msgpack_pack_array(&f.pk, 3);
	msgpack_pack_int(&f.pk, 0);
	msgpack_pack_int(&f.pk, 11);
	msgpack_pack_array(&f.pk, has_code);
	if (has_code) {
		msgpack_pack_array(&f.pk, b->shared ? 4 : 3);
		msgpack_pack_int(&f.pk, 0);
		own ? msgpack_pack_false(&f.pk) : msgpack_pack_true(&f.pk);
		msgpack_pack_int(&f.pk, 1);
		if (b->shared)
			msgpack_pack_false(&f.pk);
	}
	frame_end(&f);
	return give(b, &out);
}

static inline int give_refusal_code(struct bench *b, uint32_t id, int probe, int code, const char *text)
{
	struct buf out = { 0 };
	struct frame f;

	reply(&f, &out, id, false, 3);
	pack_key_u64(&f.pk, "code", (uint64_t)code);
	pack_key_text(&f.pk, "text", text);
	pack_key(&f.pk, "probe");
	msgpack_pack_int(&f.pk, probe);
	frame_end(&f);
	return give(b, &out);
}

static inline int give_refusal(struct bench *b, uint32_t id, int probe, const char *text)
{
	return give_refusal_code(b, id, probe, 22, text);
}

/* line: of the function. */
static inline void give_probe_at(struct bench *b, uint32_t id, unsigned probe, const char *spec, unsigned line)
{
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, WIRE_PROBE, 3);
	msgpack_pack_uint64(&f.pk, id);
	msgpack_pack_map(&f.pk, 12);
	pack_key_u64(&f.pk, "line", line);
	pack_key(&f.pk, "errno");
	strchr(spec, ':') ? msgpack_pack_false(&f.pk) : msgpack_pack_true(&f.pk);
	pack_key(&f.pk, "call");
	strchr(spec, ':') ? msgpack_pack_false(&f.pk) : msgpack_pack_true(&f.pk);
	pack_key_u64(&f.pk, "probe", probe);
	pack_key_text(&f.pk, "spec", spec);
	pack_key_text(&f.pk, "function", "f");
	pack_key_text(&f.pk, "module", "orderd");
	pack_key_text(&f.pk, "build_id", "");
	pack_key_text(&f.pk, "file", "f.c");
	pack_key_u64(&f.pk, "cost_ns", 500);
	pack_key_text(&f.pk, "site_kind", "emulated");
	pack_key(&f.pk, "fields");
	msgpack_pack_array(&f.pk, 0);
	frame_end(&f);
	assert_int_equal(give(b, &out), 0);
}

static inline void give_probe(struct bench *b, uint32_t id, unsigned probe, const char *spec)
{
	give_probe_at(b, id, probe, spec, 10);
}

/* The stat requests that were sent: of each, its id and probe texts, in order. */
static inline unsigned take_requests(struct bench *b, uint32_t *id, char text[][64], unsigned max)
{
	struct buf *out = verify_out(b->v);
	unsigned n = 0;
	size_t at = 0;

	while (at < out->len) {
		struct frame_in in;
		int used = frame_take(out->data + at, out->len - at, &in, NULL);
		const msgpack_object *probes;
		uint64_t number;

		assert_true(used > 0);
		at += (size_t)used;
		probes = map_get(&in.items[3], "probes");
		if (probes && n < max) {
			const msgpack_object_str *s = &probes->via.array.ptr[0].via.str;

			assert_true(object_u64(&in.items[1], &number));
			id[n] = (uint32_t)number;
			snprintf(text[n++], 64, "%.*s", (int)s->size, s->ptr);
		}
		frame_in_free(&in);
	}
	buf_clear(out);
	return n;
}

/* No PROBE has come yet. */
static inline void accept_only(struct bench *b, uint32_t id)
{
	struct buf out = { 0 };
	struct frame f;

	reply(&f, &out, id, true, 1);
	pack_key_u64(&f.pk, "id", id);
	frame_end(&f);
	assert_int_equal(give(b, &out), 0);
}

static inline void accept_one(struct bench *b, uint32_t id, const char *spec)
{
	accept_only(b, id);
	give_probe(b, id, 1, spec);
}

/* [probe, pid, comm, {counts}] with error values. */
static inline uint64_t pid_of(const struct bench *b, int side)
{
	return b->pid[side] ? b->pid[side] : 100U + (unsigned)side;
}

static inline void pack_value_row(msgpack_packer *pk, uint64_t pid, uint64_t calls, uint64_t errors, int value)
{
	msgpack_pack_array(pk, 4);
	msgpack_pack_int(pk, 1);
	msgpack_pack_uint64(pk, pid);
	pack_text(pk, "orderd");
	msgpack_pack_map(pk, 5);
	pack_key_u64(pk, "calls", calls);
	pack_key_u64(pk, "matched", calls);
	pack_key_u64(pk, "returns", calls);
	pack_key_u64(pk, "errors", errors);
	pack_key(pk, "error_values");
	msgpack_pack_array(pk, 2);
	msgpack_pack_int(pk, value);
	msgpack_pack_uint64(pk, errors);
}

static inline void give_stats(struct bench *b, uint32_t id, uint64_t calls, uint64_t errors, bool call)
{
	int side = id != b->request[0] && id != b->lines_request[0], value = b->value[side];
	uint64_t done = calls - (call ? b->open[side] : 0);
	const struct test_count counts[] = { { "calls", calls }, { "matched", done }, { "returns", call ? done : 0 }, { "errors", errors }, { 0 } };
	const uint64_t hist[] = { 200, calls, 0, 0 };
	struct buf out = { 0 };
	struct frame f;

	if (!id)
		return;
	frame_begin(&f, &out, WIRE_STATS, 4);
	msgpack_pack_uint64(&f.pk, id);
	msgpack_pack_uint64(&f.pk, b->now_ns);
	msgpack_pack_array(&f.pk, 1);
	if (call && value)
		pack_value_row(&f.pk, pid_of(b, side), calls, errors, value);
	else
		pack_row(&f.pk, 1, pid_of(b, side), "orderd", counts, call ? hist : NULL);
	frame_end(&f);
	assert_int_equal(give(b, &out), 0);
}

static inline void give_end_of(struct bench *b, uint32_t id, const char *reason, const char *text)
{
	struct buf out = { 0 };
	struct frame f;

	frame_begin(&f, &out, WIRE_END, 5);
	msgpack_pack_uint64(&f.pk, id);
	pack_text(&f.pk, reason);
	pack_text(&f.pk, text);
	msgpack_pack_array(&f.pk, 0);
	frame_end(&f);
	assert_int_equal(give(b, &out), 0);
}

static inline void give_end(struct bench *b, uint32_t id)
{
	give_end_of(b, id, "stopped", "");
}

/* A second passes, in which f was called and failed so often on each side. */
static inline int second(struct bench *b, unsigned calls, unsigned base_errors, unsigned cand_errors)
{
	const unsigned errors[2] = { base_errors, cand_errors };

	b->now_ns += SECOND;
	for (int side = 0; side < 2; side++) {
		b->calls[side] += calls;
		b->errors[side] += errors[side];
		give_stats(b, b->request[side], b->calls[side], b->errors[side], true);
	}
	give_stats(b, b->lines_request[0], b->calls[0], 0, false);
	give_stats(b, b->lines_request[1], b->line_hits ? b->calls[1] : 0, 0, false);
	return verify_timer(b->v, b->now_ns, &b->err);
}

static inline void spec_of_test(struct verify_spec *s, const char *expect, const char *patch)
{
	verify_spec_init(s);
	s->target = VERIFY_TARGET_NAME;
	s->target_text = strdup("orderd");
	s->claim.deadline_ns = 20 * SECOND;
	assert_int_equal(verify_spec_expect(s, expect, NULL), 0);
	assert_int_equal(verify_spec_guard(s, "error_rate < +25 %", NULL), 0);
	if (patch) {
		s->patch = strdup(patch);
		s->patch_len = strlen(patch);
	}
}

static inline void begin_spec(struct bench *b, struct verify_spec *s)
{
	memset(b, 0, sizeof(*b));
	b->now_ns = 100 * SECOND;
	b->line_hits = 1;
	b->threads = 4;
	assert_int_equal(verify_spec_finish(s, &b->err), 0);
	b->v = verify_new(s, &b->err);
	assert_non_null(b->v);
	verify_record(b->v);
	assert_int_equal(verify_start(b->v, b->now_ns, &b->err), 0);
	buf_clear(verify_out(b->v));
}

static inline void begin(struct bench *b, const char *expect, bool patch)
{
	struct verify_spec s;

	spec_of_test(&s, expect, patch ? patch_text : NULL);
	s.function = strdup("f");
	begin_spec(b, &s);
}

static const char *const two_builds[] = { BUILD_B, BUILD_C };

/* From the lists of processes as far as the probes. */
static inline void set_probes(struct bench *b, bool patch)
{
	uint32_t id[8];
	char text[8][64];
	unsigned n;

	if (patch) {
		assert_int_equal(give_lines(b, 0, "int f(int n)", true, true), 0);
		assert_int_equal(give_lines(b, 1, "int f(int n)", true, true), 0);
	}
	n = take_requests(b, id, text, 8);
	assert_int_equal(n, patch ? 4 : 2);
	for (unsigned i = 0; i < n; i++) {
		bool lines = strchr(text[i], ':') != NULL;

		if (lines)
			assert_string_equal(text[i], "src/f.c:11()");
		else
			assert_string_equal(text[i], "f");
		(lines ? b->lines_request : b->request)[i % 2] = id[i];
		accept_one(b, id[i], text[i]);
	}
	assert_int_equal(verify_view(b->v)->stage, VERIFY_RUNNING);
}

static inline void begin_probed(struct bench *b, const char *expect, bool patch)
{
	begin(b, expect, patch);
	assert_int_equal(give_ps(b, 2, two_builds), 0);
	set_probes(b, patch);
}

static inline void run_until_decided(struct bench *b, unsigned base_errors, unsigned cand_errors)
{
	for (int i = 0; i < 30 && verify_view(b->v)->stage == VERIFY_RUNNING; i++)
		assert_int_equal(second(b, 1000, base_errors, cand_errors), 0);
}

#endif
