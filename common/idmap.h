/* SPDX-License-Identifier: Apache-2.0 */
/* A hash from 32-bit ids to pointers that it does not own, for one lookup per record. */
#ifndef PLUMB_IDMAP_H
#define PLUMB_IDMAP_H

#include <stdint.h>

struct idmap {
	struct idmap_slot { uint32_t id; void *value; } *slot;
	uint32_t n, cap;     /* cap: a power of two, at most half full */
};

void *idmap_get(const struct idmap *m, uint32_t id);
/* Sets or replaces. -ENOMEM. value must not be NULL. */
int idmap_set(struct idmap *m, uint32_t id, void *value);
void idmap_free(struct idmap *m);

#endif
