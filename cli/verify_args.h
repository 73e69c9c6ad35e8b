/* SPDX-License-Identifier: Apache-2.0 */
/* From the command line of plumb verify (and the files that it names) to what is to be verified. */
#ifndef PLUMB_CLI_VERIFY_ARGS_H
#define PLUMB_CLI_VERIFY_ARGS_H

#include "args.h"
#include "verify_spec.h"

/* Reads the claim file (a->rest[0], if there is one) and the patch; options outrank the file. verify_spec_free also after an error. */
int verify_args_read(const struct args *a, struct verify_spec *s, struct error *err);
/* Where a report goes. */
struct report_target {
	const char *kind;    /* junit, md, json */
	size_t kind_len;
	char *path;          /* owned */
};
enum { REPORT_TARGETS = 8 };
/* "junit=out.xml,md=out.md". Returns how many, or -EINVAL; each path is the caller's to free. */
int report_targets(const char *text, struct report_target out[REPORT_TARGETS], struct error *err);

#endif
