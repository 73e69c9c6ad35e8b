/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_COLUMNS_INTERNAL_H
#define PLUMB_COLUMNS_INTERNAL_H

#include <stdint.h>

enum column_kind { COLUMN_RAW = 0, COLUMN_UNSIGNED = 0x10, COLUMN_ZIGZAG = 0x20, COLUMN_DIFFERENCE = 0x30, COLUMN_SIGNED_DIFFERENCE = 0x40 };
enum int_kind { INT_NONE, INT_UNSIGNED, INT_NEGATIVE };

/* The integer at p, which has been measured. */
static inline enum int_kind columns_read_int(const uint8_t *p, uint64_t *v)
{
	uint64_t bits = 0;
	unsigned n;

	if (p[0] < 0x80 || p[0] >= 0xe0) {
		*v = (uint64_t)(int64_t)(int8_t)p[0];
		return p[0] < 0x80 ? INT_UNSIGNED : INT_NEGATIVE;
	}
	if (p[0] < 0xcc || p[0] > 0xd3)
		return INT_NONE;
	n = 1U << (p[0] & 3);
	for (unsigned i = 1; i <= n; i++)
		bits = bits << 8 | p[i];
	switch (p[0]) {
	case 0xd0:
		bits = (uint64_t)(int8_t)bits;
		break;
	case 0xd1:
		bits = (uint64_t)(int16_t)bits;
		break;
	case 0xd2:
		bits = (uint64_t)(int32_t)bits;
		break;
	default:
		break;
	}
	*v = bits;
	return p[0] >= 0xd0 && (int64_t)bits < 0 ? INT_NEGATIVE : INT_UNSIGNED;
}

#endif
