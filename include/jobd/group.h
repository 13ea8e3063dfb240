/* SPDX-License-Identifier: MIT */
/* Function calls whose ends somebody wants to know. As those of jobd/call.h they are made in the
 * background; but each has an id, by which it can be cancelled, and a result. Those of a group can
 * be waited for: one of them, all, or whichever ends next; or with poll().
 *
 *     struct jobd_group *group;
 *     struct jobd_end end;
 *     jobd_group_new(&group, NULL, 100);
 *     for (int i = 0; i < 10; i++)
 *         jobd_group_call(group, resize, &pictures[i], sizeof pictures[i], NULL);
 *     while (jobd_group_next(group, JOBD_NEVER, &end) == JOBD_OK)
 *         ...
 *     jobd_group_free(group);
 *
 * Any thread may use a group, also several at a time. A call of a pool that waits for others of the
 * same pool keeps a worker from them: when all workers do, nothing goes on. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <jobd/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct jobd_group;

/* How a call has ended. */
struct jobd_end {
    uint64_t id;
    enum jobd_state state; /* JOBD_DONE; or JOBD_CANCELLED: it was not made */
    void *result;          /* what the function has returned; NULL: it was not called */
    void *argument;        /* the pointer that it was given with 0 bytes, else NULL */
};

/* A group for calls in this pool, of jobd_call_open(); NULL: the process's own. It keeps the ends
 * of its calls until they are taken, by jobd_group_next() or jobd_group_await(), and has at most
 * `calls` that are not, some 800 bytes each. 0 and *group; or -errno, -EINVAL: no calls, or no
 * pool. */
JOBD_API JOBD_MUST_READ int jobd_group_new(struct jobd_group **group, struct jobd_pool *pool,
                                           uint32_t calls);
/* Cancels what waits, tells what runs to stop, as jobd_stopping() says, and blocks until that has
 * ended; results that were not taken are dropped. Not in one of its calls, and nobody else may use
 * it any more. Before its pool is freed, or after. Takes NULL. */
JOBD_API void jobd_group_free(struct jobd_group *group);

/* function(argument) in the background, with `bytes` as for jobd_call(). Never waits: JOBD_OK and
 * *id, where `id` is not NULL; JOBD_FULL: the pool's queue or the group is; JOBD_OUT_OF_MEMORY;
 * JOBD_CLOSED. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_group_call(struct jobd_group *group,
                                                         void *(*function)(void *), void *argument,
                                                         size_t bytes, uint64_t *id);

/* JOBD_OK: it is cancelled, and never made. JOBD_STOPPING: it is being made, and jobd_stopping()
 * says so to it; it ends when the function returns. JOBD_FINISHED: it has ended. JOBD_NO_JOB: the
 * group has no such call, or its end was taken. */
JOBD_API enum jobd_result jobd_group_cancel(struct jobd_group *group, uint64_t id);

/* Takes the end of this call, and waits for it, at most wait_us (0: not at all, JOBD_NEVER: for
 * ever): JOBD_OK and *end; JOBD_TIMEOUT; JOBD_NO_JOB as above. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_group_await(struct jobd_group *group, uint64_t id,
                                                          int64_t wait_us, struct jobd_end *end);

/* Takes the end of whichever call has ended first, and waits as long for one: JOBD_OK and *end;
 * JOBD_TIMEOUT; JOBD_NO_JOB: the group has no call left. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_group_next(struct jobd_group *group, int64_t wait_us,
                                                         struct jobd_end *end);

/* Waits until all its calls have ended, as long, and takes none: JOBD_OK or JOBD_TIMEOUT. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_group_wait(struct jobd_group *group, int64_t wait_us);

/* A descriptor for poll() and its like, readable as long as there is an end to take: not to be read
 * from, nor closed. The group's, the same each time; or -errno. */
JOBD_API JOBD_MUST_READ int jobd_group_descriptor(struct jobd_group *group);

#ifdef __cplusplus
}
#endif
