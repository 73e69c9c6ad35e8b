/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program under ptrace, stops it at the first instruction of functions and at their returns, and reads what
 * debuginfo says where it says it is.  The program passes known values, so a wrong place is a wrong value.
 */
#ifndef TEST_DEBUGINFO_TRUTH_H
#define TEST_DEBUGINFO_TRUTH_H

#include "debuginfo_files.h"

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

enum { STOPS_MAX = 128, VALUE_MAX = 64 };

struct stop {
	uint64_t addr;                /* in the process */
	const struct function *fn;
	bool is_return;
	long word;                    /* what the breakpoint replaced */
};

struct tracee {
	pid_t pid;
	uint64_t bias;
	struct stop stops[STOPS_MAX];
	int n;
};

/* Reads a value of `len` bytes from its place; false if it has no place. */
UNUSED_OK static bool read_value(pid_t pid, const struct user_regs_struct *r, const struct location *l, void *out,
				 size_t len)
{
	const uint64_t regs[] = { r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi, r->rbp, r->rsp, r->r8, r->r9,
				  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 };
	struct iovec local = { out, len }, remote = { (void *)(regs[l->reg] + (uint64_t)l->offset), len };
	uint8_t bytes[32] = { 0 };
	size_t have = 0;

	assert_true(len <= VALUE_MAX);
	switch (l->kind) {
	case LOCATION_NONE:
		return false;
	case LOCATION_REGISTERS:
		for (int i = 0; i < l->pieces; i++) {
			memcpy(bytes + have, &regs[l->piece[i].reg], 8);
			have += l->piece[i].size;
		}
		assert_true(len <= have);
		memcpy(out, bytes, len);
		return true;
	case LOCATION_CONST:
		assert_true(len <= 8);
		memcpy(out, &l->offset, len);
		return true;
	case LOCATION_INDIRECT:
		assert_int_equal(process_vm_readv(pid, &(struct iovec){ &remote.iov_base, 8 }, 1,
						  &(struct iovec){ remote.iov_base, 8 }, 1, 0), 8);
		break;
	case LOCATION_MEMORY:
		break;
	}
	assert_int_equal(process_vm_readv(pid, &local, 1, &remote, 1, 0), (ssize_t)len);
	return true;
}

UNUSED_OK static void add_stop(struct tracee *t, uint64_t addr, const struct function *fn, bool is_return)
{
	struct stop *s = &t->stops[t->n++];

	assert_true(t->n <= STOPS_MAX);
	*s = (struct stop){ addr, fn, is_return, 0 };
	errno = 0;
	s->word = ptrace(PTRACE_PEEKTEXT, t->pid, addr, 0);
	assert_int_equal(errno, 0);
	assert_int_equal(ptrace(PTRACE_POKETEXT, t->pid, addr, (s->word & ~0xffL) | 0xcc), 0);
}

/* The load address of a position-independent program, 0 of a fixed one. */
UNUSED_OK static uint64_t load_bias(pid_t pid, const char *path)
{
	unsigned char ident[18];
	unsigned long start;
	char maps[64];
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	assert_int_equal(fread(ident, 1, sizeof(ident), f), sizeof(ident));
	fclose(f);
	if (ident[16] != ET_DYN)
		return 0;
	snprintf(maps, sizeof(maps), "/proc/%d/maps", (int)pid);
	f = fopen(maps, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lx-", &start), 1);
	fclose(f);
	return start;
}

UNUSED_OK static void start_tracee(struct tracee *t, const char *path)
{
	int status;

	memset(t, 0, sizeof(*t));
	t->pid = fork();
	assert_true(t->pid >= 0);
	if (t->pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, t->pid, 0, PTRACE_O_EXITKILL), 0);
	t->bias = load_bias(t->pid, path);
}

typedef void stop_fn(struct tracee *t, const struct stop *s, const struct user_regs_struct *regs);

UNUSED_OK static void handle_stop(struct tracee *t, stop_fn *visit)
{
	struct user_regs_struct regs;

	assert_int_equal(ptrace(PTRACE_GETREGS, t->pid, 0, &regs), 0);
	for (int i = 0; i < t->n; i++) {
		struct stop *s = &t->stops[i];

		if (s->addr != regs.rip - 1 || !s->fn)
			continue;
		regs.rip = s->addr;
		assert_int_equal(ptrace(PTRACE_POKETEXT, t->pid, s->addr, s->word), 0);
		assert_int_equal(ptrace(PTRACE_SETREGS, t->pid, 0, &regs), 0);
		if (!s->is_return)
			add_stop(t, (uint64_t)ptrace(PTRACE_PEEKDATA, t->pid, regs.rsp, 0), s->fn, true);
		visit(t, s, &regs);
		s->fn = NULL;
		return;
	}
	fail_msg("a stop at %#llx that nobody asked for", (unsigned long long)regs.rip);
}

/* Runs to the end; each function is stopped at once, on its first call. */
UNUSED_OK static void run_tracee(struct tracee *t, stop_fn *visit)
{
	int status;

	for (;;) {
		assert_int_equal(ptrace(PTRACE_CONT, t->pid, 0, 0), 0);
		assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
		if (WIFEXITED(status))
			break;
		assert_true(WIFSTOPPED(status));
		assert_int_equal(WSTOPSIG(status), SIGTRAP);
		handle_stop(t, visit);
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

#endif
