/* SPDX-License-Identifier: MIT */
#include "engine/admission.h"

#include <stdlib.h>
#include <string.h>

#include "engine/blob.h"
#include "engine/breaker.h"
#include "engine/deliveries.h"
#include "engine/edges.h"
#include "engine/replace.h"
#include "engine/room_estimate.h"
#include "engine/changes.h"
#include "engine/limits.h"
#include "engine/transition.h"
#include "engine/fair.h"
#include "engine/waiters.h"

uint32_t admission_jobs(const struct jobd_put *put)
{
    return put->batch_len > 0 ? put->batch_len : 1;
}

const struct jobd_put *admission_put(const struct jobd_put *put, uint32_t number)
{
    return put->puts != NULL ? &put->puts[number] : put;
}

static struct jobd_blob *payload_of(const struct jobd_put *put, uint32_t number)
{
    if (put->puts != NULL)
        return put->puts[number].payload;
    return put->batch_len > 0 ? put->batch[number] : put->payload;
}

/* ---- is there room */

uint32_t admission_room(const struct queue *queue)
{
    uint32_t waiting = queue_waiting(queue) + queue_expected(queue);
    return waiting < queue->capacity ? queue->capacity - waiting : 0;
}

enum jobd_result admission_open_locked(struct op *op, const struct queue *queue)
{
    if (queue->phase != QUEUE_OPEN)
        return JOBD_UNDECLARED;
    return op->jobd->closed ? JOBD_CLOSED : JOBD_OK;
}

enum jobd_result admission_check_locked(struct op *op, const struct queue *queue, uint32_t jobs,
                                        struct jobd_waiter *waiter)
{
    bool is_next = waiter != NULL && waiting_of(waiter)->kind != WAIT_NOT;
    if (op->jobd->journal.refuses)
        return JOBD_STORE_FAILED;
    if (jobs > admission_room(queue) || (!is_next && !TAILQ_EMPTY(&queue->put_waiters)))
        return JOBD_FULL;
    return change_has_room_locked(op, is_next ? NULL : waiter) ? JOBD_OK : JOBD_TOO_MANY_WAITERS;
}

/* ---- a key that was seen before */

/* No attempt of it has begun, and another start or another queue for it is being written. */
static bool is_changing(const struct job *job)
{
    return job_waits(job) && job->attempt == 0 && job->changing;
}

/* What the put, which has this extra, takes for the same job; NULL: there is none. */
static struct job *same_job_locked(struct op *op, const struct admission *admission)
    REQUIRES(op->jobd->lock)
{
    const struct job_extra *extra = admission->extra;
    if (extra == NULL || extra->key[0] == '\0' || admission->put->puts != NULL)
        return NULL;
    struct job *job = jobs_with_key(&op->jobd->jobs, (uint16_t)admission->put->queue, extra->key);
    if (job == NULL || extra->unique == JOBD_WHILE_KNOWN)
        return job;
    bool same = true;
    if (extra->unique == JOBD_WHILE_WAITING)
        same = job_not_begun(job) || is_changing(job);
    else if (extra->unique == JOBD_WHILE_ACTIVE)
        same = !job_has_ended(job);
    else
        same = op->now_us < later_us(job->extra->came_us, extra->unique_us);
    if (extra->replace && !job_has_ended(job) && !job_not_begun(job) && !is_changing(job))
        same = false; /* it has begun: beside it a new one */
    return same ? job : NULL;
}

static bool same_bytes(const struct jobd_blob *a, const struct jobd_blob *b)
{
    size_t size = a != NULL ? a->size : 0;
    if (size != (b != NULL ? b->size : 0))
        return false;
    return size == 0 || memcmp(a->bytes, b->bytes, size) == 0;
}

/* It stood in the journal behind the put of its job. */
static enum jobd_result duplicate_result_locked(struct op *op, const struct change *change,
                                                bool written) REQUIRES(op->jobd->lock)
{
    (void)written;
    return jobs_seen(&op->jobd->jobs, change->duplicate_of) != NULL ? JOBD_OK : JOBD_STORE_FAILED;
}

static const struct change_kind duplicate_kind = {
    .name = "duplicate", .is_mark = true, .result = duplicate_result_locked, .then_end = true};

