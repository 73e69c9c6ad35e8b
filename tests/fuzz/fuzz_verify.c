/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plumb verify reads of others, by the first byte: a claim file, an agent's answer about source lines, a record.
 *
 * fuzz-sources: verify/[a-z]*.c verdict/[a-z]*.c common/[a-z]*.c -lcyaml -ljansson -lm
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "claimfile.h"
#include "frame.h"
#include "lines_answer.h"
#include "verify_record.h"
#include "verify_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void claim(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct verify_spec s;
	struct error err = { 0 };

	memcpy(text, data, size);
	text[size] = '\0';
	verify_spec_init(&s);
	if (claimfile_read(text, size, &s, &err) == 0)
		verify_spec_finish(&s, &err);
	else if (!err.text[0])
		abort();
	verify_spec_free(&s);
	free(text);
}

static void lines(const uint8_t *data, size_t size)
{
	struct lines_answer a = { 0 };
	struct error err;
	msgpack_zone zone;
	msgpack_object o;

	msgpack_zone_init(&zone, 4096);
	if (pack_take(data, size, &zone, &o) > 0 && lines_answer_read(&o, 2, &a, &err) == 0)
		for (uint32_t i = 0; i < a.n_lines; i++)
			if (!lines_answer_find(&a, a.line[i].file, a.line[i].line))
				abort();
	lines_answer_free(&a);
	msgpack_zone_destroy(&zone);
}

/* As the file of a record, its events without the deflated form around them. */
static void record(const uint8_t *data, size_t size)
{
	const struct verify_style style = { .context = 1 };
	struct buf raw = { 0 }, file = { 0 }, text = { 0 };
	struct error err;
	struct verify *v;
	bool is_signed;

	buf_add(&raw, data, size);
	if (record_seal(&raw, NULL, &file, &err) == 0) {
		v = record_replay(file.data, file.len, NULL, 0, &is_signed, &err);
		if (v)
			verify_text(verify_view(v), &style, &text);
		verify_free(v);
	}
	buf_free(&raw);
	buf_free(&file);
	buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	(data[0] % 3 == 0 ? claim : data[0] % 3 == 1 ? lines : record)(data + 1, size - 1);
	return 0;
}
