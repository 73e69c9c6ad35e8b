/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source lines -> code, by the line tables.
 *
 * A row of the table says: from this address on, up to the next row, the instructions are of that line.  Optimisers spread a
 * line over many rows, and mark those at which the statement is to be thought of as beginning (is_stmt).  A place is a run of
 * neighbouring rows of one line, in one function or one inlined copy, from such a mark on.
 *
 * gcc writes several marks at one address, as many as statements begin there; only the last row of an address has
 * instructions.  A statement with no run of its own, but a mark, was merged with others: it has its place at the mark.  And
 * a line with instructions that never got a mark is better found at those than not at all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "debuginfo_internal.h"
#include "path_suffix.h"

enum { ROWS_MAX = 32 << 20, RUNS_MAX = 1 << 20, MATCHES_MAX = 1 << 16, PENDING_MAX = 64, LOOK_BACK = 256 };

/* In the order of preference. */
enum run_kind { RUN_STATEMENT, RUN_MARK, RUN_LEFTOVER };

struct run {
	uint32_t query, line;
	const char *file;
	uint64_t start, end, next_statement;
	int span;
	enum run_kind kind;
	bool merged;                   /* RUN_MARK: the instructions are another line's */
};

struct match { const char *file; uint32_t query; };   /* a file of the unit that a query means */

struct lines {
	struct debuginfo *di;
	struct line_query *queries;
	uint32_t n_queries;
	const struct line_visitor *visitor;
	struct line_names *names;
	int rc;
	bool no_memory;
	/* of the current unit */
	struct unit *u;
	struct list matches;           /* struct match, by file */
	struct list runs;              /* struct run */
	struct run now;                /* open while now.file is set; its query is not */
	struct run pending[PENDING_MAX];   /* marks at one address whose instructions are still to come */
	unsigned n_pending;
	uint64_t ended;                /* where the last sequence did */
};

struct row { uint64_t addr, end; const char *file; uint32_t line; bool statement; };

/* ---- which files, which lines ---- */

static int match_compare(const void *a, const void *b)
{
	const struct match *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->query < y->query ? -1 : x->query > y->query;
}

static void match_file(struct lines *l, const char *file)
{
	for (uint32_t q = 0; q < l->n_queries; q++) {
		struct match *m;

		if (!path_suffix_matches(l->queries[q].path, file))
			continue;
		m = l->matches.count < MATCHES_MAX ? list_add(&l->matches) : NULL;
		if (!m) {
			l->no_memory = true;
			return;
		}
		*m = (struct match){ file, q };
		l->queries[q].n_files++;
		if (l->visitor->file)
			l->visitor->file(q, file, l->visitor->arg);
	}
}

/* DWARF 5 lists the unit's own file twice: each name counts once, but rows may use either. */
static void match_files(struct lines *l, Dwarf_Die *cu)
{
	Dwarf_Files *files;
	size_t n;

	l->matches.count = 0;
	if (dwarf_getsrcfiles(cu, &files, &n) != 0)
		return;
	for (size_t i = 0; i < n && budget_take(l->di); i++) {
		const char *file = dwarf_filesrc(files, i, NULL, NULL);

		if (file)
			match_file(l, file);
	}
	if (l->matches.count > 1)
		qsort(l->matches.items, l->matches.count, sizeof(struct match), match_compare);
}

/* Index of the first match of a file, or the number of matches. */
static size_t first_match(const struct lines *l, const char *file)
{
	size_t low = 0, high = l->matches.count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list_at(&l->matches, struct match, mid).file < file)
			low = mid + 1;
		else
			high = mid;
	}
	return low < l->matches.count && list_at(&l->matches, struct match, low).file == file ? low : l->matches.count;
}

static bool asks_for(const struct line_query *q, uint32_t line)
{
	uint32_t low = 0, high = q->n_lines;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (q->lines[mid] < line)
			low = mid + 1;
		else
			high = mid;
	}
	return low < q->n_lines && q->lines[low] == line;
}

/* For "no code here, but there". */
static void note_neighbour(struct line_query *q, uint32_t line)
{
	if (!q->n_lines)
		return;
	if (line < q->lines[0] && line > q->before)
		q->before = line;
	if (line > q->lines[0] && (!q->after || line < q->after))
		q->after = line;
}

