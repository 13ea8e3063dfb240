/* SPDX-License-Identifier: MIT */
#include "engine/events.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/job_info.h"
#include "engine/touched.h"

/* All that have been written may be read. */
static void show_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct events *events = &op->jobd->events;
    op->tell_event |= events->read >= events->visible && events->visible < events->written;
    events->visible = events->written;
}

void events_note_locked(struct op *op, const struct job *job, enum jobd_state was)
    REQUIRES(op->jobd->lock)
{
    struct events *events = &op->jobd->events;
    if (events->ring == NULL)
        return;
    if (events->written - events->read == JOBD_EVENTS_MAX)
        events->read++;
    struct jobd_event *event = &events->ring[events->written++ % JOBD_EVENTS_MAX];
    event->number = events->written;
    event->queue = op->jobd->queues[job->queue].number;
    event->was = was;
    job_info(job, &event->info);
    if (op->jobd->share == NULL || !op->jobd->share->in_turn)
        show_locked(op);
}

void events_settle_locked(struct op *op, bool lost) REQUIRES(op->jobd->lock)
{
    struct events *events = &op->jobd->events;
    if (!lost) {
        show_locked(op);
        return;
    }
    events->written = events->visible;
    events->read = events->read < events->visible ? events->read : events->visible;
}

int jobd_events_keep(struct jobd *jobd, bool keep)
{
    struct jobd_event *ring = keep ? calloc(JOBD_EVENTS_MAX, sizeof *ring) : NULL;
    if (keep && ring == NULL)
        return -ENOMEM;
    mutex_lock(&jobd->lock);
    struct events *events = &jobd->events;
    struct jobd_event *dropped = ring;
    if (keep != (events->ring != NULL)) {
        dropped = events->ring;
        events->ring = ring;
        events->read = events->visible = events->written;
    }
    mutex_unlock(&jobd->lock);
    free(dropped);
    return 0;
}

size_t jobd_events(struct jobd *jobd, struct jobd_event *list, size_t len)
{
    size_t found = 0;
    mutex_lock(&jobd->lock);
    struct events *events = &jobd->events;
    while (found < len && events->read < events->visible)
        list[found++] = events->ring[events->read++ % JOBD_EVENTS_MAX];
    mutex_unlock(&jobd->lock);
    return found;
}

uint64_t jobd_events_last(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    uint64_t last = jobd->events.visible;
    mutex_unlock(&jobd->lock);
    return last;
}
