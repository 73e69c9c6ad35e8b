/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may ask for: one table. What reads ELF files runs in a worker and answers later. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent_internal.h"
#include "feature.h"
#include "inventory.h"
#include "lines.h"
#include "uplink.h"

/* A question that a worker is answering. Owns its arguments; outlives its client if it must. */
struct question {
	LIST_ENTRY(question) link;
	struct agent *agent;
	struct client *client;
	uint64_t id;
	struct worker *worker;         /* ps, funcs, lines */
	struct keeper *keeper;         /* explain */
	struct request_args args;      /* explain */
	uint32_t index;
	struct inventory inventory;    /* ps, funcs */
	struct lines_question lines;
	char path[PATH_MAX], root[32];
	char builds[384];              /* which one, if the target runs several */
	int fd, exe_fd;
};

static void question_free(struct question *q)
{
	LIST_REMOVE(q, link);
	worker_cancel(q->worker);
	keeper_cancel(q->keeper);
	request_args_free(&q->args);
	inventory_free(&q->inventory);
	lines_free(&q->lines);
	if (q->fd >= 0)
		close(q->fd);
	if (q->exe_fd >= 0)
		close(q->exe_fd);
	free(q);
}

void questions_cancel(struct agent *a, const struct client *c)
{
	struct question *q, *next;

	for (q = LIST_FIRST(&a->questions); q; q = next) {
		next = LIST_NEXT(q, link);
		if (!c || q->client == c)
			question_free(q);
	}
}

/* Each one is a process that may take 40 s of CPU time. */
static bool may_ask(const struct client *c)
{
	const struct question *q;
	unsigned all = 0, own = 0;

	LIST_FOREACH(q, &c->agent->questions, link) {
		all++;
		own += q->client == c;
	}
	return all < QUESTIONS_MAX && own < CLIENT_QUESTIONS_MAX;
}

/* NULL: the client has been told why. */
static struct question *question_new(struct client *c, uint64_t id)
{
	struct question *q = may_ask(c) ? calloc(1, sizeof(*q)) : NULL;
	struct error err;

	if (!q) {
		error_set(&err, EAGAIN, "the agent is busy with other questions"), error_hint(&err, "ask again in a moment");
		client_reply_error(c, id, &err, 0);
		return NULL;
	}
	q->agent = c->agent;
	q->client = c;
	q->id = id;
	q->fd = q->exe_fd = -1;
	LIST_INSERT_HEAD(&c->agent->questions, q, link);
	return q;
}

static void refuse(struct question *q, const struct error *err, int64_t probe)
{
	client_reply_error(q->client, q->id, err, probe);
	question_free(q);
}

/* ---- explain ---- */

static void on_explained(const char *data, size_t len, const struct error *failed, void *arg)
{
	struct question *q = arg;
	struct resolve_answer answer = { 0 };
	char *text = NULL;
	struct frame f;

	q->keeper = NULL;
	if (failed)
		answer.err = *failed;
	else
		resolve_answer_read(data, len, &answer, &text);
	if (!answer.err.code && !text)
		error_set(&answer.err, EPROTO, "the resolver gave no answer");
	if (answer.err.code) {
		refuse(q, &answer.err, answer.probe_index == UINT32_MAX ? -1 : (int64_t)answer.probe_index);
	} else {
		client_reply_begin(q->client, &f, q->id, 1);
		pack_key_text(&f.pk, "text", text);
		frame_end(&f);
		client_flush(q->client);
		question_free(q);
	}
	resolve_answer_free(&answer);
	free(text);
}

/* "c121bf7ca8eb; 653cbd926225 (1 process) runs too: ..." where the target runs several builds, "" where it runs one. */
static void say_builds(const struct process *chosen, const struct process *all, size_t n, char *out, size_t size)
{
	char id[BUILD_ID_HEX_MAX] = "", others[256];
	struct module m;
	int fd = module_find(chosen->pid, NULL, &m, NULL) ? -1 : module_open(chosen->pid, &m, NULL);

	out[0] = '\0';
	if (fd >= 0 && build_id_read(fd, id)) {
		builds_besides(all, n, id, others, sizeof(others));
		if (others[0])
			snprintf(out, size, "%.12s; also running: %s; --build ID chooses", id, others);
	}
	if (fd >= 0)
		close(fd);
}

