/* SPDX-License-Identifier: MIT */
/* Changing jobs that are in: one that waits, one that is to end or to be forgotten, or many. */
#include "api/endpoint.h"
#include "api/job_filter.h"
#include "api/job_json.h"
#include "api/put_options.h"
#include "api/respond.h"
#include "jobd/change.h"

/* ---- one that waits */

static struct jobd_amendment *amendment_of(const struct call *call)
{
    return request_state(call->request, sizeof(struct jobd_amendment));
}

static bool is_given(const struct call *call, const char *name)
{
    return request_parameter(call->request, name) != NULL;
}

static enum step parse_amend(struct call *call)
{
    struct jobd_amendment *to = amendment_of(call);
    struct jobd_terms terms = {.expires_us = 0};
    uint64_t priority = 0;
    to->start = is_given(call, "delay") || is_given(call, "at");
    to->to_priority = is_given(call, "priority");
    if (!to->start && !to->to_priority && !is_given(call, "expires"))
        return respond_error(call, 400,
                             "nothing to change: expected delay, at, priority or expires");
    if (put_options_start(call, &to->delay_us, &to->at_us) == STEP_REPLY ||
        put_options_expiry(call, &terms) == STEP_REPLY)
        return STEP_REPLY;
    if (!parameter_number(call, "priority", 0, JOBD_PRIORITIES - 1, &priority))
        return respond_bad_value(call, "priority", PRIORITY_VALUES);
    to->priority = (uint8_t)priority;
    to->expires_us = terms.expires_us;
    to->expires_by_wall = terms.expires_by_wall;
    return STEP_START;
}

static enum jobd_result start_amend(struct call *call)
{
    return jobd_amend(call->api->jobd, path_id(call), amendment_of(call), &call->request->waiter,
                      clock_now_us());
}

/* As it is now; or, when it is gone by now, the word alone. */
static enum step answer_changed(struct call *call, unsigned status, const char *word)
{
    struct jobd_info info;
    struct json_out out;
    if (!call->request->wants_json || jobd_get(call->api->jobd, path_id(call), &info) != JOBD_OK)
        return respond_word(call, status, word);
    json_out_begin(&out, JOB_JSON_BYTES);
    json_out_open(&out, NULL, '{');
    job_json_write(&out, call->api, &info);
    json_out_close(&out, '}');
    return respond_written(call, status, &out);
}

static enum step answer_amend(struct call *call, enum jobd_result result)
{
    return result == JOBD_OK ? answer_changed(call, 200, "changed\n")
                             : respond_result(call, result);
}

/* ---- one that is to end, or has ended and is to be forgotten */

struct delete_state {
    bool forget;    /* when it has ended */
    bool forgotten; /* it is */
};

static struct delete_state *delete_state(const struct call *call)
{
    return request_state(call->request, sizeof(struct delete_state));
}

static enum step parse_delete(struct call *call)
{
    if (!parameter_bool(call, "forget", &delete_state(call)->forget))
        return respond_bad_value(call, "forget", "true or false");
    return STEP_START;
}

static enum jobd_result start_delete(struct call *call)
{
    struct jobd *jobd = call->api->jobd;
    struct jobd_waiter *waiter = &call->request->waiter;
    struct delete_state *state = delete_state(call);
    state->forgotten = state->forget;
    enum jobd_result result = JOBD_NOT_FINAL;
    if (state->forget)
        result = jobd_forget(jobd, path_id(call), waiter, clock_now_us());
    if (result != JOBD_NOT_FINAL)
        return result;
    state->forgotten = false;
    return jobd_cancel(jobd, path_id(call), waiter, clock_now_us());
}

static enum step answer_delete(struct call *call, enum jobd_result result)
{
    if (result == JOBD_OK && delete_state(call)->forgotten)
        return respond_word(call, 200, "forgotten\n");
    if (result == JOBD_OK)
        return answer_changed(call, 200, "cancelled\n");
    return result == JOBD_STOPPING ? answer_changed(call, 202, "stopping\n")
                                   : respond_result(call, result);
}

