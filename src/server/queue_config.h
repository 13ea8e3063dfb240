/* SPDX-License-Identifier: MIT */
/* A queue's settings as the engine takes them. */
#pragma once

#include "jobd/queue.h"
#include "server/options.h"
#include "server/queue_room.h"

/* All but what is restored; the name is borrowed. */
struct jobd_queue_config queue_config(const struct queue_options *queue,
                                      const struct queue_room *room);
