/* SPDX-License-Identifier: MIT */
#include "engine/deliveries.h"

#include <string.h>

#include "engine/blob.h"
#include "engine/describe.h"
#include "engine/news.h"
#include "engine/pins.h"
#include "engine/promises.h"
#include "engine/touched.h"
#include "engine/words.h"

/* What goes in now would wait for nobody. */
static bool is_over_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    return op->jobd->cancelling && !op->jobd->durable;
}

static bool has_room_locked(struct op *op, const struct queue *queue) REQUIRES(op->jobd->lock)
{
    return queue_waiting(queue) + queue_expected(queue) < queue->capacity &&
           jobs_spare(&op->jobd->jobs) > 0;
}

/* ---- a put */

enum jobd_result deliveries_admit_locked(struct op *op, const struct job_extra *extra)
{
    const struct queue *queue = promise_queue_locked(op, true);
    if (extra_promise(extra) == NULL)
        return JOBD_OK;
    if (queue == NULL)
        return JOBD_NO_CALLBACKS;
    if (!has_room_locked(op, queue))
        return JOBD_CALLBACKS_FULL;
    return pins_have_room(&op->jobd->jobs, 1) ? JOBD_OK : JOBD_OUT_OF_MEMORY;
}

size_t deliveries_weight(const struct job_extra *extra, bool batch)
{
    const struct job_extra *promise = extra_promise(extra);
    if (promise == NULL)
        return 0;
    return PIN_WEIGHT + (batch ? blob_weight(promise->words) : 0);
}

void deliveries_pin_locked(struct op *op, struct job *job)
{
    if (extra_promise(job->extra) != NULL && (job->pins & PIN_CALLBACK) == 0)
        pin_job_locked(op, job, PIN_CALLBACK);
}

void deliveries_begin_batch_locked(struct op *op, struct batch *batch, struct job_extra *promised)
{
    batch->words = jobd_blob_ref(promised->words);
    pin_batch_locked(op, batch, PIN_CALLBACK);
    jobs_count(&op->jobd->jobs, (int64_t)blob_weight(batch->words));
    promise_batch_locked(op, batch, promised);
}

/* ---- its source is pinned */

/* Wherever it is, it stays there. */
static void tell_others_locked(struct op *op, const struct job *source) REQUIRES(op->jobd->lock)
{
    if (op->jobd->share != NULL)
        share_touch_in_place_locked(op, source);
}

static void hold_locked(struct op *op, struct job_extra *delivery, struct job *job)
    REQUIRES(op->jobd->lock)
{
    if ((job->pins & PIN_CALLBACK) == 0)
        pin_job_locked(op, job, PIN_CALLBACK);
    job->extra->deliveries++;
    delivery->holds = true;
    tell_others_locked(op, job);
}

static void hold_batch_locked(struct op *op, struct job_extra *delivery, struct batch *batch)
    REQUIRES(op->jobd->lock)
{
    if ((batch->pins & PIN_CALLBACK) == 0)
        pin_batch_locked(op, batch, PIN_CALLBACK);
    batch->deliveries++;
    delivery->holds = true;
    batches_note(&op->jobd->jobs.batches, batch);
}

/* The source of a delivery; NULL: it is another, or forgotten. */
static struct job *source_job_locked(struct op *op, const struct job_extra *delivery)
    REQUIRES(op->jobd->lock)
{
    return delivery->source > 0 ? jobs_find(&op->jobd->jobs, (uint64_t)delivery->source) : NULL;
}

/* A delivery lives again: so it holds its source, where that is still there. */
static void hold_again_locked(struct op *op, struct job_extra *delivery) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct job *job = source_job_locked(op, delivery);
    struct batch *batch =
        delivery->source < 0 ? batches_find(&jobs->batches, (uint64_t)-delivery->source) : NULL;
    if (job != NULL && job->extra != NULL && !job->extra->delivers && !job->forgetting &&
        (job->pins != 0 || pins_have_room(jobs, 1)))
        hold_locked(op, delivery, job);
    else if (batch != NULL && (batch->pins != 0 || pins_have_room(jobs, 1)))
        hold_batch_locked(op, delivery, batch);
}

