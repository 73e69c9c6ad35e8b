/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions, by operator precedence.
 *
 * Two bounds keep a hostile request from using up the stack, here and in whoever walks the tree later: no path in the tree
 * is longer than SPEC_DEPTH_MAX nodes, and no more than twice as many brackets and prefix operators are open at once
 * (a node costs at most two of them when it is written out in full, as expr_dump does).
 */
#include "spec_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_MAX = 2 * SPEC_DEPTH_MAX };

const char *const expr_symbols[EXPR_OPS] = {
	[EXPR_MUL] = "*", [EXPR_DIV] = "/", [EXPR_MOD] = "%", [EXPR_ADD] = "+", [EXPR_SUB] = "-",
	[EXPR_SHL] = "<<", [EXPR_SHR] = ">>", [EXPR_LT] = "<", [EXPR_LE] = "<=", [EXPR_GT] = ">", [EXPR_GE] = ">=",
	[EXPR_EQ] = "==", [EXPR_NE] = "!=", [EXPR_BITAND] = "&", [EXPR_BITXOR] = "^", [EXPR_BITOR] = "|",
	[EXPR_AND] = "&&", [EXPR_OR] = "||",
};

/* Precedence as in C; 0: not an operator between two operands. */
enum { PREC_NONE, PREC_OR, PREC_AND, PREC_BITOR, PREC_BITXOR, PREC_BITAND, PREC_EQUAL, PREC_ORDER, PREC_SHIFT, PREC_SUM, PREC_PRODUCT };

static const struct binary {
	enum expr_op op;
	int prec;
} binaries[TOKEN_KINDS] = {
	[TOK_STAR] = { EXPR_MUL, PREC_PRODUCT }, [TOK_SLASH] = { EXPR_DIV, PREC_PRODUCT },
	[TOK_PERCENT] = { EXPR_MOD, PREC_PRODUCT },
	[TOK_PLUS] = { EXPR_ADD, PREC_SUM }, [TOK_MINUS] = { EXPR_SUB, PREC_SUM },
	[TOK_SHL] = { EXPR_SHL, PREC_SHIFT }, [TOK_SHR] = { EXPR_SHR, PREC_SHIFT },
	[TOK_LT] = { EXPR_LT, PREC_ORDER }, [TOK_LE] = { EXPR_LE, PREC_ORDER },
	[TOK_GT] = { EXPR_GT, PREC_ORDER }, [TOK_GE] = { EXPR_GE, PREC_ORDER },
	[TOK_EQ] = { EXPR_EQ, PREC_EQUAL }, [TOK_NE] = { EXPR_NE, PREC_EQUAL },
	[TOK_AMP] = { EXPR_BITAND, PREC_BITAND }, [TOK_CARET] = { EXPR_BITXOR, PREC_BITXOR },
	[TOK_PIPE] = { EXPR_BITOR, PREC_BITOR },
	[TOK_AND] = { EXPR_AND, PREC_AND }, [TOK_OR] = { EXPR_OR, PREC_OR },
};

static const struct prefix {
	enum token_kind token;
	enum expr_op op;
} prefixes[] = {
	{ TOK_STAR, EXPR_DEREF }, { TOK_MINUS, EXPR_NEG }, { TOK_NOT, EXPR_NOT }, { TOK_TILDE, EXPR_INVERT },
};

/* ---- nodes ---- */

static int height_of(const struct expr *e)
{
	int a, b;

	if (!e)
		return 0;
	a = height_of(e->a);
	b = height_of(e->b);
	return 1 + (a > b ? a : b);
}

static struct expr *refuse_depth(struct parser *p, const struct token *at, const char *hint)
{
	fail_at(p, at->start, at->end, "the expression is nested deeper than %d levels", SPEC_DEPTH_MAX);
	error_hint(p->err, "%s", hint);
	return NULL;
}

/* A node over the source bytes [start, end). Owns a and b from here on, also when it fails; `at` is its operator. */
static struct expr *node(struct parser *p, enum expr_op op, struct expr *a, struct expr *b, size_t start, const struct token *at)
{
	struct expr *e = calloc(1, sizeof(*e));

	if (!e) {
		expr_free(a);
		expr_free(b);
		fail_memory(p);
		return NULL;
	}
	e->op = op;
	e->a = a;
	e->b = b;
	e->col = (int)start + 1;
	e->len = (int)(p->prev_end - start);
	if (height_of(e) <= SPEC_DEPTH_MAX)
		return e;
	expr_free(e);
	return refuse_depth(p, at, "each operator of a chain a + b + c is one level; brackets make it flatter: (a + b) + (c + d)");
}

