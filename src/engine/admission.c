/* SPDX-License-Identifier: MIT */
#include "engine/admission.h"

#include <errno.h>
#include <string.h>

#include "engine/blob.h"
#include "engine/append.h"
#include "engine/room_estimate.h"
#include "engine/transition.h"
#include "engine/waiters.h"

uint32_t admit_jobs(const struct jobd_put *put)
{
    return put->batch_len > 0 ? put->batch_len : 1;
}

static struct jobd_blob *payload_of(const struct jobd_put *put, uint32_t number)
{
    return put->batch_len > 0 ? put->batch[number] : put->payload;
}

bool admit_has_room(const struct queue *queue, const struct jobd_put *put)
{
    uint32_t waiting = queue_waiting(queue) + queue->entering;
    return waiting < queue->capacity && admit_jobs(put) <= queue->capacity - waiting;
}

int admit_extras(const struct jobd_put *put, struct job_extra **extra)
{
    *extra = NULL;
    if (put->timeout_us == 0 && put->trace == NULL && put->key == NULL)
        return 0;
    for (uint32_t i = 0; i < admit_jobs(put); i++) {
        struct job_extra *one = extra_new(put, *extra);
        if (one == NULL) {
            extra_free(*extra);
            return -ENOMEM;
        }
        *extra = one;
    }
    return 0;
}

/* ---- letting in */

/* Takes payload and *extra, of which the next is left there. */
static struct job *add_locked(struct jobd *jobd, const struct jobd_put *put, uint32_t number,
                              struct job_extra **extra, int64_t now_us) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[put->queue];
    struct job_extra *own = *extra;
    if (own != NULL) {
        *extra = own->next;
        own->next = NULL;
    }
    struct job *job = jobs_add(&jobd->jobs, jobd->next_id++, payload_of(put, number), own);
    job->state = STATE_NEW;
    job->queue = (uint16_t)put->queue;
    job->priority = put->priority;
    job->attempts = put->attempts > 0 ? (uint16_t)put->attempts : queue->attempts;
    job->created_us = now_us;
    job->delayed = put->delay_us > 0;
    job->ready_us = later_us(now_us, job->delayed ? put->delay_us : 0);
    jobs_note_key(&jobd->jobs, job);
    return job;
}

static bool same_bytes(const struct jobd_blob *a, const struct jobd_blob *b)
{
    size_t size = a != NULL ? a->size : 0;
    if (size != (b != NULL ? b->size : 0))
        return false;
    return size == 0 || memcmp(a->bytes, b->bytes, size) == 0;
}

const struct job *admit_duplicate_locked(struct jobd *jobd, const struct jobd_put *put,
                                         const struct job_extra *extra)
{
    return put->key != NULL ? jobs_with_key(&jobd->jobs, (uint16_t)put->queue, extra->key) : NULL;
}

static enum jobd_state first_state(const struct job *job)
{
    if (job->state != STATE_NEW)
        return (enum jobd_state)job->state;
    return job->delayed ? JOBD_SCHEDULED : JOBD_QUEUED;
}

/* The key was seen before: no new job. */
static enum jobd_result repeat_locked(struct jobd *jobd, const struct job *job,
                                      const struct jobd_put *put, struct jobd_waiter *waiter,
                                      int64_t now_us, struct jobd_receipt *receipt,
                                      struct effects *after) REQUIRES(jobd->lock)
{
    bool pending = job->state == STATE_NEW && waiter != NULL;
    if (!same_bytes(job->payload, put->payload))
        return JOBD_CONFLICT;
    if (pending && !journal_admits_locked(jobd, waiter))
        return JOBD_TOO_MANY_WAITERS;
    jobs_throw_away(put->payload, after);
    receipt->id = job->id;
    receipt->state = first_state(job);
    if (!pending)
        return JOBD_OK;
    journal_append_locked(jobd, CHANGE_DUPLICATE, NULL, waiter, now_us, after)->number = job->id;
    return JOBD_PENDING;
}

