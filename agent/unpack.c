/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unpack_internal.h"

enum { SECTIONS_MAX = 65536, PAGE = 4096 };

/* Deflate makes a byte of at most 1032: a larger claim is a lie. */
static const uint64_t RATIO_MAX = 1032;
static const uint64_t INFLATED_BYTES_MAX = (uint64_t)6 << 30;

struct survey {
	int fd;
	uint64_t file_len;
	struct stat st;
	Elf64_Ehdr eh;
	Elf64_Shdr *headers;
	size_t n, number[UNPACK_SECTIONS_MAX];   /* number: which of the headers is section i of the head */
	uint64_t inflated;
};

static bool read_at(int fd, void *out, size_t len, uint64_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)out + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool inside(const struct survey *s, uint64_t at, uint64_t len)
{
	return at <= s->file_len && len <= s->file_len - at;
}

/* False: no file that can be laid out; libelf shall say what it thinks of it. */
static bool read_headers(struct survey *s)
{
	Elf64_Shdr first;

	if (fstat(s->fd, &s->st) != 0 || !S_ISREG(s->st.st_mode))
		return false;
	s->file_len = (uint64_t)s->st.st_size;
	if (!read_at(s->fd, &s->eh, sizeof(s->eh), 0) || memcmp(s->eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    s->eh.e_ident[EI_CLASS] != ELFCLASS64 || s->eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    s->eh.e_shentsize != sizeof(Elf64_Shdr) || !inside(s, s->eh.e_shoff, sizeof(first)) || s->eh.e_shoff == 0)
		return false;
	s->n = s->eh.e_shnum;
	if (s->n == 0) {                      /* the count does not fit its field: section 0 has it */
		if (!read_at(s->fd, &first, sizeof(first), s->eh.e_shoff))
			return false;
		s->n = first.sh_size;
	}
	if (s->n == 0 || s->n > SECTIONS_MAX || !inside(s, s->eh.e_shoff, s->n * sizeof(Elf64_Shdr)))
		return false;
	s->headers = calloc(s->n, sizeof(*s->headers));
	return s->headers && read_at(s->fd, s->headers, s->n * sizeof(*s->headers), s->eh.e_shoff);
}

/* One section: added to the head if it is compressed in the way that is known here. Others are left to libelf. */
static int survey_section(struct survey *s, size_t number, struct head *h, struct error *err)
{
	struct head_section *to = &h->section[h->n];
	Elf64_Shdr *sh = &s->headers[number];
	Elf64_Chdr ch;

	if (h->n == UNPACK_SECTIONS_MAX || sh->sh_type != SHT_PROGBITS || !(sh->sh_flags & SHF_COMPRESSED) ||
	    (sh->sh_flags & SHF_ALLOC) || sh->sh_size <= sizeof(ch) || !inside(s, sh->sh_offset, sh->sh_size) ||
	    !read_at(s->fd, &ch, sizeof(ch), sh->sh_offset) || ch.ch_type != ELFCOMPRESS_ZLIB || ch.ch_size == 0)
		return 0;
	to->source = sh->sh_offset + sizeof(ch);
	to->packed = sh->sh_size - sizeof(ch);
	to->size = ch.ch_size;
	if (to->size / RATIO_MAX > to->packed)
		return error_set(err, ENOEXEC, "a compressed section claims more bytes than it can have");
	if (to->size > INFLATED_BYTES_MAX || (s->inflated += to->size) > INFLATED_BYTES_MAX)
		return error_set(err, ENOEXEC, "there is more debug information than plumb reads");
	sh->sh_flags &= ~(Elf64_Xword)SHF_COMPRESSED;
	sh->sh_size = ch.ch_size;
	sh->sh_addralign = ch.ch_addralign;
	s->number[h->n++] = number;
	return 0;
}

static uint64_t page_up(uint64_t n)
{
	return (n + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* All sections are closed; they follow each other as they do in the store. */
static int map_sections(struct unpacked *u)
{
	uint64_t first = u->head.section[0].at;
	void *at = u->base + u->sections_at;

	if (mmap(at, u->head.length - first, PROT_NONE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, u->store.fd, (off_t)first) != at)
		return -errno;
	madvise(at, u->head.length - first, MADV_RANDOM);
	for (uint32_t i = 0; i < u->head.n; i++) {
		struct packed *p = &u->section[i];

		p->owner = u;
		p->where = &u->head.section[i];
		p->slots = (struct slot *)(void *)(u->store.index + UNPACK_HEAD_BYTES / 2) + (size_t)2 * i;
		p->checks = (uint32_t *)(void *)(u->store.index + p->where->checks_at);
		p->mem = u->base + u->sections_at + (p->where->at - first);
		p->spilled_from = UINT64_MAX;
		p->stream_done = UINT64_MAX;
		slot_load(p);
	}
	return 0;
}

static int map_file(struct unpacked *u, const struct survey *s)
{
	void *base;

	u->sections_at = page_up(s->file_len);
	u->table_at = u->sections_at + (u->head.length - u->head.section[0].at);
	u->len = u->table_at + page_up(s->n * sizeof(Elf64_Shdr));
	base = mmap(NULL, u->len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	u->base = base;
	if (mmap(u->base, s->file_len, PROT_READ, MAP_PRIVATE | MAP_FIXED, s->fd, 0) == MAP_FAILED)
		return -errno;
	return map_sections(u);
}

/* Section headers that say so, and a header that says where they are. */
static int write_headers(struct unpacked *u, const struct survey *s)
{
	Elf64_Ehdr *eh = (Elf64_Ehdr *)(void *)u->base;
	Elf64_Shdr *table = (Elf64_Shdr *)(void *)(u->base + u->table_at);

	if (mprotect(table, s->n * sizeof(*table), PROT_READ | PROT_WRITE) != 0 ||
	    mprotect(u->base, PAGE, PROT_READ | PROT_WRITE) != 0)
		return -errno;
	memcpy(table, s->headers, s->n * sizeof(*table));
	for (uint32_t i = 0; i < u->head.n; i++)
		table[s->number[i]].sh_offset = (Elf64_Off)(u->section[i].mem - u->base);
	*eh = s->eh;
	eh->e_shoff = u->table_at;
	return 0;
}

static int open_streams(struct unpacked *u)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < u->head.n; i++)
		rc = zstream_new(u->source, u->head.section[i].source, u->head.section[i].packed, &u->section[i].stream);
	return rc;
}

static int lay_out(struct unpacked *u, const struct survey *s, const struct cache_place *cache)
{
	int rc;

	store_layout(&u->head, &s->st);
	u->step = malloc(UNPACK_STEP);
	if (!u->step)
		return -ENOMEM;
	rc = store_open(u, cache);
	if (rc == 0)
		rc = map_file(u, s);
	if (rc == 0)
		rc = write_headers(u, s);
	if (rc == 0)
		rc = open_streams(u);
	return rc ? rc : fault_register(u);
}

static int survey_all(struct survey *s, struct head *h, struct error *err)
{
	int rc = 0;

	for (size_t i = 1; rc == 0 && i < s->n; i++)
		rc = survey_section(s, i, h, err);
	return rc;
}

int unpack_open(int fd, const struct cache_place *cache, struct unpacked **out, struct error *err)
{
	struct survey s = { .fd = fd };
	struct unpacked *u = calloc(1, sizeof(*u));
	int rc = 0;

	*out = NULL;
	if (!u)
		return error_set(err, ENOMEM, "out of memory");
	u->source = fd;
	u->store.fd = u->spill = -1;
	if (read_headers(&s))
		rc = survey_all(&s, &u->head, err);
	if (rc == 0 && u->head.n) {
		rc = lay_out(u, &s, cache);
		if (rc)
			error_set(err, -rc, "its compressed sections %s%s", rc == -EBADMSG ? "are damaged" : "cannot be read: ",
				  rc == -EBADMSG ? "" : strerror(-rc));
	}
	free(s.headers);
	if (rc == 0 && u->head.n) {
		*out = u;
		return 0;
	}
	unpack_free(u);
	return rc;
}

void unpack_free(struct unpacked *u)
{
	if (!u)
		return;
	fault_forget(u);
	if (u->elf)
		elf_end(u->elf);
	for (uint32_t i = 0; i < u->head.n; i++)
		zstream_free(u->section[i].stream);
	if (u->base)
		munmap(u->base, u->len);
	store_close(u);
	free(u->step);
	free(u);
}

Elf *unpack_elf(struct unpacked *u)
{
	if (!u->elf)
		u->elf = elf_memory((char *)u->base, u->len);
	return u->elf;
}

const char *unpack_failure(const struct unpacked *u)
{
	return u->failure[0] ? u->failure : NULL;
}

uint64_t unpack_inflated(const struct unpacked *u)
{
	return u->inflated;
}
