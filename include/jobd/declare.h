/* SPDX-License-Identifier: MIT */
/* What may change of the queues of jobd/queue.h while they are used: they come and go, and their
 * bounds and terms are others. One thread at a time calls these; all others may go on. */
#pragma once

#include <jobd/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A queue comes in: 0 and its number. Or one of that name that was retired takes jobs in again,
 * with all that it remembers: 1. -EEXIST: it is there; -EBUSY: it has jobs from before the start,
 * and comes with the next; -EINVAL: the config is not sound, or there was less room when it came;
 * -ENOSPC: there is no room for so many, or such a large one, before the next start; -ENOMEM. Where
 * there is not room for all of capacity_max and workers_max it gets what there is. */
JOBD_API JOBD_MUST_READ int jobd_queue_add(struct jobd *jobd,
                                           const struct jobd_queue_config *config, int64_t now_us,
                                           uint32_t *queue);
/* It takes no more jobs in: who waits for room is told JOBD_UNDECLARED. What it has is given out as
 * before, and when nothing waits or runs any more it is gone: it has no name, and takers are told
 * JOBD_UNDECLARED. Its jobs that have ended stay as long as others. */
JOBD_API void jobd_queue_retire(struct jobd *jobd, uint32_t queue, int64_t now_us);

/* Changes attempts, timeout_us, backoff, breaker, expires_us, keep_us and the limits to what the
 * config says: for jobs that come in and attempts that begin or fail after that. A rate that is
 * another one begins with a full bucket. When by_group comes or goes, what waits stands in the
 * order in which it came in; meanwhile nothing is given out. 0; or -EINVAL or -ENOMEM, and nothing
 * is changed. */
JOBD_API JOBD_MUST_READ int jobd_queue_change(struct jobd *jobd, uint32_t queue,
                                              const struct jobd_queue_config *config,
                                              int64_t now_us);

/* Other bounds from now on: at most capacity_max and workers_max. What waits or runs beyond a lower
 * one goes on; a put that waits for room and is larger than the whole queue now is told JOBD_FULL.
 * With fewer workers, takers that wait and want no lease are told JOBD_TIMEOUT: they may ask again.
 * 0; or -EINVAL, and nothing is changed. */
JOBD_API JOBD_MUST_READ int jobd_queue_resize(struct jobd *jobd, uint32_t queue, uint32_t capacity,
                                              uint32_t workers, int64_t now_us);

#ifdef __cplusplus
}
#endif
