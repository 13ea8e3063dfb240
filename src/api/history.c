/* SPDX-License-Identifier: MIT */
#include "api/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"

enum { DONE, FAILED, REJECTED, WAITING, SERIES };

static const char *const names[SERIES] = {"done", "failed", "rejected", "waiting"};

/* Of one queue: a ring. */
struct samples {
    uint64_t totals[WAITING]; /* at the last sample, of those that only grow */
    uint32_t values[SERIES][HISTORY_SAMPLES];
};

struct history {
    struct jobd *jobd;
    int64_t next_us;
    struct mutex lock;
    uint32_t taken GUARDED_BY(lock); /* samples so far, each of all queues */
    struct samples queues[] GUARDED_BY(lock);
};

int history_new(struct history **history, struct jobd *jobd)
{
    uint32_t len = jobd_queues_max(jobd);
    struct history *new = calloc(1, sizeof *new + len * sizeof new->queues[0]);
    if (new == NULL)
        return -ENOMEM;
    new->jobd = jobd;
    int error = mutex_init(&new->lock);
    if (error != 0) {
        free(new);
        return error;
    }
    *history = new;
    return 0;
}

void history_free(struct history *history)
{
    if (history == NULL)
        return;
    mutex_release(&history->lock);
    free(history);
}

/* A counter that is lower than before is that of another queue in the same place. */
static uint32_t risen(uint64_t *before, uint64_t now)
{
    uint64_t more = now >= *before ? now - *before : now;
    *before = now;
    return more < UINT32_MAX ? (uint32_t)more : UINT32_MAX;
}

static void sample_queue(struct samples *samples, uint32_t at, const struct jobd_stats *stats)
{
    if (stats->gone) {
        memset(samples, 0, sizeof *samples);
        return;
    }
    const uint64_t totals[WAITING] = {stats->done, stats->failed, stats->rejected};
    for (unsigned i = 0; i < WAITING; i++)
        samples->values[i][at] = risen(&samples->totals[i], totals[i]);
    samples->values[WAITING][at] = stats->waiting;
}

int64_t history_sample(struct history *history, int64_t now_us)
{
    if (now_us < history->next_us)
        return history->next_us;
    bool begins = history->next_us == 0;
    history->next_us = now_us + HISTORY_INTERVAL_S * CLOCK_SECOND_US;
    if (begins) /* nothing has happened yet */
        return history->next_us;
    for (uint32_t i = 0; i < jobd_queues_len(history->jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(history->jobd, i, now_us, &stats);
        mutex_lock(&history->lock);
        sample_queue(&history->queues[i], history->taken % HISTORY_SAMPLES, &stats);
        mutex_unlock(&history->lock);
    }
    mutex_lock(&history->lock);
    history->taken++;
    mutex_unlock(&history->lock);
    return history->next_us;
}

static void write_series(struct json_out *out, const char *name, const uint32_t *values,
                         uint32_t from, uint32_t len)
{
    json_out_open(out, name, '[');
    for (uint32_t i = 0; i < len; i++)
        json_out_int(out, NULL, values[(from + i) % HISTORY_SAMPLES]);
    json_out_close(out, ']');
}

void history_write_queue(struct json_out *out, struct history *history, uint32_t queue)
{
    mutex_lock(&history->lock);
    uint32_t taken = history->taken;
    struct samples samples = history->queues[queue];
    mutex_unlock(&history->lock);
    uint32_t len = taken < HISTORY_SAMPLES ? taken : HISTORY_SAMPLES;
    json_out_open(out, "history", '{');
    json_out_int(out, "interval_s", HISTORY_INTERVAL_S);
    for (unsigned i = 0; i < SERIES; i++)
        write_series(out, names[i], samples.values[i], taken - len, len);
    json_out_close(out, '}');
}
