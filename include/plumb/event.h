/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * The contract between the BPF program (bpf/) and the agent: the plan that goes in, the events and
 * counters that come out.  Included by both sides; every size that crosses is asserted below.
 */
#ifndef PLUMB_EVENT_H
#define PLUMB_EVENT_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* ---- the plan: what one probe does on entry and on return ---- */

enum {
	PLAN_ENTRY_OPS = 64,     /* operations run at entry */
	PLAN_RETURN_OPS = 32,    /* operations run at return */
	PLAN_BRIEF_ENTRY_OPS = 4,/* the same of the shorter programs, see enum plan_length */
	PLAN_BRIEF_RETURN_OPS = 2,
	PLAN_PLAIN_ENTRY_OPS = 8,
	PLAN_REGS = 8,           /* scratch registers of the plan machine */
	PLAN_LITERALS = 4,       /* string literals that may be compared with */
	PLAN_LITERAL_WORDS = 8,  /* 8-byte words of one literal: 63 characters and the NUL */
	PLAN_DATA_MAX = 8192,    /* bytes of captured data in one event */
	PLAN_STACK_BYTES = 256,  /* an event of an entry that fits is built on the stack */
	PLAN_READ_BITS = 64,     /* user-memory reads of one event whose failure is told apart */
	FRAMES_MAX = 64,         /* open calls of one probe in one thread; deeper ones are missed */
};

enum plan_code {
	OP_END = 0,    /* end of the plan */
	OP_REG,        /* r[dst] = user register b (enum plan_reg), cut to `size` bytes, sign as `sign` */
	OP_IMM,        /* r[dst] = imm */
	OP_LOAD,       /* r[dst] = *(size *)(r[a] + imm) in user memory, sign as `sign`; failure: r[dst] bad, bit */
	OP_DATA,       /* r[dst] = *(size *)(data + off), sign as `sign`; bad if read bit `bit` is set (0xff: none) */
	OP_SPECIAL,    /* r[dst] = special b (enum plan_special) */
	OP_BITS,       /* r[dst] = `size` bits of r[a] from bit b on, sign as `sign` */
	OP_BINARY,     /* r[dst] = r[a] sub r[b] (enum plan_binary); b PLAN_NO_REG: imm, made by plan_lower */
	OP_UNARY,      /* r[dst] = sub r[a] (enum plan_unary) */
	OP_STREQ,      /* r[dst] = the string captured at data + off equals literal b; bad if `bit` is set */
	OP_STORE,      /* *(__u64 *)(data + off) = r[a]; if r[a] is bad: read bit `bit` */
	OP_READ,       /* copy `size` bytes of user memory at r[a] + imm to data + off; failure: read bit `bit` */
	OP_STRING,     /* struct event_string at data + off, `size` bytes of room for text and NUL, from r[a] + imm; failure: `bit`;
			  sub: STRING_NULL_IS_A_VALUE or 0 */
	OP_REQUIRE,    /* the call matches only if r[a] is true; bad: counted as undecided, no match */
	OP_ERROR,      /* the call is an error if r[a] is true; bad: counted as undecided */
	/* What plan_lower makes of the others. It also puts PLAN_NO_REG in the place of a where an address is user register b. */
	OP_KEEP,       /* OP_REG and OP_STORE in one; dst PLAN_NO_REG: in the event only */
	OP_FAILED,     /* the call is an error if the return value, `size` bytes of it, is negative (sub BIN_LT_S) or 0 (BIN_EQ) */
	PLAN_CODES
};

enum { PLAN_NO_REG = 0xff, PLAN_NO_BIT = 0xff };

/* What a plan consists of that fetches values, stores them, and computes nothing but whether a result tells of failure. */
#define PLAN_PLAIN_CODES (1U << OP_REG | 1U << OP_KEEP | 1U << OP_LOAD | 1U << OP_DATA | 1U << OP_STORE | 1U << OP_READ | \
			  1U << OP_STRING | 1U << OP_FAILED)
_Static_assert(PLAN_CODES <= 32, "PLAN_PLAIN_CODES has a bit for each");

/* What may be bad: where it cannot, the program does not look. */
enum plan_track { TRACK_A = 1, TRACK_B = 2, TRACK_DST = 4 /* now or before */ };

enum plan_reg { /* DWARF's x86-64 numbering for the general registers, 0..15 */
	GPR_AX, GPR_DX, GPR_CX, GPR_BX, GPR_SI, GPR_DI, GPR_BP, GPR_SP,
	GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15,
	GPR_COUNT
};

