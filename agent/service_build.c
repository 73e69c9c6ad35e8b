/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes of a target run one build of it.  A file's build-id is read here by the agent itself, again at each tick, so
 * it is read by hand: the program headers, and the notes that they name, with every number bounded.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "service.h"

enum { SEGMENTS_MAX = 128, NOTES_MAX = 8, NOTE_BYTES_MAX = 64 << 10, BUILDS_SHOWN = 4, FILES_SEEN = 64 };

/* ---- one file ---- */

static size_t align_up(size_t n, size_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static bool find_note(const unsigned char *notes, size_t len, size_t align, char *out)
{
	for (size_t at = 0; at <= len && len - at >= sizeof(Elf64_Nhdr);) {
		Elf64_Nhdr nh;
		size_t desc;

		memcpy(&nh, notes + at, sizeof(nh));
		desc = align_up(at + sizeof(nh) + nh.n_namesz, align);
		if (desc > len || nh.n_descsz > len - desc)
			return false;
		if (nh.n_type == NT_GNU_BUILD_ID && nh.n_namesz == 4 && !memcmp(notes + at + sizeof(nh), "GNU", 4) &&
		    nh.n_descsz > 0 && nh.n_descsz <= (BUILD_ID_HEX_MAX - 1) / 2) {
			for (size_t i = 0; i < nh.n_descsz; i++)
				snprintf(out + 2 * i, 3, "%02x", notes[desc + i]);
			return true;
		}
		at = align_up(desc + nh.n_descsz, align);
	}
	return false;
}

static bool read_notes(int fd, const Elf64_Phdr *ph, char *out)
{
	size_t len = ph->p_filesz < NOTE_BYTES_MAX ? ph->p_filesz : NOTE_BYTES_MAX;
	unsigned char *notes = malloc(len ? len : 1);
	ssize_t n = notes ? pread(fd, notes, len, (off_t)ph->p_offset) : -1;
	bool found = n > 0 && find_note(notes, (size_t)n, ph->p_align == 8 ? 8 : 4, out);

	free(notes);
	return found;
}

bool build_id_read(int fd, char out[BUILD_ID_HEX_MAX])
{
	Elf64_Ehdr eh;
	struct stat st;
	unsigned notes = 0;

	out[0] = '\0';
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || pread(fd, &eh, sizeof(eh), 0) != sizeof(eh) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_phentsize != sizeof(Elf64_Phdr))
		return false;
	for (unsigned i = 0; i < eh.e_phnum && i < SEGMENTS_MAX && notes < NOTES_MAX; i++) {
		Elf64_Phdr ph;

		if (pread(fd, &ph, sizeof(ph), (off_t)(eh.e_phoff + i * sizeof(ph))) != sizeof(ph))
			return false;
		if (ph.p_type != PT_NOTE)
			continue;
		notes++;
		if (read_notes(fd, &ph, out))
			return true;
	}
	return false;
}

/* ---- processes ---- */

static bool module_has(const struct target *t, const struct process *p, const char *name, char *id)
{
	struct module m;
	int fd = module_find(p->pid, name, &m, NULL) ? -1 : module_open(p->pid, &m, NULL);
	bool has = fd >= 0 && build_id_read(fd, id) && strncmp(id, t->build, strlen(t->build)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

/* own: the build of its executable. */
static bool process_has(const struct target *t, const struct process *p, char *const *modules, uint32_t n, char *own)
{
	char id[BUILD_ID_HEX_MAX];

	own[0] = '\0';
	if (module_has(t, p, NULL, own))
		return true;
	if (t->kind == TARGET_PATH && module_has(t, p, t->text, id))
		return true;
	for (uint32_t i = 0; i < n; i++)
		if (modules[i] && module_has(t, p, modules[i], id))
			return true;
	return false;
}

bool process_runs_build(const struct process *p, const struct target *t, char *const *modules, uint32_t n_modules)
{
	char own[BUILD_ID_HEX_MAX];

	return !t->build[0] || process_has(t, p, modules, n_modules, own);
}

/* What there is instead. */
struct others { char id[BUILDS_SHOWN][13]; unsigned n; };

static void note_other(struct others *o, const char *id)
{
	for (unsigned i = 0; i < o->n; i++)
		if (strncmp(o->id[i], id, sizeof(o->id[i]) - 1) == 0)
			return;
	if (id[0] && o->n < BUILDS_SHOWN)
		snprintf(o->id[o->n++], sizeof(o->id[0]), "%.12s", id);
}

static int no_such_build(const struct target *t, const struct others *o, size_t processes, struct error *err)
{
	char list[128] = "";

	for (unsigned i = 0; i < o->n; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "", o->id[i]);
	error_set(err, ESRCH, "none of %zu process%s of the target runs build %s", processes, processes == 1 ? "" : "es", t->build);
	return error_hint(err, o->n ? "running: %s; plumb ps shows the build-ids" : "they have no build-id; link with -Wl,--build-id%s",
			  o->n ? list : "");
}

int target_processes_built(const struct target *t, char *const *modules, uint32_t n_modules, struct process **out, size_t *count,
			   struct error *err)
{
	struct others others = { .n = 0 };
	char own[BUILD_ID_HEX_MAX];
	size_t kept = 0;
	int rc = target_processes(t, out, count, err);

	if (rc || !t->build[0] || !*count)
		return rc;
	for (size_t i = 0; i < *count; i++) {
		if (process_has(t, &(*out)[i], modules, n_modules, own))
			(*out)[kept++] = (*out)[i];
		else
			note_other(&others, own);
	}
	if (!kept) {
		no_such_build(t, &others, *count, err);
		free(*out);
		*out = NULL;
		rc = -ESRCH;
	}
	*count = kept;
	return rc;
}

/* ---- what runs beside it ---- */

struct seen_file { uint64_t dev, ino; char id[BUILD_ID_HEX_MAX]; };
struct seen { struct seen_file file[FILES_SEEN]; unsigned n; };

/* The build of a process's executable; NULL: too many files. */
static const char *build_of(struct seen *s, const struct process *p)
{
	static const struct target any;
	struct seen_file *f;

	for (unsigned i = 0; i < s->n; i++)
		if (s->file[i].dev == p->exe_dev && s->file[i].ino == p->exe_ino)
			return s->file[i].id;
	if (s->n == FILES_SEEN)
		return NULL;
	f = &s->file[s->n++];
	*f = (struct seen_file){ .dev = p->exe_dev, .ino = p->exe_ino };
	module_has(&any, p, NULL, f->id);
	return f->id;
}

void builds_besides(const struct process *p, size_t n, const char *id, char *out, size_t size)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	struct others others = { .n = 0 };
	unsigned count[BUILDS_SHOWN] = { 0 };
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; seen && i < n; i++) {
		const char *own = build_of(seen, &p[i]);

		if (!own || !own[0] || !strcmp(own, id))
			continue;
		note_other(&others, own);
		for (unsigned k = 0; k < others.n; k++)
			count[k] += strncmp(others.id[k], own, sizeof(others.id[k]) - 1) == 0;
	}
	for (unsigned k = 0; k < others.n && len < size; k++)
		len += (size_t)snprintf(out + len, size - len, "%s%s (%u process%s)", k ? ", " : "", others.id[k], count[k], count[k] == 1 ? "" : "es");
	free(seen);
}
