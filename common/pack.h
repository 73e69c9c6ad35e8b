/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack written straight into memory, for what is written a million times a second: msgpack-c calls a function for each
 * head and each body.  The caller has made sure of the room: PACK_HEAD_MAX bytes for each number, array or head of a text,
 * and the text itself.  Each function returns where the next one goes on; every value takes its shortest form.
 */
#ifndef PLUMB_PACK_H
#define PLUMB_PACK_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PACK_HEAD_MAX = 9 };

static inline uint8_t *put_byte(uint8_t *p, uint8_t byte)
{
	*p = byte;
	return p + 1;
}

static inline uint8_t *put_be16(uint8_t *p, uint8_t lead, uint16_t v)
{
	v = htons(v);
	*p = lead;
	memcpy(p + 1, &v, sizeof(v));
	return p + 3;
}

static inline uint8_t *put_be32(uint8_t *p, uint8_t lead, uint32_t v)
{
	v = htonl(v);
	*p = lead;
	memcpy(p + 1, &v, sizeof(v));
	return p + 5;
}

static inline uint8_t *put_be64(uint8_t *p, uint8_t lead, uint64_t v)
{
	v = __builtin_bswap64(v);
	*p = lead;
	memcpy(p + 1, &v, sizeof(v));
	return p + 9;
}

static inline uint8_t *put_u64(uint8_t *p, uint64_t v)
{
	if (v < 0x80)
		return put_byte(p, (uint8_t)v);
	if (v > UINT32_MAX)
		return put_be64(p, 0xcf, v);
	if (v > UINT16_MAX)
		return put_be32(p, 0xce, (uint32_t)v);
	if (v > UINT8_MAX)
		return put_be16(p, 0xcd, (uint16_t)v);
	return put_byte(put_byte(p, 0xcc), (uint8_t)v);
}

static inline uint8_t *put_i64(uint8_t *p, int64_t v)
{
	if (v >= 0)
		return put_u64(p, (uint64_t)v);
	if (v >= -32)
		return put_byte(p, (uint8_t)v);
	if (v < INT32_MIN)
		return put_be64(p, 0xd3, (uint64_t)v);
	if (v < INT16_MIN)
		return put_be32(p, 0xd2, (uint32_t)v);
	if (v < INT8_MIN)
		return put_be16(p, 0xd1, (uint16_t)v);
	return put_byte(put_byte(p, 0xd0), (uint8_t)v);
}

static inline uint8_t *put_nil(uint8_t *p)
{
	return put_byte(p, 0xc0);
}

static inline uint8_t *put_bool(uint8_t *p, bool v)
{
	return put_byte(p, v ? 0xc3 : 0xc2);
}

static inline uint8_t *put_f32(uint8_t *p, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return put_be32(p, 0xca, bits);
}

static inline uint8_t *put_f64(uint8_t *p, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return put_be64(p, 0xcb, bits);
}

/* The head; n elements follow. */
static inline uint8_t *put_array(uint8_t *p, uint32_t n)
{
	if (n < 16)
		return put_byte(p, (uint8_t)(0x90 | n));
	return n > UINT16_MAX ? put_be32(p, 0xdd, n) : put_be16(p, 0xdc, (uint16_t)n);
}

static inline uint8_t *put_bin(uint8_t *p, const void *bytes, uint32_t len)
{
	if (len > UINT16_MAX)
		p = put_be32(p, 0xc6, len);
	else if (len > UINT8_MAX)
		p = put_be16(p, 0xc5, (uint16_t)len);
	else
		p = put_byte(put_byte(p, 0xc4), (uint8_t)len);
	memcpy(p, bytes, len);
	return p + len;
}

#endif
