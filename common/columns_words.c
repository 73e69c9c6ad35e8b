/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "columns_internal.h"

enum { SLOTS = 2 * COLUMNS_WORDS_MAX, GRACE = 16 };

void words_clear(struct words *w, const void *data)
{
	w->data = data;
	if (w->n)
		memset(w->table, 0, sizeof(w->table));
	w->n = 0;
}

static uint32_t slot_of(const uint8_t *p, size_t len)
{
	uint64_t h = len, v;

	for (; len >= sizeof(v); p += sizeof(v), len -= sizeof(v)) {
		memcpy(&v, p, sizeof(v));
		h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 32;
	}
	v = 0;
	memcpy(&v, p, len);
	return (uint32_t)((h ^ v) * 0x9e3779b97f4a7c15ULL >> 32) % SLOTS;
}

/* Its number. COLUMNS_WORDS_MAX: there is no room for another. */
static uint32_t find(struct words *w, uint32_t at, uint32_t len)
{
	uint32_t slot = slot_of(w->data + at, len);

	for (; w->table[slot]; slot = (slot + 1) % SLOTS) {
		const struct word *known = &w->word[w->table[slot] - 1];

		if (known->len == len && memcmp(w->data + known->at, w->data + at, len) == 0)
			return w->table[slot] - 1U;
	}
	if (w->n == COLUMNS_WORDS_MAX)
		return COLUMNS_WORDS_MAX;
	w->word[w->n] = (struct word){ at, len, slot };
	w->table[slot] = (uint16_t)++w->n;
	return w->n - 1;
}

/* The newest first: then no chain of slots is torn. */
static void forget(struct words *w, uint32_t from)
{
	while (w->n > from)
		w->table[w->word[--w->n].slot] = 0;
}

bool words_take(struct words *w, const uint32_t *at, const uint64_t *len, size_t n, uint64_t *number)
{
	uint32_t before = w->n;

	for (size_t i = 0; i < n; i++) {
		number[i] = find(w, at[i], (uint32_t)len[i]);
		if (number[i] == COLUMNS_WORDS_MAX || (w->n - before) > GRACE + i / 2) {
			forget(w, before);
			return false;
		}
	}
	return true;
}

void words_write(const struct words *w, struct buf *out)
{
	for (uint32_t i = 0; i < w->n; i++)
		buf_add(out, w->data + w->word[i].at, w->word[i].len);
}
