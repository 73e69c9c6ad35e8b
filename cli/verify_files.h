/* SPDX-License-Identifier: Apache-2.0 */
/* The files that plumb verify leaves behind: that they can be written, and that none of them is of an earlier run. */
#ifndef PLUMB_CLI_VERIFY_FILES_H
#define PLUMB_CLI_VERIFY_FILES_H

#include "args.h"

/*
 * Before anything runs. -EINVAL: two of the reports and the record have one path, or one is read as well; -errno: one cannot be written.
 * Else the files of the reports are removed if they are there, so that none of an earlier run is taken for one of this run. The record
 * stays until there is another.
 */
int verify_files_prepare(const struct args *a, struct error *err);

#endif
