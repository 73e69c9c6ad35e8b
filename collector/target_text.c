/* SPDX-License-Identifier: Apache-2.0 */
#include "target_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "text.h"

enum { TARGET_MAX = 4096 };

static int add(const msgpack_object *o, const char *option, struct buf *target, struct buf *service)
{
	char *text = object_text(o, TARGET_MAX), *base;

	if (!text || !text[0]) {
		free(text);
		return -EPROTO;
	}
	base = strrchr(text, '/');
	base = base && base[1] ? base + 1 : text;
	buf_str(target, option);
	text_safe(target, text);
	text_safe(service, base);
	free(text);
	return 0;
}

int target_text(const msgpack_object *o, struct buf *target, struct buf *service)
{
	uint64_t pid;

	if (object_u64(map_get(o, "pid"), &pid)) {
		buf_printf(target, "-p %lu", (unsigned long)pid);
		buf_printf(service, "pid %lu", (unsigned long)pid);
		return 0;
	}
	if (map_get(o, "name"))
		return add(map_get(o, "name"), "-s ", target, service);
	return add(map_get(o, "path"), "", target, service);
}
