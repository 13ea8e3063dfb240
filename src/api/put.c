/* SPDX-License-Identifier: MIT */
/* Putting jobs in, for the first time or again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/endpoint.h"
#include "api/pass_headers.h"
#include "api/put_batch.h"
#include "api/put_options.h"
#include "api/respond.h"
#include "base/utf8.h"
#include "jobd/schedule.h"
#include "run/callbacks.h"

enum { RETRY_AFTER_MAX_S = 24 * 60 * 60 };

struct put_state {
    struct jobd_put put;     /* what it says is the request's; without the key */
    struct jobd_terms terms; /* without the texts */
    int64_t block_us;        /* waits so long for room, at most; 0: not, or not any more */
};

static struct put_state *state_of(const struct call *call)
{
    return request_state(call->request, sizeof(struct put_state));
}

/* ---- reading the request */

static enum step parse_put(struct call *call)
{
    struct request *request = call->request;
    struct put_state *state = state_of(call);
    struct jobd_put *put = &state->put;
    char key[JOBD_KEY_SIZE];
    if (!parameter_duration(call, "block", WAIT_MAX_US, &state->block_us))
        return respond_bad_value(call, "block", WAIT_VALUES);
    put->queue = path_declared_queue(call);
    put->payload = request->body;
    if (put->queue == JOBD_NO_QUEUE)
        return respond_error(call, 404, "no such queue");
    if (request->method == METHOD_GET && request->body != NULL)
        return respond_error(call, 400, "a GET has no payload: use POST");
    if (!request_key(request, key))
        return respond_error(call, 400,
                             "Idempotency-Key must be 1 to 255 visible ASCII characters");
    if (put_options_read(call, put, &state->terms) == STEP_REPLY ||
        (pass_headers_any(call->api->pass_headers, put->queue) &&
         pass_headers_read(call, put->queue) == STEP_REPLY) ||
        (request_parameter(request, "batch") != NULL &&
         put_batch_read(call, put, &state->terms, key[0] != '\0') == STEP_REPLY))
        return STEP_REPLY;
    if (state->terms.unique != JOBD_WHILE_KNOWN && key[0] == '\0')
        return respond_error(call, 400, "unique needs an Idempotency-Key");
    request->waiter.wants_output = true;
    if (put->batch_len == 0)
        request->waiter.end_us = (int64_t)request_wait_s(request) * CLOCK_SECOND_US;
    request->watch_hangup = state->block_us > 0 || request->waiter.end_us > 0;
    request->waiter.told_times = 1; /* the output is the answer, as it is */
    return STEP_START;
}

/* A job that has ended goes in again. */
static enum step parse_retry(struct call *call)
{
    struct jobd_info info;
    if (jobd_get(call->api->jobd, path_id(call), &info) != JOBD_OK)
        return respond_result(call, JOBD_NO_JOB);
    state_of(call)->put.queue = info.queue;
    return STEP_START;
}

/* A schedule's job, beside its plan. */
static enum step parse_run(struct call *call)
{
    const struct jobd *jobd = call->api->jobd;
    struct jobd_schedule_info info;
    if (jobd_schedule_get(call->api->jobd, call->request->subject, &info) != JOBD_OK)
        return respond_result(call, JOBD_NO_SCHEDULE);
    uint32_t queue = jobd_queue_named(jobd, info.schedule.queue);
    state_of(call)->put.queue = queue;
    jobd_schedule_info_release(&info);
    return queue != JOBD_NO_QUEUE && jobd_queue_declared(jobd, queue)
               ? STEP_START
               : respond_error(call, 409, "the schedule's queue is not declared any more");
}

/* ---- starting: it may wait for room, for the disk, and then for the job's end */

/* The waiter has it too, unless memory was short; but that may be woken already. */
static void keep_receipt(struct call *call, enum jobd_result result,
                         const struct jobd_receipt *receipt)
{
    if (result != JOBD_PENDING)
        call->request->waiter.receipt = *receipt;
}

