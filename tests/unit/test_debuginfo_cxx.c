/* SPDX-License-Identifier: Apache-2.0 */
/* C++: names in scopes, methods, what is passed by reference, bases, templates; under ptrace as in test_debuginfo_abi.c. */
#include "debuginfo_truth.h"

static const char source[] =
	"#define API __attribute__((noinline))\n"
	"#define KEEP(x) __asm__ volatile(\"\" : : \"r\"(x) : \"memory\")\n"
	"volatile long sink;\n"
	"namespace ns {\n"
	"struct Empty {}; struct Trivial { long a; int b; };\n"
	"struct Owner { int x; Owner(int v) : x(v) {} ~Owner() { sink = x; } };\n"
	"struct Copied { int x; Copied(int v) : x(v) {} Copied(const Copied &o) : x(o.x) {} };\n"
	"struct Holder { Copied c; };\n"
	"struct Virtual { virtual int go(int) { return 3; } int q; };\n"
	"struct Base { int id; }; struct Other { long tag; };\n"
	"class Order : public Base, public Other { public: long z; static int count; int sum(int a, Empty e, int b) const; };\n"
	"int Order::count;\n"
	"enum class Color : unsigned char { Red = 1, Blue = 200 };\n"
	"API int Order::sum(int a, Empty e, int b) const { KEEP(this); return id + a + b; }\n"
	"API int passed(Owner d, Trivial t, int k, Copied c, Holder h, Color col) { KEEP(&d); KEEP(&c); KEEP(&h); return t.b + k + d.x; }\n"
	"API Owner made(int a) { KEEP(&a); return Owner(a); }\n"
	"API Trivial plain(int a) { KEEP(&a); return Trivial{ a, a + 1 }; }\n"
	"template <class T> struct Box { T v; API int push(T x) { v = x; KEEP(this); return 1; } };\n"
	"namespace { API int hidden(int &&r, Virtual *v) { KEEP(v); return r + v->q; } }\n"
	"API int passed(Order *only_one) { KEEP(only_one); return only_one->id; }\n"
	"struct Outer { int o; struct Inner { int i; union Part { int p; int deep(int); }; struct Last { int l; }; int in(Last *); }; };\n"
	"API int Outer::Inner::Part::deep(int a) { KEEP(this); return p + a; }\n"
	"API int Outer::Inner::in(Last *last) { KEEP(this); return i + last->l; }\n"
	"inline namespace v1 { API int versioned(Order &o) { KEEP(&o); return (int)o.tag; } }\n"
	"}\n"
	"API int Order_free(ns::Order *o) { KEEP(o); return 5; }\n"
	"int main() { ns::Order o; o.id = 1; o.tag = 9; ns::Virtual v; v.q = 4; ns::Box<int> b; ns::Box<const char *> c;\n"
	"  ns::Owner m = ns::made(2); ns::Trivial p = ns::plain(3);\n"
	"  sink = o.sum(11, {}, 12) + ns::passed(ns::Owner(5), p, 6, ns::Copied(7), ns::Holder{ns::Copied(8)}, ns::Color::Blue);\n"
	"  sink = ns::hidden(13, &v) + ns::passed(&o) + ns::versioned(o) + Order_free(&o) + b.push(14) + c.push(\"x\") + m.x;\n"
	"  ns::Outer::Inner::Part q; q.p = 1; ns::Outer::Inner in; in.i = 2; ns::Outer::Inner::Last l; l.l = 3;\n"
	"  sink = q.deep(15) + in.in(&l);\n"
	"  return 0; }\n";

struct names { const char *request; int count; const char *first; };

static const struct names names[] = {
	{ "sum", 1, "ns::Order::sum" },
	{ "Order::sum", 1, "ns::Order::sum" },
	{ "ns::Order::sum", 1, "ns::Order::sum" },
	{ "::ns::Order::sum", 1, "ns::Order::sum" },
	{ "der::sum", 0, NULL },
	{ "other::Order::sum", 0, NULL },
	{ "passed", 2, NULL },
	{ "ns::passed", 2, NULL },
	{ "hidden", 1, "ns::(anonymous namespace)::hidden" },
	{ "ns::hidden", 1, "ns::(anonymous namespace)::hidden" },
	{ "push", 2, NULL },
	{ "Box::push", 2, NULL },
	{ "ns::Box<int>::push", 1, "ns::Box<int>::push" },
	{ "versioned", 1, "ns::v1::versioned" },
	{ "Order_free", 1, "Order_free" },
	{ "main", 1, "main" },
	{ "deep", 1, "ns::Outer::Inner::Part::deep" },
	{ "Part::deep", 1, "ns::Outer::Inner::Part::deep" },
	{ "Inner::deep", 0, NULL },
	{ "ns::Outer::Inner::in", 1, "ns::Outer::Inner::in" },
	{ "_ZN2ns4madeEi", 1, "ns::made" },
	{ "sums", 0, NULL },
};