/* A leaf or a member: a node with text [start, end) of the request. */
static struct expr *node_text(struct parser *p, enum expr_op op, struct expr *a, size_t start, const struct token *tok)
{
	struct expr *e = node(p, op, a, NULL, start, tok);
	size_t from = tok->start + (op == EXPR_SPECIAL ? 1 : 0);

	if (!e)
		return NULL;
	if (op == EXPR_STRING) {
		e->text = string_value(p, tok, &e->text_len);
	} else {
		e->text_len = tok->end - from;
		e->text = strndup(p->text + from, e->text_len);
	}
	if (e->text)
		return e;
	expr_free(e);
	fail_memory(p);
	return NULL;
}

static struct expr *node_number(struct parser *p, int64_t number, size_t start, const struct token *tok)
{
	struct expr *e = node(p, EXPR_NUMBER, NULL, NULL, start, tok);

	if (e)
		e->number = number;
	return e;
}

/* ---- operands ---- */

static const char EXPECTED_VALUE[] = "a value (a name, a $ value or a literal)";

static bool take_text(const struct parser *p, const char *word)
{
	size_t len = strlen(word);

	return p->tok.end - p->tok.start == len && memcmp(p->text + p->tok.start, word, len) == 0;
}

static struct expr *parse_name(struct parser *p)
{
	static const struct { const char *word; int64_t number; } constants[] = {
		{ "true", 1 }, { "false", 0 }, { "NULL", 0 }, { "nullptr", 0 },
	};
	struct token tok = p->tok;

	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (take_text(p, constants[i].word))
			return parser_next(p) ? NULL : node_number(p, constants[i].number, tok.start, &tok);
	return parser_next(p) ? NULL : node_text(p, EXPR_NAME, NULL, tok.start, &tok);
}

static struct expr *parse_number(struct parser *p)
{
	struct token tok = p->tok;

	if (tok.needs_minus) {
		fail_at(p, tok.start, tok.end, "'%s' is too large for a signed 64-bit number",
			excerpt_of(p->text + tok.start, tok.end - tok.start).text);
		error_hint(p->err, "the largest number is 9223372036854775807");
		return NULL;
	}
	return parser_next(p) ? NULL : node_number(p, tok.number, tok.start, &tok);
}

static bool enter(struct parser *p, const struct token *tok)
{
	if (p->depth >= OPEN_MAX)
		refuse_depth(p, tok, "remove brackets and prefix operators that change nothing");
	else
		p->depth++;
	return p->err->code == 0;
}

/* The closing bracket of `open`; what the user forgot is more often the bracket than what stands in its place. */
static int expect_close(struct parser *p, const struct token *open, enum token_kind close, const char *name)
{
	if (p->tok.kind == close) {
		p->depth--;
		return parser_next(p);
	}
	if (p->tok.kind == TOK_END) {
		fail_at(p, open->start, open->end, "'%c' is not closed", p->text[open->start]);
		return error_hint(p->err, "add %s", name);
	}
	fail_expected(p, close == TOK_RPAREN ? "an operator or ')'" : "an operator or ']'");
	if (p->tok.kind == TOK_COMMA)
		return error_hint(p->err, "these brackets hold one value; a list of return captures has none: -> $ret, $errno");
	return -p->err->code;
}

/* "(int)x": what C programmers write and what would otherwise be a puzzling refusal. */
static int refuse_cast(struct parser *p, size_t start)
{
	fail_expected(p, "an operator after ')'");
	if (!p->err->hint[0])
		error_hint(p->err, "casts are not part of the probe language, leave out '%s'",
			   excerpt_of(p->text + start, p->prev_end - start).text);
	return -EINVAL;
}

static struct expr *parse_group(struct parser *p)
{
	struct token open = p->tok;
	struct expr *e;

	if (!enter(p, &open) || parser_next(p))
		return NULL;
	e = parse_expr(p);
	if (!e || expect_close(p, &open, TOK_RPAREN, "')'"))
		goto fail;
	if (p->tok.kind == TOK_NAME || p->tok.kind == TOK_NUMBER || p->tok.kind == TOK_SPECIAL) {
		refuse_cast(p, open.start);
		goto fail;
	}
	e->col = (int)open.start + 1;
	e->len = (int)(p->prev_end - open.start);
	return e;
fail:
	expr_free(e);
	return NULL;
}

static struct expr *refuse_operand(struct parser *p)
{
	fail_expected(p, EXPECTED_VALUE);
	if (p->tok.kind == TOK_AMP)
		error_hint(p->err, "addresses cannot be taken; name the value itself");
	else if (p->tok.kind == TOK_PLUS)
		error_hint(p->err, "leave out the '+'");
	else if (p->tok.kind == TOK_RPAREN && p->prev_end > 0 && p->text[p->prev_end - 1] == '*')
		error_hint(p->err, "leave out the list in brackets to capture every parameter");
	else if (p->tok.kind == TOK_DOT && p->text[p->tok.end] >= '0' && p->text[p->tok.end] <= '9')
		error_hint(p->err, "write a fraction with its 0, as in 0.5ms");
	return NULL;
}

