/* SPDX-License-Identifier: MIT */
#include "engine/batches.h"

#include <errno.h>
#include <stdlib.h>

#include "base/verify.h"
#include "engine/blob.h"
#include "engine/job_table.h"

static int batch_compare(const struct batch *a, const struct batch *b)
{
    return (a->id > b->id) - (a->id < b->id);
}

RB_GENERATE(batch_tree, batch, by_id, batch_compare)

int batches_init(struct batches *batches, uint32_t jobs_max, uint32_t queues_len, uint32_t keep)
{
    uint64_t max = jobs_max + (uint64_t)queues_len * keep;
    *batches = (struct batches){.max = max < UINT32_MAX ? (uint32_t)max : UINT32_MAX,
                                .queues_len = queues_len,
                                .keep = keep};
    TAILQ_INIT(&batches->spare);
    TAILQ_INIT(&batches->forgotten);
    TAILQ_INIT(&batches->forgotten_gathered);
    TAILQ_INIT(&batches->fresh);
    TAILQ_INIT(&batches->changed);
    RB_INIT(&batches->tree);
    batches->records = calloc(batches->max, sizeof *batches->records);
    batches->kept = calloc(queues_len, sizeof *batches->kept);
    for (uint32_t i = 0; batches->kept != NULL && i < queues_len; i++)
        TAILQ_INIT(&batches->kept[i].list);
    return batches->records != NULL && batches->kept != NULL ? 0 : -ENOMEM;
}

void batches_release(struct batches *batches)
{
    for (uint32_t i = 0; batches->records != NULL && i < batches->used; i++) {
        jobd_blob_unref(batches->records[i].words);
        extra_free(batches->records[i].promised);
    }
    free(batches->records);
    free(batches->kept);
    batches->records = NULL;
    batches->kept = NULL;
}

/* ---- finding */

struct batch *batches_find(struct batches *batches, uint64_t id)
{
    struct batch key = {.id = id};
    return RB_FIND(batch_tree, &batches->tree, &key);
}

/* The one with the highest id that is not above this. */
static struct batch *at_or_below(struct batches *batches, uint64_t id)
{
    struct batch *at = RB_ROOT(&batches->tree), *found = NULL;
    while (at != NULL) {
        if (at->id <= id)
            found = at;
        at = at->id <= id ? RB_RIGHT(at, by_id) : RB_LEFT(at, by_id);
    }
    return found;
}

struct batch *batches_of(struct batches *batches, uint64_t job_id)
{
    struct batch *batch = at_or_below(batches, job_id);
    return batch != NULL && job_id - batch->id < batch->len ? batch : NULL;
}

/* ---- coming */

/* NULL: there is none. */
static struct batch *new_record(struct batches *batches)
{
    struct batch *batch = TAILQ_FIRST(&batches->spare);
    if (batch != NULL)
        TAILQ_REMOVE(&batches->spare, batch, link);
    else if (batches->used < batches->max)
        batch = &batches->records[batches->used++];
    return batch;
}

bool batches_have_room(const struct batches *batches)
{
    return batches->used < batches->max || !TAILQ_EMPTY(&batches->spare);
}

struct batch *batches_add(struct batches *batches, uint64_t id, uint32_t len)
{
    struct batch *batch = new_record(batches);
    verify(batch != NULL);
    *batch = (struct batch){.id = id, .len = len, .there = len};
    TAILQ_INIT(&batch->awaiting);
    verify(RB_INSERT(batch_tree, &batches->tree, batch) == NULL);
    batch->fresh = batches->shared;
    if (batch->fresh)
        TAILQ_INSERT_TAIL(&batches->fresh, batch, news);
    return batch;
}

struct batch *batches_adopt(struct batches *batches, uint64_t id, uint32_t len)
{
    const struct batch *before = len > 0 ? at_or_below(batches, id + len - 1) : NULL;
    if (len == 0 || id == 0 || id > JOBD_ID_MAX - len ||
        (before != NULL && before->id + before->len > id))
        return NULL;
    struct batch *batch = new_record(batches);
    if (batch == NULL)
        return NULL;
    *batch = (struct batch){.id = id, .len = len};
    TAILQ_INIT(&batch->awaiting);
    verify(RB_INSERT(batch_tree, &batches->tree, batch) == NULL);
    return batch;
}

