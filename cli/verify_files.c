/* SPDX-License-Identifier: Apache-2.0 */
#include "verify_files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verify_args.h"

enum { WRITTEN_MAX = REPORT_TARGETS + 1, READ_MAX = 5, WHOLE_MAX = PATH_MAX + NAME_MAX };

/* A path without links and dots, of a file that may not be there yet. "-", a device or a pipe: as it is. */
struct file {
	const char *path;
	bool there, plain;           /* plain: what is in it stays there */
	char whole[WHOLE_MAX];
};

static void find_whole(struct file *f)
{
	char copy[PATH_MAX], directory[PATH_MAX], *name;

	if (!f->plain)
		return;
	if (f->there) {
		if (realpath(f->path, directory))
			snprintf(f->whole, sizeof(f->whole), "%s", directory);
		return;
	}
	snprintf(copy, sizeof(copy), "%s", f->path);
	name = strrchr(f->path, '/');
	if (realpath(dirname(copy), directory))
		snprintf(f->whole, sizeof(f->whole), "%s/%s", directory, name ? name + 1 : f->path);
}

static void look_at(struct file *f, const char *path)
{
	struct stat st;

	f->path = path;
	f->there = strcmp(path, "-") != 0 && stat(path, &st) == 0;
	f->plain = f->there ? S_ISREG(st.st_mode) : strcmp(path, "-") != 0;
	snprintf(f->whole, sizeof(f->whole), "%s", path);
	find_whole(f);
}

/* Two reports in one stream are none that a program could read; in /dev/null nobody reads them. */
static bool is_same(const struct file *a, const struct file *b)
{
	bool stream = strcmp(a->path, "-") == 0 && strcmp(b->path, "-") == 0;

	return stream || (a->plain && b->plain && strcmp(a->whole, b->whole) == 0);
}

static int check_apart(const struct file *written, int n, const struct file *read, int n_read, struct error *err)
{
	for (int i = 0; i < n; i++) {
		for (int k = 0; k < i; k++)
			if (is_same(&written[k], &written[i]))
				return error_set(err, EINVAL, "two of the reports and the record go to %s: each needs a file of its own",
						 written[i].path);
		for (int k = 0; k < n_read; k++)
			if (is_same(&read[k], &written[i]))
				return error_set(err, EINVAL, "%s is read and would be written over", written[i].path);
	}
	return 0;
}

/* What would only fail after the run. A file that is there is left as it is. */
static int check_writable(const struct file *f, struct error *err)
{
	struct stat st;
	int fd;

	if (!f->plain && !(f->there && stat(f->path, &st) == 0 && S_ISDIR(st.st_mode)))
		return 0;
	fd = open(f->path, O_WRONLY | O_CLOEXEC | (f->there ? 0 : O_CREAT), 0644);
	if (fd < 0)
		return error_set(err, errno, "cannot write %s: %s", f->path, strerror(errno));
	close(fd);
	if (!f->there)
		unlink(f->path);
	return 0;
}

/* A file that is mounted by itself can only be emptied. */
static int remove_old(const struct file *f, struct error *err)
{
	if (f->there && f->plain && unlink(f->whole) < 0 && truncate(f->path, 0) < 0)
		return error_set(err, errno, "cannot remove %s, of an earlier run: %s", f->path, strerror(errno));
	return 0;
}

/* The first n of what is written are reports. */
static int prepare(const struct args *a, struct file *written, int n, struct file *read, struct error *err)
{
	const char *const inputs[READ_MAX] = { a->verify.patch, a->verify.replay, a->verify.sign_key, a->verify.verify_key,
					       a->n_rest ? a->rest[0] : NULL };
	int n_read = 0, all = n, rc;

	for (int i = 0; i < READ_MAX; i++)
		if (inputs[i] && strcmp(inputs[i], "-") != 0)
			look_at(&read[n_read++], inputs[i]);
	if (a->verify.record)
		look_at(&written[all++], a->verify.record);
	rc = check_apart(written, all, read, n_read, err);
	for (int i = 0; !rc && i < all; i++)
		rc = check_writable(&written[i], err);
	for (int i = 0; !rc && i < n; i++)
		rc = remove_old(&written[i], err);
	return rc;
}

int verify_files_prepare(const struct args *a, struct error *err)
{
	struct report_target target[REPORT_TARGETS];
	int n = a->verify.report ? report_targets(a->verify.report, target, err) : 0, rc;
	struct file *file = n < 0 ? NULL : calloc(WRITTEN_MAX + READ_MAX, sizeof(*file));

	if (n < 0)
		return n;
	for (int i = 0; file && i < n; i++)
		look_at(&file[i], target[i].path);
	rc = file ? prepare(a, file, n, file + WRITTEN_MAX, err) : error_set(err, ENOMEM, "no memory");
	for (int i = 0; i < n; i++)
		free(target[i].path);
	free(file);
	return rc;
}