static bool is_wanted(struct lines *l, const struct row *r)
{
	size_t i = r->line ? first_match(l, r->file) : l->matches.count;
	bool wanted = false;

	for (; i < l->matches.count && list_at(&l->matches, struct match, i).file == r->file; i++) {
		struct line_query *q = &l->queries[list_at(&l->matches, struct match, i).query];

		wanted |= asks_for(q, r->line);
		if (r->end > r->addr)
			note_neighbour(q, r->line);
	}
	return wanted;
}

/* ---- whose source ---- */

static bool is_better(struct lines *l, const struct row *r, int candidate, uint32_t *line)
{
	const struct function *fn = span_function(l->di, l->u, &list_at(&l->u->spans, struct span, candidate));

	if (!fn || fn->line > r->line || fn->line <= *line || strcmp(fn->file, r->file) != 0)
		return false;
	*line = fn->line;
	return true;
}

/*
 * A mark says nothing of the instructions at its address, which may be in another function: the caller's statement before an
 * inlined copy, or the copy's before there is an instruction of it.  Of all functions that are or begin there, it is of the one
 * whose source the line is in: the last one in the file that begins before the line.
 */
static int span_of_mark(struct lines *l, const struct row *r)
{
	int innermost = span_at(l->u, r->addr), best = innermost;
	uint32_t line = 0;

	for (int i = innermost; i >= 0; i = list_at(&l->u->spans, struct span, i).parent)
		if (is_better(l, r, i, &line))
			best = i;
	for (int i = span_before(l->u, r->addr); i >= 0 && list_at(&l->u->spans, struct span, i).start == r->addr; i--)
		if (is_better(l, r, i, &line))
			best = i;
	/* It may also be the last of a copy that has ended here. */
	for (int i = span_before(l->u, r->addr), n = 0; !line && i > innermost && n < LOOK_BACK; i--, n++)
		if (is_better(l, r, i, &line))
			best = i;
	return best;
}

/* ---- rows -> runs ---- */

static void keep_run(struct lines *l, const struct run *run)
{
	for (size_t i = first_match(l, run->file); i < l->matches.count; i++) {
		const struct match *m = &list_at(&l->matches, struct match, i);
		struct run *slot;

		if (m->file != run->file)
			break;
		if (!asks_for(&l->queries[m->query], run->line))
			continue;
		slot = l->runs.count < RUNS_MAX ? list_add(&l->runs) : NULL;
		if (!slot) {
			l->no_memory = true;
			return;
		}
		*slot = *run;
		slot->query = m->query;
		if (!slot->next_statement)
			slot->next_statement = slot->end;
	}
}

static void close_run(struct lines *l)
{
	if (l->now.file)
		keep_run(l, &l->now);
	l->now.file = NULL;
}

/* The marks at an address get the instructions that follow there. */
static void settle_marks(struct lines *l, const struct row *r)
{
	for (unsigned i = 0; i < l->n_pending; i++) {
		struct run *mark = &l->pending[i];

		if (mark->start != r->addr)
			continue;
		mark->end = r->end;
		mark->merged = r->line != mark->line || strcmp(r->file, mark->file) != 0;
		mark->next_statement = 0;
		keep_run(l, mark);
	}
	l->n_pending = 0;
}

static void add_mark(struct lines *l, const struct row *r)
{
	if (l->n_pending == PENDING_MAX)
		return;                /* nobody writes so many statements that do nothing */
	l->pending[l->n_pending++] = (struct run){ .line = r->line, .file = r->file, .start = r->addr, .kind = RUN_MARK,
						   .span = span_of_mark(l, r) };
}

static bool goes_on(const struct lines *l, const struct row *r, int span)
{
	const struct run *now = &l->now;

	if (!now->file || now->end != r->addr || now->line != r->line || strcmp(now->file, r->file) != 0)
		return false;
	return !r->statement || (now->kind == RUN_STATEMENT && now->span == span);
}

static void take_row(struct lines *l, const struct row *r)
{
	bool wanted = is_wanted(l, r), empty = r->end == r->addr;
	int span;

	if (empty) {
		if (wanted && r->statement)
			add_mark(l, r);
		return;
	}
	settle_marks(l, r);
	if (!wanted) {
		close_run(l);
		return;
	}
	span = span_at(l->u, r->addr);
	if (goes_on(l, r, span)) {
		l->now.end = r->end;
		if (r->statement && !l->now.next_statement)
			l->now.next_statement = r->addr;
		return;
	}
	close_run(l);
	l->now = (struct run){ .line = r->line, .file = r->file, .start = r->addr, .end = r->end, .span = span,
			       .kind = r->statement ? RUN_STATEMENT : RUN_LEFTOVER };
}

