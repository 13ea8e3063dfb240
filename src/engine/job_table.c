/* SPDX-License-Identifier: MIT */
#include "engine/job_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "engine/blob.h"
#include "engine/keep.h"
#include "engine/engine.h"
#include "engine/parents.h"
#include "engine/tally.h"
#include "engine/words.h"

/* Of the same key 0. */
static int key_order(unsigned queue, const char *key, const struct job_extra *at)
{
    if (queue != at->job->queue)
        return queue < at->job->queue ? -1 : 1;
    return strcmp(key, at->key);
}

static int key_compare(const struct job_extra *a, const struct job_extra *b)
{
    int order = key_order(a->job->queue, a->key, b);
    return order != 0 ? order : (a->job->id > b->job->id) - (a->job->id < b->job->id);
}

RB_GENERATE(key_tree, job_extra, by_key, key_compare)

int jobs_init(struct jobs *jobs, uint32_t records_max, uint32_t queues_len, size_t memory_max)
{
    *jobs = (struct jobs){
        .records_max = records_max, .queues_len = queues_len, .memory_max = memory_max};
    TAILQ_INIT(&jobs->forgotten);
    TAILQ_INIT(&jobs->forgotten_gathered);
    TAILQ_INIT(&jobs->spare);
    RB_INIT(&jobs->keys);
    for (unsigned i = 0; i < AGES; i++)
        TAILQ_INIT(&jobs->by_age[i]);
    jobs->remembered = calloc(queues_len, sizeof *jobs->remembered);
    for (uint32_t i = 0; jobs->remembered != NULL && i < queues_len; i++)
        for (unsigned state = 0; state < JOBD_STATES; state++)
            TAILQ_INIT(&jobs->remembered[i].ended[state]);
    for (uint32_t i = 0; jobs->remembered != NULL && i < queues_len; i++)
        TAILQ_INIT(&jobs->remembered[i].retained);
    jobs->records = calloc(records_max, sizeof *jobs->records);
    jobs->expired = jobd_blob_text("expired");
    if (jobs->records == NULL || jobs->remembered == NULL || jobs->expired == NULL)
        return -ENOMEM;
    int error = index_init(&jobs->by_id, jobs->records, records_max);
    return error == 0 ? heap_init(&jobs->dues, records_max) : error;
}

void jobs_release(struct jobs *jobs)
{
    struct job *job;
    JOBS_FOREACH (job, jobs) {
        jobd_blob_unref(job->payload);
        if (job->extra != NULL) {
            jobd_blob_unref(job->extra->output);
            jobd_blob_unref(job->extra->error);
            jobd_blob_unref(job->extra->errors);
        }
        extra_free(job->extra);
    }
    index_release(&jobs->by_id);
    heap_release(&jobs->dues);
    batches_release(&jobs->batches);
    jobd_blob_unref(jobs->expired);
    free(jobs->records);
    free(jobs->remembered);
    jobs->records = NULL;
    jobs->remembered = NULL;
}

struct job *jobs_seen(struct jobs *jobs, uint64_t id)
{
    struct job *job = jobs_find(jobs, id);
    return job != NULL && job->state != STATE_NEW ? job : NULL;
}

static struct job_list *ages_of(struct jobs *jobs, const struct job *job)
{
    const struct job_extra *extra = job->extra;
    /* One that is retained no longer comes after others that ended later, but not among those that
     * keep_for_us forgets by their order. */
    bool own = extra != NULL &&
               (extra->keep_us != 0 || (extra->unique_until_us != 0 && jobs->keep_for_us == 0));
    return &jobs->by_age[(job->state == JOBD_FAILED ? AGE_FAILED : 0) | (own ? AGE_OWN : 0)];
}

/* The payload, and all that the extra has. */
static size_t weight_of(const struct jobd_blob *payload, const struct job_extra *extra)
{
    size_t weight = blob_weight(payload);
    if (extra != NULL)
        weight += extra_weight(extra) + blob_weight(extra->output) + blob_weight(extra->error) +
                  blob_weight(extra->errors);
    if (extra != NULL && extra->said != NULL)
        weight += blob_weight(extra->said->worker) + blob_weight(extra->said->progress) +
                  blob_weight(extra->said->output);
    return weight;
}

