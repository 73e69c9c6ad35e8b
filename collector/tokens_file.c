/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the file of tokens: read, change, write beside it, rename. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tokens_internal.h"

/* The directory's lock, so that two who change the file do not lose each other's change. Closing it unlocks. */
static int lock_directory(const char *path, struct error *err)
{
	char dir[PATH_MAX];
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		error_set(err, errno, "cannot use the directory of %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -err->code;
	}
	return fd;
}

/* Writes a file that only its owner reads, and puts it in the place of the old one when all of it is on the disk. */
static int replace_file(const char *path, const struct buf *text, struct error *err)
{
	char temporary[PATH_MAX];
	int fd, rc = 0;

	if (text->failed)
		return error_set(err, ENOMEM, "out of memory");
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= sizeof(temporary))
		return error_set(err, ENAMETOOLONG, "the path is too long: %s", path);
	fd = mkostemp(temporary, O_CLOEXEC);   /* 0600 */
	if (fd < 0)
		return error_set(err, errno, "cannot write beside %s: %s", path, strerror(errno));
	if (write(fd, buf_text(text), text->len) != (ssize_t)text->len || fsync(fd) || rename(temporary, path))
		rc = error_set(err, errno ? errno : EIO, "cannot write %s: %s", path, strerror(errno));
	close(fd);
	if (rc)
		unlink(temporary);
	return rc;
}

static void put_hex(struct buf *out, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%02x", bytes[i]);
}

static int write_entries(const char *path, const struct token_entry *list, unsigned n, struct error *err)
{
	struct buf text = { 0 };
	int rc;

	buf_str(&text, "# Tokens of plumb-collector: name role salt:hash. Change them with plumb-collector token.\n");
	for (unsigned i = 0; i < n; i++) {
		buf_printf(&text, "%s %s ", list[i].who.name, role_name(list[i].who.role));
		put_hex(&text, list[i].salt, sizeof(list[i].salt));
		buf_char(&text, ':');
		put_hex(&text, list[i].hash, sizeof(list[i].hash));
		buf_char(&text, '\n');
	}
	rc = replace_file(path, &text, err);
	buf_free(&text);
	return rc;
}

/* Fills the entry's salt and hash, and the token. */
static int make_token(struct token_entry *e, char token[TOKEN_TEXT_MAX], struct error *err)
{
	unsigned char secret[TOKEN_BYTES];
	struct buf text = { 0 };

	if (RAND_bytes(secret, sizeof(secret)) != 1 || RAND_bytes(e->salt, sizeof(e->salt)) != 1)
		return error_set(err, EIO, "no random numbers for a token");
	buf_str(&text, "plumb_");
	put_hex(&text, secret, sizeof(secret));
	OPENSSL_cleanse(secret, sizeof(secret));
	if (!text.failed)
		snprintf(token, TOKEN_TEXT_MAX, "%s", buf_text(&text));
	if (text.data)
		OPENSSL_cleanse(text.data, text.len);
	buf_free(&text);
	token_hash(e->salt, token, e->hash);
	return text.failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

static struct token_entry *find(struct token_entry *list, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(list[i].who.name, name) == 0)
			return &list[i];
	return NULL;
}

static int add_locked(const char *path, const char *name, enum role role, char token[TOKEN_TEXT_MAX], struct error *err)
{
	struct token_entry *list, *more, e = { .who = { .role = role } };
	struct stat st;
	unsigned n;
	int rc = tokens_read(path, &list, &n, &st, err);

	if (rc)
		return rc;
	strcpy(e.who.name, name);
	if (find(list, n, name))
		rc = error_set(err, EEXIST, "there is a token of that name: %s", name);
	else if (n >= TOKENS_MAX)
		rc = error_set(err, E2BIG, "there are %u tokens, which is as many as there may be", n);
	else
		rc = make_token(&e, token, err);
	more = rc ? NULL : reallocarray(list, n + 1, sizeof(*list));
	if (more) {
		list = more;
		list[n] = e;
		rc = write_entries(path, list, n + 1, err);
	} else if (!rc) {
		rc = error_set(err, ENOMEM, "out of memory");
	}
	free(list);
	return rc;
}

int token_add(const char *path, const char *name, enum role role, char token[TOKEN_TEXT_MAX], struct error *err)
{
	int lock, rc;

	if (!token_name_ok(name))
		return error_set(err, EINVAL, "a token's name has 1 to %d letters, digits or any of . _ @ -", IDENTITY_NAME_MAX - 1);
	if (role == ROLE_NONE)
		return error_set(err, EINVAL, "a token's role is view, probe or admin");
	lock = lock_directory(path, err);
	if (lock < 0)
		return lock;
	rc = add_locked(path, name, role, token, err);
	close(lock);
	return rc;
}

static int remove_locked(const char *path, const char *name, struct error *err)
{
	struct token_entry *list, *e;
	struct stat st;
	unsigned n;
	int rc = tokens_read(path, &list, &n, &st, err);

	if (rc)
		return rc;
	e = find(list, n, name);
	if (!e) {
		rc = error_set(err, ENOENT, "there is no token of that name: %s", name);
	} else {
		memmove(e, e + 1, (size_t)(list + n - (e + 1)) * sizeof(*e));
		rc = write_entries(path, list, n - 1, err);
	}
	free(list);
	return rc;
}

int token_remove(const char *path, const char *name, struct error *err)
{
	int lock = lock_directory(path, err), rc;

	if (lock < 0)
		return lock;
	rc = remove_locked(path, name, err);
	close(lock);
	return rc;
}

int token_list(const char *path, struct buf *out, struct error *err)
{
	struct token_entry *list;
	struct stat st;
	unsigned n;
	int rc = tokens_read(path, &list, &n, &st, err);

	if (rc)
		return rc;
	buf_printf(out, "%-24s %s\n", "NAME", "ROLE");
	for (unsigned i = 0; i < n; i++)
		buf_printf(out, "%-24s %s\n", list[i].who.name, role_name(list[i].who.role));
	free(list);
	return out->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

int tokens_first(const char *path, const char *admin_path, struct error *err)
{
	struct token_entry *list;
	char token[TOKEN_TEXT_MAX];
	struct buf text = { 0 };
	struct stat st;
	unsigned n;
	int rc = tokens_read(path, &list, &n, &st, err);

	free(list);
	if (rc || st.st_ino)
		return rc;
	rc = token_add(path, "admin", ROLE_ADMIN, token, err);
	if (rc)
		return rc;
	buf_printf(&text, "%s\n", token);
	OPENSSL_cleanse(token, sizeof(token));
	rc = replace_file(admin_path, &text, err);
	buf_free(&text);
	if (rc)   /* a token that nobody can know: the next start makes another */
		unlink(path);
	return rc ? rc : 1;
}
