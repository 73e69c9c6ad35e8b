/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed debug sections, inflated as far as they are read, and the cache of what was inflated. */
#include "debuginfo_files.h"

#include <dirent.h>
#include <gelf.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <zlib.h>

#include "plan.h"
#include "resolve.h"
#include "unpack.h"
#include "unpack_internal.h"

enum { CACHE_BYTES = 64 << 20, FUNCTIONS = 700, MEMBERS = 64 };

/* ---- files ---- */

/* Some megabytes of debug information: more than is inflated at a time. */
static void write_source(void)
{
	FILE *f = fopen(at("many.c"), "w");

	assert_non_null(f);
	fputs("#define MEMBERS int m0", f);
	for (int i = 1; i < MEMBERS; i++)
		fprintf(f, ", m%d", i);
	fputs(";\n", f);
	for (int i = 0; i < FUNCTIONS; i++)
		fprintf(f, "struct s%d { int a%d; const char *text%d; struct s%d *next; MEMBERS };\n"
			"int function_%d(struct s%d *p, long n%d) { return p ? p->a%d + (int)n%d : -%d; }\n", i, i, i, i, i, i, i, i, i, i);
	fputs("int main(void) { return 0; }\n", f);
	fclose(f);
}

static int build_files(void **state)
{
	make_dir();
	write_source();
	sh("gcc -g -O1 -c many.c && gcc -gz=none -o plain many.o");
	sh("objcopy --compress-debug-sections=zlib plain packed");
	sh("gcc -gz=zlib -o linked many.o");
	return 0;
}

static struct cache_place cache_at(const char *name)
{
	static char path[64][256];
	static unsigned next;
	char *p = path[next++ % 64];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return (struct cache_place){ .dir = p, .max_bytes = CACHE_BYTES };
}

/* The name of the only entry, in the cache's directory. */
static char *entry_of(const char *cache)
{
	static char path[600];
	DIR *d = opendir(at(cache));
	struct dirent *e;

	assert_non_null(d);
	path[0] = '\0';
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		assert_int_equal(path[0], 0);
		snprintf(path, sizeof(path), "%s/%s", at(cache), e->d_name);
	}
	closedir(d);
	assert_int_not_equal(path[0], 0);
	return path;
}

static int count_entries(const char *cache)
{
	DIR *d = opendir(at(cache));
	struct dirent *e;
	int n = 0;

	if (!d)
		return -1;
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* ---- reading ---- */

struct reading { int fd; struct unpacked *u; Elf *elf; };

static struct reading begin(const char *name, const struct cache_place *cache)
{
	struct reading r = { .fd = open(at(name), O_RDONLY | O_CLOEXEC) };
	struct error err = { 0 };

	elf_version(EV_CURRENT);
	assert_true(r.fd >= 0);
	if (unpack_open(r.fd, cache, &r.u, &err) != 0)
		fail_msg("%s: %s", name, err.text);
	assert_non_null(r.u);
	r.elf = unpack_elf(r.u);
	assert_non_null(r.elf);
	return r;
}

/* -> what it inflated */
static uint64_t end(struct reading *r)
{
	uint64_t n = unpack_inflated(r->u);

	unpack_free(r->u);
	close(r->fd);
	return n;
}

static Elf_Data *section(Elf *elf, const char *name)
{
	Elf_Scn *scn = NULL;
	size_t names;

	assert_int_equal(elf_getshdrstrndx(elf, &names), 0);
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr sh;

		assert_non_null(gelf_getshdr(scn, &sh));
		if (strcmp(elf_strptr(elf, names, sh.sh_name), name) == 0)
			return elf_rawdata(scn, NULL);
	}
	return NULL;
}

