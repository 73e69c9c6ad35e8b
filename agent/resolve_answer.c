/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker says of a request: the probes that were resolved, their stages as text, or an error; and how the agent reads it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "resolve_internal.h"

struct answer_head {
	struct error err;
	uint32_t probe_index, n_resolved, text_len;
};

static void answer_error(struct buf *out, const struct error *err, uint32_t probe)
{
	struct answer_head head = { .err = *err, .probe_index = probe };

	buf_add(out, &head, sizeof(head));
}

void resolve_work(struct buf *out, void *arg)
{
	struct resolving r = { .rq = arg };
	struct answer_head head = { 0 };
	struct error err = { 0 };

	if (resolve_all(&r, &head.probe_index, &err)) {
		answer_error(out, &err, head.probe_index);
	} else {
		head.n_resolved = (uint32_t)r.n_found;
		buf_add(out, &head, sizeof(head));
		for (size_t i = 0; i < r.n_found; i++)
			resolved_write(&r.found[i], out);
	}
	close_files(&r);
}

void explain_work(struct buf *out, void *arg)
{
	struct resolving r = { .rq = arg, .costs = ((struct resolve_request *)arg)->costs };
	struct answer_head head = { 0 };
	struct error err = { 0 };
	struct buf text = { 0 };

	if (resolve_all(&r, &head.probe_index, &err)) {
		answer_error(out, &err, head.probe_index);
	} else {
		if (!r.costs.measured) /* the agent is younger than its calibration */
			calibrate(&r.costs, NULL);
		explain_text(&r, &text);
		head.text_len = (uint32_t)text.len;
		buf_add(out, &head, sizeof(head));
		buf_add(out, text.data, text.len);
	}
	buf_free(&text);
	close_files(&r);
}

int resolve_answer_read(const char *data, size_t len, struct resolve_answer *out, char **text)
{
	struct answer_head head;
	size_t at = sizeof(head);

	memset(out, 0, sizeof(*out));
	if (len < sizeof(head))
		return error_set(&out->err, EPROTO, "the resolver's answer is too short");
	memcpy(&head, data, sizeof(head));
	out->err = head.err;
	out->err.text[sizeof(out->err.text) - 1] = out->err.hint[sizeof(out->err.hint) - 1] = '\0';
	out->probe_index = head.probe_index;
	if (out->err.code)
		return 0;
	if (text && head.text_len <= len - at)
		*text = strndup(data + at, head.text_len);
	if (!head.n_resolved)
		return 0;
	if (head.n_resolved > PROBES_MAX * RESOLVED_MAX)
		return error_set(&out->err, EPROTO, "the resolver's answer is malformed");
	out->resolved = calloc(head.n_resolved, sizeof(*out->resolved));
	if (!out->resolved)
		return error_set(&out->err, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < head.n_resolved; i++) {
		int n = resolved_read(data + at, len - at, &out->resolved[i], &out->err);

		if (n < 0)
			return n;
		out->n_resolved++;
		at += (size_t)n;
	}
	return 0;
}

void resolve_answer_free(struct resolve_answer *a)
{
	for (size_t i = 0; i < a->n_resolved; i++)
		resolved_free(&a->resolved[i]);
	free(a->resolved);
	memset(a, 0, sizeof(*a));
}
