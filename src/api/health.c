/* SPDX-License-Identifier: MIT */
/* What watches the server asks for: is it alive, is it ready, how much is it doing. */
#include "api/endpoint.h"
#include "api/metrics.h"
#include "store/store.h"

enum step health(struct call *call)
{
    return respond_word(call, 200, "ok", "ok\n");
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

enum step ready(struct call *call)
{
    if (jobd_closed(call->api->jobd))
        return respond_error(call, 503, "draining");
    struct problem reason;
    if (call->api->store != NULL && store_failing(call->api->store, &reason))
        return respond_error(call, 503, reason.text);
    if (all_full(call->api->jobd))
        return respond_error(call, 503, "full");
    return respond_word(call, 200, "ready", "ready\n");
}

enum step get_metrics(struct call *call)
{
    call->reply->owned = metrics_text(call->api->jobd, call->api->http, call->api->store);
    if (call->reply->owned == NULL)
        return respond_no_memory(call);
    call->reply->status = 200;
    call->reply->type = TYPE_METRICS;
    return STEP_REPLY;
}
