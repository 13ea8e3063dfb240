/* SPDX-License-Identifier: MIT */
#include "engine/due.h"

#include <stddef.h>

#include "engine/keep.h"
#include "engine/touched.h"
#include "engine/waiters.h"

/* Each is a heap in struct jobd. By number, as all are looked at whenever the lock is let go of. */
static const size_t heaps[DUE_KINDS] = {
    [DUE_DATE] = offsetof(struct jobd, jobs.dues),
    [DUE_DELAY] = offsetof(struct jobd, delays),
    [DUE_LEASE] = offsetof(struct jobd, leases.due),
    [DUE_PROBE] = offsetof(struct jobd, probes),
    [DUE_LIMIT] = offsetof(struct jobd, limits),
    [DUE_DEADLINE] = offsetof(struct jobd, deadlines),
};

static struct due *top_locked(struct op *op, enum due_kind kind) REQUIRES(op->jobd->lock)
{
    const void *heap = (const char *)op->jobd + heaps[kind];
    return heap_top(heap);
}

struct due *due_first_locked(struct op *op, enum due_kind kind)
{
    struct due *due = top_locked(op, kind);
    return due != NULL && due->at_us <= op->now_us ? due : NULL;
}

/* What comes first: the end of what is remembered, and these kinds. */
static int64_t earliest_us_locked(struct op *op, enum due_kind from, enum due_kind to)
    REQUIRES(op->jobd->lock)
{
    int64_t at_us = keep_next_end_us(&op->jobd->jobs);
    for (enum due_kind kind = from; kind < to; kind++) {
        const struct due *top = top_locked(op, kind);
        if (top != NULL && top->at_us < at_us)
            at_us = top->at_us;
    }
    return at_us;
}

/* Nothing has become of a change since it met a job that is being changed. */
static bool is_halted(const struct sweep *sweep, const struct journal *journal)
{
    return sweep->halted && sweep->rounds == journal->over && sweep->failures == journal->failures;
}

bool due_sweep_locked(struct op *op)
{
    const struct jobd *jobd = op->jobd;
    const struct waiting *first = TAILQ_FIRST(&jobd->sweep_waiters);
    return first != NULL && !is_halted(&first->sweep, &jobd->journal) &&
           (!has_journal(jobd) || journal_has_room(&jobd->journal)) &&
           (jobd->share == NULL || share_has_room(jobd->share));
}

bool due_at_once_locked(struct op *op)
{
    return op->jobd->dispatch_needed || edges_due(&op->jobd->edges);
}

int64_t due_tick_us_locked(struct op *op)
{
    if (due_at_once_locked(op) || due_sweep_locked(op))
        return 0;
    return earliest_us_locked(op, op->jobd->expiry_starved ? DUE_DATE + 1 : DUE_DATE, DUE_KINDS);
}

int64_t due_deadline_us_locked(struct op *op)
{
    const struct due *top = top_locked(op, DUE_DEADLINE);
    return top != NULL ? top->at_us : JOBD_NEVER;
}

int64_t due_turn_us_locked(struct op *op)
{
    const struct jobd *jobd = op->jobd;
    bool starved = jobd->expiry_starved || jobd->journal.starved || jobd->edges.starved ||
                   !TAILQ_EMPTY(&jobd->sweep_waiters);
    return starved || due_at_once_locked(op) ? 0 : earliest_us_locked(op, DUE_DATE, DUE_DEADLINE);
}
