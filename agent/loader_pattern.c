/* SPDX-License-Identifier: Apache-2.0 */
/* The maps of a plan for many functions: sizes, and what the kernel has counted in them. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader_internal.h"
#include "probe.skel.h"

enum {
	ROW_BYTES_MAX = 32 << 20,     /* of all rows on all CPUs ... */
	ROWS_MIN = 1024,              /* ... but so many there are */
	PLACES_MAX = 2 << 20,         /* slots x functions */
	ROW_OF_STRIDE = 2,            /* words */
};

/* One for each function and process, as far as they fit; some are lost when threads race for one. */
static uint32_t rows_for(const struct loaded *l, uint32_t functions)
{
	size_t each = l->cpus * (sizeof(struct function_counts) + (l->flags & PLAN_SHIP ? 0 : sizeof(struct function_hist)));
	uint64_t wanted = (uint64_t)functions * (l->slots - 1), most = ROW_BYTES_MAX / each;

	if (most < ROWS_MIN)
		most = ROWS_MIN;
	wanted += wanted / 16 + 64;
	return l->slots + (uint32_t)(wanted < most ? wanted : most);
}

int pattern_new(struct loaded *l, const struct resolved *r)
{
	struct pattern *p = calloc(1, sizeof(*p));
	uint32_t n = r->n_functions;

	if (!p)
		return -ENOMEM;
	l->pattern = p;
	p->rows_fd = p->hists_fd = -1;
	if (l->method == ATTACH_PERF && n > PATTERN_PERF_MAX)
		return -E2BIG;
	if ((uint64_t)l->slots * n > PLACES_MAX)
		l->slots = PLACES_MAX / n;
	p->n_functions = p->n_attached = n;
	p->n_rows = rows_for(l, n);
	p->offsets = calloc(n, sizeof(*p->offsets));
	p->cookies = calloc(n, sizeof(*p->cookies));
	p->hist = calloc(l->cpus, sizeof(*p->hist));
	if (!p->offsets || !p->cookies || !p->hist)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		p->offsets[i] = r->functions[i].offset;
		p->cookies[i] = i;
	}
	return 0;
}

int pattern_size_maps(struct loaded *l)
{
	bool histograms = l->pattern && !(l->flags & PLAN_SHIP);
	int err = bpf_map__set_autocreate(l->skel->maps.counters, !l->pattern);

	if (!err)
		err = bpf_map__set_autocreate(l->skel->maps.row_of, l->pattern);
	if (!err)
		err = bpf_map__set_autocreate(l->skel->maps.rows, l->pattern);
	if (!err)
		err = bpf_map__set_autocreate(l->skel->maps.row_hists, histograms);
	if (err || !l->pattern)
		return err;
	err = bpf_map__set_max_entries(l->skel->maps.row_of, l->slots * l->pattern->n_functions);
	if (!err)
		err = bpf_map__set_max_entries(l->skel->maps.rows, l->pattern->n_rows);
	return err ? err : bpf_map__set_max_entries(l->skel->maps.row_hists, l->pattern->n_rows);
}

int pattern_keep(struct loaded *l)
{
	struct pattern *p = l->pattern;
	void *map;

	if (!p)
		return 0;
	p->rows_fd = own_fd(bpf_map__fd(l->skel->maps.rows));
	if (!(l->flags & PLAN_SHIP))
		p->hists_fd = own_fd(bpf_map__fd(l->skel->maps.row_hists));
	if (p->rows_fd < 0 || (!(l->flags & PLAN_SHIP) && p->hists_fd < 0))
		return -EMFILE;
	p->row_of_bytes = (size_t)l->slots * p->n_functions * ROW_OF_STRIDE * sizeof(*p->row_of);
	map = mmap(NULL, p->row_of_bytes, PROT_READ, MAP_SHARED, bpf_map__fd(l->skel->maps.row_of), 0);
	if (map == MAP_FAILED)
		return -errno;
	madvise(map, p->row_of_bytes, MADV_DONTFORK);
	p->row_of = map;
	return 0;
}