/* Of a pinned one its record, too: it may outlive the others'. */
size_t jobs_weight(const struct job *job)
{
    return weight_of(job->payload, job->extra) + (job->pins != 0 ? RECORD_WEIGHT : 0);
}

size_t content_weight(const struct job_content *content)
{
    return weight_of(content->payload, content->extra);
}

static void leave_remembered(struct jobs *jobs, struct job *job)
{
    struct remembered *remembered = &jobs->remembered[job->queue];
    struct job_list *ages = ages_of(jobs, job);
    jobs_unwatch(jobs, job);
    if (job->retained) {
        TAILQ_REMOVE(&remembered->retained, job, link);
        remembered->retained_len--;
        jobs->memory_living -= jobs_weight(job);
        job->retained = false;
    } else {
        TAILQ_REMOVE(&remembered->ended[job->state], job, link);
        remembered->len[job->state]--;
        TAILQ_REMOVE(ages, job, by_age);
    }
    TAILQ_INIT(&job->awaiting);
}

void jobs_release_record(struct jobs *jobs, struct job *job)
{
    job->id = 0;
    TAILQ_INSERT_HEAD(&jobs->spare, job, link);
    jobs->spare_len++;
}

static void discard_outcome(struct job_extra *extra, struct op *op)
{
    op_discard(op, extra->output);
    op_discard(op, extra->error);
    op_discard(op, extra->errors);
}

/* Out of all that finds it. */
static void take_out(struct jobs *jobs, struct job *job)
{
    if (job->batched) {
        batches_left(&jobs->batches, job);
        jobs_settle_batches(jobs);
    }
    index_remove(&jobs->by_id, job);
    jobs->memory -= jobs_weight(job);
    jobs->retainable -= job->pins != 0;
    if (job->extra == NULL)
        return;
    jobs->retainable -= job->extra->unique_until_us != 0;
    jobs->deliveries -= extra_promise(job->extra) != NULL;
    if (job->extra->key[0] != '\0')
        RB_REMOVE(key_tree, &jobs->keys, job->extra);
}

void jobs_give_back(struct job *job, struct op *op)
{
    op_discard(op, job->payload);
    if (job->extra != NULL) {
        discard_outcome(job->extra, op);
    }
    extra_free(job->extra);
    job->payload = NULL;
    job->extra = NULL;
}

/* It has ended, and is forgotten. */
static void forget(struct jobs *jobs, struct job *job, struct op *op)
{
    verify(job_has_ended(job));
    leave_remembered(jobs, job);
    take_out(jobs, job);
    if (op->jobd->share == NULL) /* else the others are told how it ended */
        jobs_give_back(job, op);
    if (op->jobd->durable)
        TAILQ_INSERT_TAIL(&jobs->forgotten, job, link);
    else
        jobs_release_record(jobs, job);
}

void jobs_remove(struct jobs *jobs, struct job *job, struct op *op)
{
    leave_remembered(jobs, job);
    take_out(jobs, job);
    jobs_give_back(job, op);
    jobs_release_record(jobs, job);
}

void jobs_erase(struct jobs *jobs, struct job *job, struct op *op)
{
    jobs->memory_living -= jobs_weight(job);
    take_out(jobs, job);
    jobs_give_back(job, op);
    jobs_release_record(jobs, job);
}

void jobs_drop(struct jobs *jobs, struct job *job, struct op *op)
{
    verify(job->state == STATE_NEW || job->commit_pending);
    if (op->jobd->share == NULL || job->state == STATE_NEW) {
        jobs_erase(jobs, job, op);
        return;
    }
    jobs->memory_living -= jobs_weight(job);
    take_out(jobs, job);
    TAILQ_INSERT_TAIL(&jobs->forgotten, job, link);
}

/* Did it end before the other? Who ended before this process is below 0, by the wall clock. */
static bool is_older(const struct job *job, const struct job *other)
{
    int64_t end_us = job->finished_us, other_us = other->finished_us;
    if (end_us < 0 && other_us < 0)
        return end_us > other_us;
    return end_us < other_us;
}

