/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A type DIE -> struct type.  One node per DIE, made when it is first asked for; members come later (type_complete),
 * so that types that point to themselves and large headers cost nothing.  A typedef or qualifier is a node of its own
 * name that copies what it stands for.
 */
#include <string.h>

#include "debuginfo_internal.h"

static struct type_node type_none = {
	.t = { .kind = TYPE_OTHER, .name = "too many types", .complete = true }, .hole = 14,
};

struct type *type_unknown(void)
{
	static struct type_node unknown = {
		.t = { .kind = TYPE_OTHER, .name = "an unknown type", .complete = true }, .hole = 15,
	};

	return &unknown.t;
}

void type_other(struct type_node *n, const char *reason)
{
	n->t.kind = TYPE_OTHER;
	n->t.name = reason;
	n->hole = (uint16_t)strlen(reason);
	n->t.members = NULL;
	n->t.n_members = 0;
	n->t.complete = true;
}

static uint64_t byte_size(Dwarf_Die *die)
{
	uint64_t size = 0;

	/* What is larger than any object can be is not a size. */
	return die_udata(die, DW_AT_byte_size, &size) && size <= (uint64_t)1 << 47 ? size : 0;
}

/* ---- base types ---- */

static const struct { const char *name; enum type_kind kind; } byte_names[] = {
	/* Character types that are meant, and should be shown, as numbers. */
	{ "int8_t", TYPE_SIGNED }, { "__int8_t", TYPE_SIGNED }, { "s8", TYPE_SIGNED }, { "__s8", TYPE_SIGNED },
	{ "uint8_t", TYPE_UNSIGNED }, { "__uint8_t", TYPE_UNSIGNED }, { "u_int8_t", TYPE_UNSIGNED },
	{ "u8", TYPE_UNSIGNED }, { "__u8", TYPE_UNSIGNED }, { "std::byte", TYPE_UNSIGNED },
};

static const struct { uint8_t encoding; enum type_kind kind; bool is_signed; } encodings[] = {
	{ DW_ATE_signed, TYPE_SIGNED, true }, { DW_ATE_unsigned, TYPE_UNSIGNED, false },
	{ DW_ATE_signed_char, TYPE_CHAR, true }, { DW_ATE_unsigned_char, TYPE_CHAR, false },
	{ DW_ATE_UTF, TYPE_CHAR, false }, { 0x11 /* ASCII */, TYPE_CHAR, false }, { 0x12 /* UCS */, TYPE_CHAR, false },
	{ DW_ATE_boolean, TYPE_BOOL, false }, { DW_ATE_float, TYPE_FLOAT, true },
	{ DW_ATE_address, TYPE_UNSIGNED, false },
};

static void make_base(struct debuginfo *di, struct type_node *n)
{
	uint64_t encoding = 0;

	n->t.size = byte_size(&n->die);
	n->t.complete = true;
	typename_plain(di, n, die_name(&n->die));
	if (n->t.size == 0) {                 /* Rust's () */
		n->t.kind = TYPE_VOID;
		return;
	}
	die_udata(&n->die, DW_AT_encoding, &encoding);
	n->encoding = encoding <= 0xff ? (uint8_t)encoding : 0;
	n->t.kind = TYPE_OTHER;
	for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++)
		if (encodings[i].encoding == n->encoding) {
			n->t.kind = encodings[i].kind;
			n->t.is_signed = encodings[i].is_signed;
		}
	if (n->t.kind == TYPE_OTHER)
		type_other(n, n->encoding == DW_ATE_complex_float ? "a complex number" : "an unusual number type");
}

/* ---- what is made of another type ---- */

static void make_pointer(struct debuginfo *di, struct type_node *n)
{
	static struct type_node void_node = { .t = { .kind = TYPE_VOID, .name = "void", .complete = true }, .hole = 4 };
	int tag = dwarf_tag(&n->die);
	struct type *to = type_of(di, &n->die);
	const char *name = die_name(&n->die);

	n->t.kind = TYPE_POINTER;
	n->t.complete = true;
	n->t.size = byte_size(&n->die);
	if (n->t.size == 0)
		n->t.size = 8;
	n->t.target = to ? to : &void_node.t;
	if (*name)                            /* Rust names its pointers: "&str" */
		typename_plain(di, n, name);
	else
		typename_pointer(di, n, n->t.target, tag == DW_TAG_reference_type ? "&" :
				 tag == DW_TAG_rvalue_reference_type ? "&&" : "*");
}

static void copy_alias(struct type_node *n)
{
	const struct type *of = &n->alias->t;
	const char *name = n->t.name;

	n->t = *of;
	n->t.name = of->kind == TYPE_OTHER ? of->name : name;
	if (of->kind == TYPE_OTHER)
		n->hole = n->alias->hole;
	n->encoding = n->alias->encoding;
	n->vector = n->alias->vector;
	n->by_reference = n->alias->by_reference;
	n->n_bases = n->alias->n_bases;
	n->declaration = n->alias->declaration;
}

