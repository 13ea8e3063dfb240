/* SPDX-License-Identifier: MIT */
#include "api/schedule_json.h"

#include <string.h>

#include "api/job_json.h"
#include "base/plan.h"
#include "base/text.h"

enum { NEXT_INSTANTS = 5 };

/* Of the wall clock. */
static cJSON *instant(int64_t wall_us)
{
    char time[TEXT_TIME_SIZE];
    text_time(wall_us, time);
    return cJSON_CreateString(time);
}

static bool add_item(cJSON *list, cJSON *item)
{
    bool added = item != NULL && cJSON_AddItemToArray(list, item);
    if (!added)
        cJSON_Delete(item);
    return added;
}

/* Left out where there is none. */
static bool add_duration(cJSON *object, const char *name, int64_t us)
{
    char text[TEXT_DURATION_SIZE];
    text_duration(us, text);
    return us == 0 || cJSON_AddStringToObject(object, name, text) != NULL;
}

static bool add_text(cJSON *object, const char *name, const char *text)
{
    return text[0] == '\0' || cJSON_AddStringToObject(object, name, text) != NULL;
}

/* ---- its parts */

static bool add_plan(cJSON *object, const struct jobd_schedule *schedule)
{
    if (schedule->every_us > 0)
        return add_duration(object, "every", schedule->every_us);
    return cJSON_AddStringToObject(object, "cron", schedule->cron) != NULL &&
           cJSON_AddStringToObject(object, "tz", schedule->zone) != NULL;
}

static bool add_payload(cJSON *object, const struct jobd_blob *payload)
{
    return json_add_int(object, "payload_bytes", payload != NULL ? (int64_t)payload->size : 0) &&
           (payload == NULL || add_text(object, "content_type", payload->type));
}

static bool job_json_tags(cJSON *object, const char *tags)
{
    cJSON *list = tags[0] != '\0' ? cJSON_AddArrayToObject(object, "tags") : NULL;
    for (const char *end; (end = strchr(tags, '\n')) != NULL; tags = end + 1) {
        char tag[JOBD_TAG_SIZE];
        snprintf(tag, sizeof tag, "%.*s", (int)(end - tags), tags);
        cJSON_AddItemToArray(list, cJSON_CreateString(tag));
    }
    return true;
}

static bool add_job_options(cJSON *object, const struct jobd_schedule *schedule)
{
    return cJSON_AddStringToObject(object, "queue", schedule->queue) != NULL &&
           json_add_int(object, "priority", schedule->priority) &&
           (schedule->attempts == 0 || json_add_int(object, "attempts", schedule->attempts)) &&
           add_duration(object, "timeout", schedule->timeout_us) &&
           add_duration(object, "expires", schedule->expires_us) &&
           add_text(object, "key", schedule->texts[JOBD_GROUP]) &&
           job_json_tags(object, schedule->texts[JOBD_TAGS]) &&
           add_text(object, "callback", schedule->texts[JOBD_CALLBACK]) &&
           add_payload(object, schedule->payload);
}

/* The instants after now and after the last one that happened; a paused schedule has none. */
static bool add_instants(cJSON *object, const struct jobd_schedule_info *info)
{
    const struct jobd_schedule *schedule = &info->schedule;
    cJSON *list = cJSON_AddArrayToObject(object, "next");
    int64_t now_us = clock_wall_us(clock_now_us());
    int64_t at_us = now_us > info->after_us ? now_us : info->after_us;
    struct plan plan = {.every_us = schedule->every_us};
    struct problem problem;
    bool whole = list != NULL;
    if (info->paused)
        return whole;
    if (plan.every_us == 0 && plan_cron(&plan, schedule->cron, schedule->zone, &problem) != 0)
        return whole && cJSON_AddStringToObject(object, "problem", problem.text) != NULL;
    for (unsigned i = 0; i < NEXT_INSTANTS && whole; i++) {
        at_us = plan_next(&plan, at_us);
        if (at_us == PLAN_NEVER)
            break;
        whole = add_item(list, instant(at_us));
    }
    plan_release(&plan);
    return whole;
}

static bool add_last(const struct api *api, cJSON *object, const struct jobd_schedule_info *info)
{
    struct jobd_info job;
    if (info->last_us == 0)
        return true;
    cJSON *last = cJSON_AddObjectToObject(object, "last");
    const char *state = jobd_get(api->jobd, info->last_job, &job) == JOBD_OK
                            ? jobd_state_name(job.state)
                            : "forgotten";
    char time[TEXT_TIME_SIZE];
    text_time(info->last_us, time);
    return last != NULL && cJSON_AddStringToObject(last, "at", time) != NULL &&
           json_add_int(last, "job", (int64_t)info->last_job) &&
           cJSON_AddStringToObject(last, "state", state) != NULL;
}

cJSON *schedule_json(const struct api *api, const struct jobd_schedule_info *info)
{
    const struct jobd_schedule *schedule = &info->schedule;
    cJSON *object = cJSON_CreateObject();
    bool whole =
        cJSON_AddStringToObject(object, "name", info->name) != NULL && add_plan(object, schedule) &&
        add_job_options(object, schedule) &&
        cJSON_AddStringToObject(object, "when_missed", jobd_late_name(schedule->late)) != NULL &&
        cJSON_AddStringToObject(object, "overlap", schedule->alone ? "skip" : "run") != NULL &&
        cJSON_AddBoolToObject(object, "paused", info->paused) != NULL &&
        (!schedule->fixed || cJSON_AddTrueToObject(object, "in_file") != NULL) &&
        add_instants(object, info) && add_last(api, object, info) &&
        json_add_int(object, "missed", (int64_t)info->missed) &&
        json_add_int(object, "skipped", (int64_t)info->skipped);
    if (!whole) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}
