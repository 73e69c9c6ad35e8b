/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of bpf/probe.bpf.c: which of them a plan needs, and what they need of this kernel. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_numbers.h"
#include "loader_internal.h"
#include "multi.h"
#include "probe.skel.h"

#ifndef BPF_F_SLEEPABLE
#define BPF_F_SLEEPABLE (1U << 4)
#endif

/*
 * When libbpf has relocated a program and is about to load it.  Without the source lines: the kernel checks each of them, and moves
 * those behind whenever it removes what this plan does not need.
 */
static int put_numbers(struct bpf_program *p, struct bpf_prog_load_opts *opts, long cookie)
{
	size_t n = bpf_program__insn_cnt(p);
	struct bpf_insn *insns = calloc(n, sizeof(*insns));
	int rc = insns ? 0 : -ENOMEM;

	opts->line_info = NULL;
	opts->line_info_cnt = 0;
	if (!rc) {
		memcpy(insns, bpf_program__insns(p), n * sizeof(*insns));
		rc = kernel_numbers_put(kernel_numbers(), insns, n);
	}
	if (!rc)
		rc = bpf_program__set_insns(p, insns, n);
	free(insns);
	return rc;
}

int programs_register(void)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = put_numbers);
	static int registered;

	if (!kernel_numbers())
		return -ENOENT;
	if (registered <= 0)
		registered = libbpf_register_prog_handler("plumb", BPF_PROG_TYPE_KPROBE, (enum bpf_attach_type)0, &opts);
	return registered > 0 ? 0 : registered;
}

static void use_program(struct bpf_program *p, bool wanted, const struct plan *plan, int attach_type)
{
	bpf_program__set_autoload(p, wanted);
	if (!wanted)
		return;
	if (attach_type)
		bpf_program__set_expected_attach_type(p, attach_type);
	if (plan->flags & PLAN_SLEEPABLE)
		bpf_program__set_flags(p, bpf_program__flags(p) | BPF_F_SLEEPABLE);
}

static bool is_plain(const struct plan_op *ops, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!(PLAN_PLAIN_CODES >> ops[i].code & 1))
			return false;
	return true;
}

enum plan_length plan_length(const struct plan *plan)
{
	bool plain = is_plain(plan->entry, plan->n_entry) && is_plain(plan->ret, plan->n_return);

	if (plan->n_return > PLAN_BRIEF_RETURN_OPS)
		return PLAN_LONG;
	if (plan->n_entry <= PLAN_BRIEF_ENTRY_OPS)
		return plain ? PLAN_PLAIN_BRIEF : PLAN_BRIEF;
	return plain && plan->n_entry <= PLAN_PLAIN_ENTRY_OPS ? PLAN_PLAIN : PLAN_MIDDLE;
}

void programs_choose(struct loaded *l)
{
	const struct plan *plan = (const struct plan *)&l->skel->rodata->plan;
	const struct { struct bpf_program *entry, *ret, *session; } of[PLAN_LENGTHS] = {
		[PLAN_PLAIN_BRIEF] = { l->skel->progs.plumb_entry_plain_brief, l->skel->progs.plumb_return_plain_brief,
				       l->skel->progs.plumb_session_plain_brief },
		[PLAN_PLAIN] = { l->skel->progs.plumb_entry_plain, l->skel->progs.plumb_return_plain, l->skel->progs.plumb_session_plain },
		[PLAN_BRIEF] = { l->skel->progs.plumb_entry_brief, l->skel->progs.plumb_return_brief, l->skel->progs.plumb_session_brief },
		[PLAN_MIDDLE] = { l->skel->progs.plumb_entry_middle, l->skel->progs.plumb_return_middle, l->skel->progs.plumb_session_middle },
		[PLAN_LONG] = { l->skel->progs.plumb_entry, l->skel->progs.plumb_return, l->skel->progs.plumb_session },
	};
	enum plan_length wanted = plan_length(plan);
	bool session = l->method == ATTACH_SESSION;
	int type = l->method == ATTACH_MULTI ? ATTACH_UPROBE_MULTI : 0;

	for (enum plan_length i = 0; i < PLAN_LENGTHS; i++) {
		use_program(of[i].session, i == wanted && session, plan, ATTACH_UPROBE_SESSION);
		use_program(of[i].entry, i == wanted && !session, plan, type);
		use_program(of[i].ret, i == wanted && !session && l->call, plan, type);
	}
	l->program[0] = session ? of[wanted].session : of[wanted].entry;
	l->program[1] = session ? NULL : of[wanted].ret;
}
