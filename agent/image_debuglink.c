/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the separate debug file of an image.
 *
 * Where to look comes from the image, and the directories belong to whoever owns the process's root: both are hostile.
 *  - The debuglink's name is one path component, nothing else.
 *  - A path below the process's root is resolved by the kernel inside that root (openat2, RESOLVE_IN_ROOT): without
 *    that, an absolute symbolic link in a container would name a file of the host.
 *  - A candidate is opened with O_PATH first, which has no effect on what it names.  Only a regular file is then opened
 *    for reading: a fifo would block, and some devices act when they are opened.
 *  - It is taken when its build-id is the image's; when one of the two has none, by the CRC-32 in the debuglink.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include "buf.h"
#include "image_internal.h"

#define DEBUG_DIR "/usr/lib/debug"

/* Debug files of 400 MB are real; the CRC of this many bytes takes a second or two. */
#define CRC_BYTES_MAX ((uint64_t)2 << 30)

/* One look for one image. Borrows all; `tried` belongs to image_open_debug. */
struct lookup {
	const struct image *img;
	const char *root;                 /* "" = the host's own */
	char link[NAME_MAX + 1];          /* the debuglink's name, "" = none */
	uint32_t crc;
	char dir[PATH_MAX];               /* where the image is, as seen inside root */
	struct buf tried;
	char *found;
	size_t found_len;
};

