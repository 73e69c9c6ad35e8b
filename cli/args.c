/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plumb/wire.h"
#include "units.h"

typedef int setter(struct args *a, const char *value, struct error *err);

static int set_target(struct args *a, enum target_kind kind, const char *value, struct error *err)
{
	if (a->target != TARGET_NONE)
		return error_set(err, EINVAL, "give one of -p, -s and -x, once");
	if (!value[0])
		return error_set(err, EINVAL, "the target's name is empty");
	a->target = kind;
	a->target_text = value;
	return 0;
}

static int set_pid(struct args *a, const char *value, struct error *err)
{
	int rc = parse_pid(value, &a->pid, err);

	return rc ? rc : set_target(a, TARGET_PID, value, err);
}

static int set_name(struct args *a, const char *value, struct error *err)
{
	return set_target(a, TARGET_NAME, value, err);
}

static int set_path(struct args *a, const char *value, struct error *err)
{
	return set_target(a, TARGET_PATH, value, err);
}

static int set_socket(struct args *a, const char *value, struct error *err)
{
	a->socket = value;
	a->socket_given = true;
	return 0;
}

static int set_collector(struct args *a, const char *value, struct error *err)
{
	a->collector = value;
	a->collector_given = true;
	return 0;
}

static int set_by(struct args *a, const char *value, struct error *err)
{
	a->by_host = strcmp(value, "host") == 0;
	return a->by_host || strcmp(value, "service") == 0 ? 0 : error_set(err, EINVAL, "--by is service or host");
}

#define SET_TLS(what) \
	static int set_tls_##what(struct args *a, const char *value, struct error *err) { a->tls.what = value; return 0; }
SET_TLS(ca)
SET_TLS(cert)
SET_TLS(key)

static int set_color(struct args *a, const char *value, struct error *err)
{
	static const char *const modes[] = { [COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never" };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!value || strcmp(value, modes[i]) == 0) {
			a->color = value ? (enum color_mode)i : COLOR_ALWAYS;
			return 0;
		}
	}
	return error_set(err, EINVAL, "--color is auto, always or never");
}

#define SET_FLAG(field) \
	static int set_##field(struct args *a, const char *value, struct error *err) { a->field = true; return 0; }
#define SET_TEXT(field) \
	static int set_##field(struct args *a, const char *value, struct error *err) { a->field = value; return 0; }
#define SET_PARSED(field, parse) \
	static int set_##field(struct args *a, const char *value, struct error *err) { return parse(value, &a->field, err); }

SET_FLAG(help)
SET_FLAG(version)
SET_FLAG(errors)
SET_FLAG(insecure)
SET_FLAG(json)
SET_FLAG(msgpack)
SET_FLAG(keep)
SET_FLAG(allow_unwind)
SET_TEXT(build)
SET_TEXT(error)
SET_TEXT(token_file)
SET_TEXT(module)
SET_PARSED(limit, parse_count)
SET_PARSED(depth, parse_count)
SET_PARSED(bytes, parse_count)
SET_PARSED(string, parse_count)
SET_PARSED(for_ns, parse_duration)
SET_PARSED(ttl_ns, parse_duration)
SET_PARSED(tick_ns, parse_duration)
SET_PARSED(since_ns, parse_duration)
SET_PARSED(sample, parse_sample)
SET_PARSED(rate, parse_rate)
SET_PARSED(budget_ppm, parse_percent)

#define SET_VERIFY(field) \
	static int set_verify_##field(struct args *a, const char *value, struct error *err) { a->verify.field = value; return 0; }
SET_VERIFY(patch)
SET_VERIFY(strip)
SET_VERIFY(baseline)
SET_VERIFY(candidate)
SET_VERIFY(arm_by)
SET_VERIFY(function)
SET_VERIFY(trigger)
SET_VERIFY(expect)
SET_VERIFY(lines)
SET_VERIFY(min_triggers)
SET_VERIFY(alpha)
SET_VERIFY(together)
SET_VERIFY(report)
SET_VERIFY(record)
SET_VERIFY(replay)
SET_VERIFY(sign_key)
SET_VERIFY(verify_key)
SET_VERIFY(title)

static int set_verify_guard(struct args *a, const char *value, struct error *err)
{
	if (a->verify.n_guards == ARGS_GUARDS)
		return error_set(err, EINVAL, "at most %d guards", ARGS_GUARDS);
	a->verify.guard[a->verify.n_guards++] = value;
	return 0;
}

static int set_query_host(struct args *a, const char *value, struct error *err)
{
	a->query.host = value;
	return 0;
}

static int set_query_by(struct args *a, const char *value, struct error *err)
{
	a->query.by = value;
	return 0;
}

static int set_query_request(struct args *a, const char *value, struct error *err)
{
	return parse_count(value, &a->query.request, err);
}

static int set_query_step(struct args *a, const char *value, struct error *err)
{
	return parse_duration(value, &a->query.step_ns, err);
}

