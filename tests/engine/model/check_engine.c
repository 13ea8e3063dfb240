/* SPDX-License-Identifier: MIT */
/* What must hold in the engine after every step: each job in exactly one place, every count equal
 * to what it counts, no bound exceeded. */
#include "engine/model/check_engine.h"
#include "engine/model/check_batches.h"
#include "engine/model/check_edges.h"
#include "engine/model/check_inside.h"

#include <string.h>

#include "engine/admission.h"
#include "engine/blob.h"
#include "engine/breaker.h"
#include "engine/changes.h"
#include "engine/dispatch.h"
#include "engine/engine.h"
#include "engine/lanes.h"
#include "engine/limits.h"
#include "engine/model/check_schedules.h"
#include "engine/pins.h"
#include "engine/waiters.h"

struct census {
    uint32_t in_state[JOBD_STATES];
    uint32_t waiters, leased;
    size_t memory, memory_living, memory_groups;
    /* on their way to disk */
    uint32_t entering, retrying;
};

struct way {
    size_t held;       /* bytes of what was replaced */
    uint32_t promised; /* deliveries of that */
    uint32_t entries, entering, cancelling, unscheduled, unblocked, retrying, forgetting, ending,
        moving, amending;
};

static bool is_kind(const struct change *change, const char *name)
{
    return strcmp(change->kind->name, name) == 0;
}

static bool lets_in(const struct change *change)
{
    return is_kind(change, "put") || is_kind(change, "schedule fire");
}

/* What the entries of a list say of a queue's jobs; all queues when it is NULL. */
static void count_entries(struct jobd *jobd, struct change_list *list, const struct queue *queue,
                          struct way *way) REQUIRES(jobd->lock)
{
    struct change *change;
    struct job *job;
    TAILQ_FOREACH (change, list, link) {
        way->entries++;
        verify(change->waiter == NULL || (waiting_of(change->waiter)->kind == WAIT_DISK &&
                                          waiting_of(change->waiter)->change == change));
        TAILQ_FOREACH (job, &change->jobs, link) {
            verify(is_kind(change, "move") == (change->to != NULL));
            way->moving += change->to != NULL && (queue == NULL || change->to == queue);
            if (queue != NULL && &jobd->queues[job->queue] != queue)
                continue;
            verify(lets_in(change) == (job->state == STATE_NEW));
            bool changes = is_kind(change, "move");
            bool leaves = changes || is_kind(change, "cancel") || is_kind(change, "expire") ||
                          is_kind(change, "orphan");
            bool revives = is_kind(change, "retry") || is_kind(change, "forget");
            verify((leaves || revives) == job->commit_pending && changes == job->changing);
            verify(revives == job_has_ended(job));
            way->retrying += is_kind(change, "retry");
            way->forgetting += is_kind(change, "forget");
            way->entering += lets_in(change);
            way->cancelling += leaves && job->state == JOBD_QUEUED;
            way->unscheduled += leaves && job->state == JOBD_SCHEDULED;
            way->unblocked += leaves && job->state == JOBD_BLOCKED;
        }
        job = change->job;
        if (job == NULL || (queue != NULL && &jobd->queues[job->queue] != queue))
            continue;
        if (is_kind(change, "retry")) {
            verify(job_has_ended(job) && job->commit_pending);
            way->retrying++;
        }
        if (is_kind(change, "amend")) {
            verify(job_waits(job) && job->commit_pending && job->changing);
            way->amending++;
            way->cancelling += job->state == JOBD_QUEUED;
            way->unscheduled += job->state == JOBD_SCHEDULED;
            way->unblocked += job->state == JOBD_BLOCKED;
        }
        if (is_kind(change, "replace")) {
            verify(!job_has_ended(job) && job->extra != NULL);
            verify((change->older == NULL) == (job->extra->replacing.first == change));
            verify((change->newer == NULL) == (job->extra->replacing.last == change));
            way->held += content_weight(&change->before);
            way->promised += extra_promise(change->before.extra) != NULL;
        }
        if (is_kind(change, "late end")) {
            verify(job->commit_pending);
            way->cancelling += job->state == JOBD_QUEUED;
            way->unscheduled += job->state == JOBD_SCHEDULED;
        }
        if (is_kind(change, "start"))
            verify(job->state == JOBD_RUNNING && job->start_pending);
        if (is_kind(change, "end")) {
            verify(job->state == JOBD_RUNNING && job->commit_pending);
            way->ending += !job->leased;
        }
    }
}

