/* SPDX-License-Identifier: Apache-2.0 */
/* Functions with return values of every kind. */
#include <stdio.h>
#include <time.h>

#include "exact.h"

static _Thread_local volatile uint64_t sink;

const struct leaf given_leaf = { 4711, "given" };

PROBED void give_void(uint64_t i)
{
	sink = i;
}

PROBED int give_int(uint64_t i)
{
	return fails(i) ? -FAIL_CODE : (int)(i & 0xffff);
}

PROBED int64_t give_long(uint64_t i)
{
	return fails(i) ? -FAIL_CODE : (int64_t)(i << 32 | 1);
}

PROBED uint8_t give_byte(uint64_t i)
{
	return i;
}

PROBED bool give_bool(uint64_t i)
{
	return !fails(i);
}

PROBED enum level give_enum(uint64_t i)
{
	static const enum level levels[] = { LOW, MID, HIGH };

	return levels[i % 3];
}

PROBED const struct leaf *give_pointer(uint64_t i)
{
	return fails(i) ? NULL : &given_leaf;
}

PROBED const char *give_text(uint64_t i)
{
	static _Thread_local char text[32];

	if (fails(i))
		return NULL;
	snprintf(text, sizeof(text), "text-%llu", (unsigned long long)i);
	return text;
}

PROBED struct pair give_pair(uint64_t i)
{
	return (struct pair){ i, -(int64_t)i };
}

PROBED struct wide give_wide(uint64_t i)
{
	return (struct wide){ i, i + 1, i + 2, i + 3 };
}

PROBED double give_double(uint64_t i)
{
	return i + 0.5;
}

/* Leaves early, before it needs a frame, in most of its ways. */
PROBED int give_early(int64_t v)
{
	char text[64];

	if (v < 0)
		return -FAIL_CODE;
	if (v == 0)
		return 1;
	if (v & 1)
		return 2;
	return 3 + (snprintf(text, sizeof(text), "%lld", (long long)v) > 0);
}

PROBED int give_slowly(uint64_t i)
{
	struct timespec ts = { .tv_nsec = i % 10 == 9 ? 20000000 : 200000 };

	nanosleep(&ts, NULL);
	return fails(i) ? -FAIL_CODE : 0;
}
