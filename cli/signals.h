/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C and SIGTERM as something to poll for. The second one ends the program at once. */
#ifndef PLUMB_CLI_SIGNALS_H
#define PLUMB_CLI_SIGNALS_H

#include <stdbool.h>

/* Catches SIGINT, SIGTERM and SIGHUP from now on. Returns a descriptor that is readable once one came, or -errno. */
int signals_catch(void);
/* Has one come? */
bool signals_came(void);
/* The default actions again; forgets what came. */
void signals_release(void);

#endif
