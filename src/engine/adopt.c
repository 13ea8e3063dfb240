/* SPDX-License-Identifier: MIT */
/* What other processes have changed becomes what this one knows. Nothing follows from it here: no
 * job is given out, none is forgotten but those that were, nobody is let in. */
#include "engine/adopt.h"

#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "engine/blob.h"
#include "engine/deliveries.h"
#include "engine/dispatch.h"
#include "engine/edges.h"
#include "engine/events.h"
#include "engine/fair.h"
#include "engine/histogram.h"
#include "engine/limits.h"
#include "engine/pins.h"
#include "engine/lease_deadline.h"
#include "engine/restore.h"
#include "engine/said.h"
#include "engine/share.h"
#include "engine/share_nodes.h"
#include "engine/stop.h"
#include "engine/touched.h"
#include "engine/transition.h"
#include "engine/waiters.h"
#include "engine/words.h"

/* ---- time */

void share_adopt_time(struct jobd *jobd, int64_t at_us)
{
    struct op op;
    struct due *due;
    int left;
    do {
        left = OP_STEPS;
        op_begin(&op, jobd, NULL, at_us);
        while (left > 0 && (due = heap_top(&jobd->delays)) != NULL && due->at_us <= at_us) {
            struct queue *queue = container_of(due, struct queue, due);
            transition_due_locked(&op, container_of(heap_top(&queue->delays), struct job, due));
            left--;
        }
        op_end(&op);
    } while (left == 0);
}

static uint32_t index_named(const struct jobd *jobd, const char *name)
{
    uint32_t number = jobd_queue_named(jobd, name);
    return number != JOBD_NO_QUEUE ? jobd_queue_index(number) : JOBD_NO_QUEUE;
}

/* ---- a job: what few jobs have */

/* Bytes in place of others, whatever there is room for. */
static void set_part(struct op *op, struct jobd_blob **part, const struct jobd_blob *bytes)
    REQUIRES(op->jobd->lock)
{
    int64_t more = (int64_t)blob_weight(bytes) - (int64_t)blob_weight(*part);
    op_discard(op, *part);
    *part = restore_blob(bytes);
    jobs_count(&op->jobd->jobs, more);
}

/* What its attempts have said; there is a record for it when they have. */
static bool set_said_locked(struct op *op, struct job *job, const struct news *news)
    REQUIRES(op->jobd->lock)
{
    struct said *said = said_of(job);
    if (said == NULL && !news->has_said)
        return true;
    if (said == NULL) {
        said = job->extra->said = calloc(1, sizeof *said);
        if (said == NULL)
            return false;
        jobs_count(&op->jobd->jobs, sizeof *said);
    }
    set_part(op, &said->worker, news->record.worker);
    set_part(op, &said->progress, news->record.progress);
    set_part(op, &said->output, news->said);
    if (!news->has_said && said->shown == NULL) { /* nothing of it is left */
        jobs_count(&op->jobd->jobs, -(int64_t)sizeof *said);
        free(said);
        job->extra->said = NULL;
        return true;
    }
    said->used = news->said != NULL ? news->said->size : 0;
    said->truncated = news->said_truncated;
    said_tell_locked(op, job);
    return true;
}

static bool set_extra_locked(struct op *op, struct job *job, const struct news *news)
    REQUIRES(op->jobd->lock)
{
    static const struct jobd_put nothing;
    if (job->extra == NULL && news->has_extra) {
        job->extra = extra_new(&nothing, NULL);
        if (job->extra == NULL)
            return false;
        job->extra->job = job;
        jobs_count(&op->jobd->jobs, (int64_t)extra_weight(job->extra));
    }
    if (job->extra == NULL)
        return true;
    if (news->record.unexpiring)
        job->extra->expires_us = 0;
    set_part(op, &job->extra->output, news->record.output);
    set_part(op, &job->extra->error, news->record.error);
    set_part(op, &job->extra->errors, news->record.errors);
    job->extra->errors_us = news->record.errors_us;
    return set_said_locked(op, job, news) && deliveries_adopt_locked(op, job, news);
}

/* ---- a job that runs */

/* A worker of this process that has run it since before all jobs were read again; NULL: none. */
static struct jobd_waiter *holder_locked(struct op *op, struct job *job,
                                         const struct job_record *record) REQUIRES(op->jobd->lock)
{
    struct share *share = op->jobd->share;
    for (uint32_t i = 0; i < share->runs_len; i++) {
        struct own_run run = share->runs[i];
        if (run.id != record->id || run.attempt != record->attempt ||
            run.started_us != record->started_us)
            continue;
        share->runs[i] = share->runs[--share->runs_len];
        job->requeue_on_stop = run.goes_back;
        return run.holder;
    }
    return NULL;
}

