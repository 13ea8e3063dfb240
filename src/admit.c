/* SPDX-License-Identifier: MIT */
/* Who is let in: a put, a put that waits for room, a batch, a key that was seen before, and a job
 * that has ended and goes in again. */
#include "heart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"

enum { LOOKS_MAX = 64 }; /* attempts that a put looks at, to say when there will be room */

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
    uint32_t waiting = queue_waiting(queue) + queue->entering;
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

static enum jobd_state first_state(const struct job *job)
{
    if (job->state != LIFE_NEW)
        return (enum jobd_state)job->state;
    return job->delayed ? JOBD_SCHEDULED : JOBD_QUEUED;
}

/* The key was seen before: no new job. */
static enum jobd_result repeat_locked(struct jobd *jobd, const struct job *job,
                                      const struct jobd_put *put, struct jobd_waiter *waiter,
                                      int64_t now_us, struct jobd_receipt *receipt,
                                      struct aftermath *after) REQUIRES(jobd->lock)
{
    bool pending = job->state == LIFE_NEW && waiter != NULL;
    if (!same_bytes(job->payload, put->payload))
        return JOBD_CONFLICT;
    if (pending && !journal_admits_locked(jobd, waiter))
        return JOBD_CROWDED;
    jobs_throw_away(put->payload, after);
    receipt->id = job->id;
    receipt->state = first_state(job);
    if (!pending)
        return JOBD_OK;
    journal_append_locked(jobd, ENTRY_TWIN, NULL, waiter, now_us, after)->number = job->id;
    return JOBD_PENDING;
}

/* All of them, now or when they are written. */
static enum jobd_result let_in_locked(struct jobd *jobd, const struct jobd_put *put,
                                      struct extra **extra, struct jobd_waiter *waiter,
                                      int64_t now_us, struct jobd_receipt *receipt,
                                      struct aftermath *after) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[put->queue];
    struct entry *entry = NULL;
    if (journal_on(&jobd->journal))
        entry = journal_append_locked(jobd, ENTRY_ENTER, NULL, waiter, now_us, after);
    for (uint32_t i = 0; i < jobs_of(put); i++) {
        struct job *job = add_locked(jobd, put, i, extra, now_us);
        if (i == 0) {
            receipt->id = job->id;
            receipt->state = first_state(job);
        }
        if (entry != NULL) {
            journal_add_job(entry, job);
            queue->entering++;
        } else {
            life_enter_locked(jobd, job);
            queue->admitted++;
        }
    }
    return entry != NULL && waiter != NULL ? JOBD_PENDING : JOBD_OK;
}

static enum jobd_result admit_locked(struct jobd *jobd, const struct jobd_put *put,
                                     struct extra **extra, struct jobd_waiter *waiter,
                                     int64_t now_us, struct jobd_receipt *receipt,
                                     struct aftermath *after) REQUIRES(jobd->lock)
{
    const struct job *twin = twin_locked(jobd, put, *extra);
    if (twin != NULL)
        return repeat_locked(jobd, twin, put, waiter, now_us, receipt, after);
    if (jobd->journal.refuses)
        return JOBD_STORE;
    if (!admit_has_room(&jobd->queues[put->queue], put))
        return JOBD_FULL;
    size_t bytes = 0;
    for (uint32_t i = 0; i < jobs_of(put); i++)
        bytes += blob_weight(payload_of(put, i));
    if (*extra != NULL)
        bytes += jobs_of(put) * extra_weight(*extra);
    if (journal_on(&jobd->journal) &&
        (!journal_admits_locked(jobd, waiter) || jobs_of(put) > jobs_spare(&jobd->jobs)))
        return JOBD_CROWDED;
    if (!jobs_make_room(&jobd->jobs, bytes, after))
        return JOBD_MEMORY;
    return let_in_locked(jobd, put, extra, waiter, now_us, receipt, after);
}

/* ---- when there will be room */

/* Local workers take a job as soon as they have ended one. So where jobs run for about equally long
 * the takes to come are the ends of attempts, in the order in which these began; idle workers take
 * at once, and an attempt that takes much longer is stuck and not counted. When the nth take comes;
 * false when that cannot be said. */
