/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"
#include "replay.h"

static void pack_key_double(msgpack_packer *pk, const char *key, double value)
{
	pack_key(pk, key);
	msgpack_pack_double(pk, value);
}

static void pack_names(msgpack_packer *pk, const char *key, const char names[][CLAIM_NAME], uint32_t n)
{
	pack_key(pk, key);
	msgpack_pack_array(pk, n);
	for (uint32_t i = 0; i < n; i++)
		pack_text(pk, names[i]);
}

static void pack_guards(msgpack_packer *pk, const struct claim *c)
{
	pack_key(pk, "guards");
	msgpack_pack_array(pk, c->guards);
	for (uint32_t i = 0; i < c->guards; i++) {
		const struct guard *g = &c->guard[i];

		msgpack_pack_array(pk, 7);
		msgpack_pack_unsigned_int(pk, g->kind);
		msgpack_pack_double(pk, g->margin);
		msgpack_pack_double(pk, g->quantile);
		msgpack_pack_double(pk, g->floor);
		msgpack_pack_uint32(pk, g->watched);
		msgpack_pack_uint32(pk, g->most_per);
		g->optional ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
	}
}

void verdict_pack_claim(struct buf *out, const struct claim *c)
{
	msgpack_packer pk;

	pack_into(&pk, out);
	msgpack_pack_array(&pk, 3);
	pack_text(&pk, "plumb-verdict");
	msgpack_pack_int(&pk, VERDICT_VERSION);
	msgpack_pack_map(&pk, 16U + (c->lines_shared != 0) + (c->lines_any != 0));
	pack_key_text(&pk, "function", c->function);
	pack_key_text(&pk, "trigger", c->trigger);
	pack_key_u64(&pk, "arms", c->arms);
	pack_key_u64(&pk, "expect", c->expect);
	pack_key_double(&pk, "factor", c->factor);
	pack_key_double(&pk, "alpha", c->alpha);
	pack_key_u64(&pk, "together", c->together);
	pack_key_u64(&pk, "min_triggers", c->min_triggers);
	pack_key_u64(&pk, "min_line_hits", c->min_line_hits);
	pack_key_double(&pk, "lost_limit", c->lost_limit);
	pack_key_double(&pk, "unpaired_limit", c->unpaired_limit);
	pack_key_u64(&pk, "warmup_calls", c->warmup_calls);
	pack_key_u64(&pk, "deadline_ns", c->deadline_ns);
	pack_names(&pk, "lines", c->line, c->lines);
	pack_names(&pk, "watched", c->watched_name, c->watched);
	pack_guards(&pk, c);
	if (c->lines_shared)
		pack_key_u64(&pk, "lines_shared", c->lines_shared);
	if (c->lines_any)
		pack_key_u64(&pk, "lines_any", c->lines_any);
}

static void pack_hist(msgpack_packer *pk, const __u64 *hist)
{
	uint32_t used = 0;

	if (!hist) {
		msgpack_pack_nil(pk);
		return;
	}
	for (uint32_t i = 0; i < HIST_BUCKETS; i++)
		used += hist[i] != 0;
	msgpack_pack_array(pk, 2UL * used);
	for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
		if (!hist[i])
			continue;
		msgpack_pack_uint32(pk, i);
		msgpack_pack_uint64(pk, hist[i]);
	}
}

static void pack_lines(msgpack_packer *pk, const uint64_t *hits, uint32_t n)
{
	if (!hits) {
		msgpack_pack_nil(pk);
		return;
	}
	msgpack_pack_array(pk, n);
	for (uint32_t i = 0; i < n; i++)
		msgpack_pack_uint64(pk, hits[i]);
}

static void pack_watched(msgpack_packer *pk, const struct watched *w, uint32_t n)
{
	if (!w) {
		msgpack_pack_nil(pk);
		return;
	}
	msgpack_pack_array(pk, 2UL * n);
	for (uint32_t i = 0; i < n; i++) {
		msgpack_pack_uint64(pk, w[i].calls);
		msgpack_pack_uint64(pk, w[i].per);
	}
}

static void pack_values(msgpack_packer *pk, const struct arm_tick *t)
{
	msgpack_pack_array(pk, 3UL * t->n_values);
	for (uint32_t i = 0; i < t->n_values; i++) {
		msgpack_pack_uint32(pk, t->values[i].where);
		msgpack_pack_int64(pk, t->values[i].value);
		msgpack_pack_uint64(pk, t->values[i].count);
	}
}

static void pack_arm(msgpack_packer *pk, const struct claim *c, const struct arm_tick *t)
{
	const uint64_t counts[] = { t->span_ns, t->calls, t->errors, t->triggers, t->trigger_errors, t->trigger_unknown, t->lost,
		t->unpaired, t->processes };

	msgpack_pack_array(pk, 18);
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		msgpack_pack_uint64(pk, counts[i]);
	msgpack_pack_double(pk, t->probe_ns);
	pack_text(pk, t->site_kind);
	pack_hist(pk, t->hist);
	pack_lines(pk, t->line_hits, c->lines);
	pack_watched(pk, t->watched, c->watched);
	pack_values(pk, t);
	msgpack_pack_double(pk, t->probe_most_ns);
	msgpack_pack_uint32(pk, t->unseen);
	msgpack_pack_uint32(pk, t->died);
}

void verdict_pack_tick(struct buf *out, const struct claim *c, const struct arm_tick *base, const struct arm_tick *cand)
{
	msgpack_packer pk;

	pack_into(&pk, out);
	msgpack_pack_array(&pk, 3);
	msgpack_pack_int(&pk, 0);
	pack_arm(&pk, c, base);
	pack_arm(&pk, c, cand);
}

void verdict_pack_end(struct buf *out, const char *reason)
{
	msgpack_packer pk;

	pack_into(&pk, out);
	msgpack_pack_array(&pk, 2);
	msgpack_pack_int(&pk, 1);
	pack_text(&pk, reason);
}

void verdict_pack_note(struct buf *out, const char *key, const char *value)
{
	msgpack_packer pk;

	pack_into(&pk, out);
	msgpack_pack_array(&pk, 3);
	msgpack_pack_int(&pk, 2);
	pack_text(&pk, key);
	pack_text(&pk, value);
}
