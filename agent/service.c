/* SPDX-License-Identifier: Apache-2.0 */
#include "service_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "service_parse.h"

enum {
	SMALL_TEXT_MAX = 64 << 10,     /* stat, status, cgroup */
	FLAG_KTHREAD = 0x00200000,     /* PF_KTHREAD of the kernel's sched.h, shown in stat's field 9 */
};

/* ---- /proc/PID ---- */

int proc_open(pid_t pid)
{
	char path[32];
	int fd;

	if (pid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? -ESRCH : -errno;
}

/* Grows as it reads: /proc files have no size. */
static int read_all(int fd, size_t max, char **text, size_t *len)
{
	size_t size = 4096, used = 0;
	char *data = malloc(size), *larger;
	ssize_t n;

	if (!data)
		return -ENOMEM;
	while ((n = read(fd, data + used, size - used - 1)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			n = -errno;
			free(data);
			return n;
		}
		used += n;
		if (used > max) {
			free(data);
			return -E2BIG;
		}
		if (size - used > 1)
			continue;
		larger = realloc(data, size *= 2);
		if (!larger) {
			free(data);
			return -ENOMEM;
		}
		data = larger;
	}
	data[used] = '\0';
	*text = data;
	*len = used;
	return 0;
}

int proc_read(int dir, const char *name, size_t max, char **text, size_t *len)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC), rc;

	*text = NULL;
	*len = 0;
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	rc = read_all(fd, max, text, len);
	close(fd);
	return rc;
}

