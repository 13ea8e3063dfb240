/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "metrics.h"
#include "route.h"
#include "text.h"

enum {
    BUSY_SHARED = 60, /* busy replies made in advance: Retry-After up to a minute */
    RETRY_AFTER_MAX_S = 3600,
    LIST_DEFAULT = 100,
    LIST_MAX = 1000,
};

#define WAIT_MAX_US     (INT64_C(3600) * CLOCK_SECOND_US)
#define JOB_ID_MAX      ((UINT64_C(1) << 53) - 1)
#define DEFAULT_QUEUE   "default"
#define PARKED_ARE_MANY "as many requests wait as may wait"

struct api {
    struct jobd *jobd;
    struct http *http;
    const struct shared_reply *busy[BUSY_SHARED + 1];
};

/* ---- replies */

static enum step fail(struct call *call, unsigned status, const char *title)
{
    reply_error(call->reply, call->request->wants_json, status, title);
    return STEP_REPLY;
}

static enum step out_of_memory(struct call *call)
{
    return fail(call, 503, "out of memory");
}

/* Takes `object`, which may be NULL or incomplete (`whole` false) when memory was short. */
static enum step reply_json(struct call *call, unsigned status, cJSON *object, bool whole)
{
    char *text = whole ? json_text(object) : NULL;
    cJSON_Delete(object);
    if (text == NULL)
        return out_of_memory(call);
    call->reply->status = status;
    call->reply->type = TYPE_JSON;
    call->reply->owned = text;
    return STEP_REPLY;
}

/* A word for people, {"status": word} for programs. */
static enum step reply_word(struct call *call, unsigned status, const char *word, const char *line)
{
    if (call->request->wants_json) {
        cJSON *object = cJSON_CreateObject();
        return reply_json(call, status, object,
                          cJSON_AddStringToObject(object, "status", word) != NULL);
    }
    call->reply->status = status;
    call->reply->text = line;
    return STEP_REPLY;
}

static enum step fail_with(struct call *call, enum jobd_result result)
{
    static const struct {
        enum jobd_result result;
        unsigned status;
        const char *title;
    } rows[] = {
        {JOBD_NO_JOB, 404, "no such job"},
        {JOBD_IS_FINAL, 409, "the job has ended"},
        {JOBD_CLOSED, 503, "draining"},
        {JOBD_CROWDED, 503, PARKED_ARE_MANY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].result == result)
            return fail(call, rows[i].status, rows[i].title);
    return fail(call, 500, jobd_result_text(result));
}

/* ---- parameters */

static enum step bad_value(struct call *call, const char *name, const char *allowed)
{
    char title[160];
    snprintf(title, sizeof title, "bad value of %s: allowed is %s", name, allowed);
    return fail(call, 400, title);
}

/* False when the value is bad; *us is left alone when the parameter is not there. */
static bool duration_parameter(struct call *call, const char *name, int64_t max_us, int64_t *us)
{
    const char *value = request_parameter(call->request, name);
    return value == NULL || (text_to_duration(value, us) && *us <= max_us);
}

static bool number_parameter(struct call *call, const char *name, uint64_t min, uint64_t max,
                             uint64_t *number)
{
    const char *value = request_parameter(call->request, name);
    return value == NULL || (text_to_number(value, max, number) && *number >= min);
}

/* ---- /do */

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
    enum step step = reply_json(call, 429, problem, whole);
    if (whole)
        call->reply->type = TYPE_PROBLEM;
    return step;
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
    return reply_json(call, 202, job, whole);
}

static enum step put_job(struct call *call)
{
    const char *name = call->capture[0] != '\0' ? call->capture : DEFAULT_QUEUE;
    struct jobd_put put = {.queue = jobd_queue_named(call->api->jobd, name)};
    uint64_t priority = JOBD_PRIORITY_DEFAULT;
    if (put.queue == JOBD_NO_QUEUE)
        return fail(call, 404, "no such queue");
    if (call->request->method == METHOD_GET && call->request->body != NULL)
        return fail(call, 400, "a GET has no payload: use POST");
    if (!duration_parameter(call, "delay", INT64_MAX, &put.delay_us))
        return bad_value(call, "delay", "a duration like 250ms, 30s, 5m, 2h or 7d");
    if (!number_parameter(call, "priority", 0, JOBD_PRIORITIES - 1, &priority))
        return bad_value(call, "priority", "0 to 7");
    put.priority = (uint8_t)priority;
    put.payload = call->request->body;

