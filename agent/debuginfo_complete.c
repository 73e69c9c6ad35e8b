/* SPDX-License-Identifier: Apache-2.0 */
/* Members and enumerators, read when they are first needed. */
#include <stdlib.h>
#include <string.h>

#include "debuginfo_internal.h"
#include "qualified.h"

enum { ANONYMOUS_DEPTH_MAX = 8, LOOKUP_MAX = 1 << 20 };

/* ---- one member ---- */

/* DW_AT_data_member_location: a constant, or the expression that adds one. A virtual base has another expression. */
static bool member_offset(Dwarf_Die *die, uint64_t *out)
{
	Dwarf_Attribute mem;
	Dwarf_Attribute *attr = dwarf_attr_integrate(die, DW_AT_data_member_location, &mem);
	Dwarf_Word value;
	Dwarf_Op *expr;
	size_t len;

	*out = 0;
	if (!attr)
		return true;
	if (dwarf_formudata(attr, &value) == 0) {
		*out = value;
		return value < (uint64_t)1 << 40;
	}
	if (dwarf_getlocation(attr, &expr, &len) != 0 || len != 1 || expr[0].atom != DW_OP_plus_uconst)
		return false;
	*out = expr[0].number;
	return *out < (uint64_t)1 << 40;
}

/* DW_AT_bit_offset of DWARF 2 and 3: from the most significant bit of the storage unit; negative if the field reaches
 * beyond it. */
static bool old_bit_offset(Dwarf_Die *die, int64_t *out)
{
	Dwarf_Attribute mem;
	Dwarf_Sword value;

	if (dwarf_formsdata(dwarf_attr_integrate(die, DW_AT_bit_offset, &mem), &value) != 0)
		return false;
	*out = value;
	return true;
}

/* First bit of a bit-field from the start of the struct. */
static bool first_bit(Dwarf_Die *die, uint64_t offset, uint64_t bit_size, const struct type *type, uint64_t *out)
{
	uint64_t storage;
	int64_t from_top, first;

	if (die_udata(die, DW_AT_data_bit_offset, out))
		return *out < (uint64_t)1 << 43;
	*out = offset * 8;
	if (!old_bit_offset(die, &from_top))
		return true;
	if (!die_udata(die, DW_AT_byte_size, &storage))
		storage = type->size;
	if (storage > 16 || from_top > 128 || from_top < -128)
		return false;
	first = (int64_t)(*out + storage * 8) - from_top - (int64_t)bit_size;
	*out = (uint64_t)first;
	return first >= 0;
}

/* Where the bits are told from: the storage unit if a read of the member's type there has them all and stays inside
 * the struct, else the byte that holds the first bit. */
static void place_bits(struct member *m, uint64_t first, uint64_t bits, uint64_t struct_size)
{
	uint64_t unit = m->type->size;

	m->offset = first / 8;
	if (unit && unit <= 8) {
		uint64_t start = first / (unit * 8) * unit;

		if (first + bits <= (start + unit) * 8 && start + unit <= struct_size)
			m->offset = start;
	}
	m->bit_offset = (uint8_t)(first - m->offset * 8);
	m->bit_size = (uint8_t)bits;
}

static bool is_static(Dwarf_Die *die)
{
	return dwarf_hasattr(die, DW_AT_declaration) || dwarf_hasattr(die, DW_AT_external) ||
	       dwarf_hasattr(die, DW_AT_const_value);
}

static bool is_vtable(const char *name)
{
	return strncmp(name, "_vptr", 5) == 0 || strncmp(name, "__vfptr", 7) == 0;
}

static bool is_record(const struct type *t)
{
	return t->kind == TYPE_STRUCT || t->kind == TYPE_UNION;
}

static void add_member(struct debuginfo *di, struct type_node *n, struct list *members, Dwarf_Die *die)
{
	bool base = dwarf_tag(die) == DW_TAG_inheritance;
	struct member m = { .name = die_name(die), .type = type_of(di, die) };
	uint64_t bits = 0, first;
	struct member *slot;

	if (!m.type || (!base && is_static(die)) || is_vtable(m.name) || !member_offset(die, &m.offset))
		return;
	if (die_udata(die, DW_AT_bit_size, &bits)) {
		if (bits == 0 || bits > 64 || !first_bit(die, m.offset, bits, m.type, &first))
			return;
		place_bits(&m, first, bits, n->t.size);
	}
	if (base) {
		m.name = m.type->name;
		n->n_bases++;
	} else if (!*m.name && !is_record(m.type)) {
		return;
	}
	slot = list_add(members);
	if (slot)
		*slot = m;
}

/* ---- structs ---- */

enum record_step { STEP_BASES, STEP_MEMBERS };

