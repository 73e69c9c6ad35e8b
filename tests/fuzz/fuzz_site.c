/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The site chooser on arbitrary code bytes: the choice is always inside the code, on the line that it was
 * decoded from, and never a 5-byte nop off the entry.  The first five bytes choose registers and options.
 *
 * fuzz-sources: agent/site.c agent/site_insn.c agent/site_line.c common/error.c common/buf.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "site.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct site *site, const uint8_t *code, size_t len, uint64_t entry, enum site_kernel kernel)
{
	uint64_t at = site->addr - entry;

	if (at >= len || site->length == 0 || site->length > len - at)
		abort();
	if (memcmp(site->bytes, code + at, site->length) != 0 || site->text[0] == '\0' || site->reason[0] == '\0')
		abort();
	if ((at == 0) != (site->distance == 0) || site->kind >= SITE_KINDS)
		abort();
	if (site->kind == SITE_NOP5 && (at != 0 || kernel < SITE_KERNEL_NOP5))
		abort();
}

/* The same bytes as a function with a line somewhere in it. */
static void check_line(const uint8_t *code, size_t len, uint32_t seed, enum site_kernel kernel)
{
	const struct site_code part = { code, 0x400000, len };
	size_t start = seed % len, end = start + 1 + (seed >> 8) % (len - start);
	struct site_line line = { .start = 0x400000 + start, .end = 0x400000 + end, .next_statement = 0x400000 + start + 1 + (seed >> 16) % (end - start),
				  .entry = 0x400000, .keep_regs = seed & 0xffff, .code = &part, .n_code = 1 };
	struct site site;
	struct error err = { 0 };
	int rc = site_choose_line(&line, &site, &err);

	if ((rc != 0) != (err.text[0] != '\0') || (rc != 0 && rc != -EILSEQ && rc != -EOPNOTSUPP))
		abort();
	if (rc != 0)
		return;
	if (site.addr < line.start || site.addr >= line.end || (site.kind == SITE_NOP5 && (site.addr != line.entry || kernel < SITE_KERNEL_NOP5)))
		abort();
	if (site.length > len - (site.addr - 0x400000) || memcmp(site.bytes, code + (site.addr - 0x400000), site.length) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = { 0 };
	struct error err = { 0 };
	enum site_kernel kernel;
	struct site site;
	uint32_t keep;
	uint64_t entry;
	int rc;

	if (size < 5)
		return 0;
	memcpy(&keep, data, sizeof(keep));
	entry = data[4] & 0x80 ? UINT64_MAX - 4096 : 0x400000 + (uint64_t)(keep & 0xfff);
	kernel = (enum site_kernel)((data[4] & 0x7f) % 3);
	site_kernel_set(kernel);
	rc = site_choose(data + 5, size - 5, entry, keep & 0xffff, keep >> 31, &site, &err);
	if (rc != 0 && rc != -EILSEQ && rc != -EOPNOTSUPP)
		abort();
	if ((rc != 0) != (err.text[0] != '\0'))
		abort();
	if (rc == 0) {
		check(&site, data + 5, size - 5, entry, kernel);
		site_dump(&site, &out);
	}
	buf_free(&out);
	if (size > 5)
		check_line(data + 5, size - 5, keep, kernel);
	return 0;
}
