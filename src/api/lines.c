/* SPDX-License-Identifier: MIT */
#include "api/lines.h"

#include <string.h>

/* A line of the body, without its end; false when there is none any more. */
static bool next_line(const struct jobd_blob *body, size_t *at, const char **line, size_t *size)
{
    if (*at >= body->size)
        return false;
    *line = (const char *)body->bytes + *at;
    const char *end = memchr(*line, '\n', body->size - *at);
    *size = end != NULL ? (size_t)(end - *line) : body->size - *at;
    *at += *size + 1;
    if (*size > 0 && (*line)[*size - 1] == '\r')
        --*size;
    return true;
}

bool lines_next(const struct jobd_blob *body, size_t *at, uint32_t *number, const char **line,
                size_t *size)
{
    while (next_line(body, at, line, size)) {
        ++*number;
        if (*size > 0)
            return true;
    }
    return false;
}
