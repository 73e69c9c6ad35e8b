/* SPDX-License-Identifier: Apache-2.0 */
#include "units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct unit {
	const char *name;
	double factor;
};

/* A plain decimal: digits with at most one point. strtod alone would take "inf", "0x1p3" and a leading blank. */
static const char *parse_decimal(const char *text, double *value)
{
	size_t whole = strspn(text, "0123456789"), len = whole;

	if (text[len] == '.')
		len += 1 + strspn(text + len + 1, "0123456789");
	if (whole == 0 || len > 40)
		return NULL;
	*value = 0;
	for (size_t i = 0; i < whole; i++)
		*value = *value * 10 + (text[i] - '0');
	double place = 0.1;

	for (size_t i = whole + 1; i < len; i++, place /= 10)
		*value += (text[i] - '0') * place;
	return text + len;
}

/* A decimal and one of the units, as a whole number from 1 on. */
static int parse_unit(const char *text, const struct unit *units, size_t n, uint64_t *out)
{
	double value;
	const char *end = parse_decimal(text, &value);

	for (size_t i = 0; end && i < n; i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		value = round(value * units[i].factor);
		if (value < 1 || value > 9e18)
			return -EINVAL;
		*out = (uint64_t)value;
		return 0;
	}
	return -EINVAL;
}

#define UNITS(u) (u), sizeof(u) / sizeof((u)[0])

int parse_duration(const char *text, uint64_t *ns, struct error *err)
{
	static const struct unit units[] = {
		{ "ns", 1 }, { "us", 1e3 }, { "\xc2\xb5s", 1e3 }, { "\xce\xbcs", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "m", 60e9 },
		{ "min", 60e9 }, { "h", 3600e9 }, { "d", 86400e9 },
	};

	if (parse_unit(text, UNITS(units), ns) == 0)
		return 0;
	error_set(err, EINVAL, "'%s' is not a duration", text);
	return error_hint(err, "write a number and a unit: 5ms, 10s, 2m, 1.5h");
}

int parse_count(const char *text, uint64_t *n, struct error *err)
{
	static const struct unit units[] = { { "", 1 }, { "k", 1e3 }, { "K", 1e3 }, { "M", 1e6 }, { "G", 1e9 } };

	if (parse_unit(text, UNITS(units), n) == 0)
		return 0;
	return error_set(err, EINVAL, "'%s' is not a number above 0", text);
}

int parse_sample(const char *text, uint64_t *n, struct error *err)
{
	if (strncmp(text, "1/", 2) == 0 && parse_count(text + 2, n, NULL) == 0 && *n <= UINT32_MAX)
		return 0;
	error_set(err, EINVAL, "'%s' is not a sampling share", text);
	return error_hint(err, "1/100 shows one call in a hundred");
}

int parse_rate(const char *text, uint64_t *per_s, struct error *err)
{
	static const struct unit units[] = {
		{ "/s", 1 }, { "", 1 }, { "k/s", 1e3 }, { "k", 1e3 }, { "M/s", 1e6 }, { "M", 1e6 },
	};

	if (parse_unit(text, UNITS(units), per_s) == 0)
		return 0;
	error_set(err, EINVAL, "'%s' is not a rate", text);
	return error_hint(err, "1000/s shows at most a thousand calls a second");
}

int parse_percent(const char *text, uint64_t *ppm, struct error *err)
{
	static const struct unit units[] = { { "%", 1e4 } };

	if (parse_unit(text, UNITS(units), ppm) == 0)
		return 0;
	error_set(err, EINVAL, "'%s' is not a percentage", text);
	return error_hint(err, "10%% is a tenth of one core");
}

int parse_pid(const char *text, uint64_t *pid, struct error *err)
{
	static const struct unit units[] = { { "", 1 } };

	if (!strchr(text, '.') && parse_unit(text, UNITS(units), pid) == 0 && *pid <= INT32_MAX)
		return 0;
	error_set(err, EINVAL, "'%s' is not a process id", text);
	return error_hint(err, "-s takes a name; 'plumb ps' lists both");
}

static void format_scaled(struct buf *out, uint64_t ns, uint64_t unit, unsigned decimals, const char *name)
{
	static const uint64_t powers[] = { 1, 10, 100, 1000 };
	uint64_t scaled = ns / (unit / powers[decimals]);   /* cut, not rounded: 999.9us never shows as 1000.0us */

	text_u64(out, scaled / powers[decimals]);
	if (decimals) {
		buf_char(out, '.');
		text_digits(out, scaled % powers[decimals], decimals);
	}
	buf_str(out, name);
}

void format_elapsed(struct buf *out, uint64_t ns)
{
	if (ns < 1000)
		format_scaled(out, ns, 1, 0, "ns");
	else if (ns < 1000000)
		format_scaled(out, ns, 1000, 1, "us");
	else if (ns < 1000000000)
		format_scaled(out, ns, 1000000, 3, "ms");
	else
		format_scaled(out, ns, 1000000000, 3, "s");
}

static void format_long(struct buf *out, uint64_t s)
{
	if (s < 3600)
		buf_printf(out, "%llum%02llus", (unsigned long long)(s / 60), (unsigned long long)(s % 60));
	else if (s < 86400)
		buf_printf(out, "%lluh%02llum", (unsigned long long)(s / 3600), (unsigned long long)(s % 3600 / 60));
	else
		buf_printf(out, "%llud%02lluh", (unsigned long long)(s / 86400), (unsigned long long)(s % 86400 / 3600));
}

void format_duration(struct buf *out, uint64_t ns)
{
	static const struct { uint64_t unit; const char *name; } units[] = {
		{ 1, "ns" }, { 1000, "us" }, { 1000000, "ms" }, { 1000000000, "s" },
	};
	unsigned u = ns < 1000 ? 0 : ns < 1000000 ? 1 : ns < 1000000000 ? 2 : 3;
	uint64_t whole = ns / units[u].unit;

	if (ns >= 100000000000ULL)
		format_long(out, ns / 1000000000);
	else
		format_scaled(out, ns, units[u].unit, u == 0 || whole >= 1000 ? 0 : whole >= 100 ? 1 : whole >= 10 ? 2 : 3, units[u].name);
}

void format_count(struct buf *out, double n)
{
	static const struct { double from, unit; const char *format; } forms[] = {
		{ 999.5e9, 1e12, "%.2fT" }, { 99.95e9, 1e9, "%.0fG" }, { 999.5e6, 1e9, "%.2fG" }, { 99.95e6, 1e6, "%.0fM" },
		{ 9.995e6, 1e6, "%.1fM" }, { 999.5e3, 1e6, "%.2fM" }, { 9999.5, 1e3, "%.1fk" }, { 99.95, 1, "%.0f" },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (n >= forms[i].from) {
			buf_printf(out, forms[i].format, n / forms[i].unit);
			return;
		}
	}
	buf_printf(out, n == floor(n) ? "%.0f" : "%.1f", n);
}
