/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

enum { KEPT_MAX = 64 };

/* The bounding set can only be lowered by who has CAP_SETPCAP; without it NO_NEW_PRIVS says the same of programs to come. */
int sandbox_capabilities(const int *keep, struct error *err)
{
	unsigned kept[KEPT_MAX];
	size_t n = 0;

	if (capng_get_caps_process())
		return error_set(err, EPERM, "cannot read the capabilities of this process");
	for (; *keep >= 0 && n < KEPT_MAX; keep++)
		if (capng_have_capability(CAPNG_PERMITTED, (unsigned)*keep))
			kept[n++] = (unsigned)*keep;
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < n; i++)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, kept[i]);
	capng_apply(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return error_set(err, EPERM, "cannot give up capabilities");
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? error_set(err, errno, "cannot give up new privileges: %s", strerror(errno)) : 0;
}

#ifndef SANITIZED
/* Names, not numbers: what this machine or this libseccomp does not know is passed over. */
static const char *const collector_calls[] = {
	/* files and the store */
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "lseek", "open", "openat", "close", "close_range", "stat", "fstat",
	"lstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2", "fsync", "fdatasync", "ftruncate", "fallocate",
	"fadvise64", "flock", "fcntl", "getcwd", "readlink", "readlinkat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "chmod", "fchmod",
	"fchmodat", "fchown", "geteuid", "getuid", "getegid", "getgid", "umask", "getdents64", "utimensat", "dup", "dup2", "dup3", "pipe2", "ioctl",
	/* memory */
	"mmap", "munmap", "mremap", "mprotect", "madvise", "brk", "msync", "mincore",
	/* sockets */
	"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "getsockname", "getpeername", "getsockopt", "setsockopt", "recvfrom", "recvmsg", "recvmmsg",
	"sendto", "sendmsg", "sendmmsg", "sendfile", "shutdown",
	/* the loop, threads that there are, time */
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6", "eventfd2", "timerfd_create",
	"timerfd_settime", "futex", "futex_waitv", "sched_yield", "sched_getaffinity", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday",
	"time", "getrandom", "restart_syscall", "rseq", "set_robust_list", "membarrier",
	/* this process */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "getpid", "gettid", "getppid", "tgkill", "uname", "sysinfo", "getrlimit", "prlimit64", "getrusage",
	"prctl", "exit", "exit_group",
	NULL,
};

static const char *const agent_never[] = {
	/* other processes: plumb reads, and changes nothing */
	"ptrace", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp", "userfaultfd",
	/* programs: a private agent is started by plumb, an agent starts none */
	"execve", "execveat",
	/* the system */
	"mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "mount_setattr", "pivot_root", "chroot", "swapon", "swapoff", "reboot", "kexec_load", "kexec_file_load",
	"init_module", "finit_module", "delete_module", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "iopl",
	"ioperm", "acct", "quotactl", "add_key", "request_key", "keyctl", "personality", "setns", "unshare", "vhangup", "syslog", "mknod", "mknodat", "setuid", "setgid",
	"setreuid", "setregid", "setresuid", "setresgid", "setgroups", "io_uring_setup", "io_uring_enter", "io_uring_register",
	NULL,
};

static const struct {
	uint32_t otherwise, listed;
	const char *const *calls;
} profiles[] = {
	[SANDBOX_COLLECTOR] = { SCMP_ACT_ERRNO(EPERM), SCMP_ACT_ALLOW, collector_calls },
	[SANDBOX_AGENT] = { SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM), agent_never },
};

static int fill(scmp_filter_ctx filter, enum sandbox_profile profile)
{
	int rc = 0;

	for (size_t i = 0; !rc && profiles[profile].calls[i]; i++) {
		int number = seccomp_syscall_resolve_name(profiles[profile].calls[i]);

		if (number >= 0)
			rc = seccomp_rule_add(filter, profiles[profile].listed, number, 0);
	}
	return rc;
}

int sandbox_syscalls(enum sandbox_profile profile, struct error *err)
{
	scmp_filter_ctx filter = seccomp_init(profiles[profile].otherwise);
	int rc = filter ? fill(filter, profile) : -ENOMEM;

	/* Threads that run already get it too. */
	if (!rc)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!rc)
		rc = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	return rc ? error_set(err, rc < 0 ? -rc : rc, "cannot give up system calls: %s", strerror(rc < 0 ? -rc : rc)) : 0;
}
#else
int sandbox_syscalls(enum sandbox_profile profile, struct error *err)
{
	return 0;
}
#endif
