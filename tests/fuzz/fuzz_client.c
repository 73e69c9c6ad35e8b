/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the frames that an agent sends to plumb: the model takes them in, records are printed both ways, totals
 * and tables are made.  Nothing that could act on a terminal may come out.
 * fuzz-sources: common/[a-z]*.c cli/render.c cli/totals.c cli/statview.c cli/args.c cli/screen.c cli/statrows.c cli/statview_pattern.c cli/table.c cli/output.c -lm
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../cli/render.h"
#include "../../cli/statview.h"
#include "../../cli/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct column columns[] = {
	{ "ID", "id", CELL_NUMBER }, { "NAME", "name", CELL_TEXT }, { "LIST", "list", CELL_TEXTS }, { "AGE", "age", CELL_AGE },
};

static void check_output(struct buf *out)
{
	for (size_t i = 0; i < out->len; i++)
		if (((unsigned char)out->data[i] < 0x20 && out->data[i] != '\n') || out->data[i] == 0x7f)
			abort();
	buf_clear(out);
}

static void take_chunk(struct render *r, struct model *m, const struct frame_in *in, struct error *err)
{
	struct record rec;
	struct chunk k;

	if (chunk_open(&k, m, in, err))
		return;
	while (chunk_next(&k, m, &rec, err) > 0) {
		render_text(r, &rec);
		render_json(r, &rec);
		check_output(&r->out->text);
	}
}

static void take_rows(struct render *r, struct model *m, struct statview *v, const struct frame_in *in, struct error *err)
{
	const msgpack_object *rows = &in->items[3];
	struct buf text = { 0 };
	struct totals t;

	table_text(columns, 4, rows, r->out);
	table_json(columns, 4, rows, &r->out->text);
	check_output(&r->out->text);
	if (model_stats(m, in, err) || m->n_probes == 0)
		return;
	totals_of(m, 1, &t);
	totals_text(&t, &text);
	totals_json(&t, "stopped", &text);
	statview_tick(v, m, v->last_ns + 1000000);
	statview_text(v, m, r->out, 80, &text);
	statview_json(v, m, "host", &text);
	check_output(&text);
	buf_free(&text);
}

static void take(struct render *r, struct model *m, struct statview *v, const struct frame_in *in)
{
	struct error err;

	if (in->type == WIRE_PROBE && m->n_probes < 8)
		model_probe(m, in, &err);
	else if (in->type == WIRE_CHUNK)
		take_chunk(r, m, in, &err);
	else if (in->type == WIRE_NOTICE && in->count > 3)
		model_notice(m, in);
	else if (in->type == WIRE_STATS && in->count > 3 && m->n_rows < 16)
		take_rows(r, m, v, in, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct output out = { .fd = -1 };
	struct statview v = { 0 };
	struct model m;
	struct render r;
	struct frame_in in;
	size_t at = 0;
	int n;

	if (model_init(&m) || render_init(&r, &out, &m, "host"))
		abort();
	while ((n = frame_take(data + at, size - at, &in, NULL)) > 0) {
		take(&r, &m, &v, &in);
		frame_in_free(&in);
		at += (size_t)n;
	}
	statview_free(&v);
	render_free(&r);
	model_free(&m);
	output_free(&out);
	return 0;
}