static struct expr *parse_operand(struct parser *p)
{
	struct token tok = p->tok;

	switch (tok.kind) {
	case TOK_NAME:
		return parse_name(p);
	case TOK_NUMBER:
		return parse_number(p);
	case TOK_SPECIAL:
		return parser_next(p) ? NULL : node_text(p, EXPR_SPECIAL, NULL, tok.start, &tok);
	case TOK_STRING:
		return parser_next(p) ? NULL : node_text(p, EXPR_STRING, NULL, tok.start, &tok);
	case TOK_LPAREN:
		return parse_group(p);
	default:
		return refuse_operand(p);
	}
}

/* ---- what follows an operand ---- */

static size_t trimmed(const char *text, size_t from, size_t to)
{
	while (to > from && (text[to - 1] == ' ' || text[to - 1] == '\t'))
		to--;
	return to;
}

/* In a condition, what was meant for before it: "checkout if $ret < 0 -> $ret". The hint is the request in the right order. */
static struct expr *refuse_order(struct parser *p, const struct token *at, struct expr *a)
{
	size_t head = trimmed(p->text, 0, p->if_start), from = p->if_start + 2, to = trimmed(p->text, from, at->start);
	bool arrow = at->kind == TOK_ARROW, free_place = !p->depth && !p->has_return && (arrow || p->text[head - 1] != ')');

	from += strspn(p->text + from, " \t");
	fail_at(p, at->start, p->len, arrow ? "'->' and what is captured of the return stand before 'if'" : "captures stand before 'if'");
	if (free_place && p->len < 160)
		error_hint(p->err, "the order is PLACE(captures) -> captures if condition, so: %.*s %.*s if %.*s", (int)head, p->text,
			   (int)(trimmed(p->text, at->start, p->len) - at->start), p->text + at->start, (int)(to - from), p->text + from);
	else
		error_hint(p->err, "the order is PLACE(captures) -> captures if condition");
	blank_spaces(p->err->hint);
	expr_free(a);
	return NULL;
}

/* What follows is no part of the condition: a return capture behind '->', or a list in brackets behind a number. */
static bool is_out_of_order(const struct parser *p, const struct expr *a)
{
	bool literal = a->op == EXPR_NUMBER || a->op == EXPR_STRING;
	size_t next = p->tok.end + strspn(p->text + p->tok.end, " \t");

	if (!p->if_start)
		return false;
	return p->tok.kind == TOK_ARROW ? literal || p->text[next] == '$' : p->tok.kind == TOK_LPAREN && literal;
}

static struct expr *parse_member(struct parser *p, struct expr *a)
{
	struct token dot = p->tok, tok;
	enum expr_op op = dot.kind == TOK_DOT ? EXPR_MEMBER : EXPR_ARROW;
	const char *what = op == EXPR_MEMBER ? "a member's name after '.'" : "a member's name after '->'";
	size_t start = (size_t)a->col - 1;

	if (parser_next(p))
		goto fail;
	tok = p->tok;
	if ((tok.kind != TOK_NAME && tok.kind != TOK_IF) || memchr(p->text + tok.start, ':', tok.end - tok.start)) {
		fail_expected(p, what);
		if (tok.kind == TOK_NUMBER)
			error_hint(p->err, "field 0 of a Rust tuple is named __0 in the debug information");
		goto fail;
	}
	if (parser_next(p))
		goto fail;
	return node_text(p, op, a, start, &tok);
fail:
	expr_free(a);
	return NULL;
}

static struct expr *parse_index(struct parser *p, struct expr *a)
{
	struct token open = p->tok;
	struct expr *b = NULL;

	if (!enter(p, &open) || parser_next(p))
		goto fail;
	b = parse_expr(p);
	if (!b || expect_close(p, &open, TOK_RBRACKET, "']'"))
		goto fail;
	return node(p, EXPR_INDEX, a, b, (size_t)a->col - 1, &open);
fail:
	expr_free(a);
	expr_free(b);
	return NULL;
}

static struct expr *refuse_call(struct parser *p, struct expr *a)
{
	size_t start = (size_t)a->col - 1, end = start + (size_t)a->len;
	struct excerpt name = excerpt_of(p->text + start, end - start);

