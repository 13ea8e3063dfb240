/* SPDX-License-Identifier: MIT */
#include "engine/job_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "engine/blob.h"
#include "engine/engine.h"
#include "engine/words.h"

static int job_compare(const struct job *a, const struct job *b)
{
    return (a->id > b->id) - (a->id < b->id);
}

RB_GENERATE(job_tree, job, by_id, job_compare)

static int key_order(unsigned queue, const char *key, const struct job_extra *at)
{
    if (queue != at->job->queue)
        return queue < at->job->queue ? -1 : 1;
    return strcmp(key, at->key);
}

static int key_compare(const struct job_extra *a, const struct job_extra *b)
{
    return key_order(a->job->queue, a->key, b);
}

RB_GENERATE(key_tree, job_extra, by_key, key_compare)

int jobs_init(struct jobs *jobs, uint32_t records_max, uint32_t queues_len, size_t memory_max)
{
    *jobs = (struct jobs){
        .records_max = records_max, .queues_len = queues_len, .memory_max = memory_max};
    TAILQ_INIT(&jobs->forgotten);
    TAILQ_INIT(&jobs->forgotten_gathered);
    TAILQ_INIT(&jobs->spare);
    RB_INIT(&jobs->tree);
    RB_INIT(&jobs->keys);
    for (unsigned i = 0; i < AGES; i++)
        TAILQ_INIT(&jobs->by_age[i]);
    jobs->remembered = calloc(queues_len, sizeof *jobs->remembered);
    for (uint32_t i = 0; jobs->remembered != NULL && i < queues_len; i++)
        for (unsigned state = 0; state < JOBD_STATES; state++)
            TAILQ_INIT(&jobs->remembered[i].ended[state]);
    jobs->records = calloc(records_max, sizeof *jobs->records);
    jobs->expired = jobd_blob_text("expired");
    if (jobs->records == NULL || jobs->remembered == NULL || jobs->expired == NULL)
        return -ENOMEM;
    return heap_init(&jobs->dues, records_max);
}

void jobs_release(struct jobs *jobs)
{
    struct job *job;
    RB_FOREACH (job, job_tree, &jobs->tree) {
        jobd_blob_unref(job->payload);
        if (job->extra != NULL) {
            jobd_blob_unref(job->extra->output);
            jobd_blob_unref(job->extra->error);
            jobd_blob_unref(job->extra->errors);
        }
        extra_free(job->extra);
    }
    heap_release(&jobs->dues);
    jobd_blob_unref(jobs->expired);
    free(jobs->records);
    free(jobs->remembered);
    jobs->records = NULL;
    jobs->remembered = NULL;
}

struct job *jobs_find(struct jobs *jobs, uint64_t id)
{
    struct job key = {.id = id};
    return RB_FIND(job_tree, &jobs->tree, &key);
}

struct job *jobs_seen(struct jobs *jobs, uint64_t id)
{
    struct job *job = jobs_find(jobs, id);
    return job != NULL && job->state != STATE_NEW ? job : NULL;
}

struct job *jobs_above(struct jobs *jobs, uint64_t id)
{
    if (id == UINT64_MAX)
        return NULL;
    struct job key = {.id = id + 1};
    return RB_NFIND(job_tree, &jobs->tree, &key);
}

struct job *jobs_below(struct jobs *jobs, uint64_t id)
{
    struct job key = {.id = id};
    struct job *from = RB_NFIND(job_tree, &jobs->tree, &key);
    return from != NULL ? RB_PREV(job_tree, &jobs->tree, from) : RB_MAX(job_tree, &jobs->tree);
}

static struct job_list *ages_of(struct jobs *jobs, const struct job *job)
{
    bool own = job->extra != NULL && job->extra->keep_us != 0;
    return &jobs->by_age[(job->state == JOBD_FAILED ? AGE_FAILED : 0) | (own ? AGE_OWN : 0)];
}

size_t extra_weight(const struct job_extra *extra)
{
    return sizeof *extra + strlen(extra->key) + 1 + blob_weight(extra->words);
}

size_t jobs_weight(const struct job *job)
{
    const struct job_extra *extra = job->extra;
    size_t weight = blob_weight(job->payload);
    if (extra != NULL)
        weight += extra_weight(extra) + blob_weight(extra->output) + blob_weight(extra->error) +
                  blob_weight(extra->errors);
    return weight;
}

