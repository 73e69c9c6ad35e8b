/* SPDX-License-Identifier: Apache-2.0 */
/* The types of abi.c, for the program and for the test that looks into it. */
#ifndef TEST_ABI_H
#define TEST_ABI_H

#include <stdbool.h>

enum color { RED = -1, BLUE = 200 };
struct point { int x, y; };
struct pair { long a; int b; };
struct big { long a[4]; };
struct mix { double d; long l; };
struct floats { float a, b, c; };
struct odd { char c[3]; };
struct twelve { int a, b, c; };
struct packed { char c; int i; } __attribute__((packed));
struct bits { unsigned a : 3, b : 13; int c : 16; long d : 40; };
struct nested { struct point p; union { int i; char c[8]; } u; };
struct extended { long double v; };
union either { long l; double d; };
struct item { int id; const char *name; };

#endif
