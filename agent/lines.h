/* SPDX-License-Identifier: Apache-2.0 */
/* Source lines -> the code that a file has for them, and in which functions. A worker body. */
#ifndef PLUMB_LINES_H
#define PLUMB_LINES_H

#include "debuginfo.h"
#include "frame.h"

enum { LINES_FILES_MAX = 4096, LINES_MAX = 20000 };

/* Owns query, with its texts and lines; borrows the rest. */
struct lines_question {
	struct line_query *query;
	uint32_t n;
	int fd;
	const char *path, *root;
	struct cache_place cache;     /* of inflated debug information */
};

/* Reads [[path, [line, ...]], ...], bounded. lines_free also after an error. */
int lines_read(const msgpack_object *files, struct lines_question *out, struct error *err);
void lines_free(struct lines_question *q);
/* arg: struct lines_question. Writes an error, or REPLY's payload map (wire.h) ready packed, as inventory.h's bodies do. */
void lines_work(struct buf *out, void *arg);

#endif
