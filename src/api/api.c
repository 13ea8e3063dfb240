/* SPDX-License-Identifier: MIT */
/* From a request to its reply: finds the endpoint, checks the token, and calls what the row has. */
#include "api/api.h"

#include <errno.h>
#include <stdio.h>

#include "api/endpoint.h"
#include "api/openapi.h"
#include "api/page.h"
#include "api/respond.h"
#include "api/route.h"
#include "base/container.h"
#include "jobd/lease.h"
#include "jobd/turns.h"

/* ---- all endpoints, those that are asked for most first */

static const struct endpoint *const tables[] = {
    put_endpoints,        /* /do, /jobs/{id}/retry */
    take_endpoints,       /* /take */
    lease_endpoints,      /* /leases/{token}/... */
    report_endpoints,     /* /leases/done */
    lease_list_endpoints, /* /leases */
    change_endpoints,     /* PATCH and DELETE of /jobs, /jobs/retry */
    job_endpoints,        /* /jobs */
    batch_endpoints,      /* /batches */
    queue_endpoints,      /* /queues */
    schedule_endpoints,   /* /schedules */
    event_endpoints,      /* /events */
    health_endpoints,     /* /healthz, /readyz, /metrics */
    status_endpoints,     /* /status */
    backup_endpoints,     /* /backup */
    page_endpoints,       /* / */
    openapi_endpoints,    /* /openapi.json */
    NULL,
};

/* ---- who may what: authorize_token() decides, by the scope in the endpoint's row */

/* The queue that the request is about, for authorize_token(). */
static const char *queue_concerned(const struct call *call, enum about about)
{
    struct jobd *jobd = call->api->jobd;
    struct jobd_info info;
    struct jobd_batch batch;
    switch (about) {
    case ABOUT_QUEUE:
    case ABOUT_QUEUES:
        return path_queue(call);
    case ABOUT_JOB:
        if (jobd_get(jobd, path_id(call), &info) != JOBD_OK)
            return NULL;
        return jobd_queue_name(jobd, info.queue);
    case ABOUT_BATCH:
        if (jobd_get_batch(jobd, path_id(call), clock_now_us(), &batch) != JOBD_OK)
            return NULL;
        return jobd_queue_name(jobd, batch.queue);
    case ABOUT_ANY:
    case ABOUT_TALK:
    case ABOUT_LEASE: /* its token says enough */
        return "*";
    case ABOUT_FILTER:
        return request_parameter(call->request, "queue");
    case ABOUT_ALL:
        break;
    }
    return NULL;
}

/* For a request that names several queues: the token must be good for each. */
static enum auth_verdict authorize_queues(const struct call *call, const struct endpoint *endpoint,
                                          const char *token, size_t size)
{
    const char *names = request_parameter(call->request, "queue");
    char name[REQUEST_SUBJECT_SIZE];
    enum auth_verdict verdict = AUTH_GOOD;
    for (unsigned i = 0; i <= JOBD_CHOICE_MAX && verdict == AUTH_GOOD && names != NULL; i++) {
        names = next_word(names, name, sizeof name);
        verdict = authorize_token(call->api->auth, token, size, endpoint->scope, name);
    }
    return verdict;
}

static enum auth_verdict authorize(const struct call *call, const struct endpoint *endpoint,
                                   const char *token, size_t size)
{
    if (endpoint->about == ABOUT_QUEUES && request_parameter(call->request, "queue") != NULL)
        return authorize_queues(call, endpoint, token, size);
    return authorize_token(call->api->auth, token, size, endpoint->scope,
                           queue_concerned(call, endpoint->about));
}

/* False: it may not, and the reply says so. */
static bool authorize_bearer(struct call *call, const struct endpoint *endpoint)
{
    char detail[64];
    size_t size;
    const char *token = request_token(call->request, &size);
    switch (authorize(call, endpoint, token, size)) {
    case AUTH_GOOD:
        return true;
    case AUTH_FORBIDDEN:
        snprintf(detail, sizeof detail, "insufficient scope: %s is needed",
                 scope_name(endpoint->scope));
        (void)respond_error(call, 403, detail);
        reply_text(call->reply, "WWW-Authenticate", "Bearer", " error=\"insufficient_scope\"");
        break;
    case AUTH_UNKNOWN:
        (void)respond_error(call, 401,
                            token != NULL ? "the bearer token is not known"
                                          : "a bearer token is required");
        reply_text(call->reply, "WWW-Authenticate", "Bearer",
                   token != NULL ? " error=\"invalid_token\"" : "");
        break;
    }
    return false;
}

static bool authorize_call(struct call *call, const struct endpoint *endpoint)
{
    return call->api->auth == NULL || endpoint->scope == SCOPE_OPEN ||
           authorize_bearer(call, endpoint);
}

/* ---- in turns, where queues are shared */

static enum jobd_result run_start(struct jobd_turn *turn)
{
    struct request *request = container_of(turn, struct request, turn);
    struct call call = {.api = turn->context, .request = request};
    return request->endpoint->start(&call);
}

static void turn_over(struct jobd_turn *turn, enum jobd_result result)
{
    struct request *request = container_of(turn, struct request, turn);
    request->waiter.result = result;
    request->waiter.wake(&request->waiter);
}

static void enter(struct call *call, bool looks)
{
    call->request->turn = (struct jobd_turn){
        .run = run_start, .over = turn_over, .context = call->api, .looks = looks};
    jobd_enter(call->api->jobd, &call->request->turn);
}

/* Its client has gone after it was let in to look. */
static void look_abandoned(struct request *request, void *context)
{
    const struct api *api = context;
    (void)request;
    jobd_looked(api->jobd);
}

