/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a stored verdict: refused, or an answer that can be printed, is the same twice, and keeps the rule.
 * fuzz-sources: verdict/[a-z]*.c common/[a-z]*.c -lm
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing seen is never a PASS, and a PASS is one of every gate. */
static void check_rule(struct verdict *v)
{
	const struct verdict_view *view = verdict_view(v);

	if (view->state != VERDICT_PASS)
		return;
	if (view->cand->calls == 0 || view->base->calls == 0)
		abort();
	for (unsigned i = 0; i < view->gates; i++)
		if (view->gate[i]->state != GATE_PASS && !(view->gate[i]->state == GATE_NOT_JUDGED && view->gate[i]->optional))
			abort();
}

static void count_note(void *data, const char *key, const char *value)
{
	*(size_t *)data += strlen(key) + strlen(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { 0 };
	size_t notes = 0;
	struct buf first = { 0 }, again = { 0 };
	struct verdict *v = verdict_replay(data, size, &err), *w;

	verdict_notes(data, size, count_note, &notes, &err);
	if (!v) {
		if (!err.text[0])
			abort();
		return 0;
	}
	check_rule(v);
	verdict_print(v, &first);
	w = verdict_replay(data, size, &err);
	if (!w)
		abort();
	verdict_print(w, &again);
	if (strcmp(buf_text(&first), buf_text(&again)) != 0)
		abort();
	verdict_free(v);
	verdict_free(w);
	buf_free(&first);
	buf_free(&again);
	return 0;
}
