/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of probe requests, inside: text -> (place scanner | tokens) -> tree.
 *
 *   spec.c          the request: its parts in order, capture lists, the life of a spec
 *   spec_place.c    the place: function names of four languages do not follow the expression grammar
 *   spec_lex.c      tokens of everything after the place
 *   spec_literal.c  numbers with units, characters, strings
 *   spec_expr.c     expressions, by operator precedence
 *   spec_dump.c     the stage print
 */
#ifndef PLUMB_SPEC_INTERNAL_H
#define PLUMB_SPEC_INTERNAL_H

#include "spec.h"

enum token_kind {
	TOK_END, TOK_NUMBER, TOK_STRING, TOK_NAME, TOK_SPECIAL, TOK_IF,
	TOK_LPAREN, TOK_RPAREN, TOK_LBRACKET, TOK_RBRACKET, TOK_COMMA, TOK_DOT, TOK_ARROW,
	TOK_NOT, TOK_TILDE, TOK_STAR, TOK_SLASH, TOK_PERCENT, TOK_PLUS, TOK_MINUS, TOK_SHL, TOK_SHR,
	TOK_LT, TOK_LE, TOK_GT, TOK_GE, TOK_EQ, TOK_NE, TOK_AMP, TOK_CARET, TOK_PIPE, TOK_AND, TOK_OR,
	TOKEN_KINDS
};

/* A piece of the text: no memory of its own. */
struct token {
	enum token_kind kind;
	size_t start, end;        /* bytes of the text */
	int64_t number;           /* TOK_NUMBER */
	bool needs_minus;         /* TOK_NUMBER: 2^63, which exists only with a '-' before it; number is INT64_MIN */
};

/* One run over one text. `err` is never NULL in here. */
struct parser {
	const char *text;
	size_t len;
	size_t pos;               /* the first byte not looked at yet */
	struct token tok;         /* the token ahead */
	size_t prev_end;          /* where the token before it ended */
	size_t if_start;          /* in the request's condition: where its 'if' stands; 0: not in one */
	bool has_return;          /* the request has captures behind '->' */
	int depth;                /* open brackets and prefix operators around the current position */
	struct error *err;
};

/* spec_lex.c */

/* Refuses texts that are too long, not UTF-8, or hold control characters; after it every byte >= 0x80 is sound.
 * p->pos is at the first byte that is no white space, p->len if there is none. */
int text_check(struct parser *p);
/* Moves to the next token. */
int parser_next(struct parser *p);
void skip_space(struct parser *p);
bool is_name_start(char c);
bool is_name_byte(char c);
/* The same, but not for the look-alikes of operators and quotes that are letters only by their bytes. */
bool name_byte_at(const struct parser *p, size_t pos);

/* The only ways to fail: text, and the bytes [start, end) it is about. Both return -EINVAL. */
int fail_at(struct parser *p, size_t start, size_t end, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* "expected WHAT, found 'x'" at the token ahead. */
int fail_expected(struct parser *p, const char *what);
int fail_memory(struct parser *p);

/* A piece of the request as a message may quote it: cut after some 40 bytes. */
struct excerpt {
	char text[56];
};
struct excerpt excerpt_of(const char *text, size_t len);
void blank_spaces(char *text);   /* what is shown has one line: every kind of white space becomes ' ' */

/* A copy with every run of white space as one space, except (has_quotes) inside literals; NULL: no memory. */
char *copy_squeezed(const char *text, size_t len, bool has_quotes);

/* spec_literal.c */

/* Reads the literal at p->pos into p->tok and moves behind it. */
int lex_number(struct parser *p);
int lex_char(struct parser *p);
int lex_string(struct parser *p);
/* The value of a TOK_STRING; *len without the NUL that is added. NULL: no memory. */
char *string_value(const struct parser *p, const struct token *tok, size_t *len);

/* spec_expr.c */

/* How an operator is written; NULL for operators that are not between two operands. */
extern const char *const expr_symbols[EXPR_OPS];
/* Parses an expression at the token ahead. NULL: p->err says why. */
struct expr *parse_expr(struct parser *p);

/* spec_place.c */

/* Reads the place at p->pos into spec; p->pos is behind it then. */
int parse_place(struct parser *p, struct spec *spec);

#endif