static int set_query_csv(struct args *a, const char *value, struct error *err)
{
	a->query.csv = true;
	return 0;
}

static int set_verify_aa(struct args *a, const char *value, struct error *err)
{
	a->verify.aa = true;
	return 0;
}

static int set_verify_by_time(struct args *a, const char *value, struct error *err)
{
	a->verify.by_time = true;
	return 0;
}

static const struct option_def {
	const char *name;
	char letter;
	int has_arg;
	unsigned groups;
	setter *set;
} defs[] = {
	{ "help", 'h', no_argument, ARGS_GLOBAL, set_help },
	{ "socket", 0, required_argument, ARGS_GLOBAL, set_socket },
	{ "collector", 0, required_argument, ARGS_GLOBAL, set_collector },
	{ "token-file", 0, required_argument, ARGS_GLOBAL, set_token_file },
	{ "tls-ca", 0, required_argument, ARGS_GLOBAL, set_tls_ca },
	{ "tls-cert", 0, required_argument, ARGS_GLOBAL, set_tls_cert },
	{ "tls-key", 0, required_argument, ARGS_GLOBAL, set_tls_key },
	{ "insecure", 0, no_argument, ARGS_GLOBAL, set_insecure },
	{ "color", 0, optional_argument, ARGS_GLOBAL, set_color },
	{ "version", 'V', no_argument, ARGS_VERSION, set_version },
	{ "pid", 'p', required_argument, ARGS_TARGET, set_pid },
	{ "service", 's', required_argument, ARGS_TARGET, set_name },
	{ "exe", 'x', required_argument, ARGS_TARGET, set_path },
	{ "build", 0, required_argument, ARGS_TARGET, set_build },
	{ "json", 0, no_argument, ARGS_JSON, set_json },
	{ "error", 0, required_argument, ARGS_REQUEST | ARGS_EXPLAIN | ARGS_VERIFY, set_error },
	{ "for", 0, required_argument, ARGS_REQUEST | ARGS_VERIFY, set_for_ns },
	{ "deadline", 0, required_argument, ARGS_VERIFY, set_for_ns },
	{ "keep", 0, no_argument, ARGS_REQUEST, set_keep },
	{ "allow-unwind", 0, no_argument, ARGS_REQUEST | ARGS_EXPLAIN | ARGS_VERIFY, set_allow_unwind },
	{ "ttl", 0, required_argument, ARGS_REQUEST, set_ttl_ns },
	{ "budget", 0, required_argument, ARGS_REQUEST | ARGS_VERIFY, set_budget_ppm },
	{ "errors", 0, no_argument, ARGS_TRACE | ARGS_EXPLAIN | ARGS_QUERY, set_errors },
	{ "depth", 0, required_argument, ARGS_TRACE | ARGS_EXPLAIN, set_depth },
	{ "bytes", 0, required_argument, ARGS_TRACE | ARGS_EXPLAIN, set_bytes },
	{ "string", 0, required_argument, ARGS_TRACE | ARGS_EXPLAIN, set_string },
	{ "limit", 0, required_argument, ARGS_TRACE | ARGS_QUERY, set_limit },
	{ "sample", 0, required_argument, ARGS_TRACE, set_sample },
	{ "rate", 0, required_argument, ARGS_TRACE, set_rate },
	{ "msgpack", 0, no_argument, ARGS_TRACE, set_msgpack },
	{ "tick", 0, required_argument, ARGS_STAT, set_tick_ns },
	{ "by", 0, required_argument, ARGS_STAT, set_by },
	{ "since", 0, required_argument, ARGS_SINCE, set_since_ns },
	{ "patch", 0, required_argument, ARGS_VERIFY, set_verify_patch },
	{ "strip", 0, required_argument, ARGS_VERIFY, set_verify_strip },
	{ "baseline", 0, required_argument, ARGS_VERIFY, set_verify_baseline },
	{ "candidate", 0, required_argument, ARGS_VERIFY, set_verify_candidate },
	{ "arm-by", 0, required_argument, ARGS_VERIFY, set_verify_arm_by },
	{ "function", 0, required_argument, ARGS_VERIFY | ARGS_QUERY, set_verify_function },
	{ "trigger", 0, required_argument, ARGS_VERIFY, set_verify_trigger },
	{ "expect", 0, required_argument, ARGS_VERIFY, set_verify_expect },
	{ "guard", 0, required_argument, ARGS_VERIFY, set_verify_guard },
	{ "lines", 0, required_argument, ARGS_VERIFY, set_verify_lines },
	{ "min-triggers", 0, required_argument, ARGS_VERIFY, set_verify_min_triggers },
	{ "alpha", 0, required_argument, ARGS_VERIFY, set_verify_alpha },
	{ "together", 0, required_argument, ARGS_VERIFY, set_verify_together },
	{ "report", 0, required_argument, ARGS_VERIFY, set_verify_report },
	{ "record", 0, required_argument, ARGS_VERIFY, set_verify_record },
	{ "replay", 0, required_argument, ARGS_VERIFY, set_verify_replay },
	{ "sign-key", 0, required_argument, ARGS_VERIFY, set_verify_sign_key },
	{ "verify-key", 0, required_argument, ARGS_VERIFY, set_verify_verify_key },
	{ "title", 0, required_argument, ARGS_VERIFY, set_verify_title },
	{ "aa", 0, no_argument, ARGS_VERIFY, set_verify_aa },
	{ "by-time", 0, no_argument, ARGS_VERIFY, set_verify_by_time },
	{ "host", 0, required_argument, ARGS_QUERY | ARGS_TARGET, set_query_host },
	{ "request", 0, required_argument, ARGS_QUERY, set_query_request },
	{ "step", 0, required_argument, ARGS_QUERY, set_query_step },
	{ "by", 0, required_argument, ARGS_QUERY, set_query_by },
	{ "csv", 0, no_argument, ARGS_QUERY, set_query_csv },
	{ "module", 'm', required_argument, ARGS_FUNCS, set_module },
};

