/* SPDX-License-Identifier: MIT */
/* Reads the plans of schedules and tells the engine when an instant has come, by the wall clock;
 * the engine says what becomes of it (jobd/schedule.h).
 *
 * Instants are taken as they come. Several that come at once, as after a start, after the machine
 * has slept or when the clock was put forward, are late: the schedule's `late` says which of them
 * shall happen. An instant for whose job there is no room is tried again until the next one comes,
 * and is then missed. When the clock is put back, schedules wait until it has caught up, unless it
 * had been put forward before: see jobd_schedule_turn_back().
 *
 * recur_tick() does all of it, for one thread, with both clocks as arguments; recur_start() starts
 * a thread that calls it.
 *
 * Where several processes share their queues each of them reads all plans, by the database's clock,
 * and recur_tick() is called in turns: the first turn takes the instant, and the others find that
 * it has happened. */
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

/* Told of each schedule that has changed, whoever changed it; `info` NULL: it is gone. Called in
 * the thread that calls recur_tick(); must not block. Set it before recur_start(). */
typedef void recur_watcher(void *context, const char *name, const struct jobd_schedule_info *info);
void recur_watch(struct recur *recur, recur_watcher *watcher, void *context);

/* The next tick reads all plans again: the system's time zones may have changed. Any thread. */
void recur_reread(struct recur *recur);

/* Does what is due, or a part of it. Returns when it must be called again at the latest, by the
 * wall clock, which may be at once; JOBD_NEVER: when a schedule changes. Reads zone files. */
int64_t recur_tick(struct recur *recur, struct jobd *jobd, const struct jobd_moment *moment);

/* Looks, and changes nothing. Returns when recur_tick() must be called, which may be at once. */
int64_t recur_look(struct recur *recur, struct jobd *jobd, const struct jobd_moment *moment);

/* Both clocks, as they are now. Any thread. */
struct jobd_moment recur_moment(void);

/* 0 or -errno. */
__attribute__((warn_unused_result)) int recur_start(struct recur *recur, struct jobd *jobd);
/* No instant is taken from here on. Does not block. */
void recur_end(struct recur *recur);
/* The same, and waits for the end of its thread; where queues are shared its last turn may last
 * until turns are stopped. Does nothing when it was not started, or once more. */
void recur_stop(struct recur *recur);
