/* SPDX-License-Identifier: Apache-2.0 */
#include "coverage_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "function_name.h"
#include "sources.h"

enum { ANCHOR_LINES = 200 };

const char *const verify_side_name[VERIFY_SIDES] = { "baseline", "candidate" };

void coverage_free(struct coverage *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->n_functions; i++) {
		free(c->function[i].name);
		free(c->function[i].signature[BASELINE]);
		free(c->function[i].signature[CANDIDATE]);
	}
	free(c->function);
	free(c->line);
	free(c);
}

void coverage_drop_function(struct coverage *c, uint32_t index, const char *why)
{
	c->functions_compared -= c->function[index].compared;
	c->function[index].compared = false;
	snprintf(c->function[index].why, COVERAGE_WHY, "%s", why);
}

void coverage_drop_line(struct coverage *c, uint32_t index, const char *why)
{
	c->lines_probed -= c->line[index].state == LINE_PROBED;
	c->line[index].state = LINE_REFUSED;
	snprintf(c->line[index].why, COVERAGE_WHY, "%s", why);
}

/* ---- functions ---- */

bool coverage_is_missing(const struct covered_function *f)
{
	return !f->compared && (f->changed || f->claimed || f->meant);
}

int32_t coverage_function(const struct coverage *c, const char *name)
{
	for (uint32_t i = 0; i < c->n_functions; i++)
		if (strcmp(c->function[i].name, name) == 0)
			return (int32_t)i;
	return -1;
}

static struct covered_function *add_function(struct coverage *c, const char *name)
{
	struct covered_function *more = reallocarray(c->function, c->n_functions + 1, sizeof(*more));

	if (!more)
		return NULL;
	c->function = more;
	memset(&more[c->n_functions], 0, sizeof(*more));
	more[c->n_functions].name = strdup(name);
	return more[c->n_functions].name ? &more[c->n_functions++] : NULL;
}

struct coverage *coverage_of_functions(const struct coverage *c)
{
	struct coverage *out = calloc(1, sizeof(*out));

	for (uint32_t i = 0; out && i < c->n_functions; i++) {
		struct covered_function *f = c->function[i].compared ? add_function(out, c->function[i].name) : NULL;

		if (f) {
			f->claimed = c->function[i].claimed;
			f->compared = true;
			out->functions_compared++;
		} else if (c->function[i].compared) {
			coverage_free(out);
			out = NULL;
		}
	}
	return out;
}

/* What a build has under this name. Several functions of one name (static ones) are one: a probe finds all of them. */
static int learn(struct covered_function *f, const struct lines_function *from, enum verify_side side)
{
	f->known[side] = true;
	f->own_code[side] |= from->own_code;
	f->inlined[side] |= from->copies > 0;
	f->stepped[side] |= from->stepped;
	/* Of overloads the first by the alphabet, in whatever order they come. */
	if (!f->signature[side] || strcmp(from->signature, f->signature[side]) < 0) {
		free(f->signature[side]);
		f->signature[side] = strdup(from->signature);
	}
	return f->signature[side] ? 0 : -ENOMEM;
}

/* The claim's function may be several, each of which has a signature of its own. */
static bool claim_means(const struct coverage_maker *m, const char *name)
{
	return m->spec->function && strcmp(m->spec->function, name) != 0 && function_means(m->spec->function, name);
}

static void learn_meant(struct coverage_maker *m, struct covered_function *f, const struct lines_function *from, enum verify_side side)
{
	struct covered_function *claimed = &m->c->function[0];

	f->meant = true;
	claimed->known[side] = true;
	claimed->own_code[side] |= from->own_code;
	claimed->inlined[side] |= from->copies > 0;
	claimed->stepped[side] |= from->stepped;
}

static int claimed_function(struct coverage_maker *m)
{
	struct covered_function *f = m->spec->function ? add_function(m->c, m->spec->function) : NULL;

	if (m->spec->function && !f)
		return -ENOMEM;
	if (f)
		f->claimed = f->compared = true;
	return 0;
}