static struct way count_ways(struct jobd *jobd, const struct queue *queue) REQUIRES(jobd->lock)
{
    struct way way = {0};
    count_entries(jobd, &jobd->journal.waiting, queue, &way);
    count_entries(jobd, &jobd->journal.gathered, queue, &way);
    return way;
}

static uint32_t waiters_in(struct waiting_list *list, enum wait_kind kind)
{
    uint32_t count = 0;
    struct waiting *waiting;
    TAILQ_FOREACH (waiting, list, link) {
        verify(waiting->kind == kind);
        verify((waiter_of(waiting)->deadline_us != JOBD_NEVER) == (waiting->due.place != 0));
        count += !waiter_of(waiting)->uncounted;
    }
    return count;
}

/* Who asks several queues counts in the first where it stands. */
static uint32_t takers_in(struct jobd *jobd, struct queue *queue) REQUIRES(jobd->lock)
{
    uint32_t count = 0;
    struct waiting_place *place;
    TAILQ_FOREACH (place, &queue->take_waiters, link) {
        const struct waiting *waiting = place->waiting;
        const struct jobd_choice *choice = waiting->choice;
        const struct waiting_place *first = NULL;
        bool asks = choice == NULL && &jobd->queues[waiting->queue] == queue;
        for (uint32_t i = 0; choice != NULL && i < choice->len; i++) {
            const struct waiting_place *other = (const void *)&choice->hidden[i];
            first = first == NULL && other->waiting != NULL ? other : first;
            asks = asks ||
                   (other == place && &jobd->queues[jobd_queue_index(choice->queues[i])] == queue);
        }
        verify(waiting->kind == WAIT_JOB && asks);
        count += (choice == NULL || first == place) && !waiter_of(place->waiting)->uncounted;
    }
    return count;
}

/* Of a job: first who follows it, then who awaits its end. */
static uint32_t waiters_of_job(struct job *job)
{
    uint32_t count = 0;
    bool ends = false;
    struct waiting *waiting;
    TAILQ_FOREACH (waiting, &job->awaiting, link) {
        ends = ends || waiting->kind == WAIT_END;
        verify(waiting->job == job && waiting->kind == (ends ? WAIT_END : WAIT_MORE));
        verify((waiter_of(waiting)->deadline_us != JOBD_NEVER) == (waiting->due.place != 0));
        count += !waiter_of(waiting)->uncounted;
    }
    return count;
}

/* Output is appended to while the attempt runs, and what has no output has nothing more to say. */
static void check_said(const struct job *job)
{
    const struct said *said = job->extra != NULL ? job->extra->said : NULL;
    if (said == NULL)
        return;
    verify(said->output == NULL ||
           (job->state == JOBD_RUNNING && said->used <= said->output->size));
    verify(said->output != NULL || said->used == 0);
    verify(job->state == JOBD_RUNNING || !said->truncated);
    verify(said->shown == NULL || (job->state == JOBD_RUNNING && !job->leased));
    verify(said->shown != NULL || said->shown_bytes == 0);
}

void check_heap(const struct heap *heap)
{
    verify(heap->length <= heap->capacity);
    for (uint32_t place = 1; place <= heap->length; place++) {
        verify(heap->items[place]->place == place);
        verify(place == 1 || heap->items[place / 2]->at_us <= heap->items[place]->at_us);
    }
}

static void check_ring(struct jobd *jobd, const struct queue *queue, unsigned lane)
    REQUIRES(jobd->lock)
{
    const struct ring *ring = &queue->lanes[lane];
    uint32_t live = 0;
    verify(ring->tail - ring->head <= 2 * (uint64_t)ring->capacity);
    for (uint64_t at = ring->head; at != ring->tail; at++) {
        uint64_t id = ring->ids[at % (2 * (uint64_t)ring->capacity)];
        if (id == 0)
            continue;
        const struct job *job = jobs_find(&jobd->jobs, id);
        verify(job != NULL && job->state == JOBD_QUEUED && job->position == at);
        verify(job->priority == lane && &jobd->queues[job->queue] == queue);
        live++;
    }
    verify(live == ring->length);
}

