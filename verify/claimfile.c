/* SPDX-License-Identifier: Apache-2.0 */
#include "claimfile.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

/* ---- the schema ---- */

struct file_target { char *service, *exe; uint64_t pid; };
struct file_arms { char *baseline, *candidate, *by, *aa, *by_time; };
struct file_exposure { char *lines; uint64_t *triggers; };
struct file_claim {
	struct file_target *target;
	struct file_arms *arms;
	struct file_exposure *exposure;
	char *patch, *function, *trigger, *error, *expect, *deadline, *budget, *allow_unwind;
	char **guards;
	unsigned guards_count;
	int64_t *strip;         /* numbers by pointer: 0 is not the same as nothing */
	uint64_t *together;
	double *alpha;
};

#define NUMBER_FLAGS (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

#define TEXT(key, type, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 1, VERIFY_TEXT_MAX)

static const cyaml_schema_field_t target_fields[] = {
	TEXT("service", struct file_target, service), TEXT("exe", struct file_target, exe),
	CYAML_FIELD_UINT("pid", CYAML_FLAG_OPTIONAL, struct file_target, pid), CYAML_FIELD_END
};
static const cyaml_schema_field_t arms_fields[] = {
	TEXT("baseline", struct file_arms, baseline), TEXT("candidate", struct file_arms, candidate), TEXT("by", struct file_arms, by),
	TEXT("aa", struct file_arms, aa), TEXT("by_time", struct file_arms, by_time), CYAML_FIELD_END
};
static const cyaml_schema_field_t exposure_fields[] = {
	TEXT("lines", struct file_exposure, lines),
	CYAML_FIELD_UINT_PTR("triggers", NUMBER_FLAGS, struct file_exposure, triggers), CYAML_FIELD_END
};
static const cyaml_schema_value_t guard_value = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, VERIFY_TEXT_MAX) };

#define PART(key, member, fields) \
	CYAML_FIELD_MAPPING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_claim, member, fields)

static const cyaml_schema_field_t claim_fields[] = {
	PART("target", target, target_fields), PART("arms", arms, arms_fields), PART("exposure", exposure, exposure_fields),
	TEXT("patch", struct file_claim, patch), TEXT("function", struct file_claim, function),
	TEXT("trigger", struct file_claim, trigger), TEXT("error", struct file_claim, error), TEXT("expect", struct file_claim, expect),
	TEXT("deadline", struct file_claim, deadline), TEXT("budget", struct file_claim, budget),
	TEXT("allow_unwind", struct file_claim, allow_unwind),
	CYAML_FIELD_SEQUENCE("guards", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_claim, guards, &guard_value, 0, CLAIM_GUARDS),
	CYAML_FIELD_INT_PTR("strip", NUMBER_FLAGS, struct file_claim, strip),
	CYAML_FIELD_UINT_PTR("together", NUMBER_FLAGS, struct file_claim, together),
	CYAML_FIELD_FLOAT_PTR("alpha", NUMBER_FLAGS, struct file_claim, alpha), CYAML_FIELD_END
};
static const cyaml_schema_value_t claim_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file_claim, claim_fields) };

/* ---- errors: libcyaml tells them to a log, what first and where after it ---- */

struct complaint { char what[256], where[256]; };

static void on_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct complaint *c = ctx;
	char line[256];
	size_t len;

	vsnprintf(line, sizeof(line), fmt, args);
	len = strcspn(line, "\n");
	line[len] = '\0';
	if (!c->what[0])
		snprintf(c->what, sizeof(c->what), "%s", strncmp(line, "Load: ", 6) == 0 ? line + 6 : line);
	else if (!c->where[0] && strncmp(line, "  in ", 5) == 0)
		snprintf(c->where, sizeof(c->where), "%s", line + 5);
}

static int complain(const struct complaint *c, cyaml_err_t code, struct error *err)
{
	unsigned line = 0;
	const char *at = strstr(c->where, "(line: ");

	if (at && sscanf(at, "(line: %u", &line) == 1 && line)
		return error_set(err, EINVAL, "claim, line %u: %s", line, c->what);
	return error_set(err, EINVAL, "claim: %s", c->what[0] ? c->what : cyaml_strerror(code));
}

/* ---- from the file's form to the spec ---- */

static int in_key(int rc, const char *key, struct error *err)
{
	char text[sizeof(err->text)];

	if (!rc || !err)
		return rc;
	snprintf(text, sizeof(text), "%s", err->text);
	snprintf(err->text, sizeof(err->text), "claim, key %s: %.400s", key, text);
	return rc;
}

static int take(char **to, const char *from, const char *key, struct error *err)
{
	return from ? in_key(verify_spec_text(to, from, key, err), key, err) : 0;
}

