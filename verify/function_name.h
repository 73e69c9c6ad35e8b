/* SPDX-License-Identifier: Apache-2.0 */
/* What --function and a claim name: one function, several of one name (overloads, instantiations of a template), or a pattern. */
#ifndef PLUMB_FUNCTION_NAME_H
#define PLUMB_FUNCTION_NAME_H

#include <stdbool.h>

/* "db_*", "ns::f<*>", or quoted. "f<char *>" and "(*conn).serve" are names. */
bool function_is_pattern(const char *request);
/* The request means the function of that qualified name. */
bool function_means(const char *request, const char *name);
/* As a probe's text has it: for its parser a '*' between '<' and '>' is part of a type, unless the place is quoted. NULL: no memory. */
char *function_probe_text(const char *request);

#endif
