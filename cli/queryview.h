/* SPDX-License-Identifier: Apache-2.0 */
/* A collector's answer to a question, JSON as docs/openapi.json describes it, as a table or as CSV. */
#ifndef PLUMB_CLI_QUERYVIEW_H
#define PLUMB_CLI_QUERYVIEW_H

#include <stdbool.h>

#include "output.h"
#include "plumb/error.h"

enum query_format { QUERY_TABLE, QUERY_CSV, QUERY_JSON };

bool query_known(const char *what);
/* Hostile text is escaped for a terminal; in CSV (RFC 4180) it is quoted, with what a spreadsheet would take for a formula behind
 * an apostrophe. -EPROTO: that is no such answer. */
int query_show(const char *what, const char *json, enum query_format format, struct output *o, struct error *err);

#endif
