/* SPDX-License-Identifier: Apache-2.0 */
/* What model.c, model_counters.c and model_functions.c share. */
#ifndef PLUMB_MODEL_INTERNAL_H
#define PLUMB_MODEL_INTERNAL_H

#include "model.h"

/* Text that is safe to print; "" if there is none. NULL: no memory. The caller frees it. */
char *safe_text(const msgpack_object *o);

/* -EPROTO, -ENOMEM, in words. */
int model_malformed(struct error *err, const char *what);
int model_no_memory(struct error *err);
int model_no_source(struct error *err);
/* Room for one more pointer in an array whose size goes in powers of two. -ENOSPC: it has `max`; -ENOMEM. */
int model_room(void *array, uint32_t n, uint32_t max);

/* The name of a process. -EPROTO, -ENOMEM. */
int model_learn_comm(struct model *m, struct source *s, uint32_t pid, const msgpack_object *comm);

/* n: PROBE's "functions", NULL for one function. -ENOMEM, -EPROTO. */
int model_make_functions(struct probe *p, const msgpack_object *n);
void model_free_functions(struct probe *p);

#endif
