/* SPDX-License-Identifier: MIT */
/* What must hold in the heart after every step: each job in exactly one place, every count equal to
 * what it counts, no bound exceeded. */
#include "check_heart.h"

#include "blob.h"
#include "heart.h"

struct census {
    uint32_t in_state[JOBD_STATES];
    uint32_t waiters;
    size_t memory, memory_living;
};

static uint32_t waiters_in(struct waiter_list *list, enum wait_kind kind)
{
    uint32_t count = 0;
    struct jobd_waiter *waiter;
    TAILQ_FOREACH (waiter, list, link) {
        verify(waiter->link.kind == (int)kind);
        verify((waiter->deadline_us != JOBD_NEVER) == (waiter->link.due.place != 0));
        count += !waiter->exempt;
    }
    return count;
}

static void check_heap(const struct heap *heap)
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

static void check_queue(struct jobd *jobd, struct queue *queue, struct census *census)
    REQUIRES(jobd->lock)
{
    uint32_t queued = 0, scheduled = 0;
    struct job *job;
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        check_ring(jobd, queue, lane);
        queued += queue->lanes[lane].length;
    }
    TAILQ_FOREACH (job, &queue->scheduled, link) {
        verify(job->state == JOBD_SCHEDULED && job->due.place != 0);
        scheduled++;
    }
    verify(queued == queue->in_state[JOBD_QUEUED]);
    verify(scheduled == queue->in_state[JOBD_SCHEDULED]);
    verify(queue_waiting(queue) + queue->in_state[JOBD_RUNNING] <=
           queue->capacity + queue->workers + jobd->leases.max);
    verify(queue->in_state[JOBD_RUNNING] - queue->leased <= queue->workers);
    verify(queue->admitted == queue_waiting(queue) + queue->in_state[JOBD_RUNNING] +
                                  queue->ended[JOBD_DONE] + queue->ended[JOBD_FAILED] +
                                  queue->ended[JOBD_CANCELLED]);
    /* Nobody waits in vain. */
    bool idle = queue->in_state[JOBD_RUNNING] - queue->leased < queue->workers;
    const struct jobd_waiter *taker;
    TAILQ_FOREACH (taker, &queue->takers, link)
        verify(queued == 0 || queue->paused || (taker->lease_us == 0 && !idle));
    const struct jobd_waiter *putter = TAILQ_FIRST(&queue->putters);
    verify(putter == NULL || queue->unsettled || !admit_has_room(queue, &putter->link.put));
    for (unsigned state = 0; state < JOBD_STATES; state++)
        census->in_state[state] += queue->in_state[state];
    census->waiters +=
        waiters_in(&queue->takers, WAIT_JOB) + waiters_in(&queue->putters, WAIT_ROOM);
}

static void check_records(struct jobd *jobd, struct census *census) REQUIRES(jobd->lock)
{
    struct jobs *jobs = &jobd->jobs;
    uint32_t keys = 0, spare = 0, living = 0, leased = 0, final = 0, running = 0,
             remembered[2] = {0};
    struct job *job;
    RB_FOREACH (job, job_tree, &jobs->tree) {
        bool is_final = jobd_state_final((enum jobd_state)job->state);
        *(is_final ? &final : &living) += 1;
        verify(!is_final || TAILQ_EMPTY(&job->awaiting));
        census->waiters += waiters_in(&job->awaiting, WAIT_END);
        census->memory += jobs_weight(job);
        census->memory_living += is_final ? 0 : jobs_weight(job);
        verify(job->attempt <= job->attempts);
        bool keyed = job->extra != NULL && job->extra->key[0] != '\0';
        verify(!keyed || jobs_with_key(jobs, job->queue, job->extra->key) == job);
        keys += keyed;
    }
    struct extra *extra;
    RB_FOREACH (extra, key_tree, &jobs->keys)
        keys--;
    verify(keys == 0);
    TAILQ_FOREACH (job, &jobs->spare, link)
        spare++;
    TAILQ_FOREACH (job, &jobs->running, link) {
        verify(job->state == JOBD_RUNNING && job->holder != NULL);
        verify(!job->leased || (job->lease->job == job && job->lease->due.place != 0));
        leased += job->leased;
        running++;
    }
    for (unsigned i = 0; i < 2; i++) {
        TAILQ_FOREACH (job, &jobs->remembered[i], link)
            remembered[i]++;
        verify(remembered[i] == jobs->remembered_len[i] && remembered[i] <= jobs->keep);
    }
    verify(final == remembered[0] + remembered[1]);
    verify(spare + living + final == jobs->records_used);
    verify(living == census->in_state[JOBD_QUEUED] + census->in_state[JOBD_SCHEDULED] +
                         census->in_state[JOBD_RUNNING]);
    verify(running == census->in_state[JOBD_RUNNING]);
    verify(leased == jobd->leases.held && leased == jobd->leases.due.length);
    verify(leased + jobd->leases.promised <= jobd->leases.max);
    verify(census->memory == jobs->memory && jobs->memory <= jobs->memory_max);
    verify(census->memory_living == jobs->memory_living);
}

void check_heart(struct jobd *jobd)
{
    struct census census = {.waiters = 0};
    mutex_lock(&jobd->lock);
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        check_queue(jobd, &jobd->queues[i], &census);
    check_records(jobd, &census);
    census.waiters += waiters_in(&jobd->idlers, WAIT_IDLE);
    verify(census.waiters == jobd->waiters && jobd->waiters <= jobd->waiters_max);
    verify(TAILQ_EMPTY(&jobd->idlers) || !jobd_idle_locked(jobd));
    check_heap(&jobd->delays);
    check_heap(&jobd->deadlines);
    check_heap(&jobd->leases.due);
    verify(jobd->delays.length == census.in_state[JOBD_SCHEDULED]);
    mutex_unlock(&jobd->lock);
}
