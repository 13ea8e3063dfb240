/* SPDX-License-Identifier: MIT */
/* Verbs that change jobs which are in, one or many at a time. When they end is said in
 * jobd/queue.h. */
#pragma once

#include "jobd/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- one ------------------------------------------------------------------------------------ */

/* What a waiting job gets in place of what it has. */
struct jobd_amendment {
    bool start; /* the next two, as in struct jobd_put */
    int64_t delay_us, at_us;
    bool to_priority;
    uint8_t priority;
    int64_t expires_us; /* as in struct jobd_terms; 0: as it was */
    bool expires_by_wall;
};

/* Changes a waiting job: JOBD_OK; or JOBD_BEGUN, JOBD_FINISHED, JOBD_NO_JOB, or
 * JOBD_OUT_OF_MEMORY, and it stays as it was. With another start or priority it comes behind those
 * that wait there. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_amend(struct jobd *jobd, uint64_t id,
                                                    const struct jobd_amendment *amendment,
                                                    struct jobd_waiter *waiter, int64_t now_us);

/* A final job is remembered no longer: JOBD_OK; or JOBD_NOT_FINAL, JOBD_NEEDED, JOBD_NO_JOB. */
JOBD_API enum jobd_result jobd_forget(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                                      int64_t now_us);

/* ---- many -----------------------------------------------------------------------------------
 *
 * All that were there when the verb was called and match the filter, the oldest first: JOBD_OK, or
 * JOBD_PENDING with a waiter, which has the tally in the end. JOBD_STORE_FAILED: not all of it
 * could be written. Without a journal a waiter that was not PENDING has the tally too.
 *
 * However many there are, the lock is held for some hundred jobs at a time. With a waiter the first
 * ten thousand are looked at at once, the others by jobd_tick(), while it waits; with a journal
 * they wait for room there, too, and for another change of one of them. The filter is borrowed
 * until the waiter is told. */

enum jobd_bulk {
    JOBD_RETRY_ALL, /* those that have ended are queued again, with all their attempts, as many as
                       their queues have room for */
    JOBD_DROP_ALL,  /* those that wait are cancelled, those that have ended are forgotten */
    JOBD_STOP_ALL,  /* the same, and those that run are told to stop */
    JOBD_CANCEL_ALL /* those that wait are cancelled, and they alone are meant */
};

/* JOBD_RETRY_ALL also: JOBD_CLOSED or JOBD_STORE_FAILED when no job comes in now. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_change_all(struct jobd *jobd, enum jobd_bulk what,
                                                         const struct jobd_filter *filter,
                                                         struct jobd_waiter *waiter,
                                                         int64_t now_us);

#ifdef __cplusplus
}
#endif
