/* SPDX-License-Identifier: Apache-2.0 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "debuginfo_internal.h"

enum { CHUNK_BYTES = 64 * 1024 };

/* What one debuginfo may hold: the largest real programs need some 100 MB for all of their functions. */
static const size_t POOL_BYTES_MAX = (size_t)1 << 30;

struct pool_chunk {
	struct pool_chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

static struct pool_chunk *chunk_new(struct pool *p, size_t size)
{
	size_t want = size > CHUNK_BYTES ? size : CHUNK_BYTES;
	struct pool_chunk *c;

	if (p->total + want > POOL_BYTES_MAX)
		return NULL;
	c = calloc(1, sizeof(*c) + want);
	if (!c)
		return NULL;
	c->size = want;
	c->next = p->chunks;
	p->chunks = c;
	p->total += want;
	return c;
}

void *pool_alloc(struct pool *p, size_t size)
{
	struct pool_chunk *c = p->chunks;
	void *out;

	if (size > POOL_BYTES_MAX)
		return NULL;
	size = (size + 15) & ~(size_t)15;
	if (!c || c->size - c->used < size)
		c = chunk_new(p, size);
	if (!c)
		return NULL;
	out = c->data + c->used;
	c->used += size;
	return out;
}

char *pool_copy(struct pool *p, const char *text, size_t len)
{
	char *out = pool_alloc(p, len + 1);

	if (out)
		memcpy(out, text, len);
	return out;
}

void pool_free(struct pool *p)
{
	while (p->chunks) {
		struct pool_chunk *c = p->chunks;

		p->chunks = c->next;
		free(c);
	}
	p->total = 0;
}

void *list_add(struct list *l)
{
	char *item;

	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 32;
		char *items = reallocarray(l->items, cap, l->item_size);

		if (!items)
			return NULL;
		l->items = items;
		l->cap = cap;
	}
	item = l->items + l->count++ * l->item_size;
	memset(item, 0, l->item_size);
	return item;
}

void list_free(struct list *l)
{
	free(l->items);
	l->items = NULL;
	l->count = l->cap = 0;
}

static int keyed_compare(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

struct keyed *keyed_find(void *const *root, const void *key)
{
	struct keyed want = { key }, **found = tfind(&want, root, keyed_compare);

	return found ? *found : NULL;
}

int keyed_add(void **root, struct keyed *item)
{
	return tsearch(item, root, keyed_compare) ? 0 : -1;
}

static void keep_item(void *item)
{
}

void keyed_free(void **root, void (*free_item)(void *item))
{
	tdestroy(*root, free_item ? free_item : keep_item);
	*root = NULL;
}
