/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the collector costs per record, without a network: entries made in advance, as an agent spools them, through
 * ingest into a store on a disk, committed as the collector does.
 *   ingest DIR [million records] [records per chunk]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "collector_internal.h"
#include "columns.h"
#include "deflate.h"
#include "ingest.h"
#include "wire_pack.h"

enum { ENTRIES = 64, PROBES = 8, COMMIT_BYTES = 4 << 20 };
#define COMMIT_NS 100000000ULL

static uint64_t random_state = 88172645463325252ULL;

/* xorshift64, Marsaglia 2003 */
static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* [probe, delta, pid, tid, flags, duration, id, name, ret] */
static void make_record(msgpack_packer *pk, uint64_t delta)
{
	char name[16];

	snprintf(name, sizeof(name), "user%u", (unsigned)(next_random() % 100));
	msgpack_pack_array(pk, 9);
	msgpack_pack_uint32(pk, 1 + (uint32_t)(next_random() % PROBES));
	msgpack_pack_uint64(pk, delta);
	msgpack_pack_uint32(pk, 4321);
	msgpack_pack_uint32(pk, 4321 + (uint32_t)(next_random() % 4));
	msgpack_pack_uint32(pk, next_random() % 50 ? 1 : 3);
	msgpack_pack_uint64(pk, 500 + next_random() % 4096);
	msgpack_pack_uint64(pk, 100000 + delta / 1000);
	pack_text(pk, name);
	msgpack_pack_int(pk, (int)(next_random() % 10));
}

static void make_chunk(struct buf *out, uint64_t base_ns, unsigned records, uint64_t *raw)
{
	struct buf plain = { 0 }, packed = { 0 };
	struct deflater *d = deflater_new(1);
	struct columns *c = columns_new();
	struct columns_parts parts;
	msgpack_packer pk;
	struct frame f;

	pack_into(&pk, &plain);
	for (unsigned i = 0; i < records; i++)
		make_record(&pk, i * 1000ULL + next_random() % 900);
	*raw += plain.len;
	if (columns_pack(c, plain.data, plain.len, &parts) || deflater_columns(d, &parts, &packed))
		exit(1);
	frame_begin(&f, out, WIRE_CHUNK, 7);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, 1);
	msgpack_pack_uint64(&f.pk, base_ns);
	msgpack_pack_uint32(&f.pk, records);
	msgpack_pack_int(&f.pk, WIRE_CODEC_COLUMNS);
	msgpack_pack_bin(&f.pk, packed.len);
	msgpack_pack_bin_body(&f.pk, packed.data, packed.len);
	frame_end(&f);
	columns_free(c);
	deflater_free(d);
	buf_free(&packed);
	buf_free(&plain);
}

static void die(const char *what, const struct error *err)
{
	fprintf(stderr, "ingest: %s: %s\n", what, err->text);
	exit(1);
}

static struct stream *start(struct ingest *g, struct store *s)
{
	struct ingest_hello h = { .uid = "00000000000000000000000000000001", .host = "bench", .program = "bench", .run = 1,
				  .next = 1 };
	struct store_request r = { .wire_id = 1, .verb = "trace", .target = "-s x", .service = "x", .probes_json = "[]", .who = "bench" };
	struct stream *st = NULL;
	struct error err = { 0 };
	struct buf probe = { 0 };

	if (store_request_open(s, &r, &err) || ingest_open(g, &h, wall_ns(), &st, &err))
		die("cannot start", &err);
	for (unsigned i = 1; i <= PROBES; i++) {
		buf_clear(&probe);
		pack_probe_frame(&probe, i, FORM_CALL, false);
		if (ingest_entry(st, i, probe.data + 4, probe.len - 4, wall_ns(), &err))
			die("a probe", &err);
	}
	buf_free(&probe);
	if (ingest_commit(g, &err))
		die("commit", &err);
	return st;
}

static void run(struct ingest *g, struct stream *st, const struct buf *entries, uint64_t chunks)
{
	uint64_t last = mono_ns();
	struct error err = { 0 };

	for (uint64_t i = 0; i < chunks; i++) {
		const struct buf *e = &entries[i % ENTRIES];

		if (ingest_entry(st, PROBES + 1 + i, e->data + 4, e->len - 4, wall_ns(), &err))
			die("an entry", &err);
		if (ingest_pending(g) < COMMIT_BYTES && mono_ns() - last < COMMIT_NS)
			continue;
		if (ingest_commit(g, &err))
			die("commit", &err);
		last = mono_ns();
	}
	if (ingest_commit(g, &err))
		die("commit", &err);
}

static uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000ULL + (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000ULL;
}

/* raw: bytes a record before packing */
static void report(const struct collector_counts *c, double raw, uint64_t ns, uint64_t cpu)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	printf("%.0f records/s, %.0f ns a record (%.0f of processor time), of these %.0f in %lu commits (longest %.1f ms); "
	       "%.1f bytes a record in rows, %.1f stored; largest resident set %ld KiB\n",
	       (double)c->records * 1e9 / (double)ns, (double)ns / (double)c->records, (double)cpu / (double)c->records,
	       (double)c->commit_ns / (double)c->records, (unsigned long)c->commits, (double)c->commit_max_ns / 1e6, raw,
	       (double)c->chunk_bytes / (double)c->records, u.ru_maxrss);
}

int main(int argc, char **argv)
{
	uint64_t millions = argc > 2 ? strtoull(argv[2], NULL, 10) : 5, raw = 0, began, cpu;
	unsigned records = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1600;
	static struct buf entries[ENTRIES];
	struct collector_counts counts = { 0 };
	struct store_options opt = { 0 };
	struct error err = { 0 };
	struct store *s = NULL;
	struct live *live = live_new();
	struct ingest *g;
	struct stream *st;
	char path[4096];

	if (argc < 2 || !records) {
		fputs("usage: ingest DIR [million records] [records per chunk]\n", stderr);
		return 2;
	}
	snprintf(path, sizeof(path), "%s/bench.db", argv[1]);
	opt.path = path;
	if (store_open(&opt, &s, &err))
		die("store", &err);
	g = ingest_new(s, live, &counts);
	st = start(g, s);
	for (unsigned i = 0; i < ENTRIES; i++)
		make_chunk(&entries[i], wall_ns() + i * 2000000ULL, records, &raw);
	cpu = cpu_ns();
	began = mono_ns();
	run(g, st, entries, millions * 1000000 / records);
	report(&counts, (double)raw / (double)ENTRIES / records, mono_ns() - began, cpu_ns() - cpu);
	ingest_close(st);
	ingest_free(g);
	store_close(s);
	live_free(live);
	for (unsigned i = 0; i < ENTRIES; i++)
		buf_free(&entries[i]);
	return 0;
}
