/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of files that can be made again at any time.  Only this user may look into it; what is found in it is
 * taken only if it is this user's, a regular file and closed to all others.  The sum of the files' lengths stays below
 * a bound: the ones that were not used for the longest time go.
 */
#ifndef PLUMB_CACHE_H
#define PLUMB_CACHE_H

#include <stdint.h>

struct cache_place {
	const char *dir;        /* NULL, "": no cache */
	uint64_t max_bytes;
};

enum { CACHE_NAME_MAX = 200 };

/* Opens the directory, makes it (one level) if there is none. -errno; -EPERM: it is not this user's alone. */
int cache_open(const char *dir);
/* An entry of exactly that length, for reading and writing; it counts as used now. -errno; -EPERM, -EINVAL: not one of ours. */
int cache_find(int dir, const char *name, uint64_t length);
/* An empty file for a new entry of that length, after older entries had to go. `temp` gets its name for the time being.
 * -ENOSPC: more than the bound, or than half of what is free on the disk. */
int cache_create(int dir, uint64_t length, uint64_t max_bytes, char temp[CACHE_NAME_MAX]);
/* It is complete: give it its name, or (name NULL) drop it. */
int cache_publish(int dir, const char *temp, const char *name);

#endif
