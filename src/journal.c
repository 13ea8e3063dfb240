/* SPDX-License-Identifier: MIT */
/* Changes on their way to disk: in order, each with whoever waits for it. */
#include <errno.h>
#include <stdlib.h>

#include "blob.h"
#include "heart.h"

enum { AT_A_TIME = 256 }; /* jobs: bounds how long the lock is held */

int journal_init(struct journal *journal, uint32_t max, uint32_t reserved)
{
    *journal = (struct journal){.max = max, .free = max, .reserved = reserved};
    TAILQ_INIT(&journal->spare);
    TAILQ_INIT(&journal->waiting);
    TAILQ_INIT(&journal->gathered);
    TAILQ_INIT(&journal->doomed);
    TAILQ_INIT(&journal->doomed_gathered);
    if (max > 0)
        journal->all = calloc(max, sizeof *journal->all);
    return max == 0 || journal->all != NULL ? 0 : -ENOMEM;
}

void journal_release(struct journal *journal)
{
    struct entry_list *lists[] = {&journal->waiting, &journal->gathered};
    struct entry *entry;
    for (size_t i = 0; journal->all != NULL && i < 2; i++) {
        TAILQ_FOREACH (entry, lists[i], link) {
            jobd_blob_unref(entry->ending.outcome.output);
            jobd_blob_unref(entry->ending.outcome.error);
            extra_free(entry->extra);
        }
    }
    free(journal->all);
    journal->all = NULL;
}

bool journal_on(const struct journal *journal)
{
    return journal->max > 0;
}

/* ---- entries */

bool journal_admits_locked(struct jobd *jobd, const struct jobd_waiter *waiter)
{
    if (waiter != NULL && !waiter->exempt && jobd->waiters == jobd->waiters_max)
        return false;
    return jobd->journal.free > jobd->journal.reserved;
}

static struct entry *new_entry(struct journal *journal)
{
    struct entry *entry = TAILQ_FIRST(&journal->spare);
    verify(journal->free > 0);
    journal->free--;
    if (entry == NULL)
        return &journal->all[journal->used++];
    TAILQ_REMOVE(&journal->spare, entry, link);
    return entry;
}

void journal_news_locked(struct jobd *jobd, struct aftermath *after)
{
    after->journal |= !jobd->journal.notified;
    jobd->journal.notified = true;
}

struct entry *journal_append_locked(struct jobd *jobd, enum entry_kind kind, struct job *job,
                                    struct jobd_waiter *waiter, int64_t now_us,
                                    struct aftermath *after)
{
    struct entry *entry = new_entry(&jobd->journal);
    *entry = (struct entry){
        .kind = kind, .asked = true, .result = JOBD_OK, .job = job, .changes = 1, .at_us = now_us};
    TAILQ_INIT(&entry->jobs);
    TAILQ_INSERT_TAIL(&jobd->journal.waiting, entry, link);
    if (waiter != NULL)
        wait_for_disk_locked(jobd, waiter, entry);
    journal_news_locked(jobd, after);
    return entry;
}

void journal_add_job(struct entry *entry, struct job *job)
{
    if (TAILQ_EMPTY(&entry->jobs))
        entry->changes = 0;
    TAILQ_INSERT_TAIL(&entry->jobs, job, link);
    entry->changes++;
    entry->bytes += blob_weight(entry->kind == ENTRY_ENTER ? job->payload : NULL);
}

/* Whoever waits is told; or waits on, for the end of the job that is in now. */
static void tell_locked(struct jobd *jobd, struct entry *entry, enum jobd_result result,
                        int64_t now_us, struct aftermath *after) REQUIRES(jobd->lock)
{
    struct jobd_waiter *waiter = entry->waiter;
    bool is_in = (entry->kind == ENTRY_ENTER || entry->kind == ENTRY_TWIN) && result == JOBD_OK;
    if (waiter != NULL && is_in && waiter->end_us > 0)
        result =
            wait_for_end_locked(jobd, waiter, jobs_find(&jobd->jobs, waiter->receipt.id), now_us);
    if (waiter != NULL && result != JOBD_PENDING)
        wait_end_locked(jobd, waiter, result, after);
}

