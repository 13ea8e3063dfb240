/* SPDX-License-Identifier: MIT */
/* What passes between the HTTP library (http.c) and the endpoints (api.c): a request, its reply. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobd/queue.h"

enum method { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_DELETE, METHOD_OPTIONS, METHOD_OTHER };

/* A request whose body has come in. All it points to is valid during the endpoint's call. */
struct request {
    enum method method;
    const char *path;       /* without the query, percent-decoded */
    struct jobd_blob *body; /* NULL when empty; an endpoint that keeps it sets it to NULL */
    bool wants_json;
    char trace[JOBD_TRACE_SIZE]; /* its traceparent, "" without */
    bool resumed;                /* the endpoint parked it, and the waiter has been woken since */
    struct jobd_waiter waiter;   /* for an endpoint that parks */
    uint64_t parked_for;         /* the endpoint's own, kept while parked, as is the next */
    struct jobd_put put;
    bool gives_body; /* parked: the body is gone when the waiter is woken with JOBD_OK */
    void *source;    /* the HTTP library's */
};

/* The value of a query parameter, "" without one; NULL when the parameter is not there. */
const char *request_parameter(const struct request *request, const char *name);

/* Calls `each` for every query parameter until it says false. */
void request_parameters(const struct request *request,
                        bool (*each)(void *context, const char *name, const char *value),
                        void *context);

/* A reply made once and sent many times. */
struct shared_reply;

/* The body is one of: text that outlives the server (`text`), a string from malloc() (`owned`), a
 * blob (`blob`); the last two are taken. */
struct reply {
    const struct shared_reply *shared; /* not NULL: this, and nothing below counts */
    unsigned status;
    const char *type; /* NULL: the blob's */
    const char *text;
    char *owned;
    struct jobd_blob *blob;
    char allow[48];         /* methods, for 405 and OPTIONS; "": none */
    char location[40];      /* "": none */
    uint64_t retry_after_s; /* 0: none */
    bool close;             /* close the connection after it */
    bool unsafe;            /* the bytes are a client's: no browser shall run them */
};

/* An error: a line of text, or RFC 9457's problem+json. `title` is copied. */
void reply_error(struct reply *reply, bool wants_json, unsigned status, const char *title);

/* What an endpoint says: the reply is filled in; or park the request, call start(), and call the
 * endpoint again once the waiter was woken. start() returns JOBD_PENDING, or what the waiter would
 * have been woken with. */
enum step { STEP_REPLY, STEP_PARK };
typedef enum jobd_result start_wait(struct request *request, void *context);
typedef enum step request_handler(struct request *request, struct reply *reply, start_wait **start,
                                  void *context);

#define TYPE_TEXT    "text/plain; charset=utf-8"
#define TYPE_JSON    "application/json"
#define TYPE_PROBLEM "application/problem+json"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_BYTES   "application/octet-stream"
