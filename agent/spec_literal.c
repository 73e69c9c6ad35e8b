/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Literals.  A number is a magnitude with an optional unit; everything is an exact 64-bit integer in the end (times in
 * nanoseconds, sizes in bytes), and what cannot be one exactly is refused rather than rounded: a condition that compares
 * with another number than the one that was written would answer another question.
 */
#include "spec_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- numbers ---- */

static const struct unit {
	const char *name;
	uint64_t scale;
	const char *of;           /* what a value is a number of; NULL: no unit, a C suffix */
} units[] = {
	{ "ns", 1, "nanoseconds" },
	{ "us", 1000, "nanoseconds" },
	{ "\u00b5s", 1000, "nanoseconds" },
	{ "\u03bcs", 1000, "nanoseconds" },
	{ "ms", 1000000, "nanoseconds" },
	{ "s", 1000000000, "nanoseconds" },
	{ "m", 60000000000, "nanoseconds" },
	{ "h", 3600000000000, "nanoseconds" },
	{ "B", 1, "bytes" },
	{ "KiB", 1 << 10, "bytes" },
	{ "MiB", 1 << 20, "bytes" },
	{ "GiB", 1 << 30, "bytes" },
	{ "TiB", 1ULL << 40, "bytes" },
	{ "KB", 1000, "bytes" },
	{ "kB", 1000, "bytes" },
	{ "MB", 1000000, "bytes" },
	{ "GB", 1000000000, "bytes" },
	{ "TB", 1000000000000, "bytes" },
	{ "k", 1000, "units" },
	{ "K", 1000, "units" },
	{ "M", 1000000, "units" },
	{ "G", 1000000000, "units" },
	{ "u", 1, NULL }, { "U", 1, NULL }, { "l", 1, NULL }, { "L", 1, NULL },
	{ "ul", 1, NULL }, { "UL", 1, NULL }, { "ll", 1, NULL }, { "LL", 1, NULL },
	{ "ull", 1, NULL }, { "ULL", 1, NULL },
};

/* The digits of a number as they stand in the text. */
struct digits {
	unsigned base;
	size_t start, end;        /* without the prefix */
	size_t fraction;          /* first digit after the point; 0: no point */
	size_t unit;              /* where the unit would begin */
};

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static size_t skip_digits(const struct parser *p, size_t pos, int base)
{
	while (pos < p->len && digit_value(p->text[pos]) < base)
		pos++;
	return pos;
}

/* The base by the prefix: 0x 0b 0o, a leading 0 as in C. Moves *pos behind the prefix. */
static unsigned base_at(const struct parser *p, size_t *pos)
{
	static const struct { char mark; unsigned base; } prefixes[] = {
		{ 'x', 16 }, { 'X', 16 }, { 'b', 2 }, { 'B', 2 }, { 'o', 8 }, { 'O', 8 },
	};
	const char *s = p->text + *pos;

	if (s[0] != '0')
		return 10;
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		/* "0B" alone is no bytes, not a binary number without digits */
		if (s[1] == prefixes[i].mark && (s[1] != 'B' || digit_value(s[2]) < 2)) {
			*pos += 2;
			return prefixes[i].base;
		}
	}
	return digit_value(s[1]) < 10 ? 8 : 10;
}

static int refuse_octal(struct parser *p, size_t start, size_t end)
{
	struct excerpt number = excerpt_of(p->text + start, end - start);
	size_t nonzero = start;

	if (p->text[start + 1] == 'o' || p->text[start + 1] == 'O') {
		fail_at(p, start, end, "'%s' is not an octal number", number.text);
		return error_hint(p->err, "octal digits are 0 to 7");
	}
	while (nonzero + 1 < end && p->text[nonzero] == '0' && digit_value(p->text[nonzero + 1]) < 10)
		nonzero++;
	fail_at(p, start, end, "a number with a leading 0 is octal, as in C, and '%s' is not one", number.text);
	return error_hint(p->err, "write '%s' for the decimal number",
			  excerpt_of(p->text + nonzero, end - nonzero).text);
}

