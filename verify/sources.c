/* SPDX-License-Identifier: Apache-2.0 */
#include "sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "path_suffix.h"

/* ---- lines that have no code, whoever compiles them ---- */

static const char blanks[] = " \t\f\v\r";

static bool is_blank(char c)
{
	return c && strchr(blanks, c);
}

static bool starts_with(const char *text, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && memcmp(text, with, n) == 0;
}

static const char *find(const char *text, size_t len, const char *what)
{
	return len ? memmem(text, len, what, strlen(what)) : NULL;
}

/* Not one behind which something may follow, nor one with a quote, which may be the end of a text of several lines with code behind it. */
static bool is_comment(const char *text, size_t len)
{
	const char *end;

	if (find(text, len, "\"") || find(text, len, "`"))
		return false;
	if (starts_with(text, len, "//"))
		return !find(text, len, "*/");
	if (!starts_with(text, len, "/*"))
		return false;
	end = find(text + 2, len - 2, "*/");
	return !end || end + 2 == text + len;
}

/* #define and #pragma can have code: that of what they make. */
static bool is_directive(const char *text, size_t len)
{
	static const char *const words[] = { "include", "if", "ifdef", "ifndef", "elif", "else", "endif", "undef" };
	size_t at = 1, n;

	if (!len || *text != '#')
		return false;
	while (at < len && is_blank(text[at]))
		at++;
	for (n = at; n < len && text[n] >= 'a' && text[n] <= 'z';)
		n++;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (n - at == strlen(words[i]) && starts_with(text + at, n - at, words[i]))
			return true;
	return false;
}

/* What the line is; NULL: it may have code. */
static const char *without_code(const struct patch_line *l)
{
	const char *text = l->text;
	size_t len = l->len;

	while (len && is_blank(text[len - 1]))
		len--;
	for (; len && is_blank(*text); text++)
		len--;
	return !len ? "empty" : is_comment(text, len) ? "a comment" : is_directive(text, len) ? "for the preprocessor" : NULL;
}

static uint32_t number_on(const struct patch_line *l, enum verify_side side)
{
	return side == BASELINE ? l->old_line : l->new_line;
}

/* found: the code that the line has. */
static int not_its_sources(const struct patch_file *f, const struct patch_line *l, enum verify_side side, const struct lines_answer *a,
			   const struct lines_line *found, const char *what, struct error *err)
{
	error_set(err, EINVAL, "the %s is not built from the %s sources: line %u of %.120s is %s in the patch, and has code in build %.12s (%.80s)",
		  verify_side_name[side], side == BASELINE ? "patch's old" : "patched", number_on(l, side),
		  side == BASELINE ? f->old_path : f->new_path, what, a->build_id, a->function[found->place[0].function].name);
	return error_hint(err, "is that the right build, and the patch between the sources of these two builds? its line numbers must be theirs");
}

/* One file of the build at most is meant by the patch's. */
static bool is_one_file(const struct lines_answer *a, const uint32_t *file_of, uint32_t file)
{
	return a && file_of && file_of[file] != UINT32_MAX && (!a->paths || a->paths[file_of[file]] <= 1);
}

static int check_lines(const struct patch *p, enum verify_side side, const struct lines_answer *a, const uint32_t *file_of, struct error *err)
{
	for (uint32_t f = 0; f < p->n_files; f++) {
		if (!is_one_file(a, file_of, f))
			continue;
		for (uint32_t i = 0; i < p->file[f].n_lines; i++) {
			const struct patch_line *l = &p->file[f].line[i];
			const char *what = number_on(l, side) ? without_code(l) : NULL;
			const struct lines_line *found = what ? lines_answer_find(a, file_of[f], number_on(l, side)) : NULL;

			if (found && found->n_places)
				return not_its_sources(&p->file[f], l, side, a, found, what, err);
		}
	}
	return 0;
}

/* ---- functions below the hunks ---- */