struct build { const char *command; bool optimised; };

static const struct build builds[] = {
	{ "clang++-19 -fno-exceptions -fno-rtti -nostdlib++ -std=c++17 -O0 -gdwarf-4", false },
	{ "clang++-19 -fno-exceptions -fno-rtti -nostdlib++ -std=c++17 -O0 -gdwarf-5", false },
	{ "clang++-19 -fno-exceptions -fno-rtti -nostdlib++ -std=c++17 -O2 -gdwarf-4", true },
	{ "clang++-19 -fno-exceptions -fno-rtti -nostdlib++ -std=c++17 -O2 -gdwarf-5", true },
	{ "g++ -fno-exceptions -fno-rtti -std=c++17 -O0 -gdwarf-4", false },
	{ "g++ -fno-exceptions -fno-rtti -std=c++17 -O0 -gdwarf-5", false },
	{ "g++ -fno-exceptions -fno-rtti -std=c++17 -O2 -gdwarf-5", true },
};

enum { BUILDS = sizeof(builds) / sizeof(builds[0]) };

static const struct build *building;

/* g++ is not among what plumb's build needs. */
static bool can_build(size_t i)
{
	building = &builds[i];
	if (strncmp(building->command, "g++", 3) == 0 && system("command -v g++ >/dev/null 2>&1") != 0)
		return false;
	sh("%s -w -o cxx cxx.cc", building->command);
	return true;
}

static void test_names(void **state)
{
	for (size_t i = 0; i < BUILDS && can_build(i); i++) {
		struct opened o = must_open_debug("cxx");

		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			const struct function **found;
			struct error err = { 0 };
			int n = debuginfo_find(o.di, names[k].request, &found, &err);

			if (n != names[k].count)
				fail_msg("%s: %d functions '%s'", builds[i].command, n, names[k].request);
			if (names[k].first)
				assert_string_equal(found[0]->name, names[k].first);
			if (n > 0)
				assert_int_equal(found[0]->lang, LANG_CXX);
			free(found);
		}
		close_debug(&o);
	}
}

/* A class in a class is named by both, whether the index has looked into the outer one or not. */
static void test_nested_types(void **state)
{
	for (size_t i = 0; i < BUILDS && can_build(i); i++) {
		struct opened o = must_open_debug("cxx");
		const struct function *fn = must_find_function(&o, "Inner::in");

		assert_string_equal(must_find_param(fn, "last")->type->name, "ns::Outer::Inner::Last *");
		close_debug(&o);
	}
}

struct want { const char *linkage, *param; int value; };

static const struct want wants[] = {
	{ "_ZNK2ns5Order3sumEiNS_5EmptyEi", "a", 11 },
	{ "_ZNK2ns5Order3sumEiNS_5EmptyEi", "b", 12 },
	{ "_ZN2ns6passedENS_5OwnerENS_7TrivialEiNS_6CopiedENS_6HolderENS_5ColorE", "d", 5 },
	{ "_ZN2ns6passedENS_5OwnerENS_7TrivialEiNS_6CopiedENS_6HolderENS_5ColorE", "t", 3 },
	{ "_ZN2ns6passedENS_5OwnerENS_7TrivialEiNS_6CopiedENS_6HolderENS_5ColorE", "k", 6 },
	{ "_ZN2ns6passedENS_5OwnerENS_7TrivialEiNS_6CopiedENS_6HolderENS_5ColorE", "c", 7 },
	{ "_ZN2ns6passedENS_5OwnerENS_7TrivialEiNS_6CopiedENS_6HolderENS_5ColorE", "h", 8 },
	{ "_ZN2ns6passedENS_5OwnerENS_7TrivialEiNS_6CopiedENS_6HolderENS_5ColorE", "col", 200 },
	{ "_ZN2ns4madeEi", "a", 2 },
	{ "_ZN2ns4madeEi", NULL, 2 },
	{ "_ZN2ns5plainEi", NULL, 3 },
	{ "_ZN2ns3BoxIiE4pushEi", "x", 14 },
};

