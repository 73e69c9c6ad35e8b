/* SPDX-License-Identifier: Apache-2.0 */
/* What is put into a program for its placeholders, and that this kernel has it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel_numbers.h"

static const struct kernel_numbers some = {
	.offset = { [TASK_TGID] = 1268, [CRED_SGID] = 20 }, .function = { [SESSION_IS_RETURN] = 65564 },
};

static struct bpf_insn load(uint8_t size, int off)
{
	return (struct bpf_insn){ .code = BPF_LDX | BPF_MEM | size, .dst_reg = 1, .src_reg = 0, .off = (int16_t)off };
}

static struct bpf_insn call(int32_t what, uint8_t how)
{
	return (struct bpf_insn){ .code = BPF_JMP | BPF_CALL, .src_reg = how, .imm = what };
}

static void members_and_functions_get_their_numbers(void **state)
{
	struct bpf_insn insns[] = { load(BPF_W, KERNEL_OFFSET + TASK_TGID), load(BPF_W, KERNEL_OFFSET + CRED_SGID),
				    call(KERNEL_CALL + SESSION_IS_RETURN, 0) };

	assert_int_equal(kernel_numbers_put(&some, insns, 3), 0);
	assert_int_equal(insns[0].off, 1268);
	assert_int_equal(insns[0].dst_reg, 1);
	assert_int_equal(insns[1].off, 20);
	assert_int_equal(insns[2].code, BPF_JMP | BPF_CALL);
	assert_int_equal(insns[2].src_reg, BPF_PSEUDO_KFUNC_CALL);
	assert_int_equal(insns[2].imm, 65564);
}

static void a_function_that_the_kernel_lacks_fails(void **state)
{
	struct bpf_insn insn = call(KERNEL_CALL + COPY_FROM_USER_STR, 0);

	assert_int_equal(kernel_numbers_put(&some, &insn, 1), 0);
	assert_int_equal(insn.code, BPF_ALU64 | BPF_MOV | BPF_K);
	assert_int_equal(insn.dst_reg, BPF_REG_0);
	assert_int_equal(insn.imm, -ENOSYS);
}

static void everything_else_stays(void **state)
{
	struct bpf_insn insns[] = {
		load(BPF_DW, 16), load(BPF_DW, -8), call(BPF_FUNC_ktime_get_ns, 0), call(KERNEL_CALL + 1, BPF_PSEUDO_CALL),
		{ .code = BPF_STX | BPF_MEM | BPF_W, .off = KERNEL_OFFSET }, /* no load */
		{ .code = BPF_LD | BPF_IMM | BPF_DW, .imm = KERNEL_CALL },
		{ .code = 0, .off = KERNEL_OFFSET, .imm = KERNEL_CALL },      /* the second half of the one before */
		load(BPF_W, KERNEL_OFFSET + TASK_TGID),
	};
	struct bpf_insn before[sizeof(insns) / sizeof(insns[0])];

	memcpy(before, insns, sizeof(insns));
	assert_int_equal(kernel_numbers_put(&some, insns, 8), 0);
	assert_memory_equal(insns, before, 7 * sizeof(insns[0]));
	assert_int_equal(insns[7].off, 1268);
}

static void an_unknown_number_is_refused(void **state)
{
	struct bpf_insn insns[] = { load(BPF_W, KERNEL_OFFSET + KERNEL_MEMBERS), call(KERNEL_CALL + KERNEL_FUNCTIONS, 0) };

	assert_int_equal(kernel_numbers_put(&some, &insns[0], 1), -EINVAL);
	assert_int_equal(kernel_numbers_put(&some, &insns[1], 1), -EINVAL);
}

/* Where there is BTF at all; in task_struct, tgid comes right behind pid since 2.6. */
static void this_kernel_has_them(void **state)
{
	struct kernel_numbers k;
	int rc = kernel_numbers_read(&k);

	if (rc && access("/sys/kernel/btf/vmlinux", R_OK)) {
		print_message("skipped: no kernel BTF here\n");
		skip();
	}
	assert_int_equal(rc, 0);
	assert_true(k.offset[TASK_PID] > 0);
	assert_int_equal(k.offset[TASK_TGID], k.offset[TASK_PID] + 4);
	assert_true(k.offset[TASK_CRED] > k.offset[TASK_TGID]);
	for (int i = CRED_UID; i <= CRED_SGID; i++)
		for (int j = CRED_UID; j < i; j++)
			assert_int_not_equal(k.offset[i], k.offset[j]);
	assert_ptr_equal(kernel_numbers(), kernel_numbers());
	assert_memory_equal(kernel_numbers(), &k, sizeof(k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_and_functions_get_their_numbers),
		cmocka_unit_test(a_function_that_the_kernel_lacks_fails),
		cmocka_unit_test(everything_else_stays),
		cmocka_unit_test(an_unknown_number_is_refused),
		cmocka_unit_test(this_kernel_has_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
