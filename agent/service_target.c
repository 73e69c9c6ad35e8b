/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes belong to a target: by pid, by a service's name, by a file that they map. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service_internal.h"
#include "service_parse.h"

static const char UNIT_SUFFIX[] = ".service";

/* ---- form ---- */

static int check_text(const struct target *t, const char *what, struct error *err)
{
	if (!memchr(t->text, '\0', sizeof(t->text)))
		return error_set(err, ENAMETOOLONG, "the %s is longer than %d bytes", what, PATH_MAX - 1);
	if (!t->text[0])
		return error_set(err, EINVAL, "the %s is empty", what);
	return 0;
}

static int check_name(const struct target *t, struct error *err)
{
	int rc = check_text(t, "service name", err);

	if (rc)
		return rc;
	if (!strchr(t->text, '/'))
		return 0;
	rc = error_set(err, EINVAL, "'%.255s' is a path, not a service name", t->text);
	error_hint(err, "use -x for every process that maps a file");
	return rc;
}

static int check_path(struct target *t, struct error *err)
{
	int rc = check_text(t, "path", err);
	struct file_id id;

	if (rc)
		return rc;
	if (t->text[0] != '/')
		return error_set(err, EINVAL, "'%s' is not an absolute path", t->text);
	rc = file_identity(AT_FDCWD, t->text, &id);
	if (rc)
		return error_set(err, -rc, "cannot use '%s': %s", t->text, strerror(-rc));
	if (!id.regular)
		return error_set(err, EINVAL, "'%s' is not a regular file", t->text);
	t->dev = id.dev;
	t->ino = id.ino;
	return 0;
}

static int check_build(struct target *t, struct error *err)
{
	size_t len = strnlen(t->build, sizeof(t->build)), hex = strspn(t->build, "0123456789abcdefABCDEF");

	if (!len)
		return 0;
	if (len == sizeof(t->build) || hex != len || len < BUILD_PREFIX_MIN) {
		error_set(err, EINVAL, "'%.40s' is not the beginning of a build-id", t->build);
		return error_hint(err, "at least %d of its hexadecimal digits; plumb ps shows them", BUILD_PREFIX_MIN);
	}
	for (size_t i = 0; i < len; i++)
		t->build[i] = (char)tolower((unsigned char)t->build[i]);
	return 0;
}

int target_check(struct target *t, struct error *err)
{
	int rc = check_build(t, err);

	if (rc)
		return rc;
	switch (t->kind) {
	case TARGET_PID:
		if (t->pid <= 0)
			return error_set(err, EINVAL, "%d is not a pid", (int)t->pid);
		return 0;
	case TARGET_NAME:
		return check_name(t, err);
	case TARGET_PATH:
		return check_path(t, err);
	}
	return error_set(err, EINVAL, "unknown kind of target");
}

/* ---- match ---- */

static bool unit_matches(const char *unit, const char *name)
{
	size_t len = strlen(name);

	return unit[0] && strncmp(unit, name, len) == 0 && (unit[len] == '\0' || strcmp(unit + len, UNIT_SUFFIX) == 0);
}

static bool container_matches(const char *container, const char *name)
{
	size_t len = strlen(name);

	return is_container_id(name, len, false) && strncmp(container, name, len) == 0;
}

/* The comm too: an executable that is started through a symbolic link (Debian's redis-server) is known by the link. */
static bool name_matches(const struct process *p, const char *name)
{
	return strcmp(path_base(p->exe), name) == 0 || strcmp(p->comm, name) == 0 || unit_matches(p->unit, name) ||
	       container_matches(p->container, name);
}

/* What is known without the process's maps. */
static bool matches_by_itself(const struct process *p, const struct target *t)
{
	switch (t->kind) {
	case TARGET_PID:
		return p->pid == t->pid;
	case TARGET_NAME:
		return name_matches(p, t->text);
	case TARGET_PATH:
		return p->exe_dev == t->dev && p->exe_ino == t->ino;
	}
	return false;
}

struct file_search {
	const struct target *const *target;
	size_t n, missing;         /* missing: targets by path that do not match yet */
	bool *match;
};

static bool match_file(const struct file_id *id, void *arg)
{
	struct file_search *s = arg;

	for (size_t i = 0; i < s->n; i++) {
		const struct target *t = s->target[i];

		if (t->kind == TARGET_PATH && !s->match[i] && t->dev == id->dev && t->ino == id->ino) {
			s->match[i] = true;
			s->missing--;
		}
	}
	return s->missing > 0;
}

void process_matches_each(const struct process *p, const struct target *const *t, size_t n, bool *match)
{
	struct file_search s = { .target = t, .n = n, .match = match };

	for (size_t i = 0; i < n; i++) {
		match[i] = p->pid != getpid() && matches_by_itself(p, t[i]);
		s.missing += t[i]->kind == TARGET_PATH && !match[i];
	}
	if (s.missing && p->pid != getpid())
		module_each(p->pid, match_file, &s);
}

bool process_matches(const struct process *p, const struct target *t)
{
	bool match;

	process_matches_each(p, &t, 1, &match);
	return match;
}

/* ---- all matches ---- */

static int single_process(const struct target *t, struct process **out, size_t *count, struct error *err)
{
	struct process *p;
	int rc;

	if (t->pid == getpid())
		return error_set(err, EINVAL, "%d is plumb's own process", (int)t->pid);
	p = malloc(sizeof(*p));
	if (!p)
		return error_set(err, ENOMEM, "out of memory");
	rc = process_read(t->pid, p, err);
	if (rc) {
		free(p);
		return rc;
	}
	*out = p;
	*count = 1;
	return 0;
}

static void offer_unit(struct nearest *n, const char *unit)
{
	char name[sizeof(((struct process *)0)->unit)];
	size_t len = strlen(unit), suffix = sizeof(UNIT_SUFFIX) - 1;

	if (len <= suffix || strcmp(unit + len - suffix, UNIT_SUFFIX))
		return;
	memcpy(name, unit, len - suffix);
	name[len - suffix] = '\0';
	nearest_offer(n, name);
}

static int no_match(const struct target *t, const struct process *all, size_t count, struct error *err)
{
	struct nearest near;
	size_t i;
	int rc = error_set(err, ESRCH, "no process, unit or container is called '%.255s'", t->text);

	nearest_init(&near, t->text);
	for (i = 0; i < count; i++) {
		nearest_offer(&near, path_base(all[i].exe));
		nearest_offer(&near, all[i].comm);
		offer_unit(&near, all[i].unit);
	}
	nearest_hint(&near, err);
	return rc;
}

int target_processes(const struct target *t, struct process **out, size_t *count, struct error *err)
{
	struct process *all;
	size_t total, kept = 0, i;
	int rc;

	*out = NULL;
	*count = 0;
	if (t->kind == TARGET_PID)
		return single_process(t, out, count, err);
	rc = process_list(&all, &total);
	if (rc)
		return error_set(err, -rc, "cannot list the processes: %s", strerror(-rc));
	for (i = 0; i < total; i++)
		if (process_matches(&all[i], t))
			all[kept++] = all[i];
	if (kept == 0) {   /* so nothing was moved */
		rc = t->kind == TARGET_NAME ? no_match(t, all, total, err) : 0;
		free(all);
		return rc;
	}
	*out = all;
	*count = kept;
	return 0;
}
