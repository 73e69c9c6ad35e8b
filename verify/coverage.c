/* SPDX-License-Identifier: Apache-2.0 */
#include "coverage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANCHOR_LINES = 200 };

/* While it is made. */
struct maker {
	struct coverage *c;
	const struct verify_spec *spec;
	const struct patch *patch;
	const struct lines_answer *const *answer;
	const uint32_t *const *file_of;
	const struct coverage *before;  /* by time: what was watched; else NULL */
	bool watch;                     /* by time: there is no candidate yet */
	uint32_t *in[VERIFY_SIDES];     /* per function of an answer: its number in the coverage + 1 */
};

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

static const char *const side_name[VERIFY_SIDES] = { "baseline", "candidate" };

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

/* What a build has under this name. Several functions of one name (static ones) are one: a probe finds all of them. */
static int learn(struct covered_function *f, const struct lines_function *from, enum verify_side side)
{
	f->known[side] = true;
	f->own_code[side] |= from->own_code;
	f->inlined[side] |= from->copies > 0;
	if (!f->signature[side])
		f->signature[side] = strdup(from->signature);
	return f->signature[side] ? 0 : -ENOMEM;
}

static int claimed_function(struct maker *m)
{
	struct covered_function *f = m->spec->function ? add_function(m->c, m->spec->function) : NULL;

	if (m->spec->function && !f)
		return -ENOMEM;
	if (f)
		f->claimed = f->compared = true;
	return 0;
}

/* The number of an answer's function in the coverage, made if `changed`; -1: not one of ours. */
static int32_t function_of(struct maker *m, enum verify_side side, uint32_t index, bool changed)
{
	const struct lines_function *from = &m->answer[side]->function[index];
	struct covered_function *f;
	int32_t found;

	if (m->in[side][index])
		return (int32_t)m->in[side][index] - 1;
	found = coverage_function(m->c, from->name);
	f = found < 0 ? NULL : &m->c->function[found];
	if (!f && changed)
		f = add_function(m->c, from->name);
	if (!f || learn(f, from, side) < 0)
		return -1;
	m->in[side][index] = (uint32_t)(f - m->c->function) + 1;
	return (int32_t)(f - m->c->function);
}

/* ---- lines ---- */

static const struct lines_line *look_up(struct maker *m, enum verify_side side, uint32_t file, const struct patch_line *l)
{
	uint32_t number = side == BASELINE ? l->old_line : l->new_line, asked = m->file_of[side] ? m->file_of[side][file] : UINT32_MAX;

	return m->answer[side] && number && asked != UINT32_MAX ? lines_answer_find(m->answer[side], asked, number) : NULL;
}

static void take_changed(struct maker *m, uint32_t file, const struct patch_line *l, struct covered_line *to)
{
	bool gone = to->side == BASELINE && m->spec->arm_by;
	const struct lines_line *found = gone ? NULL : look_up(m, to->side, file, l);

	to->state = LINE_NO_CODE;
	if (gone)
		snprintf(to->why, COVERAGE_WHY, "one build runs, and it does not have the old line");
	to->shared = found && found->n_places;
	for (uint32_t i = 0; found && i < found->n_places; i++) {
		int32_t f = function_of(m, to->side, found->place[i].function, true);

		to->state = LINE_LEFT_OUT;
		to->shared &= !found->place[i].own;
		if (to->function < 0)
			to->function = f;
		if (f >= 0 && m->c->function)
			m->c->function[f].changed++;
	}
	m->c->lines_with_code += to->state == LINE_LEFT_OUT;
}

/* ---- by time: where lines will be put in ---- */

/* The nearest line of the same hunk, before or after, that the baseline has code for. */
static const struct lines_line *anchor(struct maker *m, uint32_t file, uint32_t at, bool before)
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

static void watch_functions(struct maker *m, const struct lines_line *l, const struct lines_line *also_in)
{
	for (uint32_t i = 0; l && i < l->n_places; i++) {
		int32_t f = also_in && !lies_in(also_in, l->place[i].function) ? -1 :
			    function_of(m, BASELINE, l->place[i].function, true);

		if (f >= 0 && m->c->function)
			m->c->function[f].changed++;
	}
}

/* Within a function, if the code before and behind is of the same one; else it may be either's. Lines that come together go together. */
static void take_added(struct maker *m, uint32_t file, uint32_t at)
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
	watch_functions(m, before, inside ? behind : NULL);
	if (!inside)
		watch_functions(m, behind, NULL);
}

