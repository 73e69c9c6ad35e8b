/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name of a unit's n-th file, from the header of its line table.  libdw decodes the whole table before it gives one: 16 ms for
 * a unit of libjvm, 70 ms for one of ceph, and in a compressed file all of it has to be inflated.  What is not understood here is
 * left to libdw.
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "debuginfo_internal.h"

enum { FORMATS_MAX = 32, NAMES_MAX = 1 << 20, PATH_BYTES_MAX = 1 << 16 };

struct file { const char *name, *dir; };      /* dir NULL: none is known */

struct line_files {
	struct debuginfo *di;                 /* borrowed */
	struct list dirs;                     /* const char * */
	struct list files;                    /* struct file; the first one is number `first` */
	unsigned first;
};

struct format { uint64_t content, form; };

/* ---- what it is made of ---- */

static bool take_leb(struct line_head *h, uint64_t *out)
{
	uint8_t byte;

	*out = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (!line_head_take(h, &byte, 1))
			return false;
		*out |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool skip(struct line_head *h, uint64_t n)
{
	if (n > (uint64_t)(h->end - h->at))
		return false;
	h->at += n;
	return true;
}

/* A text up to its NUL, which is in the header. */
static bool take_text(struct line_head *h, const char **out)
{
	const unsigned char *nul = memchr(h->at, '\0', (size_t)(h->end - h->at));

	if (!nul)
		return false;
	*out = (const char *)h->at;
	h->at = nul + 1;
	return true;
}

static bool take_line_str(struct line_head *h, const Elf_Data *strings, const char **out)
{
	uint64_t offset;

	if (!line_head_take_offset(h, &offset) || !strings || !strings->d_buf || offset >= strings->d_size)
		return false;
	*out = (const char *)strings->d_buf + offset;
	return memchr(*out, '\0', strings->d_size - offset) != NULL;
}

static bool take_number(struct line_head *h, uint64_t form, uint64_t *out)
{
	size_t size = form == DW_FORM_data1 ? 1 : form == DW_FORM_data2 ? 2 : 4;

	*out = 0;
	if (form == DW_FORM_udata)
		return take_leb(h, out);
	if (form == DW_FORM_data1 || form == DW_FORM_data2 || form == DW_FORM_data4)
		return line_head_take(h, out, size);
	return form == DW_FORM_data16 && skip(h, 16);  /* a checksum */
}

static bool keep(struct line_files *f, struct list *l, const void *item)
{
	void *slot = l->count < NAMES_MAX && budget_take(f->di) ? list_add(l) : NULL;

	if (slot)
		memcpy(slot, item, l->item_size);
	return slot != NULL;
}

/* ---- DWARF 2 to 4: directories and files, each list up to an empty name ---- */

static const char *directory(const struct line_files *f, uint64_t n)
{
	return n < f->dirs.count ? list_at(&f->dirs, const char *, n) : NULL;
}

static bool read_old_tables(struct line_head *h, struct line_files *f)
{
	const char *text;
	uint64_t dir, more;

	f->first = 1;
	while (take_text(h, &text) && *text)
		if (!keep(f, &f->dirs, &text))
			return false;
	while (take_text(h, &text)) {
		struct file file = { .name = text };

		if (!*text)
			return true;
		if (!take_leb(h, &dir) || !take_leb(h, &more) || !take_leb(h, &more) || dir >= f->dirs.count)
			return false;
		file.dir = directory(f, dir);
		if (!keep(f, &f->files, &file))
			return false;
	}
	return false;
}

/* ---- DWARF 5: each list says what it has of each entry ---- */

static bool read_formats(struct line_head *h, struct format *formats, unsigned *n)
{
	uint8_t count;

	if (!line_head_take(h, &count, 1) || count == 0 || count > FORMATS_MAX)
		return false;
	*n = count;
	for (unsigned i = 0; i < count; i++)
		if (!take_leb(h, &formats[i].content) || !take_leb(h, &formats[i].form))
			return false;
	return true;
}

static bool read_entry(struct line_head *h, const Elf_Data *strings, const struct format *formats, unsigned n, struct file *out,
		       uint64_t *dir)
{
	*out = (struct file){ 0 };
	*dir = 0;
	for (unsigned i = 0; i < n; i++) {
		uint64_t number;
		const char *text = NULL;
		bool ok;

		if (formats[i].form == DW_FORM_string)
			ok = take_text(h, &text);
		else if (formats[i].form == DW_FORM_line_strp)
			ok = take_line_str(h, strings, &text);
		else
			ok = take_number(h, formats[i].form, &number);
		if (!ok)
			return false;
		if (formats[i].content == DW_LNCT_path && text)
			out->name = text;
		else if (formats[i].content == DW_LNCT_directory_index && !text)
			*dir = number;
	}
	return out->name != NULL;
}

static bool read_new_tables(struct line_head *h, const Elf_Data *strings, struct line_files *f)
{
	struct format formats[FORMATS_MAX];
	uint64_t count, dir;
	unsigned n;

	if (!read_formats(h, formats, &n) || !take_leb(h, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct file file;

		if (!read_entry(h, strings, formats, n, &file, &dir) || !keep(f, &f->dirs, &file.name))
			return false;
	}
	if (!read_formats(h, formats, &n) || !take_leb(h, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct file file;

		if (!read_entry(h, strings, formats, n, &file, &dir) || dir >= f->dirs.count)
			return false;
		file.dir = directory(f, dir);
		if (!keep(f, &f->files, &file))
			return false;
	}
	return true;
}

/* ---- a unit ---- */

static void files_free(struct line_files *f)
{
	list_free(&f->dirs);
	list_free(&f->files);
}

/* min_inst_length, [max_ops,] default_is_stmt, line_base, line_range, opcode_base and the operands of each opcode. */
static bool skip_fixed(struct line_head *h)
{
	uint8_t opcode_base;

	return skip(h, h->version >= 4 ? 5 : 4) && line_head_take(h, &opcode_base, 1) && opcode_base > 0 && skip(h, opcode_base - 1);
}

static bool read_files(struct debuginfo *di, Dwarf_Die *cu, struct line_files *f)
{
	Dwarf_Attribute mem;
	const char *comp_dir = dwarf_formstring(dwarf_attr(cu, DW_AT_comp_dir, &mem));
	struct line_head h;
	uint64_t offset;

	f->di = di;
	f->dirs.item_size = sizeof(const char *);
	f->files.item_size = sizeof(struct file);
	line_sections(di);
	if (!di->line || !di->line->d_buf || !die_udata(cu, DW_AT_stmt_list, &offset) || !line_head_read(di->line, offset, &h) ||
	    !skip_fixed(&h))
		return false;
	if (h.version >= 5)
		return read_new_tables(&h, di->line_str, f);
	return keep(f, &f->dirs, &comp_dir) && read_old_tables(&h, f);
}

static const char *join(struct debuginfo *di, const struct file *file)
{
	size_t name = strlen(file->name), dir = file->dir ? strlen(file->dir) : 0;
	struct buf b = { 0 };
	const char *out;

	if (!file->dir || file->name[0] == '/')
		return file->name;
	if (name > PATH_BYTES_MAX || dir > PATH_BYTES_MAX)
		return NULL;
	buf_printf(&b, "%s/%s", file->dir, file->name);
	out = b.failed ? NULL : pool_copy(&di->pool, b.data, b.len);
	buf_free(&b);
	return out;
}

bool line_file(struct debuginfo *di, struct unit *u, uint64_t number, const char **out)
{
	struct line_files *f = u->files;
	struct file *file;

	if (!u->files_asked) {
		u->files_asked = true;
		f = calloc(1, sizeof(*f));
		if (f && (dwarf_cu_getdwarf(u->die.cu) != di->dwarf || !read_files(di, &u->die, f))) {
			line_files_free(f);
			f = NULL;
		}
		u->files = f;
	}
	if (!f)
		return false;
	*out = "";
	if (number < f->first)
		return true;
	if (number - f->first >= f->files.count)
		return false;          /* the table's program may define more */
	file = &list_at(&f->files, struct file, number - f->first);
	file->name = join(di, file);   /* once */
	file->dir = NULL;
	if (!file->name)
		file->name = "";
	*out = file->name;
	return true;
}

void line_files_free(struct line_files *f)
{
	if (f)
		files_free(f);
	free(f);
}