/* Finds where the parts of the number at p->pos stand. */
static int split_number(struct parser *p, struct digits *d)
{
	size_t all;

	*d = (struct digits){ .start = p->pos };
	d->base = base_at(p, &d->start);
	all = skip_digits(p, d->start, d->base == 8 ? 10 : (int)d->base);
	if (d->base == 8 && p->text[all] == '.' && digit_value(p->text[all + 1]) < 10)
		d->base = 10;
	d->end = skip_digits(p, d->start, (int)d->base);
	if (d->end < all)
		return refuse_octal(p, p->tok.start, all);
	if (d->end == d->start) {
		fail_at(p, p->tok.start, d->start, "digits are missing after '%.2s'", p->text + p->tok.start);
		return error_hint(p->err, "as in 0x1f, 0b101 or 0o17");
	}
	d->unit = d->end;
	if (d->base == 10 && p->text[d->end] == '.' && digit_value(p->text[d->end + 1]) < 10) {
		d->fraction = d->end + 1;
		d->unit = skip_digits(p, d->fraction, 10);
	}
	return 0;
}

/* The value of the digits [start, end); false when it does not fit 64 bits. */
static bool read_digits(const struct parser *p, size_t start, size_t end, unsigned base, uint64_t *out)
{
	uint64_t value = 0;

	for (size_t i = start; i < end; i++)
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit_value(p->text[i]), &value))
			return false;
	*out = value;
	return true;
}

static int refuse_unit(struct parser *p, size_t start, size_t end)
{
	fail_at(p, start, end, "'%s' is not a unit", excerpt_of(p->text + start, end - start).text);
	return error_hint(p->err, "times are ns us ms s m h, sizes B KiB MiB GiB KB MB GB, counts k M G");
}

static int find_unit(struct parser *p, const struct digits *d, size_t end, const struct unit **out)
{
	static const struct unit none = { "", 1, NULL };
	size_t len = end - d->unit;

	*out = &none;
	if (len == 0)
		return 0;
	for (size_t i = 0; i < COUNT(units); i++) {
		if (strlen(units[i].name) == len && memcmp(units[i].name, p->text + d->unit, len) == 0) {
			*out = &units[i];
			if (d->base == 8 && units[i].of)
				return refuse_octal(p, p->tok.start, end);
			return 0;
		}
	}
	return refuse_unit(p, d->unit, end);
}

static int refuse_large(struct parser *p, size_t end, uint64_t value, bool is_pattern)
{
	fail_at(p, p->tok.start, end, "'%s' is too large for a signed 64-bit number",
		excerpt_of(p->text + p->tok.start, end - p->tok.start).text);
	if (is_pattern)
		return error_hint(p->err, "%lld has the same 64 bits", (long long)(int64_t)value);
	return error_hint(p->err, "the largest number is 9223372036854775807");
}

/* The fraction times the scale, which must come out whole. */
static int scale_fraction(struct parser *p, const struct digits *d, size_t end, const struct unit *unit, uint64_t *out)
{
	enum { DIGITS_MAX = 18 };
	uint64_t fraction, ten = 1;
	size_t last = d->unit;

	if (!unit->of) {
		fail_at(p, p->tok.start, end, "a number with a fraction needs a unit");
		return error_hint(p->err, "as in 1.5ms or 1.5KiB; plumb compares whole numbers only");
	}
	while (last > d->fraction && p->text[last - 1] == '0')
		last--;
	for (size_t i = d->fraction; i < last && i < d->fraction + DIGITS_MAX; i++)
		ten *= 10;
	if (last - d->fraction <= DIGITS_MAX && read_digits(p, d->fraction, last, 10, &fraction)) {
		unsigned __int128 scaled = (unsigned __int128)fraction * unit->scale;

		*out = (uint64_t)(scaled / ten);
		if (scaled % ten == 0)
			return 0;
	}
	fail_at(p, p->tok.start, end, "'%s' is not a whole number of %s",
		excerpt_of(p->text + p->tok.start, end - p->tok.start).text, unit->of);
	return error_hint(p->err, "write it in a smaller unit");
}