/* Frees the entry; who waits is told. */
static void close_locked(struct jobd *jobd, struct entry_list *list, struct entry *entry,
                         enum jobd_result result, int64_t now_us, struct aftermath *after)
    REQUIRES(jobd->lock)
{
    struct journal *journal = &jobd->journal;
    tell_locked(jobd, entry, result, now_us, after);
    extra_free(entry->extra);
    entry->extra = NULL;
    TAILQ_REMOVE(list, entry, link);
    TAILQ_INSERT_HEAD(&journal->spare, entry, link);
    journal->free++;
}

/* ---- gathering */

static size_t weight(const struct entry *entry)
{
    const struct jobd_outcome *outcome = &entry->ending.outcome;
    return entry->bytes + blob_weight(outcome->output) + blob_weight(outcome->error);
}

size_t journal_gather(struct jobd *jobd, size_t changes_max, size_t bytes_max)
{
    size_t gathered = 0, bytes = 0;
    struct journal *journal = &jobd->journal;
    struct entry *entry;
    struct job *job;
    mutex_lock(&jobd->lock);
    verify(TAILQ_EMPTY(&journal->gathered) && TAILQ_EMPTY(&journal->doomed_gathered));
    /* The forgotten first: the key of one of them may be that of a new job. */
    while ((job = TAILQ_FIRST(&journal->doomed)) != NULL && gathered < changes_max) {
        TAILQ_REMOVE(&journal->doomed, job, link);
        TAILQ_INSERT_TAIL(&journal->doomed_gathered, job, link);
        gathered++;
    }
    while ((entry = TAILQ_FIRST(&journal->waiting)) != NULL && gathered < changes_max &&
           bytes < bytes_max) {
        TAILQ_REMOVE(&journal->waiting, entry, link);
        TAILQ_INSERT_TAIL(&journal->gathered, entry, link);
        entry->idle = entry->kind == ENTRY_TAKEN && entry->job->changing;
        gathered += entry->changes;
        bytes += weight(entry);
    }
    if (gathered == 0)
        journal->notified = false;
    mutex_unlock(&jobd->lock);
    return gathered;
}

bool journal_empty(struct jobd *jobd)
{
    const struct journal *journal = &jobd->journal;
    mutex_lock(&jobd->lock);
    bool empty = TAILQ_EMPTY(&journal->waiting) && TAILQ_EMPTY(&journal->gathered) &&
                 TAILQ_EMPTY(&journal->doomed) && TAILQ_EMPTY(&journal->doomed_gathered);
    mutex_unlock(&jobd->lock);
    return empty;
}

/* ---- what is written */

static void describe(struct jobd *jobd, const struct job *job, struct record *record)
{
    const struct extra *extra = job->extra;
    enum jobd_state state = job->state == LIFE_NEW ? (job->delayed ? JOBD_SCHEDULED : JOBD_QUEUED)
                                                   : (enum jobd_state)job->state;
    bool started = state == JOBD_RUNNING || jobd_state_final(state);
    *record = (struct record){
        .id = job->id,
        .queue = jobd->queues[job->queue].name,
        .priority = job->priority,
        .attempts = job->attempts,
        .created_us = job->created_us,
        .run_at_us = job->state == LIFE_NEW && job->delayed ? job->ready_us : 0,
        .timeout_us = extra != NULL ? extra->timeout_us : 0,
        .key = extra != NULL ? extra->key : "",
        .trace = extra != NULL ? extra->trace : "",
        .payload = job->payload,
        .state = state,
        .attempt = job->attempt,
        .ready_us = job->ready_us,
        .started_us = started ? job->started_us : 0,
        .finished_us = jobd_state_final(state) ? job->finished_us : 0,
        .delayed = job->delayed,
        .stopping = job->stopping,
        .output_truncated = job->output_truncated,
        .exited = job->exited,
        .exit_code = job->exit_code,
        .token = job->leased ? job->lease->token : "",
        .expires_us = job->leased ? job->lease->due.at_us : 0,
        .output = extra != NULL ? extra->output : NULL,
        .error = extra != NULL ? extra->error : NULL,
    };
}