static enum jobd_result repeat_locked(struct op *op, const struct admission *admission,
                                      const struct job *job) REQUIRES(op->jobd->lock)
{
    struct change change;
    bool is_written = job->state != STATE_NEW || admission->waiter == NULL;
    bool any_payload = admission->extra->unique != JOBD_WHILE_KNOWN;
    if (!any_payload && !same_bytes(job->payload, admission->put->payload))
        return JOBD_CONFLICT;
    if (!is_written && !change_has_room_locked(op, admission->waiter))
        return JOBD_TOO_MANY_WAITERS;
    op_discard(op, admission->put->payload);
    admission->receipt->id = job->id;
    admission->receipt->state = job_state(job);
    admission->receipt->duplicate = true;
    if (is_written)
        return JOBD_OK;
    change_init(&change, op, &duplicate_kind, NULL);
    change.waiter = admission->waiter;
    change.duplicate_of = job->id;
    return change_submit_locked(op, &change);
}

/* ---- letting in */

void admission_apply_locked(struct op *op, struct change *change, struct job *job)
{
    struct queue *queue = &op->jobd->queues[job->queue];
    (void)change;
    queue->put_pending--;
    queue->admitted++;
    transition_enter_locked(op, job);
}

void admission_undo_locked(struct op *op, struct change *change, struct job *job)
{
    (void)change;
    op->jobd->queues[job->queue].put_pending--;
    if (job_being_replaced(job))
        change_void_others_locked(op, job, change);
    fair_quit_locked(op, &op->jobd->queues[job->queue], job->extra);
    edges_leave_locked(op, job->extra);
    jobs_drop(&op->jobd->jobs, job, op);
}

static const struct change_kind put_kind = {.name = "put",
                                            .row = ROW_ADD,
                                            .apply = admission_apply_locked,
                                            .undo = admission_undo_locked,
                                            .then_end = true,
                                            .is_put = true};

/* The next job's extra, which is the caller's from now on. */
static struct job_extra *next_extra(struct op *op, struct admission *admission, uint32_t number)
{
    struct job_extra *own = admission->extra;
    if (own == NULL || own->number != number)
        return NULL;
    admission->extra = own->next;
    own->next = NULL;
    own->came_us = op->now_us;
    if (own->unique_until_us != 0)
        own->unique_until_us = later_us(op->now_us, own->unique_us);
    return own;
}

/* What the put says of its nth job. */
static struct job_content content_locked(struct op *op, struct admission *admission,
                                         uint32_t number) REQUIRES(op->jobd->lock)
{
    const struct jobd_put *put = admission_put(admission->put, number);
    uint16_t usual = op->jobd->queues[jobd_queue_index(admission->put->queue)].attempts;
    bool by_wall = put->at_us > op->now_us;
    return (struct job_content){
        .payload = payload_of(admission->put, number),
        .extra = next_extra(op, admission, number),
        .ready_us = by_wall ? put->at_us : later_us(op->now_us, put->delay_us),
        .attempts = put->attempts > 0 ? (uint16_t)put->attempts : usual,
        .priority = put->priority,
        .delayed = by_wall || put->delay_us > 0,
        .by_wall = by_wall,
    };
}

/* Takes its payload and its extra. */
static struct job *new_job_locked(struct op *op, struct admission *admission, uint32_t number)
    REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    const struct job_content content = content_locked(op, admission, number);
    struct job *job = jobs_add(jobs, op->jobd->next_id++, content.payload, content.extra);
    job->queue = (uint16_t)admission->put->queue;
    job->batched = admission->put->batch_len > 0;
    job->priority = content.priority;
    job->attempts = content.attempts;
    job->created_us = op->now_us;
    job->by_wall = content.by_wall;
    job->delayed = content.delayed;
    job->ready_us = content.ready_us;
    jobs_note_key(jobs, job);
    if (job->extra != NULL && job->extra->parents != NULL)
        edges_link(job->extra->parents, job);
    deliveries_pin_locked(op, job);
    return job;
}

/* All are of one group, or it is an estimate for the first. */
static void say_group_room_locked(struct op *op, const struct queue *queue,
                                  struct admission *admission) REQUIRES(op->jobd->lock)
{
    const struct group *group = fair_find(queue, admission->extra);
    const uint32_t jobs = admission_jobs(admission->put);
    admission->receipt->room_in_us = group_room_in_us(queue, group, op->now_us, jobs);
}

/* ---- those that the jobs are put after */

/* Each must be there, and have come before the job that is `replaced`, NULL: none; those that have
 * ended, all of them as well as they have to, are not waited for. */
