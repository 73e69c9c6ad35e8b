/* SPDX-License-Identifier: Apache-2.0 */
/* plumb verify: a verification (verify/verify.h) between an agent or a collector and a terminal. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "clock_ns.h"
#include "file.h"
#include "request.h"
#include "screen.h"
#include "signals.h"
#include "table.h"
#include "verify.h"
#include "verify_args.h"
#include "verify_files.h"
#include "verify_post.h"
#include "verify_record.h"
#include "verify_report.h"
#include "verify_text.h"
#include "wrap.h"

/* FAIL is 1, so everything that is no verdict is 2. */
enum { EXIT_PASS = 0, EXIT_FAIL = 1, EXIT_NO_VERDICT = 2, EXIT_INCONCLUSIVE = 3 };
#define TELL_NS 10000000000ULL
enum { POLL_MS = 100, DRAW_NS = 500000000, LIVE_CONTEXT = 1, LIVE_DIFF_LINES = 24, LIVE_DIFF_STEP = 4, REPORT_CONTEXT = 3 };

struct run {
	const struct args *args;
	struct client *client;
	struct verify *verify;
	struct verify_post *post;    /* NULL: no collector */
	struct record_key sign_key;
	struct output out;
	unsigned drawn;
	uint64_t drawn_ns;
	enum verify_stage told;      /* not on a terminal: stages are told once */
	bool told_waiting;
	uint64_t told_ns;
	bool stopping;
};

/* ---- the screen ---- */

static void paint_tone(struct buf *out, enum verify_tone tone, void *arg)
{
	static const enum paint paints[] = { [TONE_PLAIN] = PAINT_NONE, [TONE_DIM] = PAINT_DIM, [TONE_BOLD] = PAINT_BOLD,
					     [TONE_GOOD] = PAINT_GREEN, [TONE_BAD] = PAINT_RED, [TONE_WARN] = PAINT_YELLOW };

	text_paint(out, arg, paints[tone]);
}

static void live_text(const struct verify_view *v, const struct verify_style *style, struct buf *text)
{
	verify_text(v, style, text);
	verify_progress(v, text);
	buf_char(text, '\n');
}

static void draw(struct run *r)
{
	const struct verify_view *v = verify_view(r->verify);
	struct verify_style style = { paint_tone, &r->out, LIVE_CONTEXT, LIVE_DIFF_LINES, false };
	struct buf text = { 0 };

	live_text(v, &style, &text);
	while (screen_excess(&r->out, &text) && style.lines > LIVE_DIFF_STEP) {   /* the gates matter more than all else */
		if (style.brief)
			style.lines -= LIVE_DIFF_STEP;
		style.brief = true;
		buf_clear(&text);
		live_text(v, &style, &text);
	}
	r->drawn = screen_redraw(&r->out, &text, r->drawn, 1);
	output_flush(&r->out);
	buf_free(&text);
}

/* Not on a terminal: a line when something begins, and then every ten seconds. */
static void tell(struct run *r, uint64_t now_ns)
{
	const struct verify_view *v = verify_view(r->verify);
	bool same = v->stage == r->told && (v->waiting != NULL) == r->told_waiting;
	bool counts = v->stage == VERIFY_RUNNING || v->stage == VERIFY_AA;   /* its figures change */
	struct buf line = { 0 };

	if (same && (!counts || now_ns - r->told_ns < TELL_NS))
		return;
	r->told = v->stage;
	r->told_waiting = v->waiting != NULL;
	r->told_ns = now_ns;
	verify_progress(v, &line);
	message("%s", buf_text(&line));
	buf_free(&line);
}

static void show(struct run *r, uint64_t now_ns)
{
	if (!r->out.terminal) {
		tell(r, now_ns);
	} else if (now_ns - r->drawn_ns >= DRAW_NS) {
		draw(r);
		r->drawn_ns = now_ns;
	}
}

static void show_result(struct run *r)
{
	const struct verify_view *v = verify_view(r->verify);
	struct verify_style style = { paint_tone, &r->out, REPORT_CONTEXT, 0, false };
	struct buf text = { 0 };

	if (r->out.terminal && r->drawn) {
		screen_redraw(&r->out, &text, r->drawn, 0);
		output_flush(&r->out);
	}
	buf_clear(&text);
	verify_text(v, &style, &text);
	text_wrap(&r->out.text, buf_text(&text), output_columns(&r->out));
	buf_free(&text);
}

