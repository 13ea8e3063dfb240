/* SPDX-License-Identifier: MIT */
#include "api/job_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LINE_SIZE = JOBD_TAG_SIZE };

static void line_as_it_is(const char *line, int length, char text[LINE_SIZE])
{
    snprintf(text, LINE_SIZE, "%.*s", length, line);
}

/* Makes the path of a line of JOBD_AFTER. */
static void line_as_path(const char *line, int length, char text[LINE_SIZE])
{
    static const char job[] = "job ", batch[] = "batch ";
    bool is_job = strncmp(line, job, strlen(job)) == 0;
    int name = (int)strlen(is_job ? job : batch);
    snprintf(text, LINE_SIZE, "/%s/%.*s", is_job ? "jobs" : "batches", length - name, line + name);
}

/* Adds an array of the lines; nothing when there are none. */
static bool add_lines(cJSON *job, const char *name, const char *lines,
                      void (*show)(const char *line, int length, char text[LINE_SIZE]))
{
    cJSON *list = lines[0] != '\0' ? cJSON_AddArrayToObject(job, name) : NULL;
    char line[LINE_SIZE];
    if (list == NULL)
        return lines[0] == '\0';
    for (const char *end; (end = strchr(lines, '\n')) != NULL; lines = end + 1) {
        show(lines, (int)(end - lines), line);
        cJSON *text = cJSON_CreateString(line);
        if (text == NULL || !cJSON_AddItemToArray(list, text)) {
            cJSON_Delete(text);
            return false;
        }
    }
    return true;
}

bool job_json_tags(cJSON *job, const char *tags)
{
    return add_lines(job, "tags", tags, line_as_it_is);
}

void job_json_write_tags(struct json_out *out, const char *tags)
{
    if (tags[0] == '\0')
        return;
    json_out_open(out, "tags", '[');
    for (const char *end; (end = strchr(tags, '\n')) != NULL; tags = end + 1)
        json_out_bytes(out, NULL, tags, (size_t)(end - tags));
    json_out_close(out, ']');
}

/* Adds the paths of what it comes after; a first line may say how those must end, and is left
 * out. */
static bool add_after(cJSON *job, const char *after)
{
    const size_t size = strlen(JOBD_AFTER_WHATEVER);
    bool whatever = strncmp(after, JOBD_AFTER_WHATEVER, size) == 0;
    return add_lines(job, "after", after + (whatever ? size : 0), line_as_path);
}

static bool add_all(cJSON *job, const struct jobd_blob *words)
{
    const char *group = jobd_text(words, JOBD_GROUP);
    const char *schedule = jobd_text(words, JOBD_SCHEDULE);
    const char *callback = jobd_text(words, JOBD_CALLBACK);
    return (group[0] == '\0' || cJSON_AddStringToObject(job, "key", group) != NULL) &&
           job_json_tags(job, jobd_text(words, JOBD_TAGS)) &&
           add_after(job, jobd_text(words, JOBD_AFTER)) &&
           (schedule[0] == '\0' || cJSON_AddStringToObject(job, "schedule", schedule) != NULL) &&
           (callback[0] == '\0' || cJSON_AddStringToObject(job, "callback", callback) != NULL);
}

/* Adds one of the job's texts. */
static bool add_part(const struct api *api, cJSON *job, uint64_t id, enum jobd_part part)
{
    static const char *const names[] = {
        [JOBD_ERROR] = "error", [JOBD_PROGRESS] = "progress", [JOBD_WORKER] = "worker"};
    struct jobd_blob *text = NULL;
    if (jobd_get_blob(api->jobd, id, part, &text) != JOBD_OK || text == NULL)
        return true; /* gone meanwhile */
    bool whole = json_add_bytes(job, names[part], text->bytes, text->size);
    jobd_blob_unref(text);
    return whole;
}

bool job_json_words_of(const struct api *api, cJSON *job, uint64_t id)
{
    struct jobd_blob *words = NULL;
    if (jobd_get_blob(api->jobd, id, JOBD_WORDS, &words) != JOBD_OK || words == NULL)
        return true;
    bool whole = add_all(job, words);
    jobd_blob_unref(words);
    return whole;
}

