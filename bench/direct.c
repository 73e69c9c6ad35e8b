/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaches to a process without agent and terminal in between, by the agent's own modules, so that what a probe costs
 * can be told from what its way to the user costs.
 *
 *   direct floor entry|return|session|sleepable PID FILE FUNCTION [N]   an empty program, on FUNCTION0..N-1 if N is given
 *   direct probe PID FILE [-e] [-q] [-m METHOD] [-s BYTES] [-n COUNT] PROBE
 *                  -e failing calls only, -q counters only, -s string limit, -n the probe COUNT times
 *   direct plan FILE [-e] [-q] [-s BYTES] PROBE                         loads it and tells its size; nothing is attached
 *
 * Prints one JSON object when attached; at the end of stdin it detaches and prints another one with the totals.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "decode.h"
#include "feature.h"
#include "image.h"
#include "loader.h"
#include "multi.h"
#include "resolve.h"
#include "trial.h"

enum { FLOOR_MAX = 20000, PROBES_LIMIT = 16384, RING_BYTES = 4 << 20, POLL_MS = 1, WARM_EVENTS = 5000 };

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "direct: %s: %s\n", what, why);
	return 1;
}

static bool stdin_ended(int timeout_ms)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	char scrap[256];

	return poll(&p, 1, timeout_ms) > 0 && read(0, scrap, sizeof(scrap)) <= 0;
}

static void wait_end(void)
{
	fflush(stdout);
	while (!stdin_ended(-1))
		;
}

/* ---- the floor: empty programs ---- */

struct floor_kind { const char *name; bool session, ret; int type; uint32_t flags; };

static const struct floor_kind floor_kinds[] = {
	{ "entry", false, false, ATTACH_UPROBE_MULTI, 0 },
	{ "return", false, true, ATTACH_UPROBE_MULTI, 0 },
	{ "session", true, false, ATTACH_UPROBE_SESSION, 0 },
	{ "sleepable", true, false, ATTACH_UPROBE_SESSION, 1U << 4 /* BPF_F_SLEEPABLE */ },
	{ "sleepable-entry", false, false, ATTACH_UPROBE_MULTI, 1U << 4 },
};

/* File offset of a symbol's first instruction. */
static int symbol_offset(const struct image *img, const char *name, uint64_t *offset)
{
	struct symbol sym;

	if (image_find(img, name, &sym))
		return -ENOENT;
	return image_offset(img, sym.addr, offset);
}

static int floor_offsets(const char *path, const char *function, uint32_t count, uint64_t *offsets)
{
	struct error err = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
	struct image *img = NULL;

	rc = fd < 0 ? -errno : image_open(fd, path, &img, &err);
	if (fd >= 0)
		close(fd);
	if (rc)
		return rc;
	if (!count)
		rc = symbol_offset(img, function, &offsets[0]);
	for (uint32_t i = 0; i < count && !rc; i++) {
		char name[256];

		snprintf(name, sizeof(name), "%s%u", function, i);
		rc = symbol_offset(img, name, &offsets[i]);
	}
	image_free(img);
	return rc;
}

static int run_floor(int argc, char **argv)
{
	static uint64_t offsets[FLOOR_MAX];
	const struct floor_kind *k = NULL;
	uint32_t count = argc > 4 ? (uint32_t)atoi(argv[4]) : 0;
	double start, attached;
	int program, link;

	for (size_t i = 0; argc >= 4 && i < sizeof(floor_kinds) / sizeof(floor_kinds[0]); i++)
		if (!strcmp(floor_kinds[i].name, argv[0]))
			k = &floor_kinds[i];
	if (!k || count > FLOOR_MAX)
		return fail("floor", "see the head of bench/direct.c");
	if (floor_offsets(argv[2], argv[3], count, offsets))
		return fail(argv[3], "no such function");
	start = now_ms();
	program = trial_load(TRIAL_EMPTY, k->type, k->flags, -1, -1);
	link = program < 0 ? program : multi_link_create(program, k->session, k->ret, argv[2], offsets, NULL,
							 count ? count : 1, atoi(argv[1]));
	if (link < 0)
		return fail("floor", strerror(-link));
	attached = now_ms();
	printf("{\"ready\":true,\"attach_ms\":%.2f}\n", attached - start);
	wait_end();
	start = now_ms();
	close(link);
	printf("{\"detach_ms\":%.2f}\n", now_ms() - start);
	return 0;
}

/* ---- allocations: bench.mk links with --wrap, so that every one from here and from libagent comes by ---- */

static uint64_t allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	allocations++;
	return __real_realloc(p, size);
}

/* ---- a probe ---- */

struct direct {
	const char *path, *text;
	pid_t pid;
	bool errors_only, counters_only;
	enum attach_method method;
	uint32_t string_limit, copies;
	struct rings *rings;
	struct resolve_answer answer;
	struct loaded *loaded[PROBES_LIMIT];
	struct buf chunk;
	uint64_t taken, bytes;
	uint64_t warm, at_end;     /* allocations when the first chunks had been made, and when the last event was taken */
	int fd;
};

static int resolve(struct direct *d, struct error *err)
{
	const char *const texts[] = { d->text };
	const uint32_t index[] = { 0 };
	struct buf out = { 0 };
	struct resolve_request rq = {
		.fd = d->fd, .exe_fd = d->fd, .path = d->path, .root = "", .probes = texts, .index = index, .n_index = 1,
		.errors_only = d->errors_only, .ship = !d->counters_only, .force_call = d->counters_only,
		.limits.string = d->string_limit,
	};
	int rc;

	site_costs_default(&rq.costs);
	site_kernel_set(feature_site_kernel());
	resolve_work(&out, &rq);
	rc = resolve_answer_read(out.data, out.len, &d->answer, NULL);
	buf_free(&out);
	*err = d->answer.err;
	return rc ? rc : d->answer.n_resolved ? 0 : -(err->code ? err->code : ENOENT);
}

