/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes out of the resolver, a process that reads hostile files, is checked before anything goes by it: a changed
 * answer is refused, or decoding by it stays inside of the event (AddressSanitizer watches).
 */
#include "layouts.h"

#include "buf.h"
#include "decode.h"
#include "resolved.h"

static struct plan_op op(uint8_t code, uint32_t size, uint32_t off, uint8_t bit)
{
	return (struct plan_op){ .code = code, .size = size, .off = off, .bit = bit };
}

static void sample(struct resolved *r)
{
	struct plan *p = &r->plan;

	memset(r, 0, sizeof(*r));
	sample_layout(&r->layout);
	p->flags = PLAN_CALL | PLAN_SHIP;
	p->data_bytes = SAMPLE_BYTES;
	p->event_bytes = sizeof(struct event) + SAMPLE_BYTES;
	p->entry[p->n_entry++] = op(OP_REG, 8, 0, LAYOUT_BIT_NONE);
	p->entry[p->n_entry++] = op(OP_STORE, 8, 0, 0);
	p->entry[p->n_entry++] = op(OP_READ, 32, 8, 1);
	p->entry[p->n_entry++] = op(OP_STRING, 16, 40, 2);
	p->ret[p->n_return++] = op(OP_SPECIAL, 8, 0, LAYOUT_BIT_NONE);
	p->ret[p->n_return++] = op(OP_ERROR, 0, 0, LAYOUT_BIT_NONE);
	strcpy(r->function, "parse_order");
	strcpy(r->build_id, "cafe");
	strcpy(r->site.text, "push rbp");
	r->site.kind = SITE_EMULATED;
	r->offset = 0x1234;
	r->has_error = 1;
}

static void test_round_trip(void **state)
{
	struct resolved a, b;
	struct buf wire = { 0 }, again = { 0 }, one = { 0 }, two = { 0 };

	sample(&a);
	resolved_write(&a, &wire);
	resolved_write(&a, &wire);
	assert_int_equal(resolved_read(wire.data, wire.len, &b, NULL), wire.len / 2);
	assert_string_equal(b.function, "parse_order");
	assert_int_equal(b.offset, 0x1234);
	assert_memory_equal(&a.plan, &b.plan, sizeof(a.plan));
	layout_dump(&a.layout, &one);
	layout_dump(&b.layout, &two);
	assert_string_equal(buf_text(&one), buf_text(&two));
	/* It may grow: what it says about its room is true. */
	assert_true(layout_add(&b.layout, SHAPE_INT, "more", "") > 0);
	resolved_free(&a);
	resolved_free(&b);
	buf_free(&wire);
	buf_free(&again);
	buf_free(&one);
	buf_free(&two);
}

static void sample_pattern(struct resolved *r)
{
	static const char names[] = "db_open\0db_close";

	sample(r);
	r->plan.flags |= PLAN_PATTERN;
	r->n_functions = 2;
	r->functions = calloc(2, sizeof(*r->functions));
	r->functions[0] = (struct pattern_function){ .offset = 0x1000, .name = 0, .kind = SITE_EMULATED };
	r->functions[1] = (struct pattern_function){ .offset = 0x2000, .name = 8, .kind = SITE_STEPPED };
	r->names_len = sizeof(names);
	r->names = malloc(sizeof(names));
	memcpy(r->names, names, sizeof(names));
}

static void test_pattern(void **state)
{
	struct resolved a, b;
	struct buf wire = { 0 };

	sample_pattern(&a);
	assert_true(is_pattern(&a));
	resolved_write(&a, &wire);
	resolved_write(&a, &wire);
	assert_int_equal(resolved_read(wire.data, wire.len, &b, NULL), wire.len / 2);
	assert_int_equal(b.n_functions, 2);
	assert_int_equal(b.functions[1].offset, 0x2000);
	assert_string_equal(resolved_function_name(&b, 0), "db_open");
	assert_string_equal(resolved_function_name(&b, 1), "db_close");
	assert_string_equal(resolved_function_name(&b, 2), "parse_order");
	resolved_free(&a);
	resolved_free(&b);
	buf_free(&wire);
}

/* What makes a pattern's answer unsound, one thing at a time. */
static void spoil(struct resolved *r, int how)
{
	switch (how) {
	case 0: r->plan.flags &= ~(uint32_t)PLAN_PATTERN; break;
	case 1: r->n_functions = 0; break;
	case 2: r->names[r->names_len - 1] = 'x'; break;
	case 3: r->functions[1].name = r->names_len; break;
	case 4: r->functions[0].kind = SITE_KINDS; break;
	default: memset(r->note, 'x', sizeof(r->note)); break;
	}
}

static void test_refuses_patterns(void **state)
{
	for (int how = 0; how < 6; how++) {
		struct buf wire = { 0 };
		struct resolved a, b;

		sample_pattern(&a);
		spoil(&a, how);
		resolved_write(&a, &wire);
		if (resolved_read(wire.data, wire.len, &b, NULL) != -EPROTO)
			fail_msg("accepted: number %d", how);
		resolved_free(&a);
		buf_free(&wire);
	}
}

