/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PROBED_H
#define BENCH_PROBED_H

enum { FAILS_EVERY = 1000 };

int f_push(long a, long b, const char *s);   /* push rbp first: emulated */
int f_endbr(long a, long b, const char *s);  /* endbr64 first, then a push */
int f_sub(long a, long b, const char *s);    /* sub rsp first: single-stepped */
int f_nop5(long a, long b, const char *s);   /* a 5-byte nop first: patched into a call */

#endif
