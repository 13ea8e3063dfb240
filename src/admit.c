/* SPDX-License-Identifier: MIT */
/* Who is let in: a put, a put that waits for room, a batch, a key that was seen before, and a job
 * that has ended and goes in again. */
#include "heart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"

static uint32_t jobs_of(const struct jobd_put *put)
{
    return put->batch_len > 0 ? put->batch_len : 1;
}

static struct jobd_blob *payload_of(const struct jobd_put *put, uint32_t number)
{
    return put->batch_len > 0 ? put->batch[number] : put->payload;
}

bool admit_has_room(const struct queue *queue, const struct jobd_put *put)
{
    uint32_t waiting = queue_waiting(queue);
    return waiting < queue->capacity && jobs_of(put) <= queue->capacity - waiting;
}

/* ---- what few jobs have */

static struct extra *extra_new(const struct jobd_put *put, struct extra *next)
{
    size_t key_size = put->key != NULL ? strlen(put->key) + 1 : 1;
    struct extra *extra = calloc(1, sizeof *extra + key_size);
    if (extra == NULL)
        return NULL;
    extra->next = next;
    extra->timeout_us = put->timeout_us;
    if (put->trace != NULL)
        memcpy(extra->trace, put->trace, strlen(put->trace) + 1);
    if (put->key != NULL)
        memcpy(extra->key, put->key, key_size);
    return extra;
}

struct extra *extra_for(const struct jobd_outcome *outcome)
{
    static const struct jobd_put nothing;
    bool leaves = outcome->output != NULL || outcome->error != NULL;
    return leaves ? extra_new(&nothing, NULL) : NULL;
}

void extra_free(struct extra *extra)
{
    while (extra != NULL) {
        struct extra *next = extra->next;
        free(extra);
        extra = next;
    }
}

/* One for each job, linked; *extra is NULL when they need none. 0 or -ENOMEM. */
static int extras_new(const struct jobd_put *put, struct extra **extra)
{
    *extra = NULL;
    if (put->timeout_us == 0 && put->trace == NULL && put->key == NULL)
        return 0;
    for (uint32_t i = 0; i < jobs_of(put); i++) {
        struct extra *one = extra_new(put, *extra);
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
                              struct extra **extra, int64_t now_us) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[put->queue];
    struct extra *own = *extra;
    if (own != NULL) {
        *extra = own->next;
        own->next = NULL;
    }
    struct job *job = jobs_add(&jobd->jobs, jobd->next_id++, payload_of(put, number), own);
    job->state = LIFE_NEW;
    job->queue = (uint16_t)put->queue;
    job->priority = put->priority;
    job->attempts = put->attempts > 0 ? (uint16_t)put->attempts : queue->attempts;
    job->created_us = now_us;
    job->delayed = put->delay_us > 0;
    job->ready_us = later_us(now_us, job->delayed ? put->delay_us : 0);
    jobs_note_key(&jobd->jobs, job);
    life_enter_locked(jobd, job);
    queue->admitted++;
    return job;
}

static bool same_bytes(const struct jobd_blob *a, const struct jobd_blob *b)
{
    size_t size = a != NULL ? a->size : 0;
    if (size != (b != NULL ? b->size : 0))
        return false;
    return size == 0 || memcmp(a->bytes, b->bytes, size) == 0;
}

/* The remembered job with the same key. */
static const struct job *twin_locked(struct jobd *jobd, const struct jobd_put *put,
                                     const struct extra *extra) REQUIRES(jobd->lock)
{
    return put->key != NULL ? jobs_with_key(&jobd->jobs, (uint16_t)put->queue, extra->key) : NULL;
}

/* The key was seen before: no new job. */
static enum jobd_result repeat(const struct job *job, const struct jobd_put *put,
                               struct jobd_receipt *receipt, struct aftermath *after)
{
    if (!same_bytes(job->payload, put->payload))
        return JOBD_CONFLICT;
    jobs_throw_away(put->payload, after);
    receipt->id = job->id;
    receipt->state = (enum jobd_state)job->state;
    return JOBD_OK;
}

static enum jobd_result admit_locked(struct jobd *jobd, const struct jobd_put *put,
                                     struct extra **extra, int64_t now_us,
                                     struct jobd_receipt *receipt, struct aftermath *after)
    REQUIRES(jobd->lock)
{
    const struct job *twin = twin_locked(jobd, put, *extra);
    if (twin != NULL)
        return repeat(twin, put, receipt, after);
    if (!admit_has_room(&jobd->queues[put->queue], put))
        return JOBD_FULL;
    size_t bytes = 0;
    for (uint32_t i = 0; i < jobs_of(put); i++)
        bytes += blob_weight(payload_of(put, i));
    if (*extra != NULL)
        bytes += jobs_of(put) * extra_weight(*extra);
    if (!jobs_make_room(&jobd->jobs, bytes, after))
        return JOBD_MEMORY;
    for (uint32_t i = 0; i < jobs_of(put); i++) {
        const struct job *job = add_locked(jobd, put, i, extra, now_us);
        if (i == 0) {
            receipt->id = job->id;
            receipt->state = (enum jobd_state)job->state;
        }
    }
    return JOBD_OK;
}