static bool is_one_component(const char *name)
{
	return name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* A NUL-terminated name, padded to 4 bytes, then the CRC-32 of the debug file. */
static void read_debuglink(struct lookup *l)
{
	const void *data;
	size_t len, name_len, crc_at;

	if (!l->img->sec.debuglink ||
	    image_section(l->img, l->img->sec.debuglink, IMAGE_SMALL_BYTES_MAX, &data, &len) != 0 || len == 0)
		return;
	name_len = strnlen(data, len);
	crc_at = (name_len + 4) & ~(size_t)3;
	if (name_len > NAME_MAX || crc_at + 4 > len)
		return;
	memcpy(&l->crc, (const char *)data + crc_at, 4);
	memcpy(l->link, data, name_len + 1);
	if (!is_one_component(l->link))
		l->link[0] = '\0';
}

/*
 * The image's directory inside the root.  Its path may be as the process sees it, or have the root in front, or be a
 * /proc link (exe, map_files), which says where it points to.
 */
static void find_directory(struct lookup *l)
{
	const char *path = image_path(l->img);
	size_t root_len = strlen(l->root);
	char target[PATH_MAX];
	ssize_t n;
	char *slash;

	if (root_len > 0 && strncmp(path, l->root, root_len) == 0 && path[root_len] == '/') {
		path += root_len;
	} else if (strncmp(path, "/proc/", 6) == 0 && (n = readlink(path, target, sizeof(target) - 1)) > 0 &&
		   target[0] == '/') {
		target[n] = '\0';
		path = target;
	}
	if (snprintf(l->dir, sizeof(l->dir), "%s", path) >= (int)sizeof(l->dir))
		l->link[0] = '\0';           /* no name can be beside a file that has no usable path */
	slash = strrchr(l->dir, '/');
	if (slash)
		*slash = '\0';
	else
		snprintf(l->dir, sizeof(l->dir), ".");
}

/* O_PATH; the caller closes it. */
static int open_path(const char *root, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	int dir, fd;

	if (!root[0]) {
		fd = open(path, O_PATH | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	if (fd < 0)
		fd = -errno;
	close(dir);
	return fd;
}

static bool same_file(int fd, const struct stat *st)
{
	struct stat other;

	return fstat(fd, &other) == 0 && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

/* Opens a candidate for reading if it is a regular file and not the image itself. */
static int open_regular(const struct lookup *l, const char *root, const char *path)
{
	int at = open_path(root, path), fd = -ENOENT;
	char link[32];
	struct stat st;

	if (at < 0)
		return at;
	if (fstat(at, &st) == 0 && S_ISREG(st.st_mode) && !same_file(l->img->fd, &st)) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
		fd = open(link, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	close(at);
	return fd;
}

static bool crc_matches(int fd, uint32_t wanted)
{
	enum { CHUNK = 256 << 10 };
	unsigned char *chunk = malloc(CHUNK);
	uLong crc = crc32(0, NULL, 0);
	uint64_t at = 0;
	ssize_t n = -1;

	while (chunk && at < CRC_BYTES_MAX && (n = pread(fd, chunk, CHUNK, (off_t)at)) > 0) {
		crc = crc32(crc, chunk, (uInt)n);
		at += (uint64_t)n;
	}
	free(chunk);
	return n == 0 && crc == wanted;
}

static bool is_debug_file(const struct lookup *l, int fd, const char *path, bool by_link)
{
	struct image *debug;
	const char *mine = l->img->build_id, *its;
	bool ok = false;

	if (image_open(fd, path, &debug, NULL) != 0)
		return false;
	its = debug->build_id;
	if (debug->sec.debug_info || debug->sec.symtab) {
		if (mine[0] && its[0])
			ok = strcmp(mine, its) == 0;
		else
			ok = by_link && crc_matches(fd, l->crc);
	}
	image_free(debug);
	return ok;
}

/* Tries root + dir + "/" + name. Returns an fd, or -ENOENT. */
static int try_file(struct lookup *l, const char *root, const char *dir, const char *name, bool by_link)
{
	char path[PATH_MAX], shown[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) ||
	    snprintf(shown, sizeof(shown), "%s%s", root, path) >= (int)sizeof(shown))
		return -ENOENT;
	buf_printf(&l->tried, "%s%s", l->tried.len ? ", " : "", shown);
	fd = open_regular(l, root, path);
	if (fd < 0)
		return -ENOENT;
	if (!is_debug_file(l, fd, shown, by_link)) {
		buf_str(&l->tried, " (is not its debug file)");
		close(fd);
		return -ENOENT;
	}
	if (l->found)
		snprintf(l->found, l->found_len, "%s", shown);
	return fd;
}

static int try_build_id(struct lookup *l)
{
	const char *id = l->img->build_id;
	char name[BUILD_ID_HEX_MAX + 16];
	int fd;

	if (strlen(id) < 4)
		return -ENOENT;
	snprintf(name, sizeof(name), "%.2s/%s.debug", id, id + 2);
	fd = try_file(l, l->root, DEBUG_DIR "/.build-id", name, false);
	if (fd < 0 && l->root[0])
		fd = try_file(l, "", DEBUG_DIR "/.build-id", name, false);
	return fd;
}

static int try_debuglink(struct lookup *l)
{
	char below[PATH_MAX + sizeof(DEBUG_DIR)], hidden[PATH_MAX + sizeof("/.debug")];
	bool absolute = l->dir[0] == '/' || !l->dir[0];       /* "" is what is left of "/file" */
	int fd;

	if (!l->link[0])
		return -ENOENT;
	snprintf(hidden, sizeof(hidden), "%s/.debug", l->dir);
	snprintf(below, sizeof(below), DEBUG_DIR "%s", l->dir);
	fd = try_file(l, l->root, l->dir, l->link, true);
	if (fd < 0)
		fd = try_file(l, l->root, hidden, l->link, true);
	if (fd < 0 && absolute)
		fd = try_file(l, l->root, below, l->link, true);
	if (fd < 0 && absolute && l->root[0])
		fd = try_file(l, "", below, l->link, true);
	return fd;
}

int image_open_debug(const struct image *img, const char *root, char *found, size_t found_len, struct error *err)
{
	struct lookup *l = calloc(1, sizeof(*l));
	int fd;

	if (!l)
		return error_set(err, ENOMEM, "out of memory");
	l->img = img;
	l->root = root;
	l->found = found_len ? found : NULL;
	l->found_len = found_len;
	read_debuglink(l);
	find_directory(l);
	fd = try_build_id(l);
	if (fd < 0)
		fd = try_debuglink(l);
	if (fd < 0 && l->tried.len)
		error_set(err, ENOENT, "no separate debug file for %s: looked for %s", img->path, buf_text(&l->tried));
	else if (fd < 0)
		error_set(err, ENOENT, "no separate debug file for %s: it has neither a build-id nor a debuglink",
			  img->path);
	buf_free(&l->tried);
	free(l);
	return fd;
}
