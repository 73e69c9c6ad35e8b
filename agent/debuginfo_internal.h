/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the DWARF module share.
 *
 *   debuginfo.c           open, close, the alternate file
 *   debuginfo_find.c      functions by name, by address, all
 *   debuginfo_unit.c      compile units and the index of one; debuginfo_walk.c: the walk over DIEs and its budget
 *   debuginfo_aranges.c   the unit at an address, by .debug_aranges
 *   debuginfo_die.c       attributes of one DIE
 *   debuginfo_line.c      code of source lines; debuginfo_linehead.c: which units have a file of a name;
 *                         debuginfo_linefile.c: the name of a unit's file
 *   debuginfo_span.c      functions and inlined copies by address; debuginfo_scope.c: what a line sees of variables
 *   debuginfo_name.c      qualified names and how a request matches them
 *   debuginfo_symbol.c    symbols, of the separate file too
 *   debuginfo_function.c  a subprogram DIE -> struct function
 *   debuginfo_result.c    the kinds of values that all functions return
 *   debuginfo_eval.c      DWARF expressions, evaluated symbolically
 *   debuginfo_location.c  where a parameter is at the entry -> struct location
 *   debuginfo_abi.c       where the System V x86-64 ABI puts arguments and results
 *   debuginfo_type.c      a type DIE -> struct type; debuginfo_typename.c: what it is called
 *   debuginfo_complete.c  members, enumerators; debuginfo_definition.c: definitions of declared types
 *   debuginfo_pool.c      memory that lives as long as the debuginfo
 */
#ifndef PLUMB_DEBUGINFO_INTERNAL_H
#define PLUMB_DEBUGINFO_INTERNAL_H

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <limits.h>
#include <libelf.h>
#include <sys/stat.h>

#include "address_sort.h"
#include "debuginfo.h"
#include "unpack.h"

enum {
	DIE_DEPTH_MAX = 128,          /* nesting of DIEs that is followed */
	PARAMS_MAX = 256,             /* parameters of one function */
	MEMBERS_MAX = 65536,          /* members of one struct, enumerators of one enum */
	TYPE_DEPTH_MAX = 64,          /* chain of pointers, arrays, typedefs */
	TYPE_NAME_MAX = 900,          /* bytes of one type name; longer ones are cut */
	FOUND_MAX = 4096,             /* functions that one search returns */
};

/* ---- memory ---- */

struct pool_chunk;
struct pool {                         /* owns its chunks; all is freed at once */
	struct pool_chunk *chunks;
	size_t total;
};

void *pool_alloc(struct pool *p, size_t size);              /* zeroed; NULL: out of memory or above the cap */
char *pool_copy(struct pool *p, const char *text, size_t len);
void pool_free(struct pool *p);

/* A growing array of fixed-size items, in malloc'ed memory. */
struct list {
	char *items;
	size_t count, cap, item_size;
};
void *list_add(struct list *l);                             /* a zeroed new item, or NULL */
#define list_at(l, type, i) (((type *)(void *)(l)->items)[i])
void list_free(struct list *l);

/* Keyed by pointer: a DIE's or a unit's address, the same in the file and in its alternate file. */
struct keyed { const void *key; };
struct keyed *keyed_find(void *const *root, const void *key);
int keyed_add(void **root, struct keyed *item);
void keyed_free(void **root, void (*free_item)(void *item));

/* ---- units ---- */

struct scope {                        /* a namespace, class, ... that names what it contains; a function's body */
	Dwarf_Off start, end;         /* offsets of its DIE and of the first one behind it */
	Dwarf_Die die;
	int parent;                   /* index, -1: the unit */
	unsigned depth;
	const char *name;
	bool closed;                  /* a body or a class that was not looked into */
};

struct code { uint64_t addr; Dwarf_Die die; };   /* addr 0: an abstract instance (inlined) */

