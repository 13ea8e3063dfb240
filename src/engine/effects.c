/* SPDX-License-Identifier: MIT */
/* The end of a public verb: the lock is free again, and who was woken is told. */
#include "engine/engine.h"

#include "engine/blob.h"

int64_t next_due_locked(struct jobd *jobd)
{
    if (jobd->dispatch_needed)
        return 0;
    const struct jobd_due *delay = heap_top(&jobd->delays);
    const struct jobd_due *deadline = heap_top(&jobd->deadlines);
    const struct jobd_due *lease = heap_top(&jobd->leases.due);
    int64_t at_us = delay != NULL ? delay->at_us : JOBD_NEVER;
    if (lease != NULL && lease->at_us < at_us)
        at_us = lease->at_us;
    return deadline != NULL && deadline->at_us < at_us ? deadline->at_us : at_us;
}

void unlock_and_tell(struct jobd *jobd, struct effects *after)
{
    int64_t next_us = next_due_locked(jobd);
    bool earlier = next_us < jobd->ticks_at_us;
    if (earlier)
        jobd->ticks_at_us = next_us;
    mutex_unlock(&jobd->lock);

    struct jobd_waiter *waiter;
    if (after->journal)
        jobd->on_journal_ready(jobd->journal_context);
    while ((waiter = TAILQ_FIRST(&after->woken)) != NULL) {
        TAILQ_REMOVE(&after->woken, waiter, link);
        waiter->wake(waiter); /* from here on it is no longer ours to touch */
    }
    while (after->garbage != NULL) {
        struct jobd_blob *blob = after->garbage;
        after->garbage = blob->link.next;
        blob_free(blob);
    }
    if (after->stop != NULL && after->stop->stop != NULL)
        after->stop->stop(after->stop, &after->stop_task);
    if (earlier && jobd->earlier != NULL)
        jobd->earlier(jobd->context);
}
