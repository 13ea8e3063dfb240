/* SPDX-License-Identifier: MIT */
/* A log in a database that several processes append to, one turn at a time:
 *
 *     BEGIN; lock; what others have appended ──> (the engine) ──> INSERT; COMMIT
 *
 * Rows are numbered 1, 2, 3 ... without gaps. The number is the primary key, so that whoever
 * appends what has not seen the row before it fails: the lock only keeps that from happening.
 *
 * One thread uses it, but for those functions that say otherwise. Each call blocks, for about
 * LEDGER_PATIENCE_MS at most. What is behind `struct ledger_ops` may be something else: in the
 * tests it is a list in memory with faults. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/problem.h"

enum {
    LEDGER_SLOW_MS = 2000,
    LEDGER_PATIENCE_MS = 20000,
    LEDGER_FETCH_MAX = 256 /* rows of one answer */
};

struct ledger_row {
    uint64_t seq;
    uint32_t node; /* who appended it, and which of its turns it was: together the row's name */
    uint64_t turn;
    int64_t at_us; /* the database's clock, when the turn began */
    const unsigned char *body;
    size_t size;
};

enum ledger_result {
    LEDGER_OK,
    LEDGER_AWAY,    /* there is no connection any more: what became of an append is not known */
    LEDGER_REFUSED, /* the database has refused, and the connection stands: nothing is appended */
    LEDGER_WRONG    /* what only a person can mend */
};

/* Rows, in order, borrowed. False: it needs no more of them. */
typedef bool ledger_each(void *context, const struct ledger_row *row);

struct ledger_fetch {
    uint64_t from; /* this row and those behind it, at most LEDGER_FETCH_MAX */
    ledger_each *each;
    void *context;
    bool more; /* there may be more of them */
};

/* A part of a snapshot, see snapshot.h. */
enum { LEDGER_PART_WHOLE = -1 };

struct ledger_part {
    uint64_t from, to; /* to: not the ledger's */
    int32_t part;
    const unsigned char *body;
    size_t size;
};

/* What the database says as a turn begins. */
struct ledger_turn {
    int64_t now_us;  /* its clock */
    unsigned format; /* in which entries are to be written */
};

typedef bool ledger_each_part(void *context, const struct ledger_part *part);

/* `problem` says why a result is not LEDGER_OK. */
struct ledger_ops {
    /* From now on slow(context) is called from within a call that has waited for an answer for
     * LEDGER_SLOW_MS, and goes on waiting: the database is there, and may wait for a standby, or
     * for a server that stands still in its turn. */
    void (*on_slow)(void *ledger, void (*slow)(void *context), void *context);
    /* Connects again, to whichever server takes writes, when there is no connection. */
    enum ledger_result (*connect)(void *ledger, struct problem *problem);
    /* Rows without a turn, as they are now. */
    enum ledger_result (*fetch)(void *ledger, struct ledger_fetch *fetch, struct problem *problem);
    /* A turn begins: waits for the lock, and gives rows. */
    enum ledger_result (*begin)(void *ledger, struct ledger_fetch *fetch, struct ledger_turn *turn,
                                struct problem *problem);
    /* It ends: with all of these rows, which follow the last one; or without. LEDGER_OK: they, and
     * all before them, are as safe as the database keeps anything; none are enough for that. */
    enum ledger_result (*append)(void *ledger, const struct ledger_row *rows, size_t len,
                                 struct problem *problem);
    void (*give_up)(void *ledger);
    /* Lets the others know that there is this row. Does not wait. */
    void (*notify)(void *ledger, uint64_t seq);
    /* Waits until others have notified, or `event` is readable, or the time is over (-1: never).
     * The highest number that they have named, 0: none since the last call. */
    uint64_t (*wait)(void *ledger, int event, int timeout_ms);

    /* Now and then: lets others see that this process is there. */
    void (*beat)(void *ledger);
    /* Is no such process there now? */
    enum ledger_result (*look_for)(void *ledger, uint32_t node, bool *absent,
                                   struct problem *problem);

    /* Snapshots. This process is to write one now; *mine: nobody else does. */
    enum ledger_result (*claim)(void *ledger, bool *mine, struct problem *problem);
    enum ledger_result (*keep_part)(void *ledger, const struct ledger_part *part,
                                    struct problem *problem);
    /* Rows before this one, and snapshots, go, some at a time; *more are left. */
    enum ledger_result (*trim)(void *ledger, uint64_t from, bool *more, struct problem *problem);
    /* The last part of the newest one that is whole, if there is one; and any other that is there.
     */
    enum ledger_result (*find_part)(void *ledger, ledger_each_part *each, void *context,
                                    struct problem *problem);
    enum ledger_result (*read_part)(void *ledger, const struct ledger_part *part,
                                    ledger_each_part *each, void *context, struct problem *problem);
};

/* ---- PostgreSQL */

struct ledger;

struct ledger_options {
    const char *url;  /* postgres://...; as libpq takes it */
    const char *node; /* this process's name, for people */
    bool sync;        /* a commit is on disk before it is answered */
    /* At the start, while the database cannot be reached: waits for so long. False: to try no
     * longer. */
    bool (*rest)(void *context, int64_t for_us);
    void *context; /* its own */
};

/* Is it the address of a database, and not a directory? */
static inline bool ledger_is_url(const char *text)
{
    return strncmp(text, "postgres://", 11) == 0 || strncmp(text, "postgresql://", 13) == 0;
}
/* Can libpq read it? Does not connect. False, and a problem that does not show what it says. */
bool ledger_check(const char *url, struct problem *problem);
/* The library of PostgreSQL and its version. */
const char *ledger_library(void);

/* Connects, looks whether jobs can be kept there, makes the tables when they are missing, and takes
 * a number for this process. NULL, and a problem. Tries for at most wait_ms, which it says in the
 * log. */
struct ledger *ledger_open(const struct ledger_options *options, int wait_ms,
                           struct problem *problem);
/* Host, port and database, for people: nothing that is secret. */
const char *ledger_name(const struct ledger *ledger);
/* What its queues are like: a line each, their name and words. Copied, for those that share them:
 * where another process has a queue otherwise, both say so in the log. False when memory is short.
 * Any thread. */
bool ledger_describe(struct ledger *ledger, const char *queues);
/* The number of this process, which no other has ever had: from 1. */
uint32_t ledger_node(const struct ledger *ledger);
/* What the database has said its clock was, at the start. */
int64_t ledger_now_us(const struct ledger *ledger);

extern const struct ledger_ops ledger_ops;

/* Takes NULL. */
void ledger_free(struct ledger *ledger);
