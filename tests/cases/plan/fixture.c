/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plan's cases ask about.  Compiled with and without optimisation: at the first instruction of a function the
 * ABI says where its parameters are, so that the plans must be the same.
 */
#define PLACE __attribute__((noinline, noclone, visibility("default"), noipa))

enum kind { KIND_PLAIN, KIND_BULK = 5 };
enum level { LEVEL_LOW = -2, LEVEL_HIGH = 2 };

struct user { const char *name; unsigned id; };

struct order {
	long id;
	int qty;
	enum kind kind;
	struct user *user;
	char code[8];
	struct user buyer;
	unsigned flags : 3, more : 10;
	int delta : 5;
	struct order *next;
};

struct pair { long first; const char *second; };
struct big { long a[10]; const char *tail; };
struct small { short x, y; };
struct __attribute__((packed)) packed { char c; unsigned long wide : 60; unsigned char last; };
struct matrix { int cell[3][100]; };
struct long_array { int n[200]; char text[300]; };
union number { long l; double d; };

PLACE int parse_order(struct order *o, int n) { return o ? o->qty * n : -22; }
PLACE long numbers(int i, unsigned u, long l, unsigned long ul, unsigned char c, short s) { return i + u + l + ul + c + s; }
PLACE const char *texts(const char *a, char *b, void *v) { return a ? a : b ? b : v; }
PLACE struct pair give_pair(struct pair p) { p.first++; return p; }
PLACE struct big give_big(struct big b, int n) { b.a[n] = 1; return b; }
PLACE struct small give_small(struct small s) { s.x++; return s; }
PLACE void floats(float f, double d, int i) { __asm__ volatile("" : : "x"(f), "x"(d), "r"(i)); }
PLACE int arrays(struct matrix *m, struct long_array *l, int *p, int n) { return m->cell[0][n] + l->n[n] + p[n]; }
PLACE int bits(struct packed *p, struct order o) { return p->wide + o.flags; }
PLACE _Bool many(int a, int b, int c, int d, int e, int f, int g, long h) { return a + b + c + d + e + f + g + h; }
PLACE unsigned kinds(enum kind k, enum level l, union number u) { return k + l + (unsigned)u.l; }
PLACE void nothing(void) { __asm__ volatile(""); }

int main(int argc, char **argv)
{
	struct order o = { .qty = argc };
	struct matrix m = { .cell = { { argc } } };
	struct long_array l = { .n = { argc } };
	struct big b = { .a = { argc } };
	struct pair p = { argc, argv[0] };
	struct small s = { 1, 2 };
	struct packed k = { .wide = 1 };

	nothing();
	floats(1, 2, argc);
	p = give_pair(p);
	b = give_big(b, 1);
	s = give_small(s);
	return parse_order(&o, argc) + (int)numbers(1, 2, 3, 4, 5, 6) + !texts(argv[0], argv[0], argv) + arrays(&m, &l, &argc, 0) +
	       bits(&k, o) + many(1, 2, 3, 4, 5, 6, 7, 8) + (int)kinds(KIND_BULK, LEVEL_LOW, (union number){ 1 }) + s.x +
	       (int)p.first + (int)b.a[1];
}