/* The first process of a target that the client may look into. */
static int first_process(struct question *q, const struct target *t, const char *module, struct process *out, struct error *err)
{
	struct process *all = NULL;
	size_t n = 0, kept = 0;
	char *modules[] = { (char *)module };
	int rc = target_processes_built(t, modules, 1, &all, &n, err);

	for (size_t i = 0; !rc && i < n; i++)
		if (policy_may_probe(q->client->uid, &all[i], kept ? NULL : err) == 0)
			all[kept++] = all[i];
	if (!rc && !kept)
		rc = n ? -EPERM : error_set(err, ESRCH, "no process maps %s", t->text);
	if (!rc) {
		*out = all[0];
		say_builds(out, all, kept, q->builds, sizeof(q->builds));
	}
	free(all);
	return rc;
}

static int open_file_of(struct question *q, const struct target *t, const char *module, struct error *err)
{
	struct process p;
	struct module m;
	int rc = first_process(q, t, module, &p, err);

	if (rc)
		return rc;
	if (!module && t->kind == TARGET_PATH)
		module = t->text;
	rc = module_find(p.pid, module, &m, err);
	if (rc)
		return rc;
	snprintf(q->path, sizeof(q->path), "%s", m.path);
	snprintf(q->root, sizeof(q->root), "/proc/%d/root", p.pid);
	q->fd = module_open(p.pid, &m, err);
	if (q->fd >= 0 && !module_find(p.pid, NULL, &m, NULL))
		q->exe_fd = module_open(p.pid, &m, NULL);
	return q->fd < 0 ? q->fd : 0;
}

static void verb_explain(struct client *c, uint64_t id, const msgpack_object *args)
{
	struct question *q = question_new(c, id);
	struct resolve_request what;
	struct error err = { 0 };
	struct spec *s = NULL;
	int64_t probe = 0;
	int rc;

	if (!q)
		return;
	rc = request_args_read(c->agent, args, &q->args, &err, &probe);
	if (!rc)
		rc = spec_parse(q->args.probes[0], &s, &err);
	if (!rc)
		rc = open_file_of(q, &q->args.target, spec_file(s), &err);
	spec_free(s);
	what = (struct resolve_request){
		.explain = true, .fd = q->fd, .exe_fd = q->exe_fd, .path = q->path, .root = q->root, .cache = c->agent->opt.cache,
		.probes = (const char *const *)q->args.probes, .index = &q->index, .n_index = 1,
		.error_expr = q->args.error_expr, .errors_only = q->args.errors_only, .unwind_ok = q->args.unwind_ok, .ship = true,
		.limits = q->args.limits, .costs = c->agent->costs, .builds = q->builds,
		.method = { loader_describe_method(c->agent->opt.method, false),
			    loader_describe_method(c->agent->opt.method, true) },
	};
	if (!rc)
		rc = keepers_ask(c->agent->keepers, &what, on_explained, q, &q->keeper, &err);
	if (rc)
		refuse(q, &err, probe);
}

/* ---- ps, funcs, lines: the worker writes the whole payload ---- */

static void on_inventory(const char *data, size_t len, const struct error *failed, void *arg)
{
	struct question *q = arg;
	struct error err = { 0 };
	struct frame f;

	q->worker = NULL;
	if (failed)
		err = *failed;
	else if (inventory_read(data, len, &data, &len, &err) == 0) {
		frame_begin(&f, &q->client->out, WIRE_REPLY, 4);
		msgpack_pack_uint64(&f.pk, q->id);
		msgpack_pack_true(&f.pk);
		buf_add(&q->client->out, data, len);
		if (frame_end(&f) == 0) {
			client_flush(q->client);
			question_free(q);
			return;
		}
		error_set(&err, EMSGSIZE, "the answer is too large"), error_hint(&err, "ask for less at once");
	}
	refuse(q, &err, 0);
}

static void verb_ps(struct client *c, uint64_t id, const msgpack_object *args)
{
	struct question *q = question_new(c, id);
	struct error err = { 0 };
	int rc;

	if (!q)
		return;
	q->inventory.uid = c->uid;
	rc = process_list(&q->inventory.processes, &q->inventory.n_processes);
	if (rc)
		error_set(&err, -rc, "cannot list the processes: %s", strerror(-rc));
	else
		rc = worker_start(c->agent->base, NULL, inventory_ps_work, &q->inventory, on_inventory, q, &q->worker, &err);
	if (rc)
		refuse(q, &err, 0);
}

