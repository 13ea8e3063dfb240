/* SPDX-License-Identifier: MIT */
/* Reads; nothing here changes a job. */
#include "engine/job_info.h"

#include <string.h>

#include "engine/breaker.h"
#include "engine/engine.h"
#include "engine/fair.h"
#include "engine/keep.h"
#include "engine/lanes.h"
#include "engine/limits.h"

/* Of a job with an output: its extra, its type and its errors. */
enum { BESIDE_OUTPUT_BYTES = 4096 };

uint32_t jobd_queue_named(const struct jobd *jobd, const char *name)
{
    return queue_names_find(&jobd->names, name);
}

static const struct queue *queue_at(const struct jobd *jobd, uint32_t number)
{
    verify(jobd_queue_index(number) < jobd->queues_len);
    return &jobd->queues[jobd_queue_index(number)];
}

bool jobd_queue_declared(const struct jobd *jobd, uint32_t queue)
{
    const struct queue *at = queue_at(jobd, queue);
    return at->number == queue && at->phase == QUEUE_OPEN;
}

bool jobd_queue_gives(const struct jobd *jobd, uint32_t queue)
{
    const struct queue *at = queue_at(jobd, queue);
    return at->number == queue && at->phase <= QUEUE_RETIRED;
}

const char *jobd_queue_name(const struct jobd *jobd, uint32_t queue)
{
    return queue_at(jobd, queue)->name;
}

uint32_t jobd_queues_len(const struct jobd *jobd)
{
    return jobd->queues_len;
}