/* ---- all that a filter means */

struct bulk_state {
    struct jobd_filter filter;
    enum jobd_bulk what;
};

static struct bulk_state *bulk_state(const struct call *call)
{
    return request_state(call->request, sizeof(struct bulk_state));
}

static enum step parse_retry_all(struct call *call)
{
    struct bulk_state *state = bulk_state(call);
    state->what = JOBD_RETRY_ALL;
    if (job_filter_read(call, &state->filter) == STEP_REPLY)
        return STEP_REPLY;
    if (state->filter.state != JOBD_STATES && !jobd_state_final(state->filter.state))
        return respond_bad_value(call, "state", "done, failed or cancelled");
    return STEP_START;
}

static enum step parse_drop_all(struct call *call)
{
    static const char *const filters[] = {JOB_FILTER_PARAMETERS};
    struct bulk_state *state = bulk_state(call);
    bool running = false, any = false;
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        any = any || is_given(call, filters[i]);
    if (!any)
        return respond_error(call, 400,
                             "which jobs? expected queue, state, tag, key, batch, since or before");
    if (!parameter_bool(call, "running", &running))
        return respond_bad_value(call, "running", "true or false");
    state->what = running ? JOBD_STOP_ALL : JOBD_DROP_ALL;
    return job_filter_read(call, &state->filter);
}

static enum jobd_result start_bulk(struct call *call)
{
    const struct bulk_state *state = bulk_state(call);
    return jobd_change_all(call->api->jobd, state->what, &state->filter, &call->request->waiter,
                           clock_now_us());
}

static enum step answer_bulk(struct call *call, enum jobd_result result)
{
    const struct jobd_tally *tally = &call->request->waiter.tally;
    if (result != JOBD_OK)
        return respond_result(call, result);
    struct json_out out;
    json_out_begin(&out, OBJECT_BYTES);
    json_out_open(&out, NULL, '{');
    json_out_int(&out, "matched", (int64_t)tally->matched);
    json_out_int(&out, "changed", (int64_t)tally->changed);
    write_next(&out, tally->next);
    json_out_close(&out, '}');
    return respond_written(call, 200, &out);
}

const struct endpoint change_endpoints[] = {
    {
        .paths = {"/jobs/retry"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .about = ABOUT_FILTER,
        .parameters = {JOB_FILTER_PARAMETERS},
        .summary = "Runs all jobs again that match and have ended.",
        .answers = "200 Tally",
        .parse = parse_retry_all,
        .start = start_bulk,
        .answer = answer_bulk,
    },
    {
        .paths = {"/jobs"},
        .methods = METHOD_DELETE,
        .scope = SCOPE_ADMIN,
        .about = ABOUT_FILTER,
        .parameters = {JOB_FILTER_PARAMETERS, "running"},
        .summary = "Cancels all jobs that match and wait, and forgets those that have ended.",
        .answers = "200 Tally",
        .parse = parse_drop_all,
        .start = start_bulk,
        .answer = answer_bulk,
    },
    {
        .paths = {"/jobs/*"},
        .methods = METHOD_PATCH,
        .scope = SCOPE_ADMIN,
        .about = ABOUT_JOB,
        .parameters = {"delay", "at", "priority", "expires"},
        .summary = "Changes a job that waits.",
        .answers = "200 Job|text",
        .parse = parse_amend,
        .start = start_amend,
        .answer = answer_amend,
    },
    {
        .paths = {"/jobs/*"},
        .methods = METHOD_DELETE,
        .scope = SCOPE_ADMIN,
        .about = ABOUT_JOB,
        .parameters = {"forget"},
        .summary = "Cancels a job; with forget, forgets one that has ended.",
        .answers = "200 Job|Status|text, 202 Job|text",
        .parse = parse_delete,
        .start = start_delete,
        .answer = answer_delete,
    },
    {.methods = 0},
};
