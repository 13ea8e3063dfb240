/* SPDX-License-Identifier: MIT */
/* The server at one moment, for pages and people; and what the asker's token allows, so that a page
 * does not offer what would be refused. */
#include <string.h>

#include "api/endpoint.h"
#include "api/ready.h"
#include "api/history.h"
#include "api/live.h"
#include "api/queue_json.h"
#include "api/respond.h"
#include "ledger/turns.h"

static bool add_ready(const struct api *api, cJSON *status)
{
    struct problem reason;
    bool ready = api_ready(api, &reason);
    return cJSON_AddBoolToObject(status, "ready", ready) != NULL &&
           (ready || json_add_bytes(status, "reason", reason.text, strlen(reason.text)));
}

static bool add_memory(const struct api *api, cJSON *status)
{
    cJSON *memory = cJSON_AddObjectToObject(status, "memory");
    return json_add_int(memory, "used", (int64_t)jobd_memory(api->jobd)) &&
           json_add_int(memory, "limit", (int64_t)api->memory_max_bytes);
}

static bool add_connections(const struct api *api, cJSON *status)
{
    struct http_stats stats;
    http_stats(api->http, &stats);
    cJSON *connections = cJSON_AddObjectToObject(status, "connections");
    return json_add_int(connections, "open", (int64_t)stats.conns.open) &&
           json_add_int(connections, "limit", (int64_t)stats.conns.open_max) &&
           json_add_int(connections, "parked", stats.parked);
}

static bool add_store(const struct api *api, cJSON *status)
{
    struct store_stats stats;
    struct problem reason;
    cJSON *store = cJSON_AddObjectToObject(status, "store");
    if (api->turns != NULL) {
        bool failing = turns_failing(api->turns, &reason);
        return cJSON_AddStringToObject(store, "kind", "database") != NULL &&
               cJSON_AddStringToObject(store, "state", failing ? "failing" : "ok") != NULL;
    }
    if (api->store == NULL)
        return cJSON_AddStringToObject(store, "kind", "memory") != NULL;
    store_stats(api->store, &stats);
    return cJSON_AddStringToObject(store, "kind", "directory") != NULL &&
           cJSON_AddStringToObject(store, "state", stats.failing ? "failing" : "ok") != NULL &&
           json_add_int(store, "bytes", (int64_t)stats.bytes) &&
           json_add_int(store, "commits", (int64_t)stats.commits) &&
           cJSON_AddNumberToObject(store, "last_commit_ms", (double)stats.last_commit_us / 1000) !=
               NULL;
}

/* What the asker's token allows; `queue` is "" for all. Without tokens everybody is an admin. */
static enum scope scope_of(const struct call *call, char queue[JOBD_QUEUE_NAME_MAX + 1])
{
    size_t size;
    queue[0] = '\0';
    if (call->api->auth == NULL)
        return SCOPE_ADMIN;
    const char *token = request_token(call->request, &size);
    return auth_grant(call->api->auth, token, size, queue);
}

static bool add_queues(const struct api *api, cJSON *status, const char *only)
{
    cJSON *list = cJSON_AddArrayToObject(status, "queues");
    bool whole = list != NULL;
    for (uint32_t i = 0; i < jobd_queues_len(api->jobd) && whole; i++) {
        if (only[0] != '\0' && strcmp(only, jobd_queue_name(api->jobd, i)) != 0)
            continue;
        struct jobd_stats stats;
        jobd_stats(api->jobd, i, clock_now_us(), &stats);
        if (stats.gone)
            continue;
        cJSON *queue = queue_json(api, i, &stats);
        whole = queue != NULL && cJSON_AddItemToArray(list, queue) &&
                queue_json_add_keys(api, i, &stats, queue) &&
                history_add_queue(api->history, queue, i);
    }
    return whole;
}

static enum step answer_status(struct call *call, enum jobd_result result)
{
    const struct api *api = call->api;
    char only[JOBD_QUEUE_NAME_MAX + 1];
    enum scope scope = scope_of(call, only);
    cJSON *status = cJSON_CreateObject();
    uint64_t last_event = live_last_event(api->live);
    (void)result;
    bool whole =
        cJSON_AddStringToObject(status, "version", JOBD_VERSION) != NULL &&
        json_add_int(status, "uptime_s", (clock_now_us() - api->started_us) / CLOCK_SECOND_US) &&
        add_ready(api, status) && add_memory(api, status) && add_connections(api, status) &&
        add_store(api, status) &&
        cJSON_AddStringToObject(status, "scope", scope_name(scope)) != NULL &&
        (only[0] == '\0' || cJSON_AddStringToObject(status, "queue", only) != NULL) &&
        (last_event == 0 || json_add_int(status, "last_event", (int64_t)last_event)) &&
        add_queues(api, status, only);
    return respond_json(call, 200, status, whole);
}

const struct endpoint status_endpoints[] = {
    {
        .paths = {"/status"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .about = ABOUT_ANY,
        .summary = "Shows the server at this moment, and what the token allows.",
        .answers = "200 ServerStatus",
        .answer = answer_status,
    },
    {.methods = 0},
};