/* What an answer to whoever is not let in says. */
static void turn_away(struct queue *queue, enum jobd_result result, int64_t now_us,
                      struct jobd_receipt *receipt)
{
    if (result == JOBD_FULL)
        receipt->room_in_us = rate_next_us(&queue->rate, now_us, queue->workers);
    if (result == JOBD_FULL || result == JOBD_MEMORY)
        queue->rejected++;
}

enum jobd_result admit_waiting_locked(struct jobd *jobd, struct jobd_waiter *putter, int64_t now_us,
                                      struct aftermath *after)
{
    struct queue *queue = &jobd->queues[putter->link.put.queue];
    struct extra *extra = putter->link.extra;
    putter->receipt = (struct jobd_receipt){.capacity = queue->capacity};
    enum jobd_result result =
        admit_locked(jobd, &putter->link.put, &extra, now_us, &putter->receipt, after);
    putter->link.extra = extra;
    putter->receipt.waiting = queue_waiting(queue);
    turn_away(queue, result, now_us, &putter->receipt);
    return result;
}

static enum jobd_result put_locked(struct jobd *jobd, const struct jobd_put *put,
                                   struct extra **extra, struct jobd_waiter *waiter, int64_t now_us,
                                   struct jobd_receipt *receipt, struct aftermath *after)
    REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[put->queue];
    *receipt = (struct jobd_receipt){.capacity = queue->capacity};
    enum jobd_result result;
    if (jobd->closed)
        result = JOBD_CLOSED;
    else if (waiter != NULL && !TAILQ_EMPTY(&queue->putters) &&
             twin_locked(jobd, put, *extra) == NULL)
        result = JOBD_FULL; /* behind those who came before */
    else
        result = admit_locked(jobd, put, extra, now_us, receipt, after);
    if (result == JOBD_OK)
        life_settle_locked(jobd, queue, now_us, after);
    receipt->waiting = queue_waiting(queue);
    if (result == JOBD_FULL && waiter != NULL && jobs_of(put) <= queue->capacity) {
        result = wait_begin_locked(jobd, waiter, WAIT_ROOM, NULL, put->queue);
        if (result == JOBD_PENDING) {
            waiter->link.put = *put;
            waiter->link.extra = *extra;
            *extra = NULL;
        }
        return result;
    }
    turn_away(queue, result, now_us, receipt);
    return result;
}

/* `waiter` NULL: does not wait for room. */
static enum jobd_result put_or_wait(struct jobd *jobd, const struct jobd_put *put,
                                    struct jobd_waiter *waiter, int64_t now_us,
                                    struct jobd_receipt *receipt)
{
    struct extra *extra;
    *receipt = (struct jobd_receipt){.id = 0};
    verify(put->queue < jobd->queues_len && put->priority < JOBD_PRIORITIES);
    verify(put->attempts <= JOBD_ATTEMPTS_MAX && put->timeout_us >= 0);
    verify(put->trace == NULL || strlen(put->trace) < JOBD_TRACE_SIZE);
    verify(put->key == NULL || (strlen(put->key) < JOBD_KEY_SIZE && put->batch_len == 0));
    if (extras_new(put, &extra) != 0)
        return JOBD_MEMORY;
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    enum jobd_result result = put_locked(jobd, put, &extra, waiter, now_us, receipt, &after);
    unlock_and_tell(jobd, &after);
    extra_free(extra);
    return result;
}

enum jobd_result jobd_put(struct jobd *jobd, const struct jobd_put *put, int64_t now_us,
                          struct jobd_receipt *receipt)
{
    return put_or_wait(jobd, put, NULL, now_us, receipt);
}

enum jobd_result jobd_put_wait(struct jobd *jobd, const struct jobd_put *put,
                               struct jobd_waiter *waiter, int64_t now_us,
                               struct jobd_receipt *receipt)
{
    return put_or_wait(jobd, put, waiter, now_us, receipt);
}

/* ---- going in again */

static enum jobd_result retry_locked(struct jobd *jobd, struct job *job, int64_t now_us,
                                     struct jobd_receipt *receipt, struct aftermath *after)
    REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    *receipt = (struct jobd_receipt){.capacity = queue->capacity, .waiting = queue_waiting(queue)};
    if (!jobd_state_final((enum jobd_state)job->state))
        return JOBD_NOT_FINAL;
    if (jobd->closed)
        return JOBD_CLOSED;
    if (queue_waiting(queue) >= queue->capacity) {
        turn_away(queue, JOBD_FULL, now_us, receipt);
        return JOBD_FULL;
    }
    jobs_revive(&jobd->jobs, job);
    if (job->extra != NULL) {
        (void)jobs_set(&jobd->jobs, &job->extra->output, NULL, after);
        (void)jobs_set(&jobd->jobs, &job->extra->error, NULL, after);
    }
    job->attempt = 0;
    job->exited = job->output_truncated = job->delayed = false;
    job->ready_us = now_us;
    life_enter_locked(jobd, job);
    queue->admitted++;
    receipt->id = job->id;
    receipt->state = JOBD_QUEUED;
    life_settle_locked(jobd, queue, now_us, after);
    return JOBD_OK;
}

enum jobd_result jobd_retry(struct jobd *jobd, uint64_t id, int64_t now_us,
                            struct jobd_receipt *receipt)
{
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    struct job *job = jobs_find(&jobd->jobs, id);
    enum jobd_result result =
        job != NULL ? retry_locked(jobd, job, now_us, receipt, &after) : JOBD_NO_JOB;
    unlock_and_tell(jobd, &after);
    return result;
}