static bool is_header(const char *path)
{
	static const char *const ends[] = { ".h", ".hh", ".hpp", ".hxx", ".h++", ".H", ".inl", ".ipp", ".tcc", ".inc", ".def" };
	const char *dot = path ? strrchr(path, '.') : NULL;

	for (size_t i = 0; dot && i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(dot, ends[i]) == 0)
			return true;
	return !path;
}

uint32_t sources_below(const struct patch_file *f, enum verify_side side, uint32_t *out, uint32_t room)
{
	uint32_t end = 0, last = 0, n = 0;   /* end: the last line before a gap between the diff's lines, or behind the last of them */

	if (is_header(side == BASELINE ? f->old_path : f->new_path))
		return 0;
	for (uint32_t i = 0; i <= f->n_lines; i++) {
		uint32_t number = i < f->n_lines ? number_on(&f->line[i], side) : UINT32_MAX;
		uint32_t next = last > end ? last + 1 : end + 1;   /* hunks may come in any order: no line twice */

		if (!number)
			continue;
		for (; end && next < number && next <= end + SOURCES_BELOW && n < room; next++)
			out[n++] = last = next;
		end = number;
	}
	return n;
}

/* Where a line of the old file is in the new one; 0: the patch takes it out, or it lies before a hunk that others have moved which the patch
 * does not have. A hunk without old lines is where its new ones tell. */
static int64_t moved_to(const struct patch_file *f, uint32_t line)
{
	int64_t offset = 0;

	for (uint32_t i = 0; i < f->n_lines; i++) {
		const struct patch_line *l = &f->line[i];
		int64_t old = l->kind == PATCH_ADDED ? (int64_t)l->new_line - offset : l->old_line;

		bool jumps = l->kind == PATCH_CONTEXT && (int64_t)l->new_line - l->old_line != offset;

		if ((l->kind == PATCH_REMOVED && l->old_line == line) || (old > line && jumps))
			return 0;
		if (old > line)
			break;
		if (jumps)
			offset = (int64_t)l->new_line - l->old_line;
		offset += l->kind == PATCH_ADDED ? 1 : l->kind == PATCH_REMOVED ? -1 : 0;
	}
	return line + offset;
}

/* A changed line stands below it. */
static bool is_above_change(const struct patch_file *f, uint32_t line, int64_t then)
{
	for (uint32_t i = f->n_lines; i-- > 0;)
		if (f->line[i].kind != PATCH_CONTEXT)
			return f->line[i].kind == PATCH_REMOVED ? f->line[i].old_line > line : f->line[i].new_line > then;
	return false;
}

/*
 * It is where it was, as if there were no patch; or the builds are the other way round; or the changed lines below it are elsewhere too. If it
 * only is elsewhere, behind them, something that the patch does not have was changed in between.
 */
static bool is_elsewhere(const struct patch_file *f, uint32_t old, uint32_t now, int64_t then)
{
	return then != now && (old == now || moved_to(f, now) == old || is_above_change(f, old, then));
}

/* What the compiler has made a name for may have another number in another build. */
static bool is_named(const struct lines_function *f)
{
	return f->line && !strpbrk(f->name, "{<$") && !strstr(f->name, "operator") && !strstr(f->name, ".func") && !strstr(f->name, "lambda");
}

static bool is_same(const struct lines_function *a, const struct lines_function *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->signature, b->signature) == 0;
}

/* The only one of that name and signature; NULL: none, or several. */
static const struct lines_function *only_one(const struct lines_answer *a, const struct lines_function *like)
{
	const struct lines_function *found = NULL;

	for (uint32_t i = 0; i < a->n_functions; i++) {
		if (!is_same(&a->function[i], like))
			continue;
		if (found)
			return NULL;
		found = &a->function[i];
	}
	return found;
}

struct pair { const struct lines_function *in[VERIFY_SIDES]; };

