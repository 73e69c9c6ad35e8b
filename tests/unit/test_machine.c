/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan machine in the kernel against an interpreter in C.  Random plans, the same ones in each run, are attached to a
 * function of this process; what they leave in their events must be what the interpreter says, value by value and read
 * bit by read bit.
 */
#include "kernel_probe.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/uio.h>

/* A function whose registers are all known: one cheap instruction to sit on, then rax = rdi. */
long machine_target(long a, long b, long c, long d, long e, long f);
__asm__(".text\n.globl machine_target\n.type machine_target, @function\nmachine_target:\n"
	"	nop\n	mov %rdi, %rax\n	ret\n.size machine_target, . - machine_target\n");

static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % below;
}

/* ---- the interpreter ---- */

struct reference {
	uint64_t args[6];
	struct { uint64_t v; bool bad; } r[PLAN_REGS];
	uint64_t unread;
	uint8_t data[PLAN_DATA_MAX];
	bool matched, error;
	unsigned undecided;
};

static uint64_t extend(uint64_t v, unsigned bits, bool sign)
{
	if (bits >= 64)
		return v;
	v &= (1ULL << bits) - 1;
	return sign && v >> (bits - 1) ? v | ~0ULL << bits : v;
}

static bool read_self(void *to, uint64_t from, size_t len)
{
	struct iovec a = { to, len }, z = { (void *)from, len };

	return process_vm_readv(getpid(), &a, 1, &z, 1, 0) == (ssize_t)len;
}

static uint64_t user_reg(const struct reference *m, uint8_t reg)
{
	static const int arg_of[GPR_COUNT] = { [GPR_DI] = 0, [GPR_SI] = 1, [GPR_DX] = 2, [GPR_CX] = 3, [GPR_R8] = 4, [GPR_R9] = 5 };

	return m->args[arg_of[reg]];
}

static bool divide(uint8_t sub, uint64_t a, uint64_t b, uint64_t *out)
{
	bool overflow = a == 1ULL << 63 && b == ~0ULL;

	*out = 0;
	if (!b)
		return false;
	switch (sub) {
	case BIN_DIV_U: *out = a / b; break;
	case BIN_MOD_U: *out = a % b; break;
	case BIN_DIV_S: *out = overflow ? a : (uint64_t)((int64_t)a / (int64_t)b); break;
	case BIN_MOD_S: *out = overflow ? 0 : (uint64_t)((int64_t)a % (int64_t)b); break;
	}
	return true;
}

static uint64_t compute(uint8_t sub, uint64_t a, uint64_t b)
{
	int64_t sa = (int64_t)a, sb = (int64_t)b;

	switch (sub) {
	case BIN_ADD: return a + b;
	case BIN_SUB: return a - b;
	case BIN_MUL: return a * b;
	case BIN_AND: return a & b;
	case BIN_OR: return a | b;
	case BIN_XOR: return a ^ b;
	case BIN_SHL: return a << (b & 63);
	case BIN_SHR_U: return a >> (b & 63);
	case BIN_SHR_S: return (uint64_t)(sa >> (b & 63));
	case BIN_EQ: return a == b;
	case BIN_NE: return a != b;
	case BIN_LT_U: return a < b;
	case BIN_LT_S: return sa < sb;
	case BIN_LE_U: return a <= b;
	default: return sa <= sb;
	}
}

static void binary(struct reference *m, const struct plan_op *op)
{
	uint64_t a = m->r[op->a].v, b = m->r[op->b].v, v = 0;
	bool bad_a = m->r[op->a].bad, bad_b = m->r[op->b].bad, bad = bad_a || bad_b;

	if (op->sub == BIN_LAND) {
		bool no = (!bad_a && !a) || (!bad_b && !b);

		v = !no;
		bad = bad && !no;
	} else if (op->sub == BIN_LOR) {
		v = (!bad_a && a) || (!bad_b && b);
		bad = bad && !v;
	} else if (op->sub >= BIN_DIV_U && op->sub <= BIN_MOD_S) {
		bad = !divide(op->sub, a, b, &v) || bad;
	} else {
		v = compute(op->sub, a, b);
	}
	m->r[op->dst].v = v;
	m->r[op->dst].bad = bad;
}

