/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BPF ring buffer's memory (Documentation/bpf/ringbuf.rst): one page with the consumer's position, one with the
 * producer's, then the data, mapped twice in a row so that a record never wraps.  Read here without libbpf because
 * the records of several rings are merged in place, by time, without a copy.
 */
#include "ring.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RINGS_MAX = 64 };

struct one_ring {
	int fd;
	unsigned long *consumer;       /* our page */
	unsigned long *producer;       /* the kernel's page, followed by the data */
	const uint8_t *data;
	unsigned long pos;             /* consumer position, published in *consumer after each batch */
	unsigned long mark;            /* producer position at rings_mark */
	const struct event *head;      /* at pos, finished; NULL: not looked at, or not there */
	uint32_t head_len;
	uint64_t head_ns;              /* when its call was finished */
};

struct rings {
	int outer_fd, state_fd, epoll_fd;
	unsigned count;
	uint32_t bytes;
	struct ring_shared *state;
	struct one_ring ring[RINGS_MAX];
};

static uint32_t power_of_two(uint32_t v)
{
	uint32_t p = 1;

	while (p < v && p < 1U << 31)
		p <<= 1;
	return p;
}

static int ring_open(struct one_ring *ring, uint32_t bytes, int epoll_fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };   /* a wake-up counts, not that there are events */
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *map;

	ring->fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "plumb_ring", 0, 0, bytes, NULL);
	if (ring->fd < 0)
		return -errno;
	map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	ring->consumer = map;
	map = mmap(NULL, page + 2 * (size_t)bytes, PROT_READ, MAP_SHARED, ring->fd, (off_t)page);
	if (map == MAP_FAILED)
		return -errno;
	ring->producer = map;
	/* Children read files; they are not to keep the kernel's memory. */
	madvise(ring->consumer, page, MADV_DONTFORK);
	madvise(ring->producer, page + 2 * (size_t)bytes, MADV_DONTFORK);
	ring->data = (uint8_t *)map + page;
	ring->pos = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ring->fd, &ev) ? -errno : 0;
}

static void ring_close(struct one_ring *ring, uint32_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (ring->consumer)
		munmap(ring->consumer, page);
	if (ring->producer)
		munmap(ring->producer, page + 2 * (size_t)bytes);
	if (ring->fd >= 0)
		close(ring->fd);
}

static int open_state(struct rings *r)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	void *map;

	r->state_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "plumb_wake", 4, sizeof(struct ring_shared), 1, &opts);
	if (r->state_fd < 0)
		return -errno;
	map = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, r->state_fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	r->state = map;
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return r->epoll_fd < 0 ? -errno : 0;
}

/* The outer map must be told what its inner maps look like. */
static int open_all(struct rings *r)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int err = open_state(r);

	for (unsigned i = 0; !err && i < r->count; i++)
		err = ring_open(&r->ring[i], r->bytes, r->epoll_fd);
	if (err)
		return err;
	opts.inner_map_fd = (uint32_t)r->ring[0].fd;
	r->outer_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "plumb_rings", 4, 4, r->count, &opts);
	if (r->outer_fd < 0)
		return -errno;
	for (uint32_t i = 0; i < r->count; i++)
		if (bpf_map_update_elem(r->outer_fd, &i, &r->ring[i].fd, BPF_ANY))
			return -errno;
	return 0;
}

