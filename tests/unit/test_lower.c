/* SPDX-License-Identifier: Apache-2.0 */
/* What plan_lower makes of given plans. That the result computes the same is test_machine.c's question. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "plan_lower.h"

enum { NO_BIT = PLAN_NO_BIT, NO_REG = PLAN_NO_REG };

static struct plan plan_of(const struct plan_op *entry, uint32_t n, uint32_t data_bytes)
{
	struct plan p = { .n_entry = n, .data_bytes = data_bytes, .event_bytes = (uint32_t)sizeof(struct event) + data_bytes };

	memcpy(p.entry, entry, n * sizeof(*entry));
	plan_lower(&p);
	return p;
}

#define PLAN_OF(ops, data_bytes) plan_of(ops, sizeof(ops) / sizeof((ops)[0]), data_bytes)

/* A number and a text: what `f(a, s)` asks for. */
static void test_captures(void **state)
{
	const struct plan_op ops[] = {
		{ .code = OP_REG, .b = GPR_DI, .size = 4, .sign = 1, .bit = NO_BIT }, { .code = OP_STORE, .size = 8, .bit = 0 },
		{ .code = OP_REG, .b = GPR_SI, .size = 8, .bit = NO_BIT }, { .code = OP_STORE, .size = 8, .off = 8, .bit = 1 },
		{ .code = OP_DATA, .size = 8, .off = 8, .bit = 1 }, { .code = OP_STRING, .size = 64, .off = 16, .bit = 2 },
	};
	struct plan p = PLAN_OF(ops, 88);

	(void)state;
	assert_int_equal(p.n_entry, 3);
	assert_int_equal(p.entry[0].code, OP_KEEP);
	assert_int_equal(p.entry[0].dst, NO_REG);
	assert_int_equal(p.entry[0].size, 4);
	assert_int_equal(p.entry[1].code, OP_KEEP);
	assert_int_equal(p.entry[1].off, 8);
	assert_int_equal(p.entry[2].code, OP_STRING);
	assert_int_equal(p.entry[2].a, NO_REG);
	assert_int_equal(p.entry[2].b, GPR_SI);
	assert_int_equal(p.entry[2].bit, 2);
	assert_int_equal(p.flags, PLAN_ON_STACK);
	assert_int_equal(p.entry[3].code, OP_END);
}

/* What was stored is read back where it may be something else by now. */
static void test_reload_stays(void **state)
{
	const struct plan_op overwritten[] = {
		{ .code = OP_REG, .b = GPR_DI, .size = 8, .bit = NO_BIT }, { .code = OP_STORE, .size = 8, .bit = 0 },
		{ .code = OP_READ, .size = 4, .off = 4, .bit = 1 }, { .code = OP_DATA, .size = 8, .bit = 0 },
		{ .code = OP_STORE, .size = 8, .off = 8, .bit = 2 },
	};
	const struct plan_op other_register[] = {
		{ .code = OP_REG, .b = GPR_DI, .size = 8, .bit = NO_BIT }, { .code = OP_STORE, .size = 8, .bit = 0 },
		{ .code = OP_IMM, .imm = 7, .bit = NO_BIT }, { .code = OP_DATA, .size = 8, .bit = 0 },
		{ .code = OP_STORE, .size = 8, .off = 8, .bit = 2 },
	};
	const struct plan_op shared_bit[] = {
		{ .code = OP_REG, .b = GPR_DI, .size = 8, .bit = NO_BIT }, { .code = OP_READ, .size = 8, .off = 8, .bit = 0 },
		{ .code = OP_STORE, .size = 8, .bit = 0 }, { .code = OP_DATA, .size = 8, .bit = 0 },
		{ .code = OP_STORE, .size = 8, .off = 16, .bit = 2 },
	};
	struct plan p = PLAN_OF(overwritten, 16);

	(void)state;
	assert_int_equal(p.n_entry, 4);
	assert_int_equal(p.entry[2].code, OP_DATA);
	p = PLAN_OF(other_register, 16);
	assert_int_equal(p.n_entry, 4);
	assert_int_equal(p.entry[2].code, OP_DATA);
	p = PLAN_OF(shared_bit, 24);
	assert_int_equal(p.entry[p.n_entry - 2].code, OP_DATA);
	assert_int_equal(p.entry[p.n_entry - 1].bit, 2);
}

