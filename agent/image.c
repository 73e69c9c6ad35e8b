/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening an ELF file that nobody vouches for.
 *
 * The file belongs to the process that is looked at, and that process (or its owner) may change it at any moment.
 * libelf would map it (ELF_C_READ_MMAP), and then a truncation by the owner is a SIGBUS in an agent that serves
 * everybody.  So it is opened with ELF_C_READ: libelf then preads the headers here and, later, exactly the sections
 * that are asked for, each into memory of its own; a file that shrank gives a short read, which is an error and not
 * a signal.  Memory stays bounded because plumb asks only for symbol and string tables and a few small sections, each
 * checked against a cap first (image_internal.h); a 400 MB debug file costs its tables, not its size.  What was read
 * also stays what it was checked to be: a mapping could change between check and use.
 *
 * libelf checks most offsets against the file's length.  It trusts counts more than we do (it allocates an object for
 * every section that a header claims), so the header is read and judged here before libelf sees the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_internal.h"

static const char *const language_names[] = {
	[LANG_UNKNOWN] = "?", [LANG_C] = "C", [LANG_CXX] = "C++", [LANG_RUST] = "Rust", [LANG_GO] = "Go",
};

const char *language_name(enum language lang)
{
	if ((size_t)lang >= sizeof(language_names) / sizeof(language_names[0]))
		return "?";
	return language_names[lang];
}

static int refuse(const struct image *img, struct error *err, const char *why)
{
	return error_set(err, ENOEXEC, "%s %s", img->path, why);
}

static int read_at(int fd, void *out, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)out + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

static const char *wrong_kind(const Elf64_Ehdr *eh)
{
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0)
		return "is not an ELF file";
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh->e_machine != EM_X86_64)
		return "is not for x86-64";
	if (eh->e_ident[EI_VERSION] != EV_CURRENT || eh->e_version != EV_CURRENT)
		return "has an unknown ELF version";
	if (eh->e_type == ET_REL)
		return "is an object file, not a program or a library";
	if (eh->e_type == ET_CORE)
		return "is a core dump, not a program or a library";
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return "is neither a program nor a library";
	return NULL;
}

static bool fits(const struct image *img, uint64_t offset, uint64_t len)
{
	return offset <= img->file_len && len <= img->file_len - offset;
}

static const char *bad_header_tables(const struct image *img, const Elf64_Ehdr *eh)
{
	uint64_t sections = eh->e_shnum;
	Elf64_Shdr first;

	if (eh->e_phnum == 0 || eh->e_phentsize != sizeof(Elf64_Phdr))
		return "has no program headers";
	if (eh->e_phnum > IMAGE_SEGMENTS_MAX)
		return "has too many program headers";
	if (!fits(img, eh->e_phoff, (uint64_t)eh->e_phnum * sizeof(Elf64_Phdr)))
		return "is truncated: its program headers are outside the file";
	if (eh->e_shoff == 0)
		return NULL;
	if (eh->e_shentsize != sizeof(Elf64_Shdr) || !fits(img, eh->e_shoff, sizeof(Elf64_Shdr)))
		return "is truncated: its section headers are outside the file";
	if (sections == 0) {                  /* the count does not fit its field: section 0 has it */
		if (read_at(img->fd, &first, sizeof(first), eh->e_shoff) != 0)
			return "cannot be read";
		sections = first.sh_size;
	}
	if (sections > IMAGE_SECTIONS_MAX)
		return "has too many sections";
	if (!fits(img, eh->e_shoff, sections * sizeof(Elf64_Shdr)))
		return "is truncated: its section headers are outside the file";
	return NULL;
}

