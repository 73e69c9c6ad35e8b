/* SPDX-License-Identifier: Apache-2.0 */
/* Qualified names of functions, and how a request names them. */
#ifndef PLUMB_QUALIFIED_H
#define PLUMB_QUALIFIED_H

#include <stdbool.h>

/* Whether a request names it: the whole, or whole components from the right; template arguments, anonymous
 * namespaces and Rust's {impl#n} may be left out. */
bool name_matches(const char *qualified, const char *request);
const char *name_last(const char *qualified);              /* "method<int>" */
/* Whether the last components are equal, arguments aside: cheap, before the qualified name is built. */
bool name_last_matches(const char *name, const char *request);

#endif