static void set(struct reference *m, uint8_t dst, uint64_t v, bool bad)
{
	m->r[dst].v = v;
	m->r[dst].bad = bad;
}

static void mark(struct reference *m, uint8_t bit, bool bad)
{
	if (bit != NO_BIT && bad)
		m->unread |= 1ULL << bit;
}

static void load(struct reference *m, const struct plan_op *op)
{
	uint64_t v = 0;
	bool bad = m->r[op->a].bad || !read_self(&v, m->r[op->a].v + (uint64_t)op->imm, op->size);

	mark(m, op->bit, bad);
	set(m, op->dst, extend(v, op->size * 8, op->sign), bad);
}

static void data(struct reference *m, const struct plan_op *op)
{
	uint64_t v = 0;

	memcpy(&v, m->data + op->off, op->size);
	set(m, op->dst, extend(v, op->size * 8, op->sign), op->bit != NO_BIT && m->unread >> op->bit & 1);
}

static void special(struct reference *m, const struct plan_op *op)
{
	uint64_t pid = (uint64_t)getpid(), tid = (uint64_t)gettid();

	set(m, op->dst, op->b == SPECIAL_RET ? extend(m->args[0], op->size * 8, op->sign) : op->b == SPECIAL_PID ? pid : tid, false);
}

/* Returns false if the call does not match. */
static bool step(struct reference *m, const struct plan_op *op)
{
	uint64_t v = m->r[op->a].v;
	bool bad = m->r[op->a].bad;

	switch (op->code) {
	case OP_REG: set(m, op->dst, extend(user_reg(m, op->b), op->size * 8, op->sign), false); break;
	case OP_IMM: set(m, op->dst, (uint64_t)op->imm, false); break;
	case OP_LOAD: load(m, op); break;
	case OP_DATA: data(m, op); break;
	case OP_SPECIAL: special(m, op); break;
	case OP_BITS: set(m, op->dst, extend(v >> op->b, op->size, op->sign), bad); break;
	case OP_BINARY: binary(m, op); break;
	case OP_UNARY: set(m, op->dst, op->sub == UN_NEG ? -v : op->sub == UN_NOT ? ~v : !v, bad); break;
	case OP_STORE:
		memcpy(m->data + op->off, &v, 8);
		mark(m, op->bit, bad);
		break;
	case OP_READ:
		mark(m, op->bit, bad || !read_self(m->data + op->off, v + (uint64_t)op->imm, op->size));
		break;
	case OP_REQUIRE:
		m->undecided += bad;
		return !bad && v;
	case OP_ERROR:
		m->undecided += bad;
		m->error = !bad && v;
		break;
	default:
		fail_msg("the interpreter does not know operation %u", op->code);
	}
	return true;
}

static void interpret(const struct plan *p, const uint64_t args[6], struct reference *m)
{
	memset(m, 0, sizeof(*m));
	memcpy(m->args, args, sizeof(m->args));
	m->matched = true;
	for (uint32_t i = 0; m->matched && i < p->n_entry; i++)
		m->matched = step(m, &p->entry[i]);
	memset(m->r, 0, sizeof(m->r));
	for (uint32_t i = 0; m->matched && i < p->n_return; i++)
		m->matched = step(m, &p->ret[i]);
}

/* ---- random plans ---- */

/* Data: the registers at entry, those at return (calls only), bytes that were read, cells that are written and read back. */
enum { STORES = PLAN_REGS, RETURN_AT = STORES * 8, READ_BYTES = 40, CELLS = 4, READ_BIT = 40, CELL_BIT = 50 };

