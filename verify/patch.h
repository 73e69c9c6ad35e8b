/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unified diff (POSIX diff -u, git diff) as lines that were taken out and put in.  The text is hostile: everything is bounded,
 * and a hunk whose counts do not fit its lines is an error with its line number, not a guess.
 */
#ifndef PLUMB_PATCH_H
#define PLUMB_PATCH_H

#include <stddef.h>
#include <stdint.h>

#include "plumb/error.h"

enum {
	PATCH_BYTES_MAX = 16 << 20,
	PATCH_FILES_MAX = 4096,
	PATCH_LINES_MAX = 500000,      /* of all hunks, context included */
	PATCH_LINE_NUMBER_MAX = 10000000,
};

enum patch_kind { PATCH_CONTEXT, PATCH_REMOVED, PATCH_ADDED };

/* A line of a hunk. A number is 0 on the side where the line is not. */
struct patch_line {
	enum patch_kind kind;
	uint32_t old_line, new_line;   /* from 1 */
	const char *text;              /* without its first column, in the patch's own copy; not NUL-terminated */
	uint32_t len;
	uint32_t hunk;                 /* number of its hunk in the file, from 0 */
};

/* Owns its paths and lines. */
struct patch_file {
	char *old_path, *new_path;     /* stripped as asked for; NULL: /dev/null, the file is not on that side */
	struct patch_line *line;
	uint32_t n_lines;
};

/* Owns everything below it, and the text. */
struct patch {
	char *text;
	struct patch_file *file;
	uint32_t n_files;
	uint32_t n_lines;
};

enum { PATCH_STRIP_AUTO = -1 };        /* one component, if both paths begin with a/ and b/; else none */

/* strip: leading components of paths to drop, as patch -p. On 0 *out is the caller's to free. -EINVAL: no unified diff; -E2BIG. */
int patch_parse(const char *text, size_t len, int strip, struct patch **out, struct error *err);
void patch_free(struct patch *p);      /* takes NULL */

#endif
