/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"

int file_read(const char *path, size_t max, char **out, size_t *len, struct error *err)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	struct buf all = { 0 };
	ssize_t n = 1;

	if (fd < 0)
		return error_set(err, errno, "cannot read %s: %s", path, strerror(errno));
	while (!rc && n > 0) {
		char *to = buf_reserve(&all, 65536);

		n = to ? read(fd, to, 65536) : 0;
		if (!to)
			rc = error_set(err, ENOMEM, "no memory for %s", path);
		else if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			rc = error_set(err, errno, "cannot read %s: %s", path, strerror(errno));
		else if ((all.len += (size_t)n) > max)
			rc = error_set(err, E2BIG, "%s is larger than %zu %s", path, max >> (max >> 20 ? 20 : 10), max >> 20 ? "MiB" : "KiB");
	}
	if (fd != STDIN_FILENO)
		close(fd);
	if (!rc)
		buf_char(&all, '\0');
	if (rc || all.failed) {
		buf_free(&all);
		return rc ? rc : error_set(err, ENOMEM, "no memory for %s", path);
	}
	*out = all.data;
	*len = all.len - 1;
	return 0;
}
