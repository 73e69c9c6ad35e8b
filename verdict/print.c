/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical text of a verdict, and what must stand beside it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "text.h"
#include "verdict.h"

const char *verdict_state_name(enum verdict_state s)
{
	static const char *const names[] = { "UNDECIDED", "PASS", "FAIL", "INCONCLUSIVE" };

	return names[s];
}

const char *gate_state_name(enum gate_state s)
{
	static const char *const names[] = { "open", "PASS", "FAIL", "blocked", "not judged" };

	return names[s];
}

void verdict_eta_text(double seconds, char *out, unsigned len)
{
	if (isnan(seconds) || isinf(seconds))
		snprintf(out, len, "no estimate");
	else if (seconds < 90)
		snprintf(out, len, "about %.0f s", ceil(seconds));
	else if (seconds < 90 * 60)
		snprintf(out, len, "about %.0f min", seconds / 60);
	else if (seconds < 48 * 3600)
		snprintf(out, len, "about %.0f h", seconds / 3600);
	else if (seconds < 365 * 86400.0)
		snprintf(out, len, "about %.0f days", seconds / 86400);
	else
		snprintf(out, len, "more than a year");
}

/* ---- caveats ---- */

static void caveat_processes(const struct verdict_view *v, struct buf *out)
{
	const char *arm = v->base->most_processes < 2 && v->cand->most_processes < 2 ? "each arm" :
			  v->base->most_processes < 2 ? "the baseline" : v->cand->most_processes < 2 ? "the candidate" : NULL;

	if (arm)
		buf_printf(out,
			   "%s had one process at most: what is special about that process (its host, its cache, its connections) "
			   "cannot be told from the build; two or more per arm are better\n", arm);
}

void verdict_caveats(struct verdict *verdict, struct buf *out)
{
	const struct verdict_view *v = verdict_view(verdict);

	if (v->claim->together > 1)
		buf_printf(out, "up to %u calls are taken to fail or succeed together; if more do, the evidence looks stronger than it is; "
			   "an A/A run (the same build as both arms) shows it\n", v->claim->together);
	else
		buf_str(out, "calls are taken to be independent of one another; calls of one request, or retries of one user, are not, and "
			"make the evidence look stronger than it is: an A/A run (the same build as both arms) shows it, and the claim can "
			"say how many calls hang together\n");
	caveat_processes(v, out);
	if (v->claim->arms == ARMS_BY_TIME)
		buf_str(out, "the arms ran one after the other: whatever else changed between the two windows (load, data, "
			     "neighbours) counts as the candidate's\n");
	if (v->base->lost || v->base->unpaired || v->cand->lost || v->cand->unpaired)
		buf_printf(out,
			   "calls of unknown outcome (baseline %" PRIu64 " lost, %" PRIu64 " unpaired; candidate %" PRIu64
			   " lost, %" PRIu64 " unpaired) were counted against each conclusion\n",
			   v->base->lost, v->base->unpaired, v->cand->lost, v->cand->unpaired);
	if (v->base->probe_ns > 0 || v->cand->probe_ns > 0)
		buf_printf(out, "the probes add about %.0f ns to a call of the baseline and %.0f ns to one of the candidate\n",
			   v->base->probe_ns, v->cand->probe_ns);
}

/* ---- the whole ---- */

static void number(struct buf *out, double x)
{
	if (isnan(x))
		buf_char(out, '?');
	else if (isinf(x))
		buf_str(out, x < 0 ? "-inf" : "inf");
	else
		buf_printf(out, "%.6g", x);
}

static void figure(struct buf *out, const char *name, const struct figure *f)
{
	buf_printf(out, " %s ", name);
	number(out, f->value);
	buf_str(out, " [");
	number(out, f->low);
	buf_str(out, ", ");
	number(out, f->high);
	buf_char(out, ']');
}

static void print_gate(struct buf *out, const struct gate_view *g)
{
	static const char *const units[] = { "", " rate", " ns", " per call" };

	buf_printf(out, "gate %s ", gate_state_name(g->state));
	text_safe(out, g->name);
	buf_str(out, ": ");
	text_safe(out, g->reason);
	buf_str(out, "\n ");
	figure(out, "baseline", &g->base);
	figure(out, "candidate", &g->cand);
	buf_str(out, units[g->unit]);
	figure(out, "ratio", &g->ratio);
	buf_str(out, " margin ");
	number(out, g->margin);
	buf_str(out, " evidence ");
	number(out, g->log_e);
	buf_str(out, " of ");
	number(out, g->log_needed);
	if (g->unit == UNIT_NS) {
		buf_str(out, " differ ");
		number(out, g->differ_log_e);
	}
	buf_str(out, " eta ");
	number(out, g->eta_s);
	buf_char(out, '\n');
}

static void print_arm(struct buf *out, const char *name, const struct arm_total *t)
{
	buf_printf(out,
		   "%s calls %" PRIu64 " errors %" PRIu64 " triggers %" PRIu64 " trigger-errors %" PRIu64 " lost %" PRIu64
		   " unpaired %" PRIu64 " died %" PRIu64 " processes %u probe %.6g ns ",
		   name, t->calls, t->errors, t->triggers, t->trigger_errors, t->lost, t->unpaired, t->died, t->processes, t->probe_ns);
	text_safe(out, t->site_kind[0] ? t->site_kind : "-");
	buf_char(out, '\n');
}

static void print_shape(struct buf *out, const struct errset *s)
{
	static const char *const only[] = { "both", "candidate-only", "baseline-only" };
	struct errset_shift shift[ERRSET_MAX];
	unsigned n = errset_shape(s, shift, ERRSET_MAX);

	for (unsigned i = 0; i < n; i++)
		buf_printf(out, "value %u:%" PRId64 " %s baseline %" PRIu64 " candidate %" PRIu64 " weight %.6g\n",
			   shift[i].where, shift[i].value, only[shift[i].only], shift[i].base, shift[i].cand, shift[i].weight);
}

void verdict_print(struct verdict *verdict, struct buf *out)
{
	const struct verdict_view *v = verdict_view(verdict);

	buf_printf(out, "verdict %d %s ", VERDICT_VERSION, verdict_state_name(v->state));
	text_safe(out, v->claim->function);
	buf_printf(out, " ticks %" PRIu64 " span %.6g s eta ", v->ticks, (double)v->span_ns / 1e9);
	number(out, v->eta_s);
	buf_str(out, " s\nreason ");
	text_safe(out, v->reason);
	buf_char(out, '\n');
	print_arm(out, "baseline", v->base);
	print_arm(out, "candidate", v->cand);
	buf_printf(out, "differ %.6g alpha %.6g per gate %.6g\n", v->differ_log_e, v->claim->alpha, v->gate_alpha);
	for (unsigned i = 0; i < v->gates; i++)
		print_gate(out, v->gate[i]);
	print_shape(out, v->errors);
	buf_str(out, "caveats\n");
	verdict_caveats(verdict, out);
}
