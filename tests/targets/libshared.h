/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_TARGETS_LIBSHARED_H
#define PLUMB_TARGETS_LIBSHARED_H

struct shared_pair {
	int left, right;
	const char *name;
};

/* (left + right) * factor, or -22 if factor is 0. */
int shared_sum(const struct shared_pair *pair, int factor);

#endif
