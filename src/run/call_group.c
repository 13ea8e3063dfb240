/* SPDX-License-Identifier: MIT */
/* Groups of function calls. Each call is a job with a waiter of its own, which the engine wakes at
 * its end; what is said here of a call is kept in a record until its end is taken:
 *
 *     spare ── reserve() ──> put in ── both: its put has returned, it is over ──> ended ──> spare
 *
 * A call may be over before jobd_put() returns: whichever of the two comes last lists the end. The
 * engine's verbs are not called with the group's lock held, as they may wake a waiter of it. */
#include "jobd/group.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/event.h"
#include "base/lock.h"
#include "run/packed_call.h"
#include "run/pool_share.h"

struct member {
    struct jobd_waiter waiter;
    struct jobd_group *group;
    void *result; /* the call's, until it is over; then by the lock: */
    void *argument GUARDED;
    uint64_t id GUARDED;         /* 0: its put has not returned */
    bool over GUARDED;           /* the engine has said so */
    struct member *next GUARDED; /* spare, or with the same place in by_id */
    TAILQ_ENTRY(member) ends GUARDED;
};

struct jobd_group {
    struct jobd *jobd;
    struct mutex lock;
    struct condition changed;
    struct member *members;
    struct member **by_id GUARDED_BY(lock); /* id & mask */
    uint64_t mask;
    uint32_t max;
    uint32_t used GUARDED_BY(lock); /* members that were needed before */
    struct member *spare GUARDED_BY(lock);
    uint32_t left GUARDED_BY(lock);     /* calls that have not ended */
    uint32_t sleepers GUARDED_BY(lock); /* threads that wait for a change */
    TAILQ_HEAD(, member) ended GUARDED_BY(lock);
    int event GUARDED_BY(lock); /* set while some have ended; below 0: nobody has asked for it */
};

/* ---- records */

static struct member **place_locked(struct jobd_group *group, uint64_t id) REQUIRES(group->lock)
{
    struct member **place = &group->by_id[id & group->mask];
    while (*place != NULL && (*place)->id != id)
        place = &(*place)->next;
    return place;
}

static void tell_locked(struct jobd_group *group) REQUIRES(group->lock)
{
    if (group->sleepers > 0)
        condition_broadcast(&group->changed);
}

static void spare_locked(struct jobd_group *group, struct member *member) REQUIRES(group->lock)
{
    member->next = group->spare;
    group->spare = member;
}

static void list_end_locked(struct jobd_group *group, struct member *member) REQUIRES(group->lock)
{
    if (group->event >= 0 && TAILQ_EMPTY(&group->ended))
        event_set(group->event);
    TAILQ_INSERT_TAIL(&group->ended, member, ends);
    group->left--;
    tell_locked(group);
}

static void take_end_locked(struct jobd_group *group, struct member *member, struct jobd_end *end)
    REQUIRES(group->lock)
{
    *end = (struct jobd_end){.id = member->id,
                             .state = member->waiter.info.state,
                             .result = member->result,
                             .argument = member->argument};
    struct member **place = place_locked(group, member->id);
    *place = member->next;
    TAILQ_REMOVE(&group->ended, member, ends);
    if (group->event >= 0 && TAILQ_EMPTY(&group->ended))
        event_clear(group->event);
    spare_locked(group, member);
}

/* False: that moment has come. */
static bool wait_locked(struct jobd_group *group, int64_t until_us) REQUIRES(group->lock)
{
    bool in_time = true;
    group->sleepers++;
    if (until_us == JOBD_NEVER) {
        condition_wait(&group->changed, &group->lock);
    } else {
        struct timespec until = clock_monotonic(until_us);
        in_time = condition_wait_until(&group->changed, &group->lock, &until);
    }
    group->sleepers--;
    return in_time;
}

/* ---- calls */