static const char *add_child(struct debuginfo *di, struct type_node *n, struct list *members, Dwarf_Die *die,
			     enum record_step step)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_inheritance:
		if (step == STEP_BASES)
			add_member(di, n, members, die);
		return NULL;
	case DW_TAG_member:
		if (step == STEP_MEMBERS)
			add_member(di, n, members, die);
		return NULL;
	case DW_TAG_variant_part:
		return "an enum with data (Rust)";
	default:
		return NULL;
	}
}

/* Base classes first, so that type_member knows them by their index. */
static const char *read_members(struct debuginfo *di, struct type_node *n, struct list *members)
{
	for (int step = STEP_BASES; step <= STEP_MEMBERS; step++) {
		Dwarf_Die child;

		if (dwarf_child(&n->die, &child) != 0)
			return NULL;
		do {
			const char *reason = add_child(di, n, members, &child, (enum record_step)step);

			if (reason)
				return reason;
			if (members->count > MEMBERS_MAX || !budget_take(di))
				return "a struct with too many members";
		} while (dwarf_siblingof(&child, &child) == 0);
	}
	return NULL;
}

static void complete_record(struct debuginfo *di, struct type_node *n)
{
	struct list members = { .item_size = sizeof(struct member) };
	const char *reason = read_members(di, n, &members);
	size_t bytes = members.count * sizeof(struct member);

	if (!reason && members.count) {
		n->t.members = pool_alloc(&di->pool, bytes);
		if (n->t.members) {
			memcpy(n->t.members, members.items, bytes);
			n->t.n_members = (uint32_t)members.count;
		}
	}
	list_free(&members);
	if (reason)
		type_other(n, reason);
}

/* ---- enums ---- */

static void add_enumerator(struct list *values, Dwarf_Die *die, bool *negative)
{
	Dwarf_Attribute mem;
	Dwarf_Attribute *attr = dwarf_attr(die, DW_AT_const_value, &mem);
	Dwarf_Sword value;
	Dwarf_Word unsigned_value;
	struct enumerator *slot;

	if (!attr)
		return;
	if (dwarf_whatform(attr) == DW_FORM_sdata || dwarf_whatform(attr) == DW_FORM_implicit_const) {
		if (dwarf_formsdata(attr, &value) != 0)
			return;
		*negative |= value < 0;
	} else {
		if (dwarf_formudata(attr, &unsigned_value) != 0)
			return;
		value = (Dwarf_Sword)unsigned_value;
	}
	slot = list_add(values);
	if (slot)
		*slot = (struct enumerator){ die_name(die), value };
}

static void complete_enum(struct debuginfo *di, struct type_node *n)
{
	struct list values = { .item_size = sizeof(struct enumerator) };
	struct type *under = type_of(di, &n->die);
	bool negative = false;
	Dwarf_Die child;

	if (dwarf_child(&n->die, &child) == 0)
		do {
			if (dwarf_tag(&child) == DW_TAG_enumerator)
				add_enumerator(&values, &child, &negative);
		} while (values.count < MEMBERS_MAX && budget_take(di) && dwarf_siblingof(&child, &child) == 0);
	n->t.is_signed = under ? under->is_signed : negative;
	if (!n->t.size && under)
		n->t.size = under->size;
	n->t.enumerators = pool_alloc(&di->pool, values.count * sizeof(struct enumerator) + 1);
	if (n->t.enumerators) {
		n->t.n_enumerators = (uint32_t)values.count;
		if (values.count)
			memcpy(n->t.enumerators, values.items, values.count * sizeof(struct enumerator));
	}
	list_free(&values);
}

/* ---- C++: trivial or not ---- */

/* X(const X &) or X(X &&), by the type of its second parameter: the first is `this`. */
static bool is_copy_constructor(struct debuginfo *di, struct type_node *n, Dwarf_Die *function)
{
	Dwarf_Die child;
	int params = 0;
	struct type *t;

	if (!name_last_matches(die_name(&n->die), die_name(function)) || dwarf_child(function, &child) != 0)
		return false;
	do {
		if (dwarf_tag(&child) != DW_TAG_formal_parameter || ++params < 2)
			continue;
		t = type_of(di, &child);
		return t && t->kind == TYPE_POINTER && strchr(t->name, '&') && t->target &&
		       (node_of(t->target) == n || node_of(t->target)->alias == n);
	} while (budget_take(di) && dwarf_siblingof(&child, &child) == 0);
	return false;
}

/* Without DW_AT_calling_convention (DWARF 4): a destructor or a copy constructor that the source has itself, or a
 * virtual function, make a class that is passed by reference. */
