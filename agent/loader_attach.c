/* SPDX-License-Identifier: Apache-2.0 */
/* The breakpoints of a loaded plan: set by the loop, removed by the reaper's threads. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feature.h"
#include "loader_internal.h"
#include "multi.h"

enum { LINKS_MAX = 4096 };

int attach_multi(struct loaded *l, const char *path, const uint64_t *offsets, const uint64_t *cookies, uint32_t n, struct attached *a)
{
	bool session = l->method == ATTACH_SESSION;
	int fd;

	/* The return first: an entry that is seen must have its return probed. */
	if (l->call && !session) {
		fd = multi_link_create(l->prog_fd[1], false, true, path, offsets, cookies, n, a->pid);
		if (fd < 0)
			return fd;
		a->fd[1] = fd;
	}
	fd = multi_link_create(l->prog_fd[0], session, false, path, offsets, cookies, n, a->pid);
	if (fd < 0)
		return fd;
	a->fd[0] = fd;
	return 0;
}

static int attach_perf(struct loaded *l, const char *path, uint64_t offset, uint64_t cookie, pid_t pid, struct attached *a)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .retprobe = true, .bpf_cookie = cookie);

	if (l->call) {
		a->perf[1] = bpf_program__attach_uprobe_opts(l->program[1], pid ? pid : -1, path, offset, &opts);
		if (!a->perf[1])
			return -errno;
	}
	opts.retprobe = false;
	a->perf[0] = bpf_program__attach_uprobe_opts(l->program[0], pid ? pid : -1, path, offset, &opts);
	return a->perf[0] ? 0 : -errno;
}

void attached_close(struct attached *a)
{
	for (int i = 0; i < 2; i++) {
		if (a->fd[i] >= 0)
			close(a->fd[i]);
		bpf_link__destroy(a->perf[i]);
	}
}

int attach_failed(struct error *err, int rc)
{
	switch (-rc) {
	case ESRCH:
		return error_set(err, ESRCH, "the process is gone");
	case EPERM: case EACCES:
		return error_set(err, -rc, "the kernel does not let this user attach uprobes"), error_hint(err, "see plumb doctor");
	case ENOTSUP: case EINVAL:
		return error_set(err, -rc, "the kernel refused to put a breakpoint on this instruction: %s", strerror(-rc));
	default:
		return error_set(err, -rc, "cannot attach the uprobe: %s", strerror(-rc));
	}
}

/* Room for one more link. Only this thread makes the array longer. */
static int make_room(struct loaded *l, struct error *err)
{
	size_t cap = l->cap_links ? l->cap_links * 2 : 8;
	struct attached *link;

	if (l->n_links < l->cap_links)
		return 0;
	link = cap <= LINKS_MAX ? reallocarray(l->link, cap, sizeof(*link)) : NULL;
	if (!link)
		return error_set(err, ENOMEM, "a probe is attached to at most %d processes", LINKS_MAX);
	l->link = link;
	l->cap_links = cap;
	return 0;
}

/* One link, or one pair; of a pattern on perf events, that of its i-th place. */
static int attach(struct loaded *l, int file_fd, uint64_t offset, uint32_t i, struct attached *a)
{
	const struct pattern *p = l->pattern;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
	if (l->method != ATTACH_PERF)
		return p ? attach_multi(l, path, p->offsets, p->cookies, p->n_attached, a) : attach_multi(l, path, &offset, NULL, 1, a);
	a->function = p ? (uint32_t)p->cookies[i] : 0;
	return attach_perf(l, path, p ? p->offsets[i] : offset, a->function, a->pid, a);
}

int attached_keep(struct loaded *l, const struct attached *a, struct error *err)
{
	int rc;

	pthread_mutex_lock(&l->lock);
	rc = make_room(l, err);
	if (!rc)
		l->link[l->n_links++] = *a;
	pthread_mutex_unlock(&l->lock);
	return rc;
}

static int attach_one(struct loaded *l, int file_fd, uint64_t offset, uint32_t i, pid_t pid, struct error *err)
{
	struct attached a = { .pid = pid, .fd = { -1, -1 } };
	int rc = attach(l, file_fd, offset, i, &a);

	if (rc)
		attach_failed(err, rc);
	else
		rc = attached_keep(l, &a, err);
	if (rc)
		attached_close(&a);
	return rc;
}

int loader_attach(struct loaded *l, int file_fd, uint64_t offset, pid_t pid, struct error *err)
{
	uint32_t n = l->pattern && l->method == ATTACH_PERF ? l->pattern->n_attached : 1;
	bool all = !pid;
	int rc = 0;

	/* Before 6.10 the filter missed threads: one link is for all processes, the program itself tells them apart. */
	if (l->method != ATTACH_PERF && !feature_has(FEATURE_MULTI_PID))
		pid = 0;
	if (!all && !pid && l->n_links)
		return 0;
	for (uint32_t i = 0; !rc && i < n; i++)
		rc = attach_one(l, file_fd, offset, i, pid, err);
	if (!rc)
		__atomic_store_n(&l->shared->live, 1, __ATOMIC_RELAXED);
	return rc;
}

bool loader_leave(struct loaded *l, pid_t pid)
{
	uint32_t key = (uint32_t)pid, slot;
	bool any = false;

	/* Among those that share the last slot it is not told apart: it makes room in the map for the next one. */
	if (!bpf_map_lookup_elem(l->slots_fd, &key, &slot) && slot == l->slots - 1)
		bpf_map_delete_elem(l->slots_fd, &key);
	__atomic_store_n(&l->shared->known[key % KNOWN_PROCESSES], 0, __ATOMIC_RELAXED);
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->n_links; i++) {
		l->link[i].going |= l->link[i].pid == pid;
		any |= l->link[i].going;
	}
	pthread_mutex_unlock(&l->lock);
	return any;
}

static bool take_link(struct loaded *l, bool all, struct attached *out)
{
	bool found = false;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; !found && i < l->n_links; i++) {
		if (!all && !l->link[i].going)
			continue;
		*out = l->link[i];
		l->link[i] = l->link[--l->n_links];
		found = true;
	}
	pthread_mutex_unlock(&l->lock);
	return found;
}

void loader_detach(struct loaded *l, bool all)
{
	struct attached a;

	if (all && l->shared)
		__atomic_store_n(&l->shared->live, 0, __ATOMIC_RELAXED);
	while (take_link(l, all, &a))
		attached_close(&a);
}
