/* SPDX-License-Identifier: MIT */
/* Verbs on leases: attempts whose holders are elsewhere, and known by a token. */
#include "engine/lease.h"

#include <string.h>

#include "engine/attempt.h"
#include "engine/append.h"

enum { LOOK_AGAIN_US = 1000000 };

/* JOBD_OK and *lease, which is not over. */
static enum jobd_result find_locked(struct jobd *jobd, const char *token, struct lease **lease)
    REQUIRES(jobd->lock)
{
    struct lease key = {.job = NULL};
    if (strlen(token) != JOBD_TOKEN_SIZE - 1)
        return JOBD_NO_LEASE;
    memcpy(key.token, token, JOBD_TOKEN_SIZE);
    *lease = RB_FIND(lease_tree, &jobd->leases.tree, &key);
    if (*lease == NULL)
        return JOBD_NO_LEASE;
    return (*lease)->job != NULL && !(*lease)->job->commit_pending ? JOBD_OK : JOBD_LEASE_EXPIRED;
}

enum jobd_result jobd_lease_finish(struct jobd *jobd, const char *token,
                                   const struct jobd_outcome *outcome, struct jobd_waiter *waiter,
                                   int64_t now_us)
{
    struct lease *lease;
    struct job_extra *extra = extra_for(outcome);
    verify(jobd_state_final(outcome->state));
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    enum jobd_result result = find_locked(jobd, token, &lease);
    if (result == JOBD_OK)
        result = attempt_end_locked(jobd, lease->job, outcome, &extra, waiter, now_us, &after);
    unlock_and_tell(jobd, &after);
    extra_free(extra);
    return result;
}

static enum jobd_result extend_locked(struct jobd *jobd, struct lease *lease, int64_t lease_us,
                                      struct jobd_waiter *waiter, int64_t now_us,
                                      struct effects *after) REQUIRES(jobd->lock)
{
    bool journal = journal_on(&jobd->journal);
    if (journal && !journal_admits_locked(jobd, waiter))
        return JOBD_TOO_MANY_WAITERS;
    heap_remove(&jobd->leases.due, &lease->due);
    heap_push(&jobd->leases.due, &lease->due, later_us(now_us, lease_us));
    if (journal)
        (void)journal_append_locked(jobd, CHANGE_EXTEND, lease->job, waiter, now_us, after);
    return journal && waiter != NULL ? JOBD_PENDING : JOBD_OK;
}

enum jobd_result jobd_lease_extend(struct jobd *jobd, const char *token, int64_t lease_us,
                                   struct jobd_waiter *waiter, int64_t now_us)
{
    struct lease *lease;
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    enum jobd_result result = find_locked(jobd, token, &lease);
    if (result == JOBD_OK)
        result = extend_locked(jobd, lease, lease_us, waiter, now_us, &after);
    unlock_and_tell(jobd, &after);
    return result;
}

enum jobd_result jobd_lease_release(struct jobd *jobd, const char *token, int64_t delay_us,
                                    struct jobd_waiter *waiter, int64_t now_us)
{
    struct lease *lease;
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    enum jobd_result result = find_locked(jobd, token, &lease);
    if (result == JOBD_OK)
        result = attempt_release_locked(jobd, lease->job, delay_us, waiter, now_us, &after);
    unlock_and_tell(jobd, &after);
    return result;
}

void lease_expire_locked(struct jobd *jobd, struct lease *lease, int64_t now_us,
                         struct effects *after)
{
    if (lease->job
            ->commit_pending) { /* it ends already, as soon as that is written; or not after all */
        heap_remove(&jobd->leases.due, &lease->due);
        heap_push(&jobd->leases.due, &lease->due, later_us(now_us, LOOK_AGAIN_US));
        return;
    }
    const struct jobd_outcome late = {.state = JOBD_FAILED,
                                      .error = jobd_blob_ref(jobd->leases.error)};
    struct job_extra *extra = extra_for(&late);
    (void)attempt_end_locked(jobd, lease->job, &late, &extra, NULL, now_us, after);
    extra_free(extra);
}