static int take_flag(bool *to, const char *from, const char *key, struct error *err)
{
	static const struct { const char *text; bool value; } words[] = {
		{ "true", true }, { "yes", true }, { "false", false }, { "no", false },
	};

	for (size_t i = 0; from && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(from, words[i].text) == 0) {
			*to = words[i].value;
			return 0;
		}
	return from ? error_set(err, EINVAL, "claim, key %s: true or false, not '%.40s'", key, from) : 0;
}

static int take_target(const struct file_target *t, struct verify_spec *s, struct error *err)
{
	if (!t)
		return 0;
	if ((t->service != NULL) + (t->exe != NULL) + (t->pid != 0) != 1)
		return error_set(err, EINVAL, "claim, key target: one of service, exe and pid");
	s->target = t->service ? VERIFY_TARGET_NAME : t->exe ? VERIFY_TARGET_PATH : VERIFY_TARGET_PID;
	s->pid = t->pid;
	return take(&s->target_text, t->service ? t->service : t->exe, "target", err);
}

static int take_arms(const struct file_arms *a, struct verify_spec *s, struct error *err)
{
	int rc = 0;

	if (!a)
		return 0;
	if (a->baseline)
		rc = in_key(verify_spec_arm(&s->baseline, a->baseline, err), "baseline", err);
	if (!rc && a->candidate)
		rc = in_key(verify_spec_arm(&s->candidate, a->candidate, err), "candidate", err);
	if (!rc)
		rc = take(&s->arm_by, a->by, "by", err);
	if (!rc)
		rc = take_flag(&s->aa, a->aa, "aa", err);
	return rc ? rc : take_flag(&s->by_time, a->by_time, "by_time", err);
}

static int take_texts(const struct file_claim *f, struct verify_spec *s, struct error *err)
{
	const struct { const char *from; char **to; const char *key; } texts[] = {
		{ f->patch, &s->patch_file, "patch" }, { f->function, &s->function, "function" },
		{ f->trigger, &s->trigger, "trigger" }, { f->error, &s->error, "error" },
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(texts) / sizeof(texts[0]); i++)
		rc = take(texts[i].to, texts[i].from, texts[i].key, err);
	if (!rc && f->expect)
		rc = in_key(verify_spec_expect(s, f->expect, err), "expect", err);
	for (unsigned i = 0; !rc && i < f->guards_count; i++)
		rc = in_key(verify_spec_guard(s, f->guards[i], err), "guards", err);
	return rc;
}

static int take_limits(const struct file_claim *f, struct verify_spec *s, struct error *err)
{
	int rc = 0;

	if (f->exposure && f->exposure->lines)
		rc = in_key(verify_spec_lines(s, f->exposure->lines, err), "exposure", err);
	if (f->exposure && f->exposure->triggers)
		s->claim.min_triggers = *f->exposure->triggers;
	if (!rc && f->deadline)
		rc = in_key(parse_duration(f->deadline, &s->claim.deadline_ns, err), "deadline", err);
	if (!rc && f->budget)
		rc = in_key(parse_percent(f->budget, &s->budget_ppm, err), "budget", err);
	if (!rc && f->strip && (*f->strip < 0 || *f->strip >= 100))
		rc = error_set(err, EINVAL, "claim, key strip: a number of path components");
	if (!rc && f->strip)
		s->strip = (int)*f->strip;
	if (f->together)
		s->claim.together = (uint32_t)(*f->together < UINT32_MAX ? *f->together : UINT32_MAX);
	if (f->alpha)
		s->claim.alpha = *f->alpha;
	return rc ? rc : take_flag(&s->unwind_ok, f->allow_unwind, "allow_unwind", err);
}

static int take_claim(const struct file_claim *f, struct verify_spec *s, struct error *err)
{
	int rc = take_target(f->target, s, err);

	if (!rc)
		rc = take_arms(f->arms, s, err);
	if (!rc)
		rc = take_texts(f, s, err);
	return rc ? rc : take_limits(f, s, err);
}

int claimfile_read(const char *text, size_t len, struct verify_spec *s, struct error *err)
{
	struct complaint said = { "", "" };
	const cyaml_config_t config = {
		.log_fn = on_log, .log_ctx = &said, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS,
	};
	struct file_claim *file = NULL;
	cyaml_err_t code;
	int rc;

	if (len > CLAIMFILE_BYTES_MAX || memchr(text, '\0', len))
		return error_set(err, EINVAL, len > CLAIMFILE_BYTES_MAX ? "the claim is larger than 256 KiB" : "the claim is no text");
	code = cyaml_load_data((const uint8_t *)text, len, &config, &claim_schema, (cyaml_data_t **)&file, NULL);
	if (code != CYAML_OK)
		return complain(&said, code, err);
	if (!file)
		return error_set(err, EINVAL, "the claim is empty");
	rc = take_claim(file, s, err);
	cyaml_free(&config, &claim_schema, file, 0);
	return rc;
}
