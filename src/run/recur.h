/* SPDX-License-Identifier: MIT */
/* Reads the plans of schedules and tells the engine when an instant has come, by the wall clock;
 * the engine says what becomes of it (jobd/schedule.h).
 *
 * Instants are taken as they come. Several that come at once, as after a start, after the machine
 * has slept or when the clock was put forward, are late: then it is `late` of the schedule that
 * says which of them shall happen. What has no room is tried again until the next instant comes,
 * and is missed then. A clock that is put back is waited for, unless it had been put forward
 * before: see jobd_schedule_turn_back().
 *
 * All of it is recur_tick(), for one thread, with both clocks as arguments; recur_start() makes a
 * thread that calls it.
 *
 * Where several processes share their queues each of them reads all plans, by the database's clock,
 * and recur_tick() is called in turns: whose turn is first takes the instant, and in those of the
 * others it has happened. */
#pragma once

#include <stdint.h>

#include "jobd/schedule.h"

enum { RECUR_ALL_MAX = 100 }; /* late instants that happen with JOBD_LATE_ALL */

/* One that comes alone is late after this. */
#define RECUR_LATE_US INT64_C(60000000)

struct recur;

/* For an engine with this configuration, which is told to wake it. 0 or -errno. */
__attribute__((warn_unused_result)) int recur_new(struct recur **recur,
                                                  struct jobd_schedule_config *config);
/* After the engine, and stopped. Takes NULL. */
void recur_free(struct recur *recur);

/* Told of each schedule that is another than before, by whomever; `info` NULL: it is there no more.
 * In the thread that calls recur_tick(); must not block. Before recur_start(). */
typedef void recur_watcher(void *context, const char *name, const struct jobd_schedule_info *info);
void recur_watch(struct recur *recur, recur_watcher *watcher, void *context);

/* All plans are read again by the next tick: the system's time zones may have changed. Any thread.
 */
void recur_reread(struct recur *recur);

/* Does some of what is to be done by now. When it is to be called again at the latest, by the wall
 * clock, perhaps at once; JOBD_NEVER: when a schedule changes. Reads zone files. */
int64_t recur_tick(struct recur *recur, struct jobd *jobd, const struct jobd_moment *moment);

/* The same but for what changes something: recur_tick() is to be called then, perhaps at once. */
int64_t recur_look(struct recur *recur, struct jobd *jobd, const struct jobd_moment *moment);

/* Both clocks, as they are now. Any thread. */
struct jobd_moment recur_moment(void);

/* 0 or -errno. */
__attribute__((warn_unused_result)) int recur_start(struct recur *recur, struct jobd *jobd);
/* No instant is taken from here on. Does not block. */
void recur_end(struct recur *recur);
/* The same, and its thread has ended: where turns are taken that may last until these are stopped.
 * Takes one that was not started; again does nothing. */
void recur_stop(struct recur *recur);
