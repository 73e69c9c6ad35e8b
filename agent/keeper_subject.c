/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a child has read is what decides who may ask it again.  Anyone may run the host's programs below a root of his own (a
 * user namespace is enough), with a hostile file where debug information is looked for.  Such a root need not look different:
 * a mount namespace's root is the host's directory, and what is mounted below it is not.  But it is another mount of it.
 *
 * A mount's number is given to the next one when it is gone.  So the root is held open; the child gets it too, and uses it
 * in place of its name: what /proc/PID/root means changes whenever the process likes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper_internal.h"
#include "unchanged.h"

/* A process that has just ended has none. */
static void open_root(struct keeper_subject *s, const char *root)
{
	s->root_fd = open(root[0] ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->root_fd >= 0 && statx(s->root_fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &s->root) != 0)
		s->root.stx_mask = 0;
}

int subject_open(const struct resolve_request *rq, struct keeper_subject *s, struct error *err)
{
	memset(s, 0, sizeof(*s));
	s->root_fd = -1;
	if (fstat(rq->fd, &s->file) != 0 || (rq->exe_fd >= 0 && fstat(rq->exe_fd, &s->exe) != 0))
		return error_set(err, errno, "cannot read %s: %s", rq->path, strerror(errno));
	s->path = strdup(rq->path);
	if (!s->path)
		return error_set(err, ENOMEM, "out of memory");
	open_root(s, rq->root);
	return 0;
}

void subject_close(struct keeper_subject *s)
{
	if (s->root_fd >= 0)
		close(s->root_fd);
	free(s->path);
	s->root_fd = -1;
	s->path = NULL;
}

static bool same_root(const struct statx *a, const struct statx *b)
{
	const uint32_t known = STATX_INO | STATX_MNT_ID;

	return (a->stx_mask & b->stx_mask & known) == known && a->stx_mnt_id == b->stx_mnt_id && a->stx_ino == b->stx_ino &&
	       a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor;
}

bool subject_same(const struct keeper_subject *a, const struct keeper_subject *b)
{
	return file_unchanged(&a->file, &b->file) && file_unchanged(&a->exe, &b->exe) && same_root(&a->root, &b->root) &&
	       strcmp(a->path, b->path) == 0;
}
