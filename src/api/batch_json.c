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

static void write_callback(struct json_out *out, const struct api *api, uint64_t id)
{
    struct jobd_blob *words = NULL;
    if (jobd_get_batch_words(api->jobd, id, &words) != JOBD_OK || words == NULL)
        return;
    json_out_text(out, "callback", jobd_text(words, JOBD_CALLBACK));
    jobd_blob_unref(words);
}

void batch_json_write(struct json_out *out, const struct api *api, const struct jobd_batch *batch)
{
    json_out_open(out, NULL, '{');
    json_out_int(out, "id", (int64_t)batch->id);
    json_out_text(out, "queue", jobd_queue_name(api->jobd, batch->queue));
    json_out_text(out, "state", jobd_state_name(state_of_batch(batch)));
    json_out_int(out, "jobs", batch->jobs);
    for (unsigned i = 0; i < JOBD_STATES; i++)
        json_out_int(out, jobd_state_name((enum jobd_state)i), batch->in_state[i]);
    json_out_time(out, "created_at", batch->created_us);
    if (batch->finished_us != 0)
        json_out_time(out, "finished_at", batch->finished_us);
    write_callback(out, api, batch->id);
    json_out_close(out, '}');
}
