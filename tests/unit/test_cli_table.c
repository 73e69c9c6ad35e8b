/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hist.h"
#include "screen.h"
#include "statview.h"
#include "table.h"
#include "wire_pack.h"

static const struct column columns[] = {
	{ "ID", "id", CELL_NUMBER }, { "NAME", "name", CELL_TEXT }, { "EXE", "exe", CELL_HIDDEN }, { "PROBES", "probes", CELL_TEXTS },
	{ "AGE", "age_ns", CELL_AGE }, { "STATE", "state", CELL_STATE },
};
enum { N_COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static void pack_request_row(msgpack_packer *pk, unsigned id, const char *name, const char *state, bool has_age)
{
	msgpack_pack_array(pk, 6);
	msgpack_pack_uint32(pk, id);
	pack_text(pk, name);
	pack_text(pk, "/bin/x");
	msgpack_pack_array(pk, 2);
	pack_text(pk, "f");
	pack_text(pk, "g if n > 1");
	has_age ? msgpack_pack_uint64(pk, 192400000000ULL) : msgpack_pack_nil(pk);
	pack_text(pk, state);
}

/* Two rows, the second of them hostile, and a third that is no row at all. */
static void table_of(msgpack_zone *zone, msgpack_object *o, struct buf *b)
{
	msgpack_packer pk;

	pack_into(&pk, b);
	msgpack_pack_array(&pk, 3);
	pack_request_row(&pk, 7, "checkoutd", "ok", true);
	pack_request_row(&pk, 12345, "a\033[2Jb\n\xff", "missing", false);
	msgpack_pack_nil(&pk);
	assert_true(msgpack_zone_init(zone, 4096));
	assert_true(pack_take(b->data, b->len, zone, o) > 0);
}

static void render_table(struct output *o, bool json)
{
	struct buf b = { 0 };
	msgpack_zone zone;
	msgpack_object rows;

	table_of(&zone, &rows, &b);
	if (json)
		table_json(columns, N_COLUMNS, &rows, &o->text);
	else
		table_text(columns, N_COLUMNS, &rows, o);
	msgpack_zone_destroy(&zone);
	buf_free(&b);
}

static void test_aligned_and_safe(void **state)
{
	struct output o = { .fd = -1, .utf8 = true };

	render_table(&o, false);
	assert_string_equal(buf_text(&o.text),
			    "   ID  NAME               PROBES         AGE    STATE\n"
			    "    7  checkoutd          f; g if n > 1  3m12s  ok\n"
			    "12345  a\\x1b[2Jb\\x0a\\xff  f; g if n > 1  -      missing\n"
			    "    -  -                  -              -      -\n");
	output_free(&o);
}

static void test_colours_of_states(void **state)
{
	struct output o = { .fd = -1, .utf8 = true, .color = true };

	render_table(&o, false);
	assert_non_null(strstr(buf_text(&o.text), "\033[32mok\033[0m\n"));
	assert_non_null(strstr(buf_text(&o.text), "\033[31mmissing\033[0m\n"));
	output_free(&o);
}

static void test_cut_to_the_terminal(void **state)
{
	struct output o = { .fd = -1, .utf8 = true, .terminal = true };
	const char *line;

	setenv("COLUMNS", "50", 1);
	render_table(&o, false);
	for (line = buf_text(&o.text); *line; line += strcspn(line, "\n") + 1)
		assert_in_range(text_columns(line, strcspn(line, "\n")), 1, 50);
	assert_non_null(strstr(buf_text(&o.text), "\n12345  a\\x1b[2Jb\\x\xe2\x80\xa6  f; g if n > 1  -      missing\n"));
	buf_clear(&o.text);
	setenv("COLUMNS", "20", 1);   /* too narrow for all: cut, never wrapped */
	render_table(&o, false);
	for (line = buf_text(&o.text); *line; line += strcspn(line, "\n") + 1)
		assert_in_range(text_columns(line, strcspn(line, "\n")), 1, 20);
	unsetenv("COLUMNS");
	output_free(&o);
}

/* A time that would be cut is today's time of day, or the day: never a part of itself. */
static void test_times_that_do_not_fit(void **state)
{
	static const struct column cols[] = { { "WHEN", "when", CELL_TIME }, { "WHO", "who", CELL_TEXT }, { "ENDED", "ended", CELL_TIME } };
	struct output o = { .fd = -1, .terminal = true };
	struct buf b = { 0 };
	msgpack_zone zone;
	msgpack_object rows;
	msgpack_packer pk;

	setenv("TZ", "UTC", 1);
	pack_into(&pk, &b);
	msgpack_pack_array(&pk, 1);
	msgpack_pack_array(&pk, 3);
	msgpack_pack_uint64(&pk, 1700000000000000000ULL);
	pack_text(&pk, "somebody with a name");
	msgpack_pack_uint64(&pk, (uint64_t)time(NULL) * 1000000000);
	msgpack_zone_init(&zone, 512);
	assert_true(pack_take(b.data, b.len, &zone, &rows) > 0);
	setenv("COLUMNS", "70", 1);
	table_text(cols, 3, &rows, &o);
	assert_non_null(strstr(buf_text(&o.text), "2023-11-14 22:13:20  somebody with a name  20"));
	buf_clear(&o.text);
	setenv("COLUMNS", "34", 1);
	table_text(cols, 3, &rows, &o);
	assert_non_null(strstr(buf_text(&o.text), "\n2023-11-14  somebody wi~  "));
	assert_int_equal(buf_text(&o.text)[o.text.len - 4], ':');   /* ...:20 */
	unsetenv("COLUMNS");
	msgpack_zone_destroy(&zone);
	output_free(&o);
	buf_free(&b);
}

static void test_json_rows(void **state)
{
	struct output o = { .fd = -1 };

	render_table(&o, true);
	assert_string_equal(buf_text(&o.text),
			    "{\"id\":7,\"name\":\"checkoutd\",\"exe\":\"/bin/x\",\"probes\":[\"f\",\"g if n > 1\"],\"age_ns\":192400000000,\"state\":\"ok\"}\n"
			    "{\"id\":12345,\"name\":\"a\\u001b[2Jb\\n\xef\xbf\xbd\",\"exe\":\"/bin/x\",\"probes\":[\"f\",\"g if n > 1\"],\"age_ns\":null,"
			    "\"state\":\"missing\"}\n"
			    "{\"id\":null,\"name\":null,\"exe\":null,\"probes\":null,\"age_ns\":null,\"state\":null}\n");
	output_free(&o);
}

static void cell_is(const char *text, unsigned width, bool utf8, const char *want)
{
	struct buf out = { 0 };

	text_cell(&out, text, width, utf8);
	assert_string_equal(buf_text(&out), want);
	buf_free(&out);
}

static void test_cells(void **state)
{
	cell_is("abc", 5, true, "abc  ");
	cell_is("abc", 3, true, "abc");
	cell_is("abcd", 3, true, "ab\xe2\x80\xa6");
	cell_is("abcd", 3, false, "ab~");
	cell_is("\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97", 4, true, "\xe4\xb8\xad\xe2\x80\xa6 ");   /* wide: 2 columns each */
	cell_is("", 2, true, "  ");
	assert_int_equal(text_columns("\033[1mab\033[0m", 10), 2);
}

static void fit_is(const char *text, unsigned width, const char *want)
{
	struct buf out = { 0 };

	text_fit(&out, text, strlen(text), width, true);
	assert_string_equal(buf_text(&out), want);
	buf_free(&out);
}

/* What was cut says so. */
static void test_lines_that_do_not_fit(void **state)
{
	fit_is("abcd", 0, "abcd");
	fit_is("abcd", 4, "abcd");
	fit_is("abcd", 3, "ab\xe2\x80\xa6");
	fit_is("\033[1mabcd\033[0m", 4, "\033[1mabcd\033[0m");
	fit_is("\033[1mabcd\033[0m", 3, "\033[1mab\xe2\x80\xa6");
	fit_is("abcd", 1, "");
}

/* ---- plumb stat ---- */

struct stat_fixture {
	struct model m;
	struct statview v;
	struct output o;
	struct buf text;
};

static void give(struct stat_fixture *f, uint64_t calls, uint64_t errors, const uint64_t *hist, uint64_t max_ns)
{
	const struct test_count counts[] = { { "calls", calls }, { "errors", errors }, { "max_ns", max_ns }, { 0 } };
	struct buf b = { 0 };
	struct frame fr;
	struct frame_in in;

	frame_begin(&fr, &b, WIRE_STATS, 4);
	msgpack_pack_uint64(&fr.pk, 1);
	msgpack_pack_uint64(&fr.pk, 0);
	msgpack_pack_array(&fr.pk, 1);
	pack_row(&fr.pk, 1, 812, "checkoutd", counts, hist);
	frame_end(&fr);
	assert_true(frame_take(b.data, b.len, &in, NULL) > 0);
	assert_int_equal(model_stats(&f->m, &in, NULL), 0);
	frame_in_free(&in);
	buf_free(&b);
}

static void setup_stat(struct stat_fixture *f)
{
	struct buf b = { 0 };
	struct frame_in in;

	memset(f, 0, sizeof(*f));
	f->o.fd = -1;
	assert_int_equal(model_init(&f->m), 0);
	pack_probe_frame(&b, 1, FORM_CALL, false);
	assert_true(frame_take(b.data, b.len, &in, NULL) > 0);
	assert_int_equal(model_probe(&f->m, &in, NULL), 0);
	frame_in_free(&in);
	buf_free(&b);
	f->v.started_ns = f->v.last_ns = 1000000000;
}

static void teardown_stat(struct stat_fixture *f)
{
	statview_free(&f->v);
	model_free(&f->m);
	buf_free(&f->text);
	output_free(&f->o);
}

static void test_stat_ticks(void **state)
{
	const uint64_t first[] = { hist_bucket(1000), 90, hist_bucket(71000), 10, 0, 0 };
	const uint64_t second[] = { hist_bucket(1000), 140, hist_bucket(71000), 10, 0, 0 };
	struct stat_fixture f;

	setup_stat(&f);
	give(&f, 100, 10, first, 71000);
	assert_int_equal(statview_tick(&f.v, &f.m, 2000000000), 0);
	assert_int_equal(f.v.row[0].tick.c.calls, 100);
	assert_int_equal(f.v.row[0].tick.c.max_ns, 71000);
	give(&f, 150, 11, second, 71000);
	assert_int_equal(statview_tick(&f.v, &f.m, 2500000000), 0);
	assert_int_equal(f.v.tick_ns, 500000000);
	assert_int_equal(f.v.row[0].tick.c.calls, 50);
	assert_int_equal(f.v.row[0].tick.c.errors, 1);
	assert_in_range(f.v.row[0].tick.c.max_ns, 1000, 1063);
	statview_text(&f.v, &f.m, &f.o, 80, &f.text);
	assert_string_equal(buf_text(&f.text),
			    "PROBE                       CALLS     ERRORS      P50      P90      P99      MAX\n"
			    "parse_order                 100/s        2/s  1.007us  1.019us  1.022us  1.023us\n"
			    "  since the start             150         11  1.008us  1.021us  71.00us  71.00us\n"
			    "\n"
			    "parse_order, durations since the start\n"
			    "    512ns ..  1.024us        140 ##############################################\n"
			    "  1.024us ..  2.048us          0\n"
			    "  2.048us ..  4.096us          0\n"
			    "  4.096us ..  8.192us          0\n"
			    "  8.192us ..  16.38us          0\n"
			    "  16.38us ..  32.76us          0\n"
			    "  32.76us ..  65.53us          0\n"
			    "  65.53us ..  131.0us         10 ####\n");
	teardown_stat(&f);
}

static void test_stat_json(void **state)
{
	const uint64_t hist[] = { hist_bucket(16), 4, 0, 0 };
	struct stat_fixture f;

	setup_stat(&f);
	give(&f, 4, 1, hist, 16);
	assert_int_equal(statview_tick(&f.v, &f.m, 3000000000), 0);
	statview_json(&f.v, &f.m, "web-1", &f.text);
	assert_string_equal(buf_text(&f.text),
			    "{\"ts\":3000000000,\"host\":\"web-1\",\"tick_ns\":2000000000,\"probes\":[{\"probe\":\"parse_order\",\"function\":\"parse_order\","
			    "\"build_id\":\"ab12\",\"total\":{\"calls\":4,\"errors\":1,\"calls_per_s\":2.000,\"errors_per_s\":0.500,\"p50_ns\":16,\"p90_ns\":16,"
			    "\"p99_ns\":16,\"max_ns\":16},\"tick\":{\"calls\":4,\"errors\":1,\"calls_per_s\":2.000,\"errors_per_s\":0.500,\"p50_ns\":16,"
			    "\"p90_ns\":16,\"p99_ns\":16,\"max_ns\":16}}]}\n");
	teardown_stat(&f);
}

static void learn_probe(struct stat_fixture *f, unsigned id, bool condition)
{
	struct buf b = { 0 };
	struct frame_in in;

	pack_probe_frame(&b, id, FORM_CALL, condition);
	assert_true(frame_take(b.data, b.len, &in, NULL) > 0);
	assert_int_equal(model_probe(&f->m, &in, NULL), 0);
	frame_in_free(&in);
	buf_free(&b);
}

/* Rows stand as they were asked for, whichever the agent attached first; one function with and without a condition are two. */
static void test_stat_order(void **state)
{
	char *specs[] = { "parse_order if n > 1", "parse_order" };
	struct stat_fixture f;
	const char *plain, *with;

	setup_stat(&f);
	f.v.spec = specs;
	f.v.n_specs = 2;
	assert_int_equal(statview_tick(&f.v, &f.m, 2000000000), 0);
	statview_text(&f.v, &f.m, &f.o, 80, &f.text);
	assert_non_null(strstr(buf_text(&f.text), "\nparse_order "));
	learn_probe(&f, 2, true);
	buf_clear(&f.text);
	assert_int_equal(statview_tick(&f.v, &f.m, 3000000000), 0);
	statview_text(&f.v, &f.m, &f.o, 80, &f.text);
	with = strstr(buf_text(&f.text), "\nparse_order if n > 1 ");
	plain = strstr(buf_text(&f.text), "\nparse_order  ");
	assert_non_null(with);
	assert_non_null(plain);
	assert_true(with < plain);
	teardown_stat(&f);
}

/* Drawing again goes up by what was drawn, and never draws more than the screen has. */
static void test_redraw_in_place(void **state)
{
	struct statview v = { 0 };
	struct output o = { .fd = open("/dev/null", O_WRONLY), .terminal = true };
	struct buf text = { 0 };

	setenv("COLUMNS", "10", 1);
	setenv("LINES", "3", 1);
	buf_str(&text, "one\ntwo is longer\nthree\nfour\n");
	statview_draw(&v, &o, &text, false);
	assert_int_equal(v.drawn, 2);
	statview_draw(&v, &o, &text, false);
	assert_int_equal(v.drawn, 2);
	assert_int_equal(screen_excess(&o, &text), 2);
	buf_clear(&o.text);
	assert_int_equal(screen_redraw(&o, &text, 0, 0), 2);   /* two rows and the cursor's: one line, and what is left out */
	assert_string_equal(buf_text(&o.text), "\rone\033[K\n\r(3 more l~\033[K\n\033[J");
	buf_clear(&o.text);
	assert_int_equal(screen_redraw(&o, &text, 2, 1), 2);
	assert_string_equal(buf_text(&o.text), "\033[2A\r(3 more l~\033[K\n\rfour\033[K\n\033[J");
	setenv("LINES", "5", 1);
	buf_clear(&o.text);
	assert_int_equal(screen_redraw(&o, &text, 0, 1), 4);
	assert_string_equal(buf_text(&o.text), "\rone\033[K\n\rtwo is lo~\033[K\n\rthree\033[K\n\rfour\033[K\n\033[J");
	statview_draw(&v, &o, &text, true);             /* what stays is shown to the end, however many lines it has */
	assert_int_equal(v.drawn, 1);
	setenv("LINES", "1", 1);
	assert_in_range(screen_redraw(&o, &text, 0, 1), 0, 1);
	close(o.fd);
	unsetenv("COLUMNS");
	unsetenv("LINES");
	buf_free(&text);
	output_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aligned_and_safe),
		cmocka_unit_test(test_colours_of_states),
		cmocka_unit_test(test_cut_to_the_terminal),
		cmocka_unit_test(test_times_that_do_not_fit),
		cmocka_unit_test(test_json_rows),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_lines_that_do_not_fit),
		cmocka_unit_test(test_stat_ticks),
		cmocka_unit_test(test_stat_json),
		cmocka_unit_test(test_stat_order),
		cmocka_unit_test(test_redraw_in_place),
	};

	return cmocka_run_group_tests_name("cli_table", tests, NULL, NULL);
}
