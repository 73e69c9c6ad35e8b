/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the service module share: reading one process through a directory fd on /proc/PID, which goes stale
 * (-ESRCH) when the process ends and never shows a later process of the same pid. */
#ifndef PLUMB_SERVICE_INTERNAL_H
#define PLUMB_SERVICE_INTERNAL_H

#include "service.h"

struct file_id {
	uint64_t dev, ino;
	bool regular;
};

/* /proc/PID as a directory fd, or -errno (-ESRCH: no such process). */
int proc_open(pid_t pid);
/* The whole file, NUL-terminated, at most max bytes (-E2BIG beyond). The caller frees *text. */
int proc_read(int dir, const char *name, size_t max, char **text, size_t *len);
/* Identity of a file below dir (links are followed), without waiting for a network or FUSE file system. */
int file_identity(int dir, const char *path, struct file_id *out);
/* Reads the rest of a process through its directory. */
int process_read_at(int dir, pid_t pid, struct process *out, struct error *err);
/* `path` as the kernel printed it: cuts " (deleted)" unless a file of that very name and identity is there. */
bool path_deleted(int dir, char *path, const struct file_id *id);
/* Calls visit for each file that the process maps executable, until that returns false. */
void module_each(pid_t pid, bool (*visit)(const struct file_id *id, void *arg), void *arg);
/* module_list of a process by its directory. The caller frees *out. */
int module_list_at(int dir, struct module **out, size_t *count);
/* Opens a regular file and nothing else: opening a FIFO would block, opening a device may do anything. fd or -errno. */
int open_regular(int dir, const char *path);
/* Paths relative to the process's directory: of a mapping's link, and of a path as the process sees it. */
void map_files_path(uint64_t start, uint64_t end, char *out, size_t size);
void below_root(const char *path, char *out, size_t size);

const char *path_base(const char *path);

#endif
