/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "store_internal.h"

void rollup_of(const struct store_counts *c, struct rollup *out)
{
	const uint64_t value[ROLLUP_VALUES] = {
		[ROLLUP_CALLS] = c->c.calls, [ROLLUP_RETURNS] = c->c.returns, [ROLLUP_ERRORS] = c->c.errors,
		[ROLLUP_MATCHED] = c->c.matched, [ROLLUP_UNDECIDED] = c->c.undecided, [ROLLUP_SHIPPED] = c->c.shipped,
		[ROLLUP_SAMPLED] = c->c.sampled, [ROLLUP_DROP_RING] = c->c.dropped[DROP_RING],
		[ROLLUP_DROP_RATE] = c->c.dropped[DROP_RATE], [ROLLUP_DROP_NOMEM] = c->c.dropped[DROP_NOMEM],
		[ROLLUP_DROP_CLIENT] = c->drop_client, [ROLLUP_PAST_LIMIT] = c->past_limit, [ROLLUP_SHOWN] = c->shown,
		[ROLLUP_UNREAD] = c->unread,
		[ROLLUP_UNPAIRED] = c->c.too_deep + c->c.unwound + c->c.stray, [ROLLUP_SUM_NS] = c->c.sum_ns,
		[ROLLUP_MAX_NS] = c->c.max_ns,
	};

	memcpy(out->value, value, sizeof(value));
	memcpy(out->hist, c->c.hist, sizeof(out->hist));
}

static bool went_back(const struct rollup *now, const struct rollup *before)
{
	for (int i = 0; i < ROLLUP_VALUES; i++)
		if (now->value[i] < before->value[i])
			return true;
	for (int i = 0; i < HIST_BUCKETS; i++)
		if (now->hist[i] < before->hist[i])
			return true;
	return false;
}

bool rollup_difference(const struct rollup *now, const struct rollup *before, struct rollup *out)
{
	bool reset = went_back(now, before), any = false;

	for (int i = 0; i < ROLLUP_VALUES; i++) {
		out->value[i] = now->value[i] - (reset || i == ROLLUP_MAX_NS ? 0 : before->value[i]);
		any |= i != ROLLUP_MAX_NS && out->value[i];
	}
	for (int i = 0; i < HIST_BUCKETS; i++) {
		out->hist[i] = now->hist[i] - (reset ? 0 : before->hist[i]);
		any |= out->hist[i] != 0;
	}
	return any;
}
