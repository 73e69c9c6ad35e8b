/* SPDX-License-Identifier: Apache-2.0 */
#include "spec_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char GRAMMAR[] = "a request is PLACE(captures) -> captures if condition, and only the place must be there";

void expr_free(struct expr *e)
{
	if (!e)
		return;
	expr_free(e->a);
	expr_free(e->b);
	free(e->text);
	free(e);
}

static void captures_free(struct capture *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].label);
		expr_free(list[i].expr);
	}
	free(list);
}

void spec_free(struct spec *spec)
{
	if (!spec)
		return;
	captures_free(spec->entry, spec->n_entry);
	captures_free(spec->ret, spec->n_return);
	expr_free(spec->condition);
	free(spec->module);
	free(spec->name);
	free(spec->text);
	free(spec);
}

/* ---- capture lists ---- */

static int parse_capture(struct parser *p, struct capture *c)
{
	size_t start = p->tok.start;

	c->expr = parse_expr(p);
	if (!c->expr)
		return -p->err->code;
	c->label = copy_squeezed(p->text + start, p->prev_end - start, true);
	return c->label ? 0 : fail_memory(p);
}

/* A capture is due at the token ahead. */
static int check_capture_start(struct parser *p, size_t n, const char *after)
{
	if (p->tok.kind == TOK_RPAREN || p->tok.kind == TOK_END || p->tok.kind == TOK_IF || p->tok.kind == TOK_COMMA) {
		fail_expected(p, n ? "a capture after ','" : after);
		return error_hint(p->err, n ? "remove the ','" : "name what to capture, as in o->id or $ret");
	}
	if (n < SPEC_CAPTURES_MAX)
		return 0;
	fail_at(p, p->tok.start, p->tok.end, "more than %d captures in one list", SPEC_CAPTURES_MAX);
	return error_hint(p->err, "capture a whole struct instead of its members, or use several requests");
}

/* capture, ...: at least one; ends at the first token that is no ','. */
static int parse_list(struct parser *p, const char *after, struct capture **list, size_t *n)
{
	*list = calloc(SPEC_CAPTURES_MAX, sizeof(**list));
	if (!*list)
		return fail_memory(p);
	for (;;) {
		int err = check_capture_start(p, *n, after);

		if (!err)
			err = parse_capture(p, &(*list)[(*n)++]);
		if (err)
			return err;
		if (p->tok.kind != TOK_COMMA)
			return 0;
		if (parser_next(p))
			return -p->err->code;
	}
}

static int parse_entry(struct parser *p, struct spec *spec)
{
	struct token open = p->tok;
	int err = parser_next(p);

	spec->has_entry = true;
	if (!err && p->tok.kind != TOK_RPAREN)
		err = parse_list(p, "a capture or ')' after '('", &spec->entry, &spec->n_entry);
	if (err)
		return err;
	if (p->tok.kind == TOK_RPAREN)
		return parser_next(p);
	if (p->tok.kind != TOK_END) {
		fail_expected(p, "an operator, ',' or ')'");
		return p->err->hint[0] ? -EINVAL : error_hint(p->err, "separate captures with ','");
	}
	fail_at(p, open.start, open.end, "'(' is not closed");
	return error_hint(p->err, "add ')' after the last capture");
}

static int parse_return(struct parser *p, struct spec *spec)
{
	int err = parser_next(p);

	spec->has_return = p->has_return = true;
	return err ? err : parse_list(p, "a capture after '->'", &spec->ret, &spec->n_return);
}

static int parse_condition(struct parser *p, struct expr **out)
{
	p->if_start = p->tok.start;
	if (parser_next(p))
		return -p->err->code;
	if (p->tok.kind == TOK_END) {
		fail_expected(p, "a condition after 'if'");
		return error_hint(p->err, "as in $ret < 0 or $duration > 5ms");
	}
	*out = parse_expr(p);
	return *out ? 0 : -p->err->code;
}