	fail_at(p, start, end, "'%s' cannot be called: a probe only reads", name.text);
	error_hint(p->err, "strings are compared with '=='; probe '%s' itself to see its calls", name.text);
	expr_free(a);
	return NULL;
}

static struct expr *refuse_literal(struct parser *p, struct expr *a)
{
	fail_at(p, p->tok.start, p->tok.end, "a literal has no members or elements");
	error_hint(p->err, "name a variable, a parameter or a $ value before '%s'",
		   excerpt_of(p->text + p->tok.start, p->tok.end - p->tok.start).text);
	expr_free(a);
	return NULL;
}

static struct expr *parse_suffixes(struct parser *p, struct expr *a)
{
	while (a) {
		enum token_kind kind = p->tok.kind;

		if (kind != TOK_DOT && kind != TOK_ARROW && kind != TOK_LBRACKET && kind != TOK_LPAREN)
			return a;
		if (is_out_of_order(p, a))
			return refuse_order(p, &p->tok, a);
		if (a->op == EXPR_NUMBER || a->op == EXPR_STRING)
			return refuse_literal(p, a);
		if (kind == TOK_LPAREN)
			return refuse_call(p, a);
		a = kind == TOK_LBRACKET ? parse_index(p, a) : parse_member(p, a);
	}
	return NULL;
}

/* ---- operators ---- */

/* A minus before a number makes another number, so that the dump of -5 reads back as what it was. */
static struct expr *negate(struct parser *p, struct expr *a, const struct token *minus)
{
	if (a->number == INT64_MIN) {
		fail_at(p, minus->start, p->prev_end, "this is too large for a signed 64-bit number");
		expr_free(a);
		return NULL;
	}
	a->number = -a->number;
	a->col = (int)minus->start + 1;
	a->len = (int)(p->prev_end - minus->start);
	return a;
}

/* -9223372036854775808 is one number, though its digits alone are none. */
static struct expr *parse_smallest(struct parser *p, const struct token *minus)
{
	struct expr *e;

	if (parser_next(p))
		return NULL;
	e = node_number(p, INT64_MIN, minus->start, minus);
	return e ? parse_suffixes(p, e) : NULL;
}

static const struct prefix *prefix_at(const struct parser *p)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (prefixes[i].token == p->tok.kind)
			return &prefixes[i];
	return NULL;
}

static struct expr *parse_unary(struct parser *p)
{
	const struct prefix *prefix = prefix_at(p);
	struct token tok = p->tok;
	struct expr *a;

	if (!prefix)
		return parse_suffixes(p, parse_operand(p));
	if (!enter(p, &tok) || parser_next(p))
		return NULL;
	if (tok.kind == TOK_MINUS && p->tok.kind == TOK_NUMBER && p->tok.needs_minus)
		a = parse_smallest(p, &tok);
	else if ((a = parse_unary(p)) != NULL)
		a = tok.kind == TOK_MINUS && a->op == EXPR_NUMBER ? negate(p, a, &tok)
								  : node(p, prefix->op, a, NULL, tok.start, &tok);
	p->depth--;
	return a;
}

static struct expr *refuse_chain(struct parser *p, struct expr *left, const struct token *first)
{
	const char *text = p->text;
	struct token op = p->tok;
	size_t start = (size_t)left->col - 1, middle = (size_t)left->b->col - 1;
	struct excerpt head = excerpt_of(text + start, (size_t)left->len);
	struct excerpt mid = excerpt_of(text + middle, (size_t)left->b->len);

	fail_at(p, op.start, op.end, "comparisons cannot be chained: '%s' would be compared as true or false", head.text);
	error_hint(p->err, "write %s && %s %.*s ...", head.text, mid.text, (int)(op.end - op.start), text + op.start);
	expr_free(left);
	return NULL;
}

/* Everything that binds at least as tightly as `least`. */
static struct expr *parse_binary(struct parser *p, int least)
{
	struct expr *left = parse_unary(p);
	int compared = PREC_NONE;   /* `left` is a comparison of this precedence, without brackets */

	while (left) {
		struct token tok = p->tok;
		struct binary binary = binaries[tok.kind];
		struct expr *right;

		if (binary.prec == PREC_NONE || binary.prec < least)
			return left;
		if (binary.prec == compared)
			return refuse_chain(p, left, &tok);
		if (parser_next(p))
			break;
		right = parse_binary(p, binary.prec + 1);
		if (!right)
			break;
		left = node(p, binary.op, left, right, (size_t)left->col - 1, &tok);
		compared = binary.prec == PREC_ORDER || binary.prec == PREC_EQUAL ? binary.prec : PREC_NONE;
	}
	expr_free(left);
	return NULL;
}

struct expr *parse_expr(struct parser *p)
{
	return parse_binary(p, PREC_OR);
}
