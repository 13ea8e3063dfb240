/* SPDX-License-Identifier: MIT */
/* Schedules: what puts a job in at each instant of a plan. Which instants these are the engine does
 * not know, nor what time it is on the wall: whoever reads the plans and that clock says that an
 * instant has come, with jobd_schedule_fire(), and the engine decides what becomes of it.
 *
 * An instant happens once: its job and the schedule's place are one change, and no instant at or
 * before that place is taken again. The job has the key that comes with the instant, too, so that
 * others who put into the same queue cannot take it twice either.
 *
 * Times that end in `wall_us` or stand for an instant are of the wall clock, in microseconds since
 * 1970; a store keeps them as they are. As in jobd/queue.h verbs end at once without a journal, and
 * with one when they are written down; they may follow each other without waiting for that. */
#pragma once

#include <jobd/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JOBD_SCHEDULE_NAME_MAX 64
#define JOBD_SCHEDULE_TEXT_MAX 1024 /* bytes of a cron expression, or a zone */

/* Of an engine; borrowed until jobd_new() returns. */
struct jobd_schedule_config {
    uint32_t max, restored;     /* that may be there; as many as are restored may be more */
    struct jobd_hook on_change; /* jobd_schedule_changed() has something to say */
};

/* What becomes of instants that come while nobody looks; the engine only keeps it. */
enum jobd_late { JOBD_LATE_ONCE, JOBD_LATE_SKIP, JOBD_LATE_ALL };

/* once, skip and all. */
JOBD_API const char *jobd_late_name(enum jobd_late late);
/* False, and *late untouched, when there is no such word. */
JOBD_API bool jobd_late_named(const char *name, enum jobd_late *late);

/* What was asked for. */
struct jobd_schedule {
    const char *name;        /* 1 to JOBD_SCHEDULE_NAME_MAX bytes */
    const char *cron, *zone; /* the plan: these two, kept for whoever reads it; or "" */
    int64_t every_us;        /* and this */
    const char *queue;       /* where its jobs go */
    uint8_t priority;        /* these as in struct jobd_put */
    uint32_t attempts;
    int64_t timeout_us;
    int64_t expires_us;            /* a job's, from when it comes; 0: the queue's */
    const char *texts[JOBD_TEXTS]; /* of its jobs; NULL: none */
    struct jobd_blob *payload;     /* of its jobs; NULL: none */
    enum jobd_late late;
    bool alone; /* no job of an instant while that of the instant before has not ended */
    bool fixed; /* the configuration's: only with `fixed` can it be changed */
};

/* Is the same asked for? Names do not count. */
JOBD_API bool jobd_schedule_same(const struct jobd_schedule *one,
                                 const struct jobd_schedule *other);

/* How far it is. */
struct jobd_schedule_info {
    char name[JOBD_SCHEDULE_NAME_MAX + 1];
    /* Without its name. What it points to lives as long as the two references, which are given back
     * by jobd_schedule_info_release(); `terms` NULL: there is no such schedule. */
    struct jobd_schedule schedule;
    struct jobd_blob *terms, *payload;
    uint64_t version; /* of what was asked for: another one with each change */
    bool paused;
    bool restored;    /* by this process's start, and nobody has looked since */
    int64_t after_us; /* instants up to here have been seen to */
    /* Instants that may have happened: up to the first, from the second (0: none) to after_us, and
     * between the last two. */
    int64_t floor_us, since_us, done_us[2];
    int64_t back_us;          /* jobd_schedule_turn_back() is for a clock that shows less */
    int64_t last_us;          /* the last that has happened; 0: none */
    uint64_t last_job;        /* what came of it */
    uint64_t missed, skipped; /* instants without a job: too late or no room; as `alone` said */
};

JOBD_API void jobd_schedule_info_release(struct jobd_schedule_info *info);

enum jobd_schedule_change { JOBD_SCHEDULE_NEW, JOBD_SCHEDULE_REPLACED, JOBD_SCHEDULE_SAME };

/* The moment at which a verb is called, by both clocks. */
struct jobd_moment {
    int64_t now_us, wall_us;
};

