/* SPDX-License-Identifier: MIT */
/* Batches: seeing how far one is, waiting for its end, cancelling the rest. */
#include <inttypes.h>

#include "api/batch_json.h"
#include "api/endpoint.h"
#include "api/respond.h"
#include "jobd/change.h"

struct batch_state {
    int64_t wait_us; /* for its end, at most */
    struct jobd_batch batch;
};

static struct batch_state *state_of(const struct call *call)
{
    return request_state(call->request, sizeof(struct batch_state));
}

static enum step find_batch(struct call *call, struct jobd_batch *batch)
{
    return jobd_get_batch(call->api->jobd, path_id(call), clock_now_us(), batch) == JOBD_OK
               ? STEP_START
               : respond_error(call, 404, "no such batch");
}

/* ---- looking */

static enum step parse_get(struct call *call)
{
    if (!parameter_duration(call, "wait", WAIT_MAX_US, &state_of(call)->wait_us))
        return respond_bad_value(call, "wait", WAIT_VALUES);
    return find_batch(call, &state_of(call)->batch);
}

static enum jobd_result start_get(struct call *call)
{
    struct request *request = call->request;
    struct batch_state *state = state_of(call);
    struct jobd_waiter *waiter = &request->waiter;
    const int64_t now_us = clock_now_us();
    if (state->wait_us == 0)
        return jobd_get_batch(call->api->jobd, path_id(call), now_us, &state->batch);
    request->watch_hangup = true;
    waiter->deadline_us = now_us + state->wait_us;
    waiter->batch = &state->batch;
    return jobd_await_batch(call->api->jobd, path_id(call), waiter, now_us);
}

static enum step answer_get(struct call *call, enum jobd_result result)
{
    struct jobd_batch *batch = &state_of(call)->batch;
    bool refused = result == JOBD_NO_JOB || result == JOBD_TOO_MANY_WAITERS;
    if (result != JOBD_OK && !refused) /* not ended in time */
        result = jobd_get_batch(call->api->jobd, path_id(call), clock_now_us(), batch);
    if (result == JOBD_NO_JOB)
        return respond_error(call, 404, "no such batch");
    if (result != JOBD_OK)
        return respond_result(call, result);
    struct json_out out;
    json_out_begin(&out, BATCH_JSON_BYTES);
    batch_json_write(&out, call->api, batch);
    return respond_written(call, 200, &out);
}

/* ---- cancelling what waits */

static struct jobd_filter *filter_of(const struct call *call)
{
    return request_state(call->request, sizeof(struct jobd_filter));
}

static enum step parse_cancel(struct call *call)
{
    struct jobd_batch batch;
    if (find_batch(call, &batch) == STEP_REPLY)
        return STEP_REPLY;
    *filter_of(call) = (struct jobd_filter){
        .queue = JOBD_NO_QUEUE, .state = JOBD_STATES, .batch = batch.id, .batch_jobs = batch.ids};
    return STEP_START;
}

static enum jobd_result start_cancel(struct call *call)
{
    return jobd_change_all(call->api->jobd, JOBD_CANCEL_ALL, filter_of(call),
                           &call->request->waiter, clock_now_us());
}

static enum step answer_cancel(struct call *call, enum jobd_result result)
{
    uint64_t cancelled = call->request->waiter.tally.changed;
    if (result != JOBD_OK)
        return respond_result(call, result);
    if (!call->request->wants_json)
        return respond_printed(call, "cancelled %" PRIu64 "\n", cancelled);
    struct json_out out;
    json_out_begin(&out, OBJECT_BYTES);
    json_out_open(&out, NULL, '{');
    json_out_int(&out, "cancelled", (int64_t)cancelled);
    json_out_close(&out, '}');
    return respond_written(call, 200, &out);
}

const struct endpoint batch_endpoints[] = {
    {
        .paths = {"/batches/*"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .about = ABOUT_BATCH,
        .looks = true,
        .parameters = {"wait"},
        .summary = "Shows a batch; with wait, once it has ended.",
        .answers = "200 Batch",
        .parse = parse_get,
        .start = start_get,
        .answer = answer_get,
    },
    {
        .paths = {"/batches/*"},
        .methods = METHOD_DELETE,
        .scope = SCOPE_ADMIN,
        .about = ABOUT_BATCH,
        .summary = "Cancels the jobs of a batch that wait.",
        .answers = "200 Status|text",
        .parse = parse_cancel,
        .start = start_cancel,
        .answer = answer_cancel,
    },
    {.methods = 0},
};
