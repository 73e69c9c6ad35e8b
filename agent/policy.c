/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent_internal.h"

int policy_may_probe(uid_t uid, const struct process *p, struct error *err)
{
	if (uid == 0 || uid == p->uid)
		return 0;
	error_set(err, EPERM, "process %d (%s) belongs to another user", p->pid, p->comm);
	return error_hint(err, "only root may probe the processes of others");
}

bool policy_may_manage(uid_t uid, const struct request *rq)
{
	return uid == 0 || uid == rq->uid;
}