static enum share_result set_running_locked(struct op *op, struct job *job, const struct news *news)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[job->queue];
    const struct job_record *record = &news->record;
    job->stopping = record->stopping;
    job->started_us = record->started_us;
    while (lease_overtake(&op->jobd->leases, job) != NULL)
        ;
    if (record->token[0] != '\0') {
        job->lease = lease_adopt(&op->jobd->leases, job, record->token, record->expires_us);
        if (job->lease == NULL)
            return SHARE_ROOM;
        job->leased = true;
        job->lease->started_us = record->started_us;
        job->lease->began_us = record->began_us;
        queue->leased++;
        return SHARE_OK;
    }
    job->holder = news->node == op->jobd->share->turns.node ? holder_locked(op, job, record) : NULL;
    if (job->holder != NULL) {
        if (job->stopping)
            stop_tell(op, job);
        return SHARE_OK;
    }
    job->elsewhere = true;
    job->node = news->node;
    queue->elsewhere++;
    return SHARE_OK;
}

/* ---- a job goes to the state that it has now, from the one it had before */

/* Did its attempt begin in the turn of which this is? A snapshot, which may know of later turns
 * too, is not a turn: its time is 0. */
static bool began_now(const struct op *op, const struct job_record *record)
{
    bool has_begun = record->state == JOBD_RUNNING || jobd_state_final(record->state);
    return has_begun && op->now_us > 0 && record->started_us >= op->now_us;
}

/* An attempt begins, or has begun and failed in the same turn. */
static bool has_begun_locked(struct op *op, const struct job *job, const struct job_record *record,
                             uint8_t before) REQUIRES(op->jobd->lock)
{
    bool is_new = before == STATE_NEW, was_known = !is_new || !op->jobd->share->anew;
    if (op->now_us == 0)
        return record->state == JOBD_RUNNING;
    return began_now(op, record) ||
           (record->state != JOBD_RUNNING && !jobd_state_final(record->state) && was_known &&
            record->attempt > job->attempt);
}

static enum share_result place_locked(struct op *op, struct job *job, const struct news *news,
                                      uint8_t before) REQUIRES(op->jobd->lock)
{
    const struct job_record *record = &news->record;
    bool final = jobd_state_final(record->state), begun = has_begun_locked(op, job, record, before);
    if (!final && !transition_has_room_locked(op, job->queue))
        return SHARE_ROOM;
    restore_progress(job, record);
    job->stopping = false;
    if (record->state == JOBD_RUNNING) {
        enum share_result result = set_running_locked(op, job, news);
        if (result != SHARE_OK)
            return result;
    } else if (final) {
        job->started_us = record->started_us;
        job->finished_us = record->finished_us;
    } else if (record->state == JOBD_BLOCKED && !edges_adopt_locked(op, job)) {
        return SHARE_NO_MEMORY;
    }
    transition_restore_locked(op, job, record->state);
    if (begun) {
        struct queue *queue = &op->jobd->queues[job->queue];
        limits_started(queue, op->now_us);
        fair_begun_locked(op, queue, job);
    }
    if (begun && op->now_us > 0)
        fair_served(&op->jobd->queues[job->queue], job);
    if (job->state != before)
        events_note_locked(op, job, (enum jobd_state)before);
    if (final) {
        transition_tell_end_locked(op, job);
        if ((job->pins & PIN_CHILDREN) != 0)
            edges_job_ended_locked(op, job);
        jobs_remember_all(&op->jobd->jobs, job, news->retained);
    }
    return SHARE_OK;
}

/* As if its queue were not known. */
static void leave_out_locked(struct op *op, struct job *job, const char *queue)
    REQUIRES(op->jobd->lock)
{
    share_note_stranger_locked(op, queue);
    transition_forsake_locked(op, job);
    edges_job_gone_locked(op, job);
    batches_lose(&op->jobd->jobs.batches, job);
    jobs_erase(&op->jobd->jobs, job, op);
}

