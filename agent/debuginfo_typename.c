/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a type is called.  A C declarator wraps around its name: "int (*)[4]", "void (*)(int)".  So every name comes
 * with its hole, the place where the declarator of something made of it goes: "int |", "int (*|)[4]".
 */
#include <string.h>

#include "buf.h"
#include "debuginfo_internal.h"

static void set_name(struct debuginfo *di, struct type_node *n, struct buf *b, size_t hole)
{
	const char *name;

	if (b->len > TYPE_NAME_MAX) {
		b->len = TYPE_NAME_MAX;
		buf_str(b, "...");
		if (hole > b->len)
			hole = b->len;
	}
	name = b->failed ? NULL : pool_copy(&di->pool, buf_text(b), b->len);
	buf_free(b);
	n->t.name = name ? name : "";
	n->hole = name ? (uint16_t)hole : 0;
}

void typename_plain(struct debuginfo *di, struct type_node *n, const char *name)
{
	size_t len = strlen(name);
	struct buf b = { 0 };

	if (len <= TYPE_NAME_MAX) {           /* as it is: strings of the file live as long as the types */
		n->t.name = name;
		n->hole = (uint16_t)len;
		return;
	}
	buf_add(&b, name, len);
	set_name(di, n, &b, len);
}

void typename_tagged(struct debuginfo *di, struct type_node *n, const char *keyword)
{
	const char *name = *n->bare ? n->bare : "{...}";
	struct buf b = { 0 };

	if (n->lang != LANG_C && n->lang != LANG_UNKNOWN && *n->bare) {
		typename_plain(di, n, name);
		return;
	}
	buf_printf(&b, "%s %.*s", keyword, TYPE_NAME_MAX, name);
	set_name(di, n, &b, b.len);
}

static const char *type_text(const struct type *t, size_t *hole)
{
	*hole = t ? node_of(t)->hole : 4;
	return t ? t->name : "void";
}

static bool binds_tighter(const char *text, size_t hole)
{
	return text[hole] == '[' || text[hole] == '(';
}

void typename_pointer(struct debuginfo *di, struct type_node *n, const struct type *to, const char *mark)
{
	struct buf b = { 0 };
	size_t hole, new_hole;
	const char *text = type_text(to, &hole);

	buf_add(&b, text, hole);
	if (binds_tighter(text, hole))
		buf_printf(&b, "%s(%s", hole && text[hole - 1] != ' ' ? " " : "", mark);
	else
		buf_printf(&b, "%s%s", hole && (text[hole - 1] == '*' || text[hole - 1] == ' ') ? "" : " ", mark);
	new_hole = b.len;
	if (binds_tighter(text, hole))
		buf_char(&b, ')');
	buf_str(&b, text + hole);
	set_name(di, n, &b, new_hole);
}

void typename_array(struct debuginfo *di, struct type_node *n, const struct type *element, uint64_t count)
{
	struct buf b = { 0 };
	size_t hole, new_hole;
	const char *text = type_text(element, &hole);

	buf_add(&b, text, hole);
	if (hole && text[hole - 1] != ' ' && text[hole - 1] != '*' && text[hole] != '[')
		buf_char(&b, ' ');
	new_hole = b.len;
	if (count)
		buf_printf(&b, "[%llu]", (unsigned long long)count);
	else
		buf_str(&b, "[]");
	buf_str(&b, text + hole);
	set_name(di, n, &b, new_hole);
}

/* "const int", but "char *const": a qualifier of a pointer stands behind the star. */
void typename_qualified(struct debuginfo *di, struct type_node *n, const struct type *of, const char *word)
{
	struct buf b = { 0 };
	size_t hole, new_hole;
	const char *text = type_text(of, &hole);

	if (hole && (text[hole - 1] == '*' || text[hole - 1] == '&')) {
		buf_add(&b, text, hole);
		buf_str(&b, word);
		new_hole = b.len;
		buf_str(&b, text + hole);
	} else {
		buf_printf(&b, "%s %s", word, text);
		new_hole = hole + strlen(word) + 1;
	}
	set_name(di, n, &b, new_hole);
}

static void add_parameters(struct debuginfo *di, Dwarf_Die *die, struct buf *b)
{
	Dwarf_Die child;
	int n = 0;

	if (dwarf_child(die, &child) != 0)
		return;
	do {
		int tag = dwarf_tag(&child);
		size_t hole;

		if (tag != DW_TAG_formal_parameter && tag != DW_TAG_unspecified_parameters)
			continue;
		if (n++)
			buf_str(b, ", ");
		buf_str(b, tag == DW_TAG_formal_parameter ? type_text(type_of(di, &child), &hole) : "...");
	} while (n < PARAMS_MAX && b->len < TYPE_NAME_MAX && budget_take(di) && dwarf_siblingof(&child, &child) == 0);
}

void typename_function(struct debuginfo *di, struct type_node *n, Dwarf_Die *die)
{
	struct buf b = { 0 };
	size_t hole, new_hole, start;
	const char *text = type_text(type_of(di, die), &hole);

	buf_add(&b, text, hole);
	if (hole && text[hole - 1] != '*' && text[hole - 1] != ' ')
		buf_char(&b, ' ');
	new_hole = b.len;
	buf_char(&b, '(');
	start = b.len;
	add_parameters(di, die, &b);
	if (b.len == start)
		buf_str(&b, "void");
	buf_char(&b, ')');
	buf_str(&b, text + hole);
	set_name(di, n, &b, new_hole);
}
