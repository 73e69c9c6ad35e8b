/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching one BPF program to many functions with one link (uprobe_multi, kernel >= 6.6), and to their entry and
 * return as one call (uprobe session, >= 6.13).  Only newer libbpf can make these links, and only newer kernel
 * headers have the names, so the system call is made here by hand.
 */
#ifndef PLUMB_MULTI_H
#define PLUMB_MULTI_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* enum bpf_attach_type, as in the kernel's ABI; a program must be loaded with the one that its link is made with. */
enum {
	ATTACH_UPROBE_MULTI = 48,    /* BPF_TRACE_UPROBE_MULTI */
	ATTACH_UPROBE_SESSION = 57,  /* BPF_TRACE_UPROBE_SESSION */
};

/*
 * Attaches prog_fd at `count` file offsets of the file at `path`, which the calling process resolves
 * ("/proc/PID/exe" is fine).  session: one link for entry and return (`ret` is then ignored); ret: the returns
 * only.  cookies: one per offset, or NULL.  pid: only the process with that thread group id, in the caller's
 * pid namespace; 0 = all processes.  Kernels before 6.10 take it for one thread: see FEATURE_MULTI_PID.
 * Returns the link's fd, which the caller closes to detach, or -errno.
 */
int multi_link_create(int prog_fd, bool session, bool ret, const char *path, const uint64_t *offsets,
		      const uint64_t *cookies, uint32_t count, pid_t pid);

#endif
