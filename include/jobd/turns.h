/* SPDX-License-Identifier: MIT */
/* Queues that several processes share: whoever calls a verb that may change something does so in a
 * turn of his process, in which the engine knows all that the others have changed, and none of them
 * changes anything. Where the queues are this process's own there are no turns, and what is entered
 * runs at once. Any thread; none of these blocks, but that jobd_leave() waits while run() of its
 * turn is being called. */
#pragma once

#include "jobd/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

struct jobd_turn {
    /* Calls verbs, does not block. JOBD_PENDING: a waiter was left behind, whose wake() comes; then
     * nobody touches the turn any more. In another thread. */
    enum jobd_result (*run)(struct jobd_turn *turn);
    /* Called once, with no lock held, after anything else than JOBD_PENDING: others know of what
     * run() did, and it is on disk; or JOBD_STORE_FAILED: nothing was done. */
    void (*over)(struct jobd_turn *turn, enum jobd_result result);
    void *context;
    /* It changes nothing, and run() is not called: it waits until this process knows all that there
     * was when it entered. After JOBD_OK no other turn begins until jobd_looked(). */
    bool looks;
    struct { /* private */
        struct jobd_turn *next;
        int state;
        enum jobd_result result;
    } link;
};

/* jobd_take() without a lease: where what the task points to is kept, as the job may be gone before
 * its end. Empty before it is used; whoever took the job releases it. Without one the task points
 * to what the job has. */
struct jobd_kept {
    struct jobd_blob *payload, *words;
    char key[JOBD_KEY_SIZE], trace[JOBD_TRACE_SIZE];
};

JOBD_API void jobd_kept_release(struct jobd_kept *kept);

/* The turn is the engine's until over(), or until its waiter is woken. */
JOBD_API void jobd_enter(struct jobd *jobd, struct jobd_turn *turn);
/* Ends it early, and so the wait of its waiter, as jobd_cancel_wait() does. */
JOBD_API bool jobd_leave(struct jobd *jobd, struct jobd_turn *turn, struct jobd_waiter *waiter);
/* Whoever entered a turn that looks has seen what he wanted. */
JOBD_API void jobd_looked(struct jobd *jobd);
/* Are there turns? */
JOBD_API bool jobd_shared(const struct jobd *jobd);

/* Who takes the turns, for jobd_config.turns, and there is no journal then; borrowed until
 * jobd_free(). */
struct jobd_turns {
    /* As jobd_enter() and jobd_leave() say. */
    void (*enter)(void *context, struct jobd_turn *turn);
    bool (*leave)(void *context, struct jobd_turn *turn, struct jobd_waiter *waiter);
    void (*looked)(void *context);
    /* There is something to be done in a turn. As a jobd_hook. */
    void (*due)(void *context);
    void *context;
    uint32_t node; /* this process, among those that share them: from 1 */
};

/* Ends the waits of those whose deadlines have passed, as jobd_tick() does; the rest of that is
 * done in turns. The next deadline, or JOBD_NEVER. */
JOBD_API int64_t jobd_tick_waiters(struct jobd *jobd, int64_t now_us);

#ifdef __cplusplus
}
#endif
