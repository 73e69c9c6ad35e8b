/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the System V x86-64 ABI (version 1.0, section 3.2.3, "Parameter Passing") puts arguments and results.
 *
 * A value of up to 16 bytes is one or two eightbytes, each of a class that comes from merging the classes of the fields
 * in it.  INTEGER eightbytes take the next of di, si, dx, cx, r8, r9; if they do not suffice, the whole value goes to
 * the stack and later arguments may still take the registers.  What lies in an SSE or x87 register cannot be read
 * by a BPF program, so those are only told apart to count registers and to name the reason.
 *
 * Rust has no stable ABI of its own.  Scalars, pointers and fat pointers follow the C rules in all compilers so far;
 * of other aggregates of up to two words plumb does not claim to know, nor of what follows them.
 */
#include <stdio.h>
#include <string.h>

#include "debuginfo_internal.h"
#include "plumb/event.h"

enum class { CLASS_NONE, CLASS_INTEGER, CLASS_SSE, CLASS_X87, CLASS_X87UP, CLASS_MEMORY, CLASS_UNKNOWN };

enum { CLASSIFY_DEPTH_MAX = 16, CLASSIFY_WORK_MAX = 4096, INTEGER_REGS = 6, SSE_REGS = 8 };

static const uint8_t integer_regs[INTEGER_REGS] = { GPR_DI, GPR_SI, GPR_DX, GPR_CX, GPR_R8, GPR_R9 };

struct classes { enum class word[2]; };

/* ---- classes ---- */

static void merge(struct classes *c, uint64_t word, enum class with)
{
	enum class *is = &c->word[word & 1];

	if (*is == with || with == CLASS_NONE)
		return;
	if (*is == CLASS_NONE || with == CLASS_UNKNOWN)
		*is = with;
	else if (*is == CLASS_UNKNOWN)
		return;
	else if (*is == CLASS_MEMORY || with == CLASS_MEMORY)
		*is = CLASS_MEMORY;
	else if (*is == CLASS_INTEGER || with == CLASS_INTEGER)
		*is = CLASS_INTEGER;
	else if (*is != CLASS_SSE || with != CLASS_SSE)
		*is = CLASS_MEMORY;
}

static bool is_x87(const struct type_node *n)
{
	return n->t.size == 16 && strncmp(n->t.name, "_Float128", 9) != 0 && strncmp(n->t.name, "__float128", 10) != 0;
}

static const struct type_node *bottom(const struct type_node *n)
{
	for (int i = 0; n->alias && i < TYPE_DEPTH_MAX; i++)
		n = n->alias;
	return n;
}

static void classify(struct debuginfo *di, struct type *t, uint64_t at, int depth, struct classes *c);

static void classify_scalar(const struct type_node *n, uint64_t at, struct classes *c)
{
	enum class class = CLASS_INTEGER;
	uint64_t size = n->t.size, align = size > 8 && !(n->t.kind == TYPE_FLOAT) ? 8 : size;

	if (size == 0 || size > 16 || (size & (size - 1)) || at + size > 16) {
		merge(c, 0, CLASS_UNKNOWN);
		return;
	}
	if (at % align) {                     /* packed */
		merge(c, 0, CLASS_MEMORY);
		return;
	}
	if (n->t.kind == TYPE_FLOAT)
		class = is_x87(bottom(n)) ? CLASS_X87 : CLASS_SSE;
	merge(c, at / 8, class);
	if (size == 16)
		merge(c, 1, class == CLASS_X87 ? CLASS_X87UP : class);
}

static void classify_bits(const struct member *m, uint64_t at, struct classes *c)
{
	uint64_t first = (at + m->offset) * 8 + m->bit_offset, last = first + m->bit_size - 1;

	if (last >= 128) {
		merge(c, 0, CLASS_UNKNOWN);
		return;
	}
	merge(c, first / 64, CLASS_INTEGER);
	merge(c, last / 64, CLASS_INTEGER);
}

static void classify_members(struct debuginfo *di, struct type *t, uint64_t at, int depth, struct classes *c)
{
	for (uint32_t i = 0; i < t->n_members && c->word[0] != CLASS_UNKNOWN; i++) {
		const struct member *m = &t->members[i];

		if (m->bit_size)
			classify_bits(m, at, c);
		else
			classify(di, m->type, at + m->offset, depth + 1, c);
	}
}

static void classify_array(struct debuginfo *di, struct type *t, uint64_t at, int depth, struct classes *c)
{
	if (node_of(t)->vector) {
		merge(c, at / 8, CLASS_SSE);
		if (t->size > 8)
			merge(c, 1, CLASS_SSE);
		return;
	}
	type_complete(di, t->target);
	for (uint64_t i = 0; i < t->count && t->target->size && c->word[0] != CLASS_UNKNOWN; i++)
		classify(di, t->target, at + i * t->target->size, depth + 1, c);
}

