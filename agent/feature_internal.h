/* SPDX-License-Identifier: Apache-2.0 */
/* feature.c owns the table; feature_kernel.c tries the kernel, feature_host.c looks at the host and the user. */
#ifndef PLUMB_FEATURE_INTERNAL_H
#define PLUMB_FEATURE_INTERNAL_H

#include "feature.h"

/* What a probe function found: nothing but plain data, for it crosses from a child process. */
struct finding {
	enum feature_state state;
	bool denied;             /* for want of privilege: other advice than for a kernel that lacks it */
	bool done;
	char detail[160];
};

void finding_set(struct finding *f, enum feature_state state, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* FEATURE_MISSING: what failed, and the errno of rc in words. */
void finding_failed(struct finding *f, int rc, const char *what);

/* Run in a child process of their own. */
void try_bpf(struct finding *f);
void try_jit(struct finding *f);
void try_memlock(struct finding *f);
void try_ring(struct finding *f);
void try_task_storage(struct finding *f);
void try_perf_uprobe(struct finding *f);
void try_multi(struct finding *f);
void try_multi_pid(struct finding *f);
void try_session(struct finding *f);
void try_sleepable(struct finding *f);
void try_nops(struct finding *f);
void try_nop5(struct finding *f);
void try_bpf_stats(struct finding *f);

void look_at_privileges(struct finding *f);
void look_at_lockdown(struct finding *f);
void look_at_btf(struct finding *f);
void look_at_map_files(struct finding *f);
void look_at_socket_dir(struct finding *f);
void look_at_group(struct finding *f);

#endif