static bool nth_take(const struct queue *queue, int64_t now_us, uint64_t n, int64_t *in_us)
{
    int64_t run_us = rate_run_us(&queue->rate);
    uint32_t busy = queue_busy(queue), looks = 0;
    uint32_t idle = queue->workers > busy ? queue->workers - busy : 0;
    const struct job *job = TAILQ_FIRST(&queue->running);
    if (run_us == 0 || queue->leased > 0 || queue->paused)
        return false;
    for (; busy > 0 && (job->changing || now_us - job->started_us > run_us + run_us / 4);
         job = TAILQ_NEXT(job, link)) {
        if (looks++ == LOOKS_MAX)
            return false;
        busy -= !job->changing;
    }
    if (idle + busy == 0)
        return false;
    uint64_t rounds = (n - 1) / (idle + busy), turn = (n - 1) % (idle + busy);
    int64_t end_us = 0;
    if (turn >= idle) {
        for (turn -= idle; turn > 0 || job->changing; job = TAILQ_NEXT(job, link)) {
            if (looks++ == LOOKS_MAX)
                return false;
            turn -= !job->changing;
        }
        end_us = later_us(job->started_us, run_us) - now_us;
    }
    end_us = end_us > 0 ? end_us : 0;
    *in_us = rounds < (uint64_t)(JOBD_NEVER / run_us) ? later_us(end_us, (int64_t)rounds * run_us)
                                                      : JOBD_NEVER;
    return true;
}

/* Places are left by jobs that are taken; scheduled ones must be due before. */
static int64_t room_in_us(const struct queue *queue, int64_t now_us, uint64_t places)
{
    uint64_t ready = (uint64_t)queue_ready(queue) + queue->entering;
    int64_t taken_us = 0, due_us = 0;
    if (places > ready && queue->delays.length > 0)
        due_us = heap_nth(&queue->delays, places - ready)->at_us - now_us;
    bool for_worker = ready > 0 || (queue->workers > 0 && queue_busy(queue) >= queue->workers);
    if (for_worker && !nth_take(queue, now_us, places, &taken_us))
        taken_us = rate_nth_us(&queue->rate, now_us, queue->workers, places);
    return taken_us > due_us ? taken_us : due_us;
}

/* What an answer to so many jobs that are not let in says. */
static void turn_away(struct queue *queue, uint32_t jobs, enum jobd_result result, int64_t now_us,
                      struct jobd_receipt *receipt)
{
    if (result == JOBD_FULL) {
        uint64_t needed = (uint64_t)queue_waiting(queue) + queue->entering + jobs;
        uint64_t slots = needed > queue->capacity ? needed - queue->capacity : 1;
        receipt->room_in_us = room_in_us(queue, now_us, slots);
    }
    if (result == JOBD_FULL || result == JOBD_MEMORY)
        queue->rejected++;
}

/* A job is in; its putter may wait for its end too. */
static enum jobd_result let_in_result_locked(struct jobd *jobd, struct jobd_waiter *putter,
                                             uint64_t id, int64_t now_us) REQUIRES(jobd->lock)
{
    if (putter == NULL || putter->end_us == 0)
        return JOBD_OK;
    return wait_for_end_locked(jobd, putter, jobs_find(&jobd->jobs, id), now_us);
}

enum jobd_result admit_waiting_locked(struct jobd *jobd, struct jobd_waiter *putter, int64_t now_us,
                                      struct aftermath *after)
{
    struct queue *queue = &jobd->queues[putter->link.put.queue];
    struct extra *extra = putter->link.extra;
    putter->link.extra = NULL;
    putter->receipt = (struct jobd_receipt){.capacity = queue->capacity};
    enum jobd_result result =
        admit_locked(jobd, &putter->link.put, &extra, putter, now_us, &putter->receipt, after);
    extra_free(extra); /* that of a twin; or it is not let in, and does not ask again */
    putter->accepted = result == JOBD_OK || result == JOBD_PENDING;
    putter->receipt.waiting = queue_waiting(queue);
    turn_away(queue, jobs_of(&putter->link.put), result, now_us, &putter->receipt);
    return result == JOBD_OK ? let_in_result_locked(jobd, putter, putter->receipt.id, now_us)
                             : result;
}

/* `for_room`: the waiter waits for room too. */
static enum jobd_result put_locked(struct jobd *jobd, const struct jobd_put *put,
                                   struct extra **extra, struct jobd_waiter *waiter, bool for_room,
                                   int64_t now_us, struct jobd_receipt *receipt,
                                   struct aftermath *after) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[put->queue];
    *receipt = (struct jobd_receipt){.capacity = queue->capacity};
    enum jobd_result result;
    if (jobd->closed)
        result = JOBD_CLOSED;
    else if (for_room && !TAILQ_EMPTY(&queue->putters) && twin_locked(jobd, put, *extra) == NULL)
        result = JOBD_FULL; /* behind those who came before */
    else
        result = admit_locked(jobd, put, extra, waiter, now_us, receipt, after);
    if (waiter != NULL)
        waiter->accepted = result == JOBD_OK || result == JOBD_PENDING;
    if (result == JOBD_OK) {
        result = let_in_result_locked(jobd, waiter, receipt->id, now_us);
        life_settle_locked(jobd, queue, now_us, after);
    }
    receipt->waiting = queue_waiting(queue);
    if (result == JOBD_FULL && for_room && jobs_of(put) <= queue->capacity) {
        result = wait_begin_locked(jobd, waiter, WAIT_ROOM, NULL, put->queue);
        if (result == JOBD_PENDING) {
            waiter->link.put = *put;
            waiter->link.extra = *extra;
            *extra = NULL;
        }
        return result;
    }
    turn_away(queue, jobs_of(put), result, now_us, receipt);
    return result;
}