static bool add_attempt(cJSON *list, const struct jobd_error *error)
{
    cJSON *attempt = cJSON_CreateObject();
    bool whole = json_add_int(attempt, "attempt", error->attempt) &&
                 json_add_time(attempt, "at", error->at_us) &&
                 (error->size == 0 || json_add_bytes(attempt, "error", error->text, error->size)) &&
                 (!error->exited || json_add_int(attempt, "exit_code", error->exit_code)) &&
                 cJSON_AddItemToArray(list, attempt);
    if (!whole)
        cJSON_Delete(attempt);
    return whole;
}

bool job_json_errors_of(const struct api *api, cJSON *job, uint64_t id)
{
    struct jobd_error list[JOBD_ERRORS_MAX];
    struct jobd_blob *errors = NULL;
    int64_t last_us = 0;
    if (jobd_get_errors(api->jobd, id, &errors, &last_us) != JOBD_OK || errors == NULL)
        return true;
    size_t len = jobd_errors(errors, last_us, list);
    cJSON *attempts = cJSON_AddArrayToObject(job, "errors");
    bool whole = attempts != NULL;
    for (size_t i = 0; i < len && whole; i++)
        whole = add_attempt(attempts, &list[i]);
    jobd_blob_unref(errors);
    return whole;
}

static bool add_batch(const struct api *api, cJSON *job, uint64_t id)
{
    uint64_t batch = jobd_batch_of(api->jobd, id);
    return batch == 0 || json_add_int(job, "batch", (int64_t)batch);
}

/* A delivery's, the path of what it tells of. */
static bool add_source(cJSON *job, int64_t source)
{
    char path[40];
    snprintf(path, sizeof path, source > 0 ? "/jobs/%" PRId64 : "/batches/%" PRId64,
             source > 0 ? source : -source);
    return cJSON_AddStringToObject(job, "delivers", path) != NULL;
}

cJSON *job_json(const struct api *api, const struct jobd_info *info)
{
    cJSON *job = cJSON_CreateObject();
    bool whole =
        json_add_int(job, "id", (int64_t)info->id) &&
        cJSON_AddStringToObject(job, "queue", jobd_queue_name(api->jobd, info->queue)) != NULL &&
        cJSON_AddStringToObject(job, "state", jobd_state_name(info->state)) != NULL &&
        (!info->stopping || cJSON_AddTrueToObject(job, "stopping") != NULL) &&
        json_add_int(job, "priority", info->priority) &&
        json_add_int(job, "attempt", info->attempt) &&
        json_add_int(job, "attempts", info->attempts) &&
        json_add_time(job, "created_at", info->created_us) &&
        (info->run_at_us == 0 || json_add_time(job, "run_at", info->run_at_us)) &&
        (info->expires_us == 0 || json_add_time(job, "expires_at", info->expires_us)) &&
        (info->started_us == 0 || json_add_time(job, "started_at", info->started_us)) &&
        (info->finished_us == 0 || json_add_time(job, "finished_at", info->finished_us)) &&
        (!info->exited || json_add_int(job, "exit_code", info->exit_code)) &&
        (!info->has_error || add_part(api, job, info->id, JOBD_ERROR)) &&
        json_add_int(job, "payload_bytes", (int64_t)info->payload_bytes) &&
        (info->output_bytes == 0 ||
         json_add_int(job, "output_bytes", (int64_t)info->output_bytes)) &&
        (!info->output_truncated || cJSON_AddTrueToObject(job, "output_truncated") != NULL) &&
        (info->trace[0] == '\0' || cJSON_AddStringToObject(job, "trace", info->trace) != NULL) &&
        (!info->batched || add_batch(api, job, info->id)) &&
        (info->source == 0 || add_source(job, info->source)) &&
        (!info->has_progress || add_part(api, job, info->id, JOBD_PROGRESS)) &&
        (!info->has_worker || add_part(api, job, info->id, JOBD_WORKER)) &&
        (!info->has_words || job_json_words_of(api, job, info->id));
    if (!whole) {
        cJSON_Delete(job);
        return NULL;
    }
    return job;
}

bool job_json_row(const struct api *api, const struct jobd_info *info, cJSON **job)
{
    struct jobd_info now;
    *job = job_json(api, info);
    if (*job == NULL)
        return false;
    /* No id is used twice: one that is there now was there for each of its texts. */
    if (jobd_get(api->jobd, info->id, &now) != JOBD_OK) {
        cJSON_Delete(*job);
        *job = NULL;
    }
    return true;
}