/* One job a time tries, a worker's own that runs; and the time for the next one is known. */
static void check_breaker(struct jobd *jobd, const struct queue *queue) REQUIRES(jobd->lock)
{
    const struct breaker *breaker = &queue->breaker;
    verify(breaker->open || (breaker->probe == 0 && breaker->due.place == 0));
    verify(!breaker->open || (breaker->failures > 0 && breaker->opened > 0));
    verify(breaker->open || breaker->failures == 0 || breaker->in_a_row < breaker->failures);
    if (breaker->probe == 0)
        return;
    const struct job *job = jobs_find(&jobd->jobs, breaker->probe);
    verify(job != NULL && job->state == JOBD_RUNNING && !job->leased);
    verify(&jobd->queues[job->queue] == queue);
}

/* A job that is about to expire hides those behind it until the next tick, which is told of, or
 * until what replaces it is written. */
static bool hides_others(struct jobd *jobd, struct queue *queue) REQUIRES(jobd->lock)
{
    bool hides = false;
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        struct op op = {.jobd = jobd};
        const struct job *job = lane_first_locked(&op, queue, lane);
        if (job != NULL && job->extra != NULL && job->extra->expires_us != 0)
            hides = hides || job->extra->expires_us <= jobd->ticks_at_us ||
                    job->extra->expires_us <= job->ready_us /* it came back too late */ ||
                    jobd->expiry_starved || jobd->share != NULL || job_being_replaced(job);
    }
    return hides;
}

/* It holds its jobs back, or their groups do, until something happens, a tick included. */
static bool is_limited(const struct queue *queue)
{
    const struct fair *fair = queue->fair;
    bool full = queue->limits.running > 0 && queue->in_state[JOBD_RUNNING] >= queue->limits.running;
    bool awaits_token = queue->token_at_us != JOBD_NEVER;
    verify(!awaits_token ||
           (queue->limit_due.place != 0 && queue->limit_due.at_us <= queue->token_at_us));
    return full || awaits_token ||
           (fair != NULL && (fair->changing || fair->held_jobs == queue_ready(queue)));
}

