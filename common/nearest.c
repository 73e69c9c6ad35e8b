/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean ...?"  Candidates may be every symbol of a large program, so most are turned away by their length
 * before any distance is computed, and a distance is given up as soon as it cannot be good enough any more.
 */
#include "plumb/error.h"

#include <stdio.h>
#include <string.h>

enum {
	KEPT = sizeof(((struct nearest *)0)->names) / sizeof(((struct nearest *)0)->names[0]),
	NAME_MAX_LEN = sizeof(((struct nearest *)0)->names[0]) - 1,
	WANT_MAX_LEN = NAME_MAX_LEN + NAME_MAX_LEN / 2, /* a longer one is too far from every name that can be kept */
};

static int min_of(int a, int b)
{
	return a < b ? a : b;
}

/* One row of the edit matrix: row i from rows i-1 and i-2. Returns its smallest entry. */
static int distance_row(const char *a, size_t i, const char *b, size_t n, const int *before, const int *above, int *row)
{
	int smallest = row[0] = (int)i;

	for (size_t j = 1; j <= n; j++) {
		int change = above[j - 1] + (a[i - 1] != b[j - 1]);
		int best = min_of(change, min_of(above[j], row[j - 1]) + 1);

		if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
			best = min_of(best, before[j - 2] + 1);
		row[j] = best;
		smallest = min_of(smallest, best);
	}
	return smallest;
}

/* Damerau-Levenshtein (adjacent swaps count one); limit + 1 when it is more than limit. */
static int distance(const char *a, size_t m, const char *b, size_t n, int limit)
{
	int rows[3][NAME_MAX_LEN + 1];
	int last_smallest = 0;

	for (size_t j = 0; j <= n; j++)
		rows[0][j] = (int)j;
	for (size_t i = 1; i <= m; i++) {
		int smallest = distance_row(a, i, b, n, rows[(i + 1) % 3], rows[(i - 1) % 3], rows[i % 3]);

		/* a swap reaches back two rows, so both must be hopeless */
		if (smallest > limit && last_smallest > limit)
			return limit + 1;
		last_smallest = smallest;
	}
	return min_of(rows[m % 3][n], limit + 1);
}

static int limit_of(const char *want)
{
	size_t third = strlen(want) / 3;

	return third < 1 ? 1 : (int)third;
}

void nearest_init(struct nearest *n, const char *want)
{
	memset(n, 0, sizeof(*n));
	n->want = want;
	for (int i = 0; i < KEPT; i++)
		n->best[i] = strlen(want) <= WANT_MAX_LEN ? limit_of(want) + 1 : 0;
}

static int is_kept(const struct nearest *n, const char *candidate)
{
	for (int i = 0; i < KEPT; i++)
		if (strcmp(n->names[i], candidate) == 0)
			return 1;
	return 0;
}

static void keep(struct nearest *n, const char *candidate, int d)
{
	int at = KEPT - 1;

	for (; at > 0 && n->best[at - 1] > d; at--) {
		n->best[at] = n->best[at - 1];
		memcpy(n->names[at], n->names[at - 1], sizeof(n->names[at]));
	}
	n->best[at] = d;
	memcpy(n->names[at], candidate, strlen(candidate) + 1);
}

void nearest_offer(struct nearest *n, const char *candidate)
{
	int limit = n->best[KEPT - 1] - 1; /* only what is nearer than the worst one kept */
	size_t want_len, len;
	int d, apart;

	if (limit < 1 || !candidate)
		return;
	want_len = strlen(n->want);
	len = strnlen(candidate, NAME_MAX_LEN + 1);
	apart = (int)want_len - (int)len;
	if (len == 0 || len > NAME_MAX_LEN || apart > limit || -apart > limit)
		return;
	d = distance(n->want, want_len, candidate, len, limit);
	/* 0: the very name that did not do; the whole length: nothing in common */
	if (d > limit || d == 0 || (size_t)d >= (len > want_len ? len : want_len) || is_kept(n, candidate))
		return;
	keep(n, candidate, d);
}

int nearest_hint(const struct nearest *n, struct error *err)
{
	const char *a = n->names[0], *b = n->names[1], *c = n->names[2];

	if (!err)
		return -1;
	if (*c)
		return error_hint(err, "did you mean '%s', '%s' or '%s'?", a, b, c);
	if (*b)
		return error_hint(err, "did you mean '%s' or '%s'?", a, b);
	if (*a)
		return error_hint(err, "did you mean '%s'?", a);
	return -err->code;
}
