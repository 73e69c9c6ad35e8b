/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One column of integers.  Taken are the distances from the smallest, or of the differences between neighbours if these are
 * smaller.  Random bits go into the hard part: zlib would only copy them.  Where values are skewed or come again in a pattern
 * they go into the soft part.  Of wide ones with a long tail (times!) the low bits are noise and the high ones are skewed.
 */
#include <string.h>

#include "bits.h"
#include "columns_internal.h"

enum {
	SMALL_BITS = 8,          /* that many are one byte in the soft part */
	STRIDE = 4,              /* of the values of a long column that are looked at for a choice */
	LONG = 256,
	UNIT = 256,              /* of a bit */
	NOISE_BITS = 4,          /* above these a value of usual size is not noise */
};

/* ---- choosing ---- */

/* log2(v) in units; v > 0. Between powers of two a straight line and its mean error will do. */
static uint64_t log2_units(uint64_t v)
{
	unsigned whole = bits_of(v | 1) - 1;
	uint64_t part = whole > 8 ? v >> (whole - 8) : v << (8 - whole);

	return (uint64_t)whole * UNIT + (part - UNIT);
}

/* How values are spread: how many have how many bits. */
struct spread {
	uint32_t of[65], n;
};

/* What they would take if values of as many bits were equally likely, in units a value. */
static uint64_t spread_cost(const struct spread *s)
{
	uint64_t units = 0;

	for (unsigned b = 0; b <= 64; b++)
		if (s->of[b])
			units += s->of[b] * (log2_units(s->n) - log2_units(s->of[b]) + (b ? b - 1 : 0) * (uint64_t)UNIT);
	return units / s->n;
}

/* Bits that half of the values fit in. */
static unsigned spread_middle(const struct spread *s)
{
	uint32_t below = 0;
	unsigned b = 0;

	while ((below += s->of[b]) * 2 < s->n)
		b++;
	return b;
}

struct way {
	unsigned flags;        /* COLUMN_DIFFERENCE, COLUMN_ZIGZAG */
	uint64_t base;
	unsigned width;        /* bits of the largest distance */
	uint64_t cost;         /* units a value */
	unsigned low, high;    /* bits: hard, soft */
};

struct range {
	int64_t min, max;      /* of unsigned ones: flipped, so that the order is that of signed ones */
	int64_t least, most;   /* differences */
};

static struct range measure(const uint64_t *v, size_t n, uint64_t flip)
{
	struct range r = { (int64_t)(v[0] ^ flip), (int64_t)(v[0] ^ flip), INT64_MAX, INT64_MIN };

	for (size_t i = 1; i < n; i++) {
		int64_t x = (int64_t)(v[i] ^ flip), d = (int64_t)(v[i] - v[i - 1]);

		r.min = x < r.min ? x : r.min;
		r.max = x > r.max ? x : r.max;
		r.least = d < r.least ? d : r.least;
		r.most = d > r.most ? d : r.most;
	}
	return r;
}

static void spread_of(struct spread *s, const struct way *w, const uint64_t *v, size_t n)
{
	size_t step = n > LONG ? STRIDE : 1, i = w->flags ? 1 : 0;

	memset(s, 0, sizeof(*s));
	for (; i < n; i += step, s->n++) {
		uint64_t x = w->flags ? v[i] - v[i - 1] : v[i];

		s->of[bits_of(w->flags & COLUMN_ZIGZAG ? zigzag(x) : x - w->base)]++;
	}
}

static unsigned width_between(int64_t from, int64_t to)
{
	return bits_of((uint64_t)to - (uint64_t)from);
}

/* Wide values: the cheapest way, by how they are spread. */
static void choose_wide(struct way *w, const struct range *r, const uint64_t *v, size_t n, struct spread *best)
{
	uint64_t outer = zigzag((uint64_t)r->least) | zigzag((uint64_t)r->most);
	const struct way others[] = {
		{ .flags = COLUMN_DIFFERENCE, .base = (uint64_t)r->least, .width = width_between(r->least, r->most) },
		{ .flags = COLUMN_DIFFERENCE | COLUMN_ZIGZAG, .width = bits_of(outer) },
	};
	struct spread s;

	spread_of(best, w, v, n);
	w->cost = spread_cost(best);
	for (size_t k = 0; n > 1 && k < sizeof(others) / sizeof(others[0]); k++) {
		struct way other = others[k];

		spread_of(&s, &other, v, n);
		other.cost = spread_cost(&s);
		if (other.cost + UNIT / 4 >= w->cost)
			continue;
		*w = other;
		*best = s;
	}
}

