/* SPDX-License-Identifier: MIT */
/* Looking at jobs, and cancelling them. */
#include <stdlib.h>

#include "api/endpoint.h"
#include "base/clock.h"
#include "base/json_scan.h"
#include "base/text.h"

enum {
    PAGE_BYTES = 256 * 1024, /* of a list, about; LIST_MAX jobs without errors are fewer */
    JOB_BYTES = 256          /* that a job counts for, and its error */
};

static bool add_error(const struct api *api, cJSON *job, uint64_t id)
{
    struct jobd_blob *error = NULL;
    if (jobd_part(api->jobd, id, JOBD_ERROR, &error) != JOBD_OK || error == NULL)
        return true; /* gone meanwhile */
    bool whole = json_add_bytes(job, "error", error->bytes, error->size);
    jobd_blob_unref(error);
    return whole;
}

static cJSON *job_json(const struct api *api, const struct jobd_info *info)
{
    cJSON *job = cJSON_CreateObject();
    bool whole =
        json_add_int(job, "id", (int64_t)info->id) &&
        cJSON_AddStringToObject(job, "queue", jobd_queue_name(api->jobd, info->queue)) != NULL &&
        cJSON_AddStringToObject(job, "state", jobd_state_name(info->state)) != NULL &&
        json_add_int(job, "priority", info->priority) &&
        json_add_int(job, "attempt", info->attempt) &&
        json_add_int(job, "attempts", info->attempts) &&
        json_add_time(job, "created_at", info->created_us) &&
        (info->run_at_us == 0 || json_add_time(job, "run_at", info->run_at_us)) &&
        (info->started_us == 0 || json_add_time(job, "started_at", info->started_us)) &&
        (info->finished_us == 0 || json_add_time(job, "finished_at", info->finished_us)) &&
        (!info->exited || json_add_int(job, "exit_code", info->exit_code)) &&
        (!info->has_error || add_error(api, job, info->id)) &&
        json_add_int(job, "payload_bytes", (int64_t)info->payload_bytes) &&
        (info->output_bytes == 0 ||
         json_add_int(job, "output_bytes", (int64_t)info->output_bytes)) &&
        (!info->output_truncated || cJSON_AddTrueToObject(job, "output_truncated") != NULL) &&
        (info->trace[0] == '\0' || cJSON_AddStringToObject(job, "trace", info->trace) != NULL);
    if (!whole) {
        cJSON_Delete(job);
        return NULL;
    }
    return job;
}

static enum step reply_job(struct call *call, const struct jobd_info *info)
{
    return respond_json(call, 200, job_json(call->api, info), true);
}

enum jobd_result start_await(struct request *request, void *context)
{
    struct api *api = context;
    return jobd_await(api->jobd, request->parked_for, &request->waiter, &request->waiter.info);
}

enum step get_job(struct call *call)
{
    struct request *request = call->request;
    struct jobd_info info;
    int64_t wait_us = 0;
    if (request->resumed && request->waiter.result == JOBD_OK)
        return reply_job(call, &request->waiter.info);
    if (request->resumed && request->waiter.result == JOBD_TOO_MANY_WAITERS)
        return respond_result(call, JOBD_TOO_MANY_WAITERS);
    if (!parameter_duration(call, "wait", WAIT_MAX_US, &wait_us))
        return respond_bad_value(call, "wait", "a duration of at most 1h, like 250ms, 30s or 5m");
    enum jobd_result result = jobd_get(call->api->jobd, path_id(call), &info);
    if (result != JOBD_OK)
        return respond_result(call, result);
    if (wait_us == 0 || request->resumed || jobd_state_final(info.state))
        return reply_job(call, &info);
    request->parked_for = info.id;
    request->waiter.deadline_us = clock_now_us() + wait_us;
    *call->start = start_await;
    return STEP_PARK;
}