void deliveries_settle_locked(struct op *op, struct job *job)
{
    const struct job_extra *extra = job->extra;
    if ((job->pins & PIN_CALLBACK) != 0 && extra_promise(extra) == NULL && extra->deliveries == 0)
        unpin_job_locked(op, job, PIN_CALLBACK);
}

void deliveries_over_locked(struct op *op, struct job *job)
{
    struct job_extra *delivery = job->extra;
    if (delivery == NULL || !delivery->delivers || !delivery->holds)
        return;
    delivery->holds = false;
    if (delivery->source > 0) {
        struct job *source = jobs_find(&op->jobd->jobs, (uint64_t)delivery->source);
        if (source == NULL) /* in a queue that only other processes know */
            return;
        source->extra->deliveries--;
        tell_others_locked(op, source);
        if (job_has_ended(source))
            deliveries_settle_locked(op, source);
        return;
    }
    struct batch *batch = batches_find(&op->jobd->jobs.batches, (uint64_t)-delivery->source);
    if (batch == NULL)
        return;
    batch->deliveries--;
    batches_note(&op->jobd->jobs.batches, batch);
    promise_settle_batch_locked(op, batch);
}

/* ---- an ended job is retried */

/* With so many bytes more of those that live? */
static bool has_memory_locked(struct op *op, size_t bytes) REQUIRES(op->jobd->lock)
{
    const struct jobs *jobs = &op->jobd->jobs;
    return bytes <= jobs->memory_max && jobs->memory_living <= jobs->memory_max - bytes;
}

static struct job_extra *again_locked(struct op *op, const char *callback, const char *trace,
                                      size_t bytes, enum jobd_result *result)
    REQUIRES(op->jobd->lock)
{
    struct job_extra *promised = NULL;
    *result = JOBD_CALLBACKS_FULL;
    if (has_room_locked(op, promise_queue_locked(op, true))) {
        promised = extra_for_delivery(callback, trace);
        *result = JOBD_OUT_OF_MEMORY;
    }
    if (promised != NULL && has_memory_locked(op, bytes + extra_weight(promised))) {
        *result = JOBD_OK;
        return promised;
    }
    extra_free(promised);
    return NULL;
}

static enum jobd_result batch_again_locked(struct op *op, const struct job *job)
    REQUIRES(op->jobd->lock)
{
    struct batch *batch = batches_of(&op->jobd->jobs.batches, job->id);
    enum jobd_result result;
    if (batch->words == NULL)
        return JOBD_OK;
    if (promise_queue_locked(op, true) != NULL) {
        size_t more = (job->retained ? 0 : jobs_weight(job)) + (batch->pins == 0 ? PIN_WEIGHT : 0);
        if (batch->pins == 0 && !pins_have_room(&op->jobd->jobs, 1))
            return JOBD_OUT_OF_MEMORY;
        struct job_extra *promised =
            again_locked(op, jobd_text(batch->words, JOBD_CALLBACK), NULL, more, &result);
        if (promised == NULL)
            return result;
        if ((batch->pins & PIN_CALLBACK) == 0)
            pin_batch_locked(op, batch, PIN_CALLBACK);
        promise_batch_locked(op, batch, promised);
    }
    batch->reviving++;
    return JOBD_OK;
}

static enum jobd_result job_again_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    enum jobd_result result;
    const struct jobs *jobs = &op->jobd->jobs;
    size_t more = (job->retained ? 0 : jobs_weight(job)) + (job->pins == 0 ? PIN_WEIGHT : 0);
    if (job->pins == 0 && !pins_have_room(jobs, 1))
        return JOBD_OUT_OF_MEMORY;
    struct job_extra *promised =
        again_locked(op, promise_callback(job), job->extra->trace, more, &result);
    if (promised == NULL)
        return result;
    if ((job->pins & PIN_CALLBACK) == 0)
        pin_job_locked(op, job, PIN_CALLBACK);
    promise_job_locked(op, job, promised);
    return JOBD_OK;
}

