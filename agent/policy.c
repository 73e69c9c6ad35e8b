/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent_internal.h"

int policy_may_probe(uid_t uid, const struct process *p, struct error *err)
{
	if (uid == 0 || (uid == p->uid && !p->confined))
		return 0;
	if (uid == p->uid)
		error_set(err, EPERM, "process %d (%s) is kept from its own user: it has, or had, rights beyond yours", p->pid, p->comm);
	else
		error_set(err, EPERM, "process %d (%s) belongs to another user", p->pid, p->comm);
	return error_hint(err, "only root may probe it");
}

bool policy_may_manage(uid_t uid, const struct request *rq)
{
	return uid == 0 || uid == rq->uid;
}
