/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ELF file with compressed sections (SHF_COMPRESSED, zlib) that reads as if they were not compressed.
 *
 * libdw inflates every debug section whole before it answers anything: seconds and half a gigabyte for a large
 * library, at each question.  Here the file is laid out in memory with room for the inflated sections, and each of
 * them is inflated as far as it has been read, into a file; that file, if it is kept, serves the next questions.
 */
#ifndef PLUMB_UNPACK_H
#define PLUMB_UNPACK_H

#include <libelf.h>

#include "cache.h"
#include "plumb/error.h"

struct unpacked;       /* owns its memory and its files; for one thread at a time */

/*
 * *out: NULL if nothing in the file is compressed, or it is no file that this can do (libelf then says what is wrong
 * with it).  `cache` may be NULL: what is inflated is forgotten at the end.  Needs a handler for SIGSEGV, which it
 * installs and keeps; faults that are not its own go to the one before.  -ENOEXEC: sizes that cannot be; -ENOMEM, -EIO.
 */
int unpack_open(int fd, const struct cache_place *cache, struct unpacked **out, struct error *err);
/* Ends what unpack_elf returned too. */
void unpack_free(struct unpacked *u);
/* Borrowed. NULL: libelf refuses it (elf_errmsg). */
Elf *unpack_elf(struct unpacked *u);
/* NULL, or why a section could not be inflated: what was read since then is zeros, and answers from it are worthless. */
const char *unpack_failure(const struct unpacked *u);
/* Bytes that were inflated by this process. */
uint64_t unpack_inflated(const struct unpacked *u);

#endif
