/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DWARF for plumb.
 *
 * What is asked is almost always "this one function": so nothing is read in advance.  A name becomes addresses through
 * the symbol table, an address becomes a unit through .debug_aranges (or the units' own ranges), and one walk over that
 * unit indexes its functions.  Only a name without a symbol (inlined everywhere, or wrong) costs a walk over all units.
 *
 * Places of parameters are wanted at the function's first instruction, before it runs.  That is not what most DWARF
 * consumers ask: at -O0 every parameter "is" in a stack slot that the prologue has yet to fill, and a frame base may be
 * a register that the prologue has yet to load.  debuginfo_location.c tells such homes from true places, and
 * debuginfo_abi.c knows where the caller has put what will get there.
 *
 * The file is hostile.  plumb's own loops are bounded by counts, depths and a budget of DIEs and time per call.  libdw
 * itself is robust, not proven: it maps the file (a truncation by its owner is then a SIGBUS), and its walks over a
 * crafted file can be slow.  Therefore the agent runs this module in a child process
 * with limits on memory and CPU time; what is here keeps ordinary damage an ordinary error.
 */
#include "debuginfo_internal.h"
#include "unchanged.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All debug sections together, inflated.  The largest packages have some 2 GB. */
static const uint64_t DEBUG_BYTES_MAX = (uint64_t)6 << 30;

static uint64_t section_bytes(Elf_Scn *scn, const GElf_Shdr *sh)
{
	GElf_Chdr ch;

	if (!(sh->sh_flags & SHF_COMPRESSED))
		return sh->sh_size;
	return gelf_getchdr(scn, &ch) ? ch.ch_size : UINT64_MAX;
}

static const char *elf_unfit(Elf *elf)
{
	uint64_t total = 0;
	GElf_Ehdr eh;
	Elf_Scn *scn = NULL;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh))
		return "is not an ELF file";
	if (eh.e_machine != EM_X86_64 || eh.e_ident[EI_CLASS] != ELFCLASS64)
		return "is not for x86-64";
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr sh;
		uint64_t bytes;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_PROGBITS || (sh.sh_flags & SHF_ALLOC))
			continue;
		bytes = section_bytes(scn, &sh);
		if (bytes > DEBUG_BYTES_MAX || (total += bytes) > DEBUG_BYTES_MAX)
			return "has more debug information than plumb reads";
	}
	return NULL;
}

/* Compressed sections are inflated when and as far as they are read. NULL: err is set, or libelf's error is. */
static Elf *elf_of(struct debuginfo *di, int fd, struct unpacked **packed, struct error *err)
{
	if (unpack_open(fd, &di->cache, packed, err) != 0)
		return NULL;
	return *packed ? unpack_elf(*packed) : elf_begin(fd, ELF_C_READ_MMAP, NULL);
}

/* ---- the alternate file (dwz): DIEs that several debug files share ---- */

static int open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

static bool has_build_id(Elf *elf, const void *id, size_t len)
{
	const void *own;

	return dwelf_elf_gnu_build_id(elf, &own) == (ssize_t)len && memcmp(own, id, len) == 0;
}

static void alt_close(struct debuginfo *di)
{
	if (di->alt)
		dwarf_end(di->alt);
	if (di->alt_packed)
		unpack_free(di->alt_packed);
	else if (di->alt_elf)
		elf_end(di->alt_elf);
	if (di->alt_fd >= 0)
		close(di->alt_fd);
	di->alt = NULL;
	di->alt_packed = NULL;
	di->alt_elf = NULL;
	di->alt_fd = -1;
}

static bool alt_try(struct debuginfo *di, const char *path, const void *id, size_t len)
{
	di->alt_fd = open_regular(path);
	if (di->alt_fd < 0)
		return false;
	if (fstat(di->alt_fd, &di->alt_st) == 0)
		di->alt_elf = elf_of(di, di->alt_fd, &di->alt_packed, NULL);
	if (di->alt_elf && !elf_unfit(di->alt_elf) && has_build_id(di->alt_elf, id, len))
		di->alt = dwarf_begin_elf(di->alt_elf, DWARF_C_READ, NULL);
	if (!di->alt)
		alt_close(di);
	return di->alt != NULL;
}

static void build_id_path(char *out, size_t size, const char *root, const uint8_t *id, size_t len)
{
	int n = snprintf(out, size, "%s/usr/lib/debug/.build-id/%02x/", root, id[0]);

	for (size_t i = 1; i < len && n > 0 && (size_t)n < size; i++)
		n += snprintf(out + n, size - n, "%02x", id[i]);
	if (n > 0 && (size_t)n < size)
		snprintf(out + n, size - n, ".debug");
}

static bool alt_search(struct debuginfo *di, const char *root, const char *name, const uint8_t *id, size_t len)
{
	const char *slash = strrchr(di->path, '/');
	char path[PATH_MAX];

	if (name[0] != '/' && slash) {
		snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - di->path), di->path, name);
		if (alt_try(di, path, id, len))
			return true;
	}
	if (name[0] == '/') {
		snprintf(path, sizeof(path), "%s%s", root, name);
		if (alt_try(di, path, id, len) || alt_try(di, name, id, len))
			return true;
	}
	build_id_path(path, sizeof(path), root, id, len);
	if (alt_try(di, path, id, len))
		return true;
	build_id_path(path, sizeof(path), "", id, len);
	return alt_try(di, path, id, len);
}

