/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DWARF 4/5 as plumb needs it: functions by name, their parameters and where those are at the function's
 * first instruction, and types.  Only the units that a question touches are read.  The file is hostile input:
 * recursion, counts and chains are bounded; a broken part makes a value unreadable, never the program fail.
 */
#ifndef PLUMB_DEBUGINFO_H
#define PLUMB_DEBUGINFO_H

#include "cache.h"
#include "image.h"

enum type_kind {
	TYPE_VOID, TYPE_SIGNED, TYPE_UNSIGNED, TYPE_CHAR, TYPE_BOOL, TYPE_FLOAT, TYPE_ENUM,
	TYPE_POINTER,         /* also references */
	TYPE_STRUCT,          /* also C++ classes */
	TYPE_UNION, TYPE_ARRAY, TYPE_FUNCTION,
	TYPE_INCOMPLETE,      /* declared only, even after looking in the other units */
	TYPE_OTHER,           /* nothing plumb can show: reason in name */
};

struct type;

struct member {
	const char *name;      /* "" = anonymous struct or union: its members count as the parent's */
	struct type *type;
	uint64_t offset;       /* bytes from the start of the struct */
	uint8_t bit_offset, bit_size;  /* bit-field: bits from the least significant bit of the byte at `offset`
	                                  (little-endian); bit_size 0: none */
};

struct enumerator { const char *name; int64_t value; };

/* Types belong to their debuginfo and live as long as it. Typedefs and qualifiers are resolved away, but the
 * name is the one that the source uses ("size_t", "robj *"). */
struct type {
	enum type_kind kind;
	const char *name;
	uint64_t size;         /* bytes; 0: unknown or flexible */
	struct type *target;   /* pointer: pointee (kind TYPE_VOID for void *); array: element. Complete it before use. */
	uint64_t count;        /* array: elements, 0: unknown */
	struct member *members;
	uint32_t n_members;
	struct enumerator *enumerators;
	uint32_t n_enumerators;
	bool complete;         /* members, enumerators are filled in */
	bool is_signed;        /* of the enum's or char's underlying integer */
};

enum location_kind {
	LOCATION_NONE,         /* cannot be read; `reason` says why */
	LOCATION_REGISTERS,    /* the value itself: piece 0 is the low bytes, at most 2 pieces */
	LOCATION_MEMORY,       /* the value is at address reg + offset */
	LOCATION_INDIRECT,     /* the value is at the address stored at reg + offset */
	LOCATION_CONST,        /* the value is `offset` */
};

struct location {
	enum location_kind kind;
	struct { uint8_t reg; uint8_t size; } piece[2];  /* reg: enum plan_reg */
	uint8_t pieces;
	uint8_t reg;
	int64_t offset;
	char reason[96];       /* LOCATION_NONE: "in an SSE register", "optimised out", ... */
};

struct param {
	const char *name;      /* "" if unnamed */
	struct type *type;
	struct location where; /* at the first instruction of the function, before it runs */
};

struct function {          /* belongs to its debuginfo */
	const char *name;      /* qualified: "ns::Class::method", "order::parse" */
	const char *linkage;   /* symbol name, "" if the same as name */
	uint64_t addr, size;   /* entry pc and extent of the part that holds it; addr 0: has no code of its own */
	const char *file;      /* as the compiler saw it; "" if unknown */
	uint32_t line;
	struct type *ret;      /* NULL: void */
	struct location ret_where; /* at the return: registers ax, dx, or memory at ax, or LOCATION_NONE with the reason */
	struct param *params;
	uint32_t n_params;
	bool variadic;
	uint32_t inlined;      /* without code of its own: how many inlined copies were seen in the units that were read */
	enum language lang;
};

struct debuginfo;          /* borrows the image, owns all types and functions it returns */

/* Debug info in the image itself or in its separate file (build-id or debuglink, with .gnu_debugaltlink).
 * `cache` (borrowed while it is opened; NULL: none): where what is inflated of compressed sections is kept.
 * -ENOENT: none; err says where it was looked for. */
int debuginfo_open(struct image *img, const char *root, const struct cache_place *cache, struct debuginfo **out,
		   struct error *err);
/* NULL, or why all that came from it is worthless: a compressed section turned out to be damaged while it was read. */
const char *debuginfo_failure(const struct debuginfo *di);
void debuginfo_close(struct debuginfo *di);
const char *debuginfo_path(const struct debuginfo *di);
/* Whether what was read can answer further questions about `img`: debuginfo_open would find the same files now, unchanged,
 * and nothing was left out of it because a question took too long.  img: opened anew from the file that it was opened with. */
bool debuginfo_is_current(const struct debuginfo *di, const struct image *img, const char *root);