/* ---- frames ---- */

static int flush(struct run *r, struct error *err)
{
	struct buf *out = verify_out(r->verify);

	return out->len || out->failed ? client_send(r->client, out, err) : 0;
}

static int take_frames(struct run *r, struct error *err)
{
	struct frame_in in;
	const char *raw;
	size_t raw_len;
	int rc;

	while ((rc = client_next(r->client, &in, &raw, &raw_len, err)) > 0) {
		if (!verify_post_frame(r->post, &in))
			rc = verify_frame(r->verify, &in, raw, raw_len, clock_ns(CLOCK_MONOTONIC), err);
		frame_in_free(&in);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int wait_for_more(struct run *r, int signal_fd, struct error *err)
{
	struct pollfd p[] = { { .fd = client_fd(r->client), .events = POLLIN }, { .fd = signal_fd, .events = POLLIN } };
	int rc;

	if (!client_pending(r->client) && poll(p, r->stopping ? 1 : 2, POLL_MS) < 0 && errno != EINTR)
		return error_set(err, errno, "cannot wait for the agent");
	rc = client_fill(r->client, 0, err);
	return rc < 0 ? rc : 0;
}

static int run_loop(struct run *r, int signal_fd, struct error *err)
{
	int rc = verify_post_new(r->args, r->client, r->verify, &r->post, err);

	if (!rc)
		rc = verify_start(r->verify, clock_ns(CLOCK_MONOTONIC), err);
	while (!rc && verify_view(r->verify)->stage != VERIFY_DONE) {
		rc = flush(r, err);
		if (!rc)
			rc = wait_for_more(r, signal_fd, err);
		if (!rc)
			rc = take_frames(r, err);
		if (!rc)
			rc = verify_timer(r->verify, clock_ns(CLOCK_MONOTONIC), err);
		if (!rc)
			rc = verify_post_timer(r->post, clock_ns(CLOCK_MONOTONIC), err);
		if (!rc && signals_came() && !r->stopping) {
			r->stopping = true;
			verify_stop(r->verify, "it was stopped before it was decided", clock_ns(CLOCK_MONOTONIC));
		}
		if (!rc)
			show(r, clock_ns(CLOCK_MONOTONIC));
	}
	return rc;
}

/* ---- what is left behind ---- */

static int write_file(const char *path, const struct buf *text, struct error *err)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDOUT_FILENO) : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t at = 0;

	if (fd < 0)
		return error_set(err, errno, "cannot write %s: %s", path, strerror(errno));
	while (at < text->len) {
		ssize_t n = write(fd, text->data + at, text->len - at);

		if (n < 0 && errno != EINTR)
			break;
		at += n > 0 ? (size_t)n : 0;
	}
	if (close(fd) < 0 || at < text->len || text->failed)
		return error_set(err, EIO, "cannot write all of %s", path);
	return 0;
}

static int write_reports(const struct args *a, struct verify *v, struct error *err)
{
	struct report_target target[REPORT_TARGETS];
	int n = a->verify.report ? report_targets(a->verify.report, target, err) : 0, rc = n < 0 ? n : 0;

	for (int i = 0; i < n; i++) {
		struct buf text = { 0 };

		verify_report(target[i].kind, target[i].kind_len)(verify_view(v), &text);
		if (!rc)
			rc = write_file(target[i].path, &text, err);
		buf_free(&text);
		free(target[i].path);
	}
	return rc;
}

/* The record as a file, signed if there is a key. */
static int seal_record(const struct run *r, struct buf *file, struct error *err)
{
	const struct buf *raw = verify_recorded(r->verify);

	return raw ? record_seal(raw, &r->sign_key, file, err) : 0;
}

static int write_record(const struct run *r, struct error *err)
{
	struct buf file = { 0 };
	int rc = r->args->verify.record ? seal_record(r, &file, err) : 0;

	if (!rc && file.len)
		rc = write_file(r->args->verify.record, &file, err);
	buf_free(&file);
	return rc;
}

