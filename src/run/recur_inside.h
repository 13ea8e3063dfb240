/* SPDX-License-Identifier: MIT */
/* What recur.c (plans and instants) and recur_thread.c (who calls it) share; no other file includes
 * this. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/plan.h"
#include "jobd/schedule.h"
#include "jobd/turns.h"
#include "run/recur.h"
#include "run/wait_sync.h"

enum { KEY_SIZE = JOBD_SCHEDULE_NAME_MAX + sizeof "@2026-01-31T23:59:59Z" };

/* A schedule, by its number. Times are of the wall clock. */
struct recurrence {
    struct due due;
    char name[JOBD_SCHEDULE_NAME_MAX + 1];
    uint64_t version; /* 0: no schedule, or one to be looked at again */
    struct plan plan;
    bool planned, paused;
    bool turns_back; /* jobd_schedule_turn_back() is due, as soon as anything may be changed */
    enum jobd_late late;
    int64_t after_us; /* instants up to here are settled: they happened, or were missed */
    int64_t taken_us; /* instants up to here have come */
    int64_t floor_us; /* of those after this, the last `most` shall happen */
    uint32_t most;
    int64_t next_us;             /* the first instant that has not come */
    int64_t done_us[2], back_us; /* as in struct jobd_schedule_info */
    int64_t retry_us;            /* not before then; 0: nothing is to be tried again */
    enum jobd_result refusal;    /* the last */
};

/* Any thread; does not block. */
void recur_wake(void *recur);

struct recur {
    struct recurrence *entries;
    uint32_t len;
    struct heap dues;
    int64_t now_us, wall_us; /* of this tick, or the last */
    int64_t said_us;         /* when this second of the log began */
    unsigned said;           /* lines that were to be logged in it */
    _Atomic bool rereads, over;
    bool only_looks; /* nothing may be changed now */
    int event, timer;
    struct jobd *jobd;
    pthread_t thread;
    bool started;

    /* where there are turns */
    struct jobd_turn turn;
    struct wait_sync sync;
    int64_t next_us; /* what recur_tick() returned in the last one */

    recur_watcher *watcher; /* NULL: none */
    void *watcher_context;
};