/*
 * libdw sorts the rows by address, and those that end a sequence come first: what else the sequence has at its end (after a call
 * that does not return) would get the padding that follows, or another unit's code.
 */
static bool is_behind_end(const struct lines *l, uint64_t addr)
{
	return addr == l->ended && l->u->spans.count && span_at(l->u, addr) < 0;
}

/* False: the row ends a sequence, is behind its end, or what the linker threw away. */
static bool read_row(struct lines *l, Dwarf_Lines *lines, size_t i, struct row *r)
{
	Dwarf_Line *line = dwarf_onesrcline(lines, i), *next = dwarf_onesrcline(lines, i + 1);
	Dwarf_Addr addr, end;
	bool last = true;
	int number;

	if (!line || !next || dwarf_lineendsequence(line, &last) != 0 || dwarf_lineaddr(line, &addr) != 0)
		return false;
	if (last)
		l->ended = addr;
	if (last || dwarf_lineaddr(next, &end) != 0 || end < addr || !is_live(l->di, addr) || is_behind_end(l, addr))
		return false;
	*r = (struct row){ .addr = addr, .end = end, .file = dwarf_linesrc(line, NULL, NULL) };
	if (!r->file || dwarf_linebeginstatement(line, &r->statement) != 0)
		return false;
	if (dwarf_lineno(line, &number) == 0 && number > 0)
		r->line = (uint32_t)number;
	return true;
}

static void read_rows(struct lines *l, Dwarf_Die *cu)
{
	Dwarf_Lines *lines;
	size_t n;

	if (dwarf_getsrclines(cu, &lines, &n) != 0)
		return;
	for (size_t i = 0; i + 1 < n && i < ROWS_MAX && !l->no_memory && budget_take(l->di); i++) {
		struct row r;

		if (!read_row(l, lines, i, &r)) {
			close_run(l);
			l->n_pending = 0;
			continue;
		}
		take_row(l, &r);
	}
	close_run(l);
}

/* ---- runs -> places ---- */

static const void *copy_of(const struct lines *l, const struct run *r)
{
	return r->span < 0 ? NULL : list_at(&l->u->spans, struct span, r->span).die.addr;
}

static int run_order(const struct run *a, const struct run *b)
{
	if (a->query != b->query)
		return a->query < b->query ? -1 : 1;
	return a->line < b->line ? -1 : a->line > b->line;
}

