/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files hold what a request asks about.  Each (file, probe text) is resolved once, in a worker, however many
 * processes map the file; then the plan is loaded and attached to each of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_internal.h"
#include "log.h"

/* Loading a plan takes about 16 ms, attaching it to a process 5: after that much of it the loop looks at its other work. */
#define SLICE_NS 20000000ULL

/* One file being resolved, then attached piece by piece; owns its fds, the keeper that resolves it and its answer. */
struct job {
	LIST_ENTRY(job) link;
	struct request *rq;
	struct keeper *keeper;        /* that resolves it */
	bool started;
	int fd, exe_fd;
	struct stat st;
	char path[PATH_MAX], root[32];
	uint32_t index[PROBES_MAX], n_index;
	pid_t *pids;                  /* to attach to; 0: every process that maps it */
	size_t n_pids;
	/* afterwards */
	struct resolve_answer answer;
	struct event *step;           /* more to load or attach */
	size_t next_resolved, next_pid, attached;
	struct instance *current;     /* being attached; the request's */
};

static void job_free(struct job *j)
{
	LIST_REMOVE(j, link);
	keeper_cancel(j->keeper);
	if (j->step)
		event_free(j->step);
	resolve_answer_free(&j->answer);
	if (j->fd >= 0)
		close(j->fd);
	if (j->exe_fd >= 0)
		close(j->exe_fd);
	free(j->pids);
	free(j);
}

void jobs_cancel(struct request *rq)
{
	while (!LIST_EMPTY(&rq->jobs))
		job_free(LIST_FIRST(&rq->jobs));
}

static int job_add_pid(struct job *j, pid_t pid)
{
	pid_t *pids = reallocarray(j->pids, j->n_pids + 1, sizeof(*pids));

	for (size_t i = 0; pids && i < j->n_pids; i++)
		if (pids[i] == pid) {
			j->pids = pids;
			return 0;
		}
	if (!pids)
		return -ENOMEM;
	j->pids = pids;
	j->pids[j->n_pids++] = pid;
	return 0;
}

/* ---- answer -> instances ---- */

static int load_next(struct job *j, struct error *err)
{
	int rc;

	if (!j->next_resolved) /* once more: finding it may have taken long */
		reaper_prime(j->rq->agent->reaper);
	rc = instance_new(j->rq, &j->answer.resolved[j->next_resolved], j->fd, &j->current, err);

	if (rc)
		return rc;
	if (!instance_file_same(j->current, j->fd))
		return error_set(err, ESTALE, "%s was changed while it was being read", j->path);
	if (j->rq->state == REQUEST_RUNNING) /* a latecomer: the client does not know it yet */
		request_send_probe(j->rq, j->current);
	if (j->rq->state == REQUEST_RUNNING)
		pattern_send_note(j->rq, j->current);
	j->next_pid = j->attached = 0;
	return 0;
}

/* One load or one attach. A process that has gone meanwhile is no failure, if others are left. */
static int do_piece(struct job *j, struct error *err)
{
	int rc;

	if (!j->current)
		return load_next(j, err);
	if (j->next_pid < j->n_pids && !j->current->detached) { /* detached: the guard was faster */
		rc = instance_attach(j->current, j->pids[j->next_pid++], err);
		j->attached += rc == 0;
		return rc == -ESRCH ? 0 : rc;
	}
	rc = j->attached ? 0 : error_set(err, ESRCH, "the process is gone");
	j->current = NULL;
	j->next_resolved++;
	return rc;
}

static void job_done(struct job *j, const struct error *err, int64_t probe)
{
	struct request *rq = j->rq;

	job_free(j);
	if (err->code)
		request_failed(rq, err, probe);
	else
		request_advance(rq);
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once = { 0, 0 };
	struct job *j = arg;
	uint64_t begin = now_ns();
	struct error err = { 0 };
	int64_t probe = 0;

	while (!err.code && j->next_resolved < j->answer.n_resolved) {
		probe = j->answer.resolved[j->next_resolved].probe_index;
		if (now_ns() - begin > SLICE_NS && !event_add(j->step, &at_once))
			return;
		if (do_piece(j, &err) && !err.code)
			error_set(&err, ENOMEM, "out of memory");
	}
	job_done(j, &err, probe);
}

static void on_resolved(const char *data, size_t len, const struct error *failed, void *arg)
{
	struct job *j = arg;
	struct error err = { 0 };
	int64_t probe = 0;

	j->keeper = NULL;
	if (failed) {
		err = *failed;
	} else {
		if (resolve_answer_read(data, len, &j->answer, NULL) && !j->answer.err.code)
			error_set(&j->answer.err, EPROTO, "the resolver's answer is malformed");
		err = j->answer.err;
		probe = j->answer.probe_index == UINT32_MAX ? -1 : (int64_t)j->answer.probe_index;
	}
	if (!err.code) {
		j->step = evtimer_new(j->rq->agent->base, on_step, j);
		if (!j->step)
			error_set(&err, ENOMEM, "out of memory");
	}
	if (err.code)
		job_done(j, &err, probe);
	else
		on_step(-1, 0, j);
}

/* ---- processes -> jobs ---- */

