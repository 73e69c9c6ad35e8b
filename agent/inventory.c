/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "debuginfo.h"
#include "frame.h"

enum { FUNCS_MAX = 20000, FUNCS_BYTES = WIRE_FRAME_MAX - 4096 };

void inventory_free(struct inventory *inv)
{
	free(inv->processes);
	free(inv->glob);
	free(inv->module);
	memset(inv, 0, sizeof(*inv));
}

int inventory_read(const char *data, size_t len, const char **payload, size_t *payload_len, struct error *err)
{
	if (len < sizeof(*err))
		return error_set(err, EPROTO, "the answer is too short");
	memcpy(err, data, sizeof(*err));
	*payload = data + sizeof(*err);
	*payload_len = len - sizeof(*err);
	return -err->code;
}

/* ---- processes ---- */

/* What an executable is; many processes share one. */
struct executable {
	uint64_t dev, ino;
	char build_id[BUILD_ID_HEX_MAX];
	const char *language, *debug;
};

static void look_into(struct executable *e, const struct process *p)
{
	char root[32];
	struct module m;
	struct image *img = NULL;
	int fd = module_find(p->pid, NULL, &m, NULL) ? -1 : module_open(p->pid, &m, NULL), debug = -1;

	if (fd < 0 || image_open(fd, p->exe, &img, NULL)) {
		e->debug = "unreadable";
	} else {
		snprintf(root, sizeof(root), "/proc/%d/root", p->pid);
		snprintf(e->build_id, sizeof(e->build_id), "%s", image_build_id(img));
		e->language = language_name(image_language(img));
		debug = image_has_debug_info(img) ? -1 : image_open_debug(img, root, NULL, 0, NULL);
		e->debug = image_has_debug_info(img) ? "yes" : debug >= 0 ? "separate" : "no";
	}
	if (debug >= 0)
		close(debug);
	image_free(img);
	if (fd >= 0)
		close(fd);
}

static const struct executable *executable_of(struct executable *known, size_t *n, const struct process *p)
{
	struct executable *e;

	for (size_t i = 0; i < *n; i++)
		if (known[i].dev == p->exe_dev && known[i].ino == p->exe_ino)
			return &known[i];
	e = &known[(*n)++];
	*e = (struct executable){ .dev = p->exe_dev, .ino = p->exe_ino, .language = "?" };
	look_into(e, p);
	return e;
}

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static uint64_t age_ns(const struct process *p, uint64_t now_ns)
{
	uint64_t age = now_ns - p->start_ticks * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));

	return age < INT64_MAX ? age : 0;
}

static void pack_process(const struct process *p, const struct executable *e, uint64_t now_ns, msgpack_packer *pk)
{
	msgpack_pack_array(pk, 11);
	msgpack_pack_int(pk, p->pid);
	pack_text(pk, p->comm);
	pack_text(pk, p->exe);
	pack_text(pk, p->unit);
	pack_text(pk, p->container);
	pack_text(pk, e->build_id);
	pack_text(pk, e->language);
	pack_text(pk, e->debug);
	msgpack_pack_uint32(pk, p->uid);
	msgpack_pack_uint64(pk, age_ns(p, now_ns));
	msgpack_pack_uint32(pk, p->threads);
}

void inventory_ps_work(struct buf *out, void *arg)
{
	struct inventory *inv = arg;
	struct executable *known = calloc(inv->n_processes + 1, sizeof(*known));
	uint64_t now_ns = boot_ns();   /* one for all: whoever is older has the greater age, however long looking into a file takes */
	struct error none = { 0 };
	size_t n_known = 0;
	uint32_t n = 0;
	msgpack_packer pk;

	for (size_t i = 0; i < inv->n_processes; i++)
		n += inv->uid == 0 || inv->uid == inv->processes[i].uid;
	buf_add(out, &none, sizeof(none));
	pack_into(&pk, out);
	msgpack_pack_map(&pk, 1);
	pack_key(&pk, "processes");
	msgpack_pack_array(&pk, known ? n : 0);
	for (size_t i = 0; known && i < inv->n_processes; i++)
		if (inv->uid == 0 || inv->uid == inv->processes[i].uid)
			pack_process(&inv->processes[i], executable_of(known, &n_known, &inv->processes[i]), now_ns, &pk);
	free(known);
}

