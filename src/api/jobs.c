/* SPDX-License-Identifier: MIT */
/* Looking at jobs. */
#include <stdlib.h>
#include <string.h>

#include "api/endpoint.h"
#include "api/follow.h"
#include "api/job_filter.h"
#include "api/job_json.h"
#include "api/respond.h"

enum {
    PAGE_BYTES = 256 * 1024, /* of a list, about; LIST_MAX jobs without long texts fit */
    LONG_BYTES = 512,        /* up to which a job counts for SHORT_BYTES */
    SHORT_BYTES = 256
};

/* ---- one */

static enum step reply_job(struct call *call, const struct jobd_info *info)
{
    struct json_out out;
    json_out_begin(&out, JOB_JSON_BYTES);
    json_out_open(&out, NULL, '{');
    job_json_write(&out, call->api, info);
    job_json_write_errors(&out, call->api, info);
    json_out_close(&out, '}');
    return respond_written(call, 200, &out);
}

struct get_state {
    int64_t wait_us; /* for its end, at most */
};

static struct get_state *get_state(const struct call *call)
{
    return request_state(call->request, sizeof(struct get_state));
}

static enum step parse_get(struct call *call)
{
    if (!parameter_duration(call, "wait", WAIT_MAX_US, &get_state(call)->wait_us))
        return respond_bad_value(call, "wait", WAIT_VALUES);
    call->request->watch_hangup = get_state(call)->wait_us > 0;
    return STEP_START;
}

static enum jobd_result start_get(struct call *call)
{
    struct request *request = call->request;
    struct jobd_waiter *waiter = &request->waiter;
    int64_t wait_us = get_state(call)->wait_us;
    if (wait_us == 0)
        return jobd_get(call->api->jobd, path_id(call), &waiter->info);
    waiter->deadline_us = clock_now_us() + wait_us;
    return jobd_await(call->api->jobd, path_id(call), waiter, &waiter->info);
}

static enum step answer_get(struct call *call, enum jobd_result result)
{
    struct jobd_info *info = &call->request->waiter.info;
    bool refused =
        result == JOBD_NO_JOB || result == JOBD_TOO_MANY_WAITERS || result == JOBD_STORE_FAILED;
    if (result != JOBD_OK && !refused) /* not ended in time */
        result = jobd_get(call->api->jobd, path_id(call), info);
    return result == JOBD_OK ? reply_job(call, info) : respond_result(call, result);
}

static enum step answer_part(struct call *call, enum jobd_part part)
{
    struct jobd_blob *bytes;
    enum jobd_result result = jobd_get_blob(call->api->jobd, path_id(call), part, &bytes);
    return result == JOBD_OK ? respond_bytes(call, 200, bytes) : respond_result(call, result);
}

static enum step answer_payload(struct call *call, enum jobd_result result)
{
    (void)result;
    return answer_part(call, JOBD_PAYLOAD);
}

struct output_state {
    bool follow;
};

static struct output_state *output_state(const struct call *call)
{
    return request_state(call->request, sizeof(struct output_state));
}

static enum step parse_output(struct call *call)
{
    const char *follow = request_parameter(call->request, "follow");
    bool *value = &output_state(call)->follow;
    if (follow != NULL && follow[0] == '\0')
        *value = true;
    else if (!parameter_bool(call, "follow", value))
        return respond_bad_value(call, "follow", "true, false or nothing");
    return STEP_START;
}

static enum step answer_output(struct call *call, enum jobd_result result)
{
    struct jobd_info info;
    (void)result;
    if (output_state(call)->follow)
        return follow_answer(call);
    if (jobd_get(call->api->jobd, path_id(call), &info) != JOBD_OK)
        return respond_result(call, JOBD_NO_JOB);
    if (info.output_bytes == 0 && !jobd_state_final(info.state))
        return respond_error(call, 404,
                             info.state == JOBD_RUNNING ? "no output yet: the job is running"
                                                        : "no output yet: the job is waiting");
    (void)answer_part(call, JOBD_OUTPUT);
    if (call->reply->status == 200 && info.output_truncated)
        reply_text(call->reply, "Jobd-Output-Truncated", "", "true");
    return STEP_REPLY;
}

