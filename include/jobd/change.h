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

/* Changes a waiting job: JOBD_OK; or JOBD_BEGUN, JOBD_FINISHED, JOBD_CHANGING, JOBD_NO_JOB, or
 * JOBD_OUT_OF_MEMORY, and it stays as it was. With another start or priority it comes behind those
 * that wait there. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_amend(struct jobd *jobd, uint64_t id,
                                                    const struct jobd_amendment *amendment,
                                                    struct jobd_waiter *waiter, int64_t now_us);

/* A final job is remembered no longer: JOBD_OK; or JOBD_NOT_FINAL, JOBD_NO_JOB. */
JOBD_API enum jobd_result jobd_forget(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                                      int64_t now_us);

#ifdef __cplusplus
}
#endif
