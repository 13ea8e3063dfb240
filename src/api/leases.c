/* SPDX-License-Identifier: MIT */
/* Workers elsewhere say how the attempts ended that they have a lease for, or that they go on. */
#include <string.h>

#include "api/lease_values.h"
#include "api/respond.h"
#include "base/text.h"
#include "base/utf8.h"
#include "jobd/lease.h"

struct lease_state {
    int64_t us; /* until it is tried again; or how long the lease shall last */
    bool retry_exactly;
    bool truncated; /* not all of the output is kept */
    bool exited;    /* exit_code counts */
    uint64_t exit_code;
};

static struct lease_state *state_of(const struct call *call)
{
    return request_state(call->request, sizeof(struct lease_state));
}

/* ---- done, failed */

/* A reference to the body, which is cut to `max` first, so that what is not kept does not wait for
 * the disk either. NULL when there is none, or memory is short (*short_memory). */
static struct jobd_blob *kept_body(struct request *request, size_t max, bool *short_memory)
{
    struct jobd_blob *body = request->body;
    if (body != NULL && body->size > max) {
        struct jobd_blob *kept = jobd_blob_new(max, body->type);
        *short_memory = kept == NULL;
        if (kept == NULL)
            return NULL;
        memcpy(kept->bytes, body->bytes, max);
        jobd_blob_unref(body);
        request->body = body = kept;
    }
    return body != NULL ? jobd_blob_ref(body) : NULL;
}

/* Ends the attempt. Takes output and error of the outcome. */
static enum jobd_result finish(struct call *call, const struct jobd_outcome *outcome)
{
    struct request *request = call->request;
    enum jobd_result result = jobd_lease_finish(call->api->jobd, request->subject, outcome,
                                                &request->waiter, clock_now_us());
    if (result != JOBD_OK && result != JOBD_PENDING) {
        jobd_blob_unref(outcome->output);
        jobd_blob_unref(outcome->error);
    }
    return result;
}

/* What a worker that runs a command knows of its end. */
static enum step parse_exit_code(struct call *call)
{
    struct lease_state *state = state_of(call);
    if (!parameter_number(call, "exit_code", 0, EXIT_CODE_MAX, &state->exit_code))
        return respond_bad_value(call, "exit_code", "0 to 255");
    state->exited = request_parameter(call->request, "exit_code") != NULL;
    return STEP_START;
}

static enum jobd_result start_done(struct call *call)
{
    const struct lease_state *state = state_of(call);
    bool short_memory = false;
    size_t max = call->api->output_max_bytes;
    const struct jobd_blob *body = call->request->body;
    bool truncated = body != NULL && body->size > max;
    const struct jobd_outcome outcome = {.state = JOBD_DONE,
                                         .output_truncated = truncated,
                                         .exited = state->exited,
                                         .exit_code = (int)state->exit_code,
                                         .output = kept_body(call->request, max, &short_memory)};
    return short_memory ? JOBD_OUT_OF_MEMORY : finish(call, &outcome);
}

static enum step parse_delay(struct call *call)
{
    struct lease_state *state = state_of(call);
    if (!parameter_duration(call, "delay", LEASE_MAX_US, &state->us))
        return respond_bad_value(call, "delay", "a duration of at most 7d, like 250ms, 30s or 5m");
    state->retry_exactly = request_parameter(call->request, "delay") != NULL;
    return STEP_START;
}

static enum step parse_fail(struct call *call)
{
    return parse_exit_code(call) == STEP_REPLY ? STEP_REPLY : parse_delay(call);
}

static enum jobd_result start_fail(struct call *call)
{
    const struct lease_state *state = state_of(call);
    bool short_memory = false;
    const struct jobd_outcome outcome = {
        .state = JOBD_FAILED,
        .retry_exactly = state->retry_exactly,
        .retry_in_us = state->us,
        .exited = state->exited,
        .exit_code = (int)state->exit_code,
        .error = kept_body(call->request, ERROR_MAX_BYTES, &short_memory)};
    return short_memory ? JOBD_OUT_OF_MEMORY : finish(call, &outcome);
}

/* ---- while it runs */

static enum step parse_progress(struct call *call)
{
    const struct jobd_blob *body = call->request->body;
    if (body == NULL)
        return STEP_START;
    if (body->size > PROGRESS_MAX_BYTES)
        return respond_error(call, 413, "progress has at most 1024 bytes");
    if (!utf8_valid(body->bytes, body->size))
        return respond_error(call, 400, "progress is no text: expected UTF-8 without NUL");
    return STEP_START;
}

static enum jobd_result start_progress(struct call *call)
{
    const struct request *request = call->request;
    struct jobd_blob *text = NULL;
    if (request->body != NULL && (text = jobd_blob_new(request->body->size, NULL)) == NULL)
        return JOBD_OUT_OF_MEMORY;
    if (text != NULL)
        memcpy(text->bytes, request->body->bytes, text->size);
    enum jobd_result result = jobd_lease_progress(call->api->jobd, request->subject, text);
    jobd_blob_unref(text);
    return result;
}