/* The number of an answer's function in the coverage, made if `changed`; -1: not one of ours. */
static int32_t function_of(struct coverage_maker *m, enum verify_side side, uint32_t index, bool changed)
{
	const struct lines_function *from = &m->answer[side]->function[index];
	struct covered_function *f;
	int32_t found;

	if (m->in[side][index])
		return (int32_t)m->in[side][index] - 1;
	found = coverage_function(m->c, from->name);
	f = found < 0 ? NULL : &m->c->function[found];
	if (!f && (changed || claim_means(m, from->name)))
		f = add_function(m->c, from->name);
	if (!f || learn(f, from, side) < 0) {
		m->no_memory |= f || changed;
		return -1;
	}
	if (claim_means(m, from->name))
		learn_meant(m, f, from, side);
	m->in[side][index] = (uint32_t)(f - m->c->function) + 1;
	return (int32_t)(f - m->c->function);
}

/* ---- lines ---- */

static const struct lines_line *look_up(struct coverage_maker *m, enum verify_side side, uint32_t file, const struct patch_line *l)
{
	uint32_t number = side == BASELINE ? l->old_line : l->new_line, asked = m->file_of[side] ? m->file_of[side][file] : UINT32_MAX;

	return m->answer[side] && number && asked != UINT32_MAX ? lines_answer_find(m->answer[side], asked, number) : NULL;
}

/* Once for each function, however many copies of others it holds. */
static void note_holder(struct coverage_maker *m, uint32_t line, uint32_t holder)
{
	for (uint32_t i = m->n_holds; i && m->hold[i - 1].line == line; i--)
		if (m->hold[i - 1].function == holder)
			return;
	if (m->n_holds == m->cap_holds) {
		uint32_t cap = m->cap_holds ? 2 * m->cap_holds : 256;
		struct coverage_hold *more = reallocarray(m->hold, cap, sizeof(*more));

		if (!more) {
			m->no_memory = true;
			return;
		}
		m->hold = more;
		m->cap_holds = cap;
	}
	m->hold[m->n_holds++] = (struct coverage_hold){ line, holder };
}

/* A changed line, or where one will be put in, has code there. Returns the function, -1: no memory. */
static int32_t take_place(struct coverage_maker *m, enum verify_side side, uint32_t line, const struct lines_line *of, uint32_t i)
{
	const struct lines_place *p = &of->place[i];
	int32_t f = function_of(m, side, p->function, true);

	if (p->holder != LINES_NO_HOLDER)
		note_holder(m, line, p->holder);
	if (f >= 0 && (!i || p[-1].function != p->function))   /* copies of one function come together */
		m->c->function[f].changed++;
	return f;
}

int32_t coverage_holder(const struct coverage_maker *m, const struct coverage_hold *h)
{
	enum verify_side side = m->watch ? BASELINE : m->c->line[h->line].side;
	int32_t f = (int32_t)m->in[side][h->function] - 1;

	return f >= 0 && m->c->function[f].meant ? 0 : f;
}

static void take_changed(struct coverage_maker *m, uint32_t file, const struct patch_line *l, struct covered_line *to)
{
	bool gone = to->side == BASELINE && m->spec->arm_by;
	const struct lines_line *found = gone ? NULL : look_up(m, to->side, file, l);

	to->state = LINE_NO_CODE;
	if (gone)
		snprintf(to->why, COVERAGE_WHY, "one build runs, and it does not have the old line");
	to->shared = found && found->n_places;
	for (uint32_t i = 0; found && i < found->n_places; i++) {
		int32_t f = take_place(m, to->side, (uint32_t)(to - m->c->line), found, i);

		to->state = LINE_LEFT_OUT;
		to->shared &= !found->place[i].own;
		if (to->function < 0)
			to->function = f >= 0 && m->c->function[f].meant ? 0 : f;
	}
	m->c->lines_with_code += to->state == LINE_LEFT_OUT;
}

