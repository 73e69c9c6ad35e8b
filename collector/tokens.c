/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tokens_internal.h"

struct tokens {
	char *path;
	struct token_entry *entry;
	unsigned n;
	struct stat seen;        /* the file, as it was read */
	bool there;
};

/* ---- one line ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(const char *text, unsigned char *out, size_t n)
{
	if (strlen(text) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

bool token_name_ok(const char *name)
{
	return name[0] && strlen(name) < IDENTITY_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-") == strlen(name);
}

/* "name role salt:hash" -> 0; the line is taken apart. */
static int parse_line(char *line, struct token_entry *e)
{
	char *save = NULL, *name = strtok_r(line, " \t\n", &save), *role = strtok_r(NULL, " \t\n", &save);
	char *salt = strtok_r(NULL, ": \t\n", &save), *hash = strtok_r(NULL, " \t\n", &save);

	if (!hash || strtok_r(NULL, " \t\n", &save) || !token_name_ok(name))
		return -EINVAL;
	strcpy(e->who.name, name);
	e->who.role = role_parse(role);
	return e->who.role != ROLE_NONE && from_hex(salt, e->salt, TOKEN_SALT_BYTES) && from_hex(hash, e->hash, SHA256_DIGEST_LENGTH) ? 0 : -EINVAL;
}

static int append(struct token_entry **list, unsigned *n, const struct token_entry *e)
{
	struct token_entry *more = reallocarray(*list, *n + 1, sizeof(**list));

	if (!more)
		return -ENOMEM;
	more[(*n)++] = *e;
	*list = more;
	return 0;
}

/* ---- the file ---- */

static int read_lines(FILE *f, const char *path, struct token_entry **list, unsigned *n, struct error *err)
{
	char line[TOKEN_LINE_MAX];

	for (unsigned number = 1; fgets(line, sizeof(line), f); number++) {
		size_t blanks = strspn(line, " \t\n");
		struct token_entry e;

		if (!line[blanks] || line[blanks] == '#')
			continue;
		if (*n >= TOKENS_MAX)
			return error_set(err, E2BIG, "%s has more than %d tokens", path, TOKENS_MAX);
		if (parse_line(line, &e) < 0)
			return error_set(err, EINVAL, "%s:%u: this is not \"name role salt:hash\"", path, number);
		if (append(list, n, &e) < 0)
			return error_set(err, ENOMEM, "out of memory");
	}
	return ferror(f) ? error_set(err, EIO, "cannot read %s", path) : 0;
}

int tokens_read(const char *path, struct token_entry **list, unsigned *n, struct stat *st, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;   /* a FIFO would keep it waiting */
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

	*list = NULL;
	*n = 0;
	memset(st, 0, sizeof(*st));
	if (!f && fd >= 0)
		close(fd);
	if (!f)
		return fd < 0 && errno == ENOENT ? 0 : error_set(err, errno, "cannot read %s: %s", path, strerror(errno));
	rc = fstat(fileno(f), st) ? error_set(err, errno, "cannot read %s: %s", path, strerror(errno)) : 0;
	if (!rc && !S_ISREG(st->st_mode))
		rc = error_set(err, EINVAL, "%s is no file", path);
	if (!rc && (st->st_mode & S_IWOTH))
		rc = error_set(err, EPERM, "%s can be written by everybody: chmod o-w it", path);
	if (!rc)
		rc = read_lines(f, path, list, n, err);
	(void)fclose(f);
	if (rc) {
		free(*list);
		*list = NULL;
		*n = 0;
	}
	return rc;
}

int tokens_open(const char *path, struct tokens **out, struct error *err)
{
	struct tokens *t = calloc(1, sizeof(*t));
	int rc;

	if (t)
		t->path = strdup(path);
	if (!t || !t->path) {
		tokens_free(t);
		return error_set(err, ENOMEM, "out of memory");
	}
	rc = tokens_read(path, &t->entry, &t->n, &t->seen, err);
	if (rc) {
		tokens_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

void tokens_free(struct tokens *t)
{
	if (!t)
		return;
	free(t->path);
	free(t->entry);
	free(t);
}

/* A new file has another inode; who edits in place changes time or size. */
static bool unchanged(const struct tokens *t)
{
	struct stat st;

	if (stat(t->path, &st))
		memset(&st, 0, sizeof(st));
	return st.st_ino == t->seen.st_ino && st.st_dev == t->seen.st_dev && st.st_size == t->seen.st_size &&
	       st.st_mtim.tv_sec == t->seen.st_mtim.tv_sec && st.st_mtim.tv_nsec == t->seen.st_mtim.tv_nsec;
}

int tokens_reload(struct tokens *t, struct error *err)
{
	struct token_entry *list;
	struct stat st;
	unsigned n;
	int rc;

	if (unchanged(t))
		return 0;
	rc = tokens_read(t->path, &list, &n, &st, err);
	if (rc)
		return rc;
	free(t->entry);
	t->entry = list;
	t->n = n;
	t->seen = st;
	return 0;
}

unsigned tokens_count(const struct tokens *t)
{
	return t->n;
}

/* ---- tokens ---- */

void token_hash(const unsigned char salt[TOKEN_SALT_BYTES], const char *token, unsigned char hash[SHA256_DIGEST_LENGTH])
{
	unsigned char text[TOKEN_SALT_BYTES + TOKEN_TEXT_MAX];
	size_t len = strnlen(token, TOKEN_TEXT_MAX);

	memcpy(text, salt, TOKEN_SALT_BYTES);
	memcpy(text + TOKEN_SALT_BYTES, token, len);
	SHA256(text, TOKEN_SALT_BYTES + len, hash);
	OPENSSL_cleanse(text, sizeof(text));
}

/* Every entry is compared, also after one that fits. */
int tokens_check(struct tokens *t, const char *token, struct identity *who, struct error *err)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	const struct token_entry *found = NULL;

	tokens_reload(t, NULL);
	for (unsigned i = 0; i < t->n; i++) {
		token_hash(t->entry[i].salt, token, hash);
		if (CRYPTO_memcmp(hash, t->entry[i].hash, sizeof(hash)) == 0)
			found = &t->entry[i];
	}
	if (strnlen(token, TOKEN_TEXT_MAX) >= TOKEN_TEXT_MAX || !found) {
		error_set(err, EACCES, "the collector does not know this token");
		error_hint(err, "whoever runs the collector makes one with: plumb-collector token add NAME view|probe|admin");
		return -EACCES;
	}
	*who = found->who;
	return 0;
}
