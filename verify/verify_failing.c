/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failing calls with their arguments, as the agent shows some of them beside the counters.  They are details, and no verdict hangs
 * on them: one that cannot be read is a remark.
 */
#include <errno.h>

#include "verify_internal.h"

/* Counters come once a second, calls at once. */
struct verify_shown verify_shown(const struct verify_function_view *f, enum verify_side side)
{
	const struct arm_total *t = side == BASELINE ? f->view->base : f->view->cand;
	uint64_t shown = failing_calls(f->failing, side);

	return (struct verify_shown){ shown, shown > t->errors ? shown : t->errors };
}

static struct judged *judged_of(struct verify *v, const struct item *it)
{
	for (uint32_t i = 0; it && it->kind == ITEM_FUNCTION && i < v->n_judged; i++)
		if (v->judged[i].function == it->index)
			return &v->judged[i];
	return NULL;
}

static int take_record(struct verify *v, const struct arm_request *r, const struct record *record)
{
	uint32_t index;
	struct judged *j = judged_of(v, verify_item_of(v, r, record->probe, &index));

	if (!j || !record->error)
		return 0;
	if (!j->failing)
		j->failing = failing_new();
	return j->failing ? failing_add(j->failing, r->side, record) : -ENOMEM;
}

int verify_take_chunk(struct verify *v, struct arm_request *r, const struct frame_in *in, struct error *err)
{
	struct error why = { 0 };
	struct record record;
	struct chunk chunk;
	int rc;

	if (v->stage != VERIFY_RUNNING)
		return 0;
	rc = chunk_open(&chunk, &r->model, in, &why);
	while (!rc && (rc = chunk_next(&chunk, &r->model, &record, &why)) == 1)
		rc = take_record(v, r, &record);
	if (rc == -ENOMEM)
		return error_set(err, ENOMEM, "no memory for failing calls");
	if (rc)
		verify_remark(v, "%s: some failing calls cannot be shown: %s", v->arm[r->side].label, why.text);
	return 0;
}