/* A single job or batch: its queue must be known before a token for one queue is judged. */
static bool is_about_one(const struct endpoint *endpoint)
{
    return endpoint->about == ABOUT_JOB || endpoint->about == ABOUT_BATCH;
}

/* Where queues are shared: must this process have read the newest changes before the request is
 * judged? All that looks needs them, and so does what names a job or a batch: for the queue that a
 * token is checked against, and because parse() reads it. */
static bool has_to_look(const struct call *call, const struct endpoint *endpoint)
{
    if (!jobd_shared(call->api->jobd))
        return false;
    bool reads = is_about_one(endpoint) && (call->api->auth != NULL || endpoint->parse != NULL);
    bool filters =
        endpoint->about == ABOUT_FILTER && request_parameter(call->request, "batch") != NULL;
    bool follows = call->api->auth != NULL && request_parameter(call->request, "after") != NULL;
    return endpoint->looks || reads || filters || follows;
}

/* A body that ends an attempt frees memory, so it may use the reserve: when its path names a lease
 * that there is. One that names leases only in its body can merely claim so, and has a part of the
 * reserve for that. */
bool api_authorize(struct request *request, struct reply *reply, void *context)
{
    struct call call = {.api = context, .request = request, .reply = reply};
    const struct endpoint *endpoint = route_find(request, tables).endpoint;
    request->endpoint = endpoint;
    request->body_unused = endpoint == NULL || !endpoint->has_body;
    if (endpoint == NULL)
        return true;
    if (endpoint->about == ABOUT_LEASE && endpoint->has_body)
        request->body_account.empties = jobd_lease_known(call.api->jobd, request->subject);
    request->body_account.claims = endpoint->names_leases;
    return (is_about_one(endpoint) && has_to_look(&call, endpoint)) ||
           authorize_call(&call, endpoint);
}

/* ---- serving */

/* Notes the job that the path names, for the access log. */
static void note_job(struct call *call, const struct endpoint *endpoint)
{
    struct request *request = call->request;
    if (endpoint->about == ABOUT_JOB)
        request->job = path_id(call);
    else if ((endpoint->about == ABOUT_LEASE || endpoint->about == ABOUT_TALK) &&
             request->wants_job)
        request->job = jobd_lease_job(call->api->jobd, request->subject);
}

/* Starts what the request asks for. False: it waits; true: the reply is filled in. */
static bool perform(struct call *call, const struct endpoint *endpoint)
{
    struct request *request = call->request;
    enum step step;
    if (endpoint->start != NULL && !endpoint->looks && jobd_shared(call->api->jobd)) {
        enter(call, false);
        return false;
    }
    do {
        enum jobd_result result = endpoint->start != NULL ? endpoint->start(call) : JOBD_OK;
        if (result == JOBD_PENDING) /* nothing of the request is ours now */
            return false;
        request->waiter.result = result;
        step = endpoint->answer(call, result);
    } while (step == STEP_START);
    return true;
}

static bool begin(struct call *call, const struct endpoint *endpoint)
{
    call->request->abandoned = endpoint->abandoned;
    note_job(call, endpoint);
    if (!authorize_call(call, endpoint) ||
        (call->request->has_parameters && !route_knows_parameters(call)) ||
        (endpoint->parse != NULL && endpoint->parse(call) == STEP_REPLY))
        return true;
    return perform(call, endpoint);
}

/* It is woken: answered, or to be done once more. What had to wait for another change of its job is
 * asked for again. */
static bool conclude(struct call *call, const struct endpoint *endpoint)
{
    enum jobd_result result = call->request->waiter.result;
    return result != JOBD_CHANGING && endpoint->answer(call, result) == STEP_REPLY;
}

/* Its turn to look has come, or could not; figures are shown even if they are old then. */
static bool look(struct call *call, const struct endpoint *endpoint)
{
    struct request *request = call->request;
    bool let_in = request->waiter.result == JOBD_OK, is_over = true;
    request->turn = (struct jobd_turn){.looks = false}; /* what follows is no wait of it */
    request->resumed = false;
    request->waiter.result = JOBD_OK;
    if (let_in || endpoint->is_figures)
        is_over = begin(call, endpoint);
    else
        (void)respond_result(call, JOBD_STORE_FAILED);
    if (let_in)
        jobd_looked(call->api->jobd);
    return is_over;
}

bool api_serve(struct request *request, struct reply *reply, void *context)
{
    struct call call = {.api = context, .request = request, .reply = reply};
    const struct endpoint *endpoint = request->endpoint;
    if (request->resumed && request->turn.looks)
        return look(&call, endpoint);
    if (request->resumed)
        return conclude(&call, endpoint) || perform(&call, endpoint);
    if (endpoint == NULL) { /* else it was found before its body came */
        const struct route route = route_find(request, tables);
        endpoint = request->endpoint = route.endpoint;
        if (endpoint == NULL) {
            route_refuse(&call, &route);
            return true;
        }
    }
    if (!has_to_look(&call, endpoint))
        return begin(&call, endpoint);
    request->abandoned = look_abandoned;
    enter(&call, true);
    return false;
}

/* ---- start */

int api_init(struct api *api)
{
    page_init();
    openapi_init(tables);
    for (unsigned seconds = 1; seconds <= BUSY_SHARED; seconds++) {
        const struct reply busy = {
            .status = 429, .type = TYPE_TEXT, .text = "busy\n", .retry_after_s = seconds};
        api->busy[seconds] = http_share(api->http, &busy);
        if (api->busy[seconds] == NULL)
            return -ENOMEM;
    }
    const struct reply done = {.status = 200, .type = TYPE_TEXT, .text = "done\n"};
    api->done = http_share(api->http, &done);
    return api->done != NULL ? 0 : -ENOMEM;
}
