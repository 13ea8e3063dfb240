/* SPDX-License-Identifier: MIT */
/* The verbs that put jobs in: a put, and a put that waits for room. */
#include <errno.h>
#include <string.h>

#include "engine/admission.h"
#include "engine/dispatch.h"
#include "engine/changes.h"
#include "engine/waiters.h"
#include "engine/words.h"

/* The moment by which its attempts must have begun; 0: none. */
static int64_t expires_us(const struct jobd *jobd, const struct jobd_put *put, int64_t now_us)
{
    if (put->terms != NULL && put->terms->expires_us != 0)
        return put->terms->expires_us;
    int64_t usual_us = jobd->queues[jobd_queue_index(put->queue)].expires_us;
    return usual_us > 0 ? later_us(now_us, usual_us) : 0;
}

/* How long it is remembered when it has ended; 0: as long as others. */
static int64_t keep_us(const struct jobd *jobd, const struct jobd_put *put)
{
    bool own = put->terms != NULL && put->terms->keep_us != 0;
    return own ? put->terms->keep_us : jobd->queues[jobd_queue_index(put->queue)].keep_us;
}

static bool needs_extras(const struct jobd *jobd, const struct jobd_put *put)
{
    return expires_us(jobd, put, 0) != 0 || keep_us(jobd, put) != 0 || put->timeout_us != 0 ||
           put->trace != NULL || put->key != NULL ||
           (put->terms != NULL && words_weight(put->terms->texts) > 0);
}

/* Of the nth job; NULL when memory is short. */
static struct job_extra *one_extra(const struct jobd *jobd, const struct admission *admission,
                                   uint32_t number, int64_t now_us)
{
    const struct jobd_put *put = admission_put(admission->put, number);
    struct job_extra *one = extra_new(put, admission->extra);
    if (one == NULL)
        return NULL;
    one->number = number;
    one->expires_us = expires_us(jobd, put, now_us);
    one->keep_us = keep_us(jobd, put);
    if (one->unique == JOBD_FOR_SOME_TIME)
        one->unique_until_us = later_us(now_us, one->unique_us);
    return one;
}

static bool has_batch_callback(const struct jobd_put *put)
{
    return put->batch_len > 0 && put->batch_callback != NULL && put->batch_callback[0] != '\0';
}

int admission_extras(const struct jobd *jobd, struct admission *admission, int64_t now_us)
{
    const struct jobd_put *put = admission->put;
    admission->extra = NULL;
    if (put->puts == NULL && !needs_extras(jobd, put) && !has_batch_callback(put))
        return 0;
    for (uint32_t i = admission_jobs(put); i-- > 0;) {
        if (!needs_extras(jobd, admission_put(put, i)) && !(i == 0 && has_batch_callback(put)))
            continue;
        struct job_extra *one = one_extra(jobd, admission, i, now_us);
        if (one == NULL) {
            extra_free(admission->extra);
            admission->extra = NULL;
            return -ENOMEM;
        }
        admission->extra = one;
    }
    if (!has_batch_callback(put))
        return 0;
    verify(admission->extra != NULL); /* that of its first job */
    admission->extra->promised = extra_for_delivery(put->batch_callback, put->trace);
    if (admission->extra->promised != NULL)
        return 0;
    extra_free(admission->extra);
    admission->extra = NULL;
    return -ENOMEM;
}

/* NULL: there is none. */
static size_t weight_of_promise(const char *callback)
{
    const char *const texts[JOBD_TEXTS] = {[JOBD_CALLBACK] = callback};
    return callback != NULL ? sizeof(struct job_extra) + 1 + words_weight(texts) : 0;
}

static size_t weight_of_one(const struct jobd *jobd, const struct jobd_put *put)
{
    size_t key_size = put->key != NULL ? strlen(put->key) + 1 : 1;
    size_t weight = sizeof(struct job_extra) + key_size;
    if (put->terms != NULL)
        weight += words_weight(put->terms->texts) +
                  parents_weight_of(put->terms->texts[JOBD_AFTER]) +
                  weight_of_promise(put->terms->texts[JOBD_CALLBACK]);
    if (put->terms != NULL && put->terms->unique == JOBD_FOR_SOME_TIME)
        weight += RECORD_WEIGHT;
    return needs_extras(jobd, put) ? weight : 0;
}

