/* SPDX-License-Identifier: MIT */
#include "server/config_schedules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/job_values.h"
#include "base/plan.h"
#include "base/text.h"
#include "base/url_prefix.h"

enum { CONTENT_TYPE_MAX = 255 };

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

struct schedule_reader {
    config_place_of *place_of;
    const void *context;
    struct problem *problem;
};

static bool wrong(const struct schedule_reader *reader, const cJSON *item, const char *what)
{
    char *place = reader->place_of(reader->context, item);
    (void)problem_set(reader->problem, "%s: %s", place != NULL ? place : item->string, what);
    free(place);
    return false;
}

/* ---- values: false when one is not allowed, or memory is short */

static const char *text_of(const cJSON *item)
{
    return cJSON_IsString(item) ? item->valuestring : "";
}

static bool read_queue(struct config_schedule *to, const cJSON *item)
{
    to->queue = strdup(text_of(item));
    return to->queue != NULL && to->queue[0] != '\0';
}

static bool read_number(const cJSON *item, unsigned min, unsigned max, unsigned *number)
{
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(value >= min && value <= max) || value != (double)(unsigned)value)
        return false;
    *number = (unsigned)value;
    return true;
}

static bool read_priority(struct config_schedule *to, const cJSON *item)
{
    unsigned number = 0;
    bool good = read_number(item, 0, JOBD_PRIORITIES - 1, &number);
    to->schedule.priority = (uint8_t)number;
    return good;
}

static bool read_attempts(struct config_schedule *to, const cJSON *item)
{
    return read_number(item, 1, JOBD_ATTEMPTS_MAX, &to->schedule.attempts);
}

static bool read_duration(const cJSON *item, int64_t *us)
{
    return text_to_duration(text_of(item), us) && *us >= JOB_TIME_MIN_US;
}

static bool read_timeout(struct config_schedule *to, const cJSON *item)
{
    return read_duration(item, &to->schedule.timeout_us);
}

static bool read_expires(struct config_schedule *to, const cJSON *item)
{
    return read_duration(item, &to->schedule.expires_us);
}

static bool read_key(struct config_schedule *to, const cJSON *item)
{
    to->group = strdup(text_of(item));
    return to->group != NULL && text_is_word(to->group, JOBD_GROUP_SIZE);
}

static bool read_callback(struct config_schedule *to, const cJSON *item)
{
    to->callback = strdup(text_of(item));
    return to->callback != NULL && url_prefix_url_ok(to->callback);
}

/* One, or a list of them. */
static bool read_tags(struct config_schedule *to, const cJSON *item)
{
    const cJSON *tag = cJSON_IsArray(item) ? item->child : item;
    size_t used = 0;
    unsigned count = 0;
    to->tags = calloc(JOBD_TAGS_MAX, JOBD_TAG_SIZE + 1);
    if (to->tags == NULL || tag == NULL)
        return false;
    for (; tag != NULL; tag = cJSON_IsArray(item) ? tag->next : NULL) {
        if (++count > JOBD_TAGS_MAX || !text_is_word(text_of(tag), JOBD_TAG_SIZE))
            return false;
        used += (size_t)snprintf(to->tags + used, JOBD_TAG_SIZE + 1, "%s\n", text_of(tag));
    }
    return true;
}

static bool read_missed(struct config_schedule *to, const cJSON *item)
{
    return jobd_late_named(text_of(item), &to->schedule.late);
}

static bool read_overlap(struct config_schedule *to, const cJSON *item)
{
    to->schedule.alone = strcmp(text_of(item), "skip") == 0;
    return to->schedule.alone || strcmp(text_of(item), "run") == 0;
}

/* Of cron, tz, every, payload and content_type: see read_plan() and read_payload(). */
static bool read_later(struct config_schedule *to, const cJSON *item)
{
    (void)to;
    return cJSON_IsString(item);
}

static bool read_any(struct config_schedule *to, const cJSON *item)
{
    (void)to;
    (void)item;
    return true;
}

