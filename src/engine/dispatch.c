/* SPDX-License-Identifier: MIT */
#include "engine/dispatch.h"

#include "engine/admission.h"
#include "engine/append.h"
#include "engine/transition.h"
#include "engine/waiters.h"

/* ---- who can be given a job */

static struct job *next_queued_locked(struct jobd *jobd, struct queue *queue) REQUIRES(jobd->lock)
{
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        uint64_t id = ring_peek(&queue->lanes[lane]);
        if (id != 0) {
            struct job *job = jobs_find(&jobd->jobs, id);
            verify(job != NULL && job->state == JOBD_QUEUED);
            return job;
        }
    }
    return NULL;
}

/* A worker whose last attempt is still being written may begin another one, but no third. */
static bool worker_free(const struct queue *queue)
{
    uint32_t here = queue->in_state[JOBD_RUNNING] - queue->leased;
    return queue_busy(queue) < queue->workers && here < 2 * queue->workers;
}

static bool lease_admitted_locked(struct jobd *jobd, const struct jobd_waiter *take_waiter)
    REQUIRES(jobd->lock)
{
    const struct jobd_waiter *newcomer = take_waiter->link.kind == WAIT_NOT ? take_waiter : NULL;
    return !journal_on(&jobd->journal) || journal_admits_locked(jobd, newcomer);
}

static bool can_give_locked(struct jobd *jobd, const struct queue *queue,
                            const struct jobd_waiter *take_waiter) REQUIRES(jobd->lock)
{
    return !queue->paused && !jobd->takers_stopped && queue_ready(queue) > 0 &&
           (take_waiter->lease_us > 0 ? lease_admitted_locked(jobd, take_waiter)
                                      : worker_free(queue));
}

/* With a journal, whoever leases is told when that is written. */
static enum jobd_result given_locked(struct jobd *jobd, struct job *job,
                                     struct jobd_waiter *take_waiter, int64_t now_us,
                                     struct effects *after) REQUIRES(jobd->lock)
{
    if (!journal_on(&jobd->journal))
        return JOBD_OK;
    if (job->leased) {
        (void)journal_append_locked(jobd, CHANGE_LEASE, job, take_waiter, now_us, after);
        return JOBD_PENDING;
    }
    journal_append_locked(jobd, CHANGE_TAKE, job, NULL, now_us, after)->asked = false;
    return JOBD_OK;
}

/* Who is next and can be given a job; NULL when nobody. */
static struct jobd_waiter *next_take_waiter_locked(struct jobd *jobd, struct queue *queue)
    REQUIRES(jobd->lock)
{
    struct jobd_waiter *take_waiter = NULL;
    if (queue_ready(queue) > 0)
        TAILQ_FOREACH (take_waiter, &queue->take_waiters, link)
            if (can_give_locked(jobd, queue, take_waiter))
                break;
    return take_waiter;
}

void dispatch_locked(struct jobd *jobd, struct queue *queue, int64_t now_us, struct effects *after)
{
    struct jobd_waiter *take_waiter, *put_waiter;
    for (;;) {
        if ((take_waiter = next_take_waiter_locked(jobd, queue)) != NULL) {
            struct job *job = next_queued_locked(jobd, queue);
            transition_start_locked(jobd, job, take_waiter, now_us);
            if (given_locked(jobd, job, take_waiter, now_us, after) == JOBD_OK)
                wait_end_locked(jobd, take_waiter, JOBD_OK, after);
        } else if ((put_waiter = TAILQ_FIRST(&queue->put_waiters)) != NULL &&
                   admit_has_room(queue, &put_waiter->link.put)) {
            enum jobd_result result = admit_waiting_locked(jobd, put_waiter, now_us, after);
            if (result != JOBD_PENDING)
                wait_end_locked(jobd, put_waiter, result, after);
        } else {
            break;
        }
    }
    struct jobd_waiter *idle_waiter;
    while ((idle_waiter = TAILQ_FIRST(&jobd->idle_waiters)) != NULL && jobd_idle_locked(jobd))
        wait_end_locked(jobd, idle_waiter, JOBD_OK, after);
}

enum jobd_result dispatch_take_locked(struct jobd *jobd, struct queue *queue,
                                      struct jobd_waiter *take_waiter, int64_t now_us,
                                      struct effects *after)
{
    if (!can_give_locked(jobd, queue, take_waiter))
        return JOBD_TIMEOUT;
    struct job *job = next_queued_locked(jobd, queue); /* so nobody waits who could have it */
    transition_start_locked(jobd, job, take_waiter, now_us);
    enum jobd_result result = given_locked(jobd, job, take_waiter, now_us, after);
    dispatch_locked(jobd, queue, now_us, after);
    return result;
}

bool jobd_idle_locked(struct jobd *jobd)
{
    bool lasts = journal_on(&jobd->journal); /* what waits or is leased outlives the process */
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        const struct queue *queue = &jobd->queues[i];
        uint32_t leased = lasts ? queue->leased : 0;
        if ((queue_waiting(queue) > 0 && !lasts) || queue->in_state[JOBD_RUNNING] > leased)
            return false;
    }
    return true;
}