static void wake(struct jobd_waiter *waiter)
{
    struct member *member = container_of(waiter, struct member, waiter);
    struct jobd_group *group = member->group;
    mutex_lock(&group->lock);
    member->over = true;
    if (member->id != 0)
        list_end_locked(group, member);
    mutex_unlock(&group->lock);
}

static struct member *reserve(struct jobd_group *group, void *argument)
{
    mutex_lock(&group->lock);
    struct member *member = group->spare;
    if (member != NULL)
        group->spare = member->next;
    else if (group->used < group->max)
        member = &group->members[group->used++];
    if (member != NULL) {
        group->left++;
        member->waiter = (struct jobd_waiter){
            .deadline_us = JOBD_NEVER, .uncounted = true, .wake = wake, .end_us = JOBD_NEVER};
        member->group = group;
        member->result = NULL;
        member->argument = argument;
        member->id = 0;
        member->over = false;
    }
    mutex_unlock(&group->lock);
    return member;
}

static void is_in(struct jobd_group *group, struct member *member, uint64_t id)
{
    mutex_lock(&group->lock);
    struct member **place = &group->by_id[id & group->mask];
    member->id = id;
    member->next = *place;
    *place = member;
    if (member->over)
        list_end_locked(group, member);
    mutex_unlock(&group->lock);
}

static void is_not_in(struct jobd_group *group, struct member *member)
{
    mutex_lock(&group->lock);
    spare_locked(group, member);
    group->left--;
    tell_locked(group);
    mutex_unlock(&group->lock);
}

enum jobd_result jobd_group_call(struct jobd_group *group, void *(*function)(void *),
                                 void *argument, size_t bytes, uint64_t *id)
{
    struct member *member = reserve(group, bytes == 0 ? argument : NULL);
    if (member == NULL)
        return JOBD_FULL;
    struct jobd_receipt receipt;
    struct jobd_put put = {.priority = JOBD_PRIORITY_DEFAULT,
                           .payload =
                               packed_call_new(&(struct packed_call){.returning = function,
                                                                     .argument = argument,
                                                                     .bytes = bytes,
                                                                     .result = &member->result})};
    enum jobd_result result = JOBD_OUT_OF_MEMORY;
    if (put.payload != NULL)
        result = jobd_put(group->jobd, &put, &member->waiter, clock_now_us(), &receipt);
    if (result != JOBD_PENDING) {
        verify(result != JOBD_OK);
        jobd_blob_unref(put.payload);
        is_not_in(group, member);
        return result;
    }
    if (id != NULL)
        *id = receipt.id;
    is_in(group, member, receipt.id);
    return JOBD_OK;
}

enum jobd_result jobd_group_cancel(struct jobd_group *group, uint64_t id)
{
    mutex_lock(&group->lock);
    const struct member *member = *place_locked(group, id);
    bool known = member != NULL, over = known && member->over;
    mutex_unlock(&group->lock);
    if (!known)
        return JOBD_NO_JOB;
    enum jobd_result result =
        over ? JOBD_FINISHED : jobd_cancel(group->jobd, id, NULL, clock_now_us());
    return result == JOBD_NO_JOB ? JOBD_FINISHED : result; /* the pool forgets it at its end */
}

/* ---- ends */

enum jobd_result jobd_group_await(struct jobd_group *group, uint64_t id, int64_t wait_us,
                                  struct jobd_end *end)
{
    const int64_t until_us = clock_after_us(wait_us);
    struct member *member;
    mutex_lock(&group->lock);
    bool in_time = wait_us > 0;
    while ((member = *place_locked(group, id)) != NULL && !member->over && in_time)
        in_time = wait_locked(group, until_us);
    enum jobd_result result = member == NULL ? JOBD_NO_JOB : JOBD_TIMEOUT;
    if (member != NULL && member->over) {
        take_end_locked(group, member, end);
        result = JOBD_OK;
    }
    mutex_unlock(&group->lock);
    return result;
}

