/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing one of a process's files by the name that a person gives, and opening the mapped inode. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "service_internal.h"

enum { NAMED_MAX = 4 };   /* candidates that an error names */

/* ---- by name ---- */

struct wanted {
	const char *name;       /* NULL: by identity only */
	struct file_id id;      /* of the executable, or of the path as the process would open it */
	bool have_id;
};

static bool by_identity(const struct module *m, const struct wanted *w)
{
	return w->have_id && m->dev == w->id.dev && m->ino == w->id.ino;
}

static bool by_path(const struct module *m, const struct wanted *w)
{
	return strcmp(m->path, w->name) == 0;
}

static bool by_base(const struct module *m, const struct wanted *w)
{
	return strcmp(path_base(m->path), w->name) == 0;
}

/* "libssl" and "libssl.so" are libssl.so.3, "libssl.so.3" is libssl.so.3.0.2. */
static bool by_stem(const struct module *m, const struct wanted *w)
{
	const char *base = path_base(m->path), *so = strstr(w->name, ".so");
	size_t len = strlen(w->name);

	if (strncmp(base, w->name, len))
		return false;
	return so ? base[len] == '.' : strncmp(base + len, ".so", 3) == 0 && (!base[len + 3] || base[len + 3] == '.');
}

typedef bool module_rule(const struct module *m, const struct wanted *w);

static module_rule *const exe_rules[] = { by_identity, NULL };
/* The path's file of today before one that was mapped from the same path and deleted. */
static module_rule *const path_rules[] = { by_identity, by_path, NULL };
static module_rule *const name_rules[] = { by_base, by_stem, NULL };

static int ambiguous(const struct module *list, size_t n, module_rule *rule, const struct wanted *w, struct error *err)
{
	struct buf names = { 0 };
	unsigned found = 0;
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		if (!rule(&list[i], w))
			continue;
		if (found++ < NAMED_MAX)
			buf_printf(&names, "%s%.100s%s", found > 1 ? ", " : "", list[i].path,
				   list[i].deleted ? " (deleted)" : "");
	}
	rc = error_set(err, ENOTUNIQ, "the process maps %u files called '%.100s': %s%s", found, w->name,
		       buf_text(&names), found > NAMED_MAX ? ", ..." : "");
	error_hint(err, "give the whole path");
	buf_free(&names);
	return rc;
}

/* Whoever leaves out the version should be shown names without it. */
static void offer_module(struct nearest *near, const char *path)
{
	const char *base = path_base(path), *so = strstr(base, ".so");
	char stem[128];

	if (strchr(near->want, '/')) {
		nearest_offer(near, path);
	} else if (so && !strstr(near->want, ".so")) {
		snprintf(stem, sizeof(stem), "%.*s", (int)(so - base), base);
		nearest_offer(near, stem);
	} else {
		nearest_offer(near, base);
	}
}

static int unknown(pid_t pid, const struct module *list, size_t n, const struct wanted *w, struct error *err)
{
	struct nearest near;
	size_t i;
	int rc;

	if (!w->name)
		return error_set(err, ENOENT, "process %d maps no code of its executable", (int)pid);
	rc = error_set(err, ENOENT, "process %d maps no library or executable '%.255s'", (int)pid, w->name);
	nearest_init(&near, w->name);
	for (i = 0; i < n; i++)
		offer_module(&near, list[i].path);
	nearest_hint(&near, err);
	return rc;
}

static int choose(pid_t pid, const struct module *list, size_t n, module_rule *const *rules, const struct wanted *w,
		  struct module *out, struct error *err)
{
	for (; *rules; rules++) {
		const struct module *match = NULL;
		size_t i;

		for (i = 0; i < n; i++) {
			if (!(*rules)(&list[i], w))
				continue;
			if (match)
				return ambiguous(list, n, *rules, w, err);
			match = &list[i];
		}
		if (match) {
			*out = *match;
			return 0;
		}
	}
	return unknown(pid, list, n, w, err);
}

static int find_at(int dir, pid_t pid, const char *name, struct module *out, struct error *err)
{
	bool is_path = name && strchr(name, '/');
	struct wanted w = { .name = name };
	char path[PATH_MAX + 8];
	struct module *list;
	size_t n;
	int rc = module_list_at(dir, &list, &n);

	if (rc)
		return error_set(err, -rc, "cannot read the mappings of process %d: %s", (int)pid, strerror(-rc));
	if (is_path)
		below_root(name, path, sizeof(path));
	if (!name || (is_path && name[0] == '/'))
		w.have_id = file_identity(dir, name ? path : "exe", &w.id) == 0;
	rc = choose(pid, list, n, !name ? exe_rules : is_path ? path_rules : name_rules, &w, out, err);
	free(list);
	return rc;
}

static int no_process(pid_t pid, int rc, struct error *err)
{
	if (rc == -ESRCH)
		return error_set(err, ESRCH, "no process has the pid %d", (int)pid);
	return error_set(err, -rc, "cannot read process %d: %s", (int)pid, strerror(-rc));
}

int module_find(pid_t pid, const char *name, struct module *out, struct error *err)
{
	int dir, rc;

	if (name && (!name[0] || strlen(name) >= PATH_MAX))
		return error_set(err, EINVAL, "a library's name is 1 to %d bytes long", PATH_MAX - 1);
	dir = proc_open(pid);
	if (dir < 0)
		return no_process(pid, dir, err);
	rc = find_at(dir, pid, name, out, err);
	close(dir);
	return rc;
}

/* ---- opening ---- */

static int open_identical(int dir, const char *path, const struct module *m)
{
	int fd = open_regular(dir, path);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && st.st_dev == m->dev && st.st_ino == m->ino)
		return fd;
	close(fd);
	return -ESTALE;
}

static int open_at(int dir, const struct module *m, bool *forbidden)
{
	char path[PATH_MAX + 8];
	int fd;

	map_files_path(m->start, m->end, path, sizeof(path));
	fd = open_identical(dir, path, m);
	*forbidden = fd == -EPERM || fd == -EACCES;
	if (fd < 0)
		fd = open_identical(dir, "exe", m);
	if (fd < 0) {
		below_root(m->path, path, sizeof(path));
		fd = open_identical(dir, path, m);
	}
	return fd;
}

int module_open(pid_t pid, const struct module *m, struct error *err)
{
	int dir = proc_open(pid), fd, rc;
	bool forbidden;

	if (dir < 0)
		return no_process(pid, dir, err);
	fd = open_at(dir, m, &forbidden);
	close(dir);
	if (fd >= 0)
		return fd;
	if (!forbidden)
		return error_set(err, ESTALE, "process %d no longer maps '%.255s'", (int)pid, m->path);
	rc = error_set(err, EACCES, "not permitted to open '%.255s' as process %d maps it%s", m->path, (int)pid,
		       m->deleted ? " (the file is deleted)" : "");
	error_hint(err, "run as root or with CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE");
	return rc;
}
