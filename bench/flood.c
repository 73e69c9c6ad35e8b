/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as they lie in the kernel's ring, as fast as they go, through what the agent does with them for a collector: decode,
 * pack, spool, wire.  Says how long it took until the collector had acknowledged the last one.
 *   flood HOST:PORT SPOOL-DIR [million records]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "agent_internal.h"
#include "decode.h"
#include "frame.h"
#include "shape.h"
#include "spool_internal.h"
#include "uplink.h"
#include "uplink_internal.h"

enum {
	PROBES = 4, THREADS = 4, EVENTS = 1 << 14,
	DATA_BYTES = 48, ID_AT = 0, SIZE_AT = 8, TEXT_AT = 16, TEXT_BYTES = 32,
	BACKLOG_MAX = 32 << 20,         /* more is not offered: nothing is given up */
	LOOK_EVERY = 16,                /* chunks */
	GAP_NS = 900,                   /* between calls */
	WAIT_SECONDS = 60,
};

#define REQUEST (WIRE_LOCAL_REQUEST | 1)

struct flood {
	struct agent agent;
	struct layout layout;
	struct buf records, packed, out;
	uint64_t sequence, spooled_bytes, raw_bytes;
	struct { struct event ev; uint8_t data[DATA_BYTES]; } event[EVENTS];
};

static uint64_t random_state = 88172645463325252ULL;

/* xorshift64, Marsaglia 2003 */
static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void die(const char *what, const struct error *err)
{
	fprintf(stderr, "flood: %s: %s\n", what, err->text);
	exit(1);
}

static void add_field(struct layout *l, uint8_t kind, const char *name, uint32_t off, uint32_t size, bool of_return)
{
	int i = layout_add(l, kind, name, "long");

	if (i < 0)
		die("layout", &(struct error){ .text = "no memory" });
	l->node[i].off = off;
	l->node[i].size = size;
	l->node[i].base = of_return ? BASE_RET : BASE_DATA;
	l->node[i].role = of_return ? ROLE_RETURN : ROLE_ENTRY;
	l->node[i].bit = LAYOUT_BIT_NONE;
	layout_close(l, i);
}

/* f(id, size, user) -> $ret: ids rise, sizes and durations scatter, one of a hundred users, one call in fifty fails. */
static void make_events(struct flood *f)
{
	struct error err = { 0 };

	add_field(&f->layout, SHAPE_UINT, "id", ID_AT, 8, false);
	add_field(&f->layout, SHAPE_UINT, "size", SIZE_AT, 4, false);
	add_field(&f->layout, SHAPE_STRING, "user", TEXT_AT, TEXT_BYTES, false);
	add_field(&f->layout, SHAPE_INT, "$ret", 0, 4, true);
	if (layout_check(&f->layout, DATA_BYTES, &err))
		die("layout", &err);
	for (unsigned i = 0; i < EVENTS; i++) {
		struct event *ev = &f->event[i].ev;
		struct event_string *text = (struct event_string *)(f->event[i].data + TEXT_AT);
		uint32_t size = (uint32_t)(next_random() % 4096);
		bool error = next_random() % 50 == 0;

		ev->probe = 1 + (uint32_t)(next_random() % PROBES);
		ev->pid = 4321;
		ev->tid = 4321 + (uint32_t)(next_random() % THREADS);
		ev->flags = EVENT_RETURN | (error ? EVENT_ERROR : 0);
		ev->duration_ns = 500 + next_random() % 4096;
		ev->ret[0] = error ? (uint64_t)-22 : 0;
		memcpy(f->event[i].data + SIZE_AT, &size, sizeof(size));
		text->len = (uint32_t)snprintf((char *)(text + 1), TEXT_BYTES - sizeof(*text), "user%u", (unsigned)(next_random() % 100));
	}
}

static void offer(struct flood *f)
{
	int rc = uplink_take(f->agent.uplink, &f->out);

	if (rc)
		die("the spool", &(struct error){ .text = "it takes no more" });
	buf_clear(&f->out);
}

static void announce(struct flood *f)
{
	struct frame fr;

	frame_begin(&fr, &f->out, WIRE_OPENED, 3);
	msgpack_pack_uint64(&fr.pk, REQUEST);
	msgpack_pack_map(&fr.pk, 4);
	pack_key_text(&fr.pk, "verb", "trace");
	pack_key(&fr.pk, "target");
	msgpack_pack_map(&fr.pk, 1);
	pack_key_text(&fr.pk, "name", "flood");
	pack_key(&fr.pk, "probes");
	msgpack_pack_array(&fr.pk, 0);
	pack_key_u64(&fr.pk, "uid", 0);
	frame_end(&fr);
	for (unsigned i = 1; i <= PROBES; i++) {
		char name[8];

		snprintf(name, sizeof(name), "f%u", i);
		frame_begin(&fr, &f->out, WIRE_PROBE, 3);
		msgpack_pack_uint64(&fr.pk, REQUEST);
		msgpack_pack_map(&fr.pk, 7);
		pack_key_u64(&fr.pk, "probe", i);
		pack_key_text(&fr.pk, "spec", name);
		pack_key_text(&fr.pk, "function", name);
		pack_key_text(&fr.pk, "module", "flood");
		pack_key_text(&fr.pk, "build_id", "ab12");
		pack_key(&fr.pk, "call");
		msgpack_pack_true(&fr.pk);
		pack_key(&fr.pk, "fields");
		layout_pack_fields(&f->layout, &f->records);
		buf_add(&f->out, f->records.data, f->records.len);
		buf_clear(&f->records);
		frame_end(&fr);
	}
	offer(f);
}