int lex_number(struct parser *p)
{
	struct token *tok = &p->tok;
	const struct unit *unit;
	uint64_t whole, part = 0;
	struct digits d;
	size_t end;
	int err = split_number(p, &d);

	if (err)
		return err;
	for (end = d.unit; end < p->len && is_name_byte(p->text[end]);)
		end++;
	err = find_unit(p, &d, end, &unit);
	if (!err && d.fraction)
		err = scale_fraction(p, &d, end, unit, &part);
	if (err)
		return err;
	if (!read_digits(p, d.start, d.end, d.base, &whole) ||
	    __builtin_mul_overflow(whole, unit->scale, &whole) || __builtin_add_overflow(whole, part, &whole))
		return refuse_large(p, end, 0, false);
	if (whole > INT64_MAX && (d.base != 10 || whole > (uint64_t)INT64_MAX + 1))
		return refuse_large(p, end, whole, d.base != 10 && unit->scale == 1);
	tok->kind = TOK_NUMBER;
	tok->number = (int64_t)whole;
	tok->needs_minus = whole > INT64_MAX;
	tok->end = p->pos = end;
	return 0;
}

/* ---- escapes ---- */

static const struct { char mark, value; } plain_escapes[] = {
	{ 'n', '\n' }, { 't', '\t' }, { 'r', '\r' }, { '\\', '\\' }, { '\'', '\'' }, { '"', '"' }, { '?', '?' },
	{ 'a', '\a' }, { 'b', '\b' }, { 'f', '\f' }, { 'v', '\v' }, { 'e', 0x1b },
};

/* Numeric escapes; x and octal are bytes, u and U characters. */
static const struct numeric_escape {
	char mark;                /* 0: the first octal digit itself */
	int base, least, most;
	bool is_char;
} numeric_escapes[] = {
	{ 'x', 16, 1, 2, false },
	{ 'u', 16, 4, 4, true },
	{ 'U', 16, 8, 8, true },
	{ 0, 8, 1, 3, false },
};

/* One character of a literal, decoded. */
struct unescaped {
	uint32_t value;
	bool is_char;             /* a character, otherwise one byte */
	size_t end;
};

static int refuse_escape(struct parser *p, size_t start, size_t end)
{
	if (end > p->len)
		end = p->len;
	fail_at(p, start, end, "'%s' is not an escape", excerpt_of(p->text + start, end - start).text);
	return error_hint(p->err, "escapes are \\n \\t \\r \\0 \\\\ \\' \\\" \\a \\b \\f \\v \\e, \\xNN, \\NNN (octal), \\uNNNN and \\UNNNNNNNN");
}

static bool is_scalar(uint32_t cp)
{
	return cp <= 0x10ffff && !(cp >= 0xd800 && cp <= 0xdfff);
}

static int read_numeric(struct parser *p, size_t at, const struct numeric_escape *e, struct unescaped *u)
{
	size_t start = at + (e->mark ? 2 : 1), pos = start;

	u->value = 0;
	u->is_char = e->is_char;
	while (pos < p->len && pos - start < (size_t)e->most && digit_value(p->text[pos]) < e->base)
		u->value = u->value * (uint32_t)e->base + (uint32_t)digit_value(p->text[pos++]);
	u->end = pos;
	if (pos - start < (size_t)e->least || (e->is_char ? !is_scalar(u->value) : u->value > 0xff))
		return refuse_escape(p, at, pos > at + 2 ? pos : at + 2);
	return 0;
}

/* The backslash stands at `at`. */
static int read_escape(struct parser *p, size_t at, struct unescaped *u)
{
	char mark = p->text[at + 1];
	uint32_t cp;
	unsigned n;

	for (size_t i = 0; i < COUNT(plain_escapes); i++) {
		if (mark == plain_escapes[i].mark) {
			*u = (struct unescaped){ .value = (unsigned char)plain_escapes[i].value, .end = at + 2 };
			return 0;
		}
	}
	for (size_t i = 0; i < COUNT(numeric_escapes); i++) {
		const struct numeric_escape *e = &numeric_escapes[i];

		if (e->mark ? mark == e->mark : mark >= '0' && mark <= '7')
			return read_numeric(p, at, e, u);
	}
	n = at + 1 < p->len ? utf8_decode(p->text + at + 1, p->len - at - 1, &cp) : 0;
	return refuse_escape(p, at, at + 1 + (n ? n : 1));
}

