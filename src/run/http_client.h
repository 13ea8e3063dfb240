/* SPDX-License-Identifier: MIT */
/* Requests to a web service, over libcurl. A client keeps one connection; it belongs to one thread
 * at a time and makes one request at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobd/queue.h"

enum {
    HTTP_CONNECT_MS = 10000,
    HTTP_ERROR_BYTES = 500,
    HTTP_RETRY_AFTER_MAX_S = 24 * 60 * 60 /* a service that asks for more is heard so far */
};

enum http_end {
    HTTP_ENDED,   /* the answer says how */
    HTTP_STOPPED, /* told to stop */
    HTTP_LATE,    /* no connection, or no whole answer, in time */
    HTTP_BROKEN   /* memory is short; the client is of no further use: free it */
};

/* Valid until the client is reset. */
struct http_answer {
    long status; /* 0: there was no whole answer, and `reason` says why */
    const char *reason;
    const char *type; /* "" when not known */
    const char *bytes;
    size_t size;        /* of a 2xx answer as much as is wanted, of others HTTP_ERROR_BYTES */
    bool cut;           /* there was more */
    bool asked;         /* there was a connection */
    bool silent;        /* nothing of an answer has come */
    bool says_when;     /* it has a Retry-After that can be read */
    int64_t wait_for_s; /* until then, from 0 to HTTP_RETRY_AFTER_MAX_S */
};

/* For the whole process, once, in any thread. False when libcurl cannot start. */
JOBD_MUST_READ bool http_client_set_up(void);

/* May it be the name of a header field, a token (RFC 9110, section 5.6.2)? */
bool http_client_name_ok(const char *name);

/* May it be the value of a header field (RFC 9110, section 5.5)? Blanks alone may not. */
bool http_client_value_ok(const char *value);

struct http_client;

/* Where to; all borrowed until return. */
struct http_target {
    const char *url;
    const char *socket; /* a unix socket, in place of the URL's host and port; NULL: none */
    const char *ca;     /* a file of certificates, in place of those that the system trusts, read
                           at each new connection; NULL: none */
};

enum { HTTP_SOCKET_MAX = 107 }; /* bytes of a socket's path */

/* A client that POSTs there, and keeps at most keep_bytes of an answer's body. NULL when memory is
 * short. */
struct http_client *http_client_new(const struct http_target *target, size_t keep_bytes);

/* The next requests go there, over the kept connection if that leads there. Not while a request is
 * under way. False when memory is short. */
JOBD_MUST_READ bool http_client_aim(struct http_client *client, const struct http_target *target);

/* From now on requests are GETs, without a body. False when memory is short. */
JOBD_MUST_READ bool http_client_use_get(struct http_client *client);

/* From now on a request that has been sent, and is then told to stop, waits this long for an answer
 * that may be on its way: its connection is closed in one direction only, so that the service knows
 * that nobody waits any more, but an answer that it has given already is not lost. 0, as at the
 * beginning: a stop cuts the connection. */
void http_client_hear_out(struct http_client *client, int64_t us);

/* Closes the connection. */
void http_client_free(struct http_client *client);

/* Adds a field to the next request, unless http_client_value_ok() refuses the value. False when
 * memory is short. */
JOBD_MUST_READ bool http_client_field(struct http_client *client, const char *name,
                                      const char *value);

/* Adds a whole field line, `Name: value`, as it is. False when memory is short. */
JOBD_MUST_READ bool http_client_field_line(struct http_client *client, const char *field);

/* POSTs the payload (NULL: an empty body) and blocks until its end, or until the stop descriptor
 * (-1: none) is readable, or until timeout_us has passed (0: for ever, but a connection must be
 * there after HTTP_CONNECT_MS). Fills *answer in any case. A kept connection that turns out to be
 * closed is replaced, once, as long as nothing of an answer has come. */
JOBD_MUST_READ enum http_end http_client_post(struct http_client *client, struct jobd_blob *payload,
                                              int64_t timeout_us, int stop_fd,
                                              struct http_answer *answer);

/* A field of the last answer, the first of this name. False when there is none, or it takes `size`
 * bytes or more. Until the client is reset. */
JOBD_MUST_READ bool http_client_answer_field(struct http_client *client, const char *name,
                                             char *out, size_t size);

/* Forgets the last request, and cuts its connection if it has not ended. False while that is not
 * possible yet, because a name is still being looked up: call it again later. Does not block. */
JOBD_MUST_READ bool http_client_reset(struct http_client *client);

/* libcurl's version. */
const char *http_client_library(void);
/* Does it speak https? */
bool http_client_has_tls(void);