uint32_t jobd_queues_max(const struct jobd *jobd)
{
    return jobd->queues_max;
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

enum jobd_result jobd_get_batch(struct jobd *jobd, uint64_t id, int64_t now_us,
                                struct jobd_batch *batch)
{
    mutex_lock(&jobd->lock);
    const struct batch *found = batches_seen(&jobd->jobs.batches, id);
    bool there = found != NULL && keep_batch_until(&jobd->jobs, found) > now_us;
    if (there)
        batch_info(found, batch);
    mutex_unlock(&jobd->lock);
    return there ? JOBD_OK : JOBD_NO_JOB;
}

enum jobd_result jobd_get_batch_words(struct jobd *jobd, uint64_t id, struct jobd_blob **words)
{
    mutex_lock(&jobd->lock);
    const struct batch *batch = batches_seen(&jobd->jobs.batches, id);
    *words = batch != NULL && batch->words != NULL ? jobd_blob_ref(batch->words) : NULL;
    mutex_unlock(&jobd->lock);
    return batch != NULL ? JOBD_OK : JOBD_NO_JOB;
}

uint64_t jobd_batch_of(struct jobd *jobd, uint64_t id)
{
    mutex_lock(&jobd->lock);
    const struct job *job = jobs_seen(&jobd->jobs, id);
    const struct batch *batch =
        job != NULL && job->batched ? batches_of(&jobd->jobs.batches, id) : NULL;
    uint64_t batch_id = batch != NULL ? batch->id : 0;
    mutex_unlock(&jobd->lock);
    return batch_id;
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
        return job->extra != NULL && job->state != JOBD_BLOCKED ? job->extra->error : NULL;
    case JOBD_WORKER:
        return job->extra != NULL && job->extra->said != NULL ? job->extra->said->worker : NULL;
    case JOBD_PROGRESS:
        return job->extra != NULL && job->extra->said != NULL ? job->extra->said->progress : NULL;
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

enum jobd_result jobd_get_errors(struct jobd *jobd, uint64_t id, struct jobd_blob **errors,
                                 int64_t *last_us)
{
    mutex_lock(&jobd->lock);
    const struct job *job = jobs_seen(&jobd->jobs, id);
    const struct job_extra *extra = job != NULL ? job->extra : NULL;
    struct jobd_blob *kept = extra != NULL ? extra->errors : NULL;
    *errors = kept != NULL ? jobd_blob_ref(kept) : NULL;
    *last_us = extra != NULL ? extra->errors_us : 0;
    mutex_unlock(&jobd->lock);
    return job != NULL ? JOBD_OK : JOBD_NO_JOB;
}

static int64_t probe_in_us(const struct queue *queue, int64_t now_us)
{
    const struct breaker *breaker = &queue->breaker;
    bool waits = breaker_holds(queue) && breaker->probe == 0 && breaker->probe_at_us > now_us;
    return waits ? breaker->probe_at_us - now_us : 0;
}

/* Queued jobs that could begin but for a limit. */
static uint32_t held_back(const struct queue *queue, int64_t now_us)
{
    if (!limits_let(queue, now_us))
        return queue_ready(queue);
    return queue->fair != NULL ? queue->fair->held_jobs : 0;
}

static void fill_in_limits(const struct queue *queue, int64_t now_us, struct jobd_stats *stats)
{
    const struct fair *fair = queue->fair;
    stats->limits = queue->limits;
    stats->held_back = held_back(queue, now_us);
    if (fair == NULL || !fair->on)
        return;
    stats->by_group = true;
    stats->group_limits = fair->limits;
    stats->group_waiting = fair->waiting_max;
    stats->groups = fair->groups.len;
}

/* Of deliveries that others would make, and there is none. */
static bool is_idle_for_others(const struct queue *queue)
{
    return queue->promised != NULL && queue->workers == 0 && *queue->promised == 0 &&
           queue_waiting(queue) + queue->in_state[JOBD_RUNNING] == 0;
}

void jobd_stats(struct jobd *jobd, uint32_t number, int64_t now_us, struct jobd_stats *stats)
{
    const uint32_t index = jobd_queue_index(number);
    verify(index < jobd->queues_len);
    struct queue *queue = &jobd->queues[index];
    mutex_lock(&jobd->lock);
    *stats = (struct jobd_stats){
        .capacity = queue->capacity,
        .workers = queue->workers,
        .declared = queue->phase == QUEUE_OPEN,
        .gone = queue->phase == QUEUE_GONE || is_idle_for_others(queue),
        .paused = queue->paused,
        .has_breaker = queue->breaker.failures > 0,
        .held = breaker_holds(queue),
        .probing = breaker_holds(queue) && queue->breaker.probe != 0,
        .probe_in_us = probe_in_us(queue, now_us),
        .breaker_opened = queue->breaker.opened,
        .delivers = queue->promised != NULL,
        .promised = queue->promised != NULL ? *queue->promised : 0,
        .queued = queue->in_state[JOBD_QUEUED],
        .scheduled = queue->in_state[JOBD_SCHEDULED],
        .blocked = queue->in_state[JOBD_BLOCKED],
        .waiting = queue_waiting(queue),
        .running = queue->in_state[JOBD_RUNNING],
        .leased = queue->leased,
        .elsewhere = queue->elsewhere,
        .admitted = queue->admitted,
        .done = queue->ended[JOBD_DONE],
        .failed = queue->ended[JOBD_FAILED],
        .cancelled = queue->ended[JOBD_CANCELLED],
        .expired = queue->expired,
        .rejected = queue->tallies[TALLY_REJECTED],
        .retried = queue->retried,
        .leases_expired = queue->tallies[TALLY_LEASES_EXPIRED],
        .leases_released = queue->tallies[TALLY_LEASES_RELEASED],
        .forgotten_early = queue->tallies[TALLY_FORGOTTEN_EARLY],
        .oldest_us = lanes_oldest_us_locked(jobd, queue, now_us),
        .drain_per_s =
            rate_per_s(&queue->rate, now_us,
                       queue_ready(queue) > 0 && !queue->paused && !breaker_holds(queue)),
        .waited = queue->waited,
        .ran = queue->ran,
    };
    fill_in_limits(queue, now_us, stats);
    mutex_unlock(&jobd->lock);
}

size_t jobd_memory(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    size_t bytes = jobd->jobs.memory;
    mutex_unlock(&jobd->lock);
    return bytes;
}

size_t jobd_output_room(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    size_t used = jobd->jobs.memory_living + BESIDE_OUTPUT_BYTES, max = jobd->jobs.memory_max;
    mutex_unlock(&jobd->lock);
    return used < max ? max - used : 0;
}

/* ---- the busiest groups of a queue */

enum { BUSIEST_LOOKS = 1024 };

static bool is_busier(const struct group *one, const struct group *other)
{
    return one->waiting + one->running > other->waiting + other->running;
}

/* Into its place in a list of at most `max`, the busiest first. */
static size_t insert(const struct group **list, size_t len, size_t max, const struct group *group)
{
    size_t at = len < max ? len : max;
    while (at > 0 && is_busier(group, list[at - 1]))
        at--;
    if (at == max)
        return len;
    size_t last = len < max ? len : max - 1;
    memmove(&list[at + 1], &list[at], (last - at) * sizeof list[0]);
    list[at] = group;
    return len < max ? len + 1 : max;
}

/* Class by class, until there are enough. */
static size_t busiest_of(const struct groups *groups, const struct group **list, size_t max)
{
    size_t len = 0;
    unsigned looks = BUSIEST_LOOKS;
    for (unsigned class = BUSY_CLASSES; class -- > 1 && len < max;) {
        const struct group *group;
        TAILQ_FOREACH (group, &groups->busy[class], alike) {
            if (looks-- == 0)
                return len;
            len = insert(list, len, max, group);
        }
    }
    return len;
}

size_t jobd_busiest(struct jobd *jobd, uint32_t number, struct jobd_group_stats *groups, size_t len)
{
    const struct group *list[JOBD_BUSIEST_MAX];
    size_t found = 0, max = len < JOBD_BUSIEST_MAX ? len : JOBD_BUSIEST_MAX;
    verify(jobd_queue_index(number) < jobd->queues_len);
    const struct queue *queue = &jobd->queues[jobd_queue_index(number)];
    mutex_lock(&jobd->lock);
    if (queue->fair != NULL && queue->fair->on && max > 0)
        found = busiest_of(&queue->fair->groups, list, max);
    for (size_t i = 0; i < found; i++) {
        groups[i] =
            (struct jobd_group_stats){.waiting = list[i]->waiting, .running = list[i]->running};
        memcpy(groups[i].name, list[i]->name, strlen(list[i]->name) + 1);
    }
    mutex_unlock(&jobd->lock);
    return found;
}
