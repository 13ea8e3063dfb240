/* SPDX-License-Identifier: MIT */
/* Threads for the queues of jobd/queue.h: each queue gets its workers, which take a job, run it and
 * say how it ended, and one timer thread does what becomes due. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jobd/declare.h>
#include <jobd/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs one attempt in a worker's thread and says how it ended in *outcome, which is zero but for
 * its state, JOBD_DONE. */
typedef void jobd_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context);

struct jobd_runner {
    jobd_run *run;
    void *context;
};

struct jobd_pool;

/* Makes the queues; runners[i] belongs to config->queues[i] (both borrowed until return;
 * nobody may be told `on_earlier_deadline` but the pool). No thread runs yet. 0 and *pool, or
 * -errno. */
JOBD_API JOBD_MUST_READ int jobd_pool_new(struct jobd_pool **pool, const struct jobd_config *config,
                                          const struct jobd_runner *runners);

/* Starts the threads, with all signals blocked. 0, or -errno: then only jobd_pool_free() is
 * allowed. */
JOBD_API JOBD_MUST_READ int jobd_pool_start(struct jobd_pool *pool);

/* Other bounds for a queue from now on, and as many threads: at most its capacity_max and
 * workers_max. A thread that is too many ends after its job. 0; or -errno, -EINVAL for bounds that
 * are too high, and nothing is changed. After jobd_pool_start(), not beside jobd_pool_stop(), and
 * in one thread at a time. */
JOBD_API JOBD_MUST_READ int jobd_pool_resize(struct jobd_pool *pool, uint32_t queue,
                                             uint32_t capacity, uint32_t workers);

/* A queue comes in, with its threads; as jobd_queue_add() says, whose 0 or 1 it returns, or -errno.
 * With 1 it goes on with the runner that it had, and `runner` is not used. After jobd_pool_start(),
 * as the others. */
JOBD_API JOBD_MUST_READ int jobd_pool_add(struct jobd_pool *pool,
                                          const struct jobd_queue_config *config,
                                          const struct jobd_runner *runner, uint32_t *queue);
/* As jobd_queue_retire(): its threads go with it. */
JOBD_API void jobd_pool_retire(struct jobd_pool *pool, uint32_t queue);

/* The queues, to put jobs in. They end with the pool. */
JOBD_API struct jobd *jobd_pool_jobd(struct jobd_pool *pool);

/* Accepts no more jobs and waits until all have ended, at most wait_us; false when some are left.
 * May be called again. */
JOBD_API bool jobd_pool_drain(struct jobd_pool *pool, int64_t wait_us);

/* Cancels what waits, tells what runs to stop, waits for it and ends the threads: the queues can
 * still be used, but nothing runs and no time passes. Again does nothing. */
JOBD_API void jobd_pool_stop(struct jobd_pool *pool);

/* Stops and frees all. No other thread may still use the pool or its queues. Takes NULL. */
JOBD_API void jobd_pool_free(struct jobd_pool *pool);

/* For the code of a job, in the worker's own thread: has this attempt been told to stop? */
JOBD_API bool jobd_stopping(void);

/* The same: sleeps for `us`; false as soon as the attempt has been told to stop. */
JOBD_API bool jobd_sleep(int64_t us);

/* The same: a descriptor for poll(), readable when this attempt has been told to stop. The pool's;
 * -1 in any other thread. */
JOBD_API int jobd_stop_descriptor(void);

/* The same: what it has put out so far, for who follows its job; as jobd_show_output(). Nothing in
 * any other thread. */
JOBD_API void jobd_show(struct jobd_blob *output, size_t bytes, bool truncated);

/* Microseconds since 1970 that never go back: the time to pass to the queues. */
JOBD_API int64_t jobd_now_us(void);

#ifdef __cplusplus
}
#endif