/* An undeclared queue has room for what was there at the start, and some more. */
static enum share_result place_or_leave_out_locked(struct op *op, struct job *job,
                                                   const struct news *news, uint8_t before)
    REQUIRES(op->jobd->lock)
{
    const struct queue *queue = &op->jobd->queues[job->queue];
    if (queue->phase != QUEUE_UNDECLARED || jobd_state_final(news->record.state) ||
        transition_has_room_locked(op, job->queue))
        return place_locked(op, job, news, before);
    leave_out_locked(op, job, queue->name);
    return SHARE_OK;
}

static bool is_sound(const struct job_record *record)
{
    return record->id > 0 && record->id <= JOBD_ID_MAX && record->priority < JOBD_PRIORITIES &&
           (unsigned)record->state < JOBD_STATES && record->attempt < UINT16_MAX &&
           record->attempts < UINT16_MAX && strlen(record->key) < JOBD_KEY_SIZE &&
           strlen(record->trace) < JOBD_TRACE_SIZE && record->timeout_us >= 0;
}

/* It came when it was made. */
static bool extra_from(const struct job_record *record, struct job_extra **extra)
{
    struct job_record own = *record;
    own.came_us = record->created_us;
    return restore_extra(&own, extra);
}

/* Another put has taken the place of what it was put with. */
static bool set_content_locked(struct op *op, struct job *job, const struct job_record *record)
    REQUIRES(op->jobd->lock)
{
    struct job_content content = {.extra = NULL};
    if (!extra_from(record, &content.extra))
        return false;
    content.payload = restore_blob(record->payload);
    job->priority = record->priority;
    job->created_us = record->created_us;
    jobs_set_content(&op->jobd->jobs, job, &content, op);
    return true;
}

static enum share_result add_locked(struct op *op, const struct news *news) REQUIRES(op->jobd->lock)
{
    struct jobd *jobd = op->jobd;
    struct job_extra *extra = NULL;
    const struct job_record *record = &news->record;
    uint32_t queue = index_named(jobd, record->queue);
    if (queue == JOBD_NO_QUEUE || !news->fresh) {
        if (news->fresh)
            share_note_stranger_locked(op, record->queue);
        return jobd->share->strangers ? SHARE_OK : SHARE_WRONG;
    }
    if (jobs_unused(&jobd->jobs) == 0) { /* a delivery may come before its promise goes */
        if (jobd->queues[queue].phase != QUEUE_UNDECLARED)
            return SHARE_ROOM;
        share_note_stranger_locked(op, record->queue);
        return SHARE_OK;
    }
    if (!extra_from(record, &extra))
        return SHARE_NO_MEMORY;
    struct job *job = restore_new_locked(op, record, (uint16_t)queue, extra);
    return set_extra_locked(op, job, news) ? place_or_leave_out_locked(op, job, news, STATE_NEW)
                                           : SHARE_NO_MEMORY;
}

/* Nothing but what may change while it goes on. */
static bool goes_on_locked(struct op *op, struct job *job, const struct news *news)
    REQUIRES(op->jobd->lock)
{
    const struct job_record *record = &news->record;
    bool same = job->state == JOBD_RUNNING && record->state == JOBD_RUNNING &&
                job->attempt == record->attempt;
    if (same && job->leased && strcmp(job->lease->token, record->token) == 0) {
        job->started_us = job->lease->started_us = record->started_us;
        job->lease->began_us = record->began_us;
        lease_look_again_locked(op, job->lease, record->expires_us);
        if (began_now(op, record)) /* a snapshot knew it before */
            fair_served(&op->jobd->queues[job->queue], job);
    } else if (!same || !job_runs_here(job) || news->node != op->jobd->share->turns.node ||
               job->started_us != record->started_us) {
        return false;
    } else if (record->stopping && !job->stopping) {
        stop_tell(op, job);
    }
    restore_progress(job, record);
    job->stopping = record->stopping;
    return true;
}

/* Only what is said of callbacks is another. */
static bool is_as_it_was(const struct job *job, const struct news *news)
{
    const struct job_record *record = &news->record;
    return news->stays && !news->fresh && record->queue[0] == '\0' && job->state == record->state &&
           job->attempt == record->attempt;
}

/* Only what it was put with is another. */
static bool stay_locked(struct op *op, struct job *job, const struct news *news)
    REQUIRES(op->jobd->lock)
{
    struct group *group = job->extra != NULL ? job->extra->group : NULL;
    jobs_unwatch(&op->jobd->jobs, job);
    if (group != NULL)
        job->extra->group = NULL;
    bool good = set_content_locked(op, job, &news->record) && set_extra_locked(op, job, news);
    if (group != NULL)
        job->extra->group = group; /* it has the same name */
    restore_progress(job, &news->record);
    jobs_watch(&op->jobd->jobs, job);
    return good;
}