static enum jobd_result put_or_wait(struct jobd *jobd, const struct jobd_put *put,
                                    struct jobd_waiter *waiter, bool for_room, int64_t now_us,
                                    struct jobd_receipt *receipt)
{
    struct extra *extra;
    *receipt = (struct jobd_receipt){.id = 0};
    verify(put->queue < jobd->queues_len && put->priority < JOBD_PRIORITIES);
    verify(put->attempts <= JOBD_ATTEMPTS_MAX && put->timeout_us >= 0);
    verify(put->trace == NULL || strlen(put->trace) < JOBD_TRACE_SIZE);
    verify(put->key == NULL || (strlen(put->key) < JOBD_KEY_SIZE && put->batch_len == 0));
    verify(waiter == NULL || waiter->end_us == 0 || put->batch_len == 0);
    if (extras_new(put, &extra) != 0)
        return JOBD_MEMORY;
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    enum jobd_result result =
        put_locked(jobd, put, &extra, waiter, for_room, now_us, receipt, &after);
    if (waiter != NULL)
        waiter->receipt = *receipt;
    unlock_and_tell(jobd, &after);
    extra_free(extra);
    return result;
}

enum jobd_result jobd_put(struct jobd *jobd, const struct jobd_put *put, struct jobd_waiter *waiter,
                          int64_t now_us, struct jobd_receipt *receipt)
{
    return put_or_wait(jobd, put, waiter, false, now_us, receipt);
}

enum jobd_result jobd_put_wait(struct jobd *jobd, const struct jobd_put *put,
                               struct jobd_waiter *waiter, int64_t now_us,
                               struct jobd_receipt *receipt)
{
    return put_or_wait(jobd, put, waiter, true, now_us, receipt);
}

/* ---- going in again */

void admit_again_locked(struct jobd *jobd, struct job *job, int64_t now_us, struct aftermath *after)
{
    if (job->extra != NULL) {
        (void)jobs_set(&jobd->jobs, &job->extra->output, NULL, after);
        (void)jobs_set(&jobd->jobs, &job->extra->error, NULL, after);
    }
    job->attempt = 0;
    job->exit_code = 0;
    job->exited = job->output_truncated = job->delayed = false;
    job->ready_us = now_us;
    life_enter_locked(jobd, job);
    jobd->queues[job->queue].admitted++;
}

static enum jobd_result retry_locked(struct jobd *jobd, struct job *job, struct jobd_waiter *waiter,
                                     int64_t now_us, struct jobd_receipt *receipt,
                                     struct aftermath *after) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    *receipt = (struct jobd_receipt){.capacity = queue->capacity, .waiting = queue_waiting(queue)};
    if (!jobd_state_final((enum jobd_state)job->state) || job->changing)
        return JOBD_NOT_FINAL;
    if (jobd->closed)
        return JOBD_CLOSED;
    if (jobd->journal.refuses)
        return JOBD_STORE;
    if (queue_waiting(queue) + queue->entering >= queue->capacity) {
        turn_away(queue, 1, JOBD_FULL, now_us, receipt);
        return JOBD_FULL;
    }
    if (journal_on(&jobd->journal) && !journal_admits_locked(jobd, waiter))
        return JOBD_CROWDED;
    jobs_revive(&jobd->jobs, job);
    receipt->id = job->id;
    receipt->state = JOBD_QUEUED;
    if (journal_on(&jobd->journal)) {
        job->changing = true;
        queue->entering++;
        jobd->jobs.reviving++;
        (void)journal_append_locked(jobd, ENTRY_RETRY, job, waiter, now_us, after);
        return waiter != NULL ? JOBD_PENDING : JOBD_OK;
    }
    admit_again_locked(jobd, job, now_us, after);
    life_settle_locked(jobd, queue, now_us, after);
    return JOBD_OK;
}

enum jobd_result jobd_retry(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                            int64_t now_us, struct jobd_receipt *receipt)
{
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    struct job *job = jobs_seen(&jobd->jobs, id);
    enum jobd_result result =
        job != NULL ? retry_locked(jobd, job, waiter, now_us, receipt, &after) : JOBD_NO_JOB;
    if (result == JOBD_PENDING)
        waiter->receipt = *receipt;
    unlock_and_tell(jobd, &after);
    return result;
}
