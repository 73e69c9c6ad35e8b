/* SPDX-License-Identifier: Apache-2.0 */
#include "patch.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES_MAX = 4096 };

struct parser {
	struct patch *patch;
	const char *at, *end;
	uint32_t line_no;              /* of the line that was read last, from 1 */
	int strip;
	struct error *err;
};

/* ---- lines of the text ---- */

struct text_line { const char *text; size_t len; };

static bool next_line(struct parser *p, struct text_line *out)
{
	const char *newline;

	if (p->at == p->end)
		return false;
	newline = memchr(p->at, '\n', (size_t)(p->end - p->at));
	out->text = p->at;
	out->len = (size_t)((newline ? newline : p->end) - p->at);
	if (out->len && out->text[out->len - 1] == '\r')
		out->len--;
	p->at = newline ? newline + 1 : p->end;
	p->line_no++;
	return true;
}

static bool starts(const struct text_line *l, const char *with)
{
	size_t len = strlen(with);

	return l->len >= len && !memcmp(l->text, with, len);
}

static int bad(struct parser *p, const char *what)
{
	return error_set(p->err, EINVAL, "line %u of the patch: %s", p->line_no, what);
}

/* ---- paths ---- */

/* A path in C quotes, as git writes unusual ones. Returns its length in out, or -1. */
static int unquote(const char *text, size_t len, char out[PATH_BYTES_MAX])
{
	static const char from[] = "abtnvfr\"\\", to[] = "\a\b\t\n\v\f\r\"\\";
	size_t n = 0;

	for (size_t i = 1; i < len && n < PATH_BYTES_MAX - 1; i++) {
		const char *known;

		if (text[i] == '"') {
			out[n] = '\0';
			return (int)n;
		}
		if (text[i] != '\\') {
			out[n++] = text[i];
			continue;
		}
		if (++i == len)
			break;
		known = memchr(from, text[i], sizeof(from) - 1);
		if (known) {
			out[n++] = to[known - from];
		} else if (i + 2 < len && text[i] >= '0' && text[i] <= '3' && (text[i + 1] & ~7) == '0' && (text[i + 2] & ~7) == '0') {
			out[n++] = (char)((text[i] - '0') << 6 | (text[i + 1] - '0') << 3 | (text[i + 2] - '0'));
			i += 2;
		} else {
			break;
		}
	}
	return -1;
}

/* The path of a "--- " or "+++ " line: up to a tab, behind which diff writes the time. */
static int read_path(struct parser *p, const struct text_line *l, char out[PATH_BYTES_MAX])
{
	const char *text = l->text + 4;
	size_t len = l->len - 4;
	const char *tab = memchr(text, '\t', len);

	if (len && text[0] == '"')
		return unquote(text, len, out) < 0 ? bad(p, "a quoted path that does not end") : 0;
	if (tab)
		len = (size_t)(tab - text);
	if (!len || len >= PATH_BYTES_MAX || memchr(text, '\0', len))
		return bad(p, "a path that is empty, too long, or has a NUL byte");
	memcpy(out, text, len);
	out[len] = '\0';
	return 0;
}

static const char *strip_path(const char *path, int components)
{
	while (components-- > 0) {
		const char *slash = strchr(path, '/');

		if (!slash)
			break;
		path = slash + strspn(slash, "/");
	}
	return path;
}

static bool is_null(const char *path)
{
	return !strcmp(path, "/dev/null");
}

static int keep_path(char **to, const char *path, int strip)
{
	*to = is_null(path) ? NULL : strdup(strip_path(path, strip));
	return !is_null(path) && !*to ? -ENOMEM : 0;
}

static int add_file(struct parser *p, const char *old_path, const char *new_path)
{
	bool git = (is_null(old_path) || !strncmp(old_path, "a/", 2)) && (is_null(new_path) || !strncmp(new_path, "b/", 2));
	int strip = p->strip == PATCH_STRIP_AUTO ? git : p->strip;
	struct patch *patch = p->patch;
	struct patch_file *more;

	if (patch->n_files == PATCH_FILES_MAX)
		return error_set(p->err, E2BIG, "the patch changes more than %d files", PATCH_FILES_MAX);
	if (is_null(old_path) && is_null(new_path))
		return bad(p, "both sides are /dev/null");
	more = realloc(patch->file, (patch->n_files + 1) * sizeof(*more));
	if (!more)
		return error_set(p->err, ENOMEM, "no memory for the patch");
	patch->file = more;
	more += patch->n_files++;
	memset(more, 0, sizeof(*more));
	if (keep_path(&more->old_path, old_path, strip) || keep_path(&more->new_path, new_path, strip))
		return error_set(p->err, ENOMEM, "no memory for the patch");
	return 0;
}

/* ---- hunks ---- */

struct range { uint32_t first, count; };

static const char *read_number(const char *at, const char *end, uint32_t *out)
{
	uint64_t v = 0;

	if (at == end || !isdigit((unsigned char)*at))
		return NULL;
	for (; at < end && isdigit((unsigned char)*at); at++) {
		v = v * 10 + (uint64_t)(*at - '0');
		if (v > PATCH_LINE_NUMBER_MAX)
			return NULL;
	}
	*out = (uint32_t)v;
	return at;
}

/* "12,3" or "12" */
static const char *read_range(const char *at, const char *end, struct range *out)
{
	out->count = 1;
	at = read_number(at, end, &out->first);
	if (at && at < end && *at == ',')
		at = read_number(at + 1, end, &out->count);
	return at;
}

