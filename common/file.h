/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files that a user names. */
#ifndef PLUMB_FILE_H
#define PLUMB_FILE_H

#include <stddef.h>

#include "plumb/error.h"

/* A whole file, "-": standard input. The caller frees *out, which has a NUL behind its *len bytes. -E2BIG: more than max. */
int file_read(const char *path, size_t max, char **out, size_t *len, struct error *err);

#endif
