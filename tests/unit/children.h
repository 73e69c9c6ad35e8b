/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real children for the tests of process discovery.  A child is a copy of the test program itself in a directory of its
 * own, started as "NAME child [comm=C] [threads=N] [map=FILE]..."; main() must call child_main for it.
 */
#ifndef PLUMB_TEST_CHILDREN_H
#define PLUMB_TEST_CHILDREN_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = 65534 };

/* ---- the child ---- */

static inline void *child_thread(void *arg)
{
	pause();
	return NULL;
}

static inline int child_map(const char *path)
{
	int fd = open(path, O_RDONLY);
	void *page = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	if (fd >= 0)
		close(fd);
	return page == MAP_FAILED ? -1 : 0;
}

static inline int child_main(int argc, char **argv)
{
	pthread_t thread;
	int i, n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 2; i < argc; i++) {
		if (strncmp(argv[i], "comm=", 5) == 0)
			prctl(PR_SET_NAME, argv[i] + 5);
		else if (strncmp(argv[i], "map=", 4) == 0 && child_map(argv[i] + 4))
			return 3;
		else if (strncmp(argv[i], "threads=", 8) == 0)
			for (n = atoi(argv[i] + 8); n > 0; n--)
				pthread_create(&thread, NULL, child_thread, NULL);
	}
	if (write(STDOUT_FILENO, "r", 1) != 1)
		return 4;
	for (;;)
		pause();
}

/* ---- a directory and the children of one test ---- */

struct world {
	char dir[64];
	pid_t child[4];
	unsigned children;
};

static inline void *xpath(const struct world *w, const char *name, char *out)
{
	snprintf(out, PATH_MAX, "%s/%s", w->dir, name);
	return out;
}

static inline void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	char data[65536];
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, data, sizeof(data))) > 0)
		assert_int_equal(write(out, data, n), n);
	close(in);
	assert_int_equal(close(out), 0);
}

static inline void make_file(const char *path)
{
	copy_file("/proc/self/exe", path);
}

struct child_options {
	const char *args[4];
	const char *own_mounts;   /* a directory that the child hides below a tmpfs before it copies itself there */
	bool as_nobody;
};

static inline int enter_own_mounts(const char *dir, const char *program)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("plumb-test", dir, "tmpfs", 0, NULL))
		return -1;
	make_file(program);
	return 0;
}

static inline pid_t start_child(struct world *w, const char *program, const struct child_options *o)
{
	char *argv[8] = { (char *)program, (char *)"child" };
	int ready[2], i;
	pid_t pid;
	char c;

	for (i = 0; i < 4; i++)
		argv[i + 2] = (char *)o->args[i];
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ready[1], STDOUT_FILENO);
		if (o->own_mounts && enter_own_mounts(o->own_mounts, program))
			_exit(5);
		if (o->as_nobody && setresuid(NOBODY, NOBODY, NOBODY))
			_exit(6);
		execv(program, argv);
		_exit(7);
	}
	assert_true(pid > 0);
	w->child[w->children++] = pid;
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static inline int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	snprintf(w->dir, sizeof(w->dir), "/tmp/plumb-service-XXXXXX");
	if (!mkdtemp(w->dir) || chmod(w->dir, 0755))
		return -1;
	*state = w;
	return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline int teardown(void **state)
{
	struct world *w = *state;

	while (w->children) {
		kill(w->child[--w->children], SIGKILL);
		waitpid(w->child[w->children], NULL, 0);
	}
	nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(w);
	return 0;
}

#endif
