/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side of the connection to a collector, with a collector that is this test: a socket and what it writes there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_internal.h"
#include "log.h"
#include "uplink_internal.h"

enum { TURNS = 2000, TURN_MS = 5 };   /* until something that must happen has happened */

struct fixture {
	char dir[64], collector[32];
	struct agent agent;
	struct uplink *u;
	int listener, peer;               /* the collector's */
	struct buf in;                    /* what has come */
	uint64_t last;                    /* the sequence of the last ENTRY */
	unsigned entries, of_type[WIRE_TYPES];
	uint64_t first_again;             /* the sequence of the first ENTRY of this connection */
};

/* ---- the collector ---- */

static void count_entry(struct fixture *f, const struct frame_in *in)
{
	uint64_t sequence = 0;
	struct frame_in inner;

	assert_true(object_u64(&in->items[1], &sequence));
	assert_true(sequence > f->last);
	f->last = sequence;
	f->first_again = f->first_again ? f->first_again : sequence;
	f->entries++;
	assert_int_equal(frame_read(in->items[2].via.bin.ptr, in->items[2].via.bin.size, &inner, NULL), 0);
	f->of_type[inner.type]++;
	frame_in_free(&inner);
}

static void take_frames(struct fixture *f)
{
	struct frame_in in;
	int n;

	while ((n = frame_take(buf_text(&f->in), f->in.len, &in, NULL)) > 0) {
		if (in.type == WIRE_ENTRY)
			count_entry(f, &in);
		else
			f->of_type[in.type]++;
		frame_in_free(&in);
		buf_consume(&f->in, (size_t)n);
	}
	assert_int_equal(n, 0);
}

/* One turn of the agent's loop, and all that has come then. False: the connection is closed. */
static bool turn(struct fixture *f)
{
	struct pollfd p = { .fd = f->peer, .events = POLLIN };
	ssize_t n = 0;

	event_base_loop(f->agent.base, EVLOOP_NONBLOCK);
	uplink_tick(f->u);
	if (f->peer < 0)
		f->peer = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	p.fd = f->peer;
	if (poll(&p, 1, TURN_MS) <= 0)   /* without a connection it is a rest */
		return true;
	do {
		char *room = buf_reserve(&f->in, 1 << 16);

		n = read(f->peer, room, 1 << 16);
		f->in.len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	take_frames(f);
	return n != 0;
}

#define UNTIL(f, what) do { int turns_ = TURNS; while (!(what) && turns_--) turn(f); assert_true(what); } while (0)

static void say(struct fixture *f, struct buf *b)
{
	assert_int_equal(write(f->peer, b->data, b->len), b->len);
	buf_free(b);
}

static void welcome(struct fixture *f, uint64_t acked)
{
	struct buf b = { 0 };
	struct frame fr;

	frame_begin(&fr, &b, WIRE_WELCOME, 5);
	msgpack_pack_int(&fr.pk, WIRE_VERSION);
	pack_text(&fr.pk, "test");
	pack_text(&fr.pk, "host");
	msgpack_pack_map(&fr.pk, 3);
	pack_key_u64(&fr.pk, "acked", acked);
	pack_key_u64(&fr.pk, "received_ns", 1);
	pack_key_u64(&fr.pk, "sent_ns", 1);
	frame_end(&fr);
	say(f, &b);
}

static void ack(struct fixture *f, uint64_t sequence)
{
	struct buf b = { 0 };
	struct frame fr;

	frame_begin(&fr, &b, WIRE_ACK, 2);
	msgpack_pack_uint64(&fr.pk, sequence);
	frame_end(&fr);
	say(f, &b);
}

/* The agent connects, says HELLO, and is told how far its entries are stored. */
static void connect_up(struct fixture *f, uint64_t acked)
{
	UNTIL(f, f->of_type[WIRE_HELLO] == 1);
	f->last = acked;
	f->first_again = 0;
	welcome(f, acked);
	UNTIL(f, f->u->state == LINK_UP);
}

static void hang_up(struct fixture *f)
{
	close(f->peer);
	f->peer = -1;
	buf_clear(&f->in);
	f->of_type[WIRE_HELLO] = 0;
}

/* ---- life ---- */

static void listen_somewhere(struct fixture *f)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);

	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(f->listener, 4), 0);
	assert_int_equal(getsockname(f->listener, (struct sockaddr *)&at, &len), 0);
	snprintf(f->collector, sizeof(f->collector), "127.0.0.1:%d", ntohs(at.sin_port));
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err = { 0 };

	f->peer = -1;
	strcpy(f->dir, "/tmp/plumb-uplink.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	listen_somewhere(f);
	agent_options_default(&f->agent.opt);
	f->agent.opt.collector = f->collector;
	f->agent.opt.spool_dir = f->dir;
	f->agent.base = event_base_new();
	if (uplink_new(&f->agent, &f->u, &err))
		fail_msg("%s", err.text);
	*state = f;
	return 0;
}

