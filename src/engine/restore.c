/* SPDX-License-Identifier: MIT */
/* Bringing back what a store has kept. */
#include "engine/restore.h"

#include <stdlib.h>
#include <string.h>

#include "engine/attempt.h"
#include "engine/edges.h"
#include "engine/engine.h"
#include "engine/journal_store.h"
#include "engine/changes.h"
#include "engine/deliveries.h"
#include "engine/transition.h"
#include "engine/words.h"

struct jobd_blob *restore_blob(const struct jobd_blob *blob)
{
    union {
        const struct jobd_blob *read;
        struct jobd_blob *shared; /* only its count changes */
    } as = {.read = blob};
    return blob != NULL ? jobd_blob_ref(as.shared) : NULL;
}

static bool said_from(const struct job_record *record, struct said **said)
{
    *said = calloc(1, sizeof **said);
    if (*said == NULL)
        return false;
    (*said)->worker = restore_blob(record->worker);
    (*said)->progress = restore_blob(record->progress);
    return true;
}

bool restore_extra(const struct job_record *record, struct job_extra **extra)
{
    size_t key_size = strlen(record->key) + 1, trace_size = strlen(record->trace) + 1;
    bool said = record->worker != NULL || record->progress != NULL;
    *extra = NULL;
    if (record->timeout_us == 0 && record->expiry_us == 0 && record->keep_us == 0 &&
        key_size == 1 && trace_size == 1 && record->output == NULL && record->error == NULL &&
        record->errors == NULL && !said && record->source == 0 && words_weight(record->texts) == 0)
        return true;
    if (key_size > JOBD_KEY_SIZE || trace_size > JOBD_TRACE_SIZE)
        return false;
    *extra = calloc(1, sizeof **extra + key_size);
    if (*extra == NULL)
        return false;
    if (!words_new(record->texts, &(*extra)->words)) {
        extra_free(*extra);
        return false;
    }
    if (said && !said_from(record, &(*extra)->said)) {
        extra_free(*extra);
        return false;
    }
    (*extra)->timeout_us = record->timeout_us;
    (*extra)->delivers = record->source != 0;
    (*extra)->source = record->source;
    (*extra)->expires_us = record->unexpiring ? 0 : record->expiry_us;
    (*extra)->came_us = record->came_us;
    (*extra)->unique_until_us = record->unique_until_us;
    (*extra)->keep_us = record->keep_us;
    (*extra)->forget_us = later_us(record->ended_us, record->keep_us);
    (*extra)->expires_by_wall = record->expiry_at_us != 0;
    memcpy((*extra)->key, record->key, key_size);
    memcpy((*extra)->trace, record->trace, trace_size);
    (*extra)->output = restore_blob(record->output);
    (*extra)->error = restore_blob(record->error);
    (*extra)->errors = restore_blob(record->errors);
    (*extra)->errors_us = record->errors_us;
    return true;
}

/* A job that ran: a lease goes on; nobody of the process that ran it is left. */
static void resume_locked(struct op *op, struct job *job, const struct job_record *record)
    REQUIRES(op->jobd->lock)
{
    struct leases *leases = &op->jobd->leases;
    job->started_us = record->started_us;
    job->stopping = record->stopping;
    job->leased = strlen(record->token) == JOBD_TOKEN_SIZE - 1 && leases->held < leases->max;
    if (job->leased) {
        job->lease = lease_grant(leases, job, record->token, record->expires_us);
        job->lease->began_us = record->began_us;
        op->jobd->queues[job->queue].leased++;
    }
}

/* Plain jobs wait for nothing, whatever the clock says. */
static enum jobd_state state_of(const struct op *op, const struct job_record *record)
{
    if (record->state == JOBD_RUNNING || jobd_state_final(record->state))
        return record->state;
    return waits_as(NULL, record->delayed && record->ready_us > op->now_us);
}

/* It waits, has not begun, has not waited long enough already, and nobody has put it in again by
 * hand. */
static bool waits_for_others(const struct job_record *record, enum jobd_state state)
{
    return (state == JOBD_QUEUED || state == JOBD_SCHEDULED) && record->attempt == 0 &&
           !record->unexpiring && !record->settled && record->texts[JOBD_AFTER] != NULL;
}

/* A report of a lease that is over may come again, or late. */
static void recall_lease_locked(struct op *op, const struct job *job,
                                const struct job_record *record) REQUIRES(op->jobd->lock)
{
    static const enum lease_report reports[JOBD_STATES] = {
        [JOBD_DONE] = LEASE_DONE, [JOBD_FAILED] = LEASE_FAILED};
    if (!job->leased && record->state != JOBD_RUNNING)
        lease_recall(&op->jobd->leases, job, record->token, reports[record->state]);
}

void restore_progress(struct job *job, const struct job_record *record)
{
    job->attempt = (uint16_t)record->attempt;
    job->attempts =
        (uint16_t)(record->attempts > record->attempt ? record->attempts : record->attempt);
    job->ready_us = record->ready_us;
    job->delayed = record->delayed;
    job->by_wall = record->by_wall;
    job->expired = record->expired;
    job->unexpiring = record->unexpiring;
    job->exited = record->exited;
    job->exit_code = (uint8_t)record->exit_code;
    job->output_truncated = record->output_truncated;
}