/* What its source counts for is of one that lives, from now on. */
static enum jobd_result delivery_again_locked(struct op *op, const struct job *job)
    REQUIRES(op->jobd->lock)
{
    const struct job *source = source_job_locked(op, job->extra);
    size_t more = PIN_WEIGHT + (job->retained ? 0 : jobs_weight(job));
    if (source != NULL && job_has_ended(source) && !source->retained)
        more += jobs_weight(source);
    if (!has_memory_locked(op, more))
        return JOBD_OUT_OF_MEMORY;
    hold_again_locked(op, job->extra);
    return JOBD_OK;
}

static void end_reviving_locked(struct op *op, const struct job *job) REQUIRES(op->jobd->lock)
{
    struct batch *batch = job->batched ? batches_of(&op->jobd->jobs.batches, job->id) : NULL;
    if (batch == NULL || batch->words == NULL)
        return;
    batch->reviving--;
    promise_trim_batch_locked(op, batch);
}

enum jobd_result deliveries_again_locked(struct op *op, struct job *job)
{
    enum jobd_result result = job->batched ? batch_again_locked(op, job) : JOBD_OK;
    if (result != JOBD_OK)
        return result;
    if (job->extra != NULL && job->extra->delivers)
        result = delivery_again_locked(op, job);
    else if (promise_callback(job)[0] != '\0' && promise_queue_locked(op, true) != NULL)
        result = job_again_locked(op, job);
    if (result != JOBD_OK)
        end_reviving_locked(op, job);
    return result;
}

void deliveries_revived_locked(struct op *op, const struct job *job)
{
    end_reviving_locked(op, job);
}

void deliveries_not_revived_locked(struct op *op, struct job *job)
{
    end_reviving_locked(op, job);
    if (extra_promise(job->extra) != NULL)
        extra_free(promise_take_locked(op, &job->extra->promised));
    deliveries_over_locked(op, job);
}

/* ---- the end */

/* A new job with this extra, in no table yet. */
static struct job shape_locked(struct op *op, struct job_extra *extra, int64_t at_us)
    REQUIRES(op->jobd->lock)
{
    const struct queue *queue = &op->jobd->queues[op->jobd->deliveries];
    extra->keep_us = queue->keep_us;
    extra->expires_us = queue->expires_us > 0 ? later_us(at_us, queue->expires_us) : 0;
    return (struct job){.id = extra->delivery_id,
                        .created_us = at_us,
                        .ready_us = at_us,
                        .extra = extra,
                        .queue = (uint16_t)op->jobd->deliveries,
                        .attempts = queue->attempts,
                        .state = STATE_NEW,
                        .priority = JOBD_PRIORITY_DEFAULT};
}

static struct job *enter_locked(struct op *op, struct job_extra *extra, int64_t at_us)
    REQUIRES(op->jobd->lock)
{
    if (extra->delivery_id == 0)
        extra->delivery_id = op->jobd->next_id++;
    const struct job shape = shape_locked(op, extra, at_us);
    struct job *job = jobs_add(&op->jobd->jobs, shape.id, NULL, extra);
    job->created_us = shape.created_us;
    job->ready_us = shape.ready_us;
    job->queue = shape.queue;
    job->attempts = shape.attempts;
    job->priority = shape.priority;
    op->jobd->queues[job->queue].admitted++;
    op->delivers = true;
    return job;
}

/* Is somebody to be told? Else the promise is void. */
static bool is_told_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    return promise_queue_locked(op, false) != NULL && !is_over_locked(op);
}

static struct job *make_for_batch_locked(struct op *op, const struct job *job, int64_t at_us)
    REQUIRES(op->jobd->lock)
{
    struct batch *batch = batches_of(&op->jobd->jobs.batches, job->id);
    if (batch->promised == NULL || !batches_over(batch))
        return NULL;
    struct job_extra *promised = promise_take_locked(op, &batch->promised);
    if (!is_told_locked(op)) {
        extra_free(promised);
        promise_trim_batch_locked(op, batch);
        return NULL;
    }
    promised->source = -(int64_t)batch->id;
    hold_batch_locked(op, promised, batch);
    promise_trim_batch_locked(op, batch);
    return enter_locked(op, promised, at_us);
}

