/* SPDX-License-Identifier: Apache-2.0 */
#include "coverage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* While it is made. */
struct maker {
	struct coverage *c;
	const struct verify_spec *spec;
	const struct patch *patch;
	const struct lines_answer *const *answer;
	const uint32_t *const *file_of;
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

static struct covered_function *find_function(struct coverage *c, const char *name)
{
	for (uint32_t i = 0; i < c->n_functions; i++)
		if (strcmp(c->function[i].name, name) == 0)
			return &c->function[i];
	return NULL;
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

	if (m->in[side][index])
		return (int32_t)m->in[side][index] - 1;
	f = find_function(m->c, from->name);
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
	uint32_t number = side == BASELINE ? l->old_line : l->new_line, asked = m->file_of[side][file];

	return number && asked != UINT32_MAX ? lines_answer_find(m->answer[side], asked, number) : NULL;
}

static void take_changed(struct maker *m, uint32_t file, const struct patch_line *l, struct covered_line *to)
{
	const struct lines_line *found = look_up(m, to->side, file, l);

	to->state = LINE_NO_CODE;
	for (uint32_t i = 0; found && i < found->n_places; i++) {
		int32_t f = function_of(m, to->side, found->place[i].function, true);

		to->state = LINE_LEFT_OUT;
		if (to->function < 0)
			to->function = f;
		if (f >= 0 && m->c->function)
			m->c->function[f].changed++;
	}
	m->c->lines_with_code += to->state == LINE_LEFT_OUT;
}

/* All functions that changed lines lie in are known then: what else the answers tell of them. */
static void learn_context(struct maker *m)
{
	for (int side = 0; side < VERIFY_SIDES; side++)
		for (uint32_t i = 0; i < m->answer[side]->n_functions; i++)
			function_of(m, (enum verify_side)side, i, false);
}

static int take_lines(struct maker *m)
{
	struct coverage *c = m->c;

	if (!m->answer[BASELINE] || !m->answer[CANDIDATE])
		return -EINVAL;
	c->line = calloc(m->patch->n_lines ? m->patch->n_lines : 1, sizeof(*c->line));
	for (int side = 0; side < VERIFY_SIDES; side++)
		m->in[side] = calloc(m->answer[side]->n_functions + 1, sizeof(*m->in[side]));
	if (!c->line || !m->in[BASELINE] || !m->in[CANDIDATE])
		return -ENOMEM;
	for (uint32_t f = 0; f < m->patch->n_files; f++) {
		const struct patch_file *file = &m->patch->file[f];

		for (uint32_t i = 0; i < file->n_lines && c->n_lines < m->patch->n_lines; i++) {
			struct covered_line *to = &c->line[c->n_lines++];

			*to = (struct covered_line){ .file = file, .line = &file->line[i], .function = -1 };
			to->side = file->line[i].kind == PATCH_REMOVED ? BASELINE : CANDIDATE;
			if (file->line[i].kind != PATCH_CONTEXT)
				take_changed(m, f, &file->line[i], to);
		}
	}
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

/* The function with most changed lines first, until the budget is spent. */
static void choose_functions(struct coverage *c, uint32_t budget)
{
	bool *can = calloc(c->n_functions + 1, sizeof(*can));

	for (uint32_t i = 0; can && i < c->n_functions; i++) {
		can[i] = !c->function[i].claimed && comparable(&c->function[i]);
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
	error_set(err, ENOENT, "the patch touches nothing in the binaries: none of its changed lines has code in build %.12s or %.12s",
		  m->answer[BASELINE]->build_id, m->answer[CANDIDATE]->build_id);
	return error_hint(err, "is it the patch of this service, and were both built with -g? paths are matched from their ends; see --strip");
}

static int make(struct maker *m, struct error *err)
{
	int rc = claimed_function(m);

	if (!rc && m->patch)
		rc = take_lines(m);
	if (rc)
		return error_set(err, ENOMEM, "no memory for the patch's functions");
	if (m->patch && !m->c->lines_with_code)
		return touches_nothing(m, err);
	choose_functions(m->c, VERIFY_FUNCTIONS_MAX);
	choose_lines(m->c, BASELINE, VERIFY_LINES_MAX);
	choose_lines(m->c, CANDIDATE, VERIFY_LINES_MAX);
	return 0;
}

struct coverage *coverage_new(const struct verify_spec *s, const struct patch *p, const struct lines_answer *const answer[VERIFY_SIDES],
			      const uint32_t *const file_of[VERIFY_SIDES], struct error *err)
{
	struct maker m = { .c = calloc(1, sizeof(*m.c)), .spec = s, .patch = p, .answer = answer, .file_of = file_of };
	int rc = m.c ? make(&m, err) : error_set(err, ENOMEM, "no memory");

	free(m.in[BASELINE]);
	free(m.in[CANDIDATE]);
	if (!rc)
		return m.c;
	coverage_free(m.c);
	return NULL;
}
