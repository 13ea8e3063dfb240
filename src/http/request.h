/* SPDX-License-Identifier: MIT */
/* What passes between the HTTP library (http.c) and the endpoints (api.c): a request, its reply. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "jobd/queue.h"

struct cJSON;

enum { REQUEST_SUBJECT_SIZE = 80 };

/* Bits, so that they make a set. */
enum method {
    METHOD_GET = 1 << 0,
    METHOD_HEAD = 1 << 1,
    METHOD_POST = 1 << 2,
    METHOD_DELETE = 1 << 3,
    METHOD_OPTIONS = 1 << 4,
    METHOD_OTHER = 1 << 5 /* has no name here */
};

enum { METHODS_SIZE = sizeof "GET, HEAD, POST, DELETE, OPTIONS" };

enum method method_named(const char *name);
/* The names of those in the set, as an Allow field lists them. */
void methods_list(unsigned set, char out[METHODS_SIZE]);

/* A request whose body has come in. All it points to is valid during the endpoint's call. */
struct request {
    enum method method;
    const char *path;       /* without the query, percent-decoded */
    struct jobd_blob *body; /* NULL when empty; an endpoint that keeps it sets it to NULL */
    bool wants_json;
    bool cors_allowed; /* from a page of --cors-origin, whose replies say so: none of them is shared
                        */
    char trace[JOBD_TRACE_SIZE]; /* its traceparent, "" without */
    bool resumed;                /* the endpoint parked it, and the waiter has been woken since */
    struct jobd_waiter waiter;   /* for an endpoint that parks */
    uint64_t parked_for;         /* the endpoint's own, kept while parked, as are the next */
    bool brief; /* parked for the disk alone: not worth being watched for a hang-up */
    char subject[REQUEST_SUBJECT_SIZE]; /* for start(): what stood for `*` in the path */
    int64_t us, until_us;
    uint32_t count;
    struct takers *takers; /* who take more than one job: api_work.c's */
    struct jobd_put put;
    struct jobd_blob **batch; /* from malloc(), put.batch_len of them; freed with the request */
    /* Parked, and woken with JOBD_OK, but nobody is there any more to be answered. NULL: nothing */
    void (*abandoned)(struct request *request, void *context);
    bool body_offered; /* parked: body or batch are taken when the waiter says accepted */
    bool body_taken;   /* they are the engine's, the request must not give back their references */
    void *source;      /* the HTTP library's */
};

/* The value of a query parameter, "" without one; NULL when the parameter is not there. */
const char *request_parameter(const struct request *request, const char *name);

/* The token of its `Authorization: Bearer`, *size bytes; NULL when it has none. */
const char *request_token(const struct request *request, size_t *size);
/* The client's Idempotency-Key, "" without; false when it is none. */
bool request_key(const struct request *request, char key[JOBD_KEY_SIZE]);
/* Prefer: wait, in seconds; 0 without. */
uint64_t request_wait_s(const struct request *request);

/* Calls `each` for every query parameter until it says false. */
void request_parameters(const struct request *request,
                        bool (*each)(void *context, const char *name, const char *value),
                        void *context);

/* A reply made once and sent many times. */
struct shared_reply;

enum { REPLY_FIELDS_MAX = 4, REPLY_VALUE_SIZE = 72 };

/* The body is one of: text that outlives the server (`text`), a string from malloc() (`owned`), a
 * blob (`blob`); the last two are taken. */
struct reply {
    const struct shared_reply *shared; /* not NULL: this, and nothing below counts */
    unsigned status;
    const char *type; /* NULL: the blob's */
    const char *text;
    char *owned;
    struct jobd_blob *blob;
    char allow[METHODS_SIZE]; /* methods, for 405 and OPTIONS; "": none */
    char location[48];        /* "": none */
    uint64_t retry_after_s;   /* 0: none */
    struct {
        const char *name; /* NULL: none */
        char value[REPLY_VALUE_SIZE];
    } fields[REPLY_FIELDS_MAX];
    bool close;  /* close the connection after it */
    bool unsafe; /* the bytes are a client's: no browser shall run them */
};

/* Adds a field; its name must outlive the reply. */
__attribute__((format(printf, 3, 4))) void reply_field(struct reply *reply, const char *name,
                                                       const char *format, ...);

/* An error: a line of text, or RFC 9457's problem+json. `detail` is copied. */
void reply_error(struct reply *reply, bool wants_json, unsigned status, const char *detail);
/* Such a problem, for more members, the caller's; NULL when memory is short. */
struct cJSON *reply_problem(unsigned status, const char *detail);

/* What an endpoint says: the reply is filled in; or park the request, call start(), and call the
 * endpoint again once the waiter was woken. start() returns JOBD_PENDING, or what the waiter would
 * have been woken with. */
enum step { STEP_REPLY, STEP_PARK };
typedef enum jobd_result start_wait(struct request *request, void *context);
typedef enum step request_handler(struct request *request, struct reply *reply, start_wait **start,
                                  void *context);
/* May the request come in, body and all? False, and why not is in the reply. */
typedef bool request_admitter(struct request *request, struct reply *reply, void *context);

/* And TYPE_TEXT, of base/text.h. */
#define TYPE_JSON    "application/json"
#define TYPE_PROBLEM "application/problem+json"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_BYTES   "application/octet-stream"