/* Only what may be bad is tracked. */
static void test_track(void **state)
{
	const struct plan_op ops[] = {
		{ .code = OP_REG, .b = GPR_DI, .size = 4, .bit = NO_BIT },
		{ .code = OP_BINARY, .sub = BIN_ADD, .dst = 1, .bit = NO_BIT },
		{ .code = OP_LOAD, .dst = 2, .a = 1, .size = 8, .bit = 0 },
		{ .code = OP_BINARY, .sub = BIN_ADD, .dst = 3, .a = 1, .b = 2, .bit = NO_BIT },
		{ .code = OP_REQUIRE, .a = 3, .bit = NO_BIT },
		{ .code = OP_IMM, .dst = 3, .imm = 1, .bit = NO_BIT },
		{ .code = OP_STORE, .a = 3, .size = 8, .bit = 1 },
		{ .code = OP_BINARY, .sub = BIN_DIV_U, .dst = 4, .b = 1, .bit = NO_BIT },
		{ .code = OP_STORE, .a = 4, .size = 8, .off = 8, .bit = 2 },
	};
	static const uint8_t track[] = { 0, 0, TRACK_DST, TRACK_B | TRACK_DST, TRACK_A, TRACK_DST, 0, TRACK_DST, TRACK_A };
	struct plan p = PLAN_OF(ops, 16);

	(void)state;
	assert_int_equal(p.n_entry, sizeof(track));
	for (size_t i = 0; i < sizeof(track); i++)
		assert_int_equal(p.entry[i].track, track[i]);
	assert_int_equal(p.entry[6].bit, NO_BIT);
	assert_int_equal(p.entry[8].bit, 2);
}

/* A register that nothing wrote is 0, and stack that nothing wrote does not leave the kernel. */
static void test_what_nothing_wrote(void **state)
{
	const struct plan_op zero[] = { { .code = OP_STORE, .a = 5, .size = 8, .bit = 0 } };
	const struct plan_op gap[] = { { .code = OP_IMM, .bit = NO_BIT }, { .code = OP_STORE, .size = 8, .off = 8, .bit = 0 } };
	const struct plan_op large[] = {
		{ .code = OP_REG, .b = GPR_DI, .size = 8, .bit = NO_BIT }, { .code = OP_READ, .size = 256, .bit = 0 },
	};
	struct plan p = PLAN_OF(zero, 8);

	(void)state;
	assert_int_equal(p.flags, PLAN_ZERO_REGS | PLAN_ON_STACK);
	p = PLAN_OF(gap, 16);
	assert_int_equal(p.flags, 0);
	p = PLAN_OF(large, 256);
	assert_int_equal(p.flags, 0);
}

static void test_default_error(void **state)
{
	struct plan p = { .flags = PLAN_CALL, .n_return = 4 };

	(void)state;
	p.ret[0] = (struct plan_op){ .code = OP_SPECIAL, .b = SPECIAL_RET, .size = 4, .sign = 1, .bit = NO_BIT };
	p.ret[1] = (struct plan_op){ .code = OP_IMM, .dst = 1, .bit = NO_BIT };
	p.ret[2] = (struct plan_op){ .code = OP_BINARY, .sub = BIN_LT_S, .b = 1, .bit = NO_BIT };
	p.ret[3] = (struct plan_op){ .code = OP_ERROR, .bit = NO_BIT };
	plan_lower(&p);
	assert_int_equal(p.n_return, 1);
	assert_int_equal(p.ret[0].code, OP_FAILED);
	assert_int_equal(p.ret[0].sub, BIN_LT_S);
	assert_int_equal(p.ret[0].size, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captures), cmocka_unit_test(test_reload_stays), cmocka_unit_test(test_track),
		cmocka_unit_test(test_what_nothing_wrote), cmocka_unit_test(test_default_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