static enum jobd_result check_parents_locked(struct op *op, struct admission *admission,
                                             const struct job *replaced) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    enum jobd_result result = JOBD_OK;
    const struct edge *why;
    for (struct job_extra *one = admission->extra; one != NULL && result == JOBD_OK;
         one = one->next) {
        if (one->parents == NULL)
            continue;
        result = edges_check(op, one->parents, replaced, admission->receipt);
        if (result == JOBD_OK && edges_verdict(jobs, one->parents, &why) == VERDICT_BEGIN) {
            free(one->parents);
            one->parents = NULL;
        }
    }
    return result;
}

/* JOBD_OK, or as edges_expect_locked(). */
static enum jobd_result expect_parents_locked(struct op *op, struct admission *admission)
    REQUIRES(op->jobd->lock)
{
    enum jobd_result result = JOBD_OK;
    const struct parents *before = NULL;
    for (struct job_extra *one = admission->extra; one != NULL && result == JOBD_OK;
         one = one->next) {
        if (one->parents == NULL)
            continue;
        result = edges_expect_locked(op, one->parents, before);
        before = one->parents;
    }
    return result;
}

static enum jobd_result take_place_locked(struct op *op, struct admission *admission,
                                          struct job *job) REQUIRES(op->jobd->lock)
{
    enum jobd_result result = check_parents_locked(op, admission, job);
    if (result == JOBD_OK)
        result = expect_parents_locked(op, admission);
    if (result != JOBD_OK)
        return result;
    struct job_content content = content_locked(op, admission, 0);
    result = replace_locked(op, job, &content, admission->waiter, admission->receipt);
    if (result != JOBD_OK && result != JOBD_PENDING)
        admission->extra = content.extra;
    if (result == JOBD_GROUP_FULL)
        say_group_room_locked(op, &op->jobd->queues[job->queue], admission);
    return result;
}

/* ---- a batch whose jobs have keys of their own */

/* The job that the one of the batch that has this extra is already; NULL: it is new. */
static struct job *known_as_locked(struct op *op, const struct admission *admission,
                                   const struct job_extra *extra) REQUIRES(op->jobd->lock)
{
    if (admission->put->puts == NULL || extra->key[0] == '\0')
        return NULL;
    return jobs_with_key(&op->jobd->jobs, (uint16_t)admission->put->queue, extra->key);
}

/* The job that the next of the batch is already: known before, or in front of it here. */
static struct job *known_locked(struct op *op, const struct admission *admission, uint32_t number)
    REQUIRES(op->jobd->lock)
{
    const struct job_extra *extra = admission->extra;
    bool its_own = extra != NULL && extra->number == number;
    return its_own ? known_as_locked(op, admission, extra) : NULL;
}

/* Those of a batch that are known: how many, and what they would have counted for. */
struct known {
    uint32_t jobs;
    size_t bytes;
};

/* JOBD_OK; JOBD_CONFLICT, and which on the receipt; or JOBD_CHANGING: one of them is just being
 * written. */
static enum jobd_result count_known_locked(struct op *op, const struct admission *admission,
                                           struct known *known) REQUIRES(op->jobd->lock)
{
    const struct jobd_put *put = admission->put;
    const struct job_extra *extra = put->puts != NULL ? admission->extra : NULL;
    *known = (struct known){.jobs = 0};
    for (; extra != NULL; extra = extra->next) {
        const struct job *job = known_as_locked(op, admission, extra);
        if (job == NULL)
            continue;
        struct jobd_blob *payload = payload_of(put, extra->number);
        admission->receipt->id = extra->number;
        if (!same_bytes(job->payload, payload))
            return JOBD_CONFLICT;
        if (job->state == STATE_NEW)
            return JOBD_CHANGING;
        known->jobs++;
        known->bytes += blob_weight(payload) + extra_weight(extra);
    }
    return JOBD_OK;
}

static void drop_known_locked(struct op *op, struct admission *admission, uint32_t number)
    REQUIRES(op->jobd->lock)
{
    struct job_extra *own = admission->extra;
    admission->extra = own->next;
    own->next = NULL;
    fair_quit_locked(op, &op->jobd->queues[jobd_queue_index(admission->put->queue)], own);
    extra_free(own);
    op_discard(op, payload_of(admission->put, number));
}

