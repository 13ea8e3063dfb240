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

enum { STATUS_BYTES = 640 }; /* without its queues, about */

static void write_ready(struct json_out *out, const struct api *api)
{
    struct problem reason;
    bool ready = api_ready(api, &reason);
    json_out_bool(out, "ready", ready);
    if (!ready)
        json_out_bytes(out, "reason", reason.text, strlen(reason.text));
}

static void write_memory(struct json_out *out, const struct api *api)
{
    json_out_open(out, "memory", '{');
    json_out_int(out, "used", (int64_t)jobd_memory(api->jobd));
    json_out_int(out, "limit", (int64_t)api->memory_max_bytes);
    json_out_close(out, '}');
}

static void write_connections(struct json_out *out, const struct api *api)
{
    struct http_stats stats;
    http_stats(api->http, &stats);
    json_out_open(out, "connections", '{');
    json_out_int(out, "open", (int64_t)stats.conns.open);
    json_out_int(out, "limit", (int64_t)stats.conns.open_max);
    json_out_int(out, "parked", stats.parked);
    json_out_close(out, '}');
}

static void write_kind(struct json_out *out, const char *kind, bool failing)
{
    json_out_text(out, "kind", kind);
    json_out_text(out, "state", failing ? "failing" : "ok");
}

static void write_store(struct json_out *out, const struct api *api)
{
    struct store_stats stats;
    struct problem reason;
    json_out_open(out, "store", '{');
    if (api->turns != NULL) {
        write_kind(out, "database", turns_failing(api->turns, &reason));
    } else if (api->store == NULL) {
        json_out_text(out, "kind", "memory");
    } else {
        store_stats(api->store, &stats);
        write_kind(out, "directory", stats.failing);
        json_out_int(out, "bytes", (int64_t)stats.bytes);
        json_out_int(out, "commits", (int64_t)stats.commits);
        json_out_thousandths(out, "last_commit_ms", (uint64_t)stats.last_commit_us);
    }
    json_out_close(out, '}');
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

static void write_queues(struct json_out *out, const struct api *api, const char *only)
{
    json_out_open(out, "queues", '[');
    for (uint32_t i = 0; i < jobd_queues_len(api->jobd); i++) {
        if (only[0] != '\0' && strcmp(only, jobd_queue_name(api->jobd, i)) != 0)
            continue;
        struct jobd_stats stats;
        jobd_stats(api->jobd, i, clock_now_us(), &stats);
        if (stats.gone)
            continue;
        json_out_open(out, NULL, '{');
        queue_json_write(out, api, i, &stats);
        queue_json_write_keys(out, api, i, &stats);
        history_write_queue(out, api->history, i);
        json_out_close(out, '}');
    }
    json_out_close(out, ']');
}

static enum step answer_status(struct call *call, enum jobd_result result)
{
    const struct api *api = call->api;
    char only[JOBD_QUEUE_NAME_MAX + 1];
    enum scope scope = scope_of(call, only);
    uint32_t queues = only[0] != '\0' ? 1 : jobd_queues_len(api->jobd);
    uint64_t last_event = live_last_event(api->live);
    struct json_out out;
    (void)result;
    json_out_begin(&out, STATUS_BYTES + (size_t)queues * (QUEUE_JSON_BYTES + HISTORY_JSON_BYTES));
    json_out_open(&out, NULL, '{');
    json_out_text(&out, "version", JOBD_VERSION);
    json_out_int(&out, "uptime_s", (clock_now_us() - api->started_us) / CLOCK_SECOND_US);
    write_ready(&out, api);
    write_memory(&out, api);
    write_connections(&out, api);
    write_store(&out, api);
    json_out_text(&out, "scope", scope_name(scope));
    if (only[0] != '\0')
        json_out_text(&out, "queue", only);
    if (last_event != 0)
        json_out_int(&out, "last_event", (int64_t)last_event);
    write_queues(&out, api, only);
    json_out_close(&out, '}');
    return respond_written(call, 200, &out);
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
