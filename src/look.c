/* SPDX-License-Identifier: MIT */
/* Reads of the heart; nothing here changes a job. */
#include "heart.h"

#include <string.h>

enum { LOOKS_AT_A_TIME = 256 }; /* bounds how long a listing holds the lock */

const int64_t jobd_histogram_bounds_us[JOBD_HISTOGRAM_BUCKETS] = {
    100,    250,    500,    1000,    2500,    5000,     10000,     25000,      50000,
    100000, 250000, 500000, 1000000, 5000000, 30000000, 300000000, 3600000000, JOBD_NEVER,
};

void histogram_add(struct jobd_histogram *histogram, int64_t us)
{
    unsigned bucket = 0;
    while (us > jobd_histogram_bounds_us[bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum_us += us > 0 ? (uint64_t)us : 0;
}

uint32_t jobd_queue_named(const struct jobd *jobd, const char *name)
{
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        if (strcmp(jobd->queues[i].name, name) == 0)
            return i;
    return JOBD_NO_QUEUE;
}

const char *jobd_queue_name(const struct jobd *jobd, uint32_t queue)
{
    verify(queue < jobd->queues_len);
    return jobd->queues[queue].name;
}

uint32_t jobd_queues_len(const struct jobd *jobd)
{
    return jobd->queues_len;
}

void look_locked(const struct job *job, struct jobd_info *info)
{
    enum jobd_state state = (enum jobd_state)job->state;
    bool started = state == JOBD_RUNNING || jobd_state_final(state);
    const struct extra *extra = job->extra;
    *info = (struct jobd_info){
        .id = job->id,
        .queue = job->queue,
        .state = state,
        .priority = job->priority,
        .stopping = job->stopping,
        .attempt = job->attempt,
        .attempts = job->attempts,
        .created_us = job->created_us,
        .run_at_us = job->delayed ? job->ready_us : 0,
        .started_us = started ? job->started_us : 0,
        .finished_us = jobd_state_final(state) ? job->finished_us : 0,
        .payload_bytes = job->payload != NULL ? job->payload->size : 0,
        .output_bytes = extra != NULL && extra->output != NULL ? extra->output->size : 0,
        .output_truncated = job->output_truncated,
        .has_error = extra != NULL && extra->error != NULL,
        .exited = job->exited,
        .exit_code = job->exit_code,
    };
    if (extra != NULL)
        memcpy(info->trace, extra->trace, sizeof info->trace);
}

void look_at_output_locked(const struct job *job, struct jobd_waiter *waiter)
{
    struct jobd_blob *output = job->extra != NULL ? job->extra->output : NULL;
    waiter->output = waiter->wants_output && output != NULL ? jobd_blob_ref(output) : NULL;
}

enum jobd_result jobd_look(struct jobd *jobd, uint64_t id, struct jobd_info *info)
{
    mutex_lock(&jobd->lock);
    const struct job *job = jobs_seen(&jobd->jobs, id);
    if (job != NULL)
        look_locked(job, info);
    mutex_unlock(&jobd->lock);
    return job != NULL ? JOBD_OK : JOBD_NO_JOB;
}

static struct jobd_blob *part_of(const struct job *job, enum jobd_part part)
{
    switch (part) {
    case JOBD_PAYLOAD:
        return job->payload;
    case JOBD_OUTPUT:
        return job->extra != NULL ? job->extra->output : NULL;
    case JOBD_ERROR:
        return job->extra != NULL ? job->extra->error : NULL;
    }
    return NULL;
}

enum jobd_result jobd_part(struct jobd *jobd, uint64_t id, enum jobd_part part,
                           struct jobd_blob **bytes)
{
    mutex_lock(&jobd->lock);
    const struct job *job = jobs_seen(&jobd->jobs, id);
    if (job != NULL) {
        struct jobd_blob *blob = part_of(job, part);
        *bytes = blob != NULL ? jobd_blob_ref(blob) : NULL;
    }
    mutex_unlock(&jobd->lock);
    return job != NULL ? JOBD_OK : JOBD_NO_JOB;
}

static bool matches(const struct jobd_filter *filter, const struct job *job)
{
    return (filter->queue == JOBD_NO_QUEUE || filter->queue == job->queue) &&
           (filter->state == JOBD_STATES || filter->state == job->state);
}

/* One more match than asked for tells whether there is a next page. */
struct listing {
    struct jobd_info *infos;
    size_t len, found;
    uint64_t after; /* all jobs up to this id have been looked at */
    bool more;
};

static bool list_some_locked(struct jobd *jobd, const struct jobd_filter *filter,
                             struct listing *listing) REQUIRES(jobd->lock)
{
    const struct job *job = jobs_above(&jobd->jobs, listing->after);
    for (int looked = 0; job != NULL && looked < LOOKS_AT_A_TIME; looked++) {
        if (job->state != LIFE_NEW && matches(filter, job)) {
            listing->more = listing->found == listing->len;
            if (listing->more)
                return false;
            look_locked(job, &listing->infos[listing->found++]);
        }
        listing->after = job->id;
        job = jobs_above(&jobd->jobs, job->id);
    }
    return job != NULL;
}

size_t jobd_list(struct jobd *jobd, const struct jobd_filter *filter, struct jobd_info *infos,
                 size_t len, uint64_t *next)
{
    struct listing listing = {.infos = infos, .len = len, .after = filter->after};
    bool go_on;
    do {
        mutex_lock(&jobd->lock);
        go_on = list_some_locked(jobd, filter, &listing);
        mutex_unlock(&jobd->lock);
    } while (go_on);
    *next = listing.more && listing.found > 0 ? infos[listing.found - 1].id : 0;
    return listing.found;
}

static int64_t oldest_us_locked(struct jobd *jobd, struct queue *queue, int64_t now_us)
    REQUIRES(jobd->lock)
{
    int64_t oldest_us = 0;
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        uint64_t id = ring_peek(&queue->lanes[lane]);
        if (id == 0)
            continue;
        int64_t age_us = now_us - jobs_find(&jobd->jobs, id)->ready_us;
        if (age_us > oldest_us)
            oldest_us = age_us;
    }
    return oldest_us;
}

void jobd_stats(struct jobd *jobd, uint32_t queue_index, int64_t now_us, struct jobd_stats *stats)
{
    verify(queue_index < jobd->queues_len);
    struct queue *queue = &jobd->queues[queue_index];
    mutex_lock(&jobd->lock);
    *stats = (struct jobd_stats){
        .capacity = queue->capacity,
        .workers = queue->workers,
        .paused = queue->paused,
        .queued = queue->in_state[JOBD_QUEUED],
        .scheduled = queue->in_state[JOBD_SCHEDULED],
        .running = queue->in_state[JOBD_RUNNING],
        .leased = queue->leased,
        .admitted = queue->admitted,
        .done = queue->ended[JOBD_DONE],
        .failed = queue->ended[JOBD_FAILED],
        .cancelled = queue->ended[JOBD_CANCELLED],
        .rejected = queue->rejected,
        .retried = queue->retried,
        .oldest_us = oldest_us_locked(jobd, queue, now_us),
        .drain_per_s = rate_per_s(&queue->rate),
        .waited = queue->waited,
        .ran = queue->ran,
    };
    mutex_unlock(&jobd->lock);
}

size_t jobd_memory(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    size_t bytes = jobd->jobs.memory;
    mutex_unlock(&jobd->lock);
    return bytes;
}
