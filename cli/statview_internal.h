/* SPDX-License-Identifier: Apache-2.0 */
/* What statview.c and statview_pattern.c share. */
#ifndef PLUMB_CLI_STATVIEW_INTERNAL_H
#define PLUMB_CLI_STATVIEW_INTERNAL_H

#include "statview.h"

enum { NAME_WIDTH = 22, COUNT_WIDTH = 11, TIME_WIDTH = 9, BAR_MAX = 60, LABELS_WIDTH = 34 };

void put_right(struct buf *out, const struct buf *cell, unsigned width);
/* The number, or with per_ns how often it was in a second. */
void put_count(struct buf *out, uint64_t n, uint64_t per_ns);
/* Quantiles and the maximum. */
void put_times(struct buf *out, const struct counts *c);
void json_counts(struct buf *out, const struct counts *c, uint64_t ns);

/* The tables of patterns: their functions by calls, at most `lines` of each. */
void pattern_text(const struct statview *v, const struct model *m, struct output *o, unsigned lines, struct buf *text);
/* The pattern, its build and ,"functions":[...], those that were called. */
void pattern_json(const struct statview *v, const struct model *m, const struct statrow *row, struct buf *out);

#endif