/* It is there from now on, in place of one with the same name: JOBD_OK, and *change says which;
 * nothing is done for one that is the same. The payload is shared, not taken. A new plan's instants
 * begin after now, and what has happened before is kept. JOBD_TOO_MANY_SCHEDULES,
 * JOBD_SCHEDULE_FIXED, JOBD_OUT_OF_MEMORY, JOBD_CLOSED. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_schedule_put(struct jobd *jobd,
                                                           const struct jobd_schedule *schedule,
                                                           struct jobd_waiter *waiter,
                                                           const struct jobd_moment *moment,
                                                           enum jobd_schedule_change *change);

/* Its jobs stay. JOBD_OK, JOBD_NO_SCHEDULE; JOBD_SCHEDULE_FIXED unless the caller says `fixed`. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_schedule_delete(struct jobd *jobd, const char *name,
                                                              bool fixed,
                                                              struct jobd_waiter *waiter,
                                                              int64_t now_us);

/* While it is paused no instant happens, and none is missed: it goes on with those after it was
 * resumed. JOBD_OK, JOBD_NO_SCHEDULE. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_schedule_pause(struct jobd *jobd, const char *name,
                                                             bool paused,
                                                             struct jobd_waiter *waiter,
                                                             const struct jobd_moment *moment);

/* A job now, beside the plan: as jobd_put(), or JOBD_NO_SCHEDULE. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_schedule_run(struct jobd *jobd, const char *name,
                                                           struct jobd_waiter *waiter,
                                                           int64_t now_us,
                                                           struct jobd_receipt *receipt);

/* What has come of a plan. */
struct jobd_firing {
    const char *name;
    uint64_t version; /* of what the plan was read from */
    int64_t at_us;    /* this instant shall happen; 0: none */
    const char *key;  /* the job's then */
    int64_t until_us; /* else all up to here is seen to */
    uint64_t missed;  /* instants before at_us, or up to until_us, that are missed by that */
};

/* JOBD_OK: it is seen to, with a job, or without one where `alone` says so or where there is a job
 * with that key. JOBD_NO_SCHEDULE: there is none of that version, or it is paused. JOBD_REPEATED:
 * it has happened. Else as jobd_put(), and nothing is done: it may be tried again. With a journal
 * JOBD_OK does not say that it is written; should that fail, on_change tells. */
JOBD_API JOBD_MUST_READ enum jobd_result
jobd_schedule_fire(struct jobd *jobd, const struct jobd_firing *firing, int64_t now_us);

/* The wall clock shows less than back_us: it had been wrong when it passed over the instants before
 * that. They are taken when they come, but for those that have happened. JOBD_OK,
 * JOBD_NO_SCHEDULE; JOBD_REPEATED: it does not, or that was said before and is not over. */
JOBD_API JOBD_MUST_READ enum jobd_result
jobd_schedule_turn_back(struct jobd *jobd, const char *name, const struct jobd_moment *moment);

/* The schedule with this name, or the first behind it; `name` "": the first of all. JOBD_OK or
 * JOBD_NO_SCHEDULE. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_schedule_get(struct jobd *jobd, const char *name,
                                                           struct jobd_schedule_info *info);
JOBD_API JOBD_MUST_READ enum jobd_result jobd_schedule_after(struct jobd *jobd, const char *name,
                                                             struct jobd_schedule_info *info);

/* The next schedule that has changed since this was asked, by whomever, as it will be when all that
 * is under way is written: its number, below `max` or `restored`, which stays the same
 * as long as there is one of that name. False: none. For one caller. */
JOBD_API bool jobd_schedule_changed(struct jobd *jobd, uint32_t *number,
                                    struct jobd_schedule_info *info);

struct jobd_schedule_stats {
    uint32_t schedules;
    uint64_t fired, missed, skipped; /* totals since the start */
};

JOBD_API void jobd_schedule_stats(struct jobd *jobd, struct jobd_schedule_stats *stats);

#ifdef __cplusplus
}
#endif