static uint32_t read_at(const struct plan *p)
{
	return p->flags & PLAN_CALL ? 2 * RETURN_AT : RETURN_AT;
}

static uint32_t cells_at(const struct plan *p)
{
	return read_at(p) + READ_BYTES;
}

static uint32_t any_size(void)
{
	return 1U << rnd(4);
}

static struct plan_op random_op(bool at_return, uint32_t cells)
{
	static const uint8_t regs[] = { GPR_DI, GPR_SI, GPR_DX, GPR_CX, GPR_R8, GPR_R9 };
	static const int64_t imms[] = { 0, 1, -1, 2, 7, 63, 64, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1LL << 32 };
	struct plan_op op = { .dst = (uint8_t)rnd(PLAN_REGS), .a = (uint8_t)rnd(PLAN_REGS), .b = (uint8_t)rnd(PLAN_REGS),
			      .sign = (uint8_t)rnd(2), .bit = NO_BIT };

	switch (rnd(22)) {
	case 16: case 17: case 18:
		op.code = OP_STORE;
		op.size = 8;
		op.bit = (uint8_t)(CELL_BIT + rnd(CELLS));
		op.off = cells + (uint32_t)(rnd(2) ? rnd(CELLS) : op.bit - (uint64_t)CELL_BIT) * 8;
		break;
	case 19: case 20: case 21:
		op.code = OP_DATA;
		op.size = rnd(4) ? 8 : any_size();
		op.bit = (uint8_t)(CELL_BIT + rnd(CELLS));
		op.off = cells + (uint32_t)(op.bit - CELL_BIT) * 8;
		break;
	case 0:
		op.code = at_return ? OP_DATA : OP_REG;
		op.b = regs[rnd(6)];
		op.size = any_size();
		op.off = (uint32_t)(rnd(STORES) * 8);
		op.bit = at_return ? (uint8_t)(op.off / 8) : NO_BIT;
		break;
	case 1:
		op.code = OP_IMM;
		op.imm = imms[rnd(sizeof(imms) / sizeof(imms[0]))];
		break;
	case 2: case 3:
		op.code = OP_LOAD;
		op.size = any_size();
		op.imm = (int64_t)rnd(16);
		op.bit = (uint8_t)(READ_BIT + 1 + rnd(3));
		break;
	case 4:
		op.code = OP_SPECIAL;
		op.b = at_return && rnd(2) ? SPECIAL_RET : rnd(2) ? SPECIAL_PID : SPECIAL_TID;
		op.size = op.b == SPECIAL_RET ? any_size() : 8;
		break;
	case 5:
		op.code = OP_BITS;
		op.b = (uint8_t)rnd(64);
		op.size = (uint32_t)(1 + rnd(64 - op.b));
		break;
	case 6: case 7:
		op.code = OP_UNARY;
		op.sub = (uint8_t)rnd(UN_LNOT + 1);
		break;
	default:
		op.code = OP_BINARY;
		op.sub = (uint8_t)rnd(BIN_LOR + 1);
		break;
	}
	return op;
}

static void store_all(struct plan_op *ops, uint32_t *n, uint32_t off, uint8_t bit)
{
	for (uint8_t i = 0; i < PLAN_REGS; i++)
		ops[(*n)++] = (struct plan_op){ .code = OP_STORE, .a = i, .size = 8, .off = off + 8 * i, .bit = (uint8_t)(bit + i) };
}

