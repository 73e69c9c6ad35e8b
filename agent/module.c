/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files a process maps executable, and opening exactly those.
 *
 * A path in maps is only a hint: it is seen from the process's own root and mount namespace, the file may be deleted or
 * replaced since, and the process chose the name.  So files are compared by identity, and the identity is what stat says
 * (dev, inode), taken through the link /proc/PID/map_files/START-END, which leads to the mapped inode itself without any
 * path walk.  The dev and inode that maps prints cannot be used for that: maps prints the superblock's device, while
 * stat gives btrfs subvolumes a device each, and on overlayfs either may be the layer's (kernels before 6.8 map the
 * layer's file).
 *
 * map_files needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN.  Without them a file is looked for as /proc/PID/exe and below
 * /proc/PID/root, and is accepted only if this process, mapping it too, gets the same numbers in its own maps: those two
 * were printed by the same kernel code and do compare.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "service_internal.h"
#include "service_parse.h"

enum {
	MAPS_TEXT_MAX = 64 << 20,
	MODULES_MAX = 4096,
};

/* ---- identity ---- */

int open_regular(int dir, const char *path)
{
	char self[40];
	struct stat st;
	int at = openat(dir, path, O_PATH | O_CLOEXEC), fd;

	if (at < 0)
		return -errno;
	if (fstat(at, &st)) {
		fd = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		fd = -EINVAL;
	} else {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
		fd = open(self, O_RDONLY | O_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	close(at);
	return fd;
}

static bool find_address(uint64_t address, struct maps_line *out)
{
	int dir = proc_open(getpid());
	const char *pos;
	bool found = false;
	size_t len;
	char *text;

	if (dir < 0)
		return false;
	if (proc_read(dir, "maps", MAPS_TEXT_MAX, &text, &len) == 0) {
		pos = text;
		while (!found && maps_next(&pos, text + len, out))
			found = out->start <= address && address < out->end;
		free(text);
	}
	close(dir);
	return found;
}

/* True if maps would print the same numbers for fd as it does for `line`. */
static bool same_mapped_file(int fd, const struct maps_line *line)
{
	void *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
	struct maps_line own;
	bool same;

	if (page == MAP_FAILED)
		return false;
	same = find_address((uintptr_t)page, &own) && own.dev_major == line->dev_major &&
	       own.dev_minor == line->dev_minor && own.ino == line->ino;
	munmap(page, 1);
	return same;
}

static bool identity_by_mapping(int dir, const char *path, const struct maps_line *line, struct file_id *out)
{
	int fd = open_regular(dir, path);
	struct stat st;
	bool same;

	if (fd < 0)
		return false;
	same = same_mapped_file(fd, line) && fstat(fd, &st) == 0;
	close(fd);
	if (same)
		*out = (struct file_id){ st.st_dev, st.st_ino, true };
	return same;
}

void map_files_path(uint64_t start, uint64_t end, char *out, size_t size)
{
	snprintf(out, size, "map_files/%llx-%llx", (unsigned long long)start, (unsigned long long)end);
}

void below_root(const char *path, char *out, size_t size)
{
	snprintf(out, size, "root%s", path);
}

/* The file's identity; if nothing leads to the file, the numbers of maps, which at least tell mappings apart. */
static void line_identity(int dir, const struct maps_line *line, const char *path, struct file_id *out)
{
	char link[PATH_MAX + 8];

	map_files_path(line->start, line->end, link, sizeof(link));
	if (file_identity(dir, link, out) == 0)
		return;
	if (identity_by_mapping(dir, "exe", line, out))
		return;
	below_root(path, link, sizeof(link));
	if (identity_by_mapping(dir, link, line, out))
		return;
	*out = (struct file_id){ makedev(line->dev_major, line->dev_minor), line->ino, true };
}

/* ---- the files of a process ---- */

static bool is_file(const struct maps_line *line)
{
	return line->exec && line->ino != 0 && line->path_len > 0 && line->path[0] == '/';
}

static bool same_line(const struct maps_line *a, const struct maps_line *b)
{
	return a->ino == b->ino && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
	       a->path_len == b->path_len && memcmp(a->path, b->path, a->path_len) == 0;
}

static bool seen_before(const struct maps_line *lines, size_t n, const struct maps_line *line)
{
	while (n-- > 0)   /* a file's mappings are neighbours */
		if (same_line(&lines[n], line))
			return true;
	return false;
}

/* The first executable mapping of each file in a maps text; the caller frees *out, whose paths point into the text. */
static int distinct_files(const char *text, size_t len, struct maps_line **out, size_t *count)
{
	struct maps_line *lines = NULL, *larger, line;
	size_t n = 0, size = 0;
	const char *pos = text;

	while (maps_next(&pos, text + len, &line)) {
		if (!is_file(&line) || seen_before(lines, n, &line))
			continue;
		if (n == MODULES_MAX) {
			free(lines);
			return -E2BIG;
		}
		if (n == size) {
			size = size ? size * 2 : 32;
			larger = reallocarray(lines, size, sizeof(*lines));
			if (!larger) {
				free(lines);
				return -ENOMEM;
			}
			lines = larger;
		}
		lines[n++] = line;
	}
	*out = lines;
	*count = n;
	return 0;
}

/* The maps of a process, cut into its files. `lines` points into `text`; files_free frees both. */
struct files {
	char *text;
	struct maps_line *lines;
	size_t count;
};

static void files_free(struct files *f)
{
	free(f->lines);
	free(f->text);
}

static int files_read(int dir, struct files *f)
{
	size_t len;
	int rc;

	memset(f, 0, sizeof(*f));
	rc = proc_read(dir, "maps", MAPS_TEXT_MAX, &f->text, &len);
	if (rc == 0)
		rc = distinct_files(f->text, len, &f->lines, &f->count);
	if (rc)
		files_free(f);
	return rc;
}

void module_each(pid_t pid, bool (*visit)(const struct file_id *id, void *arg), void *arg)
{
	int dir = proc_open(pid);
	char path[PATH_MAX];
	struct file_id id;
	bool more = true;
	struct files f;

	if (dir < 0)
		return;
	if (files_read(dir, &f) == 0) {
		for (size_t i = 0; i < f.count && more; i++) {
			maps_path(&f.lines[i], path, sizeof(path));
			line_identity(dir, &f.lines[i], path, &id);
			more = visit(&id, arg);
		}
		files_free(&f);
	}
	close(dir);
}

static void fill_module(int dir, const struct maps_line *line, struct module *m)
{
	struct file_id id;

	memset(m, 0, sizeof(*m));
	maps_path(line, m->path, sizeof(m->path));
	line_identity(dir, line, m->path, &id);
	m->deleted = path_deleted(dir, m->path, &id);
	m->dev = id.dev;
	m->ino = id.ino;
	m->start = line->start;
	m->end = line->end;
	m->offset = line->offset;
}

/* A file that is mapped under two names (hard links) is still one. */
static bool has_identity(const struct module *list, size_t n, const struct module *m)
{
	while (n-- > 0)
		if (list[n].dev == m->dev && list[n].ino == m->ino)
			return true;
	return false;
}

int module_list_at(int dir, struct module **out, size_t *count)
{
	struct module *list;
	struct files f;
	size_t i, n = 0;
	int rc = files_read(dir, &f);

	if (rc)
		return rc;
	list = calloc(f.count ? f.count : 1, sizeof(*list));
	for (i = 0; list && i < f.count; i++) {
		fill_module(dir, &f.lines[i], &list[n]);
		if (!has_identity(list, n, &list[n]))
			n++;
	}
	files_free(&f);
	*out = list;
	*count = n;
	return list ? 0 : -ENOMEM;
}

int module_list(pid_t pid, struct module **out, size_t *count)
{
	int dir = proc_open(pid), rc;

	*out = NULL;
	*count = 0;
	if (dir < 0)
		return dir;
	rc = module_list_at(dir, out, count);
	close(dir);
	return rc;
}
