/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "resolve_internal.h"

enum { CODE_WINDOW = 4096 };   /* bytes looked at when a symbol has no size */

/* ---- what must be refused for the target's sake ---- */

static const char *const stack_switchers[] = { "swapcontext", "makecontext", "jump_fcontext" };
static const char *const switch_names[] = { "swapcontext", "makecontext", "Boost.Context" };

enum { SWITCHERS = sizeof(stack_switchers) / sizeof(stack_switchers[0]) };

/* A library that offers the function (libc) need not use it; an executable that holds it does. */
static const char *switches_stacks(const struct image *img, bool is_executable)
{
	uint32_t mentioned = img ? image_mentions(img, stack_switchers, SWITCHERS) : 0;
	struct symbol own;

	for (unsigned i = 0; i < SWITCHERS; i++)
		if (mentioned >> i & 1 && (is_executable || image_find(img, stack_switchers[i], &own)))
			return switch_names[i];
	return NULL;
}

/* The kernel swaps the return address on the stack for its own: programs that move or switch stacks break on it. */
/* What the code of languages with exceptions refers to; a file without them (C) lets none pass. */
static const char *throws(const struct image *img)
{
	static const char *const marks[] = { "__gxx_personality_v0", "rust_eh_personality", "__cxa_throw", "_Unwind_RaiseException" };

	uint32_t mentioned = image_mentions(img, marks, sizeof(marks) / sizeof(marks[0]));

	return mentioned ? marks[__builtin_ctz(mentioned)] : NULL;
}

/* An unwinder that meets the kernel's return address on the stack finds no caller there and ends the program. */
static int unwinding_is_safe(const struct resolving *r, struct error *err)
{
	const char *why = r->rq->unwind_ok ? NULL : throws(r->img);

	if (!why)
		return 0;
	error_set(err, ENOTSUP, "a return probe could end this program: an exception that passes through a probed call finds no way on, "
		  "and %s has exceptions (%s)", r->rq->path, why);
	return error_hint(err, "ask about the entry only, e.g. 'name(argument)'; or, if none passes through this function, --allow-unwind");
}

int returns_are_safe(const struct resolving *r, struct error *err)
{
	const char *why;

	if (image_language(r->img) == LANG_GO || (r->exe && image_language(r->exe) == LANG_GO)) {
		error_set(err, ENOTSUP, "a return probe would crash a Go program: Go moves its stacks");
		return error_hint(err, "ask about the entry only, e.g. 'name($arg0)'");
	}
	why = switches_stacks(r->img, r->rq->exe_fd == r->rq->fd);
	if (!why)
		why = switches_stacks(r->exe, true);
	if (why) {
		error_set(err, ENOTSUP, "a return probe could crash this program: it switches stacks itself (%s)", why);
		return error_hint(err, "ask about the entry only, e.g. 'name(argument)'");
	}
	return unwinding_is_safe(r, err);
}

/* ---- place -> functions ---- */

static int place_refused(const struct resolving *r, struct error *err)
{
	error_set(err, ENOTSUP, "a USDT mark cannot be probed by this version, only functions and source lines");
	error_at(err, r->spec->name_col, r->spec->name_len);
	return error_hint(err, "plumb funcs lists the functions of a target");
}

static int name_is_unknown(const struct resolving *r, struct error *err)
{
	struct error near = *err;

	error_set(err, ENOENT, "no function '%s' in %s", r->spec->name, r->rq->path);
	error_at(err, r->spec->name_col, r->spec->name_len);
	if (near.hint[0])
		return error_hint(err, "%s", near.hint);
	if (!r->di)
		return error_hint(err, "%s; plumb funcs lists what there is", r->no_debug.text);
	return error_hint(err, "plumb funcs lists the functions of a target");
}

static int only_inlined(const struct resolving *r, const struct function *fn, struct error *err)
{
	error_set(err, ENOENT, "'%s' has no code of its own: the compiler inlined it everywhere", fn->name);
	error_at(err, r->spec->name_col, r->spec->name_len);
	return error_hint(err, "probe a function that calls it, or build it with __attribute__((noinline))");
}

static int offer_nearest_symbol(const struct symbol *sym, void *arg)
{
	nearest_offer(arg, sym->name);
	return 0;
}

/* Adds a place with its plan; fn may be NULL (no debug info for it). */
static int add_place(struct resolving *r, uint64_t addr, uint64_t size, const char *name, const struct function *fn,
		     struct error *err);

static int resolve_by_symbol(struct resolving *r, struct error *err)
{
	struct nearest near;
	struct symbol sym;
	const struct function *fn;

	if (image_find(r->img, r->spec->name, &sym)) {
		err->hint[0] = '\0';
		nearest_init(&near, r->spec->name);
		image_each(r->img, offer_nearest_symbol, &near);
		nearest_hint(&near, err);
		return name_is_unknown(r, err);
	}
	if (sym.indirect) {
		error_set(err, ENOTSUP, "'%s' is an indirect function: its symbol is the resolver that picks one at start", sym.name);
		error_at(err, r->spec->name_col, r->spec->name_len);
		return error_hint(err, "probe the implementation it picked, see plumb funcs");
	}
	if (r->di && !debuginfo_at(r->di, sym.addr, &fn))
		return add_place(r, fn->addr, fn->size, fn->name, fn, err);
	return add_place(r, sym.addr, sym.size, sym.name, NULL, err);
}

