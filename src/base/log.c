/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_scan.h"
#include "base/text.h"

enum { LINE_MAX_BYTES = 1024 };

const char *const log_level_names[] = {"error", "warn", "info", "debug", NULL};
const char *const log_format_names[] = {"text", "json", NULL};

static enum log_format log_as = LOG_TEXT;
static enum log_level log_up_to = LOG_INFO;

void log_setup(enum log_format format, enum log_level level)
{
    log_as = format;
    log_up_to = level;
}

bool log_writes(enum log_level level)
{
    return level <= log_up_to;
}

static void write_all(const char *line, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, line, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* nowhere left to say so */
        line += written;
        size -= (size_t)written;
    }
}

void log_line(enum log_level level, const char *format, ...)
{
    if (level > log_up_to)
        return;
    int kept_errno = errno;
    char time[TEXT_TIME_SIZE], message[LINE_MAX_BYTES], line[3 * LINE_MAX_BYTES];
    text_time(clock_now_us(), time);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    int length;
    if (log_as == LOG_JSON) {
        char escaped[2 * LINE_MAX_BYTES];
        length =
            snprintf(line, sizeof line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"%s\"}\n",
                     time, log_level_names[level], json_escape(message, escaped, sizeof escaped));
    } else {
        length = snprintf(line, sizeof line, "%s %s %s\n", time, log_level_names[level], message);
    }
    if (length > 0)
        write_all(line, (size_t)length);
    errno = kept_errno;
}