/* ---- many */

struct list_state {
    struct jobd_filter filter;
    uint64_t limit;
};

static struct list_state *list_state(const struct call *call)
{
    return request_state(call->request, sizeof(struct list_state));
}

static enum step parse_list(struct call *call)
{
    struct list_state *state = list_state(call);
    struct jobd_filter *filter = &state->filter;
    const char *order = request_parameter(call->request, "order");
    if (job_filter_read(call, filter) == STEP_REPLY)
        return STEP_REPLY;
    filter->newest = order != NULL && strcmp(order, "newest") == 0;
    if (order != NULL && !filter->newest && strcmp(order, "oldest") != 0)
        return respond_bad_value(call, "order", "oldest or newest");
    if (parameter_limit(call, &state->limit) == STEP_REPLY)
        return STEP_REPLY;
    if (!parameter_number(call, "after", 0, JOBD_ID_MAX, &filter->after))
        return respond_bad_value(call, "after", "a job's id");
    return STEP_START;
}

/* A page that gets too long ends earlier; its last job is then the one to go on after. */
static enum step reply_list(struct call *call, const struct jobd_info *infos, size_t len,
                            uint64_t next)
{
    size_t bytes = 0;
    struct json_out out;
    json_out_begin(&out, JOB_JSON_BYTES * (len + 1));
    json_out_open(&out, NULL, '{');
    json_out_open(&out, "jobs", '[');
    for (size_t i = 0; i < len; i++) {
        if (bytes > PAGE_BYTES) {
            next = infos[i - 1].id;
            break;
        }
        const size_t before = out.used;
        job_json_write_row(&out, call->api, &infos[i]);
        bytes += out.used - before > LONG_BYTES ? out.used - before : SHORT_BYTES;
    }
    json_out_close(&out, ']');
    write_next(&out, next);
    json_out_close(&out, '}');
    return respond_written(call, 200, &out);
}

static enum step answer_list(struct call *call, enum jobd_result result)
{
    const struct list_state *state = list_state(call);
    uint64_t next;
    (void)result;
    struct jobd_info *infos = calloc((size_t)state->limit, sizeof *infos);
    if (infos == NULL)
        return respond_no_memory(call);
    size_t len = jobd_list(call->api->jobd, &state->filter, infos, (size_t)state->limit, &next);
    enum step step = reply_list(call, infos, len, next);
    free(infos);
    return step;
}

const struct endpoint job_endpoints[] = {
    {
        .paths = {"/jobs"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .about = ABOUT_FILTER,
        .looks = true,
        .parameters = {JOB_FILTER_PARAMETERS, "order", "limit", "after"},
        .summary = "Lists jobs.",
        .answers = "200 Jobs",
        .parse = parse_list,
        .answer = answer_list,
    },
    {
        .paths = {"/jobs/*"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .about = ABOUT_JOB,
        .looks = true,
        .parameters = {"wait"},
        .summary = "Shows a job; with wait, once it has ended.",
        .answers = "200 Job",
        .parse = parse_get,
        .start = start_get,
        .answer = answer_get,
    },
    {
        .paths = {"/jobs/*/payload"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_DATA,
        .about = ABOUT_JOB,
        .looks = true,
        .summary = "Shows a job's payload.",
        .answers = "200 bytes",
        .answer = answer_payload,
    },
    {
        .paths = {"/jobs/*/output"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_DATA,
        .about = ABOUT_JOB,
        .looks = true,
        .parameters = {"follow"},
        .summary = "Shows a job's output; with follow, as it comes.",
        .answers = "200 bytes|text/event-stream, 206 bytes, 416 Problem|text",
        .sent = "200 Jobd-Attempt Jobd-Output-Truncated Cache-Control X-Accel-Buffering, "
                "206 Content-Range! Jobd-Attempt! Jobd-Output-Truncated Cache-Control! "
                "X-Accel-Buffering!, "
                "416 Content-Range!",
        .fields = {"Range", "Last-Event-ID"},
        .parse = parse_output,
        .answer = answer_output,
    },
    {.methods = 0},
};
