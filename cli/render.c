/* SPDX-License-Identifier: Apache-2.0 */
#include "render.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "error_value.h"
#include "record_json.h"
#include "text.h"
#include "units.h"

enum { NS_PER_S = 1000000000 };

int render_init(struct render *r, struct output *out, const struct model *m, const char *host)
{
	memset(r, 0, sizeof(*r));
	r->out = out;
	r->model = m;
	r->second = -1;
	buf_str(&r->host_json, ",\"host\":");
	text_json_str(&r->host_json, host);
	return r->host_json.failed ? -ENOMEM : 0;
}

void render_free(struct render *r)
{
	buf_free(&r->host_json);
}

/* ---- text ---- */

static void put_time(struct render *r, uint64_t ts_ns)
{
	int64_t second = (int64_t)(ts_ns / NS_PER_S);
	struct buf *out = &r->out->text;

	if (second != r->second) {
		time_t t = (time_t)second;
		struct tm tm;

		if (!localtime_r(&t, &tm) || !strftime(r->clock, sizeof(r->clock), "%H:%M:%S", &tm))
			strcpy(r->clock, "??:??:??");
		r->second = second;
	}
	paint(r->out, PAINT_DIM);
	buf_str(out, r->clock);
	buf_char(out, '.');
	text_digits(out, ts_ns % NS_PER_S / 1000, 6);
	paint(r->out, PAINT_NONE);
}

static void put_process(struct render *r, const struct record *rec)
{
	struct buf *out = &r->out->text;

	buf_char(out, ' ');
	if (rec->source->host) {
		buf_str(out, rec->source->host);
		buf_char(out, ':');
	}
	buf_str(out, source_comm(rec->source, rec->pid));
	buf_char(out, '[');
	text_u64(out, rec->pid);
	buf_char(out, '/');
	text_u64(out, rec->tid);
	buf_add(out, "] ", 2);
}

static void put_named(struct buf *out, const struct field *f, const msgpack_object *value)
{
	buf_str(out, f->name);
	buf_char(out, '=');
	shape_print(f->shape, value, out);
}

static void put_call(struct render *r, const struct record *rec)
{
	struct buf *out = &r->out->text;
	bool first = true;

	paint(r->out, PAINT_BOLD);
	buf_str(out, probe_function(rec->probe, rec->function));
	paint(r->out, PAINT_NONE);
	buf_char(out, '(');
	for (uint32_t i = record_first_field(rec); i < rec->probe->n_fields; i++) {
		if (rec->probe->field[i].at_return)
			continue;
		if (!first)
			buf_add(out, ", ", 2);
		put_named(out, &rec->probe->field[i], &rec->value[i]);
		first = false;
	}
	buf_char(out, ')');
}

/* "-22 (EINVAL)" of a failing call. */
static void put_ret(struct buf *out, const struct record *rec, const struct field *f, const msgpack_object *value)
{
	const char *name = NULL;
	int64_t n;

	shape_print(f->shape, value, out);
	if (rec->error && rec->probe->may_be_errno && object_i64(value, &n))
		name = error_value_name(n);
	if (name)
		buf_printf(out, " (%s)", name);
}

/* "= -22 (EINVAL) {total=5}": the return value, then what else was asked for behind "->". */
static void put_return(struct render *r, const struct record *rec)
{
	const struct probe *p = rec->probe;
	struct buf *out = &r->out->text;
	bool others = false;

	for (uint32_t i = 0; i < p->n_fields; i++) {
		if (p->field[i].at_return && field_is_ret(&p->field[i])) {
			buf_add(out, " = ", 3);
			if (rec->error)
				paint(r->out, PAINT_RED);
			put_ret(out, rec, &p->field[i], &rec->value[i]);
			if (rec->error)
				paint(r->out, PAINT_NONE);
		}
	}
	for (uint32_t i = 0; i < p->n_fields; i++) {
		if (!p->field[i].at_return || field_is_ret(&p->field[i]))
			continue;
		buf_str(out, others ? ", " : " {");
		put_named(out, &p->field[i], &rec->value[i]);
		others = true;
	}
	if (others)
		buf_char(out, '}');
	buf_add(out, " <", 2);
	format_elapsed(out, rec->duration_ns);
	buf_char(out, '>');
}

void render_text(struct render *r, const struct record *rec)
{
	put_time(r, rec->ts_ns);
	put_process(r, rec);
	put_call(r, rec);
	if (rec->returned)
		put_return(r, rec);
	if (rec->error) {
		paint(r->out, PAINT_RED);
		buf_str(&r->out->text, " error");
		paint(r->out, PAINT_NONE);
	}
	buf_char(&r->out->text, '\n');
}

/* ---- JSON ---- */

/* Records of one source come together: its host is written out once for all of them. */
static void know_host(struct render *r, const struct source *s)
{
	if (!s->host || s == r->source)
		return;
	buf_clear(&r->host_json);
	buf_str(&r->host_json, ",\"host\":");
	text_json_str(&r->host_json, s->host);
	r->source = s;
}

void render_json(struct render *r, const struct record *rec)
{
	know_host(r, rec->source);
	record_json(rec, &r->host_json, source_comm(rec->source, rec->pid), &r->out->text);
	buf_char(&r->out->text, '\n');
}
