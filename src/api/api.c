/* SPDX-License-Identifier: MIT */
#include "api/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/endpoint.h"

/* ---- the table of endpoints */

#define PUT_PARAMETERS  "delay", "priority", "attempts", "timeout", "block", "batch"
#define LIST_PARAMETERS "queue", "state", "limit", "after"
#define TAKE_PARAMETERS "wait", "lease", "max"

/* It does not know that these are initializers. */
/* clang-format off */
#define GET(serve, scope)  {{METHOD_GET, serve, scope}}
#define POST(serve, scope) {{METHOD_POST, serve, scope}}
#define PUT_BY_EITHER      {{METHOD_POST, put_job, SCOPE_PUT}, {METHOD_GET, put_job, SCOPE_PUT}}
#define LOOK_OR_CANCEL     {{METHOD_GET, get_job, SCOPE_READ}, {METHOD_DELETE, cancel_job, SCOPE_ADMIN}}
/* clang-format on */

static const struct route routes[] = {
    {"/do", PUT_BY_EITHER, ABOUT_QUEUE, true, false, {PUT_PARAMETERS}},
    {"/do/*", PUT_BY_EITHER, ABOUT_QUEUE, true, false, {PUT_PARAMETERS}},
    {"/jobs", GET(list_jobs, SCOPE_READ), ABOUT_FILTER, false, false, {LIST_PARAMETERS}},
    {"/jobs/*", LOOK_OR_CANCEL, ABOUT_JOB, false, false, {"wait"}},
    {"/jobs/*/payload", GET(get_payload, SCOPE_READ), ABOUT_JOB, false, false, {NULL}},
    {"/jobs/*/output", GET(get_output, SCOPE_READ), ABOUT_JOB, false, false, {NULL}},
    {"/jobs/*/retry", POST(retry_job, SCOPE_ADMIN), ABOUT_JOB, false, false, {NULL}},
    {"/take", POST(take_job, SCOPE_WORK), ABOUT_QUEUE, false, false, {TAKE_PARAMETERS}},
    {"/take/*", POST(take_job, SCOPE_WORK), ABOUT_QUEUE, false, false, {TAKE_PARAMETERS}},
    {"/leases/*/done", POST(lease_done, SCOPE_WORK), ABOUT_LEASE, false, false, {NULL}},
    {"/leases/*/fail", POST(lease_fail, SCOPE_WORK), ABOUT_LEASE, false, false, {"delay"}},
    {"/leases/*/extend", POST(lease_extend, SCOPE_WORK), ABOUT_LEASE, false, false, {"lease"}},
    {"/leases/*/release", POST(lease_release, SCOPE_WORK), ABOUT_LEASE, false, false, {"delay"}},
    {"/queues", GET(list_queues, SCOPE_READ), ABOUT_ALL, false, false, {NULL}},
    {"/queues/*", GET(get_queue, SCOPE_READ), ABOUT_QUEUE, false, false, {NULL}},
    {"/queues/*/pause", POST(pause_queue, SCOPE_ADMIN), ABOUT_QUEUE, false, false, {NULL}},
    {"/queues/*/resume", POST(resume_queue, SCOPE_ADMIN), ABOUT_QUEUE, false, false, {NULL}},
    {"/queues/*/purge", POST(purge_queue, SCOPE_ADMIN), ABOUT_QUEUE, false, false, {NULL}},
    {"/healthz", GET(health, SCOPE_OPEN), ABOUT_ALL, false, true, {NULL}},
    {"/readyz", GET(ready, SCOPE_OPEN), ABOUT_ALL, false, true, {NULL}},
    {"/metrics", GET(get_metrics, SCOPE_READ), ABOUT_ALL, false, true, {NULL}},
};

/* ---- who may */

/* The queue a call concerns, as auth_judge() takes it. */
static const char *concerned(const struct call *call, enum about about)
{
    const struct jobd *jobd = call->api->jobd;
    struct jobd_info info;
    switch (about) {
    case ABOUT_QUEUE:
        return path_queue(call);
    case ABOUT_JOB:
        if (jobd_get(call->api->jobd, path_id(call), &info) != JOBD_OK)
            return NULL;
        return jobd_queue_name(jobd, info.queue);
    case ABOUT_LEASE: /* its token says enough */
        return "*";
    case ABOUT_FILTER:
        return request_parameter(call->request, "queue");
    case ABOUT_ALL:
        break;
    }
    return NULL;
}

static bool may(struct call *call, const struct route *route, enum scope scope)
{
    size_t size;
    if (call->api->auth == NULL || scope == SCOPE_OPEN)
        return true;
    const char *token = request_token(call->request, &size);
    switch (auth_judge(call->api->auth, token, size, scope, concerned(call, route->about))) {
    case VERDICT_GOOD:
        return true;
    case VERDICT_FORBIDDEN:
        (void)respond_error(call, 403, "insufficient scope");
        reply_field(call->reply, "WWW-Authenticate", "Bearer error=\"insufficient_scope\"");
        break;
    case VERDICT_UNKNOWN:
        (void)respond_error(call, 401, "a bearer token is required");
        reply_field(call->reply, "WWW-Authenticate", "Bearer%s",
                    token != NULL ? " error=\"invalid_token\"" : "");
        break;
    }
    return false;
}

enum step api_serve(struct request *request, struct reply *reply, start_wait **start, void *context)
{
    struct call call = {.api = context, .request = request, .reply = reply, .start = start};
    return route_serve(&call, routes, sizeof routes / sizeof routes[0], may);
}

bool api_admits(struct request *request, struct reply *reply, void *context)
{
    struct call call = {.api = context, .request = request, .reply = reply};
    return call.api->auth == NULL ||
           route_admits(&call, routes, sizeof routes / sizeof routes[0], may);
}

/* ---- start and end */

int api_new(struct api **api, const struct api_config *config)
{
    struct api *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    new->jobd = config->jobd;
    new->http = config->http;
    new->store = config->store;
    new->auth = config->auth;
    new->output_max_bytes = config->output_max_bytes;
    for (unsigned seconds = 1; seconds <= BUSY_SHARED; seconds++) {
        const struct reply busy = {
            .status = 429, .type = TYPE_TEXT, .text = "busy\n", .retry_after_s = seconds};
        new->busy[seconds] = http_share(config->http, &busy);
        if (new->busy[seconds] == NULL) {
            api_free(new);
            return -ENOMEM;
        }
    }
    *api = new;
    return 0;
}

void api_free(struct api *api)
{
    free(api);
}
