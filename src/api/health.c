/* SPDX-License-Identifier: MIT */
/* What watches the server asks for: is it alive, is it ready, how much is it doing. */
#include "api/health.h"

#include "api/endpoint.h"
#include "api/metrics.h"
#include "api/respond.h"
#include "store/store.h"

/* All that the server's own workers empty. Of the others it says nothing: to be taken out of a load
 * balancer would cut off who empties them. */
static bool all_full(struct jobd *jobd)
{
    bool any = false;
    for (uint32_t i = 0; i < jobd_queues_len(jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(jobd, i, clock_now_us(), &stats);
        if (stats.workers > 0 && stats.waiting < stats.capacity)
            return false;
        any = any || stats.workers > 0;
    }
    return any;
}

bool health_ready(const struct api *api, struct problem *reason)
{
    if (jobd_closed(api->jobd))
        return problem_set(reason, "%s", jobd_result_text(JOBD_CLOSED));
    if (api->store != NULL && store_failing(api->store, reason))
        return false;
    if (api->turns != NULL && turns_failing(api->turns, reason))
        return false;
    return !all_full(api->jobd) || problem_set(reason, "full");
}

static enum step answer_ready(struct call *call, enum jobd_result result)
{
    struct problem reason;
    if (health_ready(call->api, &reason))
        return respond_line(call, result);
    return respond_error(call, 503, reason.text);
}

static enum step answer_metrics(struct call *call, enum jobd_result result)
{
    const struct api *api = call->api;
    (void)result;
    call->reply->owned = metrics_text(api);
    if (call->reply->owned == NULL)
        return respond_no_memory(call);
    call->reply->status = 200;
    call->reply->type = TYPE_METRICS;
    call->reply->vital = true;
    return STEP_REPLY;
}

const struct endpoint health_endpoints[] = {
    {
        .paths = {"/healthz"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_OPEN,
        .any_parameter = true,
        .summary = "The process lives.",
        .answers = "200 Status|text",
        .answer = respond_line,
        .line = "ok\n",
    },
    {
        .paths = {"/readyz"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_OPEN,
        .any_parameter = true,
        .summary = "It takes jobs; else why not.",
        .answers = "200 Status|text, 503 Problem|text",
        .answer = answer_ready,
        .line = "ready\n",
    },
    {
        .paths = {"/metrics"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .looks = true,
        .is_figures = true,
        .any_parameter = true,
        .summary = "Figures, for Prometheus.",
        .answers = "200 text",
        .answer = answer_metrics,
    },
    {.methods = 0},
};