int rings_new(unsigned cpus, uint32_t bytes, struct rings **out, struct error *err)
{
	struct rings *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return error_set(err, ENOMEM, "out of memory");
	r->outer_fd = r->state_fd = r->epoll_fd = -1;
	r->count = power_of_two(cpus ? cpus : 1);
	if (r->count > RINGS_MAX)
		r->count = RINGS_MAX;
	r->bytes = power_of_two(bytes < 4096 ? 4096 : bytes);
	for (unsigned i = 0; i < r->count; i++)
		r->ring[i].fd = -1;
	rc = open_all(r);
	if (rc) {
		error_set(err, -rc, "cannot create the ring buffers: %s", strerror(-rc));
		rings_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void rings_free(struct rings *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->count; i++)
		ring_close(&r->ring[i], r->bytes);
	if (r->state)
		munmap(r->state, (size_t)sysconf(_SC_PAGESIZE));
	if (r->outer_fd >= 0)
		close(r->outer_fd);
	if (r->state_fd >= 0)
		close(r->state_fd);
	if (r->epoll_fd >= 0)
		close(r->epoll_fd);
	free(r);
}

unsigned rings_count(const struct rings *r) { return r->count; }
uint32_t rings_bytes(const struct rings *r) { return r->bytes; }
int rings_map_fd(const struct rings *r) { return r->outer_fd; }
int rings_state_fd(const struct rings *r) { return r->state_fd; }
int rings_epoll_fd(const struct rings *r) { return r->epoll_fd; }

void rings_heard(struct rings *r)
{
	struct epoll_event ev[8];
	int n;

	do
		n = epoll_wait(r->epoll_fd, ev, 8, 0);
	while (n == 8);
}

static void ring_skip(struct one_ring *ring, uint32_t len)
{
	ring->pos += (len + BPF_RINGBUF_HDR_SZ + 7) & ~7UL;
	ring->head = NULL;
}

/* Looks for the next finished record. Skips discarded ones, and what is too short to be an event. */
static bool ring_look(struct one_ring *ring, uint32_t bytes)
{
	while (ring->pos < __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE)) {
		const uint8_t *at = ring->data + (ring->pos & (bytes - 1));
		uint32_t header = __atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE);
		uint32_t len = header & ~(uint32_t)(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		const struct event *ev = (const void *)(at + BPF_RINGBUF_HDR_SZ);

		if (header & BPF_RINGBUF_BUSY_BIT)
			return false;
		if (!(header & BPF_RINGBUF_DISCARD_BIT) && len >= sizeof(*ev)) {
			ring->head = ev;
			ring->head_len = len;
			ring->head_ns = ev->ts_ns + ev->duration_ns;
			return true;
		}
		ring_skip(ring, len);
	}
	return false;
}

static void ring_publish(struct one_ring *ring)
{
	__atomic_store_n(ring->consumer, ring->pos, __ATOMIC_RELEASE);
}

/* The ring whose next event was finished first. One that seemed empty is looked at again for each event: what comes into it
 * meanwhile may be older than what the others still hold. */
static struct one_ring *oldest(struct rings *r)
{
	struct one_ring *best = NULL;

	for (unsigned i = 0; i < r->count; i++) {
		struct one_ring *ring = &r->ring[i];

		if ((ring->head || ring_look(ring, r->bytes)) && (!best || ring->head_ns < best->head_ns))
			best = ring;
	}
	return best;
}

size_t rings_consume(struct rings *r, void (*take)(const struct event *ev, size_t len, void *arg), void *arg, size_t max)
{
	struct one_ring *ring;
	size_t n = 0;

	__atomic_store_n(&r->state->want_wakeup, 0, __ATOMIC_RELAXED);
	while (n < max && (ring = oldest(r))) {
		take(ring->head, ring->head_len, arg);
		ring_skip(ring, ring->head_len);
		if ((++n & 63) == 0) /* give the space back early: the kernel drops when the ring is full */
			ring_publish(ring);
	}
	for (unsigned i = 0; i < r->count; i++)
		ring_publish(&r->ring[i]);
	return n;
}

void rings_mark(struct rings *r)
{
	for (unsigned i = 0; i < r->count; i++)
		r->ring[i].mark = __atomic_load_n(r->ring[i].producer, __ATOMIC_ACQUIRE);
}

bool rings_reached(const struct rings *r)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->ring[i].pos < r->ring[i].mark)
			return false;
	return true;
}

bool rings_arm(struct rings *r)
{
	__atomic_store_n(&r->state->want_wakeup, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < r->count; i++)
		if (r->ring[i].pos < __atomic_load_n(r->ring[i].producer, __ATOMIC_ACQUIRE))
			return false;
	return true;
}
