/* SPDX-License-Identifier: MIT */
/* Putting jobs in. */
#include <inttypes.h>
#include <stdio.h>

#include "api_inside.h"
#include "clock.h"

enum { RETRY_AFTER_MAX_S = 3600 };

#define DEFAULT_QUEUE "default"

static enum step busy(struct call *call, uint32_t queue, const struct jobd_receipt *receipt)
{
    uint64_t seconds = (uint64_t)(receipt->room_in_us + CLOCK_SECOND_US - 1) / CLOCK_SECOND_US;
    if (seconds < 1)
        seconds = 1;
    if (seconds > RETRY_AFTER_MAX_S)
        seconds = RETRY_AFTER_MAX_S;
    if (!call->request->wants_json && seconds <= BUSY_SHARED) {
        call->reply->shared = call->api->busy[seconds];
        return STEP_REPLY;
    }
    call->reply->retry_after_s = seconds;
    if (!call->request->wants_json) {
        call->reply->status = 429;
        call->reply->text = "busy\n";
        return STEP_REPLY;
    }
    cJSON *problem = cJSON_CreateObject();
    bool whole = json_add_int(problem, "status", 429) &&
                 cJSON_AddStringToObject(problem, "title", "busy") != NULL &&
                 cJSON_AddStringToObject(problem, "queue",
                                         jobd_queue_name(call->api->jobd, queue)) != NULL &&
                 json_add_int(problem, "queued", receipt->waiting) &&
                 json_add_int(problem, "capacity", receipt->capacity);
    enum step step = answer_json(call, 429, problem, whole);
    if (whole)
        call->reply->type = TYPE_PROBLEM;
    return step;
}

static enum step admitted(struct call *call, const struct jobd_put *put, uint64_t id)
{
    struct reply *reply = call->reply;
    snprintf(reply->location, sizeof reply->location, "/jobs/%" PRIu64, id);
    if (!call->request->wants_json) {
        reply->status = 202;
        reply->text = "queued\n";
        return STEP_REPLY;
    }
    enum jobd_state state = put->delay_us > 0 ? JOBD_SCHEDULED : JOBD_QUEUED;
    cJSON *job = cJSON_CreateObject();
    bool whole = json_add_int(job, "id", (int64_t)id) &&
                 cJSON_AddStringToObject(job, "queue",
                                         jobd_queue_name(call->api->jobd, put->queue)) != NULL &&
                 cJSON_AddStringToObject(job, "state", jobd_state_name(state)) != NULL;
    return answer_json(call, 202, job, whole);
}

enum step put_job(struct call *call)
{
    const char *name = call->capture[0] != '\0' ? call->capture : DEFAULT_QUEUE;
    struct jobd_put put = {.queue = jobd_queue_named(call->api->jobd, name)};
    uint64_t priority = JOBD_PRIORITY_DEFAULT;
    if (put.queue == JOBD_NO_QUEUE)
        return answer_error(call, 404, "no such queue");
    if (call->request->method == METHOD_GET && call->request->body != NULL)
        return answer_error(call, 400, "a GET has no payload: use POST");
    if (!parameter_duration(call, "delay", INT64_MAX, &put.delay_us))
        return answer_bad_value(call, "delay", "a duration like 250ms, 30s, 5m, 2h or 7d");
    if (!parameter_number(call, "priority", 0, JOBD_PRIORITIES - 1, &priority))
        return answer_bad_value(call, "priority", "0 to 7");
    put.priority = (uint8_t)priority;
    put.payload = call->request->body;

    struct jobd_receipt receipt;
    enum jobd_result result = jobd_put(call->api->jobd, &put, clock_now_us(), &receipt);
    switch (result) {
    case JOBD_OK:
        call->request->body = NULL; /* the job's now */
        return admitted(call, &put, receipt.id);
    case JOBD_FULL:
    case JOBD_MEMORY:
        return busy(call, put.queue, &receipt);
    default:
        return answer_result(call, result);
    }
}