/* The collector gets what the user gets; a record that cannot be made is no reason to lose the verdict. */
static void post_end(struct run *r, const struct error *failed)
{
	struct error err = { 0 };
	struct buf file = { 0 };

	if (r->post && seal_record(r, &file, &err)) {
		message("the collector gets no record: %s", err.text);
		buf_clear(&file);
	}
	verify_post_end(r->post, &file, failed);
	buf_free(&file);
}

static int exit_code(enum verdict_state s)
{
	return s == VERDICT_PASS ? EXIT_PASS : s == VERDICT_FAIL ? EXIT_FAIL : EXIT_INCONCLUSIVE;
}

/* The verdict on the screen comes first: a file that cannot be written takes nothing from it but the exit code. */
static int conclude(struct run *r)
{
	const struct verify_view *v = verify_view(r->verify);
	struct error err = { 0 };

	if (v->state == VERDICT_UNDECIDED) {
		error_set(&err, EINTR, "%s", v->reason);
		show_error(&err, NULL);
		return EXIT_NO_VERDICT;
	}
	if (r->args->json)
		verify_report_json(verify_view(r->verify), &r->out.text);
	else
		show_result(r);
	output_flush(&r->out);
	if (write_reports(r->args, r->verify, &err) < 0 || write_record(r, &err) < 0) {
		show_error(&err, NULL);
		return EXIT_NO_VERDICT;
	}
	return exit_code(verify_view(r->verify)->state);
}

static int serve(struct run *r)
{
	struct error err = { 0 };
	int signal_fd = signals_catch(), rc, code = EXIT_NO_VERDICT;

	if (r->args->verify.record || client_is_collector(r->client))
		verify_record(r->verify);
	rc = signal_fd < 0 ? error_set(&err, -signal_fd, "cannot catch signals") : run_loop(r, signal_fd, &err);
	if (signal_fd >= 0)
		signals_release();
	if (rc)
		show_error(&err, NULL);
	else
		code = conclude(r);
	post_end(r, rc ? &err : NULL);
	return code;
}

/* ---- again, from a record ---- */

static int replay(const struct args *a)
{
	struct run r = { .args = a };
	struct error err = { 0 };
	char *file = NULL, *key = NULL;
	size_t len = 0, key_len = 0;
	bool is_signed = false;
	int rc = file_read(a->verify.replay, RECORD_RAW_MAX, &file, &len, &err), code = EXIT_NO_VERDICT;

	if (!rc && a->verify.verify_key)
		rc = file_read(a->verify.verify_key, RECORD_KEY_MAX, &key, &key_len, &err);
	if (!rc)
		r.verify = record_replay(file, len, key, key_len, &is_signed, &err);
	output_init(&r.out, STDOUT_FILENO, a->color);
	if (r.verify) {
		message("%s", !is_signed ? "the record is not signed" : key ? "the record is signed with that key" :
			"the record is signed; --verify-key FILE checks by whom");
		code = conclude(&r);
	} else {
		show_error(&err, NULL);
	}
	verify_free(r.verify);
	output_free(&r.out);
	free(file);
	free(key);
	return code;
}

/* A record holds the claim: what would change it is not looked at, and must not seem to be. */
static bool has_claim(const struct args *a)
{
	const struct verify_args *o = &a->verify;
	const char *const text[] = { o->patch, o->strip, o->baseline, o->candidate, o->arm_by, o->function, o->trigger, o->expect, o->lines,
				     o->min_triggers, o->alpha, o->together, o->record, o->sign_key, o->title, a->error };

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (text[i])
			return true;
	return o->n_guards || o->aa || o->by_time || a->n_rest || a->target != TARGET_NONE || a->for_ns || a->budget_ppm || a->allow_unwind;
}

static int check_files(const struct args *a, struct error *err)
{
	int rc = verify_files_prepare(a, err);

	if (rc)
		return rc;
	if (a->verify.replay && has_claim(a))
		return error_set(err, EINVAL, "--replay computes what the record holds: only --verify-key, --report and --json go with it");
	if (a->verify.sign_key && !a->verify.record && !args_collector(a))
		return error_set(err, EINVAL, "--sign-key signs the record: --record FILE");
	if (a->verify.verify_key && !a->verify.replay)
		return error_set(err, EINVAL, "--verify-key checks a record: --replay FILE");
	return 0;
}

