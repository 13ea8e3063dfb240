/* SPDX-License-Identifier: MIT */
/* Do two engines know the same? */
#include "ledger/cluster_inside.h"

#include <string.h>

#include "base/verify.h"
#include "engine/fair.h"
#include "engine/model/check_inside.h"
#include "engine/describe.h"
#include "engine/said.h"

static bool same_blob(const struct jobd_blob *one, const struct jobd_blob *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    return one->size == other->size && strcmp(one->type, other->type) == 0 &&
           memcmp(one->bytes, other->bytes, one->size) == 0;
}

static const char *text_or_none(const char *text)
{
    return text != NULL ? text : "";
}

static void compare_records(const struct job_record *one, const struct job_record *other)
{
    verify(one->id == other->id && strcmp(one->queue, other->queue) == 0);
    verify(one->priority == other->priority && one->attempts == other->attempts);
    verify(one->created_us == other->created_us && one->timeout_us == other->timeout_us);
    verify(strcmp(one->key, other->key) == 0 && strcmp(one->trace, other->trace) == 0);
    verify(one->state == other->state && one->attempt == other->attempt);
    verify(one->ready_us == other->ready_us && one->started_us == other->started_us);
    verify(one->finished_us == other->finished_us && one->delayed == other->delayed);
    verify(one->stopping == other->stopping && one->exited == other->exited);
    verify(one->output_truncated == other->output_truncated);
    verify(one->exit_code == other->exit_code && strcmp(one->token, other->token) == 0);
    verify(one->expires_us == other->expires_us && one->began_us == other->began_us);
    verify(one->expiry_us == other->expiry_us && one->expiry_at_us == other->expiry_at_us);
    verify(one->keep_us == other->keep_us && one->errors_us == other->errors_us);
    verify(same_blob(one->errors, other->errors));
    verify(one->at_us == other->at_us && one->by_wall == other->by_wall);
    verify(one->expired == other->expired && one->unexpiring == other->unexpiring);
    for (unsigned i = 0; i < JOBD_TEXTS; i++)
        verify(strcmp(text_or_none(one->texts[i]), text_or_none(other->texts[i])) == 0);
    verify(same_blob(one->payload, other->payload));
    verify(same_blob(one->output, other->output) && same_blob(one->error, other->error));
}

static bool same_output(const struct said *one, const struct said *other)
{
    return one->used == other->used && one->truncated == other->truncated &&
           (one->output != NULL) == (other->output != NULL) &&
           (one->used == 0 || memcmp(one->output->bytes, other->output->bytes, one->used) == 0);
}

static void compare_said(const struct said *one, const struct said *other)
{
    verify((one != NULL) == (other != NULL));
    if (one == NULL)
        return;
    verify(same_blob(one->worker, other->worker) && same_blob(one->progress, other->progress));
    verify(same_output(one, other));
}

/* Who waits for whom, in which order is each one's own. */
static void compare_parents(const struct job_extra *one, const struct job_extra *other)
{
    const struct parents *a = one != NULL ? one->parents : NULL;
    const struct parents *b = other != NULL ? other->parents : NULL;
    verify((a != NULL) == (b != NULL));
    if (a == NULL)
        return;
    verify(a->len == b->len && a->whatever == b->whatever && a->error_room == b->error_room);
    for (uint32_t i = 0; i < a->len; i++)
        verify(a->edges[i].id == b->edges[i].id && a->edges[i].is_batch == b->edges[i].is_batch);
}

/* What is promised, and what is still to be told. */
static void compare_promises(const struct job_extra *a, const struct job_extra *b)
{
    verify((a != NULL) == (b != NULL));
    if (a != NULL)
        verify(strcmp(a->trace, b->trace) == 0 && same_blob(a->words, b->words));
}

static void compare_callbacks(const struct job_extra *a, const struct job_extra *b)
{
    if (a == NULL || b == NULL)
        return;
    verify(a->delivers == b->delivers && a->holds == b->holds);
    verify(a->deliveries == b->deliveries && (!a->delivers || a->source == b->source));
    compare_promises(extra_promise(a), extra_promise(b));
}

static uint64_t runs_where(const struct jobd *jobd, const struct job *job) REQUIRES(jobd->lock)
{
    if (job->state != JOBD_RUNNING || job->leased)
        return 0;
    return job->elsewhere ? job->node : jobd->share->turns.node;
}

