/* SPDX-License-Identifier: MIT */
/* Requests to a web service, over libcurl. A line is a handle with its one kept connection; it
 * belongs to one thread at a time and makes one request at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobd/queue.h"

enum { WEB_CONNECT_MS = 10000, WEB_ERROR_BYTES = 500 };

enum web_end {
    WEB_ENDED,   /* the answer says how */
    WEB_STOPPED, /* told to stop */
    WEB_LATE,    /* no connection, or no whole answer, in time */
    WEB_BROKEN   /* short memory; the line is of no use any more: free it */
};

/* Valid until the line is reset. */
struct web_answer {
    long status; /* 0: there was no whole answer, and `reason` says why */
    const char *reason;
    const char *type; /* "" when not known */
    const char *bytes;
    size_t size;        /* of a 2xx answer as much as is wanted, of others WEB_ERROR_BYTES */
    bool cut;           /* there was more */
    bool asked;         /* there was a connection */
    int64_t wait_for_s; /* Retry-After, at least 0 */
};

/* For the whole process, once, in any thread. False when libcurl cannot start. */
JOBD_MUST_READ bool web_set_up(void);

/* May it be the value of a header field (RFC 9110, section 5.5)? Blanks alone may not. */
bool web_value_ok(const char *value);

struct web_line;

/* A line that posts to the URL and keeps so much of an answer. NULL when memory is short. */
struct web_line *web_new(const char *url, size_t keep_bytes);

/* Closes the connection. */
void web_free(struct web_line *line);

/* Adds a field to the next request; none when the value is not one. False when memory is short. */
JOBD_MUST_READ bool web_field(struct web_line *line, const char *name, const char *value);

/* POSTs the payload (NULL: an empty body) and blocks until its end, or until the stop descriptor
 * (-1: none) is readable, or until so long has passed (0: for ever, but a connection must be there
 * after WEB_CONNECT_MS). Fills *answer in any case. */
JOBD_MUST_READ enum web_end web_post(struct web_line *line, struct jobd_blob *payload,
                                     int64_t timeout_us, int stop_fd, struct web_answer *answer);

/* Forgets the last request, and cuts its connection where it has not ended. False when that cannot
 * be yet, as a name is still being looked up: to be called again later. Does not block. */
JOBD_MUST_READ bool web_reset(struct web_line *line);

/* libcurl's version. */
const char *web_library(void);
/* Does it speak https? */
bool web_has_tls(void);
