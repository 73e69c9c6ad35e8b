/* SPDX-License-Identifier: Apache-2.0 */
/* With which arguments do calls fail? Some of them are looked at, a few a second. */
#include <inttypes.h>
#include <string.h>

#include "text.h"
#include "verify_text.h"

enum { FAILING_ROWS = 8, ALWAYS_ROWS = 12, ARGUMENT_WIDTH = 23, ARGUMENT_WIDTH_MAX = 60 };

static void put_argument(const struct failing_row *r, struct buf *out)
{
	text_safe(out, r->name);
	buf_str(out, " = ");
	text_safe(out, r->value);
}

/* Arguments with more values than are counted one by one. */
static void put_others(const struct failing *f, struct buf *out)
{
	struct failing_row row[FAILING_ROWS];
	unsigned n = failing_others(f, row, FAILING_ROWS);

	for (unsigned i = 0; i < n; i++) {
		struct buf text = { 0 };

		text_safe(&text, row[i].name);
		buf_str(&text, ": other values");
		buf_printf(out, "    %-23s %10" PRIu64 "  %10" PRIu64 "\n", buf_text(&text), row[i].count[BASELINE], row[i].count[CANDIDATE]);
		buf_free(&text);
	}
}

/* What all of them have in common may be why they fail, or what all calls have. */
static void put_always(const struct failing *f, struct buf *out)
{
	struct failing_row row[ALWAYS_ROWS];
	unsigned n = failing_always(f, row, ALWAYS_ROWS);

	for (unsigned i = 0; i < n; i++) {
		buf_str(out, i ? ", " : "    all of them: ");
		put_argument(&row[i], out);
	}
	if (n)
		buf_char(out, '\n');
}

/* Of the first column: no row is to push its numbers out of theirs, unless it is very long. */
static int arguments_width(const struct failing_row *row, unsigned n)
{
	size_t width = ARGUMENT_WIDTH;

	for (unsigned i = 0; i < n; i++) {
		struct buf text = { 0 };

		put_argument(&row[i], &text);
		width = text.len > width ? text.len : width;
		buf_free(&text);
	}
	return (int)(width < ARGUMENT_WIDTH_MAX ? width : ARGUMENT_WIDTH_MAX);
}

void verify_text_failing(const struct verify_function_view *f, struct buf *out)
{
	const struct verify_shown base = verify_shown(f, BASELINE), cand = verify_shown(f, CANDIDATE);
	struct failing_row row[FAILING_ROWS];
	unsigned n = f->failing ? failing_rows(f->failing, row, FAILING_ROWS) : 0;
	int width = arguments_width(row, n);

	if (!base.shown && !cand.shown)
		return;
	buf_printf(out, "  failing calls by argument (looked at: %" PRIu64 " of the baseline's %" PRIu64 ", %" PRIu64 " of the candidate's %" PRIu64
		   ")\n", base.shown, base.failed, cand.shown, cand.failed);
	for (unsigned i = 0; i < n; i++) {
		struct buf text = { 0 };

		put_argument(&row[i], &text);
		buf_printf(out, "    %-*s %10" PRIu64 "  %10" PRIu64 "%s\n", width, buf_text(&text), row[i].count[BASELINE], row[i].count[CANDIDATE],
			   !row[i].only ? "" : row[i].count[BASELINE] ? "  baseline only" : "  candidate only");
		buf_free(&text);
	}
	put_others(f->failing, out);
	put_always(f->failing, out);
}
