/* SPDX-License-Identifier: MIT */
/* Function calls as jobs: the payload is the function and its argument. */
#include "jobd/call.h"

#include <string.h>

#include "base/clock.h"
#include "run/packed_call.h"
#include "run/pool_share.h"
#include "run/wait_sync.h"

enum { CALLERS_MAX = 4096 }; /* threads that may wait for room at a time */

static void make_call(const struct jobd_task *task, struct jobd_outcome *outcome, void *context)
{
    (void)outcome;
    (void)context;
    struct packed_call *call = (struct packed_call *)(void *)task->payload->bytes;
    void *argument = call->bytes > 0 ? (void *)call->copy : call->argument;
    if (call->result == NULL)
        call->function(argument);
    else
        *call->result = call->returning(argument);
}

int jobd_call_open(struct jobd_pool **pool, uint32_t capacity, uint32_t workers)
{
    struct jobd_pool *new = NULL;
    int error = jobd_pool_new(&new,
                              &(struct jobd_config){
                                  .queues = &(struct jobd_queue_config){.name = "calls",
                                                                        .capacity = capacity,
                                                                        .workers = workers},
                                  .queues_len = 1,
                                  .memory_bytes = SIZE_MAX,
                                  .waiters_max = CALLERS_MAX,
                                  .first_id = 1,
                              },
                              &(struct jobd_runner){.run = make_call});
    if (error == 0)
        error = jobd_pool_start(new);
    if (error != 0) {
        jobd_pool_free(new);
        return error;
    }
    pool_share(new);
    *pool = new;
    return 0;
}

struct jobd_blob *packed_call_new(const struct packed_call *what)
{
    size_t bytes = what->bytes;
    if (bytes > SIZE_MAX / 4)
        return NULL;
    struct jobd_blob *payload = jobd_blob_new(sizeof(struct packed_call) + bytes, NULL);
    if (payload == NULL)
        return NULL;
    struct packed_call *call = (struct packed_call *)(void *)payload->bytes;
    *call = *what;
    if (bytes > 0)
        memcpy(call->copy, what->argument, bytes);
    return payload;
}

/* Puts `function(argument)`; `sync` NULL: does not wait for room. */
static enum jobd_result put_call(struct jobd_pool *pool, const struct packed_call *what,
                                 struct wait_sync *sync, int64_t until_us)
{
    if (pool == NULL)
        pool = pool_shared();
    if (pool == NULL)
        return JOBD_CLOSED;
    struct jobd_blob *payload = packed_call_new(what);
    if (payload == NULL)
        return JOBD_OUT_OF_MEMORY;
    struct jobd *jobd = jobd_pool_jobd(pool);
    struct jobd_put put = {.priority = JOBD_PRIORITY_DEFAULT, .payload = payload};
    struct jobd_receipt receipt;
    enum jobd_result result =
        sync == NULL ? jobd_put(jobd, &put, NULL, clock_now_us(), &receipt)
                     : jobd_put_wait(jobd, &put, &sync->waiter, clock_now_us(), &receipt);
    if (result == JOBD_PENDING)
        result = wait_sync_until(sync, jobd, until_us);
    if (result != JOBD_OK)
        jobd_blob_unref(payload);
    return result;
}

enum jobd_result jobd_call(struct jobd_pool *pool, void (*function)(void *), void *argument,
                           size_t bytes)
{
    struct packed_call call = {.function = function, .argument = argument, .bytes = bytes};
    return put_call(pool, &call, NULL, 0);
}

enum jobd_result jobd_call_wait(struct jobd_pool *pool, void (*function)(void *), void *argument,
                                size_t bytes, int64_t wait_us)
{
    struct packed_call call = {.function = function, .argument = argument, .bytes = bytes};
    struct wait_sync sync;
    if (wait_sync_init(&sync) != 0)
        return JOBD_OUT_OF_MEMORY;
    enum jobd_result result = put_call(pool, &call, &sync, clock_after_us(wait_us));
    wait_sync_release(&sync);
    return result;
}
