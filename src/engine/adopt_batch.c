/* SPDX-License-Identifier: MIT */
/* Batches as other processes have changed them. */
#include "engine/adopt.h"
#include "engine/deliveries.h"
#include "engine/edges.h"
#include "engine/touched.h"
#include "engine/transition.h"
#include "engine/waiters.h"

static enum share_result add_batch_locked(struct op *op, const struct news *news,
                                          struct batch **added) REQUIRES(op->jobd->lock)
{
    struct batches *batches = &op->jobd->jobs.batches;
    const struct job_record *record = &news->record;
    uint32_t queue = jobd_queue_named(op->jobd, record->queue);
    if (queue == JOBD_NO_QUEUE) {
        share_note_stranger_locked(op, record->queue);
        return SHARE_OK;
    }
    if (!batches_have_room(batches))
        return SHARE_ROOM;
    *added = batches_adopt(batches, record->id, record->batch_jobs);
    if (*added == NULL)
        return SHARE_WRONG;
    (*added)->queue = (uint16_t)jobd_queue_index(queue);
    (*added)->created_us = record->created_us;
    edges_batch_back_locked(op, *added);
    return SHARE_OK;
}

static enum share_result drop_batch_locked(struct op *op, struct batch *batch)
    REQUIRES(op->jobd->lock)
{
    if (batch->there > 0)
        return SHARE_WRONG;
    wait_end_all_locked(op, &batch->awaiting, JOBD_STORE_FAILED);
    edges_batch_gone_locked(op, batch);
    batches_drop(&op->jobd->jobs.batches, batch);
    jobs_settle_batches(&op->jobd->jobs);
    return SHARE_OK;
}

/* A job of it may be known from later on, and was retried by then. In a snapshot, whose time is 0,
 * the jobs are still to come. */
static bool begun_since(const struct batch *batch, const struct share_source *source)
{
    return source->overlaps && source->at_us > 0 && !batches_over(batch);
}

enum share_result adopt_batch_locked(struct op *op, const struct news *news,
                                     const struct share_source *source)
{
    struct batches *batches = &op->jobd->jobs.batches;
    struct batch *batch = batches_find(batches, news->record.id);
    enum share_result result = SHARE_OK;
    if (batch == NULL && news->fresh)
        result = add_batch_locked(op, news, &batch);
    else if (batch == NULL && !source->overlaps && !op->jobd->share->strangers)
        result = SHARE_WRONG;
    if (batch == NULL)
        return result;
    if (news->gone)
        return drop_batch_locked(op, batch);
    if (!deliveries_adopt_batch_locked(op, batch, news))
        return SHARE_NO_MEMORY;
    batches_set_gone(batches, batch, news->ended, news->retained);
    batch->finished_us = begun_since(batch, source) ? 0 : news->record.finished_us;
    if (batch->finished_us != 0) {
        transition_tell_batch_locked(op, batch);
        edges_batch_ended_locked(op, batch);
    }
    return SHARE_OK;
}

bool adopt_forget_batch_locked(struct op *op)
{
    struct batches *batches = &op->jobd->jobs.batches;
    struct batch *batch = RB_MIN(batch_tree, &batches->tree);
    if (batch == NULL)
        return batches_take_forgotten(batches) != 0;
    wait_end_all_locked(op, &batch->awaiting, JOBD_STORE_FAILED);
    edges_batch_gone_locked(op, batch);
    batches_drop(batches, batch);
    jobs_settle_batches(&op->jobd->jobs);
    return true;
}
