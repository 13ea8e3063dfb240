/* SPDX-License-Identifier: MIT */
/* Schedules: putting, looking, pausing. POST /schedules/{name}/run stands in put.c: it puts a job
 * in. */
#include <errno.h>
#include <string.h>

#include "api/endpoint.h"
#include "api/put_options.h"
#include "api/respond.h"
#include "api/schedule_json.h"
#include "base/plan.h"
#include "base/text.h"
#include "run/callbacks.h"
#include "run/recur.h"

struct schedule_call {
    enum jobd_schedule_change change;
    uint64_t limit;
};

static struct schedule_call *state_of(const struct call *call)
{
    return request_state(call->request, sizeof(struct schedule_call));
}

static const char *or_else(const char *text, const char *otherwise)
{
    return text != NULL ? text : otherwise;
}

/* Releases `info`. */
static enum step respond_schedule(struct call *call, unsigned status,
                                  struct jobd_schedule_info *info)
{
    struct json_out out;
    json_out_begin(&out, SCHEDULE_JSON_BYTES);
    schedule_json_write(&out, call->api, info);
    jobd_schedule_info_release(info);
    return respond_written(call, status, &out);
}

/* ---- put */

static enum step read_plan(struct call *call, struct jobd_schedule *schedule)
{
    const struct request *request = call->request;
    const char *cron = request_parameter(request, "cron"), *tz = request_parameter(request, "tz");
    struct plan plan = {.every_us = 0};
    struct problem problem;
    int error = plan_read(&plan, cron, tz, request_parameter(request, "every"), &problem);
    if (error == -ENOMEM)
        return respond_no_memory(call);
    if (error != 0)
        return respond_error(call, error == -EINVAL ? 400 : 500, problem.text);
    schedule->every_us = plan.every_us;
    schedule->cron = or_else(cron, "");
    schedule->zone = cron != NULL ? or_else(tz, "UTC") : "";
    plan_release(&plan);
    return STEP_START;
}

static enum step read_rules(struct call *call, struct jobd_schedule *schedule)
{
    const struct request *request = call->request;
    const char *missed = request_parameter(request, "missed");
    const char *overlap = or_else(request_parameter(request, "overlap"), "run");
    schedule->alone = strcmp(overlap, "skip") == 0;
    if (missed != NULL && !jobd_late_named(missed, &schedule->late))
        return respond_bad_value(call, "missed", "once, skip or all");
    if (!schedule->alone && strcmp(overlap, "run") != 0)
        return respond_bad_value(call, "overlap", "run or skip");
    return STEP_START;
}

/* What all of its jobs share; the terms are for put_options_words(). */
static enum step read_job(struct call *call, struct jobd_schedule *schedule,
                          struct jobd_terms *terms)
{
    const struct jobd *jobd = call->api->jobd;
    struct jobd_put put = {.queue = 0};
    bool expires = request_parameter(call->request, "expires") != NULL;
    schedule->queue = or_else(request_parameter(call->request, "queue"), "default");
    uint32_t queue = jobd_queue_named(jobd, schedule->queue);
    if (queue == JOBD_NO_QUEUE || !jobd_queue_declared(jobd, queue) ||
        strcmp(schedule->queue, CALLBACKS_QUEUE) == 0)
        return respond_bad_value(call, "queue", "the name of a queue");
    if (!parameter_duration(call, "expires", INT64_MAX, &schedule->expires_us) ||
        (expires && schedule->expires_us == 0))
        return respond_bad_value(call, "expires", "a duration like 30s, 5m or 2h");
    if (put_options_read(call, &put, terms) == STEP_REPLY)
        return STEP_REPLY;
    schedule->priority = put.priority;
    schedule->attempts = put.attempts;
    schedule->timeout_us = put.timeout_us;
    schedule->payload = call->request->body;
    return STEP_START;
}

/* All but the texts of its jobs. */
static enum step read_schedule(struct call *call, struct jobd_schedule *schedule,
                               struct jobd_terms *terms)
{
    *schedule = (struct jobd_schedule){.name = call->request->subject};
    if (!text_is_name(schedule->name))
        return respond_error(call, 400,
                             "a schedule's name is 1 to 64 letters, digits, '.', '_' or '-', the "
                             "first not '.'");
    if (read_plan(call, schedule) == STEP_REPLY || read_rules(call, schedule) == STEP_REPLY)
        return STEP_REPLY;
    return read_job(call, schedule, terms);
}

static enum step parse_put(struct call *call)
{
    struct jobd_schedule schedule;
    struct jobd_terms terms = {.expires_us = 0};
    return read_schedule(call, &schedule, &terms);
}

static enum jobd_result start_put(struct call *call)
{
    struct jobd_schedule schedule;
    struct jobd_terms terms = {.expires_us = 0};
    struct jobd_put put = {.queue = 0};
    struct put_words words;
    const struct jobd_moment moment = recur_moment();
    if (read_schedule(call, &schedule, &terms) == STEP_REPLY) /* it was good a moment ago */
        return JOBD_OUT_OF_MEMORY;
    words.key[0] = words.tags[0] = '\0';
    put_options_words(call->request, &put, &terms, &words);
    memcpy(schedule.texts, terms.texts, sizeof schedule.texts);
    return jobd_schedule_put(call->api->jobd, &schedule, &call->request->waiter, &moment,
                             &state_of(call)->change);
}

