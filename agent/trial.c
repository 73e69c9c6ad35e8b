/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_SECONDS = 10 };

/* Aligned so that none crosses a page: the kernel does not patch a nop there. */
#define TRIAL_FUNCTION(name, body)                                                             \
	asm(".pushsection .text\n\t.balign 64\n\t.globl " #name "\n\t.hidden " #name "\n\t"    \
	    ".type " #name ", @function\n" #name ":\n\t" body "\n\tret\n\t"                      \
	    ".size " #name ", . - " #name "\n\t.popsection")

TRIAL_FUNCTION(trial_nop5, ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00");
TRIAL_FUNCTION(trial_nop3, ".byte 0x0f, 0x1f, 0x00");
TRIAL_FUNCTION(trial_push, "push %rbx\n\tpop %rbx");
TRIAL_FUNCTION(trial_step, "xor %eax, %eax");

/* ---- programs: instructions by hand, for the kernel's headers give no macros for them ---- */

#define INSN(opcode, dst, src, offset, value) \
	{ .code = (opcode), .dst_reg = (dst), .src_reg = (src), .off = (offset), .imm = (value) }
#define MOV_IMM(dst, value)    INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value)
#define MOV_REG(dst, src)      INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define ADD_IMM(dst, value)    INSN(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, value)
#define CALL(helper)           INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define EXIT()                 INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define LOAD_MAP(dst, how)     INSN(BPF_LD | BPF_DW | BPF_IMM, dst, how, 0, 0), INSN(0, 0, 0, 0, 0)
#define COUNT_AND_EXIT() \
	LOAD_MAP(BPF_REG_1, BPF_PSEUDO_MAP_VALUE), MOV_IMM(BPF_REG_2, 1), \
	INSN(BPF_STX | BPF_DW | BPF_ATOMIC, BPF_REG_1, BPF_REG_2, 0, BPF_ADD), MOV_IMM(BPF_REG_0, 0), EXIT()
#define COUNT_LENGTH 6

static const struct bpf_insn empty_insns[] = { MOV_IMM(BPF_REG_0, 0), EXIT() };

static const struct bpf_insn count_insns[] = { COUNT_AND_EXIT() };

static const struct bpf_insn cookie_insns[] = {
	CALL(BPF_FUNC_get_attach_cookie),
	LOAD_MAP(BPF_REG_1, BPF_PSEUDO_MAP_VALUE),
	INSN(BPF_STX | BPF_DW | BPF_MEM, BPF_REG_1, BPF_REG_0, 0, 0),
	MOV_IMM(BPF_REG_0, 0),
	EXIT(),
};

static const struct bpf_insn storage_insns[] = {
	CALL(BPF_FUNC_get_current_task_btf),
	MOV_REG(BPF_REG_2, BPF_REG_0),
	LOAD_MAP(BPF_REG_1, BPF_PSEUDO_MAP_FD),
	MOV_IMM(BPF_REG_3, 0),
	MOV_IMM(BPF_REG_4, BPF_LOCAL_STORAGE_GET_F_CREATE),
	CALL(BPF_FUNC_task_storage_get),
	INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, COUNT_LENGTH - 2, 0),
	COUNT_AND_EXIT(),
};

static const struct bpf_insn copy_insns[] = {
	MOV_REG(BPF_REG_1, BPF_REG_10),
	ADD_IMM(BPF_REG_1, -8),
	MOV_IMM(BPF_REG_2, 8),
	MOV_IMM(BPF_REG_3, 0),
	CALL(BPF_FUNC_copy_from_user),
	COUNT_AND_EXIT(),
};

#define PROGRAM(array) { array, sizeof(array) / sizeof(array[0]) }
enum { INSNS_MAX = 16 };

static const struct {
	const struct bpf_insn *insns;
	size_t count;
} programs[TRIAL_PROGRAMS] = {
	[TRIAL_EMPTY] = PROGRAM(empty_insns),
	[TRIAL_COUNT] = PROGRAM(count_insns),
	[TRIAL_COOKIE] = PROGRAM(cookie_insns),
	[TRIAL_STORAGE] = PROGRAM(storage_insns),
	[TRIAL_COPY] = PROGRAM(copy_insns),
};

_Static_assert(sizeof(storage_insns) / sizeof(storage_insns[0]) <= INSNS_MAX, "the longest of them fits");

int trial_load(enum trial_program what, int attach_type, uint32_t flags, int map, int map2)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = (enum bpf_attach_type)attach_type, .prog_flags = flags);
	struct bpf_insn insns[INSNS_MAX];
	size_t count = programs[what].count;
	int fd;

	memcpy(insns, programs[what].insns, count * sizeof(insns[0]));
	for (size_t i = 0; i < count; i++) {
		if (insns[i].code == (BPF_LD | BPF_DW | BPF_IMM))
			insns[i].imm = insns[i].src_reg == BPF_PSEUDO_MAP_VALUE ? map : map2;
	}
	fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "plumb_trial", "Dual BSD/GPL", insns, count, &opts);
	return fd < 0 ? -errno : fd;
}

