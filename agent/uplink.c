/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "log.h"
#include "uplink_internal.h"

/* Its place among ids of requests that the agent opened itself: unique, also over restarts. */
enum { LOCAL_ID_BITS = 24, DEFLATE_LEVEL = 1 };

struct client *uplink_client(struct uplink *u)
{
	return &u->client;
}

/* ---- routing ---- */

/* What is asked about a trace or stat is answered for good; everything else is for somebody who waits. */
static bool is_for_the_spool(struct uplink *u, enum wire_type type, uint64_t id)
{
	const struct request *rq;

	if (type != WIRE_REPLY)
		return true;
	if (id == u->starting)
		return true;
	rq = request_of_client(&u->client, id);
	return rq && rq->state == REQUEST_STARTING;
}

static int take_frame(struct uplink *u, const char *frame, size_t len)
{
	enum wire_type type;
	uint64_t id;

	if (!frame_peek(frame + 4, len - 4, &type, &id, 1))
		return -EPROTO;
	if (is_for_the_spool(u, type, id))
		return uplink_spool(u, frame + 4, len - 4);
	if (u->state == LINK_UP)
		bufferevent_write(u->bev, frame, len);
	return 0;
}

int uplink_take(struct uplink *u, const struct buf *frames)
{
	size_t at = 0;
	int rc = 0;

	while (frames->len - at > 4) {
		uint32_t len;
		int one;

		memcpy(&len, frames->data + at, 4);
		len = ntohl(len) + 4;
		if (len > frames->len - at)
			break;
		one = take_frame(u, frames->data + at, len);
		rc = rc ? rc : one;
		at += len;
	}
	talk_send(u);
	return rc;
}

int uplink_pack(struct uplink *u, const struct buf *records, struct buf *out, enum wire_codec *codec)
{
	struct columns_parts parts;

	if (!u->deflater)
		u->deflater = deflater_new(DEFLATE_LEVEL);
	if (!u->columns)
		u->columns = columns_new();
	if (!u->deflater || !u->columns)
		return -ENOMEM;
	*codec = WIRE_CODEC_COLUMNS;
	if (!columns_pack(u->columns, records->data, records->len, &parts))
		return deflater_columns(u->deflater, &parts, out);
	*codec = WIRE_CODEC_DEFLATE;   /* too many kinds of records */
	return deflater_run(u->deflater, records->data, records->len, out);
}

/* ---- requests of others ---- */

static void announce(struct request *rq)
{
	struct frame f;

	frame_begin(&f, &rq->client->out, WIRE_OPENED, 3);
	msgpack_pack_uint64(&f.pk, rq->wire_id);
	msgpack_pack_map(&f.pk, 4);
	pack_key_text(&f.pk, "verb", request_verb_name(rq->verb));
	pack_key(&f.pk, "target");
	request_target_pack(&rq->args.target, &f.pk);
	pack_key(&f.pk, "probes");
	msgpack_pack_array(&f.pk, rq->args.n_probes);
	for (uint32_t i = 0; i < rq->args.n_probes; i++)
		pack_text(&f.pk, rq->args.probes[i]);
	pack_key_u64(&f.pk, "uid", rq->uid);
	frame_end(&f);
	client_flush(rq->client);
}

void uplink_adopt(struct uplink *u, struct request *rq)
{
	const struct instance *in;

	rq->client = &u->client;
	rq->wire_id = WIRE_LOCAL_REQUEST + (u->run << LOCAL_ID_BITS | (rq->id & ((1U << LOCAL_ID_BITS) - 1)));
	announce(rq);
	LIST_FOREACH(in, &rq->instances, link)
		request_send_probe(rq, in);
	stream_introduce(rq);
	request_tick_now(rq);
}

/* ---- for people ---- */

static const char *const state_names[] = {
	[LINK_WAITING] = "not connected", [LINK_RESOLVING] = "looking the name up", [LINK_CONNECTING] = "connecting",
	[LINK_GREETING] = "greeting", [LINK_UP] = "connected",
};

