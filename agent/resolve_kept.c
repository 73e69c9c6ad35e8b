/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "resolve_internal.h"
#include "unchanged.h"

static bool is_current(const struct resolve_kept *k, const struct resolve_request *rq)
{
	struct image *now;
	struct stat st;
	bool same;

	if (!k->img || fstat(rq->fd, &st) != 0 || !file_unchanged(&st, &k->st) || image_open(rq->fd, rq->path, &now, NULL) != 0)
		return false;
	same = strcmp(image_build_id(now), image_build_id(k->img)) == 0 &&
	       (!k->di || debuginfo_is_current(k->di, now, rq->root));
	image_free(now);
	return same;
}

static bool exe_is_current(const struct resolve_kept *k, const struct resolve_request *rq)
{
	struct stat st;

	return k->exe && rq->exe_fd >= 0 && rq->exe_fd != rq->fd && fstat(rq->exe_fd, &st) == 0 && file_unchanged(&st, &k->exe_st);
}

void kept_take(struct resolve_kept *k, struct resolving *r)
{
	if (is_current(k, r->rq)) {
		r->img = k->img;
		r->di = k->di;
		k->img = NULL;
		k->di = NULL;
	}
	if (exe_is_current(k, r->rq)) {
		r->exe = k->exe;
		k->exe = NULL;
	}
	kept_free(k);
}

void kept_put(struct resolve_kept *k, struct resolving *r)
{
	if (!r->img)          /* it was refused before a file was opened: what is kept still is */
		return;
	*k = (struct resolve_kept){ .img = r->img, .exe = r->exe, .di = r->di, .st = r->st, .exe_st = r->exe_st };
	r->img = r->exe = NULL;
	r->di = NULL;
}

void kept_free(struct resolve_kept *k)
{
	debuginfo_close(k->di);
	image_free(k->img);
	image_free(k->exe);
	memset(k, 0, sizeof(*k));
}