static enum jobd_result start_put(struct call *call)
{
    struct request *request = call->request;
    struct put_state *state = state_of(call);
    struct jobd_waiter *waiter = &request->waiter;
    struct jobd_put put = state->put;
    struct jobd_receipt receipt;
    struct jobd_terms terms = state->terms;
    struct put_words words;
    int64_t now_us = clock_now_us();
    words.key[0] = words.tags[0] = '\0'; /* all else of them stays as it is: they are long */
    put_options_words(request, &put, &terms, &words);
    request->body_offered = true;
    waiter->deadline_us = now_us + state->block_us;
    enum jobd_result result = state->block_us > 0
                                  ? jobd_put_wait(call->api->jobd, &put, waiter, now_us, &receipt)
                                  : jobd_put(call->api->jobd, &put, waiter, now_us, &receipt);
    keep_receipt(call, result, &receipt);
    /* Else it may be woken already; and what waits for another change of its job is not in. */
    bool stays = result == JOBD_PENDING && state->block_us == 0 && put.batch_len == 0;
    request->body_in = stays && waiter->accepted;
    return result;
}

static enum jobd_result start_retry(struct call *call)
{
    struct jobd_receipt receipt;
    enum jobd_result result = jobd_retry(call->api->jobd, path_id(call), &call->request->waiter,
                                         clock_now_us(), &receipt);
    keep_receipt(call, result, &receipt);
    return result;
}

static enum jobd_result start_run(struct call *call)
{
    struct jobd_receipt receipt;
    enum jobd_result result = jobd_schedule_run(call->api->jobd, call->request->subject,
                                                &call->request->waiter, clock_now_us(), &receipt);
    keep_receipt(call, result, &receipt);
    return result;
}

/* ---- answers */

/* Whole seconds, as Retry-After has them. */
static uint64_t retry_after_s(const struct jobd_receipt *receipt)
{
    uint64_t us = (uint64_t)receipt->room_in_us;
    uint64_t seconds = us / CLOCK_SECOND_US + (us % CLOCK_SECOND_US > 0);
    if (seconds < 1)
        return 1;
    return seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S;
}

/* For who wants to know more of a 429. */
static enum step busy_problem(struct call *call)
{
    static const char *const reasons[] = {
        [JOBD_BUSY_FULL] = "full",     [JOBD_BUSY_MEMORY] = "memory",
        [JOBD_BUSY_PAUSED] = "paused", [JOBD_BUSY_NO_WORKERS] = "no workers",
        [JOBD_BUSY_RATE] = "rate",     [JOBD_BUSY_GROUP] = "key",
        [JOBD_BUSY_CALLBACKS] = "full"};
    const struct jobd_receipt *receipt = &call->request->waiter.receipt;
    struct json_out problem;
    const char *queue = receipt->busy == JOBD_BUSY_CALLBACKS
                            ? CALLBACKS_QUEUE
                            : jobd_queue_name(call->api->jobd, state_of(call)->put.queue);
    json_out_begin(&problem, OBJECT_BYTES);
    json_out_open(&problem, NULL, '{');
    reply_write_problem(&problem, 429, "busy");
    json_out_text(&problem, "queue", queue);
    json_out_int(&problem, "queued", receipt->waiting);
    json_out_int(&problem, "capacity", receipt->capacity);
    json_out_text(&problem, "reason", reasons[receipt->busy]);
    json_out_close(&problem, '}');
    enum step step = respond_written(call, 429, &problem);
    if (call->reply->status == 429)
        call->reply->type = TYPE_PROBLEM;
    return step;
}

/* 429. What is asked for most is answered by a reply that is there already. */
static enum step busy(struct call *call)
{
    struct reply *reply = call->reply;
    uint64_t seconds = retry_after_s(&call->request->waiter.receipt);
    if (!call->request->wants_json && !call->request->cors_allowed && seconds <= BUSY_SHARED) {
        reply->shared = call->api->busy[seconds];
        return STEP_REPLY;
    }
    reply->retry_after_s = seconds;
    if (call->request->wants_json)
        return busy_problem(call);
    reply->status = 429;
    reply->text = "busy\n";
    return STEP_REPLY;
}

/* The job is one that was there before, as it was or with what came now. */
static void say_whose(struct reply *reply, const struct jobd_receipt *receipt)
{
    if (receipt->duplicate)
        reply_text(reply, "Jobd-Duplicate", "", "true");
    if (receipt->replaced)
        reply_text(reply, "Jobd-Replaced", "", "true");
}

