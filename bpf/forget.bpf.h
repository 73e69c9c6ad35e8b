/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * The verifier follows each way through the program with what it knows of each value there.  Ways that differ in a number
 * only double at each branch behind; when the number is forgotten they are one way again.
 */
#ifndef PLUMB_FORGET_BPF_H
#define PLUMB_FORGET_BPF_H

/* Makes the verifier forget the value of v, a __u64. */
#define forget_by(v, unknown) asm volatile("%0 += %1\n%0 -= %1" : "+r"(v) : "r"(unknown))

#define forget(v, ctx) ({ \
	__u64 __unknown = *(volatile __u64 *)&(ctx)->rsp, __v = (v); \
	forget_by(__v, __unknown); \
	__v; })

/* Makes the compiler forget it: it shows a value's bounds to the verifier as they are written, and guesses nothing. */
#define hide(v) asm volatile("" : "+r"(v))

#define hist_forget(r, v) forget_by(r, v) /* of event.h */

#endif