/* All functions that changed lines lie in are known then: what else the answers tell of them. */
static void learn_context(struct maker *m)
{
	for (int side = 0; side < VERIFY_SIDES; side++)
		for (uint32_t i = 0; m->answer[side] && i < m->answer[side]->n_functions; i++)
			function_of(m, (enum verify_side)side, i, false);
}

static void take_line(struct maker *m, uint32_t file, uint32_t i)
{
	struct covered_line *to = &m->c->line[m->c->n_lines++];
	const struct patch_line *l = &m->patch->file[file].line[i];

	*to = (struct covered_line){ .file = &m->patch->file[file], .line = l, .function = -1 };
	to->side = l->kind == PATCH_REMOVED ? BASELINE : CANDIDATE;
	if (l->kind == PATCH_ADDED && m->watch) {
		to->state = LINE_TO_COME;
		take_added(m, file, i);
	} else if (l->kind != PATCH_CONTEXT) {
		take_changed(m, file, l, to);
	}
}

static int take_lines(struct maker *m)
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
	return 0;
}

/* ---- what can be compared ---- */

static bool signatures_differ(const struct covered_function *f)
{
	return f->signature[0] && f->signature[1] && strcmp(f->signature[0], f->signature[1]) != 0;
}

/* True: both builds have it as a function of its own, the same one. Else `why`. */
static bool comparable(struct covered_function *f)
{
	for (int side = 0; side < VERIFY_SIDES; side++) {
		if (!f->known[side])
			snprintf(f->why, COVERAGE_WHY, "only the %s has it: there is nothing to compare it with", side_name[!side]);
		else if (!f->own_code[side])
			snprintf(f->why, COVERAGE_WHY, "it is inlined in the %s: compare a function that calls it (--function)",
				 f->own_code[!side] ? side_name[side] : "baseline and the candidate");
		else
			continue;
		return false;
	}
	if (signatures_differ(f)) {
		snprintf(f->why, COVERAGE_WHY, "its signature has changed: %.100s; now %.100s", f->signature[0], f->signature[1]);
		return false;
	}
	return true;
}

/* By time: it was probed while the baseline ran. */
static bool was_watched(const struct maker *m, struct covered_function *f)
{
	int32_t then = m->before ? coverage_function(m->before, f->name) : -1;

	if (!m->before || (then >= 0 && m->before->function[then].compared))
		return true;
	snprintf(f->why, COVERAGE_WHY, "it was not probed while the baseline ran: by time there is nothing to compare it with");
	return false;
}

/* By time, before there is a candidate. */
static void choose_watched(struct coverage *c, uint32_t budget)
{
	for (uint32_t i = 0; i < c->n_functions; i++) {
		struct covered_function *f = &c->function[i];

		if (!f->claimed && !f->own_code[BASELINE])
			snprintf(f->why, COVERAGE_WHY, "it is inlined in the baseline: compare a function that calls it (--function)");
		c->functions_compared += f->compared;
	}
	while (c->functions_compared < budget) {
		struct covered_function *best = NULL;

		for (uint32_t i = 0; i < c->n_functions; i++) {
			struct covered_function *f = &c->function[i];

			if (!f->compared && f->own_code[BASELINE] && (!best || f->changed > best->changed))
				best = f;
		}
		if (!best)
			break;
		best->compared = true;
		c->functions_compared++;
	}
	for (uint32_t i = 0; i < c->n_functions; i++) {
		if (c->function[i].compared || !c->function[i].own_code[BASELINE])
			continue;
		snprintf(c->function[i].why, COVERAGE_WHY, "left out: at most %u functions are compared, others hold more changed lines",
			 budget);
		c->functions_left_out++;
	}
}

/* Changed lines of the function that no chosen one covers yet. */
static uint32_t uncovered(const struct coverage *c, uint32_t function)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_lines; i++) {
		const struct covered_line *l = &c->line[i];

		n += l->state == LINE_LEFT_OUT && l->function == (int32_t)function && !c->function[l->function].compared;
	}
	return n;
}

/* What the claim names is compared or nothing is: a trigger reads the arguments, which must be the same ones in both builds. */
static int check_claimed(const struct maker *m, struct error *err)
{
	struct covered_function *f = m->spec->function ? &m->c->function[0] : NULL;

	if (!f || !f->known[BASELINE] || !f->known[CANDIDATE] || comparable(f))
		return 0;
	f->compared = false;
	error_set(err, EINVAL, "%.80s cannot be compared between the builds: %s", f->name, f->why);
	return error_hint(err, "name a function that both have alike, one that calls it: --function");
}