    struct jobd_receipt receipt;
    enum jobd_result result = jobd_put(call->api->jobd, &put, clock_now_us(), &receipt);
    switch (result) {
    case JOBD_OK:
        call->request->body = NULL; /* the job's now */
        return admitted(call, &put, receipt.id);
    case JOBD_FULL:
    case JOBD_MEMORY:
        return busy(call, put.queue, &receipt);
    default:
        return fail_with(call, result);
    }
}

/* ---- /jobs */

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
        (info->payload_bytes == 0 ||
         json_add_int(job, "payload_bytes", (int64_t)info->payload_bytes));
    if (!whole) {
        cJSON_Delete(job);
        return NULL;
    }
    return job;
}

static enum step reply_job(struct call *call, const struct jobd_info *info)
{
    return reply_json(call, 200, job_json(call->api, info), true);
}

/* The job's id in the path, or 0. */
static uint64_t path_id(const struct call *call)
{
    uint64_t id = 0;
    (void)(call->capture[0] != '0' && text_to_number(call->capture, JOB_ID_MAX, &id));
    return id;
}

static enum jobd_result start_await(struct request *request, void *context)
{
    struct api *api = context;
    return jobd_await(api->jobd, request->parked_for, &request->waiter, &request->waiter.info);
}

static enum step get_job(struct call *call)
{
    struct request *request = call->request;
    struct jobd_info info;
    int64_t wait_us = 0;
    if (request->resumed && request->waiter.result == JOBD_OK)
        return reply_job(call, &request->waiter.info);
    if (request->resumed && request->waiter.result == JOBD_CROWDED)
        return fail_with(call, JOBD_CROWDED);
    if (!duration_parameter(call, "wait", WAIT_MAX_US, &wait_us))
        return bad_value(call, "wait", "a duration of at most 1h, like 250ms, 30s or 5m");
    enum jobd_result result = jobd_look(call->api->jobd, path_id(call), &info);
    if (result != JOBD_OK)
        return fail_with(call, result);
    if (wait_us == 0 || request->resumed || jobd_state_final(info.state))
        return reply_job(call, &info);
    request->parked_for = info.id;
    request->waiter.deadline_us = clock_now_us() + wait_us;
    *call->start = start_await;
    return STEP_PARK;
}

static enum step get_payload(struct call *call)
{
    struct jobd_blob *payload;
    enum jobd_result result = jobd_part(call->api->jobd, path_id(call), JOBD_PAYLOAD, &payload);
    if (result != JOBD_OK)
        return fail_with(call, result);
    call->reply->status = 200;
    call->reply->type = payload != NULL ? NULL : TYPE_BYTES;
    call->reply->text = "";
    call->reply->blob = payload;
    call->reply->unsafe = true;
    return STEP_REPLY;
}

static enum step cancel_job(struct call *call)
{
    uint64_t id = path_id(call);
    enum jobd_result result = jobd_cancel(call->api->jobd, id, clock_now_us());
    bool running = result == JOBD_PENDING;
    if (!running && result != JOBD_OK)
        return fail_with(call, result);
    unsigned status = running ? 202 : 200;
    struct jobd_info info;
    if (call->request->wants_json && jobd_look(call->api->jobd, id, &info) == JOBD_OK)
        return reply_json(call, status, job_json(call->api, &info), true);
    return reply_word(call, status, running ? "stopping" : "cancelled",
                      running ? "stopping\n" : "cancelled\n");
}

static enum step reply_list(struct call *call, const struct jobd_info *infos, size_t len,
                            uint64_t next)
{
    cJSON *list = cJSON_CreateObject();
    cJSON *jobs = cJSON_AddArrayToObject(list, "jobs");
    bool whole = jobs != NULL;
    for (size_t i = 0; i < len && whole; i++) {
        cJSON *job = job_json(call->api, &infos[i]);
        whole = job != NULL && cJSON_AddItemToArray(jobs, job);
    }
    if (whole)
        whole = next != 0 ? json_add_int(list, "next", (int64_t)next)
                          : cJSON_AddNullToObject(list, "next") != NULL;
    return reply_json(call, 200, list, whole);
}