static struct job *make_for_job_locked(struct op *op, struct job *job, int64_t at_us)
    REQUIRES(op->jobd->lock)
{
    if (extra_promise(job->extra) == NULL)
        return NULL;
    struct job_extra *promised = promise_take_locked(op, &job->extra->promised);
    if (!is_told_locked(op)) {
        extra_free(promised);
        return NULL;
    }
    promised->source = (int64_t)job->id;
    hold_locked(op, promised, job);
    return enter_locked(op, promised, at_us);
}

unsigned deliveries_make_locked(struct op *op, struct job *job, int64_t at_us,
                                struct job *made[DELIVERIES_MAX])
{
    unsigned len = 0;
    if ((made[len] = make_for_job_locked(op, job, at_us)) != NULL)
        len++;
    if (job->batched && (made[len] = make_for_batch_locked(op, job, at_us)) != NULL)
        len++;
    return len;
}

/* ---- on disk */

/* Of a batch: in the order in which they are written, as none of them is applied meanwhile. */
static struct job_extra *promise_of_batch_locked(struct op *op, const struct job *job, bool ends,
                                                 bool revives) REQUIRES(op->jobd->lock)
{
    struct batch *batch = batches_of(&op->jobd->jobs.batches, job->id);
    if (batch->words == NULL)
        return NULL;
    if (batch->round != op->jobd->journal.rounds)
        batch->ending = 0;
    batch->round = op->jobd->journal.rounds;
    batch->ending += ends - revives;
    uint32_t ended =
        batch->in_state[JOBD_DONE] + batch->in_state[JOBD_FAILED] + batch->in_state[JOBD_CANCELLED];
    bool over = (int64_t)ended + batch->ending == (int64_t)batch->len - batch->lost;
    if (!ends || !over || batch->promised == NULL)
        return NULL;
    batch->promised->source = -(int64_t)batch->id;
    return batch->promised;
}

static void describe_locked(struct op *op, struct job_extra *promised, int64_t at_us,
                            struct job_record *record) REQUIRES(op->jobd->lock)
{
    const uint32_t try = (uint32_t)op->jobd->journal.failures;
    if (promised->delivery_id == 0 || promised->number != try)
        promised->delivery_id = op->jobd->next_id++; /* also when it was written in vain before */
    promised->number = try;
    const struct job shape = shape_locked(op, promised, at_us);
    const struct job_content content = job_content(&shape);
    describe_job(op->jobd->queues[shape.queue].name, &shape, &content, record);
}

unsigned deliveries_describe_locked(struct op *op, const struct job *job,
                                    const struct job_record *record,
                                    struct job_record made[DELIVERIES_MAX])
{
    bool was = job_has_ended(job), is = jobd_state_final(record->state);
    unsigned len = 0;
    if (was == is || job->state == STATE_NEW)
        return 0;
    struct job_extra *batch = job->batched ? promise_of_batch_locked(op, job, is, was) : NULL;
    struct job_extra *own = is ? extra_promise(job->extra) : NULL;
    if (!is_told_locked(op))
        return 0;
    if (own != NULL) {
        own->source = (int64_t)job->id;
        describe_locked(op, own, record->finished_us, &made[len++]);
    }
    if (batch != NULL)
        describe_locked(op, batch, record->finished_us, &made[len++]);
    return len;
}

/* ---- as others have changed it */

void deliveries_describe_news(const struct job *job, struct news *news)
{
    const struct job_extra *extra = job->extra;
    news->pinned = (job->pins & PIN_CALLBACK) != 0;
    news->promises = extra_promise(extra) != NULL;
    news->deliveries = extra != NULL ? extra->deliveries : 0;
    news->holds = extra != NULL && extra->holds;
}

