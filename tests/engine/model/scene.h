/* SPDX-License-Identifier: MIT */
/* What the tests of the engine by itself share: one queue, and people who put, take and wait. After
 * each of these its invariants hold. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/model/check_engine.h"
#include "jobd/declare.h"
#include "jobd/queue.h"

enum { MS = 1000, SECOND = 1000 * MS };

static inline struct jobd *open_queue(uint32_t capacity, uint32_t workers, uint32_t keep,
                                      size_t memory)
{
    struct jobd *jobd = NULL;
    const struct jobd_config config = {
        .queues =
            &(struct jobd_queue_config){.name = "q", .capacity = capacity, .workers = workers},
        .queues_len = 1,
        .keep = keep,
        .memory_bytes = memory,
        .waiters_max = 16,
        .first_id = 1,
    };
    assert_int_equal(jobd_new(&jobd, &config), 0);
    return jobd;
}

static inline enum jobd_result put_with(struct jobd *jobd, struct jobd_put put, int64_t now_us)
{
    struct jobd_receipt receipt;
    enum jobd_result result = jobd_put(jobd, &put, NULL, now_us, &receipt);
    if (result != JOBD_OK)
        jobd_blob_unref(put.payload);
    check_engine(jobd);
    return result;
}

static inline enum jobd_result put(struct jobd *jobd, int64_t now_us)
{
    return put_with(jobd, (struct jobd_put){.priority = JOBD_PRIORITY_DEFAULT}, now_us);
}

static inline enum jobd_state state_of(struct jobd *jobd, uint64_t id)
{
    struct jobd_info info;
    return jobd_get(jobd, id, &info) == JOBD_OK ? info.state : JOBD_STATES;
}

struct person {
    struct jobd_waiter waiter; /* first */
    unsigned woken, stopped;
};

static inline void wake(struct jobd_waiter *waiter)
{
    ((struct person *)waiter)->woken++;
}

static inline void on_stop(struct jobd_waiter *waiter, const struct jobd_task *task)
{
    struct person *person = (struct person *)waiter;
    assert_int_equal(task->id, person->waiter.task.id);
    person->stopped++;
}

static inline struct person person(void)
{
    return (struct person){.waiter = {.deadline_us = JOBD_NEVER, .wake = wake, .stop = on_stop}};
}

static inline uint64_t take(struct jobd *jobd, struct person *take_waiter, int64_t now_us)
{
    assert_int_equal(jobd_take(jobd, 0, &take_waiter->waiter, now_us), JOBD_OK);
    check_engine(jobd);
    return take_waiter->waiter.task.id;
}