void pattern_free(struct pattern *p)
{
	if (!p)
		return;
	if (p->row_of)
		munmap((void *)p->row_of, p->row_of_bytes);
	if (p->rows_fd >= 0)
		close(p->rows_fd);
	if (p->hists_fd >= 0)
		close(p->hists_fd);
	free(p->offsets);
	free(p->cookies);
	free(p->row);
	free(p->hist);
	free(p);
}

/* ---- what was counted ---- */

static uint32_t rows_in_use(const struct loaded *l)
{
	uint32_t n = __atomic_load_n(&l->shared->next_row, __ATOMIC_RELAXED);

	return n < l->pattern->n_rows ? n : l->pattern->n_rows;
}

/* All rows in one system call, for there may be ten thousand. */
static int read_rows(const struct loaded *l, struct pattern *p, uint32_t n)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint32_t batch, count = n, *keys = malloc(n * sizeof(*keys));
	int rc = keys ? 0 : -ENOMEM;

	if (!rc && bpf_map_lookup_batch(p->rows_fd, NULL, &batch, keys, p->row, &count, &opts) && errno != ENOENT)
		rc = -errno;
	p->n_read = rc ? 0 : count;
	free(keys);
	return rc;
}

int loader_read(struct loaded *l)
{
	struct pattern *p = l->pattern;
	uint32_t n = rows_in_use(l);
	struct function_counts *row = n > p->n_read ? reallocarray(p->row, (size_t)n * l->cpus, sizeof(*row)) : p->row;

	if (!row)
		return -ENOMEM;
	p->row = row;
	return read_rows(l, p, n);
}

static void add_hist(const struct loaded *l, uint32_t row, struct counts *c)
{
	struct pattern *p = l->pattern;

	if (p->hists_fd < 0 || bpf_map_lookup_elem(p->hists_fd, &row, p->hist))
		return;
	/* What lies in a wide bucket is taken to lie in the middle. */
	for (uint32_t cpu = 0; cpu < l->cpus; cpu++)
		for (uint32_t i = 0; i < PATTERN_BUCKETS; i++)
			c->hist[(i << PATTERN_HIST_SHIFT) + (1 << (PATTERN_HIST_SHIFT - 1))] += p->hist[cpu].bucket[i];
}

/* False: nothing was counted there. */
static bool row_counts(const struct loaded *l, uint32_t row, bool histogram, struct counts *c)
{
	const struct function_counts *from = &l->pattern->row[(size_t)row * l->cpus];
	uint64_t any = 0;

	memset(c, 0, histogram ? sizeof(*c) : sizeof(*from));
	if (row >= l->pattern->n_read)
		return false;
	for (uint32_t cpu = 0; cpu < l->cpus; cpu++) {
		uint64_t max = c->max_ns;
		struct counts *head = (struct counts *)(void *)&from[cpu]; /* up to hist, event.h */

		for (size_t i = 0; i < sizeof(from->head) / sizeof(from->head[0]); i++) {
			((__u64 *)(void *)c)[i] += from[cpu].head[i];
			any |= from[cpu].head[i];
		}
		c->max_ns = max > head->max_ns ? max : head->max_ns;
	}
	if (any && histogram)
		add_hist(l, row, c);
	counts_complete(l, c);
	return any;
}

void loader_each_function(struct loaded *l, uint32_t slot, bool histograms, loader_function_visit *visit, void *arg)
{
	struct pattern *p = l->pattern;
	const volatile uint32_t *place = p->row_of + (size_t)slot * p->n_functions * ROW_OF_STRIDE;

	for (uint32_t i = 0; i < p->n_functions; i++) {
		uint32_t row = place[(size_t)i * ROW_OF_STRIDE];

		if (row && row_counts(l, row, histograms, &p->sum))
			visit(i, row, &p->sum, arg);
	}
	if (row_counts(l, slot, histograms, &p->sum))
		visit(UINT32_MAX, slot, &p->sum, arg);
}

static void add_up(uint32_t function, uint32_t row, const struct counts *c, void *arg)
{
	counts_add(arg, c);
}

uint32_t loader_rows(const struct loaded *l)
{
	return l->pattern ? l->pattern->n_rows : l->slots;
}

int pattern_slot_counts(const struct loaded *l, uint32_t slot, struct counts *out)
{
	loader_each_function((struct loaded *)l, slot, true, add_up, out);
	return 0;
}
