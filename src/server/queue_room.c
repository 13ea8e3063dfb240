/* SPDX-License-Identifier: MIT */
#include "server/queue_room.h"

enum {
    JOBS_LEAST = 1024,
    JOBS_MORE = 100000,
    WORKERS_LEAST = 64,
    WORKERS_MAX = 1024,
    ADDED_WORKERS_LEAST = 8,
    SPARE_QUEUES = 64,
    SPARE_JOBS = 200000,  /* that wait in all that come in */
    SPARE_KEPT = 1000000, /* that have ended in them */
    SPARE_WORKERS = 512
};

static uint32_t at_most(uint64_t number, uint64_t limit)
{
    return (uint32_t)(number < limit ? number : limit);
}

static uint32_t larger(uint32_t one, uint32_t other)
{
    return one > other ? one : other;
}

static struct queue_room room_of(const struct queue_options *queue, uint32_t workers_least)
{
    uint64_t jobs = queue->capacity + at_most(queue->capacity, JOBS_MORE);
    uint64_t workers = 2 * queue->workers;
    return (struct queue_room){
        .capacity = at_most(jobs > JOBS_LEAST ? jobs : JOBS_LEAST, UINT32_MAX),
        .workers = at_most(workers > workers_least ? workers : workers_least, WORKERS_MAX)};
}

struct queue_room queue_room_of(const struct queue_options *queue)
{
    return room_of(queue, WORKERS_LEAST);
}

struct queue_room queue_room_of_added(const struct queue_options *queue)
{
    return room_of(queue, ADDED_WORKERS_LEAST);
}

void queue_room_spare(struct jobd_config *config)
{
    uint64_t waiting = SPARE_JOBS, workers = SPARE_WORKERS, kept = 0, spare = SPARE_QUEUES;
    for (uint32_t i = 0; i < config->queues_len; i++) {
        const struct jobd_queue_config *queue = &config->queues[i];
        waiting += larger(queue->restored, larger(queue->capacity, queue->capacity_max));
        workers += larger(queue->workers, queue->workers_max);
        kept += queue->undeclared ? 0 : 3 * (uint64_t)config->keep;
    }
    if (3 * (uint64_t)config->keep * spare > SPARE_KEPT)
        spare = SPARE_KEPT / (3 * (uint64_t)config->keep);
    while (spare > 0 &&
           (config->queues_len + spare > UINT16_MAX ||
            jobd_records_needed(waiting, workers, config->leases_max,
                                kept + 3 * (uint64_t)config->keep * spare,
                                config->on_journal_ready.call != NULL) >= JOBD_RECORDS_MAX / 2))
        spare /= 2;
    if (spare == 0)
        return;
    config->spare_queues = (uint32_t)spare;
    config->spare_capacity = SPARE_JOBS;
    config->spare_workers = SPARE_WORKERS;
}