static void verb_funcs(struct client *c, uint64_t id, const msgpack_object *args)
{
	struct question *q = question_new(c, id);
	struct error err = { 0 };
	int rc;

	if (!q)
		return;
	q->inventory.glob = object_text(map_get(args, "glob"), 1024);
	q->inventory.module = object_text(map_get(args, "module"), PATH_MAX - 1);
	rc = request_target_read(map_get(args, "target"), &q->args.target, &err);
	if (!rc)
		rc = open_file_of(q, &q->args.target, q->inventory.module, &err);
	q->inventory.fd = q->fd;
	q->inventory.path = q->path;
	q->inventory.builds = q->builds;
	q->inventory.root = q->root;
	q->inventory.cache = c->agent->opt.cache;
	if (!rc)
		rc = worker_start(c->agent->base, &(struct worker_files){ { q->fd, q->exe_fd } }, inventory_funcs_work, &q->inventory, on_inventory, q, &q->worker, &err);
	if (rc)
		refuse(q, &err, 0);
}

static void verb_lines(struct client *c, uint64_t id, const msgpack_object *args)
{
	struct question *q = question_new(c, id);
	struct error err = { 0 };
	int rc;

	if (!q)
		return;
	q->inventory.module = object_text(map_get(args, "module"), PATH_MAX - 1);
	rc = lines_read(map_get(args, "files"), &q->lines, &err);
	if (!rc)
		rc = request_target_read(map_get(args, "target"), &q->args.target, &err);
	if (!rc)
		rc = open_file_of(q, &q->args.target, q->inventory.module, &err);
	q->lines.fd = q->fd;
	q->lines.path = q->path;
	q->lines.root = q->root;
	q->lines.cache = c->agent->opt.cache;
	if (!rc)
		rc = worker_start(c->agent->base, &(struct worker_files){ { q->fd, q->exe_fd } }, lines_work, &q->lines, on_inventory, q, &q->worker, &err);
	if (rc)
		refuse(q, &err, 0);
}

/* ---- answered at once ---- */

static void pack_uplink(struct uplink *u, msgpack_packer *pk)
{
	char detail[1024];
	bool good = uplink_describe(u, detail, sizeof(detail));

	msgpack_pack_array(pk, 4);
	pack_text(pk, "collector");
	pack_text(pk, good ? "ok" : "limited");
	pack_text(pk, detail);
	pack_text(pk, good ? "" : "see docs/troubleshooting.md, \"The collector\"");
}

static void verb_doctor(struct client *c, uint64_t id, const msgpack_object *args)
{
	const struct feature *f;
	struct frame fr;
	size_t n;

	f = features(&n);
	client_reply_begin(c, &fr, id, 1);
	pack_key(&fr.pk, "checks");
	msgpack_pack_array(&fr.pk, n + (c->agent->uplink != NULL));
	for (size_t i = 0; i < n; i++) {
		msgpack_pack_array(&fr.pk, 4);
		pack_text(&fr.pk, f[i].name);
		pack_text(&fr.pk, feature_state_name(f[i].state));
		pack_text(&fr.pk, f[i].detail[0] ? f[i].detail : f[i].gives);
		pack_text(&fr.pk, f[i].advice ? f[i].advice : "");
	}
	if (c->agent->uplink)
		pack_uplink(c->agent->uplink, &fr.pk);
	frame_end(&fr);
	client_flush(c);
}

static void pack_target(const struct target *t, msgpack_packer *pk)
{
	char text[PATH_MAX + BUILD_ID_HEX_MAX + 16];

	if (t->kind == TARGET_PID)
		snprintf(text, sizeof(text), "-p %d", t->pid);
	else
		snprintf(text, sizeof(text), "%s %s", t->kind == TARGET_NAME ? "-s" : "-x", t->text);
	if (t->build[0])
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " --build %s", t->build);
	pack_text(pk, text);
}

