/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the builds are made of the sources on the two sides of the diff, as far as their debug information tells.  If they are not, its
 * line numbers are those of other code: added lines "run" that are not there, and the wrong build passes.
 */
#ifndef PLUMB_SOURCES_H
#define PLUMB_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include "coverage.h"

enum { SOURCES_BELOW = 400, SOURCES_BELOW_ALL = 4000 };   /* of one hunk, of a patch */

/* The lines to ask about beside the diff's own, `room` at most: those below each hunk, of which the answer tells where their functions begin.
 * Returns how many; headers have none, as all of a program may be in the answer then. */
uint32_t sources_below(const struct patch_file *f, enum verify_side side, uint32_t *out, uint32_t room);

/*
 * answer, file_of: as coverage_new; answer[side] NULL: not known yet. one_build: both arms run it, and it has the new lines.
 * -EINVAL with the sentence and a hint: a line of the diff that has no code in any build has code; or a function below a hunk does not
 * begin where the patch puts it. Answers that are ambiguous (two files of a name, overloads) prove nothing. -ENOMEM.
 */
int sources_check(const struct patch *p, const struct lines_answer *const answer[VERIFY_SIDES], const uint32_t *const file_of[VERIFY_SIDES],
		  bool one_build, struct error *err);

#endif