static int job_start(struct job *j, struct error *err)
{
	struct request *rq = j->rq;
	const struct resolve_request what = {
		.fd = j->fd, .exe_fd = j->exe_fd, .path = j->path, .root = j->root, .cache = rq->agent->opt.cache,
		.probes = (const char *const *)rq->args.probes, .index = j->index, .n_index = j->n_index,
		.error_expr = rq->args.error_expr, .errors_only = rq->args.errors_only, .unwind_ok = rq->args.unwind_ok, .ship = rq->verb == VERB_TRACE,
		.force_call = rq->verb == VERB_STAT, .show_errors = rq->verb == VERB_STAT ? rq->args.show_errors : 0,
		.limits = rq->args.limits, .costs = rq->agent->costs,
	};

	j->started = true;
	return keepers_ask(rq->agent->keepers, &what, on_resolved, j, &j->keeper, err);
}

static bool job_has_index(const struct job *j, uint32_t index)
{
	for (uint32_t i = 0; i < j->n_index; i++)
		if (j->index[i] == index)
			return true;
	return false;
}

/* A job that can take on one more process: not asked yet, or asked about this probe and not answered. */
static struct job *job_find(struct request *rq, uint32_t index, uint64_t dev, uint64_t ino)
{
	struct job *j;

	LIST_FOREACH(j, &rq->jobs, link)
		if (j->st.st_dev == dev && j->st.st_ino == ino && (!j->started || (j->keeper && job_has_index(j, index))))
			return j;
	return NULL;
}

static struct job *job_new(struct request *rq, int fd, const char *path, struct error *err)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j || fstat(fd, &j->st)) {
		error_set(err, errno, "cannot look at %s: %s", path, strerror(errno));
		free(j);
		close(fd);
		return NULL;
	}
	j->rq = rq;
	j->fd = fd;
	j->exe_fd = -1;
	snprintf(j->path, sizeof(j->path), "%s", path);
	LIST_INSERT_HEAD(&rq->jobs, j, link);
	return j;
}

/* The probe is there already for this file, or the guard removed it: attach to one more process, or do not. -> 1 if so */
static int attach_known(struct request *rq, uint32_t index, const struct stat *st, int fd, pid_t pid, struct error *err)
{
	struct instance *in;
	int known = 0, rc = 0;

	LIST_FOREACH(in, &rq->instances, link) {
		if (!instance_is_for(in, index, st->st_dev, st->st_ino) || !instance_file_same(in, fd))
			continue;
		known = 1;
		rc = in->detached ? 0 : instance_attach(in, pid, err);
		if (rc && rc != -ESRCH)
			return rc;
	}
	return known;
}

static int open_module(pid_t pid, const char *name, char *path, struct error *err)
{
	struct module m;
	int rc = module_find(pid, name, &m, err);

	if (rc)
		return rc;
	snprintf(path, PATH_MAX, "%s", m.path);
	return module_open(pid, &m, err);
}

/* One probe text in one process. */
static int cover_probe(struct request *rq, uint32_t index, const struct process *p, struct error *err)
{
	const char *name = rq->module[index];
	char path[PATH_MAX];
	struct stat st;
	struct job *j;
	int fd, rc;

	if (!name && rq->args.target.kind == TARGET_PATH)
		name = rq->args.target.text;
	fd = open_module(p->pid, name, path, err);
	if (fd < 0)
		return fd;
	rc = fstat(fd, &st) ? -errno : attach_known(rq, index, &st, fd, p->pid, err);
	if (rc) {
		close(fd);
		return rc < 0 ? rc : 0;
	}
	j = job_find(rq, index, st.st_dev, st.st_ino);
	if (j) {
		close(fd);
	} else {
		j = job_new(rq, fd, path, err);
		if (!j)
			return -ENOMEM;
		snprintf(j->root, sizeof(j->root), "/proc/%d/root", p->pid);
		j->exe_fd = open_module(p->pid, NULL, path, NULL);
	}
	if (!job_has_index(j, index))
		j->index[j->n_index++] = index;
	return job_add_pid(j, p->pid) ? error_set(err, ENOMEM, "out of memory") : 0;
}

int cover_start(struct request *rq, struct error *err)
{
	struct job *j, *next;
	int rc = 0;

	for (j = LIST_FIRST(&rq->jobs); !rc && j; j = next) {
		next = LIST_NEXT(j, link);
		if (!j->started)
			rc = job_start(j, err);
	}
	return rc;
}

int cover_process(struct request *rq, const struct process *p, struct error *err, int64_t *probe)
{
	bool everywhere = request_everywhere(rq);
	int rc = 0;

	for (uint32_t i = 0; !rc && i < rq->args.n_probes; i++) {
		*probe = i;
		if (everywhere && !rq->module[i])
			continue;      /* it is there already */
		rc = cover_probe(rq, i, p, err);
	}
	return rc;
}

int cover_path(struct request *rq, struct error *err)
{
	struct job *j = NULL;

	for (uint32_t i = 0; i < rq->args.n_probes; i++) {
		if (rq->module[i])
			continue;
		if (!j) {
			int fd = open(rq->args.target.text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

			if (fd < 0)
				return error_set(err, errno, "cannot open %s: %s", rq->args.target.text, strerror(errno));
			j = job_new(rq, fd, rq->args.target.text, err);
			if (!j)
				return -ENOMEM;
		}
		j->index[j->n_index++] = i;
	}
	if (!j)
		return 0;
	return job_add_pid(j, 0) ? error_set(err, ENOMEM, "out of memory") : 0;
}
