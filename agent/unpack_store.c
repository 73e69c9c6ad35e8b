/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "unpack_internal.h"

/* What is not kept costs memory. */
static const uint64_t SPILL_BYTES_MAX = (uint64_t)1 << 30;
enum { STORE_VERSION = 2 };

_Static_assert(sizeof(struct head) <= UNPACK_HEAD_BYTES / 2, "the head has half of its place");
_Static_assert(sizeof(struct slot) * 2 * UNPACK_SECTIONS_MAX <= UNPACK_HEAD_BYTES / 2, "the slots have the other half");

static uint64_t whole_chunks(uint64_t bytes)
{
	return chunks_of(bytes) * UNPACK_CHUNK;
}

static uint64_t ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000ULL + (uint64_t)t->tv_nsec;
}

/* h->n sections with source, packed and size are there. */
void store_layout(struct head *h, const struct stat *st)
{
	uint64_t at = UNPACK_HEAD_BYTES;

	memcpy(h->magic, "plumbdbg", sizeof(h->magic));
	h->version = STORE_VERSION;
	h->dev = st->st_dev;
	h->ino = st->st_ino;
	h->file_size = (uint64_t)st->st_size;
	h->mtime_ns = ns_of(&st->st_mtim);
	h->ctime_ns = ns_of(&st->st_ctim);
	for (uint32_t i = 0; i < h->n; i++) {
		h->section[i].checks_at = at;
		at += chunks_of(h->section[i].size) * sizeof(uint32_t);
	}
	at = whole_chunks(at);
	for (uint32_t i = 0; i < h->n; i++) {
		h->section[i].at = at;
		at += whole_chunks(h->section[i].size);
	}
	h->length = at;
}