int file_identity(int dir, const char *path, struct file_id *out)
{
	struct statx stx;

	/* DONT_SYNC: a FUSE file system that the target serves itself must not be able to stall the agent. */
	if (statx(dir, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_INO, &stx))
		return -errno;
	out->dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	out->ino = stx.stx_ino;
	out->regular = S_ISREG(stx.stx_mode);
	return 0;
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool path_deleted(int dir, char *path, const struct file_id *id)
{
	char below[PATH_MAX + 8], whole[PATH_MAX];
	struct file_id other = { 0 };

	snprintf(whole, sizeof(whole), "%s", path);
	if (!cut_deleted(path))
		return false;
	snprintf(below, sizeof(below), "root%s", whole);
	if (whole[0] != '/' || file_identity(dir, below, &other) || other.dev != id->dev || other.ino != id->ino)
		return true;
	memcpy(path, whole, sizeof(whole));   /* the file's name really ends so */
	return false;
}

/* ---- one process ---- */

static int read_stat(int dir, struct process *out)
{
	struct proc_stat stat;
	size_t len;
	char *text;
	int rc = proc_read(dir, "stat", SMALL_TEXT_MAX, &text, &len);

	if (rc)
		return rc;
	rc = parse_stat(text, len, &stat);
	free(text);
	if (rc)
		return rc;
	if ((stat.flags & FLAG_KTHREAD) || stat.state == 'Z' || stat.state == 'X')
		return -ESRCH;
	memcpy(out->comm, stat.comm, sizeof(out->comm));
	out->start_ticks = stat.start_ticks;
	out->threads = stat.threads;
	return 0;
}

/*
 * Files below /proc/PID belong to root when the process holds what its own user must not see: after a set-uid exec, after
 * a daemon gave up root, or because it asked for it (ssh-agent).  The directory itself always belongs to the user.
 */
static bool is_dumpable(int dir, uid_t uid)
{
	struct stat st;

	return !fstatat(dir, "maps", &st, AT_SYMLINK_NOFOLLOW) && st.st_uid == uid;
}

static int read_status(int dir, struct process *out, pid_t *tgid)
{
	struct proc_status status;
	size_t len;
	char *text;
	int rc = proc_read(dir, "status", SMALL_TEXT_MAX, &text, &len);

	if (rc)
		return rc;
	rc = parse_status(text, len, &status);
	free(text);
	out->uid = status.euid;
	out->confined = !status.one_uid || !is_dumpable(dir, status.euid);
	*tgid = status.tgid;
	return rc;
}

static int read_exe(int dir, struct process *out)
{
	struct file_id id;
	ssize_t n = readlinkat(dir, "exe", out->exe, sizeof(out->exe) - 1);
	int rc;

	if (n < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	out->exe[n] = '\0';
	rc = file_identity(dir, "exe", &id);
	if (rc)
		return rc == -ENOENT ? -ESRCH : rc;
	out->exe_dev = id.dev;
	out->exe_ino = id.ino;
	out->exe_deleted = path_deleted(dir, out->exe, &id);
	return 0;
}

/* A host without cgroups has neither units nor containers: not an error. */
static void read_cgroup(int dir, struct process *out)
{
	size_t len;
	char *text;

	if (proc_read(dir, "cgroup", SMALL_TEXT_MAX, &text, &len))
		return;
	parse_cgroup(text, len, out->unit, sizeof(out->unit), out->container);
	free(text);
}

_Static_assert(sizeof(((struct process *)0)->comm) == sizeof(((struct proc_stat *)0)->comm), "copied whole");
_Static_assert(sizeof(((struct process *)0)->container) == CONTAINER_DIGITS + 1, "parse_cgroup fills it");

static int read_failed(pid_t pid, int rc, struct error *err)
{
	if (rc == -ESRCH)
		return error_set(err, ESRCH, "no process has the pid %d", (int)pid);
	if (rc != -EACCES && rc != -EPERM)
		return error_set(err, -rc, "cannot read process %d: %s", (int)pid, strerror(-rc));
	rc = error_set(err, EACCES, "not permitted to look into process %d", (int)pid);
	if (geteuid() == 0)
		error_hint(err, "not even root may here: CAP_SYS_PTRACE is missing, or a container or a security module forbids it");
	else
		error_hint(err, "it belongs to another user: run as root or with CAP_SYS_PTRACE");
	return rc;
}

int process_read_at(int dir, pid_t pid, struct process *out, struct error *err)
{
	pid_t tgid = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	out->pid = pid;
	rc = read_stat(dir, out);
	if (rc == 0)
		rc = read_status(dir, out, &tgid);
	if (rc == 0 && tgid != pid) {
		rc = error_set(err, ESRCH, "%d is a thread, not a process", (int)pid);
		error_hint(err, "it is a thread of process %d", (int)tgid);
		return rc;
	}
	if (rc == 0)
		rc = read_exe(dir, out);
	if (rc == -ESRCH && faccessat(dir, "stat", F_OK, 0) == 0)
		return error_set(err, ESRCH, "%d has no program to probe: it is a kernel thread or has ended", (int)pid);
	if (rc)
		return read_failed(pid, rc, err);
	read_cgroup(dir, out);
	return 0;
}

int process_read(pid_t pid, struct process *out, struct error *err)
{
	int dir = proc_open(pid), rc;

	if (dir < 0)
		return read_failed(pid, dir, err);
	rc = process_read_at(dir, pid, out, err);
	close(dir);
	return rc;
}

/* ---- all processes ---- */

struct process_array {
	struct process *items;
	size_t count, size;
};

static struct process *array_next(struct process_array *a)
{
	struct process *larger;
	size_t size;

	if (a->count < a->size)
		return &a->items[a->count];
	size = a->size ? a->size * 2 : 64;
	larger = reallocarray(a->items, size, sizeof(*larger));
	if (!larger)
		return NULL;
	a->items = larger;
	a->size = size;
	return &a->items[a->count];
}

static pid_t name_pid(const char *name)
{
	char *end;
	long pid;

	if (name[0] < '1' || name[0] > '9')
		return 0;
	errno = 0;
	pid = strtol(name, &end, 10);
	return *end || errno || pid > INT32_MAX ? 0 : (pid_t)pid;
}

static int read_directory(DIR *proc, struct process_array *a)
{
	struct process *next;
	struct dirent *entry;

	while ((entry = readdir(proc))) {
		pid_t pid = name_pid(entry->d_name);

		if (pid == 0 || pid == getpid())
			continue;
		next = array_next(a);
		if (!next)
			return -ENOMEM;
		if (process_read(pid, next, NULL) == 0)
			a->count++;
	}
	return 0;
}

static int by_pid(const void *a, const void *b)
{
	const struct process *p = a, *q = b;

	return (p->pid > q->pid) - (p->pid < q->pid);
}

int process_list(struct process **out, size_t *count)
{
	struct process_array a = { 0 };
	DIR *proc = opendir("/proc");
	int rc;

	*out = NULL;
	*count = 0;
	if (!proc)
		return -errno;
	rc = read_directory(proc, &a);
	closedir(proc);
	if (rc) {
		free(a.items);
		return rc;
	}
	if (a.count)
		qsort(a.items, a.count, sizeof(*a.items), by_pid);
	*out = a.items;
	*count = a.count;
	return 0;
}