/*
 * An operation that a plan does not have costs nothing at a hit, but 1,600 instructions to be removed by the kernel when the probe
 * is loaded.  So there are programs for shorter plans, and for simple ones.
 */
enum plan_length {
	PLAN_PLAIN_BRIEF, /* as PLAN_BRIEF, and of PLAN_PLAIN_CODES only */
	PLAN_PLAIN,    /* of PLAN_PLAIN_CODES only; PLAN_PLAIN_ENTRY_OPS at entry, PLAN_BRIEF_RETURN_OPS at return */
	PLAN_BRIEF,    /* PLAN_BRIEF_ENTRY_OPS at entry, PLAN_BRIEF_RETURN_OPS at return */
	PLAN_MIDDLE,   /* PLAN_ENTRY_OPS at entry, PLAN_BRIEF_RETURN_OPS at return */
	PLAN_LONG,     /* PLAN_ENTRY_OPS at entry, PLAN_RETURN_OPS at return */
	PLAN_LENGTHS
};

enum plan_special {
	SPECIAL_RET, SPECIAL_DURATION, SPECIAL_PID, SPECIAL_TID, SPECIAL_CPU, SPECIAL_TS,
	SPECIAL_FUNCTION, /* PLAN_PATTERN: the number of the function that was called */
	SPECIALS
};

enum plan_binary {
	BIN_ADD, BIN_SUB, BIN_MUL, BIN_DIV_U, BIN_DIV_S, BIN_MOD_U, BIN_MOD_S,
	BIN_AND, BIN_OR, BIN_XOR, BIN_SHL, BIN_SHR_U, BIN_SHR_S,
	BIN_EQ, BIN_NE, BIN_LT_U, BIN_LT_S, BIN_LE_U, BIN_LE_S,
	BIN_LAND, BIN_LOR, /* three-valued: a false side decides && even if the other is bad */
};

enum plan_unary { UN_NEG, UN_NOT, UN_LNOT };

/* The address 0 is no failure of OP_STRING: `name != "bob"` is true for a name that is NULL. */
enum plan_string { STRING_NULL_IS_A_VALUE = 1 };

struct plan_op {
	__u8 code, dst, a, b;
	__u8 sub, sign;      /* sign: 1 = sign-extend */
	__u8 bit;            /* read bit, 0xff = none */
	__u8 track;          /* enum plan_track, set by plan_lower */
	__u32 size;
	__u32 off;           /* in the event's data */
	__s64 imm;
};

enum plan_flags {
	PLAN_CALL = 1,        /* entry and return are one call: duration, $ret */
	PLAN_SHIP = 2,        /* ship events; without it only counters are kept */
	PLAN_ERRORS_ONLY = 4, /* ship failing calls only */
	PLAN_OPEN = 8,        /* any process: an unknown tgid gets the next slot */
	PLAN_SLEEPABLE = 16,  /* a page that is not in memory may be faulted in */
	PLAN_SESSION = 32,    /* attached as a session: entry may tell the kernel to skip the return */
	PLAN_OWNER = 64,      /* only while the process has plan.uid and no other: it may execute a set-uid program */
	PLAN_CONDITION = 128, /* there is an OP_REQUIRE: not every call matches */
	PLAN_ZERO_REGS = 256, /* a register may be read that nothing wrote */
	PLAN_ON_STACK = 512,  /* entries only, and their events are built on the stack */
	PLAN_PATTERN = 1024,  /* one plan for many functions; a breakpoint's attach cookie is its function's number */
	PLAN_ERROR_VALUES = 2048, /* the return values of failing calls are counted one by one */
	PLAN_FAULT_STRINGS = 4096, /* with PLAN_SLEEPABLE: for a text, too */
};

struct plan {
	__u32 probe;         /* id, copied into each event */
	__u32 flags;         /* enum plan_flags */
	__u32 data_bytes;    /* captured data of one event, multiple of 8 */
	__u32 event_bytes;   /* sizeof(struct event) + data_bytes */
	__u32 frames;        /* frames kept in the task's own storage (1..FRAMES_MAX) */
	__u32 slots;         /* process slots, slot 0 = no process */
	__u32 rings;         /* number of ring buffers, a power of two */
	__u32 wake_bytes;    /* unread bytes in a ring at which the agent is woken */
	__u32 sample;        /* ship one in `sample` matching calls; 0 and 1 = all */
	__u32 rate;          /* events per rate_window_ns over all CPUs; 0 = no limit */
	__u32 n_entry, n_return;
	__u32 uid;           /* PLAN_OWNER */
	__u32 functions;     /* PLAN_PATTERN: how many */
	__u32 rows;          /* PLAN_PATTERN: of counters, the first `slots` of them the slots' own */
	__u16 ret_bytes, ret_signed; /* PLAN_ERROR_VALUES: size of the return value: 1, 2, 4, 8 */
	__u64 rate_window_ns;
	__u64 pidns_dev, pidns_ino; /* the agent's pid namespace; 0: the initial one */
	__u64 literal[PLAN_LITERALS][PLAN_LITERAL_WORDS];
	__u64 literal_mask[PLAN_LITERALS][PLAN_LITERAL_WORDS]; /* covers the text and its NUL */
	struct plan_op entry[PLAN_ENTRY_OPS];
	struct plan_op ret[PLAN_RETURN_OPS];
};

