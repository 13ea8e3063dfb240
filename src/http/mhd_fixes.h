/* SPDX-License-Identifier: MIT */
/* What libmicrohttpd before 1.0 gets wrong, made good from outside. Once no older one is supported,
 * this header goes, with the file behind it and the calls to it. With 1.0 that file is empty, and a
 * call has no effect. All are for the loop's thread. */
#pragma once

#include <bsd/sys/queue.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#define MHD_NEEDS_FIXES (MHD_VERSION < 0x01000000)

struct exchange;
struct loop;

/* ---- quirks: what may go wrong while a connection does this */

enum quirk_kind {
    QUIRK_NONE,
    QUIRK_HANDSHAKE, /* a TLS handshake, which libmicrohttpd tries to go on with in each iteration
                      */
    QUIRK_ASLEEP,    /* so between two of its messages the connection is suspended */
    QUIRKS
};

/* Of an exchange. */
struct quirk {
    enum quirk_kind kind;
    unsigned iterations; /* of the loop, that changed nothing */
    TAILQ_ENTRY(exchange) entry;
};

/* Of a loop. */
struct quirks {
    TAILQ_HEAD(quirk_list, exchange) exchanges[QUIRKS];
    int sleepers; /* an epoll descriptor of those in QUIRK_ASLEEP; -1: none, without TLS */
};

/* 0 or -errno; quirks_release() is right after either. */
int quirks_init(struct loop *loop);
void quirks_release(struct loop *loop);
/* After an iteration of the daemon. */
void quirks_iteration(struct loop *loop);
/* `sleepers` is readable; or nobody may sleep any more. */
void quirks_wake(struct loop *loop);
void quirks_wake_all(struct loop *loop);

/* Says what the connection does now. QUIRK_NONE when the connection is closed at the latest. */
void quirk_set(struct exchange *exchange, enum quirk_kind kind);
/* It was cut: when it is asleep it is woken. */
bool quirk_wake(struct exchange *exchange);

/* A reply to HEAD whose body would be chunked gets an end of chunks for a body: it is not chunked
 * then, and closes the connection. False when memory is short. */
#define fix_chunked_head(response)                                                                 \
    (!MHD_NEEDS_FIXES ||                                                                           \
     MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END) == MHD_YES)

/* ---- with 1.0 */

#if !MHD_NEEDS_FIXES
#define quirks_init(loop)         ((loop)->quirks.sleepers = -1, 0)
#define quirks_release(loop)      ((void)(loop))
#define quirks_iteration(loop)    ((void)(loop))
#define quirks_wake(loop)         ((void)(loop))
#define quirks_wake_all(loop)     ((void)(loop))
#define quirk_set(exchange, kind) ((void)(exchange))
#define quirk_wake(exchange)      ((void)(exchange), false)
#endif
