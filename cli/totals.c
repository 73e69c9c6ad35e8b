/* SPDX-License-Identifier: Apache-2.0 */
/* The last line of a request: exact counts from the kernel, and why anything is missing from what was shown. */
#include <string.h>

#include "render.h"
#include "text.h"

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Calls that were entered and have neither returned nor been given up. Where a condition at entry leaves calls out, their
 * returns are not followed, so there it cannot be told. */
static uint64_t open_calls(const struct model *m)
{
	uint64_t open = 0;

	for (uint32_t i = 0; i < m->n_probes; i++) {
		const struct probe *p = m->probe[i];
		struct tally t;

		if (!p->call || p->condition)
			continue;
		model_sum(m, p, &t);
		open += less(t.c.calls, t.c.returns + t.c.too_deep + t.c.unwound + t.c.dropped[DROP_NOMEM]);
	}
	return open;
}

void totals_of(const struct model *m, uint64_t shown, struct totals *t)
{
	memset(t, 0, sizeof(*t));
	model_sum(m, NULL, &t->sum);
	t->shown = shown;
	t->unread = t->sum.unread + t->sum.unplaced;
	t->missed = t->sum.c.too_deep + t->sum.c.unwound;
	t->dropped = t->sum.drop_client;
	for (int i = 0; i < DROP_REASONS; i++)
		t->dropped += t->sum.c.dropped[i];
	for (uint32_t i = 0; i < m->n_probes; i++)
		t->condition |= m->probe[i]->condition;
	t->open = open_calls(m);
}

struct part {
	const char *name;
	uint64_t n;
};

/* " name=N": always for the first `always` parts, else if it is not 0. */
static void put_parts(struct buf *out, const struct part *part, size_t n, size_t always)
{
	for (size_t i = 0; i < n; i++) {
		if (i >= always && part[i].n == 0)
			continue;
		buf_char(out, ' ');
		buf_str(out, part[i].name);
		buf_char(out, '=');
		text_u64(out, part[i].n);
	}
}

/* " (a=1 b=2)" of the parts that are not 0. */
static void put_reasons(struct buf *out, const struct part *part, size_t n)
{
	struct buf inside = { 0 };

	put_parts(&inside, part, n, 0);
	if (inside.len)
		buf_printf(out, " (%s)", inside.data + 1);
	buf_free(&inside);
}

#define PARTS(p) (p), sizeof(p) / sizeof((p)[0])

static void put_dropped(const struct totals *t, struct buf *out)
{
	const struct part reasons[] = {
		{ "ring", t->sum.c.dropped[DROP_RING] }, { "rate", t->sum.c.dropped[DROP_RATE] },
		{ "memory", t->sum.c.dropped[DROP_NOMEM] }, { "client", t->sum.drop_client },
	};

	put_parts(out, &(struct part){ "dropped", t->dropped }, 1, 1);
	put_reasons(out, PARTS(reasons));
}

static void put_unread(const struct totals *t, struct buf *out)
{
	const struct part reasons[] = {
		{ "not in memory", t->sum.unread }, { "not in a readable place", t->sum.unplaced },
	};

	put_parts(out, &(struct part){ "unread", t->unread }, 1, 1);
	put_reasons(out, PARTS(reasons));
}

static void put_missed(const struct totals *t, struct buf *out)
{
	const struct part reasons[] = {
		{ "too deep", t->sum.c.too_deep }, { "unwound", t->sum.c.unwound },
	};

	put_parts(out, &(struct part){ "missed", t->missed }, 1, 0);
	put_reasons(out, PARTS(reasons));
}

void totals_text(const struct totals *t, struct buf *out)
{
	const struct part head[] = {
		{ "calls", t->sum.c.calls }, { "errors", t->sum.c.errors }, { "shown", t->shown }, { "sampled", t->sum.c.sampled },
	};

	buf_str(out, "total");
	put_parts(out, PARTS(head), 4);
	put_dropped(t, out);
	put_unread(t, out);
	if (t->condition)
		put_parts(out, &(struct part){ "matched", t->sum.c.matched }, 1, 1);
	put_parts(out, &(struct part){ "undecided", t->sum.c.undecided }, 1, 0);
	put_missed(t, out);
	put_parts(out, &(struct part){ "open", t->open }, 1, 0);
	/* Returns of calls that began before the probe: no loss, they are not in `calls`. */
	put_parts(out, &(struct part){ "early", t->sum.c.stray }, 1, 0);
	buf_char(out, '\n');
}

void totals_json(const struct totals *t, const char *end, struct buf *out)
{
	const struct part parts[] = {
		{ "calls", t->sum.c.calls }, { "errors", t->sum.c.errors }, { "shown", t->shown }, { "sampled", t->sum.c.sampled },
		{ "dropped", t->dropped }, { "unread", t->unread }, { "matched", t->sum.c.matched }, { "returns", t->sum.c.returns },
		{ "undecided", t->sum.c.undecided }, { "missed", t->missed }, { "open", t->open },
		{ "drop_ring", t->sum.c.dropped[DROP_RING] }, { "drop_rate", t->sum.c.dropped[DROP_RATE] },
		{ "drop_memory", t->sum.c.dropped[DROP_NOMEM] }, { "drop_client", t->sum.drop_client },
		{ "unread_memory", t->sum.unread }, { "unread_place", t->sum.unplaced }, { "too_deep", t->sum.c.too_deep },
		{ "unwound", t->sum.c.unwound }, { "early", t->sum.c.stray },
	};

	buf_str(out, "{\"total\":{");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		buf_printf(out, "%s\"%s\":%llu", i ? "," : "", parts[i].name, (unsigned long long)parts[i].n);
	buf_str(out, ",\"end\":");
	text_json_str(out, end);
	buf_str(out, "}}\n");
}