static const struct key {
    const char *name;
    bool (*read)(struct config_schedule *to, const cJSON *item);
    const char *expected;
} keys[] = {
    {"cron", read_later, "a string, five fields as in crontab(5)"},
    {"tz", read_later, "a string, the name of a time zone like \"Europe/Paris\""},
    {"every", read_later, "a string, a duration like \"5m\""},
    {"queue", read_queue, "a string, the name of a queue"},
    {"payload", read_any, ""},
    {"content_type", read_later, "a string, a media type"},
    {"priority", read_priority, PRIORITY_VALUES},
    {"attempts", read_attempts, ATTEMPTS_VALUES},
    {"timeout", read_timeout, "a string, a duration from 1ms, like \"30s\" or \"2h\""},
    {"expires", read_expires, "a string, a duration from 1ms, like \"30s\" or \"2h\""},
    {"key", read_key, "a string of " WORD_VALUES},
    {"tag", read_tags, "strings of " WORD_VALUES ", " TAGS_VALUES},
    {"callback", read_callback, "a string, an http:// or https:// URL"},
    {"missed", read_missed, "once, skip or all"},
    {"overlap", read_overlap, "run or skip"},
};

/* ---- one schedule */

static bool unknown_key(const struct schedule_reader *reader, const cJSON *item)
{
    char text[300];
    int used = snprintf(text, sizeof text, "unknown key; allowed are");
    for (size_t i = 0; i < LEN(keys); i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%s %s", i > 0 ? "," : "",
                         keys[i].name);
    return wrong(reader, item, text);
}

static bool given_before(const cJSON *item)
{
    const cJSON *before = item->prev;
    for (; before != NULL && before->next != NULL; before = before->prev)
        if (strcmp(before->string, item->string) == 0)
            return true;
    return false;
}

static bool read_key_value(const struct schedule_reader *reader, struct config_schedule *to,
                           const cJSON *item)
{
    char text[160];
    size_t i = 0;
    while (i < LEN(keys) && strcmp(keys[i].name, item->string) != 0)
        i++;
    if (i == LEN(keys))
        return unknown_key(reader, item);
    if (given_before(item))
        return wrong(reader, item, "is given twice");
    if (keys[i].read(to, item))
        return true;
    snprintf(text, sizeof text, "must be %s", keys[i].expected);
    return wrong(reader, item, text);
}

static const char *string_in(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item != NULL ? item->valuestring : NULL;
}

static bool copy(char **to, const char *text)
{
    *to = strdup(text != NULL ? text : "");
    return *to != NULL;
}

static bool read_plan(const struct schedule_reader *reader, struct config_schedule *to,
                      const cJSON *item)
{
    const char *cron = string_in(item, "cron"), *tz = string_in(item, "tz");
    struct plan plan = {.every_us = 0};
    struct problem problem;
    if (plan_read(&plan, cron, tz, string_in(item, "every"), &problem) != 0)
        return wrong(reader, item, problem.text);
    to->schedule.every_us = plan.every_us;
    plan_release(&plan);
    if (cron != NULL && tz == NULL)
        tz = "UTC";
    return (copy(&to->cron, cron) && copy(&to->zone, tz)) || wrong(reader, item, "out of memory");
}

/* A string as it is; any other value as the text it is in JSON. */
static bool read_payload(const struct schedule_reader *reader, struct config_schedule *to,
                         const cJSON *item)
{
    const cJSON *payload = cJSON_GetObjectItemCaseSensitive(item, "payload");
    const char *type = string_in(item, "content_type");
    bool is_text = cJSON_IsString(payload);
    if (type != NULL && (payload == NULL || strlen(type) > CONTENT_TYPE_MAX))
        return wrong(reader, item, "content_type: is that of a payload, at most 255 bytes");
    if (payload == NULL)
        return true;
    char *text = is_text ? strdup(payload->valuestring) : cJSON_PrintUnformatted(payload);
    if (type == NULL)
        type = is_text ? TYPE_TEXT : "application/json";
    struct jobd_blob *blob = text != NULL ? jobd_blob_new(strlen(text), type) : NULL;
    if (blob != NULL)
        memcpy(blob->bytes, text, blob->size);
    free(text);
    to->schedule.payload = blob;
    return blob != NULL || wrong(reader, item, "out of memory");
}

