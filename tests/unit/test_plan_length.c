/* SPDX-License-Identifier: Apache-2.0 */
/* Which program a plan loads: one that lacks an operation of the plan would leave it out, and nobody would notice. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "loader_internal.h"

/* What step_plain of bpf/machine.bpf.h does; all others are step's. */
static const bool plain[PLAN_CODES] = {
	[OP_REG] = true, [OP_KEEP] = true, [OP_LOAD] = true, [OP_DATA] = true, [OP_STORE] = true, [OP_READ] = true,
	[OP_STRING] = true, [OP_FAILED] = true,
};

static void set(struct plan *p, uint32_t n_entry, uint32_t n_return)
{
	memset(p, 0, sizeof(*p));
	for (uint32_t i = 0; i < n_entry; i++)
		p->entry[i].code = OP_REG;
	for (uint32_t i = 0; i < n_return; i++)
		p->ret[i].code = OP_REG;
	p->n_entry = n_entry;
	p->n_return = n_return;
}

static void every_operation_has_a_program_that_knows_it(void **state)
{
	static struct plan p;

	for (uint8_t code = OP_END + 1; code < PLAN_CODES; code++) {
		for (uint32_t at = 0; at < PLAN_BRIEF_ENTRY_OPS; at++) {
			set(&p, PLAN_BRIEF_ENTRY_OPS, 0);
			p.entry[at].code = code;
			assert_int_equal(plan_length(&p), plain[code] ? PLAN_PLAIN_BRIEF : PLAN_BRIEF);
		}
		for (uint32_t at = 0; at < PLAN_PLAIN_ENTRY_OPS; at++) {
			set(&p, PLAN_PLAIN_ENTRY_OPS, 0);
			p.entry[at].code = code;
			assert_int_equal(plan_length(&p), plain[code] ? PLAN_PLAIN : PLAN_MIDDLE);
		}
		for (uint32_t at = 0; at < PLAN_BRIEF_RETURN_OPS; at++) {
			set(&p, 1, PLAN_BRIEF_RETURN_OPS);
			p.ret[at].code = code;
			assert_int_equal(plan_length(&p), plain[code] ? PLAN_PLAIN_BRIEF : PLAN_BRIEF);
			set(&p, PLAN_PLAIN_ENTRY_OPS, PLAN_BRIEF_RETURN_OPS);
			p.ret[at].code = code;
			assert_int_equal(plan_length(&p), plain[code] ? PLAN_PLAIN : PLAN_MIDDLE);
		}
	}
}

static void every_operation_is_run(void **state)
{
	static const uint32_t entry[PLAN_LENGTHS] = {
		[PLAN_PLAIN_BRIEF] = PLAN_BRIEF_ENTRY_OPS, [PLAN_PLAIN] = PLAN_PLAIN_ENTRY_OPS, [PLAN_BRIEF] = PLAN_BRIEF_ENTRY_OPS,
		[PLAN_MIDDLE] = PLAN_ENTRY_OPS, [PLAN_LONG] = PLAN_ENTRY_OPS };
	static const uint32_t ret[PLAN_LENGTHS] = {
		[PLAN_PLAIN_BRIEF] = PLAN_BRIEF_RETURN_OPS, [PLAN_PLAIN] = PLAN_BRIEF_RETURN_OPS, [PLAN_BRIEF] = PLAN_BRIEF_RETURN_OPS,
		[PLAN_MIDDLE] = PLAN_BRIEF_RETURN_OPS, [PLAN_LONG] = PLAN_RETURN_OPS };
	static struct plan p;

	for (uint32_t n = 0; n <= PLAN_ENTRY_OPS; n++) {
		for (uint32_t m = 0; m <= PLAN_RETURN_OPS; m++) {
			set(&p, n, m);
			assert_true(entry[plan_length(&p)] >= n && ret[plan_length(&p)] >= m);
			if (n)
				p.entry[n - 1].code = OP_BINARY;
			assert_true(entry[plan_length(&p)] >= n && ret[plan_length(&p)] >= m);
		}
	}
}

static void not_counted_operations_do_not_count(void **state)
{
	static struct plan p;

	set(&p, 1, 0);
	p.entry[1].code = p.ret[0].code = OP_BINARY;
	assert_int_equal(plan_length(&p), PLAN_PLAIN_BRIEF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_has_a_program_that_knows_it),
		cmocka_unit_test(every_operation_is_run),
		cmocka_unit_test(not_counted_operations_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
