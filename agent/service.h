/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes are there, what are they, and which files do they map.  All from /proc; a process may go away
 * between any two reads, and what it says (comm, paths, maps) is hostile input.
 */
#ifndef PLUMB_SERVICE_H
#define PLUMB_SERVICE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image.h"
#include "plumb/error.h"

enum target_kind { TARGET_PID, TARGET_NAME, TARGET_PATH };

struct target {
	enum target_kind kind;
	pid_t pid;                 /* TARGET_PID */
	char text[PATH_MAX];       /* TARGET_NAME: executable's base name, comm, systemd unit ("x" or "x.service") or container id
	                              (full, or a prefix of >= 8 digits); TARGET_PATH: absolute path */
	uint64_t dev, ino;         /* TARGET_PATH: the file's identity, set by target_check */
	char build[BUILD_ID_HEX_MAX]; /* only what runs a build whose id begins so, at least BUILD_PREFIX_MIN digits; "": any */
};

enum { BUILD_PREFIX_MIN = 6 };

struct process {
	pid_t pid;
	uid_t uid;                 /* effective */
	bool confined;             /* the kernel would not let this user trace it: it has other uids too, or is not dumpable */
	uint32_t threads;
	uint64_t start_ticks;      /* field 22 of stat: tells a reused pid */
	char comm[32];
	char exe[PATH_MAX];        /* as the link says, without " (deleted)" */
	bool exe_deleted;
	uint64_t exe_dev, exe_ino;
	char unit[256];            /* "redis-server.service", "" */
	char container[65];        /* 64 hex digits, "" */
};

/* One file that a process maps executable. */
struct module {
	char path[PATH_MAX];       /* as in maps, for messages; without " (deleted)" */
	uint64_t dev, ino;
	uint64_t start, end;       /* the executable mapping: names its /proc/PID/map_files link */
	uint64_t offset;           /* file offset of that mapping */
	bool deleted;
};

/* Checks a target's form (and writes the build in lower case) and, for TARGET_PATH, that the file is there (fills dev, ino). */
int target_check(struct target *t, struct error *err);

/* -ESRCH: no such process (or a kernel thread, or a zombie). */
int process_read(pid_t pid, struct process *out, struct error *err);
/* All user processes that can be read, by pid; the caller frees *out. */
int process_list(struct process **out, size_t *count);
/* True if the process belongs to the target. TARGET_PATH: maps the file executable. Never the calling process. */
bool process_matches(const struct process *p, const struct target *t);
/* process_matches for several targets: match[i] is set for each. Reads the process's maps once at most. */
void process_matches_each(const struct process *p, const struct target *const *t, size_t n, bool *match);
/* Matching processes, by pid; the caller frees *out. -ESRCH with the nearest names as hint if there is none
 * and the target is not a TARGET_PATH (there none is fine: it may come later). */
int target_processes(const struct target *t, struct process **out, size_t *count, struct error *err);

/* Those of target_processes that run the target's build: their executable has it, or a file of theirs that is named by the target
 * or in `modules` (n_modules of them, NULL: none). -ESRCH with the builds that there are as hint if there were some, but none of
 * that build. */
int target_processes_built(const struct target *t, char *const *modules, uint32_t n_modules, struct process **out, size_t *count,
			   struct error *err);
/* What these processes run other than the build `id`: "653cbd926225 (2 processes), c01d77ab0011 (1 process)"; "": nothing. Each file is looked into
 * once, and no more than a few. */
void builds_besides(const struct process *p, size_t n, const char *id, char *out, size_t size);
/* The same of one process; true if the target is of any build. */
bool process_runs_build(const struct process *p, const struct target *t, char *const *modules, uint32_t n_modules);
/* The build-id of an ELF file, in lower-case hex. False: it has none, or is no such file. */
bool build_id_read(int fd, char out[BUILD_ID_HEX_MAX]);

/* The module of that name ("libssl.so.3", "libssl", or a path; NULL: the executable) in a process. */
int module_find(pid_t pid, const char *name, struct module *out, struct error *err);
/* All executable file mappings, one per file; the caller frees *out. */
int module_list(pid_t pid, struct module **out, size_t *count);
/* Opens the mapped inode itself: through map_files (or /proc/PID/exe), else through /proc/PID/root + path with
 * dev and inode compared. Returns an fd, O_RDONLY | O_CLOEXEC, or -errno. */
int module_open(pid_t pid, const struct module *m, struct error *err);

#endif