/* The job as it will be when its attempt has ended so. */
static void describe_ended(const struct ending *ending, struct record *record)
{
    const struct jobd_outcome *outcome = &ending->outcome;
    record->token = "";
    record->expires_us = 0;
    record->stopping = false;
    record->state = ending->to;
    if (!jobd_state_final(ending->to))
        record->delayed = ending->ready_us > ending->at_us;
    if (ending->to == JOBD_QUEUED) {
        record->attempt--;
        record->state = record->delayed ? JOBD_SCHEDULED : JOBD_QUEUED;
    } else if (!ending->cut) {
        record->output = outcome->output;
        record->error = outcome->error;
        record->output_truncated = outcome->output_truncated;
        record->exited = outcome->exited;
        record->exit_code = outcome->exit_code;
    }
    if (jobd_state_final(ending->to)) {
        record->finished_us = ending->at_us;
    } else {
        record->started_us = 0;
        record->ready_us = ending->ready_us;
    }
}

static void describe_cancelled(int64_t at_us, struct record *record)
{
    record->state = JOBD_CANCELLED;
    record->started_us = 0;
    record->finished_us = at_us;
}

static void describe_again(int64_t at_us, struct record *record)
{
    record->state = JOBD_QUEUED;
    record->attempt = 0;
    record->ready_us = at_us;
    record->started_us = record->finished_us = 0;
    record->delayed = record->exited = record->output_truncated = false;
    record->exit_code = 0;
    record->output = record->error = NULL;
}

/* The entry's next change; false when there is none any more. */
static bool next_change_locked(struct jobd *jobd, struct entry *entry, bool first,
                               enum change_kind *kind, struct record *record) REQUIRES(jobd->lock)
{
    bool several = entry->kind == ENTRY_ENTER || entry->kind == ENTRY_CANCEL;
    if (first) /* it may be the second time that all are told */
        entry->next = several ? TAILQ_FIRST(&entry->jobs) : entry->job;
    struct job *job = entry->next;
    if (job == NULL || entry->idle || entry->kind == ENTRY_TWIN || entry->kind == ENTRY_MARK)
        return false;
    *kind = entry->kind == ENTRY_ENTER ? CHANGE_ADD : CHANGE_SET;
    describe(jobd, job, record);
    entry->next = several ? TAILQ_NEXT(job, link) : NULL;
    switch (entry->kind) {
    case ENTRY_CANCEL:
        describe_cancelled(entry->at_us, record);
        break;
    case ENTRY_ENDED:
        describe_ended(&entry->ending, record);
        break;
    case ENTRY_RETRY:
        describe_again(entry->at_us, record);
        break;
    case ENTRY_STOP:
        record->stopping = true;
        break;
    case ENTRY_ENTER:
    case ENTRY_TWIN:
    case ENTRY_MARK:
    case ENTRY_TAKEN:
    case ENTRY_LEASED:
    case ENTRY_EXTENDED:
        break;
    }
    return true;
}

static bool each_doomed(struct jobd *jobd,
                        bool (*each)(void *context, enum change_kind kind,
                                     const struct record *record),
                        void *context)
{
    bool good = true;
    mutex_lock(&jobd->lock);
    struct job *job = TAILQ_FIRST(&jobd->journal.doomed_gathered);
    mutex_unlock(&jobd->lock);
    for (; job != NULL && good; job = TAILQ_NEXT(job, link)) { /* the list is this thread's */
        const struct record record = {.id = job->id};
        good = each(context, CHANGE_REMOVE, &record);
    }
    return good;
}

bool journal_each(struct jobd *jobd,
                  bool (*each)(void *context, enum change_kind kind, const struct record *record),
                  void *context)
{
    bool good = each_doomed(jobd, each, context);
    mutex_lock(&jobd->lock);
    struct entry *entry = TAILQ_FIRST(&jobd->journal.gathered);
    mutex_unlock(&jobd->lock);
    for (; entry != NULL && good; entry = TAILQ_NEXT(entry, link)) {
        for (bool first = true, more = true; more && good; first = false) {
            enum change_kind kind;
            struct record record;
            mutex_lock(&jobd->lock);
            more = next_change_locked(jobd, entry, first, &kind, &record);
            mutex_unlock(&jobd->lock);
            good = !more || each(context, kind, &record);
        }
    }
    return good;
}

