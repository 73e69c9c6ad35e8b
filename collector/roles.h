/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: one table, for connections of plumb and for HTTP alike. */
#ifndef PLUMB_ROLES_H
#define PLUMB_ROLES_H

#include "plumb/error.h"

/* Each may do what those before it may. */
enum role { ROLE_NONE, ROLE_VIEW, ROLE_PROBE, ROLE_ADMIN };

enum { IDENTITY_NAME_MAX = 64 };

/* Who is asking. */
struct identity {
	char name[IDENTITY_NAME_MAX];   /* of the token */
	enum role role;
};

const char *role_name(enum role r);
/* ROLE_NONE: there is no such role. */
enum role role_parse(const char *name);

/* Actions are the verbs of wire.h, and "query", "verdict" and "live" of HTTP. -ENOSYS: there is no such action;
 * -EACCES with the role that is needed. */
int role_check(const struct identity *who, const char *action, struct error *err);

#endif
