/* SPDX-License-Identifier: MIT */
/* Log lines on standard error, one line an event, written by one write(2). Any thread; errno is
 * kept. Bytes that could control a terminal, or are not UTF-8, are escaped: as \xNN in text, as
 * \u00NN in JSON. Texts of clients must go through text_printable() first, so that nothing in them
 * can pass for words of jobd. */
#pragma once

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVELS };
enum log_format { LOG_TEXT, LOG_JSON, LOG_FORMATS };

extern const char *const log_level_names[LOG_LEVELS + 1];   /* NULL at the end */
extern const char *const log_format_names[LOG_FORMATS + 1]; /* NULL at the end */

/* Before there is another thread. Until then: text, up to `info`. */
void log_setup(enum log_format format, enum log_level level);

/* Are lines of this level written? */
bool log_writes(enum log_level level);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