/* Of these dead letters, or these others, the one that ended first; NULL: there is none. */
static struct job *oldest(struct jobs *jobs, unsigned failed)
{
    struct job *usual = TAILQ_FIRST(&jobs->by_age[failed]);
    struct job *own = TAILQ_FIRST(&jobs->by_age[failed | AGE_OWN]);
    if (usual == NULL || own == NULL)
        return usual != NULL ? usual : own;
    return is_older(own, usual) ? own : usual;
}

bool jobs_make_room(struct jobs *jobs, size_t bytes, struct op *op)
{
    if (bytes > jobs->memory_max || jobs->memory_living > jobs->memory_max - bytes)
        return false;
    while (jobs->memory > jobs->memory_max - bytes) {
        struct job *first = oldest(jobs, 0);
        if (first == NULL)
            first = oldest(jobs, AGE_FAILED);
        tally_add(op, &op->jobd->queues[first->queue], TALLY_FORGOTTEN_EARLY, 1);
        op->forgot_early = true;
        forget(jobs, first, op);
    }
    return true;
}

uint32_t jobs_unused(const struct jobs *jobs)
{
    return jobs->records_max - jobs->records_used + jobs->spare_len;
}

uint32_t jobs_spare(const struct jobs *jobs)
{
    uint32_t all = jobs_unused(jobs);
    return all > jobs->deliveries ? all - jobs->deliveries : 0;
}

struct job *jobs_add(struct jobs *jobs, uint64_t id, struct jobd_blob *payload,
                     struct job_extra *extra)
{
    struct job *job = TAILQ_FIRST(&jobs->spare);
    if (job != NULL) {
        TAILQ_REMOVE(&jobs->spare, job, link);
        jobs->spare_len--;
    } else {
        verify(jobs->records_used < jobs->records_max);
        job = &jobs->records[jobs->records_used++];
    }
    *job = (struct job){.id = id, .payload = payload, .extra = extra, .state = STATE_NEW};
    if (extra != NULL) {
        extra->job = job;
        jobs->retainable += extra->unique_until_us != 0;
        jobs->deliveries += extra_promise(extra) != NULL;
    }
    TAILQ_INIT(&job->awaiting);
    index_add(&jobs->by_id, job);
    jobs_count(jobs, (int64_t)jobs_weight(job));
    return job;
}

void jobs_note_key(struct jobs *jobs, struct job *job)
{
    if (job->extra == NULL || job->extra->key[0] == '\0')
        return;
    verify(RB_INSERT(key_tree, &jobs->keys, job->extra) == NULL);
}

struct job *jobs_with_key(struct jobs *jobs, uint16_t queue, const char *key)
{
    struct job_extra *at = RB_ROOT(&jobs->keys), *newest = NULL;
    while (at != NULL) {
        int order = key_order(queue, key, at);
        newest = order == 0 ? at : newest;
        at = order < 0 ? RB_LEFT(at, by_key) : RB_RIGHT(at, by_key);
    }
    return newest != NULL ? newest->job : NULL;
}

bool jobs_extend(struct jobs *jobs, struct job *job, struct job_extra **extra, struct op *op)
{
    if (job->extra != NULL)
        return true;
    if (*extra == NULL || !jobs_make_room(jobs, extra_weight(*extra), op))
        return false;
    job->extra = *extra;
    job->extra->job = job;
    *extra = NULL;
    jobs_count(jobs, (int64_t)extra_weight(job->extra));
    return true;
}

void jobs_count(struct jobs *jobs, int64_t bytes)
{
    jobs->memory += (size_t)bytes;
    jobs->memory_living += (size_t)bytes;
}

void jobs_settle_batches(struct jobs *jobs)
{
    struct batches *batches = &jobs->batches;
    size_t bytes = batches->freed_bytes + batches->freed_pins * (size_t)RECORD_WEIGHT;
    jobs_count(jobs, -(int64_t)bytes);
    jobs->deliveries -= batches->freed_promises;
    jobs->retainable -= batches->freed_pins;
    batches->freed_bytes = 0;
    batches->freed_promises = batches->freed_pins = 0;
}

