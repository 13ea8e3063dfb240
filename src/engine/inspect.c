/* SPDX-License-Identifier: MIT */
/* Reads; nothing here changes a job. */
#include "engine/job_info.h"

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

enum {
    LOOKS_AT_A_TIME = 256, /* bounds how long a listing holds the lock, */
    LOOKS_MAX = 10000,     /* and how long it takes */
    FEW = 1024             /* as many of a state are gathered at once */
};

uint32_t jobd_queue_named(const struct jobd *jobd, const char *name)
{
    uint32_t from = 0, to = jobd->queues_len;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2, queue = jobd->by_name[middle];
        int order = strcmp(name, jobd->queues[queue].name);
        if (order == 0)
            return queue;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return JOBD_NO_QUEUE;
}

bool jobd_queue_declared(const struct jobd *jobd, uint32_t queue)
{
    verify(queue < jobd->queues_len);
    return jobd->queues[queue].declared;
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

enum jobd_result jobd_get(struct jobd *jobd, uint64_t id, struct jobd_info *info)
{
    mutex_lock(&jobd->lock);
    const struct job *job = jobs_seen(&jobd->jobs, id);
    if (job != NULL)
        job_info(job, info);
    mutex_unlock(&jobd->lock);
    return job != NULL ? JOBD_OK : JOBD_NO_JOB;
}

static struct jobd_blob *part_of(const struct jobs *jobs, const struct job *job,
                                 enum jobd_part part)
{
    switch (part) {
    case JOBD_PAYLOAD:
        return job->payload;
    case JOBD_OUTPUT:
        return job->extra != NULL ? job->extra->output : NULL;
    case JOBD_ERROR:
        if (job->expired)
            return jobs->expired;
        return job->extra != NULL ? job->extra->error : NULL;
    case JOBD_WORDS:
        return job->extra != NULL ? job->extra->words : NULL;
    }
    return NULL;
}

enum jobd_result jobd_get_blob(struct jobd *jobd, uint64_t id, enum jobd_part part,
                               struct jobd_blob **bytes)
{
    mutex_lock(&jobd->lock);
    const struct job *job = jobs_seen(&jobd->jobs, id);
    if (job != NULL) {
        struct jobd_blob *blob = part_of(&jobd->jobs, job, part);
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

/* A page that is being filled, with one match more than asked for as the sign of a next one. */
struct listing {
    const struct jobd_filter *filter;
    struct jobd_info *infos;
    size_t len, found;
    unsigned looks;
    uint64_t after; /* all jobs up to this id have been looked at */
    bool more;      /* not all above it */
};

/* False when it matches but the page is full. */
static bool list_job(struct listing *listing, const struct job *job)
{
    if (job->state != STATE_NEW && matches(listing->filter, job)) {
        if (listing->found == listing->len)
            return false;
        job_info(job, &listing->infos[listing->found++]);
    }
    listing->after = job->id;
    return true;
}

static bool list_some_locked(struct jobd *jobd, struct listing *listing) REQUIRES(jobd->lock)
{
    unsigned until = listing->looks + LOOKS_AT_A_TIME;
    bool fits = true;
    struct job *job = jobs_above(&jobd->jobs, listing->after);
    while (job != NULL && listing->looks < until && (fits = list_job(listing, job))) {
        listing->looks++;
        job = RB_NEXT(job_tree, &jobd->jobs.tree, job);
    }
    listing->more = job != NULL;
    return listing->more && fits && listing->looks < LOOKS_MAX;
}

struct few {
    uint64_t ids[FEW];
    uint32_t len, looks;
};

/* False when they are more, or when the list lacks one of `len`: it may come back there. */
static bool gather(struct few *few, const struct job_list *list, uint32_t len,
                   const struct jobd_filter *filter)
{
    uint32_t all = few->looks + len;
    const struct job *job;
    if (len > FEW - few->looks)
        return false;
    TAILQ_FOREACH (job, list, link) {
        few->looks++;
        if (job->id > filter->after && matches(filter, job))
            few->ids[few->len++] = job->id;
    }
    return few->looks == all;
}

static bool gather_locked(struct jobd *jobd, const struct jobd_filter *filter, struct few *few)
    REQUIRES(jobd->lock)
{
    const struct jobs *jobs = &jobd->jobs;
    enum jobd_state state = filter->state;
    if (state == JOBD_QUEUED || state == JOBD_STATES)
        return false;
    if (jobd_state_final(state) && jobs->reviving > 0)
        return false;
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        const struct queue *queue = &jobd->queues[i];
        if (filter->queue != JOBD_NO_QUEUE && filter->queue != i)
            continue;
        const struct remembered *remembered = &jobs->remembered[i];
        bool all = jobd_state_final(state)
                       ? gather(few, &remembered->ended[state], remembered->len[state], filter)
                       : gather(few, state == JOBD_RUNNING ? &queue->running : &queue->scheduled,
                                queue->in_state[state], filter);
        if (!all)
            return false;
    }
    return true;
}

static int id_compare(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static void list_few(struct jobd *jobd, struct few *few, struct listing *listing)
{
    qsort(few->ids, few->len, sizeof few->ids[0], id_compare);
    for (uint32_t i = 0; i < few->len && !listing->more;) {
        uint32_t until = few->len - i > LOOKS_AT_A_TIME ? i + LOOKS_AT_A_TIME : few->len;
        mutex_lock(&jobd->lock);
        for (; i < until && !listing->more; i++) {
            const struct job *job = jobs_seen(&jobd->jobs, few->ids[i]);
            listing->more = job != NULL && !list_job(listing, job);
        }
        mutex_unlock(&jobd->lock);
    }
}

size_t jobd_list(struct jobd *jobd, const struct jobd_filter *filter, struct jobd_info *infos,
                 size_t len, uint64_t *next)
{
    struct listing listing = {.filter = filter, .infos = infos, .len = len, .after = filter->after};
    struct few few;
    few.len = few.looks = 0;
    mutex_lock(&jobd->lock);
    bool are_few = gather_locked(jobd, filter, &few);
    bool go_on = !are_few && list_some_locked(jobd, &listing);
    mutex_unlock(&jobd->lock);
    if (are_few)
        list_few(jobd, &few, &listing);
    while (go_on) {
        mutex_lock(&jobd->lock);
        go_on = list_some_locked(jobd, &listing);
        mutex_unlock(&jobd->lock);
    }
    *next = listing.more ? listing.after : 0;
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
        .declared = queue->declared,
        .paused = queue->paused,
        .queued = queue->in_state[JOBD_QUEUED],
        .scheduled = queue->in_state[JOBD_SCHEDULED],
        .running = queue->in_state[JOBD_RUNNING],
        .leased = queue->leased,
        .elsewhere = queue->elsewhere,
        .admitted = queue->admitted,
        .done = queue->ended[JOBD_DONE],
        .failed = queue->ended[JOBD_FAILED],
        .cancelled = queue->ended[JOBD_CANCELLED],
        .expired = queue->expired,
        .rejected = queue->rejected,
        .retried = queue->retried,
        .forgotten_early = jobd->jobs.remembered[queue_index].forgotten_early,
        .oldest_us = oldest_us_locked(jobd, queue, now_us),
        .drain_per_s = rate_per_s(&queue->rate, now_us, queue_ready(queue) > 0 && !queue->paused),
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
