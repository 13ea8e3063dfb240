/* SPDX-License-Identifier: MIT */
/* Start and end: the configuration, closing it. */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/fair.h"
#include "engine/touched.h"
#include "engine/waiters.h"

enum {
    ENTRIES_MORE = 1024, /* in the journal, for what waiters, workers and leases do not count for */
    RECORDS_MORE = 8192  /* of jobs that are forgotten, but not on disk yet */
};

/* ---- start and end */

/* With a journal those are kept too whose end is being written. */
uint64_t jobd_records_needed(uint64_t waiting, uint64_t workers, uint64_t leases, uint64_t kept,
                             bool durable)
{
    return waiting + queue_running_max(workers, durable) + leases +
           (durable ? 2 * kept + RECORDS_MORE : kept);
}

/* What the configuration comes to. */
struct size {
    uint64_t here;             /* jobs that run in this process */
    uint32_t promises;         /* jobs that have ended and may not be forgotten */
    uint64_t running, records; /* jobs that run, leased ones included; jobs in all */
    bool durable;
};

/* So many have room in the memory, where their records count too. */
static uint32_t retainable_max(const struct jobd_config *config)
{
    uint64_t fit = config->memory_bytes / (RECORD_WEIGHT + sizeof(struct job_extra));
    return fit < RETAINABLE_MAX ? (uint32_t)fit : RETAINABLE_MAX;
}

/* As many as fit into an eighth of the memory. */
static uint32_t idle_groups_max(const struct jobd_config *config)
{
    size_t most = config->memory_bytes / 8 / (sizeof(struct group) + JOBD_GROUP_SIZE);
    return most < GROUPS_IDLE_MAX ? (uint32_t)most : GROUPS_IDLE_MAX;
}

/* False when it is unsound. */
static bool measure(const struct jobd_config *config, struct size *size)
{
    uint64_t waiting = 0, workers = 0, kept = 0;
    if (config->queues_len == 0 || config->queues_len > UINT16_MAX ||
        config->spare_queues > UINT16_MAX - config->queues_len || config->first_id == 0 ||
        config->first_id > JOBD_FIRST_ID_MAX || config->keep_for_us < 0)
        return false;
    for (uint32_t i = 0; i < config->queues_len; i++) {
        const struct jobd_queue_config *queue = &config->queues[i];
        size_t length = strlen(queue->name);
        bool takes = queue->capacity > 0, works = queue->workers > 0;
        if (length == 0 || length > JOBD_QUEUE_NAME_MAX || takes == queue->undeclared ||
            (works && queue->undeclared) || !queue_terms_sound(queue))
            return false;
        waiting += queue_waiting_max(queue);
        workers += queue_workers_max(queue);
        kept += queue->undeclared ? 0 : 3 * (uint64_t)config->keep;
    }
    waiting += config->spare_capacity;
    workers += config->spare_workers;
    kept += 3 * (uint64_t)config->keep * config->spare_queues;
    size->durable = config->on_journal_ready.call != NULL || config->turns != NULL;
    size->here = queue_running_max(workers, size->durable);
    workers *= config->turns != NULL ? NODES_MAX : 1;
    size->running = queue_running_max(workers, size->durable) + config->leases_max;
    size->records = jobd_records_needed(waiting, workers, config->leases_max, kept, size->durable);
    size->promises = retainable_max(config);
    if (size->records + size->promises < JOBD_RECORDS_MAX)
        size->records += size->promises;
    else
        size->promises = 0;
    return size->records < JOBD_RECORDS_MAX;
}

/* A job that runs has at most two entries, one whose end is being written has one: so many are
 * reserved, and those beyond the reserve are for requests. */
static int new_journal(struct journal *journal, const struct jobd_config *config,
                       const struct size *size)
{
    uint64_t reserved = 2 * size->running + ENTRIES_MORE, max = reserved + config->waiters_max;
    if (config->on_journal_ready.call == NULL)
        return journal_init(journal, 0, 0);
    return max + ENTRIES_MORE < UINT32_MAX
               ? journal_init(journal, (uint32_t)max + ENTRIES_MORE, (uint32_t)reserved)
               : -EINVAL;
}

int engine_queue_init(const struct jobd *jobd, struct queue *queue,
                      const struct jobd_queue_config *config)
{
    uint64_t workers = (uint64_t)queue_workers_max(config) * jobd->processes;
    int error = queue_init(queue, config, (uint32_t)queue_running_max(workers, jobd->durable),
                           config->undeclared ? 0 : jobd->leases_max);
    if (config->deliveries)
        queue->promised = &jobd->jobs.deliveries;
    if (error == 0 && config->by_group)
        error = fair_init_on(queue, config, jobd->idle_groups_max);
    return error;
}

static int new_queue_locked(struct jobd *jobd, const struct jobd_queue_config *config)
    REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[jobd->queues_len];
    struct jobd_queue_config own = *config;
    own.name = queue_names_keep(&jobd->names, config->name);
    if (own.name == NULL)
        return -ENOMEM;
    int error = engine_queue_init(jobd, queue, &own);
    if (config->deliveries)
        jobd->deliveries = jobd->queues_len;
    queue->number = jobd->queues_len++;
    if (error == 0)
        queue_names_append(&jobd->names, own.name, queue->number);
    return error;
}

static int new_queues_locked(struct jobd *jobd, const struct jobd_config *config)
    REQUIRES(jobd->lock)
{
    jobd->queues_max = config->queues_len + config->spare_queues;
    jobd->queues = calloc(jobd->queues_max, sizeof *jobd->queues);
    int error = jobd->queues != NULL ? queue_names_init(&jobd->names, jobd->queues_max) : -ENOMEM;
    for (uint32_t i = 0; i < config->queues_len && error == 0; i++)
        error = new_queue_locked(jobd, &config->queues[i]);
    return error == 0 ? queue_names_sort(&jobd->names) : error;
}

