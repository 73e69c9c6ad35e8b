/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Target processes come, go, and turn into other programs.  An end is seen at once (pidfd); an exec and newcomers when
 * /proc is looked through, once a second for all requests together.  A request by pid ends with its process; one by name or path waits for the next.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent_internal.h"
#include "log.h"

static void watched_free(struct watched *w)
{
	LIST_REMOVE(w, link);
	if (w->exit)
		event_free(w->exit);
	if (w->pidfd >= 0)
		close(w->pidfd);
	free(w);
}

void watch_free_all(struct request *rq)
{
	while (!LIST_EMPTY(&rq->watched))
		watched_free(LIST_FIRST(&rq->watched));
}

struct known_process *watch_know(struct request *rq, pid_t pid, const struct process *p)
{
	struct known_process *k;
	struct process now;

	for (size_t i = 0; i < rq->n_known; i++)
		if (rq->known[i].pid == pid)
			return &rq->known[i];
	if (rq->n_known == rq->cap_known) {
		size_t cap = rq->cap_known ? rq->cap_known * 2 : 8;

		k = reallocarray(rq->known, cap, sizeof(*k));
		if (!k)
			return NULL;
		rq->known = k;
		rq->cap_known = cap;
	}
	k = &rq->known[rq->n_known++];
	*k = (struct known_process){ .pid = pid };
	if (!p && !process_read(pid, &now, NULL))
		p = &now;
	if (p)
		memcpy(k->comm, p->comm, sizeof(k->comm));
	return k;
}

static void left(struct watched *w, const char *what)
{
	struct request *rq = w->rq;
	pid_t pid = w->process.pid;
	char comm[sizeof(w->process.comm)];

	memcpy(comm, w->process.comm, sizeof(comm));
	watch_know(rq, pid, &w->process); /* END's rows name it, after it has gone */
	watched_free(w);
	if (rq->args.target.kind == TARGET_PID) {
		request_end(rq, "gone", "process %d (%s) %s", pid, comm, what);
		return;
	}
	request_process_left(rq, pid);
	request_notice(rq, "gone", "process %d (%s) %s%s", pid, comm, what,
		       LIST_EMPTY(&rq->watched) ? "; waiting for another one" : "");
}

static void on_exit_seen(evutil_socket_t fd, short what, void *arg)
{
	left(arg, "has ended");
}

int watch_add(struct request *rq, const struct process *p)
{
	struct watched *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->rq = rq;
	w->process = *p;
	LIST_INSERT_HEAD(&rq->watched, w, link);
	w->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (w->pidfd >= 0)
		w->exit = event_new(rq->agent->base, w->pidfd, EV_READ, on_exit_seen, w);
	if (!w->exit || event_add(w->exit, NULL)) {
		int err = w->pidfd < 0 && errno == ESRCH ? -ESRCH : -ENOMEM;

		watched_free(w);
		return err;
	}
	return 0;
}

static struct watched *find(struct request *rq, const struct process *p)
{
	struct watched *w;

	LIST_FOREACH(w, &rq->watched, link)
		if (w->process.pid == p->pid && w->process.start_ticks == p->start_ticks)
			return w;
	return NULL;
}

static bool runs_another_program(const struct watched *w, const struct process *now)
{
	return w->process.exe_ino != now->exe_ino || w->process.exe_dev != now->exe_dev;
}

static void look_for_exec(struct request *rq)
{
	struct watched *w, *next;
	struct process now;

	for (w = LIST_FIRST(&rq->watched); w && rq->state == REQUEST_RUNNING; w = next) {
		next = LIST_NEXT(w, link);
		if (!process_read(w->process.pid, &now, NULL) && now.start_ticks == w->process.start_ticks &&
		    runs_another_program(w, &now))
			left(w, "executes another program now");
	}
}

/* One look at all processes, and which of the targets each belongs to: match[process * n_targets + target]. */
struct scan {
	struct process *process;
	size_t n;
	const struct target **target;
	struct request **request;      /* whose target that is */
	size_t n_targets;
	bool *match;
};

static void scan_free(struct scan *s)
{
	free(s->process);
	free(s->target);
	free(s->request);
	free(s->match);
}

static int scan_targets(struct scan *s, const struct agent *a)
{
	struct request *rq;

	s->target = calloc(a->n_requests + 1, sizeof(*s->target));
	s->request = calloc(a->n_requests + 1, sizeof(struct request *));
	if (!s->target || !s->request)
		return -ENOMEM;
	LIST_FOREACH(rq, &a->requests, link) {
		if (rq->state != REQUEST_RUNNING || rq->args.target.kind == TARGET_PID)
			continue;
		s->request[s->n_targets] = rq;
		s->target[s->n_targets++] = &rq->args.target;
	}
	return 0;
}

/* Without a target that newcomers can belong to nothing is read. */
static int scan_read(struct scan *s, const struct agent *a)
{
	int rc = scan_targets(s, a);

	if (rc || !s->n_targets)
		return rc;
	rc = process_list(&s->process, &s->n);
	if (rc)
		return rc;
	s->match = calloc(s->n * s->n_targets + 1, sizeof(*s->match));
	if (!s->match)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++)
		process_matches_each(&s->process[i], s->target, s->n_targets, s->match + i * s->n_targets);
	return 0;
}

static void look_for_newcomers(const struct scan *s, size_t target)
{
	struct request *rq = s->request[target];
	struct error err = { 0 };
	int64_t probe;

	for (size_t i = 0; i < s->n && rq->state == REQUEST_RUNNING; i++) {
		const struct process *p = &s->process[i];

		if (!s->match[i * s->n_targets + target] || find(rq, p) || policy_may_probe(rq->uid, p, NULL) ||
		    !process_runs_build(p, &rq->args.target, rq->module, rq->args.n_probes) || watch_add(rq, p))
			continue;
		request_notice(rq, "new", "process %d (%s) is traced from now on", p->pid, p->comm);
		if (cover_process(rq, p, &err, &probe))
			request_notice(rq, "failed", "process %d: %s", p->pid, err.text);
	}
	if (rq->state == REQUEST_RUNNING && cover_start(rq, &err))
		request_notice(rq, "failed", "%s", err.text);
}

void watch_scan(struct agent *a)
{
	struct scan s = { 0 };
	struct request *rq;

	LIST_FOREACH(rq, &a->requests, link)
		look_for_exec(rq);
	if (scan_read(&s, a))
		log_warn("watch", "no-scan", "reason=\"the processes cannot be listed\"");
	else
		for (size_t i = 0; i < s.n_targets; i++)
			look_for_newcomers(&s, i);
	scan_free(&s);
}
