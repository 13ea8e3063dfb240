/* SPDX-License-Identifier: MIT */
/* What passes between the HTTP layer and the endpoints: a request, and its reply. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/stream.h"
#include "base/text.h"
#include "base/verify.h"
#include "jobd/queue.h"
#include "jobd/turns.h"

struct endpoint;
struct json_out;

enum {
    REQUEST_SUBJECT_SIZE = 80, /* a queue's name, a job's id or a lease's token, with its NUL */
    REQUEST_STATE_BYTES = 216
};

/* Bits, so that they make a set. */
enum method {
    METHOD_GET = 1 << 0,
    METHOD_HEAD = 1 << 1,
    METHOD_POST = 1 << 2,
    METHOD_DELETE = 1 << 3,
    METHOD_OPTIONS = 1 << 4,
    METHOD_PATCH = 1 << 5,
    METHOD_PUT = 1 << 6,
    METHOD_OTHER = 1 << 7 /* has no name here */
};

enum { METHODS_SIZE = sizeof "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" };

enum method method_named(const char *name);
/* The names of those in the set, as an Allow field lists them. */
void methods_list(unsigned set, char out[METHODS_SIZE]);

/* A request whose body has come in. All is zeros when it begins, but for what the HTTP layer fills
 * in and the waiter's wake(). What it points to is valid during the handler's call, or as said. */
struct request {
    enum method method;
    const char *path;    /* without the query, percent-decoded */
    bool has_parameters; /* in its query: most have none, so that none need be asked for */
    bool wants_json;
    bool cors_allowed; /* from a page of --cors-origin: its reply has more fields, so none is shared
                        */

    /* For the access log: does it want to know which job the request is about, and the endpoint's
     * answer; 0: none. */
    bool wants_job;
    uint64_t job;

    /* What came with it; references are given back at its end. In pieces when `batch` is not NULL:
     * from malloc(), freed at its end. */
    struct jobd_blob *body; /* NULL when empty */
    struct jobd_blob **batch;
    uint32_t batch_len;
    void *batch_jobs; /* what else is known of them: from malloc(), freed at its end */
    char *texts; /* what the endpoint has made of the header, from malloc(), freed at its end */
    bool body_offered; /* to the engine, whose they are when waiter.accepted says so */
    bool body_in;      /* the engine has it already and counts it, though the waiter still waits */
    bool body_unused;  /* said by the admitter: it is thrown away as it comes, `body` stays NULL */

    /* What is counted of it, until its end: what has come in, and what is made of that; its answer,
     * from before it is made. The admitter may let the body have the reserve. */
    struct jobd_account body_account, reply_account;

    struct jobd_turn turn; /* it waits for its turn, where queues are shared */
    /* Ends the wait of a waiter that is not the engine's: true, as jobd_cancel_wait() says. Called
     * in another thread, with the connections' lock held. NULL: it is the engine's. */
    bool (*leave)(struct request *request);
    bool resumed;      /* it has waited, and the waiter was woken */
    bool watch_hangup; /* its wait may be long: it ends when the client goes away */
    /* Called when it was woken with JOBD_OK, but its client is gone. NULL: nothing to do. */
    void (*abandoned)(struct request *request, void *context);

    /* Called at its end, answered or not, to free what the endpoint holds. NULL: nothing. */
    void (*release)(struct request *request);

    /* The endpoint's own. */
    const struct endpoint *endpoint;
    union {
        max_align_t aligned;
        unsigned char bytes[REQUEST_STATE_BYTES];
    } state; /* request_state() */

    void *source; /* the HTTP library's */

    /* While it waits for something, nobody may touch it until the waiter is woken. Its info is not
     * zeros when the request begins: that is filled in when it is woken. */
    struct jobd_waiter waiter;

    /* Texts, "" when it begins. */
    char trace[JOBD_TRACE_SIZE];        /* its traceparent */
    char subject[REQUEST_SUBJECT_SIZE]; /* what the path names: a queue, a job, a lease */
};

/* Room for what the endpoint must know while the request waits: `size` bytes, zeros at first. */
static inline void *request_state(struct request *request, size_t size)
{
    verify(size <= sizeof request->state);
    return &request->state;
}

/* Are body and batch the engine's? Not while it waits. */
static inline bool request_body_taken(const struct request *request)
{
    return request->body_offered && request->waiter.accepted;
}

/* The value of a query parameter, "" without one; NULL when the parameter is not there. Call
 * request_parameter(): for most requests it knows at once that they have none. */
const char *request_query(const struct request *request, const char *name);
static inline const char *request_parameter(const struct request *request, const char *name)
{
    return request->has_parameters ? request_query(request, name) : NULL;
}

