/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { ENTRIES_MAX = 10000 };

static bool is_private(const struct stat *st)
{
	return st->st_uid == geteuid() && (st->st_mode & 077) == 0;
}

int cache_open(const char *dir)
{
	struct stat st;
	int fd;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && is_private(&st))
		return fd;
	close(fd);
	return -EPERM;
}

int cache_find(int dir, const char *name, uint64_t length)
{
	int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), rc = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != length)
		rc = -EINVAL;
	else if (!is_private(&st) || st.st_nlink > 1)
		rc = -EPERM;
	if (rc) {
		close(fd);
		return rc;
	}
	futimens(fd, NULL);
	return fd;
}

/* Lengths, not blocks: an entry with holes may fill up later. */
static uint64_t add_up(int dir, char oldest[CACHE_NAME_MAX])
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct timespec first = { 0 };
	uint64_t sum = 0;
	struct dirent *e;

	oldest[0] = '\0';
	for (unsigned n = 0; d && n < ENTRIES_MAX && (e = readdir(d)); n++) {
		struct stat st;

		if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
			continue;
		sum += (uint64_t)st.st_size;
		if (oldest[0] && (st.st_mtim.tv_sec > first.tv_sec ||
				  (st.st_mtim.tv_sec == first.tv_sec && st.st_mtim.tv_nsec >= first.tv_nsec)))
			continue;
		if (snprintf(oldest, CACHE_NAME_MAX, "%s", e->d_name) >= CACHE_NAME_MAX)
			oldest[0] = '\0';
		first = st.st_mtim;
	}
	if (d)
		closedir(d);
	else if (copy >= 0)
		close(copy);
	return sum;
}

static int make_room(int dir, uint64_t length, uint64_t max_bytes)
{
	char oldest[CACHE_NAME_MAX];
	struct statvfs fs;

	if (length > max_bytes)
		return -ENOSPC;
	while (add_up(dir, oldest) > max_bytes - length)
		if (!oldest[0] || unlinkat(dir, oldest, 0) != 0)
			return -ENOSPC;
	if (fstatvfs(dir, &fs) != 0)
		return -errno;
	return (uint64_t)fs.f_bavail * fs.f_frsize / 2 < length ? -ENOSPC : 0;
}

int cache_create(int dir, uint64_t length, uint64_t max_bytes, char temp[CACHE_NAME_MAX])
{
	int rc = make_room(dir, length, max_bytes), fd;

	if (rc)
		return rc;
	snprintf(temp, CACHE_NAME_MAX, "new.%d", (int)getpid());
	unlinkat(dir, temp, 0);               /* of an earlier process of that number */
	fd = openat(dir, temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int cache_publish(int dir, const char *temp, const char *name)
{
	if (name && renameat(dir, temp, dir, name) == 0)
		return 0;
	if (name) {
		int code = errno;

		unlinkat(dir, temp, 0);
		return -code;
	}
	return unlinkat(dir, temp, 0) == 0 ? 0 : -errno;
}
