/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/clock.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "base/utf8.h"

enum { LINE_MAX_BYTES = 1024, ESCAPED_MAX_BYTES = 2 * LINE_MAX_BYTES };

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

/* The bytes of the character that begins here; 0 when it must not be written as it is: it controls
 * a terminal, or is no character. */
static size_t character(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    if (bytes[0] < 0x80)
        return char_is_printable(*at) ? 1 : 0;
    size_t size = bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
    bool controls = bytes[0] == 0xc2 && bytes[1] < 0xa0;
    return !controls && strnlen(at, size) == size && utf8_valid(bytes, size) ? size : 0;
}

static char *escape(const char *message, char out[ESCAPED_MAX_BYTES])
{
    size_t used = 0;
    while (*message != '\0' && used + sizeof "\\x00" <= ESCAPED_MAX_BYTES) {
        size_t size = character(message);
        memcpy(out + used, message, size);
        used += size;
        if (size == 0)
            used += (size_t)snprintf(out + used, ESCAPED_MAX_BYTES - used, "\\x%02x",
                                     (unsigned char)*message);
        message += size > 0 ? size : 1;
    }
    out[used] = '\0';
    return out;
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
    char time[TEXT_TIME_SIZE], message[LINE_MAX_BYTES], escaped[ESCAPED_MAX_BYTES];
    char line[ESCAPED_MAX_BYTES + LINE_MAX_BYTES];
    int length;
    text_time(clock_wall_us(clock_now_us()), time);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (log_as == LOG_JSON)
        length =
            snprintf(line, sizeof line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"%s\"}\n",
                     time, log_level_names[level], json_escape(message, escaped, sizeof escaped));
    else
        length = snprintf(line, sizeof line, "%s %s %s\n", time, log_level_names[level],
                          escape(message, escaped));
    if (length > 0)
        write_all(line, (size_t)length);
    errno = kept_errno;
}
