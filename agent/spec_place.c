/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place of a request.
 *
 * Function names are taken as demanglers print them, and those follow no token grammar: C++ has operator(), spaces inside
 * template arguments and "(anonymous namespace)", Rust "<impl Foo>::bar" and "{{closure}}", Go "net/http.(*conn).serve",
 * gcc appends ".constprop.0", symbol versions an '@'.  So the place is scanned byte by byte.  It ends at white space, at
 * '(' or at "->" that stand in no bracket, with these exceptions:
 *
 *   - a bracket group that is followed by "::" belongs to the name: (anonymous namespace)::f, f(int)::{lambda()#1}
 *   - so does "(*" after a '.': the receiver of a Go method
 *   - what follows the word "operator" is read by its own rules
 *
 * The scan cuts the place into at most three segments at single colons; what the segments are is decided afterwards.
 */
#include "spec_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENTS_MAX = 3, NESTING_MAX = 64 };

static const char HOW_TO_WRITE[] =
	"a place is a function, ns::function, library:function, 'pattern*', src/file.c:LINE or usdt:provider:name";

/* Bytes [start, end) of the request, quotes not counted. */
struct segment {
	size_t start, end;
	bool quoted;
	bool wild;                /* unquoted, with a '*' or '?': the shell took the quotes */
};

struct place_scan {
	struct parser *p;
	struct segment seg[SEGMENTS_MAX];
	int n;
};

static bool place_byte_at(const struct parser *p, size_t pos)
{
	return name_byte_at(p, pos) || (p->text[pos] && strchr(".@~+/%-", p->text[pos]));
}

static bool text_is(const struct parser *p, size_t pos, const char *what)
{
	return strncmp(p->text + pos, what, strlen(what)) == 0;
}

/* ---- bracket groups ---- */

static char closer_of(char open)
{
	return open == '(' ? ')' : open == '[' ? ']' : open == '{' ? '}' : open == '<' ? '>' : 0;
}

/* The byte after the group that opens at `pos`; 0: it is not closed, or nested too deep. */
static size_t group_end(const struct parser *p, size_t pos)
{
	char stack[NESTING_MAX];
	int n = 0;

	for (; pos < p->len; pos++) {
		char c = p->text[pos], close = closer_of(c);

		if (close) {
			if (n == NESTING_MAX)
				return 0;
			stack[n++] = close;
			continue;
		}
		if (c == '>' && (p->text[pos - 1] == '-' || !n || stack[n - 1] != '>'))
			continue; /* an arrow, or a comparison inside other brackets */
		if (c != '>' && c != ')' && c != ']' && c != '}')
			continue;
		while (n > 0 && stack[n - 1] != c && stack[n - 1] == '>')
			n--; /* a '<' that was an operator */
		if (n == 0 || stack[n - 1] != c)
			return 0;
		if (--n == 0)
			return pos + 1;
	}
	return 0;
}

static int take_group(struct parser *p)
{
	size_t end = group_end(p, p->pos);

	if (end) {
		p->pos = end;
		return 0;
	}
	fail_at(p, p->pos, p->pos + 1, "'%c' is not closed", p->text[p->pos]);
	if (p->text[p->pos] == '<')
		return error_hint(p->err, "template arguments end with '>'; a condition is written after 'if'");
	return error_hint(p->err, "add the closing '%c'", closer_of(p->text[p->pos]));
}

/* Does the '(' at p->pos belong to the name? */
static bool is_name_group(const struct parser *p)
{
	size_t end = group_end(p, p->pos);

	if (!end)
		return false;
	return text_is(p, end, "::") || (p->pos > 0 && p->text[p->pos - 1] == '.' && p->text[p->pos + 1] == '*');
}

/* ---- C++ operators ---- */

static bool at_operator(const struct parser *p, size_t start)
{
	enum { LEN = sizeof("operator") - 1 };

	if (!text_is(p, p->pos, "operator") || is_name_byte(p->text[p->pos + LEN]))
		return false;
	return p->pos == start || p->text[p->pos - 1] == ':';
}

/* A type or new/delete after "operator ": words, scopes, template arguments, '*' and '&'. Nothing if no word follows. */
static int scan_conversion(struct parser *p)
{
	size_t end = p->pos;

	for (;;) {
		skip_space(p);
		if (p->pos == end || !is_name_start(p->text[p->pos]) ||
		    (text_is(p, p->pos, "if") && !is_name_byte(p->text[p->pos + 2])))
			break;
		while (is_name_byte(p->text[p->pos]) || text_is(p, p->pos, "::"))
			p->pos += p->text[p->pos] == ':' ? 2 : 1;
		if (p->text[p->pos] == '<' && take_group(p))
			return -EINVAL;
		if (text_is(p, p->pos, "[]"))
			p->pos += 2;
		while (p->text[p->pos] == '*' || p->text[p->pos] == '&')
			p->pos++;
		end = p->pos;
	}
	p->pos = end;
	return 0;
}

/* p->pos is behind the word "operator". */
static int scan_operator(struct parser *p)
{
	static const char *const symbols[] = {
		"->*", "<=>", "<<=", ">>=", "()", "[]", "\"\"", "->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "++", "--",
		"+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
		"<", ">", "=", "!", "~", "+", "-", "*", "/", "%", "&", "|", "^", ",",
	};
	size_t end;

	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		if (!text_is(p, p->pos, symbols[i]))
			continue;
		end = p->pos += strlen(symbols[i]);
		/* demanglers print "operator<< <int>"; literal operators may have a space as well */
		skip_space(p);
		if (p->text[end - 1] == '<' && p->text[p->pos] == '<' && p->pos > end)
			return take_group(p);
		if (p->text[end - 1] != '"')
			p->pos = end;
		return 0;
	}
	return scan_conversion(p);
}