static void note_id(struct admission *admission, uint32_t number, const struct job *job)
{
    struct jobd_receipt *receipt = admission->receipt;
    if (number == 0) {
        receipt->id = job->id;
        receipt->state = job_state(job);
    }
    if (admission->put->ids != NULL)
        admission->put->ids[number] = job->id;
}

/* The first of its extras has it; NULL: there is none. */
static struct job_extra *take_promise(struct admission *admission)
{
    struct job_extra *promised = extra_promise(admission->extra);
    if (promised != NULL)
        admission->extra->promised = NULL;
    return promised;
}

/* Of those that are new; takes the promise. */
static void new_batch_locked(struct op *op, struct admission *admission, uint64_t first,
                             uint32_t len, struct job_extra *promised) REQUIRES(op->jobd->lock)
{
    struct batch *batch = batches_add(&op->jobd->jobs.batches, first, len);
    batch->queue = (uint16_t)admission->put->queue;
    batch->created_us = op->now_us;
    admission->receipt->batch = first;
    if (promised != NULL)
        deliveries_begin_batch_locked(op, batch, promised);
}

static enum jobd_result let_in_locked(struct op *op, struct admission *admission)
    REQUIRES(op->jobd->lock)
{
    struct change change;
    change_init(&change, op, admission->kind != NULL ? admission->kind : &put_kind, NULL);
    change.waiter = admission->waiter;
    const uint64_t first = op->jobd->next_id;
    const bool is_one = admission->put->batch_len > 0;
    struct job_extra *promised = is_one ? take_promise(admission) : NULL;
    change.step = admission->step;
    for (uint32_t i = 0; i < admission_jobs(admission->put); i++) {
        struct job *job = known_locked(op, admission, i);
        if (job != NULL) {
            note_id(admission, i, job);
            drop_known_locked(op, admission, i);
            continue;
        }
        job = new_job_locked(op, admission, i);
        note_id(admission, i, job);
        op->jobd->queues[job->queue].put_pending++;
        change_add_job(&change, job);
    }
    if (is_one && change.rows > 0)
        new_batch_locked(op, admission, first, (uint32_t)change.rows, promised);
    else
        extra_free(promised);
    if (change.rows == 0 && change.kind->begin == NULL)
        return JOBD_OK;
    if (change.kind->begin != NULL)
        change.kind->begin(op, &change);
    return change_submit_locked(op, &change);
}

static void quit_groups_locked(struct op *op, struct admission *admission) REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[jobd_queue_index(admission->put->queue)];
    for (struct job_extra *one = admission->extra; one != NULL; one = one->next)
        fair_quit_locked(op, queue, one);
}

/* Each of its jobs that is not known counts in its group from now on. JOBD_OK; or JOBD_GROUP_FULL
 * or JOBD_OUT_OF_MEMORY, and perhaps some do. */
static enum jobd_result join_groups_locked(struct op *op, struct admission *admission)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[jobd_queue_index(admission->put->queue)];
    enum jobd_result result = JOBD_OK;
    if (!fair_has(queue, op->jobd->next_id))
        return JOBD_OK;
    for (struct job_extra *one = admission->extra; one != NULL && result == JOBD_OK;
         one = one->next)
        if (one->group == NULL && known_as_locked(op, admission, one) == NULL)
            result = fair_join_locked(op, queue, one);
    return result;
}

static size_t weight_of(const struct admission *admission)
{
    const struct job_extra *extra = admission->extra;
    size_t bytes = deliveries_weight(extra, admission->put->batch_len > 0);
    for (uint32_t i = 0; i < admission_jobs(admission->put); i++)
        bytes += blob_weight(payload_of(admission->put, i));
    for (; extra != NULL; extra = extra->next)
        bytes += extra_weight(extra);
    return bytes;
}

/* Is there a place and memory for those that are not known? What is known may have been forgotten
 * for that: then once more, with fewer of them. */