static void check_queue(struct jobd *jobd, struct queue *queue, struct census *census)
    REQUIRES(jobd->lock)
{
    uint32_t queued = 0, scheduled = 0, blocked = 0, running = 0, leased = 0, amending = 0;
    struct job *job;
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        check_ring(jobd, queue, lane);
        queued += queue->lanes[lane].length;
    }
    queued += check_turns_queued(queue);
    census->memory_groups += check_turns(jobd, queue);
    TAILQ_FOREACH (job, &queue->scheduled, link) {
        verify(job->state == JOBD_SCHEDULED && job->due.place != 0);
        scheduled++;
    }
    TAILQ_FOREACH (job, &queue->blocked, link) {
        verify(job->state == JOBD_BLOCKED && !job->commit_pending);
        blocked++;
    }
    TAILQ_FOREACH (job, &queue->amending, link) {
        verify(job->changing && &jobd->queues[job->queue] == queue);
        amending++;
    }
    const struct due *earliest = heap_top(&queue->delays);
    check_heap(&queue->delays);
    verify(queue->delays.length == scheduled && (queue->due.place != 0) == (scheduled > 0));
    verify(scheduled == 0 || queue->due.at_us == earliest->at_us);
    TAILQ_FOREACH (job, &queue->running, link) {
        verify(job->state == JOBD_RUNNING && (job->holder != NULL || job->commit_pending));
        verify(!job->leased || (job->lease->job == job && job->lease->due.place != 0));
        verify(&jobd->queues[job->queue] == queue);
        leased += job->leased;
        running++;
    }
    verify(running == queue->in_state[JOBD_RUNNING] && leased == queue->leased);
    census->leased += leased;
    const struct way way = count_ways(jobd, queue);
    bool durable = jobd->durable;
    uint32_t here = queue_here(queue);
    verify(way.cancelling == queue->cancel_pending && way.ending == queue->end_pending);
    verify(way.entering + way.retrying + way.moving == queue->put_pending);
    verify(amending == way.amending);
    verify(queued + way.cancelling == queue->in_state[JOBD_QUEUED]);
    verify(scheduled + way.unscheduled == queue->in_state[JOBD_SCHEDULED]);
    verify(blocked + way.unblocked == queue->in_state[JOBD_BLOCKED]);
    verify(queue_waiting(queue) + queue->in_state[JOBD_RUNNING] <= queue->room);
    verify(queue->workers <= queue->workers_max && queue->capacity <= queue->capacity_max);
    verify(here - queue->end_pending <= queue->workers_max && /* there may have been more */
           (queue->phase == QUEUE_UNDECLARED || here <= (durable ? 2 : 1) * queue->workers_max));
    uint64_t counted = queue_waiting(queue) + queue->in_state[JOBD_RUNNING] +
                       queue->ended[JOBD_DONE] + queue->ended[JOBD_FAILED] +
                       queue->ended[JOBD_CANCELLED];
    uint64_t came = queue->admitted + queue->moved_in;
    counted += queue->moved_out;
    verify(durable ? came <= counted : came == counted); /* some came back */
    /* Nobody waits in vain. */
    bool idle = here - queue->end_pending < queue->workers && here < 2 * queue->workers;
    bool no_probe = queue->breaker.probe != 0 || queue->breaker.due.place != 0;
    check_breaker(jobd, queue);
    struct waiting_place *place;
    struct waiting *putter = TAILQ_FIRST(&queue->put_waiters);
    TAILQ_FOREACH (place, &queue->take_waiters, link) {
        const struct jobd_waiter *taker = waiter_of(place->waiting);
        verify(queued == 0 || queue->paused || hides_others(jobd, queue) || is_limited(queue) ||
               (jobd->share != NULL &&
                (queue->dispatch_needed || jobd->leases.held >= jobd->leases.max)) ||
               (taker->lease_us == 0 && !idle) ||
               (breaker_holds(queue) && (taker->lease_us > 0 || no_probe)));
    }
    verify(putter == NULL || queue->dispatch_needed ||
           admission_jobs(&putter->put) > admission_room(queue));
    verify(queue->phase == QUEUE_OPEN || putter == NULL);
    verify((queue->phase != QUEUE_RETIRED) || !queue_empty(queue));
    verify((queue->phase != QUEUE_GONE) ||
           (queue_empty(queue) && TAILQ_EMPTY(&queue->take_waiters)));
    for (unsigned state = 0; state < JOBD_STATES; state++)
        census->in_state[state] += queue->in_state[state];
    census->waiters += takers_in(jobd, queue) + waiters_in(&queue->put_waiters, WAIT_ROOM);
}

static uint32_t count_remembered(const struct remembered *remembered, uint32_t queue)
{
    uint32_t all = 0;
    const struct job *retained;
    TAILQ_FOREACH (retained, &remembered->retained, link) {
        verify(retained->retained && retained->queue == queue);
        all++;
    }
    verify(all == remembered->retained_len);
    for (unsigned state = 0; state < JOBD_STATES; state++) {
        uint32_t len = 0;
        const struct job *job;
        TAILQ_FOREACH (job, &remembered->ended[state], link) {
            verify(job->state == state && job->queue == queue && !job->retained);
            len++;
        }
        verify(len == remembered->len[state] && len <= remembered->keep);
        all += len;
    }
    return all;
}

/* So many deliveries of this source live, and hold it. */
static uint32_t holders_of(struct jobd *jobd, int64_t source) REQUIRES(jobd->lock)
{
    uint32_t holders = 0;
    struct job *job;
    JOBS_FOREACH (job, &jobd->jobs) {
        const struct job_extra *extra = job->extra;
        holders += extra != NULL && extra->delivers && extra->holds && extra->source == source;
    }
    return holders;
}

static void check_delivery(struct jobd *jobd, const struct job *job) REQUIRES(jobd->lock)
{
    const struct job_extra *extra = job->extra;
    bool is_final = job_has_ended(job);
    if (extra->delivers) {
        verify(extra->source != 0 && job->queue == jobd->deliveries);
        verify(!extra->holds || !is_final || job->commit_pending);
        return;
    }
    verify(job->queue != jobd->deliveries && !extra->holds);
    verify(extra->deliveries == holders_of(jobd, (int64_t)job->id));
    bool told = extra->promised != NULL || extra->deliveries > 0;
    verify(!told || (job->pins & PIN_CALLBACK) != 0);
    verify((job->pins & PIN_CALLBACK) == 0 || told || !is_final);
    verify(extra->promised == NULL || !is_final || job->commit_pending);
}