/* It is in: without memory for more a line says so, as a 503 would say that it is not. */
static enum step respond_admitted(struct reply *reply, char *json)
{
    reply->status = 202;
    reply->owned = json;
    reply->text = json != NULL ? NULL : "queued\n";
    reply->type = json != NULL ? TYPE_JSON : TYPE_TEXT;
    return STEP_REPLY;
}

static enum step admitted(struct call *call)
{
    struct reply *reply = call->reply;
    const struct jobd_receipt *receipt = &call->request->waiter.receipt;
    call->request->job = receipt->id;
    if (call->request->batch_len > 0)
        return put_batch_admitted(call);
    reply_number(reply, "Location", "/jobs/", receipt->id);
    say_whose(reply, receipt);
    if (receipt->duplicate)
        reply_text(reply, "Jobd-State", "", jobd_state_name(receipt->state));
    if (!call->request->wants_json)
        return respond_admitted(reply, NULL);
    const char *queue = jobd_queue_name(call->api->jobd, state_of(call)->put.queue);
    struct json_out job;
    json_out_begin(&job, OBJECT_BYTES);
    json_out_open(&job, NULL, '{');
    json_out_int(&job, "id", (int64_t)receipt->id);
    json_out_text(&job, "queue", queue);
    json_out_text(&job, "state", jobd_state_name(receipt->state));
    if (receipt->duplicate)
        json_out_bool(&job, "duplicate", true);
    if (receipt->replaced)
        json_out_bool(&job, "replaced", true);
    json_out_close(&job, '}');
    return respond_admitted(reply, json_out_line(&job));
}

/* It has not gone well: its error says why, if it has not been forgotten already. */
static enum step failed(struct call *call, const struct jobd_info *info)
{
    struct jobd_blob *error = NULL;
    char *text = NULL;
    if (jobd_get_blob(call->api->jobd, info->id, JOBD_ERROR, &error) == JOBD_OK && error != NULL)
        text = utf8_repaired(error->bytes, error->size);
    jobd_blob_unref(error);
    const char *otherwise = info->state == JOBD_CANCELLED ? "cancelled" : "failed";
    enum step step = respond_error(call, 500, text != NULL ? text : otherwise);
    free(text);
    return step;
}

/* The job has ended while its client waited: its output is the answer. */
static enum step ended(struct call *call)
{
    struct jobd_waiter *waiter = &call->request->waiter;
    struct reply *reply = call->reply;
    const struct jobd_info *info = &waiter->info;
    struct jobd_blob *output = waiter->output;
    waiter->output = NULL;
    call->request->job = info->id;
    reply_number(reply, "Location", "/jobs/", info->id);
    reply_number(reply, "Preference-Applied", "wait=", request_wait_s(call->request));
    reply_text(reply, "Jobd-State", "", jobd_state_name(info->state));
    if (info->output_truncated)
        reply_text(reply, "Jobd-Output-Truncated", "", "true");
    say_whose(reply, &waiter->receipt);
    if (info->state == JOBD_DONE || (output != NULL && !call->request->wants_json))
        return respond_bytes(call, info->state == JOBD_DONE ? 200 : 500, output);
    jobd_blob_unref(output);
    return failed(call, info);
}

/* It is in, but has not ended in time. */
static enum step not_ended(struct call *call)
{
    struct jobd_receipt *receipt = &call->request->waiter.receipt;
    struct jobd_info info;
    if (jobd_get(call->api->jobd, receipt->id, &info) == JOBD_OK)
        receipt->state = info.state;
    return admitted(call);
}

/* It has ended, but there is no memory to answer with its output, which can be fetched later. */
static bool output_left_out(const struct jobd_waiter *waiter)
{
    return waiter->output == NULL && waiter->info.output_bytes > 0;
}

static enum step ended_without(struct call *call)
{
    struct jobd_waiter *waiter = &call->request->waiter;
    waiter->receipt.state = waiter->info.state;
    if (!waiter->receipt.duplicate)
        reply_text(call->reply, "Jobd-State", "", jobd_state_name(waiter->info.state));
    return admitted(call);
}

