/* SPDX-License-Identifier: MIT */
/* Start and end: the configuration, closing it. */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admission.h"
#include "engine/breaker.h"
#include "engine/dispatch.h"
#include "engine/changes.h"
#include "engine/touched.h"
#include "engine/waiters.h"

enum {
    ENTRIES_MORE = 1024, /* in the journal, for what waiters, workers and leases do not count for */
    RECORDS_MORE = 8192  /* of jobs that are forgotten, but not on disk yet */
};

/* ---- start and end */

/* With a journal a worker may begin its next while the end of the one before is being written. */
static uint64_t running_max(uint64_t workers, bool durable)
{
    return durable ? 2 * workers : workers;
}

/* With a journal those are kept too whose end is being written. */
uint64_t jobd_records_needed(uint64_t waiting, uint64_t workers, uint64_t leases, uint64_t kept,
                             bool durable)
{
    return waiting + running_max(workers, durable) + leases +
           (durable ? 2 * kept + RECORDS_MORE : kept);
}

/* What the configuration comes to. */
struct size {
    uint64_t here;             /* jobs that run in this process */
    uint64_t running, records; /* jobs that run, leased ones included; jobs in all */
    bool durable;
};

/* False when it is unsound. */
static bool measure(const struct jobd_config *config, struct size *size)
{
    uint64_t waiting = 0, workers = 0, kept = 0;
    if (config->queues_len == 0 || config->queues_len > UINT16_MAX || config->first_id == 0 ||
        config->first_id > JOBD_FIRST_ID_MAX)
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
    size->durable = config->on_journal_ready != NULL || config->turns != NULL;
    size->here = running_max(workers, size->durable);
    workers *= config->turns != NULL ? NODES_MAX : 1;
    size->running = running_max(workers, size->durable) + config->leases_max;
    size->records = jobd_records_needed(waiting, workers, config->leases_max, kept, size->durable);
    return size->records < JOBD_RECORDS_MAX;
}

/* A job that runs has at most two entries, one whose end is being written has one: so many are
 * reserved, and those beyond the reserve are for requests. */
static int new_journal(struct journal *journal, const struct jobd_config *config,
                       const struct size *size)
{
    uint64_t reserved = 2 * size->running + ENTRIES_MORE, max = reserved + config->waiters_max;
    if (config->on_journal_ready == NULL)
        return journal_init(journal, 0, 0);
    return max + ENTRIES_MORE < UINT32_MAX
               ? journal_init(journal, (uint32_t)max + ENTRIES_MORE, (uint32_t)reserved)
               : -EINVAL;
}

static int new_queues_locked(struct jobd *jobd, const struct jobd_config *config)
    REQUIRES(jobd->lock)
{
    int error = 0;
    jobd->queues = calloc(config->queues_len, sizeof *jobd->queues);
    if (jobd->queues == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < config->queues_len && error == 0; i++) {
        const struct jobd_queue_config *queue = &config->queues[i];
        uint64_t workers = queue_workers_max(queue) * (config->turns != NULL ? NODES_MAX : 1U);
        error = queue_init(&jobd->queues[i], queue, (uint32_t)running_max(workers, jobd->durable),
                           queue->undeclared ? 0 : config->leases_max);
        jobd->queues_len++;
    }
    return error;
}

static int name_compare(const void *left, const void *right, void *context)
{
    const struct queue *queues = context;
    return strcmp(queues[*(const uint32_t *)left].name, queues[*(const uint32_t *)right].name);
}