static void remove_spool(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	assert_int_equal(rmdir(path), 0);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	uplink_free(f->u);
	event_base_free(f->agent.base);
	if (f->peer >= 0)
		close(f->peer);
	close(f->listener);
	buf_free(&f->in);
	remove_spool(f->dir);
	free(f);
	return 0;
}

/* ---- frames of the agent ---- */

/* [type, request, n, ...padding] */
static int give(struct fixture *f, enum wire_type type, uint64_t request, size_t padding)
{
	struct buf b = { 0 };
	struct frame fr;
	int rc;

	frame_begin(&fr, &b, type, 7);
	msgpack_pack_uint64(&fr.pk, request);
	msgpack_pack_uint64(&fr.pk, 1);
	msgpack_pack_uint64(&fr.pk, 1);
	msgpack_pack_uint64(&fr.pk, 10);   /* records, of a CHUNK */
	msgpack_pack_int(&fr.pk, 0);
	msgpack_pack_bin(&fr.pk, padding);
	for (size_t i = 0; i < padding; i++)
		buf_char(&b, (char)i);
	frame_end(&fr);
	rc = uplink_take(f->u, &b);
	buf_free(&b);
	return rc;
}

static void give_end(struct fixture *f, uint64_t request, const char *reason)
{
	struct buf b = { 0 };
	struct frame fr;

	frame_begin(&fr, &b, WIRE_END, 5);
	msgpack_pack_uint64(&fr.pk, request);
	pack_text(&fr.pk, reason);
	pack_text(&fr.pk, "");
	msgpack_pack_array(&fr.pk, 0);
	frame_end(&fr);
	uplink_take(f->u, &b);
	buf_free(&b);
}

/* ---- the window ---- */

static void test_entries_of_the_window(void **state)
{
	struct fixture *f = *state;

	connect_up(f, 0);
	for (unsigned i = 0; i < FLIGHT_ENTRIES + 500; i++)
		assert_int_equal(give(f, WIRE_CHUNK, 1, 10), 0);
	UNTIL(f, f->entries == FLIGHT_ENTRIES);
	for (int i = 0; i < 20; i++)
		turn(f);
	assert_int_equal(f->entries, FLIGHT_ENTRIES);   /* no more without an ACK */
	assert_int_equal(f->u->n_flight, FLIGHT_ENTRIES);
	ack(f, 100);
	UNTIL(f, f->entries == FLIGHT_ENTRIES + 100);
	ack(f, f->last);
	UNTIL(f, f->entries == FLIGHT_ENTRIES + 501);   /* and the RUN */
	ack(f, f->last);
	UNTIL(f, f->u->n_flight == 0);
	assert_int_equal(f->u->flight_bytes, 0);
}

