/* SPDX-License-Identifier: MIT */
/* What a queue may grow to while the server runs, and how many more may come in. What is not used
 * costs address space alone. */
#pragma once

#include "jobd/queue.h"
#include "server/options.h"

struct queue_room {
    uint32_t capacity, workers;
};

/* Twice what is asked for, at least some, at most a fair amount more. */
struct queue_room queue_room_of(const struct queue_options *queue);
/* The same for one that comes in later: fewer workers more, as all of those share what is spare. */
struct queue_room queue_room_of_added(const struct queue_options *queue);
/* Fills in the spare ones of a configuration whose queues are there: as many as there are records
 * for, and fewer with a larger keep: none beyond some 300,000. */
void queue_room_spare(struct jobd_config *config);