static void classify_complex(const struct type_node *n, uint64_t at, struct classes *c)
{
	if (n->encoding != DW_ATE_complex_float || at != 0) {
		merge(c, 0, CLASS_UNKNOWN);
		return;
	}
	merge(c, 0, n->t.size <= 16 ? CLASS_SSE : CLASS_MEMORY);
	if (n->t.size == 16)
		merge(c, 1, CLASS_SSE);
}

static void classify(struct debuginfo *di, struct type *t, uint64_t at, int depth, struct classes *c)
{
	type_complete(di, t);
	if (depth > CLASSIFY_DEPTH_MAX || ++di->abi_work > CLASSIFY_WORK_MAX || at > 16) {
		merge(c, 0, CLASS_UNKNOWN);
		return;
	}
	switch (t->kind) {
	case TYPE_STRUCT:
	case TYPE_UNION:
		classify_members(di, t, at, depth, c);
		return;
	case TYPE_ARRAY:
		classify_array(di, t, at, depth, c);
		return;
	case TYPE_VOID:
		return;
	case TYPE_OTHER:
		classify_complex(node_of(t), at, c);
		return;
	case TYPE_FUNCTION:
	case TYPE_INCOMPLETE:
		merge(c, 0, CLASS_UNKNOWN);
		return;
	default:
		classify_scalar(node_of(t), at, c);
	}
}

static bool is_record(const struct type *t)
{
	return t->kind == TYPE_STRUCT || t->kind == TYPE_UNION || t->kind == TYPE_ARRAY || t->kind == TYPE_OTHER;
}

/* &str, &[T], &dyn Trait: a pointer and a word. */
static bool is_fat_pointer(const struct type *t)
{
	return t->kind == TYPE_STRUCT && t->size == 16 && t->n_members == 2 &&
	       t->members[0].type->kind == TYPE_POINTER && t->members[1].type->size == 8 &&
	       (t->members[1].type->kind == TYPE_POINTER || t->members[1].type->kind == TYPE_UNSIGNED);
}

static void classify_value(struct debuginfo *di, enum language lang, struct type *t, struct classes *c)
{
	*c = (struct classes){ { CLASS_NONE, CLASS_NONE } };
	type_complete(di, t);
	di->abi_work = 0;
	if (lang == LANG_RUST && is_record(t) && t->size <= 16 && t->size && !is_fat_pointer(t)) {
		c->word[0] = CLASS_UNKNOWN;
		return;
	}
	if (node_of(t)->by_reference || t->size > 16) {
		bool is_vector = t->kind == TYPE_ARRAY && node_of(t)->vector;
		bool is_known = is_record(t) && !is_vector;

		c->word[0] = is_vector ? CLASS_SSE : is_known ? CLASS_MEMORY : CLASS_UNKNOWN;
		return;
	}
	classify(di, t, 0, 0, c);
	/* Only C++ has empty values that have a size; gcc forgets the members of transparent unions. */
	if (t->size && lang != LANG_CXX && c->word[0] == CLASS_NONE && c->word[1] == CLASS_NONE)
		c->word[0] = CLASS_UNKNOWN;
	if (c->word[0] == CLASS_UNKNOWN || c->word[1] == CLASS_UNKNOWN)
		c->word[0] = CLASS_UNKNOWN;
	else if (c->word[0] == CLASS_MEMORY || c->word[1] == CLASS_MEMORY ||
		 (c->word[1] == CLASS_X87UP && c->word[0] != CLASS_X87))
		c->word[0] = CLASS_MEMORY;
}

/* ---- alignment, for what goes to the stack ---- */

static uint64_t alignment(struct debuginfo *di, struct type *t, int depth)
{
	uint64_t align = node_of(t)->align;

	if (depth > CLASSIFY_DEPTH_MAX || ++di->abi_work > CLASSIFY_WORK_MAX)
		return align;
	if (t->kind == TYPE_ARRAY && !node_of(t)->vector && t->target)
		return alignment(di, t->target, depth + 1);
	if (t->kind != TYPE_STRUCT && t->kind != TYPE_UNION)
		return t->size > align ? t->size : align;
	type_complete(di, t);
	for (uint32_t i = 0; i < t->n_members; i++) {
		uint64_t of_member = t->members[i].bit_size ? 0 : alignment(di, t->members[i].type, depth + 1);

		align = of_member > align ? of_member : align;
	}
	return align;
}

/* ---- arguments ---- */

struct assigning {
	struct debuginfo *di;
	const struct unit *u;
	unsigned integers, sse;       /* registers used */
	uint64_t stack;               /* bytes used */
	bool lost;                    /* the rest cannot be told */
};

