/* SPDX-License-Identifier: Apache-2.0 */
/* The counts of what failing calls returned (bpf/values.bpf.h): the map's size, and what is in it. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "loader_internal.h"
#include "probe.skel.h"

enum { FULL_SLOTS = 64, BATCH = 512 };   /* FULL_SLOTS: so many processes may have all values that one may have */

static uint32_t values_entries(const struct loaded *l)
{
	uint32_t slots = l->slots < FULL_SLOTS ? l->slots : FULL_SLOTS;

	return slots * (ERROR_VALUES_MAX + 1) + l->slots;
}

int values_size_map(struct loaded *l)
{
	bool wanted = l->flags & PLAN_ERROR_VALUES;
	int rc = bpf_map__set_autocreate(l->skel->maps.error_values, wanted);

	return rc || !wanted ? rc : bpf_map__set_max_entries(l->skel->maps.error_values, values_entries(l));
}

int values_keep(struct loaded *l)
{
	if (!(l->flags & PLAN_ERROR_VALUES))
		return 0;
	l->values_fd = own_fd(bpf_map__fd(l->skel->maps.error_values));
	l->value = calloc(values_entries(l), sizeof(*l->value));
	return l->values_fd < 0 || !l->value ? -ENOMEM : 0;
}

static void keep_values(struct loaded *l, const struct error_key *key, const uint64_t *count, uint32_t n)
{
	const uint32_t room = values_entries(l);

	for (uint32_t i = 0; i < n && l->n_values < room; i++)
		if (key[i].kind == ERROR_KEY_VALUE && count[i])
			l->value[l->n_values++] = (struct error_count){ key[i].slot, key[i].value, count[i] };
}

int loader_read_values(struct loaded *l)
{
	struct error_key key[BATCH];
	uint64_t count[BATCH];
	uint32_t at = 0, more;
	bool first = true;

	if (l->values_fd < 0)
		return 0;
	l->n_values = 0;
	for (;;) {
		uint32_t n = BATCH;
		int rc = bpf_map_lookup_batch(l->values_fd, first ? NULL : &at, &more, key, count, &n, NULL);

		if (rc && errno != ENOENT)
			return -errno;
		keep_values(l, key, count, n);
		if (rc)
			return 0;
		at = more;
		first = false;
	}
}

uint32_t loader_values(const struct loaded *l, uint32_t first, uint32_t last, struct error_count *out, uint32_t max)
{
	uint32_t n = 0, at;

	for (uint32_t i = 0; i < l->n_values; i++) {
		const struct error_count *v = &l->value[i];

		if (v->slot < first || v->slot > last)
			continue;
		for (at = 0; at < n && out[at].value != v->value; at++)
			;
		if (at < n)
			out[at].count += v->count;
		else if (n < max)
			out[n++] = *v;
	}
	return n;
}
