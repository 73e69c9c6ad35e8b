/* SPDX-License-Identifier: Apache-2.0 */
#include "query.h"

#include <errno.h>
#include <string.h>

enum { NS_PER_S = 1000000000, DEFAULT_SECONDS = 3600, STEP_MAX_S = 86400 };

static const struct {
	const char *name;
	query_fn *ask;
} questions[] = {
	{ "series", query_series }, { "heatmap", query_heatmap }, { "calls", query_calls }, { "top", query_top },
	{ "services", query_services }, { "hosts", query_hosts }, { "requests", query_requests }, { "probes", query_probes },
	{ "audit", query_audit }, { "verdicts", query_verdicts }, { "verdict", query_verdict },
};

query_fn *query_find(const char *name)
{
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		if (!strcmp(questions[i].name, name))
			return questions[i].ask;
	return NULL;
}

int query_by(const char *text, unsigned *by, struct error *err)
{
	static const struct { const char *name; unsigned bit; } names[] = {
		{ "function", QUERY_BY_FUNCTION }, { "build", QUERY_BY_BUILD }, { "host", QUERY_BY_HOST },
	};
	const char *at = text;

	while (at && *at) {
		size_t len = strcspn(at, ","), i;

		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (len == strlen(names[i].name) && !strncmp(at, names[i].name, len))
				break;
		if (i == sizeof(names) / sizeof(names[0]))
			return error_set(err, EINVAL, "by is a list of function, build and host");
		*by |= names[i].bit;
		at += len + (at[len] == ',');
	}
	return 0;
}

int query_check(struct query *q, uint64_t now_ns, struct error *err)
{
	if (!q->to_ns)
		q->to_ns = now_ns + NS_PER_S; /* the second that has begun belongs to it */
	if (!q->from_ns)
		q->from_ns = q->to_ns > (uint64_t)DEFAULT_SECONDS * NS_PER_S ? q->to_ns - (uint64_t)DEFAULT_SECONDS * NS_PER_S : 0;
	if (q->from_ns >= q->to_ns || q->to_ns > INT64_MAX)
		return error_set(err, EINVAL, "the time asked for ends before it begins");
	if (q->step_s > STEP_MAX_S)
		return error_set(err, EINVAL, "a step is at most %d s", STEP_MAX_S);
	return 0;
}