static enum step list_jobs(struct call *call)
{
    struct jobd_filter filter = {.queue = JOBD_NO_QUEUE, .state = JOBD_STATES};
    const char *queue = request_parameter(call->request, "queue");
    const char *state = request_parameter(call->request, "state");
    uint64_t limit = LIST_DEFAULT, next;
    if (queue != NULL && (filter.queue = jobd_queue_named(call->api->jobd, queue)) == JOBD_NO_QUEUE)
        return bad_value(call, "queue", "the name of a queue");
    if (state != NULL && (filter.state = jobd_state_named(state)) == JOBD_STATES)
        return bad_value(call, "state", "queued, scheduled, running, done, failed or cancelled");
    if (!number_parameter(call, "limit", 1, LIST_MAX, &limit))
        return bad_value(call, "limit", "1 to 1000");
    if (!number_parameter(call, "after", 0, JOB_ID_MAX, &filter.after))
        return bad_value(call, "after", "a job's id");
    struct jobd_info *infos = calloc((size_t)limit, sizeof *infos);
    if (infos == NULL)
        return out_of_memory(call);
    size_t len = jobd_list(call->api->jobd, &filter, infos, (size_t)limit, &next);
    enum step step = reply_list(call, infos, len, next);
    free(infos);
    return step;
}

/* ---- /queues */

static cJSON *queue_json(const struct api *api, uint32_t index)
{
    struct jobd_stats s;
    jobd_stats(api->jobd, index, clock_now_us(), &s);
    double drain = (double)(int64_t)(s.drain_per_s * 1000 + 0.5) / 1000;
    cJSON *queue = cJSON_CreateObject();
    bool whole =
        cJSON_AddStringToObject(queue, "name", jobd_queue_name(api->jobd, index)) != NULL &&
        json_add_int(queue, "capacity", s.capacity) && json_add_int(queue, "workers", s.workers) &&
        cJSON_AddBoolToObject(queue, "paused", s.paused) != NULL &&
        json_add_int(queue, "queued", s.queued) && json_add_int(queue, "scheduled", s.scheduled) &&
        json_add_int(queue, "running", s.running) && json_add_int(queue, "done", (int64_t)s.done) &&
        json_add_int(queue, "failed", (int64_t)s.failed) &&
        json_add_int(queue, "cancelled", (int64_t)s.cancelled) &&
        json_add_int(queue, "rejected", (int64_t)s.rejected) &&
        json_add_int(queue, "oldest_age_ms", s.oldest_us / 1000) &&
        cJSON_AddNumberToObject(queue, "drain_per_s", drain) != NULL;
    if (!whole) {
        cJSON_Delete(queue);
        return NULL;
    }
    return queue;
}

static enum step list_queues(struct call *call)
{
    cJSON *list = cJSON_CreateObject();
    cJSON *queues = cJSON_AddArrayToObject(list, "queues");
    bool whole = queues != NULL;
    for (uint32_t i = 0; i < jobd_queues_len(call->api->jobd) && whole; i++) {
        cJSON *queue = queue_json(call->api, i);
        whole = queue != NULL && cJSON_AddItemToArray(queues, queue);
    }
    return reply_json(call, 200, list, whole);
}

static enum step get_queue(struct call *call)
{
    uint32_t queue = jobd_queue_named(call->api->jobd, call->capture);
    if (queue == JOBD_NO_QUEUE)
        return fail(call, 404, "no such queue");
    return reply_json(call, 200, queue_json(call->api, queue), true);
}

static enum step set_paused(struct call *call, bool paused, const char *word, const char *line)
{
    uint32_t queue = jobd_queue_named(call->api->jobd, call->capture);
    if (queue == JOBD_NO_QUEUE)
        return fail(call, 404, "no such queue");
    jobd_pause(call->api->jobd, queue, paused, clock_now_us());
    return reply_word(call, 200, word, line);
}

static enum step pause_queue(struct call *call)
{
    return set_paused(call, true, "paused", "paused\n");
}