bool uplink_describe(struct uplink *u, char *out, size_t size)
{
	uint64_t wall = now_ns() + wall_offset_ns();
	struct spool_status st;
	struct buf b = { 0 };

	spool_status(u->spool, &st);
	buf_printf(&b, "%s:%s: %s", u->collector.host, u->collector.port, state_names[u->state]);
	if (u->state != LINK_UP && u->why.code)
		buf_printf(&b, " (%s)", u->why.text);
	buf_printf(&b, ", %lu entries (%.1f MiB) to be stored", (unsigned long)st.backlog_entries, (double)st.backlog_bytes / 1048576.0);
	if (st.oldest_ns && wall > st.oldest_ns)
		buf_printf(&b, ", the oldest %.0f s old", (double)(wall - st.oldest_ns) / 1e9);
	if (st.lost_records)
		buf_printf(&b, "; %lu records were given up for newer ones", (unsigned long)st.lost_records);
	if (st.corrupt_entries)
		buf_printf(&b, "; %lu damaged entries with %lu records", (unsigned long)st.corrupt_entries, (unsigned long)st.corrupt_records);
	if (st.refused || u->frames_lost)
		buf_printf(&b, "; %lu frames found no room", (unsigned long)(st.refused + u->frames_lost));
	snprintf(out, size, "%s", buf_text(&b));
	buf_free(&b);
	return u->state == LINK_UP && !st.lost_records && !st.refused && !u->frames_lost && !st.corrupt_entries;
}

/* ---- life ---- */

void uplink_tick(struct uplink *u)
{
	pending_retry(u);
	if (u->state == LINK_UP && u->n_flight && now_ns() - u->acked_at_ns > ACK_SECONDS * 1000000000ULL)
		link_drop(u, "it has not acknowledged anything for %d s", ACK_SECONDS);
	talk_send(u);
}

/* [RUN, run, wall clock]: ids of probes begin anew. */
static int spool_run(struct uplink *u)
{
	struct buf b = { 0 };
	msgpack_packer pk;
	int rc;

	pack_into(&pk, &b);
	msgpack_pack_array(&pk, 3);
	msgpack_pack_int(&pk, WIRE_RUN);
	msgpack_pack_uint64(&pk, u->run);
	msgpack_pack_uint64(&pk, now_ns() + wall_offset_ns());
	rc = uplink_spool(u, buf_text(&b), b.len);
	buf_free(&b);
	return rc;
}

static int start(struct uplink *u, struct error *err)
{
	const struct agent_options *opt = &u->agent->opt;
	uint32_t random = 0;
	int rc = link_new(u, err);

	if (!rc)
		rc = spool_open(opt->spool_dir, opt->spool_bytes, &u->spool, err);
	if (rc)
		return rc;
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return error_set(err, EIO, "no random numbers");
	u->run = random | 1U;
	rc = ended_load(u);
	if (!rc)
		rc = spool_run(u);
	return rc ? error_set(err, -rc, "cannot use the spool %s: %s", opt->spool_dir, strerror(-rc)) : 0;
}

int uplink_new(struct agent *a, struct uplink **out, struct error *err)
{
	struct uplink *u = calloc(1, sizeof(*u));
	int rc;

	if (!u)
		return error_set(err, ENOMEM, "out of memory");
	u->agent = a;
	u->client = (struct client){ .agent = a, .uplink = u, .greeted = true };
	TAILQ_INIT(&u->pending);
	rc = start(u, err);
	if (rc) {
		uplink_free(u);
		return rc;
	}
	*out = u;
	return 0;
}

void uplink_free(struct uplink *u)
{
	if (!u)
		return;
	link_free(u);
	pending_free(u);
	spool_close(u->spool);
	deflater_free(u->deflater);
	columns_free(u->columns);
	buf_free(&u->client.out);
	buf_free(&u->out);
	free(u);
}
