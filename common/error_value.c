/* SPDX-License-Identifier: Apache-2.0 */
#include "error_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ERRNO_MAX = 4095 };   /* the kernel's MAX_ERRNO */

const char *error_value_name(int64_t value)
{
	return value <= -2 && value >= -ERRNO_MAX ? strerrorname_np((int)-value) : NULL;
}

const char *error_value_text(int64_t value, bool may_be_errno, char out[ERROR_VALUE_TEXT])
{
	const char *name = may_be_errno ? error_value_name(value) : NULL;

	snprintf(out, ERROR_VALUE_TEXT, name ? "%" PRId64 " (%s)" : "%" PRId64, value, name);
	return out;
}
