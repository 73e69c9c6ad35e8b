/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frame.h"
#include "log.h"
#include "spool.h"

static char dir[64];

static void empty_dir(void)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

static int set_up(void **state)
{
	strcpy(dir, "/tmp/plumb-spool.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	empty_dir();
	return rmdir(dir);
}

static struct spool *open_spool(uint64_t bytes)
{
	struct error err = { 0 };
	struct spool *s = NULL;

	if (spool_open(dir, bytes ? bytes : SPOOL_BYTES_DEFAULT, &s, &err))
		fail_msg("spool_open: %s", err.text);
	return s;
}

/* A frame that says what it is: [type, request, number, padding]. */
static void make_frame(struct buf *b, enum wire_type type, uint64_t request, uint64_t number, size_t padding)
{
	msgpack_packer pk;

	buf_clear(b);
	pack_into(&pk, b);
	msgpack_pack_array(&pk, 4);
	msgpack_pack_int(&pk, type);
	msgpack_pack_uint64(&pk, request);
	msgpack_pack_uint64(&pk, number);
	msgpack_pack_bin(&pk, padding);
	while (padding--)
		buf_char(b, (char)(number * 7 + padding));
}

static int append(struct spool *s, enum wire_type type, uint64_t request, uint32_t records, uint64_t number, size_t padding,
		  uint64_t *sequence)
{
	struct buf b = { 0 };
	struct spool_entry e = { .type = type, .request = request, .records = records };
	int rc;

	make_frame(&b, type, request, number, padding);
	e.frame = b.data;
	e.len = b.len;
	rc = spool_append(s, &e, sequence);
	buf_free(&b);
	return rc;
}

/* What a collector would know after reading everything. */
struct seen {
	unsigned entries, of_type[WIRE_TYPES];
	uint64_t chunk_records, lost, corrupt;     /* corrupt: of LOSS entries of damage */
	unsigned corrupt_entries;
	uint64_t last;
	uint64_t last_stats;
};

static void see(struct seen *seen, const struct spool_entry *e)
{
	struct frame_in in;
	struct buf again = { 0 };
	uint64_t n = 0, request = 0;

	assert_true(e->sequence > seen->last);
	assert_int_equal(frame_read(e->frame, e->len, &in, NULL), 0);
	assert_int_equal(in.type, e->type);
	assert_true(object_u64(&in.items[1], &request) && object_u64(&in.items[2], &n));
	assert_int_equal(request, e->request);
	if (e->type == WIRE_LOSS && memmem(e->frame, e->len, "spool-corrupt", 13)) {
		seen->corrupt += n;
		seen->corrupt_entries++;
	} else if (e->type == WIRE_LOSS) {
		seen->lost += n;
	} else {
		make_frame(&again, e->type, request, n, in.items[3].via.bin.size);
		assert_int_equal(again.len, e->len);
		assert_memory_equal(again.data, e->frame, e->len);
	}
	if (e->type == WIRE_CHUNK)
		seen->chunk_records += e->records;
	if (e->type == WIRE_STATS)
		seen->last_stats = n;
	seen->last = e->sequence;
	seen->entries++;
	seen->of_type[e->type]++;
	buf_free(&again);
	frame_in_free(&in);
}

static struct seen read_after(struct spool *s, uint64_t after)
{
	struct seen seen = { .last = after };
	struct spool_entry e;
	int rc;

	spool_seek(s, after);
	while ((rc = spool_read(s, &e)) > 0)
		see(&seen, &e);
	assert_int_equal(rc, 0);
	return seen;
}

/* ---- the ordinary ---- */

static void test_append_read_ack(void **state)
{
	struct spool *s = open_spool(0);
	struct spool_status st;
	struct spool_entry e;
	uint64_t seq = 0;
	struct seen seen;

	assert_int_equal(spool_read(s, &e), 0);
	for (uint64_t i = 1; i <= 100; i++) {
		assert_int_equal(append(s, i % 10 ? WIRE_CHUNK : WIRE_STATS, 3, i % 10 ? 5 : 0, i, 100 * i, &seq), 0);
		assert_int_equal(seq, i);
	}
	seen = read_after(s, 0);
	assert_int_equal(seen.entries, 100);
	assert_int_equal(seen.chunk_records, 90 * 5);
	assert_int_equal(read_after(s, 60).entries, 40);
	assert_int_equal(read_after(s, 100).entries, 0);
	assert_int_equal(append(s, WIRE_END, 3, 0, 101, 1, NULL), 0);
	assert_int_equal(spool_read(s, &e), 1);      /* goes on where it was */
	assert_int_equal(e.sequence, 101);
	assert_int_equal(e.type, WIRE_END);
	spool_ack(s, 50);
	spool_status(s, &st);
	assert_int_equal(st.acked, 50);
	assert_int_equal(st.backlog_entries, 51);
	assert_int_equal(st.next, 102);
	assert_true(st.oldest_ns > 0);
	spool_close(s);
}

static void test_reopen(void **state)
{
	struct spool *s = open_spool(0);
	char agent[33];
	uint64_t seq;

	strcpy(agent, spool_agent(s));
	assert_int_equal(strspn(agent, "0123456789abcdef"), 32);
	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(append(s, WIRE_CHUNK, 1, 2, i, 1000, NULL), 0);
	spool_ack(s, 4);
	spool_close(s);
	s = open_spool(0);
	assert_string_equal(spool_agent(s), agent);
	assert_int_equal(read_after(s, 0).entries, 10);
	spool_ack(s, 10);
	spool_close(s);
	s = open_spool(0);                           /* nothing is left, but the sequences go on */
	assert_int_equal(read_after(s, 10).entries, 0);
	assert_int_equal(append(s, WIRE_RUN, 0, 0, 11, 0, &seq), 0);
	assert_int_equal(seq, 11);
	spool_close(s);
}

static void test_one_agent_only(void **state)
{
	struct spool *s = open_spool(0), *other = NULL;
	struct error err = { 0 };

	assert_int_equal(spool_open(dir, 0, &other, &err), -EBUSY);
	assert_string_not_equal(err.hint, "");
	spool_close(s);
	spool_close(open_spool(0));
}

static void test_refuses_bad_frames(void **state)
{
	struct spool *s = open_spool(0);
	struct spool_entry e = { .type = WIRE_CHUNK, .frame = dir, .len = 0 };
	struct spool_status st;

	assert_int_equal(spool_append(s, &e, NULL), -EMSGSIZE);
	e.len = WIRE_FRAME_MAX;
	assert_int_equal(spool_append(s, &e, NULL), -EMSGSIZE);
	spool_status(s, &st);
	assert_int_equal(st.next, 1);
	spool_close(s);
}

static void test_skips_above_what_a_collector_knows(void **state)
{
	struct spool *s = open_spool(0);
	uint64_t seq;

	assert_int_equal(append(s, WIRE_RUN, 0, 0, 1, 0, NULL), 0);
	spool_skip_to(s, 1000);
	spool_ack(s, 1000);
	assert_int_equal(append(s, WIRE_CHUNK, 1, 1, 2, 10, &seq), 0);
	assert_int_equal(seq, 1001);
	spool_close(s);
	s = open_spool(0);
	assert_int_equal(append(s, WIRE_CHUNK, 1, 1, 3, 10, &seq), 0);
	assert_int_equal(seq, 1002);
	assert_int_equal(read_after(s, 1000).entries, 2);
	spool_close(s);
}

/* ---- damage ---- */

static int only_segment(char path[128])
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int n = 0;

	while ((e = readdir(d))) {
		if (strstr(e->d_name, ".seg")) {
			snprintf(path, 128, "%s/%.60s", dir, e->d_name);
			n++;
		}
	}
	closedir(d);
	return n;
}

