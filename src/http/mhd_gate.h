/* SPDX-License-Identifier: MIT */
/* The gate: what a connection has sent passes here before libmicrohttpd reads it.
 *
 * libmicrohttpd, and most of all what came before 1.0, is lenient where a lenient reader can be
 * played off against another: lone line feeds, NULs, the ends of chunks. It reads a header into the
 * memory that it clears for each request, answers some mistakes twice and others not at all, and
 * hands out words, not what stood between them. So a header is held back until it is whole, read
 * by head.h to the letter, and refused here or passed on; a body is passed on up to its end, and
 * what follows it is held until the next request is to be read.
 *
 *     read ──> HEAD: whole? ─ no ──> held, until more comes
 *               │ yes: sound? ─ no ──> answered, SHUT: what still comes is thrown away
 *               v
 *              BODY, by Content-Length or in chunks (chunks.h) ──> its end ──> HEAD
 *                                                               └ the rest is held
 *
 * A header that has come in one piece, as most do, stays where it was read to. What is too long for
 * libmicrohttpd's memory is kept here while its request lasts, and libmicrohttpd is given
 * head_shorten() of it.
 *
 * It has no place for such a gate: it reads by recv(), and by gnutls_record_recv() with TLS. Both
 * are defined in this program, ahead of the libraries (recv.h, tls.h), and read as ever for all but
 * the threads of the loops. */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "http/chunks.h"
#include "jobd/queue.h"

struct exchange;
struct loop;

enum {
    HEAD_MAX_BYTES = 24576, /* a header, its request line included */
    TARGET_MAX_BYTES = 2048
};

enum gate_state { GATE_HEAD, GATE_LENGTH, GATE_CHUNKS, GATE_SHUT };

/* Of a connection. */
struct gate {
    enum gate_state state;
    bool busy;     /* a request has been passed on, and has not ended */
    bool missed;   /* libmicrohttpd wanted the next one before that, and does not ask again */
    bool more;     /* the last read took all it could: the system may have more */
    bool kicked;   /* in its loop's list */
    uint64_t left; /* GATE_LENGTH: of the body */
    struct chunks chunks;
    char *held; /* from malloc(): what was read and has not passed, from `taken` up to `used` */
    size_t held_size, taken, used;
    size_t searched; /* of it for the end of a header */
    char *head;      /* from malloc(): a long header, until its request ends */
    size_t head_size;
    struct jobd_account account; /* for both; what empties a queue has no part kept for it here, as
                                    nobody knows yet what it is */
    int64_t shut_ms;             /* GATE_SHUT: when it is over at the latest */
    TAILQ_ENTRY(exchange) kick;
};

TAILQ_HEAD(kick_list, exchange);

/* In a loop's thread: it reads through the gate from now on. */
void gate_enter(struct loop *loop);
/* A connection begins, in its loop. */
void gate_open(struct exchange *exchange);
/* In place of gnutls_record_recv(). */
ssize_t gate_receive_tls(void *session, void *bytes, size_t size);
/* Its request has ended. */
void gate_next(struct exchange *exchange);
/* Its connection has. */
void gate_release(struct exchange *exchange);
/* Before an iteration of the daemon: makes connections ready for which bytes are held here, as
 * libmicrohttpd takes them for read empty. */
void gate_iteration(struct loop *loop);
