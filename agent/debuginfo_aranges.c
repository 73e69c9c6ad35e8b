/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unit that covers an address, by .debug_aranges.  libdw's own table of it wants the header of every unit, so the
 * first question would read all of .debug_info, which is the larger part of the file and perhaps compressed.  One pass
 * over the section (half a megabyte for a thousand units) is enough for the few addresses of a request.
 */
#include <gelf.h>
#include <string.h>

#include "debuginfo_internal.h"

enum { ADDRESS_BYTES = 8, TUPLE_BYTES = 16 };
static const uint64_t ESCAPE_64 = 0xffffffff;

/* It is read for each address that is asked for; real ones have a megabyte or two. */
static const uint64_t ARANGES_BYTES_MAX = (uint64_t)64 << 20;

/* What is left to read of the section or of one set. */
struct bytes { const unsigned char *at; uint64_t left; };

static bool take(struct bytes *b, void *out, size_t n)
{
	if (b->left < n)
		return false;
	memcpy(out, b->at, n);
	b->at += n;
	b->left -= n;
	return true;
}

static bool skip(struct bytes *b, uint64_t n)
{
	if (b->left < n)
		return false;
	b->at += n;
	b->left -= n;
	return true;
}

/* 4 bytes, or 8 if the set is in 64-bit DWARF. */
static bool take_offset(struct bytes *b, bool wide, uint64_t *out)
{
	uint32_t half = 0;

	if (wide)
		return take(b, out, 8);
	if (!take(b, &half, 4))
		return false;
	*out = half;
	return true;
}

/* Cuts the next set off. False: the end, or nonsense. */
static bool next_set(struct bytes *section, struct bytes *set, bool *wide)
{
	uint64_t len;

	if (!take_offset(section, false, &len))
		return false;
	*wide = len == ESCAPE_64;
	if (*wide && !take(section, &len, sizeof(len)))
		return false;
	*set = (struct bytes){ section->at, len };
	return skip(section, len);
}

static bool set_covers(struct bytes set, uint64_t head_len, uint64_t addr)
{
	uint64_t tuple[2];

	if (!skip(&set, (TUPLE_BYTES - head_len % TUPLE_BYTES) % TUPLE_BYTES))
		return false;
	while (take(&set, tuple, sizeof(tuple)) && (tuple[0] || tuple[1]))
		if (addr >= tuple[0] && addr - tuple[0] < tuple[1])
			return true;
	return false;
}

static bool find_offset(struct bytes section, uint64_t addr, uint64_t *unit)
{
	struct bytes set;
	bool wide;

	while (next_set(&section, &set, &wide)) {
		const unsigned char *start = set.at;
		uint8_t sizes[2];             /* of an address, of a segment selector */
		uint16_t version;

		if (take(&set, &version, sizeof(version)) && version == 2 && take_offset(&set, wide, unit) &&
		    take(&set, sizes, sizeof(sizes)) && sizes[0] == ADDRESS_BYTES && sizes[1] == 0 &&
		    set_covers(set, (uint64_t)(set.at - start) + (wide ? 12 : 4), addr))
			return true;
	}
	return false;
}

Elf_Data *section_data(struct debuginfo *di, const char *wanted, uint64_t max)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(di->elf, &names) != 0)
		return NULL;
	while ((scn = elf_nextscn(di->elf, scn))) {
		GElf_Shdr sh;
		const char *name;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_PROGBITS || (sh.sh_flags & SHF_COMPRESSED) || sh.sh_size > max)
			continue;
		name = elf_strptr(di->elf, names, sh.sh_name);
		if (name && strcmp(name, wanted) == 0)
			return elf_rawdata(scn, NULL);
	}
	return NULL;
}

bool unit_by_aranges(struct debuginfo *di, uint64_t addr, Dwarf_Die *cu)
{
	struct bytes section;
	Dwarf_Off next;
	uint64_t unit;
	size_t head;

	if (!di->aranges_read)
		di->aranges = section_data(di, ".debug_aranges", ARANGES_BYTES_MAX);
	di->aranges_read = true;
	if (!di->aranges || !di->aranges->d_buf)
		return false;
	section = (struct bytes){ di->aranges->d_buf, di->aranges->d_size };
	return find_offset(section, addr, &unit) &&
	       dwarf_next_unit(di->dwarf, unit, &next, &head, NULL, NULL, NULL, NULL, NULL, NULL) == 0 &&
	       dwarf_offdie(di->dwarf, unit + head, cu) != NULL;
}
