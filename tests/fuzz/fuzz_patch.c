/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unified diff, and paths of it against others.
 *
 * fuzz-sources: verify/patch.c common/path_suffix.c common/error.c
 */
#include <stdint.h>
#include <stdlib.h>

#include "patch.h"
#include "path_suffix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err;
	struct patch *p;

	if (!size || patch_parse((const char *)data + 1, size - 1, (int8_t)data[0] % 4, &p, &err))
		return 0;
	for (uint32_t i = 0; i < p->n_files; i++) {
		const struct patch_file *f = &p->file[i];

		if (!f->old_path && !f->new_path)
			abort();
		if (f->old_path && f->new_path && path_suffix_matches(f->old_path, f->new_path) != path_suffix_matches(f->new_path, f->old_path))
			abort();
		for (uint32_t k = 0; k < f->n_lines; k++)
			if (f->line[k].text < p->text || f->line[k].len > size || (!f->line[k].old_line && !f->line[k].new_line && f->line[k].kind == PATCH_CONTEXT))
				abort();
	}
	patch_free(p);
	return 0;
}
