/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/* What is taken of the kernel by number; the loader puts the numbers in (event.h: KERNEL_OFFSET). */
#ifndef PLUMB_KERNEL_BPF_H
#define PLUMB_KERNEL_BPF_H

/* The member of a kernel object that the verifier knows as such; `type`: u32, u64. */
#define kernel_read(type, from, member) ({ \
	__u64 __v; \
	asm("%0 = *(" #type " *)(%1 + %2)" : "=r"(__v) : "r"(from), "i"(KERNEL_OFFSET + (member))); \
	__v; })

#define kernel_session_is_return ((bool (*)(void))(KERNEL_CALL + SESSION_IS_RETURN))
#define kernel_copy_from_user_str ((int (*)(void *, __u32, const void *, __u64))(KERNEL_CALL + COPY_FROM_USER_STR))

#endif