static enum step get_part(struct call *call, enum jobd_part part)
{
    struct jobd_blob *bytes;
    enum jobd_result result = jobd_part(call->api->jobd, path_id(call), part, &bytes);
    if (result != JOBD_OK)
        return respond_result(call, result);
    call->reply->status = 200;
    call->reply->type = bytes != NULL ? NULL : TYPE_BYTES;
    call->reply->text = "";
    call->reply->blob = bytes;
    call->reply->unsafe = true;
    return STEP_REPLY;
}

enum step get_payload(struct call *call)
{
    return get_part(call, JOBD_PAYLOAD);
}

enum step get_output(struct call *call)
{
    return get_part(call, JOBD_OUTPUT);
}

static enum jobd_result start_cancel(struct request *request, void *context)
{
    struct api *api = context;
    return jobd_cancel(api->jobd, request->parked_for, &request->waiter, clock_now_us());
}

static enum step cancelled(struct call *call, enum jobd_result result)
{
    uint64_t id = call->request->parked_for;
    bool running = result == JOBD_STOPPING;
    if (!running && result != JOBD_OK)
        return respond_result(call, result);
    unsigned status = running ? 202 : 200;
    struct jobd_info info;
    if (call->request->wants_json && jobd_get(call->api->jobd, id, &info) == JOBD_OK)
        return respond_json(call, status, job_json(call->api, &info), true);
    return respond_word(call, status, running ? "stopping" : "cancelled",
                        running ? "stopping\n" : "cancelled\n");
}

enum step cancel_job(struct call *call)
{
    if (call->request->resumed)
        return cancelled(call, call->request->waiter.result);
    call->request->parked_for = path_id(call);
    return act(call, start_cancel, cancelled);
}

/* Ends earlier when it gets long, with its last job as the one to go on after. */
static enum step reply_list(struct call *call, const struct jobd_info *infos, size_t len,
                            uint64_t next)
{
    size_t bytes = 0;
    cJSON *list = cJSON_CreateObject();
    cJSON *jobs = cJSON_AddArrayToObject(list, "jobs");
    bool whole = jobs != NULL;
    for (size_t i = 0; i < len && whole; i++) {
        if (bytes > PAGE_BYTES) {
            next = infos[i - 1].id;
            break;
        }
        cJSON *job = job_json(call->api, &infos[i]);
        whole = job != NULL && cJSON_AddItemToArray(jobs, job);
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(job, "error");
        bytes += JOB_BYTES + (error != NULL ? json_string_bytes(error->valuestring) : 0);
    }
    if (whole)
        whole = next != 0 ? json_add_int(list, "next", (int64_t)next)
                          : cJSON_AddNullToObject(list, "next") != NULL;
    return respond_json(call, 200, list, whole);
}

enum step list_jobs(struct call *call)
{
    struct jobd_filter filter = {.queue = JOBD_NO_QUEUE, .state = JOBD_STATES};
    const char *queue = request_parameter(call->request, "queue");
    const char *state = request_parameter(call->request, "state");
    uint64_t limit = LIST_DEFAULT, next;
    if (queue != NULL && (filter.queue = jobd_queue_named(call->api->jobd, queue)) == JOBD_NO_QUEUE)
        return respond_bad_value(call, "queue", "the name of a queue");
    if (state != NULL && (filter.state = jobd_state_named(state)) == JOBD_STATES)
        return respond_bad_value(call, "state",
                                 "queued, scheduled, running, done, failed or cancelled");
    if (!parameter_number(call, "limit", 1, LIST_MAX, &limit))
        return respond_bad_value(call, "limit", "1 to 1000");
    if (!parameter_number(call, "after", 0, JOB_ID_MAX, &filter.after))
        return respond_bad_value(call, "after", "a job's id");
    struct jobd_info *infos = calloc((size_t)limit, sizeof *infos);
    if (infos == NULL)
        return respond_no_memory(call);
    size_t len = jobd_list(call->api->jobd, &filter, infos, (size_t)limit, &next);
    enum step step = reply_list(call, infos, len, next);
    free(infos);
    return step;
}
