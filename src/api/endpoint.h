/* SPDX-License-Identifier: MIT */
/* What an endpoint is: a row. No file outside src/api/ includes this.
 *
 * A request comes to the row that its path and method name; api.c does the rest:
 *
 *     parse ──> start ──> answer
 *       │         │  ^       │
 *       │         v  │       │
 *       │      (waits)<──────┤ STEP_START: once more
 *       v                    v
 *     reply                reply
 *
 * A new endpoint is a row, and its functions, in the file of its kind; a new file is a line here
 * and one in api.c. */
#pragma once

#include "api/api.h"
#include "api/auth.h"
#include "base/clock.h"
#include "http/request.h"
#include "jobd/batch.h"
#include "jobd/queue.h"

enum {
    ENDPOINT_PATHS_MAX = 2,
    ENDPOINT_PARAMETERS_MAX = 24,
    ENDPOINT_FIELDS_MAX = 3,
};

#define WAIT_MAX_US (INT64_C(3600) * CLOCK_SECOND_US)
#define WAIT_VALUES "a duration of at most 1h, like 250ms, 30s or 5m"

/* One request on its way through its endpoint. */
struct call {
    struct api *api;
    struct request *request;
    struct reply *reply;
};

/* STEP_REPLY: the reply is filled in. STEP_START: start() comes next. */
enum step { STEP_REPLY, STEP_START };

/* What a request is about, so that a token for one queue can be checked against it. */
enum about {
    ABOUT_ALL,
    ABOUT_ANY, /* whatever the token is good for */
    ABOUT_QUEUE,
    ABOUT_QUEUES, /* those that the parameter `queue` names; all without it */
    ABOUT_JOB,
    ABOUT_LEASE,
    ABOUT_BATCH,
    ABOUT_TALK, /* a lease too, but the body ends no attempt: progress, output */
    ABOUT_FILTER
};

struct endpoint {
    const char *paths[ENDPOINT_PATHS_MAX]; /* `*` is any one segment, the request's subject */
    unsigned methods;                      /* of enum method */
    enum scope scope;                      /* that the token must have */
    enum about about;
    const char *parameters[ENDPOINT_PARAMETERS_MAX]; /* all that it knows */
    const char *repeated; /* the one of them that may be given more than once */
    bool any_parameter;   /* unknown ones are ignored: others may add them to the address */
    bool names_leases;    /* its body does, to end their attempts */
    bool has_body;        /* the request's is used; any other is read without taking memory */
    bool looks;           /* changes nothing */
    bool is_figures; /* looks, and answers with older figures while the newest cannot be read */

    /* Reads and checks the request, for request_state(): STEP_START; or STEP_REPLY, which says what
     * is wrong with it. NULL: there is nothing to be checked. */
    enum step (*parse)(struct call *call);
    /* Begins what is asked for. JOBD_PENDING: request->waiter waits, and the request must not be
     * touched before it is woken; any other result is final. NULL: as if it had returned
     * JOBD_OK. */
    enum jobd_result (*start)(struct call *call);
    /* Fills in the reply from the final result; or STEP_START: start() is called once more. */
    enum step (*answer)(struct call *call, enum jobd_result result);
    /* As request.abandoned: `context` is the api. */
    void (*abandoned)(struct request *request, void *context);
    const char *line; /* the text that respond_line() answers with */

    /* For /openapi.json, which takes all else from the members above: what it does, in one
     * sentence; what it answers, like "200 Job|text, 204", where Job is a schema of openapi.json,
     * refusals left out but for 429; the fields of those answers' headers, like
     * "200 Jobd-Id! Jobd-Timeout", with `!` where it always comes; and the header fields of a
     * request that only this endpoint reads. */
    const char *summary, *answers, *sent, *fields[ENDPOINT_FIELDS_MAX];
};

#define GET_OR_HEAD (METHOD_GET | METHOD_HEAD)

/* The tables of the files; a row without methods ends each. */
extern const struct endpoint put_endpoints[], job_endpoints[], batch_endpoints[],
    change_endpoints[], take_endpoints[], lease_endpoints[], lease_list_endpoints[],
    report_endpoints[], queue_endpoints[], schedule_endpoints[], event_endpoints[],
    health_endpoints[], status_endpoints[], backup_endpoints[], page_endpoints[],
    openapi_endpoints[];