/* ---- segments ---- */

/* text_check let white space pass for the rest of the request. */
static int check_quoted(struct parser *p, const struct segment *seg, size_t end)
{
	for (size_t i = seg->start; i < end; i++) {
		if (p->text[i] == ' ' || !isspace((unsigned char)p->text[i]))
			continue;
		fail_at(p, i, i + 1, "a line break or tab inside a pattern");
		return error_hint(p->err, "put '*' where a name may have any text");
	}
	return 0;
}

static int scan_quoted(struct parser *p, struct segment *seg)
{
	char quote = p->text[p->pos];
	size_t open = p->pos++;

	seg->quoted = true;
	seg->start = p->pos;
	while (p->pos < p->len && p->text[p->pos] != quote)
		p->pos += p->text[p->pos] == '\\' && p->pos + 1 < p->len ? 2 : 1;
	seg->end = p->pos;
	if (p->pos < p->len)
		return check_quoted(p, seg, p->pos++);
	fail_at(p, open, open + 1, "the pattern that begins here is not closed");
	return error_hint(p->err, "add the closing %c", quote);
}

/* Go's import paths and file names have dashes inside; "->" is not one. */
static bool is_inner_dash(const struct parser *p, size_t start)
{
	return p->pos > start && p->text[p->pos + 1] != '>';
}

static int scan_plain(struct parser *p, struct segment *seg)
{
	int err = 0;

	seg->start = p->pos;
	while (!err && p->pos < p->len) {
		char c = p->text[p->pos];

		if (at_operator(p, seg->start)) {
			p->pos += strlen("operator");
			err = scan_operator(p);
		} else if (c == '<' || c == '[' || c == '{' || (c == '(' && is_name_group(p))) {
			err = take_group(p);
		} else if (text_is(p, p->pos, "::") && !text_is(p, p->pos, ":::")) {
			p->pos += 2;
		} else if (c == '*' || c == '?') {
			seg->wild = true;
			p->pos++;
		} else if (place_byte_at(p, p->pos) && (c != '-' || is_inner_dash(p, seg->start))) {
			p->pos++;
		} else {
			break;
		}
	}
	seg->end = p->pos;
	return err;
}

static int refuse_colons(struct parser *p)
{
	fail_at(p, p->pos, p->pos + 1, "one ':' too many in the place");
	return error_hint(p->err, "%s", HOW_TO_WRITE);
}

static int scan_segments(struct place_scan *s)
{
	struct parser *p = s->p;

	for (;;) {
		struct segment *seg = &s->seg[s->n++];
		bool quoted = p->pos < p->len && (p->text[p->pos] == '\'' || p->text[p->pos] == '"');
		int err = quoted ? scan_quoted(p, seg) : scan_plain(p, seg);

		if (err)
			return err;
		if (p->pos >= p->len || p->text[p->pos] != ':')
			return 0;
		if (s->n == SEGMENTS_MAX)
			return refuse_colons(p);
		p->pos++;
	}
}

