/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"

enum { BUCKETS = 4096 };

/* One row, or one text, and whose it is. */
struct merge_row {
	uint32_t number;         /* the order it came in */
	uint32_t next;           /* in its bucket: number + 1; 0: none */
	uint32_t hash, cells;    /* cells: how many follow in `bytes`; of a text: 1 */
	struct buf bytes;        /* msgpack, without the array's head */
	struct buf key;          /* of a text: what makes it the same as another */
	struct buf measured;     /* of a text: what other hosts measured differently */
	struct buf hosts;        /* msgpack texts one after the other */
	uint32_t n_hosts;
};

struct merge {
	enum merge_kind kind;
	struct merge_row *row;
	uint32_t n;
	uint32_t bucket[BUCKETS];   /* number + 1 of the last row with such a hash */
	size_t bytes;            /* of all rows and hosts */
	bool cut;
};

struct merge *merge_new(enum merge_kind kind)
{
	struct merge *m = calloc(1, sizeof(*m));

	if (m)
		m->kind = kind;
	return m;
}

static void row_free(struct merge_row *r)
{
	buf_free(&r->bytes);
	buf_free(&r->key);
	buf_free(&r->measured);
	buf_free(&r->hosts);
}

void merge_free(struct merge *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->n; i++)
		row_free(&m->row[i]);
	free(m->row);
	free(m);
}

bool merge_cut(const struct merge *m)
{
	return m->cut;
}

static uint32_t hash_of(const struct buf *b)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < b->len; i++)
		h = (h ^ (unsigned char)b->data[i]) * 16777619u;   /* FNV-1a */
	return h;
}

static const struct buf *key_of(const struct merge *m, const struct merge_row *r)
{
	return m->kind == MERGE_TEXT ? &r->key : &r->bytes;
}

/* The row that says the same. */
static struct merge_row *find_equal(struct merge *m, const struct merge_row *r)
{
	const struct buf *key = key_of(m, r);

	for (uint32_t i = m->bucket[r->hash % BUCKETS]; m->kind != MERGE_ROWS && m->kind != MERGE_WHOLE && i; i = m->row[i - 1].next) {
		const struct buf *other = key_of(m, &m->row[i - 1]);

		if (m->row[i - 1].hash == r->hash && other->len == key->len && memcmp(buf_text(other), buf_text(key), key->len) == 0)
			return &m->row[i - 1];
	}
	return NULL;
}

static int add_host(struct merge *m, struct merge_row *r, const char *host)
{
	size_t before = r->hosts.len;
	msgpack_packer pk;

	pack_into(&pk, &r->hosts);
	pack_text(&pk, host);
	r->n_hosts++;
	m->bytes += r->hosts.len - before;
	return r->hosts.failed ? -ENOMEM : 0;
}

/* What a host has measured otherwise stands behind the text that it shares. */
static int add_measured(struct merge *m, struct merge_row *r, const char *host, const struct buf *lines)
{
	if (!lines->len || memmem(r->bytes.data, r->bytes.len, lines->data, lines->len))
		return 0;
	buf_printf(&r->measured, "on %s\n", host);
	buf_add(&r->measured, lines->data, lines->len);
	m->bytes += lines->len + strlen(host) + 4;
	return r->measured.failed ? -ENOMEM : 0;
}

/* Room goes in powers of two. */
static int make_room(struct merge *m)
{
	struct merge_row *more;

	if (m->n & (m->n - 1))
		return 0;
	more = reallocarray(m->row, m->n ? 2 * (size_t)m->n : 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	m->row = more;
	return 0;
}

/* Takes the row over. */
static int add_row(struct merge *m, struct merge_row *r, const char *host)
{
	struct merge_row *equal;
	int rc = 0;

	if (r->bytes.failed || r->key.failed || r->measured.failed) {
		row_free(r);
		return -ENOMEM;
	}
	r->hash = hash_of(key_of(m, r));
	equal = find_equal(m, r);
	if (m->bytes + strlen(host) + (equal ? r->measured.len : r->bytes.len) + 32 > ANSWER_MAX) {
		m->cut = true;
	} else if (equal) {
		rc = add_host(m, equal, host);
		if (!rc)
			rc = add_measured(m, equal, host, &r->measured);
	} else if (make_room(m) < 0) {
		rc = -ENOMEM;
	} else {
		r->number = m->n;
		r->next = m->bucket[r->hash % BUCKETS];
		m->bucket[r->hash % BUCKETS] = m->n + 1;
		m->row[m->n++] = *r;
		m->bytes += r->bytes.len + 8;
		buf_free(&m->row[m->n - 1].measured);   /* its own are in its text */
		return add_host(m, &m->row[m->n - 1], host);
	}
	row_free(r);
	return rc;
}

static int add_cells(struct merge *m, const char *host, const msgpack_object *row)
{
	struct merge_row r = { 0 };
	msgpack_packer pk;

	if (row->type != MSGPACK_OBJECT_ARRAY)
		return -EPROTO;
	pack_into(&pk, &r.bytes);
	for (uint32_t i = 0; i < row->via.array.size; i++)
		msgpack_pack_object(&pk, row->via.array.ptr[i]);
	r.cells = row->via.array.size;
	return add_row(m, &r, host);
}

/* Lines of what each host measures for itself do not make two texts different. */
static void split_text(struct merge_row *r)
{
	static const char mark[] = "measured on this machine";
	const char *at = buf_text(&r->bytes), *end = at + r->bytes.len;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = newline ? (size_t)(newline - at) + 1 : (size_t)(end - at);

		buf_add(memmem(at, len, mark, strlen(mark)) ? &r->measured : &r->key, at, len);
		at += len;
	}
}