void deliveries_describe_batch_news(const struct batch *batch, struct news *news)
{
    news->pinned = (batch->pins & PIN_CALLBACK) != 0;
    news->promises = batch->promised != NULL;
    news->deliveries = batch->deliveries;
    news->batch_trace = batch->promised != NULL ? batch->promised->trace : NULL;
}

bool deliveries_adopt_locked(struct op *op, struct job *job, const struct news *news)
{
    struct job_extra *extra = job->extra;
    const bool pinned = (job->pins & PIN_CALLBACK) != 0;
    if (news->pinned && !pinned)
        pin_job_locked(op, job, PIN_CALLBACK);
    if (!news->pinned && pinned)
        unpin_job_locked(op, job, PIN_CALLBACK);
    if (extra == NULL)
        return true;
    extra->holds = extra->delivers && news->holds;
    extra->deliveries = news->deliveries;
    if (extra->delivers || (extra->promised != NULL) == news->promises)
        return true;
    if (!news->promises) {
        extra_free(promise_take_locked(op, &extra->promised));
        return true;
    }
    struct job_extra *promised = extra_for_delivery(promise_callback(job), extra->trace);
    if (promised == NULL)
        return false;
    promise_job_locked(op, job, promised);
    return true;
}

/* False when memory is short. */
static bool set_words_locked(struct op *op, struct batch *batch, const char *callback)
    REQUIRES(op->jobd->lock)
{
    const char *const texts[JOBD_TEXTS] = {[JOBD_CALLBACK] = callback};
    if (batch->words != NULL || callback == NULL || callback[0] == '\0')
        return true;
    if (!words_new(texts, &batch->words))
        return false;
    jobs_count(&op->jobd->jobs, (int64_t)blob_weight(batch->words));
    return true;
}

bool deliveries_adopt_batch_locked(struct op *op, struct batch *batch, const struct news *news)
{
    const bool pinned = (batch->pins & PIN_CALLBACK) != 0;
    const char *trace = news->batch_trace != NULL ? news->batch_trace : "";
    if (!set_words_locked(op, batch, news->record.batch_callback) ||
        strlen(trace) >= JOBD_TRACE_SIZE)
        return false;
    if (news->pinned && !pinned)
        pin_batch_locked(op, batch, PIN_CALLBACK);
    if (!news->pinned && pinned)
        unpin_batch_locked(op, batch, PIN_CALLBACK);
    batch->deliveries = news->deliveries;
    while (batch->promised != NULL)
        extra_free(promise_take_locked(op, &batch->promised));
    if (!news->promises)
        return true;
    struct job_extra *promised = extra_for_delivery(jobd_text(batch->words, JOBD_CALLBACK), trace);
    if (promised != NULL)
        promise_add_locked(op, batch, promised);
    return promised != NULL;
}

/* ---- at a start */

void deliveries_restore_locked(struct op *op, struct job *job, bool ended)
{
    struct jobs *jobs = &op->jobd->jobs;
    if (job->extra != NULL && job->extra->delivers) {
        if (!ended)
            hold_again_locked(op, job->extra);
        return;
    }
    if (promise_callback(job)[0] == '\0' || promise_queue_locked(op, false) == NULL ||
        !pins_have_room(jobs, 1))
        return;
    struct job_extra *promised =
        ended ? NULL : extra_for_delivery(promise_callback(job), job->extra->trace);
    if (!ended && promised == NULL)
        return;
    pin_job_locked(op, job, PIN_CALLBACK); /* until its delivery has come back too */
    if (promised != NULL)
        promise_job_locked(op, job, promised);
}

void deliveries_restored_locked(struct op *op)
{
    struct jobs *jobs = &op->jobd->jobs;
    for (struct job *job = jobs_above(jobs, 0), *next; job != NULL; job = next) {
        next = jobs_above(jobs, job->id);
        if (job_has_ended(job) && !job->commit_pending)
            deliveries_settle_locked(op, job);
    }
    for (uint32_t i = 0; i < jobs->batches.used; i++) {
        struct batch *batch = &jobs->batches.records[i];
        if (batch->words != NULL)
            promise_trim_batch_locked(op, batch);
    }
}
