/* SPDX-License-Identifier: Apache-2.0 */
#include "reaper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct job {
	struct job *next;
	struct loaded *loaded;         /* NULL: prime */
	bool all;
	void (*done)(void *arg);
	void *arg;
};

struct queue { struct job *first, **last; };

/* Each detach waits for the kernel's grace periods, 30 to 100 ms: waits that run side by side take no longer than one. */
enum { REAPER_THREADS = 16 };

struct reaper {
	pthread_t thread[REAPER_THREADS];
	unsigned n_threads;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct queue todo, finished;   /* under lock */
	bool stop;                     /* under lock */
	int wake;                      /* eventfd: there are finished jobs */
	struct event *event;
};

static void queue_add(struct queue *q, struct job *job)
{
	job->next = NULL;
	*q->last = job;
	q->last = &job->next;
}

static struct job *queue_take(struct queue *q)
{
	struct job *job = q->first;

	if (job) {
		q->first = job->next;
		if (!q->first)
			q->last = &q->first;
	}
	return job;
}

static void *work(void *arg)
{
	struct reaper *r = arg;
	uint64_t one = 1;
	struct job *job;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!(job = queue_take(&r->todo)) && !r->stop)
			pthread_cond_wait(&r->more, &r->lock);
		if (!job)
			break;
		pthread_mutex_unlock(&r->lock);
		if (job->loaded)
			loader_detach(job->loaded, job->all);
		else
			loader_prime();
		pthread_mutex_lock(&r->lock);
		queue_add(&r->finished, job);
		if (write(r->wake, &one, sizeof(one)) < 0)
			continue; /* the counter is full: the loop is being woken anyway */
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static void run_finished(struct reaper *r)
{
	struct job *job;

	for (;;) {
		pthread_mutex_lock(&r->lock);
		job = queue_take(&r->finished);
		pthread_mutex_unlock(&r->lock);
		if (!job)
			return;
		if (job->done)
			job->done(job->arg);
		free(job);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) == sizeof(n))
		run_finished(arg);
}

static int start(struct reaper *r, struct event_base *base)
{
	sigset_t all, old;
	int rc;

	r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->wake < 0)
		return -errno;
	r->event = event_new(base, r->wake, EV_READ | EV_PERSIST, on_wake, r);
	if (!r->event || event_add(r->event, NULL))
		return -ENOMEM;
	/* Signals belong to the loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	do {
		rc = pthread_create(&r->thread[r->n_threads], NULL, work, r);
		r->n_threads += rc == 0;
	} while (!rc && r->n_threads < REAPER_THREADS);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r->n_threads ? 0 : -rc; /* fewer are slower, not worse */
}

int reaper_new(struct event_base *base, struct reaper **out, struct error *err)
{
	struct reaper *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return error_set(err, ENOMEM, "out of memory");
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->more, NULL);
	r->todo.last = &r->todo.first;
	r->finished.last = &r->finished.first;
	rc = start(r, base);
	if (rc) {
		if (r->event)
			event_free(r->event);
		if (r->wake >= 0)
			close(r->wake);
		free(r);
		return error_set(err, -rc, "cannot start the detach thread: %s", strerror(-rc));
	}
	*out = r;
	return 0;
}

void reaper_free(struct reaper *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->more);
	pthread_mutex_unlock(&r->lock);
	for (unsigned i = 0; i < r->n_threads; i++)
		pthread_join(r->thread[i], NULL);
	run_finished(r);
	event_free(r->event);
	close(r->wake);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->more);
	free(r);
}

static int ask(struct reaper *r, const struct job *what)
{
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return -ENOMEM;
	*job = *what;
	pthread_mutex_lock(&r->lock);
	queue_add(&r->todo, job);
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->lock);
	return 0;
}

int reaper_detach(struct reaper *r, struct loaded *l, bool all, void (*done)(void *arg), void *arg)
{
	return ask(r, &(struct job){ .loaded = l, .all = all, .done = done, .arg = arg });
}

void reaper_prime(struct reaper *r)
{
	ask(r, &(struct job){ 0 });
}
