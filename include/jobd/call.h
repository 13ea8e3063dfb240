/* SPDX-License-Identifier: MIT */
/* A function call in the background, from anywhere in a program, with one call:
 *
 *     jobd_call(NULL, send_mail, &mail, sizeof mail);
 *
 * Calls wait in a bounded queue until one of its workers makes them. NULL stands for the process's
 * own pool, the first that was opened, so no function has to be handed one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <jobd/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opens and starts a pool for calls: `capacity` may wait, `workers` threads make them. 0 or -errno.
 * Ends with jobd_pool_drain() and jobd_pool_free(). */
JOBD_API JOBD_MUST_READ int jobd_call_open(struct jobd_pool **pool, uint32_t capacity,
                                           uint32_t workers);

/* function(argument) in the background. With `bytes` > 0, that many bytes at `argument` are copied
 * and the function gets the copy, aligned for any type and gone when it returns; with 0 it gets the
 * pointer itself. Never waits: JOBD_OK, JOBD_FULL, JOBD_OUT_OF_MEMORY, JOBD_CLOSED. Any thread,
 * also a worker's. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_call(struct jobd_pool *pool, void (*function)(void *),
                                                   void *argument, size_t bytes);

/* The same, but waits for room, at most wait_us: also JOBD_TIMEOUT or JOBD_TOO_MANY_WAITERS. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_call_wait(struct jobd_pool *pool,
                                                        void (*function)(void *), void *argument,
                                                        size_t bytes, int64_t wait_us);

/* A function of any signature: JOBD_BACKGROUND2(resize, const char *, int) at file scope defines
 *
 *     enum jobd_result resize_in_background(const char *a, int b);
 *
 * which copies the arguments (not what they point to) and calls resize(a, b) in the process's own
 * pool. Its result is dropped. */
#define JOBD_BACKGROUND1(function, A)                                                              \
    struct function##_call {                                                                       \
        A a;                                                                                       \
    };                                                                                             \
    static void function##_make(void *call)                                                        \
    {                                                                                              \
        struct function##_call *c = (struct function##_call *)call;                                \
        (void)function(c->a);                                                                      \
    }                                                                                              \
    JOBD_MUST_READ static inline enum jobd_result function##_in_background(A a)                    \
    {                                                                                              \
        struct function##_call c = {a};                                                            \
        return jobd_call(NULL, function##_make, &c, sizeof c);                                     \
    }

#define JOBD_BACKGROUND2(function, A, B)                                                           \
    struct function##_call {                                                                       \
        A a;                                                                                       \
        B b;                                                                                       \
    };                                                                                             \
    static void function##_make(void *call)                                                        \
    {                                                                                              \
        struct function##_call *c = (struct function##_call *)call;                                \
        (void)function(c->a, c->b);                                                                \
    }                                                                                              \
    JOBD_MUST_READ static inline enum jobd_result function##_in_background(A a, B b)               \
    {                                                                                              \
        struct function##_call c = {a, b};                                                         \
        return jobd_call(NULL, function##_make, &c, sizeof c);                                     \
    }

#define JOBD_BACKGROUND3(function, A, B, C)                                                        \
    struct function##_call {                                                                       \
        A a;                                                                                       \
        B b;                                                                                       \
        C c;                                                                                       \
    };                                                                                             \
    static void function##_make(void *call)                                                        \
    {                                                                                              \
        struct function##_call *x = (struct function##_call *)call;                                \
        (void)function(x->a, x->b, x->c);                                                          \
    }                                                                                              \
    JOBD_MUST_READ static inline enum jobd_result function##_in_background(A a, B b, C c)          \
    {                                                                                              \
        struct function##_call x = {a, b, c};                                                      \
        return jobd_call(NULL, function##_make, &x, sizeof x);                                     \
    }

#ifdef __cplusplus
}
#endif