struct job *restore_new_locked(struct op *op, const struct job_record *record, uint16_t queue,
                               struct job_extra *extra)
{
    struct jobs *jobs = &op->jobd->jobs;
    verify(jobs_unused(jobs) > 0);
    struct job *job = jobs_add(jobs, record->id, restore_blob(record->payload), extra);
    job->queue = queue;
    job->priority = record->priority;
    job->created_us = record->created_us;
    restore_progress(job, record);
    struct batch *batch = batches_of(&jobs->batches, record->id);
    job->batched = batch != NULL;
    if (batch != NULL)
        batch->there++;
    jobs_note_key(jobs, job);
    edges_job_back_locked(op, job, jobd_state_final(record->state));
    return job;
}

/* The last one to come back, or the last that was forgotten: both are times of the wall clock with
 * the sign of the past. */
static void note_end_in_batch(struct batches *batches, const struct job *job)
{
    struct batch *batch = job->batched ? batches_of(batches, job->id) : NULL;
    if (batch != NULL && (batch->finished_us == 0 || job->finished_us < batch->finished_us))
        batch->finished_us = job->finished_us;
}

static bool restore_locked(struct op *op, const struct job_record *record, uint16_t queue)
    REQUIRES(op->jobd->lock)
{
    struct jobd *jobd = op->jobd;
    struct job_extra *extra;
    if (!restore_extra(record, &extra))
        return false;
    struct job *job = restore_new_locked(op, record, queue, extra);
    enum jobd_state state = state_of(op, record);
    if (state == JOBD_RUNNING) {
        resume_locked(op, job, record);
    } else if (jobd_state_final(state)) {
        job->started_us = record->started_us;
        job->finished_us = record->finished_us;
        note_end_in_batch(&jobd->jobs.batches, job);
    }
    recall_lease_locked(op, job, record);
    if (waits_for_others(record, state)) {
        if (!edges_child_back_locked(op, job, record->texts[JOBD_AFTER]))
            return false;
        state = waits_as(job->extra, state == JOBD_SCHEDULED);
    }
    deliveries_restore_locked(op, job, jobd_state_final(state));
    transition_restore_locked(op, job, state);
    rate_waits(&jobd->queues[queue].rate, op->now_us); /* not since the process before */
    jobd->jobs.wall_ahead_us = record->wall_ahead_us;
    jobd->jobs.restored_us = op->now_us;
    if (jobd_state_final(state))
        jobs_remember(&jobd->jobs, job, op);
    else if (state == JOBD_RUNNING && !job->leased)
        attempt_lose_locked(op, job); /* of the process before */
    if (record->id >= jobd->next_id && record->id < JOBD_FIRST_ID_MAX)
        jobd->next_id = record->id + 1;
    op->tell_store |= journal_notify(&jobd->journal); /* some may have been forgotten at once */
    return true;
}

void jobd_restore_batch(struct jobd *jobd, const struct batch_record *record)
{
    struct op op;
    uint32_t queue = jobd_queue_named(jobd, record->queue);
    bool has_callback = record->callback != NULL && record->callback[0] != '\0';
    struct job_extra *promised = has_callback ? extra_for_delivery(record->callback, NULL) : NULL;
    op_begin(&op, jobd, NULL, 0);
    struct batch *batch = queue != JOBD_NO_QUEUE ? batches_restore(&jobd->jobs.batches, record->id,
                                                                   record->jobs, record->ended)
                                                 : NULL;
    if (batch != NULL) {
        batch->queue = (uint16_t)jobd_queue_index(queue);
        batch->created_us = record->created_us;
        batch->finished_us = record->finished_us;
        edges_batch_back_locked(&op, batch);
        if (promised != NULL)
            deliveries_begin_batch_locked(&op, batch, promised);
        promised = NULL;
    }
    op_end(&op);
    extra_free(promised);
}

void jobd_restore_after(struct jobd *jobd, const char *after)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    edges_expect_back_locked(&op, after);
    op_end(&op);
}

void jobd_restored(struct jobd *jobd)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    batches_all_back(&jobd->jobs.batches);
    edges_all_back_locked(&op);
    jobs_settle_batches(&jobd->jobs);
    deliveries_restored_locked(&op);
    if (jobd->durable)
        op.tell_store |= journal_notify(&jobd->journal); /* some may be forgotten at once */
    op_end(&op);
}

bool jobd_restore(struct jobd *jobd, const struct job_record *record, int64_t now_us)
{
    struct op op;
    uint32_t queue = jobd_queue_named(jobd, record->queue);
    if (queue == JOBD_NO_QUEUE || record->id == 0 || record->priority >= JOBD_PRIORITIES ||
        record->attempt >= UINT16_MAX || record->attempts >= UINT16_MAX)
        return false;
    op_begin(&op, jobd, NULL, now_us);
    bool good = restore_locked(&op, record, (uint16_t)queue);
    op_end(&op);
    return good;
}
