/* SPDX-License-Identifier: Apache-2.0 */
#include "service_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONTAINER_PREFIX_MIN = 8 };

/* ---- scanning bounded text ---- */

struct scan {
	const char *pos, *end;
};

static bool scan_char(struct scan *s, char c)
{
	if (s->pos == s->end || *s->pos != c)
		return false;
	s->pos++;
	return true;
}

static void scan_blanks(struct scan *s)
{
	while (s->pos < s->end && (*s->pos == ' ' || *s->pos == '\t'))
		s->pos++;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 99;
}

/* At least one digit, no overflow. */
static bool scan_number(struct scan *s, unsigned base, uint64_t *out)
{
	const char *first = s->pos;
	uint64_t value = 0;

	for (; s->pos < s->end; s->pos++) {
		unsigned digit = digit_value(*s->pos);

		if (digit >= base)
			break;
		if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value))
			return false;
	}
	*out = value;
	return s->pos > first;
}

static bool scan_u32(struct scan *s, unsigned base, uint32_t *out)
{
	uint64_t value;

	if (!scan_number(s, base, &value) || value > UINT32_MAX)
		return false;
	*out = value;
	return true;
}

static bool skip_fields(struct scan *s, unsigned n)
{
	while (n--) {
		while (s->pos < s->end && *s->pos != ' ')
			s->pos++;
		if (!scan_char(s, ' '))
			return false;
	}
	return true;
}

/* Cuts one line off the text; false at its end. */
static bool next_line(const char **pos, const char *end, struct scan *line)
{
	const char *newline;

	if (*pos >= end)
		return false;
	newline = memchr(*pos, '\n', end - *pos);
	line->pos = *pos;
	line->end = newline ? newline : end;
	*pos = newline ? newline + 1 : end;
	return true;
}

static void copy_text(char *out, size_t size, const char *text, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(out, text, len);
	out[len] = '\0';
}

static bool ends_with(const char *text, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len >= n && memcmp(text + len - n, suffix, n) == 0;
}

/* ---- stat, status ---- */

/* "pid (comm) state ppid ...": the comm may hold anything, also ") R 1"; nothing after it holds a ')'. */
int parse_stat(const char *text, size_t len, struct proc_stat *out)
{
	const char *open = memchr(text, '(', len), *close = memrchr(text, ')', len);
	struct scan s;

	memset(out, 0, sizeof(*out));
	if (!open || !close || close < open)
		return -EINVAL;
	copy_text(out->comm, sizeof(out->comm), open + 1, close - open - 1);
	s = (struct scan){ close + 1, text + len };
	if (!scan_char(&s, ' ') || s.pos == s.end)
		return -EINVAL;
	out->state = *s.pos;                           /* field 3 */
	if (!skip_fields(&s, 6) || !scan_u32(&s, 10, &out->flags))
		return -EINVAL;                        /* field 9 */
	if (!skip_fields(&s, 11) || !scan_u32(&s, 10, &out->threads))
		return -EINVAL;                        /* field 20 */
	if (!skip_fields(&s, 2) || !scan_number(&s, 10, &out->start_ticks))
		return -EINVAL;                        /* field 22 */
	return 0;
}

static bool after_key(struct scan *line, const char *key)
{
	size_t n = strlen(key);

	if ((size_t)(line->end - line->pos) < n || memcmp(line->pos, key, n))
		return false;
	line->pos += n;
	scan_blanks(line);
	return true;
}

/* "real effective saved filesystem" */
static bool scan_uids(struct scan *line, struct proc_status *out)
{
	uint32_t uid[4];

	for (int i = 0; i < 4; i++) {
		if (!scan_u32(line, 10, &uid[i]))
			return false;
		scan_blanks(line);
	}
	out->euid = uid[1];
	out->one_uid = uid[0] == uid[1] && uid[2] == uid[1] && uid[3] == uid[1];
	return true;
}

/* The kernel escapes newlines in "Name:", so the process cannot forge a line. */
int parse_status(const char *text, size_t len, struct proc_status *out)
{
	const char *pos = text, *end = text + len;
	bool have_tgid = false, have_uid = false;
	struct scan line;

	memset(out, 0, sizeof(*out));
	while (next_line(&pos, end, &line)) {
		uint32_t id;

		if (after_key(&line, "Tgid:")) {
			if (!scan_u32(&line, 10, &id) || id > INT32_MAX)
				return -EINVAL;
			out->tgid = id;
			have_tgid = true;
		} else if (after_key(&line, "Uid:")) {
			if (!scan_uids(&line, out))
				return -EINVAL;
			have_uid = true;
		}
	}
	return have_tgid && have_uid ? 0 : -EINVAL;
}

/* ---- cgroup ---- */

bool is_container_id(const char *text, size_t len, bool full)
{
	size_t i;

	if (len > CONTAINER_DIGITS || len < (size_t)(full ? CONTAINER_DIGITS : CONTAINER_PREFIX_MIN))
		return false;
	for (i = 0; i < len; i++)
		if (digit_value(text[i]) > 15)
			return false;
	return true;
}

static bool contains(const char *text, size_t len, const char *needle)
{
	return memmem(text, len, needle, strlen(needle)) != NULL;
}

