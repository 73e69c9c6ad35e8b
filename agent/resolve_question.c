/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as bytes, from the agent to a child of its own.  The child has not been told anything else, so all that a
 * request borrows goes along: a head, the numbers of the probes, then the texts, each "\1text\0", or "\0" for none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "resolve.h"

enum exe_is { EXE_NONE, EXE_THE_FILE, EXE_OTHER };

struct question_head {
	uint64_t show_errors, cache_bytes;
	struct capture_limits limits;
	struct site_costs costs;
	uint32_t n_probes, n_index;
	uint8_t exe, errors_only, ship, force_call, unwind_ok, explain;
};

static void add_text(struct buf *out, const char *text)
{
	buf_char(out, text ? 1 : 0);
	if (text)
		buf_add(out, text, strlen(text) + 1);
}

static bool is_asked(const struct resolve_request *rq, uint32_t probe)
{
	for (uint32_t i = 0; i < rq->n_index; i++)
		if (rq->index[i] == probe)
			return true;
	return false;
}

void resolve_question_write(const struct resolve_request *rq, struct buf *out)
{
	struct question_head h;

	memset(&h, 0, sizeof(h));
	h.show_errors = rq->show_errors;
	h.cache_bytes = rq->cache.max_bytes;
	h.limits = rq->limits;
	h.costs = rq->costs;
	h.n_index = rq->n_index;
	h.exe = rq->exe_fd < 0 ? EXE_NONE : rq->exe_fd == rq->fd ? EXE_THE_FILE : EXE_OTHER;
	h.errors_only = rq->errors_only;
	h.ship = rq->ship;
	h.force_call = rq->force_call;
	h.unwind_ok = rq->unwind_ok;
	h.explain = rq->explain;
	for (uint32_t i = 0; i < rq->n_index; i++)
		if (rq->index[i] >= h.n_probes)
			h.n_probes = rq->index[i] + 1;
	buf_add(out, &h, sizeof(h));
	buf_add(out, rq->index, rq->n_index * sizeof(*rq->index));
	add_text(out, rq->path);
	add_text(out, rq->root);
	add_text(out, rq->cache.dir);
	add_text(out, rq->error_expr);
	add_text(out, rq->method[0]);
	add_text(out, rq->method[1]);
	add_text(out, rq->builds);
	for (uint32_t i = 0; i < h.n_probes; i++)
		add_text(out, is_asked(rq, i) ? rq->probes[i] : NULL);
}

/* ---- reading ---- */

struct rest { const char *at, *end; };

static bool take(struct rest *r, void *out, size_t n)
{
	if ((size_t)(r->end - r->at) < n)
		return false;
	memcpy(out, r->at, n);
	r->at += n;
	return true;
}

static bool take_text(struct rest *r, const char **out)
{
	const char *end;
	char there;

	*out = NULL;
	if (!take(r, &there, 1))
		return false;
	if (!there)
		return true;
	end = memchr(r->at, '\0', (size_t)(r->end - r->at));
	if (!end)
		return false;
	*out = r->at;
	r->at = end + 1;
	return true;
}

static bool take_texts(struct rest *r, const struct question_head *h, struct resolve_question *q)
{
	struct resolve_request *rq = &q->request;

	if (!take_text(r, &rq->path) || !take_text(r, &rq->root) || !take_text(r, &rq->cache.dir) ||
	    !take_text(r, &rq->error_expr) || !take_text(r, &rq->method[0]) || !take_text(r, &rq->method[1]) ||
	    !take_text(r, &rq->builds) || !rq->path || !rq->root)
		return false;
	for (uint32_t i = 0; i < h->n_probes; i++)
		if (!take_text(r, &q->probe[i]))
			return false;
	for (uint32_t i = 0; i < h->n_index; i++)
		if (q->index[i] >= h->n_probes || !q->probe[q->index[i]])
			return false;
	return r->at == r->end;
}

int resolve_question_read(const char *data, size_t len, const int fd[2], struct resolve_question *q)
{
	struct rest r = { data, data + len };
	struct question_head h;

	memset(q, 0, sizeof(*q));
	if (!take(&r, &h, sizeof(h)) || h.n_probes > PROBES_MAX || h.n_index == 0 || h.n_index > PROBES_MAX ||
	    !take(&r, q->index, h.n_index * sizeof(*q->index)) || !take_texts(&r, &h, q))
		return -EPROTO;
	q->request.fd = fd[0];
	q->request.exe_fd = h.exe == EXE_NONE ? -1 : h.exe == EXE_THE_FILE ? fd[0] : fd[1];
	q->request.cache.max_bytes = h.cache_bytes;
	q->request.probes = q->probe;
	q->request.index = q->index;
	q->request.n_index = h.n_index;
	q->request.errors_only = h.errors_only;
	q->request.ship = h.ship;
	q->request.force_call = h.force_call;
	q->request.show_errors = h.show_errors;
	q->request.unwind_ok = h.unwind_ok;
	q->request.limits = h.limits;
	q->request.costs = h.costs;
	q->request.explain = h.explain;
	return 0;
}