static int load(struct direct *d, uint32_t i, struct error *err)
{
	const struct resolved *r = &d->answer.resolved[0];
	struct load_options opts = { .method = d->method, .probe = i + 1, .slots = 2 };
	int rc = loader_load(r, d->rings, &opts, &d->loaded[i], err);

	if (rc || !d->pid)
		return rc;
	rc = loader_add_process(d->loaded[i], d->pid);
	if (rc < 0)
		return error_set(err, -rc, "no slot for the process");
	return loader_attach(d->loaded[i], d->fd, r->offset, d->pid, err);
}

static void take(const struct event *ev, size_t len, void *arg)
{
	struct direct *d = arg;

	decode_event(&d->answer.resolved[0].layout, ev, ev->ts_ns, &d->chunk);
	if (++d->taken == WARM_EVENTS)
		d->warm = allocations;
	if (d->chunk.len > 48 << 10) {
		d->bytes += d->chunk.len;
		buf_clear(&d->chunk);
	}
}

static void consume_until_end(struct direct *d)
{
	fflush(stdout);
	do {
		while (rings_consume(d->rings, take, d, 1 << 16))
			;
	} while (!stdin_ended(POLL_MS));
	rings_consume(d->rings, take, d, SIZE_MAX);
	d->at_end = allocations;
	d->bytes += d->chunk.len;
}

static void print_ready(const struct direct *d, double load_ms)
{
	const struct resolved *r = &d->answer.resolved[0];

	printf("{\"ready\":true,\"load_ms\":%.2f,\"instructions\":%u,\"code_bytes\":%u,\"method\":\"%s\",\"site\":\"%s\","
	       "\"distance\":%u,\"event_bytes\":%u,\"entry_ops\":%u,\"return_ops\":%u}\n", load_ms,
	       loader_instructions(d->loaded[0]), loader_code_bytes(d->loaded[0]), attach_method_name(loader_method(d->loaded[0])),
	       site_kind_name(r->site.kind), r->site.distance, r->plan.event_bytes, r->plan.n_entry, r->plan.n_return);
}

static void print_totals(const struct direct *d)
{
	uint64_t runs = 0, run_ns = 0;
	struct counts sum = { 0 };

	for (uint32_t i = 0; i < d->copies; i++) {
		struct counts c;
		uint64_t n = 0, ns = 0;

		if (!loader_counts(d->loaded[i], 1, &c))
			counts_add(&sum, &c);
		loader_run_time(d->loaded[i], &n, &ns);
		runs += n;
		run_ns += ns;
	}
	printf("{\"calls\":%llu,\"errors\":%llu,\"shipped\":%llu,\"taken\":%llu,\"dropped\":%llu,\"bytes\":%llu,"
	       "\"runs\":%llu,\"run_ns\":%llu,\"warm_allocations\":%llu}\n", (unsigned long long)sum.calls, (unsigned long long)sum.errors,
	       (unsigned long long)sum.shipped, (unsigned long long)d->taken,
	       (unsigned long long)sum.dropped[DROP_RING], (unsigned long long)d->bytes, (unsigned long long)runs,
	       (unsigned long long)run_ns, (unsigned long long)(d->taken > WARM_EVENTS ? d->at_end - d->warm : 0));
}

static int parse(struct direct *d, int argc, char **argv)
{
	int opt;

	d->copies = 1;
	while ((opt = getopt(argc, argv, "eqm:s:n:")) != -1) {
		switch (opt) {
		case 'e': d->errors_only = true; break;
		case 'q': d->counters_only = true; break;
		case 's': d->string_limit = (uint32_t)atoi(optarg); break;
		case 'n': d->copies = (uint32_t)atoi(optarg); break;
		case 'm':
			if (attach_method_parse(optarg, &d->method))
				return -1;
			break;
		default: return -1;
		}
	}
	if (optind != argc - 1 || !d->copies || d->copies > PROBES_LIMIT)
		return -1;
	d->text = argv[optind];
	d->fd = open(d->path, O_RDONLY | O_CLOEXEC);
	return d->fd < 0 ? -1 : 0;
}

static int run_probe(pid_t pid, const char *path, int argc, char **argv)
{
	static struct direct d;
	struct error err = { 0 };
	double start;
	int rc;

	d.pid = pid;
	d.path = path;
	if (parse(&d, argc, argv))
		return fail("probe", "see the head of bench/direct.c");
	rc = rings_new((unsigned)sysconf(_SC_NPROCESSORS_ONLN), RING_BYTES, &d.rings, &err);
	if (!rc)
		rc = resolve(&d, &err);
	start = now_ms();
	for (uint32_t i = 0; i < d.copies && !rc; i++)
		rc = load(&d, i, &err);
	if (rc)
		return fail(d.text, err.text);
	print_ready(&d, now_ms() - start);
	if (pid)
		consume_until_end(&d);
	if (pid)
		print_totals(&d);
	for (uint32_t i = 0; i < d.copies; i++)
		loader_free(d.loaded[i]);
	resolve_answer_free(&d.answer);
	buf_free(&d.chunk);
	rings_free(d.rings);
	close(d.fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 6 && !strcmp(argv[1], "floor"))
		return run_floor(argc - 2, argv + 2);
	if (argc >= 5 && !strcmp(argv[1], "probe"))
		return run_probe(atoi(argv[2]), argv[3], argc - 3, argv + 3);
	if (argc >= 4 && !strcmp(argv[1], "plan"))
		return run_probe(0, argv[2], argc - 2, argv + 2);
	return fail("usage", "see the head of bench/direct.c");
}