/* ---- what the segments are ---- */

static bool seg_is(const struct parser *p, const struct segment *seg, const char *word)
{
	return !seg->quoted && seg->end - seg->start == strlen(word) && text_is(p, seg->start, word);
}

static bool begins_with_digit(const struct parser *p, const struct segment *seg)
{
	return !seg->quoted && seg->end > seg->start && p->text[seg->start] >= '0' && p->text[seg->start] <= '9';
}

static int copy_segment(struct parser *p, const struct segment *seg, char **out)
{
	size_t len = seg->end - seg->start;

	/* what is quoted is meant to the byte */
	*out = seg->quoted ? strndup(p->text + seg->start, len) : copy_squeezed(p->text + seg->start, len, false);
	return *out ? 0 : fail_memory(p);
}

static int set_name(struct parser *p, struct spec *spec, enum place_kind kind, const struct segment *seg)
{
	spec->place = kind;
	spec->name_col = (int)seg->start + 1;
	spec->name_len = (int)(seg->end - seg->start);
	return copy_segment(p, seg, &spec->name);
}

/* A module, file, provider or mark: there, and not a pattern. */
static int check_plain(struct parser *p, const struct segment *seg, const char *what)
{
	if (seg->start == seg->end) {
		fail_at(p, seg->start, seg->end, "%s is missing here", what);
		return error_hint(p->err, "%s", HOW_TO_WRITE);
	}
	if (!seg->wild)
		return 0;
	fail_at(p, seg->start, seg->end, "%s cannot be a pattern", what);
	return error_hint(p->err, "only function names can, as in 'db_*' or libssl.so.3:'SSL_*'");
}

static int set_module(struct parser *p, struct spec *spec, const struct segment *seg, const char *what)
{
	int err = check_plain(p, seg, what);

	return err ? err : copy_segment(p, seg, &spec->module);
}

static int take_usdt(struct place_scan *s, struct spec *spec)
{
	struct parser *p = s->p;
	int err;

	if (s->n < 3) {
		fail_at(p, s->seg[0].start, s->seg[s->n - 1].end, "a USDT mark has a provider and a name");
		return error_hint(p->err, "write usdt:provider:name, as in usdt:redis:call__start");
	}
	err = set_module(p, spec, &s->seg[1], "the USDT provider");
	if (!err)
		err = check_plain(p, &s->seg[2], "the USDT mark's name");
	return err ? err : set_name(p, spec, PLACE_USDT, &s->seg[2]);
}

static int take_line(struct place_scan *s, struct spec *spec)
{
	struct parser *p = s->p;
	const struct segment *number = &s->seg[s->n - 1], *file = &s->seg[s->n - 2];
	uint64_t line = 0;
	int err;

	for (size_t i = number->start; i < number->end; i++) {
		char c = p->text[i];

		if (c < '0' || c > '9') {
			fail_at(p, number->start, number->end, "a line number has digits only, and a name does not begin with one");
			return error_hint(p->err, "%s", HOW_TO_WRITE);
		}
		line = line > UINT32_MAX ? line : line * 10 + (uint64_t)(c - '0');
	}
	if (line == 0 || line > UINT32_MAX)
		return fail_at(p, number->start, number->end, "a line number is between 1 and %u", UINT32_MAX);
	if (begins_with_digit(p, file) && s->n == 3) {
		fail_at(p, number->start - 1, number->end, "a place in a file has a line only, no column");
		return error_hint(p->err, "leave out '%s'", excerpt_of(p->text + number->start - 1, number->end - number->start + 1).text);
	}
	spec->line = (uint32_t)line;
	err = check_plain(p, file, "the file name");
	if (!err && s->n == 3)
		err = set_module(p, spec, &s->seg[0], "the module");
	return err ? err : set_name(p, spec, PLACE_LINE, file);
}