/* All of them, now or when they are written. */
static enum jobd_result let_in_locked(struct jobd *jobd, const struct jobd_put *put,
                                      struct job_extra **extra, struct jobd_waiter *waiter,
                                      int64_t now_us, struct jobd_receipt *receipt,
                                      struct effects *after) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[put->queue];
    struct change *entry = NULL;
    if (journal_on(&jobd->journal))
        entry = journal_append_locked(jobd, CHANGE_PUT, NULL, waiter, now_us, after);
    for (uint32_t i = 0; i < admit_jobs(put); i++) {
        struct job *job = add_locked(jobd, put, i, extra, now_us);
        if (i == 0) {
            receipt->id = job->id;
            receipt->state = first_state(job);
        }
        if (entry != NULL) {
            journal_add_job(entry, job);
            queue->entering++;
        } else {
            transition_enter_locked(jobd, job);
            queue->admitted++;
        }
    }
    return entry != NULL && waiter != NULL ? JOBD_PENDING : JOBD_OK;
}

enum jobd_result admit_locked(struct jobd *jobd, const struct jobd_put *put,
                              struct job_extra **extra, struct jobd_waiter *waiter, int64_t now_us,
                              struct jobd_receipt *receipt, struct effects *after)
{
    const struct job *duplicate = admit_duplicate_locked(jobd, put, *extra);
    if (duplicate != NULL)
        return repeat_locked(jobd, duplicate, put, waiter, now_us, receipt, after);
    if (jobd->journal.refuses)
        return JOBD_STORE_FAILED;
    if (!admit_has_room(&jobd->queues[put->queue], put))
        return JOBD_FULL;
    size_t bytes = 0;
    for (uint32_t i = 0; i < admit_jobs(put); i++)
        bytes += blob_weight(payload_of(put, i));
    if (*extra != NULL)
        bytes += admit_jobs(put) * extra_weight(*extra);
    if (journal_on(&jobd->journal) &&
        (!journal_admits_locked(jobd, waiter) || admit_jobs(put) > jobs_spare(&jobd->jobs)))
        return JOBD_TOO_MANY_WAITERS;
    if (!jobs_make_room(&jobd->jobs, bytes, after))
        return JOBD_OUT_OF_MEMORY;
    return let_in_locked(jobd, put, extra, waiter, now_us, receipt, after);
}

/* ---- the answer */

void admit_turn_away(struct queue *queue, uint32_t jobs, enum jobd_result result, int64_t now_us,
                     struct jobd_receipt *receipt)
{
    if (result == JOBD_FULL) {
        uint64_t needed = (uint64_t)queue_waiting(queue) + queue->entering + jobs;
        uint64_t slots = needed > queue->capacity ? needed - queue->capacity : 1;
        receipt->room_in_us = room_in_us(queue, now_us, slots);
    }
    if (result == JOBD_FULL || result == JOBD_OUT_OF_MEMORY)
        queue->rejected++;
}

enum jobd_result admit_result_locked(struct jobd *jobd, struct jobd_waiter *put_waiter, uint64_t id,
                                     int64_t now_us)
{
    if (put_waiter == NULL || put_waiter->end_us == 0)
        return JOBD_OK;
    return wait_for_end_locked(jobd, put_waiter, jobs_find(&jobd->jobs, id), now_us);
}

enum jobd_result admit_waiting_locked(struct jobd *jobd, struct jobd_waiter *put_waiter,
                                      int64_t now_us, struct effects *after)
{
    struct queue *queue = &jobd->queues[put_waiter->link.put.queue];
    struct job_extra *extra = put_waiter->link.extra;
    put_waiter->link.extra = NULL;
    put_waiter->receipt = (struct jobd_receipt){.capacity = queue->capacity};
    enum jobd_result result = admit_locked(jobd, &put_waiter->link.put, &extra, put_waiter, now_us,
                                           &put_waiter->receipt, after);
    extra_free(extra); /* that of a duplicate; or it is not let in, and does not ask again */
    put_waiter->accepted = result == JOBD_OK || result == JOBD_PENDING;
    put_waiter->receipt.waiting = queue_waiting(queue);
    admit_turn_away(queue, admit_jobs(&put_waiter->link.put), result, now_us, &put_waiter->receipt);
    return result == JOBD_OK ? admit_result_locked(jobd, put_waiter, put_waiter->receipt.id, now_us)
                             : result;
}
