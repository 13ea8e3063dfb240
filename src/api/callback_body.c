/* SPDX-License-Identifier: MIT */
#include "api/callback_body.h"

#include <stdlib.h>
#include <string.h>

#include "api/batch_json.h"
#include "api/job_json.h"
#include "base/utf8.h"

enum { OUTPUT_MAX = 4096 };

/* That of a job that is done is there, if only empty. */
static bool add_output(const struct api *api, cJSON *job, const struct jobd_info *info)
{
    struct jobd_blob *output = NULL;
    if (info->output_bytes > OUTPUT_MAX ||
        jobd_get_blob(api->jobd, info->id, JOBD_OUTPUT, &output) != JOBD_OK)
        return true;
    if (output == NULL)
        return info->state != JOBD_DONE || cJSON_AddStringToObject(job, "output", "") != NULL;
    bool whole = output->size > OUTPUT_MAX || !utf8_valid(output->bytes, output->size) ||
                 json_add_bytes(job, "output", output->bytes, output->size);
    jobd_blob_unref(output);
    return whole;
}

/* Frees it. NULL when memory is short. */
static struct jobd_blob *print(cJSON *object, bool whole)
{
    char *text = object != NULL && whole ? cJSON_PrintUnformatted(object) : NULL;
    struct jobd_blob *blob = text != NULL ? jobd_blob_new(strlen(text), TYPE_JSON) : NULL;
    if (blob != NULL)
        memcpy(blob->bytes, text, blob->size);
    free(text);
    cJSON_Delete(object);
    return blob;
}

static enum callback_body tell_job(const struct api *api, uint64_t id, struct jobd_blob **body)
{
    struct jobd_info info;
    if (jobd_get(api->jobd, id, &info) != JOBD_OK)
        return CALLBACK_GONE;
    if (!jobd_state_final(info.state))
        return CALLBACK_LIVES;
    cJSON *job = job_json(api, &info);
    bool whole = job != NULL && (!info.has_errors || job_json_errors_of(api, job, id)) &&
                 add_output(api, job, &info);
    *body = print(job, whole);
    return *body != NULL ? CALLBACK_BODY : CALLBACK_NO_MEMORY;
}

static enum callback_body tell_batch(const struct api *api, uint64_t id, struct jobd_blob **body)
{
    struct jobd_batch batch;
    if (jobd_get_batch(api->jobd, id, clock_now_us(), &batch) != JOBD_OK)
        return CALLBACK_GONE;
    if (batch.finished_us == 0)
        return CALLBACK_LIVES;
    *body = print(batch_json(api, &batch), true);
    return *body != NULL ? CALLBACK_BODY : CALLBACK_NO_MEMORY;
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
