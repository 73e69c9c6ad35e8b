/* SPDX-License-Identifier: Apache-2.0 */
/* How requests begin: asked for by a client, or open in the store when the collector starts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"
#include "log.h"

static int store_it(struct request *r, struct error *err)
{
	struct store_request s = {
		.verb = r->verb, .target = r->target, .service = r->service, .probes_json = r->probes_json, .who = r->who,
		.arguments = r->arguments.data, .arguments_len = r->arguments.len, .keep = r->keep, .opened_ns = r->opened_ns,
		.expires_ns = r->expires_ns,
	};
	struct collector *c = r->control->collector;
	int rc = store_request_open(c->store, &s, err);

	if (rc)
		control_store_failed(err);
	else   /* before any agent hears of it: what they send belongs to something */
		rc = collector_commit(c, err);
	r->id = s.id;
	r->agents_id = s.wire_id;
	return rc;
}

static struct request *request_new(struct control *k)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->control = k;
	LIST_INIT(&r->parts);
	LIST_INSERT_HEAD(&k->requests, r, link);
	k->n_requests++;
	return r;
}

void request_free(struct request *r)
{
	struct part *p;

	if (r->client)
		r->client->n_requests--;
	while ((p = LIST_FIRST(&r->parts))) {
		LIST_REMOVE(p, link);
		free(p);
	}
	live_unsubscribe(r->live);
	LIST_REMOVE(r, link);
	r->control->n_requests--;
	buf_free(&r->arguments);
	host_list_free(&r->hosts);
	free(r->target);
	free(r->service);
	free(r->probes_json);
	free(r);
}

static int take_arguments(struct request *r, const msgpack_object *args, struct request_args *read, struct error *err)
{
	msgpack_packer pk;

	pack_into(&pk, &r->arguments);
	msgpack_pack_object(&pk, *args);
	if (r->arguments.failed)
		return error_set(err, ENOMEM, "out of memory");
	if (r->arguments.len > ARGUMENTS_MAX)
		return error_set(err, E2BIG, "the request is too long");
	r->hosts = read->hosts;
	read->hosts = (struct host_list){ 0 };
	r->target = read->target;
	r->service = read->service;
	r->probes_json = read->probes_json;
	read->target = read->service = read->probes_json = NULL;
	r->keep = read->keep;
	r->limit = read->limit;
	r->for_ns = read->for_ns;
	r->opened_ns = wall_ns();
	r->expires_ns = r->opened_ns + read->ttl_ns;
	return 0;
}

static int check_room(struct client *c, uint64_t wire_id, struct error *err)
{
	struct control *k = control_of(c->session->collector);

	if (k->n_requests >= REQUESTS_MAX || c->n_requests >= CLIENT_REQUESTS_MAX)
		return error_set(err, EAGAIN, "there are %u open requests, as many as there may be", k->n_requests);
	if (request_of_client(c, wire_id))
		return error_set(err, EEXIST, "request %lu is open already", (unsigned long)wire_id);
	return 0;
}

/* A name that nobody has would only make the sums smaller. One that is away may come back to a request that is kept. */
static int check_hosts(struct client *c, const struct request_args *read, struct error *err)
{
	for (uint32_t i = 0; !read->keep && i < read->hosts.n; i++) {
		struct agent *a;

		LIST_FOREACH(a, &c->session->collector->agents, link)
			if (strcmp(a->host, read->hosts.name[i]) == 0)
				break;
		if (a)
			continue;
		error_set(err, ESRCH, "no agent of host '%.255s' is connected", read->hosts.name[i]);
		return error_hint(err, "plumb hosts lists them");
	}
	return 0;
}

