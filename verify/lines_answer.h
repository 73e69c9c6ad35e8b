/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "lines" (wire.h): which code an agent's build has for source lines. The answer comes from hostile debug information. */
#ifndef PLUMB_LINES_ANSWER_H
#define PLUMB_LINES_ANSWER_H

#include <msgpack.h>
#include <stdbool.h>
#include <stdint.h>

#include "plumb/error.h"

enum {
	LINES_FUNCTIONS_MAX = 4096,
	LINES_ANSWERED_MAX = 20000,
	LINES_PLACES_MAX = 64,         /* of one line; more are not looked at */
};
#define LINES_NO_HOLDER UINT32_MAX

struct lines_function {
	char *name, *signature, *file;
	uint32_t line, copies;         /* copies: how often it was inlined */
	bool own_code;                 /* can be called, and probed ... */
	bool stepped;                  /* ... where the kernel has to single-step; false also: not told */
};

struct lines_place {
	uint32_t function, addresses;
	uint32_t holder;               /* the function whose code it is: another one, if it is inlined. LINES_NO_HOLDER: not told */
	bool inlined;
	bool own;                      /* a statement of the line begins there */
};

struct lines_line {
	uint32_t file, line, n_places;
	struct lines_place *place;
};

/* Owns everything below it. lines_answer_free takes one that is all zeros. */
struct lines_answer {
	char *build_id, *module;
	struct lines_function *function;
	struct lines_line *line;
	uint32_t *paths;               /* by the question's file: so many files of the build have such a path; NULL: not told */
	uint32_t n_functions, n_lines;
	bool more;                     /* the agent has left some out */
};

/* n_files: how many were asked about. -EPROTO, -ENOMEM; free it also then. */
int lines_answer_read(const msgpack_object *payload, uint32_t n_files, struct lines_answer *out, struct error *err);
void lines_answer_free(struct lines_answer *a);
/* NULL: not asked about. */
const struct lines_line *lines_answer_find(const struct lines_answer *a, uint32_t file, uint32_t line);

#endif
