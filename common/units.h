/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities as people write and read them. Parsers take the whole text or refuse it. */
#ifndef PLUMB_UNITS_H
#define PLUMB_UNITS_H

#include <stdint.h>

#include "buf.h"
#include "plumb/error.h"

int parse_duration(const char *text, uint64_t *ns, struct error *err);   /* 5ms 10s 2m 1.5h; more than 0 */
int parse_count(const char *text, uint64_t *n, struct error *err);       /* 100, 20k, 1M; more than 0 */
int parse_sample(const char *text, uint64_t *n, struct error *err);      /* 1/N */
int parse_rate(const char *text, uint64_t *per_s, struct error *err);    /* N/s or N */
int parse_percent(const char *text, uint64_t *ppm, struct error *err);   /* 10% or 0.5% -> parts per million */
int parse_pid(const char *text, uint64_t *pid, struct error *err);

/* A duration with four significant digits at most: 340ns 12.3us 1.204ms 2.001s 3m12s 2h05m */
void format_duration(struct buf *out, uint64_t ns);
/* A duration as it stands in a record: below a microsecond in ns, then us with one decimal, ms and s with three. */
void format_elapsed(struct buf *out, uint64_t ns);
/* A rate or count in at most six characters: 17 1203 98.3k 1.21M */
void format_count(struct buf *out, double n);

#endif
