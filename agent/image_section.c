/* SPDX-License-Identifier: Apache-2.0 */
/* Sections and notes of an ELF file: which of them matter, where they are, and their bytes after checks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image_internal.h"

int image_section(const struct image *img, size_t number, size_t max, const void **data, size_t *len)
{
	Elf_Scn *scn = elf_getscn(img->elf, number);
	GElf_Shdr sh;
	Elf_Data *d;

	*data = NULL;
	*len = 0;
	if (!scn || !gelf_getshdr(scn, &sh) || sh.sh_type == SHT_NOBITS || (sh.sh_flags & SHF_COMPRESSED))
		return -ENOEXEC;
	if (sh.sh_offset > img->file_len || sh.sh_size > img->file_len - sh.sh_offset)
		return -ENOEXEC;
	if (sh.sh_size > max)
		return -EFBIG;
	if (sh.sh_size == 0)
		return 0;
	d = elf_rawdata(scn, NULL);
	if (!d || !d->d_buf || d->d_size != sh.sh_size)
		return -EIO;
	*data = d->d_buf;
	*len = d->d_size;
	return 0;
}

int image_strings(const struct image *img, size_t number, size_t max, struct strings *out)
{
	const void *data;
	const char *last = NULL;
	size_t len;
	int rc = image_section(img, number, max, &data, &len);

	memset(out, 0, sizeof(*out));
	if (rc != 0)
		return rc;
	if (len > 0)
		last = memrchr(data, 0, len);
	out->base = data;
	out->len = last ? (size_t)(last - out->base) + 1 : 0;
	return 0;
}

const char *strings_at(const struct strings *s, uint64_t offset)
{
	return offset < s->len ? s->base + offset : NULL;
}

static uint64_t align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

/* Finds the build-id among the notes in data[0..len). */
static bool find_build_id(struct image *img, const unsigned char *data, size_t len, uint64_t align)
{
	uint64_t at = 0, desc, end;
	Elf64_Nhdr nh;
	size_t i;

	align = align == 8 ? 8 : 4;
	while (len - at >= sizeof(nh)) {
		memcpy(&nh, data + at, sizeof(nh));
		desc = align_up(at + sizeof(nh) + nh.n_namesz, align);
		end = desc + nh.n_descsz;
		if (end > len)
			return false;
		if (nh.n_type == NT_GNU_BUILD_ID && nh.n_namesz == 4 && memcmp(data + at + sizeof(nh), "GNU", 4) == 0 &&
		    nh.n_descsz > 0 && nh.n_descsz <= (BUILD_ID_HEX_MAX - 1) / 2) {
			for (i = 0; i < nh.n_descsz; i++)
				snprintf(img->build_id + 2 * i, 3, "%02x", data[desc + i]);
			return true;
		}
		at = align_up(end, align);
		if (at > len)
			return false;
	}
	return false;
}

static bool read_notes(struct image *img, uint64_t offset, uint64_t len, uint64_t align)
{
	unsigned char *data;
	bool found = false;

	if (len > IMAGE_NOTES_BYTES_MAX)
		len = IMAGE_NOTES_BYTES_MAX;
	if (img->sec.notes++ >= IMAGE_NOTES_MAX || len == 0 || offset > img->file_len || len > img->file_len - offset)
		return false;
	data = malloc(len);
	if (data && pread(img->fd, data, len, (off_t)offset) == (ssize_t)len)
		found = find_build_id(img, data, len, align);
	free(data);
	return found;
}

static void build_id_of_segments(struct image *img)
{
	size_t n, i;
	GElf_Phdr ph;

	if (elf_getphdrnum(img->elf, &n) != 0)
		return;
	for (i = 0; i < n && !img->build_id[0]; i++)
		if (gelf_getphdr(img->elf, (int)i, &ph) && ph.p_type == PT_NOTE)
			read_notes(img, ph.p_offset, ph.p_filesz, ph.p_align);
}

static bool is_one_of(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(name, *list) == 0)
			return true;
	return false;
}

