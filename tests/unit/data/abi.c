/* SPDX-License-Identifier: Apache-2.0 */
/* Functions with arguments and results of every class of the x86-64 ABI; each is called once, with known values. */
#include "abi.h"

#include <stdarg.h>

#define API __attribute__((noinline, noclone))

volatile long sink;
static struct item item = { 42, "bob" };

static void use(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

API int f_ints(int a, long b, char c, short d, unsigned char e, bool f, int g, long h, char i)
{
	sink = a + b + c + d + e + f + g + h + i;
	return a - 100;
}

API long f_structs(struct point p, struct pair q, struct big g, struct mix m, struct floats f, struct odd o, int last)
{
	sink = p.x + q.b + g.a[2] + m.l + (long)f.c + o.c[1];
	use(&p), use(&q), use(&g), use(&m), use(&f), use(&o);
	return last;
}

API short f_spill(long a, long b, long c, long d, long e, struct pair p, long f, int g)
{
	sink = a + b + c + d + e + p.a + f + g;
	return -5;
}

API double f_floats(double d, float e, int i, long double l, int j)
{
	sink = i + j + (long)l;
	return d + e;
}

API int f_doubles(double a, double b, double c, double d, double e, double f, double g, double h, double i, int j)
{
	sink = (long)(a + b + c + d + e + f + g + h + i);
	return j;
}

API __int128 f_wide(int a, __int128 w, int b)
{
	sink = a + b;
	return w;
}

API long f_wide_spill(long a, long b, long c, long d, long e, __int128 w, long f)
{
	sink = a + b + c + d + e + (long)w;
	return f;
}

API struct big f_sret(int a, struct pair p)
{
	struct big g = { { a, p.a, p.b, 4 } };

	sink = a;
	return g;
}

API struct pair f_pair(struct item *it, enum color col)
{
	struct pair p = { it->id, col };

	sink = it->id;
	return p;
}

API struct mix f_mix(int a)
{
	struct mix m = { a, a };

	sink = a;
	return m;
}

API struct odd f_odd(struct odd o, struct twelve t)
{
	sink = o.c[0] + t.c;
	use(&o), use(&t);
	return o;
}

API struct twelve f_twelve(struct packed p, struct bits b, struct nested n)
{
	struct twelve t = { p.i, b.b, n.p.y };

	use(&p), use(&b), use(&n);
	return t;
}

API long double f_extended(struct extended x, union either u, int a)
{
	sink = u.l;
	use(&x), use(&u);
	return a;
}

API bool f_bool(bool yes, enum color col)
{
	sink = col;
	return yes;
}

API char f_modified(int x, int y)
{
	x++;
	sink = x;
	x += y;
	sink = x;
	return 'c';
}

API int f_overwritten(int x, int y)
{
	x = y;
	sink = x;
	return x + 1;
}

API int f_taken(int a, long b)
{
	use(&a);
	use(&b);
	return a + (int)b;
}

API int f_register(register int a, register long b)
{
	sink = a;
	sink = b;
	return a;
}

API int f_variadic(const char *text, int n, ...)
{
	va_list ap;
	int sum = text[0];

	va_start(ap, n);
	while (n--)
		sum += va_arg(ap, int);
	va_end(ap);
	return sum;
}

API int f_array(int grid[2][3], int (*call)(int), struct item **items)
{
	sink = (*items)->id;
	return grid[1][2] + (call != 0);
}

API enum color f_enum(unsigned long long u, signed char s)
{
	sink = (long)u + s;
	return RED;
}

/* Optimisers may change these: known callers only. */
static __attribute__((noinline)) int s_unused(int a, int unused, int b)
{
	sink = a;
	return a * b + 1;
}

static __attribute__((noinline)) int s_by_value(const struct big *g, int n)
{
	sink = g->a[1];
	return (int)g->a[n];
}

static __attribute__((noinline)) int s_constant(int a, int always)
{
	sink = a;
	return always * a;
}

static __attribute__((noinline)) int s_stack(long a, long b, long c, long d, long e, long f, long g, long h)
{
	sink = a + b + c + d + e + f + g;
	return (int)h;
}

static int call_structs(void)
{
	struct point p = { 1, 2 };
	struct pair q = { 3, 4 };
	struct big g = { { 5, 6, 7, 8 } };
	struct mix m = { 9.5, 10 };
	struct floats f = { 1, 2, 3 };
	struct odd o = { { 'a', 'b', 'c' } };
	struct twelve t = { 11, 12, 13 };
	struct packed k = { 'k', 14 };
	struct bits b = { 5, 600, -7, -8 };
	struct nested n = { { 15, 16 }, { 17 } };
	struct extended x = { 1.5L };
	union either u = { 18 };

	f_structs(p, q, g, m, f, o, 77);
	f_spill(1, 2, 3, 4, 5, q, 6, 7);
	f_sret(19, q);
	f_odd(o, t);
	f_twelve(k, b, n);
	f_extended(x, u, 20);
	return s_by_value(&g, 2);
}

int main(int argc, char **argv)
{
	static int grid[2][3] = { { 1, 2, 3 }, { 4, 5, 6 } };
	struct item *items[] = { &item };
	__int128 wide = ((__int128)0x1122334455667788 << 64) | 0x99aabbccddeeff00;

	f_ints(-1, 0x123456789abc, 'x', -300, 250, true, 7, -8, 'i');
	f_floats(1.5, 2.5, 3, 4.5L, 5);
	f_doubles(1, 2, 3, 4, 5, 6, 7, 8, 9.5, 10);
	f_wide(1, wide, 2);
	f_wide_spill(1, 2, 3, 4, 5, wide, 6);
	f_pair(&item, BLUE);
	f_mix(21);
	f_bool(true, RED);
	f_modified(22, 23);
	f_overwritten(24, 25);
	f_taken(26, 27);
	f_register(28, 29);
	f_variadic("v", 2, argc, 3);
	f_array(grid, 0, items);
	f_enum(30, -31);
	s_unused(32 + argc, 33, 34);
	s_unused(32 + argc, 33, 35);
	s_constant(36 + argc, 5);
	s_constant(37 + argc, 5);
	s_stack(1, 2, 3, 4, 5, 6, 7, 8 + argc);
	s_stack(2, 3, 4, 5, 6, 7, 8, 8 + argc);
	call_structs();
	return 0;
}
