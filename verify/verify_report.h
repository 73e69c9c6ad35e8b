/* SPDX-License-Identifier: Apache-2.0 */
/* A verification as a file for other programs and for pull requests. All names in it come from somewhere hostile and are escaped. */
#ifndef PLUMB_VERIFY_REPORT_H
#define PLUMB_VERIFY_REPORT_H

#include "buf.h"
#include "verify.h"

enum { SHAPE_ROWS = 16 };   /* of error values, and of arguments of failing calls, in a report */

typedef void verify_report_fn(const struct verify_view *v, struct buf *out);

verify_report_fn verify_report_json, verify_report_markdown, verify_report_junit;
/* By kind: "json", "md", "junit"; NULL: there is no such report. */
verify_report_fn *verify_report(const char *kind, size_t len);

#endif
