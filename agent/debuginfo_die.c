/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of one DIE. Most follow DW_AT_abstract_origin and DW_AT_specification (libdw bounds that chain). */
#include <string.h>

#include "debuginfo_internal.h"

enum { ORIGIN_CHAIN_MAX = 8 };

static const char *die_string(Dwarf_Die *die, unsigned attr)
{
	Dwarf_Attribute mem;
	const char *text = dwarf_formstring(dwarf_attr_integrate(die, attr, &mem));

	return text ? text : "";
}

const char *die_name(Dwarf_Die *die)
{
	return die_string(die, DW_AT_name);
}

const char *die_linkage(Dwarf_Die *die)
{
	const char *text = die_string(die, DW_AT_linkage_name);

	return *text ? text : die_string(die, DW_AT_MIPS_linkage_name);
}

bool die_flag(Dwarf_Die *die, unsigned attr)
{
	Dwarf_Attribute mem;
	bool flag = false;

	return dwarf_formflag(dwarf_attr_integrate(die, attr, &mem), &flag) == 0 && flag;
}

bool die_udata(Dwarf_Die *die, unsigned attr, uint64_t *out)
{
	Dwarf_Attribute mem;
	Dwarf_Word value;

	if (dwarf_formudata(dwarf_attr_integrate(die, attr, &mem), &value) != 0)
		return false;
	*out = value;
	return true;
}

bool die_ref(Dwarf_Die *die, unsigned attr, Dwarf_Die *out)
{
	Dwarf_Attribute mem;
	Dwarf_Attribute *found = dwarf_attr_integrate(die, attr, &mem);

	return found && dwarf_formref_die(found, out) != NULL;
}

bool die_own_ref(Dwarf_Die *die, unsigned attr, Dwarf_Die *out)
{
	Dwarf_Attribute mem;
	Dwarf_Attribute *found = dwarf_attr(die, attr, &mem);

	return found && dwarf_formref_die(found, out) != NULL;
}

void die_origin(const Dwarf_Die *die, Dwarf_Die *out)
{
	*out = *die;
	for (int i = 0; i < ORIGIN_CHAIN_MAX; i++) {
		Dwarf_Die next;

		if (!die_own_ref(out, DW_AT_abstract_origin, &next) &&
		    !die_own_ref(out, DW_AT_specification, &next))
			return;
		*out = next;
	}
}

static const char *file_of_libdw(Dwarf_Die *cu, uint64_t index)
{
	Dwarf_Files *files;
	size_t n;

	if (dwarf_getsrcfiles(cu, &files, &n) != 0 || index >= n)
		return NULL;
	return dwarf_filesrc(files, index, NULL, NULL);
}

const char *die_file(struct debuginfo *di, Dwarf_Die *die, unsigned attr)
{
	Dwarf_Attribute mem;
	Dwarf_Attribute *found = dwarf_attr_integrate(die, attr, &mem);
	const char *file;
	Dwarf_Word index;
	struct unit *u;
	Dwarf_Die cu;

	if (!found || dwarf_formudata(found, &index) != 0 || !dwarf_cu_die(found->cu, &cu, NULL, NULL, NULL, NULL, NULL, NULL))
		return "";
	u = unit_of(di, &cu);
	if (!u || !line_file(di, u, index, &file))
		file = file_of_libdw(&cu, index);
	return file && strcmp(file, "???") != 0 ? file : "";
}