enum { N_DEFS = sizeof(defs) / sizeof(defs[0]), LONG_BASE = 256 };

/* What getopt wants: letters (after '+' or ':'), and long options whose value is LONG_BASE + index in defs. */
struct getopt_tables {
	char letters[3 + 2 * N_DEFS];
	struct option longs[N_DEFS + 1];
};

static void build_tables(struct getopt_tables *t, unsigned groups, bool stop_at_word)
{
	size_t letters = 0, longs = 0;

	memset(t, 0, sizeof(*t));
	if (stop_at_word)
		t->letters[letters++] = '+';
	t->letters[letters++] = ':';
	for (int i = 0; i < N_DEFS; i++) {
		if (!(defs[i].groups & groups))
			continue;
		t->longs[longs++] = (struct option){ defs[i].name, defs[i].has_arg, NULL, LONG_BASE + i };
		if (!defs[i].letter)
			continue;
		t->letters[letters++] = defs[i].letter;
		if (defs[i].has_arg == required_argument)
			t->letters[letters++] = ':';
	}
}

static const struct option_def *find_def(int c)
{
	if (c >= LONG_BASE)
		return &defs[c - LONG_BASE];
	for (int i = 0; i < N_DEFS; i++)
		if (defs[i].letter == c)
			return &defs[i];
	return NULL;
}

static int unknown_option(const char *word, unsigned groups, struct error *err)
{
	char want[64], candidate[64];
	struct nearest n;

	if (strncmp(word, "--", 2) != 0)
		return error_set(err, EINVAL, "unknown option '-%c'", optopt);
	error_set(err, EINVAL, "unknown or ambiguous option '%s'", word);
	snprintf(want, sizeof(want), "%.*s", (int)strcspn(word, "="), word);
	nearest_init(&n, want);
	for (int i = 0; i < N_DEFS; i++) {
		snprintf(candidate, sizeof(candidate), "--%s", defs[i].name);
		if (defs[i].groups & groups)
			nearest_offer(&n, candidate);
	}
	return nearest_hint(&n, err);
}

void args_init(struct args *a)
{
	const struct { const char *name; const char **to; } variables[] = {
		{ "PLUMB_SOCKET", &a->socket }, { "PLUMB_COLLECTOR", &a->collector }, { "PLUMB_TOKEN_FILE", &a->token_file },
		{ "PLUMB_TLS_CA", &a->tls.ca }, { "PLUMB_TLS_CERT", &a->tls.cert }, { "PLUMB_TLS_KEY", &a->tls.key },
	};

	memset(a, 0, sizeof(*a));
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *value = getenv(variables[i].name);

		if (value && value[0])
			*variables[i].to = value;
	}
}

const char *args_collector(const struct args *a)
{
	return a->socket_given && !a->collector_given ? NULL : a->collector;
}

const char *args_socket(const struct args *a)
{
	return a->socket ? a->socket : PLUMB_SOCKET_PATH;
}

int args_parse(struct args *a, unsigned groups, bool stop_at_word, int argc, char **argv, struct error *err)
{
	struct getopt_tables t;
	int c, rc;

	build_tables(&t, groups, stop_at_word);
	opterr = 0;
	optind = 0;   /* glibc: forget an earlier parse */
	while ((c = getopt_long(argc, argv, t.letters, t.longs, NULL)) != -1) {
		const struct option_def *def = find_def(c);

		if (c == ':')
			return error_set(err, EINVAL, "option '%s' needs a value", argv[optind - 1]);
		if (!def)
			return unknown_option(argv[optind - 1], groups, err);
		rc = def->set(a, optarg, err);
		if (rc)
			return rc;
	}
	if (a->socket_given && a->collector_given)
		return error_set(err, EINVAL, "--socket and --collector exclude each other");
	a->rest = argv + optind;
	a->n_rest = argc - optind;
	return 0;
}