static enum share_result change_locked(struct op *op, struct job *job, const struct news *news)
    REQUIRES(op->jobd->lock)
{
    if (is_as_it_was(job, news))
        return deliveries_adopt_locked(op, job, news) ? SHARE_OK : SHARE_NO_MEMORY;
    uint32_t queue =
        news->record.queue[0] != '\0' ? index_named(op->jobd, news->record.queue) : job->queue;
    if (queue == job->queue && goes_on_locked(op, job, news))
        return set_extra_locked(op, job, news) ? SHARE_OK : SHARE_NO_MEMORY;
    if (news->stays && job->state == JOBD_QUEUED && news->record.state == JOBD_QUEUED &&
        queue == job->queue && news->record.priority == job->priority &&
        (!fair_has(&op->jobd->queues[job->queue], job->id) ||
         fair_same_name(job, news->record.texts[JOBD_GROUP])))
        return stay_locked(op, job, news) ? SHARE_OK : SHARE_NO_MEMORY;
    if (job_runs_here(job))
        stop_tell(op, job);
    uint8_t before = job->state;
    transition_detach_locked(op, job);
    if (queue == JOBD_NO_QUEUE) { /* moved to one that is not known here */
        leave_out_locked(op, job, news->record.queue);
        return SHARE_OK;
    }
    if (queue != job->queue)
        jobs_move(&op->jobd->jobs, job, (uint16_t)queue);
    if (news->fresh && !set_content_locked(op, job, &news->record))
        return SHARE_NO_MEMORY;
    return set_extra_locked(op, job, news) ? place_or_leave_out_locked(op, job, news, before)
                                           : SHARE_NO_MEMORY;
}

/* What it waits for, as the news say, or as it was put. */
static bool names_others(const struct job *job, const struct news *news)
{
    const char *text = news->record.texts[JOBD_AFTER];
    if (!news->fresh)
        text = job != NULL && job->extra != NULL ? jobd_text(job->extra->words, JOBD_AFTER) : NULL;
    return parents_weight_of(text) > 0;
}

/* It was put anew since then, and not after others; that is told of too. */
static enum share_result adopt_older_locked(struct op *op, struct job *job, const struct news *news)
    REQUIRES(op->jobd->lock)
{
    struct news older = *news;
    older.record.state = news->record.delayed ? JOBD_SCHEDULED : JOBD_QUEUED;
    return change_locked(op, job, &older);
}

static enum share_result adopt_job_locked(struct op *op, const struct news *news,
                                          const struct share_source *source)
    REQUIRES(op->jobd->lock)
{
    struct job *job = jobs_find(&op->jobd->jobs, news->record.id);
    if (!is_sound(&news->record))
        return SHARE_WRONG;
    if (job == NULL && !news->fresh) /* it is gone by now, or a stranger */
        return source->overlaps ? SHARE_OK : add_locked(op, news);
    if (news->record.state == JOBD_BLOCKED && !names_others(job, news))
        return job != NULL && source->overlaps ? adopt_older_locked(op, job, news) : SHARE_WRONG;
    return job != NULL ? change_locked(op, job, news) : add_locked(op, news);
}

/* ---- the others */

static enum share_result adopt_gone_locked(struct op *op, const struct news *news,
                                           const struct share_source *source)
    REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct job *job = jobs_find(jobs, news->record.id);
    if (job == NULL)
        return source->overlaps || op->jobd->share->strangers ? SHARE_OK : SHARE_WRONG;
    if (!job_has_ended(job))
        return SHARE_WRONG;
    edges_job_gone_locked(op, job);
    batches_lose(&jobs->batches, job);
    jobs_remove(jobs, job, op);
    return SHARE_OK;
}

static enum share_result adopt_lease_locked(struct op *op, const struct news *news)
    REQUIRES(op->jobd->lock)
{
    const struct job_record *record = &news->record;
    struct lease over = {.job_id = record->id,
                         .attempt = record->attempt,
                         .started_us = record->started_us,
                         .began_us = record->began_us,
                         .report = (enum lease_report)news->word};
    if (strlen(record->token) != JOBD_TOKEN_SIZE - 1 || news->word > LEASE_RELEASED)
        return SHARE_WRONG;
    memcpy(over.token, record->token, sizeof over.token);
    lease_note(&op->jobd->leases, &over);
    return SHARE_OK;
}

