/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens.  What people write out of habit from C, C++, Rust, Go or a word processor, and what this language refuses,
 * is recognised here as well: a refusal that names the right way is worth a table row.
 */
#include "spec_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- failing ---- */

int fail_at(struct parser *p, size_t start, size_t end, const char *fmt, ...)
{
	char text[sizeof(p->err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error_set(p->err, EINVAL, "%s", text);
	return error_at(p->err, (int)start + 1, end > start ? (int)(end - start) : 1);
}

int fail_memory(struct parser *p)
{
	return error_set(p->err, ENOMEM, "no memory left to parse the request");
}

void blank_spaces(char *text)
{
	for (char *c = text; *c; c++)
		if (*c == '\n' || *c == '\r' || *c == '\t')
			*c = ' ';
}

struct excerpt excerpt_of(const char *text, size_t len)
{
	enum { SHOWN = 40 };
	struct excerpt e;
	size_t n = len < SHOWN ? len : SHOWN;

	if (n < len)
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
	snprintf(e.text, sizeof(e.text), "%.*s%s", (int)n, text, n < len ? "..." : "");
	blank_spaces(e.text);
	return e;
}

/* Words of other languages where an operator or the end was expected, and ways to write a place again. */
static const char *hint_for_word(const char *word, size_t len)
{
	static const struct { const char *word, *hint; } words[] = {
		{ "and", "write '&&'" },
		{ "or", "write '||'" },
		{ "xor", "write '^'" },
		{ "eq", "write '=='" },
		{ "ne", "write '!='" },
		{ "as", "casts are not part of the probe language: a value has its type from the debug information" },
		{ "when", "a condition begins with 'if'" },
		{ "where", "a condition begins with 'if'" },
		{ "unless", "a condition begins with 'if'; write 'if !(...)'" },
		{ "return", "return captures are written '-> $ret'" },
	};

	for (size_t i = 0; i < COUNT(words); i++)
		if (strlen(words[i].word) == len && memcmp(words[i].word, word, len) == 0)
			return words[i].hint;
	return NULL;
}

static const char *hint_for_token(const struct parser *p, const struct token *tok)
{
	switch (tok->kind) {
	case TOK_NAME:
		return hint_for_word(p->text + tok->start, tok->end - tok->start);
	case TOK_IF:
		return "only one condition can stand at the end; join conditions with '&&' or '||'";
	default:
		return NULL;
	}
}

int fail_expected(struct parser *p, const char *what)
{
	const struct token *tok = &p->tok;
	const char *hint = hint_for_token(p, tok);

	if (tok->kind == TOK_END)
		return fail_at(p, p->len, p->len, "expected %s, but nothing follows", what);
	fail_at(p, tok->start, tok->end, "expected %s, found '%s'", what,
		excerpt_of(p->text + tok->start, tok->end - tok->start).text);
	return hint ? error_hint(p->err, "%s", hint) : -EINVAL;
}

/* ---- the text as a whole ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int text_check(struct parser *p)
{
	p->len = strnlen(p->text, SPEC_TEXT_MAX + 1);
	if (p->len > SPEC_TEXT_MAX) {
		fail_at(p, SPEC_TEXT_MAX, SPEC_TEXT_MAX, "the request is longer than %d bytes", SPEC_TEXT_MAX);
		return error_hint(p->err, "leave out captures, or split it into several requests");
	}
	for (size_t i = 0; i < p->len;) {
		uint32_t cp;
		unsigned n = utf8_decode(p->text + i, p->len - i, &cp);

		if (n == 0) {
			fail_at(p, i, i + 1, "byte 0x%02x is not valid UTF-8 here", (unsigned char)p->text[i]);
			return error_hint(p->err, "in a string write it as \\x%02x", (unsigned char)p->text[i]);
		}
		if (!utf8_is_safe(cp) && !is_space(p->text[i])) {
			fail_at(p, i, i + n, "control character U+%04X in the request", (unsigned)cp);
			return error_hint(p->err, "remove it; in a string write it as an escape, as in \"\\n\" or \"\\x1b\"");
		}
		i += n;
	}
	skip_space(p);
	return 0;
}

void skip_space(struct parser *p)
{
	while (p->pos < p->len && is_space(p->text[p->pos]))
		p->pos++;
}

char *copy_squeezed(const char *text, size_t len, bool has_quotes)
{
	char *copy = malloc(len + 1), quote = 0;
	size_t n = 0;

	if (!copy)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (quote && c == '\\' && i + 1 < len)
			copy[n++] = text[i++];
		else if (quote ? c == quote : has_quotes && (c == '"' || c == '\''))
			quote = quote ? 0 : c;
		if (quote || !is_space(text[i]))
			copy[n++] = text[i];
		else if (n > 0 && copy[n - 1] != ' ')
			copy[n++] = ' ';
	}
	while (n > 0 && copy[n - 1] == ' ')
		n--;
	copy[n] = '\0';
	return copy;
}

/* ---- tokens ---- */

bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

bool is_name_byte(char c)
{
	return is_name_start(c) || (c >= '0' && c <= '9') || c == '$';
}

/* Longest first. A row without a kind is refused with its text and hint. */
static const struct punct {
	const char *text;
	enum token_kind kind;
	const char *refusal, *hint;
} puncts[] = {
	{ "===", TOK_END, "'===' is not an operator", "write '=='" },
	{ "!==", TOK_END, "'!==' is not an operator", "write '!='" },
	{ "...", TOK_END, "'...' has no meaning here", "leave out the list in brackets to capture every parameter" },
	{ "<=>", TOK_END, "'<=>' is not part of the probe language", "use '<', '==' or '>'" },
	{ "<<=", TOK_END, "'<<=' would change a value, and a probe changes nothing", "use '<<', or '<=' to compare" },
	{ ">>=", TOK_END, "'>>=' would change a value, and a probe changes nothing", "use '>>', or '>=' to compare" },
	{ "->", TOK_ARROW, NULL, NULL },
	{ "++", TOK_END, "'++' would change a value, and a probe changes nothing", "write '+ 1' for the next value" },
	{ "--", TOK_END, "'--' would change a value, and a probe changes nothing", "write '- 1', or '- -x' for a double minus" },
	{ "+=", TOK_END, "'+=' would change a value, and a probe changes nothing", "write '==' to compare" },
	{ "-=", TOK_END, "'-=' would change a value, and a probe changes nothing", "write '==' to compare" },
	{ "*=", TOK_END, "'*=' would change a value, and a probe changes nothing", "write '==' to compare" },
	{ "/=", TOK_END, "'/=' would change a value, and a probe changes nothing", "write '!=' for not equal" },
	{ "%=", TOK_END, "'%=' would change a value, and a probe changes nothing", "write '==' to compare" },
	{ "&=", TOK_END, "'&=' would change a value, and a probe changes nothing", "write '==' to compare" },
	{ "|=", TOK_END, "'|=' would change a value, and a probe changes nothing", "write '==' to compare" },
	{ "^=", TOK_END, "'^=' would change a value, and a probe changes nothing", "write '==' to compare" },
	{ "<<", TOK_SHL, NULL, NULL },
	{ ">>", TOK_SHR, NULL, NULL },
	{ "<=", TOK_LE, NULL, NULL },
	{ ">=", TOK_GE, NULL, NULL },
	{ "==", TOK_EQ, NULL, NULL },
	{ "!=", TOK_NE, NULL, NULL },
	{ "<>", TOK_END, "'<>' is not an operator", "write '!='" },
	{ "=<", TOK_END, "'=<' is not an operator", "write '<='" },
	{ "=>", TOK_END, "'=>' is not an operator", "write '>=' to compare, '->' for a member or the return captures" },
	{ "=~", TOK_END, "there are no regular expressions in the probe language", "compare strings with '=='" },
	{ "&&", TOK_AND, NULL, NULL },
	{ "||", TOK_OR, NULL, NULL },
	{ "::", TOK_END, "a name is missing before '::'", "write it in full, as in ns::value" },
	{ "=", TOK_END, "'=' would change a value, and a probe changes nothing", "write '==' to compare" },
	{ "?", TOK_END, "'?:' is not part of the probe language", "write two conditions joined with '&&' and '||'" },
	{ ":", TOK_END, "':' has no meaning here", "it separates a module or a line within the place only, as in libssl.so.3:SSL_read" },
	{ ";", TOK_END, "';' has no meaning here", "one request holds one place; give further requests separately" },
	{ "{", TOK_END, "'{' has no meaning here", "a request has no blocks: PLACE(captures) -> captures if condition" },
	{ "}", TOK_END, "'}' has no meaning here", "a request has no blocks: PLACE(captures) -> captures if condition" },
	{ "(", TOK_LPAREN, NULL, NULL },
	{ ")", TOK_RPAREN, NULL, NULL },
	{ "[", TOK_LBRACKET, NULL, NULL },
	{ "]", TOK_RBRACKET, NULL, NULL },
	{ ",", TOK_COMMA, NULL, NULL },
	{ ".", TOK_DOT, NULL, NULL },
	{ "!", TOK_NOT, NULL, NULL },
	{ "~", TOK_TILDE, NULL, NULL },
	{ "*", TOK_STAR, NULL, NULL },
	{ "/", TOK_SLASH, NULL, NULL },
	{ "%", TOK_PERCENT, NULL, NULL },
	{ "+", TOK_PLUS, NULL, NULL },
	{ "-", TOK_MINUS, NULL, NULL },
	{ "<", TOK_LT, NULL, NULL },
	{ ">", TOK_GT, NULL, NULL },
	{ "&", TOK_AMP, NULL, NULL },
	{ "^", TOK_CARET, NULL, NULL },
	{ "|", TOK_PIPE, NULL, NULL },
	/* what editors, chats and documents make of plain characters */
	{ "\u201c", TOK_END, "a typographic quote does not begin a string", "write plain quotes: \"text\"" },
	{ "\u201d", TOK_END, "a typographic quote does not begin a string", "write plain quotes: \"text\"" },
	{ "\u2018", TOK_END, "a typographic quote does not begin a character", "write plain quotes: 'c'" },
	{ "\u2019", TOK_END, "a typographic quote does not begin a character", "write plain quotes: 'c'" },
	{ "\u2013", TOK_END, "this is a dash, not a minus", "write '-'" },
	{ "\u2014", TOK_END, "this is a dash, not a minus", "write '-'" },
	{ "\u2212", TOK_END, "this minus is not the one of the keyboard", "write '-'" },
	{ "\u2192", TOK_END, "this is an arrow sign", "write '->'" },
	{ "\u2264", TOK_END, "'\u2264' is not an operator", "write '<='" },
	{ "\u2265", TOK_END, "'\u2265' is not an operator", "write '>='" },
	{ "\u2260", TOK_END, "'\u2260' is not an operator", "write '!='" },
	{ "\u00a0", TOK_END, "this is a non-breaking space", "write a plain space" },
};

static const struct punct *punct_at(const struct parser *p, size_t pos)
{
	for (size_t i = 0; i < COUNT(puncts); i++)
		if (strncmp(p->text + pos, puncts[i].text, strlen(puncts[i].text)) == 0)
			return &puncts[i];
	return NULL;
}

bool name_byte_at(const struct parser *p, size_t pos)
{
	if (pos >= p->len || !is_name_byte(p->text[pos]))
		return false;
	return (unsigned char)p->text[pos] < 0x80 || !punct_at(p, pos);
}

static int take_punct(struct parser *p, const struct punct *punct)
{
	p->tok.kind = punct->kind;
	p->pos += strlen(punct->text);
	p->tok.end = p->pos;
	if (!punct->refusal)
		return 0;
	fail_at(p, p->tok.start, p->tok.end, "%s", punct->refusal);
	return error_hint(p->err, "%s", punct->hint);
}

static bool scope_at(const struct parser *p, size_t pos)
{
	return pos + 2 < p->len && p->text[pos] == ':' && p->text[pos + 1] == ':' && is_name_start(p->text[pos + 2]);
}

/* An identifier, or one with its scope: ns::Enum::value. */
static int lex_name(struct parser *p)
{
	struct token *tok = &p->tok;

	do {
		if (p->text[p->pos] == ':')
			p->pos += 2;
		while (name_byte_at(p, p->pos))
			p->pos++;
	} while (scope_at(p, p->pos));
	tok->end = p->pos;
	tok->kind = TOK_NAME;
	if (tok->end - tok->start == 2 && memcmp(p->text + tok->start, "if", 2) == 0)
		tok->kind = TOK_IF;
	return 0;
}

static const char *const specials[] = {
	"$ret", "$duration", "$errno", "$tid", "$pid", "$cpu", "$comm", "$ts", "$goid",
	"$arg0", "$arg1", "$arg2", "$arg3", "$arg4", "$arg5",
};

static int refuse_special(struct parser *p, const char *name)
{
	static const char list[] = "there are $ret $duration $errno $tid $pid $cpu $comm $ts $goid and $arg0 to $arg5";
	struct error *err = p->err;
	struct nearest near;
	char guess[sizeof(err->hint)];

	fail_at(p, p->tok.start, p->tok.end, "no special value '%s'", name);
	nearest_init(&near, name);
	for (size_t i = 0; i < COUNT(specials); i++)
		nearest_offer(&near, specials[i]);
	nearest_hint(&near, err);
	if (!err->hint[0])
		return error_hint(err, "%s", list);
	memcpy(guess, err->hint, sizeof(guess));
	return error_hint(err, "%s %s", guess, list);
}

static int lex_special(struct parser *p)
{
	struct excerpt name;

	p->pos++;
	while (p->pos < p->len && is_name_byte(p->text[p->pos]))
		p->pos++;
	p->tok.kind = TOK_SPECIAL;
	p->tok.end = p->pos;
	name = excerpt_of(p->text + p->tok.start, p->tok.end - p->tok.start);
	for (size_t i = 0; i < COUNT(specials); i++)
		if (strcmp(name.text, specials[i]) == 0)
			return 0;
	return refuse_special(p, name.text);
}

int parser_next(struct parser *p)
{
	const struct punct *punct;
	char c;

	p->prev_end = p->tok.end;
	skip_space(p);
	p->tok = (struct token){ .kind = TOK_END, .start = p->pos, .end = p->pos };
	if (p->pos >= p->len)
		return 0;
	c = p->text[p->pos];
	punct = punct_at(p, p->pos); /* before names: some of its rows are bytes that names may hold */
	if (punct)
		return take_punct(p, punct);
	if (c >= '0' && c <= '9')
		return lex_number(p);
	if (c == '\'')
		return lex_char(p);
	if (c == '"')
		return lex_string(p);
	if (c == '$')
		return lex_special(p);
	if (is_name_start(c))
		return lex_name(p);
	fail_at(p, p->pos, p->pos + 1, "'%c' has no meaning here", c);
	return error_hint(p->err, "names hold letters, digits, '_' and '$'");
}
