/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon's YAML file.
 *
 * fuzz-sources: common/config.c common/buf.c common/error.c
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' }, { "keep-days", required_argument, NULL, 'k' }, { "insecure", no_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	static int fd = -1;
	static char path[40];
	char *argv[] = { "d", NULL };
	struct error err;
	struct config *c;

	if (fd < 0) {
		fd = memfd_create("config", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	if (config_read(path, options, 1, argv, &c, &err))
		return 0;
	for (int i = 1; i < config_argc(c); i++)
		if (strncmp(config_argv(c)[i], "--", 2))
			abort();
	config_free(c);
	return 0;
}