static void leave_remembered(struct jobs *jobs, struct job *job)
{
    struct remembered *remembered = &jobs->remembered[job->queue];
    struct job_list *ages = ages_of(jobs, job);
    TAILQ_REMOVE(&remembered->ended[job->state], job, link);
    remembered->len[job->state]--;
    TAILQ_REMOVE(ages, job, by_age);
    TAILQ_INIT(&job->awaiting);
    jobs_unwatch(jobs, job);
}

void jobs_release_record(struct jobs *jobs, struct job *job)
{
    job->id = 0;
    TAILQ_INSERT_HEAD(&jobs->spare, job, link);
    jobs->spare_len++;
}

/* Out of all that finds it. */
static void take_out(struct jobs *jobs, struct job *job)
{
    RB_REMOVE(job_tree, &jobs->tree, job);
    jobs->memory -= jobs_weight(job);
    if (job->extra != NULL && job->extra->key[0] != '\0')
        RB_REMOVE(key_tree, &jobs->keys, job->extra);
}

void jobs_give_back(struct job *job, struct op *op)
{
    op_discard(op, job->payload);
    if (job->extra != NULL) {
        op_discard(op, job->extra->output);
        op_discard(op, job->extra->error);
        op_discard(op, job->extra->errors);
    }
    extra_free(job->extra);
    job->payload = NULL;
    job->extra = NULL;
}

void jobs_forget(struct jobs *jobs, struct job *job, struct op *op)
{
    verify(jobd_state_final(job->state));
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
    verify(job->state == STATE_NEW);
    jobs_erase(jobs, job, op);
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
        jobs->remembered[first->queue].forgotten_early++;
        op->forgot_early = true;
        jobs_forget(jobs, first, op);
    }
    return true;
}

uint32_t jobs_spare(const struct jobs *jobs)
{
    return jobs->records_max - jobs->records_used + jobs->spare_len;
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
    *job = (struct job){.id = id, .payload = payload, .extra = extra};
    if (extra != NULL)
        extra->job = job;
    TAILQ_INIT(&job->awaiting);
    verify(RB_INSERT(job_tree, &jobs->tree, job) == NULL);
    jobs->memory += jobs_weight(job);
    jobs->memory_living += jobs_weight(job);
    return job;
}

void jobs_note_key(struct jobs *jobs, struct job *job)
{
    if (job->extra == NULL || job->extra->key[0] == '\0')
        return;
    verify(RB_INSERT(key_tree, &jobs->keys, job->extra) == NULL);
}

const struct job *jobs_with_key(struct jobs *jobs, uint16_t queue, const char *key)
{
    const struct job_extra *at = RB_ROOT(&jobs->keys);
    int order;
    while (at != NULL && (order = key_order(queue, key, at)) != 0)
        at = order < 0 ? RB_LEFT(at, by_key) : RB_RIGHT(at, by_key);
    return at != NULL ? at->job : NULL;
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
    jobs->memory += extra_weight(job->extra);
    jobs->memory_living += extra_weight(job->extra);
    return true;
}

bool jobs_set(struct jobs *jobs, struct jobd_blob **part, struct jobd_blob *bytes, struct op *op)
{
    jobs->memory -= blob_weight(*part);
    jobs->memory_living -= blob_weight(*part);
    op_discard(op, *part);
    *part = NULL;
    if (!jobs_make_room(jobs, blob_weight(bytes), op)) {
        op_discard(op, bytes);
        return false;
    }
    *part = bytes;
    jobs->memory += blob_weight(bytes);
    jobs->memory_living += blob_weight(bytes);
    return true;
}

/* One that ended before this process has its time already. */
static void watch_end(struct jobs *jobs, struct job *job)
{
    struct job_extra *extra = job->extra;
    if (extra == NULL || extra->keep_us == 0)
        return;
    if (job->finished_us > 0)
        extra->forget_us = later_us(job->finished_us, extra->keep_us);
    extra->due.order = (uint32_t)job->id;
    heap_push(&jobs->dues, &extra->due, extra->forget_us);
}

