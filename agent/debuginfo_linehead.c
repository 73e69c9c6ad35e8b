/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which units have a file of a wanted name.  libdw gives a unit's files with its whole line table decoded, which for all
 * units of a large program is seconds of time and gigabytes of memory.  So the header of the table is looked at first, as
 * bytes: names stand in it as they are, or (DWARF 5) as offsets into .debug_line_str.  What looks like one by chance only
 * costs the decoding of one more table; a header that has another form is taken for one that may have the name.
 */
#include <stdlib.h>
#include <string.h>

#include "debuginfo_internal.h"

enum { TAILS_MAX = 1 << 20, FORMATS_MAX = 32 };
static const uint64_t LINE_BYTES_MAX = (uint64_t)2 << 30;
static const uint64_t ESCAPE_64 = 0xffffffff;

/* Offsets [start, end] into .debug_line_str, at all of which a string with the wanted end begins: linkers share tails. */
struct tail { uint64_t start, end; };

struct line_names {
	const char **base;             /* last components of the wanted paths; borrowed */
	uint32_t n;
	struct list tails;
	bool unsure;                   /* out of memory: let all pass */
};

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void add_tail(struct line_names *names, const char *text, const char *at, size_t base_len)
{
	const char *start = at;
	struct tail *t;

	if (at > text && at[-1] != '\0' && at[-1] != '/')
		return;                /* "preorder.c" */
	if (at[base_len] != '\0')
		return;
	while (start > text && start[-1] != '\0')
		start--;
	t = names->tails.count < TAILS_MAX ? list_add(&names->tails) : NULL;
	if (t)
		*t = (struct tail){ (uint64_t)(start - text), (uint64_t)(at - text) };
	else
		names->unsure = true;
}

static void find_tails(struct line_names *names, const Elf_Data *strings)
{
	const char *text = strings->d_buf, *end = memrchr(text, '\0', strings->d_size);

	for (uint32_t i = 0; end && i < names->n; i++) {
		size_t len = strlen(names->base[i]);
		const char *at = text;

		while (at < end && (at = memmem(at, (size_t)(end - at), names->base[i], len))) {
			add_tail(names, text, at, len);
			at += len;
		}
	}
}

static int tail_compare(const void *a, const void *b)
{
	const struct tail *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

void line_sections(struct debuginfo *di)
{
	if (di->line_read)
		return;
	di->line = section_data(di, ".debug_line", LINE_BYTES_MAX);
	di->line_str = section_data(di, ".debug_line_str", LINE_BYTES_MAX);
	di->line_read = true;
}

struct line_names *line_names_new(struct debuginfo *di, const struct line_query *queries, uint32_t n)
{
	struct line_names *names = calloc(1, sizeof(*names));

	if (names)
		names->base = calloc(n, sizeof(*names->base));
	if (!names || !names->base) {
		free(names);
		return NULL;
	}
	line_sections(di);
	names->tails.item_size = sizeof(struct tail);
	for (uint32_t i = 0; i < n; i++) {
		const char *base = last_component(queries[i].path);

		if (!*base)
			names->unsure = true;
		else
			names->base[names->n++] = base;
	}
	if (di->line_str && di->line_str->d_buf && di->line_str->d_size)
		find_tails(names, di->line_str);
	if (names->tails.count > 1)
		qsort(names->tails.items, names->tails.count, sizeof(struct tail), tail_compare);
	return names;
}

void line_names_free(struct line_names *names)
{
	if (!names)
		return;
	list_free(&names->tails);
	free(names->base);
	free(names);
}

/* ---- one header ---- */

bool line_head_take(struct line_head *h, void *out, size_t n)
{
	if ((size_t)(h->end - h->at) < n)
		return false;
	memcpy(out, h->at, n);
	h->at += n;
	return true;
}

bool line_head_take_offset(struct line_head *h, uint64_t *out)
{
	uint32_t half = 0;
	bool ok = h->wide ? line_head_take(h, out, sizeof(*out)) : line_head_take(h, &half, sizeof(half));

	if (!h->wide)
		*out = half;
	return ok;
}

bool line_head_read(const Elf_Data *line, uint64_t offset, struct line_head *h)
{
	uint32_t first;
	uint64_t len;
	uint8_t sizes[2];

	if (offset >= line->d_size)
		return false;
	*h = (struct line_head){ .at = (const unsigned char *)line->d_buf + offset,
			    .end = (const unsigned char *)line->d_buf + line->d_size };
	if (!line_head_take(h, &first, sizeof(first)))
		return false;
	h->wide = first == ESCAPE_64;
	if (h->wide && !line_head_take(h, &len, sizeof(len)))
		return false;
	if (!line_head_take(h, &h->version, sizeof(h->version)) || h->version < 2 || h->version > 5)
		return false;
	if (h->version == 5 && !line_head_take(h, sizes, sizeof(sizes)))
		return false;
	if (!line_head_take_offset(h, &len) || len > (uint64_t)(h->end - h->at))
		return false;
	h->end = h->at + len;
	return true;
}

/* The forms of the directories' fields: compilers write both tables in the same ones. */
static bool has_known_forms(const struct line_head *h)
{
	const unsigned char *at = h->at + 5;   /* min_inst_length .. line_range */
	unsigned n;

	if (h->version < 5)
		return true;
	if (h->end - h->at < 8 || at[0] == 0 || h->end - at < at[0] + 1)
		return false;
	at += at[0];                   /* opcode_base - 1 lengths and itself */
	n = *at++;
	if (n > FORMATS_MAX || h->end - at < 2 * (ptrdiff_t)n)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (at[2 * i] > 0x7f || (at[2 * i + 1] != DW_FORM_string && at[2 * i + 1] != DW_FORM_line_strp &&
					 at[2 * i + 1] != DW_FORM_udata && at[2 * i + 1] != DW_FORM_data16))
			return false;
	return true;
}

static bool has_tail(const struct line_names *names, uint64_t offset)
{
	size_t low = 0, high = names->tails.count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list_at(&names->tails, struct tail, mid).start <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	/* several wanted names may end in one string */
	for (size_t i = low; i > 0 && low - i < 4; i--)
		if (offset <= list_at(&names->tails, struct tail, i - 1).end)
			return true;
	return false;
}

static bool has_offset(const struct line_names *names, const struct line_head *h)
{
	if (!names->tails.count || h->wide)
		return h->wide;
	for (const unsigned char *at = h->at; h->end - at >= 4; at++) {
		uint32_t offset;

		memcpy(&offset, at, sizeof(offset));
		if (has_tail(names, offset))
			return true;
	}
	return false;
}

static bool has_text(const struct line_names *names, const struct line_head *h)
{
	for (uint32_t i = 0; i < names->n; i++)
		if (memmem(h->at, (size_t)(h->end - h->at), names->base[i], strlen(names->base[i]) + 1))
			return true;
	return false;
}

bool line_names_in(struct line_names *names, struct debuginfo *di, Dwarf_Die *cu)
{
	uint64_t offset;
	struct line_head h;

	if (names->unsure || !di->line || !di->line->d_buf)
		return true;
	if (!die_udata(cu, DW_AT_stmt_list, &offset))
		return false;
	if (!line_head_read(di->line, offset, &h) || !has_known_forms(&h))
		return true;
	return has_text(names, &h) || (h.version == 5 && has_offset(names, &h));
}
