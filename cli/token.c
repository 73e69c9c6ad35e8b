/* SPDX-License-Identifier: Apache-2.0 */
#include "token.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plumb/wire.h"

/* What everybody can read is no secret. */
static int check_rights(int fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return error_set(err, errno, "cannot read the token in %s: %s", path, strerror(errno));
	if (st.st_mode & (S_IROTH | S_IWOTH)) {
		error_set(err, EPERM, "others can read the token in %s", path);
		error_hint(err, "chmod 600 %s", path);
		return -EPERM;
	}
	return 0;
}

/* -ENOENT without a word if there is no such file. */
static int read_token(const char *path, char token[TOKEN_MAX], struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : error_set(err, errno, "cannot read the token in %s: %s", path, strerror(errno));
	rc = check_rights(fd, path, err);
	n = rc ? 0 : read(fd, token, TOKEN_MAX - 1);
	close(fd);
	if (rc)
		return rc;
	token[n > 0 ? n : 0] = '\0';
	token[strcspn(token, " \t\r\n")] = '\0';
	for (const char *p = token; *p; p++)
		if (!isgraph((unsigned char)*p))
			n = 0;
	return n > 0 && token[0] ? 0 : error_set(err, EINVAL, "there is no token in %s", path);
}

static int read_users(char token[TOKEN_MAX], struct error *err)
{
	const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char path[PATH_MAX];

	if (base && base[0])
		snprintf(path, sizeof(path), "%s/plumb/token", base);
	else
		snprintf(path, sizeof(path), "%s/.config/plumb/token", home ? home : "");
	return read_token(path, token, err);
}

int token_load(const struct args *a, char token[TOKEN_MAX], struct error *err)
{
	int rc = a->token_file ? read_token(a->token_file, token, err) : read_users(token, err);

	if (rc == -ENOENT && a->token_file)
		return error_set(err, ENOENT, "there is no token file %s", a->token_file);
	if (rc == -ENOENT && geteuid() == 0)
		rc = read_token(PLUMB_ADMIN_TOKEN, token, err);
	if (rc == -ENOENT) {
		error_set(err, ENOENT, "a collector wants to know who asks, and there is no token");
		error_hint(err, "whoever runs it makes one: plumb-collector token add NAME view|probe|admin; put it into ~/.config/plumb/token");
		return -ENOENT;
	}
	return rc;
}
