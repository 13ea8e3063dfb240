/* SPDX-License-Identifier: MIT */
#include "store/times.h"

enum {
    KEEP_EVERY_US = 100000, /* one page more in each commit would cost too much */
    STEP_US = 1000          /* less is not a step of the wall clock */
};

/* Neither end is ever passed: a lease of a hundred years may begin late. */
static int64_t moved(int64_t at_us, int64_t by_us)
{
    int64_t sum_us;
    if (__builtin_add_overflow(at_us, by_us, &sum_us))
        return by_us > 0 ? JOBD_NEVER - 1 : 1;
    return sum_us > 0 ? sum_us : 1;
}

static int64_t less(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- the clocks */

void times_begin(struct times *times, const struct kept_times *kept, int64_t now_us,
                 int64_t wall_us)
{
    bool known = kept->wall_us > 0 && kept->database_us > 0 && kept->serving_us > 0;
    int64_t away_us = wall_us > kept->wall_us ? wall_us - kept->wall_us : 0;
    *times = (struct times){.now_us = now_us, .wall_ahead_us = wall_us - now_us};
    if (!known)
        return;
    times->database_ahead_us = moved(kept->database_us, away_us) - now_us;
    times->serving_ahead_us = kept->serving_us - now_us;
    times->wall_back = wall_us < kept->wall_us;
}

void times_measure(struct times *times, int64_t now_us, int64_t wall_us)
{
    times->now_us = now_us;
    times->wall_ahead_us = wall_us - now_us;
}

bool times_due(const struct times *times)
{
    int64_t step_us = times->wall_ahead_us - times->kept_wall_ahead_us;
    return times->now_us - times->kept_us >= KEEP_EVERY_US || step_us >= STEP_US ||
           step_us <= -STEP_US;
}

struct kept_times times_now(const struct times *times)
{
    return (struct kept_times){.wall_us = moved(times->now_us, times->wall_ahead_us),
                               .database_us = moved(times->now_us, times->database_ahead_us),
                               .serving_us = moved(times->now_us, times->serving_ahead_us)};
}

void times_kept(struct times *times)
{
    times->kept_us = times->now_us;
    times->kept_wall_ahead_us = times->wall_ahead_us;
}

/* ---- a record */

/* 0 stays 0: it does not apply. */
static int64_t by_clock(int64_t at_us, int64_t ahead_us)
{
    return at_us != 0 ? moved(at_us, ahead_us) : 0;
}

/* What another process has written stays as it was. */
static int64_t to_wall(const struct times *times, int64_t at_us)
{
    return at_us < 0 ? -at_us : by_clock(at_us, times->wall_ahead_us);
}

struct job_record times_to_disk(const struct times *times, const struct job_record *record)
{
    struct job_record on_disk = *record;
    on_disk.created_us = to_wall(times, record->created_us);
    on_disk.started_us = to_wall(times, record->started_us);
    on_disk.finished_us = to_wall(times, record->finished_us);
    on_disk.errors_us = to_wall(times, record->errors_us);
    on_disk.run_at_us = by_clock(record->run_at_us, times->database_ahead_us);
    on_disk.at_us = by_clock(record->at_us, times->wall_ahead_us);
    on_disk.expiry_us = by_clock(record->expiry_us, times->database_ahead_us);
    on_disk.expiry_at_us = by_clock(record->expiry_at_us, times->wall_ahead_us);
    on_disk.unique_until_us = by_clock(record->unique_until_us, times->database_ahead_us);
    on_disk.ready_us = by_clock(record->ready_us, times->database_ahead_us);
    on_disk.expires_us = by_clock(record->expires_us, times->serving_ahead_us);
    on_disk.began_us = by_clock(record->began_us, times->serving_ahead_us);
    return on_disk;
}

/* By the wall clock, which may have been put back since. */
static int64_t so_long_ago(const struct times *times, int64_t wall_us)
{
    int64_t now_us = moved(times->now_us, times->wall_ahead_us);
    return wall_us < now_us ? moved(times->now_us, wall_us - now_us) : times->now_us;
}

/* What is kept may be older than the lease by a little, which is not to be given twice. */
static int64_t lease_end(const struct times *times, const struct job_record *record)
{
    int64_t end_us = by_clock(record->expires_us, -times->serving_ahead_us);
    if (record->expires_us == 0 || record->began_us == 0 || record->expires_us < record->began_us)
        return end_us;
    return less(end_us, moved(times->now_us, record->expires_us - record->began_us));
}

struct job_record times_from_disk(const struct times *times, const struct job_record *record)
{
    struct job_record back = *record;
    back.created_us = -record->created_us;
    back.started_us = -record->started_us;
    back.finished_us = -record->finished_us;
    back.errors_us = -record->errors_us;
    back.run_at_us = by_clock(record->run_at_us, -times->database_ahead_us);
    back.ready_us = by_clock(record->ready_us, -times->database_ahead_us);
    back.at_us = by_clock(record->at_us, -times->wall_ahead_us);
    if (record->by_wall && record->at_us != 0 && !times->wall_back)
        back.run_at_us = back.ready_us = back.at_us;
    back.expiry_us = by_clock(record->expiry_us, -times->database_ahead_us);
    back.expiry_at_us = by_clock(record->expiry_at_us, -times->wall_ahead_us);
    if (record->expiry_at_us != 0 && !times->wall_back)
        back.expiry_us = back.expiry_at_us;
    back.unique_until_us = by_clock(record->unique_until_us, -times->database_ahead_us);
    back.came_us = so_long_ago(times, record->created_us);
    back.ended_us = record->finished_us != 0 ? so_long_ago(times, record->finished_us) : 0;
    back.expires_us = lease_end(times, record);
    back.began_us = less(by_clock(record->began_us, -times->serving_ahead_us), times->now_us);
    back.wall_ahead_us = times->wall_ahead_us;
    if (!record->delayed && record->ready_us == 0)
        back.ready_us = so_long_ago(times, record->created_us);
    else if (!record->delayed)
        back.ready_us = less(back.ready_us, times->now_us);
    if (record->began_us == 0 && record->started_us != 0)
        back.began_us = so_long_ago(times, record->started_us);
    return back;
}

struct batch_record times_of_batch(const struct batch_record *record)
{
    struct batch_record back = *record;
    back.created_us = -record->created_us;
    back.finished_us = -record->finished_us;
    return back;
}
