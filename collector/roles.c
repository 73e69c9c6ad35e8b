/* SPDX-License-Identifier: Apache-2.0 */
#include "roles.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const names[] = { [ROLE_NONE] = "none", [ROLE_VIEW] = "view", [ROLE_PROBE] = "probe", [ROLE_ADMIN] = "admin" };
enum { N_ROLES = sizeof(names) / sizeof(names[0]) };

/* To look at what is there costs the services nothing; what reads their files or puts breakpoints into them is for those who may
 * probe; who did what is for those who answer for it. */
static const struct {
	const char *action;
	enum role needs;
} actions[] = {
	{ "ps", ROLE_VIEW }, { "list", ROLE_VIEW }, { "hosts", ROLE_VIEW }, { "doctor", ROLE_VIEW }, { "query", ROLE_VIEW }, { "live", ROLE_VIEW },
	{ "trace", ROLE_PROBE }, { "stat", ROLE_PROBE }, { "stop", ROLE_PROBE }, { "rm", ROLE_PROBE }, { "funcs", ROLE_PROBE },
	{ "lines", ROLE_PROBE }, { "explain", ROLE_PROBE }, { "verdict", ROLE_PROBE },
	{ "audit", ROLE_ADMIN },
};

const char *role_name(enum role r)
{
	return (unsigned)r < N_ROLES ? names[r] : names[ROLE_NONE];
}

enum role role_parse(const char *name)
{
	for (unsigned r = ROLE_VIEW; r < N_ROLES; r++)
		if (strcmp(names[r], name) == 0)
			return (enum role)r;
	return ROLE_NONE;
}

int role_check(const struct identity *who, const char *action, struct error *err)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].action, action) != 0)
			continue;
		if (who->role >= actions[i].needs)
			return 0;
		error_set(err, EACCES, "'%s' needs a token with the role %s; %s has %s", action, role_name(actions[i].needs), who->name,
			  role_name(who->role));
		error_hint(err, "on the collector's host: plumb-collector token add NAME %s", role_name(actions[i].needs));
		return -EACCES;
	}
	return error_set(err, ENOSYS, "this collector does not know the request '%s'", action);
}
