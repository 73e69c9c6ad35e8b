/* SPDX-License-Identifier: Apache-2.0 */
#include "histpack.h"

#include <errno.h>

#include "varint.h"

void hist_pack(const __u64 hist[HIST_BUCKETS], struct buf *out)
{
	uint32_t last = 0;

	for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
		if (!hist[i])
			continue;
		varint_put(out, i - last);
		varint_put(out, hist[i]);
		last = i;
	}
}

int hist_unpack_add(const void *data, size_t len, __u64 hist[HIST_BUCKETS])
{
	const uint8_t *at = data, *end = at + len;
	uint64_t bucket = 0;

	while (at < end) {
		uint64_t gap, n;

		if (!varint_get(&at, end, &gap) || !varint_get(&at, end, &n) || gap >= HIST_BUCKETS || bucket + gap >= HIST_BUCKETS)
			return -EPROTO;
		bucket += gap;
		hist[bucket] += n;
	}
	return 0;
}
