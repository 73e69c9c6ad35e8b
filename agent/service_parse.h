/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the texts of /proc/PID say, as pure functions over (text, length): no system calls, no allocation, so that every
 * one of them can be fuzzed.  All of these texts carry bytes that the process chose (its comm, file names, cgroup names).
 */
#ifndef PLUMB_SERVICE_PARSE_H
#define PLUMB_SERVICE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { CONTAINER_DIGITS = 64 };

struct proc_stat {
	char comm[32];           /* raw bytes, may be cut */
	char state;              /* 'R', 'S', 'Z', ... */
	uint32_t flags;          /* PF_* */
	uint32_t threads;
	uint64_t start_ticks;
};

struct proc_status {
	pid_t tgid;
	uid_t euid;
	bool one_uid;            /* the real, saved and file system uid are the same */
};

/* One line of maps. `path` points into the text, still escaped, "" for anonymous memory. */
struct maps_line {
	uint64_t start, end, offset, ino;
	uint32_t dev_major, dev_minor;   /* of the superblock: not always what stat says (see module.c) */
	bool exec;
	const char *path;
	size_t path_len;
};

/* All return 0 or -EINVAL if the text is not of the expected form. */
int parse_stat(const char *text, size_t len, struct proc_stat *out);
int parse_status(const char *text, size_t len, struct proc_status *out);

/* unit: the innermost *.service or *.scope; container: the innermost container's id. "" if there is none. */
void parse_cgroup(const char *text, size_t len, char *unit, size_t unit_size, char container[CONTAINER_DIGITS + 1]);

/* Takes the next well-formed line from [*pos, end), skipping others. False at the end. */
bool maps_next(const char **pos, const char *end, struct maps_line *out);

/* Undoes the kernel's escaping of a maps path into out (always terminated, cut if it does not fit). */
void maps_path(const struct maps_line *line, char *out, size_t size);

/* Cuts " (deleted)" off the end; true if it was there. */
bool cut_deleted(char *path);

/* True for 64 lower-case hex digits (full) or at least 8 (a prefix as a person types it). */
bool is_container_id(const char *text, size_t len, bool full);

#endif
