/* SPDX-License-Identifier: MIT */
/* Lists of jobs, page by page. */
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/filter.h"
#include "engine/job_info.h"

enum { FEW = 1024 }; /* as many of a state are gathered at once */

/* A page that is being filled, with one match more than asked for as the sign of a next one. */
struct listing {
    const struct jobd_filter *filter;
    struct jobd_info *infos;
    size_t len, found;
    unsigned looks;
    uint64_t after; /* the last that has been looked at; 0: none */
    bool more;      /* not all behind it */
};

/* False when it matches but the page is full. */
static bool list_job(struct listing *listing, const struct job *job)
{
    if (job->state != STATE_NEW && filter_matches(listing->filter, job)) {
        if (listing->found == listing->len)
            return false;
        job_info(job, &listing->infos[listing->found++]);
    }
    listing->after = job->id;
    return true;
}

/* NULL: of a batch there are no more. */
static struct job *within(const struct jobd_filter *filter, struct job *job)
{
    return job != NULL && filter_spans(filter, job->id) ? job : NULL;
}

/* The one behind it in the filter's order, or NULL. */
static struct job *job_after(struct jobs *jobs, const struct jobd_filter *filter, uint64_t after)
{
    uint64_t end = filter->batch + filter->batch_jobs;
    if (!filter->newest) {
        bool before = filter->batch > 0 && after < filter->batch;
        return within(filter, jobs_above(jobs, before ? filter->batch - 1 : after));
    }
    after = after > 0 ? after : UINT64_MAX;
    return within(filter, jobs_below(jobs, filter->batch > 0 && after > end ? end : after));
}

static bool list_some_locked(struct jobd *jobd, struct listing *listing) REQUIRES(jobd->lock)
{
    unsigned until = listing->looks + LOOKS_AT_A_TIME;
    bool fits = true;
    struct job *job = job_after(&jobd->jobs, listing->filter, listing->after);
    while (job != NULL && listing->looks < until && (fits = list_job(listing, job))) {
        listing->looks++;
        job = job_after(&jobd->jobs, listing->filter, job->id);
    }
    listing->more = job != NULL;
    return listing->more && fits && listing->looks < LOOKS_MAX;
}

struct few {
    uint64_t ids[FEW];
    uint32_t len, looks;
};

static bool is_behind(const struct jobd_filter *filter, uint64_t id)
{
    return filter->newest ? filter->after == 0 || id < filter->after : id > filter->after;
}

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
        if (is_behind(filter, job->id) && filter_matches(filter, job))
            few->ids[few->len++] = job->id;
    }
    return few->looks == all;
}

static const struct job_list *list_of(const struct queue *queue, enum jobd_state state)
{
    if (state == JOBD_BLOCKED)
        return &queue->blocked;
    return state == JOBD_RUNNING ? &queue->running : &queue->scheduled;
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
        if (filter->queue != JOBD_NO_QUEUE && jobd_queue_index(filter->queue) != i)
            continue;
        const struct remembered *remembered = &jobs->remembered[i];
        bool all = jobd_state_final(state)
                       ? gather(few, &remembered->ended[state], remembered->len[state], filter) &&
                             gather(few, &remembered->retained, remembered->retained_len, filter)
                       : gather(few, list_of(queue, state), queue->in_state[state], filter);
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

static int id_compare_down(const void *left, const void *right)
{
    return id_compare(right, left);
}

static void list_few(struct jobd *jobd, struct few *few, struct listing *listing)
{
    qsort(few->ids, few->len, sizeof few->ids[0],
          listing->filter->newest ? id_compare_down : id_compare);
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
