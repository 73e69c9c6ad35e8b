/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim.yaml: what plumb verify is asked, as a file (docs/verify.md has all keys).  Checked against a schema by libcyaml; a claim may
 * come from somebody else: no aliases, every text and list bounded.
 */
#ifndef PLUMB_CLAIMFILE_H
#define PLUMB_CLAIMFILE_H

#include "verify_spec.h"

enum { CLAIMFILE_BYTES_MAX = 256 << 10 };

/* Adds what the file says to a spec that verify_spec_init has been called on. Files that it names are not read: s->patch_file.
 * -EINVAL: err has the line. */
int claimfile_read(const char *text, size_t len, struct verify_spec *s, struct error *err);

#endif