static enum step resume_queue(struct call *call)
{
    return set_paused(call, false, "resumed", "resumed\n");
}

static enum step purge_queue(struct call *call)
{
    uint32_t queue = jobd_queue_named(call->api->jobd, call->capture);
    if (queue == JOBD_NO_QUEUE)
        return fail(call, 404, "no such queue");
    uint32_t purged = jobd_purge(call->api->jobd, queue, clock_now_us());
    if (call->request->wants_json) {
        cJSON *object = cJSON_CreateObject();
        return reply_json(call, 200, object, json_add_int(object, "purged", purged));
    }
    if (asprintf(&call->reply->owned, "purged %" PRIu32 "\n", purged) < 0) {
        call->reply->owned = NULL;
        return out_of_memory(call);
    }
    call->reply->status = 200;
    return STEP_REPLY;
}

/* ---- health */

static enum step health(struct call *call)
{
    return reply_word(call, 200, "ok", "ok\n");
}

static bool all_full(struct jobd *jobd)
{
    for (uint32_t i = 0; i < jobd_queues_len(jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(jobd, i, clock_now_us(), &stats);
        if (stats.queued + stats.scheduled < stats.capacity)
            return false;
    }
    return true;
}

static enum step ready(struct call *call)
{
    if (jobd_closed(call->api->jobd))
        return fail(call, 503, "draining");
    if (all_full(call->api->jobd))
        return fail(call, 503, "full");
    return reply_word(call, 200, "ready", "ready\n");
}

static enum step get_metrics(struct call *call)
{
    call->reply->owned = metrics_text(call->api->jobd, call->api->http);
    if (call->reply->owned == NULL)
        return out_of_memory(call);
    call->reply->status = 200;
    call->reply->type = TYPE_METRICS;
    return STEP_REPLY;
}

/* ---- the table of endpoints */

static const struct route routes[] = {
    {"/do", {{METHOD_POST, put_job}, {METHOD_GET, put_job}}, true, false, {"delay", "priority"}},
    {"/do/*", {{METHOD_POST, put_job}, {METHOD_GET, put_job}}, true, false, {"delay", "priority"}},
    {"/jobs", {{METHOD_GET, list_jobs}}, false, false, {"queue", "state", "limit", "after"}},
    {"/jobs/*", {{METHOD_GET, get_job}, {METHOD_DELETE, cancel_job}}, false, false, {"wait"}},
    {"/jobs/*/payload", {{METHOD_GET, get_payload}}, false, false, {NULL}},
    {"/queues", {{METHOD_GET, list_queues}}, false, false, {NULL}},
    {"/queues/*", {{METHOD_GET, get_queue}}, false, false, {NULL}},
    {"/queues/*/pause", {{METHOD_POST, pause_queue}}, false, false, {NULL}},
    {"/queues/*/resume", {{METHOD_POST, resume_queue}}, false, false, {NULL}},
    {"/queues/*/purge", {{METHOD_POST, purge_queue}}, false, false, {NULL}},
    {"/healthz", {{METHOD_GET, health}}, false, true, {NULL}},
    {"/readyz", {{METHOD_GET, ready}}, false, true, {NULL}},
    {"/metrics", {{METHOD_GET, get_metrics}}, false, true, {NULL}},
};

enum step api_serve(struct request *request, struct reply *reply, start_wait **start, void *context)
{
    struct call call = {.api = context, .request = request, .reply = reply, .start = start};
    return route_serve(&call, routes, sizeof routes / sizeof routes[0]);
}

/* ---- start and end */

int api_new(struct api **api, struct jobd *jobd, struct http *http)
{
    struct api *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    new->jobd = jobd;
    new->http = http;
    for (unsigned seconds = 1; seconds <= BUSY_SHARED; seconds++) {
        const struct reply busy = {
            .status = 429, .type = TYPE_TEXT, .text = "busy\n", .retry_after_s = seconds};
        new->busy[seconds] = http_share(http, &busy);
        if (new->busy[seconds] == NULL) {
            api_free(new);
            return -ENOMEM;
        }
    }
    *api = new;
    return 0;
}

void api_free(struct api *api)
{
    free(api);
}
