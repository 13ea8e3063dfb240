/* SPDX-License-Identifier: MIT */
/* Queues: looking at them, pausing, purging. */
#include <inttypes.h>

#include "api/endpoint.h"
#include "api/metrics.h"
#include "api/respond.h"

struct queue_state {
    uint32_t queue, to;
};

static struct queue_state *state_of(const struct call *call)
{
    return request_state(call->request, sizeof(struct queue_state));
}

/* ---- looking */

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

/* `50/1s` in the largest unit that is exact. */
static bool add_rate(cJSON *object, const struct jobd_limits *limits)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"d", INT64_C(86400000000)},
                 {"h", INT64_C(3600000000)},
                 {"m", 60000000},
                 {"s", 1000000},
                 {"ms", 1000}};
    char text[48];
    size_t unit = 0;
    while (unit + 1 < sizeof units / sizeof units[0] && limits->per_us % units[unit].us != 0)
        unit++;
    snprintf(text, sizeof text, "%" PRIu32 "/%" PRId64 "%s", limits->starts,
             limits->per_us / units[unit].us, units[unit].name);
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

static bool add_key(cJSON *busiest, const struct jobd_group *group)
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

/* How many there are, and the busiest. */
static bool add_keys(const struct api *api, uint32_t number, const struct jobd_stats *stats,
                     cJSON *queue)
{
    struct jobd_group groups[JOBD_BUSIEST_MAX];
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

static cJSON *queue_json(const struct api *api, uint32_t index, const struct jobd_stats *stats)
{
    cJSON *queue = cJSON_CreateObject();
    bool whole =
        cJSON_AddStringToObject(queue, "name", jobd_queue_name(api->jobd, index)) != NULL &&
        cJSON_AddBoolToObject(queue, "declared", stats->declared) != NULL &&
        metrics_add_queue(queue, stats);
    if (!whole || !add_breaker(queue, stats) || !add_limits(queue, stats)) {
        cJSON_Delete(queue);
        return NULL;
    }
    return queue;
}

static enum step answer_list(struct call *call, enum jobd_result result)
{
    cJSON *list = cJSON_CreateObject();
    cJSON *queues = cJSON_AddArrayToObject(list, "queues");
    bool whole = queues != NULL;
    (void)result;
    for (uint32_t i = 0; i < jobd_queues_len(call->api->jobd) && whole; i++) {
        struct jobd_stats stats;
        jobd_stats(call->api->jobd, i, clock_now_us(), &stats);
        if (stats.gone)
            continue;
        cJSON *queue = queue_json(call->api, i, &stats);
        whole = queue != NULL && cJSON_AddItemToArray(queues, queue);
    }
    return respond_json(call, 200, list, whole);
}

static enum step parse_queue(struct call *call)
{
    struct queue_state *state = state_of(call);
    state->queue = jobd_queue_named(call->api->jobd, path_queue(call));
    return state->queue != JOBD_NO_QUEUE ? STEP_START : respond_error(call, 404, "no such queue");
}

static enum step answer_queue(struct call *call, enum jobd_result result)
{
    const uint32_t queue = state_of(call)->queue;
    struct jobd_stats stats;
    (void)result;
    jobd_stats(call->api->jobd, queue, clock_now_us(), &stats);
    cJSON *json = queue_json(call->api, queue, &stats);
    return respond_json(call, 200, json, add_keys(call->api, queue, &stats, json));
}

/* ---- pausing, purging, moving */

static enum jobd_result start_pause(struct call *call)
{
    jobd_pause(call->api->jobd, state_of(call)->queue, true, clock_now_us());
    return JOBD_OK;
}

static enum jobd_result start_resume(struct call *call)
{
    jobd_pause(call->api->jobd, state_of(call)->queue, false, clock_now_us());
    return JOBD_OK;
}

static enum jobd_result start_purge(struct call *call)
{
    struct jobd_waiter *waiter = &call->request->waiter;
    uint32_t purged;
    return jobd_purge(call->api->jobd, state_of(call)->queue, waiter, clock_now_us(), &purged);
}

static enum step answer_purge(struct call *call, enum jobd_result result)
{
    uint32_t purged = call->request->waiter.swept;
    if (result != JOBD_OK)
        return respond_result(call, result);
    if (call->request->wants_json) {
        cJSON *object = cJSON_CreateObject();
        return respond_json(call, 200, object, json_add_int(object, "purged", purged));
    }
    return respond_printed(call, "purged %" PRIu32 "\n", purged);
}

static enum step parse_move(struct call *call)
{
    struct queue_state *state = state_of(call);
    const struct jobd *jobd = call->api->jobd;
    const char *to = request_parameter(call->request, "to");
    if (parse_queue(call) == STEP_REPLY)
        return STEP_REPLY;
    state->to = to != NULL ? jobd_queue_named(jobd, to) : JOBD_NO_QUEUE;
    bool good = state->to != JOBD_NO_QUEUE && state->to != state->queue &&
                jobd_queue_declared(jobd, state->to);
    return good ? STEP_START
                : respond_bad_value(call, "to", "the name of another queue, which is declared");
}

static enum jobd_result start_move(struct call *call)
{
    const struct queue_state *state = state_of(call);
    const struct jobd_route route = {.from = state->queue, .to = state->to};
    uint32_t moved;
    return jobd_move(call->api->jobd, &route, &call->request->waiter, clock_now_us(), &moved);
}

static enum step answer_move(struct call *call, enum jobd_result result)
{
    uint32_t moved = call->request->waiter.swept;
    struct jobd_stats stats;
    if (result != JOBD_OK)
        return respond_result(call, result);
    jobd_stats(call->api->jobd, state_of(call)->queue, clock_now_us(), &stats);
    uint32_t left = stats.queued + stats.scheduled;
    if (call->request->wants_json) {
        cJSON *object = cJSON_CreateObject();
        return respond_json(call, 200, object,
                            json_add_int(object, "moved", moved) &&
                                json_add_int(object, "left", left));
    }
    return respond_printed(call, "moved %" PRIu32 ", %" PRIu32 " left\n", moved, left);
}

const struct endpoint queue_endpoints[] = {
    {
        .paths = {"/queues"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .answer = answer_list,
    },
    {
        .paths = {"/queues/*"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .about = ABOUT_QUEUE,
        .parse = parse_queue,
        .answer = answer_queue,
    },
    {
        .paths = {"/queues/*/pause"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .about = ABOUT_QUEUE,
        .parse = parse_queue,
        .start = start_pause,
        .answer = respond_line,
        .line = "paused\n",
    },
    {
        .paths = {"/queues/*/resume"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .about = ABOUT_QUEUE,
        .parse = parse_queue,
        .start = start_resume,
        .answer = respond_line,
        .line = "resumed\n",
    },
    {
        .paths = {"/queues/*/purge"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .about = ABOUT_QUEUE,
        .parse = parse_queue,
        .start = start_purge,
        .answer = answer_purge,
    },
    {
        /* It concerns two queues: a token that is limited to one may not. */
        .paths = {"/queues/*/move"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .parameters = {"to"},
        .parse = parse_move,
        .start = start_move,
        .answer = answer_move,
    },
    {.methods = 0},
};