static enum step answer_put(struct call *call, enum jobd_result result)
{
    static const char *const lines[] = {[JOBD_SCHEDULE_NEW] = "created\n",
                                        [JOBD_SCHEDULE_REPLACED] = "replaced\n",
                                        [JOBD_SCHEDULE_SAME] = "unchanged\n"};
    enum jobd_schedule_change change = state_of(call)->change;
    unsigned status = change == JOBD_SCHEDULE_NEW ? 201 : 200;
    struct jobd_schedule_info info;
    if (result != JOBD_OK)
        return respond_result(call, result);
    if (status == 201)
        reply_text(call->reply, "Location", "/schedules/", call->request->subject);
    if (!call->request->wants_json ||
        jobd_schedule_get(call->api->jobd, call->request->subject, &info) != JOBD_OK)
        return respond_word(call, status, lines[change]);
    return respond_schedule(call, status, &info);
}

/* ---- looking */

static enum step answer_get(struct call *call, enum jobd_result result)
{
    struct jobd_schedule_info info;
    result = jobd_schedule_get(call->api->jobd, call->request->subject, &info);
    if (result != JOBD_OK)
        return respond_result(call, result);
    return respond_schedule(call, 200, &info);
}

static enum step parse_list(struct call *call)
{
    const char *after = request_parameter(call->request, "after");
    if (after != NULL && !text_is_name(after))
        return respond_bad_value(call, "after", "the name of a schedule");
    return parameter_limit(call, &state_of(call)->limit);
}

static enum step answer_list(struct call *call, enum jobd_result result)
{
    struct json_out out;
    struct jobd_schedule_info info = {.name = ""};
    struct jobd *jobd = call->api->jobd;
    const char *after = or_else(request_parameter(call->request, "after"), "");
    char last[JOBD_SCHEDULE_NAME_MAX + 1] = "";
    (void)result;
    json_out_begin(&out, SCHEDULE_JSON_BYTES);
    json_out_open(&out, NULL, '{');
    json_out_open(&out, "schedules", '[');
    for (uint64_t i = 0; i < state_of(call)->limit; i++) {
        if (jobd_schedule_after(jobd, i == 0 ? after : last, &info) != JOBD_OK) {
            last[0] = '\0';
            break;
        }
        memcpy(last, info.name, sizeof last);
        schedule_json_write(&out, call->api, &info);
        jobd_schedule_info_release(&info);
    }
    json_out_close(&out, ']');
    if (last[0] != '\0' && jobd_schedule_after(jobd, last, &info) == JOBD_OK) {
        jobd_schedule_info_release(&info);
        json_out_text(&out, "next", last);
    } else {
        json_out_null(&out, "next");
    }
    json_out_close(&out, '}');
    return respond_written(call, 200, &out);
}

/* ---- deleting, pausing */

static enum jobd_result start_delete(struct call *call)
{
    return jobd_schedule_delete(call->api->jobd, call->request->subject, false,
                                &call->request->waiter, clock_now_us());
}

static enum jobd_result pause_it(struct call *call, bool paused)
{
    const struct jobd_moment moment = recur_moment();
    return jobd_schedule_pause(call->api->jobd, call->request->subject, paused,
                               &call->request->waiter, &moment);
}

static enum jobd_result start_pause(struct call *call)
{
    return pause_it(call, true);
}

static enum jobd_result start_resume(struct call *call)
{
    return pause_it(call, false);
}

const struct endpoint schedule_endpoints[] = {
    {
        .paths = {"/schedules"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .looks = true,
        .parameters = {"limit", "after"},
        .summary = "Lists all schedules.",
        .answers = "200 Schedules",
        .parse = parse_list,
        .answer = answer_list,
    },
    {
        .paths = {"/schedules/*"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .looks = true,
        .summary = "Shows a schedule.",
        .answers = "200 Schedule",
        .answer = answer_get,
    },
    {
        .paths = {"/schedules/*"},
        .methods = METHOD_PUT,
        .scope = SCOPE_ADMIN,
        .parameters = {"cron", "tz", "every", "queue", "priority", "attempts", "timeout", "expires",
                       "key", "tag", "callback", "missed", "overlap"},
        .repeated = "tag",
        .has_body = true,
        .summary = "Makes a schedule, or changes it: the body is its jobs' payload.",
        .answers = "200 Schedule|text, 201 Schedule|text",
        .sent = "201 Location!",
        .parse = parse_put,
        .start = start_put,
        .answer = answer_put,
    },
    {
        .paths = {"/schedules/*"},
        .methods = METHOD_DELETE,
        .scope = SCOPE_ADMIN,
        .summary = "Deletes a schedule.",
        .answers = "200 Status|text",
        .start = start_delete,
        .answer = respond_line,
        .line = "deleted\n",
    },
    {
        .paths = {"/schedules/*/pause"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .summary = "Pauses a schedule: it puts no more jobs in.",
        .answers = "200 Status|text",
        .start = start_pause,
        .answer = respond_line,
        .line = "paused\n",
    },
    {
        .paths = {"/schedules/*/resume"},
        .methods = METHOD_POST,
        .scope = SCOPE_ADMIN,
        .summary = "Resumes a schedule.",
        .answers = "200 Status|text",
        .start = start_resume,
        .answer = respond_line,
        .line = "resumed\n",
    },
    {.methods = 0},
};
