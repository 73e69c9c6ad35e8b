/* SPDX-License-Identifier: Apache-2.0 */
/* What the user may do, and how the host is set up for plumb. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "feature_internal.h"

#define SOCKET_DIR "/run/plumb"
#define GROUP_NAME "plumb"

static const struct {
	int bit;
	bool in_admin;   /* CAP_SYS_ADMIN covers it */
	const char *name;
} needed[] = {
	{ CAP_BPF, true, "CAP_BPF" },
	{ CAP_PERFMON, true, "CAP_PERFMON" },
	{ CAP_SYS_PTRACE, false, "CAP_SYS_PTRACE" },
	{ CAP_DAC_READ_SEARCH, false, "CAP_DAC_READ_SEARCH" },
};

/* First line of a small file. */
static int read_line(const char *path, char *out, size_t len)
{
	FILE *f = fopen(path, "re");
	int rc = 0;

	if (!f)
		return -errno;
	if (!fgets(out, (int)len, f))
		rc = -EIO;
	else
		out[strcspn(out, "\n")] = '\0';
	fclose(f);
	return rc;
}

static int effective_capabilities(uint64_t *out)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long caps;
	char line[256];
	int rc = -ENOENT;

	if (!f)
		return -errno;
	while (rc != 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "CapEff: %llx", &caps) == 1) {
			*out = caps;
			rc = 0;
		}
	}
	fclose(f);
	return rc;
}

static bool has(uint64_t caps, int bit)
{
	return caps >> bit & 1;
}

void look_at_privileges(struct finding *f)
{
	char lacking[128] = "", paranoid[16] = "?";
	uint64_t caps = 0;
	int rc = effective_capabilities(&caps);

	if (rc != 0) {
		finding_failed(f, rc, "the capabilities cannot be read");
		return;
	}
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		size_t used = strlen(lacking);

		if (!has(caps, needed[i].bit) && !(needed[i].in_admin && has(caps, CAP_SYS_ADMIN)))
			snprintf(lacking + used, sizeof(lacking) - used, "%s%s", used ? ", " : "", needed[i].name);
	}
	if (read_line("/proc/sys/kernel/perf_event_paranoid", paranoid, sizeof(paranoid)) != 0)
		strcpy(paranoid, "?");
	if (lacking[0] != '\0')
		finding_set(f, FEATURE_MISSING, "uid %u lacks %s", (unsigned)geteuid(), lacking);
	else
		finding_set(f, FEATURE_OK, "uid %u has all it needs (perf_event_paranoid, here %s, then does not matter)",
			    (unsigned)geteuid(), paranoid);
}

void look_at_lockdown(struct finding *f)
{
	char line[128];
	int rc = read_line("/sys/kernel/security/lockdown", line, sizeof(line));

	/* No securityfs, or not for this user: the other lines say what works. */
	if (rc == -ENOENT || rc == -EACCES || rc == -EPERM)
		finding_set(f, FEATURE_OK, "no lockdown to be seen");
	else if (rc != 0)
		finding_failed(f, rc, "the lockdown mode cannot be read");
	else if (strstr(line, "[confidentiality]"))
		finding_set(f, FEATURE_LIMITED, "confidentiality mode");
	else
		finding_set(f, FEATURE_OK, "%s", strstr(line, "[integrity]") ? "integrity mode, which does no harm" : "off");
}

void look_at_btf(struct finding *f)
{
	static const uint8_t magic[] = { 0x9f, 0xeb };
	uint8_t head[sizeof(magic)];
	int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		finding_failed(f, -errno, "/sys/kernel/btf/vmlinux");
		return;
	}
	n = read(fd, head, sizeof(head));
	close(fd);
	if (n == sizeof(head) && memcmp(head, magic, sizeof(magic)) == 0)
		finding_set(f, FEATURE_OK, "the kernel describes its types");
	else
		finding_set(f, FEATURE_MISSING, "/sys/kernel/btf/vmlinux is not BTF");
}

/* Reading such a link needs the capability, whosever process it is: the own one will do to try. */
void look_at_map_files(struct finding *f)
{
	DIR *dir = opendir("/proc/self/map_files");
	struct dirent *d;
	int fd = -1, rc = -ENOENT;

	if (!dir) {
		finding_failed(f, -errno, "/proc/self/map_files");
		return;
	}
	while (fd < 0 && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_CLOEXEC);
		rc = fd < 0 ? -errno : 0;
	}
	closedir(dir);
	if (fd >= 0)
		close(fd);
	if (rc == 0)
		finding_set(f, FEATURE_OK, "mapped files can be opened though their path is gone");
	else
		finding_set(f, FEATURE_LIMITED, "mapped files cannot be opened: %s", strerror(-rc));
}

void look_at_socket_dir(struct finding *f)
{
	struct stat st;

	if (stat(SOCKET_DIR, &st) != 0)
		finding_set(f, FEATURE_LIMITED, "it is not there");
	else if (!S_ISDIR(st.st_mode))
		finding_set(f, FEATURE_LIMITED, "it is not a directory");
	else if (st.st_uid != 0 || (st.st_mode & S_IWOTH))
		finding_set(f, FEATURE_LIMITED, "others than root could put a socket of their own there (uid %u, mode %04o)",
			    (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
	else
		finding_set(f, FEATURE_OK, "mode %04o, owned by root", (unsigned)(st.st_mode & 07777));
}

void look_at_group(struct finding *f)
{
	struct group group, *result = NULL;
	char buffer[16384];
	int rc = getgrnam_r(GROUP_NAME, &group, buffer, sizeof(buffer), &result);

	if (result)
		finding_set(f, FEATURE_OK, "gid %u", (unsigned)group.gr_gid);
	else
		finding_set(f, FEATURE_LIMITED, "%s", rc == 0 ? "there is no such group" : strerror(rc));
}
