/* SPDX-License-Identifier: MIT */
#include "server/queue_config.h"

struct jobd_queue_config queue_config(const struct queue_options *queue,
                                      const struct queue_room *room)
{
    return (struct jobd_queue_config){
        .name = queue->name,
        .capacity = (uint32_t)queue->capacity,
        .workers = (uint32_t)queue->workers,
        .attempts = (uint32_t)queue->attempts,
        .timeout_us = queue->timeout_us,
        .backoff_min_us = queue->backoff.min_us,
        .backoff_max_us = queue->backoff.max_us,
        .breaker_failures = (uint32_t)queue->breaker.failures,
        .breaker_us = queue->breaker.probe_us,
        .expires_us = queue->expires_us,
        .keep_us = queue->keep_us,
        .limits = {.running = (uint32_t)queue->running,
                   .starts = (uint32_t)queue->rate.starts,
                   .per_us = queue->rate.per_us},
        .by_group = queue->per_key.given,
        .group_limits = {.running = (uint32_t)queue->per_key.running,
                         .starts = (uint32_t)queue->per_key.rate.starts,
                         .per_us = queue->per_key.rate.per_us},
        .group_waiting = (uint32_t)queue->per_key.waiting,
        .capacity_max = room->capacity,
        .workers_max = room->workers,
        .deliveries = queue->callbacks,
    };
}
