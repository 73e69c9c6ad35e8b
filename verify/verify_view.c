/* SPDX-License-Identifier: Apache-2.0 */
/* How a verification stands, for those who show it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify_internal.h"

static void view_arms(struct verify *v)
{
	for (int side = 0; side < VERIFY_SIDES; side++) {
		const struct arm *a = &v->arm[side];

		v->view.arm[side] = (struct verify_arm_view){
			.label = a->label, .build_id = a->build_id, .processes = a->n_members, .threads = a->threads,
			.most_processes = a->most_processes, .ended = a->ended, .probed_ns = a->probed_ns, .run_ns = a->lived_ns,
		};
	}
}

/* All of them pass: with how many gates each, where that differs. */
static void reason_of_all(struct verify *v)
{
	const char *first = verdict_view(v->judged[0].verdict)->reason;
	bool alike = true, whole = true;
	size_t len = 0;

	for (uint32_t i = 0; i < v->n_judged; i++) {
		const char *reason = verdict_view(v->judged[i].verdict)->reason;

		alike &= strcmp(reason, first) == 0;
		whole &= strncmp(reason, "all ", 4) == 0;
	}
	if (whole)
		snprintf(v->reason, sizeof(v->reason), alike ? "%s of every function" : "all gates of every function pass", first);
	else if (alike)
		snprintf(v->reason, sizeof(v->reason), "of every function %s", first);
	for (uint32_t i = 0; !whole && !alike && i < v->n_judged && len + 1 < sizeof(v->reason); i++)
		len += (size_t)snprintf(v->reason + len, sizeof(v->reason) - len, "%s%s: %s", i ? ". " : "", v->judged[i].claim.function,
					verdict_view(v->judged[i].verdict)->reason);
}

/* Why an arm has shown so little. */
static void add_away(struct verify *v)
{
	size_t len = strlen(v->reason);

	if (v->away[0])
		snprintf(v->reason + len, sizeof(v->reason) - len, "; nothing comes from host %s any more, its connection is gone", v->away);
}

/* The sentence that decides: of the function that failed, else of the first that is not passed. */
static void view_functions(struct verify *v)
{
	const struct verdict_view *why = NULL;

	v->view.eta_s = 0;
	for (uint32_t i = 0; i < v->n_judged; i++) {
		struct judged *j = &v->judged[i];
		const struct verdict_view *view = verdict_view(j->verdict);

		v->function_view[i] = (struct verify_function_view){ j->claim.function, j->verdict, view, j->failing };
		if (!why || (view->state == VERDICT_FAIL && why->state != VERDICT_FAIL) ||
		    (view->state != VERDICT_PASS && why->state == VERDICT_PASS))
			why = view;
		v->view.eta_s = fmax(v->view.eta_s, view->state == VERDICT_UNDECIDED ? view->eta_s : 0);
	}
	v->view.function = v->function_view;
	v->view.n_functions = v->n_judged;
	if (why && v->n_judged > 1 && why->state != VERDICT_PASS)
		snprintf(v->reason, sizeof(v->reason), "%s: %s", why->claim->function, why->reason);
	else if (why && v->n_judged > 1)
		reason_of_all(v);
	else if (why)
		snprintf(v->reason, sizeof(v->reason), "%s", why->reason);
	if (why && why->state == VERDICT_INCONCLUSIVE)
		add_away(v);
}

static void view_hits(struct verify *v)
{
	memset(v->hits, 0, v->coverage->n_lines * sizeof(*v->hits));
	for (uint32_t i = 0; i < v->n_items; i++)
		if (v->item[i].kind == ITEM_LINE)
			v->hits[v->item[i].index] = v->item[i].hits[v->coverage->line[v->item[i].index].side];
	v->view.hits = v->hits;
}

static void view_aa(struct verify *v)
{
	v->view.aa = (struct verify_aa_view){ .state = v->aa.state, .split = v->aa.split, .calls = { v->aa.calls[0], v->aa.calls[1] },
					      .ns = v->aa.ns, .text = v->aa.text };
	if (v->aa.state > AA_NOTHING)
		v->view.state = VERDICT_INCONCLUSIVE;
}

const struct verify_view *verify_view(struct verify *v)
{
	struct verify_view *view = &v->view;

	if (!v->function_view && v->n_judged)
		v->function_view = calloc(v->n_judged, sizeof(*v->function_view));
	if (!v->hits && v->n_requests)
		v->hits = calloc(v->coverage->n_lines + 1, sizeof(*v->hits));
	view->stage = v->stage;
	view->state = verify_state(v);
	view->deadline_ns = v->spec.claim.deadline_ns;
	view->spec = &v->spec;
	view->coverage = v->coverage;
	view->remark = (const char *const *)v->remark;
	view->n_remarks = v->n_remarks;
	view_aa(v);
	view_arms(v);
	if (v->function_view)
		view_functions(v);
	if (v->hits)
		view_hits(v);
	view->reason = v->reason;
	if (v->stage == VERIFY_AA)
		verify_aa_sentence(v, v->waiting, sizeof(v->waiting));
	else
		verify_time_sentence(v, v->waiting, sizeof(v->waiting));
	view->waiting = v->waiting[0] ? v->waiting : NULL;
	return view;
}
