/* SPDX-License-Identifier: MIT */
/* The heart's start and end: its configuration, closing it, and whether it is idle. */
#include "heart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    ENTRIES_MORE = 1024, /* in the journal, for what waiters, workers and leases do not count for */
    RECORDS_MORE = 8192  /* of jobs that are forgotten, but not on disk yet */
};

/* ---- start and end */

/* Jobs that wait at most, and that run: with a journal a worker may begin its next while the end of
 * the one before is being written. */
static uint32_t waiting_max(const struct jobd_queue_config *config)
{
    return config->restored > config->capacity ? config->restored : config->capacity;
}

static uint64_t running_max(const struct jobd_config *config, const struct jobd_queue_config *queue)
{
    return config->journal != NULL ? 2 * (uint64_t)queue->workers : queue->workers;
}

static bool terms_sound(const struct jobd_queue_config *config)
{
    return config->attempts <= JOBD_ATTEMPTS_MAX && config->timeout_us >= 0 &&
           config->backoff_min_us >= 0 && config->backoff_max_us >= config->backoff_min_us;
}

static void set_terms(struct queue *queue, const struct jobd_queue_config *config)
{
    queue->attempts = (uint16_t)(config->attempts > 0 ? config->attempts : 1);
    queue->timeout_us = config->timeout_us;
    queue->backoff_min_us = config->backoff_min_us;
    queue->backoff_max_us = config->backoff_max_us;
}

static int queue_init(struct queue *queue, const struct jobd_queue_config *config, uint32_t running,
                      uint32_t leases_max)
{
    strcpy(queue->name, config->name);
    queue->capacity = config->capacity;
    queue->workers = config->workers;
    queue->room = waiting_max(config) + running + leases_max;
    set_terms(queue, config);
    TAILQ_INIT(&queue->scheduled);
    TAILQ_INIT(&queue->running);
    TAILQ_INIT(&queue->takers);
    TAILQ_INIT(&queue->putters);
    int error = heap_init(&queue->delays, queue->room);
    for (unsigned lane = 0; lane < JOBD_PRIORITIES && error == 0; lane++)
        error = ring_init(&queue->lanes[lane], queue->room);
    return error;
}

/* Records of jobs that have ended; with a journal of those too whose end is being written. */
static uint64_t records_kept(const struct jobd_config *config)
{
    uint64_t kept = 2 * (uint64_t)config->keep;
    return config->journal != NULL ? 2 * kept + RECORDS_MORE : kept;
}

static bool sound(const struct jobd_config *config, uint64_t *waiting, uint64_t *running)
{
    if (config->queues_len == 0 || config->queues_len > UINT16_MAX || config->first_id == 0)
        return false;
    for (uint32_t i = 0; i < config->queues_len; i++) {
        const struct jobd_queue_config *queue = &config->queues[i];
        size_t length = strlen(queue->name);
        if (length == 0 || length > JOBD_QUEUE_NAME_MAX || queue->capacity == 0 ||
            !terms_sound(queue))
            return false;
        *waiting += waiting_max(queue);
        *running += running_max(config, queue);
    }
    *running += config->leases_max;
    return *waiting + *running + records_kept(config) < UINT32_MAX;
}

/* Whoever has ended has no more than one entry, whoever runs two; the rest is for those who ask. */
static int new_journal(struct journal *journal, const struct jobd_config *config, uint64_t running)
{
    uint64_t reserved = 2 * running + ENTRIES_MORE, max = reserved + config->waiters_max;
    if (config->journal == NULL)
        return journal_init(journal, 0, 0);
    return max + ENTRIES_MORE < UINT32_MAX
               ? journal_init(journal, (uint32_t)max + ENTRIES_MORE, (uint32_t)reserved)
               : -EINVAL;
}

int jobd_new(struct jobd **jobd, const struct jobd_config *config)
{
    uint64_t waiting = 0, running = 0;
    if (!sound(config, &waiting, &running))
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
    new->next_id = config->first_id;
    new->waiters_max = config->waiters_max;
    new->earlier = config->earlier;
    new->context = config->context;
    new->wanted = config->journal;
    new->wanted_context = config->journal_context;
    new->ticks_at_us = JOBD_NEVER;
    TAILQ_INIT(&new->idlers);
    new->queues = calloc(config->queues_len, sizeof *new->queues);
    if (new->queues == NULL)
        error = -ENOMEM;
    for (uint32_t i = 0; i < config->queues_len && error == 0; i++) {
        error = queue_init(&new->queues[i], &config->queues[i],
                           (uint32_t)running_max(config, &config->queues[i]), config->leases_max);
        new->queues_len++;
    }
    if (error == 0)
        error = jobs_init(&new->jobs, (uint32_t)(waiting + running + records_kept(config)),
                          config->keep, config->memory_bytes);
    new->jobs.journal = &new->journal;
    if (error == 0)
        error = new_journal(&new->journal, config, running);
    if (error == 0)
        error = heap_init(&new->delays, config->queues_len);
    if (error == 0)
        error = heap_init(&new->deadlines, config->waiters_max);
    if (error == 0)
        error = leases_init(&new->leases, config->leases_max);
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
            verify(TAILQ_EMPTY(&jobd->queues[i].running) || journal_on(&jobd->journal));
        jobs_release(&jobd->jobs);
    }
    journal_release(&jobd->journal);
    leases_release(&jobd->leases);
    heap_release(&jobd->delays);
    heap_release(&jobd->deadlines);
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        heap_release(&jobd->queues[i].delays);
        for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++)
            ring_release(&jobd->queues[i].lanes[lane]);
    }
    free(jobd->queues);
    mutex_unlock(&jobd->lock);
    mutex_release(&jobd->lock);
    free(jobd);
}

/* ---- stopping */

bool jobd_idle_locked(struct jobd *jobd)
{
    bool lasts = journal_on(&jobd->journal); /* what waits or is leased outlives the process */
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        const struct queue *queue = &jobd->queues[i];
        uint32_t leased = lasts ? queue->leased : 0;
        if ((queue_waiting(queue) > 0 && !lasts) || queue->in_state[JOBD_RUNNING] > leased)
            return false;
    }
    return true;
}

void jobd_close(struct jobd *jobd)
{
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    jobd->closed = true;
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        struct jobd_waiter *putter;
        while ((putter = TAILQ_FIRST(&jobd->queues[i].putters)) != NULL)
            wait_end_locked(jobd, putter, JOBD_CLOSED, &after);
    }
    unlock_and_tell(jobd, &after);
}

bool jobd_closed(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    bool closed = jobd->closed;
    mutex_unlock(&jobd->lock);
    return closed;
}

void jobd_dismiss(struct jobd *jobd)
{
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    jobd->dismissed = true;
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        struct jobd_waiter *taker;
        while ((taker = TAILQ_FIRST(&jobd->queues[i].takers)) != NULL)
            wait_end_locked(jobd, taker, JOBD_CLOSED, &after);
    }
    unlock_and_tell(jobd, &after);
}

int jobd_queue_change(struct jobd *jobd, uint32_t queue, const struct jobd_queue_config *config)
{
    verify(queue < jobd->queues_len);
    if (!terms_sound(config))
        return -EINVAL;
    mutex_lock(&jobd->lock);
    set_terms(&jobd->queues[queue], config);
    mutex_unlock(&jobd->lock);
    return 0;
}
