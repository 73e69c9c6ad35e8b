/* SPDX-License-Identifier: Apache-2.0 */
#include "spec_internal.h"

#include <inttypes.h>
#include <string.h>

#include "text.h"

/* ---- expressions ---- */

/* In C escapes that read back as the same bytes; octal, because \x takes as many digits as it finds in C. */
static void dump_string(const char *text, size_t len, struct buf *out)
{
	buf_char(out, '"');
	for (size_t i = 0; i < len;) {
		uint32_t cp;
		unsigned n = utf8_decode(text + i, len - i, &cp);

		if (n == 0 || !utf8_is_safe(cp)) {
			buf_printf(out, "\\%03o", (unsigned char)text[i++]);
			continue;
		}
		if (cp == '"' || cp == '\\')
			buf_char(out, '\\');
		buf_add(out, text + i, n);
		i += n;
	}
	buf_char(out, '"');
}

static void dump_member(const struct expr *e, const char *between, struct buf *out)
{
	buf_char(out, '(');
	expr_dump(e->a, out);
	buf_printf(out, "%s%s)", between, e->text);
}

static void dump_prefix(const struct expr *e, char operator, struct buf *out)
{
	buf_printf(out, "(%c", operator);
	expr_dump(e->a, out);
	buf_char(out, ')');
}

static void dump_binary(const struct expr *e, struct buf *out)
{
	buf_char(out, '(');
	expr_dump(e->a, out);
	buf_printf(out, " %s ", expr_symbols[e->op]);
	expr_dump(e->b, out);
	buf_char(out, ')');
}

static void dump_index(const struct expr *e, struct buf *out)
{
	buf_char(out, '(');
	expr_dump(e->a, out);
	buf_char(out, '[');
	expr_dump(e->b, out);
	buf_str(out, "])");
}

void expr_dump(const struct expr *e, struct buf *out)
{
	switch (e->op) {
	case EXPR_NUMBER:
		buf_printf(out, "%" PRId64, e->number);
		return;
	case EXPR_STRING:
		dump_string(e->text, e->text_len, out);
		return;
	case EXPR_NAME:
		buf_str(out, e->text);
		return;
	case EXPR_SPECIAL:
		buf_printf(out, "$%s", e->text);
		return;
	case EXPR_MEMBER:
		dump_member(e, ".", out);
		return;
	case EXPR_ARROW:
		dump_member(e, "->", out);
		return;
	case EXPR_INDEX:
		dump_index(e, out);
		return;
	case EXPR_DEREF:
		dump_prefix(e, '*', out);
		return;
	case EXPR_NEG:
		dump_prefix(e, '-', out);
		return;
	case EXPR_NOT:
		dump_prefix(e, '!', out);
		return;
	case EXPR_INVERT:
		dump_prefix(e, '~', out);
		return;
	default:
		dump_binary(e, out);
		return;
	}
}

/* ---- requests ---- */

static const char *const place_names[] = {
	[PLACE_FUNCTION] = "function", [PLACE_GLOB] = "glob", [PLACE_LINE] = "line", [PLACE_USDT] = "usdt",
};

static void dump_place(const struct spec *spec, struct buf *out)
{
	buf_printf(out, "place %s %s", place_names[spec->place], spec->name);
	if (spec->place == PLACE_LINE)
		buf_printf(out, ":%" PRIu32, spec->line);
	if (spec->module)
		buf_printf(out, spec->place == PLACE_USDT ? " of provider %s" : " in module %s", spec->module);
	buf_char(out, '\n');
}

static void dump_captures(const char *when, bool written, const struct capture *list, size_t n, struct buf *out)
{
	if (!written || n == 0)
		buf_printf(out, "%s %s\n", when, written ? "nothing" : "default");
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "%s %s: ", when, list[i].label);
		expr_dump(list[i].expr, out);
		buf_char(out, '\n');
	}
}

void spec_dump(const struct spec *spec, struct buf *out)
{
	dump_place(spec, out);
	dump_captures("entry", spec->has_entry, spec->entry, spec->n_entry, out);
	dump_captures("return", spec->has_return, spec->ret, spec->n_return, out);
	if (!spec->condition)
		return;
	buf_str(out, "if ");
	expr_dump(spec->condition, out);
	buf_char(out, '\n');
}