static void note_section(struct image *img, size_t number, const char *name, const GElf_Shdr *sh)
{
	static const char *const debug[] = { ".debug_info", ".zdebug_info", NULL };
	static const char *const go[] = { ".gopclntab", ".data.rel.ro.gopclntab", ".go.buildinfo",
					  ".note.go.buildid", NULL };
	struct sections *sec = &img->sec;

	switch (sh->sh_type) {
	case SHT_SYMTAB: sec->symtab = number; break;
	case SHT_DYNSYM: sec->dynsym = number; break;
	case SHT_GNU_versym: sec->versym = number; break;
	case SHT_GNU_verdef: sec->verdef = number; break;
	case SHT_NOTE:
		if (!img->build_id[0])
			read_notes(img, sh->sh_offset, sh->sh_size, sh->sh_addralign);
		break;
	case SHT_PROGBITS:
		if (strcmp(name, ".gnu_debuglink") == 0)
			sec->debuglink = number;
		else if (strcmp(name, ".comment") == 0)
			sec->comment = number;
		else if (is_one_of(name, debug) && sh->sh_size > 0)
			sec->debug_info = true;
		break;
	default:
		break;
	}
	/* Also when it has no bytes here (a debug file): the name alone tells. */
	if (is_one_of(name, go))
		sec->go = true;
}

static int refuse_section(const struct image *img, const char *name, struct error *err)
{
	return error_set(err, ENOEXEC, "%s is corrupt or truncated: section %s is not inside the file", img->path,
			 name[0] ? name : "without a name");
}

static int survey_section(struct image *img, size_t number, const struct strings *names, struct error *err)
{
	GElf_Shdr sh;
	const char *name;

	if (!gelf_getshdr(elf_getscn(img->elf, number), &sh))
		return error_set(err, ENOEXEC, "%s has broken section headers", img->path);
	name = strings_at(names, sh.sh_name);
	if (!name)
		name = "";
	if (sh.sh_type != SHT_NOBITS && sh.sh_type != SHT_NULL &&
	    (sh.sh_offset > img->file_len || sh.sh_size > img->file_len - sh.sh_offset))
		return refuse_section(img, name, err);
	note_section(img, number, name, &sh);
	return 0;
}

/* One table's header: entries of the right size, below the cap, with a string table below the cap. */
static int check_table(const struct image *img, size_t number, struct error *err)
{
	GElf_Shdr sh, str;

	if (number == 0)
		return 0;
	if (!gelf_getshdr(elf_getscn(img->elf, number), &sh) || sh.sh_entsize != sizeof(Elf64_Sym) ||
	    !gelf_getshdr(elf_getscn(img->elf, sh.sh_link), &str) || str.sh_type != SHT_STRTAB ||
	    ((sh.sh_flags | str.sh_flags) & SHF_COMPRESSED))
		return error_set(err, ENOEXEC, "%s is corrupt: its symbol table is broken", img->path);
	if (sh.sh_size > IMAGE_SYMTAB_BYTES_MAX || str.sh_size > IMAGE_STRTAB_BYTES_MAX)
		return error_set(err, ENOEXEC, "%s has a symbol table that is too large (%llu + %llu bytes)", img->path,
				 (unsigned long long)sh.sh_size, (unsigned long long)str.sh_size);
	return 0;
}

int image_survey(struct image *img, struct error *err)
{
	struct strings names = { 0 };
	size_t n, names_at, i;
	int rc = 0;

	if (elf_getshdrnum(img->elf, &n) != 0 || n > IMAGE_SECTIONS_MAX)
		return error_set(err, ENOEXEC, "%s has broken section headers", img->path);
	/* Without section names there are still symbols: an image is refused for what breaks an answer, not for looks. */
	if (n > 0 && elf_getshdrstrndx(img->elf, &names_at) == 0 && names_at > 0 && names_at < n)
		image_strings(img, names_at, IMAGE_SHSTRTAB_BYTES_MAX, &names);
	for (i = 1; i < n && rc == 0; i++)
		rc = survey_section(img, i, &names, err);
	if (rc == 0)
		rc = check_table(img, img->sec.symtab, err);
	if (rc == 0)
		rc = check_table(img, img->sec.dynsym, err);
	if (rc == 0 && !img->build_id[0])
		build_id_of_segments(img);
	return rc;
}