/* Its client has left, and nobody has asked for it from elsewhere. */
static bool is_kept(const struct request *rq)
{
	return rq->state == REQUEST_RUNNING && (!rq->client || (request_recorded(rq) && rq->wire_id >= WIRE_LOCAL_REQUEST));
}

static void pack_request(struct request *rq, uint64_t now, msgpack_packer *pk)
{
	static const char *const states[] = { "starting", "running", "ending" };
	uint64_t age = rq->started_ns ? now - rq->started_ns : 0, calls, shipped;

	rows_totals(rq, &calls, &shipped);
	msgpack_pack_array(pk, 10);
	msgpack_pack_uint64(pk, rq->id);
	pack_text(pk, rq->verb == VERB_TRACE ? "trace" : "stat");
	pack_target(&rq->args.target, pk);
	msgpack_pack_array(pk, rq->args.n_probes);
	for (uint32_t i = 0; i < rq->args.n_probes; i++)
		pack_text(pk, rq->args.probes[i]);
	msgpack_pack_uint32(pk, rq->uid);
	msgpack_pack_uint64(pk, age);
	msgpack_pack_uint64(pk, age < rq->args.ttl_ns ? rq->args.ttl_ns - age : 0);
	pack_text(pk, is_kept(rq) ? "kept" : states[rq->state]);
	msgpack_pack_uint64(pk, calls);
	msgpack_pack_uint64(pk, shipped);
}

static void verb_list(struct client *c, uint64_t id, const msgpack_object *args)
{
	struct request *rq;
	struct frame f;
	unsigned n = 0;

	LIST_FOREACH(rq, &c->agent->requests, link)
		n += policy_may_manage(c->uid, rq);
	client_reply_begin(c, &f, id, 1);
	pack_key(&f.pk, "requests");
	msgpack_pack_array(&f.pk, n);
	LIST_FOREACH(rq, &c->agent->requests, link)
		if (policy_may_manage(c->uid, rq))
			pack_request(rq, now_ns(), &f.pk);
	frame_end(&f);
	client_flush(c);
}

static void verb_rm(struct client *c, uint64_t id, const msgpack_object *args)
{
	struct request *rq = NULL;
	struct error err;
	struct frame f;
	uint64_t which;

	if (object_u64(map_get(args, "id"), &which))
		rq = request_find(c->agent, which);
	if (!rq || !policy_may_manage(c->uid, rq)) {
		error_set(&err, ENOENT, "no such request of yours"), error_hint(&err, "plumb list shows them");
		client_reply_error(c, id, &err, 0);
		return;
	}
	request_end(rq, "removed", "it was removed with plumb rm");
	client_reply_begin(c, &f, id, 0);
	frame_end(&f);
	client_flush(c);
}

static void verb_stop(struct client *c, uint64_t id, const msgpack_object *args)
{
	struct request *rq = NULL;
	struct error err;
	uint64_t which;

	if (object_u64(map_get(args, "id"), &which))
		rq = request_of_client(c, which);
	if (rq) {
		request_end(rq, "stopped", "the requester stopped it");
		return;
	}
	error_set(&err, ENOENT, "no such request of this connection");
	client_reply_error(c, id, &err, 0);
}

static void verb_trace(struct client *c, uint64_t id, const msgpack_object *args)
{
	request_start(c, id, VERB_TRACE, args);
}

static void verb_stat(struct client *c, uint64_t id, const msgpack_object *args)
{
	request_start(c, id, VERB_STAT, args);
}

static const struct {
	const char *name;
	void (*run)(struct client *c, uint64_t id, const msgpack_object *args);
} verbs[] = {
	{ "trace", verb_trace }, { "stat", verb_stat }, { "explain", verb_explain }, { "funcs", verb_funcs },
	{ "lines", verb_lines }, { "ps", verb_ps }, { "list", verb_list }, { "rm", verb_rm }, { "doctor", verb_doctor }, { "stop", verb_stop },
};

void verb_dispatch(struct client *c, uint64_t id, const char *verb, const msgpack_object *args)
{
	struct error err;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!strcmp(verbs[i].name, verb)) {
			verbs[i].run(c, id, args);
			return;
		}
	}
	error_set(&err, ENOSYS, "this agent does not know the request '%s'", verb);
	client_reply_error(c, id, &err, 0);
}