/* Every byte of the debug sections is that of the file that was never compressed. */
static bool is_same(Elf *elf)
{
	static const char *const names[] = { ".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_aranges", ".symtab" };
	int fd = open(at("plain"), O_RDONLY | O_CLOEXEC);
	Elf *plain = elf_begin(fd, ELF_C_READ, NULL);
	bool same = plain != NULL;

	for (size_t i = 0; same && i < sizeof(names) / sizeof(names[0]); i++) {
		Elf_Data *a = section(plain, names[i]), *b = section(elf, names[i]);

		same = a && b && a->d_size == b->d_size && memcmp(a->d_buf, b->d_buf, a->d_size) == 0;
	}
	elf_end(plain);
	close(fd);
	return same;
}

static uint64_t read_all(const char *name, const struct cache_place *cache)
{
	struct reading r = begin(name, cache);

	assert_true(is_same(r.elf));
	assert_null(unpack_failure(r.u));
	return end(&r);
}

/* ---- tests ---- */

static void an_uncompressed_file_is_left_alone(void **state)
{
	int fd = open(at("plain"), O_RDONLY | O_CLOEXEC);
	struct unpacked *u;
	struct error err = { 0 };

	assert_int_equal(unpack_open(fd, NULL, &u, &err), 0);
	assert_null(u);
	close(fd);
}

static void sections_read_as_if_not_compressed(void **state)
{
	assert_true(read_all("packed", NULL) > 2 * UNPACK_STEP);
}

static void only_what_is_read_is_inflated(void **state)
{
	struct reading r = begin("packed", NULL);
	Elf_Data *info = section(r.elf, ".debug_info");

	assert_true(info->d_size > 2 * UNPACK_STEP);
	assert_int_equal(unpack_inflated(r.u), 0);
	assert_int_equal(((volatile unsigned char *)info->d_buf)[0] == 0xff, 0);
	assert_int_equal(end(&r), UNPACK_STEP);
}

static int print_function(const struct function *fn, void *arg)
{
	function_signature(fn, arg);
	buf_printf(arg, " %s:%u 0x%llx", fn->file, fn->line, (unsigned long long)fn->addr);
	for (uint32_t i = 0; i < fn->n_params; i++) {
		buf_char(arg, ' ');
		print_location(&fn->params[i].where, arg);
	}
	buf_char(arg, '\n');
	return 0;
}

static void print_all(const char *name, const struct cache_place *cache, struct buf *out)
{
	struct image *img = must_open(name);
	struct debuginfo *di;
	struct error err = { 0 };

	assert_int_equal(debuginfo_open(img, dir, cache, &di, &err), 0);
	assert_int_equal(debuginfo_each(di, NULL, print_function, out), 0);
	assert_null(debuginfo_failure(di));
	debuginfo_close(di);
	image_free(img);
}

static void answers_are_those_of_the_uncompressed_file(void **state)
{
	struct cache_place cache = cache_at("answers.cache");
	struct buf plain = { 0 }, packed = { 0 }, again = { 0 }, linked = { 0 };

	print_all("plain", NULL, &plain);
	print_all("packed", &cache, &packed);
	print_all("packed", &cache, &again);
	print_all("linked", NULL, &linked);
	assert_non_null(strstr(buf_text(&plain), "int function_77(struct s77 *p, long int n77)"));
	assert_string_equal(buf_text(&plain), buf_text(&packed));
	assert_string_equal(buf_text(&plain), buf_text(&again));
	assert_string_equal(buf_text(&plain), buf_text(&linked));
	buf_free(&plain);
	buf_free(&packed);
	buf_free(&again);
	buf_free(&linked);
}