/* Where it was sent to, as a URL begins: `http://localhost:8080`, without a path. It has only
 * letters, digits and -._~%:[] behind the scheme. False: it has no Host field, or none that fits.
 */
enum { REQUEST_BASE_SIZE = 300 };
bool request_base(const struct request *request, char out[REQUEST_BASE_SIZE]);
/* Does its Accept field name this type? A wildcard is not enough. */
bool request_accepts(const struct request *request, const char *type);
/* Its If-None-Match field in `room`; "" when it is not there, or longer. */
const char *request_none_match(const struct request *request, char *room, size_t size);
/* Its Last-Event-ID in *id, if *there. False: it has one that is not a number. */
bool request_last_event(const struct request *request, bool *there, uint64_t *id);
/* Its `Range: bytes=N-`; false when there is none, or another one, which may be ignored (RFC 9110,
 * section 14.2). */
bool request_range_from(const struct request *request, uint64_t *from);
/* The token of its `Authorization: Bearer`, *size bytes; NULL when it has none. */
const char *request_token(const struct request *request, size_t *size);
/* The client's Idempotency-Key, "" without; false when it is none. */
bool request_key(const struct request *request, char key[JOBD_KEY_SIZE]);
/* Prefer: wait, in seconds; 0 without. */
uint64_t request_wait_s(const struct request *request);

/* Calls `each` for every query parameter, until it returns false. */
void request_parameters(const struct request *request,
                        bool (*each)(void *context, const char *name, const char *value),
                        void *context);

/* The same for the fields of its header. Names and values are without blanks around them, and need
 * not end with a NUL. */
struct field;
void request_fields(const struct request *request,
                    bool (*each)(void *context, struct field name, struct field value),
                    void *context);

/* A reply made once and sent many times. */
struct shared_reply;

/* All header fields of a reply that are added to it, names, values and a NUL behind each: what the
 * HTTP library's memory for a connection has room for behind the longest header of a request. */
enum { REPLY_FIELDS_BYTES = 1024 };

/* The body is one of: text or `size` bytes that outlive the server, a string from malloc()
 * (`owned`), a blob, a stream; the last three are taken. None of them: no body, and no type. */
struct reply {
    const struct shared_reply *shared; /* not NULL: this, and nothing below counts */
    unsigned status;
    unsigned allow;   /* methods, for 405 and OPTIONS; 0: none */
    const char *type; /* NULL: the blob's */
    const char *text;
    const void *bytes;
    size_t size;
    char *owned;
    struct jobd_blob *blob;
    struct reply_stream stream; /* read NULL: none */
    uint64_t retry_after_s;     /* 0: none */
    char *fields; /* REPLY_FIELDS_BYTES that need not be cleared; NULL: has no fields */
    size_t fields_used;
    bool close; /* close the connection after it */
    /* Not NULL: browsers run it, under this Content-Security-Policy, and ask each time whether it
     * is still the same. It outlives the server. */
    const char *policy;
    bool unsafe; /* the bytes are a client's: no browser shall run them */
    bool vital;  /* unless it is large it goes out however little memory there is */
};

/* Adds a field; all of it is copied. The value must not be empty, and must fit: a client must never
 * be able to choose how long it gets. */
__attribute__((format(printf, 3, 4))) void reply_field(struct reply *reply, const char *name,
                                                       const char *format, ...);
/* The same without a format, as most replies need none: the value is what stands `before`, and the
 * text or the number behind it. */
void reply_text(struct reply *reply, const char *name, const char *before, const char *text);
void reply_number(struct reply *reply, const char *name, const char *before, uint64_t number);
/* One field after the other; *at is 0 before the first. False: there are no more. */
bool reply_next_field(const struct reply *reply, size_t *at, const char **name, const char **value);

/* An error: a line of text, or RFC 9457's problem+json. `detail` is copied. */
void reply_error(struct reply *reply, bool wants_json, unsigned status, const char *detail);
/* The phrase that goes with a status. */
const char *reply_phrase(unsigned status);
/* Writes the members of such a problem; others may follow. */
void reply_write_problem(struct json_out *out, unsigned status, const char *detail);

/* Serves a request. True: the reply is filled in. False: request->waiter has begun to wait, and
 * once it has been woken, which may be at once, the handler is called again, with `resumed`. */
typedef bool request_handler(struct request *request, struct reply *reply, void *context);
/* May the request come in, body and all? False, and why not is in the reply. */
typedef bool request_admitter(struct request *request, struct reply *reply, void *context);

/* And TYPE_TEXT, of base/text.h. */
#define TYPE_JSON    "application/json"
#define TYPE_PROBLEM "application/problem+json"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_BYTES   "application/octet-stream"