static int write_all(int fd, const void *data, size_t len, uint64_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, (const char *)data + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* The index is written, not left as a hole: it is mapped, and a full disk must not be found out by a signal. */
static int fill_index(struct unpacked *u, int fd)
{
	uint64_t left = u->store.index_len, at = 0;
	int rc;

	if (ftruncate(fd, (off_t)u->head.length) != 0)
		return -errno;
	memset(u->step, 0, UNPACK_STEP);
	for (rc = 0; rc == 0 && left; left -= left < UNPACK_STEP ? left : UNPACK_STEP, at += UNPACK_STEP)
		rc = write_all(fd, u->step, left < UNPACK_STEP ? left : UNPACK_STEP, at);
	return rc ? rc : write_all(fd, &u->head, sizeof(u->head), 0);
}

static int map_index(struct unpacked *u, int fd)
{
	void *index = mmap(NULL, u->store.index_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (index == MAP_FAILED)
		return -errno;
	u->store.index = index;
	u->store.fd = fd;
	return 0;
}

static bool is_ours(const struct unpacked *u, int fd)
{
	struct head found;

	return pread(fd, &found, sizeof(found), 0) == sizeof(found) && memcmp(&found, &u->head, sizeof(found)) == 0;
}

static int find_or_make(struct unpacked *u, int dir, uint64_t max_bytes)
{
	char name[CACHE_NAME_MAX], temp[CACHE_NAME_MAX];
	int fd, rc;

	/* Not the build-id: anybody can write one into a file.  The head tells if it is still the same file. */
	snprintf(name, sizeof(name), "%llx-%llx", (unsigned long long)u->head.dev, (unsigned long long)u->head.ino);
	fd = cache_find(dir, name, u->head.length);
	if (fd >= 0 && is_ours(u, fd))
		return fd;
	if (fd >= 0)
		close(fd);
	if (fd == -EPERM)
		return fd;
	fd = cache_create(dir, u->head.length, max_bytes, temp);
	if (fd < 0)
		return fd;
	rc = fill_index(u, fd);
	rc = cache_publish(dir, temp, rc ? NULL : name) || rc ? -ENOSPC : 0;
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static int open_kept(struct unpacked *u, const struct cache_place *cache)
{
	int dir = cache && cache->dir && *cache->dir ? cache_open(cache->dir) : -ENOENT, fd, rc;

	if (dir < 0)
		return dir;
	fd = find_or_make(u, dir, cache->max_bytes);
	close(dir);
	if (fd < 0)
		return fd;
	rc = map_index(u, fd);
	if (rc)
		close(fd);
	u->store.kept = rc == 0;
	return rc;
}

static int open_memory(uint64_t length)
{
	int fd = memfd_create("plumb-debug", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (off_t)length) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -ENOMEM;
}

int store_open(struct unpacked *u, const struct cache_place *cache)
{
	int fd, rc;

	u->store.fd = u->spill = -1;
	u->store.index_len = u->head.n ? u->head.section[0].at : 0;
	if (open_kept(u, cache) == 0)
		return 0;
	fd = open_memory(u->head.length);
	if (fd < 0)
		return fd;
	rc = map_index(u, fd);
	if (rc)
		close(fd);
	return rc;
}

void store_close(struct unpacked *u)
{
	if (u->store.index)
		munmap(u->store.index, u->store.index_len);
	if (u->store.fd >= 0)
		close(u->store.fd);
	if (u->spill >= 0)
		close(u->spill);
}

int store_file(const struct packed *s, uint64_t chunk)
{
	return chunk >= s->spilled_from ? s->owner->spill : s->owner->store.fd;
}

/* The disk is full: the rest goes into memory, for this process only. */
static int spill(struct packed *s, uint64_t at)
{
	struct unpacked *u = s->owner;

	if (u->spill < 0) {
		u->spill = open_memory(u->head.length);
		if (u->spill < 0)
			return u->spill;
	}
	s->spilled_from = at / UNPACK_CHUNK;
	return 0;
}

int store_write(struct packed *s, const void *data, size_t len, uint64_t at)
{
	struct unpacked *u = s->owner;
	bool in_memory = !u->store.kept || s->spilled_from != UINT64_MAX;
	int rc = 0;

	if (!in_memory && write_all(u->store.fd, data, len, s->where->at + at) == 0)
		return 0;
	if (!in_memory)
		rc = spill(s, at);
	u->spilled += len;
	if (rc == 0 && u->spilled > SPILL_BYTES_MAX)
		rc = -EFBIG;
	return rc ? rc : write_all(store_file(s, at / UNPACK_CHUNK), data, len, s->where->at + at);
}

/* Between processes that use the same store; each growth is short. */
void store_lock(const struct packed *s, bool on)
{
	const struct store *store = &s->owner->store;

	if (!store->kept)
		return;
	while (flock(store->fd, on ? LOCK_EX : LOCK_UN) != 0 && errno == EINTR)
		;
}

__attribute__((target("sse4.2"))) static uint32_t crc32c(const unsigned char *at, size_t len)
{
	uint64_t crc = UINT32_MAX, word;

	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		crc = __builtin_ia32_crc32di(crc, word);
	}
	for (; len; len--)
		crc = __builtin_ia32_crc32qi((uint32_t)crc, *at++);
	return ~(uint32_t)crc;
}

/* A store that another kind of machine has made does not fit, as if it were damaged: it is made again. */
uint32_t chunk_check(const void *data, size_t len)
{
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c(data, len);
	return (uint32_t)crc32(crc32(0, NULL, 0), data, (uInt)len);
}

static uint32_t slot_check(const struct slot *slot)
{
	return (uint32_t)crc32(crc32(0, NULL, 0), (const Bytef *)slot, offsetof(struct slot, check));
}

static bool slot_fits(const struct packed *s, const struct slot *slot)
{
	return slot->check == slot_check(slot) && slot->done <= s->where->size &&
	       (slot->done % UNPACK_CHUNK == 0 || slot->done == s->where->size) && slot->point.out <= slot->done &&
	       slot->point.in <= s->where->packed && slot->point.bits < 8;
}

void slot_load(struct packed *s)
{
	struct slot a, b;
	bool fit_a, fit_b;

	if (s->spilled_from != UINT64_MAX)
		return;
	memcpy(&a, &s->slots[0], sizeof(a));
	memcpy(&b, &s->slots[1], sizeof(b));
	fit_a = slot_fits(s, &a);
	fit_b = slot_fits(s, &b);
	memset(&s->now, 0, sizeof(s->now));
	if (fit_a && (!fit_b || (int32_t)(a.turn - b.turn) > 0))
		s->now = a;
	else if (fit_b)
		s->now = b;
}

void slot_save(struct packed *s)
{
	s->now.turn++;
	s->now.check = slot_check(&s->now);
	if (s->spilled_from == UINT64_MAX)
		memcpy(&s->slots[s->now.turn % 2], &s->now, sizeof(s->now));
}
