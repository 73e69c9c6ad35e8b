/* SPDX-License-Identifier: Apache-2.0 */
#include "verify_spec.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patch.h"

enum { DEFAULT_DEADLINE_S = 600 };

void verify_spec_init(struct verify_spec *s)
{
	memset(s, 0, sizeof(*s));
	s->strip = PATCH_STRIP_AUTO;
	claim_init(&s->claim);
	s->claim.deadline_ns = DEFAULT_DEADLINE_S * 1000000000ULL;
}

#define TEXT(member) offsetof(struct verify_spec, member)

static const size_t arm_texts[] = {
	TEXT(target_text), TEXT(baseline.text), TEXT(baseline.build), TEXT(candidate.text), TEXT(candidate.build), TEXT(arm_by), TEXT(function),
	TEXT(trigger), TEXT(error), TEXT(watched), TEXT(watched_per),
};
static const size_t other_texts[] = { TEXT(patch), TEXT(patch_file) };

static char **text_at(struct verify_spec *s, size_t offset)
{
	return (char **)(void *)((char *)s + offset);
}

static void free_texts(struct verify_spec *s, const size_t *offset, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(*text_at(s, offset[i]));
		*text_at(s, offset[i]) = NULL;
	}
}

void verify_spec_free(struct verify_spec *s)
{
	free_texts(s, arm_texts, sizeof(arm_texts) / sizeof(arm_texts[0]));
	free_texts(s, other_texts, sizeof(other_texts) / sizeof(other_texts[0]));
}

int verify_spec_copy(struct verify_spec *to, const struct verify_spec *s, struct error *err)
{
	int rc = 0;

	*to = *s;
	to->patch = to->patch_file = NULL;
	to->patch_len = 0;
	for (size_t i = 0; i < sizeof(arm_texts) / sizeof(arm_texts[0]); i++) {
		char **text = text_at(to, arm_texts[i]);

		*text = *text ? strdup(*text) : NULL;
		if (!*text && *text_at((struct verify_spec *)s, arm_texts[i]))
			rc = error_set(err, ENOMEM, "no memory");
	}
	return rc;
}

int verify_spec_text(char **to, const char *text, const char *what, struct error *err)
{
	size_t len = strlen(text);
	char *copy;

	if (len == 0 || len > VERIFY_TEXT_MAX)
		return error_set(err, EINVAL, len ? "%s is longer than %d bytes" : "%s is empty", what, VERIFY_TEXT_MAX);
	copy = strdup(text);
	if (!copy)
		return error_set(err, ENOMEM, "no memory for %s", what);
	free(*to);
	*to = copy;
	return 0;
}

/* ---- arms ---- */

static int check_build(const char *text, struct error *err)
{
	size_t n = strspn(text, "0123456789abcdef");

	if (text[n] || n < VERIFY_BUILD_DIGITS)
		return error_set(err, EINVAL, "a build-id is %d hex digits or more, not '%.60s'", VERIFY_BUILD_DIGITS, text);
	return 0;
}

static int check_pids(const char *text, struct error *err)
{
	if (!text[0] || text[strspn(text, "0123456789,")])
		return error_set(err, EINVAL, "pids are numbers with commas between them, not '%.60s'", text);
	return 0;
}

/* Names as agents give them: no blanks, no empty one. */
static int check_hosts(const char *text, struct error *err)
{
	size_t len = strlen(text);

	if (!len || text[0] == ',' || text[len - 1] == ',' || strstr(text, ",,") || text[strcspn(text, " \t\n")])
		return error_set(err, EINVAL, "hosts are names with commas between them, not '%.60s'", text);
	return 0;
}

int verify_spec_arm(struct verify_arm_spec *arm, const char *text, struct error *err)
{
	static const struct {
		const char *prefix;
		enum verify_arm_by by;
		int (*check)(const char *text, struct error *err);
	} kinds[] = {
		{ "build:", VERIFY_ARM_BUILD, check_build }, { "pid:", VERIFY_ARM_PID, check_pids },
		{ "host:", VERIFY_ARM_HOST, check_hosts },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].prefix);
		int rc;

		if (strncmp(text, kinds[i].prefix, len) != 0)
			continue;
		rc = kinds[i].check(text + len, err);
		if (!rc)
			rc = verify_spec_text(&arm->text, text + len, "the arm", err);
		arm->by = rc ? arm->by : kinds[i].by;
		return rc;
	}
	error_set(err, EINVAL, "an arm is not '%.60s'", text);
	return error_hint(err, "build:8f3a21, pid:812,813, or through a collector host:web-1,web-2");
}

/* ---- a small language of words and numbers ---- */

static void skip_space(const char **at)
{
	while (isspace((unsigned char)**at))
		(*at)++;
}

/* The word, if it stands here as a whole. */
static bool take_word(const char **at, const char *word)
{
	size_t len = strlen(word);

	skip_space(at);
	if (strncmp(*at, word, len) != 0 || (isalnum((unsigned char)word[len - 1]) && (isalnum((unsigned char)(*at)[len]) || (*at)[len] == '_')))
		return false;
	*at += len;
	return true;
}