static int add_text(struct merge *m, const char *host, const msgpack_object *text)
{
	struct merge_row r = { .cells = 1 };

	if (text->type != MSGPACK_OBJECT_STR)
		return -EPROTO;
	buf_add(&r.bytes, text->via.str.ptr, text->via.str.size);
	split_text(&r);
	return add_row(m, &r, host);
}

/* One cell: the map as it came. */
static int add_whole(struct merge *m, const char *host, const msgpack_object *map)
{
	struct merge_row r = { .cells = 1 };
	msgpack_packer pk;

	if (map->type != MSGPACK_OBJECT_MAP)
		return -EPROTO;
	pack_into(&pk, &r.bytes);
	msgpack_pack_object(&pk, *map);
	return add_row(m, &r, host);
}

int merge_add(struct merge *m, const char *host, const msgpack_object *value)
{
	int rc = 0;

	if (!value)
		return -EPROTO;
	if (m->kind == MERGE_TEXT)
		return add_text(m, host, value);
	if (m->kind == MERGE_WHOLE)
		return add_whole(m, host, value);
	if (value->type != MSGPACK_OBJECT_ARRAY)
		return -EPROTO;
	for (uint32_t i = 0; i < value->via.array.size && !rc; i++)
		rc = add_cells(m, host, &value->via.array.ptr[i]);
	return rc;
}

/* ---- the answer ---- */

static struct buf *packed_to(msgpack_packer *pk)
{
	return pk->data;
}

static void put_row(const struct merge *m, const struct merge_row *r, msgpack_packer *pk)
{
	msgpack_pack_array(pk, r->cells + 1);
	if (m->kind == MERGE_EQUAL)
		msgpack_pack_array(pk, r->n_hosts);
	buf_add(packed_to(pk), buf_text(&r->hosts), r->hosts.len);
	buf_add(packed_to(pk), buf_text(&r->bytes), r->bytes.len);
}

/* "web-1, web-2:\n" before each text. */
static void put_texts(const struct merge *m, struct buf *out)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct merge_row *r = &m->row[i];
		msgpack_zone zone;
		msgpack_object host;
		size_t at = 0;

		if (i)
			buf_char(out, '\n');
		if (!msgpack_zone_init(&zone, 256))
			return;
		while (at < r->hosts.len) {
			ssize_t n = pack_take(r->hosts.data + at, r->hosts.len - at, &zone, &host);

			if (n <= 0)
				break;
			buf_str(out, at ? ", " : "");
			buf_add(out, host.via.str.ptr, host.via.str.size);
			at += (size_t)n;
		}
		msgpack_zone_destroy(&zone);
		buf_str(out, ":\n");
		buf_add(out, buf_text(&r->bytes), r->bytes.len);
		buf_add(out, buf_text(&r->measured), r->measured.len);
	}
}

static int by_host(const void *a, const void *b)
{
	const struct merge_row *left = a, *right = b;
	size_t n = left->hosts.len < right->hosts.len ? left->hosts.len : right->hosts.len;
	int order = memcmp(left->hosts.data, right->hosts.data, n);

	if (!order && left->hosts.len != right->hosts.len)
		return left->hosts.len < right->hosts.len ? -1 : 1;
	return order ? order : left->number < right->number ? -1 : 1;
}

void merge_pack(const struct merge *m, msgpack_packer *pk)
{
	struct buf text = { 0 };

	if ((m->kind == MERGE_ROWS || m->kind == MERGE_WHOLE) && m->n)
		qsort(m->row, m->n, sizeof(*m->row), by_host);

	if (m->kind == MERGE_TEXT) {
		put_texts(m, &text);
		msgpack_pack_str(pk, text.len);
		msgpack_pack_str_body(pk, buf_text(&text), text.len);
		buf_free(&text);
		return;
	}
	msgpack_pack_array(pk, m->n);
	for (uint32_t i = 0; i < m->n; i++)
		put_row(m, &m->row[i], pk);
}
