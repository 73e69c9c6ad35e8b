/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan as the probe's program runs it.  A stage of the loader: what people and tests see is the plan before it.
 */
#ifndef PLUMB_PLAN_LOWER_H
#define PLUMB_PLAN_LOWER_H

#include "plumb/event.h"

/*
 * Rewrites a checked plan (resolved.h) into fewer and narrower operations that leave the same event:
 * OP_KEEP for a register that is stored as it is, no reading back of what was just stored, no bookkeeping for values
 * that are always there (op.track).  Sets PLAN_ZERO_REGS and PLAN_ON_STACK in its flags.
 */
void plan_lower(struct plan *plan);

#endif
