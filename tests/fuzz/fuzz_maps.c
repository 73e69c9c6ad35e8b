/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of /proc/PID: the first byte chooses the parser, the rest is the text.
 *
 * fuzz-sources: agent/service_parse.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
	if (!ok)
		abort();
}

static void fuzz_maps(const char *text, size_t len)
{
	const char *pos = text, *end = text + len;
	struct maps_line line;
	char path[64];

	while (maps_next(&pos, end, &line)) {
		need(line.start < line.end && line.path >= text && line.path + line.path_len <= end);
		maps_path(&line, path, sizeof(path));
		need(memchr(path, '\0', sizeof(path)) != NULL);
		cut_deleted(path);
	}
	need(pos == end);
}

static void fuzz_cgroup(const char *text, size_t len)
{
	char unit[32], container[CONTAINER_DIGITS + 1];

	parse_cgroup(text, len, unit, sizeof(unit), container);
	need(strlen(unit) < sizeof(unit));
	need(!container[0] || is_container_id(container, strlen(container), true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc_status status;
	struct proc_stat stat;
	char *text;

	if (size < 1)
		return 0;
	text = malloc(size);   /* no terminator: the parsers must keep to the length */
	memcpy(text, data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
		fuzz_maps(text, size - 1);
		break;
	case 1:
		fuzz_cgroup(text, size - 1);
		break;
	case 2:
		need(parse_stat(text, size - 1, &stat) || memchr(stat.comm, '\0', sizeof(stat.comm)));
		break;
	default:
		parse_status(text, size - 1, &status);
	}
	free(text);
	return 0;
}
