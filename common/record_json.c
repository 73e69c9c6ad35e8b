/* SPDX-License-Identifier: Apache-2.0 */
#include "record_json.h"

#include <string.h>

#include "text.h"

bool field_is_ret(const struct field *f)
{
	return strcmp(f->name, "$ret") == 0;
}

uint32_t record_first_field(const struct record *rec)
{
	return rec->probe->n_functions ? 1 : 0;
}

static void json_number(struct buf *out, const char *key, uint64_t value)
{
	buf_str(out, key);
	text_u64(out, value);
}

static void json_fields(struct buf *out, const struct record *rec, bool at_return)
{
	bool first = true;

	buf_char(out, '{');
	for (uint32_t i = record_first_field(rec); i < rec->probe->n_fields; i++) {
		const struct field *f = &rec->probe->field[i];

		if (f->at_return != at_return || (at_return && field_is_ret(f)))
			continue;
		if (!first)
			buf_char(out, ',');
		text_json_str(out, f->name);
		buf_char(out, ':');
		shape_json(f->shape, &rec->value[i], out);
		first = false;
	}
	buf_char(out, '}');
}

static void json_return(struct buf *out, const struct record *rec)
{
	const struct probe *p = rec->probe;
	bool others = false, ret = false;

	for (uint32_t i = 0; i < p->n_fields; i++) {
		if (!p->field[i].at_return || !rec->returned)
			continue;
		if (!field_is_ret(&p->field[i])) {
			others = true;
		} else if (!ret) {
			buf_str(out, ",\"ret\":");
			shape_json(p->field[i].shape, &rec->value[i], out);
			ret = true;
		}
	}
	if (!ret)
		buf_str(out, ",\"ret\":null");
	if (others) {
		buf_str(out, ",\"returns\":");
		json_fields(out, rec, true);
	}
	if (rec->returned)
		json_number(out, ",\"duration_ns\":", rec->duration_ns);
	else
		buf_str(out, ",\"duration_ns\":null");
}

void record_json(const struct record *rec, const struct buf *host_json, const char *comm, struct buf *out)
{
	json_number(out, "{\"ts\":", rec->ts_ns);
	buf_add(out, host_json->data, host_json->len);
	json_number(out, ",\"pid\":", rec->pid);
	json_number(out, ",\"tid\":", rec->tid);
	buf_str(out, ",\"comm\":");
	text_json_str(out, comm);
	buf_char(out, ',');
	buf_add(out, rec->probe->json.data, rec->probe->json.len);
	if (rec->probe->n_functions) {
		text_json_str(out, probe_function(rec->probe, rec->function));
		buf_add(out, rec->probe->json_rest.data, rec->probe->json_rest.len);
	}
	buf_str(out, ",\"args\":");
	json_fields(out, rec, false);
	json_return(out, rec);
	buf_str(out, rec->error ? ",\"error\":true}" : ",\"error\":false}");
}
