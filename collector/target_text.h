/* SPDX-License-Identifier: Apache-2.0 */
/* What a request is aimed at, in words. */
#ifndef PLUMB_TARGET_TEXT_H
#define PLUMB_TARGET_TEXT_H

#include <msgpack.h>

#include "buf.h"

/* {"pid": n}, {"name": text} or {"path": text} -> as on plumb's command line ("-s orderd"), and the service: the name, the
 * file's base name, "pid n". Safe to print. -EPROTO. */
int target_text(const msgpack_object *o, struct buf *target, struct buf *service);

#endif