/* Functions that each build has once. At most as many as the baseline's answer has. */
static uint32_t find_pairs(const struct lines_answer *const answer[VERIFY_SIDES], struct pair *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < answer[BASELINE]->n_functions; i++) {
		const struct lines_function *f = &answer[BASELINE]->function[i], *other;

		if (!is_named(f) || only_one(answer[BASELINE], f) != f)
			continue;
		other = only_one(answer[CANDIDATE], f);
		if (other && other->line)
			out[n++] = (struct pair){ { f, other } };
	}
	return n;
}

static int not_where(const struct patch_file *f, const struct pair *p, struct error *err)
{
	uint32_t old = p->in[BASELINE]->line, now = p->in[CANDIDATE]->line;
	int64_t then = moved_to(f, old);

	if (old == now)
		error_set(err, EINVAL, "the builds are not those of the patch: %.120s begins at line %u of %.120s in both; with the patch it would "
			  "begin at line %lld in the candidate", p->in[BASELINE]->name, old, f->new_path, (long long)then);
	else
		error_set(err, EINVAL, "the builds are not those of the patch: %.120s begins at line %u of %.120s in the baseline and at %u in the "
			  "candidate; with the patch it would begin at line %lld there", p->in[BASELINE]->name, old, f->new_path, now, (long long)then);
	if (old != now && moved_to(f, now) == old)
		return error_hint(err, "the other way round they fit: swap --baseline and --candidate");
	return error_hint(err, "is the right build deployed in each arm, and is it the patch between their sources, with nothing else changed?");
}

/* None that the patch moves is where it should be, and one is elsewhere. (One that is there, and one that is not: it stands twice in the file.) */
static int check_file(const struct patch_file *f, const struct pair *pair, uint32_t n, struct error *err)
{
	const struct pair *wrong = NULL;

	for (uint32_t i = 0; i < n; i++) {
		const struct lines_function *old = pair[i].in[BASELINE], *now = pair[i].in[CANDIDATE];
		int64_t then;

		if (!path_suffix_matches(f->old_path, old->file) || !path_suffix_matches(f->new_path, now->file))
			continue;
		then = moved_to(f, old->line);
		if (then && then == now->line && then != old->line)
			return 0;
		if (then && !wrong && is_elsewhere(f, old->line, now->line, then))
			wrong = &pair[i];
	}
	return wrong ? not_where(f, wrong, err) : 0;
}

static int check_functions(const struct patch *p, const struct lines_answer *const answer[VERIFY_SIDES],
			   const uint32_t *const file_of[VERIFY_SIDES], struct error *err)
{
	struct pair *pair = calloc(answer[BASELINE]->n_functions + 1, sizeof(*pair));
	uint32_t n = pair ? find_pairs(answer, pair) : 0;
	int rc = pair ? 0 : error_set(err, ENOMEM, "no memory for the patch's functions");

	for (uint32_t f = 0; !rc && f < p->n_files; f++)
		if (p->file[f].old_path && p->file[f].new_path && is_one_file(answer[BASELINE], file_of[BASELINE], f) &&
		    is_one_file(answer[CANDIDATE], file_of[CANDIDATE], f))
			rc = check_file(&p->file[f], pair, n, err);
	free(pair);
	return rc;
}

int sources_check(const struct patch *p, const struct lines_answer *const answer[VERIFY_SIDES], const uint32_t *const file_of[VERIFY_SIDES],
		  bool one_build, struct error *err)
{
	const struct lines_answer *base = answer[BASELINE], *cand = answer[CANDIDATE];
	int rc = 0;

	if (one_build)
		return check_lines(p, CANDIDATE, cand, file_of[CANDIDATE], err);
	if (base && cand && strcmp(base->build_id, cand->build_id) == 0)   /* the halves of one, of whichever side */
		return 0;
	if (base)
		rc = check_lines(p, BASELINE, base, file_of[BASELINE], err);
	if (!rc && cand)
		rc = check_lines(p, CANDIDATE, cand, file_of[CANDIDATE], err);
	return rc || !base || !cand ? rc : check_functions(p, answer, file_of, err);
}