struct batch *batches_restore(struct batches *batches, uint64_t id, uint32_t len,
                              const uint32_t ended[JOBD_STATES])
{
    struct batch *batch = batches_adopt(batches, id, len);
    batches->restoring = true;
    for (unsigned state = 0; state < JOBD_STATES && batch != NULL; state++)
        if (jobd_state_final((enum jobd_state)state))
            batch->in_state[state] = batch->gone[state] = ended[state];
    return batch;
}

/* ---- what the others are told */

void batches_note(struct batches *batches, struct batch *batch)
{
    if (!batches->shared)
        return;
    if (batch->changed)
        TAILQ_REMOVE(&batches->changed, batch, again);
    TAILQ_INSERT_TAIL(&batches->changed, batch, again);
    batch->changed = true;
}

bool batches_all_told(const struct batches *batches)
{
    return TAILQ_EMPTY(&batches->fresh) && TAILQ_EMPTY(&batches->changed) &&
           TAILQ_EMPTY(&batches->forgotten);
}

static void tell_no_more(struct batches *batches, struct batch *batch)
{
    if (batch->fresh)
        TAILQ_REMOVE(&batches->fresh, batch, news);
    if (batch->changed)
        TAILQ_REMOVE(&batches->changed, batch, again);
    batch->fresh = batch->changed = false;
}

uint64_t batches_take_forgotten(struct batches *batches)
{
    struct batch *batch = TAILQ_FIRST(&batches->forgotten);
    if (batch == NULL)
        return 0;
    uint64_t id = batch->id;
    TAILQ_REMOVE(&batches->forgotten, batch, link);
    tell_no_more(batches, batch);
    batches_release_record(batches, batch);
    return id;
}

/* ---- going */

static void drop_callback(struct batches *batches, struct batch *batch)
{
    batches->freed_bytes += blob_weight(batch->words);
    for (struct job_extra *one = batch->promised; one != NULL; one = one->next) {
        batches->freed_bytes += extra_weight(one);
        batches->freed_promises++;
    }
    jobd_blob_unref(batch->words);
    extra_free(batch->promised);
    batch->words = NULL;
    batch->promised = NULL;
}

static void forget(struct batches *batches, struct batch *batch)
{
    verify(TAILQ_EMPTY(&batch->awaiting));
    drop_callback(batches, batch);
    RB_REMOVE(batch_tree, &batches->tree, batch);
    if (batches->durable)
        TAILQ_INSERT_TAIL(&batches->forgotten, batch, link);
    else
        batches_release_record(batches, batch);
}

void batches_release_record(struct batches *batches, struct batch *batch)
{
    TAILQ_INSERT_HEAD(&batches->spare, batch, link);
}

/* Behind the others of its queue. */
static void keep(struct batches *batches, struct batch *batch)
{
    struct kept_batches *kept = &batches->kept[batch->queue];
    TAILQ_INSERT_TAIL(&kept->list, batch, link);
    kept->len++;
    batch->kept = true;
}

static void keep_no_longer(struct batches *batches, struct batch *batch)
{
    struct kept_batches *kept = &batches->kept[batch->queue];
    TAILQ_REMOVE(&kept->list, batch, link);
    kept->len--;
    batch->kept = false;
}

static void hold(struct batches *batches, struct batch *batch, bool held)
{
    batches->held += (uint32_t)held - batch->held;
    batch->held = held;
}

/* None of its jobs is there. */
static void keep_without(struct batches *batches, struct batch *batch)
{
    struct kept_batches *kept = &batches->kept[batch->queue];
    if (batch->pins != 0) {
        hold(batches, batch, true);
        return;
    }
    keep(batches, batch);
    if (kept->len <= batches->keep)
        return;
    struct batch *first = TAILQ_FIRST(&kept->list);
    keep_no_longer(batches, first);
    forget(batches, first);
}

static bool is_kept(const struct batches *batches, const struct batch *batch)
{
    return batch->there == 0 && !batches->restoring;
}

void batches_hold(struct batches *batches, struct batch *batch)
{
    verify(batch->pins == 0);
    if (!is_kept(batches, batch))
        return;
    keep_no_longer(batches, batch);
    hold(batches, batch, true);
    batches_note(batches, batch);
}