static void what_was_inflated_is_kept(void **state)
{
	struct cache_place cache = cache_at("kept.cache");
	struct stat st;

	assert_true(read_all("packed", &cache) > 2 * UNPACK_STEP);
	assert_int_equal(read_all("packed", &cache), 0);
	assert_int_equal(stat(cache.dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(entry_of("kept.cache"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_later_reader_goes_on_where_the_first_one_stopped(void **state)
{
	struct cache_place cache = cache_at("goon.cache");
	uint64_t all = read_all("packed", NULL), part;
	struct reading r = begin("packed", &cache);
	Elf_Data *info = section(r.elf, ".debug_info");

	(void)*((volatile unsigned char *)info->d_buf + info->d_size / 2);
	part = end(&r);
	assert_true(part > 0 && part < all);
	assert_int_equal(read_all("packed", &cache), all - part);
}

static void another_file_has_another_entry(void **state)
{
	struct cache_place cache = cache_at("other.cache");

	sh("cp packed changing");
	read_all("changing", &cache);
	assert_int_equal(read_all("changing", &cache), 0);
	sh("cat packed >changing");                       /* the same inode, written again */
	assert_true(read_all("changing", &cache) > 0);
	assert_int_equal(count_entries("other.cache"), 1);
	sh("cp packed another");
	assert_true(read_all("another", &cache) > 0);
	assert_int_equal(count_entries("other.cache"), 2);
}

/* ---- damage in the cache ---- */

static void spoil(const char *path, uint64_t from, uint64_t to, unsigned step)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (uint64_t at = from; at < to; at += step)
		assert_int_equal(pwrite(fd, "\xa5\x5a\xa5", 3, (off_t)at), 3);
	close(fd);
}

static void a_damaged_entry_is_found_out(void **state)
{
	static const struct { uint64_t from, to; unsigned step; } damage[] = {
		{ 0, 64, 8 },                                     /* the head: another version */
		{ UNPACK_HEAD_BYTES / 2, UNPACK_HEAD_BYTES, 16 }, /* how far it came */
		{ UNPACK_HEAD_BYTES, UNPACK_HEAD_BYTES + 512, 4 },/* sums */
		{ 64 << 10, 2 << 20, 5000 },                      /* bytes of every chunk */
		{ 256 << 10, (256 << 10) + 3, 8 },                /* one of them */
	};
	struct cache_place cache = cache_at("damaged.cache");

	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		read_all("packed", &cache);
		spoil(entry_of("damaged.cache"), damage[i].from, damage[i].to, damage[i].step);
		assert_true(read_all("packed", &cache) > 0);
		assert_int_equal(read_all("packed", &cache), 0);
	}
}

static void a_hole_left_by_a_crash_is_found_out(void **state)
{
	struct cache_place cache = cache_at("hole.cache");
	int fd;

	read_all("packed", &cache);
	fd = open(entry_of("hole.cache"), O_RDWR | O_CLOEXEC);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 128 << 10, 512 << 10), 0);
	close(fd);
	assert_true(read_all("packed", &cache) > 0);
}

static void a_cache_that_others_may_write_is_not_used(void **state)
{
	struct cache_place cache = cache_at("open.cache");

	assert_int_equal(mkdir(cache.dir, 0777), 0);
	assert_int_equal(chmod(cache.dir, 0777), 0);
	assert_true(read_all("packed", &cache) > 0);
	assert_int_equal(count_entries("open.cache"), 0);
	sh("mkdir -m 700 true.cache; ln -s true.cache link.cache");
	cache = cache_at("link.cache");
	assert_true(read_all("packed", &cache) > 0);
	assert_int_equal(count_entries("true.cache"), 0);
}

static void an_entry_that_is_not_this_users_is_not_used(void **state)
{
	struct cache_place cache = cache_at("mode.cache");
	char *entry;

	read_all("packed", &cache);
	entry = entry_of("mode.cache");
	assert_int_equal(chmod(entry, 0644), 0);
	assert_true(read_all("packed", &cache) > 0);
	assert_true(read_all("packed", &cache) > 0);
	assert_int_equal(chmod(entry, 0600), 0);
	assert_int_equal(read_all("packed", &cache), 0);
	assert_int_equal(link(entry, at("second-name")), 0);
	assert_true(read_all("packed", &cache) > 0);
	assert_int_equal(unlink(at("second-name")), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(entry, 1, 1), 0);
		assert_true(read_all("packed", &cache) > 0);
		assert_int_equal(chown(cache.dir, 1, 1), 0);
		assert_true(read_all("packed", &cache) > 0);
	}
}