enum { WANTS = sizeof(wants) / sizeof(wants[0]) };

static int checked;

static void check_stop(struct tracee *t, const struct stop *s, const struct user_regs_struct *regs)
{
	for (int i = 0; i < WANTS; i++) {
		const struct want *w = &wants[i];
		const struct location *where;
		const struct param *p;
		size_t size = 4;
		int value = 0;

		if (strcmp(w->linkage, s->fn->linkage) != 0 || s->is_return != !w->param)
			continue;
		p = w->param ? must_find_param(s->fn, w->param) : NULL;
		where = p ? &p->where : &s->fn->ret_where;
		if (p && p->type->size < size)
			size = p->type->size;
		checked++;
		if (!read_value(t->pid, regs, where, &value, size)) {
			if (!building->optimised)
				fail_msg("%s: %s.%s: %s", building->command, s->fn->name, w->param, where->reason);
		} else if (value != w->value) {
			fail_msg("%s: %s.%s is %d", building->command, s->fn->name, w->param ? w->param : "return", value);
		}
	}
}

static void test_places(void **state)
{
	for (size_t i = 0; i < BUILDS && can_build(i); i++) {
		struct opened o = must_open_debug("cxx");
		struct tracee t;

		checked = 0;
		start_tracee(&t, at("cxx"));
		for (int k = 0; k < WANTS; k++)
			if (k == 0 || strcmp(wants[k].linkage, wants[k - 1].linkage) != 0) {
				const struct function *fn = must_find_function(&o, wants[k].linkage);

				add_stop(&t, t.bias + fn->addr, fn, false);
			}
		run_tracee(&t, check_stop);
		assert_int_equal(checked, WANTS);
		close_debug(&o);
	}
}

static void check_order(struct debuginfo *di, struct type *order)
{
	uint64_t offset;
	const struct member *m;

	type_complete(di, order);
	assert_string_equal(order->name, "const ns::Order");
	assert_int_equal(order->n_members, 3);                /* two bases, z; count is static */
	assert_string_equal(order->members[0].name, "ns::Base");
	m = type_member(di, order, "tag", &offset);
	assert_non_null(m);
	assert_int_equal(offset, 8);
	assert_non_null(type_member(di, order, "id", &offset));
	assert_int_equal(offset, 0);
	assert_non_null(type_member(di, order, "z", &offset));
	assert_int_equal(offset, 16);
	assert_null(type_member(di, order, "count", NULL));
}

static void test_types(void **state)
{
	for (size_t i = 0; i < BUILDS && can_build(i); i++) {
		struct opened o = must_open_debug("cxx");
		const struct function *fn = must_find_function(&o, "sum");
		struct type *t;

		assert_string_equal(fn->params[0].name, "this");
		check_order(o.di, fn->params[0].type->target);
		assert_int_equal(must_find_param(fn, "e")->where.kind, LOCATION_NONE);
		fn = must_find_function(&o, "hidden");
		assert_string_equal(must_find_param(fn, "r")->type->name, "int &&");
		t = must_find_param(fn, "v")->type->target;
		type_complete(o.di, t);
		assert_int_equal(t->n_members, 1);            /* not the vtable pointer */
		fn = must_find_function(&o, "_ZN2ns6passedENS_5OwnerENS_7TrivialEiNS_6CopiedENS_6HolderENS_5ColorE");
		t = must_find_param(fn, "col")->type;
		type_complete(o.di, t);
		assert_string_equal(t->name, "ns::Color");
		assert_true(t->kind == TYPE_ENUM && t->n_enumerators == 2 && !t->is_signed && t->size == 1);
		close_debug(&o);
	}
}

static int setup(void **state)
{
	make_dir();
	put("cxx.cc", source, strlen(source));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_nested_types),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_types),
	};

	return cmocka_run_group_tests(tests, setup, remove_dir);
}
