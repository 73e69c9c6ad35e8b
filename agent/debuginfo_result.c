/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kind of value that each function returns, and nothing else of it: for a pattern over ten thousand functions.  One
 * walk over the units' top level; no type is built, no name is copied.
 */
#include <string.h>

#include "debuginfo_internal.h"

static void base_result(Dwarf_Die *type, struct result_kind *out)
{
	uint64_t encoding = 0, size = 0;

	die_udata(type, DW_AT_encoding, &encoding);
	die_udata(type, DW_AT_byte_size, &size);
	if (size != 1 && size != 2 && size != 4 && size != 8)
		return;
	switch (encoding) {
	case DW_ATE_signed: out->kind = TYPE_SIGNED; break;
	case DW_ATE_unsigned: out->kind = TYPE_UNSIGNED; break;
	case DW_ATE_boolean: out->kind = TYPE_BOOL; break;
	case DW_ATE_signed_char: case DW_ATE_unsigned_char: case DW_ATE_UTF: out->kind = TYPE_CHAR; break;
	default: return;
	}
	out->size = (uint8_t)size;
	out->is_signed = encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
}

/* Compilers name the integer that an enum is stored as. */
static void enum_result(Dwarf_Die *type, struct result_kind *out)
{
	uint64_t size = 0;
	Dwarf_Die base;

	if (die_ref(type, DW_AT_type, &base)) {
		base_result(&base, out);
		if (out->kind != TYPE_OTHER)
			out->kind = TYPE_ENUM;
		return;
	}
	die_udata(type, DW_AT_byte_size, &size);
	if (size != 1 && size != 2 && size != 4 && size != 8)
		return;
	*out = (struct result_kind){ .kind = TYPE_ENUM, .size = (uint8_t)size };
}

static void result_of(Dwarf_Die *function, struct result_kind *out)
{
	Dwarf_Die type, next;

	*out = (struct result_kind){ .kind = TYPE_VOID };
	if (!die_ref(function, DW_AT_type, &type))
		return;
	out->kind = TYPE_OTHER;
	for (int i = 0; i < TYPE_DEPTH_MAX; i++) {
		switch (dwarf_tag(&type)) {
		case DW_TAG_typedef: case DW_TAG_const_type: case DW_TAG_volatile_type: case DW_TAG_restrict_type:
		case DW_TAG_atomic_type:
			if (!die_ref(&type, DW_AT_type, &next)) { /* const void */
				out->kind = TYPE_VOID;
				return;
			}
			type = next;
			break;
		case DW_TAG_pointer_type: case DW_TAG_reference_type: case DW_TAG_rvalue_reference_type:
			*out = (struct result_kind){ .kind = TYPE_POINTER, .size = 8 };
			return;
		case DW_TAG_base_type:
			base_result(&type, out);
			return;
		case DW_TAG_enumeration_type:
			enum_result(&type, out);
			return;
		default:
			return;
		}
	}
}

struct results { void (*visit)(uint64_t addr, const struct result_kind *result, void *arg); void *arg; };

static bool result_visit(struct debuginfo *di, struct unit *u, Dwarf_Die *die, void *arg)
{
	struct results *r = arg;
	struct result_kind result;
	uint64_t addr, size;

	if (!function_extent(di, die, &addr, &size) || !addr)
		return true;
	result_of(die, &result);
	r->visit(addr, &result, r->arg);
	return true;
}

bool debuginfo_results(struct debuginfo *di, void (*visit)(uint64_t addr, const struct result_kind *result, void *arg), void *arg)
{
	struct results r = { visit, arg };
	bool all;

	budget_begin(di);
	subprograms_each(di, result_visit, &r);
	all = !di->budget.spent;
	budget_end(di);
	return all;
}

void debuginfo_symbols(struct debuginfo *di, int (*visit)(const struct symbol *sym, void *arg), void *arg)
{
	symbols_each(di, visit, arg);
}