static void make_void(struct type_node *n)
{
	n->t.kind = TYPE_VOID;
	n->t.complete = true;
}

static void make_typedef(struct debuginfo *di, struct type_node *n)
{
	struct type *of = type_of(di, &n->die);

	typename_plain(di, n, n->lang == LANG_C ? die_name(&n->die) : qualified_name(di, &n->die, n->lang));
	if (!of) {
		make_void(n);
		return;
	}
	n->alias = node_of(of);
	copy_alias(n);
	for (size_t i = 0; n->t.size == 1 && i < sizeof(byte_names) / sizeof(byte_names[0]); i++)
		if (strcmp(n->t.name, byte_names[i].name) == 0)
			n->t.kind = byte_names[i].kind;
}

static void make_qualified(struct debuginfo *di, struct type_node *n)
{
	static const struct { int tag; const char *word; } words[] = {
		{ DW_TAG_const_type, "const" }, { DW_TAG_volatile_type, "volatile" },
		{ DW_TAG_restrict_type, "restrict" }, { DW_TAG_atomic_type, "_Atomic" },
	};
	struct type *of = type_of(di, &n->die);
	int tag = dwarf_tag(&n->die);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].tag == tag)
			typename_qualified(di, n, of, words[i].word);
	if (of && (of->kind == TYPE_ARRAY || !*n->t.name)) {   /* the elements of an array are qualified, and say so */
		n->t.name = of->name;
		n->hole = node_of(of)->hole;
	}
	if (!of) {
		make_void(n);
		return;
	}
	n->alias = node_of(of);
	copy_alias(n);
}

/* ---- arrays ---- */

static uint64_t dimension(Dwarf_Die *range)
{
	Dwarf_Attribute mem;
	Dwarf_Attribute *attr;
	Dwarf_Word value;
	Dwarf_Sword upper;

	attr = dwarf_attr_integrate(range, DW_AT_count, &mem);
	if (attr)                             /* a reference or an expression: known at run time only */
		return dwarf_formudata(attr, &value) == 0 && value < (uint64_t)1 << 40 ? value : 0;
	attr = dwarf_attr_integrate(range, DW_AT_upper_bound, &mem);
	if (!attr)
		return 0;
	/* DW_FORM_data1 has no sign of its own, and libdw would take the 255 of a char[256] for -1. */
	if (dwarf_whatform(attr) == DW_FORM_sdata || dwarf_whatform(attr) == DW_FORM_implicit_const)
		return dwarf_formsdata(attr, &upper) == 0 && upper >= 0 && upper < (int64_t)1 << 40 ? (uint64_t)upper + 1 : 0;
	return dwarf_formudata(attr, &value) == 0 && value < (uint64_t)1 << 40 ? value + 1 : 0;
}

static uint64_t product(uint64_t a, uint64_t b)
{
	uint64_t out;

	return __builtin_mul_overflow(a, b, &out) || out > (uint64_t)1 << 47 ? 0 : out;
}

static void set_array(struct debuginfo *di, struct type_node *n, struct type *element, uint64_t count)
{
	n->t.kind = TYPE_ARRAY;
	n->t.complete = true;
	n->t.target = element;
	n->t.count = count;
	n->t.size = product(element->size, count);
	typename_array(di, n, element, count);
}

/* int a[2][3] is an array of two arrays of three: the last dimension is the innermost. */
static void make_array(struct debuginfo *di, struct type_node *n)
{
	enum { DIMENSIONS_MAX = 16 };
	struct type *element = type_of(di, &n->die);
	uint64_t counts[DIMENSIONS_MAX];
	Dwarf_Die child;
	int dims = 0;

	if (!element) {
		type_other(n, "an array of nothing");
		return;
	}
	if (dwarf_child(&n->die, &child) == 0)
		do {
			if (dwarf_tag(&child) == DW_TAG_subrange_type && dims < DIMENSIONS_MAX)
				counts[dims++] = dimension(&child);
		} while (dims < DIMENSIONS_MAX && budget_take(di) && dwarf_siblingof(&child, &child) == 0);
	n->vector = die_flag(&n->die, DW_AT_GNU_vector);
	for (; dims > 1; dims--) {
		struct type_node *inner = pool_alloc(&di->pool, sizeof(*inner));

		if (!inner) {
			type_other(n, "too many types");
			return;
		}
		inner->lang = n->lang;
		set_array(di, inner, element, counts[dims - 1]);
		element = &inner->t;
	}
	set_array(di, n, element, dims ? counts[0] : 0);
	if (n->vector)
		n->t.size = n->t.size ? n->t.size : byte_size(&n->die);
}

/* ---- structs, unions, enums: the shell; debuginfo_complete.c fills them ---- */

static void follow_signature(struct type_node *n)
{
	Dwarf_Die definition;

	if (die_own_ref(&n->die, DW_AT_signature, &definition))
		n->die = definition;          /* .debug_types, DW_UT_type */
}