bool jobs_set(struct jobs *jobs, struct jobd_blob **part, struct jobd_blob *bytes, struct op *op)
{
    jobs_count(jobs, -(int64_t)blob_weight(*part));
    op_discard(op, *part);
    *part = NULL;
    if (bytes == NULL)
        return true;
    if (!jobs_make_room(jobs, blob_weight(bytes), op)) {
        op_discard(op, bytes);
        return false;
    }
    *part = bytes;
    jobs_count(jobs, (int64_t)blob_weight(bytes));
    return true;
}

/* When it is retained no longer others have ended later, so it cannot wait among them for the time
 * that is for all: it stays until both have passed. */
static bool ends_by_keep_for(const struct jobs *jobs, const struct job *job)
{
    return job->retained && job->extra->keep_us == 0 && jobs->keep_for_us > 0;
}

/* One that ended before this process has its time already; one that is pinned is not due. */
static void watch_end(struct jobs *jobs, struct job *job)
{
    struct job_extra *extra = job->extra;
    if (extra == NULL || (extra->keep_us == 0 && !job->retained))
        return;
    if (job->finished_us > 0)
        extra->forget_us = later_us(job->finished_us, extra->keep_us);
    if (job->pins != 0)
        return;
    extra->due.order = (uint32_t)job->id;
    int64_t at_us = job->retained ? extra->unique_until_us : extra->forget_us;
    if (ends_by_keep_for(jobs, job) && keep_until(jobs, job) > at_us)
        at_us = keep_until(jobs, job);
    heap_push(&jobs->dues, &extra->due, at_us);
}

/* By their number one may be too many. */
static void remember_one_more(struct jobs *jobs, struct job *job)
{
    struct remembered *remembered = &jobs->remembered[job->queue];
    struct job_list *ages = ages_of(jobs, job);
    TAILQ_INSERT_TAIL(&remembered->ended[job->state], job, link);
    TAILQ_INSERT_TAIL(ages, job, by_age);
    jobs->memory_living -= jobs_weight(job);
    watch_end(jobs, job);
    remembered->len[job->state]++;
}

/* It may not be forgotten yet. */
static void remember_retained(struct jobs *jobs, struct job *job)
{
    struct remembered *remembered = &jobs->remembered[job->queue];
    TAILQ_INSERT_TAIL(&remembered->retained, job, link);
    remembered->retained_len++;
    watch_end(jobs, job);
}

void jobs_remember_all(struct jobs *jobs, struct job *job, bool retained)
{
    verify(TAILQ_EMPTY(&job->awaiting));
    job->retained = retained;
    if (job->retained)
        remember_retained(jobs, job);
    else
        remember_one_more(jobs, job);
}

void jobs_pins_changed(struct jobs *jobs, struct job *job)
{
    if (!job->retained)
        jobs->memory_living += job->pins != 0 ? -(size_t)RECORD_WEIGHT : RECORD_WEIGHT;
    jobs_unwatch(jobs, job);
    watch_end(jobs, job);
}

static void remember_usually(struct jobs *jobs, struct job *job, struct op *op)
{
    struct remembered *remembered = &jobs->remembered[job->queue];
    struct job_list *ended = &remembered->ended[job->state];
    remember_one_more(jobs, job);
    if (remembered->len[job->state] > remembered->keep)
        forget(jobs, TAILQ_FIRST(ended), op);
}

bool jobs_forget_due(struct jobs *jobs, int64_t now_us, struct op *op)
{
    if (keep_next_end_us(jobs) > now_us)
        return false;
    forget(jobs, keep_next(jobs), op);
    return true;
}

void jobs_end_due(struct jobs *jobs, struct job *job, struct op *op)
{
    bool lasts = job->retained && !ends_by_keep_for(jobs, job) &&
                 (job->extra->keep_us == 0 || job->extra->forget_us > op->now_us);
    if (!lasts) {
        forget(jobs, job, op);
        return;
    }
    struct remembered *remembered = &jobs->remembered[job->queue];
    jobs_unwatch(jobs, job);
    TAILQ_REMOVE(&remembered->retained, job, link);
    remembered->retained_len--;
    job->retained = false;
    remember_usually(jobs, job, op);
}

