/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a plumb asks of a collector, and as what agents answer: the arguments of a request are checked and packed for an
 * agent, verdicts are read, answers are merged.  What is packed must be one object that can be read again.
 * fuzz-sources: collector/control_args.c collector/control_verdict_args.c collector/control_merge.c common/frame.c common/text.c common/buf.c common/error.c
 */
#include <stdint.h>
#include <stdlib.h>

#include "../../collector/control_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_one_object(const struct buf *b)
{
	if (!b->failed && pack_measure(buf_text(b), b->len) != (ssize_t)b->len)
		abort();
}

static void take_arguments(const msgpack_object *o, const void *data, size_t len)
{
	struct request_args args;
	struct buf out = { 0 };
	struct error err;

	if (control_args_read(o, &args, &err) == 0) {
		control_args_pack(data, len, args.ttl_ns, args.for_ns, &out);
		must_be_one_object(&out);
	}
	control_args_free(&args);
	buf_free(&out);
}

static void take_verdict(const msgpack_object *o)
{
	struct verdict_said said = { 0 };
	struct error err = { 0 };

	if (verdict_said_read(o, &said, &err) == 0 && (!said.v.state || said.v.record_len > VERDICT_RECORD_MAX))
		abort();
	verdict_said_free(&said);
}

static void take_answers(const msgpack_object *o, enum merge_kind kind)
{
	struct merge *m = merge_new(kind);
	struct buf out = { 0 };
	msgpack_packer pk;

	if (!m)
		abort();
	merge_add(m, "web-2", o);
	merge_add(m, "web-1", o);
	pack_into(&pk, &out);
	merge_pack(m, &pk);
	must_be_one_object(&out);
	merge_free(m);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	msgpack_zone zone;
	msgpack_object o;
	ssize_t n;

	if (!msgpack_zone_init(&zone, 4096))
		abort();
	n = pack_take(data, size, &zone, &o);
	if (n > 0) {
		take_arguments(&o, data, (size_t)n);
		take_verdict(&o);
		take_answers(&o, MERGE_ROWS);
		take_answers(&o, MERGE_EQUAL);
		take_answers(&o, MERGE_TEXT);
	}
	msgpack_zone_destroy(&zone);
	return 0;
}
