/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an ELF file with compressed sections: every section is read in an order of the input's choice, twice,
 * and reads the same again; what could not be inflated is said to have failed.
 *
 * fuzz-sources: agent/cache.c agent/zstream.c agent/unpack*.c common/error.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "unpack.h"
#include "unpack_internal.h"

enum { SECTION_BYTES = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
	if (!ok)
		abort();
}

static uint64_t bytes_of(const struct packed *s)
{
	return s->where->size < SECTION_BYTES ? s->where->size : SECTION_BYTES;
}

/* Chunks in steps that jump back and forth. */
static void jump(const struct packed *s, unsigned step)
{
	uint64_t n = chunks_of(bytes_of(s)), at = 0;

	for (uint64_t i = 0; i < n; i++, at = (at + step) % n)
		(void)*((const volatile unsigned char *)s->mem + at * UNPACK_CHUNK);
}

static void read_sections(struct unpacked *u, unsigned step)
{
	for (uint32_t i = 0; i < u->head.n; i++) {
		const struct packed *s = &u->section[i];
		uLong first;

		jump(s, step);
		first = crc32(0, s->mem, (uInt)bytes_of(s));
		need(unpack_failure(u) || crc32(0, s->mem, (uInt)bytes_of(s)) == first);
	}
	need(u->inflated <= u->head.length * 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unpacked *u;
	struct error err = { 0 };
	int fd = memfd_create("fuzz", MFD_CLOEXEC), rc;

	need(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	elf_version(EV_CURRENT);
	rc = unpack_open(fd, NULL, &u, &err);
	need(rc == 0 || (rc == -err.code && err.text[0] && !u));
	if (rc == 0 && u) {
		unpack_elf(u);
		read_sections(u, size ? data[size - 1] + 1U : 1);
		unpack_free(u);
	}
	close(fd);
	return 0;
}