static void test_truncated(void **state)
{
	struct resolved a, b;
	struct buf wire = { 0 };

	sample_pattern(&a);
	resolved_write(&a, &wire);
	for (size_t len = 0; len < wire.len; len++) {
		char *copy = malloc(len ? len : 1);
		struct error err = { 0 };

		memcpy(copy, wire.data, len);
		assert_int_equal(resolved_read(copy, len, &b, &err), -EPROTO);
		assert_int_equal(err.code, EPROTO);
		resolved_free(&b); /* does no harm */
		free(copy);
	}
	resolved_free(&a);
	buf_free(&wire);
}

/* Decodes an event of exactly the size that the answer speaks of, full of `fill`. */
static void use(const struct resolved *r, int fill)
{
	struct event *ev = malloc(r->plan.event_bytes);
	struct buf out = { 0 };

	assert_true(r->plan.event_bytes >= sizeof(*ev) && r->plan.data_bytes <= PLAN_DATA_MAX);
	memset(ev, fill, r->plan.event_bytes);
	ev->flags = EVENT_RETURN;
	ev->unread = 0;
	decode_event(&r->layout, ev, 0, &out);
	assert_true(out.len <= 5 + 6 * 9 + r->layout.record_max);
	decode_unreadable(&r->layout);
	for (uint32_t i = 0; i <= r->n_functions; i++)
		buf_str(&out, resolved_function_name(r, i));
	buf_clear(&out);
	layout_pack_fields(&r->layout, &out);
	buf_clear(&out);
	layout_dump(&r->layout, &out);
	buf_free(&out);
	free(ev);
}

static size_t try_change(const struct buf *wire, size_t at, uint8_t change)
{
	char *copy = malloc(wire->len);
	struct resolved r;
	size_t accepted = 0;

	memcpy(copy, wire->data, wire->len);
	copy[at] ^= change;
	if (resolved_read(copy, wire->len, &r, NULL) > 0) {
		accepted = 1;
		use(&r, 0);
		use(&r, 0xff);
		resolved_free(&r);
	}
	free(copy);
	return accepted;
}

static void test_every_byte(void **state)
{
	static const uint8_t changes[] = { 0x01, 0x80, 0xff };
	struct resolved a;
	struct buf wire = { 0 };
	size_t accepted = 0, tried = 0;

	sample_pattern(&a);
	resolved_write(&a, &wire);
	for (size_t at = 0; at < wire.len; at++)
		for (size_t c = 0; c < sizeof(changes); c++, tried++)
			accepted += try_change(&wire, at, changes[c]);
	/* Names and values may change, sizes and numbers of things may not. */
	assert_true(accepted > 0 && accepted < tried);
	resolved_free(&a);
	buf_free(&wire);
}

static void test_refuses(void **state)
{
	static const struct { size_t at; uint8_t byte; const char *what; } changes[] = {
#define AT(f) offsetof(struct resolved, f)
		{ AT(plan.flags), PLAN_CALL | PLAN_OPEN, "any process" },
		{ AT(plan.data_bytes), 72, "more data than the event has" },
		{ AT(plan.data_bytes), 65, "odd sizes" },
		{ AT(plan.n_entry), PLAN_ENTRY_OPS + 1, "too many operations" },
		{ AT(plan.n_return), PLAN_RETURN_OPS + 1, "too many operations at return" },
		{ AT(plan.n_entry), 5, "an operation without a code" },
		{ AT(plan.entry[0].code), OP_ERROR + 1, "an unknown operation" },
		{ AT(plan.entry[0].b), GPR_COUNT, "an unknown register" },
		{ AT(plan.entry[0].size), 9, "a large register" },
		{ AT(plan.entry[0].dst), PLAN_REGS, "a machine register too far" },
		{ AT(plan.entry[1].off), 57, "a store beyond the event" },
		{ AT(plan.entry[1].bit), PLAN_READ_BITS, "an unknown read bit" },
		{ AT(plan.entry[2].size), 57, "a read beyond the event" },
		{ AT(plan.entry[2].size), 0, "an empty read" },
		{ AT(plan.entry[3].size), 17, "a text beyond the event" },
		{ AT(plan.ret[0].b), SPECIALS, "an unknown special" },
		{ AT(site.kind), SITE_KINDS, "an unknown kind of site" },
		{ AT(site.length), 16, "a long instruction" },
	};
	struct resolved a, b;
	struct buf wire = { 0 };

	sample(&a);
	memset(a.site.reason, 'x', sizeof(a.site.reason));
	resolved_write(&a, &wire);
	assert_int_equal(resolved_read(wire.data, wire.len, &b, NULL), -EPROTO);
	a.site.reason[0] = '\0';
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		buf_clear(&wire);
		resolved_write(&a, &wire);
		assert_int_equal(resolved_read(wire.data, wire.len, &b, NULL), wire.len);
		resolved_free(&b);
		wire.data[changes[i].at] = (char)changes[i].byte;
		if (resolved_read(wire.data, wire.len, &b, NULL) != -EPROTO)
			fail_msg("accepted: %s", changes[i].what);
	}
	resolved_free(&a);
	buf_free(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_pattern), cmocka_unit_test(test_refuses_patterns),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
