/* SPDX-License-Identifier: Apache-2.0 */
#include "multi.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { UPROBE_MULTI_RETURN = 1 }; /* BPF_F_UPROBE_MULTI_RETURN */

/* union bpf_attr for BPF_LINK_CREATE of a uprobe_multi link; what the kernel does not know must be zero. */
struct link_attr {
	uint32_t prog_fd;
	uint32_t target_fd;
	uint32_t attach_type;
	uint32_t flags;
	uint64_t path;
	uint64_t offsets;
	uint64_t ref_ctr_offsets;
	uint64_t cookies;
	uint32_t count;
	uint32_t multi_flags;
	uint32_t pid;
	uint32_t zero;
};

_Static_assert(offsetof(struct link_attr, path) == 16, "link_create.uprobe_multi crosses user space / kernel");
_Static_assert(offsetof(struct link_attr, count) == 48, "link_create.uprobe_multi crosses user space / kernel");
_Static_assert(sizeof(struct link_attr) == 64, "link_create.uprobe_multi crosses user space / kernel");

int multi_link_create(int prog_fd, bool session, bool ret, const char *path, const uint64_t *offsets,
		      const uint64_t *cookies, uint32_t count, pid_t pid)
{
	struct link_attr attr = {
		.prog_fd = (uint32_t)prog_fd,
		.attach_type = session ? ATTACH_UPROBE_SESSION : ATTACH_UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)offsets,
		.cookies = (uintptr_t)cookies,
		.count = count,
		.multi_flags = ret && !session ? UPROBE_MULTI_RETURN : 0,
		.pid = (uint32_t)pid,
	};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}