static int resolve_functions(struct resolving *r, struct error *err)
{
	const struct function **fns = NULL;
	const struct function *inlined = NULL;
	int n, rc = 0, added = 0;

	if (r->spec->place == PLACE_GLOB)
		return resolve_pattern(r, err);
	if (r->spec->place == PLACE_LINE)
		return resolve_line(r, err);
	if (r->spec->place != PLACE_FUNCTION)
		return place_refused(r, err);
	if (!r->di)
		return resolve_by_symbol(r, err);
	n = debuginfo_find(r->di, r->spec->name, &fns, err);
	for (int i = 0; !rc && i < n; i++) {
		if (!fns[i]->addr) {
			inlined = fns[i];
			continue;
		}
		rc = add_place(r, fns[i]->addr, fns[i]->size, fns[i]->name, fns[i], err);
		added++;
	}
	free(fns);
	if (rc || added)
		return rc;
	return inlined ? only_inlined(r, inlined, err) : resolve_by_symbol(r, err);
}

/* ---- function -> plan, layout, site ---- */

int choose_site(const struct resolving *r, const struct wanted_site *w, struct site *site, uint64_t *offset, struct error *err)
{
	size_t len = w->size ? w->size < SITE_CODE_MAX ? w->size : SITE_CODE_MAX : CODE_WINDOW;
	uint8_t *code = malloc(len);
	ssize_t n = code ? image_code(r->img, w->addr, code, len) : -ENOMEM;
	int rc = (int)n;

	if (n > 0)
		rc = site_choose(code, (size_t)n, w->addr, w->keep_regs, w->call, site, err);
	else
		error_set(err, n < 0 ? (int)-n : ENODATA, "cannot read the code of '%s'", w->name);
	free(code);
	if (n <= 0)
		return -err->code;
	if (!rc && image_offset(r->img, site->addr, offset))
		rc = error_set(err, ERANGE, "'%s' does not lie in an executable segment", w->name);
	return rc;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void fill_names(const struct resolving *r, const char *name, const struct function *fn, struct resolved *out)
{
	struct buf sig = { 0 };

	snprintf(out->function, sizeof(out->function), "%s", name);
	snprintf(out->module, sizeof(out->module), "%s", base_name(r->rq->path));
	snprintf(out->build_id, sizeof(out->build_id), "%s", image_build_id(r->img));
	if (!fn)
		return;
	function_signature(fn, &sig);
	snprintf(out->signature, sizeof(out->signature), "%s", buf_text(&sig));
	snprintf(out->file, sizeof(out->file), "%s", fn->file);
	out->line = fn->line;
	buf_free(&sig);
}

static bool known_place(const struct resolving *r, uint64_t offset)
{
	for (size_t i = 0; i < r->n_found; i++)
		if (r->found[i].offset == offset && r->found[i].probe_index == r->index && !is_pattern(&r->found[i]))
			return true;
	return false;
}

int room_for_one(struct resolving *r, struct error *err)
{
	size_t cap = r->cap_found + RESOLVED_MAX;
	struct resolved *found;
	uint32_t *keep;

	if (r->n_found - r->first == RESOLVED_MAX)
		return error_set(err, E2BIG, "'%s' means more than %d places in %s", r->spec->name, RESOLVED_MAX, r->rq->path);
	if (r->n_found < r->cap_found)
		return 0;
	found = reallocarray(r->found, cap, sizeof(*found));
	if (found)
		r->found = found;
	keep = reallocarray(r->keep_regs, cap, sizeof(*keep));
	if (keep)
		r->keep_regs = keep;
	if (!found || !keep)
		return error_set(err, ENOMEM, "out of memory");
	r->cap_found = cap;
	return 0;
}

/* Into found[n_found], which is not counted yet. */
static int plan_place(struct resolving *r, const struct plan_request *rq, struct wanted_site where, struct error *err)
{
	struct resolved *out = &r->found[r->n_found];
	char *pretty = rq->fn ? NULL : demangle(where.name, false);
	int rc;

	memset(out, 0, sizeof(*out));
	out->probe_index = r->index;
	fill_names(r, pretty ? pretty : where.name, rq->fn, out);
	free(pretty);
	rc = plan_build(rq, out, &r->keep_regs[r->n_found], err);
	where.name = out->function;
	where.keep_regs = r->keep_regs[r->n_found];
	where.call = out->plan.flags & PLAN_CALL;
	if (!rc && where.call)
		rc = returns_are_safe(r, err);
	return rc ? rc : choose_site(r, &where, &out->site, &out->offset, err);
}

/* Failing calls are shown beside the counters where that is possible on a site that is as cheap. */
static int plan_shown(struct resolving *r, struct plan_request *rq, const struct wanted_site *where, struct error *err)
{
	struct resolved *out = &r->found[r->n_found];
	enum site_kind kind = out->site.kind;
	struct error none = { 0 };

	if (!out->has_error)
		return 0;
	resolved_free(out);
	rq->show_errors = true;
	if (!plan_place(r, rq, *where, &none) && out->site.kind <= kind)
		return 0;
	resolved_free(out);
	rq->show_errors = false;
	return plan_place(r, rq, *where, err);
}

static int add_place(struct resolving *r, uint64_t addr, uint64_t size, const char *name, const struct function *fn,
		     struct error *err)
{
	struct plan_request rq = { .spec = r->spec, .error = r->error_expr, .blame_error = &r->blame_error, .errors_only = r->rq->errors_only,
				   .ship = r->rq->ship, .force_call = r->rq->force_call, .limits = r->rq->limits,
				   .di = r->di, .fn = fn };
	const struct wanted_site where = { .addr = addr, .size = size, .name = name };
	int rc = room_for_one(r, err);
	struct resolved *out;

	if (rc)
		return rc;
	out = &r->found[r->n_found];
	rc = plan_place(r, &rq, where, err);
	if (!rc && r->rq->show_errors >> r->index & 1)
		rc = plan_shown(r, &rq, &where, err);
	if (rc || known_place(r, out->offset))
		resolved_free(out);
	else
		r->n_found++;
	return rc;
}

/* ---- one request ---- */

/* No debug information: why, with the root's name for what the reader opens it by. */
static void show_root(struct resolving *r)
{
	const char *from = r->rq->root, *to = r->rq->root_shown, *rest = r->no_debug.text, *at;
	struct buf out = { 0 };

	if (!to || !from[0])
		return;
	for (; (at = strstr(rest, from)); rest = at + strlen(from)) {
		buf_add(&out, rest, (size_t)(at - rest));
		buf_str(&out, to);
	}
	buf_str(&out, rest);
	if (!out.failed)
		snprintf(r->no_debug.text, sizeof(r->no_debug.text), "%s", buf_text(&out));
	buf_free(&out);
}

static int open_files(struct resolving *r, struct error *err)
{
	bool other_exe = r->rq->exe_fd >= 0 && r->rq->exe_fd != r->rq->fd;
	int rc;

	if (r->rq->kept)
		kept_take(r->rq->kept, r);
	if (fstat(r->rq->fd, &r->st) != 0 || (other_exe && fstat(r->rq->exe_fd, &r->exe_st) != 0))
		return error_set(err, errno, "cannot read %s: %s", r->rq->path, strerror(errno));
	rc = r->img ? 0 : image_open(r->rq->fd, r->rq->path, &r->img, err);
	if (rc)
		return rc;
	if (!r->exe && other_exe && image_open(r->rq->exe_fd, "the executable", &r->exe, NULL))
		r->exe = NULL;
	if (!r->di && debuginfo_open(r->img, r->rq->root, &r->rq->cache, &r->di, &r->no_debug)) {
		r->di = NULL;
		show_root(r);
	}
	return 0;
}

static void drop_found(struct resolving *r)
{
	for (size_t i = 0; i < r->n_found; i++)
		resolved_free(&r->found[i]);
	r->n_found = 0;
}

void close_files(struct resolving *r)
{
	drop_found(r);
	free(r->found);
	free(r->keep_regs);
	expr_free(r->error_expr);
	spec_free(r->spec);
	if (r->rq->kept)
		kept_put(r->rq->kept, r);
	debuginfo_close(r->di);
	image_free(r->img);
	image_free(r->exe);
}

static int resolve_probes(struct resolving *r, uint32_t *failed, struct error *err)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < r->rq->n_index; i++) {
		*failed = r->index = r->rq->index[i];
		r->first = r->n_found;
		spec_free(r->spec);
		r->spec = NULL;
		rc = spec_parse(r->rq->probes[r->index], &r->spec, err);
		if (!rc)
			rc = resolve_functions(r, err);
	}
	return rc;
}

/* It turned out to be damaged on the way: nothing that came from it counts. Symbols are left. */
static void distrust_debug_info(struct resolving *r)
{
	drop_found(r);
	error_set(&r->no_debug, EBADMSG, "the debug information in %.200s cannot be used: %.200s", debuginfo_path(r->di),
		  debuginfo_failure(r->di));
	show_root(r);
	debuginfo_close(r->di);
	r->di = NULL;
	r->blame_error = false;
}

int resolve_all(struct resolving *r, uint32_t *failed, struct error *err)
{
	int rc;

	*failed = UINT32_MAX;
	if (r->rq->error_expr) {
		rc = spec_parse_expr(r->rq->error_expr, &r->error_expr, err);
		if (rc)
			return rc;
	}
	*failed = r->rq->index[0];
	rc = open_files(r, err);
	if (!rc)
		rc = resolve_probes(r, failed, err);
	if (r->di && debuginfo_failure(r->di)) {
		distrust_debug_info(r);
		memset(err, 0, sizeof(*err));
		rc = resolve_probes(r, failed, err);
	}
	if (rc && r->blame_error)
		*failed = UINT32_MAX;
	return rc;
}