static bool read_schedule(const struct schedule_reader *reader, struct config_schedule *to,
                          const cJSON *item)
{
    const cJSON *child;
    to->schedule.priority = JOBD_PRIORITY_DEFAULT;
    to->place = reader->place_of(reader->context, item);
    if (to->place == NULL || !copy(&to->name, item->string))
        return wrong(reader, item, "out of memory");
    if (!text_is_name(item->string))
        return wrong(reader, item,
                     "a schedule's name is 1 to 64 letters, digits, '.', '_' or '-', the first "
                     "not '.'");
    if (given_before(item))
        return wrong(reader, item, "is given twice");
    if (!cJSON_IsObject(item))
        return wrong(reader, item, "must be an object");
    cJSON_ArrayForEach(child, item)
    {
        if (!read_key_value(reader, to, child))
            return false;
    }
    if (to->queue == NULL && !copy(&to->queue, "default"))
        return wrong(reader, item, "out of memory");
    return read_plan(reader, to, item) && read_payload(reader, to, item);
}

bool config_schedules_read(struct config_schedules *schedules, const cJSON *item,
                           config_place_of *place_of, const void *context, struct problem *problem)
{
    const struct schedule_reader reader = {place_of, context, problem};
    const cJSON *child;
    int len = cJSON_GetArraySize(item);
    if (schedules->of != NULL)
        return wrong(&reader, item, "is given twice");
    if (!cJSON_IsObject(item) || len > CONFIG_SCHEDULES_MAX)
        return wrong(&reader, item, "must be an object with at most 10000 schedules");
    schedules->of = calloc((size_t)len + 1, sizeof *schedules->of);
    if (schedules->of == NULL)
        return wrong(&reader, item, "out of memory");
    cJSON_ArrayForEach(child, item)
    {
        struct config_schedule *to = &schedules->of[schedules->len++];
        if (!read_schedule(&reader, to, child))
            return false;
        to->schedule.name = to->name;
        to->schedule.cron = to->cron;
        to->schedule.zone = to->zone;
        to->schedule.queue = to->queue;
        to->schedule.texts[JOBD_GROUP] = to->group;
        to->schedule.texts[JOBD_TAGS] = to->tags;
        to->schedule.texts[JOBD_CALLBACK] = to->callback;
        to->schedule.fixed = true;
    }
    return true;
}

void config_schedules_release(struct config_schedules *schedules)
{
    for (size_t i = 0; i < schedules->len; i++) {
        struct config_schedule *one = &schedules->of[i];
        char *const texts[] = {one->place, one->name,  one->cron, one->zone,
                               one->queue, one->group, one->tags, one->callback};
        for (size_t t = 0; t < LEN(texts); t++)
            free(texts[t]);
        jobd_blob_unref(one->schedule.payload);
    }
    free(schedules->of);
    *schedules = (struct config_schedules){.of = NULL};
}

bool config_schedules_check(const struct config_schedules *schedules,
                            bool (*takes)(const void *context, const char *queue),
                            bool (*allows)(const void *context, const char *callback),
                            const void *context, struct problem *problem)
{
    for (size_t i = 0; i < schedules->len; i++) {
        const struct config_schedule *one = &schedules->of[i];
        char shown[JOBD_QUEUE_NAME_MAX + 1];
        if (!takes(context, one->queue))
            return problem_set(problem, "%s: there is no queue \"%s\" for jobs", one->place,
                               text_printable(one->queue, shown, sizeof shown));
        if (one->callback != NULL && !allows(context, one->callback))
            return problem_set(problem, "%s: callback: no --callback-allow allows this URL",
                               one->place);
    }
    return true;
}
