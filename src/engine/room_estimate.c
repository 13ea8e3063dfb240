/* SPDX-License-Identifier: MIT */
#include "engine/room_estimate.h"

#include "engine/limits.h"
#include "engine/fair.h"

enum { LOOKS_MAX = 64 }; /* attempts that are looked at */

/* What is known of the workers at the moment. */
struct workers {
    int64_t run_us; /* how long an attempt runs */
    int64_t now_us;
    uint32_t idle, busy;   /* busy: with an attempt that is not stuck, */
    const struct job *job; /* the first of those */
    unsigned looks;
};

/* The next attempt, at `job` or behind it, whose end is still to come; NULL when that is too far to
 * look. */
static const struct job *next_running(struct workers *workers, const struct job *job)
{
    while (job != NULL && job->commit_pending)
        job = workers->looks++ < LOOKS_MAX ? TAILQ_NEXT(job, link) : NULL;
    return job;
}

static bool is_stuck(const struct workers *workers, const struct job *job)
{
    return workers->now_us - job->started_us > workers->run_us + workers->run_us / 4;
}

/* False when attempts do not run for about equally long, or it cannot be said which will end. */
static bool look_at_workers(struct workers *workers, const struct queue *queue)
{
    workers->run_us = rate_run_us(&queue->rate);
    workers->busy = queue_busy(queue);
    const uint32_t all = limits_running(queue, queue->workers);
    workers->idle = all > workers->busy ? all - workers->busy : 0;
    if (workers->run_us == 0 || queue->leased > 0 || queue->paused ||
        (queue->fair != NULL && queue->fair->held_jobs > 0))
        return false;
    workers->job = TAILQ_FIRST(&queue->running);
    while (workers->busy > 0) {
        workers->job = next_running(workers, workers->job);
        if (workers->job == NULL || workers->looks++ == LOOKS_MAX)
            return false;
        if (!is_stuck(workers, workers->job))
            break;
        workers->job = TAILQ_NEXT(workers->job, link);
        workers->busy--;
    }
    return workers->idle + workers->busy > 0;
}

/* The end of the nth of the busy ones, counted from 0; false when that is too far to look. */
static bool nth_end(struct workers *workers, uint64_t n, int64_t *in_us)
{
    const struct job *job = workers->job;
    while (job != NULL && n > 0 && workers->looks++ < LOOKS_MAX) {
        job = next_running(workers, TAILQ_NEXT(job, link));
        n--;
    }
    if (job == NULL || n > 0)
        return false;
    int64_t end_us = later_us(job->started_us, workers->run_us) - workers->now_us;
    *in_us = end_us > 0 ? end_us : 0;
    return true;
}

/* When the nth take comes, counted from 1; false when that cannot be said. */
static bool nth_take(const struct queue *queue, int64_t now_us, uint64_t n, int64_t *in_us)
{
    struct workers workers = {.now_us = now_us};
    if (!look_at_workers(&workers, queue))
        return false;
    uint64_t all = workers.idle + workers.busy, rounds = (n - 1) / all, turn = (n - 1) % all;
    *in_us = 0;
    if (turn >= workers.idle && !nth_end(&workers, turn - workers.idle, in_us))
        return false;
    *in_us = rounds < (uint64_t)(JOBD_NEVER / workers.run_us)
                 ? later_us(*in_us, (int64_t)rounds * workers.run_us)
                 : JOBD_NEVER;
    return true;
}

static int64_t larger(int64_t one_us, int64_t other_us)
{
    return one_us > other_us ? one_us : other_us;
}

int64_t room_in_us(const struct queue *queue, int64_t now_us, uint64_t places)
{
    uint64_t ready = (uint64_t)queue_ready(queue) + queue->put_pending;
    int64_t taken_us = 0, due_us = 0;
    if (places > ready && queue->delays.length > 0)
        due_us = heap_nth(&queue->delays, places - ready)->at_us - now_us;
    bool for_worker = ready > 0 || (queue->workers > 0 && queue_busy(queue) >= queue->workers);
    if (for_worker && !nth_take(queue, now_us, places, &taken_us))
        taken_us = rate_nth_us(&queue->rate, now_us, queue->workers, places);
    if (ready > 0)
        taken_us = larger(
            taken_us,
            token_bucket_when(&queue->bucket, rate_of(&queue->limits), now_us, places) - now_us);
    return larger(taken_us, due_us);
}

int64_t group_room_in_us(const struct queue *queue, const struct group *group, int64_t now_us,
                         uint32_t jobs)
{
    const uint32_t most = queue->fair->waiting_max;
    if (jobs > most)
        return JOBD_UNKNOWN_US;
    if (group == NULL)
        return 0;
    const uint64_t needed = (uint64_t)group->waiting + jobs;
    const uint64_t places = needed > most ? needed - most : 1;
    int64_t taken_us = group->rate.takes > 0 ? rate_nth_us(&group->rate, now_us, 0, places)
                                             : room_in_us(queue, now_us, places);
    int64_t token_us =
        token_bucket_when(&group->bucket, rate_of(&queue->fair->limits), now_us, places) - now_us;
    return larger(taken_us, token_us);
}
