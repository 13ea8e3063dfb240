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
    uint64_t version; /* 0: none, or it is looked at anew */
    struct plan plan;
    bool planned, paused;
    bool turns_back; /* as soon as something may be changed */
    enum jobd_late late;
    /* Up to the first it has been seen to; up to the second instants have come, of which the last
     * `most` behind floor_us shall happen. Then the next comes. */
    int64_t after_us, taken_us, floor_us, next_us;
    uint32_t most;
    int64_t done_us[2], back_us; /* as the engine has it */
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
    int64_t said_us;         /* since then so many lines were to be logged */
    unsigned said;
    _Atomic bool rereads, over;
    bool only_looks; /* nothing may be changed now */
    int event, timer;
    struct jobd *jobd;
    pthread_t thread;
    bool started;

    /* where there are turns */
    struct jobd_turn turn;
    struct wait_sync sync;
    int64_t next_us; /* as recur_tick() has said in the last */

    recur_watcher *watcher; /* NULL: none */
    void *watcher_context;
};
