/* SPDX-License-Identifier: MIT */
#include "engine/events.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/job_info.h"

void events_note_locked(struct op *op, const struct job *job) REQUIRES(op->jobd->lock)
{
    struct events *events = &op->jobd->events;
    if (events->ring == NULL)
        return;
    if (events->written - events->read == JOBD_EVENTS_MAX) {
        events->read++;
        events->missed++;
    }
    struct jobd_event *event = &events->ring[events->written++ % JOBD_EVENTS_MAX];
    event->queue = op->jobd->queues[job->queue].number;
    job_info(job, &event->info);
    op->tell_event |= events->written - events->read == 1;
}

int jobd_events_keep(struct jobd *jobd, bool keep)
{
    struct jobd_event *ring = keep ? calloc(JOBD_EVENTS_MAX, sizeof *ring) : NULL;
    if (keep && ring == NULL)
        return -ENOMEM;
    mutex_lock(&jobd->lock);
    struct jobd_event *former = jobd->events.ring;
    jobd->events = (struct events){.ring = ring};
    mutex_unlock(&jobd->lock);
    free(former);
    return 0;
}

size_t jobd_events(struct jobd *jobd, struct jobd_event *list, size_t len, uint64_t *missed)
{
    size_t found = 0;
    mutex_lock(&jobd->lock);
    struct events *events = &jobd->events;
    while (found < len && events->read < events->written)
        list[found++] = events->ring[events->read++ % JOBD_EVENTS_MAX];
    *missed = events->missed;
    events->missed = 0;
    mutex_unlock(&jobd->lock);
    return found;
}
