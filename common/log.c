/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static enum log_level threshold = LOG_LEVEL_INFO;
static const char *const names[] = { "debug", "info", "warn", "error" };

void log_set_level(enum log_level level)
{
	threshold = level;
}

void log_line(enum log_level level, const char *part, const char *event, const char *fields, ...)
{
	char text[1024], when[32];
	struct timespec now;
	struct tm tm;
	va_list ap;

	if (level < threshold)
		return;
	va_start(ap, fields);
	vsnprintf(text, sizeof(text), fields, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	clock_gettime(CLOCK_REALTIME, &now);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
	fprintf(stderr, "ts=%s.%03ldZ level=%s part=%s event=%s %s\n", when, now.tv_nsec / 1000000, names[level], part,
		event, text);
}
