/* SPDX-License-Identifier: MIT */
#include "api/batch_json.h"

/* How many of its jobs are in this state. */
static uint32_t count(const struct jobd_batch *batch, enum jobd_state state)
{
    return batch->in_state[state];
}

/* One word for all of them: as long as not all have ended, whether any has begun; then what became
 * of the worst. */
static enum jobd_state state_of_batch(const struct jobd_batch *batch)
{
    bool waits = count(batch, JOBD_RUNNING) + count(batch, JOBD_DONE) + count(batch, JOBD_FAILED) +
                     count(batch, JOBD_CANCELLED) ==
                 0;
    if (batch->finished_us == 0)
        return waits ? JOBD_QUEUED : JOBD_RUNNING;
    if (count(batch, JOBD_FAILED) > 0)
        return JOBD_FAILED;
    return count(batch, JOBD_CANCELLED) > 0 ? JOBD_CANCELLED : JOBD_DONE;
}

static bool add_callback(const struct api *api, cJSON *object, uint64_t id)
{
    struct jobd_blob *words = NULL;
    if (jobd_get_batch_words(api->jobd, id, &words) != JOBD_OK || words == NULL)
        return true;
    bool whole =
        cJSON_AddStringToObject(object, "callback", jobd_text(words, JOBD_CALLBACK)) != NULL;
    jobd_blob_unref(words);
    return whole;
}

cJSON *batch_json(const struct api *api, const struct jobd_batch *batch)
{
    cJSON *object = cJSON_CreateObject();
    const char *state = jobd_state_name(state_of_batch(batch));
    bool whole = json_add_int(object, "id", (int64_t)batch->id) &&
                 cJSON_AddStringToObject(object, "queue",
                                         jobd_queue_name(api->jobd, batch->queue)) != NULL &&
                 cJSON_AddStringToObject(object, "state", state) != NULL &&
                 json_add_int(object, "jobs", batch->jobs);
    for (unsigned i = 0; i < JOBD_STATES && whole; i++)
        whole = json_add_int(object, jobd_state_name((enum jobd_state)i), batch->in_state[i]);
    whole = whole && json_add_time(object, "created_at", batch->created_us) &&
            (batch->finished_us == 0 || json_add_time(object, "finished_at", batch->finished_us)) &&
            add_callback(api, object, batch->id);
    if (whole)
        return object;
    cJSON_Delete(object);
    return NULL;
}