size_t jobd_put_weight(const struct jobd *jobd, const struct jobd_put *put)
{
    const char *callback = has_batch_callback(put) ? put->batch_callback : NULL;
    size_t weight = weight_of_promise(callback);
    if (callback != NULL && !needs_extras(jobd, admission_put(put, 0)))
        weight += sizeof(struct job_extra) + 1; /* which has it meanwhile */
    if (put->puts == NULL)
        return weight + admission_jobs(put) * weight_of_one(jobd, put);
    for (uint32_t i = 0; i < put->batch_len; i++)
        weight += weight_of_one(jobd, &put->puts[i]);
    return weight;
}

static enum jobd_result wait_for_room_locked(struct op *op, struct admission *admission)
    REQUIRES(op->jobd->lock)
{
    struct jobd_waiter *waiter = admission->waiter;
    enum jobd_result result =
        wait_begin_locked(op, waiter, WAIT_ROOM, jobd_queue_index(admission->put->queue));
    if (result == JOBD_PENDING) {
        waiting_of(waiter)->put = *admission->put;
        waiting_of(waiter)->extra = admission->extra;
        admission->extra = NULL;
    }
    return result;
}

static enum jobd_result put_locked(struct op *op, struct admission *admission, bool for_room)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[jobd_queue_index(admission->put->queue)];
    uint32_t jobs = admission_jobs(admission->put);
    admission->receipt->capacity = queue->capacity;
    enum jobd_result result = admission_locked(op, admission);
    if (result == JOBD_CHANGING)
        return change_await_locked(op);
    if (op->waiter != NULL)
        op->waiter->accepted = result == JOBD_OK || result == JOBD_PENDING;
    if (result == JOBD_OK || admission->receipt->replaced) {
        result = result == JOBD_OK ? admission_await_locked(op, admission) : result;
        dispatch_locked(op, queue);
    }
    admission->receipt->waiting = queue_waiting(queue);
    if (result == JOBD_FULL && for_room && jobs <= queue->capacity)
        return wait_for_room_locked(op, admission);
    admission_refuse_locked(op, queue, jobs, result, admission->receipt);
    return result;
}

static enum jobd_result put_or_wait(struct jobd *jobd, struct admission *admission, bool for_room,
                                    int64_t now_us)
{
    struct op op;
    const struct jobd_put *put = admission->put;
    struct jobd_waiter *waiter = admission->waiter;
    *admission->receipt = (struct jobd_receipt){.id = 0};
    verify(jobd_queue_index(put->queue) < jobd->queues_len && put->priority < JOBD_PRIORITIES);
    verify(put->attempts <= JOBD_ATTEMPTS_MAX && put->timeout_us >= 0);
    verify(put->trace == NULL || strlen(put->trace) < JOBD_TRACE_SIZE);
    verify(put->key == NULL || (strlen(put->key) < JOBD_KEY_SIZE && put->batch_len == 0));
    verify(waiter == NULL || waiter->end_us == 0 || put->batch_len == 0);
    verify(put->batch_len == 0 || put->terms == NULL || put->terms->texts[JOBD_CALLBACK] == NULL);
    if (waiter != NULL)
        waiter->accepted = false;
    if (admission_extras(jobd, admission, now_us) != 0)
        return JOBD_OUT_OF_MEMORY;
    op_begin(&op, jobd, waiter, now_us);
    enum jobd_result result = put_locked(&op, admission, for_room);
    if (waiter != NULL)
        waiter->receipt = *admission->receipt;
    op_end(&op);
    extra_free(admission->extra);
    return result;
}

enum jobd_result jobd_put(struct jobd *jobd, const struct jobd_put *put, struct jobd_waiter *waiter,
                          int64_t now_us, struct jobd_receipt *receipt)
{
    struct admission admission = {.put = put, .waiter = waiter, .receipt = receipt};
    return put_or_wait(jobd, &admission, false, now_us);
}

enum jobd_result jobd_put_wait(struct jobd *jobd, const struct jobd_put *put,
                               struct jobd_waiter *waiter, int64_t now_us,
                               struct jobd_receipt *receipt)
{
    struct admission admission = {.put = put, .waiter = waiter, .receipt = receipt};
    return put_or_wait(jobd, &admission, true, now_us);
}