/*
 * What the program takes of the kernel by number: members of structs and kernel functions.  In the object such a load has the
 * offset KERNEL_OFFSET + member, and such a call calls KERNEL_CALL + function; the loader puts in what this kernel's BTF says.
 * libbpf would do the same, but it reads all of that BTF again for each probe.
 */
enum { KERNEL_OFFSET = 0x7e00, KERNEL_CALL = 0x7e000000 };

enum kernel_member {
	TASK_PID, TASK_TGID, TASK_CRED, CRED_UID, CRED_EUID, CRED_SUID, CRED_GID, CRED_EGID, CRED_SGID,
	KERNEL_MEMBERS
};

enum kernel_function {
	SESSION_IS_RETURN,     /* bool bpf_session_is_return(void), from 6.13 on */
	COPY_FROM_USER_STR,    /* int bpf_copy_from_user_str(dst, size, src, flags), from 6.12 on; see PLAN_FAULT_STRINGS */
	KERNEL_FUNCTIONS
};

/* ---- events ---- */

enum event_flags {
	EVENT_RETURN = 1,    /* ret and duration_ns are valid */
	EVENT_ERROR = 2,     /* the error predicate was true */
};

struct event {
	__u32 probe;
	__u32 flags;         /* enum event_flags */
	__u32 pid, tid;      /* in the agent's pid namespace: tgid, thread id */
	__u64 ts_ns;         /* CLOCK_MONOTONIC at entry */
	__u64 duration_ns;
	__u64 ret[2];        /* rax, rdx at return */
	__u64 unread;        /* bit n: the read with bit n failed */
	__u8 data[];
};

struct event_string {
	__u32 len;           /* bytes that follow, without the NUL */
	__u32 cut;           /* 1: the string goes on in the target's memory */
	char text[];
};

/* ---- counters: exact, one struct per CPU and process slot ---- */

enum {
	HIST_SUB_BITS = 4,                       /* 16 linear steps per power of two: a bucket is <= 1/16 wide */
	HIST_SUB = 1 << HIST_SUB_BITS,
	HIST_MAX_BITS = 40,                      /* values from 2^40 ns (18 min) on share the last bucket */
	HIST_BUCKETS = (HIST_MAX_BITS - HIST_SUB_BITS + 1) * HIST_SUB,
};

enum drop_reason { DROP_RING, DROP_RATE, DROP_NOMEM, DROP_REASONS };

/*
 * An atomic add costs as much as a tenth of a breakpoint.  So the program does not keep what follows from the rest:
 * without PLAN_CONDITION `matched` and `returns` stay 0, and `shipped` does always; counts_complete fills them in.
 */
struct counts {
	__u64 calls;         /* hits of the entry site */
	__u64 returns;       /* calls whose return was paired with its entry */
	__u64 errors;        /* calls for which the error predicate was true */
	__u64 matched;       /* calls for which the condition was true */
	__u64 undecided;     /* calls whose condition or error predicate needed an unreadable value */
	__u64 shipped;       /* events put into a ring; while the program runs: about how many */
	__u64 sampled;       /* events left out by sampling */
	__u64 dropped[DROP_REASONS];
	__u64 too_deep;      /* entries beyond FRAMES_MAX open calls: not paired */
	__u64 unwound;       /* open calls that never returned: longjmp, exception, kernel nesting limit */
	__u64 stray;         /* returns without an entry: the call began before the probe */
	__u64 sum_ns;        /* of the durations */
	__u64 max_ns;        /* per CPU, merged by max */
	__u64 hist[HIST_BUCKETS];
};

/* How often failing calls of a process returned a value. */
enum { ERROR_VALUES_MAX = 64 };                /* of one probe in one process */
enum { ERROR_KEY_VALUE, ERROR_KEY_NUMBER };    /* NUMBER: how many values the slot has, or tried to have */
struct error_key { __u32 slot, kind; __s64 value; };

