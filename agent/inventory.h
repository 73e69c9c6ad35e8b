/* SPDX-License-Identifier: Apache-2.0 */
/* What is there to be probed: processes with what their executables are, functions of a file. Worker bodies. */
#ifndef PLUMB_INVENTORY_H
#define PLUMB_INVENTORY_H

#include "buf.h"
#include "cache.h"
#include "service.h"

/* Owns processes, glob and module; borrows the rest. */
struct inventory {
	uid_t uid;                    /* who asks: others see their own processes only */
	struct process *processes;
	size_t n_processes;
	char *glob, *module;
	int fd;
	const char *path, *root;
	const char *builds;        /* which one the file is of, where the target runs several; "": one */
	struct cache_place cache;     /* of inflated debug information */
};

void inventory_free(struct inventory *inv);
/* arg: struct inventory. They write an error, or REPLY's payload map (wire.h) ready packed. */
void inventory_ps_work(struct buf *out, void *arg);
void inventory_funcs_work(struct buf *out, void *arg);
/* Finds the payload in a worker's answer. */
int inventory_read(const char *data, size_t len, const char **payload, size_t *payload_len, struct error *err);

#endif