void batches_let_go(struct batches *batches, struct batch *batch)
{
    if (!is_kept(batches, batch))
        return;
    hold(batches, batch, false);
    batches_note(batches, batch); /* before it may be forgotten */
    keep_without(batches, batch);
}

static uint32_t sum(const uint32_t counts[JOBD_STATES])
{
    uint32_t all = 0;
    for (unsigned state = 0; state < JOBD_STATES; state++)
        all += counts[state];
    return all;
}

static uint32_t counted(const struct batch *batch)
{
    return sum(batch->in_state);
}

struct batch *batches_seen(struct batches *batches, uint64_t id)
{
    struct batch *batch = batches_find(batches, id);
    return batch != NULL && counted(batch) > 0 ? batch : NULL;
}

bool batches_over(const struct batch *batch)
{
    return batch->in_state[JOBD_DONE] + batch->in_state[JOBD_FAILED] +
               batch->in_state[JOBD_CANCELLED] ==
           batch->len - batch->lost;
}

static void one_is_back(struct batches *batches, struct batch *batch)
{
    uint32_t all = counted(batch);
    batch->lost = all < batch->len ? batch->len - all : 0;
    if (!batches_over(batch))
        batch->finished_us = 0;
    if (batch->there > 0)
        return;
    if (all > 0)
        keep_without(batches, batch);
    else
        forget(batches, batch);
}

/* One that is kept may make another forgotten, in front of or behind it. */
void batches_all_back(struct batches *batches)
{
    batches->restoring = false;
    for (uint32_t i = 0; i < batches->used; i++)
        if (batches->records[i].id != 0)
            one_is_back(batches, &batches->records[i]);
}

void batches_left(struct batches *batches, const struct job *job)
{
    struct batch *batch = batches_of(batches, job->id);
    verify(batch != NULL && batch->there > 0);
    if (job->state != STATE_NEW) {
        batch->gone[job->state]++;
        batches_note(batches, batch);
    }
    if (--batch->there > 0 || batches->restoring)
        return;
    if (counted(batch) > 0) {
        keep_without(batches, batch);
    } else { /* it has not come in */
        RB_REMOVE(batch_tree, &batches->tree, batch);
        batches->freed_pins += batch->pins != 0;
        drop_callback(batches, batch);
        batches_release_record(batches, batch);
    }
}

void batches_moved(struct batches *batches, const struct job *job, enum jobd_state to)
{
    struct batch *batch = batches_of(batches, job->id);
    verify(batch != NULL);
    if (job->state != STATE_NEW)
        batch->in_state[job->state]--;
    batch->in_state[to]++;
    if (!jobd_state_final(to))
        batch->finished_us = 0;
}

/* ---- as others have changed them */

void batches_set_gone(struct batches *batches, struct batch *batch,
                      const uint32_t gone[JOBD_STATES], bool held)
{
    for (unsigned state = 0; state < JOBD_STATES; state++) {
        batch->in_state[state] += gone[state] - batch->gone[state];
        batch->gone[state] = gone[state];
    }
    if (batch->kept)
        keep_no_longer(batches, batch);
    bool all_gone = sum(gone) == batch->len;
    hold(batches, batch, all_gone && held);
    if (all_gone && !held)
        keep(batches, batch);
}

void batches_detached(struct batches *batches, const struct job *job)
{
    struct batch *batch = batches_of(batches, job->id);
    verify(batch != NULL);
    if (job->state != STATE_NEW)
        batch->in_state[job->state]--;
}

void batches_lose(struct batches *batches, struct job *job)
{
    if (!job->batched)
        return;
    batches_detached(batches, job);
    batches_of(batches, job->id)->there--;
    job->batched = false;
}

void batches_drop(struct batches *batches, struct batch *batch)
{
    verify(TAILQ_EMPTY(&batch->awaiting) && batch->there == 0);
    if (batch->kept)
        keep_no_longer(batches, batch);
    hold(batches, batch, false);
    drop_callback(batches, batch);
    batches->freed_pins += batch->pins != 0;
    tell_no_more(batches, batch);
    RB_REMOVE(batch_tree, &batches->tree, batch);
    batches_release_record(batches, batch);
}