static void test_bytes_of_the_window(void **state)
{
	enum { BYTES = 512 << 10, ENTRIES = 40 };
	struct fixture *f = *state;
	unsigned before;

	connect_up(f, 0);
	for (unsigned i = 0; i < ENTRIES; i++)
		assert_int_equal(give(f, WIRE_CHUNK, 1, BYTES), 0);
	UNTIL(f, f->u->flight_bytes >= FLIGHT_BYTES);
	for (int i = 0; i < 20; i++)
		turn(f);
	assert_true(f->u->flight_bytes < FLIGHT_BYTES + BYTES + 100);
	before = f->entries;
	assert_true(before < ENTRIES);
	while (f->entries < ENTRIES + 1) {
		ack(f, f->last);
		before = f->entries;
		UNTIL(f, f->entries > before);
	}
	ack(f, f->last);
	UNTIL(f, f->u->flight_bytes == 0);
}

/* ---- ACK ---- */

static void test_ack_of_what_was_not_sent(void **state)
{
	struct fixture *f = *state;

	connect_up(f, 0);
	UNTIL(f, f->entries == 1);   /* RUN */
	ack(f, f->last + 1);
	UNTIL(f, f->u->state != LINK_UP);
	assert_non_null(strstr(f->u->why.text, "which was not sent"));
	assert_int_equal(f->u->n_flight, 0);
}

/* What was sent and not acknowledged is sent again, from where the collector says that it is. */
static void test_sent_again(void **state)
{
	struct fixture *f = *state;

	connect_up(f, 0);
	for (unsigned i = 0; i < 10; i++)
		give(f, WIRE_CHUNK, 1, 10);
	UNTIL(f, f->entries == 11);
	ack(f, 4);
	UNTIL(f, f->u->n_flight == 7);
	hang_up(f);
	UNTIL(f, f->u->state != LINK_UP);
	f->entries = 0;
	connect_up(f, 6);            /* 5 and 6 were stored, the ACK did not arrive */
	UNTIL(f, f->entries == 5);
	assert_int_equal(f->first_again, 7);
	ack(f, 11);
	UNTIL(f, f->u->n_flight == 0);
}

/* A collector that has more than the agent: sequences that it knows are not given a second time. */
static void test_collector_is_ahead(void **state)
{
	struct fixture *f = *state;

	connect_up(f, 1000);
	give(f, WIRE_CHUNK, 1, 10);
	UNTIL(f, f->entries == 1);
	assert_int_equal(f->last, 1001);
}

static void test_other_frames_end_it(void **state)
{
	static const enum wire_type types[] = { WIRE_WELCOME, WIRE_CHUNK, WIRE_STATS, WIRE_END };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct buf b = { 0 };
		struct frame fr;

		connect_up(f, f->last);
		frame_begin(&fr, &b, types[i], 2);
		msgpack_pack_int(&fr.pk, 1);
		frame_end(&fr);
		say(f, &b);
		UNTIL(f, f->u->state != LINK_UP);
		hang_up(f);
	}
}

/* ---- back-off ---- */

static void test_back_off_doubles(void **state)
{
	struct fixture *f = *state;
	unsigned want = BACKOFF_FIRST_MS;

	f->u->backoff_ms = 0;
	for (int i = 0; i < 20; i++, want = want < BACKOFF_MAX_MS / 2 ? 2 * want : BACKOFF_MAX_MS) {
		link_drop(f->u, "test");
		assert_int_equal(f->u->state, LINK_WAITING);
		assert_int_equal(f->u->backoff_ms, want);
		assert_true(event_pending(f->u->timer, EV_TIMEOUT, NULL));
	}
}

/* A collector that takes something in is not one to stay away from. */
static void test_ack_ends_the_back_off(void **state)
{
	struct fixture *f = *state;

	connect_up(f, 0);
	f->u->backoff_ms = 6400;
	UNTIL(f, f->entries == 1);
	ack(f, f->last);
	UNTIL(f, f->u->backoff_ms == 0);
}

/* ---- what the spool does not take ---- */