static int check_function(struct parser *p, const struct segment *seg)
{
	const char *name = p->text + seg->start;
	size_t len = seg->end - seg->start;
	const char *plus = memchr(name, '+', len);

	if (begins_with_digit(p, seg)) {
		fail_at(p, seg->start, seg->end, "a function's name does not begin with a digit");
		return error_hint(p->err, "a line is written with its file, as in src/order.c:212; addresses cannot be probed");
	}
	if (*name == '$') {
		fail_at(p, seg->start, seg->end, "'%s' is a value, not a place", excerpt_of(name, len).text);
		return error_hint(p->err, "the function comes first: FUNCTION -> $ret if condition");
	}
	if (len >= 2 && memcmp(name + len - 2, "::", 2) == 0) {
		fail_at(p, seg->end - 2, seg->end, "a name is missing after '::'");
		if (len == 2)
			return error_hint(p->err, "%s", HOW_TO_WRITE);
		return error_hint(p->err, "all functions of a scope are the pattern '%s*'", excerpt_of(name, len).text);
	}
	if (!plus || memmem(name, len, "operator", strlen("operator")))
		return 0;
	fail_at(p, seg->start + (size_t)(plus - name), seg->end, "an offset into a function cannot be probed");
	return error_hint(p->err, "write a line: src/file.c:LINE");
}

static int refuse_missing(struct parser *p, const struct segment *seg, bool after_module)
{
	size_t len = text_is(p, seg->start, "->") ? 2 : 1;

	if (after_module || seg->start >= p->len) {
		fail_at(p, seg->start, seg->start, "a function is missing after ':'");
		return error_hint(p->err, "%s", HOW_TO_WRITE);
	}
	while (((unsigned char)p->text[seg->start + len] & 0xc0) == 0x80)
		len++; /* one whole character */
	fail_at(p, seg->start, seg->start + len, "a request begins with a place, not with '%s'",
		excerpt_of(p->text + seg->start, len).text);
	return error_hint(p->err, "%s", HOW_TO_WRITE);
}

static int take_function(struct place_scan *s, struct spec *spec)
{
	struct parser *p = s->p;
	struct segment seg = s->seg[s->n - 1];
	bool glob = seg.quoted || seg.wild;
	int err;

	if (!seg.quoted && text_is(p, seg.start, "::") && seg.end > seg.start + 2)
		seg.start += 2; /* ::f is f: symbols carry no leading scope */
	if (seg.start == seg.end && seg.quoted)
		return fail_at(p, seg.start - 1, seg.end + 1, "the pattern is empty");
	if (seg.start == seg.end)
		return refuse_missing(p, &seg, s->n > 1);
	err = glob ? 0 : check_function(p, &seg);
	if (!err && s->n > 1)
		err = set_module(p, spec, &s->seg[0], "the module");
	return err ? err : set_name(p, spec, glob ? PLACE_GLOB : PLACE_FUNCTION, &seg);
}

/* "uprobe:/bin/x:f": the way other tracers write it. */
static int refuse_three(struct place_scan *s)
{
	static const char *const kinds[] = { "uprobe", "uretprobe", "u", "p", "r", "kprobe", "kretprobe", "func", "function" };
	struct parser *p = s->p;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (seg_is(p, &s->seg[0], kinds[i])) {
			fail_at(p, s->seg[0].start, s->seg[0].end + 1, "a place has no kind of probe before it");
			return error_hint(p->err, "leave out '%s:'; '->' makes a return probe", kinds[i]);
		}
	}
	p->pos = s->seg[2].start - 1;
	return refuse_colons(p);
}

static int refuse_keyword(struct parser *p, const struct segment *seg)
{
	fail_at(p, seg->start, seg->end, "the place is missing before 'if'");
	return error_hint(p->err, "%s", HOW_TO_WRITE);
}

int parse_place(struct parser *p, struct spec *spec)
{
	struct place_scan s = { .p = p };
	const struct segment *last;
	int err = scan_segments(&s);

	if (err)
		return err;
	last = &s.seg[s.n - 1];
	if (seg_is(p, &s.seg[0], "usdt") && s.n > 1)
		return take_usdt(&s, spec);
	if (s.n == 1 && seg_is(p, last, "if"))
		return refuse_keyword(p, last);
	if (s.n > 1 && begins_with_digit(p, last))
		return take_line(&s, spec);
	return s.n == 3 ? refuse_three(&s) : take_function(&s, spec);
}
