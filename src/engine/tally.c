/* SPDX-License-Identifier: MIT */
#include "engine/tally.h"

#include <string.h>

#include "engine/touched.h"

static struct told *told_of(struct op *op, const struct queue *queue)
{
    return &op->jobd->share->queues[queue - op->jobd->queues];
}

void tally_add(struct op *op, struct queue *queue, enum tally which, uint32_t more)
{
    const struct share *share = op->jobd->share;
    queue->tallies[which] += more;
    if (share == NULL || !share->in_turn || op->outside)
        return;
    struct told *told = told_of(op, queue);
    if (told->tallied != share->turn) {
        told->tallied = share->turn;
        memset(told->tallies, 0, sizeof told->tallies);
    }
    told->tallies[which] += more;
}

void tally_begin_locked(struct op *op)
{
    op->jobd->share->turn++;
    op->jobd->schedules.counts_before = op->jobd->schedules.counts;
}

/* The attempts come to their ends again: else each would count twice. */
static void forget_failures(struct breaker *breaker, uint64_t failures)
{
    if (!breaker->open)
        breaker->in_a_row -= breaker->in_a_row < failures ? breaker->in_a_row : (uint32_t)failures;
}

void tally_lose_locked(struct op *op)
{
    struct jobd *jobd = op->jobd;
    jobd->schedules.counts = jobd->schedules.counts_before;
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        const struct told *told = &jobd->share->queues[i];
        if (told->tallied != jobd->share->turn)
            continue;
        for (unsigned which = 0; which < TALLIES; which++)
            jobd->queues[i].tallies[which] -= told->tallies[which];
        forget_failures(&jobd->queues[i].breaker, told->tallies[TALLY_DOWN]);
    }
}

void tally_forget_locked(struct op *op, const struct queue *queue)
{
    if (op->jobd->share == NULL)
        return;
    struct told *told = told_of(op, queue);
    *told = (struct told){.touched = told->touched};
}
