/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of its own for each test program, and files in it: built by the compiler, written, read, opened. */
#ifndef TEST_IMAGE_FILES_H
#define TEST_IMAGE_FILES_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

#define UNUSED_OK __attribute__((unused))

static char dir[64];

UNUSED_OK static void make_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%.40s/plumb-image.XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
}

static void sh(const char *fmt, ...) __attribute__((format(printf, 1, 2), unused));

static void sh(const char *fmt, ...)
{
	char command[2048];
	int n = snprintf(command, sizeof(command), "cd %s && ", dir);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

UNUSED_OK static char *at(const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

UNUSED_OK static void put(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(at(name), "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

UNUSED_OK static unsigned char *get(const char *name, size_t *len)
{
	FILE *f = fopen(at(name), "rb");
	struct stat st;
	unsigned char *data;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	data = malloc((size_t)st.st_size);
	assert_non_null(data);
	*len = fread(data, 1, (size_t)st.st_size, f);
	assert_int_equal(*len, st.st_size);
	fclose(f);
	return data;
}

UNUSED_OK static int try_open(const char *path, struct image **img, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;

	assert_true(fd >= 0);
	memset(err, 0, sizeof(*err));
	rc = image_open(fd, path, img, err);
	close(fd);
	if (rc != 0) {
		assert_null(*img);
		assert_int_equal(err->code, -rc);
		assert_true(err->text[0]);
	}
	return rc;
}

UNUSED_OK static struct image *must_open(const char *name)
{
	struct image *img;
	struct error err;

	if (try_open(name[0] == '/' ? name : at(name), &img, &err) != 0)
		fail_msg("%s", err.text);
	return img;
}

UNUSED_OK static struct symbol must_find(const struct image *img, const char *name)
{
	struct symbol sym;

	if (image_find(img, name, &sym) != 0)
		fail_msg("%s: no %s", image_path(img), name);
	return sym;
}

UNUSED_OK static void must_miss(const struct image *img, const char *name)
{
	struct symbol sym;

	if (image_find(img, name, &sym) != -ENOENT)
		fail_msg("%s: unexpected %s", image_path(img), name);
}

UNUSED_OK static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

UNUSED_OK static int remove_dir(void **state)
{
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