/* ---- by time: where lines will be put in ---- */

/* The nearest line of the same hunk, before or after, that the baseline has code for. */
static const struct lines_line *anchor(struct coverage_maker *m, uint32_t file, uint32_t at, bool before)
{
	const struct patch_file *f = &m->patch->file[file];

	for (uint32_t n = 0, i = at; n < ANCHOR_LINES && i < f->n_lines && f->line[i].hunk == f->line[at].hunk; n++, i += before ? -1U : 1U) {
		const struct lines_line *found = look_up(m, BASELINE, file, &f->line[i]);

		if (found && found->n_places)
			return found;
	}
	return NULL;
}

static bool lies_in(const struct lines_line *l, uint32_t function)
{
	for (uint32_t i = 0; l && i < l->n_places; i++)
		if (l->place[i].function == function)
			return true;
	return false;
}

static void watch_functions(struct coverage_maker *m, uint32_t line, const struct lines_line *l, const struct lines_line *also_in)
{
	for (uint32_t i = 0; l && i < l->n_places; i++)
		if (!also_in || lies_in(also_in, l->place[i].function))
			take_place(m, BASELINE, line, l, i);
}

/* Within a function, if the code before and behind is of the same one; else it may be either's. Lines that come together go together. */
static void take_added(struct coverage_maker *m, uint32_t file, uint32_t at, uint32_t line)
{
	const struct patch_line *l = &m->patch->file[file].line[at];
	const struct lines_line *before, *behind;
	bool inside = false;

	if (at && l[-1].kind == PATCH_ADDED && l[-1].hunk == l->hunk)
		return;
	before = anchor(m, file, at, true);
	behind = anchor(m, file, at, false);
	for (uint32_t i = 0; before && i < before->n_places; i++)
		inside |= lies_in(behind, before->place[i].function);
	watch_functions(m, line, before, inside ? behind : NULL);
	if (!inside)
		watch_functions(m, line, behind, NULL);
}

/* All functions that changed lines lie in are known then: what else the answers tell of them. */
static void learn_context(struct coverage_maker *m)
{
	for (int side = 0; side < VERIFY_SIDES; side++)
		for (uint32_t i = 0; m->answer[side] && i < m->answer[side]->n_functions; i++)
			function_of(m, (enum verify_side)side, i, false);
}

int coverage_add_holders(struct coverage_maker *m)
{
	for (uint32_t i = 0; i < m->n_holds; i++)
		function_of(m, m->watch ? BASELINE : m->c->line[m->hold[i].line].side, m->hold[i].function, true);
	learn_context(m);
	return m->no_memory ? -ENOMEM : 0;
}

static void take_line(struct coverage_maker *m, uint32_t file, uint32_t i)
{
	struct covered_line *to = &m->c->line[m->c->n_lines++];
	const struct patch_line *l = &m->patch->file[file].line[i];

	*to = (struct covered_line){ .file = &m->patch->file[file], .line = l, .function = -1 };
	to->side = l->kind == PATCH_REMOVED ? BASELINE : CANDIDATE;
	if (l->kind == PATCH_ADDED && m->watch) {
		to->state = LINE_TO_COME;
		take_added(m, file, i, m->c->n_lines - 1);
	} else if (l->kind != PATCH_CONTEXT) {
		take_changed(m, file, l, to);
	}
}

static int take_lines(struct coverage_maker *m)
{
	struct coverage *c = m->c;

	c->line = calloc(m->patch->n_lines ? m->patch->n_lines : 1, sizeof(*c->line));
	for (int side = 0; side < VERIFY_SIDES; side++)
		m->in[side] = calloc(m->answer[side] ? m->answer[side]->n_functions + 1 : 1, sizeof(*m->in[side]));
	if (!c->line || !m->in[BASELINE] || !m->in[CANDIDATE])
		return -ENOMEM;
	for (uint32_t f = 0; f < m->patch->n_files; f++)
		for (uint32_t i = 0; i < m->patch->file[f].n_lines && c->n_lines < m->patch->n_lines; i++)
			take_line(m, f, i);
	learn_context(m);
	return m->no_memory ? -ENOMEM : 0;
}

