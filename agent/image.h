/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ELF file on disk: its identity, its symbols, its code bytes.  The file is hostile input: every offset,
 * size and count is checked against the file's length, every loop has a bound.
 */
#ifndef PLUMB_IMAGE_H
#define PLUMB_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "plumb/error.h"

enum language { LANG_UNKNOWN, LANG_C, LANG_CXX, LANG_RUST, LANG_GO };

const char *language_name(enum language lang); /* "C", "C++", "Rust", "Go", "?" */

enum { BUILD_ID_HEX_MAX = 129 };   /* 64 bytes in hex and the NUL */

struct symbol {
	const char *name;     /* owned by the image, as in the table (mangled) */
	uint64_t addr, size;  /* virtual address in the file; size 0 = unknown */
	bool dynamic;         /* from .dynsym */
	bool local;           /* STB_LOCAL */
	bool indirect;        /* STT_GNU_IFUNC: the address is a resolver, not the function */
};

struct image;             /* owns a duplicate of fd, the Elf handle and the symbol index; for one thread at a time */

/* `path` is for messages only. -ENOEXEC: not an x86-64 ELF file, or a corrupt one (err says what). */
int image_open(int fd, const char *path, struct image **out, struct error *err);
void image_free(struct image *img);

int image_fd(const struct image *img);
const char *image_path(const struct image *img);
const char *image_build_id(const struct image *img);  /* lower-case hex; "" if there is none */
/* What the file says without reading DWARF DIEs: .go.buildinfo/.gopclntab, Rust or C++ mangled names, else C. */
enum language image_language(const struct image *img);
bool image_has_debug_info(const struct image *img);    /* .debug_info (or .zdebug) in this very file */
/* Bit i: a symbol or an import of the name names[i] exists: "swapcontext". At most 32 names; all are looked for in one pass. */
uint32_t image_mentions(const struct image *img, const char *const *names, uint32_t n);

/* The function symbol of that name: exact first (.symtab before .dynsym, global before local), else
 * without a version suffix "@...", else the demangled name without parameters: in full, then its last components
 * ("Class::method"), then without template arguments.  -ENOENT if none; -ENOEXEC, -EIO, -ENOMEM: the tables cannot be
 * used; -ETIMEDOUT: a hostile table whose names take seconds to demangle. */
int image_find(const struct image *img, const char *name, struct symbol *out);
/* The function symbol that covers an address. -ENOENT if none. */
int image_symbol_at(const struct image *img, uint64_t addr, struct symbol *out);
/* Calls visit for each defined function symbol with an address, by address, aliases included; stops when visit
 * returns non-zero and returns that value. */
int image_each(const struct image *img, int (*visit)(const struct symbol *sym, void *arg), void *arg);

/* The same in no order, one symbol perhaps from both tables: without the time that sorting takes. */
int image_visit(const struct image *img, int (*visit)(const struct symbol *sym, void *arg), void *arg);

/* File offset of an address that lies in an executable PT_LOAD. -ERANGE otherwise. */
int image_offset(const struct image *img, uint64_t addr, uint64_t *offset);
/* Up to `len` bytes of code at an address, as in the file. Returns the count (short at the segment's end) or -errno. */
ssize_t image_code(const struct image *img, uint64_t addr, void *out, size_t len);

/* Opens the separate debug file: by build-id, then .gnu_debuglink (CRC checked), below `root`/usr/lib/debug,
 * beside the file, and below the host's /usr/lib/debug. `root` is "" or e.g. "/proc/123/root".
 * Returns an fd (the caller closes it) and fills `found` (may be NULL); -ENOENT: none, err lists where it looked. */
int image_open_debug(const struct image *img, const char *root, char *found, size_t found_len, struct error *err);

/* Demangles C++ and Rust (libiberty). Returns a malloc'ed string, or NULL if the name is not mangled. */
char *demangle(const char *name, bool with_parameters);

#endif