struct unit {
	struct keyed key;             /* Dwarf_CU * */
	Dwarf_Die die;
	enum language lang;
	bool llvm;                    /* clang, rustc */
	bool partial;                 /* dwz: what several units share */
	bool assembler;               /* its functions have no types at all */
	bool split;                   /* the rest is in a .dwo file */
	bool indexed, deep;           /* deep: with what is inside of functions */
	bool spans_read;
	bool optimised;               /* LLVM: a parameter has a location list, which -O0 never makes; known once indexed */
	struct list scopes;           /* struct scope, by start */
	struct list codes;            /* struct code, by addr */
	struct list inlined;          /* const void *: addresses of the abstract instances, one per copy, sorted */
	struct list spans;            /* struct span, by start; the outer one first */
	struct line_files *files;     /* NULL: not asked for, or left to libdw */
	bool files_asked;
};

/* A stretch of code that belongs to a function, or to a copy of one that was inlined; one with end == start is where a copy is
 * entered, before it has an instruction. */
struct span {
	uint64_t start, end;
	Dwarf_Die die;
	int parent;                   /* index of the next span around it, -1: none */
	unsigned depth;
	bool inlined;
	struct function *fn;          /* NULL: not asked for yet */
};

struct unit_range { uint64_t start, end; Dwarf_Die die; };

struct debuginfo {
	struct image *img;
	int fd, alt_fd;
	struct stat st, alt_st;       /* before they were read */
	struct cache_place cache;     /* while it is opened */
	struct unpacked *packed, *alt_packed;            /* NULL: nothing is compressed. They own the Elf then */
	Elf *elf, *alt_elf;
	Dwarf *dwarf, *alt;
	bool separate;                /* not the image itself */
	char path[PATH_MAX];
	bool alt_missing;             /* it names one that was not found */
	struct pool pool;
	void *units, *types, *functions, *definitions;   /* search trees */
	bool definitions_read;
	bool split_seen;
	Elf_Data *aranges;            /* .debug_aranges */
	bool aranges_read;
	Elf_Data *line, *line_str;    /* .debug_line, .debug_line_str; NULL: there is none, or it is compressed */
	bool line_read;
	Dwarf_CFI *cfi;               /* of the image; NULL: none */
	bool cfi_read;
	struct list ranges;           /* struct unit_range by start, when .debug_aranges did not do */
	bool ranges_read;
	struct list symbols;          /* struct symbol, of a separate file */
	struct address_key *by_address;          /* of them; NULL: not wanted yet, out of memory */
	bool symbols_read, symbols_ordered;
	unsigned type_depth;
	unsigned abi_work;
	struct {
		uint64_t dies, deadline_ns;
		unsigned depth;       /* nested public calls share the outermost one's budget */
		bool spent, was_spent;        /* was_spent: by any call up to now */
	} budget;
};

/* The best function symbol that begins at an address. */
bool symbol_at(struct debuginfo *di, uint64_t addr, struct symbol *out);
/* In no order; aliases and both tables of both files. */
void symbols_each(struct debuginfo *di, int (*visit)(const struct symbol *sym, void *arg), void *arg);

/* Each public call has a budget of DIEs and of time; the outermost begin starts it. */
void budget_begin(struct debuginfo *di);
void budget_end(struct debuginfo *di);
bool budget_take(struct debuginfo *di);

enum walk_step { WALK_OVER, WALK_INTO, WALK_STOP };
typedef enum walk_step walk_fn(Dwarf_Die *die, unsigned depth, void *arg);
/* The DIEs below `root` in order. False if it was stopped by `visit` or by the budget. */
bool walk(struct debuginfo *di, Dwarf_Die *root, walk_fn *visit, void *arg);

struct unit *unit_of(struct debuginfo *di, Dwarf_Die *die);          /* NULL: out of memory, broken */
/*
 * Functions and scopes, without what is inside of functions and of C++ classes: most DIEs of optimised C++ are inlined copies
 * in the former and declarations of members in the latter.
 */
