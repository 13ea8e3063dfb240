/* SPDX-License-Identifier: MIT */
#include "api/queue_json.h"

#include "api/metrics.h"

/* Left out where there is none. */
static bool add_breaker(cJSON *queue, const struct jobd_stats *stats)
{
    const char *state = !stats->held ? "closed" : stats->probing ? "half-open" : "open";
    if (!stats->has_breaker)
        return true;
    return cJSON_AddStringToObject(queue, "breaker", state) != NULL &&
           (!stats->held || stats->probing ||
            json_add_int(queue, "probe_in_ms", stats->probe_in_us / 1000));
}

cJSON *queue_json(const struct api *api, uint32_t index, const struct jobd_stats *stats)
{
    cJSON *queue = cJSON_CreateObject();
    bool whole =
        cJSON_AddStringToObject(queue, "name", jobd_queue_name(api->jobd, index)) != NULL &&
        cJSON_AddBoolToObject(queue, "declared", stats->declared) != NULL &&
        metrics_add_queue(queue, stats);
    if (!whole || !add_breaker(queue, stats)) {
        cJSON_Delete(queue);
        return NULL;
    }
    return queue;
}