static void an_entry_that_is_a_link_is_not_followed(void **state)
{
	struct cache_place cache = cache_at("symlink.cache");
	char *entry;

	read_all("packed", &cache);
	entry = entry_of("symlink.cache");
	assert_int_equal(rename(entry, at("moved")), 0);
	assert_int_equal(symlink(at("moved"), entry), 0);
	assert_true(read_all("packed", &cache) > 0);
}

static void the_cache_stays_below_its_bound(void **state)
{
	struct cache_place cache = cache_at("bound.cache");
	struct stat st;
	char first[600];

	read_all("packed", &cache);
	snprintf(first, sizeof(first), "%s", entry_of("bound.cache"));
	assert_int_equal(stat(first, &st), 0);
	cache.max_bytes = (uint64_t)st.st_size * 2 - 1;
	sh("cp packed second");
	read_all("second", &cache);
	assert_int_equal(count_entries("bound.cache"), 1);
	assert_int_not_equal(access(first, F_OK), 0);
	cache.max_bytes = (uint64_t)st.st_size - 1;       /* no room for even one */
	sh("cp packed third");
	assert_true(read_all("third", &cache) > 0);
	assert_int_equal(count_entries("bound.cache"), 1);
}

/* ---- a disk that is full: in a child, with a file system of its own ---- */

static void fill(const char *path)
{
	static char zeros[65536];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	close(fd);
}

