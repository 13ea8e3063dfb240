/* SPDX-License-Identifier: MIT */
/* Queues: looking at them, pausing, purging. */
#include <inttypes.h>
#include <stdio.h>

#include "api/endpoint.h"
#include "base/clock.h"

static cJSON *queue_json(const struct api *api, uint32_t index)
{
    struct jobd_stats s;
    jobd_stats(api->jobd, index, clock_now_us(), &s);
    double drain = (double)(int64_t)(s.drain_per_s * 1000 + 0.5) / 1000;
    cJSON *queue = cJSON_CreateObject();
    bool whole =
        cJSON_AddStringToObject(queue, "name", jobd_queue_name(api->jobd, index)) != NULL &&
        json_add_int(queue, "capacity", s.capacity) && json_add_int(queue, "workers", s.workers) &&
        cJSON_AddBoolToObject(queue, "paused", s.paused) != NULL &&
        json_add_int(queue, "queued", s.queued) && json_add_int(queue, "scheduled", s.scheduled) &&
        json_add_int(queue, "running", s.running) && json_add_int(queue, "done", (int64_t)s.done) &&
        json_add_int(queue, "failed", (int64_t)s.failed) &&
        json_add_int(queue, "cancelled", (int64_t)s.cancelled) &&
        json_add_int(queue, "rejected", (int64_t)s.rejected) &&
        json_add_int(queue, "oldest_age_ms", s.oldest_us / 1000) &&
        cJSON_AddNumberToObject(queue, "drain_per_s", drain) != NULL;
    if (!whole) {
        cJSON_Delete(queue);
        return NULL;
    }
    return queue;
}

enum step list_queues(struct call *call)
{
    cJSON *list = cJSON_CreateObject();
    cJSON *queues = cJSON_AddArrayToObject(list, "queues");
    bool whole = queues != NULL;
    for (uint32_t i = 0; i < jobd_queues_len(call->api->jobd) && whole; i++) {
        cJSON *queue = queue_json(call->api, i);
        whole = queue != NULL && cJSON_AddItemToArray(queues, queue);
    }
    return respond_json(call, 200, list, whole);
}

enum step get_queue(struct call *call)
{
    uint32_t queue = jobd_queue_named(call->api->jobd, call->capture);
    if (queue == JOBD_NO_QUEUE)
        return respond_error(call, 404, "no such queue");
    return respond_json(call, 200, queue_json(call->api, queue), true);
}

static enum step set_paused(struct call *call, bool paused, const char *word, const char *line)
{
    uint32_t queue = jobd_queue_named(call->api->jobd, call->capture);
    if (queue == JOBD_NO_QUEUE)
        return respond_error(call, 404, "no such queue");
    jobd_pause(call->api->jobd, queue, paused, clock_now_us());
    return respond_word(call, 200, word, line);
}

enum step pause_queue(struct call *call)
{
    return set_paused(call, true, "paused", "paused\n");
}

enum step resume_queue(struct call *call)
{
    return set_paused(call, false, "resumed", "resumed\n");
}

static enum jobd_result start_purge(struct request *request, void *context)
{
    struct api *api = context;
    return jobd_purge(api->jobd, jobd_queue_named(api->jobd, request->subject), &request->waiter,
                      clock_now_us(), &request->count);
}

static enum step purged(struct call *call, enum jobd_result result)
{
    uint32_t count = call->request->count;
    if (result != JOBD_OK)
        return respond_result(call, result);
    if (call->request->wants_json) {
        cJSON *object = cJSON_CreateObject();
        return respond_json(call, 200, object, json_add_int(object, "purged", count));
    }
    if (asprintf(&call->reply->owned, "purged %" PRIu32 "\n", count) < 0) {
        call->reply->owned = NULL;
        return respond_no_memory(call);
    }
    call->reply->status = 200;
    return STEP_REPLY;
}

enum step purge_queue(struct call *call)
{
    if (call->request->resumed)
        return purged(call, call->request->waiter.result);
    if (jobd_queue_named(call->api->jobd, call->capture) == JOBD_NO_QUEUE)
        return respond_error(call, 404, "no such queue");
    return act(call, start_purge, purged);
}
