/* SPDX-License-Identifier: Apache-2.0 */
#include "qualified.h"

#include <string.h>

static bool is_operator(const char *part, size_t len)
{
	return len >= 8 && strncmp(part, "operator", 8) == 0;
}

/* The start of the component that ends before `end`: behind the last "::" that is not inside <> or (). */
static const char *component(const char *name, const char *end)
{
	int nested = 0;

	for (const char *p = end; p > name; p--) {
		char c = p[-1];

		if (c == '>' || c == ')' || c == '}')
			nested++;
		else if ((c == '<' || c == '(' || c == '{') && nested > 0)
			nested--;
		else if (nested == 0 && c == ':' && p - 1 > name && p[-2] == ':')
			return p;
	}
	return name;
}

const char *name_last(const char *qualified)
{
	return component(qualified, qualified + strlen(qualified));
}

/* Length without template arguments. */
static size_t bare_length(const char *part, size_t len)
{
	const char *angle;

	if (is_operator(part, len) || len == 0 || part[len - 1] != '>' || part[0] == '<')
		return len;
	angle = memchr(part, '<', len);
	return angle ? (size_t)(angle - part) : len;
}

static bool parts_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len == b_len && memcmp(a, b, a_len) == 0)
		return true;
	/* "push" asks for every push<T>, but "push<int>" only for that one. */
	return bare_length(b, b_len) == b_len && bare_length(a, a_len) == b_len && memcmp(a, b, b_len) == 0;
}

bool name_last_matches(const char *name, const char *request)
{
	const char *want = name_last(request);

	return parts_equal(name, strlen(name), want, strlen(want));
}

static bool may_be_left_out(const char *part, size_t len)
{
	static const char anonymous[] = "(anonymous namespace)";

	return (len > 0 && part[0] == '{') || (len == sizeof(anonymous) - 1 && memcmp(part, anonymous, len) == 0);
}

bool name_matches(const char *qualified, const char *request)
{
	const char *q_end = qualified + strlen(qualified), *r_end = request + strlen(request);

	if (strncmp(request, "::", 2) == 0)
		request += 2;
	if (strcmp(qualified, request) == 0)
		return true;
	for (;;) {
		const char *q = component(qualified, q_end), *r = component(request, r_end);
		bool equal = parts_equal(q, (size_t)(q_end - q), r, (size_t)(r_end - r));

		if (!equal && !may_be_left_out(q, (size_t)(q_end - q)))
			return false;
		if (equal && r == request)
			return true;
		if (q == qualified)
			return false;
		q_end = q - 2;
		if (equal)
			r_end = r - 2;
	}
}
