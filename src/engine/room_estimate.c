/* SPDX-License-Identifier: MIT */
#include "engine/room_estimate.h"

enum { LOOKS_MAX = 64 }; /* attempts that a put looks at, to say when there will be room */

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
    for (; busy > 0 && (job->commit_pending || now_us - job->started_us > run_us + run_us / 4);
         job = TAILQ_NEXT(job, link)) {
        if (looks++ == LOOKS_MAX)
            return false;
        busy -= !job->commit_pending;
    }
    if (idle + busy == 0)
        return false;
    uint64_t rounds = (n - 1) / (idle + busy), turn = (n - 1) % (idle + busy);
    int64_t end_us = 0;
    if (turn >= idle) {
        for (turn -= idle; turn > 0 || job->commit_pending; job = TAILQ_NEXT(job, link)) {
            if (looks++ == LOOKS_MAX)
                return false;
            turn -= !job->commit_pending;
        }
        end_us = later_us(job->started_us, run_us) - now_us;
    }
    end_us = end_us > 0 ? end_us : 0;
    *in_us = rounds < (uint64_t)(JOBD_NEVER / run_us) ? later_us(end_us, (int64_t)rounds * run_us)
                                                      : JOBD_NEVER;
    return true;
}

int64_t room_in_us(const struct queue *queue, int64_t now_us, uint64_t places)
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