static char *slurp(const char *path, size_t *len)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	char *data;

	assert_true(fd >= 0 && !fstat(fd, &st));
	data = malloc((size_t)st.st_size + 1);
	*len = (size_t)st.st_size;
	assert_int_equal(read(fd, data, *len), st.st_size);
	close(fd);
	return data;
}

static void spit(const char *path, const char *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

enum { ENTRIES = 12 };

/* A segment of ENTRIES entries, every third one STATS, and where each of them ends. */
static char *small_segment(char path[128], size_t *len, size_t end[ENTRIES])
{
	struct spool *s = open_spool(0);

	for (uint64_t i = 0; i < ENTRIES; i++) {
		struct stat st;

		assert_int_equal(append(s, i % 3 == 2 ? WIRE_STATS : WIRE_CHUNK, 7, i % 3 == 2 ? 0 : 10, i, 20 + i, NULL), 0);
		assert_int_equal(only_segment(path), 1);
		assert_int_equal(stat(path, &st), 0);
		end[i] = (size_t)st.st_size;
	}
	spool_close(s);
	return slurp(path, len);
}

/* kill -9 in the middle of a write: what was whole is there, what was torn is gone, and the log goes on. */
static void test_every_truncation(void **state)
{
	size_t len, end[ENTRIES];
	char path[128], *data = small_segment(path, &len, end);

	for (size_t cut = 0; cut < len; cut++) {
		unsigned whole = 0;
		struct spool *s;
		struct seen seen;

		while (whole < ENTRIES && end[whole] <= cut)
			whole++;
		spit(path, data, cut);
		s = open_spool(0);
		seen = read_after(s, 0);
		assert_int_equal(seen.entries, whole);
		assert_int_equal(seen.of_type[WIRE_LOSS], 0);
		assert_int_equal(append(s, WIRE_CHUNK, 7, 1, 99, 30, NULL), 0);
		assert_int_equal(read_after(s, 0).entries, whole + 1);
		spool_close(s);
		s = open_spool(0);
		assert_int_equal(read_after(s, 0).entries, whole + 1);
		spool_close(s);
		empty_dir();
	}
	free(data);
}

/* One damaged byte costs one entry at most, and its records are counted, wherever it is. */
static void test_every_damaged_byte(void **state)
{
	size_t len, end[ENTRIES];
	char path[128], *data = small_segment(path, &len, end);
	uint64_t all = (uint64_t)(ENTRIES - ENTRIES / 3) * 10;
	unsigned counted = 0;

	/* not those of the last entry: there damage is the same as a torn end */
	for (size_t at = 0; at < end[ENTRIES - 2]; at++) {
		struct spool *s;
		struct seen seen;

		data[at] ^= 0x55;
		spit(path, data, len);
		data[at] ^= 0x55;
		s = open_spool(0);
		seen = read_after(s, 0);
		assert_int_equal(seen.chunk_records + seen.corrupt, all);
		assert_true(seen.entries >= ENTRIES - 1 && seen.corrupt_entries <= 1);
		counted += seen.corrupt_entries;
		if (at < sizeof(uint64_t))
			assert_int_equal(seen.corrupt, 0);   /* the segment's own head: no entry is lost */
		assert_int_equal(append(s, WIRE_CHUNK, 7, 10, 99, 30, NULL), 0);
		assert_int_equal(read_after(s, 0).entries, seen.entries + 1);
		spool_close(s);
		empty_dir();
	}
	assert_true(counted > 500);
	free(data);
}

static void test_damaged_end_of_a_closed_segment(void **state)
{
	size_t len, end[ENTRIES];
	char path[128], *data = small_segment(path, &len, end);
	struct spool *s = open_spool(0);
	struct seen seen;

	spool_skip_to(s, 100);                       /* closes the segment */
	assert_int_equal(append(s, WIRE_CHUNK, 7, 10, 99, 30, NULL), 0);
	spool_close(s);
	memset(data + end[ENTRIES - 3], 0x11, len - end[ENTRIES - 3]);
	snprintf(path, sizeof(path), "%s/0000000000000001.seg", dir);
	spit(path, data, len);
	s = open_spool(0);
	seen = read_after(s, 0);
	assert_int_equal(seen.corrupt_entries, 1);   /* how many records is not known */
	assert_int_equal(seen.entries, ENTRIES - 2 + 2);
	spool_close(s);
	free(data);
}

/* rm -rf while the agent runs: what was in the file is a loss, what comes goes into a new one. */
static void test_removed_files(void **state)
{
	struct spool *s = open_spool(0);
	struct seen seen;
	char path[128];

	for (int i = 0; i < 4; i++)
		assert_int_equal(append(s, WIRE_CHUNK, 7, 10, (uint64_t)i, 30, NULL), 0);
	snprintf(path, sizeof(path), "%s/0000000000000001.seg", dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(append(s, WIRE_CHUNK, 7, 10, 5, 30, NULL), 0);
	seen = read_after(s, 0);
	assert_int_equal(seen.corrupt, 40);
	assert_int_equal(seen.chunk_records, 10);
	assert_int_equal(read_after(s, 4).entries, 1);
	spool_ack(s, 5);
	assert_int_equal(append(s, WIRE_CHUNK, 7, 10, 6, 30, NULL), 0);
	assert_int_equal(read_after(s, 5).chunk_records, 10);
	spool_close(s);
	s = open_spool(0);
	assert_int_equal(read_after(s, 5).chunk_records, 10);
	spool_close(s);
}

/* The directory went as well: it is made again, for the same agent, and what was in it is a loss. */
static void test_removed_directory(void **state)
{
	struct spool *s = open_spool(0), *other = NULL;
	char agent[SPOOL_AGENT_DIGITS + 1];
	struct spool_status st;
	struct error err = { 0 };
	struct seen seen;

	strcpy(agent, spool_agent(s));
	assert_int_equal(append(s, WIRE_CHUNK, 7, 10, 1, 30, NULL), 0);
	assert_int_equal(append(s, WIRE_CHUNK, 7, 10, 2, 30, NULL), 0);
	spool_ack(s, 1);
	empty_dir();
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(append(s, WIRE_CHUNK, 7, 3, 3, 30, NULL), 0);
	seen = read_after(s, 0);
	assert_int_equal(seen.corrupt, 20);
	assert_int_equal(seen.chunk_records, 3);
	spool_status(s, &st);
	assert_int_equal(st.refused, 0);
	assert_int_equal(spool_open(dir, SPOOL_BYTES_DEFAULT, &other, &err), -EBUSY);
	spool_close(s);
	s = open_spool(0);
	assert_string_equal(spool_agent(s), agent);
	assert_int_equal(read_after(s, 2).chunk_records, 3);
	spool_status(s, &st);
	assert_int_equal(st.acked, 1);
	assert_int_equal(st.next, 4);
	spool_close(s);
}

/* While there is no place for it nothing is accepted that nobody would find again; and none is taken that is another agent's. */
static void test_removed_directory_cannot_be_made(void **state)
{
	struct spool *s = open_spool(0);
	char path[128];

	empty_dir();
	assert_int_equal(rmdir(dir), 0);
	spit(dir, "in the way", 10);
	assert_int_equal(append(s, WIRE_CHUNK, 7, 10, 1, 30, NULL), -ENOTDIR);
	assert_int_equal(unlink(dir), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/agent", dir);
	spit(path, "0123456789abcdef0123456789abcdef\n", 33);
	assert_true(append(s, WIRE_CHUNK, 7, 10, 1, 30, NULL) < 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(append(s, WIRE_CHUNK, 7, 10, 1, 30, NULL), 0);
	assert_int_equal(read_after(s, 0).chunk_records, 10);
	spool_close(s);
}

static void test_garbage_files(void **state)
{
	static const char *const names[] = { "0000000000000003.seg", "7fffffffffffffff.seg", "ffffffffffffffff.seg", "0000000000000000.seg",
					     "rewrite.tmp", "acked", "agent", "zz.seg" };
	char path[128], garbage[5000];
	struct spool *s;
	uint64_t seq;

	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (char)(i * 2654435761U >> 13);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		spit(path, garbage, sizeof(garbage));
	}
	s = open_spool(0);
	assert_int_equal(strlen(spool_agent(s)), 32);
	assert_int_equal(append(s, WIRE_CHUNK, 7, 10, 1, 30, &seq), 0);
	assert_true(seq > 3);
	assert_int_equal(read_after(s, 0).chunk_records, 10);
	spool_close(s);
}

/* The file that tells how far entries were acked is gone or not to be trusted: sequences are not used a second time. */
static void test_sequences_after_damage(void **state)
{
	struct spool *s = open_spool(0);
	char path[128];
	uint64_t seq;

	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(append(s, WIRE_CHUNK, 1, 2, i, 1000, NULL), 0);
	spool_ack(s, 10);
	spool_close(s);
	snprintf(path, sizeof(path), "%s/acked", dir);
	spit(path, "garbage garbage garbage ", 24);
	assert_int_equal(only_segment(path), 1);
	assert_int_equal(unlink(path), 0);
	s = open_spool(0);
	assert_int_equal(append(s, WIRE_CHUNK, 1, 2, 1, 1000, &seq), 0);
	assert_true(seq > 1 << 20);
	spool_close(s);
}

/* ---- the bound ---- */

static uint64_t du(void)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	uint64_t sum = 0;
	struct stat st;

	while ((e = readdir(d)))
		if (strstr(e->d_name, ".seg") && !fstatat(dirfd(d), e->d_name, &st, 0))
			sum += (uint64_t)st.st_size;
	closedir(d);
	return sum;
}

/* Ten times as much as there is room for: records are given up, the oldest first, and every one of them is counted. */
static void test_bound(void **state)
{
	struct spool *s = open_spool(SPOOL_BYTES_MIN);
	uint64_t accepted = 0, n = 0;
	struct spool_status st;
	struct seen seen;

	assert_int_equal(append(s, WIRE_RUN, 0, 0, ++n, 8, NULL), 0);
	assert_int_equal(append(s, WIRE_PROBE, 5, 0, ++n, 300, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		int rc = append(s, WIRE_CHUNK, 5, 100, ++n, 10000, NULL);

		accepted += rc ? 0 : 100;
		if (i % 20 == 0)
			assert_int_equal(append(s, WIRE_STATS, 5, 0, ++n, 500, NULL), 0);
		assert_true(du() <= SPOOL_BYTES_MIN);
	}
	assert_int_equal(accepted, 1000 * 100);      /* the newest is never refused while there is something older to give up */
	assert_int_equal(append(s, WIRE_END, 5, 0, ++n, 500, NULL), 0);
	seen = read_after(s, 0);
	assert_int_equal(seen.chunk_records + seen.lost, accepted);
	assert_true(seen.chunk_records > 50 * 100 && seen.lost > 800 * 100);
	assert_int_equal(seen.of_type[WIRE_RUN] + seen.of_type[WIRE_PROBE] + seen.of_type[WIRE_END], 3);
	assert_int_equal(seen.of_type[WIRE_STATS], 50);
	spool_status(s, &st);
	assert_int_equal(st.lost_records, seen.lost);
	assert_int_equal(st.bytes, du());
	spool_close(s);
	s = open_spool(SPOOL_BYTES_MIN);
	assert_int_equal(read_after(s, 0).lost, seen.lost);
	assert_int_equal(read_after(s, 0).entries, seen.entries);
	spool_ack(s, seen.last);
	spool_status(s, &st);
	assert_int_equal(st.backlog_entries, 0);
	assert_true(du() <= SPOOL_BYTES_MIN / 16);   /* one segment is left, which goes on */
	spool_close(s);
}

/* What a collector may have got keeps its sequence, also as a LOSS: it is counted once, whichever of the two arrived. */
static void test_bound_after_sending(void **state)
{
	enum { SENT = 20 };
	struct spool *s = open_spool(SPOOL_BYTES_MIN);
	bool lost[SENT + 1] = { false };
	struct spool_entry e;
	int rc;

	for (uint64_t i = 1; i <= SENT; i++)
		assert_int_equal(append(s, WIRE_CHUNK, 5, (uint32_t)(100 + i), i, 10000, NULL), 0);
	for (int i = 0; i < SENT; i++)
		assert_int_equal(spool_read(s, &e), 1);
	for (int i = 0; i < 400; i++)
		assert_int_equal(append(s, WIRE_CHUNK, 5, 100, 1000, 10000, NULL), 0);
	spool_seek(s, 0);
	while ((rc = spool_read(s, &e)) > 0 && e.sequence <= SENT) {
		assert_int_equal(e.type, WIRE_LOSS);
		assert_int_equal(e.records, 100 + e.sequence);
		lost[e.sequence] = true;
	}
	assert_int_equal(rc, 1);
	for (int i = 1; i <= SENT; i++)
		assert_true(lost[i]);
	spool_close(s);
}

/* Small chunks, many requests, no end of STATS: superseded ones and those by function go in the end, the last one of each request stays. */
static void test_bound_of_small_entries(void **state)
{
	struct spool *s = open_spool(SPOOL_BYTES_MIN);
	uint64_t accepted = 0, refused = 0, n = 0;
	struct seen seen;

	for (int i = 0; i < 40000; i++) {
		uint64_t request = 1 + (uint64_t)i % 9;

		if (append(s, WIRE_CHUNK, request, 3, ++n, 40, NULL))
			refused += 3;
		else
			accepted += 3;
		if (i % 3)
			continue;
		assert_int_equal(append(s, WIRE_FUNCTION_STATS, request, 0, ++n, 200, NULL), 0);
		assert_int_equal(append(s, WIRE_STATS, request, 0, ++n, 200, NULL), 0);
	}
	seen = read_after(s, 0);
	assert_int_equal(seen.chunk_records + seen.lost, accepted);
	assert_int_equal(refused, 0);
	assert_true(seen.of_type[WIRE_STATS] > 9 && seen.of_type[WIRE_FUNCTION_STATS] > 0);
	assert_true(du() <= SPOOL_BYTES_MIN);
	spool_close(s);
}

/* When nothing can be given up, CHUNKs are refused first; the rest may take an eighth more, and then is refused too. */
static void test_nothing_to_give_up(void **state)
{
	struct spool *s = open_spool(SPOOL_BYTES_MIN);
	uint64_t n = 1;
	struct spool_status st;

	for (; !append(s, WIRE_PROBE, n, 0, n, 5000, NULL); n++)
		assert_true(n < 1000);
	assert_true(n > 200);
	assert_int_equal(append(s, WIRE_CHUNK, 1, 10, n, 500, NULL), -ENOSPC);
	assert_true(du() <= SPOOL_BYTES_MIN + SPOOL_BYTES_MIN / 8);
	assert_int_equal(read_after(s, 0).of_type[WIRE_PROBE], n - 1);
	spool_ack(s, n - 1);
	spool_status(s, &st);
	assert_int_equal(st.backlog_entries, 0);
	assert_true(st.refused >= 2);
	assert_int_equal(append(s, WIRE_CHUNK, 1, 10, n, 500, NULL), 0);
	spool_close(s);
}

/* ---- no more room on the disk: a limit on the size of files stands for it ---- */

static void limit_files(rlim_t bytes)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void test_full_disk(void **state)
{
	struct spool *s = open_spool(0);
	uint64_t accepted = 0, n = 0, seq = 0;
	struct seen seen;

	limit_files(100000);
	for (int i = 0; i < 50; i++)
		if (!append(s, WIRE_CHUNK, 5, 100, ++n, 7777, &seq))
			accepted += 100;
	assert_int_equal(accepted, 12 * 100);
	seen = read_after(s, 0);                     /* the torn write was taken back */
	assert_int_equal(seen.chunk_records, accepted);
	limit_files(RLIM_INFINITY);
	assert_int_equal(append(s, WIRE_CHUNK, 5, 100, ++n, 7777, &seq), 0);
	assert_int_equal(seq, 13);                   /* a refused one has no sequence */
	assert_int_equal(read_after(s, 0).chunk_records, accepted + 100);
	spool_close(s);
	s = open_spool(0);
	assert_int_equal(read_after(s, 0).chunk_records, accepted + 100);
	assert_int_equal(read_after(s, 0).of_type[WIRE_LOSS], 0);
	spool_close(s);
}

/* What fills the disk has been stored: it gives way, also in the file that grows. */
static void test_full_disk_of_what_is_acked(void **state)
{
	struct spool *s = open_spool(0);
	uint64_t n = 0, seq = 0, last;

	limit_files(100000);
	while (!append(s, WIRE_CHUNK, 5, 100, n + 1, 7777, &seq))
		n++;
	last = seq;
	spool_ack(s, last - 1);
	assert_int_not_equal(append(s, WIRE_CHUNK, 5, 100, n + 1, 7777, &seq), 0);   /* one is not */
	spool_ack(s, last);
	assert_int_equal(append(s, WIRE_CHUNK, 5, 100, n + 1, 7777, &seq), 0);
	limit_files(RLIM_INFINITY);
	assert_int_equal(seq, last + 1);
	assert_int_equal(read_after(s, last).chunk_records, 100);
	spool_close(s);
	s = open_spool(0);
	assert_int_equal(read_after(s, last).chunk_records, 100);
	assert_int_equal(append(s, WIRE_CHUNK, 5, 100, n + 2, 7777, &seq), 0);
	assert_int_equal(seq, last + 2);
	spool_close(s);
}

/* A rewrite that fails leaves the segment as it was. */
static void test_full_disk_at_the_bound(void **state)
{
	struct spool *s = open_spool(SPOOL_BYTES_MIN);
	uint64_t n = 0;

	while (append(s, WIRE_PROBE, 1, 0, ++n, 3000, NULL) == 0 && du() < SPOOL_BYTES_MIN - 10000)
		assert_int_equal(append(s, WIRE_CHUNK, 1, 10, ++n, 3000, NULL), 0);
	limit_files(20000);
	for (int i = 0; i < 10; i++)
		append(s, WIRE_CHUNK, 1, 10, n + 1, 3000, NULL);
	limit_files(RLIM_INFINITY);
	assert_true(read_after(s, 0).entries >= n);
	spool_close(s);
}

static void count_entry(const struct spool_entry *e, void *arg)
{
	*(unsigned *)arg += 1;
}

static void test_each(void **state)
{
	struct spool *s = open_spool(0);
	unsigned seen = 0;

	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(append(s, WIRE_END, i, 0, i, 10, NULL), 0);
	spool_ack(s, 3);
	assert_int_equal(spool_each(s, count_entry, &seen), 0);
	assert_int_equal(seen, 7);
	spool_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_append_read_ack), TEST(test_reopen), TEST(test_one_agent_only), TEST(test_refuses_bad_frames),
		TEST(test_skips_above_what_a_collector_knows), TEST(test_every_truncation), TEST(test_every_damaged_byte),
		TEST(test_damaged_end_of_a_closed_segment), TEST(test_removed_files), TEST(test_removed_directory), TEST(test_removed_directory_cannot_be_made),
		TEST(test_garbage_files), TEST(test_sequences_after_damage),
		TEST(test_bound), TEST(test_bound_after_sending), TEST(test_bound_of_small_entries), TEST(test_nothing_to_give_up),
		TEST(test_full_disk), TEST(test_full_disk_of_what_is_acked), TEST(test_full_disk_at_the_bound), TEST(test_each),
	};

	signal(SIGXFSZ, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