/* As stream.c makes them. */
static void send_chunk(struct flood *f, uint64_t base_ns, uint32_t records)
{
	enum wire_codec codec;
	struct frame fr;

	buf_clear(&f->packed);
	if (uplink_pack(f->agent.uplink, &f->records, &f->packed, &codec))
		die("packing", &(struct error){ .text = "no memory" });
	frame_begin(&fr, &f->out, WIRE_CHUNK, 7);
	msgpack_pack_uint64(&fr.pk, REQUEST);
	msgpack_pack_uint64(&fr.pk, ++f->sequence);
	msgpack_pack_uint64(&fr.pk, base_ns + wall_offset_ns());
	msgpack_pack_uint32(&fr.pk, records);
	msgpack_pack_int(&fr.pk, codec);
	msgpack_pack_bin(&fr.pk, f->packed.len);
	msgpack_pack_bin_body(&fr.pk, f->packed.data, f->packed.len);
	frame_end(&fr);
	f->raw_bytes += f->records.len;
	f->spooled_bytes += f->out.len;
	buf_clear(&f->records);
	offer(f);
}

/* Until there are less than `bytes` to be acknowledged. */
static void wait_for_acks(struct flood *f, uint64_t bytes)
{
	const struct spool *s = f->agent.uplink->spool;   /* spool_status would read a segment each time */
	uint64_t until = now_ns() + WAIT_SECONDS * 1000000000ULL;

	for (;;) {
		event_base_loop(f->agent.base, EVLOOP_NONBLOCK);
		uplink_tick(f->agent.uplink);
		if (s->acked + 1 == s->next || s->bytes <= bytes)
			return;
		if (now_ns() > until)
			die("the collector", &(struct error){ .text = "it does not acknowledge" });
		usleep(500);
	}
}

static void run(struct flood *f, uint64_t records)
{
	uint64_t ts = now_ns(), base = ts;
	uint32_t in_chunk = 0;

	for (uint64_t i = 0; i < records; i++) {
		struct event *ev = &f->event[i % EVENTS].ev;

		ts += next_random() % (2ULL * GAP_NS);
		ev->ts_ns = ts;
		memcpy(f->event[i % EVENTS].data + ID_AT, &i, sizeof(i));
		if (!in_chunk)
			base = ts;
		decode_event(&f->layout, ev, base, &f->records);
		in_chunk++;
		if (f->records.len < CHUNK_BYTES && i + 1 < records)
			continue;
		send_chunk(f, base, in_chunk);
		in_chunk = 0;
		event_base_loop(f->agent.base, EVLOOP_NONBLOCK);
		if (f->sequence % LOOK_EVERY == 0)
			wait_for_acks(f, BACKLOG_MAX);
	}
	wait_for_acks(f, 0);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
	static struct flood f;
	uint64_t records = (argc > 3 ? strtoull(argv[3], NULL, 10) : 10) * 1000000, began;
	struct error err = { 0 };
	double cpu;

	if (argc < 3 || !records) {
		fputs("usage: flood HOST:PORT SPOOL-DIR [million records]\n", stderr);
		return 2;
	}
	agent_options_default(&f.agent.opt);
	f.agent.opt.collector = argv[1];
	f.agent.opt.spool_dir = argv[2];
	f.agent.base = event_base_new();
	snprintf(f.agent.host, sizeof(f.agent.host), "bench");
	if (uplink_new(&f.agent, &f.agent.uplink, &err))
		die("uplink", &err);
	make_events(&f);
	announce(&f);
	wait_for_acks(&f, 0);
	cpu = cpu_seconds();
	began = now_ns();
	run(&f, records);
	printf("{\"records\": %lu, \"seconds\": %.3f, \"cpu_seconds\": %.3f, \"raw_bytes\": %lu, \"wire_bytes\": %lu}\n", (unsigned long)records,
	       (double)(now_ns() - began) / 1e9, cpu_seconds() - cpu, (unsigned long)f.raw_bytes, (unsigned long)f.spooled_bytes);
	uplink_free(f.agent.uplink);
	layout_free(&f.layout);
	buf_free(&f.records);
	buf_free(&f.packed);
	buf_free(&f.out);
	event_base_free(f.agent.base);
	return 0;
}