/* What `dwarf` names as its alternate file, into di. False: it is not there. */
static bool alt_find(struct debuginfo *di, Dwarf *dwarf, const char *root)
{
	const char *name = NULL;
	const void *id = NULL;
	ssize_t len = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &id);

	return len < 2 || len > 64 || !name || strlen(name) >= PATH_MAX / 2 || alt_search(di, root, name, id, (size_t)len);
}

static void alt_open(struct debuginfo *di, const char *root)
{
	di->alt_missing = !alt_find(di, di->dwarf, root);
	if (di->alt)
		dwarf_setalt(di->dwarf, di->alt);
}

/* ---- open, close ---- */

static int open_file(struct debuginfo *di, const char *root, struct error *err)
{
	if (!image_has_debug_info(di->img)) {
		di->separate = true;
		return image_open_debug(di->img, root, di->path, sizeof(di->path), err);
	}
	snprintf(di->path, sizeof(di->path), "%s", image_path(di->img));
	/* A duplicate would share the file position; libelf uses pread and mmap only. */
	di->fd = fcntl(image_fd(di->img), F_DUPFD_CLOEXEC, 3);
	return di->fd < 0 ? error_set(err, errno, "cannot read %s: %s", di->path, strerror(errno)) : di->fd;
}

static int open_dwarf(struct debuginfo *di, struct error *err)
{
	struct error why = { 0 };
	const char *unfit;

	elf_version(EV_CURRENT);
	di->elf = elf_of(di, di->fd, &di->packed, &why);
	if (!di->elf)
		return error_set(err, ENOEXEC, "cannot read %s: %s", di->path, why.code ? why.text : elf_errmsg(-1));
	unfit = elf_unfit(di->elf);
	if (unfit)
		return error_set(err, ENOEXEC, "%s %s", di->path, unfit);
	di->dwarf = dwarf_begin_elf(di->elf, DWARF_C_READ, NULL);
	if (!di->dwarf)
		return error_set(err, ENOEXEC, "the debug information in %s is damaged: %s", di->path,
				 dwarf_errmsg(-1));
	return 0;
}

static struct debuginfo *debuginfo_new(struct image *img)
{
	struct debuginfo *di = calloc(1, sizeof(*di));

	if (!di)
		return NULL;
	di->img = img;
	di->fd = di->alt_fd = -1;
	di->ranges.item_size = sizeof(struct unit_range);
	di->symbols.item_size = sizeof(struct symbol);
	return di;
}

int debuginfo_open(struct image *img, const char *root, const struct cache_place *cache, struct debuginfo **out,
		   struct error *err)
{
	struct debuginfo *di = debuginfo_new(img);
	int rc;

	*out = NULL;
	if (!di)
		return error_set(err, ENOMEM, "out of memory");
	if (cache)
		di->cache = *cache;
	rc = open_file(di, root, err);
	if (rc >= 0) {
		di->fd = rc;
		rc = fstat(di->fd, &di->st) != 0 ? error_set(err, errno, "cannot read %s: %s", di->path, strerror(errno)) :
						   open_dwarf(di, err);
	}
	if (rc < 0) {
		debuginfo_close(di);
		return rc;
	}
	alt_open(di, root);
	di->cache = (struct cache_place){ 0 };        /* its text is borrowed; all that is inflated is open now */
	*out = di;
	return 0;
}

static void unit_free(void *item)
{
	struct unit *u = item;

	list_free(&u->scopes);
	list_free(&u->codes);
	list_free(&u->inlined);
	list_free(&u->spans);
	line_files_free(u->files);
}

void debuginfo_close(struct debuginfo *di)
{
	if (!di)
		return;
	keyed_free(&di->units, unit_free);
	keyed_free(&di->types, NULL);
	keyed_free(&di->functions, NULL);
	definitions_free(di);
	list_free(&di->ranges);
	list_free(&di->symbols);
	free(di->by_address);
	pool_free(&di->pool);
	if (di->cfi)
		dwarf_cfi_end(di->cfi);
	if (di->dwarf)
		dwarf_end(di->dwarf);
	alt_close(di);
	if (di->packed)
		unpack_free(di->packed);
	else if (di->elf)
		elf_end(di->elf);
	if (di->fd >= 0)
		close(di->fd);
	free(di);
}

const char *debuginfo_path(const struct debuginfo *di)
{
	return di->path;
}

/* The one that would be opened now is the one that was. */
static bool alt_is_current(const struct debuginfo *di, const char *root)
{
	struct debuginfo *now = debuginfo_new(di->img);
	bool same = false;

	if (now) {
		snprintf(now->path, sizeof(now->path), "%s", di->path);
		same = alt_find(now, di->dwarf, root) && now->alt && file_unchanged(&now->alt_st, &di->alt_st);
	}
	debuginfo_close(now);
	return same;
}

bool debuginfo_is_current(const struct debuginfo *di, const struct image *img, const char *root)
{
	struct stat st;
	bool same;
	int fd;

	if (di->budget.was_spent || di->alt_missing || debuginfo_failure(di))
		return false;
	if (di->alt && !alt_is_current(di, root))
		return false;
	fd = di->separate ? image_open_debug(img, root, NULL, 0, NULL) : fcntl(image_fd(img), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return false;
	same = fstat(fd, &st) == 0 && file_unchanged(&st, &di->st);
	close(fd);
	return same;
}

const char *debuginfo_failure(const struct debuginfo *di)
{
	const char *why = di->packed ? unpack_failure(di->packed) : NULL;

	return why || !di->alt_packed ? why : unpack_failure(di->alt_packed);
}
