/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

static const char hex_digits[] = "0123456789abcdef";

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

static void escape_bytes(struct buf *out, const char *p, int n)
{
	for (int i = 0; i < n; i++) {
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
		int n;

		buf_add(out, text + at, run);
		at += run;
		if (at == len)
			return;
		n = utf8_take(text + at, len - at, &code);
		if (n == 0 || utf8_is_control(code)) {
			escape_bytes(out, text + at, n ? n : 1);
		} else {
			if (n == 1)
				buf_char(out, '\\');
			buf_add(out, text + at, (size_t)n);
		}
		at += n ? (size_t)n : 1;
	}
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
	} else {
		json_unit(out, code);   /* no control character is beyond U+FFFF */
	}
}

static void json_body(struct buf *out, const char *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		size_t run = plain_run(text + at, len - at, '"');
		uint32_t code;
		int n;

		buf_add(out, text + at, run);
		at += run;
		if (at == len)
			return;
		n = utf8_take(text + at, len - at, &code);
		if (n == 0) {
			buf_str(out, "\xef\xbf\xbd");
		} else if (utf8_is_control(code)) {
			json_unsafe(out, code);
		} else {
			if (n == 1)
				buf_char(out, '\\');
			buf_add(out, text + at, (size_t)n);
		}
		at += n ? (size_t)n : 1;
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
