/* SPDX-License-Identifier: Apache-2.0 */
/* The token that a collector is shown. */
#ifndef PLUMB_CLI_TOKEN_H
#define PLUMB_CLI_TOKEN_H

#include "args.h"

enum { TOKEN_MAX = 256 };   /* with its NUL */

/* --token-file, else PLUMB_TOKEN_FILE, else ~/.config/plumb/token, else (root, on the collector's own host) its admin's.
 * -EPERM: others may read the file. */
int token_load(const struct args *a, char token[TOKEN_MAX], struct error *err);

#endif