static void compare_jobs(struct jobd *one, struct jobd *other) REQUIRES(one->lock, other->lock)
{
    const struct job *a = jobs_above(&one->jobs, 0);
    const struct job *b = jobs_above(&other->jobs, 0);
    while (a != NULL && b != NULL) {
        struct job_record first, second;
        const struct job_content mine = job_content(a), theirs = job_content(b);
        describe_job(one->queues[a->queue].name, a, &mine, &first);
        describe_job(other->queues[b->queue].name, b, &theirs, &second);
        verify(a->retained == b->retained && first.unique_until_us == second.unique_until_us);
        verify(a->pins == b->pins);
        compare_parents(a->extra, b->extra);
        compare_callbacks(a->extra, b->extra);
        compare_said(said_of(a), said_of(b));
        compare_records(&first, &second);
        verify(runs_where(one, a) == runs_where(other, b));
        verify((a->extra != NULL) == (b->extra != NULL) && a->batched == b->batched);
        a = jobs_above(&one->jobs, a->id);
        b = jobs_above(&other->jobs, b->id);
    }
    verify(a == NULL && b == NULL);
}

/* The next id of a lane from there on; 0: none. */
static uint64_t next_in(const struct ring *ring, uint64_t *at)
{
    for (; *at != ring->tail; ++*at) {
        uint64_t id = ring->ids[*at % (2 * (uint64_t)ring->capacity)];
        if (id != 0) {
            ++*at;
            return id;
        }
    }
    return 0;
}

static void compare_lanes(const struct ring *one, const struct ring *other)
{
    uint64_t a = one->head, b = other->head, id;
    do {
        id = next_in(one, &a);
        verify(id == next_in(other, &b));
    } while (id != 0);
}

static void compare_lists(const struct job *a, const struct job *b, bool by_age)
{
    while (a != NULL && b != NULL) {
        verify(a->id == b->id);
        a = by_age ? TAILQ_NEXT(a, by_age) : TAILQ_NEXT(a, link);
        b = by_age ? TAILQ_NEXT(b, by_age) : TAILQ_NEXT(b, link);
    }
    verify(a == NULL && b == NULL);
}

/* Each has its own records of groups: idle ones too, as long as it thinks they have to wait. */
static size_t groups_memory(struct jobd *jobd) REQUIRES(jobd->lock)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        bytes += check_turns(jobd, &jobd->queues[i]);
    return bytes;
}

/* Whose turn it is may differ for a while, see cluster_turns.c; not whose jobs there are, nor how
 * many of them. */
static void compare_groups(const struct queue *a, const struct queue *b)
{
    struct group *group;
    verify((a->fair == NULL) == (b->fair == NULL));
    if (a->fair == NULL)
        return;
    verify(a->fair->groups.len == b->fair->groups.len);
    verify(a->fair->none->queued == b->fair->none->queued);
    RB_FOREACH (group, group_tree, &a->fair->groups.tree) {
        const struct group *other = groups_find(&b->fair->groups, group->name);
        verify(other != NULL || group->holders == 0);
        verify(other == NULL ||
               (group->waiting == other->waiting && group->running == other->running &&
                group->queued == other->queued));
        verify(a->fair->limits.running == 0 || group->running <= a->fair->limits.running);
    }
}

static void compare_queues(struct jobd *one, struct jobd *other, uint32_t i)
    REQUIRES(one->lock, other->lock)
{
    const struct queue *a = &one->queues[i], *b = &other->queues[i];
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++)
        compare_lanes(&a->lanes[lane], &b->lanes[lane]);
    verify(a->limits.running == 0 || a->in_state[JOBD_RUNNING] <= a->limits.running);
    compare_groups(a, b);
    verify(a->paused == b->paused && a->leased == b->leased);
    verify(memcmp(a->in_state, b->in_state, sizeof a->in_state) == 0);
    verify(memcmp(a->ended, b->ended, sizeof a->ended) == 0);
    verify(a->expired == b->expired && a->admitted == b->admitted && a->retried == b->retried);
    verify(memcmp(&a->waited, &b->waited, sizeof a->waited) == 0);
    verify(memcmp(&a->ran, &b->ran, sizeof a->ran) == 0);
    for (unsigned state = 0; state < JOBD_STATES; state++)
        compare_lists(TAILQ_FIRST(&one->jobs.remembered[i].ended[state]),
                      TAILQ_FIRST(&other->jobs.remembered[i].ended[state]), false);
}