static void random_plan(struct plan *p, bool call)
{
	static const uint8_t regs[] = { GPR_DI, GPR_SI, GPR_DX, GPR_CX, GPR_R8, GPR_R9 };

	memset(p, 0, sizeof(*p));
	p->flags = PLAN_SHIP | (call ? PLAN_CALL : 0);
	p->data_bytes = cells_at(p) + CELLS * 8;
	for (uint8_t i = 0; i < 6; i++)
		p->entry[p->n_entry++] = (struct plan_op){ .code = OP_REG, .dst = i, .b = regs[i], .size = any_size(),
							   .sign = (uint8_t)rnd(2), .bit = NO_BIT };
	p->entry[p->n_entry++] = (struct plan_op){ .code = OP_REG, .dst = 6, .b = GPR_DI, .size = 8, .bit = NO_BIT };
	p->entry[p->n_entry++] = (struct plan_op){ .code = OP_REG, .dst = 7, .b = GPR_SI, .size = 8, .bit = NO_BIT };
	p->entry[p->n_entry++] = (struct plan_op){ .code = OP_READ, .a = (uint8_t)(6 + rnd(2)), .imm = (int64_t)rnd(9),
						   .off = read_at(p), .size = (uint32_t)(1 + rnd(40)), .bit = READ_BIT };
	for (uint8_t i = 0; i < CELLS; i++)
		p->entry[p->n_entry++] = (struct plan_op){ .code = OP_STORE, .a = 6, .off = cells_at(p) + 8 * i, .size = 8,
							   .bit = (uint8_t)(CELL_BIT + i) };
	for (uint64_t n = rnd(20); n > 0; n--)
		p->entry[p->n_entry++] = random_op(false, cells_at(p));
	if (rnd(4) == 0)
		p->entry[p->n_entry++] = (struct plan_op){ .code = OP_REQUIRE, .a = (uint8_t)rnd(PLAN_REGS), .bit = NO_BIT };
	store_all(p->entry, &p->n_entry, 0, 0);
	if (!call)
		return;
	for (uint64_t n = 2 + rnd(16); n > 0; n--)
		p->ret[p->n_return++] = random_op(true, cells_at(p));
	p->ret[p->n_return++] = (struct plan_op){ .code = OP_ERROR, .a = (uint8_t)rnd(PLAN_REGS), .bit = NO_BIT };
	if (rnd(4) == 0)
		p->ret[p->n_return++] = (struct plan_op){ .code = OP_REQUIRE, .a = (uint8_t)rnd(PLAN_REGS), .bit = NO_BIT };
	store_all(p->ret, &p->n_return, RETURN_AT, PLAN_REGS);
}

static uint8_t readable[256];
static uint8_t *edge;          /* the last bytes of a page that no readable one follows */

static void random_args(uint64_t args[6])
{
	const uint64_t values[] = { 0, 1, ~0ULL, 2, 3, 10, 1ULL << 31, 1ULL << 32, 1ULL << 63, ~0ULL >> 1, 255, 0x8000,
				    (uint64_t)readable, (uint64_t)readable + 3, (uint64_t)edge, 0xdead0000, seed };

	for (int i = 0; i < 6; i++)
		args[i] = values[rnd(sizeof(values) / sizeof(values[0]))];
	if (rnd(2))
		args[rnd(2)] = (uint64_t)readable;
}

/* ---- comparing ---- */

enum { CALLS = 8 };

struct expectation {
	const struct plan *plan;
	struct reference call[CALLS];
	unsigned next, taken, wrong;
	uint64_t seed;
};

static void wrong(struct expectation *x, const char *what, uint64_t got, uint64_t want)
{
	if (x->wrong++ < 10)
		print_error("plan of seed %lu, call %u, %s: %lx, expected %lx\n", (unsigned long)x->seed, x->next, what,
			    (unsigned long)got, (unsigned long)want);
}

static void compare_cells(struct expectation *x, const struct event *ev, const struct reference *m, uint32_t off, uint8_t bit)
{
	for (uint8_t i = 0; i < PLAN_REGS; i++) {
		uint64_t got, want;

		memcpy(&got, ev->data + off + 8 * i, 8);
		memcpy(&want, m->data + off + 8 * i, 8);
		if (!(m->unread >> (bit + i) & 1) && got != want)
			wrong(x, "cell", got, want);
	}
}

