/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict_frame.h"

#include <errno.h>
#include <string.h>

enum { RECORD_PART = 512 << 10 };

const char *verdict_words_state(const struct verify_view *v, bool over)
{
	if (!over)
		return "RUNNING";
	return v->state == VERDICT_UNDECIDED ? "INCONCLUSIVE" : verdict_state_name(v->state);
}

static int pack(const struct verdict_words *w, const void *part, size_t len, size_t at, struct buf *out)
{
	bool report = w->report && !w->report->failed && w->report->len <= VERDICT_REPORT_MAX;
	struct frame f;

	frame_begin(&f, out, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, VERDICT_REQUEST_ID);
	pack_text(&f.pk, "verdict");
	msgpack_pack_map(&f.pk, 8);
	pack_key_u64(&f.pk, "id", w->id);
	pack_key_text(&f.pk, "state", w->state);
	pack_key_text(&f.pk, "title", w->title);
	pack_key_text(&f.pk, "service", w->service);
	pack_key_text(&f.pk, "reason", w->reason);
	pack_key_text(&f.pk, "report", report ? w->report->data : NULL);
	pack_key(&f.pk, "record");
	if (part) {
		msgpack_pack_bin(&f.pk, len);
		msgpack_pack_bin_body(&f.pk, part, len);
	} else {
		msgpack_pack_nil(&f.pk);
	}
	pack_key_u64(&f.pk, "at", at);
	return frame_end(&f);
}

int verdict_words_pack(const struct verdict_words *w, struct buf *out)
{
	return pack(w, NULL, 0, 0, out);
}

int verdict_words_pack_end(const struct verdict_words *w, const struct buf *record, struct buf *out, unsigned *frames)
{
	const struct verdict_words running = { .id = w->id, .state = "RUNNING" };
	bool too_long = record->len > VERDICT_RECORD_MAX;
	int rc = 0;

	for (size_t at = 0; !rc && !too_long && at < record->len; at += RECORD_PART) {
		rc = pack(&running, record->data + at, record->len - at < RECORD_PART ? record->len - at : RECORD_PART, at, out);
		*frames += !rc;
	}
	rc = pack(w, NULL, 0, 0, out);
	*frames += !rc;
	return rc ? rc : too_long ? -E2BIG : 0;
}