static void make_tagged(struct debuginfo *di, struct type_node *n)
{
	int tag = dwarf_tag(&n->die);

	follow_signature(n);
	n->t.kind = tag == DW_TAG_enumeration_type ? TYPE_ENUM : tag == DW_TAG_union_type ? TYPE_UNION : TYPE_STRUCT;
	n->t.size = byte_size(&n->die);
	n->declaration = die_flag(&n->die, DW_AT_declaration);
	if (n->declaration)
		n->t.kind = TYPE_INCOMPLETE;
	die_udata(&n->die, DW_AT_alignment, &n->align);
	n->bare = qualified_name(di, &n->die, n->lang);
	typename_tagged(di, n, tag == DW_TAG_enumeration_type ? "enum" : tag == DW_TAG_union_type ? "union" : "struct");
}

static void make_function(struct debuginfo *di, struct type_node *n)
{
	n->t.kind = TYPE_FUNCTION;
	n->t.complete = true;
	typename_function(di, n, &n->die);
}

/* Pascal's and Ada's ranges; clang's and gcc's name for nullptr's type. */
static void make_range(struct debuginfo *di, struct type_node *n)
{
	struct type *of = type_of(di, &n->die);

	if (!of) {
		type_other(n, "a range of an unknown type");
		return;
	}
	typename_plain(di, n, *die_name(&n->die) ? die_name(&n->die) : of->name);
	n->alias = node_of(of);
	copy_alias(n);
}

static void make_unspecified(struct debuginfo *di, struct type_node *n)
{
	type_other(n, *die_name(&n->die) ? die_name(&n->die) : "an unspecified type");
}

static void make_member_pointer(struct debuginfo *di, struct type_node *n)
{
	type_other(n, "a pointer to a member");
	n->t.size = byte_size(&n->die);
}

static const struct { int tag; void (*make)(struct debuginfo *di, struct type_node *n); } makers[] = {
	{ DW_TAG_base_type, make_base },
	{ DW_TAG_pointer_type, make_pointer }, { DW_TAG_reference_type, make_pointer },
	{ DW_TAG_rvalue_reference_type, make_pointer },
	{ DW_TAG_typedef, make_typedef }, { DW_TAG_template_alias, make_typedef },
	{ DW_TAG_const_type, make_qualified }, { DW_TAG_volatile_type, make_qualified },
	{ DW_TAG_restrict_type, make_qualified }, { DW_TAG_atomic_type, make_qualified },
	{ DW_TAG_immutable_type, make_qualified }, { DW_TAG_packed_type, make_qualified },
	{ DW_TAG_shared_type, make_qualified },
	{ DW_TAG_structure_type, make_tagged }, { DW_TAG_class_type, make_tagged }, { DW_TAG_union_type, make_tagged },
	{ DW_TAG_interface_type, make_tagged }, { DW_TAG_enumeration_type, make_tagged },
	{ DW_TAG_array_type, make_array }, { DW_TAG_subroutine_type, make_function },
	{ DW_TAG_subrange_type, make_range }, { DW_TAG_unspecified_type, make_unspecified },
	{ DW_TAG_ptr_to_member_type, make_member_pointer },
};

static void type_make(struct debuginfo *di, struct type_node *n)
{
	int tag = dwarf_tag(&n->die);

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
		if (makers[i].tag == tag) {
			makers[i].make(di, n);
			return;
		}
	type_other(n, "an unknown kind of type");
}

struct type_node *type_node_new(struct debuginfo *di, Dwarf_Die *die)
{
	struct type_node *n = pool_alloc(&di->pool, sizeof(*n));
	struct unit *u = unit_of(di, die);

	if (!n)
		return NULL;
	n->die = *die;
	n->key.key = die->addr;
	n->lang = u ? u->lang : LANG_UNKNOWN;
	n->t.name = n->bare = "";
	return n;
}

struct type *type_get(struct debuginfo *di, Dwarf_Die *die)
{
	struct keyed *found = keyed_find(&di->types, die->addr);
	struct type_node *n;

	if (found) {
		n = holder_of(found, struct type_node, key);
		n->looped |= n->building;
		return &n->t;
	}
	if (di->type_depth >= TYPE_DEPTH_MAX || !budget_take(di))
		return &type_none.t;
	n = type_node_new(di, die);
	if (!n || keyed_add(&di->types, &n->key) != 0)
		return &type_none.t;
	n->building = true;
	di->type_depth++;
	type_make(di, n);
	di->type_depth--;
	n->building = false;
	if (n->looped) {                      /* a typedef or pointer that ends in itself */
		n->alias = NULL;
		type_other(n, "a type that is made of itself");
	}
	return &n->t;
}

struct type *type_of(struct debuginfo *di, Dwarf_Die *die)
{
	Dwarf_Die type;

	return die_ref(die, DW_AT_type, &type) ? type_get(di, &type) : NULL;
}