/* Whole bytes, or a part of one that does not cross its end. */
static unsigned aligned(unsigned width)
{
	return width <= 2 ? width : width <= 4 ? 4 : (width + 7) / 8 * 8;
}

/* True: most come in the same order as before, or they are skewed. The sum of squares stands for entropy: one logarithm. */
static bool is_soft(const uint64_t *v, size_t n, unsigned width)
{
	uint64_t known[512] = { 0 }, window = 0, squares = 0, total = (uint64_t)n * n;
	uint32_t count[1U << SMALL_BITS] = { 0 };
	size_t again = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t *k;

		window = window << 8 | v[i];
		k = &known[window * 0x9e3779b97f4a7c15ULL >> 55];
		again += *k == window;
		*k = window;
		count[v[i]]++;
	}
	for (unsigned i = 0; i < 1U << width; i++)
		squares += (uint64_t)count[i] * count[i];
	return again > n / 2 || (log2_units(total) - log2_units(squares)) * 8 < width * 7ULL * UNIT;
}

static struct way choose(enum column_form form, const uint64_t *v, size_t n, struct spread *s)
{
	uint64_t flip = form == COLUMN_SIGNED ? 0 : 1ULL << 63;
	struct range r = measure(v, n, flip);
	struct way w = { .base = (uint64_t)r.min ^ flip, .width = width_between(r.min, r.max) };

	if (w.width > SMALL_BITS) {
		choose_wide(&w, &r, v, n, s);
	} else if (n > 1 && w.width > 1 && width_between(r.least, r.most) < w.width) {
		w = (struct way){ .flags = COLUMN_DIFFERENCE, .base = (uint64_t)r.least, .width = width_between(r.least, r.most) };
	}
	return w;
}

/* ---- writing ---- */

/* The numbers that are written instead of the values. */
static void distances(const struct way *w, const uint64_t *v, size_t n, uint64_t *out)
{
	if (!w->flags) {
		for (size_t i = 0; i < n; i++)
			out[i] = v[i] - w->base;
		return;
	}
	out[0] = 0;
	for (size_t i = 1; i < n; i++) {
		uint64_t d = v[i] - v[i - 1];

		out[i] = w->flags & COLUMN_ZIGZAG ? zigzag(d) : d - w->base;
	}
}

static void split(struct way *w, const uint64_t *distance, size_t n, const struct spread *s)
{
	if (w->width <= SMALL_BITS) {
		if (w->width == 1 || is_soft(distance, n, w->width))
			w->high = aligned(w->width);
		else
			w->low = w->width;
	} else if (w->width > BITS_WIDTH_MAX || w->cost * 16 < w->width * 15ULL * UNIT) {
		unsigned middle = spread_middle(s);

		w->low = middle > NOISE_BITS ? middle - NOISE_BITS : 0;
		w->low = w->low > BITS_WIDTH_MAX ? BITS_WIDTH_MAX : w->low;
		w->high = aligned(w->width > w->low ? w->width - w->low : 0);
	} else {
		w->low = w->width;
	}
}

static void put_bits(struct buf *out, const uint64_t *v, size_t n, unsigned shift, unsigned width)
{
	uint8_t *to = width ? buf_reserve(out, bits_bytes(n, width) + BITS_SLACK) : NULL;

	if (!to)
		return;
	bits_put(to, v, n, shift, width);
	out->len += bits_bytes(n, width);
}

static void put_planes(struct buf *out, const uint64_t *v, size_t n, unsigned shift, unsigned width)
{
	for (unsigned k = 0; k < width; k += 8) {
		uint8_t *to = buf_reserve(out, n);

		if (!to)
			return;
		for (size_t i = 0; i < n; i++)
			to[i] = (uint8_t)(v[i] >> (shift + k));
		out->len += n;
	}
}

static void put_description(struct buf *out, enum column_form form, const struct way *w, uint64_t first)
{
	buf_char(out, (char)((unsigned)form | w->flags));
	buf_char(out, (char)w->low);
	buf_char(out, (char)w->high);
	varint_put(out, w->flags || form == COLUMN_SIGNED ? zigzag(w->base) : w->base);
	if (w->flags)
		varint_put(out, first);
}

void column_ints(struct column_out *o, enum column_form form, const uint64_t *v, size_t n)
{
	struct spread s = { 0 };
	struct way w = choose(form, v, n, &s);

	distances(&w, v, n, o->scratch);
	split(&w, o->scratch, n, &s);
	put_description(&o->soft, form, &w, v[0]);
	put_bits(&o->hard, o->scratch, n, 0, w.low);
	if (w.high > SMALL_BITS)
		put_planes(&o->soft, o->scratch, n, w.low, w.high);
	else
		put_bits(&o->soft, o->scratch, n, w.low, w.high);
}
