/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api_inside.h"
#include "clock.h"
#include "metrics.h"
#include "store.h"

/* ---- verbs that may have to be written down */

enum step act(struct call *call, start_wait *verb,
              enum step (*answer)(struct call *call, enum jobd_result result))
{
    _Static_assert((int)REQUEST_SUBJECT_SIZE == (int)ROUTE_CAPTURE_SIZE, "a subject is a capture");
    memcpy(call->request->subject, call->capture, sizeof call->capture);
    if (call->api->store == NULL)
        return answer(call, verb(call->request, call->api));
    call->request->brief = true;
    *call->start = verb;
    return STEP_PARK;
}

enum step answer_store(struct call *call)
{
    char reason[STORE_ERROR_SIZE];
    if (call->api->store == NULL || !store_failing(call->api->store, reason))
        return answer_error(call, 503, "it could not be written down");
    return answer_error(call, 503, reason);
}

/* ---- health */

static enum step health(struct call *call)
{
    return answer_word(call, 200, "ok", "ok\n");
}

static bool all_full(struct jobd *jobd)
{
    for (uint32_t i = 0; i < jobd_queues_len(jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(jobd, i, clock_now_us(), &stats);
        if (stats.queued + stats.scheduled < stats.capacity)
            return false;
    }
    return true;
}

static enum step ready(struct call *call)
{
    if (jobd_closed(call->api->jobd))
        return answer_error(call, 503, "draining");
    char reason[STORE_ERROR_SIZE];
    if (call->api->store != NULL && store_failing(call->api->store, reason))
        return answer_error(call, 503, reason);
    if (all_full(call->api->jobd))
        return answer_error(call, 503, "full");
    return answer_word(call, 200, "ready", "ready\n");
}

static enum step get_metrics(struct call *call)
{
    call->reply->owned = metrics_text(call->api->jobd, call->api->http, call->api->store);
    if (call->reply->owned == NULL)
        return answer_no_memory(call);
    call->reply->status = 200;
    call->reply->type = TYPE_METRICS;
    return STEP_REPLY;
}

/* ---- the table of endpoints */

#define PUT_PARAMETERS "delay", "priority", "attempts", "timeout", "block", "batch"

static const struct route routes[] = {
    {"/do", {{METHOD_POST, put_job}, {METHOD_GET, put_job}}, true, false, {PUT_PARAMETERS}},
    {"/do/*", {{METHOD_POST, put_job}, {METHOD_GET, put_job}}, true, false, {PUT_PARAMETERS}},
    {"/jobs", {{METHOD_GET, list_jobs}}, false, false, {"queue", "state", "limit", "after"}},
    {"/jobs/*", {{METHOD_GET, get_job}, {METHOD_DELETE, cancel_job}}, false, false, {"wait"}},
    {"/jobs/*/payload", {{METHOD_GET, get_payload}}, false, false, {NULL}},
    {"/jobs/*/output", {{METHOD_GET, get_output}}, false, false, {NULL}},
    {"/jobs/*/retry", {{METHOD_POST, retry_job}}, false, false, {NULL}},
    {"/take", {{METHOD_POST, take_job}}, false, false, {"wait", "lease", "max"}},
    {"/take/*", {{METHOD_POST, take_job}}, false, false, {"wait", "lease", "max"}},
    {"/leases/*/done", {{METHOD_POST, lease_done}}, false, false, {NULL}},
    {"/leases/*/fail", {{METHOD_POST, lease_fail}}, false, false, {"delay"}},
    {"/leases/*/extend", {{METHOD_POST, lease_extend}}, false, false, {"lease"}},
    {"/leases/*/release", {{METHOD_POST, lease_release}}, false, false, {"delay"}},
    {"/queues", {{METHOD_GET, list_queues}}, false, false, {NULL}},
    {"/queues/*", {{METHOD_GET, get_queue}}, false, false, {NULL}},
    {"/queues/*/pause", {{METHOD_POST, pause_queue}}, false, false, {NULL}},
    {"/queues/*/resume", {{METHOD_POST, resume_queue}}, false, false, {NULL}},
    {"/queues/*/purge", {{METHOD_POST, purge_queue}}, false, false, {NULL}},
    {"/healthz", {{METHOD_GET, health}}, false, true, {NULL}},
    {"/readyz", {{METHOD_GET, ready}}, false, true, {NULL}},
    {"/metrics", {{METHOD_GET, get_metrics}}, false, true, {NULL}},
};

enum step api_serve(struct request *request, struct reply *reply, start_wait **start, void *context)
{
    struct call call = {.api = context, .request = request, .reply = reply, .start = start};
    return route_serve(&call, routes, sizeof routes / sizeof routes[0]);
}

/* ---- start and end */

int api_new(struct api **api, struct jobd *jobd, struct http *http, struct store *store,
            size_t output_max_bytes)
{
    struct api *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    new->jobd = jobd;
    new->http = http;
    new->store = store;
    new->output_max_bytes = output_max_bytes;
    for (unsigned seconds = 1; seconds <= BUSY_SHARED; seconds++) {
        const struct reply busy = {
            .status = 429, .type = TYPE_TEXT, .text = "busy\n", .retry_after_s = seconds};
        new->busy[seconds] = http_share(http, &busy);
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