/* All memory that it will ever need for its tables. */
static int new_tables_locked(struct jobd *jobd, const struct jobd_config *config,
                             const struct size *size) REQUIRES(jobd->lock)
{
    int error = new_queues_locked(jobd, config);
    if (error == 0)
        error =
            jobs_init(&jobd->jobs, (uint32_t)size->records, jobd->queues_max, config->memory_bytes);
    if (error == 0)
        error = batches_init(&jobd->jobs.batches, (uint32_t)size->records, jobd->queues_max,
                             config->keep);
    jobd->jobs.batches.durable = size->durable;
    jobd->jobs.batches.shared = config->turns != NULL;
    jobd->jobs.retainable_max = size->promises;
    for (uint32_t i = 0; i < jobd->queues_max && error == 0; i++)
        jobd->jobs.remembered[i].keep = config->keep;
    jobd->jobs.keep_for_us = config->keep_for_us;
    if (error == 0)
        error = new_journal(&jobd->journal, config, size);
    if (error == 0)
        error = schedules_init(&jobd->schedules, config->schedules);
    jobd->schedules.shared = config->turns != NULL;
    if (error == 0)
        error = heap_init(&jobd->delays, jobd->queues_max);
    if (error == 0)
        error = heap_init(&jobd->deadlines, config->waiters_max);
    if (error == 0)
        error = heap_init(&jobd->probes, jobd->queues_max);
    if (error == 0)
        error = heap_init(&jobd->limits, jobd->queues_max);
    if (error == 0)
        error = leases_init(&jobd->leases, config->leases_max,
                            config->turns != NULL ? 2 * config->leases_max : config->leases_max);
    if (error == 0)
        error = failures_init(&jobd->failures, config);
    if (error == 0 && config->turns != NULL)
        error = share_init(jobd, config->turns, (uint32_t)size->here);
    return error;
}

static void set_up_locked(struct jobd *jobd, const struct jobd_config *config) REQUIRES(jobd->lock)
{
    jobd->next_id = config->first_id;
    jobd->deliveries = JOBD_NO_QUEUE;
    jobd->waiters_max = config->waiters_max;
    jobd->leases_max = config->leases_max;
    jobd->spare_capacity = config->spare_capacity;
    jobd->spare_workers = config->spare_workers;
    jobd->on_earlier_deadline = config->on_earlier_deadline;
    jobd->on_forgotten_early = config->on_forgotten_early;
    jobd->on_journal_ready = config->on_journal_ready;
    if (config->schedules != NULL)
        jobd->on_schedule = config->schedules->on_change;
    jobd->on_failure = config->on_failure;
    jobd->on_event = config->on_event;
    jobd->ticks_at_us = JOBD_NEVER;
    edges_init(&jobd->edges);
    TAILQ_INIT(&jobd->idle_waiters);
    TAILQ_INIT(&jobd->sweep_waiters);
}

int jobd_new(struct jobd **jobd, const struct jobd_config *config)
{
    struct size size;
    if (!measure(config, &size))
        return -EINVAL;
    struct jobd *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    int error = mutex_init(&new->lock);
    if (error != 0) {
        free(new);
        return error;
    }
    error = mutex_init(&new->adding);
    if (error != 0) {
        mutex_release(&new->lock);
        free(new);
        return error;
    }
    mutex_lock(&new->lock); /* nobody else sees it yet: for the analysis */
    new->durable = size.durable;
    new->idle_groups_max = idle_groups_max(config);
    new->processes = config->turns != NULL ? NODES_MAX : 1;
    set_up_locked(new, config);
    error = new_tables_locked(new, config, &size);
    mutex_unlock(&new->lock);
    if (error == 0)
        *jobd = new;
    else
        jobd_free(new);
    return error;
}

void jobd_free(struct jobd *jobd)
{
    if (jobd == NULL)
        return;
    mutex_lock(&jobd->lock);
    verify(jobd->waiters == 0);
    if (jobd->jobs.records != NULL) {
        for (uint32_t i = 0; i < jobd->queues_len; i++) /* with a journal leases outlive it */
            verify(TAILQ_EMPTY(&jobd->queues[i].running) || jobd->durable);
        jobs_release(&jobd->jobs);
    }
    journal_release(&jobd->journal);
    schedules_release(&jobd->schedules);
    edges_release(&jobd->edges);
    leases_release(&jobd->leases);
    failures_release(&jobd->failures);
    free(jobd->events.ring);
    share_release(jobd);
    heap_release(&jobd->delays);
    heap_release(&jobd->deadlines);
    heap_release(&jobd->probes);
    heap_release(&jobd->limits);
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        fair_release(&jobd->queues[i]);
        queue_release(&jobd->queues[i]);
    }
    free(jobd->queues);
    queue_names_release(&jobd->names);
    mutex_unlock(&jobd->lock);
    mutex_release(&jobd->lock);
    mutex_release(&jobd->adding);
    free(jobd);
}

/* ---- stopping */

void jobd_close(struct jobd *jobd)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    op.outside = true;
    jobd->closed = true;
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        wait_end_all_locked(&op, &jobd->queues[i].put_waiters, JOBD_CLOSED);
    op_end(&op);
}

bool jobd_closed(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    bool closed = jobd->closed;
    mutex_unlock(&jobd->lock);
    return closed;
}

void jobd_stop_takers(struct jobd *jobd)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    op.outside = true;
    jobd->takers_stopped = true;
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        wait_end_takers_locked(&op, &jobd->queues[i], JOBD_CLOSED);
    op_end(&op);
}
