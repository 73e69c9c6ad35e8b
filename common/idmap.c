/* SPDX-License-Identifier: Apache-2.0 */
#include "idmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct idmap_slot *find(struct idmap_slot *slot, uint32_t cap, uint32_t id)
{
	uint32_t at = (id * 2654435769u) & (cap - 1);   /* Knuth's multiplicative hash */

	while (slot[at].value && slot[at].id != id)
		at = (at + 1) & (cap - 1);
	return &slot[at];
}

void *idmap_get(const struct idmap *m, uint32_t id)
{
	return m->cap ? find(m->slot, m->cap, id)->value : NULL;
}

static int grow(struct idmap *m)
{
	uint32_t cap = m->cap ? m->cap * 2 : 16;
	struct idmap_slot *slot = calloc(cap, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->cap; i++)
		if (m->slot[i].value)
			*find(slot, cap, m->slot[i].id) = m->slot[i];
	free(m->slot);
	m->slot = slot;
	m->cap = cap;
	return 0;
}

int idmap_set(struct idmap *m, uint32_t id, void *value)
{
	struct idmap_slot *s;

	if (2 * (m->n + 1) > m->cap && grow(m) < 0)
		return -ENOMEM;
	s = find(m->slot, m->cap, id);
	if (!s->value)
		m->n++;
	s->id = id;
	s->value = value;
	return 0;
}

void idmap_free(struct idmap *m)
{
	free(m->slot);
	memset(m, 0, sizeof(*m));
}
