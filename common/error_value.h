/* SPDX-License-Identifier: Apache-2.0 */
/* Values that failing calls return, as people read them: "-22 (EINVAL)". The one place that decides which get a name. */
#ifndef PLUMB_ERROR_VALUE_H
#define PLUMB_ERROR_VALUE_H

#include <stdbool.h>
#include <stdint.h>

enum { ERROR_VALUE_TEXT = 48 };

/*
 * The name that errno has for -value; NULL: none.  It is a guess, so it is only made where functions that follow the kernel's custom
 * return such values: from -4095 to -2.  -1 is what most functions return for any failure, not "operation not permitted".
 */
const char *error_value_name(int64_t value);
/* The value, with its name in brackets if it has one and `may_be_errno`: the function returns a signed integer. Returns out. */
const char *error_value_text(int64_t value, bool may_be_errno, char out[ERROR_VALUE_TEXT]);

#endif