static void take(const struct event *ev, size_t len, void *arg)
{
	struct expectation *x = arg;
	const struct reference *m;

	x->taken++;
	while (x->next < CALLS && !x->call[x->next].matched)
		x->next++;
	if (x->next >= CALLS) {
		wrong(x, "an event too many", ev->ts_ns, 0);
		return;
	}
	m = &x->call[x->next];
	if (ev->unread != m->unread)
		wrong(x, "unread", ev->unread, m->unread);
	compare_cells(x, ev, m, 0, 0);
	if (x->plan->flags & PLAN_CALL) {
		compare_cells(x, ev, m, RETURN_AT, PLAN_REGS);
		if (!!(ev->flags & EVENT_ERROR) != m->error)
			wrong(x, "error", ev->flags, m->error);
	}
	if (!(m->unread >> READ_BIT & 1) && memcmp(ev->data + read_at(x->plan), m->data + read_at(x->plan), READ_BYTES))
		wrong(x, "bytes that were read", 0, 0);
	x->next++;
}

/* The bytes beyond what OP_READ asked for are left over from the call before. */
static void forget_leftovers(struct plan *p)
{
	for (uint32_t i = 0; i < p->n_entry; i++)
		if (p->entry[i].code == OP_READ)
			p->entry[i].size = READ_BYTES;
}

static void check_totals(struct expectation *x, const struct counts *c)
{
	unsigned matched = 0, errors = 0, undecided = 0;

	for (int i = 0; i < CALLS; i++) {
		matched += x->call[i].matched;
		errors += x->call[i].matched && x->call[i].error;
		undecided += x->call[i].undecided;
	}
	if (c->calls != CALLS)
		wrong(x, "calls", c->calls, CALLS);
	if (c->matched != matched)
		wrong(x, "matched", c->matched, matched);
	if (c->shipped != matched || x->taken != matched)
		wrong(x, "shipped", c->shipped, matched);
	if (c->errors != errors)
		wrong(x, "errors", c->errors, errors);
	if (!!c->undecided != !!undecided)
		wrong(x, "undecided", c->undecided, undecided);
}

static unsigned run_plan(uint64_t from, enum attach_method method)
{
	static struct expectation x;
	static struct plan plan;
	struct load_options options = { .method = method };
	struct loaded *l;
	struct counts c;

	memset(&x, 0, sizeof(x));
	x.seed = seed = from;
	random_plan(&plan, from % 4 != 0);
	forget_leftovers(&plan);
	x.plan = &plan;
	l = probe(&plan, &options, machine_target);
	for (int i = 0; i < CALLS; i++) {
		uint64_t a[6];

		random_args(a);
		interpret(&plan, a, &x.call[i]);
		machine_target((long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4], (long)a[5]);
	}
	rings_consume(rings, take, &x, SIZE_MAX);
	c = counts_of(l);
	check_totals(&x, &c);
	loader_free(l);
	return x.wrong;
}

static void random_plans(enum attach_method method, unsigned plans)
{
	unsigned failed = 0;

	if (!method_works(method)) {
		print_message("this kernel has no %s links\n", attach_method_name(method));
		skip();
	}
	for (unsigned i = 1; i <= plans; i++)
		failed += run_plan(0x9e3779b97f4a7c15ULL * i + (uint64_t)method, method) != 0;
	assert_int_equal(failed, 0);
}

static void test_session(void **state)
{
	NEEDS_KERNEL();
	random_plans(ATTACH_SESSION, 40);
}

static void test_multi(void **state)
{
	NEEDS_KERNEL();
	random_plans(ATTACH_MULTI, 15);
}

static void test_perf(void **state)
{
	NEEDS_KERNEL();
	random_plans(ATTACH_PERF, 8);
}

/* ---- texts ---- */

static struct plan text_plan(const char *literal, uint8_t sub, uint32_t room)
{
	static const struct plan_op store = { .code = OP_STORE, .a = 1, .size = 8, .off = 0, .bit = 1 };
	struct plan p = { .flags = PLAN_SHIP, .data_bytes = 8 + 88, .n_entry = 4 };

