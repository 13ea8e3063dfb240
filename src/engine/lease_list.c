/* SPDX-License-Identifier: MIT */
/* Who has what: the leases that are held. */
#include <string.h>

#include "engine/engine.h"
#include "engine/filter.h"
#include "engine/said.h"
#include "jobd/lease.h"

/* Nobody can have a token whose lease is not written yet. */
static bool is_held(const struct lease *lease)
{
    return lease->job != NULL && !lease->job->start_pending;
}

static struct jobd_lease_info info_of(const struct lease *lease)
{
    const struct job *job = lease->job;
    struct jobd_lease_info info = {.id = job->id,
                                   .queue = job->queue,
                                   .attempt = job->attempt,
                                   .since_us = lease->started_us,
                                   .expires_us = lease->due.at_us};
    said_worker(job, info.worker);
    return info;
}

/* True: it matches, and is in *info. */
static bool look_at(const struct jobd_lease_filter *filter, const struct lease *lease,
                    struct jobd_lease_info *info)
{
    if (!is_held(lease) ||
        (filter->queue != JOBD_NO_QUEUE && jobd_queue_index(filter->queue) != lease->job->queue))
        return false;
    *info = info_of(lease);
    return filter->worker == NULL || strcmp(filter->worker, info->worker) == 0;
}

/* By their places: a lease stays in its own as long as it is held. */
size_t jobd_leases(struct jobd *jobd, const struct jobd_lease_filter *filter,
                   struct jobd_lease_info *infos, size_t len, uint64_t *next)
{
    uint64_t at = filter->after, until = at + LOOKS_MAX, used;
    size_t found = 0;
    do {
        struct jobd_lease_info info;
        mutex_lock(&jobd->lock);
        const struct leases *leases = &jobd->leases;
        used = leases->used;
        for (unsigned i = 0; i < LOOKS_AT_A_TIME && at < used && found < len; i++, at++)
            if (look_at(filter, &leases->all[at], &info))
                infos[found++] = info;
        mutex_unlock(&jobd->lock);
    } while (at < used && at < until && found < len);
    *next = at < used ? at : 0;
    return found;
}
