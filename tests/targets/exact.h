/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of exact and their types; what they are called with is said in exact.c. */
#ifndef PLUMB_TARGETS_EXACT_H
#define PLUMB_TARGETS_EXACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probed.h"

enum { FAIL_EVERY = 7, FAIL_CODE = 22 };

/* True for the calls that fail. */
static inline bool fails(uint64_t i)
{
	return i % FAIL_EVERY == FAIL_EVERY - 1;
}

enum color { RED, GREEN, BLUE = 5, ALPHA = -3 };
enum level { LOW = 1, MID = 2, HIGH = 9 };

/* ---- exact_take.c: parameters; all return 0, or -22 where fails(i), if what they were given is right ---- */

struct names {
	char fixed[8];                    /* not terminated in every third call */
	char text[32];
	uint8_t bytes[4];
	int16_t numbers[3];
};

struct leaf {
	int32_t value;
	char label[12];
};

struct node {
	uint64_t id;
	struct node *next;
	const struct leaf *leaf;
	const char *name;
	struct leaf own;
};

struct pair {                             /* 16 bytes: two registers */
	int64_t first, second;
};

struct mixed {                            /* 16 bytes: one SSE and one general register */
	double ratio;
	int32_t count;
	char mark;
};

struct large {                            /* 48 bytes: on the stack */
	uint64_t id;
	int32_t values[4];
	char name[24];
};

union number {
	int64_t whole;
	double real;
	uint8_t bytes[8];
};

struct bits {
	unsigned int low : 3;
	int middle : 5;
	unsigned int high : 24;
	uint64_t wide : 33;
	bool flag : 1;
	union {                           /* anonymous */
		uint32_t code;
		struct {
			uint16_t minor, major;
		};
	};
	enum color color : 8;
};

struct floats {
	float single;
	double twice;
	float vector[3];
};

int take_ints(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f);
int take_longs(int64_t a, uint64_t b, char c, bool d, enum color e, void *p);
int take_strings(const char *text, char *tag, const char *none, uint64_t i);
int take_names(const struct names *names, uint64_t i);
int take_tree(const struct node *root, uint64_t i);
int take_absent(const struct leaf *page, uint64_t i);
int take_pair(struct pair p, uint64_t i);
int take_mixed(struct mixed m, uint64_t i);
int take_large(struct large l, uint64_t i);
int take_union(union number n, const union number *p, uint64_t i);
int take_bits(const struct bits *b, uint64_t i);
int take_floats(float f, double d, int i);
int take_float_members(const struct floats *f, uint64_t i);
int take_many(int a, int b, int c, int d, int e, int f, int64_t g, const char *h, uint8_t i);
int take_static(uint64_t i);              /* calls the static function hidden_static(i) and the inlined only_inlined(i) */

/* ---- exact_give.c: return values ---- */

struct wide {                             /* 32 bytes: through memory */
	uint64_t a, b, c, d;
};

extern const struct leaf given_leaf;

void give_void(uint64_t i);
int give_int(uint64_t i);
int64_t give_long(uint64_t i);
uint8_t give_byte(uint64_t i);
bool give_bool(uint64_t i);
enum level give_enum(uint64_t i);
const struct leaf *give_pointer(uint64_t i);
const char *give_text(uint64_t i);
struct pair give_pair(uint64_t i);
struct wide give_wide(uint64_t i);
double give_double(uint64_t i);
int give_early(int64_t v);
int give_slowly(uint64_t i);

/* ---- exact_flow.c: calls that do not simply return ---- */

int descend(unsigned int n, uint64_t i);
int ping(unsigned int n);
int pong(unsigned int n);
int guarded(uint64_t i);                  /* calls leap_outer, which calls leap_inner */
int leap_outer(uint64_t i);
int leap_inner(uint64_t i);
int vanish(uint64_t i);
int fork_exits(uint64_t i);
int fork_returns(uint64_t i, pid_t *child);
uint64_t tail_sum(uint64_t n, uint64_t sum);

#endif