/* What is promised is counted; what lives holds its source. */
static void check_deliveries(struct jobd *jobd, struct census *census) REQUIRES(jobd->lock)
{
    uint32_t promised = 0;
    struct job *job;
    struct batch *batch;
    if (jobd->deliveries == JOBD_NO_QUEUE)
        return;
    JOBS_FOREACH (job, &jobd->jobs) {
        if (job->extra != NULL)
            check_delivery(jobd, job);
        promised += extra_promise(job->extra) != NULL;
    }
    RB_FOREACH (batch, batch_tree, &jobd->jobs.batches.tree) {
        uint32_t own = 0;
        for (const struct job_extra *one = batch->promised; one != NULL; one = one->next) {
            census->memory += extra_weight(one);
            census->memory_living += extra_weight(one);
            own++;
        }
        census->memory += blob_weight(batch->words);
        census->memory_living += blob_weight(batch->words);
        verify(batch->deliveries == holders_of(jobd, -(int64_t)batch->id));
        verify(own <= batch->reviving + !batches_over(batch));
        verify(((batch->pins & PIN_CALLBACK) != 0) == (own > 0 || batch->deliveries > 0));
        promised += own;
    }
    const struct way all = count_ways(jobd, NULL);
    verify(promised + all.promised == jobd->jobs.deliveries);
    const struct queue *queue = &jobd->queues[jobd->deliveries];
    verify(queue_waiting(queue) + queue->in_state[JOBD_RUNNING] + promised <= queue->room);
}

static void check_records(struct jobd *jobd, struct census *census) REQUIRES(jobd->lock)
{
    struct jobs *jobs = &jobd->jobs;
    uint32_t keys = 0, spare = 0, living = 0, final = 0, remembered = 0, aged = 0, dues = 0,
             retained = 0, bounded = 0;
    struct job *job;
    JOBS_FOREACH (job, jobs) {
        bool is_final = job_has_ended(job);
        bool retrying = is_final && job->commit_pending;
        if (job->state == STATE_NEW)
            census->entering++;
        else
            *(is_final ? &final : &living) += 1;
        census->retrying += retrying;
        if (!is_final || retrying)
            census->waiters += waiters_of_job(job);
        check_said(job);
        census->memory += jobs_weight(job);
        census->memory_living += is_final && !retrying && !job->retained ? 0 : jobs_weight(job);
        retained += job->retained;
        bounded += job->extra != NULL && job->extra->unique_until_us != 0;
        bounded += job->pins != 0;
        verify(job->pins == 0 || !is_final || retrying || job->retained);
        verify(job->pins == 0 || !job->forgetting);
        verify(job->attempt <= job->attempts);
        bool expires = job_waits(job) && !job->commit_pending && job->extra != NULL &&
                       job->extra->expires_us != 0;
        expires |= is_final && !retrying && job->extra != NULL && job->pins == 0 &&
                   (job->extra->keep_us != 0 || job->retained);
        bool is_due = job->extra != NULL && job->extra->due.place != 0;
        verify(expires == is_due || (expires && job_being_replaced(job)));
        verify(job->extra == NULL || job->extra->job == job);
        dues += is_due;
        bool keyed = job->extra != NULL && job->extra->key[0] != '\0';
        verify(!keyed || jobs_with_key(jobs, job->queue, job->extra->key)->id >= job->id);
        keys += keyed;
    }
    struct job_extra *extra;
    RB_FOREACH (extra, key_tree, &jobs->keys)
        keys--;
    verify(keys == 0);
    TAILQ_FOREACH (job, &jobs->spare, link)
        spare++;
    verify(spare == jobs->spare_len);
    TAILQ_FOREACH (job, &jobs->forgotten, link)
        spare++;
    TAILQ_FOREACH (job, &jobs->forgotten_gathered, link)
        spare++;
    for (uint32_t i = 0; i < jobs->queues_len; i++)
        remembered += count_remembered(&jobs->remembered[i], i);
    for (unsigned age = 0; age < AGES; age++)
        TAILQ_FOREACH (job, &jobs->by_age[age], by_age) {
            bool own = job->extra != NULL &&
                       (job->extra->keep_us != 0 ||
                        (job->extra->unique_until_us != 0 && jobs->keep_for_us == 0));
            verify((job->state == JOBD_FAILED) == ((age & AGE_FAILED) != 0));
            verify(own == ((age & AGE_OWN) != 0));
            aged++;
        }
    check_deliveries(jobd, census);
    const uint32_t batches = check_pinned_batches(jobd);
    bounded += batches;
    census->memory += batches * (size_t)PIN_WEIGHT;
    census->memory_living += batches * (size_t)PIN_WEIGHT;
    verify(bounded == jobs->retainable && bounded <= jobs->retainable_max);
    verify(aged + retained == remembered && dues == jobs->dues.length);
    check_heap(&jobs->dues);
    verify(final == remembered + census->retrying);
    verify(jobs->reviving == census->retrying);
    verify(spare + census->entering + living + final == jobs->records_used);
    verify(index_check(&jobs->by_id) == census->entering + living + final);
    verify(living == census->in_state[JOBD_QUEUED] + census->in_state[JOBD_SCHEDULED] +
                         census->in_state[JOBD_BLOCKED] + census->in_state[JOBD_RUNNING]);
    verify(census->leased == jobd->leases.held && census->leased == jobd->leases.due.length);
    verify(jobd->share != NULL || census->leased + jobd->leases.reserved <= jobd->leases.max);
    const struct way all = count_ways(jobd, NULL);
    census->memory += all.held + census->memory_groups;
    census->memory_living += all.held + census->memory_groups;
    verify(census->memory == jobs->memory);
    /* Their groups are let in where turns begin, or jobs come from another process. */
    verify(jobs->memory - census->memory_groups <= jobs->memory_max ||
           jobs->memory == jobs->memory_living);
    verify(census->memory_living == jobs->memory_living);
}