/* All functions of that name (two static functions may share one), qualified or only the last part, with an
 * address or inlined only.  *out is an array of borrowed pointers that the caller frees.  Returns the count;
 * 0 with err's hint filled with the nearest names if there is none. */
int debuginfo_find(struct debuginfo *di, const char *name, const struct function ***out, struct error *err);
/* The function whose first instruction is at addr, e.g. from a symbol. -ENOENT if none. */
int debuginfo_at(struct debuginfo *di, uint64_t addr, const struct function **out);
/* Every function with code, for `plumb funcs`; name matches `glob` (NULL: all). Stops on non-zero. */
int debuginfo_each(struct debuginfo *di, const char *glob, int (*visit)(const struct function *fn, void *arg), void *arg);

/* The kind of value that a call returns: TYPE_VOID, _SIGNED, _UNSIGNED, _CHAR, _BOOL, _ENUM, _POINTER; else TYPE_OTHER. */
struct result_kind {
	enum type_kind kind;
	uint8_t size;          /* bytes: 1, 2, 4, 8 */
	bool is_signed;
};

/* Calls visit for each function with code, in no order. False: it took too long, and some were left out. */
bool debuginfo_results(struct debuginfo *di, void (*visit)(uint64_t addr, const struct result_kind *result, void *arg), void *arg);
/* Every function symbol that there is: of the separate debug file, then of the image; some twice. Stops on non-zero. */
void debuginfo_symbols(struct debuginfo *di, int (*visit)(const struct symbol *sym, void *arg), void *arg);

/* Equal for all that were made of one piece of source in one unit: a function and its clones and copies. */
const void *function_origin(const struct function *fn);

/* ---- source lines (debuginfo_line.c) ---- */

struct line_query {
	const char *path;              /* matched like path_suffix_matches: "src/order.c" means "/build/src/order.c" */
	const uint32_t *lines;         /* ascending */
	uint32_t n_lines;
	/* the answer, beside the visits */
	uint32_t n_files;              /* files that the path means, counted in each unit; 0: none */
	uint32_t before, after;        /* lines with code next to the first wanted one; 0: none */
};

/* One run of a line's instructions, in one function or in one inlined copy of it. */
struct line_place {
	uint64_t start, end;
	uint64_t next_statement;       /* first address behind `start` at which the line table begins another one; else `end` */
	uint32_t line;
	const char *file;              /* as the debug information has it */
	const struct function *fn;     /* whose source it is; NULL: there is only a line table (assembly) */
	bool inlined;                  /* it lies in another function, into which fn was inlined ... */
	const struct function *outer;  /* ... this one; not inlined: fn; NULL: not known */
	bool merged;                   /* the instructions are another line's: the statement has none of its own, but begins here */
	bool unmarked;                 /* no statement begins here: instructions of the line that the optimiser has moved */
	const void *unit;              /* for debuginfo_line_scope and ..._code */
	int span;
};

/* What `visit` sees lives as long as the debuginfo; a non-zero result of place() ends the search and is returned. */
struct line_visitor {
	void (*file)(uint32_t query, const char *path, void *arg);    /* the same one perhaps once per unit; may be NULL */
	int (*place)(uint32_t query, const struct line_place *place, void *arg);
	void *arg;
};

/* All code of the wanted lines. Reads the line tables of those units only that have a file of such a name.
 * -ENOENT: no file is meant by any of the paths (err has the nearest names); -ETIMEDOUT: the search was cut short. */
int debuginfo_lines(struct debuginfo *di, struct line_query *queries, uint32_t n, const struct line_visitor *visitor,
		    struct error *err);

struct code_range { uint64_t start, end; };
enum { LINE_CODE_RANGES_MAX = 64 };
/* All code of the function that the place is in (of the outer one, if it was inlined), and its first instruction, 0: not known.
 * Returns the count. */
uint32_t debuginfo_line_code(struct debuginfo *di, const struct line_place *place, struct code_range *out, uint64_t *entry);
/* The place's function with what is in scope there as its params: parameters and locals, `where` being true at place->start,
 * before that instruction runs. NULL: out of memory, or the place has no function. */
const struct function *debuginfo_line_scope(struct debuginfo *di, const struct line_place *place);

/* Fills in members / enumerators of a struct, union or enum (and looks for the definition of a declared one).
 * Does nothing for others. Never fails: what cannot be resolved becomes TYPE_INCOMPLETE or TYPE_OTHER. */
void type_complete(struct debuginfo *di, struct type *t);
/* A member by name, looking into anonymous members; *offset gets its byte offset from t. NULL if none. */
const struct member *type_member(struct debuginfo *di, struct type *t, const char *name, uint64_t *offset);

/* "int parse_order(struct order *o, int n)". Appends to out. */
struct buf;
void function_signature(const struct function *fn, struct buf *out);

#endif
