/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Target processes come, go, and turn into other programs.  An end is seen at once (pidfd); an exec and newcomers when
 * the request ticks.  A request by pid ends with its process; one by name or path waits for the next.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent_internal.h"

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

struct known_process *watch_know(struct request *rq, pid_t pid, const struct process *p, bool *added)
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
	*added = true;
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
	bool added;

	memcpy(comm, w->process.comm, sizeof(comm));
	watch_know(rq, pid, &w->process, &added); /* END's rows name it, after it has gone */
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

static void look_for_newcomers(struct request *rq)
{
	struct process *all = NULL;
	struct error err = { 0 };
	int64_t probe;
	size_t n = 0;

	if (rq->args.target.kind == TARGET_PID || target_processes(&rq->args.target, &all, &n, NULL))
		return;
	for (size_t i = 0; i < n && rq->state == REQUEST_RUNNING; i++) {
		if (find(rq, &all[i]) || policy_may_probe(rq->uid, &all[i], NULL) || watch_add(rq, &all[i]))
			continue;
		request_notice(rq, "new", "process %d (%s) is traced from now on", all[i].pid, all[i].comm);
		if (cover_process(rq, &all[i], &err, &probe))
			request_notice(rq, "failed", "process %d: %s", all[i].pid, err.text);
	}
	free(all);
	if (cover_start(rq, &err))
		request_notice(rq, "failed", "%s", err.text);
}

void watch_tick(struct request *rq)
{
	if (rq->state != REQUEST_RUNNING)
		return;
	look_for_exec(rq);
	look_for_newcomers(rq);
}
