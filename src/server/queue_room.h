/* SPDX-License-Identifier: MIT */
/* How far a queue may grow while the server runs, and how many more queues may be added. What is
 * not used costs only address space. */
#pragma once

#include "jobd/queue.h"
#include "server/options.h"

struct queue_room {
    uint32_t capacity, workers;
};

/* Twice what is asked for, but at least 1024 jobs and 64 workers, and at most 100000 jobs more and
 * 1024 workers. */
struct queue_room queue_room_of(const struct queue_options *queue);
/* The same for a queue that is added later, but at least 8 workers, as all such queues share the
 * spare ones. */
struct queue_room queue_room_of_added(const struct queue_options *queue);
/* Fills in the spare queues of a configuration that has all others: 64, or as many as there are
 * records for; fewer with a large `keep`, and none with one above some 300,000. */
void queue_room_spare(struct jobd_config *config);