/* ---- maps ---- */

int trial_counter(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "plumb_trial", sizeof(uint32_t), sizeof(uint64_t), 1, NULL);

	return fd < 0 ? -errno : fd;
}

/* Storage maps must describe their key and value in BTF. */
int trial_task_storage(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	struct btf *btf = btf__new_empty();
	int key, value, fd = -ENOMEM;

	if (!btf)
		return -ENOMEM;
	key = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	value = btf__add_int(btf, "u64", 8, 0);
	if (key > 0 && value > 0)
		fd = btf__load_into_kernel(btf);
	if (fd >= 0) {
		opts.btf_fd = (uint32_t)btf__fd(btf);
		opts.btf_key_type_id = (uint32_t)key;
		opts.btf_value_type_id = (uint32_t)value;
		fd = bpf_map_create(BPF_MAP_TYPE_TASK_STORAGE, "plumb_trial", sizeof(int), sizeof(uint64_t), 0, &opts);
		if (fd < 0)
			fd = -errno;
	}
	btf__free(btf);
	return fd;
}

int trial_value(int map, uint64_t *out)
{
	uint32_t key = 0;

	return bpf_map_lookup_elem(map, &key, out) == 0 ? 0 : -errno;
}

/* ---- perf-event uprobes ---- */

static int uprobe_pmu_type(void)
{
	FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int type = -ENOENT;

	if (!f)
		return -errno;
	if (fscanf(f, "%d", &type) != 1)
		type = -EINVAL;
	fclose(f);
	return type;
}

int trial_perf_link(int prog, bool ret, uint64_t offset, uint64_t cookie, int *event)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = cookie);
	struct perf_event_attr attr = { .size = sizeof(attr), .config = ret, .config1 = (uintptr_t)TRIAL_PATH, .config2 = offset };
	int type = uprobe_pmu_type(), link;

	*event = -1;
	if (type < 0)
		return type;
	attr.type = (uint32_t)type;
	*event = (int)syscall(SYS_perf_event_open, &attr, getpid(), -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (*event < 0)
		return -errno;
	link = bpf_link_create(prog, *event, BPF_PERF_EVENT, &opts);
	return link < 0 ? -errno : link;
}

/* ---- this process ---- */

/* Calls visit for each line of maps until it returns true; true if it did. */
static bool find_mapping(bool (*visit)(const char *line, void *arg), void *arg)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4400];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = visit(line, arg);
	fclose(f);
	return found;
}

struct covers {
	uint64_t addr, offset;
};

static bool covers(const char *line, void *arg)
{
	unsigned long long start, end, offset;
	struct covers *c = arg;

	if (sscanf(line, "%llx-%llx %*s %llx", &start, &end, &offset) != 3 || c->addr < start || c->addr >= end)
		return false;
	c->offset = c->addr - start + offset;
	return true;
}

int trial_offset(void (*function)(void), uint64_t *out)
{
	struct covers c = { .addr = (uintptr_t)function };

	if (!find_mapping(covers, &c))
		return -ENOENT;
	*out = c.offset;
	return 0;
}

static bool is_step_page(const char *line, void *arg)
{
	return strstr(line, "[uprobes]") != NULL;
}

bool trial_was_stepped(void)
{
	return find_mapping(is_step_page, NULL);
}

bool trial_is_patched(void (*function)(void))
{
	return *(volatile uint8_t *)(uintptr_t)function == 0xe8;
}

/* ---- the child ---- */

static void run_child(void (*work)(void *shared), void *shared, pid_t parent)
{
	/* A handler that the parent has set must not run here, and the child must end even if the kernel hangs. */
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	sigaction(SIGALRM, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	alarm(CHILD_SECONDS);
	libbpf_set_print(NULL); /* failures are findings here, not messages */
	work(shared);
	_exit(0);
}

static int wait_child(pid_t child, int *signal)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	*signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return -ECHILD;
}

int trial_start(struct trial *t, void (*work)(void *shared), size_t size)
{
	pid_t parent = getpid();

	t->size = size;
	t->shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t->shared == MAP_FAILED)
		return -errno;
	t->child = fork();
	if (t->child == 0)
		run_child(work, t->shared, parent);
	if (t->child < 0) {
		int rc = -errno;

		munmap(t->shared, size);
		return rc;
	}
	return 0;
}

int trial_finish(struct trial *t, void *out, int *signal)
{
	int rc;

	*signal = 0;
	rc = wait_child(t->child, signal);
	memcpy(out, t->shared, t->size);
	munmap(t->shared, t->size);
	return rc;
}
