/* SPDX-License-Identifier: Apache-2.0 */
/* What one hit of a probe costs on this machine, apart from its BPF program's own work: the guard's price list. */
#ifndef PLUMB_CALIBRATE_H
#define PLUMB_CALIBRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "plumb/error.h"
#include "site.h"

enum { COST_ENTRY, COST_CALL }; /* one hit of the entry; the same and its return */

struct site_costs {
	uint32_t ns[SITE_KINDS][2];  /* CPU time of the probed thread, [kind][COST_ENTRY or COST_CALL] */
	bool measured;
};

/* What to reckon with before or without a measurement: the upper end of what was seen, see calibrate.c. */
void site_costs_default(struct site_costs *out);

/*
 * Measures with an empty BPF program on functions of this executable, in a child process, in about 120 ms.
 * On failure (err says why) out holds the defaults.
 */
int calibrate(struct site_costs *out, struct error *err);

#endif