static enum step no_parent(struct call *call)
{
    const struct jobd_receipt *receipt = &call->request->waiter.receipt;
    char detail[96];
    snprintf(detail, sizeof detail, "after: there is no /%s/%" PRIu64 ", or it is forgotten",
             receipt->id != 0 ? "jobs" : "batches",
             receipt->id != 0 ? receipt->id : receipt->batch);
    return respond_error(call, 400, detail);
}

static enum step later_parent(struct call *call)
{
    const struct jobd_receipt *receipt = &call->request->waiter.receipt;
    char detail[240];
    snprintf(detail, sizeof detail,
             "after: /%s/%" PRIu64 " came after /jobs/%" PRIu64 ", which this would replace, and "
             "which can wait only for what came before it: use another Idempotency-Key, or "
             "cancel it first",
             receipt->id != 0 ? "jobs" : "batches", receipt->id != 0 ? receipt->id : receipt->batch,
             receipt->instead);
    return respond_error(call, 400, detail);
}

/* The answer to what was put in, or in again, or was not. */
static enum step answer_queued(struct call *call, enum jobd_result result)
{
    const struct jobd_waiter *waiter = &call->request->waiter;
    struct put_state *state = state_of(call);
    switch (result) {
    case JOBD_OK:
        if (waiter->end_us == 0)
            return admitted(call);
        return output_left_out(waiter) ? ended_without(call) : ended(call);
    case JOBD_TIMEOUT:
        if (waiter->accepted)
            return not_ended(call);
        state->block_us = 0; /* a last try, which also says how full it is */
        return STEP_START;
    case JOBD_TOO_MANY_WAITERS:
        return waiter->accepted ? not_ended(call) : respond_result(call, result);
    case JOBD_FULL:
    case JOBD_GROUP_FULL:
    case JOBD_CALLBACKS_FULL:
    case JOBD_OUT_OF_MEMORY:
        return busy(call);
    default:
        return respond_result(call, result);
    }
}

static enum step answer_put(struct call *call, enum jobd_result result)
{
    if (result == JOBD_NO_PARENT)
        return no_parent(call);
    if (result == JOBD_LATER_PARENT)
        return later_parent(call);
    if (result == JOBD_CONFLICT && state_of(call)->put.puts != NULL)
        return put_batch_conflict(call);
    /* The queue is what the path names; of a retry that is the job, which is there. */
    return result == JOBD_UNDECLARED ? respond_error(call, 404, "no such queue")
                                     : answer_queued(call, result);
}

const struct endpoint put_endpoints[] = {
    {
        .paths = {"/do", "/do/*"},
        .methods = METHOD_GET | METHOD_POST, /* not HEAD, which must not put a job in */
        .scope = SCOPE_PUT,
        .about = ABOUT_QUEUE,
        .parameters = {"delay", "at", "expires", "keep", "unique", "again", "priority", "attempts",
                       "timeout", "key", "tag", "block", "batch", "after", "if", "callback"},
        .repeated = "tag",
        .has_body = true,
        .summary = "Puts a job in: the body is its payload.",
        .answers = "200 bytes, 202 Queued|text, 429, 500 Problem|bytes",
        .sent = "200 Location! Preference-Applied! Jobd-State! Jobd-Output-Truncated "
                "Jobd-Duplicate Jobd-Replaced, "
                "202 Location Jobd-Duplicate Jobd-Replaced Jobd-State, "
                "500 Location! Preference-Applied! Jobd-State! Jobd-Output-Truncated "
                "Jobd-Duplicate Jobd-Replaced",
        .fields = {"Idempotency-Key", "Prefer", "traceparent"},
        .parse = parse_put,
        .start = start_put,
        .answer = answer_put,
    },
    {
        .paths = {"/jobs/*/retry"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .about = ABOUT_JOB,
        .summary = "Runs a job again that has ended.",
        .answers = "202 Queued|text, 429",
        .sent = "202 Location!",
        .parse = parse_retry,
        .start = start_retry,
        .answer = answer_queued,
    },
    {
        .paths = {"/schedules/*/run"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .summary = "Puts a job of a schedule in now, besides those of its plan.",
        .answers = "202 Queued|text, 429",
        .sent = "202 Location!",
        .parse = parse_run,
        .start = start_run,
        .answer = answer_queued,
    },
    {.methods = 0},
};
