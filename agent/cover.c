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

/* One file being resolved; owns its fds and the worker. */
struct job {
	LIST_ENTRY(job) link;
	struct request *rq;
	struct worker *worker;
	int fd, exe_fd;
	struct stat st;
	char path[PATH_MAX], root[32];
	uint32_t index[PROBES_MAX], n_index;
	pid_t *pids;                  /* to attach to; 0: every process that maps it */
	size_t n_pids;
	struct resolve_request what;  /* borrows from the job and the request */
};

static void job_free(struct job *j)
{
	LIST_REMOVE(j, link);
	worker_cancel(j->worker);
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

static void job_add_index(struct job *j, uint32_t index)
{
	for (uint32_t i = 0; i < j->n_index; i++)
		if (j->index[i] == index)
			return;
	j->index[j->n_index++] = index;
}

/* Attaches one instance to the job's processes. A process that has gone meanwhile is no failure. */
static int attach_all(struct job *j, struct instance *in, struct error *err)
{
	int attached = 0, rc = 0;

	if (!instance_file_same(in, j->fd))
		return error_set(err, ESTALE, "%s was changed while it was being read", j->path);
	for (size_t i = 0; i < j->n_pids; i++) {
		rc = instance_attach(in, j->pids[i], err);
		if (rc && rc != -ESRCH)
			return rc;
		attached += rc == 0;
	}
	return attached ? 0 : rc;
}

static int make_instances(struct job *j, struct resolve_answer *answer, struct error *err, int64_t *probe)
{
	for (size_t i = 0; i < answer->n_resolved; i++) {
		struct instance *in = NULL;
		int rc = instance_new(j->rq, &answer->resolved[i], j->fd, &in, err);

		*probe = answer->resolved[i].probe_index;
		if (!rc)
			rc = attach_all(j, in, err);
		if (rc)
			return rc;
		if (j->rq->state == REQUEST_RUNNING) /* a latecomer: the client does not know it yet */
			request_send_probe(j->rq, in);
	}
	return 0;
}

static void on_resolved(const char *data, size_t len, const struct error *failed, void *arg)
{
	struct job *j = arg;
	struct request *rq = j->rq;
	struct resolve_answer answer = { 0 };
	struct error err = { 0 };
	int64_t probe = 0;
	int rc;

	j->worker = NULL;
	if (failed) {
		err = *failed;
		rc = -err.code;
	} else {
		rc = resolve_answer_read(data, len, &answer, NULL);
		probe = answer.probe_index == UINT32_MAX ? -1 : (int64_t)answer.probe_index;
		if (rc || answer.err.code) {
			err = answer.err;
			rc = -err.code;
		}
	}
	if (!rc)
		rc = make_instances(j, &answer, &err, &probe);
	resolve_answer_free(&answer);
	job_free(j);
	if (rc)
		request_failed(rq, &err, probe);
	else
		request_advance(rq);
}

static int job_start(struct job *j, struct error *err)
{
	struct request *rq = j->rq;

	j->what = (struct resolve_request){
		.fd = j->fd, .exe_fd = j->exe_fd, .path = j->path, .root = j->root,
		.probes = (const char *const *)rq->args.probes, .index = j->index, .n_index = j->n_index,
		.error_expr = rq->args.error_expr, .errors_only = rq->args.errors_only, .unwind_ok = rq->args.unwind_ok, .ship = rq->verb == VERB_TRACE,
		.force_call = rq->verb == VERB_STAT, .limits = rq->args.limits, .costs = rq->agent->costs,
	};
	return worker_start(rq->agent->base, &(struct worker_files){ { j->fd, j->exe_fd } }, resolve_work, &j->what, on_resolved, j, &j->worker, err);
}

static struct job *job_find(struct request *rq, uint64_t dev, uint64_t ino)
{
	struct job *j;

	LIST_FOREACH(j, &rq->jobs, link)
		if (!j->worker && j->st.st_dev == dev && j->st.st_ino == ino)
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

/* The probe is there already for this file: attach to one more process. -> 1 if so */
static int attach_known(struct request *rq, uint32_t index, const struct stat *st, int fd, pid_t pid, struct error *err)
{
	struct instance *in;
	int known = 0, rc = 0;

	LIST_FOREACH(in, &rq->instances, link) {
		if (in->detached || !instance_is_for(in, index, st->st_dev, st->st_ino) || !instance_file_same(in, fd))
			continue;
		known = 1;
		rc = instance_attach(in, pid, err);
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
	j = job_find(rq, st.st_dev, st.st_ino);
	if (j) {
		close(fd);
	} else {
		j = job_new(rq, fd, path, err);
		if (!j)
			return -ENOMEM;
		snprintf(j->root, sizeof(j->root), "/proc/%d/root", p->pid);
		j->exe_fd = open_module(p->pid, NULL, path, NULL);
	}
	job_add_index(j, index);
	return job_add_pid(j, p->pid);
}

static int start_jobs(struct request *rq, struct error *err)
{
	struct job *j, *next;
	int rc = 0;

	for (j = LIST_FIRST(&rq->jobs); !rc && j; j = next) {
		next = LIST_NEXT(j, link);
		if (!j->worker)
			rc = job_start(j, err);
	}
	return rc;
}

int cover_process(struct request *rq, const struct process *p, struct error *err, int64_t *probe)
{
	/* Root's probe on a file is in every process already. */
	bool everywhere = rq->args.target.kind == TARGET_PATH && rq->uid == 0;
	int rc = 0;

	for (uint32_t i = 0; !rc && i < rq->args.n_probes; i++) {
		*probe = i;
		if (everywhere && !rq->module[i])
			continue;
		rc = cover_probe(rq, i, p, err);
	}
	return rc ? rc : start_jobs(rq, err);
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
		job_add_index(j, i);
	}
	if (!j)
		return 0;
	return job_add_pid(j, 0) ? -ENOMEM : start_jobs(rq, err);
}
