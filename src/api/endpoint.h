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
#define JOB_ID_MAX  JOBD_ID_MAX

/* One request on its way through its endpoint. */
struct call {
    struct api *api;
    struct request *request;
    struct reply *reply;
};

/* The reply is filled in; or there is something to be started. */
enum step { STEP_REPLY, STEP_START };

/* What a call concerns, for tokens that are good for one queue only. */
enum about {
    ABOUT_ALL,
    ABOUT_ANY, /* what the token is good for */
    ABOUT_QUEUE,
    ABOUT_QUEUES, /* those of `queue`, where that is given */
    ABOUT_JOB,
    ABOUT_LEASE,
    ABOUT_BATCH,
    ABOUT_TALK, /* a lease, but it ends no attempt */
    ABOUT_FILTER
};

struct endpoint {
    const char *paths[ENDPOINT_PATHS_MAX]; /* `*` stands for one piece, the request's subject */
    unsigned methods;                      /* of enum method */
    enum scope scope;                      /* that a token needs */
    enum about about;
    const char *parameters[ENDPOINT_PARAMETERS_MAX]; /* the ones there are */
    const char *repeated;                            /* of them the one that may come often */
    bool any_parameter;                              /* of whatever others add to the address */
    bool names_leases;                               /* in its body, to end attempts */
    bool has_body;   /* reads the request's; else that takes no memory */
    bool looks;      /* it changes nothing */
    bool is_figures; /* looks, and answers also while it cannot know the newest */

    /* Reads the request into request_state(): STEP_START; or STEP_REPLY, which says what is wrong
     * with it. NULL: there is nothing to be read. */
    enum step (*parse)(struct call *call);
    /* Begins what is asked for: JOBD_PENDING when request->waiter waits, any other result when that
     * is the end of it. NULL: JOBD_OK. */
    enum jobd_result (*start)(struct call *call);
    /* Says what became of it; or STEP_START: start() is called once more. */
    enum step (*answer)(struct call *call, enum jobd_result result);
    /* As request.abandoned: `context` is the api. */
    void (*abandoned)(struct request *request, void *context);
    const char *line; /* for respond_line() */

    /* For /openapi.json, of which all else stands above: what it does, in some words; what it
     * answers, as "200 Job|text, 204", schemas of openapi.json, refusals left out but for 429; the
     * fields of those answers' headers, as "200 Jobd-Id! Jobd-Timeout", with `!` where it always
     * comes; and the fields of a request's header that count here alone. */
    const char *summary, *answers, *sent, *fields[ENDPOINT_FIELDS_MAX];
};

#define GET_OR_HEAD (METHOD_GET | METHOD_HEAD)

/* What the files have; the end is a row without methods. */
extern const struct endpoint put_endpoints[], job_endpoints[], batch_endpoints[],
    change_endpoints[], take_endpoints[], lease_endpoints[], lease_list_endpoints[],
    report_endpoints[], queue_endpoints[], schedule_endpoints[], event_endpoints[],
    health_endpoints[], status_endpoints[], backup_endpoints[], page_endpoints[],
    openapi_endpoints[];