static bool has_own_life(struct debuginfo *di, struct type_node *n)
{
	Dwarf_Die child;

	if (dwarf_hasattr(&n->die, DW_AT_containing_type))
		return true;
	if (dwarf_child(&n->die, &child) != 0)
		return false;
	do {
		bool made = dwarf_hasattr(&child, DW_AT_artificial) || dwarf_hasattr(&child, DW_AT_defaulted);
		const char *name;

		if (dwarf_tag(&child) != DW_TAG_subprogram || made)
			continue;
		name = die_name(&child);
		if (name[0] == '~' || dwarf_hasattr(&child, DW_AT_virtuality) || is_copy_constructor(di, n, &child))
			return true;
	} while (budget_take(di) && dwarf_siblingof(&child, &child) == 0);
	return false;
}

static bool members_by_reference(struct debuginfo *di, const struct type_node *n)
{
	for (uint32_t i = 0; i < n->t.n_members; i++) {
		struct type *t = n->t.members[i].type;

		if (!is_record(t) || t->size > n->t.size)
			continue;
		type_complete(di, t);
		if (node_of(t)->by_reference)
			return true;
	}
	return false;
}

static bool passed_by_reference(struct debuginfo *di, struct type_node *n)
{
	uint64_t convention;

	if (n->lang != LANG_CXX)
		return false;
	if (die_udata(&n->die, DW_AT_calling_convention, &convention))
		return convention == DW_CC_pass_by_reference;
	return has_own_life(di, n) || members_by_reference(di, n);
}

/* ---- the entry points ---- */

static void adopt_definition(struct debuginfo *di, struct type_node *n)
{
	Dwarf_Die die;
	struct type_node *definition;

	if (!n->declaration || !definition_find(di, n, &die) || die.addr == n->die.addr)
		return;
	definition = node_of(type_get(di, &die));
	if (definition->declaration || definition->alias)
		return;
	n->alias = definition;
}

static void complete_alias(struct debuginfo *di, struct type_node *n)
{
	struct type_node *of = n->alias;
	const char *name = n->t.name;

	type_complete(di, &of->t);
	n->t = of->t;
	if (of->t.kind == TYPE_OTHER) {
		n->hole = of->hole;
		return;
	}
	n->t.name = name;
	n->by_reference = of->by_reference;
	n->n_bases = of->n_bases;
	n->align = n->align > of->align ? n->align : of->align;
	n->t.complete = true;
}

static void complete_node(struct debuginfo *di, struct type_node *n)
{
	n->t.complete = true;                 /* first: it may contain itself in a crafted file */
	if (!n->alias)
		adopt_definition(di, n);
	if (n->alias) {
		complete_alias(di, n);
		return;
	}
	if (n->t.kind == TYPE_ENUM)
		complete_enum(di, n);
	if (!is_record(&n->t))
		return;
	complete_record(di, n);
	if (is_record(&n->t))
		n->by_reference = passed_by_reference(di, n);
}

void type_complete(struct debuginfo *di, struct type *t)
{
	if (!t || t->complete || di->type_depth >= TYPE_DEPTH_MAX)
		return;
	budget_begin(di);
	di->type_depth++;
	complete_node(di, node_of(t));
	di->type_depth--;
	budget_end(di);
}

struct lookup { struct debuginfo *di; const char *name; unsigned left; };

static const struct member *find_member(struct lookup *l, struct type *t, uint64_t at, int depth, uint64_t *offset)
{
	type_complete(l->di, t);
	if (!is_record(t))
		return NULL;
	for (uint32_t i = node_of(t)->n_bases; i < t->n_members; i++)
		if (strcmp(t->members[i].name, l->name) == 0) {
			*offset = at + t->members[i].offset;
			return &t->members[i];
		}
	for (uint32_t i = 0; i < t->n_members && depth < ANONYMOUS_DEPTH_MAX && l->left > 0; i++) {
		const struct member *m = &t->members[i], *found;

		l->left--;
		if (i >= node_of(t)->n_bases && *m->name)
			continue;
		found = find_member(l, m->type, at + m->offset, depth + 1, offset);
		if (found)
			return found;
	}
	/* A base class by its own name. */
	for (uint32_t i = 0; i < node_of(t)->n_bases && i < t->n_members; i++)
		if (strcmp(t->members[i].name, l->name) == 0) {
			*offset = at + t->members[i].offset;
			return &t->members[i];
		}
	return NULL;
}

const struct member *type_member(struct debuginfo *di, struct type *t, const char *name, uint64_t *offset)
{
	struct lookup l = { di, name, LOOKUP_MAX };
	uint64_t at = 0;
	const struct member *m;

	if (!*name)
		return NULL;
	m = find_member(&l, t, 0, 0, &at);
	if (m && offset)
		*offset = at;
	return m;
}
