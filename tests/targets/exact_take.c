/* SPDX-License-Identifier: Apache-2.0 */
/* Functions with parameters of every kind.  Each one reads all that it is given, so that nothing is optimised away. */
#include <string.h>

#include "exact.h"

static _Thread_local volatile uint64_t sink;

static int result(uint64_t i)
{
	return fails(i) ? -FAIL_CODE : 0;
}

PROBED int take_ints(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f)
{
	sink = (uint64_t)a + b + c + d + f;
	return result(e / -1000);   /* e is -1000 * i */
}

PROBED int take_longs(int64_t a, uint64_t b, char c, bool d, enum color e, void *p)
{
	sink = a + b + c + d + e;
	return result(((uintptr_t)p - 0x1000) / 16);
}

PROBED int take_strings(const char *text, char *tag, const char *none, uint64_t i)
{
	sink = (text ? strlen(text) : 0) + strlen(tag) + (none != NULL);
	return result(i);
}

PROBED int take_names(const struct names *names, uint64_t i)
{
	sink = names->fixed[7] + strlen(names->text) + names->bytes[3] + names->numbers[2];
	return result(i);
}

/* Follows only what is known to be good. */
PROBED int take_tree(const struct node *root, uint64_t i)
{
	sink = root->id + strlen(root->name) + root->own.value;
	return result(i);
}

/* The page is touched by the body only, after a probe on the entry has seen it absent. */
PROBED int take_absent(const struct leaf *page, uint64_t i)
{
	if (page->value != (int32_t)i)
		return -1;
	return result(i);
}

PROBED int take_pair(struct pair p, uint64_t i)
{
	sink = p.first ^ p.second;
	return result(i);
}

PROBED int take_mixed(struct mixed m, uint64_t i)
{
	sink = (uint64_t)m.ratio + m.count + m.mark;
	return result(i);
}

PROBED int take_large(struct large l, uint64_t i)
{
	sink = l.id + l.values[3] + strlen(l.name);
	return result(i);
}

PROBED int take_union(union number n, const union number *p, uint64_t i)
{
	sink = n.whole + p->bytes[7];
	return result(i);
}

PROBED int take_bits(const struct bits *b, uint64_t i)
{
	sink = b->low + b->middle + b->high + b->wide + b->flag + b->major + b->color;
	return result(i);
}

PROBED int take_floats(float f, double d, int i)
{
	sink = (uint64_t)(f + d);
	return result(i);
}

PROBED int take_float_members(const struct floats *f, uint64_t i)
{
	sink = (uint64_t)(f->single + f->twice + f->vector[2]);
	return result(i);
}

PROBED int take_many(int a, int b, int c, int d, int e, int f, int64_t g, const char *h, uint8_t i)
{
	sink = (uint64_t)b + c + d + e + f + g + strlen(h) + i;
	return result(a);
}

static inline __attribute__((always_inline)) uint64_t only_inlined(uint64_t value)
{
	sink = value;
	return value * 3;
}

static PROBED int hidden_static(uint64_t i)
{
	sink = only_inlined(i);
	return result(i);
}

PROBED int take_static(uint64_t i)
{
	int rc = hidden_static(i);

	sink = i;
	return rc;
}
