/* SPDX-License-Identifier: Apache-2.0 */
#include "function_name.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qualified.h"

static bool is_quoted(const char *request)
{
	size_t len = strlen(request);

	return len > 2 && (*request == '\'' || *request == '"') && request[len - 1] == *request;
}

/* A type does not begin with a '*': in place of a whole template argument it stands for any. */
static bool is_whole_argument(const char *request, const char *star)
{
	while (star > request && star[-1] == ' ')
		star--;
	return star > request && (star[-1] == '<' || star[-1] == ',');
}

/* The first '*' or '?' that stands for any text. */
static const char *wild(const char *request)
{
	int nested = 0;

	if (strstr(request, "operator"))
		return NULL;
	for (const char *p = request; *p; p++) {
		nested += *p == '<' ? 1 : *p == '>' ? -1 : 0;
		if ((*p == '*' || *p == '?') && (nested > 0 ? is_whole_argument(request, p) : p == request || p[-1] != '('))
			return p;
	}
	return NULL;
}

bool function_is_pattern(const char *request)
{
	return is_quoted(request) || wild(request);
}

bool function_means(const char *request, const char *name)
{
	bool means;
	char *bare;

	if (!function_is_pattern(request))
		return name_matches(name, request);
	bare = is_quoted(request) ? strndup(request + 1, strlen(request) - 2) : strdup(request);
	means = bare && fnmatch(bare, name, 0) == 0;
	free(bare);
	return means;
}

char *function_probe_text(const char *request)
{
	const char *star = is_quoted(request) ? NULL : wild(request), *open = strchr(request, '<');
	char *text = NULL;

	if (!star || !open || strchr(request, '\''))
		return strdup(request);
	return asprintf(&text, "'%s'", request) < 0 ? NULL : text;
}