static enum share_result adopt_queue_locked(struct op *op, const struct news *news,
                                            const struct share_source *source)
    REQUIRES(op->jobd->lock)
{
    uint32_t index = index_named(op->jobd, news->record.queue);
    if (index == JOBD_NO_QUEUE)
        return SHARE_OK;
    struct queue *queue = &op->jobd->queues[index];
    struct told *told = &op->jobd->share->queues[index];
    if (queue->paused != news->paused)
        rate_waits(&queue->rate, source->at_us);
    queue->paused = news->paused;
    queue->admitted = news->totals.admitted;
    queue->ended[JOBD_DONE] = news->totals.done;
    queue->ended[JOBD_FAILED] = news->totals.failed;
    queue->ended[JOBD_CANCELLED] = news->totals.cancelled;
    queue->retried = news->totals.retried;
    queue->moved_in = news->totals.moved_in;
    queue->moved_out = news->totals.moved_out;
    queue->expired = news->totals.expired;
    histogram_add_all(&queue->waited, &news->waited);
    histogram_add_all(&queue->ran, &news->ran);
    histogram_add_all(&told->waited, &news->waited);
    histogram_add_all(&told->ran, &news->ran);
    bool same =
        queue_waiting(queue) == news->waiting && queue->in_state[JOBD_RUNNING] == news->running;
    return same || source->overlaps || op->jobd->share->strangers ? SHARE_OK : SHARE_WRONG;
}

/* The place of a node; of one that is new, that of one whose time is over, or behind the last. */
static uint32_t node_place_locked(struct op *op, uint32_t id, int64_t now_us)
    REQUIRES(op->jobd->lock)
{
    const struct share *share = op->jobd->share;
    uint32_t i = 0;
    while (i < share->nodes_len && share->nodes[i].id != id)
        i++;
    if (i < NODES_KNOWN)
        return i;
    for (i = 0; i < NODES_KNOWN; i++)
        if (share->nodes[i].until_us <= now_us && !share_runs_locked(op, share->nodes[i].id))
            return i;
    return NODES_KNOWN;
}

static enum share_result adopt_node_locked(struct op *op, const struct news *news,
                                           const struct share_source *source)
    REQUIRES(op->jobd->lock)
{
    struct share *share = op->jobd->share;
    uint32_t i = node_place_locked(op, news->node, source->at_us);
    if (news->node == 0)
        return SHARE_WRONG;
    if (news->node == share->turns.node) { /* it reads what it has written itself */
        share->own_until_us = news->until_us;
        return SHARE_OK;
    }
    if (i == NODES_KNOWN)
        return SHARE_ROOM;
    share->nodes_len += i == share->nodes_len;
    share->nodes[i] = (struct node){.id = news->node, .until_us = news->until_us};
    return SHARE_OK;
}

enum share_result share_adopt(struct jobd *jobd, const struct news *news,
                              const struct share_source *source)
{
    struct op op;
    enum share_result result = SHARE_WRONG;
    op_begin(&op, jobd, NULL, source->at_us);
    verify(!jobd->share->in_turn);
    switch (news->kind) {
    case NEWS_JOB:
        result = adopt_job_locked(&op, news, source);
        break;
    case NEWS_GONE:
        result = adopt_gone_locked(&op, news, source);
        break;
    case NEWS_LEASE:
        result = adopt_lease_locked(&op, news);
        break;
    case NEWS_QUEUE:
        result = adopt_queue_locked(&op, news, source);
        break;
    case NEWS_NODE:
        result = adopt_node_locked(&op, news, source);
        break;
    case NEWS_BATCH:
        result = adopt_batch_locked(&op, news, source);
        break;
    case NEWS_SCHEDULE:
        result = adopt_schedule_locked(&op, news, source);
        break;
    }
    op_end(&op);
    return result;
}

void share_adopted(struct jobd *jobd, uint64_t next_id, int64_t at_us)
{
    struct op op;
    op_begin(&op, jobd, NULL, at_us);
    if (next_id > jobd->next_id)
        jobd->next_id = next_id;
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        struct queue *queue = &jobd->queues[i];
        queue->dispatch_needed |= dispatch_is_needed(queue);
        jobd->dispatch_needed |= queue->dispatch_needed;
    }
    if (!TAILQ_EMPTY(&jobd->idle_waiters) && dispatch_is_idle_locked(&op))
        wait_end_all_locked(&op, &jobd->idle_waiters, JOBD_OK);
    op_end(&op);
}
