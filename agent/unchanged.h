/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_UNCHANGED_H
#define PLUMB_UNCHANGED_H

#include <stdbool.h>
#include <sys/stat.h>

/* One file with one content, as far as stat tells: a file that took its place has another inode, one that was written to
 * another ctime, which nobody can set. */
static inline bool file_unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

#endif