/* ---- functions ---- */

struct listing {
	struct buf rows;
	msgpack_packer pk;
	const struct inventory *inv;
	const char *module;
	uint32_t n;
	bool more;
};

static int add_row(struct listing *l, const char *name, const char *signature, const char *file, uint32_t line)
{
	if (l->n >= FUNCS_MAX || l->rows.len + strlen(name) + strlen(signature) + strlen(file) + 256 > FUNCS_BYTES) {
		l->more = true;
		return 1;
	}
	msgpack_pack_array(&l->pk, 5);
	pack_text(&l->pk, name);
	pack_text(&l->pk, signature);
	pack_text(&l->pk, file);
	msgpack_pack_uint32(&l->pk, line);
	pack_text(&l->pk, l->module);
	l->n++;
	return 0;
}

static int add_function(const struct function *fn, void *arg)
{
	struct buf signature = { 0 };
	int rc;

	if (!fn->addr)
		return 0;
	function_signature(fn, &signature);
	rc = add_row(arg, fn->name, buf_text(&signature), fn->file, fn->line);
	buf_free(&signature);
	return rc;
}

static int add_symbol(const struct symbol *sym, void *arg)
{
	struct listing *l = arg;
	char *pretty = demangle(sym->name, false);
	const char *name = pretty ? pretty : sym->name;
	int rc = 0;

	if (!sym->indirect && (!l->inv->glob || !fnmatch(l->inv->glob, name, 0)))
		rc = add_row(l, name, "", "", 0);
	free(pretty);
	return rc;
}

static int list_functions(struct listing *l, char *source, size_t source_len, struct error *err)
{
	struct debuginfo *di = NULL;
	struct image *img = NULL;
	struct error why = { 0 };
	int rc = image_open(l->inv->fd, l->inv->path, &img, err);

	if (rc)
		return rc;
	if (debuginfo_open(img, l->inv->root, &l->inv->cache, &di, &why) == 0) {
		debuginfo_each(di, l->inv->glob, add_function, l);
		snprintf(source, source_len, "debug info of %s", debuginfo_path(di));
		if (debuginfo_failure(di)) {
			buf_clear(&l->rows);
			l->n = 0;
			l->more = false;
			error_set(&why, EBADMSG, "%s", debuginfo_failure(di));
			debuginfo_close(di);
			di = NULL;
		}
	}
	if (!l->n) {
		image_each(img, add_symbol, l);
		snprintf(source, source_len, "symbols of %s%s%s", l->inv->path, di ? "" : ": ", di ? "" : why.text);
	}
	debuginfo_close(di);
	image_free(img);
	return 0;
}

void inventory_funcs_work(struct buf *out, void *arg)
{
	struct inventory *inv = arg;
	const char *slash = strrchr(inv->path, '/');
	struct listing l = { .inv = inv, .module = slash ? slash + 1 : inv->path };
	struct error err = { 0 };
	char source[PATH_MAX + 600] = "";
	msgpack_packer pk;

	pack_into(&l.pk, &l.rows);
	list_functions(&l, source, sizeof(source), &err);
	buf_add(out, &err, sizeof(err));
	if (!err.code) {
		pack_into(&pk, out);
		msgpack_pack_map(&pk, 4);
		pack_key(&pk, "functions");
		msgpack_pack_array(&pk, l.n);
		buf_add(out, l.rows.data, l.rows.len);
		pack_key(&pk, "more");
		l.more ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk);
		pack_key_text(&pk, "source", source);
		pack_key_text(&pk, "builds", inv->builds ? inv->builds : "");
	}
	buf_free(&l.rows);
}