	memcpy(p.literal[2], literal, strlen(literal));
	memset(p.literal_mask[2], 0xff, strlen(literal) + 1);
	p.entry[0] = (struct plan_op){ .code = OP_REG, .b = GPR_DI, .size = 8, .bit = NO_BIT };
	p.entry[1] = (struct plan_op){ .code = OP_STRING, .sub = sub, .size = room, .off = 8, .bit = 0 };
	p.entry[2] = (struct plan_op){ .code = OP_STREQ, .dst = 1, .b = 2, .off = 8, .bit = 0 };
	p.entry[3] = store;
	return p;
}

struct text_seen { uint64_t equal, unread; struct event_string text; unsigned events; };

static void take_text(const struct event *ev, size_t len, void *arg)
{
	struct text_seen *seen = arg;

	memcpy(&seen->equal, ev->data, 8);
	memcpy(&seen->text, ev->data + 8, sizeof(seen->text));
	seen->unread = ev->unread;
	seen->events++;
}

static struct text_seen see_text(const char *text, const char *literal, uint8_t sub, uint32_t room)
{
	struct load_options options = { .method = ATTACH_AUTO };
	struct plan p = text_plan(literal, sub, room);
	struct text_seen seen = { 0 };
	struct loaded *l = probe(&p, &options, machine_target);

	machine_target((long)text, 0, 0, 0, 0, 0);
	rings_consume(rings, take_text, &seen, SIZE_MAX);
	loader_free(l);
	assert_int_equal(seen.events, 1);
	return seen;
}

static void test_texts(void **state)
{
	static const char s63[] = "012345678901234567890123456789012345678901234567890123456789abc";
	static const char s64[] = "012345678901234567890123456789012345678901234567890123456789abcd";
	const struct { const char *text, *literal; uint32_t room; bool equal; uint32_t len, cut; } cases[] = {
		{ "bob", "bob", 65, true, 3, 0 }, { "bo", "bob", 65, false, 2, 0 }, { "bobby", "bob", 65, false, 5, 0 },
		{ "", "", 65, true, 0, 0 }, { "", "bob", 65, false, 0, 0 }, { "b", "", 65, false, 1, 0 },
		{ "12345678", "12345678", 65, true, 8, 0 }, { "12345679", "12345678", 65, false, 8, 0 },
		{ s63, s63, 65, true, 63, 0 }, { s64, s63, 65, false, 64, 0 },
		{ "abcdef", "abc", 4, true, 3, 1 }, { "abc", "abc", 4, true, 3, 0 }, { "abcd", "zzz", 5, false, 4, 0 },
		{ "abcde", "zzz", 5, false, 4, 1 },
	};

	NEEDS_KERNEL();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text_seen seen = see_text(cases[i].text, cases[i].literal, 0, cases[i].room);

		if (seen.equal != cases[i].equal || seen.text.len != cases[i].len || seen.text.cut != cases[i].cut || seen.unread)
			fail_msg("case %zu: equal %lu, %u bytes, cut %u, unread %lu", i, (unsigned long)seen.equal,
				 seen.text.len, seen.text.cut, (unsigned long)seen.unread);
	}
}

static void test_text_nowhere(void **state)
{
	struct text_seen seen;

	NEEDS_KERNEL();
	seen = see_text(NULL, "bob", STRING_NULL_IS_A_VALUE, 65);
	assert_int_equal(seen.equal, 0);
	assert_int_equal(seen.unread, 0);
	seen = see_text(NULL, "", STRING_NULL_IS_A_VALUE, 65);
	assert_int_equal(seen.equal, 0);
	seen = see_text(NULL, "bob", 0, 65);
	assert_int_equal(seen.unread, 3);
	seen = see_text((const char *)0xdead0000, "bob", STRING_NULL_IS_A_VALUE, 65);
	assert_int_equal(seen.unread, 3);
	seen = see_text((const char *)edge + 12, "xxxx", STRING_NULL_IS_A_VALUE, 65); /* runs out of its page */
	assert_int_equal(seen.unread, 3);
}

