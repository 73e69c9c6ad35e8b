/* SPDX-License-Identifier: Apache-2.0 */
/* What model.c and model_functions.c share. */
#ifndef PLUMB_MODEL_INTERNAL_H
#define PLUMB_MODEL_INTERNAL_H

#include "model.h"

/* Text that is safe to print; "" if there is none. NULL: no memory. The caller frees it. */
char *safe_text(const msgpack_object *o);

/* n: PROBE's "functions", NULL for one function. -ENOMEM, -EPROTO. */
int model_make_functions(struct probe *p, const msgpack_object *n);
void model_free_functions(struct probe *p);

#endif
