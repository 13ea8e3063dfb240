/* SPDX-License-Identifier: MIT */
/* What libmicrohttpd before 1.0 gets wrong, made good from outside. Once no older one is supported,
 * this header goes, with the two files behind it and the calls to them:
 *
 *     mhd_fixes.c   connections that it tries to read for ever, or answers twice; bodies whose end
 *                   it sees elsewhere than others do
 *     mhd_gaps.c    what it leaves out of a header
 *
 * With 1.0 both files are empty, and a call has no effect. All are for the loop's thread. */
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
    QUIRK_HANDSHAKE, /* TLS is tried turn after turn, so between two messages it is put to sleep: */
    QUIRK_ASLEEP,    /* suspended, until its client goes on */
    QUIRK_HEADER,    /* what is refused late in a header has its status and fields twice */
    QUIRK_CHUNKS,    /* a line that the pool is too small for is tried turn after turn */
    QUIRKS
};

/* Of an exchange. */
struct quirk {
    enum quirk_kind kind;
    unsigned turns; /* of the loop, that changed nothing */
    TAILQ_ENTRY(exchange) entry;
};

/* Of a loop. */
struct quirks {
    TAILQ_HEAD(quirk_list, exchange) exchanges[QUIRKS];
    int sleepers; /* an epoll descriptor: those of QUIRK_ASLEEP whose client goes on. -1: none */
};

/* 0 or -errno; quirks_release() is right after either. */
int quirks_init(struct loop *loop);
void quirks_release(struct loop *loop);
/* After a turn of the daemon. */
void quirks_turn(struct loop *loop);
/* `sleepers` is readable; or nobody may sleep any more. */
void quirks_wake(struct loop *loop);
void quirks_wake_all(struct loop *loop);
/* libmicrohttpd says this for the log. When it is about to refuse a header in two answers, and it
 * can be told whose, that is refused here in one. */
void quirks_on_message(struct loop *loop, const char *format);

/* Says what the connection does now. QUIRK_NONE when the connection is closed at the latest. */
void quirk_set(struct exchange *exchange, enum quirk_kind kind);
/* A part of its body was read. */
void quirk_progress(struct exchange *exchange);
/* It was cut: when it is asleep it is woken. */
bool quirk_wake(struct exchange *exchange);

/* The pool has a copy of the cookies and a record of each too, which take `record_size`. */
size_t fix_cookie_bytes(struct exchange *exchange, size_t record_size);
/* Lone line feeds between chunks, and a line in the trailer that begins with a colon, are taken for
 * ends of lines and of the request: what another server reads as the rest of this one must not
 * become the next, so the connection ends with it. */
#define fix_body_ends_unsure(exchange) (MHD_NEEDS_FIXES && (exchange)->headers.chunked)

/* A reply to HEAD whose body would be chunked gets an end of chunks for a body: it is not chunked
 * then, and closes the connection. False when memory is short. */
#define fix_chunked_head(response)                                                                 \
    (!MHD_NEEDS_FIXES ||                                                                           \
     MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END) == MHD_YES)

/* ---- gaps: what stands between the words of a header, in the buffer it was read into
 *
 * Each word is handed out up to its first NUL, lines that go on in the next one are put together,
 * and a line that begins with a colon is taken for the end: what is left out another server would
 * read. But the words are cut out in place, with a NUL for each colon, blank and line break, so
 * that what was left out can still be seen: between two lines there may be nothing else.
 *
 * No memory of its own, no lock; in the order of the header. */

struct framing {
    const char *at, *end; /* of what has been looked at; of the header, its empty line included */
    bool blank;           /* blanks may follow: those of an empty value */
    bool sound;           /* up to here */
};

/* The request line, as handed out; `target_size` before anything in it was decoded. */
void gaps_begin(struct framing *framing, const char *method, const char *target, size_t target_size,
                const char *version, size_t header_size);
/* A field; `value` NULL when it is empty. */
void gaps_field(struct framing *framing, const char *name, size_t name_size, const char *value,
                size_t value_size);
/* Was there nothing but what was handed out? */
bool gaps_end(const struct framing *framing);

/* ---- with 1.0 */

#if !MHD_NEEDS_FIXES
#define quirks_init(loop)                       ((loop)->quirks.sleepers = -1, 0)
#define quirks_release(loop)                    ((void)(loop))
#define quirks_turn(loop)                       ((void)(loop))
#define quirks_wake(loop)                       ((void)(loop))
#define quirks_wake_all(loop)                   ((void)(loop))
#define quirks_on_message(loop, format)         ((void)(loop), (void)(format))
#define quirk_set(exchange, kind)               ((void)(exchange))
#define quirk_progress(exchange)                ((void)(exchange))
#define quirk_wake(exchange)                    ((void)(exchange), false)
#define fix_cookie_bytes(exchange, record_size) ((void)(exchange), (size_t)0)
#define gaps_begin(framing, method, target, target_size, version, header_size)                     \
    ((void)(framing), (void)(method), (void)(target), (void)(target_size), (void)(version),        \
     (void)(header_size))
#define gaps_field(framing, name, name_size, value, value_size)                                    \
    ((void)(framing), (void)(name), (void)(name_size), (void)(value), (void)(value_size))
#define gaps_end(framing) ((void)(framing), true)
#endif
