/* SPDX-License-Identifier: MIT */
#include "engine/schedule_put.h"

#include "engine/promises.h"
#include "engine/dispatch.h"
#include "engine/schedule.h"

enum jobd_result schedule_put_make_locked(struct op *op, const struct schedule *schedule,
                                          struct schedule_put *put)
{
    const struct jobd_schedule asked = schedule_of(schedule->name, &schedule->next);
    struct admission admission = {.put = &put->put};
    uint32_t queue = jobd_queue_named(op->jobd, asked.queue);
    if (queue == JOBD_NO_QUEUE)
        return JOBD_UNDECLARED;
    put->held = jobd_blob_ref(schedule->next.terms);
    put->terms = (struct jobd_terms){
        .expires_us = asked.expires_us > 0 ? later_us(op->now_us, asked.expires_us) : 0};
    for (unsigned i = 0; i < JOBD_TEXTS; i++)
        put->terms.texts[i] = asked.texts[i];
    put->terms.texts[JOBD_SCHEDULE] = schedule->name;
    if (promise_queue_locked(op, true) == NULL) /* the job is wanted all the same */
        put->terms.texts[JOBD_CALLBACK] = NULL;
    put->put = (struct jobd_put){.queue = queue,
                                 .priority = asked.priority,
                                 .attempts = asked.attempts,
                                 .timeout_us = asked.timeout_us,
                                 .key = put->key,
                                 .terms = &put->terms,
                                 .payload = asked.payload};
    if (admission_extras(op->jobd, &admission, op->now_us) != 0)
        return JOBD_OUT_OF_MEMORY;
    put->extra = admission.extra;
    return JOBD_OK;
}

enum jobd_result schedule_put_locked(struct op *op, struct schedule_put *put,
                                     struct jobd_receipt *receipt)
{
    struct queue *queue = &op->jobd->queues[jobd_queue_index(put->put.queue)];
    struct admission admission = {.put = &put->put,
                                  .waiter = op->waiter,
                                  .extra = put->extra,
                                  .receipt = receipt,
                                  .kind = put->step != NULL ? &schedule_fire_kind : NULL,
                                  .step = put->step};
    receipt->capacity = queue->capacity;
    if (put->put.payload != NULL) /* the job's own reference */
        (void)jobd_blob_ref(put->put.payload);
    enum jobd_result result = admission_locked(op, &admission);
    bool taken = result == JOBD_OK || result == JOBD_PENDING;
    put->extra = admission.extra;
    if (taken)
        put->step = NULL;
    else
        op_discard(op, put->put.payload);
    if (result == JOBD_OK)
        dispatch_locked(op, queue);
    receipt->waiting = queue_waiting(queue);
    if (put->step == NULL)
        admission_refuse_locked(op, queue, 1, result, receipt);
    return result;
}

void schedule_put_end(struct op *op, struct schedule_put *put)
{
    extra_free(put->extra);
    op_discard(op, put->held);
}