static enum jobd_result make_way_locked(struct op *op, struct admission *admission,
                                        const struct queue *queue, uint32_t jobs)
    REQUIRES(op->jobd->lock)
{
    struct jobs *all = &op->jobd->jobs;
    struct known known, before = {.jobs = UINT32_MAX};
    for (;; before = known) {
        enum jobd_result result = count_known_locked(op, admission, &known);
        if (result != JOBD_OK || known.jobs == before.jobs || known.jobs == jobs)
            return result;
        result = admission_check_locked(op, queue, jobs - known.jobs, admission->waiter);
        if (result != JOBD_OK)
            return result;
        if ((result = deliveries_admit_locked(op, admission->extra)) != JOBD_OK)
            return result;
        const uint32_t promises = extra_promise(admission->extra) != NULL;
        /* The queue has room, but all records may be taken: by several queues that hold more jobs
         * than their capacity, as leases were released. */
        if (jobs - known.jobs + promises > jobs_spare(all) || !batches_have_room(&all->batches))
            return JOBD_FULL;
        if (admission->extra != NULL && admission->extra->unique_until_us != 0 &&
            all->retainable + jobs > all->retainable_max)
            return JOBD_OUT_OF_MEMORY;
        if ((result = join_groups_locked(op, admission)) != JOBD_OK)
            return result;
        if ((result = expect_parents_locked(op, admission)) != JOBD_OK)
            return result;
        if (!jobs_make_room(all, weight_of(admission) - known.bytes, op))
            return JOBD_OUT_OF_MEMORY;
    }
}

static enum jobd_result admit_locked(struct op *op, struct admission *admission)
    REQUIRES(op->jobd->lock)
{
    const uint32_t number = admission->put->queue;
    const struct queue *queue = &op->jobd->queues[jobd_queue_index(number)];
    uint32_t jobs = admission_jobs(admission->put);
    enum jobd_result result =
        queue->number == number ? admission_open_locked(op, queue) : JOBD_UNDECLARED;
    if (result == JOBD_OK && queue->promised != NULL)
        result = JOBD_RESERVED;
    if (result != JOBD_OK)
        return result;
    struct job *same = same_job_locked(op, admission);
    if (same != NULL && admission->extra->replace && job_not_begun(same))
        return take_place_locked(op, admission, same);
    if (same != NULL && admission->extra->replace && is_changing(same))
        return JOBD_CHANGING;
    if (same != NULL)
        return repeat_locked(op, admission, same);
    if (admission->extra != NULL && (result = check_parents_locked(op, admission, NULL)) != JOBD_OK)
        return result;
    result = make_way_locked(op, admission, queue, jobs);
    if (result == JOBD_OK)
        return let_in_locked(op, admission);
    quit_groups_locked(op, admission);
    if (result == JOBD_GROUP_FULL)
        say_group_room_locked(op, queue, admission);
    return result;
}

enum jobd_result admission_locked(struct op *op, struct admission *admission)
{
    enum jobd_result result = admit_locked(op, admission);
    edges_settle_locked(op);
    return result;
}

/* ---- what they are told */

enum jobd_result admission_await_locked(struct op *op, const struct admission *admission)
{
    struct jobd_waiter *waiter = admission->waiter;
    if (waiter == NULL || waiter->end_us == 0)
        return JOBD_OK;
    return wait_next_for_end_locked(op, waiter, jobs_find(&op->jobd->jobs, admission->receipt->id));
}

enum jobd_result admission_waiting_locked(struct op *op, struct jobd_waiter *putter)
{
    struct waiting *waiting = waiting_of(putter);
    struct queue *queue = &op->jobd->queues[waiting->queue];
    struct admission admission = {.put = &waiting->put,
                                  .waiter = putter,
                                  .extra = waiting->extra,
                                  .receipt = &putter->receipt};
    waiting->extra = NULL;
    putter->receipt = (struct jobd_receipt){.capacity = queue->capacity};
    enum jobd_result result = admission_locked(op, &admission);
    extra_free(admission.extra); /* of a duplicate; or it is refused, and does not ask again */
    putter->accepted = result == JOBD_OK || result == JOBD_PENDING;
    putter->receipt.waiting = queue_waiting(queue);
    admission_refuse_locked(op, queue, admission_jobs(&waiting->put), result, &putter->receipt);
    return result == JOBD_OK ? admission_await_locked(op, &admission) : result;
}

void admission_give_up_locked(struct op *op, struct jobd_waiter *putter)
{
    const struct waiting *waiting = waiting_of(putter);
    struct queue *queue = &op->jobd->queues[waiting->queue];
    putter->accepted = false;
    putter->receipt =
        (struct jobd_receipt){.capacity = queue->capacity, .waiting = queue_waiting(queue)};
    admission_refuse_locked(op, queue, admission_jobs(&waiting->put), JOBD_FULL, &putter->receipt);
    wait_end_locked(op, putter, JOBD_FULL);
}
