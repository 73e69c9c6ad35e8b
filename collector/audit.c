/* SPDX-License-Identifier: Apache-2.0 */
/* Who asked for what: entries of the store's audit table. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control_internal.h"
#include "log.h"

enum { LOGINS_MAX = 20, OUTCOME_MAX = 400 };
#define LOGINS_NS (10 * SECOND_NS)

void control_store_failed(const struct error *err)
{
	log_error("control", "not-stored", "reason=\"%s\"", err->text);
}

static int64_t put(struct control *k, const char *peer, const char *who, const char *role, const char *action, const char *detail,
		   uint64_t request, const char *outcome)
{
	struct store_audit a = {
		.at_ns = wall_ns(), .request = request, .who = who, .role = role, .peer = peer, .action = action, .detail = detail,
		.outcome = outcome,
	};
	struct error err;

	if (store_audit(k->collector->store, &a, &err) < 0) {
		control_store_failed(&err);
		return 0;
	}
	return a.id;
}

int64_t control_audit(struct control *k, const struct session *s, const struct identity *who, const char *action, const char *detail, uint64_t request)
{
	return put(k, s->peer, who->name, role_name(who->role), action, detail, request, "");
}

void control_audit_end(struct control *k, int64_t id, const char *fmt, ...)
{
	char text[OUTCOME_MAX];
	struct error err;
	va_list ap;

	if (!id)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (store_audit_end(k->collector->store, id, text, wall_ns(), &err) < 0)
		control_store_failed(&err);
}

void control_audit_login(struct control *k, const char *peer, const char *host)
{
	log_warn("control", "login-refused", "peer=%s host=%s", peer, host);
	if (++k->logins_refused <= LOGINS_MAX)
		control_audit_end(k, put(k, peer, "", role_name(ROLE_NONE), "login refused", host, 0, ""), "the token is not known");
}

void control_login_refused(struct collector *c, const char *peer)
{
	control_audit_login(control_of(c), peer, "http");
}

void control_audit_tick(struct control *k)
{
	char text[64];

	if (mono_ns() - k->logins_since_ns < LOGINS_NS)
		return;
	if (k->logins_refused > LOGINS_MAX) {
		snprintf(text, sizeof(text), "%u more", k->logins_refused - LOGINS_MAX);
		control_audit_end(k, put(k, "", "", role_name(ROLE_NONE), "login refused", text, 0, ""), "the tokens were not known");
	}
	k->logins_refused = 0;
	k->logins_since_ns = mono_ns();
}
