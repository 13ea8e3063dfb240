/* SPDX-License-Identifier: MIT */
/* Putting jobs in, for the first time or again. */
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

/* The parameters a put has; the answer to a bad one, else STEP_PARK, and *put is complete but for
 * its payload. */
static enum step read_put(struct call *call, struct jobd_put *put)
{
    uint64_t priority = JOBD_PRIORITY_DEFAULT, attempts = 0;
    if (!parameter_duration(call, "delay", INT64_MAX, &put->delay_us))
        return answer_bad_value(call, "delay", "a duration like 250ms, 30s, 5m, 2h or 7d");
    if (!parameter_number(call, "priority", 0, JOBD_PRIORITIES - 1, &priority))
        return answer_bad_value(call, "priority", "0 to 7");
    if (!parameter_number(call, "attempts", 1, JOBD_ATTEMPTS_MAX, &attempts))
        return answer_bad_value(call, "attempts", "1 to 1000");
    if (!parameter_duration(call, "timeout", INT64_MAX, &put->timeout_us))
        return answer_bad_value(call, "timeout", "a duration like 250ms, 30s, 5m, 2h or 7d");
    put->priority = (uint8_t)priority;
    put->attempts = (uint32_t)attempts;
    put->trace = call->request->trace[0] != '\0' ? call->request->trace : NULL;
    return STEP_PARK;
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

static enum step put_answer(struct call *call, enum jobd_result result,
                            const struct jobd_receipt *receipt)
{
    switch (result) {
    case JOBD_OK:
        return admitted(call, &call->request->put, receipt->id);
    case JOBD_FULL:
    case JOBD_MEMORY:
        return busy(call, call->request->put.queue, receipt);
    default:
        return answer_result(call, result);
    }
}

static enum step put_now(struct call *call)
{
    struct jobd_receipt receipt;
    enum jobd_result result =
        jobd_put(call->api->jobd, &call->request->put, clock_now_us(), &receipt);
    if (result == JOBD_OK)
        call->request->body = NULL; /* the job's now */
    return put_answer(call, result, &receipt);
}

static enum jobd_result start_put(struct request *request, void *context)
{
    struct api *api = context;
    struct jobd_receipt receipt;
    request->gives_body = true;
    enum jobd_result result =
        jobd_put_wait(api->jobd, &request->put, &request->waiter, clock_now_us(), &receipt);
    if (result == JOBD_OK) /* else it may have been woken already */
        request->waiter.receipt.id = receipt.id;
    return result;
}

/* It waited for room. After its time it has a last try, which also says how full it is. */
static enum step put_after_wait(struct call *call)
{
    const struct jobd_waiter *waiter = &call->request->waiter;
    if (waiter->result == JOBD_TIMEOUT || waiter->result == JOBD_MEMORY)
        return put_now(call);
    return put_answer(call, waiter->result, &(struct jobd_receipt){.id = waiter->receipt.id});
}

enum step put_job(struct call *call)
{
    struct request *request = call->request;
    const char *name = call->capture[0] != '\0' ? call->capture : DEFAULT_QUEUE;
    struct jobd_put *put = &request->put;
    int64_t block_us = 0;
    if (request->resumed)
        return put_after_wait(call);
    *put = (struct jobd_put){.queue = jobd_queue_named(call->api->jobd, name)};
    if (put->queue == JOBD_NO_QUEUE)
        return answer_error(call, 404, "no such queue");
    if (request->method == METHOD_GET && request->body != NULL)
        return answer_error(call, 400, "a GET has no payload: use POST");
    if (!parameter_duration(call, "block", WAIT_MAX_US, &block_us))
        return answer_bad_value(call, "block", "a duration of at most 1h, like 250ms, 30s or 5m");
    if (read_put(call, put) == STEP_REPLY)
        return STEP_REPLY;
    put->payload = request->body;
    if (block_us == 0)
        return put_now(call);
    request->waiter.deadline_us = clock_now_us() + block_us;
    *call->start = start_put;
    return STEP_PARK;
}

enum step retry_job(struct call *call)
{
    struct jobd_receipt receipt;
    struct jobd_info info;
    uint64_t id = path_id(call);
    if (jobd_look(call->api->jobd, id, &info) != JOBD_OK)
        return answer_result(call, JOBD_NO_JOB);
    call->request->put = (struct jobd_put){.queue = info.queue};
    enum jobd_result result = jobd_retry(call->api->jobd, id, clock_now_us(), &receipt);
    return put_answer(call, result, &receipt);
}