void jobs_remember_all(struct jobs *jobs, struct job *job)
{
    struct remembered *remembered = &jobs->remembered[job->queue];
    struct job_list *ages = ages_of(jobs, job);
    verify(TAILQ_EMPTY(&job->awaiting));
    TAILQ_INSERT_TAIL(&remembered->ended[job->state], job, link);
    TAILQ_INSERT_TAIL(ages, job, by_age);
    jobs->memory_living -= jobs_weight(job);
    remembered->len[job->state]++;
    watch_end(jobs, job);
}

void jobs_remember(struct jobs *jobs, struct job *job, struct op *op)
{
    struct remembered *remembered = &jobs->remembered[job->queue];
    jobs_remember_all(jobs, job);
    if (remembered->len[job->state] > remembered->keep)
        jobs_forget(jobs, TAILQ_FIRST(&remembered->ended[job->state]), op);
}

void jobs_move(struct jobs *jobs, struct job *job, uint16_t queue)
{
    struct job_extra *extra = job->extra;
    bool keyed = extra != NULL && extra->key[0] != '\0';
    if (keyed)
        RB_REMOVE(key_tree, &jobs->keys, extra);
    job->queue = queue;
    if (keyed && jobs_with_key(jobs, queue, extra->key) == NULL) {
        verify(RB_INSERT(key_tree, &jobs->keys, extra) == NULL);
    } else if (keyed) {
        jobs->memory -= strlen(extra->key);
        jobs->memory_living -= strlen(extra->key);
        extra->key[0] = '\0';
    }
}

/* It is final, or lives. */
static void drop_key(struct jobs *jobs, struct job *job)
{
    struct job_extra *extra = job->extra;
    bool living = job->state == STATE_NEW || !jobd_state_final((enum jobd_state)job->state);
    if (extra == NULL || extra->key[0] == '\0')
        return;
    RB_REMOVE(key_tree, &jobs->keys, extra);
    jobs->memory -= strlen(extra->key);
    jobs->memory_living -= living ? strlen(extra->key) : 0;
    extra->key[0] = '\0';
}

bool jobs_set_key(struct jobs *jobs, struct job *job, const char *key)
{
    struct job_extra *before = job->extra;
    const struct job *other = jobs_with_key(jobs, job->queue, key);
    if (before == NULL || strcmp(before->key, key) == 0)
        return true;
    drop_key(jobs, job);
    if (key[0] == '\0')
        return true;
    struct job_extra *extra = calloc(1, sizeof *extra + strlen(key) + 1);
    if (extra == NULL)
        return false;
    if (other != NULL)
        drop_key(jobs, other->extra->job);
    *extra = *before;
    memcpy(extra->key, key, strlen(key) + 1);
    job->extra = extra;
    free(before);
    jobs->memory += strlen(key);
    jobs->memory_living += strlen(key);
    jobs_note_key(jobs, job);
    return true;
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

bool job_too_late(const struct job *job, int64_t now_us)
{
    const struct job_extra *extra = job->extra;
    return extra != NULL && extra->expires_us != 0 && extra->expires_us <= now_us;
}

void jobs_revive(struct jobs *jobs, struct job *job)
{
    leave_remembered(jobs, job);
    jobs->memory_living += jobs_weight(job);
}

/* ---- what few jobs have */

struct job_extra *extra_new(const struct jobd_put *put, struct job_extra *next)
{
    size_t key_size = put->key != NULL ? strlen(put->key) + 1 : 1;
    struct job_extra *extra = calloc(1, sizeof *extra + key_size);
    if (extra == NULL)
        return NULL;
    if (put->terms != NULL && !words_new(put->terms->texts, &extra->words)) {
        free(extra);
        return NULL;
    }
    extra->next = next;
    extra->timeout_us = put->timeout_us;
    extra->expires_by_wall = put->terms != NULL && put->terms->expires_by_wall;
    if (put->trace != NULL)
        memcpy(extra->trace, put->trace, strlen(put->trace) + 1);
    if (put->key != NULL)
        memcpy(extra->key, put->key, key_size);
    return extra;
}

struct job_extra *extra_for(const struct jobd_outcome *outcome)
{
    static const struct jobd_put nothing;
    bool leaves =
        outcome->output != NULL || outcome->error != NULL || outcome->state == JOBD_FAILED;
    return leaves ? extra_new(&nothing, NULL) : NULL;
}

void extra_free(struct job_extra *extra)
{
    while (extra != NULL) {
        struct job_extra *next = extra->next;
        jobd_blob_unref(extra->words);
        free(extra);
        extra = next;
    }
}
