/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel_numbers.h"

#include <bpf/btf.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>

enum { DEPTH_MAX = 4 /* of anonymous structs in each other */ };

static const struct { const char *type, *member; } members[KERNEL_MEMBERS] = {
	[TASK_PID] = { "task_struct", "pid" }, [TASK_TGID] = { "task_struct", "tgid" }, [TASK_CRED] = { "task_struct", "cred" },
	[CRED_UID] = { "cred", "uid" }, [CRED_EUID] = { "cred", "euid" }, [CRED_SUID] = { "cred", "suid" },
	[CRED_GID] = { "cred", "gid" }, [CRED_EGID] = { "cred", "egid" }, [CRED_SGID] = { "cred", "sgid" },
};

static const char *const functions[KERNEL_FUNCTIONS] = {
	[SESSION_IS_RETURN] = "bpf_session_is_return", [COPY_FROM_USER_STR] = "bpf_copy_from_user_str",
};

/* In bits from the start of type `id`; -ENOENT. Kernels with a randomised layout have the members in an anonymous struct. */
static int64_t member_offset(const struct btf *btf, uint32_t id, const char *name, int depth)
{
	const struct btf_type *t = btf__type_by_id(btf, id);
	const struct btf_member *m;

	if (!t || !btf_is_composite(t))
		return -ENOENT;
	m = btf_members(t);
	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const char *n = btf__name_by_offset(btf, m[i].name_off);
		int64_t inner;

		if (n && !strcmp(n, name))
			return btf_member_bit_offset(t, i);
		if (m[i].name_off || depth == DEPTH_MAX)
			continue;
		inner = member_offset(btf, m[i].type, name, depth + 1);
		if (inner >= 0)
			return btf_member_bit_offset(t, i) + inner;
	}
	return -ENOENT;
}

static int read_members(const struct btf *btf, struct kernel_numbers *out)
{
	for (int i = 0; i < KERNEL_MEMBERS; i++) {
		int id = btf__find_by_name_kind(btf, members[i].type, BTF_KIND_STRUCT);
		int64_t bits = id < 0 ? -ENOENT : member_offset(btf, (uint32_t)id, members[i].member, 0);

		if (bits < 0 || bits % 8 || bits / 8 >= KERNEL_OFFSET)
			return -ENOENT;
		out->offset[i] = (int16_t)(bits / 8);
	}
	return 0;
}

int kernel_numbers_read(struct kernel_numbers *out)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int rc;

	memset(out, 0, sizeof(*out));
	if (!btf)
		return -errno;
	rc = read_members(btf, out);
	for (int i = 0; i < KERNEL_FUNCTIONS; i++) {
		int id = btf__find_by_name_kind(btf, functions[i], BTF_KIND_FUNC);

		out->function[i] = id > 0 ? id : 0;
	}
	btf__free(btf);
	malloc_trim(0);
	return rc;
}

const struct kernel_numbers *kernel_numbers(void)
{
	static struct kernel_numbers numbers;
	static int state; /* 1: read, -errno */

	if (!state)
		state = kernel_numbers_read(&numbers) ?: 1;
	return state == 1 ? &numbers : NULL;
}

static int put_call(const struct kernel_numbers *k, struct bpf_insn *insn)
{
	uint32_t which = (uint32_t)insn->imm - KERNEL_CALL;

	if (which >= KERNEL_FUNCTIONS)
		return -EINVAL;
	if (k->function[which])
		*insn = (struct bpf_insn){ .code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_KFUNC_CALL, .imm = k->function[which] };
	else
		*insn = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -ENOSYS };
	return 0;
}

static int put_offset(const struct kernel_numbers *k, struct bpf_insn *insn)
{
	uint32_t which = (uint32_t)insn->off - KERNEL_OFFSET;

	if (which >= KERNEL_MEMBERS)
		return -EINVAL;
	insn->off = k->offset[which];
	return 0;
}

int kernel_numbers_put(const struct kernel_numbers *k, struct bpf_insn *insns, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		if (insns[i].code == (BPF_LD | BPF_IMM | BPF_DW))
			i++; /* two in one: the second half is data */
		else if (insns[i].code == (BPF_JMP | BPF_CALL) && !insns[i].src_reg && insns[i].imm >= KERNEL_CALL)
			rc = put_call(k, &insns[i]);
		else if (BPF_CLASS(insns[i].code) == BPF_LDX && insns[i].off >= KERNEL_OFFSET)
			rc = put_offset(k, &insns[i]);
	}
	return rc;
}
