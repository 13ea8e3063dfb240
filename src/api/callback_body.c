/* SPDX-License-Identifier: MIT */
#include "api/callback_body.h"

#include <stdlib.h>
#include <string.h>

#include "api/batch_json.h"
#include "api/job_json.h"
#include "base/utf8.h"

enum { OUTPUT_MAX = 4096 };

/* That of a job that is done is there, if only empty. */
static void write_output(struct json_out *out, const struct api *api, const struct jobd_info *info)
{
    struct jobd_blob *output = NULL;
    if (info->output_bytes > OUTPUT_MAX ||
        jobd_get_blob(api->jobd, info->id, JOBD_OUTPUT, &output) != JOBD_OK)
        return;
    if (output == NULL && info->state == JOBD_DONE)
        json_out_text(out, "output", "");
    if (output != NULL && output->size <= OUTPUT_MAX && utf8_valid(output->bytes, output->size))
        json_out_bytes(out, "output", output->bytes, output->size);
    jobd_blob_unref(output);
}

/* Takes `out`. */
static enum callback_body print(struct json_out *out, struct jobd_blob **body)
{
    char *text = json_out_line(out);
    *body = text != NULL ? jobd_blob_new(strlen(text) - 1, TYPE_JSON) : NULL;
    if (*body != NULL)
        memcpy((*body)->bytes, text, (*body)->size); /* without the line feed */
    free(text);
    return *body != NULL ? CALLBACK_BODY : CALLBACK_NO_MEMORY;
}

static enum callback_body tell_job(const struct api *api, uint64_t id, struct jobd_blob **body)
{
    struct jobd_info info;
    struct json_out out;
    if (jobd_get(api->jobd, id, &info) != JOBD_OK)
        return CALLBACK_GONE;
    if (!jobd_state_final(info.state))
        return CALLBACK_LIVES;
    json_out_begin(&out, JOB_JSON_BYTES);
    json_out_open(&out, NULL, '{');
    job_json_write(&out, api, &info);
    job_json_write_errors(&out, api, &info);
    write_output(&out, api, &info);
    json_out_close(&out, '}');
    return print(&out, body);
}

static enum callback_body tell_batch(const struct api *api, uint64_t id, struct jobd_blob **body)
{
    struct jobd_batch batch;
    struct json_out out;
    if (jobd_get_batch(api->jobd, id, clock_now_us(), &batch) != JOBD_OK)
        return CALLBACK_GONE;
    if (batch.finished_us == 0)
        return CALLBACK_LIVES;
    json_out_begin(&out, BATCH_JSON_BYTES);
    batch_json_write(&out, api, &batch);
    return print(&out, body);
}

enum callback_body callback_body(void *context, uint64_t delivery, struct jobd_blob **body)
{
    const struct api *api = context;
    struct jobd_info info;
    *body = NULL;
    if (jobd_get(api->jobd, delivery, &info) != JOBD_OK || info.source == 0)
        return CALLBACK_GONE;
    return info.source > 0 ? tell_job(api, (uint64_t)info.source, body)
                           : tell_batch(api, (uint64_t)-info.source, body);
}