bool unit_index(struct debuginfo *di, struct unit *u);
/* All of it. The lists are made anew. */
bool unit_index_deep(struct debuginfo *di, struct unit *u);
bool unit_at(struct debuginfo *di, uint64_t addr, Dwarf_Die *cu);
bool unit_by_aranges(struct debuginfo *di, uint64_t addr, Dwarf_Die *cu);
/* Calls visit for each unit, type units and those of the alternate file too, until it returns false. */
void units_each(struct debuginfo *di, bool (*visit)(struct debuginfo *di, Dwarf_Die *cu, void *arg), void *arg);
const struct code *unit_code_at(const struct unit *u, uint64_t addr); /* first of several at one address */
/* Reads all units: for what dwz moved out of the unit that it belongs to. */
uint32_t inlined_everywhere(struct debuginfo *di, const void *abstract);
uint32_t unit_inlined(const struct unit *u, const void *abstract);
/* Whether the linker kept what is at the address. */
bool is_live(struct debuginfo *di, uint64_t addr);
bool spans_read(struct debuginfo *di, struct unit *u);
/* Index of the innermost span at an address, -1: none. */
int span_at(const struct unit *u, uint64_t addr);
/* Index of the last span that begins at or before an address, -1: none. */
int span_before(const struct unit *u, uint64_t addr);
/* The function that holds an inlined copy. */
int span_outer(const struct unit *u, int span);
/* The function whose source a span is: of an inlined copy the original. NULL: broken. */
struct function *span_function(struct debuginfo *di, struct unit *u, struct span *s);
/* The sections of line tables, looked for once. */
void line_sections(struct debuginfo *di);
/* The header of a line table, from min_inst_length to its end. */
struct line_head {
	const unsigned char *at, *end;
	uint16_t version;             /* 2..5 */
	bool wide;                    /* 64-bit DWARF */
};
/* The table at an offset of .debug_line. False: nothing that is known here. */
bool line_head_read(const Elf_Data *line, uint64_t offset, struct line_head *h);
/* False: the header ends before. */
bool line_head_take(struct line_head *h, void *out, size_t n);
bool line_head_take_offset(struct line_head *h, uint64_t *out);
/* The name of a unit's file, as libdw would give it; "": it has none. False: ask libdw. */
struct line_files;
bool line_file(struct debuginfo *di, struct unit *u, uint64_t number, const char **out);
void line_files_free(struct line_files *files);
/* What a unit's line table says of its files, before it is decoded. */
struct line_names;
struct line_names *line_names_new(struct debuginfo *di, const struct line_query *queries, uint32_t n);
void line_names_free(struct line_names *names);
/* False: none of the files has the last component of a wanted path. */
bool line_names_in(struct line_names *names, struct debuginfo *di, Dwarf_Die *cu);
/* A section's bytes, NULL if there is none or it is compressed in a way that libelf would have to inflate. */
Elf_Data *section_data(struct debuginfo *di, const char *name, uint64_t max);
/* The part of a function that holds its entry. False: no code, or code that the linker threw away. */
bool function_extent(struct debuginfo *di, Dwarf_Die *die, uint64_t *addr, uint64_t *size);

/* ---- DIE attributes; all follow abstract origins and specifications ---- */

const char *die_name(Dwarf_Die *die);                      /* "" if there is none */
const char *die_linkage(Dwarf_Die *die);
bool die_flag(Dwarf_Die *die, unsigned attr);
/* The file that an attribute like DW_AT_decl_file names; "" if it is not known. */
const char *die_file(struct debuginfo *di, Dwarf_Die *die, unsigned attr);
bool die_udata(Dwarf_Die *die, unsigned attr, uint64_t *out);
bool die_ref(Dwarf_Die *die, unsigned attr, Dwarf_Die *out);
bool die_own_ref(Dwarf_Die *die, unsigned attr, Dwarf_Die *out);
/* The DIE that names it: the end of the chain of abstract origins and specifications. */
void die_origin(const Dwarf_Die *die, Dwarf_Die *out);

/* ---- names ---- */

/* "ns::Class::method" in the pool; the plain name for C. */
const char *qualified_name(struct debuginfo *di, Dwarf_Die *die, enum language lang);
/* What a namespace or a class adds to the names in it. */
const char *scope_name(Dwarf_Die *die);