/* Its directory is gone, and something else is in its place. */
static void block_spool(struct fixture *f)
{
	int fd;

	remove_spool(f->dir);
	fd = open(f->dir, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void free_spool(struct fixture *f)
{
	assert_int_equal(unlink(f->dir), 0);
}

static void test_small_frames_wait(void **state)
{
	struct fixture *f = *state;
	unsigned stats;

	connect_up(f, 0);
	UNTIL(f, f->entries == 1);
	ack(f, 1);
	UNTIL(f, f->u->n_flight == 0);
	block_spool(f);
	assert_true(give(f, WIRE_CHUNK, 1, 10) < 0);       /* the caller counts it as dropped */
	assert_int_equal(give(f, WIRE_PROBE, 1, 10), 0);
	assert_int_equal(give(f, WIRE_STATS, 1, 10), 0);
	assert_int_equal(give(f, WIRE_STATS, 2, 10), 0);
	assert_int_equal(give(f, WIRE_STATS, 1, 10), 0);   /* in the place of the first one */
	give_end(f, 1, "rm");
	assert_true(ended_has(f->u, 1));
	assert_int_equal(f->entries, 1);
	free_spool(f);
	stats = f->of_type[WIRE_STATS];
	UNTIL(f, f->of_type[WIRE_END] == 1);
	assert_int_equal(f->of_type[WIRE_PROBE], 1);
	assert_int_equal(f->of_type[WIRE_STATS] - stats, 2);
	assert_int_equal(f->of_type[WIRE_CHUNK], 0);
	assert_true(TAILQ_EMPTY(&f->u->pending));
	assert_int_equal(f->u->pending_bytes, 0);
	assert_true(ended_has(f->u, 1));                   /* until it is stored */
	ack(f, f->last);
	UNTIL(f, !ended_has(f->u, 1));
}

/* While something waits records do not overtake it, and the memory for it is bounded: ENDs may take what others may not. */
static void test_waiting_is_bounded(void **state)
{
	enum { BYTES = 100 << 10 };
	struct fixture *f = *state;
	unsigned taken = 0;

	block_spool(f);
	while (!give(f, WIRE_NOTICE, 1, BYTES))
		taken++;
	assert_true(taken >= PENDING_BYTES_MAX / (BYTES + 100) && taken * BYTES <= PENDING_BYTES_MAX);
	assert_int_equal(f->u->frames_lost, 1);
	give_end(f, 7, "rm");
	assert_int_equal(f->u->frames_lost, 1);
	assert_true(ended_has(f->u, 7));
	free_spool(f);
	assert_int_equal(give(f, WIRE_CHUNK, 1, 10), 0);
	assert_true(TAILQ_EMPTY(&f->u->pending));
	connect_up(f, 0);
	UNTIL(f, f->of_type[WIRE_CHUNK] == 1);
	assert_int_equal(f->of_type[WIRE_NOTICE], taken);
	assert_int_equal(f->of_type[WIRE_END], 1);
}

/* After a shutdown the collector sends the request again: its END does not say that it has ended for good. */
static void test_end_of_a_shutdown(void **state)
{
	struct fixture *f = *state;

	give_end(f, 5, "shutdown");
	give_end(f, 6, "limit");
	give_end(f, WIRE_LOCAL_REQUEST + 1, "rm");
	assert_false(ended_has(f->u, 5));
	assert_true(ended_has(f->u, 6));
	assert_false(ended_has(f->u, WIRE_LOCAL_REQUEST + 1));
}

#define UPLINK_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UPLINK_TEST(test_entries_of_the_window), UPLINK_TEST(test_bytes_of_the_window), UPLINK_TEST(test_ack_of_what_was_not_sent),
		UPLINK_TEST(test_sent_again), UPLINK_TEST(test_collector_is_ahead), UPLINK_TEST(test_other_frames_end_it),
		UPLINK_TEST(test_back_off_doubles), UPLINK_TEST(test_ack_ends_the_back_off), UPLINK_TEST(test_small_frames_wait),
		UPLINK_TEST(test_waiting_is_bounded), UPLINK_TEST(test_end_of_a_shutdown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