static uint32_t waiters_for_disk(struct jobd *jobd) REQUIRES(jobd->lock)
{
    uint32_t count = 0;
    const struct change *change;
    TAILQ_FOREACH (change, &jobd->journal.waiting, link)
        count += change->waiter != NULL && !change->waiter->uncounted;
    TAILQ_FOREACH (change, &jobd->journal.gathered, link)
        count += change->waiter != NULL && !change->waiter->uncounted;
    return count;
}

/* Found by its name is each that is not gone, and no other. */
static void check_names(struct jobd *jobd) REQUIRES(jobd->lock)
{
    uint32_t there = 0;
    verify(jobd->queues_len <= jobd->queues_max && jobd->names.version % 2 == 0);
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        const struct queue *queue = &jobd->queues[i];
        bool gone = queue->phase == QUEUE_GONE;
        verify(jobd_queue_index(queue->number) == i);
        verify((jobd_queue_named(jobd, queue->name) == queue->number) == !gone);
        there += !gone;
    }
    verify(jobd->names.len == there);
    for (uint32_t i = 1; i < there; i++)
        verify(strcmp(jobd->names.names[i - 1], jobd->names.names[i]) < 0);
}

void check_engine(struct jobd *jobd)
{
    struct census census = {.waiters = 0};
    mutex_lock(&jobd->lock);
    check_names(jobd);
    census.memory = census.memory_living = check_schedules(jobd) + check_edges(jobd);
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        check_queue(jobd, &jobd->queues[i], &census);
    check_records(jobd, &census);
    census.waiters += check_batches(jobd);
    census.waiters += waiters_in(&jobd->idle_waiters, WAIT_IDLE) + waiters_for_disk(jobd) +
                      waiters_in(&jobd->sweep_waiters, WAIT_SWEEP);
    const struct way way = count_ways(jobd, NULL);
    verify(way.entries + jobd->journal.free == jobd->journal.max);
    verify(way.entering == census.entering && way.retrying + way.forgetting == census.retrying);
    verify(census.waiters == jobd->waiters && jobd->waiters <= jobd->waiters_max);
    struct op op = {.jobd = jobd};
    verify(TAILQ_EMPTY(&jobd->idle_waiters) || !dispatch_is_idle_locked(&op));
    check_heap(&jobd->delays);
    check_heap(&jobd->deadlines);
    check_heap(&jobd->leases.due);
    check_heap(&jobd->probes);
    check_heap(&jobd->limits);
    mutex_unlock(&jobd->lock);
}