/* The function with most changed lines first, until the budget is spent. */
static void choose_functions(const struct maker *m, uint32_t budget)
{
	struct coverage *c = m->c;
	bool *can = calloc(c->n_functions + 1, sizeof(*can));

	for (uint32_t i = 0; can && i < c->n_functions; i++) {
		can[i] = !c->function[i].claimed && comparable(&c->function[i]) && was_watched(m, &c->function[i]);
		c->functions_compared += c->function[i].compared;
	}
	while (can && c->functions_compared < budget) {
		uint32_t best = c->n_functions, most = 0;

		for (uint32_t i = 0; i < c->n_functions; i++) {
			uint32_t n = can[i] && !c->function[i].compared ? uncovered(c, i) : 0;

			if (n > most) {
				most = n;
				best = i;
			}
		}
		if (best == c->n_functions)
			break;
		c->function[best].compared = true;
		c->functions_compared++;
	}
	for (uint32_t i = 0; can && i < c->n_functions; i++) {
		if (!can[i] || c->function[i].compared)
			continue;
		snprintf(c->function[i].why, COVERAGE_WHY, "left out: at most %u functions are compared, others hold more changed lines",
			 budget);
		c->functions_left_out++;
	}
	free(can);
}

/* Every n-th line of what has code, so that each place of the diff has some. */
static void choose_lines(struct coverage *c, enum verify_side side, uint32_t budget)
{
	uint32_t all = 0, at = 0;

	for (uint32_t i = 0; i < c->n_lines; i++)
		all += c->line[i].side == side && c->line[i].state == LINE_LEFT_OUT;
	for (uint32_t i = 0; i < c->n_lines; i++) {
		struct covered_line *l = &c->line[i];

		if (l->side != side || l->state != LINE_LEFT_OUT)
			continue;
		if (all <= budget || (uint64_t)at * budget / all != ((uint64_t)at + 1) * budget / all) {
			l->state = LINE_PROBED;
			c->lines_probed++;
		}
		at++;
	}
}

static int touches_nothing(const struct maker *m, struct error *err)
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
static void keep_refused(struct maker *m)
{
	for (uint32_t i = 0; m->before && i < m->c->n_lines && i < m->before->n_lines; i++)
		if (m->before->line[i].state == LINE_REFUSED)
			coverage_drop_line(m->c, i, m->before->line[i].why);
}

static int make(struct maker *m, struct error *err)
{
	int rc = claimed_function(m);

	if (!rc && m->patch)
		rc = take_lines(m);
	if (rc)
		return error_set(err, ENOMEM, "no memory for the patch's functions");
	if (m->patch && !(m->watch ? m->c->n_functions : m->c->lines_with_code))
		return touches_nothing(m, err);
	if (!m->watch && check_claimed(m, err) < 0)
		return -err->code;
	if (m->watch)
		choose_watched(m->c, VERIFY_FUNCTIONS_MAX);
	else
		choose_functions(m, VERIFY_FUNCTIONS_MAX);
	choose_lines(m->c, BASELINE, VERIFY_LINES_MAX);
	choose_lines(m->c, CANDIDATE, VERIFY_LINES_MAX);
	keep_refused(m);
	return 0;
}

static struct coverage *make_new(struct maker *m, struct error *err)
{
	int rc;

	m->c = calloc(1, sizeof(*m->c));
	rc = m->c ? make(m, err) : error_set(err, ENOMEM, "no memory");
	free(m->in[BASELINE]);
	free(m->in[CANDIDATE]);
	if (!rc)
		return m->c;
	coverage_free(m->c);
	return NULL;
}

struct coverage *coverage_new(const struct verify_spec *s, const struct patch *p, const struct lines_answer *const answer[VERIFY_SIDES],
			      const uint32_t *const file_of[VERIFY_SIDES], struct error *err)
{
	return make_new(&(struct maker){ .spec = s, .patch = p, .answer = answer, .file_of = file_of }, err);
}

struct coverage *coverage_watch(const struct verify_spec *s, const struct patch *p, const struct lines_answer *baseline,
				const uint32_t *file_of, struct error *err)
{
	const struct lines_answer *const answer[VERIFY_SIDES] = { baseline, NULL };
	const uint32_t *const files[VERIFY_SIDES] = { file_of, NULL };

	return make_new(&(struct maker){ .spec = s, .patch = p, .answer = answer, .file_of = files, .watch = true }, err);
}

struct coverage *coverage_again(const struct coverage *before, const struct verify_spec *s, const struct patch *p,
				const struct lines_answer *const answer[VERIFY_SIDES], const uint32_t *const file_of[VERIFY_SIDES],
				struct error *err)
{
	return make_new(&(struct maker){ .spec = s, .patch = p, .answer = answer, .file_of = file_of, .before = before }, err);
}