/* What counts as an error by default has an operation of its own. */
static unsigned errors_seen(const struct plan_op *get, uint8_t sub, const long *values, size_t n)
{
	const struct load_options options = { 0 };
	struct plan plan = { .flags = PLAN_CALL, .n_return = 4 };
	struct loaded *l;
	struct counts c;

	plan.ret[0] = *get;
	plan.ret[1] = (struct plan_op){ .code = OP_IMM, .dst = 1, .bit = NO_BIT };
	plan.ret[2] = (struct plan_op){ .code = OP_BINARY, .sub = sub, .a = 0, .b = 1, .bit = NO_BIT };
	plan.ret[3] = (struct plan_op){ .code = OP_ERROR, .bit = NO_BIT };
	l = probe(&plan, &options, machine_target);
	for (size_t i = 0; i < n; i++)
		machine_target(values[i], 0, 0, 0, 0, 0);
	c = counts_of(l);
	loader_free(l);
	assert_int_equal(c.calls, n);
	return (unsigned)c.errors;
}

static void test_default_error(void **state)
{
	static const long values[] = { 0, 1, -1, 0x7f, 0x80, 0xff, 0x100, 0x8000, 0x10000, 0x80000000L, 0x100000000L,
				       LONG_MIN, LONG_MAX };
	const size_t n = sizeof(values) / sizeof(values[0]);

	NEEDS_KERNEL();
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned sign = 0; sign < 2; sign++) {
			const struct plan_op get = { .code = OP_SPECIAL, .b = SPECIAL_RET, .size = size, .sign = (uint8_t)sign,
						     .bit = NO_BIT };
			unsigned negative = 0, zero = 0;

			for (size_t i = 0; i < n; i++) {
				uint64_t v = extend((uint64_t)values[i], size * 8, sign);

				negative += (int64_t)v < 0;
				zero += !v;
			}
			assert_int_equal(errors_seen(&get, BIN_LT_S, values, n), negative);
			assert_int_equal(errors_seen(&get, BIN_EQ, values, n), zero);
		}
	}
}

/* What is read through a NULL pointer is not there: never zeros. */
static void take_unread(const struct event *ev, size_t len, void *arg)
{
	*(uint64_t *)arg = ev->unread;
}

static void test_read_through_null(void **state)
{
	struct plan p = { .flags = PLAN_SHIP, .data_bytes = 8, .n_entry = 2 };
	struct load_options options = { .method = ATTACH_AUTO };
	uint64_t unread = 0;
	struct loaded *l;

	NEEDS_KERNEL();
	p.entry[0] = (struct plan_op){ .code = OP_REG, .b = GPR_DI, .size = 8, .bit = NO_BIT };
	p.entry[1] = (struct plan_op){ .code = OP_READ, .imm = 8, .size = 4, .bit = 5 };
	l = probe(&p, &options, machine_target);
	machine_target(0, 0, 0, 0, 0, 0);
	rings_consume(rings, take_unread, &unread, SIZE_MAX);
	assert_int_equal(unread, 1 << 5);
	loader_free(l);
}

static int setup(void **state)
{
	uint8_t *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED || mprotect(pages + 4096, 4096, PROT_NONE))
		return -1;
	memset(pages, 'x', 4096);
	edge = pages + 4096 - 16;
	for (unsigned i = 0; i < sizeof(readable); i++)
		readable[i] = (uint8_t)(i * 37 + 11);
	return kernel_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session), cmocka_unit_test(test_multi), cmocka_unit_test(test_perf),
		cmocka_unit_test(test_texts), cmocka_unit_test(test_text_nowhere), cmocka_unit_test(test_read_through_null),
		cmocka_unit_test(test_default_error),
	};

	return cmocka_run_group_tests(tests, setup, kernel_teardown);
}