bool journal_record(struct jobd *jobd, uint64_t id,
                    bool (*each)(void *context, enum change_kind kind, const struct record *record),
                    void *context)
{
    struct record record = {.id = id};
    mutex_lock(&jobd->lock);
    const struct job *job = jobs_seen(&jobd->jobs, id);
    if (job != NULL)
        describe(jobd, job, &record);
    mutex_unlock(&jobd->lock);
    /* What the record points to stays: only this thread's journal_written() lets it go. */
    if (job == NULL)
        return each(context, CHANGE_REMOVE, &record);
    return each(context, CHANGE_ADD, &record) && each(context, CHANGE_SET, &record);
}

/* ---- what becomes of it */

static void entered_locked(struct jobd *jobd, struct job *job, bool written,
                           struct aftermath *after) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    queue->entering--;
    if (written) {
        queue->admitted++;
        life_enter_locked(jobd, job);
    } else {
        jobs_drop(&jobd->jobs, job, after);
    }
}

/* Up to so many of its jobs; false when some are left. */
static bool settle_jobs_locked(struct jobd *jobd, struct entry *entry, bool written, int64_t now_us,
                               int *left, struct aftermath *after) REQUIRES(jobd->lock)
{
    struct queue *queue = NULL;
    struct job *job;
    while ((job = TAILQ_FIRST(&entry->jobs)) != NULL && --*left >= 0) {
        TAILQ_REMOVE(&entry->jobs, job, link);
        queue = &jobd->queues[job->queue];
        if (entry->kind == ENTRY_ENTER)
            entered_locked(jobd, job, written, after);
        else if (written)
            life_cancelled_locked(jobd, job, entry->at_us, after);
        else
            life_attach_locked(jobd, job);
    }
    if (queue != NULL)
        life_settle_locked(jobd, queue, now_us, after);
    return job == NULL;
}

static void retried_locked(struct jobd *jobd, struct entry *entry, bool written, int64_t now_us,
                           struct aftermath *after) REQUIRES(jobd->lock)
{
    struct job *job = entry->job;
    jobd->queues[job->queue].entering--;
    jobd->jobs.reviving--;
    job->changing = false;
    if (written)
        admit_again_locked(jobd, job, entry->at_us, after);
    else
        jobs_remember(&jobd->jobs, job, after);
    life_settle_locked(jobd, &jobd->queues[job->queue], now_us, after);
}

/* A lease that nobody was told of is none. */
static void unleased_locked(struct jobd *jobd, struct job *job, bool written, int64_t now_us,
                            struct aftermath *after) REQUIRES(jobd->lock)
{
    if (job->changing) /* it ends as it is */
        return;
    if (written) {
        (void)life_give_back_locked(jobd, job, 0, NULL, now_us, after);
        return;
    }
    const struct ending back = {
        .cut = true, .to = JOBD_QUEUED, .at_us = now_us, .ready_us = now_us};
    struct extra *none = NULL;
    life_ended_locked(jobd, job, &back, &none, after);
}

static void attempt_locked(struct jobd *jobd, struct entry *entry, bool written,
                           struct aftermath *after) REQUIRES(jobd->lock)
{
    if (written) {
        life_ended_locked(jobd, entry->job, &entry->ending, &entry->extra, after);
    } else {
        entry->job->changing = false;
        jobs_throw_away(entry->ending.outcome.output, after);
        jobs_throw_away(entry->ending.outcome.error, after);
    }
    entry->ending.outcome.output = entry->ending.outcome.error = NULL;
}

static enum jobd_result result_of_locked(struct jobd *jobd, const struct entry *entry, bool written)
    REQUIRES(jobd->lock)
{
    if (entry->kind == ENTRY_TWIN) /* it stood behind the job */
        return jobs_seen(&jobd->jobs, entry->number) != NULL ? JOBD_OK : JOBD_STORE;
    if (!written)
        return JOBD_STORE;
    if (entry->kind == ENTRY_MARK && jobd->journal.failures != entry->number)
        return JOBD_STORE;
    return entry->result;
}

