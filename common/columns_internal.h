/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_COLUMNS_INTERNAL_H
#define PLUMB_COLUMNS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "columns.h"
#include "varint.h"

enum { COLUMNS_SHARED = 3, COLUMNS_HEAD = 1 + COLUMNS_SHARED };

/* The first byte of a column. */
enum column_form {
	COLUMN_RAW, COLUMN_UNSIGNED, COLUMN_SIGNED, COLUMN_WORD,
	COLUMN_KIND = 0x0f, COLUMN_DIFFERENCE = 0x10, COLUMN_ZIGZAG = 0x20,
};

/* What values of a column have been seen. */
enum { SEEN_SMALL = 1, SEEN_NEGATIVE = 2, SEEN_LARGE = 4, SEEN_OTHER = 8 };

/* ---- writing one column (columns_ints.c) ---- */

/* The two parts that are being written, and room for numbers. */
struct column_out {
	struct buf soft, hard;
	uint64_t *scratch;             /* room for the numbers of the longest column */
	size_t cap_scratch;
};

/* At least one integer; `v` is kept. */
void column_ints(struct column_out *o, enum column_form form, const uint64_t *v, size_t n);

/* ---- words that come again (columns_words.c) ---- */

struct words {
	const uint8_t *data;
	uint32_t n;
	struct word { uint32_t at, len, slot; } word[COLUMNS_WORDS_MAX];
	uint16_t table[2 * COLUMNS_WORDS_MAX];   /* 0: free, else a word's number + 1 */
};

void words_clear(struct words *w, const void *data);
/* number[i]: of the word at[i], len[i]. False, and nothing has changed: too few of them come again. */
bool words_take(struct words *w, const uint32_t *at, const uint64_t *len, size_t n, uint64_t *number);
void words_write(const struct words *w, struct buf *out);

/* ---- reading (columns_read.c, columns_records.c) ---- */

struct column_in {
	enum column_form form;
	unsigned low, high;            /* bits: hard, soft */
	uint64_t base, first;
	const uint8_t *soft, *end;     /* RAW: the values that are left */
	const uint8_t *hard;
	size_t n;
};

struct group_in {
	uint32_t probe, elements, first_column;
	size_t records, given;
};

struct columns_reader {
	const uint8_t *at, *end;       /* soft */
	const uint8_t *hard, *hard_end;
	size_t max, bytes;             /* the records' bytes are at most ... */
	size_t records;
	uint32_t n_groups, n_columns, cap_columns;
	struct group_in group[COLUMNS_GROUPS_MAX];
	struct column_in order, shared[COLUMNS_SHARED];
	struct column_in *column;
	struct { const uint8_t *at; uint32_t len; } word[COLUMNS_WORDS_MAX];
	uint32_t n_words;
	uint64_t *value;               /* decoded */
	size_t cap_values;
	struct columns_head *head;
	size_t cap_heads;
};

static inline bool column_is_int(const struct column_in *c)
{
	return c->form & COLUMN_KIND && (c->form & COLUMN_KIND) != COLUMN_WORD;
}

static inline bool column_is_signed(const struct column_in *c)
{
	return (c->form & COLUMN_KIND) == COLUMN_SIGNED;
}

/* Not of a RAW column: all its n values. */
void column_values(const struct column_in *c, uint64_t *out);
/* Room for n of them in r->value. */
bool columns_room(struct columns_reader *r, size_t n);

#endif
