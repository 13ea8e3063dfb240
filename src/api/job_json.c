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

/* An array of the lines; nothing when there are none. */
static void write_lines(struct json_out *out, const char *name, const char *lines,
                        void (*show)(const char *line, int length, char text[LINE_SIZE]))
{
    char line[LINE_SIZE];
    if (lines[0] == '\0')
        return;
    json_out_open(out, name, '[');
    for (const char *end; (end = strchr(lines, '\n')) != NULL; lines = end + 1) {
        show(lines, (int)(end - lines), line);
        json_out_text(out, NULL, line);
    }
    json_out_close(out, ']');
}

void job_json_write_tags(struct json_out *out, const char *tags)
{
    write_lines(out, "tags", tags, line_as_it_is);
}

/* The paths of what it comes after; a first line may say how those must end, and is left out. */
static void write_after(struct json_out *out, const char *after)
{
    const size_t size = strlen(JOBD_AFTER_WHATEVER);
    bool whatever = strncmp(after, JOBD_AFTER_WHATEVER, size) == 0;
    write_lines(out, "after", after + (whatever ? size : 0), line_as_path);
}

void job_json_write_words(struct json_out *out, const struct api *api, uint64_t id)
{
    struct jobd_blob *words = NULL;
    if (jobd_get_blob(api->jobd, id, JOBD_WORDS, &words) != JOBD_OK || words == NULL)
        return;
    json_out_text_if(out, "key", jobd_text(words, JOBD_GROUP));
    job_json_write_tags(out, jobd_text(words, JOBD_TAGS));
    write_after(out, jobd_text(words, JOBD_AFTER));
    json_out_text_if(out, "schedule", jobd_text(words, JOBD_SCHEDULE));
    json_out_text_if(out, "callback", jobd_text(words, JOBD_CALLBACK));
    jobd_blob_unref(words);
}

/* One of the job's other texts. */
static void write_part(struct json_out *out, const struct api *api, uint64_t id,
                       enum jobd_part part)
{
    static const char *const names[] = {
        [JOBD_ERROR] = "error", [JOBD_PROGRESS] = "progress", [JOBD_WORKER] = "worker"};
    struct jobd_blob *text = NULL;
    if (jobd_get_blob(api->jobd, id, part, &text) != JOBD_OK || text == NULL)
        return;
    json_out_bytes(out, names[part], text->bytes, text->size);
    jobd_blob_unref(text);
}

static void write_attempt(struct json_out *out, const struct jobd_error *error)
{
    json_out_open(out, NULL, '{');
    json_out_int(out, "attempt", error->attempt);
    json_out_time(out, "at", error->at_us);
    if (error->size > 0)
        json_out_bytes(out, "error", error->text, error->size);
    if (error->exited)
        json_out_int(out, "exit_code", error->exit_code);
    json_out_close(out, '}');
}

void job_json_write_errors(struct json_out *out, const struct api *api,
                           const struct jobd_info *info)
{
    struct jobd_error list[JOBD_ERRORS_MAX];
    struct jobd_blob *errors = NULL;
    int64_t last_us = 0;
    if (!info->has_errors || jobd_get_errors(api->jobd, info->id, &errors, &last_us) != JOBD_OK ||
        errors == NULL)
        return;
    size_t len = jobd_errors(errors, last_us, list);
    json_out_open(out, "errors", '[');
    for (size_t i = 0; i < len; i++)
        write_attempt(out, &list[i]);
    json_out_close(out, ']');
    jobd_blob_unref(errors);
}

static void write_batch(struct json_out *out, const struct api *api, uint64_t id)
{
    uint64_t batch = jobd_batch_of(api->jobd, id);
    if (batch != 0)
        json_out_int(out, "batch", (int64_t)batch);
}

/* A delivery's, the path of what it tells of. */
static void write_source(struct json_out *out, int64_t source)
{
    char path[40];
    snprintf(path, sizeof path, source > 0 ? "/jobs/%" PRId64 : "/batches/%" PRId64,
             source > 0 ? source : -source);
    json_out_text(out, "delivers", path);
}

static void write_moment(struct json_out *out, const char *name, int64_t us)
{
    if (us != 0)
        json_out_time(out, name, us);
}

void job_json_write(struct json_out *out, const struct api *api, const struct jobd_info *info)
{
    json_out_int(out, "id", (int64_t)info->id);
    json_out_text(out, "queue", jobd_queue_name(api->jobd, info->queue));
    json_out_text(out, "state", jobd_state_name(info->state));
    if (info->stopping)
        json_out_bool(out, "stopping", true);
    json_out_int(out, "priority", info->priority);
    json_out_int(out, "attempt", info->attempt);
    json_out_int(out, "attempts", info->attempts);
    json_out_time(out, "created_at", info->created_us);
    write_moment(out, "run_at", info->run_at_us);
    write_moment(out, "expires_at", info->expires_us);
    write_moment(out, "started_at", info->started_us);
    write_moment(out, "finished_at", info->finished_us);
    if (info->exited)
        json_out_int(out, "exit_code", info->exit_code);
    if (info->has_error)
        write_part(out, api, info->id, JOBD_ERROR);
    json_out_int(out, "payload_bytes", (int64_t)info->payload_bytes);
    if (info->output_bytes != 0)
        json_out_int(out, "output_bytes", (int64_t)info->output_bytes);
    if (info->output_truncated)
        json_out_bool(out, "output_truncated", true);
    json_out_text_if(out, "trace", info->trace);
    if (info->batched)
        write_batch(out, api, info->id);
    if (info->source != 0)
        write_source(out, info->source);
    if (info->has_progress)
        write_part(out, api, info->id, JOBD_PROGRESS);
    if (info->has_worker)
        write_part(out, api, info->id, JOBD_WORKER);
    if (info->has_words)
        job_json_write_words(out, api, info->id);
}

void job_json_write_row(struct json_out *out, const struct api *api, const struct jobd_info *info)
{
    const struct json_mark mark = json_out_mark(out);
    bool asks = info->has_error || info->batched || info->has_progress || info->has_worker ||
                info->has_words;
    struct jobd_info now;
    json_out_open(out, NULL, '{');
    job_json_write(out, api, info);
    json_out_close(out, '}');
    /* No id is used twice: one that is there now was there for each of its texts. */
    if (asks && jobd_get(api->jobd, info->id, &now) != JOBD_OK)
        json_out_back(out, mark);
}