/* There may be very many that are not declared. */
static int sort_names_locked(struct jobd *jobd) REQUIRES(jobd->lock)
{
    jobd->by_name = calloc(jobd->queues_len, sizeof *jobd->by_name);
    if (jobd->by_name == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        jobd->by_name[i] = i;
    qsort_r(jobd->by_name, jobd->queues_len, sizeof *jobd->by_name, name_compare, jobd->queues);
    return 0;
}

/* All memory that it will ever need for its tables. */
static int new_tables_locked(struct jobd *jobd, const struct jobd_config *config,
                             const struct size *size) REQUIRES(jobd->lock)
{
    int error = new_queues_locked(jobd, config);
    if (error == 0)
        error = sort_names_locked(jobd);
    if (error == 0)
        error = jobs_init(&jobd->jobs, (uint32_t)size->records, config->queues_len,
                          config->memory_bytes);
    for (uint32_t i = 0; i < config->queues_len && error == 0; i++)
        jobd->jobs.remembered[i].keep = config->keep;
    if (error == 0)
        error = new_journal(&jobd->journal, config, size);
    if (error == 0)
        error = heap_init(&jobd->delays, config->queues_len);
    if (error == 0)
        error = heap_init(&jobd->deadlines, config->waiters_max);
    if (error == 0)
        error = heap_init(&jobd->probes, config->queues_len);
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
    jobd->waiters_max = config->waiters_max;
    jobd->on_earlier_deadline = config->on_earlier_deadline;
    jobd->context = config->context;
    jobd->on_forgotten_early = config->on_forgotten_early;
    jobd->forgotten_context = config->forgotten_context;
    jobd->on_journal_ready = config->on_journal_ready;
    jobd->journal_context = config->journal_context;
    jobd->on_failure = config->on_failure;
    jobd->failure_context = config->failure_context;
    jobd->ticks_at_us = JOBD_NEVER;
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
    mutex_lock(&new->lock); /* nobody else sees it yet: for the analysis */
    new->durable = size.durable;
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
    leases_release(&jobd->leases);
    failures_release(&jobd->failures);
    share_release(jobd);
    heap_release(&jobd->delays);
    heap_release(&jobd->deadlines);
    heap_release(&jobd->probes);
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        queue_release(&jobd->queues[i]);
    free(jobd->queues);
    free(jobd->by_name);
    mutex_unlock(&jobd->lock);
    mutex_release(&jobd->lock);
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
        wait_end_all_locked(&op, &jobd->queues[i].take_waiters, JOBD_CLOSED);
    op_end(&op);
}

int jobd_queue_change(struct jobd *jobd, uint32_t queue, const struct jobd_queue_config *config,
                      int64_t now_us)
{
    verify(queue < jobd->queues_len);
    if (!queue_terms_sound(config))
        return -EINVAL;
    struct op op;
    op_begin(&op, jobd, NULL, now_us);
    queue_set_terms(&jobd->queues[queue], config);
    breaker_change_locked(&op, &jobd->queues[queue], config);
    dispatch_locked(&op, &jobd->queues[queue]);
    op_end(&op);
    return 0;
}

/* Puts that wait for more room than there is now when all of it is free, and so would block those
 * behind them for ever. */
static void refuse_too_large_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock)
{
    struct waiting *waiting = TAILQ_FIRST(&queue->put_waiters), *next;
    for (; waiting != NULL; waiting = next) {
        next = TAILQ_NEXT(waiting, link);
        if (admission_jobs(&waiting->put) > queue->capacity)
            admission_give_up_locked(op, waiter_of(waiting));
    }
}

/* Some are one too many, and only whoever owns them knows which. */
static void send_workers_home_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock)
{
    struct waiting *waiting = TAILQ_FIRST(&queue->take_waiters), *next;
    for (; waiting != NULL; waiting = next) {
        next = TAILQ_NEXT(waiting, link);
        if (waiter_of(waiting)->lease_us == 0)
            wait_end_locked(op, waiter_of(waiting), JOBD_TIMEOUT);
    }
}

int jobd_queue_resize(struct jobd *jobd, uint32_t index, uint32_t capacity, uint32_t workers,
                      int64_t now_us)
{
    struct op op;
    verify(index < jobd->queues_len);
    struct queue *queue = &jobd->queues[index];
    if (capacity == 0 || capacity > queue->capacity_max || workers > queue->workers_max)
        return -EINVAL;
    op_begin(&op, jobd, NULL, now_us);
    op.outside = true;
    if (workers < queue->workers)
        send_workers_home_locked(&op, queue);
    queue->capacity = capacity;
    queue->workers = workers;
    refuse_too_large_locked(&op, queue);
    dispatch_soon_locked(&op, queue);
    op_end(&op);
    return 0;
}