/* Applies or undoes the first entry of the list, or as much of it as `left` allows. */
static void conclude_locked(struct jobd *jobd, struct entry_list *list, struct entry *entry,
                            bool written, int64_t now_us, int *left, struct aftermath *after)
    REQUIRES(jobd->lock)
{
    switch (entry->kind) {
    case ENTRY_ENTER:
    case ENTRY_CANCEL:
        if (!settle_jobs_locked(jobd, entry, written, now_us, left, after))
            return;
        break;
    case ENTRY_RETRY:
        retried_locked(jobd, entry, written, now_us, after);
        break;
    case ENTRY_ENDED:
        attempt_locked(jobd, entry, written, after);
        break;
    case ENTRY_LEASED:
        if (!written || entry->waiter == NULL)
            unleased_locked(jobd, entry->job, written, now_us, after);
        else if (entry->job->payload != NULL)
            entry->waiter->task.payload = jobd_blob_ref(entry->job->payload);
        break;
    case ENTRY_TWIN:
    case ENTRY_MARK:
    case ENTRY_TAKEN:
    case ENTRY_EXTENDED:
    case ENTRY_STOP:
        break;
    }
    --*left;
    close_locked(jobd, list, entry, result_of_locked(jobd, entry, written), now_us, after);
}

void journal_written(struct jobd *jobd, int64_t now_us)
{
    bool more = true;
    while (more) {
        int left = AT_A_TIME;
        struct entry *entry;
        struct job *job;
        AFTERMATH(after);
        mutex_lock(&jobd->lock);
        struct journal *journal = &jobd->journal;
        while (left > 0 && (entry = TAILQ_FIRST(&journal->gathered)) != NULL)
            conclude_locked(jobd, &journal->gathered, entry, true, now_us, &left, &after);
        for (; left > 0 && (job = TAILQ_FIRST(&journal->doomed_gathered)) != NULL; left--) {
            TAILQ_REMOVE(&journal->doomed_gathered, job, link);
            jobs_release_record(&jobd->jobs, job);
        }
        more = left <= 0;
        unlock_and_tell(jobd, &after);
    }
}

void journal_failed(struct jobd *jobd, int64_t now_us)
{
    struct entry *entry, *before;
    bool more = true;
    mutex_lock(&jobd->lock);
    jobd->journal.failures++;
    mutex_unlock(&jobd->lock);
    while (more) {
        int left = AT_A_TIME;
        AFTERMATH(after);
        mutex_lock(&jobd->lock);
        struct journal *journal = &jobd->journal;
        for (entry = TAILQ_FIRST(&journal->gathered); entry != NULL && left > 0; entry = before) {
            before = TAILQ_NEXT(entry, link);
            if (entry->asked)
                conclude_locked(jobd, &journal->gathered, entry, false, now_us, &left, &after);
        }
        more = left <= 0;
        if (!more) { /* only those are left that are to be gathered again, in their order */
            TAILQ_CONCAT(&journal->gathered, &journal->waiting, link);
            TAILQ_CONCAT(&journal->waiting, &journal->gathered, link);
            TAILQ_CONCAT(&journal->doomed_gathered, &journal->doomed, link);
            TAILQ_CONCAT(&journal->doomed, &journal->doomed_gathered, link);
            journal->notified = false; /* what comes now may be tried at once */
        }
        unlock_and_tell(jobd, &after);
    }
}

void journal_refuse(struct jobd *jobd, bool refuse, int64_t now_us)
{
    bool more = true;
    while (more) {
        int left = AT_A_TIME;
        struct entry *entry, *next;
        AFTERMATH(after);
        mutex_lock(&jobd->lock);
        struct journal *journal = &jobd->journal;
        journal->refuses = refuse;
        entry = refuse ? TAILQ_FIRST(&journal->waiting) : NULL;
        for (; entry != NULL && left > 0; entry = next) {
            next = TAILQ_NEXT(entry, link);
            if (entry->kind == ENTRY_ENTER || entry->kind == ENTRY_RETRY)
                conclude_locked(jobd, &journal->waiting, entry, false, now_us, &left, &after);
        }
        more = left <= 0;
        unlock_and_tell(jobd, &after);
    }
}