static int run(const struct args *a)
{
	struct run r = { .args = a, .told = VERIFY_DONE };
	struct verify_spec spec = { 0 };
	struct error err = { 0 };
	int code = EXIT_NO_VERDICT, rc = check_files(a, &err);

	if (!rc && a->verify.replay)
		return replay(a);
	if (!rc)
		rc = verify_args_read(a, &spec, &err);
	if (!rc && a->verify.sign_key)
		rc = record_key_read(a->verify.sign_key, &r.sign_key, &err);
	if (rc) {
		verify_spec_free(&spec);
		show_error(&err, NULL);
		return EXIT_NO_VERDICT;
	}
	r.verify = verify_new(&spec, &err);
	output_init(&r.out, STDOUT_FILENO, a->color);
	if (!r.verify || request_connect(a, PRIVATE_ROOT, &r.client, &err) < 0)
		show_error(&err, NULL);
	else
		code = serve(&r);
	verify_post_free(r.post);
	client_close(r.client);
	verify_free(r.verify);
	record_key_free(&r.sign_key);
	output_free(&r.out);
	return code;
}

const struct command command_verify = {
	.name = "verify",
	.synopsis = "[CLAIM.yaml] [TARGET] [OPTION...]",
	.summary = "prove that a fix works, and that nothing else got worse, under real traffic",
	.details =
		"What is verified:\n"
		"      --patch FILE          a unified diff: its changed lines and functions are probed (-: standard input)\n"
		"      --strip N             leading components of its paths to drop, as patch -p\n"
		"      --function F          the function that the claim is about; 'ns::f<*>', 'db_*': all of those together\n"
		"      --trigger 'COND'      the calls that the bug can bite, e.g. 'o->qty == 0'\n"
		"      --error 'EXPR'        what a failing call is, e.g. '$ret > 4000' (default: by the return type)\n"
		"      --expect WHAT         gone, or 'error_rate < 0.5 x baseline'\n"
		"      --guard WHAT          'error_rate < +25 %', 'latency p99 < +10 %', 'no new error values',\n"
		"                            'calls of F per G > -20 %'; may be given several times\n"
		"      --lines all|any|none  changed lines that must run on the candidate (all)\n"
		"      --min-triggers N      trigger calls that the candidate must have seen (20)\n"
		"      --alpha A             error probability of the verdict (0.05)\n"
		"      --together K          calls that may fail or succeed together, as those of one request (1)\n"
		"Arms (two builds that run: the older processes are the baseline):\n"
		"      --baseline ARM, --candidate ARM   build:ID, pid:N,N, or through a collector host:A,B\n"
		"      --by-time             one build now, another one after a restart that you make while it watches\n"
		"      --arm-by 'COND'       one build, the candidate is where the condition holds (a feature flag)\n"
		"      --aa                  the baseline as two halves first, which must not differ; with one build: nothing else\n"
		"Target, one of:\n"
		"  -p, --pid PID   -s, --service NAME   -x, --exe PATH\n"
		"Options:\n"
		"      --for, --deadline D   INCONCLUSIVE after this time (10m)\n"
		"      --budget P%           of one core that the probes may add to a process\n"
		"      --allow-unwind        probe returns in C++ and Rust too\n"
		"      --json                the result as JSON on standard output\n"
		"      --report KIND=FILE,...  junit=, md= (for a pull request), json=\n"
		"      --record FILE         all that went in; --sign-key FILE signs it (Ed25519)\n"
		"      --title TEXT          with --collector, which keeps the verdict: what it is called there\n"
		"      --replay FILE         compute the verdict of a record again; --verify-key FILE checks its signature\n"
		"Exit codes: 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 2 it cannot be verified; the sentence says why.\n"
		"Examples:\n"
		"  plumb verify -s orderd --patch fix.diff --baseline build:8f3a21 --candidate build:c01d77\n"
		"  plumb verify -s orderd --function apply_coupon --trigger 'o->qty == 0' --expect gone --for 5m\n",
	.groups = ARGS_TARGET | ARGS_JSON | ARGS_VERIFY,
	.max_rest = 1,
	.rest_name = "CLAIM",
	.run = run,
};