/* Those that are over are remembered for as long as there is room, which may differ. */
static void compare_leases(struct jobd *one, struct jobd *other) REQUIRES(one->lock, other->lock)
{
    verify(one->leases.held == other->leases.held);
    for (uint32_t i = 0; i < one->leases.used; i++) {
        const struct lease *a = &one->leases.all[i];
        const struct lease *b = lease_find(&other->leases, a->token);
        verify(b != NULL || a->job == NULL);
        if (b == NULL)
            continue;
        verify((a->job == NULL) == (b->job == NULL) && a->job_id == b->job_id);
        verify(a->attempt == b->attempt && a->report == b->report);
        verify(a->started_us == b->started_us);
    }
}

static void compare_batch(const struct batch *a, const struct batch *b)
{
    verify(a->id == b->id && a->len == b->len && a->queue == b->queue);
    verify(a->there == b->there && a->lost == b->lost);
    verify(memcmp(a->in_state, b->in_state, sizeof a->in_state) == 0);
    verify(memcmp(a->gone, b->gone, sizeof a->gone) == 0);
    verify(a->created_us == b->created_us && a->finished_us == b->finished_us);
    verify(a->pins == b->pins && a->kept == b->kept && a->held == b->held);
    verify(same_blob(a->words, b->words) && a->deliveries == b->deliveries);
    compare_promises(a->promised, b->promised);
}

static void compare_batches(struct batches *one, struct batches *other)
{
    struct batch *a;
    const struct batch *b;
    RB_FOREACH (a, batch_tree, &one->tree) {
        b = batches_find(other, a->id);
        verify(b != NULL);
        compare_batch(a, b);
    }
    for (uint32_t i = 0; i < one->queues_len; i++) {
        verify(one->kept[i].len == other->kept[i].len);
        b = TAILQ_FIRST(&other->kept[i].list);
        TAILQ_FOREACH (a, &one->kept[i].list, link) {
            verify(a->id == b->id);
            b = TAILQ_NEXT(b, link);
        }
    }
}

static void compare_places(const struct schedule_place *a, const struct schedule_place *b)
{
    verify(a->paused == b->paused && a->after_us == b->after_us && a->floor_us == b->floor_us);
    verify(a->since_us == b->since_us && a->last_us == b->last_us && a->last_job == b->last_job);
    verify(a->done_us[0] == b->done_us[0] && a->done_us[1] == b->done_us[1]);
    verify(a->missed == b->missed && a->skipped == b->skipped);
}

static void compare_schedules(struct schedules *one, struct schedules *other)
{
    struct schedule *b;
    verify(one->len == other->len);
    RB_FOREACH (b, schedule_tree, &other->tree) {
        const struct schedule *a = schedules_find(one, b->name);
        verify(a != NULL);
        const struct jobd_schedule is = schedule_of(a->name, &a->now);
        const struct jobd_schedule other_is = schedule_of(b->name, &b->now);
        verify(jobd_schedule_same(&is, &other_is));
        compare_places(&a->now.place, &b->now.place);
    }
}

void cluster_compare(struct jobd *one, struct jobd *other)
{
    mutex_lock(&one->lock);
    mutex_lock(&other->lock);
    compare_jobs(one, other);
    for (uint32_t i = 0; i < one->queues_len; i++)
        compare_queues(one, other, i);
    for (unsigned i = 0; i < AGES; i++)
        compare_lists(TAILQ_FIRST(&one->jobs.by_age[i]), TAILQ_FIRST(&other->jobs.by_age[i]), true);
    compare_leases(one, other);
    compare_batches(&one->jobs.batches, &other->jobs.batches);
    compare_batches(&other->jobs.batches, &one->jobs.batches);
    compare_schedules(&one->schedules, &other->schedules);
    verify(one->jobs.retainable == other->jobs.retainable);
    verify(one->jobs.deliveries == other->jobs.deliveries);
    verify(one->jobs.memory - groups_memory(one) == other->jobs.memory - groups_memory(other));
    verify(one->jobs.memory_living - groups_memory(one) ==
           other->jobs.memory_living - groups_memory(other));
    mutex_unlock(&other->lock);
    mutex_unlock(&one->lock);
}
