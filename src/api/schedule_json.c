/* SPDX-License-Identifier: MIT */
#include "api/schedule_json.h"

#include <string.h>

#include "api/job_json.h"
#include "base/plan.h"
#include "base/text.h"

enum { NEXT_INSTANTS = 5 };

/* Of the wall clock. */
static void write_instant(struct json_out *out, const char *name, int64_t wall_us)
{
    char time[TEXT_TIME_SIZE];
    text_time(wall_us, time);
    json_out_text(out, name, time);
}

/* Left out where there is none. */
static void write_duration(struct json_out *out, const char *name, int64_t us)
{
    char text[TEXT_DURATION_SIZE];
    if (us == 0)
        return;
    text_duration(us, text);
    json_out_text(out, name, text);
}

/* ---- its parts */

static void write_plan(struct json_out *out, const struct jobd_schedule *schedule)
{
    if (schedule->every_us > 0) {
        write_duration(out, "every", schedule->every_us);
        return;
    }
    json_out_text(out, "cron", schedule->cron);
    json_out_text(out, "tz", schedule->zone);
}

static void write_payload(struct json_out *out, const struct jobd_blob *payload)
{
    json_out_int(out, "payload_bytes", payload != NULL ? (int64_t)payload->size : 0);
    if (payload != NULL)
        json_out_text_if(out, "content_type", payload->type);
}

static void write_job_options(struct json_out *out, const struct jobd_schedule *schedule)
{
    json_out_text(out, "queue", schedule->queue);
    json_out_int(out, "priority", schedule->priority);
    if (schedule->attempts != 0)
        json_out_int(out, "attempts", schedule->attempts);
    write_duration(out, "timeout", schedule->timeout_us);
    write_duration(out, "expires", schedule->expires_us);
    json_out_text_if(out, "key", schedule->texts[JOBD_GROUP]);
    job_json_write_tags(out, schedule->texts[JOBD_TAGS]);
    json_out_text_if(out, "callback", schedule->texts[JOBD_CALLBACK]);
    write_payload(out, schedule->payload);
}

static void write_list(struct json_out *out, const struct plan *plan, int64_t at_us)
{
    json_out_open(out, "next", '[');
    for (unsigned i = 0; i < NEXT_INSTANTS && plan != NULL; i++) {
        at_us = plan_next(plan, at_us);
        if (at_us == PLAN_NEVER)
            break;
        write_instant(out, NULL, at_us);
    }
    json_out_close(out, ']');
}

/* The instants after now and after the last one that happened; a paused schedule has none. */
static void write_instants(struct json_out *out, const struct jobd_schedule_info *info)
{
    const struct jobd_schedule *schedule = &info->schedule;
    int64_t now_us = clock_wall_us(clock_now_us());
    int64_t at_us = now_us > info->after_us ? now_us : info->after_us;
    struct plan plan = {.every_us = schedule->every_us};
    struct problem problem;
    if (info->paused) {
        write_list(out, NULL, 0);
    } else if (plan.every_us == 0 &&
               plan_cron(&plan, schedule->cron, schedule->zone, &problem) != 0) {
        write_list(out, NULL, 0);
        json_out_text(out, "problem", problem.text);
    } else {
        write_list(out, &plan, at_us);
        plan_release(&plan);
    }
}

static void write_last(struct json_out *out, const struct api *api,
                       const struct jobd_schedule_info *info)
{
    struct jobd_info job;
    if (info->last_us == 0)
        return;
    const char *state = jobd_get(api->jobd, info->last_job, &job) == JOBD_OK
                            ? jobd_state_name(job.state)
                            : "forgotten";
    json_out_open(out, "last", '{');
    write_instant(out, "at", info->last_us);
    json_out_int(out, "job", (int64_t)info->last_job);
    json_out_text(out, "state", state);
    json_out_close(out, '}');
}

void schedule_json_write(struct json_out *out, const struct api *api,
                         const struct jobd_schedule_info *info)
{
    const struct jobd_schedule *schedule = &info->schedule;
    json_out_open(out, NULL, '{');
    json_out_text(out, "name", info->name);
    write_plan(out, schedule);
    write_job_options(out, schedule);
    json_out_text(out, "when_missed", jobd_late_name(schedule->late));
    json_out_text(out, "overlap", schedule->alone ? "skip" : "run");
    json_out_bool(out, "paused", info->paused);
    if (schedule->fixed)
        json_out_bool(out, "in_file", true);
    write_instants(out, info);
    write_last(out, api, info);
    json_out_int(out, "missed", (int64_t)info->missed);
    json_out_int(out, "skipped", (int64_t)info->skipped);
    json_out_close(out, '}');
}