static int full_disk(void)
{
	struct cache_place cache = cache_at("small");
	struct reading r;
	bool same;

	if (mkdir(cache.dir, 0700) || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", cache.dir, "tmpfs", 0, "size=32m,mode=0700"))
		return 77;
	r = begin("packed", &cache);
	(void)*(volatile unsigned char *)section(r.elf, ".debug_info")->d_buf;
	fill(at("small/filler"));
	same = is_same(r.elf) && !unpack_failure(r.u);
	end(&r);
	if (!same)
		return 1;
	r = begin("packed", &cache);                      /* what there is of it serves, the rest is inflated again */
	same = is_same(r.elf) && !unpack_failure(r.u);
	end(&r);
	unlink(at("small/filler"));
	return !same || read_all("packed", &cache) == 0 || read_all("packed", &cache) != 0;
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_full_disk_costs_memory_not_the_answer(void **state)
{
	pid_t pid = fork();
	int rc;

	if (pid == 0)
		_exit(full_disk());
	rc = status_of(pid);
	if (rc == 77) {
		print_message("left out: this user cannot mount\n");
		skip();
	}
	assert_int_equal(rc, 0);
}

/* ---- several at a time ---- */

static void readers_at_the_same_time_agree(void **state)
{
	struct cache_place cache = cache_at("shared.cache");
	pid_t pid[4];

	for (int i = 0; i < 4; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			struct reading r = begin("packed", &cache);
			bool same = is_same(r.elf) && !unpack_failure(r.u);

			end(&r);
			_exit(!same);
		}
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(status_of(pid[i]), 0);
	assert_int_equal(read_all("packed", &cache), 0);
	assert_int_equal(count_entries("shared.cache"), 1);
}

static void a_killed_reader_leaves_a_good_entry(void **state)
{
	struct cache_place cache = cache_at("killed.cache");

	for (long us = 500; us < 30000; us += 2500) {
		struct timespec pause = { 0, us * 1000 };
		pid_t pid = fork();

		if (pid == 0) {
			read_all("packed", &cache);
			_exit(0);
		}
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		status_of(pid);
		read_all("packed", &cache);
		sh("rm -rf killed.cache");
	}
}

/* ---- hostile files ---- */

static Elf64_Shdr *find_header(unsigned char *data, const char *name)
{
	Elf64_Ehdr *eh = (Elf64_Ehdr *)(void *)data;
	Elf64_Shdr *sh = (Elf64_Shdr *)(void *)(data + eh->e_shoff);

	for (int i = 0; i < eh->e_shnum; i++)
		if (strcmp((char *)data + sh[eh->e_shstrndx].sh_offset + sh[i].sh_name, name) == 0)
			return &sh[i];
	fail_msg("no section %s", name);
	return NULL;
}

static void put_with(const char *name, const char *section_name, uint64_t ch_size, bool cut)
{
	size_t len;
	unsigned char *data = get("packed", &len);
	Elf64_Shdr *sh = find_header(data, section_name);
	Elf64_Chdr *ch = (Elf64_Chdr *)(void *)(data + sh->sh_offset);

	if (ch_size)
		ch->ch_size = ch_size;
	if (cut)
		sh->sh_size /= 2;
	put(name, data, len);
	free(data);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
	static const uint64_t sizes[] = { (uint64_t)1 << 32, (uint64_t)1 << 40, UINT64_MAX };
	struct unpacked *u;
	struct error err;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd;

		put_with("lying", ".debug_info", sizes[i], false);
		fd = open(at("lying"), O_RDONLY | O_CLOEXEC);
		memset(&err, 0, sizeof(err));
		assert_int_equal(unpack_open(fd, NULL, &u, &err), -ENOEXEC);
		assert_null(u);
		assert_true(err.text[0]);
		close(fd);
	}
}

static void a_size_beyond_the_stream_is_a_failure(void **state)
{
	struct cache_place cache = cache_at("lying.cache");

	put_with("lying", ".debug_abbrev", 100000, false);
	for (int i = 0; i < 2; i++) {
		struct reading r = begin("lying", &cache);
		const unsigned char *bytes = section(r.elf, ".debug_abbrev")->d_buf;

		assert_int_equal(bytes[99999], 0);
		assert_non_null(strstr(unpack_failure(r.u), "damaged"));
		end(&r);
	}
}

static void a_damaged_stream_is_a_failure(void **state)
{
	struct image *img;
	struct debuginfo *di;
	struct error err = { 0 };
	struct buf out = { 0 };

	put_with("spoilt", ".debug_info", 0, true);
	img = must_open("spoilt");
	assert_int_equal(debuginfo_open(img, dir, NULL, &di, &err), 0);
	debuginfo_each(di, NULL, print_function, &out);
	assert_non_null(debuginfo_failure(di));
	buf_free(&out);
	debuginfo_close(di);
	image_free(img);
}

/* Of a damaged file the symbols are left, and the answer says why there are no types. */
static void a_damaged_stream_leaves_the_symbols(void **state)
{
	static const char *const texts[] = { "function_699", "function_699(p)" };
	uint32_t index = 0;
	struct resolve_request rq = { .path = "spoilt", .root = dir, .index = &index, .n_index = 1, .ship = true };
	struct resolve_answer answer;
	struct buf out = { 0 };

	put_with("spoilt", ".debug_info", 0, true);
	rq.fd = rq.exe_fd = open(at("spoilt"), O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		rq.probes = &texts[i];
		resolve_work(&out, &rq);
		assert_int_equal(resolve_answer_read(out.data, out.len, &answer, NULL), 0);
		if (i == 0) {
			assert_int_equal(answer.err.code, 0);
			assert_int_equal(answer.n_resolved, 1);
			assert_string_equal(answer.resolved[0].function, "function_699");
			assert_string_equal(answer.resolved[0].signature, "");
		} else {
			assert_int_not_equal(answer.err.code, 0);
		}
		resolve_answer_free(&answer);
		buf_free(&out);
	}
	close(rq.fd);
}

/* Damage anywhere in the file, at random: an answer, a refusal or a failure, and always an end. */
static void random_damage_is_survived(void **state)
{
	struct cache_place cache = cache_at("random.cache");
	size_t len;
	unsigned char *good = get("packed", &len), *bad = malloc(len);
	unsigned seed = 1;

	for (int round = 0; round < 60; round++) {
		struct error err = { 0 };
		struct unpacked *u;
		int fd;

		memcpy(bad, good, len);
		for (int i = 0; i < 30; i++) {
			seed = seed * 1103515245 + 12345;
			bad[(seed >> 4) % len] = (unsigned char)(seed >> 20);
		}
		put("bad", bad, len);
		fd = open(at("bad"), O_RDONLY | O_CLOEXEC);
		if (unpack_open(fd, round % 2 ? &cache : NULL, &u, &err) == 0 && u) {
			for (uint32_t s = 0; s < u->head.n; s++)
				for (uint64_t b = 0; b < u->section[s].where->size; b += 4096)
					(void)((volatile unsigned char *)u->section[s].mem)[b];
			unpack_free(u);
		}
		close(fd);
	}
	free(good);
	free(bad);
}

static void a_foreign_fault_still_kills(void **state)
{
	volatile char *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);                 /* cmocka has a handler of its own */
		begin("packed", NULL);
		*nowhere = 1;
		_exit(0);
	}
	assert_int_equal(status_of(pid), 128 + SIGSEGV);
}

