/* SPDX-License-Identifier: MIT */
/* Queues that come, change and go while it runs. */
#include <errno.h>
#include <string.h>

#include "engine/admission.h"
#include "engine/breaker.h"
#include "engine/dispatch.h"
#include "engine/engine.h"
#include "engine/limits.h"
#include "engine/regroup.h"
#include "engine/share.h"
#include "engine/fair.h"
#include "engine/tally.h"
#include "engine/touched.h"
#include "jobd/declare.h"
#include "engine/waiters.h"

/* ---- one goes */

void jobd_queue_retire(struct jobd *jobd, uint32_t number, int64_t now_us)
{
    struct op op;
    verify(jobd_queue_index(number) < jobd->queues_len);
    struct queue *queue = &jobd->queues[jobd_queue_index(number)];
    op_begin(&op, jobd, NULL, now_us);
    if (queue->number == number && queue->phase == QUEUE_OPEN) {
        queue->phase = QUEUE_RETIRED;
        wait_end_all_locked(&op, &queue->put_waiters, JOBD_UNDECLARED);
        dispatch_soon_locked(&op, queue);
    }
    op_end(&op);
}

/* ---- one changes */

static void set_terms_locked(struct op *op, struct queue *queue,
                             const struct jobd_queue_config *config) REQUIRES(op->jobd->lock)
{
    queue_set_terms(queue, config);
    breaker_change_locked(op, queue, config);
    limits_change_locked(op, queue, &config->limits);
    dispatch_soon_locked(op, queue);
}

int jobd_queue_change(struct jobd *jobd, uint32_t queue, const struct jobd_queue_config *config,
                      int64_t now_us)
{
    verify(jobd_queue_index(queue) < jobd->queues_len);
    if (!queue_terms_sound(config))
        return -EINVAL;
    struct queue *changed = &jobd->queues[jobd_queue_index(queue)];
    struct op op;
    int error = regroup(jobd, changed, config, now_us);
    if (error != 0)
        return error;
    op_begin(&op, jobd, NULL, now_us);
    set_terms_locked(&op, changed, config);
    op_end(&op);
    return 0;
}

/* Puts that wait for more room than there is now when all of it is free, and so would block those
 * behind them for ever. */
static void refuse_too_large_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock)
{
    struct waiting *waiting = TAILQ_FIRST(&queue->put_waiters), *next;
    for (; waiting != NULL; waiting = next) {
        next = TAILQ_NEXT(waiting, link);
        if (admission_jobs(&waiting->put) > queue->capacity)
            admission_give_up_locked(op, waiter_of(waiting));
    }
}

int jobd_queue_resize(struct jobd *jobd, uint32_t number, uint32_t capacity, uint32_t workers,
                      int64_t now_us)
{
    struct op op;
    verify(jobd_queue_index(number) < jobd->queues_len);
    struct queue *queue = &jobd->queues[jobd_queue_index(number)];
    if (capacity == 0 || capacity > queue->capacity_max || workers > queue->workers_max)
        return -EINVAL;
    op_begin(&op, jobd, NULL, now_us);
    op.outside = true;
    if (workers <
        queue->workers) /* some are one too many, and only whoever owns them knows which */
        wait_end_workers_locked(&op, queue, JOBD_TIMEOUT);
    queue->capacity = capacity;
    queue->workers = workers;
    refuse_too_large_locked(&op, queue);
    dispatch_soon_locked(&op, queue);
    op_end(&op);
    return 0;
}

/* ---- one comes */

static bool is_sound(const struct jobd_queue_config *config)
{
    size_t length = strlen(config->name);
    return length > 0 && length <= JOBD_QUEUE_NAME_MAX && config->capacity > 0 &&
           !config->undeclared && config->restored == 0 && queue_terms_sound(config);
}