/*
 * A pattern's functions are thousands, most of them never called: each gets a row of counters when it is called first,
 * all of struct counts up to the histogram, and a histogram with a quarter of the steps (a bucket is <= 1/4 wide).
 */
enum {
	PATTERN_FUNCTIONS_MAX = 1 << 16,
	PATTERN_HIST_SHIFT = 2,                  /* bucket n holds the HIST_BUCKETS from n << 2 on */
	PATTERN_BUCKETS = HIST_BUCKETS >> PATTERN_HIST_SHIFT,
};

struct function_counts { __u64 head[15]; };                  /* struct counts without hist */
struct function_hist { __u64 bucket[PATTERN_BUCKETS]; };

/*
 * The bucket of a duration: values below HIST_SUB have one each, above that HIST_SUB per power of two
 * (the log-linear histogram of HdrHistogram, http://hdrhistogram.org).
 */
#ifndef hist_forget
#define hist_forget(r, v) /* the BPF program makes its verifier forget r: it would follow 64 ways to the end */
#endif

static inline __attribute__((always_inline)) __u32 hist_log2(__u64 v)
{
	__u64 r = 0;

	/* Binary search: BPF has no count-leading-zeros. */
	if (v >> 32) { v >>= 32; r += 32; }
	if (v >> 16) { v >>= 16; r += 16; }
	if (v >> 8) { v >>= 8; r += 8; }
	hist_forget(r, v);
	if (v >> 4) { v >>= 4; r += 4; }
	if (v >> 2) { v >>= 2; r += 2; }
	return r + (v >> 1 ? 1 : 0);
}

static inline __attribute__((always_inline)) __u32 hist_bucket(__u64 ns)
{
	__u32 log;

	if (ns < HIST_SUB)
		return ns;
	if (ns >> HIST_MAX_BITS)
		return HIST_BUCKETS - 1;
	log = hist_log2(ns);
	return (log - HIST_SUB_BITS + 1) * HIST_SUB + ((ns >> (log - HIST_SUB_BITS)) & (HIST_SUB - 1));
}

/* Smallest duration of a bucket. */
static inline __u64 hist_floor(__u32 bucket)
{
	__u32 octave = bucket / HIST_SUB, step = bucket % HIST_SUB;

	if (octave == 0)
		return step;
	return (__u64)(HIST_SUB + step) << (octave - 1);
}

/* ---- state of one thread and one probe, in task storage ---- */

struct task_state {
	__u32 slot;          /* of its process in the counters; 0: not looked up yet */
	__u32 depth;         /* open calls, the innermost last */
	__u64 sp[FRAMES_MAX];/* stack pointer at the entry of each open call */
	__u8 frames[];       /* plan.frames events being built, one per open call */
};

/* Open calls beyond plan.frames keep their event in a hash map instead. */
struct deep_key { __u32 tid, depth; };

/* ---- state that both sides write ---- */

/* One for all probes of an agent, in a map that the agent has mapped. */
struct ring_shared {
	__u32 want_wakeup;   /* set by the agent before it sleeps: the next event wakes it and clears this */
	__u32 pad;
};

enum { KNOWN_PROCESSES = 8 };

/* One per probe, in the BPF object's .bss. */
struct probe_shared {
	__u32 next_slot;     /* PLAN_OPEN: next free process slot */
	__u32 live;          /* 1: entries count. 0 while one of two breakpoints (entry, return) is set without the other */
	__u32 next_row;      /* PLAN_PATTERN: next free row of counters */
	__u32 generation;    /* PLAN_PATTERN: of the links that count: the upper half of their cookies, the lower is the function */
	__u64 known[KNOWN_PROCESSES]; /* tgid << 32 | slot at tgid % KNOWN_PROCESSES: who was here lately, 0: nobody */
	__u32 muted, pad0;   /* 1: nobody wants events, they count as sampled */
	__u64 pad[5];        /* what is written at each event has a cache line of its own */
	__u64 rate_window;   /* the window that rate_used belongs to */
	__u64 rate_used;
};

_Static_assert(sizeof(struct plan_op) == 24, "plan_op crosses user space / BPF");
_Static_assert(sizeof(struct event) == 56, "event crosses user space / BPF");
_Static_assert(sizeof(struct event_string) == 8, "event_string crosses user space / BPF");
_Static_assert(sizeof(struct function_counts) == __builtin_offsetof(struct counts, hist), "they are the head of struct counts");
_Static_assert(sizeof(struct error_key) == 16, "error_key crosses user space / BPF");
_Static_assert(PLAN_ENTRY_OPS + PLAN_RETURN_OPS <= 128, "the unrolled program must stay loadable");

#endif
