/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may ask a collector: a file of lines "name role salt:hash", '#' begins a comment.
 *
 * A token is 256 random bits, so that one SHA-256 over salt and token is enough: there is nothing to guess that a slow hash would
 * slow down, and a request must not cost the collector a second.  Only the hash is kept; the token is shown once, when it is made.
 * The file is read again when it has changed.
 */
#ifndef PLUMB_TOKENS_H
#define PLUMB_TOKENS_H

#include "buf.h"
#include "roles.h"

enum { TOKEN_TEXT_MAX = 80 };   /* with its NUL: "plumb_" and 64 hex digits */

struct tokens;   /* owns what was read */

/* A file that is not there has no tokens. -EINVAL: a line of it is none; -EACCES, ...: it cannot be read. */
int tokens_open(const char *path, struct tokens **out, struct error *err);
void tokens_free(struct tokens *t);   /* takes NULL */
/* Looks at the file if it has changed. On failure what was read before stays. */
int tokens_reload(struct tokens *t, struct error *err);
unsigned tokens_count(const struct tokens *t);
/* Whose token it is; looks at the file first. -EACCES: nobody's. The time it takes tells nothing of the tokens. */
int tokens_check(struct tokens *t, const char *token, struct identity *who, struct error *err);

/* What `plumb-collector token` does. They lock each other out; the file is replaced as a whole and readable for its owner only. */
/* Makes a token and puts it into `token`. -EEXIST: the name has one. */
int token_add(const char *path, const char *name, enum role role, char token[TOKEN_TEXT_MAX], struct error *err);
/* -ENOENT: the name has none. */
int token_remove(const char *path, const char *name, struct error *err);
/* Appends a table of names and roles. */
int token_list(const char *path, struct buf *out, struct error *err);

/* At the first start: if there is no file yet, makes one with the role admin and writes it to admin_path (0600), so that
 * root on this host can work at once. 1: it did. */
int tokens_first(const char *path, const char *admin_path, struct error *err);

#endif