/* The character at `at`, which is inside the text. */
static int read_one(struct parser *p, size_t at, struct unescaped *u)
{
	unsigned n;

	if (p->text[at] == '\\')
		return read_escape(p, at, u);
	n = utf8_decode(p->text + at, p->len - at, &u->value);
	u->is_char = n > 1;
	u->end = at + (n ? n : 1);
	if (u->value >= 0x20)
		return 0;
	/* white space outside of literals, so text_check let it pass */
	fail_at(p, at, u->end, "a line break or tab inside a literal");
	return error_hint(p->err, "close the quote before it, or write \\n or \\t");
}

/* ---- characters and strings ---- */

static int refuse_unclosed(struct parser *p, const char *what, const char *quote)
{
	fail_at(p, p->tok.start, p->len, "the %s that begins here is not closed", what);
	return error_hint(p->err, "add the closing %s", quote);
}

/* Finds the closing quote of the literal at p->pos; what is between is checked. */
static int find_quote(struct parser *p, char quote, size_t *end, size_t *n, struct unescaped *first)
{
	struct unescaped u;
	size_t at = p->pos + 1;

	for (*n = 0; at < p->len && p->text[at] != quote; at = u.end) {
		int err;

		if (p->text[at] == '\\' && at + 1 == p->len) {
			at = p->len; /* a lone backslash at the end: the quote is what is missing */
			break;
		}
		err = read_one(p, at, &u);
		if (err)
			return err;
		if ((*n)++ == 0 && first)
			*first = u;
	}
	*end = at;
	return 0;
}

int lex_char(struct parser *p)
{
	struct unescaped u = { 0 };
	struct excerpt inside;
	size_t end, n;
	int err = find_quote(p, '\'', &end, &n, &u);

	if (err)
		return err;
	if (end >= p->len)
		return refuse_unclosed(p, "character", "'");
	inside = excerpt_of(p->text + p->pos + 1, end - p->pos - 1);
	if (n == 0) {
		fail_at(p, p->pos, end + 1, "'' holds no character");
		return error_hint(p->err, "write '\\0' for the NUL character, \"\" for the empty string");
	}
	if (n > 1) {
		fail_at(p, p->pos, end + 1, "'%s' is more than one character", inside.text);
		return error_hint(p->err, "strings have double quotes: \"%s\"", inside.text);
	}
	p->tok.kind = TOK_NUMBER;
	/* a byte is a C char, which is signed on x86-64 */
	p->tok.number = u.is_char ? (int64_t)u.value : (signed char)u.value;
	p->tok.end = p->pos = end + 1;
	return 0;
}

int lex_string(struct parser *p)
{
	size_t end, n;
	int err = find_quote(p, '"', &end, &n, NULL);

	if (err)
		return err;
	if (end >= p->len)
		return refuse_unclosed(p, "string", "'\"'");
	p->tok.kind = TOK_STRING;
	p->tok.end = p->pos = end + 1;
	return 0;
}

/* Writes one scalar value as UTF-8. */
static size_t put_char(uint32_t cp, char *out)
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

	for (size_t i = n - 1; i > 0; i--, cp >>= 6)
		out[i] = (char)(0x80 | (cp & 0x3f));
	out[0] = (char)(lead[n] | cp);
	return n;
}

char *string_value(const struct parser *p, const struct token *tok, size_t *len)
{
	/* no escape is shorter than what it stands for */
	char *value = malloc(tok->end - tok->start);
	struct parser inner = *p;
	struct unescaped u;

	if (!value)
		return NULL;
	*len = 0;
	for (size_t at = tok->start + 1; at < tok->end - 1; at = u.end) {
		if (read_one(&inner, at, &u))
			break; /* cannot happen: lex_string read the same bytes */
		if (u.is_char)
			*len += put_char(u.value, value + *len);
		else
			value[(*len)++] = (char)u.value;
	}
	value[*len] = '\0';
	return value;
}
