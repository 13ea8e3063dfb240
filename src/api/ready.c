/* SPDX-License-Identifier: MIT */
#include "api/ready.h"

#include "base/clock.h"

/* Only queues that the server's own workers empty count. With the others, a load balancer that
 * sends nothing to a full server would also cut off the workers who empty them. */
static bool all_full(struct jobd *jobd)
{
    bool any = false;
    for (uint32_t i = 0; i < jobd_queues_len(jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(jobd, i, clock_now_us(), &stats);
        if (stats.workers > 0 && stats.waiting < stats.capacity)
            return false;
        any = any || stats.workers > 0;
    }
    return any;
}

bool api_ready(const struct api *api, struct problem *reason)
{
    if (jobd_closed(api->jobd))
        return problem_set(reason, "%s", jobd_result_text(JOBD_CLOSED));
    if (api->store != NULL && store_failing(api->store, reason))
        return false;
    if (api->turns != NULL && turns_failing(api->turns, reason))
        return false;
    return !all_full(api->jobd) || problem_set(reason, "full");
}
