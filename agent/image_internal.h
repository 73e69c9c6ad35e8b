/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the ELF module share: image.c (opening, code bytes), image_section.c (sections, notes),
 * image_symbol.c (tables, one name), image_name.c (demangled names), image_index.c (by address),
 * image_language.c, image_debuglink.c.
 *
 * An image is for one thread at a time: what is read late (tables, index) is cached behind `late`.
 */
#ifndef PLUMB_IMAGE_INTERNAL_H
#define PLUMB_IMAGE_INTERNAL_H

#include <gelf.h>

#include "image.h"

/* What a file may ask for.  Above the largest real programs (a browser has 2 million symbols), below what hurts a host. */
#define IMAGE_SYMTAB_BYTES_MAX ((size_t)96 << 20)    /* 4 million symbols */
#define IMAGE_STRTAB_BYTES_MAX ((size_t)512 << 20)
enum {
	IMAGE_SECTIONS_MAX = 65536,
	IMAGE_SEGMENTS_MAX = 4096,
	IMAGE_CODE_SEGMENTS_MAX = 16,         /* every symbol is looked up in them; linkers make one or two */
	IMAGE_SHSTRTAB_BYTES_MAX = 16 << 20,
	IMAGE_NOTES_MAX = 64,
	IMAGE_NOTES_BYTES_MAX = 64 << 10,
	IMAGE_SMALL_BYTES_MAX = 64 << 10,     /* .comment, .gnu_debuglink */
};

/* A string table.  `len` ends after its last NUL, so a string that starts below `len` ends below it. */
struct strings {
	const char *base;
	size_t len;
};

/* A symbol table in memory; owned by the Elf handle. */
struct symtab {
	const Elf64_Sym *syms;
	size_t n;
	struct strings names;
	bool dynamic;
	const uint16_t *versions;             /* .gnu.version: one per symbol, NULL if there is none */
	const char *verdef;                   /* .gnu.version_d */
	size_t verdef_len;
};

struct segment {                              /* an executable PT_LOAD */
	uint64_t addr, mem_size;              /* addr + mem_size does not wrap */
	uint64_t offset, file_size;           /* cut at the file's end */
};

struct sections {                             /* section numbers, 0 = none */
	size_t symtab, dynsym, versym, verdef, debuglink, comment;
	unsigned notes;                       /* how many were read */
	bool debug_info, go;
};

struct indexed {
	struct symbol sym;
	uint64_t end;                         /* first address behind it, also when its size is not known */
	uint64_t max_end;                     /* the farthest end of this and all earlier symbols */
	unsigned rank;                        /* lower = the better name for its address */
};

/* What is read on demand.  Owns the index; the tables belong to the Elf handle. */
struct image_late {
	bool tables_loaded, index_built, language_known;
	int tables_error, index_error;
	struct symtab tab[2];                 /* .symtab, .dynsym; n = 0 if missing */
	struct indexed *index;
	size_t n_index;
	enum language language;
};

struct image {
	int fd;
	char *path;
	Elf *elf;
	uint64_t file_len;
	char build_id[BUILD_ID_HEX_MAX];
	struct sections sec;
	struct segment *segment;
	size_t n_segments;
	struct image_late *late;
};

/* image.c */
const struct segment *image_segment(const struct image *img, uint64_t addr);

/* image_section.c: all return 0 or -errno */
int image_survey(struct image *img, struct error *err);
/* A section's bytes, checked against the file's length and `max`. They belong to the Elf handle. */
int image_section(const struct image *img, size_t number, size_t max, const void **data, size_t *len);
int image_strings(const struct image *img, size_t number, size_t max, struct strings *out);
const char *strings_at(const struct strings *s, uint64_t offset);   /* NULL if outside */

/* image_symbol.c */
int image_tables(const struct image *img, const struct symtab **tab);   /* *tab: two of them */
/* True if symbol i is a defined function with a name in executable memory. */
bool symtab_function(const struct image *img, const struct symtab *tab, size_t i, struct symbol *out);

/* image_name.c */
int image_find_demangled(const struct image *img, const char *name, struct symbol *out);
bool name_is_mangled(const char *name);

#endif
