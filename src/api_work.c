/* SPDX-License-Identifier: MIT */
/* Workers elsewhere: they take jobs, and say how their attempts ended. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api_inside.h"
#include "text.h"
#include "verify.h"

enum { TAKES_MAX = 1000, ERROR_MAX_BYTES = 1024 };

#define LEASE_US     (60 * CLOCK_SECOND_US)
#define LEASE_MIN_US (CLOCK_SECOND_US / 10)
#define LEASE_MAX_US (INT64_C(7) * 86400 * CLOCK_SECOND_US)
#define LEASE_VALUES "a duration from 100ms to 7d, like 30s, 5m or 2h"

/* 128 bits that nobody can guess. */
static void make_token(char token[JOBD_TOKEN_SIZE])
{
    unsigned char bytes[(JOBD_TOKEN_SIZE - 1) / 2];
    verify(getrandom(bytes, sizeof bytes, 0) == sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(token + 2 * i, 3, "%02x", bytes[i]);
}

/* ---- answers */

static bool add_payload(cJSON *job, const struct jobd_blob *payload)
{
    if (payload == NULL)
        return cJSON_AddStringToObject(job, "payload", "") != NULL;
    if (payload->type[0] != '\0' &&
        cJSON_AddStringToObject(job, "content_type", payload->type) == NULL)
        return false;
    bool is_text = text_is_utf8(payload->bytes, payload->size);
    char *text = is_text ? text_utf8(payload->bytes, payload->size)
                         : text_base64(payload->bytes, payload->size);
    bool whole = text != NULL &&
                 cJSON_AddStringToObject(job, is_text ? "payload" : "payload_base64", text) != NULL;
    free(text);
    return whole;
}

/* Gives the task's payload back. */
static cJSON *taken_json(const struct jobd_waiter *taker)
{
    const struct jobd_task *task = &taker->task;
    char location[48];
    snprintf(location, sizeof location, "/leases/%s", taker->token);
    cJSON *job = cJSON_CreateObject();
    bool whole = json_add_int(job, "id", (int64_t)task->id) &&
                 cJSON_AddStringToObject(job, "lease", location) != NULL &&
                 json_add_int(job, "attempt", task->attempt) &&
                 json_add_time(job, "expires_at", task->expires_us) &&
                 add_payload(job, task->payload);
    jobd_blob_unref(task->payload);
    if (whole)
        return job;
    cJSON_Delete(job);
    return NULL;
}

static enum step answer_taken(struct call *call)
{
    const struct jobd_waiter *taker = &call->request->waiter;
    struct reply *reply = call->reply;
    char expires[TEXT_TIME_SIZE];
    if (call->request->wants_json)
        return answer_json(call, 200, taken_json(taker), true);
    text_time(taker->task.expires_us, expires);
    snprintf(reply->location, sizeof reply->location, "/leases/%s", taker->token);
    reply_field(reply, "Jobd-Id", "%" PRIu64, taker->task.id);
    reply_field(reply, "Jobd-Attempt", "%" PRIu32, taker->task.attempt);
    reply_field(reply, "Jobd-Expires", "%s", expires);
    reply->status = 200;
    reply->type = taker->task.payload != NULL ? NULL : TYPE_BYTES;
    reply->text = "";
    reply->blob = taker->task.payload;
    reply->unsafe = true;
    return STEP_REPLY;
}

/* The first is there; as many more as are there at once. */
static enum step answer_several(struct call *call, uint64_t max)
{
    struct request *request = call->request;
    cJSON *list = cJSON_CreateObject();
    cJSON *jobs = cJSON_AddArrayToObject(list, "jobs");
    struct jobd_waiter taker = request->waiter;
    bool whole = cJSON_AddItemToArray(jobs, taken_json(&taker));
    for (uint64_t i = 1; i < max && whole; i++) {
        taker = (struct jobd_waiter){.lease_us = request->waiter.lease_us, .try_only = true};
        make_token(taker.token);
        if (jobd_take(call->api->jobd, (uint32_t)request->parked_for, &taker, clock_now_us()) !=
            JOBD_OK)
            break;
        whole = cJSON_AddItemToArray(jobs, taken_json(&taker));
    }
    return answer_json(call, 200, list, whole);
}

/* ---- take */

static enum jobd_result start_take(struct request *request, void *context)
{
    struct api *api = context;
    return jobd_take(api->jobd, (uint32_t)request->parked_for, &request->waiter, clock_now_us());
}

/* Its client went away just when it was given a job: as if it had not been. */
static void give_back(struct request *request, void *context)
{
    struct api *api = context;
    (void)jobd_lease_release(api->jobd, request->waiter.token, 0, clock_now_us());
    jobd_blob_unref(request->waiter.task.payload);
}

static enum step take_answer(struct call *call, enum jobd_result result, uint64_t max)
{
    switch (result) {
    case JOBD_OK:
        return request_parameter(call->request, "max") != NULL ? answer_several(call, max)
                                                               : answer_taken(call);
    case JOBD_TIMEOUT:
        call->reply->status = 204;
        return STEP_REPLY;
    case JOBD_CROWDED:
        return answer_error(call, 503, "as many jobs are leased, or waited for, as may be");
    default:
        return answer_result(call, result);
    }
}

enum step take_job(struct call *call)
{
    struct request *request = call->request;
    struct jobd_waiter *waiter = &request->waiter;
    const char *name = call->capture[0] != '\0' ? call->capture : DEFAULT_QUEUE;
    int64_t wait_us = 0, lease_us = LEASE_US;
    uint64_t max = 1;
    uint32_t queue = jobd_queue_named(call->api->jobd, name);
    if (queue == JOBD_NO_QUEUE)
        return answer_error(call, 404, "no such queue");
    if (!parameter_duration(call, "wait", WAIT_MAX_US, &wait_us))
        return answer_bad_value(call, "wait", "a duration of at most 1h, like 250ms, 30s or 5m");
    if (!parameter_duration(call, "lease", LEASE_MAX_US, &lease_us) || lease_us < LEASE_MIN_US)
        return answer_bad_value(call, "lease", LEASE_VALUES);
    if (!parameter_number(call, "max", 1, TAKES_MAX, &max))
        return answer_bad_value(call, "max", "1 to 1000");
    if (request_parameter(request, "max") != NULL && !request->wants_json)
        return answer_error(call, 400, "max needs Accept: application/json");
    if (request->resumed)
        return take_answer(call, waiter->result, max);
    request->parked_for = queue;
    request->abandoned = give_back;
    waiter->lease_us = lease_us;
    waiter->try_only = wait_us == 0;
    waiter->deadline_us = clock_now_us() + wait_us;
    make_token(waiter->token);
    if (waiter->try_only)
        return take_answer(call, start_take(request, call->api), max);
    *call->start = start_take;
    return STEP_PARK;
}

/* ---- leases */

/* At most so much of the body, as a blob of its own or the body itself; NULL when there is none, or
 * *short_memory. */
static struct jobd_blob *kept_body(struct request *request, size_t max, bool *short_memory)
{
    struct jobd_blob *body = request->body;
    if (body == NULL || body->size <= max)
        return body != NULL ? jobd_blob_ref(body) : NULL;
    struct jobd_blob *kept = jobd_blob_new(max, body->type);
    *short_memory = kept == NULL;
    if (kept != NULL)
        memcpy(kept->bytes, body->bytes, max);
    return kept;
}

/* Takes output and error of the outcome. */
static enum step end_lease(struct call *call, const struct jobd_outcome *outcome, const char *word,
                           const char *line)
{
    enum jobd_result result =
        jobd_lease_finish(call->api->jobd, call->capture, outcome, clock_now_us());
    if (result == JOBD_OK)
        return answer_word(call, 200, word, line);
    jobd_blob_unref(outcome->output);
    jobd_blob_unref(outcome->error);
    return answer_result(call, result);
}

enum step lease_done(struct call *call)
{
    bool short_memory = false;
    size_t max = call->api->output_max_bytes;
    struct jobd_blob *body = call->request->body;
    struct jobd_outcome outcome = {.state = JOBD_DONE,
                                   .output_truncated = body != NULL && body->size > max,
                                   .output = kept_body(call->request, max, &short_memory)};
    return short_memory ? answer_no_memory(call) : end_lease(call, &outcome, "done", "done\n");
}

enum step lease_fail(struct call *call)
{
    bool short_memory = false;
    struct jobd_outcome outcome = {
        .state = JOBD_FAILED, .retry_exactly = request_parameter(call->request, "delay") != NULL};
    if (!parameter_duration(call, "delay", LEASE_MAX_US, &outcome.retry_in_us))
        return answer_bad_value(call, "delay", "a duration of at most 7d, like 250ms, 30s or 5m");
    outcome.error = kept_body(call->request, ERROR_MAX_BYTES, &short_memory);
    return short_memory ? answer_no_memory(call) : end_lease(call, &outcome, "failed", "failed\n");
}

enum step lease_extend(struct call *call)
{
    int64_t lease_us = LEASE_US, now_us = clock_now_us();
    char expires[TEXT_TIME_SIZE];
    if (!parameter_duration(call, "lease", LEASE_MAX_US, &lease_us) || lease_us < LEASE_MIN_US)
        return answer_bad_value(call, "lease", LEASE_VALUES);
    enum jobd_result result = jobd_lease_extend(call->api->jobd, call->capture, lease_us, now_us);
    if (result != JOBD_OK)
        return answer_result(call, result);
    text_time(now_us + lease_us, expires);
    reply_field(call->reply, "Jobd-Expires", "%s", expires);
    if (!call->request->wants_json)
        return answer_word(call, 200, "extended", "extended\n");
    cJSON *object = cJSON_CreateObject();
    return answer_json(call, 200, object, json_add_time(object, "expires_at", now_us + lease_us));
}

enum step lease_release(struct call *call)
{
    int64_t delay_us = 0;
    if (!parameter_duration(call, "delay", LEASE_MAX_US, &delay_us))
        return answer_bad_value(call, "delay", "a duration of at most 7d, like 250ms, 30s or 5m");
    enum jobd_result result =
        jobd_lease_release(call->api->jobd, call->capture, delay_us, clock_now_us());
    if (result != JOBD_OK)
        return answer_result(call, result);
    return answer_word(call, 200, "released", "released\n");
}
