/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of this kernel that the probes' programs need: where members of its structs lie, and the BTF ids of its functions
 * (event.h: KERNEL_OFFSET).  The kernel's BTF, 5 MB, is read once for them.
 */
#ifndef PLUMB_KERNEL_NUMBERS_H
#define PLUMB_KERNEL_NUMBERS_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plumb/event.h"

struct kernel_numbers {
	int16_t offset[KERNEL_MEMBERS];        /* in bytes */
	int32_t function[KERNEL_FUNCTIONS];    /* 0: this kernel does not have it */
};

/* Reads them. -errno: this kernel has no BTF, or a member is not in it. */
int kernel_numbers_read(struct kernel_numbers *out);

/*
 * As read when it was called first; NULL: they could not be read.  Not for several threads at once before that.
 */
const struct kernel_numbers *kernel_numbers(void);

/* Puts them into a program.  A call of a function that is not there becomes a failure, -ENOSYS. -EINVAL: an unknown number. */
int kernel_numbers_put(const struct kernel_numbers *k, struct bpf_insn *insns, size_t n);

#endif
