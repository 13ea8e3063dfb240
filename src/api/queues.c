/* SPDX-License-Identifier: MIT */
/* Queues: looking at them, pausing, purging. */
#include <inttypes.h>

#include "api/endpoint.h"
#include "api/queue_json.h"
#include "api/respond.h"

enum { KEYS_BYTES = 240 /* of a queue with a few keys, about */ };

struct queue_state {
    uint32_t queue, to;
};

static struct queue_state *state_of(const struct call *call)
{
    return request_state(call->request, sizeof(struct queue_state));
}

/* ---- looking */

static enum step answer_list(struct call *call, enum jobd_result result)
{
    const uint32_t len = jobd_queues_len(call->api->jobd);
    struct json_out out;
    (void)result;
    json_out_begin(&out, (size_t)len * QUEUE_JSON_BYTES + 32);
    json_out_open(&out, NULL, '{');
    json_out_open(&out, "queues", '[');
    for (uint32_t i = 0; i < len; i++) {
        struct jobd_stats stats;
        jobd_stats(call->api->jobd, i, clock_now_us(), &stats);
        if (stats.gone)
            continue;
        json_out_open(&out, NULL, '{');
        queue_json_write(&out, call->api, i, &stats);
        json_out_close(&out, '}');
    }
    json_out_close(&out, ']');
    json_out_close(&out, '}');
    return respond_written(call, 200, &out);
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
    if (stats.gone)
        return respond_error(call, 404, "no such queue");
    struct json_out out;
    json_out_begin(&out, QUEUE_JSON_BYTES + KEYS_BYTES);
    json_out_open(&out, NULL, '{');
    queue_json_write(&out, call->api, queue, &stats);
    queue_json_write_keys(&out, call->api, queue, &stats);
    json_out_close(&out, '}');
    return respond_written(call, 200, &out);
}

/* ---- pausing, purging, moving */

static enum jobd_result pause(struct call *call, uint32_t queue, bool paused)
{
    return jobd_pause(call->api->jobd, queue, paused, &call->request->waiter, clock_now_us());
}

static enum jobd_result start_pause(struct call *call)
{
    return pause(call, state_of(call)->queue, true);
}

static enum jobd_result start_resume(struct call *call)
{
    return pause(call, state_of(call)->queue, false);
}

/* Queues that come in later are as the configuration has them. */
static enum jobd_result start_pause_all(struct call *call)
{
    return pause(call, JOBD_NO_QUEUE, true);
}

static enum jobd_result start_resume_all(struct call *call)
{
    return pause(call, JOBD_NO_QUEUE, false);
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
        struct json_out out;
        json_out_begin(&out, OBJECT_BYTES);
        json_out_open(&out, NULL, '{');
        json_out_int(&out, "purged", purged);
        json_out_close(&out, '}');
        return respond_written(call, 200, &out);
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
    uint32_t left = stats.waiting;
    if (call->request->wants_json) {
        struct json_out out;
        json_out_begin(&out, OBJECT_BYTES);
        json_out_open(&out, NULL, '{');
        json_out_int(&out, "moved", moved);
        json_out_int(&out, "left", left);
        json_out_close(&out, '}');
        return respond_written(call, 200, &out);
    }
    return respond_printed(call, "moved %" PRIu32 ", %" PRIu32 " left\n", moved, left);
}

const struct endpoint queue_endpoints[] = {
    {
        .paths = {"/queues"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .looks = true,
        .summary = "Lists all queues.",
        .answers = "200 Queues",
        .answer = answer_list,
    },
    {
        .paths = {"/queues/pause"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .summary = "Pauses all queues: no more jobs begin.",
        .answers = "200 Status|text",
        .start = start_pause_all,
        .answer = respond_line,
        .line = "paused\n",
    },
    {
        .paths = {"/queues/resume"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .summary = "Resumes all queues.",
        .answers = "200 Status|text",
        .start = start_resume_all,
        .answer = respond_line,
        .line = "resumed\n",
    },
    {
        .paths = {"/queues/*"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .looks = true,
        .about = ABOUT_QUEUE,
        .summary = "Shows a queue.",
        .answers = "200 Queue",
        .parse = parse_queue,
        .answer = answer_queue,
    },
    {
        .paths = {"/queues/*/pause"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .about = ABOUT_QUEUE,
        .summary = "Pauses a queue: no more of its jobs begin.",
        .answers = "200 Status|text",
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
        .summary = "Resumes a queue.",
        .answers = "200 Status|text",
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
        .summary = "Cancels all jobs of a queue that wait.",
        .answers = "200 Purged|text",
        .parse = parse_queue,
        .start = start_purge,
        .answer = answer_purge,
    },
    {
        /* It is about two queues, so a token for one of them is not enough. */
        .paths = {"/queues/*/move"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .parameters = {"to"},
        .summary = "Moves all jobs of a queue that wait into another one.",
        .answers = "200 Moved|text",
        .parse = parse_move,
        .start = start_move,
        .answer = answer_move,
    },
    {.methods = 0},
};
