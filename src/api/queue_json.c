/* SPDX-License-Identifier: MIT */
#include "api/queue_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/metrics.h"
#include "base/text.h"

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

/* `50/1s`. */
static bool add_rate(cJSON *object, const struct jobd_limits *limits)
{
    char time[TEXT_DURATION_SIZE], text[TEXT_DURATION_SIZE + 16];
    text_duration(limits->per_us, time);
    snprintf(text, sizeof text, "%" PRIu32 "/%s", limits->starts, time);
    return limits->starts == 0 || cJSON_AddStringToObject(object, "rate", text) != NULL;
}

/* Left out where there are none. */
static bool add_limits(cJSON *queue, const struct jobd_stats *stats)
{
    const struct jobd_limits *limits = &stats->limits, *of_key = &stats->group_limits;
    bool whole = (limits->running == 0 || json_add_int(queue, "running_limit", limits->running)) &&
                 add_rate(queue, limits);
    if (!stats->by_group)
        return whole;
    cJSON *per_key = cJSON_AddObjectToObject(queue, "per_key");
    return whole && per_key != NULL &&
           (of_key->running == 0 || json_add_int(per_key, "running", of_key->running)) &&
           (stats->group_waiting == 0 || json_add_int(per_key, "waiting", stats->group_waiting)) &&
           add_rate(per_key, of_key);
}

static bool add_key(cJSON *busiest, const struct jobd_group_stats *group)
{
    cJSON *key = cJSON_CreateObject();
    bool whole = cJSON_AddStringToObject(key, "key", group->name) != NULL &&
                 json_add_int(key, "waiting", group->waiting) &&
                 json_add_int(key, "running", group->running);
    if (whole && cJSON_AddItemToArray(busiest, key))
        return true;
    cJSON_Delete(key);
    return false;
}

bool queue_json_add_keys(const struct api *api, uint32_t number, const struct jobd_stats *stats,
                         cJSON *queue)
{
    struct jobd_group_stats groups[JOBD_BUSIEST_MAX];
    if (queue == NULL || !stats->by_group)
        return queue != NULL;
    size_t len = jobd_busiest(api->jobd, number, groups, JOBD_BUSIEST_MAX);
    cJSON *keys = cJSON_AddObjectToObject(queue, "keys");
    bool whole = json_add_int(keys, "count", stats->groups);
    cJSON *busiest = cJSON_AddArrayToObject(keys, "busiest");
    for (size_t i = 0; i < len && whole; i++)
        whole = add_key(busiest, &groups[i]);
    return whole && busiest != NULL;
}

cJSON *queue_json(const struct api *api, uint32_t index, const struct jobd_stats *stats)
{
    cJSON *queue = cJSON_CreateObject();
    bool whole =
        cJSON_AddStringToObject(queue, "name", jobd_queue_name(api->jobd, index)) != NULL &&
        cJSON_AddBoolToObject(queue, "declared", stats->declared) != NULL &&
        metrics_add_queue(queue, stats);
    whole = whole && (!stats->delivers || json_add_int(queue, "promised", stats->promised));
    if (!whole || !add_breaker(queue, stats) || !add_limits(queue, stats)) {
        cJSON_Delete(queue);
        return NULL;
    }
    return queue;
}