static bool take_number(const char **at, double *out)
{
	char digits[32];
	size_t n;

	skip_space(at);
	n = strspn(*at, "0123456789.");
	if (n == 0 || n >= sizeof(digits))
		return false;
	memcpy(digits, *at, n);
	digits[n] = '\0';
	if (sscanf(digits, "%lf", out) != 1 || !isfinite(*out))
		return false;
	*at += n;
	return true;
}

static bool at_end(const char **at)
{
	skip_space(at);
	return **at == '\0';
}

/* "+10 %" -> 0.1; the sign is wanted. */
static bool take_percent(const char **at, const char *sign, double *out)
{
	if (!take_word(at, sign) || !take_number(at, out) || !take_word(at, "%"))
		return false;
	*out /= 100;
	return true;
}

/* ---- what is expected ---- */

int verify_spec_expect(struct verify_spec *s, const char *text, struct error *err)
{
	const char *at = text;
	double factor;

	if (take_word(&at, "gone") && at_end(&at)) {
		s->claim.expect = EXPECT_GONE;
		return 0;
	}
	at = text;
	if (take_word(&at, "none") && at_end(&at)) {
		s->claim.expect = EXPECT_NONE;
		return 0;
	}
	at = text;
	if ((take_word(&at, "error_rate") || take_word(&at, "error rate")) && take_word(&at, "<") && take_number(&at, &factor) &&
	    take_word(&at, "x") && take_word(&at, "baseline") && at_end(&at)) {
		s->claim.expect = EXPECT_RATIO;
		s->claim.factor = factor;
		return 0;
	}
	error_set(err, EINVAL, "what is expected cannot be '%.80s'", text);
	return error_hint(err, "gone, none, or: error_rate < 0.5 x baseline");
}

int verify_spec_lines(struct verify_spec *s, const char *text, struct error *err)
{
	static const char *const names[] = { "all", "any", "none" };

	for (int i = 0; i < 3; i++)
		if (strcmp(text, names[i]) == 0) {
			s->lines = (enum verify_lines)i;
			return 0;
		}
	return error_set(err, EINVAL, "the changed lines that must run are all, any or none, not '%.40s'", text);
}

/* ---- guards ---- */

static bool read_latency(struct guard *g, const char *at)
{
	double p;

	g->kind = GUARD_LATENCY;
	take_word(&at, "latency");
	skip_space(&at);
	if (*at++ != 'p' || !take_number(&at, &p) || !take_word(&at, "<") || !take_percent(&at, "+", &g->margin))
		return false;
	g->quantile = p / 100;
	return at_end(&at);
}

static bool read_error_rate(struct guard *g, const char *at)
{
	g->kind = GUARD_ERROR_RATE;
	return (take_word(&at, "error_rate") || take_word(&at, "error rate")) && take_word(&at, "<") &&
	       take_percent(&at, "+", &g->margin) && at_end(&at);
}

static bool read_new_errors(struct guard *g, const char *at)
{
	g->kind = GUARD_NEW_ERRORS;
	return take_word(&at, "no new error values") && at_end(&at);
}

/* A function's name up to the next blank. */
static bool take_name(const char **at, char *out, size_t size)
{
	size_t n;

	skip_space(at);
	n = strcspn(*at, " \t");
	if (n == 0 || n >= size)
		return false;
	memcpy(out, *at, n);
	out[n] = '\0';
	*at += n;
	return true;
}

static bool read_calls(struct verify_spec *s, struct guard *g, const char *at, struct error *err)
{
	char watched[CLAIM_NAME], per[CLAIM_NAME];

	g->kind = GUARD_CALLS;
	if (!take_word(&at, "calls of") || !take_name(&at, watched, sizeof(watched)) || !take_word(&at, "per") ||
	    !take_name(&at, per, sizeof(per)) || !take_word(&at, ">") || !take_percent(&at, "-", &g->margin) || !at_end(&at))
		return false;
	return !verify_spec_text(&s->watched, watched, "the watched function", err) &&
	       !verify_spec_text(&s->watched_per, per, "the watched function's caller", err);
}

int verify_spec_guard(struct verify_spec *s, const char *text, struct error *err)
{
	static const enum guard_kind order[] = { GUARD_LATENCY, GUARD_ERROR_RATE, GUARD_NEW_ERRORS, GUARD_CALLS };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		struct claim before = s->claim;
		struct guard *g = claim_guard(&s->claim, order[i]);
		bool taken;

		if (!g)
			return error_set(err, EINVAL, "at most %d guards", CLAIM_GUARDS);
		taken = order[i] == GUARD_LATENCY ? read_latency(g, text) : order[i] == GUARD_ERROR_RATE ? read_error_rate(g, text) :
			order[i] == GUARD_NEW_ERRORS ? read_new_errors(g, text) : read_calls(s, g, text, err);
		if (taken) {
			s->guards_given = true;
			return 0;
		}
		s->claim = before;
	}
	error_set(err, EINVAL, "a guard is not '%.80s'", text);
	return error_hint(err, "error_rate < +25 %%, latency p99 < +10 %%, no new error values, or: calls of F per G > -20 %%");
}

