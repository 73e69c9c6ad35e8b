/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The function that is probed, compiled several times under the name PROBED with flags that decide its first
 * instruction (bench.mk): the price of a uprobe is the price of that instruction.  -DPROBED_SAVES makes it save a register,
 * and so begin with a `push`; -DPROBED_ROOM gives it a stack frame, and so a `sub rsp` to begin with.  -DPROBED_LTTNG puts a source tracepoint into it, for the user-space yardstick.
 */
#include "probed.h"

#ifdef PROBED_LTTNG
#include "lttng_tp.h"
#define MARK(a, b, s) lttng_ust_tracepoint(plumb_bench, call, a, b, s)
#else
#define MARK(a, b, s) ((void)0)
#endif

/* One call in a thousand fails. */
int PROBED(long a, long b, const char *s)
{
#ifdef PROBED_SAVES
	asm volatile("" : : : "rbx");
#endif
#ifdef PROBED_ROOM
	char room[256];

	asm volatile("" : : "r"(room) : "memory");
#endif
	MARK(a, b, s);
	asm volatile("" : : "r"(b), "r"(s) : "memory");
	return a % FAILS_EVERY ? (int)(a & 0xffff) : -22;
}