/* ---- types ---- */

struct type_node {                    /* struct type first: what is handed out is one of these */
	struct type t;
	struct keyed key;             /* DIE address */
	Dwarf_Die die;
	struct type_node *alias;      /* typedef or qualifier: completed from it */
	const char *bare;             /* struct, union, enum: qualified name without the keyword */
	uint16_t hole;                /* where a declarator goes in the name */
	uint8_t encoding;             /* base types: DW_ATE_ */
	bool building, looped;        /* it is asked for while it is made */
	bool declaration, vector;
	bool by_reference;            /* C++: passed by the address of a copy; known once complete */
	uint32_t n_bases;             /* the first members are C++ base classes */
	uint64_t align;               /* DW_AT_alignment, 0: natural */
	enum language lang;
};

#define holder_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

static inline struct type_node *node_of(const struct type *t) { return (struct type_node *)t; }

/* The type of a DIE's DW_AT_type. NULL: void, none. */
struct type *type_of(struct debuginfo *di, Dwarf_Die *die);
struct type *type_unknown(void);
struct type *type_get(struct debuginfo *di, Dwarf_Die *type_die);
struct type_node *type_node_new(struct debuginfo *di, Dwarf_Die *die);
void type_other(struct type_node *n, const char *reason);
/* The definition of a struct, union or enum that `n` only declares. */
bool definition_find(struct debuginfo *di, const struct type_node *n, Dwarf_Die *out);
/* Names, and where the declarator goes. */
void typename_plain(struct debuginfo *di, struct type_node *n, const char *name);
void typename_tagged(struct debuginfo *di, struct type_node *n, const char *keyword);
void typename_pointer(struct debuginfo *di, struct type_node *n, const struct type *to, const char *mark);
void typename_array(struct debuginfo *di, struct type_node *n, const struct type *element, uint64_t count);
void typename_qualified(struct debuginfo *di, struct type_node *n, const struct type *of, const char *word);
void typename_function(struct debuginfo *di, struct type_node *n, Dwarf_Die *die);
void definitions_free(struct debuginfo *di);

/* ---- locations ---- */

enum place_kind_internal {
	PLACE_FOUND,                  /* loc is the answer, LOCATION_NONE included */
	PLACE_HOME,                   /* a stack slot or register that the function fills later: ask the ABI */
	PLACE_HOME_REFERENCE,         /* the same, and what is there is the address of the value */
};
struct place {
	enum place_kind_internal kind;
	bool whole;                   /* said for the whole body: perhaps not true yet at the entry */
	struct location loc;
};

/* Where a parameter is at the function's entry, as far as DWARF says it. */
void param_place(Dwarf_Die *function, Dwarf_Die *param, uint64_t entry, const struct unit *u,
		 const struct type *type, struct place *out);
void location_none(struct location *loc, const char *reason);
bool is_location_expression(Dwarf_Attribute *attr);            /* and not a list */
void location_registers(struct location *loc, uint64_t size, int reg0, int reg1);

/* ---- the ABI ---- */

struct abi_arg { struct type *type; bool by_reference; };
/* out[i]: where argument i is at the first instruction. */
void abi_arguments(struct debuginfo *di, const struct unit *u, const struct abi_arg *args, uint32_t n,
		   struct type *ret, struct location *out);
void abi_return(struct debuginfo *di, enum language lang, struct type *ret, struct location *out);

/* ---- functions ---- */

typedef bool function_visit(struct debuginfo *di, struct unit *u, Dwarf_Die *die, void *arg);
/* All subprograms that are more than a declaration, outside other functions, until visit returns false. */
void subprograms_each(struct debuginfo *di, function_visit *visit, void *arg);

struct function_node {                /* struct function first */
	struct function fn;
	struct keyed key;             /* DIE address */
	const void *origin;           /* address of its abstract instance's DIE, else of its own */
	uint32_t inlined;             /* copies in its own unit */
};

struct function *function_get(struct debuginfo *di, struct unit *u, Dwarf_Die *die);

#endif
