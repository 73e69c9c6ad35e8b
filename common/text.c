/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

/* Bytes of the sequence that `lead` starts and the smallest code point it may hold; 0 bytes: not a lead byte. */
static unsigned sequence(unsigned char lead, uint32_t *bits, uint32_t *least)
{
	static const struct { unsigned char mask, mark, bytes; uint32_t least; } forms[] = {
		{ 0xe0, 0xc0, 2, 0x80 }, { 0xf0, 0xe0, 3, 0x800 }, { 0xf8, 0xf0, 4, 0x10000 },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if ((lead & forms[i].mask) == forms[i].mark) {
			*bits = lead & (unsigned char)~forms[i].mask;
			*least = forms[i].least;
			return forms[i].bytes;
		}
	}
	return 0;
}

unsigned utf8_decode(const char *p, size_t len, uint32_t *code)
{
	const unsigned char *u = (const unsigned char *)p;
	uint32_t value = 0, least = 0;
	unsigned n;

	if (u[0] < 0x80) {
		*code = u[0];
		return 1;
	}
	n = sequence(u[0], &value, &least);
	if (n == 0 || n > len)
		return 0;
	for (unsigned i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (u[i] & 0x3f);
	}
	if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*code = value;
	return n;
}

struct range {
	uint32_t first, last;
};

static bool in_ranges(const struct range *r, size_t n, uint32_t code)
{
	for (size_t i = 0; i < n; i++)
		if (code >= r[i].first && code <= r[i].last)
			return true;
	return false;
}

bool utf8_is_safe(uint32_t code)
{
	static const struct range unsafe[] = {
		{ 0x7f, 0x9f },                          /* DEL and C1: U+009B starts an escape sequence */
		{ 0x61c, 0x61c }, { 0x200b, 0x200f },    /* Arabic letter mark, zero widths, direction marks */
		{ 0x2028, 0x202e }, { 0x2060, 0x206f },  /* separators, embeddings and overrides, isolates */
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },  /* byte order mark, interlinear annotation */
		{ 0xe0000, 0xe007f },                    /* tags: invisible text */
	};

	if (code < 0x7f)
		return code >= 0x20;
	return !in_ranges(unsafe, sizeof(unsafe) / sizeof(unsafe[0]), code);
}

unsigned utf8_columns(uint32_t code)
{
	static const struct range wide[] = {
		{ 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff },
		{ 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f }, { 0x1f900, 0x1f9ff },
		{ 0x20000, 0x3fffd },
	};
	static const struct range combining[] = { { 0x300, 0x36f }, { 0x1ab0, 0x1aff }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f } };

	if (code < 0x300)
		return 1;
	if (in_ranges(combining, sizeof(combining) / sizeof(combining[0]), code))
		return 0;
	return in_ranges(wide, sizeof(wide) / sizeof(wide[0]), code) ? 2 : 1;
}

void text_u64(struct buf *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buf_add(out, digits + at, sizeof(digits) - at);
}

void text_i64(struct buf *out, int64_t value)
{
	if (value < 0)
		buf_char(out, '-');
	text_u64(out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void text_digits(struct buf *out, uint64_t value, unsigned width)
{
	char digits[20];

	if (width > sizeof(digits))
		width = sizeof(digits);
	for (unsigned at = width; at-- > 0; value /= 10)
		digits[at] = (char)('0' + value % 10);
	buf_add(out, digits, width);
}

void text_hex(struct buf *out, uint64_t value)
{
	char digits[18];
	size_t at = sizeof(digits);

	do {
		digits[--at] = hex_digits[value & 15];
		value >>= 4;
	} while (value);
	digits[--at] = 'x';
	digits[--at] = '0';
	buf_add(out, digits + at, sizeof(digits) - at);
}

static void escape_bytes(struct buf *out, const char *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		char text[4] = { '\\', 'x', hex_digits[c >> 4], hex_digits[c & 15] };

		buf_add(out, text, sizeof(text));
	}
}

/* The length of the run at p that both escapers copy as it is. */
static size_t plain_run(const char *p, size_t len, char quote)
{
	size_t n = 0;

	while (n < len && p[n] >= 0x20 && p[n] < 0x7f && p[n] != quote && (p[n] != '\\' || !quote))
		n++;
	return n;
}

void text_escape(struct buf *out, const char *text, size_t len, char quote)
{
	size_t at = 0;

	while (at < len) {
		size_t run = plain_run(text + at, len - at, quote);
		uint32_t code;
		unsigned n;

		buf_add(out, text + at, run);
		at += run;
		if (at == len)
			return;
		n = utf8_decode(text + at, len - at, &code);
		if (n == 0 || !utf8_is_safe(code)) {
			escape_bytes(out, text + at, n ? n : 1);
		} else {
			if (n == 1)
				buf_char(out, '\\');
			buf_add(out, text + at, n);
		}
		at += n ? n : 1;
	}
}

void text_safe(struct buf *out, const char *text)
{
	text_escape(out, text, strlen(text), 0);
}

static void json_unit(struct buf *out, uint32_t unit)
{
	char text[6] = { '\\', 'u', hex_digits[unit >> 12 & 15], hex_digits[unit >> 8 & 15], hex_digits[unit >> 4 & 15],
		hex_digits[unit & 15] };

	buf_add(out, text, sizeof(text));
}

static void json_unsafe(struct buf *out, uint32_t code)
{
	static const char letters[] = "\b\f\n\r\t", names[] = "bfnrt";
	const char *at = code ? strchr(letters, (int)code) : NULL;

	if (at && code < 0x20) {
		buf_char(out, '\\');
		buf_char(out, names[at - letters]);
	} else if (code > 0xffff) {
		json_unit(out, 0xd800 + ((code - 0x10000) >> 10));
		json_unit(out, 0xdc00 + ((code - 0x10000) & 0x3ff));
	} else {
		json_unit(out, code);
	}
}

static void json_body(struct buf *out, const char *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		size_t run = plain_run(text + at, len - at, '"');
		uint32_t code;
		unsigned n;

		buf_add(out, text + at, run);
		at += run;
		if (at == len)
			return;
		n = utf8_decode(text + at, len - at, &code);
		if (n == 0) {
			buf_str(out, "\xef\xbf\xbd");
		} else if (!utf8_is_safe(code)) {
			json_unsafe(out, code);
		} else {
			if (n == 1)
				buf_char(out, '\\');
			buf_add(out, text + at, n);
		}
		at += n ? n : 1;
	}
}

void text_json(struct buf *out, const char *text, size_t len, bool cut)
{
	buf_char(out, '"');
	json_body(out, text, len);
	if (cut)
		buf_str(out, "\xe2\x80\xa6");
	buf_char(out, '"');
}

void text_json_str(struct buf *out, const char *text)
{
	if (text)
		text_json(out, text, strlen(text), false);
	else
		buf_str(out, "null");
}

void text_double(struct buf *out, double value, bool single)
{
	char text[40];

	if (isnan(value) || isinf(value)) {
		buf_str(out, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
		return;
	}
	snprintf(text, sizeof(text), "%.*g", single ? 6 : 15, value);
	if (single ? strtof(text, NULL) != (float)value : strtod(text, NULL) != value)
		snprintf(text, sizeof(text), "%.*g", single ? 9 : 17, value);
	for (char *c = text; *c; c++)   /* a locale may have another decimal point; JSON has one */
		if (*c == ',')
			*c = '.';
	buf_str(out, text);
}
