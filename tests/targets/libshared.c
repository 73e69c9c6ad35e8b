/* SPDX-License-Identifier: Apache-2.0 */
#include "libshared.h"

#include "probed.h"

PROBED int shared_sum(const struct shared_pair *pair, int factor)
{
	if (factor == 0)
		return -22;
	return (pair->left + pair->right) * factor;
}