/*
 * One path component that names a container:
 *   <id>                                   docker and kubepods with the cgroupfs driver, ECS
 *   docker-<id>.scope, cri-containerd-<id>.scope, libpod-<id>.scope, crio-<id>.scope
 *   ...slice:cri-containerd:<id>           containerd told to use systemd's names with the cgroupfs driver
 * A conmon scope has the id of the container it serves but is the monitor on the host, and a .slice is a pod.
 */
static bool component_container(const char *name, size_t len, char out[CONTAINER_DIGITS + 1])
{
	const char *id;

	if (ends_with(name, len, ".scope"))
		len -= strlen(".scope");
	if (len < CONTAINER_DIGITS || contains(name, len, "conmon"))
		return false;
	id = name + len - CONTAINER_DIGITS;
	if (id > name && id[-1] != '-' && id[-1] != ':')
		return false;
	if (!is_container_id(id, CONTAINER_DIGITS, true))
		return false;
	copy_text(out, CONTAINER_DIGITS + 1, id, CONTAINER_DIGITS);
	return true;
}

static bool component_unit(const char *name, size_t len, char *out, size_t size)
{
	if (len >= size || (!ends_with(name, len, ".service") && !ends_with(name, len, ".scope")))
		return false;
	copy_text(out, size, name, len);
	return true;
}

/* Innermost first; what an earlier line found is kept. */
static void walk_path(const char *path, const char *end, char *unit, size_t unit_size, char *container)
{
	if (ends_with(path, end - path, " (deleted)"))
		end -= strlen(" (deleted)");
	while (end > path) {
		const char *slash = memrchr(path, '/', end - path);
		const char *name = slash ? slash + 1 : path;

		if (!*unit)
			component_unit(name, end - name, unit, unit_size);
		if (!*container)
			component_container(name, end - name, container);
		end = slash ? slash : path;
	}
}

/* "id:controllers:path"; 0:: is v2, name=systemd is where v1 keeps the units; other v1 hierarchies may be coarser. */
static int line_rank(struct scan *line)
{
	uint64_t id;
	const char *controllers, *colon;

	if (!scan_number(line, 10, &id) || !scan_char(line, ':'))
		return -1;
	controllers = line->pos;
	/* A v1 hierarchy's name cannot hold a ':'. */
	colon = memchr(line->pos, ':', line->end - line->pos);
	if (!colon)
		return -1;
	line->pos = colon + 1;
	if (id == 0 && colon == controllers)
		return 0;
	return ends_with(controllers, colon - controllers, "name=systemd") ? 1 : 2;
}

void parse_cgroup(const char *text, size_t len, char *unit, size_t unit_size, char container[CONTAINER_DIGITS + 1])
{
	int rank;

	unit[0] = container[0] = '\0';
	for (rank = 0; rank <= 2; rank++) {
		const char *pos = text;
		struct scan line;

		while (next_line(&pos, text + len, &line))
			if (line_rank(&line) == rank)
				walk_path(line.pos, line.end, unit, unit_size, container);
	}
}

/* ---- maps ---- */

static bool scan_perms(struct scan *s, bool *exec)
{
	if (s->end - s->pos < 4)
		return false;
	*exec = s->pos[2] == 'x';
	s->pos += 4;
	return true;
}

/* "start-end perms offset major:minor inode      path" */
static bool parse_maps_line(struct scan s, struct maps_line *out)
{
	if (!scan_number(&s, 16, &out->start) || !scan_char(&s, '-') || !scan_number(&s, 16, &out->end) ||
	    !scan_char(&s, ' ') || !scan_perms(&s, &out->exec) || !scan_char(&s, ' ') ||
	    !scan_number(&s, 16, &out->offset) || !scan_char(&s, ' ') ||
	    !scan_u32(&s, 16, &out->dev_major) || !scan_char(&s, ':') || !scan_u32(&s, 16, &out->dev_minor) ||
	    !scan_char(&s, ' ') || !scan_number(&s, 10, &out->ino))
		return false;
	if (out->end <= out->start || out->offset > UINT64_MAX - (out->end - out->start))
		return false;
	scan_blanks(&s);
	out->path = s.pos;
	out->path_len = s.end - s.pos;
	return true;
}

bool maps_next(const char **pos, const char *end, struct maps_line *out)
{
	struct scan line;

	while (next_line(pos, end, &line))
		if (parse_maps_line(line, out))
			return true;
	return false;
}

/* The kernel escapes only the newline, not the backslash: a file name that holds the four characters "\012" cannot be
 * told from one that holds a newline.  Nobody relies on the path alone, files are compared by dev and inode. */
void maps_path(const struct maps_line *line, char *out, size_t size)
{
	size_t i = 0, n = 0;

	while (i < line->path_len && n + 1 < size) {
		if (line->path_len - i >= 4 && memcmp(line->path + i, "\\012", 4) == 0) {
			out[n++] = '\n';
			i += 4;
		} else {
			out[n++] = line->path[i++];
		}
	}
	out[n] = '\0';
}

bool cut_deleted(char *path)
{
	size_t len = strlen(path);

	if (!ends_with(path, len, " (deleted)"))
		return false;
	path[len - strlen(" (deleted)")] = '\0';
	return true;
}