/* The one that has this name, or had it last; NULL when there is none. */
static struct queue *former_of(struct jobd *jobd, const char *name)
{
    struct queue *former = NULL;
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        struct queue *queue = &jobd->queues[i];
        if (strcmp(queue->name, name) == 0 && (former == NULL || queue->phase != QUEUE_GONE))
            former = queue;
    }
    return former;
}

/* Nothing is left of it. */
static bool is_free(struct jobd *jobd, const struct queue *queue)
{
    mutex_lock(&jobd->lock);
    const struct remembered *remembered = &jobd->jobs.remembered[queue - jobd->queues];
    bool any = queue->phase != QUEUE_GONE || remembered->retained_len > 0 || !queue_empty(queue);
    for (unsigned state = 0; state < JOBD_STATES; state++)
        any = any || remembered->len[state] > 0;
    mutex_unlock(&jobd->lock);
    return !any;
}

/* NULL when there is none. One of the same name, so that there are no two. */
static struct queue *free_place(struct jobd *jobd, struct queue *former)
{
    if (former != NULL)
        return is_free(jobd, former) ? former : NULL;
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        if (is_free(jobd, &jobd->queues[i]))
            return &jobd->queues[i];
    return jobd->queues_len < jobd->queues_max ? &jobd->queues[jobd->queues_len] : NULL;
}

static uint32_t smaller(uint32_t one, uint32_t other)
{
    return one < other ? one : other;
}

/* As large as there is room for, with that of the former one in this place. */
static int measure(const struct jobd *jobd, const struct queue *place,
                   struct jobd_queue_config *config)
{
    const bool is_new = place == &jobd->queues[jobd->queues_len];
    const uint32_t capacity = jobd->spare_capacity + (is_new ? 0 : place->capacity_max);
    const uint32_t workers = jobd->spare_workers + (is_new ? 0 : place->workers_max);
    if (config->capacity > capacity || config->workers > workers)
        return -ENOSPC;
    config->capacity_max = smaller(queue_waiting_max(config), capacity);
    config->workers_max = smaller(queue_workers_max(config), workers);
    return 0;
}

/* Of one that is empty: its groups are idle. */
static void forget_groups(struct jobd *jobd, struct queue *queue, int64_t now_us)
{
    struct op op;
    for (bool more = queue->fair != NULL; more;) {
        op_begin(&op, jobd, NULL, now_us);
        more = fair_forget_some_locked(&op, queue);
        op_end(&op);
    }
}

/* It has its name. Jobs that others have put in before are not here. */
static void name_locked(struct op *op, const struct queue *queue) REQUIRES(op->jobd->lock)
{
    struct share *share = op->jobd->share;
    queue_names_add(&op->jobd->names, queue->name, queue->number);
    if (share != NULL)
        share->outdated |= share->strangers;
}

static int add(struct jobd *jobd, struct queue *place, const struct jobd_queue_config *config,
               int64_t now_us)
{
    struct op op;
    struct queue fresh = {.paused = false};
    const bool is_new = place == &jobd->queues[jobd->queues_len];
    int error = engine_queue_init(jobd, &fresh, config);
    if (error != 0) {
        queue_release(&fresh);
        return error;
    }
    fresh.number = is_new ? (uint32_t)(place - jobd->queues) : place->number + JOBD_QUEUE_INDEXES;
    if (!is_new) {
        jobd->spare_capacity += place->capacity_max;
        jobd->spare_workers += place->workers_max;
    }
    jobd->spare_capacity -= config->capacity_max;
    jobd->spare_workers -= config->workers_max;
    if (!is_new)
        forget_groups(jobd, place, now_us);
    op_begin(&op, jobd, NULL, now_us);
    if (!is_new) {
        breaker_forget_locked(&op, place);
        limits_forget_locked(&op, place);
    }
    queue_replace(place, &fresh);
    tally_forget_locked(&op, place);
    jobd->queues_len += is_new;
    name_locked(&op, place);
    if (config->deliveries)
        jobd->deliveries = (uint32_t)(place - jobd->queues);
    op_end(&op);
    fair_release(&fresh);
    queue_release(&fresh);
    return 0;
}