/* ---- the request ---- */

static int refuse_closer(struct parser *p)
{
	char c = p->text[p->tok.start];

	fail_at(p, p->tok.start, p->tok.end, "'%c' closes nothing", c);
	return error_hint(p->err, "remove it, or add the '%c' that belongs to it", c == ')' ? '(' : '[');
}

/* What could still have come, by how far the request got. */
static int expect_end(struct parser *p, const struct spec *spec)
{
	const char *what = spec->condition    ? "an operator or the end of the request"
			   : spec->has_return ? "an operator, ',', 'if' or the end of the request"
			   : spec->has_entry  ? "'->', 'if' or the end of the request"
					      : "'(', '->', 'if' or the end of the request";

	if (p->tok.kind == TOK_END)
		return 0;
	if (p->tok.kind == TOK_RPAREN || p->tok.kind == TOK_RBRACKET)
		return refuse_closer(p);
	fail_expected(p, what);
	return p->err->hint[0] ? -EINVAL : error_hint(p->err, "%s", GRAMMAR);
}

static int refuse_empty(struct parser *p, const char *what, const char *hint)
{
	fail_at(p, 0, 0, "%s", what);
	return error_hint(p->err, "%s", hint);
}

static int parse_request(struct parser *p, struct spec *spec)
{
	int err = p->pos < p->len ? parse_place(p, spec) : refuse_empty(p, "the request is empty", GRAMMAR);

	if (!err)
		err = parser_next(p);
	if (!err && p->tok.kind == TOK_LPAREN)
		err = parse_entry(p, spec);
	if (!err && p->tok.kind == TOK_ARROW)
		err = parse_return(p, spec);
	if (!err && p->tok.kind == TOK_IF)
		err = parse_condition(p, &spec->condition);
	return err ? err : expect_end(p, spec);
}

static struct parser parser_for(const char *text, struct error *err)
{
	struct parser p = { .text = text, .err = err };

	memset(err, 0, sizeof(*err));
	return p;
}

int spec_parse(const char *text, struct spec **out, struct error *err)
{
	struct error unseen;
	struct parser p = parser_for(text, err ? err : &unseen);
	struct spec *spec;
	int code = text_check(&p);

	*out = NULL;
	if (code)
		return code;
	spec = calloc(1, sizeof(*spec));
	if (!spec)
		return fail_memory(&p);
	spec->text = strdup(text);
	code = spec->text ? parse_request(&p, spec) : fail_memory(&p);
	if (code) {
		spec_free(spec);
		return code;
	}
	*out = spec;
	return 0;
}

static int parse_bare(struct parser *p, struct expr **out)
{
	int err = text_check(p);

	if (!err && p->pos >= p->len)
		err = refuse_empty(p, "the expression is empty", "as in $ret < 0 or $ret == NULL");
	if (!err)
		err = parser_next(p);
	if (err)
		return err;
	if (p->tok.kind == TOK_IF) {
		fail_at(p, p->tok.start, p->tok.end, "an expression stands alone here, without 'if'");
		return error_hint(p->err, "leave out 'if'");
	}
	*out = parse_expr(p);
	if (!*out)
		return -p->err->code;
	if (p->tok.kind == TOK_RPAREN || p->tok.kind == TOK_RBRACKET)
		return refuse_closer(p);
	if (p->tok.kind == TOK_END)
		return 0;
	fail_expected(p, "an operator or the end of the expression");
	return p->err->hint[0] ? -EINVAL : error_hint(p->err, "join conditions with '&&' or '||'");
}

int spec_parse_expr(const char *text, struct expr **out, struct error *err)
{
	struct error unseen;
	struct parser p = parser_for(text, err ? err : &unseen);
	int code;

	*out = NULL;
	code = parse_bare(&p, out);
	if (code) {
		expr_free(*out);
		*out = NULL;
	}
	return code;
}
