/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads of what is not there yet.
 *
 * A read of a closed chunk raises SIGSEGV, at the instruction that reads, in the thread that reads: not at a random
 * moment, and never inside of the allocator, so the handler may do real work.  It inflates up to that chunk, checks it,
 * opens it and returns; the instruction runs again.  libdw never learns of it.  (userfaultfd would do the same, where it
 * is allowed.)
 *
 * If a chunk cannot be had, the section reads as zeros from there on, so that the reader can come to its end, and
 * unpack_failure says that nothing it found counts.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "unpack_internal.h"

enum { RUN_MAX = 64 };

/* Mapped pages of the store count as resident: dropped now and then, they come back from the page cache when they are read. */
static const uint64_t OPENED_BYTES = (uint64_t)48 << 20;

static struct unpacked *registered;
static struct sigaction before;

static size_t chunk_len(const struct packed *s, uint64_t chunk)
{
	uint64_t left = s->where->size - chunk * UNPACK_CHUNK;

	return left < UNPACK_CHUNK ? left : UNPACK_CHUNK;
}

static bool open_chunk(struct packed *s, uint64_t chunk)
{
	unsigned char *mem = s->mem + chunk * UNPACK_CHUNK;
	struct unpacked *u = s->owner;

	if (chunk >= s->spilled_from)
		return mmap(mem, UNPACK_CHUNK, PROT_READ, MAP_SHARED | MAP_FIXED, u->spill,
			    (off_t)(s->where->at + chunk * UNPACK_CHUNK)) != MAP_FAILED;
	if (mprotect(mem, UNPACK_CHUNK, PROT_READ) != 0)
		return false;
	if (s->checks[chunk] == chunk_check(mem, chunk_len(s, chunk)))
		return true;
	mprotect(mem, UNPACK_CHUNK, PROT_NONE);
	return false;
}

static void stay_small(struct unpacked *u)
{
	u->opened += UNPACK_CHUNK;
	if (u->opened < OPENED_BYTES)
		return;
	u->opened = 0;
	madvise(u->base + u->sections_at, u->table_at - u->sections_at, MADV_DONTNEED);
}

static int need_chunk(struct packed *s, uint64_t chunk)
{
	int rc = chunk * UNPACK_CHUNK < s->now.done ? 0 : grow(s, chunk);

	if (rc == 0 && !open_chunk(s, chunk)) {
		forget(s, chunk);
		rc = grow(s, chunk);
		if (rc == 0 && !open_chunk(s, chunk))
			rc = -EIO;
	}
	if (rc == 0)
		stay_small(s->owner);
	return rc;
}

static void give_up(struct packed *s, uint64_t chunk, int rc)
{
	struct unpacked *u = s->owner;
	uint64_t all = chunks_of(s->where->size);
	const char *why = rc == -EBADMSG ? "is damaged" : rc == -EFBIG ? "needs more memory than plumb takes" : strerror(-rc);

	if (!u->failure[0])
		snprintf(u->failure, sizeof(u->failure), "the compressed section at offset %llu, inflated %llu bytes: %s",
			 (unsigned long long)s->where->source, (unsigned long long)s->now.done, why);
	if (mmap(s->mem + chunk * UNPACK_CHUNK, (all - chunk) * UNPACK_CHUNK, PROT_READ,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		signal(SIGSEGV, SIG_DFL);             /* not even zeros: the process ends at the next try */
}

/* Whoever reads on gets more at a time, of what is inflated already. */
static void open_at(struct packed *s, uint64_t chunk)
{
	int rc = need_chunk(s, chunk);

	s->run = chunk == s->next ? s->run * 2 : 1;
	if (s->run > RUN_MAX)
		s->run = RUN_MAX;
	s->next = chunk + 1;
	if (rc)
		give_up(s, chunk, rc);
	for (uint64_t i = 1; rc == 0 && i < s->run && s->next * UNPACK_CHUNK < s->now.done; i++) {
		if (!open_chunk(s, s->next))
			return;
		stay_small(s->owner);
		s->next++;
	}
}

static struct packed *section_at(const unsigned char *addr)
{
	for (struct unpacked *u = registered; u; u = u->link) {
		for (uint32_t i = 0; i < u->head.n; i++) {
			struct packed *s = &u->section[i];

			if (addr >= s->mem && addr < s->mem + chunks_of(s->where->size) * UNPACK_CHUNK)
				return s;
		}
	}
	return NULL;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	struct packed *s = info->si_code == SEGV_ACCERR ? section_at(info->si_addr) : NULL;
	int saved = errno;

	if (s)
		open_at(s, (uint64_t)((unsigned char *)info->si_addr - s->mem) / UNPACK_CHUNK);
	else
		sigaction(sig, &before, NULL);        /* not ours: it happens again, to whom it concerns */
	errno = saved;
}

int fault_register(struct unpacked *u)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, now;

	if (sigaction(SIGSEGV, NULL, &now) != 0)
		return -errno;
	if (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != on_fault) {
		before = now;
		if (sigaction(SIGSEGV, &act, NULL) != 0)
			return -errno;
	}
	u->link = registered;
	registered = u;
	return 0;
}

void fault_forget(struct unpacked *u)
{
	for (struct unpacked **at = &registered; *at; at = &(*at)->link) {
		if (*at == u) {
			*at = u->link;
			return;
		}
	}
}
