/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "caret.h"
#include "text.h"
#include "wrap.h"

static bool want_color(enum color_mode mode, bool terminal)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	if (mode != COLOR_AUTO)
		return mode == COLOR_ALWAYS;
	return terminal && !(none && none[0]) && !(term && strcmp(term, "dumb") == 0);
}

void output_init(struct output *o, int fd, enum color_mode color)
{
	memset(o, 0, sizeof(*o));
	o->fd = fd;
	o->terminal = isatty(fd);
	o->color = want_color(color, o->terminal);
	o->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void output_free(struct output *o)
{
	buf_free(&o->text);
}

/* 0: go on writing, else no one will ever read it. */
static int wait_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			int rc = wait_writable(fd);

			if (rc)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

void output_flush(struct output *o)
{
	int rc = o->text.len && !o->closed ? write_all(o->fd, o->text.data, o->text.len) : 0;

	if (rc < 0) {
		o->closed = true;
		o->failed = rc != -EPIPE;   /* a reader that has seen enough is no failure */
		if (o->failed)
			message("cannot write the output: %s", strerror(-rc));
	}
	buf_clear(&o->text);
}

void output_poll(struct output *o)
{
	if (o->text.len >= OUTPUT_FLUSH_BYTES)
		output_flush(o);
}

static unsigned window(const struct output *o, const char *variable, bool rows)
{
	struct winsize ws;
	const char *env = getenv(variable);

	if (!o->terminal)
		return 0;
	if (ioctl(o->fd, TIOCGWINSZ, &ws) == 0 && (rows ? ws.ws_row : ws.ws_col) > 0)
		return rows ? ws.ws_row : ws.ws_col;
	return env && atoi(env) > 0 ? (unsigned)atoi(env) : rows ? 24 : 80;
}

unsigned output_columns(const struct output *o)
{
	return window(o, "COLUMNS", false);
}

unsigned output_rows(const struct output *o)
{
	return window(o, "LINES", true);
}

void paint(struct output *o, enum paint p)
{
	static const char *const codes[] = {
		[PAINT_NONE] = "\033[0m", [PAINT_DIM] = "\033[2m", [PAINT_BOLD] = "\033[1m", [PAINT_RED] = "\033[31m",
		[PAINT_GREEN] = "\033[32m", [PAINT_YELLOW] = "\033[33m",
	};

	if (o->color)
		buf_str(&o->text, codes[p]);
}

static void write_stderr(const struct buf *text)
{
	const struct output to = { .fd = STDERR_FILENO, .terminal = isatty(STDERR_FILENO) };
	struct buf wrapped = { 0 };

	text_wrap(&wrapped, buf_text(text), output_columns(&to));
	/* Nothing can be done for a message that nobody can read. */
	(void)!write_all(STDERR_FILENO, buf_text(&wrapped), wrapped.len);
	buf_free(&wrapped);
}

void message(const char *fmt, ...)
{
	struct buf line = { 0 };
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_str(&line, "plumb: ");
	text_safe(&line, text);
	buf_char(&line, '\n');
	write_stderr(&line);
	buf_free(&line);
}

void show_error(const struct error *err, const char *input)
{
	struct buf text = { 0 };

	error_render(err, input, &text);
	write_stderr(&text);
	buf_free(&text);
}