static int open_request(struct client *c, uint64_t wire_id, const char *verb, const msgpack_object *args, struct request_args *read, struct error *err)
{
	struct control *k = control_of(c->session->collector);
	struct request *r = request_new(k);
	int rc;

	if (!r)
		return error_set(err, ENOMEM, "out of memory");
	snprintf(r->verb, sizeof(r->verb), "%s", verb);
	snprintf(r->who, sizeof(r->who), "%s", c->who.name);
	r->wire_id = wire_id;
	rc = take_arguments(r, args, read, err);
	if (!rc)
		rc = store_it(r, err);
	if (!rc && !(r->live = live_subscribe(k->collector->live, r->id, request_on_live, r)))
		rc = error_set(err, ENOMEM, "out of memory");
	if (rc) {
		request_free(r);
		return rc;
	}
	r->client = c;
	c->n_requests++;
	r->audit = control_audit(k, c->session, &c->who, verb, read->detail, r->id);
	r->asked_ns = mono_ns();
	log_info("control", "request", "id=%lu verb=%s who=%s detail=\"%s\"", (unsigned long)r->id, verb, r->who, read->detail);
	request_ask_all(r);
	request_advance(r);
	return 0;
}

void request_start(struct client *c, uint64_t wire_id, const char *verb, const msgpack_object *args)
{
	struct control *k = control_of(c->session->collector);
	struct request_args read;
	struct error err = { 0 };
	int rc = control_args_read(args, &read, &err);

	if (!rc)
		rc = check_room(c, wire_id, &err);
	if (!rc)
		rc = check_hosts(c, &read, &err);
	if (!rc)
		rc = open_request(c, wire_id, verb, args, &read, &err);
	if (rc) {
		control_audit_end(k, control_audit(k, c->session, &c->who, verb, read.detail ? read.detail : "", 0), "refused: %s", err.text);
		session_reply_error(c->session, wire_id, &err, -1);
	}
	control_args_free(&read);
}

/* ---- after a restart of the collector ---- */

static int restore_hosts(struct request *r)
{
	struct error err;
	msgpack_zone zone;
	msgpack_object o;
	int rc = -EINVAL;

	if (!msgpack_zone_init(&zone, 4096))
		return -ENOMEM;
	if (pack_take(r->arguments.data, r->arguments.len, &zone, &o) > 0)
		rc = host_list_read(map_get(&o, "target"), &r->hosts, &err);
	msgpack_zone_destroy(&zone);
	return rc;
}

static int restore(const struct store_request *s, void *arg)
{
	struct control *k = arg;
	struct request *r = k->n_requests < REQUESTS_MAX ? request_new(k) : NULL;
	int rc;

	if (!r)
		return -ENOMEM;
	r->id = s->id;
	r->agents_id = s->wire_id;
	snprintf(r->verb, sizeof(r->verb), "%s", s->verb);
	snprintf(r->who, sizeof(r->who), "%s", s->who);
	r->target = strdup(s->target);
	r->service = strdup(s->service);
	r->probes_json = strdup(s->probes_json);
	buf_add(&r->arguments, s->arguments, s->arguments_len);
	r->keep = s->keep;
	r->opened_ns = s->opened_ns;
	r->expires_ns = s->expires_ns;
	r->state = REQUEST_RUNNING;
	r->live = live_subscribe(k->collector->live, r->id, request_on_live, r);
	if (!r->target || !r->service || !r->probes_json || r->arguments.failed || !r->live)
		return -ENOMEM;
	rc = restore_hosts(r);
	if (rc == -EINVAL)
		r->keep = false;     /* whom to ask cannot be read any more: it ends with those that nobody looks on */
	return rc == -EINVAL ? 0 : rc;
}

/* Nobody looks on any more: those that were not to be kept end. */
int requests_restore(struct control *k, struct error *err)
{
	struct request *r, *next;
	int rc = store_request_each_open(k->collector->store, 0, restore, k, err);

	if (rc)
		return err->code ? rc : error_set(err, ENOMEM, "no memory for the open requests");
	for (r = LIST_FIRST(&k->requests); r; r = next) {
		next = LIST_NEXT(r, link);
		if (wall_ns() >= r->expires_ns)
			request_stop(r, "ttl", "its time to live is over");
		else if (!r->keep)
			request_stop(r, "restart", "the collector was started again");
	}
	return 0;
}
