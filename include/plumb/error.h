/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One error convention for the whole product.
 *
 * A function returns 0 (or a count) or -errno.  Where the failure can reach a user it also takes a
 * `struct error *` and fills it once, at the depth that knows why.  Nothing below main() prints or exits.
 * `err` may be NULL everywhere: then only the code travels.
 */
#ifndef PLUMB_ERROR_H
#define PLUMB_ERROR_H

struct error {
	int code;         /* positive errno; 0 = no error */
	char text[512];   /* one sentence, no newline, no trailing full stop */
	char hint[512];   /* what to do, or the nearest names; "" = none */
	int col;          /* 1-based column (bytes) in the user's input; 0 = no position */
	int len;          /* bytes to underline, at least 1 when col > 0 */
};

/* Fill `err` (position and hint cleared) and return -code. */
int error_set(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Add a position (bytes, 1-based) to an error that was set before. Returns -err->code. */
int error_at(struct error *err, int col, int len);

/* Add a hint to an error that was set before. Returns -err->code. */
int error_hint(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Collects the nearest names for a "did you mean" hint: feed every candidate, then ask for the hint.
 * Distance: Damerau-Levenshtein, at most a third of the wanted name's length (at least 1).
 * The object is plain data, owns nothing, and keeps copies.
 */
struct nearest {
	const char *want;     /* borrowed, must outlive the object */
	int best[3];
	char names[3][96];
};

void nearest_init(struct nearest *n, const char *want);
void nearest_offer(struct nearest *n, const char *candidate);
/* Adds "did you mean 'x', 'y' or 'z'?" to err when there is a candidate. Returns -err->code. */
int nearest_hint(const struct nearest *n, struct error *err);

#endif
