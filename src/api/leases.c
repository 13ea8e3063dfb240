/* SPDX-License-Identifier: MIT */
/* Workers elsewhere: they take jobs, and say how their attempts ended. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/endpoint.h"
#include "base/random.h"
#include "base/text.h"

enum {
    TAKES_MAX = 1000,
    TAKES_BYTES = 256 * 1024, /* of payloads in an answer, about: the last one passes it */
    ERROR_MAX_BYTES = 1024
};

#define LEASE_US     (60 * CLOCK_SECOND_US)
#define LEASE_MIN_US (CLOCK_SECOND_US / 10)
#define LEASE_MAX_US (INT64_C(7) * 86400 * CLOCK_SECOND_US)
#define LEASE_VALUES "a duration from 100ms to 7d, like 30s, 5m or 2h"

/* ---- answers */

static bool add_payload(cJSON *job, const struct jobd_blob *payload)
{
    if (payload == NULL)
        return cJSON_AddStringToObject(job, "payload", "") != NULL;
    if (payload->type[0] != '\0' &&
        !json_add_bytes(job, "content_type", payload->type, strlen(payload->type)))
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

static enum step respond_taken(struct call *call)
{
    const struct jobd_waiter *taker = &call->request->waiter;
    struct reply *reply = call->reply;
    char expires[TEXT_TIME_SIZE];
    if (call->request->wants_json)
        return respond_json(call, 200, taken_json(taker), true);
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

/* ---- several at once: the first is given to the request's own waiter, the others to these */

struct taken {
    struct jobd_waiter waiter; /* first: a waiter is one of these */
    struct takers *all;
    struct taken *next;
};

struct takers {
    struct request *request;
    atomic_uint left; /* who are not told yet, and one for who asks for them */
    struct taken *first;
};

static void release_takers(struct takers *takers)
{
    struct taken *taken = takers->first, *next;
    for (; taken != NULL; taken = next) {
        next = taken->next;
        free(taken);
    }
    free(takers);
}

/* The last one resumes the request. */
static void taken_woken(struct jobd_waiter *waiter)
{
    struct takers *all = ((struct taken *)(void *)waiter)->all;
    struct jobd_waiter *own = &all->request->waiter;
    if (atomic_fetch_sub(&all->left, 1) == 1)
        own->wake(own);
}

/* NULL when there is none at once. */
static const struct taken *take_one_more(struct takers *takers, struct jobd *jobd, uint32_t queue,
                                         int64_t lease_us)
{
    struct taken *taken = calloc(1, sizeof *taken);
    if (taken == NULL)
        return NULL;
    taken->all = takers;
    taken->waiter = (struct jobd_waiter){.lease_us = lease_us,
                                         .no_wait = true,
                                         .uncounted = true,
                                         .deadline_us = JOBD_NEVER,
                                         .wake = taken_woken};
    random_hex(taken->waiter.token, sizeof taken->waiter.token);
    atomic_fetch_add(&takers->left, 1);
    enum jobd_result result = jobd_take(jobd, queue, &taken->waiter, clock_now_us());
    if (result != JOBD_PENDING)
        atomic_fetch_sub(&takers->left, 1);
    if (result != JOBD_PENDING && result != JOBD_OK) {
        free(taken);
        return NULL;
    }
    if (result == JOBD_OK)
        taken->waiter.result = JOBD_OK;
    taken->next = takers->first;
    takers->first = taken;
    return taken;
}

/* As many more as are there at once, and make an answer of some size. */
static enum jobd_result start_more(struct request *request, void *context)
{
    struct api *api = context;
    struct takers *takers = request->takers;
    size_t bytes = request->waiter.task.payload_bytes;
    atomic_store(&takers->left, 1);
    for (uint32_t i = 1; i < request->count && bytes <= TAKES_BYTES; i++) {
        const struct taken *taken = take_one_more(takers, api->jobd, (uint32_t)request->parked_for,
                                                  request->waiter.lease_us);
        if (taken == NULL)
            break;
        bytes += taken->waiter.task.payload_bytes;
    }
    return atomic_fetch_sub(&takers->left, 1) == 1 ? JOBD_OK : JOBD_PENDING;
}

static enum step several_taken(struct call *call, enum jobd_result result)
{
    struct request *request = call->request;
    struct takers *takers = request->takers;
    cJSON *list = cJSON_CreateObject();
    cJSON *jobs = cJSON_AddArrayToObject(list, "jobs");
    bool whole = cJSON_AddItemToArray(jobs, taken_json(&request->waiter));
    struct taken *in_order = NULL, *taken, *next;
    (void)result; /* it is the first one's */
    for (taken = takers->first; taken != NULL; taken = next) {
        next = taken->next;
        taken->next = in_order;
        in_order = taken;
    }
    takers->first = in_order;
    for (taken = in_order; taken != NULL; taken = taken->next)
        if (taken->waiter.result == JOBD_OK)
            whole = cJSON_AddItemToArray(jobs, taken_json(&taken->waiter)) && whole;
    release_takers(takers);
    request->takers = NULL;
    return respond_json(call, 200, list, whole);
}

static enum step take_more(struct call *call, uint64_t max)
{
    struct request *request = call->request;
    request->takers = calloc(1, sizeof *request->takers);
    if (request->takers == NULL) {
        jobd_blob_unref(request->waiter.task.payload);
        return respond_no_memory(call);
    }
    request->takers->request = request;
    request->count = (uint32_t)max;
    return act(call, start_more, several_taken);
}

/* ---- take */

static enum jobd_result start_take(struct request *request, void *context)
{
    struct api *api = context;
    return jobd_take(api->jobd, (uint32_t)request->parked_for, &request->waiter, clock_now_us());
}

/* Its client went away just when it was given jobs: as if it had not been. */
static void give_back(struct request *request, void *context)
{
    struct api *api = context;
    (void)jobd_lease_release(api->jobd, request->waiter.token, 0, NULL, clock_now_us());
    jobd_blob_unref(request->waiter.task.payload);
    if (request->takers == NULL)
        return;
    for (struct taken *taken = request->takers->first; taken != NULL; taken = taken->next) {
        if (taken->waiter.result != JOBD_OK)
            continue;
        (void)jobd_lease_release(api->jobd, taken->waiter.token, 0, NULL, clock_now_us());
        jobd_blob_unref(taken->waiter.task.payload);
    }
    release_takers(request->takers);
    request->takers = NULL;
}

static enum step take_answer(struct call *call, enum jobd_result result, uint64_t max)
{
    switch (result) {
    case JOBD_OK:
        return request_parameter(call->request, "max") != NULL ? take_more(call, max)
                                                               : respond_taken(call);
    case JOBD_TIMEOUT:
        call->reply->status = 204;
        return STEP_REPLY;
    case JOBD_TOO_MANY_WAITERS:
        return respond_error(call, 503, "too many leases");
    default:
        return respond_result(call, result);
    }
}

enum step take_job(struct call *call)
{
    struct request *request = call->request;
    struct jobd_waiter *waiter = &request->waiter;
    const char *name = path_queue(call);
    int64_t wait_us = 0, lease_us = LEASE_US;
    uint64_t max = 1;
    uint32_t queue = jobd_queue_named(call->api->jobd, name);
    if (queue == JOBD_NO_QUEUE)
        return respond_error(call, 404, "no such queue");
    if (!parameter_duration(call, "wait", WAIT_MAX_US, &wait_us))
        return respond_bad_value(call, "wait", "a duration of at most 1h, like 250ms, 30s or 5m");
    if (!parameter_duration(call, "lease", LEASE_MAX_US, &lease_us) || lease_us < LEASE_MIN_US)
        return respond_bad_value(call, "lease", LEASE_VALUES);
    if (!parameter_number(call, "max", 1, TAKES_MAX, &max))
        return respond_bad_value(call, "max", "1 to 1000");
    if (request_parameter(request, "max") != NULL && !request->wants_json)
        return respond_error(call, 400, "max needs Accept: application/json");
    if (request->takers != NULL)
        return several_taken(call, waiter->result);
    if (request->resumed)
        return take_answer(call, waiter->result, max);
    if (http_is_full(call->api->http)) { /* whoever takes a job must be told */
        call->reply->retry_after_s = 1;
        return respond_error(call, 503, "there is no memory for the answer at the moment");
    }
    request->parked_for = queue;
    request->abandoned = give_back;
    waiter->lease_us = lease_us;
    waiter->no_wait = wait_us == 0;
    waiter->deadline_us = clock_now_us() + wait_us;
    random_hex(waiter->token, sizeof waiter->token);
    if (waiter->no_wait && call->api->store == NULL)
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

static enum step lease_answer(struct call *call, enum jobd_result result, const char *word,
                              const char *line)
{
    if (result == JOBD_OUT_OF_MEMORY)
        return respond_no_memory(call);
    return result == JOBD_OK ? respond_word(call, 200, word, line) : respond_result(call, result);
}

/* Takes output and error of the outcome. */
static enum jobd_result end_lease(struct request *request, const struct api *api,
                                  const struct jobd_outcome *outcome)
{
    enum jobd_result result =
        jobd_lease_finish(api->jobd, request->subject, outcome, &request->waiter, clock_now_us());
    if (result != JOBD_OK && result != JOBD_PENDING) {
        jobd_blob_unref(outcome->output);
        jobd_blob_unref(outcome->error);
    }
    return result;
}

static enum jobd_result start_done(struct request *request, void *context)
{
    const struct api *api = context;
    bool short_memory = false;
    size_t max = api->output_max_bytes;
    const struct jobd_blob *body = request->body;
    const struct jobd_outcome outcome = {.state = JOBD_DONE,
                                         .output_truncated = body != NULL && body->size > max,
                                         .output = kept_body(request, max, &short_memory)};
    return short_memory ? JOBD_OUT_OF_MEMORY : end_lease(request, api, &outcome);
}

static enum step is_done(struct call *call, enum jobd_result result)
{
    return lease_answer(call, result, "done", "done\n");
}

enum step lease_done(struct call *call)
{
    if (call->request->resumed)
        return is_done(call, call->request->waiter.result);
    return act(call, start_done, is_done);
}

static enum jobd_result start_fail(struct request *request, void *context)
{
    bool short_memory = false;
    const struct jobd_outcome outcome = {
        .state = JOBD_FAILED,
        .retry_exactly = request_parameter(request, "delay") != NULL,
        .retry_in_us = request->us,
        .error = kept_body(request, ERROR_MAX_BYTES, &short_memory)};
    return short_memory ? JOBD_OUT_OF_MEMORY : end_lease(request, context, &outcome);
}

static enum step has_failed(struct call *call, enum jobd_result result)
{
    return lease_answer(call, result, "failed", "failed\n");
}

enum step lease_fail(struct call *call)
{
    if (call->request->resumed)
        return has_failed(call, call->request->waiter.result);
    call->request->us = 0;
    if (!parameter_duration(call, "delay", LEASE_MAX_US, &call->request->us))
        return respond_bad_value(call, "delay", "a duration of at most 7d, like 250ms, 30s or 5m");
    return act(call, start_fail, has_failed);
}

static enum jobd_result start_extend(struct request *request, void *context)
{
    const struct api *api = context;
    int64_t now_us = clock_now_us();
    request->until_us = now_us + request->us;
    return jobd_lease_extend(api->jobd, request->subject, request->us, &request->waiter, now_us);
}

static enum step extended(struct call *call, enum jobd_result result)
{
    char expires[TEXT_TIME_SIZE];
    if (result != JOBD_OK)
        return respond_result(call, result);
    text_time(call->request->until_us, expires);
    reply_field(call->reply, "Jobd-Expires", "%s", expires);
    if (!call->request->wants_json)
        return respond_word(call, 200, "extended", "extended\n");
    cJSON *object = cJSON_CreateObject();
    return respond_json(call, 200, object,
                        json_add_time(object, "expires_at", call->request->until_us));
}

enum step lease_extend(struct call *call)
{
    if (call->request->resumed)
        return extended(call, call->request->waiter.result);
    call->request->us = LEASE_US;
    if (!parameter_duration(call, "lease", LEASE_MAX_US, &call->request->us) ||
        call->request->us < LEASE_MIN_US)
        return respond_bad_value(call, "lease", LEASE_VALUES);
    return act(call, start_extend, extended);
}

static enum jobd_result start_release(struct request *request, void *context)
{
    const struct api *api = context;
    return jobd_lease_release(api->jobd, request->subject, request->us, &request->waiter,
                              clock_now_us());
}

static enum step released(struct call *call, enum jobd_result result)
{
    return lease_answer(call, result, "released", "released\n");
}

enum step lease_release(struct call *call)
{
    if (call->request->resumed)
        return released(call, call->request->waiter.result);
    call->request->us = 0;
    if (!parameter_duration(call, "delay", LEASE_MAX_US, &call->request->us))
        return respond_bad_value(call, "delay", "a duration of at most 7d, like 250ms, 30s or 5m");
    return act(call, start_release, released);
}