/* What was inflated is right, but not what the stream's own sum says: found by whoever reads to the end. */
static void a_wrong_sum_is_a_failure(void **state)
{
	size_t len;
	unsigned char *data = get("packed", &len);
	Elf64_Shdr *sh = find_header(data, ".debug_info");
	struct reading r;

	data[sh->sh_offset + sh->sh_size - 1] ^= 1;
	put("sum", data, len);
	free(data);
	r = begin("sum", NULL);
	assert_false(is_same(r.elf));
	assert_non_null(strstr(unpack_failure(r.u), "damaged"));
	end(&r);
}

/* CRC-32C (RFC 3720, B.4) or, on a processor without SSE 4.2, CRC-32; of any length, and no single bit may flip unseen. */
static void a_chunk_that_changed_fails_its_check(void **state)
{
	static unsigned char chunk[UNPACK_CHUNK];
	uint32_t check;

	assert_int_equal(chunk_check("123456789", 9), __builtin_cpu_supports("sse4.2") ? 0xe3069283 : 0xcbf43926);
	assert_int_equal(chunk_check("", 0), 0);
	for (size_t i = 0; i < sizeof(chunk); i++)
		chunk[i] = (unsigned char)(i * 131 >> 3);
	check = chunk_check(chunk, sizeof(chunk));
	for (size_t bit = 0; bit < 8 * sizeof(chunk); bit += 61) {
		chunk[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_int_not_equal(chunk_check(chunk, sizeof(chunk)), check);
		chunk[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	assert_int_not_equal(chunk_check(chunk, sizeof(chunk) - 1), check);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_uncompressed_file_is_left_alone),
		cmocka_unit_test(sections_read_as_if_not_compressed),
		cmocka_unit_test(only_what_is_read_is_inflated),
		cmocka_unit_test(answers_are_those_of_the_uncompressed_file),
		cmocka_unit_test(what_was_inflated_is_kept),
		cmocka_unit_test(a_later_reader_goes_on_where_the_first_one_stopped),
		cmocka_unit_test(another_file_has_another_entry),
		cmocka_unit_test(a_damaged_entry_is_found_out),
		cmocka_unit_test(a_hole_left_by_a_crash_is_found_out),
		cmocka_unit_test(a_cache_that_others_may_write_is_not_used),
		cmocka_unit_test(an_entry_that_is_not_this_users_is_not_used),
		cmocka_unit_test(an_entry_that_is_a_link_is_not_followed),
		cmocka_unit_test(a_chunk_that_changed_fails_its_check),
		cmocka_unit_test(the_cache_stays_below_its_bound),
		cmocka_unit_test(a_full_disk_costs_memory_not_the_answer),
		cmocka_unit_test(readers_at_the_same_time_agree),
		cmocka_unit_test(a_killed_reader_leaves_a_good_entry),
		cmocka_unit_test(sizes_that_cannot_be_are_refused),
		cmocka_unit_test(a_size_beyond_the_stream_is_a_failure),
		cmocka_unit_test(a_wrong_sum_is_a_failure),
		cmocka_unit_test(a_damaged_stream_is_a_failure),
		cmocka_unit_test(a_damaged_stream_leaves_the_symbols),
		cmocka_unit_test(random_damage_is_survived),
		cmocka_unit_test(a_foreign_fault_still_kills),
	};

	return cmocka_run_group_tests(tests, build_files, remove_dir);
}
