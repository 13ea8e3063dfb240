/* SPDX-License-Identifier: MIT */
/* Start and end: the configuration, closing it. */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/submit.h"
#include "engine/waiters.h"

enum {
    ENTRIES_MORE = 1024, /* in the journal, for what waiters, workers and leases do not count for */
    RECORDS_MORE = 8192  /* of jobs that are forgotten, but not on disk yet */
};

/* ---- start and end */

/* With a journal a worker may begin its next while the end of the one before is being written. */
static uint64_t running_max(const struct jobd_config *config, const struct jobd_queue_config *queue)
{
    return config->on_journal_ready != NULL ? 2 * (uint64_t)queue->workers : queue->workers;
}

/* Records of jobs that have ended; with a journal of those too whose end is being written. */
static uint64_t records_kept(const struct jobd_config *config)
{
    uint64_t kept = 3 * (uint64_t)config->keep * config->queues_len;
    return config->on_journal_ready != NULL ? 2 * kept + RECORDS_MORE : kept;
}

static bool sound(const struct jobd_config *config, uint64_t *waiting, uint64_t *running)
{
    if (config->queues_len == 0 || config->queues_len > UINT16_MAX || config->first_id == 0 ||
        config->first_id > JOBD_FIRST_ID_MAX)
        return false;
    for (uint32_t i = 0; i < config->queues_len; i++) {
        const struct jobd_queue_config *queue = &config->queues[i];
        size_t length = strlen(queue->name);
        if (length == 0 || length > JOBD_QUEUE_NAME_MAX || queue->capacity == 0 ||
            !queue_terms_sound(queue))
            return false;
        *waiting += queue_waiting_max(queue);
        *running += running_max(config, queue);
    }
    *running += config->leases_max;
    return *waiting + *running + records_kept(config) < UINT32_MAX;
}

/* A job that runs has at most two entries, one whose end is being written has one: so many are
 * reserved, and those beyond the reserve are for requests. */
static int new_journal(struct journal *journal, const struct jobd_config *config, uint64_t running)
{
    uint64_t reserved = 2 * running + ENTRIES_MORE, max = reserved + config->waiters_max;
    if (config->on_journal_ready == NULL)
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
    new->on_earlier_deadline = config->on_earlier_deadline;
    new->context = config->context;
    new->on_forgotten_early = config->on_forgotten_early;
    new->forgotten_context = config->forgotten_context;
    new->on_journal_ready = config->on_journal_ready;
    new->durable = config->on_journal_ready != NULL;
    new->journal_context = config->journal_context;
    new->on_failure = config->on_failure;
    new->failure_context = config->failure_context;
    new->ticks_at_us = JOBD_NEVER;
    TAILQ_INIT(&new->idle_waiters);
    TAILQ_INIT(&new->purge_waiters);
    new->queues = calloc(config->queues_len, sizeof *new->queues);
    if (new->queues == NULL)
        error = -ENOMEM;
    for (uint32_t i = 0; i < config->queues_len && error == 0; i++) {
        error = queue_init(&new->queues[i], &config->queues[i],
                           (uint32_t)running_max(config, &config->queues[i]), config->leases_max);
        new->queues_len++;
    }
    if (error == 0)
        error =
            jobs_init(&new->jobs, (uint32_t)(waiting + running + records_kept(config)),
                      config->queues_len, config->memory_bytes, config->on_journal_ready != NULL);
    for (uint32_t i = 0; i < config->queues_len && error == 0; i++)
        new->jobs.remembered[i].keep = config->keep;
    if (error == 0)
        error = new_journal(&new->journal, config, running);
    if (error == 0)
        error = heap_init(&new->delays, config->queues_len);
    if (error == 0)
        error = heap_init(&new->deadlines, config->waiters_max);
    if (error == 0)
        error = leases_init(&new->leases, config->leases_max);
    if (error == 0)
        error = failures_init(&new->failures, config);
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
    heap_release(&jobd->delays);
    heap_release(&jobd->deadlines);
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        queue_release(&jobd->queues[i]);
    free(jobd->queues);
    mutex_unlock(&jobd->lock);
    mutex_release(&jobd->lock);
    free(jobd);
}

/* ---- stopping */

void jobd_close(struct jobd *jobd)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
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
    jobd->takers_stopped = true;
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        wait_end_all_locked(&op, &jobd->queues[i].take_waiters, JOBD_CLOSED);
    op_end(&op);
}

int jobd_queue_change(struct jobd *jobd, uint32_t queue, const struct jobd_queue_config *config)
{
    verify(queue < jobd->queues_len);
    if (!queue_terms_sound(config))
        return -EINVAL;
    mutex_lock(&jobd->lock);
    queue_set_terms(&jobd->queues[queue], config);
    mutex_unlock(&jobd->lock);
    return 0;
}