static int run_compare(const void *a, const void *b, void *arg)
{
	const struct run *x = a, *y = b;
	const char *x_copy = copy_of(arg, x), *y_copy = copy_of(arg, y);
	int order = run_order(x, y);

	if (order)
		return order;
	if (x_copy != y_copy)
		return x_copy < y_copy ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static void emit(struct lines *l, const struct run *r)
{
	struct span *s = r->span < 0 ? NULL : &list_at(&l->u->spans, struct span, r->span);
	struct line_place place = { .start = r->start, .end = r->end, .next_statement = r->next_statement, .line = r->line,
				    .file = r->file, .merged = r->merged, .unmarked = r->kind == RUN_LEFTOVER, .unit = l->u, .span = r->span };

	if (s) {
		place.fn = span_function(l->di, l->u, s);
		place.inlined = s->inlined;
		place.outer = s->inlined ? span_function(l->di, l->u, &list_at(&l->u->spans, struct span, span_outer(l->u, r->span))) : place.fn;
	}
	l->rc = l->visitor->place(r->query, &place, l->visitor->arg);
}

/* Of each copy of a line only the best kind there is. */
static void emit_places(struct lines *l)
{
	const struct run *best = NULL, *last = NULL;

	if (l->runs.count > 1)
		qsort_r(l->runs.items, l->runs.count, sizeof(struct run), run_compare, l);
	for (size_t i = 0; i < l->runs.count && !l->rc; i++) {
		const struct run *r = &list_at(&l->runs, struct run, i);

		if (!best || run_order(best, r) || copy_of(l, best) != copy_of(l, r))
			best = r;
		else if (r->kind != best->kind || r->start == last->start)
			continue;
		last = r;
		emit(l, r);
	}
}

static bool unit_lines(struct debuginfo *di, Dwarf_Die *cu, void *arg)
{
	struct lines *l = arg;
	int tag = dwarf_tag(cu);

	if ((tag != DW_TAG_compile_unit && tag != DW_TAG_skeleton_unit) || !line_names_in(l->names, di, cu))
		return true;
	match_files(l, cu);
	l->u = l->matches.count ? unit_of(di, cu) : NULL;
	if (!l->u)
		return true;
	l->runs.count = 0;
	l->n_pending = 0;
	l->ended = UINT64_MAX;
	if (!spans_read(di, l->u))
		l->no_memory = true;
	read_rows(l, cu);
	emit_places(l);
	return !l->rc && !l->no_memory && !di->budget.spent;
}

/* ---- no such file ---- */

struct offering { struct nearest near; unsigned components; };

static unsigned count_components(const char *path)
{
	unsigned n = 1;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* As many of the last components as were asked for: an absolute path is near to nothing. */
static bool offer_unit(struct debuginfo *di, Dwarf_Die *cu, void *arg)
{
	struct offering *o = arg;
	const char *name = dwarf_tag(cu) == DW_TAG_compile_unit ? die_name(cu) : "", *at = name + strlen(name);

	for (unsigned n = 0; at > name; at--)
		if (at[-1] == '/' && ++n == o->components)
			break;
	if (*at)
		nearest_offer(&o->near, at);
	return true;
}

static int no_file(struct lines *l, struct error *err)
{
	struct offering o = { .components = count_components(l->queries[0].path) };

	nearest_init(&o.near, l->queries[0].path);
	units_each(l->di, offer_unit, &o);
	error_set(err, ENOENT, "no source file '%.200s' in the debug information%s", l->queries[0].path,
		  l->n_queries > 1 ? ", nor any of the others" : "");
	return nearest_hint(&o.near, err), -ENOENT;
}

static int finish(struct lines *l, struct error *err)
{
	if (l->rc)
		return l->rc;
	if (l->no_memory)
		return error_set(err, E2BIG, "the line tables of %.200s have more than plumb can read", l->di->path);
	if (l->di->budget.spent)
		return error_set(err, ETIMEDOUT, "the search of %.200s reached its limit of time", l->di->path);
	for (uint32_t i = 0; i < l->n_queries; i++)
		if (l->queries[i].n_files)
			return 0;
	return no_file(l, err);
}

int debuginfo_lines(struct debuginfo *di, struct line_query *queries, uint32_t n, const struct line_visitor *visitor,
		    struct error *err)
{
	struct lines l = { .di = di, .queries = queries, .n_queries = n, .visitor = visitor,
			   .matches.item_size = sizeof(struct match), .runs.item_size = sizeof(struct run) };
	int rc;

	if (!n)
		return error_set(err, EINVAL, "no source file was given");
	for (uint32_t i = 0; i < n; i++)
		queries[i].n_files = queries[i].before = queries[i].after = 0;
	l.names = line_names_new(di, queries, n);
	if (!l.names)
		return error_set(err, ENOMEM, "out of memory");
	budget_begin(di);
	units_each(di, unit_lines, &l);
	rc = finish(&l, err);
	budget_end(di);
	line_names_free(l.names);
	list_free(&l.matches);
	list_free(&l.runs);
	return rc;
}

uint32_t debuginfo_line_code(struct debuginfo *di, const struct line_place *place, struct code_range *out, uint64_t *entry)
{
	const struct unit *u = place->unit;
	Dwarf_Addr base, start, end;
	ptrdiff_t off = 0;
	Dwarf_Die die;
	uint32_t n = 0;
	uint64_t size;

	*entry = 0;
	if (place->span < 0)
		return 0;
	die = list_at(&u->spans, struct span, span_outer(u, place->span)).die;
	if (!function_extent(di, &die, entry, &size))
		*entry = 0;
	for (int i = 0; i < LINE_CODE_RANGES_MAX && (off = dwarf_ranges(&die, off, &base, &start, &end)) > 0; i++)
		if (end > start && is_live(di, start))
			out[n++] = (struct code_range){ start, end };
	return n;
}
