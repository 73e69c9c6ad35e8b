/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of the take_* functions; the list that tests compare with is in exact.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exact.h"
#include "exact_step.h"

enum {
	/* The kernel maps up to 64 KiB around a page that a fault asks for. */
	ABSENT_STRIDE = 65536,
};

static const enum color colors[] = { RED, GREEN, BLUE, ALPHA };

static char *absent_pages;
static struct node *unmapped;

static int prepare_absent(uint64_t calls)
{
	uint64_t n = calls < ABSENT_MAX ? calls : ABSENT_MAX, i;
	int fd = memfd_create("absent", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, n * ABSENT_STRIDE))
		return -errno;
	for (i = 0; i < n; i++) {
		struct leaf leaf = { i, "absent" };

		if (pwrite(fd, &leaf, sizeof(leaf), i * ABSENT_STRIDE) != sizeof(leaf))
			return -errno;
	}
	absent_pages = mmap(NULL, n * ABSENT_STRIDE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return absent_pages == MAP_FAILED ? -errno : 0;
}

int take_prepare(uint64_t calls)
{
	/* Reserved without access, so that nothing else can come to lie there. */
	unmapped = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (unmapped == MAP_FAILED)
		return -errno;
	return calls ? prepare_absent(calls) : 0;
}

void step_ints(uint64_t i, struct tally *t)
{
	tally_result(t, F_take_ints, i, take_ints(i, i * 3, -i, i * 7, (int32_t)(-1000 * (int64_t)i), i * 2654435761u));
	tally_result(t, F_take_longs, i,
		     take_longs(-(int64_t)i * 1000000000000, i * 0x9e3779b97f4a7c15, 'a' + i % 26, i % 2, colors[i % 4],
				(void *)(0x1000 + i * 16)));
}

static const char *text_of(uint64_t i, char *text, size_t size)
{
	if (i % 5 == 4)
		return NULL;
	if (i % 11 == 10)
		return "";
	if (i % 13 == 12) {
		memset(text, 'x', 300);
		text[300] = '\0';
	} else {
		snprintf(text, size, "call-%llu", (unsigned long long)i);
	}
	return text;
}

static void fill_names(struct names *n, uint64_t i)
{
	char name[16];
	int k;

	memset(n, 0, sizeof(*n));
	snprintf(name, sizeof(name), i % 3 == 2 ? "name%04u" : "n%u", (unsigned int)(i % 1000));
	memcpy(n->fixed, name, sizeof(n->fixed));
	if (i % 3 != 2)
		n->fixed[strlen(name)] = '\0';
	snprintf(n->text, sizeof(n->text), "text %llu\t\"q\"", (unsigned long long)i);
	for (k = 0; k < 4; k++)
		n->bytes[k] = i + k;
	n->numbers[0] = i;
	n->numbers[1] = -i;
	n->numbers[2] = 7;
}

void step_strings(uint64_t i, struct tally *t)
{
	char text[320], tag[8];
	struct names names;

	snprintf(tag, sizeof(tag), "tag%u", (unsigned int)(i % 10));
	tally_result(t, F_take_strings, i, take_strings(text_of(i, text, sizeof(text)), tag, NULL, i));
	fill_names(&names, i);
	tally_result(t, F_take_names, i, take_names(&names, i));
}

void step_tree(uint64_t i, struct tally *t)
{
	static const char *const names[] = { "root", "mid", "last" };
	struct leaf leaf = { 5 * i, "leaf" };
	struct node nodes[3];
	int k;

	for (k = 0; k < 3; k++)
		nodes[k] = (struct node){ i + k, k < 2 ? &nodes[k + 1] : NULL, &leaf, names[k], { i + 10 * k, "own" } };
	if (i % 4 == 1)
		nodes[0].next = NULL;
	if (i % 4 == 2) {
		nodes[0].leaf = (const struct leaf *)1;
		nodes[1].leaf = NULL;
	}
	if (i % 4 == 3)
		nodes[0].next = unmapped;
	tally_result(t, F_take_tree, i, take_tree(nodes, i));
}

void step_absent(uint64_t i, struct tally *t)
{
	tally_result(t, F_take_absent, i, take_absent((const struct leaf *)(absent_pages + i * ABSENT_STRIDE), i));
}

static struct bits bits_of(uint64_t i)
{
	return (struct bits){
		.low = i % 8, .middle = (int)(i % 32) - 16, .high = i & 0xffffff, .wide = (i * 0x100000001) & 0x1ffffffff,
		.flag = i % 2, .code = i * 65537, .color = colors[i % 4],
	};
}

void step_structs(uint64_t i, struct tally *t)
{
	struct large large = { i, { i, i + 1, i + 2, i + 3 }, "" };
	union number whole = { .whole = i << 8 | 1 }, real = { .real = i + 0.5 };
	struct bits bits = bits_of(i);

	snprintf(large.name, sizeof(large.name), "large-%llu", (unsigned long long)i);
	tally_result(t, F_take_pair, i, take_pair((struct pair){ i, -(int64_t)i }, i));
	tally_result(t, F_take_mixed, i, take_mixed((struct mixed){ i + 0.25, i, 'A' + i % 26 }, i));
	tally_result(t, F_take_large, i, take_large(large, i));
	tally_result(t, F_take_union, i, take_union(whole, &real, i));
	tally_result(t, F_take_bits, i, take_bits(&bits, i));
}

void step_floats(uint64_t i, struct tally *t)
{
	struct floats f = { i * 0.5f, i * -0.125, { i, i + 1, i + 2 } };

	tally_result(t, F_take_floats, i, take_floats(i + 0.5f, i * 0.25, i));
	tally_result(t, F_take_float_members, i, take_float_members(&f, i));
}

void step_many(uint64_t i, struct tally *t)
{
	char h[24];

	snprintf(h, sizeof(h), "h%llu", (unsigned long long)i);
	tally_result(t, F_take_many, i, take_many(i, i + 1, i + 2, i + 3, i + 4, i + 5, -(int64_t)i, h, i));
}

void step_static(uint64_t i, struct tally *t)
{
	int rc = take_static(i);

	tally_result(t, F_take_static, i, rc);
	tally_result(t, F_hidden_static, i, rc);
}