/* It has its name again, and takes jobs in. */
static int revive(struct jobd *jobd, struct queue *queue, const struct jobd_queue_config *config,
                  int64_t now_us)
{
    struct op op;
    if (config->capacity > queue->capacity_max || config->workers > queue->workers_max)
        return -EINVAL;
    int error = regroup(jobd, queue, config, now_us);
    if (error != 0)
        return error;
    op_begin(&op, jobd, NULL, now_us);
    if (queue->phase == QUEUE_GONE)
        name_locked(&op, queue);
    queue->phase = QUEUE_OPEN;
    queue->capacity = config->capacity;
    queue->workers = config->workers;
    set_terms_locked(&op, queue, config);
    op_end(&op);
    return 1;
}

/* Where queues are shared all jobs are read again for the one that takes its name. */
static void forsake(struct jobd *jobd, struct queue *queue, int64_t now_us)
{
    struct op op;
    op_begin(&op, jobd, NULL, now_us);
    queue->phase = QUEUE_GONE;
    queue_names_remove(&jobd->names, queue->name);
    jobd->share->outdated = true;
    op_end(&op);
}

static int add_or_revive(struct jobd *jobd, const struct jobd_queue_config *config, int64_t now_us,
                         uint32_t *number)
{
    struct jobd_queue_config own = *config;
    if (!is_sound(config))
        return -EINVAL;
    struct queue *former = former_of(jobd, config->name);
    if (former != NULL && former->phase == QUEUE_OPEN)
        return -EEXIST;
    if (former != NULL && former->phase == QUEUE_UNDECLARED && jobd->share == NULL)
        return -EBUSY;
    if (former != NULL && former->phase == QUEUE_UNDECLARED) {
        forsake(jobd, former, now_us);
        former = NULL;
    }
    struct queue *place = former;
    int result = former != NULL ? revive(jobd, former, config, now_us) : -ENOSPC;
    if (result < 0 && (place = free_place(jobd, former)) != NULL &&
        (result = measure(jobd, place, &own)) == 0) {
        own.name = former != NULL ? former->name : queue_names_keep(&jobd->names, config->name);
        result = own.name != NULL ? add(jobd, place, &own, now_us) : -ENOMEM;
    }
    if (result >= 0)
        *number = place->number;
    return result;
}

int jobd_queue_add(struct jobd *jobd, const struct jobd_queue_config *config, int64_t now_us,
                   uint32_t *number)
{
    mutex_lock(&jobd->adding);
    int result = add_or_revive(jobd, config, now_us, number);
    mutex_unlock(&jobd->adding);
    return result;
}

/* ---- queues that nobody has declared here, but that have jobs */

enum { GUESTS_MORE = 1024 }; /* jobs that may come beside those that are there */

static int take_in(struct jobd *jobd, const struct stranger *stranger, int64_t now_us)
{
    const uint64_t room = (uint64_t)stranger->jobs + GUESTS_MORE;
    struct queue *place = free_place(jobd, former_of(jobd, stranger->name));
    struct jobd_queue_config config = {.undeclared = true, .attempts = 1};
    if (place == NULL || room > jobd->spare_capacity)
        return -ENOSPC;
    config.capacity_max = config.restored = (uint32_t)room;
    config.name = queue_names_keep(&jobd->names, stranger->name);
    return config.name != NULL ? add(jobd, place, &config, now_us) : -ENOMEM;
}

bool share_take_in(struct jobd *jobd, int64_t now_us)
{
    bool any = false;
    mutex_lock(&jobd->adding);
    for (uint32_t i = 0; i < jobd->share->strangers_len; i++)
        any |= take_in(jobd, &jobd->share->stranger[i], now_us) == 0;
    mutex_unlock(&jobd->adding);
    return any;
}