/* ---- all together ---- */

static int touches_nothing(const struct coverage_maker *m, struct error *err)
{
	if (m->watch)
		error_set(err, ENOENT, "the patch touches nothing in the binary that runs: none of its old lines has code in build %.12s",
			  m->answer[BASELINE]->build_id);
	else
		error_set(err, ENOENT, "the patch touches nothing in the binaries: none of its changed lines has code in build %.12s or %.12s",
			  m->answer[BASELINE]->build_id, m->answer[CANDIDATE]->build_id);
	return error_hint(err, "is it the patch of this service, and were both built with -g? paths are matched from their ends; see --strip");
}

/* Lines of the baseline are chosen as they were; those that could not be probed then are not now. */
static void keep_refused(struct coverage_maker *m)
{
	for (uint32_t i = 0; m->before && i < m->c->n_lines && i < m->before->n_lines; i++)
		if (m->before->line[i].state == LINE_REFUSED)
			coverage_drop_line(m->c, i, m->before->line[i].why);
}

static int make(struct coverage_maker *m, struct error *err)
{
	int rc = claimed_function(m);

	if (!rc && m->patch)
		rc = take_lines(m);
	if (rc)
		return error_set(err, ENOMEM, "no memory for the patch's functions");
	if (m->patch && sources_check(m->patch, m->answer, m->file_of, m->spec->arm_by, err) < 0)
		return -err->code;
	if (m->patch && !(m->watch ? m->c->n_functions : m->c->lines_with_code))
		return touches_nothing(m, err);
	if (coverage_check_claimed(m, err) < 0)
		return -err->code;
	if (coverage_choose_functions(m, VERIFY_FUNCTIONS_MAX) < 0)
		return error_set(err, ENOMEM, "no memory for the patch's functions");
	if (!m->watch)
		coverage_hint_renames(m->c);
	coverage_choose_lines(m->c, VERIFY_LINES_MAX);
	keep_refused(m);
	return 0;
}

static struct coverage *make_new(struct coverage_maker *m, struct error *err)
{
	int rc;

	m->c = calloc(1, sizeof(*m->c));
	rc = m->c ? make(m, err) : error_set(err, ENOMEM, "no memory");
	free(m->in[BASELINE]);
	free(m->in[CANDIDATE]);
	free(m->hold);
	if (!rc)
		return m->c;
	coverage_free(m->c);
	return NULL;
}

struct coverage *coverage_new(const struct verify_spec *s, const struct patch *p, const struct lines_answer *const answer[VERIFY_SIDES],
			      const uint32_t *const file_of[VERIFY_SIDES], struct error *err)
{
	return make_new(&(struct coverage_maker){ .spec = s, .patch = p, .answer = answer, .file_of = file_of }, err);
}

struct coverage *coverage_watch(const struct verify_spec *s, const struct patch *p, const struct lines_answer *baseline,
				const uint32_t *file_of, struct error *err)
{
	const struct lines_answer *const answer[VERIFY_SIDES] = { baseline, NULL };
	const uint32_t *const files[VERIFY_SIDES] = { file_of, NULL };

	return make_new(&(struct coverage_maker){ .spec = s, .patch = p, .answer = answer, .file_of = files, .watch = true }, err);
}

struct coverage *coverage_again(const struct coverage *before, const struct verify_spec *s, const struct patch *p,
				const struct lines_answer *const answer[VERIFY_SIDES], const uint32_t *const file_of[VERIFY_SIDES],
				struct error *err)
{
	return make_new(&(struct coverage_maker){ .spec = s, .patch = p, .answer = answer, .file_of = file_of, .before = before }, err);
}