static enum jobd_result start_append(struct call *call)
{
    static const struct jobd_blob nothing = {.type = ""};
    const struct request *request = call->request;
    const struct jobd_blob *body = request->body != NULL ? request->body : &nothing;
    return jobd_lease_append(call->api->jobd, request->subject, body, call->api->output_max_bytes,
                             &state_of(call)->truncated);
}

static enum step answer_append(struct call *call, enum jobd_result result)
{
    if (result == JOBD_OK && state_of(call)->truncated)
        reply_text(call->reply, "Jobd-Output-Truncated", "", "true");
    return respond_line(call, result);
}

/* ---- released */

static enum jobd_result start_release(struct call *call)
{
    struct request *request = call->request;
    return jobd_lease_release(call->api->jobd, request->subject, state_of(call)->us,
                              &request->waiter, clock_now_us());
}

/* ---- extended */

static enum step parse_extend(struct call *call)
{
    struct lease_state *state = state_of(call);
    state->us = LEASE_US;
    if (!parameter_duration(call, "lease", LEASE_MAX_US, &state->us) || state->us < LEASE_MIN_US)
        return respond_bad_value(call, "lease", LEASE_VALUES);
    return STEP_START;
}

static enum jobd_result start_extend(struct call *call)
{
    struct request *request = call->request;
    return jobd_lease_extend(call->api->jobd, request->subject, state_of(call)->us,
                             &request->waiter, clock_now_us());
}

static enum step answer_extend(struct call *call, enum jobd_result result)
{
    char expires[TEXT_TIME_SIZE];
    int64_t until_us = call->request->waiter.task.expires_us;
    if (result != JOBD_OK)
        return respond_result(call, result);
    text_time(clock_wall_us(until_us), expires);
    reply_text(call->reply, "Jobd-Expires", "", expires);
    if (!call->request->wants_json)
        return respond_word(call, 200, "extended\n");
    struct json_out out;
    json_out_begin(&out, OBJECT_BYTES);
    json_out_open(&out, NULL, '{');
    json_out_time(&out, "expires_at", until_us);
    json_out_close(&out, '}');
    return respond_written(call, 200, &out);
}

/* What is asked for most is answered by a reply that is there already. */
static enum step answer_done(struct call *call, enum jobd_result result)
{
    const struct request *request = call->request;
    if (result != JOBD_OK || request->wants_json || request->cors_allowed)
        return respond_line(call, result);
    call->reply->shared = call->api->done;
    return STEP_REPLY;
}

const struct endpoint lease_endpoints[] = {
    {
        .paths = {"/leases/*/done"},
        .methods = METHOD_POST,
        .scope = SCOPE_WORK,
        .about = ABOUT_LEASE,
        .has_body = true,
        .parameters = {"exit_code"},
        .summary = "Ends the attempt well: the body is its output.",
        .answers = "200 Status|text",
        .sent = "200 Jobd-Repeated",
        .parse = parse_exit_code,
        .start = start_done,
        .answer = answer_done,
        .line = "done\n",
    },
    {
        .paths = {"/leases/*/fail"},
        .methods = METHOD_POST,
        .scope = SCOPE_WORK,
        .about = ABOUT_LEASE,
        .has_body = true,
        .parameters = {"delay", "exit_code"},
        .summary = "Ends the attempt badly: the body is the error.",
        .answers = "200 Status|text",
        .sent = "200 Jobd-Repeated",
        .parse = parse_fail,
        .start = start_fail,
        .answer = respond_line,
        .line = "failed\n",
    },
    {
        .paths = {"/leases/*/progress"},
        .methods = METHOD_POST,
        .scope = SCOPE_WORK,
        .about = ABOUT_TALK,
        .has_body = true,
        .summary = "Says how far the job is: the body, at most 1 KiB of text.",
        .answers = "200 Status|text",
        .parse = parse_progress,
        .start = start_progress,
        .answer = respond_line,
        .line = "noted\n",
    },
    {
        .paths = {"/leases/*/output"},
        .methods = METHOD_POST,
        .scope = SCOPE_WORK,
        .about = ABOUT_TALK,
        .has_body = true,
        .summary = "Appends the body to the attempt's output.",
        .answers = "200 Status|text",
        .sent = "200 Jobd-Output-Truncated",
        .start = start_append,
        .answer = answer_append,
        .line = "appended\n",
    },
    {
        .paths = {"/leases/*/extend"},
        .methods = METHOD_POST,
        .scope = SCOPE_WORK,
        .about = ABOUT_LEASE,
        .parameters = {"lease"},
        .summary = "Makes the lease last longer.",
        .answers = "200 Extended|text",
        .sent = "200 Jobd-Expires!",
        .parse = parse_extend,
        .start = start_extend,
        .answer = answer_extend,
    },
    {
        .paths = {"/leases/*/release"},
        .methods = METHOD_POST,
        .scope = SCOPE_WORK,
        .about = ABOUT_LEASE,
        .parameters = {"delay"},
        .summary = "Gives the job back: this attempt does not count.",
        .answers = "200 Status|text",
        .sent = "200 Jobd-Repeated",
        .parse = parse_delay,
        .start = start_release,
        .answer = respond_line,
        .line = "released\n",
    },
    {.methods = 0},
};