void jobs_remember(struct jobs *jobs, struct job *job, struct op *op)
{
    verify(TAILQ_EMPTY(&job->awaiting));
    bool lasts = job->extra != NULL && job->extra->unique_until_us > op->now_us &&
                 jobs->retainable <= jobs->retainable_max;
    job->retained = lasts || job->pins != 0;
    if (job->retained)
        remember_retained(jobs, job);
    else
        remember_usually(jobs, job, op);
}

void jobs_move(struct jobs *jobs, struct job *job, uint16_t queue)
{
    struct job_extra *extra = job->extra;
    bool keyed = extra != NULL && extra->key[0] != '\0';
    if (keyed)
        RB_REMOVE(key_tree, &jobs->keys, extra);
    job->queue = queue;
    if (keyed)
        verify(RB_INSERT(key_tree, &jobs->keys, extra) == NULL);
}

void jobs_set_content(struct jobs *jobs, struct job *job, struct job_content *content,
                      struct op *op)
{
    struct job_extra *before = job->extra;
    jobs->memory -= jobs_weight(job);
    jobs->memory_living -= jobs_weight(job);
    if (before != NULL)
        jobs->retainable -= before->unique_until_us != 0;
    jobs->deliveries -= extra_promise(before) != NULL;
    if (before != NULL && before->key[0] != '\0')
        RB_REMOVE(key_tree, &jobs->keys, before);
    jobs_give_back(job, op);
    job->payload = content->payload;
    job->extra = content->extra;
    jobs->memory += jobs_weight(job);
    jobs->memory_living += jobs_weight(job);
    if (job->extra == NULL)
        return;
    job->extra->job = job;
    jobs->retainable += job->extra->unique_until_us != 0;
    jobs->deliveries += extra_promise(job->extra) != NULL;
    jobs_note_key(jobs, job);
}

void jobs_watch(struct jobs *jobs, struct job *job)
{
    struct job_extra *extra = job->extra;
    if (extra == NULL || extra->expires_us == 0)
        return;
    extra->due.order = (uint32_t)job->id;
    heap_push(&jobs->dues, &extra->due, extra->expires_us);
}

void jobs_unwatch(struct jobs *jobs, struct job *job)
{
    if (job->extra != NULL)
        heap_remove(&jobs->dues, &job->extra->due);
}

void jobs_exchange(struct jobs *jobs, struct job *job, struct job_content *content)
{
    struct job_content before = job_content(job);
    RB_REMOVE(key_tree, &jobs->keys, job->extra);
    jobs->retainable -= job->extra->unique_until_us != 0;
    job->payload = content->payload;
    content->extra->deliveries = job->extra->deliveries;
    job->extra = content->extra;
    job->extra->job = job;
    job->ready_us = content->ready_us;
    job->attempts = content->attempts;
    job->priority = content->priority;
    job->delayed = content->delayed;
    job->by_wall = content->by_wall;
    job->unexpiring = content->unexpiring;
    verify(RB_INSERT(key_tree, &jobs->keys, job->extra) == NULL);
    jobs->retainable += job->extra->unique_until_us != 0;
    *content = before;
}

bool jobs_hold_content(struct jobs *jobs, const struct job_content *content, struct op *op)
{
    if (!jobs_make_room(jobs, content_weight(content), op))
        return false;
    jobs->memory += content_weight(content);
    jobs->memory_living += content_weight(content);
    jobs->deliveries += extra_promise(content->extra) != NULL;
    return true;
}

void content_release(struct job_content *content)
{
    jobd_blob_unref(content->payload);
    if (content->extra != NULL) {
        jobd_blob_unref(content->extra->output);
        jobd_blob_unref(content->extra->error);
        jobd_blob_unref(content->extra->errors);
    }
    extra_free(content->extra);
}

void jobs_drop_content(struct jobs *jobs, struct job_content *content, struct op *op)
{
    jobs->memory -= content_weight(content);
    jobs->memory_living -= content_weight(content);
    jobs->deliveries -= extra_promise(content->extra) != NULL;
    op_discard(op, content->payload);
    discard_outcome(content->extra, op);
    extra_free(content->extra);
    *content = (struct job_content){.payload = NULL};
}

void jobs_revive(struct jobs *jobs, struct job *job)
{
    leave_remembered(jobs, job);
    jobs->memory_living += jobs_weight(job);
}
