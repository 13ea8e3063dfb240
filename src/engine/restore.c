/* SPDX-License-Identifier: MIT */
/* Bringing back what a store has kept. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/append.h"
#include "engine/journal.h"
#include "engine/transition.h"

static struct jobd_blob *shared(const struct jobd_blob *blob)
{
    union {
        const struct jobd_blob *read;
        struct jobd_blob *shared; /* only its count changes */
    } as = {.read = blob};
    return blob != NULL ? jobd_blob_ref(as.shared) : NULL;
}

/* False when memory is short; NULL when it needs none. `taken`: another job has its key. */
static bool extra_from(const struct job_record *record, bool taken, struct job_extra **extra)
{
    size_t key_size = strlen(record->key) + 1, trace_size = strlen(record->trace) + 1;
    *extra = NULL;
    if (record->timeout_us == 0 && key_size == 1 && trace_size == 1 && record->output == NULL &&
        record->error == NULL)
        return true;
    if (key_size > JOBD_KEY_SIZE || trace_size > JOBD_TRACE_SIZE)
        return false;
    *extra = calloc(1, sizeof **extra + key_size);
    if (*extra == NULL)
        return false;
    (*extra)->timeout_us = record->timeout_us;
    if (!taken)
        memcpy((*extra)->key, record->key, key_size);
    memcpy((*extra)->trace, record->trace, trace_size);
    (*extra)->output = shared(record->output);
    (*extra)->error = shared(record->error);
    return true;
}

/* What a job that ran becomes: nobody of the process that ran it is left, but leases go on. */
static enum jobd_state state_now_locked(struct jobd *jobd, struct job *job,
                                        const struct job_record *record, int64_t now_us)
    REQUIRES(jobd->lock)
{
    job->ready_us = now_us;
    job->delayed = false;
    if (strlen(record->token) == JOBD_TOKEN_SIZE - 1 && jobd->leases.held < jobd->leases.max) {
        job->lease = lease_grant(&jobd->leases, job, record->token, record->expires_us);
        job->leased = true;
        jobd->queues[job->queue].leased++;
        return JOBD_RUNNING;
    }
    return JOBD_QUEUED;
}

static enum jobd_state place_locked(struct jobd *jobd, struct job *job,
                                    const struct job_record *record, int64_t now_us)
    REQUIRES(jobd->lock)
{
    if (record->state == JOBD_RUNNING) {
        job->started_us = record->started_us;
        return state_now_locked(jobd, job, record, now_us);
    }
    if (jobd_state_final(record->state)) {
        job->started_us = record->started_us;
        job->finished_us = record->finished_us;
        return record->state;
    }
    return record->ready_us > now_us ? JOBD_SCHEDULED : JOBD_QUEUED;
}

/* Whoever asked for it was told that it stops. */
static void cancel_restored_locked(struct jobd *jobd, struct job *job, int64_t now_us,
                                   struct effects *after) REQUIRES(jobd->lock)
{
    struct change *entry = journal_append_locked(jobd, CHANGE_CANCEL, NULL, NULL, now_us, after);
    entry->asked = false;
    transition_withdraw_locked(jobd, job);
    journal_add_job(entry, job);
}

bool jobd_restore(struct jobd *jobd, const struct job_record *record, int64_t now_us)
{
    struct job_extra *extra;
    uint32_t queue = jobd_queue_named(jobd, record->queue);
    if (queue == JOBD_NO_QUEUE || record->id == 0 || record->priority >= JOBD_PRIORITIES ||
        record->attempt >= UINT16_MAX || record->attempts >= UINT16_MAX)
        return false;
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    bool taken =
        record->key[0] != '\0' && jobs_with_key(&jobd->jobs, (uint16_t)queue, record->key) != NULL;
    if (!extra_from(record, taken, &extra)) {
        mutex_unlock(&jobd->lock);
        return false;
    }
    verify(jobs_spare(&jobd->jobs) > 0);
    struct job *job = jobs_add(&jobd->jobs, record->id, shared(record->payload), extra);
    job->state = STATE_NEW;
    job->queue = (uint16_t)queue;
    job->priority = record->priority;
    job->attempt = (uint16_t)record->attempt;
    job->attempts =
        (uint16_t)(record->attempts > record->attempt ? record->attempts : record->attempt);
    job->created_us = record->created_us;
    job->ready_us = record->ready_us;
    job->delayed = record->delayed;
    job->exited = record->exited;
    job->exit_code = (uint8_t)record->exit_code;
    job->output_truncated = record->output_truncated;
    jobs_note_key(&jobd->jobs, job);
    enum jobd_state state = place_locked(jobd, job, record, now_us);
    /* At least once: the end of its last attempt is not known. */
    if ((state == JOBD_QUEUED || state == JOBD_SCHEDULED) && job->attempts <= job->attempt)
        job->attempts = (uint16_t)(job->attempt + 1);
    transition_restore_locked(jobd, job, state);
    rate_waits(&jobd->queues[queue].rate, now_us); /* not since the process before */
    if (jobd_state_final(state))
        jobs_remember(&jobd->jobs, job, &after);
    else if (record->stopping && state == JOBD_QUEUED && jobd->journal.free > 0)
        cancel_restored_locked(jobd, job, now_us, &after);
    if (record->id >= jobd->next_id)
        jobd->next_id = record->id + 1;
    journal_news_locked(jobd, &after); /* some may have been forgotten at once */
    unlock_and_tell(jobd, &after);
    return true;
}