enum jobd_result jobd_group_next(struct jobd_group *group, int64_t wait_us, struct jobd_end *end)
{
    const int64_t until_us = clock_after_us(wait_us);
    mutex_lock(&group->lock);
    bool in_time = wait_us > 0;
    while (TAILQ_EMPTY(&group->ended) && group->left > 0 && in_time)
        in_time = wait_locked(group, until_us);
    struct member *first = TAILQ_FIRST(&group->ended);
    enum jobd_result result = group->left > 0 ? JOBD_TIMEOUT : JOBD_NO_JOB;
    if (first != NULL) {
        take_end_locked(group, first, end);
        result = JOBD_OK;
    }
    mutex_unlock(&group->lock);
    return result;
}

enum jobd_result jobd_group_wait(struct jobd_group *group, int64_t wait_us)
{
    const int64_t until_us = clock_after_us(wait_us);
    mutex_lock(&group->lock);
    bool in_time = wait_us > 0;
    while (group->left > 0 && in_time)
        in_time = wait_locked(group, until_us);
    enum jobd_result result = group->left > 0 ? JOBD_TIMEOUT : JOBD_OK;
    mutex_unlock(&group->lock);
    return result;
}

int jobd_group_descriptor(struct jobd_group *group)
{
    mutex_lock(&group->lock);
    if (group->event < 0) {
        group->event = event_new();
        if (group->event >= 0 && !TAILQ_EMPTY(&group->ended))
            event_set(group->event);
    }
    int event = group->event;
    mutex_unlock(&group->lock);
    return event;
}

/* ---- the group */

static int make(struct jobd_group *group, uint32_t calls) LOCK_ATTRIBUTE(no_thread_safety_analysis)
{
    uint64_t places = 1;
    while (places < calls)
        places *= 2;
    group->max = calls;
    group->mask = places - 1;
    group->event = -1;
    TAILQ_INIT(&group->ended);
    group->members = calloc(calls, sizeof *group->members);
    group->by_id = calloc((size_t)places, sizeof(struct member *));
    if (group->members == NULL || group->by_id == NULL)
        return -ENOMEM;
    int error = mutex_init(&group->lock);
    if (error != 0)
        return error;
    error = condition_init(&group->changed);
    if (error != 0)
        mutex_release(&group->lock);
    return error;
}

static void unmake(struct jobd_group *group) LOCK_ATTRIBUTE(no_thread_safety_analysis)
{
    free(group->members);
    free(group->by_id);
    free(group);
}

int jobd_group_new(struct jobd_group **group, struct jobd_pool *pool, uint32_t calls)
{
    if (pool == NULL)
        pool = pool_shared();
    if (pool == NULL || calls == 0)
        return -EINVAL;
    struct jobd_group *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    int error = make(new, calls);
    if (error != 0) {
        unmake(new);
        return error;
    }
    new->jobd = jobd_pool_jobd(pool);
    *group = new;
    return 0;
}

/* The id of a call that has not ended; 0: that one has, or is none. */
static uint64_t id_to_cancel(struct jobd_group *group, uint32_t number)
{
    mutex_lock(&group->lock);
    const struct member *member = &group->members[number];
    uint64_t id = number < group->used && !member->over ? member->id : 0;
    mutex_unlock(&group->lock);
    return id;
}

void jobd_group_free(struct jobd_group *group)
{
    if (group == NULL)
        return;
    for (uint32_t i = 0; i < group->max; i++) {
        uint64_t id = id_to_cancel(group, i);
        if (id != 0)
            (void)jobd_cancel(group->jobd, id, NULL, clock_now_us());
    }
    verify(jobd_group_wait(group, JOBD_NEVER) == JOBD_OK);
    mutex_lock(&group->lock); /* whoever woke the last has let go */
    int event = group->event;
    mutex_unlock(&group->lock);
    if (event >= 0)
        close(event);
    condition_release(&group->changed);
    mutex_release(&group->lock);
    unmake(group);
}
