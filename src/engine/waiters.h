/* SPDX-License-Identifier: MIT */
/* Who waits for what. */
#pragma once

#include <stdint.h>

#include "engine/engine.h"

enum wait_kind { WAIT_NOT, WAIT_END, WAIT_ROOM, WAIT_JOB, WAIT_IDLE, WAIT_DISK };

/* JOBD_PENDING or JOBD_TOO_MANY_WAITERS. `job` for WAIT_END, `queue` for WAIT_ROOM and WAIT_JOB. */
enum jobd_result wait_begin_locked(struct jobd *jobd, struct jobd_waiter *waiter,
                                   enum wait_kind kind, struct job *job, uint32_t queue)
    REQUIRES(jobd->lock);
/* Whatever it waited for before, without a deadline from now on. There must be room for it. */
void wait_for_disk_locked(struct jobd *jobd, struct jobd_waiter *waiter, struct change *entry)
    REQUIRES(jobd->lock);
void wait_end_locked(struct jobd *jobd, struct jobd_waiter *waiter, enum jobd_result result,
                     struct effects *after) REQUIRES(jobd->lock);
/* Whatever it waits for; it is not told. */
void wait_forget_locked(struct jobd *jobd, struct jobd_waiter *waiter) REQUIRES(jobd->lock);
/* Before somebody is forgotten who may have waited for room in front of others. */
void wait_leave_room_locked(struct jobd *jobd, const struct jobd_waiter *waiter)
    REQUIRES(jobd->lock);
/* JOBD_OK and *info when the job has ended, else JOBD_PENDING or JOBD_TOO_MANY_WAITERS. */
enum jobd_result wait_await_locked(struct jobd *jobd, struct job *job, struct jobd_waiter *waiter,
                                   struct jobd_info *info) REQUIRES(jobd->lock);
/* The job's end, for a waiter with `end_us`, whatever it waited for before: JOBD_OK, it has ended;
 * JOBD_PENDING; or JOBD_TOO_MANY_WAITERS when it did not wait before. */
enum jobd_result wait_for_end_locked(struct jobd *jobd, struct jobd_waiter *waiter, struct job *job,
                                     int64_t now_us) REQUIRES(jobd->lock);
