/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

enum { TEXTS = 6, THREAD_STACK_BYTES = 1 << 20 };

struct pool_job {
	STAILQ_ENTRY(pool_job) link;
	query_fn *ask;
	struct query query;
	char *text[TEXTS];        /* what query points to */
	pool_done *done;          /* NULL: forgotten. Only the loop's thread looks at it. */
	void *arg;
	struct buf answer;
	struct error err;
};

STAILQ_HEAD(jobs, pool_job);

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct jobs waiting, answered;
	unsigned n_waiting;
	bool stopping;
	int event_fd;
	struct event *event;
	char *path;
	pthread_t thread[POOL_THREADS];
	unsigned n_threads;
};

static void job_free(struct pool_job *job)
{
	for (int i = 0; i < TEXTS; i++)
		free(job->text[i]);
	buf_free(&job->answer);
	free(job);
}

/* ---- the threads ---- */

static void answer_job(struct pool_job *job, struct reader **reader, const char *path)
{
	int rc = *reader ? 0 : reader_open(path, reader, &job->err);

	if (rc)
		return;
	reader_begin(*reader, POOL_QUESTION_MS);
	rc = job->ask(*reader, &job->query, &job->answer, &job->err);
	if (!rc)
		return;
	buf_clear(&job->answer);
	if (!job->err.code)
		error_set(&job->err, -rc, "%s", strerror(-rc));
	if (rc == -EIO) { /* the store may be another one now */
		reader_close(*reader);
		*reader = NULL;
	}
}

static struct pool_job *next_job(struct pool *p)
{
	struct pool_job *job;

	pthread_mutex_lock(&p->lock);
	while (!p->stopping && STAILQ_EMPTY(&p->waiting))
		pthread_cond_wait(&p->work, &p->lock);
	job = p->stopping ? NULL : STAILQ_FIRST(&p->waiting);
	if (job) {
		STAILQ_REMOVE_HEAD(&p->waiting, link);
		p->n_waiting--;
	}
	pthread_mutex_unlock(&p->lock);
	return job;
}

static void *run(void *arg)
{
	struct reader *reader = NULL;
	struct pool *p = arg;
	struct pool_job *job;

	while ((job = next_job(p))) {
		static const uint64_t one = 1;

		answer_job(job, &reader, p->path);
		pthread_mutex_lock(&p->lock);
		STAILQ_INSERT_TAIL(&p->answered, job, link);
		pthread_mutex_unlock(&p->lock);
		(void)!write(p->event_fd, &one, sizeof(one));
	}
	reader_close(reader);
	return NULL;
}

/* ---- the loop's side ---- */

static void on_answered(evutil_socket_t fd, short what, void *arg)
{
	struct jobs done = STAILQ_HEAD_INITIALIZER(done);
	struct pool *p = arg;
	struct pool_job *job;
	uint64_t n;

	(void)!read(fd, &n, sizeof(n));
	pthread_mutex_lock(&p->lock);
	STAILQ_CONCAT(&done, &p->answered);
	pthread_mutex_unlock(&p->lock);
	while ((job = STAILQ_FIRST(&done))) {
		STAILQ_REMOVE_HEAD(&done, link);
		if (job->done)
			job->done(&job->answer, &job->err, job->arg);
		job_free(job);
	}
}

/* Signals are the loop's. */
static int start_thread(struct pool *p)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&p->thread[p->n_threads], &attr, run, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	p->n_threads += !rc;
	return -rc;
}

int pool_new(struct event_base *base, const char *store_path, struct pool **out, struct error *err)
{
	struct pool *p = calloc(1, sizeof(*p));
	int rc = 0;

	if (!p)
		return error_set(err, ENOMEM, "no memory for the questions to the store");
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	STAILQ_INIT(&p->waiting);
	STAILQ_INIT(&p->answered);
	p->path = strdup(store_path);
	p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->event_fd >= 0)
		p->event = event_new(base, p->event_fd, EV_READ | EV_PERSIST, on_answered, p);
	if (!p->path || !p->event || event_add(p->event, NULL))
		rc = -ENOMEM;
	while (!rc && p->n_threads < POOL_THREADS)
		rc = start_thread(p);
	if (rc) {
		pool_free(p);
		return error_set(err, -rc, "cannot start threads for the questions to the store: %s", strerror(-rc));
	}
	*out = p;
	return 0;
}

static void free_jobs(struct jobs *jobs)
{
	struct pool_job *job;

	while ((job = STAILQ_FIRST(jobs))) {
		STAILQ_REMOVE_HEAD(jobs, link);
		job_free(job);
	}
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		pthread_join(p->thread[i], NULL);
	free_jobs(&p->waiting);
	free_jobs(&p->answered);
	if (p->event)
		event_free(p->event);
	if (p->event_fd >= 0)
		close(p->event_fd);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->path);
	free(p);
}

static int copy_query(struct pool_job *job, const struct query *q)
{
	const char **text[TEXTS] = { &job->query.service, &job->query.function, &job->query.host, &job->query.build, &job->query.who,
		&job->query.title };

	job->query = *q;
	for (int i = 0; i < TEXTS; i++) {
		if (!*text[i])
			continue;
		job->text[i] = strdup(*text[i]);
		if (!job->text[i])
			return -ENOMEM;
		*text[i] = job->text[i];
	}
	return 0;
}

int pool_ask(struct pool *p, query_fn *ask, const struct query *q, pool_done *done, void *arg, struct pool_job **out, struct error *err)
{
	struct pool_job *job = calloc(1, sizeof(*job));
	bool full;

	if (!job || copy_query(job, q)) {
		if (job)
			job_free(job);
		return error_set(err, ENOMEM, "no memory for a question");
	}
	job->ask = ask;
	job->done = done;
	job->arg = arg;
	pthread_mutex_lock(&p->lock);
	full = p->n_waiting >= POOL_WAITING_MAX;
	if (!full) {
		STAILQ_INSERT_TAIL(&p->waiting, job, link);
		p->n_waiting++;
		pthread_cond_signal(&p->work);
	}
	pthread_mutex_unlock(&p->lock);
	if (full) {
		job_free(job);
		return error_set(err, EAGAIN, "too many questions at a time"), error_hint(err, "ask again in a moment");
	}
	*out = job;
	return 0;
}

void pool_forget(struct pool_job *job)
{
	job->done = NULL;
}