/* "@@ -1,2 +3,4 @@" */
static bool read_hunk_head(const struct text_line *l, struct range *old, struct range *new)
{
	const char *end = l->text + l->len, *at = read_range(l->text + 4, end, old);

	if (!at || end - at < 2 || memcmp(at, " +", 2))
		return false;
	at = read_range(at + 2, end, new);
	return at && end - at >= 3 && !memcmp(at, " @@", 3);
}

static int add_line(struct parser *p, struct patch_file *f, const struct patch_line *line)
{
	if (p->patch->n_lines == PATCH_LINES_MAX)
		return error_set(p->err, E2BIG, "the patch has more than %d lines", PATCH_LINES_MAX);
	if (!(f->n_lines & (f->n_lines - 1))) {
		struct patch_line *more = realloc(f->line, (f->n_lines ? 2 * (size_t)f->n_lines : 1) * sizeof(*more));

		if (!more)
			return error_set(p->err, ENOMEM, "no memory for the patch");
		f->line = more;
	}
	f->line[f->n_lines++] = *line;
	p->patch->n_lines++;
	return 0;
}

static int read_hunk(struct parser *p, struct patch_file *f, const struct text_line *head, uint32_t hunk)
{
	struct range old, new;
	struct text_line l;

	if (!read_hunk_head(head, &old, &new))
		return bad(p, "no hunk's head: @@ -LINE,COUNT +LINE,COUNT @@");
	while (old.count || new.count) {
		struct patch_line line = { .hunk = hunk };
		char mark;

		if (!next_line(p, &l))
			return bad(p, "the hunk ends before its count is reached");
		mark = l.len ? l.text[0] : ' ';        /* some mailers drop the blank of an empty line */
		if (mark == '\\')                      /* "\ No newline at end of file" */
			continue;
		if (mark != ' ' && mark != '+' && mark != '-')
			return bad(p, "the hunk has a line that begins with none of ' ', '+', '-'");
		if ((mark != '+' && !old.count) || (mark != '-' && !new.count))
			return bad(p, "the hunk has more lines than its head says");
		line.kind = mark == '+' ? PATCH_ADDED : mark == '-' ? PATCH_REMOVED : PATCH_CONTEXT;
		if (mark != '+') {
			line.old_line = old.first++;
			old.count--;
		}
		if (mark != '-') {
			line.new_line = new.first++;
			new.count--;
		}
		line.text = l.len ? l.text + 1 : l.text;
		line.len = (uint32_t)(l.len ? l.len - 1 : 0);
		if (add_line(p, f, &line))
			return -p->err->code;
	}
	return 0;
}

/* From a "--- " line to the end of its last hunk. */
static int read_file(struct parser *p, const struct text_line *first)
{
	char old_path[PATH_BYTES_MAX], new_path[PATH_BYTES_MAX];
	struct text_line l;
	uint32_t hunk = 0;
	int rc = read_path(p, first, old_path);

	if (rc)
		return rc;
	if (!next_line(p, &l) || !starts(&l, "+++ "))
		return bad(p, "a '--- ' line without its '+++ ' line");
	rc = read_path(p, &l, new_path);
	if (!rc)
		rc = add_file(p, old_path, new_path);
	while (!rc) {
		const char *before = p->at;
		uint32_t line_no = p->line_no;

		if (!next_line(p, &l))
			break;
		if (starts(&l, "\\")) /* behind the last line of a hunk */
			continue;
		if (!starts(&l, "@@ -")) {
			p->at = before;
			p->line_no = line_no;
			break;
		}
		rc = read_hunk(p, &p->patch->file[p->patch->n_files - 1], &l, hunk++);
	}
	if (!rc && !hunk)
		return bad(p, "a file without a hunk");
	return rc;
}

/* What a diff has beside text. */
static bool is_other_change(const struct text_line *l)
{
	static const char *const marks[] = { "diff --git ", "Binary files ", "GIT binary patch", "rename from ", "old mode " };

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (starts(l, marks[i]))
			return true;
	return false;
}

static int read_all(struct parser *p)
{
	struct text_line l;
	bool others = false;
	int rc = 0;

	while (!rc && next_line(p, &l)) {
		others |= is_other_change(&l);
		if (starts(&l, "--- ") && p->at < p->end && starts(&(struct text_line){ p->at, (size_t)(p->end - p->at) }, "+++ "))
			rc = read_file(p, &l);
	}
	if (!rc && !p->patch->n_files && others)
		return error_set(p->err, EINVAL, "the patch changes no line of text: it has binary files, renames or modes only");
	if (!rc && !p->patch->n_files) {
		error_set(p->err, EINVAL, "that is no unified diff: there is no '--- ' line with a '+++ ' line behind it");
		return error_hint(p->err, "make one with git diff, or diff -u");
	}
	return rc;
}

int patch_parse(const char *text, size_t len, int strip, struct patch **out, struct error *err)
{
	struct parser p = { .strip = strip, .err = err };
	int rc;

	if (len > PATCH_BYTES_MAX)
		return error_set(err, E2BIG, "the patch is larger than %d MiB", PATCH_BYTES_MAX >> 20);
	p.patch = calloc(1, sizeof(*p.patch));
	if (p.patch)
		p.patch->text = malloc(len + 1);
	if (!p.patch || !p.patch->text) {
		patch_free(p.patch);
		return error_set(err, ENOMEM, "no memory for the patch");
	}
	memcpy(p.patch->text, text, len);
	p.patch->text[len] = '\0';
	p.at = p.patch->text;
	p.end = p.at + len;
	rc = read_all(&p);
	if (rc) {
		patch_free(p.patch);
		return rc;
	}
	*out = p.patch;
	return 0;
}

void patch_free(struct patch *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->n_files; i++) {
		free(p->file[i].old_path);
		free(p->file[i].new_path);
		free(p->file[i].line);
	}
	free(p->file);
	free(p->text);
	free(p);
}
