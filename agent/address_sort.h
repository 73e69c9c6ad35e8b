/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_ADDRESS_SORT_H
#define PLUMB_ADDRESS_SORT_H

#include <stddef.h>
#include <stdint.h>

struct address_key { uint64_t addr; uint32_t item; };

/* By address; equal ones keep their order. Linear: tables of a million symbols are sorted for one question. 0 or -ENOMEM. */
int address_sort(struct address_key *keys, size_t n);
/* The first key at or above an address, n if there is none. */
size_t address_lower_bound(const struct address_key *keys, size_t n, uint64_t addr);

#endif