static int check_header(struct image *img, struct error *err)
{
	struct stat st;
	Elf64_Ehdr eh;
	const char *why;

	if (fstat(img->fd, &st) != 0)
		return error_set(err, errno, "cannot read %s: %s", img->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(img, err, "is not a regular file");
	img->file_len = (uint64_t)st.st_size;
	if (img->file_len < sizeof(eh))
		return refuse(img, err, "is too short for an ELF file");
	if (read_at(img->fd, &eh, sizeof(eh), 0) != 0)
		return refuse(img, err, "cannot be read");
	why = wrong_kind(&eh);
	if (!why)
		why = bad_header_tables(img, &eh);
	return why ? refuse(img, err, why) : 0;
}

/* Debug files keep the program headers without the bytes, so a segment outside the file is cut, not refused. */
static void add_segment(struct image *img, const GElf_Phdr *ph)
{
	struct segment *s = &img->segment[img->n_segments];
	uint64_t in_file;

	in_file = ph->p_offset < img->file_len ? img->file_len - ph->p_offset : 0;
	s->addr = ph->p_vaddr;
	s->mem_size = ph->p_memsz;
	s->offset = ph->p_offset;
	s->file_size = ph->p_filesz < ph->p_memsz ? ph->p_filesz : ph->p_memsz;
	if (s->file_size > in_file)
		s->file_size = in_file;
	img->n_segments++;
}

static bool is_code(const GElf_Phdr *ph)
{
	return ph->p_type == PT_LOAD && (ph->p_flags & PF_X) && ph->p_memsz > 0 &&
	       ph->p_vaddr + ph->p_memsz >= ph->p_vaddr;
}

static int read_segments(struct image *img, struct error *err)
{
	size_t n, i;
	GElf_Phdr ph;

	if (elf_getphdrnum(img->elf, &n) != 0 || n > IMAGE_SEGMENTS_MAX)
		return refuse(img, err, "has broken program headers");
	img->segment = calloc(IMAGE_CODE_SEGMENTS_MAX, sizeof(*img->segment));
	if (!img->segment)
		return error_set(err, ENOMEM, "out of memory");
	for (i = 0; i < n; i++) {
		if (!gelf_getphdr(img->elf, (int)i, &ph))
			return refuse(img, err, "has broken program headers");
		if (!is_code(&ph))
			continue;
		if (img->n_segments == IMAGE_CODE_SEGMENTS_MAX)
			return refuse(img, err, "has too many executable segments");
		add_segment(img, &ph);
	}
	return 0;
}

static int open_elf(struct image *img, struct error *err)
{
	elf_version(EV_CURRENT);
	img->elf = elf_begin(img->fd, ELF_C_READ, NULL);
	if (!img->elf)
		return refuse(img, err, elf_errmsg(-1));
	if (elf_kind(img->elf) != ELF_K_ELF || gelf_getclass(img->elf) != ELFCLASS64)
		return refuse(img, err, "is not an ELF file");
	return 0;
}

int image_open(int fd, const char *path, struct image **out, struct error *err)
{
	struct image *img = calloc(1, sizeof(*img));
	int rc;

	*out = NULL;
	if (!img)
		return error_set(err, ENOMEM, "out of memory");
	img->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	img->path = strdup(path ? path : "?");
	img->late = calloc(1, sizeof(*img->late));
	if (img->fd < 0)
		rc = error_set(err, errno, "cannot read %s: %s", path ? path : "?", strerror(errno));
	else if (!img->path || !img->late)
		rc = error_set(err, ENOMEM, "out of memory");
	else
		rc = check_header(img, err);
	if (rc == 0)
		rc = open_elf(img, err);
	if (rc == 0)
		rc = read_segments(img, err);
	if (rc == 0)
		rc = image_survey(img, err);
	if (rc != 0) {
		image_free(img);
		return rc;
	}
	*out = img;
	return 0;
}

void image_free(struct image *img)
{
	if (!img)
		return;
	if (img->late)
		free(img->late->index);
	free(img->late);
	free(img->segment);
	if (img->elf)
		elf_end(img->elf);
	if (img->fd >= 0)
		close(img->fd);
	free(img->path);
	free(img);
}

int image_fd(const struct image *img) { return img->fd; }
const char *image_path(const struct image *img) { return img->path; }
const char *image_build_id(const struct image *img) { return img->build_id; }
bool image_has_debug_info(const struct image *img) { return img->sec.debug_info; }

const struct segment *image_segment(const struct image *img, uint64_t addr)
{
	size_t i;

	for (i = 0; i < img->n_segments; i++) {
		const struct segment *s = &img->segment[i];

		if (addr >= s->addr && addr - s->addr < s->mem_size)
			return s;
	}
	return NULL;
}

int image_offset(const struct image *img, uint64_t addr, uint64_t *offset)
{
	const struct segment *s = image_segment(img, addr);

	if (!s || addr - s->addr >= s->file_size)
		return -ERANGE;
	*offset = s->offset + (addr - s->addr);
	return 0;
}

ssize_t image_code(const struct image *img, uint64_t addr, void *out, size_t len)
{
	const struct segment *s = image_segment(img, addr);
	uint64_t left;
	int rc;

	if (!s || addr - s->addr >= s->file_size)
		return -ERANGE;
	left = s->file_size - (addr - s->addr);
	if (len > left)
		len = (size_t)left;
	rc = read_at(img->fd, out, len, s->offset + (addr - s->addr));
	return rc ? rc : (ssize_t)len;
}
