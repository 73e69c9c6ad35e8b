/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_PATH_SUFFIX_H
#define PLUMB_PATH_SUFFIX_H

#include <stdbool.h>

/* Whether a path of debug information (absolute, or relative to the compiler's directory) means the path of a patch or of a
 * request: the shorter one is a whole-component suffix of the other. "./" and "//" do not count. */
bool path_suffix_matches(const char *one, const char *other);

#endif
