/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per event on standard error: "level=warn part=client event=closing pid=3 ...".  `fields` is printf-style
 * key=value text; hostile texts in it are the caller's to quote and are cleaned of control characters here.
 */
#ifndef PLUMB_LOG_H
#define PLUMB_LOG_H

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

void log_set_level(enum log_level level);
void log_line(enum log_level level, const char *part, const char *event, const char *fields, ...)
	__attribute__((format(printf, 4, 5)));

#define log_info(part, event, ...) log_line(LOG_LEVEL_INFO, part, event, __VA_ARGS__)
#define log_warn(part, event, ...) log_line(LOG_LEVEL_WARN, part, event, __VA_ARGS__)
#define log_error(part, event, ...) log_line(LOG_LEVEL_ERROR, part, event, __VA_ARGS__)

#endif