static void to_stack(struct assigning *a, struct type *t, struct location *out)
{
	uint64_t align;

	a->di->abi_work = 0;
	align = alignment(a->di, t, 0);
	if (align > 8)
		a->stack = (a->stack + 15) & ~(uint64_t)15;
	if (align > 16 || t->size > 1 << 20) {
		location_none(out, "on the stack at an unusual alignment");
		a->lost = true;
		return;
	}
	*out = (struct location){ .kind = LOCATION_MEMORY, .reg = GPR_SP, .offset = 8 + (int64_t)a->stack };
	a->stack += (t->size + 7) & ~(uint64_t)7;
}

static unsigned count_class(const struct classes *c, enum class class)
{
	return (c->word[0] == class) + (c->word[1] == class);
}

/* clang does not follow the ABI when the registers do not suffice for an __int128, and not in each version alike. */
static bool is_wide_integer(const struct type *t)
{
	return t->size == 16 && (t->kind == TYPE_SIGNED || t->kind == TYPE_UNSIGNED);
}

static void to_registers(struct assigning *a, const struct classes *c, struct type *t, struct location *out)
{
	unsigned integers = count_class(c, CLASS_INTEGER), sse = count_class(c, CLASS_SSE);
	unsigned first = a->integers;

	if (t->size > 16)
		sse = 1;                      /* __m256 */
	if (integers + sse == 0) {
		location_none(out, "empty");
		return;
	}
	if (a->u->llvm && is_wide_integer(t) && a->integers + integers > INTEGER_REGS) {
		location_none(out, "passed by clang's own rules");
		a->lost = true;
		return;
	}
	if (a->integers + integers > INTEGER_REGS || a->sse + sse > SSE_REGS) {
		to_stack(a, t, out);
		return;
	}
	a->integers += integers;
	a->sse += sse;
	if (sse)
		location_none(out, integers ? "partly in an SSE register" : "in an SSE register");
	else
		location_registers(out, t->size, integer_regs[first], integers == 2 ? integer_regs[first + 1] : -1);
}

static void to_reference(struct assigning *a, struct location *out)
{
	if (a->integers < INTEGER_REGS) {
		*out = (struct location){ .kind = LOCATION_MEMORY, .reg = integer_regs[a->integers++] };
		return;
	}
	*out = (struct location){ .kind = LOCATION_INDIRECT, .reg = GPR_SP, .offset = 8 + (int64_t)a->stack };
	a->stack += 8;
}

static void assign(struct assigning *a, const struct abi_arg *arg, struct location *out)
{
	enum language lang = a->u->lang;
	struct classes c;

	if (!arg->type || a->lost) {
		a->lost = true;
		location_none(out, "behind a parameter whose place is not known");
		return;
	}
	type_complete(a->di, arg->type);
	if (arg->by_reference || node_of(arg->type)->by_reference ||
	    (lang == LANG_RUST && is_record(arg->type) && arg->type->size > 16)) {
		to_reference(a, out);
		return;
	}
	classify_value(a->di, lang, arg->type, &c);
	switch (c.word[0]) {
	case CLASS_UNKNOWN:
		a->lost = true;
		location_none(out, lang == LANG_RUST ? "passed by Rust's own rules" : "of a type whose passing is not known");
		return;
	case CLASS_MEMORY:
	case CLASS_X87:
		to_stack(a, arg->type, out);
		return;
	default:
		to_registers(a, &c, arg->type, out);
	}
}

void abi_arguments(struct debuginfo *di, const struct unit *u, const struct abi_arg *args, uint32_t n,
		   struct type *ret, struct location *out)
{
	struct assigning a = { .di = di, .u = u };

	if (ret) {
		struct classes c;

		classify_value(di, u->lang, ret, &c);
		a.integers = c.word[0] == CLASS_MEMORY;   /* the caller passes where to put the result */
		a.lost = c.word[0] == CLASS_UNKNOWN;
	}
	for (uint32_t i = 0; i < n; i++)
		assign(&a, &args[i], &out[i]);
}

/* ---- results ---- */

void abi_return(struct debuginfo *di, enum language lang, struct type *ret, struct location *out)
{
	struct classes c;
	unsigned integers, sse;

	classify_value(di, lang, ret, &c);
	integers = count_class(&c, CLASS_INTEGER);
	sse = count_class(&c, CLASS_SSE);
	if (c.word[0] == CLASS_UNKNOWN)
		location_none(out, lang == LANG_RUST ? "returned by Rust's own rules" :
			      "of a type whose return is not known");
	else if (c.word[0] == CLASS_X87 || (node_of(ret)->encoding == DW_ATE_complex_float && ret->size == 32))
		location_none(out, "returned on the x87 stack");
	else if (c.word[0] == CLASS_MEMORY)
		*out = (struct location){ .kind = LOCATION_MEMORY, .reg = GPR_AX };
	else if (sse)
		location_none(out, integers ? "partly returned in an SSE register" : "returned in an SSE register");
	else if (integers)
		location_registers(out, ret->size, GPR_AX, integers == 2 ? GPR_DX : -1);
	else
		location_none(out, "empty");
}