/* ---- the whole ---- */

static bool is_build_or_none(const struct verify_arm_spec *arm)
{
	return arm->by == VERIFY_ARM_NONE || arm->by == VERIFY_ARM_BUILD;
}

static int check_by_time(const struct verify_spec *s, struct error *err)
{
	if (s->arm_by || s->aa)
		return error_set(err, EINVAL, "arms by time exclude --arm-by and --aa");
	if (!is_build_or_none(&s->baseline) || !is_build_or_none(&s->candidate))
		return error_set(err, EINVAL, "arms by time are builds: build:ID");
	if (s->target == VERIFY_TARGET_PID)
		return error_set(err, EINVAL, "a process ends with the restart: arms by time need -s NAME or -x PATH");
	if (s->watched && !s->function)
		return error_set(err, EINVAL, "by time, a guard on calls needs the function that the claim is about");
	return 0;
}

/* Pids or hosts that stand in both lists. */
static int check_lists(const struct verify_spec *s, struct error *err)
{
	const char *a = s->baseline.text, *end;

	if (s->baseline.by != s->candidate.by || (s->baseline.by != VERIFY_ARM_PID && s->baseline.by != VERIFY_ARM_HOST))
		return 0;
	for (; a; a = *end ? end + 1 : NULL) {
		size_t len;

		end = strchrnul(a, ',');
		len = (size_t)(end - a);
		for (const char *b = s->candidate.text, *stop; len && b; b = *stop ? stop + 1 : NULL) {
			stop = strchrnul(b, ',');
			if ((size_t)(stop - b) == len && memcmp(a, b, len) == 0)
				return error_set(err, EINVAL, "%s %.*s is in both arms: what it does would count for either",
						 s->baseline.by == VERIFY_ARM_PID ? "process" : "host", (int)(len < 60 ? len : 60), a);
		}
	}
	return 0;
}

bool verify_spec_aa_first(const struct verify_spec *s)
{
	return s->aa && (s->candidate.by || s->patch || s->trigger || s->claim.expect != EXPECT_NONE);
}

static int check_arms(const struct verify_spec *s, struct error *err)
{
	bool given = s->baseline.by || s->candidate.by;
	int rc = s->by_time ? check_by_time(s, err) : 0;

	if (rc)
		return rc;
	if (s->arm_by && (given || s->aa))
		return error_set(err, EINVAL, "arms by a condition exclude --baseline, --candidate and --aa");
	if (s->baseline.by && s->candidate.by && s->baseline.by == s->candidate.by && strcmp(s->baseline.text, s->candidate.text) == 0)
		return error_set(err, EINVAL, "baseline and candidate are the same: there is nothing to compare (--aa does that on purpose)");
	if ((s->baseline.by == VERIFY_ARM_NONE) != (s->candidate.by == VERIFY_ARM_NONE) && !s->by_time && (!s->aa || verify_spec_aa_first(s)))
		return error_set(err, EINVAL, "give both arms, --baseline and --candidate, or none");
	return check_lists(s, err);
}

/* Of a function that takes about as long as its probes it cannot be judged, and then nothing could ever pass: it is optional. */
static void default_latency(struct verify_spec *s, double quantile, double margin)
{
	struct guard *g = claim_guard(&s->claim, GUARD_LATENCY);

	if (!g)
		return;
	g->quantile = quantile;
	g->margin = margin;
	g->optional = true;
}

/* Without guards of the user's: what nobody wants to get worse. */
static int default_guards(struct verify_spec *s)
{
	if (s->guards_given)
		return 0;
	claim_guard(&s->claim, GUARD_ERROR_RATE);
	claim_guard(&s->claim, GUARD_NEW_ERRORS);
	/* A process that has just started is slower for reasons of its own. */
	if (s->by_time)
		return 0;
	default_latency(s, 0.5, 0.1);
	default_latency(s, 0.99, 0.25);
	return 0;
}

int verify_spec_finish(struct verify_spec *s, struct error *err)
{
	int rc = check_arms(s, err);
	struct claim probe;

	if (rc)
		return rc;
	if (s->target == VERIFY_TARGET_NONE)
		return error_set(err, EINVAL, "no target is given: -p, -s or -x, or target in the claim");
	if (!s->function && !s->patch)
		return error_set(err, EINVAL, "neither a patch nor a function is given: there is nothing to verify");
	if (!s->function && (s->trigger || s->error || s->claim.expect != EXPECT_NONE))
		return error_set(err, EINVAL, "a trigger, an error or an expectation needs the function that it is about");
	default_guards(s);
	if (s->watched && !s->claim.watched) {
		s->claim.watched = 1;
		snprintf(s->claim.watched_name[0], CLAIM_NAME, "%s per %s", s->watched, s->watched_per);
	}
	probe = s->claim;
	snprintf(probe.function, sizeof(probe.function), "f");
	return claim_check(&probe, err);
}
