/* SPDX-License-Identifier: Apache-2.0 */
/* Who the agent is, and how far the collector has its entries. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "log.h"
#include "spool_internal.h"

/* DIR/acked */
struct marks {
	uint64_t acked, sent;
	uint32_t crc, pad;
};

static uint32_t marks_crc(const struct marks *m)
{
	return (uint32_t)crc32(0, (const Bytef *)m, offsetof(struct marks, crc));
}

void identity_save(struct spool *s)
{
	struct marks m = { .acked = s->acked, .sent = s->sent };

	m.crc = marks_crc(&m);
	/* When this fails entries come twice after a restart, and the collector drops them. */
	if (pwrite(s->acked_fd, &m, sizeof(m), 0) != (ssize_t)sizeof(m))
		s->count.refused++;
}

static bool is_identity(const char *text, ssize_t n)
{
	return n >= SPOOL_AGENT_DIGITS && strspn(text, "0123456789abcdef") == SPOOL_AGENT_DIGITS;
}

static int identity_write(const struct spool *s, int dir)
{
	int fd = openat(dir, "agent.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, s->agent, SPOOL_AGENT_DIGITS) != SPOOL_AGENT_DIGITS || write(fd, "\n", 1) != 1 || fsync(fd))
		rc = errno ? -errno : -EIO;
	close(fd);
	if (!rc && renameat(dir, "agent.tmp", dir, "agent"))
		rc = -errno;
	return rc;
}

static int identity_make(struct spool *s)
{
	unsigned char raw[SPOOL_AGENT_DIGITS / 2];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return -EIO;
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(s->agent + 2 * i, 3, "%02x", raw[i]);
	return identity_write(s, s->dir);
}

static int read_identity(struct spool *s, bool *made)
{
	char text[SPOOL_AGENT_DIGITS + 2] = "";
	int fd = openat(s->dir, "agent", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -errno : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0 && n != -ENOENT)
		return (int)n;
	*made = !is_identity(text, n);
	if (*made)
		return identity_make(s);
	memcpy(s->agent, text, SPOOL_AGENT_DIGITS);
	return 0;
}

static int take_lock(struct spool *s, const char *dir, struct error *err)
{
	s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0)
		return error_set(err, errno, "cannot open %s/lock: %s", dir, strerror(errno));
	if (flock(s->lock, LOCK_EX | LOCK_NB))
		return error_set(err, EBUSY, "another agent uses the spool %s", dir), error_hint(err, "give each its own with --spool DIR");
	return 0;
}

/* /var/lib/plumb: systemd makes it, a shell does not. */
static void make_parent(const char *dir)
{
	char parent[PATH_MAX];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", dir);
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = '\0';
		mkdir(parent, 0700);
	}
}

int identity_open(struct spool *s, const char *dir, struct error *err)
{
	struct marks m = { 0 };
	bool made = false;
	int rc;

	make_parent(dir);
	if (mkdir(dir, 0700) && errno != EEXIST)
		return error_set(err, errno, "cannot make the spool %s: %s", dir, strerror(errno));
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return error_set(err, errno, "cannot open the spool %s: %s", dir, strerror(errno));
	rc = take_lock(s, dir, err);
	if (rc)
		return rc;
	rc = read_identity(s, &made);
	s->acked_fd = rc ? -1 : openat(s->dir, "acked", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (rc || s->acked_fd < 0)
		return error_set(err, rc ? -rc : errno, "cannot use the spool %s: %s", dir, strerror(rc ? -rc : errno));
	s->unsure = !made;
	if (pread(s->acked_fd, &m, sizeof(m), 0) == (ssize_t)sizeof(m) && m.crc == marks_crc(&m) && m.acked < SEQUENCE_MAX &&
	    m.sent < SEQUENCE_MAX) {
		s->acked = m.acked;
		s->sent = m.sent;
		s->unsure = false;
	} else {
		s->sent = SEQUENCE_MAX;   /* not known: any of them may have been */
	}
	return 0;
}

/* ---- a directory that was removed ---- */

static void close_all(const int fd[3])
{
	for (int i = 0; i < 3; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

/* fd: directory, lock, acked. Not one that another agent has, or has had. */
static int make_again(const struct spool *s, int fd[3])
{
	make_parent(s->path);
	if (mkdir(s->path, 0700) && errno != EEXIST)
		return -errno;
	fd[0] = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd[1] = fd[0] < 0 ? -1 : openat(fd[0], "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd[1] < 0 || flock(fd[1], LOCK_EX | LOCK_NB))
		return -errno;
	if (!faccessat(fd[0], "agent", F_OK, AT_SYMLINK_NOFOLLOW))
		return -EEXIST;
	fd[2] = openat(fd[0], "acked", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd[2] < 0 ? -errno : identity_write(s, fd[0]);
}

int identity_return(struct spool *s)
{
	int fd[3] = { -1, -1, -1 }, old[3] = { s->dir, s->lock, s->acked_fd };
	int rc = make_again(s, fd);

	close_all(rc ? fd : old);
	if (rc)
		return rc;
	s->dir = fd[0];
	s->lock = fd[1];
	s->acked_fd = fd[2];
	identity_save(s);
	log_warn("spool", "made-again", "dir=%s reason=\"it was removed\"", s->path);
	return 0;
}
