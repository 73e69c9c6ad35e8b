/* SPDX-License-Identifier: Apache-2.0 */
#include "verify_args.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "claimfile.h"
#include "file.h"
#include "patch.h"
#include "units.h"

/* ---- files ---- */

int report_targets(const char *text, struct report_target out[REPORT_TARGETS], struct error *err)
{
	static const char *const kinds[] = { "junit", "md", "json" };
	int n = 0;

	while (*text) {
		size_t len = strcspn(text, ","), kind = strcspn(text, "=");
		bool known = false;

		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			known |= kind == strlen(kinds[i]) && strncmp(text, kinds[i], kind) == 0;
		if (!known || kind + 1 >= len || n == REPORT_TARGETS) {
			while (n)
				free(out[--n].path);
			return error_set(err, EINVAL, "--report is junit=FILE, md=FILE, json=FILE, with commas between them");
		}
		out[n] = (struct report_target){ text, kind, strndup(text + kind + 1, len - kind - 1) };
		if (!out[n].path)
			return error_set(err, ENOMEM, "no memory");
		n++;
		text += len + (text[len] == ',');
	}
	return n;
}

/* ---- options ---- */

static int read_target(const struct args *a, struct verify_spec *s, struct error *err)
{
	if (a->build)
		return error_set(err, EINVAL, "builds are told by --baseline and --candidate here, not by --build");
	if (a->query.host)
		return error_set(err, EINVAL, "hosts are told by --baseline host:A,B and --candidate host:C here, not by --host");
	if (a->target == TARGET_NONE)
		return 0;
	s->pid = a->pid;
	s->target = a->target == TARGET_PID ? VERIFY_TARGET_PID : a->target == TARGET_NAME ? VERIFY_TARGET_NAME : VERIFY_TARGET_PATH;
	return a->target == TARGET_PID ? 0 : verify_spec_text(&s->target_text, a->target_text, "the target", err);
}

static int read_number(const char *text, double *out, const char *what, struct error *err)
{
	char *end;

	errno = 0;
	*out = strtod(text, &end);
	return end == text || *end || errno ? error_set(err, EINVAL, "%s is a number, not '%.40s'", what, text) : 0;
}

static int read_numbers(const struct args *a, struct verify_spec *s, struct error *err)
{
	const struct verify_args *o = &a->verify;
	uint64_t n;
	double strip;
	int rc = 0;

	if (o->alpha)
		rc = read_number(o->alpha, &s->claim.alpha, "--alpha", err);
	if (!rc && o->min_triggers)
		rc = parse_count(o->min_triggers, &s->claim.min_triggers, err);
	if (!rc && o->together) {
		rc = parse_count(o->together, &n, err);
		s->claim.together = rc ? 1 : (uint32_t)(n < UINT32_MAX ? n : UINT32_MAX);
	}
	if (!rc && o->strip) {
		rc = read_number(o->strip, &strip, "--strip", err);
		if (!rc && !(strip >= 0 && strip < 100))
			rc = error_set(err, EINVAL, "--strip is a number of path components");
		s->strip = rc ? s->strip : (int)strip;
	}
	return rc;
}

static int read_texts(const struct args *a, struct verify_spec *s, struct error *err)
{
	const struct verify_args *o = &a->verify;
	const struct { const char *value; char **to; const char *what; } texts[] = {
		{ o->arm_by, &s->arm_by, "--arm-by" }, { o->function, &s->function, "--function" },
		{ o->trigger, &s->trigger, "--trigger" }, { a->error, &s->error, "--error" },
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].value)
			rc = verify_spec_text(texts[i].to, texts[i].value, texts[i].what, err);
	if (!rc && o->baseline)
		rc = verify_spec_arm(&s->baseline, o->baseline, err);
	if (!rc && o->candidate)
		rc = verify_spec_arm(&s->candidate, o->candidate, err);
	if (!rc && o->expect)
		rc = verify_spec_expect(s, o->expect, err);
	if (!rc && o->lines)
		rc = verify_spec_lines(s, o->lines, err);
	for (int i = 0; !rc && i < o->n_guards; i++)
		rc = verify_spec_guard(s, o->guard[i], err);
	return rc;
}

/* ---- the claim's file, and the patch that it or an option names ---- */

static int read_claim(const char *path, struct verify_spec *s, struct error *err)
{
	char *text = NULL;
	size_t len = 0;
	int rc = file_read(path, CLAIMFILE_BYTES_MAX, &text, &len, err);

	if (!rc)
		rc = claimfile_read(text, len, s, err);
	free(text);
	return rc;
}

/* A claim's patch lies beside the claim, unless it says more. */
static int read_patch(const struct args *a, struct verify_spec *s, struct error *err)
{
	char path[PATH_MAX + NAME_MAX];
	const char *slash = a->n_rest ? strrchr(a->rest[0], '/') : NULL;

	if (a->verify.patch)
		return file_read(a->verify.patch, PATCH_BYTES_MAX, &s->patch, &s->patch_len, err);
	if (!s->patch_file)
		return 0;
	snprintf(path, sizeof(path), "%.*s%s", slash && s->patch_file[0] != '/' ? (int)(slash + 1 - a->rest[0]) : 0,
		 slash ? a->rest[0] : "", s->patch_file);
	return file_read(path, PATCH_BYTES_MAX, &s->patch, &s->patch_len, err);
}

int verify_args_read(const struct args *a, struct verify_spec *s, struct error *err)
{
	int rc;

	verify_spec_init(s);
	rc = a->n_rest ? read_claim(a->rest[0], s, err) : 0;
	if (!rc)
		rc = read_target(a, s, err);
	if (!rc)
		rc = read_patch(a, s, err);
	if (!rc)
		rc = read_texts(a, s, err);
	if (!rc)
		rc = read_numbers(a, s, err);
	if (a->for_ns)
		s->claim.deadline_ns = a->for_ns;
	s->aa |= a->verify.aa;
	s->by_time |= a->verify.by_time;
	s->unwind_ok |= a->allow_unwind;
	s->budget_ppm = a->budget_ppm ? a->budget_ppm : s->budget_ppm;
	return rc ? rc : verify_spec_finish(s, err);
}
