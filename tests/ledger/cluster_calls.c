/* SPDX-License-Identifier: MIT */
/* What is asked for: every verb, with arguments by chance. */
#include "jobd/change.h"
#include "jobd/lease.h"
#include "jobd/live.h"
#include "ledger/cluster_inside.h"

#include <inttypes.h>
#include <string.h>

#include "base/verify.h"

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

enum { BATCH_MAX = 3, PARENTS_MAX = 3 };

/* ---- who waits */

static void drop_put(struct actor *actor)
{
    if (!actor->puts)
        return;
    actor->puts = false;
    if (!actor->waiter.accepted)
        jobd_blob_unref(actor->put.payload);
}

static void remember_token(struct cluster *cluster, const char *token)
{
    memcpy(cluster->tokens[cluster->token_at++ % TOKENS], token, JOBD_TOKEN_SIZE);
}

/* What somebody does who is told the result of what he has asked for. */
static void hear(struct actor *actor, enum jobd_result result)
{
    struct jobd_waiter *waiter = &actor->waiter;
    actor->waits = false;
    drop_put(actor);
    if (waiter->batch != NULL && result == JOBD_OK)
        verify(actor->batch.finished_us != 0);
    if (waiter->lease_us > 0 && result == JOBD_OK) {
        remember_token(actor->member->cluster, waiter->token);
        jobd_blob_unref(waiter->task.payload);
        waiter->task.payload = NULL;
    }
    jobd_blob_unref(waiter->output);
    waiter->output = NULL;
}

/* Nothing was done: so it was not, unless what replaces another put was. */
static void check_failed(const struct jobd_waiter *waiter, const struct member *member)
{
    bool in_turn = member->lost && waiter->receipt.id >= member->first_id;
    verify(!waiter->accepted || waiter->receipt.replaced || in_turn);
}

/* Its deadline has come while a turn goes on, which may be lost. */
static void check_told_early(const struct jobd_waiter *waiter, const struct member *member)
{
    verify(waiter->result == JOBD_TIMEOUT);
    verify(!waiter->accepted ||
           (waiter->receipt.id < member->first_id && !waiter->receipt.replaced));
}

static void wake(struct jobd_waiter *waiter)
{
    struct actor *actor = (struct actor *)waiter;
    verify(actor->waits);
    if (actor->member->in_turn)
        check_told_early(waiter, actor->member);
    if (waiter->result == JOBD_STORE_FAILED)
        check_failed(waiter, actor->member);
    if (waiter->result == JOBD_TIMEOUT && waiter->accepted && actor->member->lost)
        verify(waiter->receipt.id < actor->member->first_id && !waiter->receipt.replaced);
    hear(actor, waiter->result);
}

static void wake_worker(struct jobd_waiter *waiter)
{
    struct actor *actor = (struct actor *)waiter;
    verify(actor->waits && !actor->runs);
    actor->waits = false;
    actor->runs = waiter->result == JOBD_OK;
    actor->task = waiter->task;
}

static void on_stop(struct jobd_waiter *waiter, const struct jobd_task *task)
{
    struct actor *actor = (struct actor *)waiter;
    verify(task->id > 0 && !actor->member->in_turn);
    actor->member->stops++;
}

void cluster_open_actors(struct member *member)
{
    for (unsigned i = 0; i < ACTORS; i++)
        member->actors[i] = (struct actor){.member = member};
}

void cluster_close_actors(struct member *member)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        struct actor *actor = &member->actors[i];
        if (!actor->waits)
            continue;
        verify(jobd_cancel_wait(member->jobd, &actor->waiter));
        drop_put(actor);
    }
}

/* Somebody who has nothing to do; NULL: nobody. */
static struct actor *free_actor(struct member *member)
{
    struct actor *actor = &member->actors[below(member->cluster, ACTORS)];
    if (actor->waits || actor->runs)
        return NULL;
    for (unsigned i = 0; i < member->told_len; i++)
        if (member->told[i] == actor)
            return NULL;
    int64_t deadline_us =
        below(member->cluster, 2) == 0 ? JOBD_NEVER : member->cluster->now_us + 3000;
    actor->waiter = (struct jobd_waiter){.wake = wake, .deadline_us = deadline_us};
    return actor;
}

/* What a verb has said: it waits, or is told when the turn is over. */
static void note(struct actor *actor, enum jobd_result result)
{
    struct member *member = actor->member;
    actor->waits = result == JOBD_PENDING;
    if (actor->waits)
        return;
    member->told[member->told_len] = actor;
    member->results[member->told_len++] = result;
}

void cluster_tell(struct member *member)
{
    for (unsigned i = 0; i < member->told_len; i++) {
        struct actor *actor = member->told[i];
        bool lost = member->lost;
        if (actor->waiter.wake == wake_worker) {
            actor->runs = !lost && member->results[i] == JOBD_OK;
            actor->task = actor->waiter.task;
            continue;
        }
        if (lost && actor->waiter.lease_us > 0 && member->results[i] == JOBD_OK)
            jobd_blob_unref(actor->waiter.task.payload);
        hear(actor, lost ? JOBD_STORE_FAILED : member->results[i]);
    }
    member->told_len = 0;
    for (unsigned i = 0; i < ACTORS; i++) { /* who has ended an attempt in vain tries again */
        struct actor *actor = &member->actors[i];
        actor->runs &= !actor->ends || member->lost;
        actor->ends = false;
    }
}

static uint64_t some_id(struct member *member)
{
    uint64_t next = share_next_id(member->jobd), back = 1 + below(member->cluster, 40);
    return next > back ? next - back : 1;
}

/* ---- puts */

static struct jobd_blob *some_bytes(struct cluster *cluster, unsigned most)
{
    static const char *const types[] = {"", "text/plain", "application/json", "x/y"};
    struct jobd_blob *blob = jobd_blob_new(below(cluster, most), types[below(cluster, 4)]);
    verify(blob != NULL);
    memset(blob->bytes, 'a' + (int)below(cluster, 26), blob->size);
    return blob;
}

static struct jobd_put some_put(struct cluster *cluster)
{
    static const char *const keys[] = {"a", "key", "ab", "A"};
    struct jobd_put put = {.queue = below(cluster, QUEUES),
                           .priority = (uint8_t)below(cluster, JOBD_PRIORITIES),
                           .attempts = below(cluster, 4)};
    if (below(cluster, 4) == 0)
        put.delay_us = 1 + below(cluster, 5000);
    if (below(cluster, 5) == 0)
        put.timeout_us = 1 + below(cluster, 30000);
    if (below(cluster, 5) == 0)
        put.trace = TRACE;
    if (below(cluster, 4) == 0)
        put.key = keys[below(cluster, 4)];
    if (below(cluster, 3) > 0)
        put.payload = some_bytes(cluster, put.key != NULL ? 3 : 400);
    if (below(cluster, 8) == 0) {
        put.delay_us = 0;
        put.at_us = cluster->now_us + below(cluster, 3000);
    }
    return put;
}

/* Of jobs that are there, and of batches, or of one that is not. */
static void some_parents(struct actor *actor)
{
    struct jobd *jobd = actor->member->jobd;
    struct cluster *cluster = actor->member->cluster;
    char *end = actor->after;
    *end = '\0';
    if (below(cluster, 3) == 0)
        end = stpcpy(end, JOBD_AFTER_WHATEVER);
    for (unsigned left = 1 + below(cluster, PARENTS_MAX); left > 0; left--) {
        uint64_t id = some_id(actor->member), batch = jobd_batch_of(jobd, id);
        bool is_batch = batch != 0 && below(cluster, 2) == 0;
        struct jobd_info info;
        if (jobd_get(jobd, id, &info) == JOBD_OK || is_batch || below(cluster, 20) == 0)
            end +=
                sprintf(end, "%s %" PRIu64 "\n", is_batch ? "batch" : "job", is_batch ? batch : id);
    }
    actor->terms.texts[JOBD_AFTER] = actor->after;
}

static void some_terms(struct cluster *cluster, struct jobd_terms *terms)
{
    *terms = (struct jobd_terms){.expires_by_wall = below(cluster, 2) == 0};
    if (below(cluster, 2) == 0)
        terms->expires_us = cluster->now_us + 1 + below(cluster, 9000);
    terms->unique = (enum jobd_unique)below(cluster, 4);
    terms->unique_us = 1 + below(cluster, 9000);
    terms->replace = below(cluster, 2) == 0;
    if (below(cluster, 2) == 0)
        terms->keep_us = 1 + below(cluster, 90000);
    if (below(cluster, 2) == 0)
        terms->texts[JOBD_GROUP] = below(cluster, 2) == 0 ? "somebody" : "another";
    if (below(cluster, 2) == 0)
        terms->texts[JOBD_CALLBACK] = "http://there/";
    if (below(cluster, 2) == 0)
        terms->texts[JOBD_HEADERS] = "One: other\n", terms->texts[JOBD_TAGS] = "one\nother\n";
}

static void call_put(struct member *member)
{
    struct cluster *cluster = member->cluster;
    struct jobd_receipt receipt;
    struct actor *actor = free_actor(member);
    if (actor == NULL)
        return;
    actor->put = some_put(cluster);
    if (below(cluster, 4) == 0) {
        some_terms(cluster, &actor->terms);
        actor->put.terms = &actor->terms;
        if (actor->terms.unique != JOBD_WHILE_KNOWN && actor->put.key == NULL)
            actor->put.key = "unique";
        if (below(cluster, 2) == 0)
            some_parents(actor);
    }
    actor->puts = true;
    actor->waiter.wants_output = below(cluster, 2) == 0;
    actor->waiter.end_us = below(cluster, 3) == 0 ? 4000 : 0;
    bool waits = below(cluster, 3) == 0;
    note(actor, (waits ? jobd_put_wait : jobd_put)(member->jobd, &actor->put, &actor->waiter,
                                                   cluster->now_us, &receipt));
}

static void call_batch(struct member *member)
{
    struct jobd_blob *batch[BATCH_MAX];
    struct jobd_receipt receipt;
    struct cluster *cluster = member->cluster;
    struct jobd_put put = {.queue = below(cluster, QUEUES),
                           .batch = batch,
                           .batch_len = 1 + below(cluster, BATCH_MAX)};
    struct actor *actor = free_actor(member);
    if (actor != NULL && below(cluster, 4) == 0) {
        actor->terms = (struct jobd_terms){.expires_us = 0};
        some_parents(actor);
        put.terms = &actor->terms;
    }
    if (below(cluster, 3) == 0) {
        put.batch_callback = "http://there/";
        put.trace = below(cluster, 2) == 0 ? TRACE : NULL;
    }
    for (unsigned i = 0; i < put.batch_len; i++)
        batch[i] = some_bytes(cluster, 100);
    enum jobd_result result = jobd_put(member->jobd, &put, NULL, cluster->now_us, &receipt);
    for (unsigned i = 0; i < put.batch_len && result != JOBD_OK; i++)
        jobd_blob_unref(batch[i]);
}

/* ---- working */

static void call_take(struct member *member)
{
    struct cluster *cluster = member->cluster;
    struct actor *actor = free_actor(member);
    if (actor == NULL)
        return;
    actor->waiter.lease_us = 1 + below(cluster, 20000);
    actor->waiter.at_once = below(cluster, 2) == 0;
    snprintf(actor->waiter.token, sizeof actor->waiter.token, "%032" PRIx64,
             ++cluster->tokens_made);
    actor->waiter.worker = below(cluster, 2) == 0 ? cluster->worker : NULL;
    note(actor, jobd_take(member->jobd, below(cluster, QUEUES), &actor->waiter, cluster->now_us));
}

static void call_work(struct member *member)
{
    struct cluster *cluster = member->cluster;
    struct actor *actor = free_actor(member);
    if (actor == NULL)
        return;
    actor->waiter.wake = wake_worker;
    actor->waiter.stop = on_stop;
    note(actor,
         jobd_take(member->jobd, below(cluster, QUEUES + 1), &actor->waiter, cluster->now_us));
}

static struct jobd_outcome some_outcome(struct cluster *cluster)
{
    static const enum jobd_state ends[] = {JOBD_DONE, JOBD_FAILED, JOBD_FAILED, JOBD_CANCELLED};
    return (struct jobd_outcome){
        .state = ends[below(cluster, 4)],
        .for_good = below(cluster, 6) == 0,
        .retry_in_us = below(cluster, 6) == 0 ? 700 : 0,
        .retry_exactly = below(cluster, 6) == 0,
        .down = below(cluster, 2) == 0,
        .exited = below(cluster, 2) == 0,
        .exit_code = (int)below(cluster, 256),
        .output = below(cluster, 3) == 0 ? some_bytes(cluster, 300) : NULL,
        .error = below(cluster, 3) == 0 ? some_bytes(cluster, 100) : NULL,
    };
}

static void call_finish(struct member *member)
{
    struct cluster *cluster = member->cluster;
    struct actor *actor = &member->actors[below(cluster, ACTORS)];
    if (!actor->runs || actor->ends)
        return;
    const struct jobd_outcome outcome = some_outcome(cluster);
    actor->ends = true;
    jobd_finish(member->jobd, &actor->task, &outcome, cluster->now_us);
}

static void call_say(struct member *member, const char *token)
{
    struct cluster *cluster = member->cluster;
    struct jobd_blob *text = jobd_blob_text("so far");
    bool truncated;
    if (below(cluster, 3) > 0)
        (void)!jobd_lease_append(member->jobd, token, text, 20, &truncated);
    else
        (void)!jobd_lease_progress(member->jobd, token, below(cluster, 3) > 0 ? text : NULL);
    jobd_blob_unref(text);
}

static void call_lease(struct member *member)
{
    struct cluster *cluster = member->cluster;
    struct jobd *jobd = member->jobd;
    const char *token = cluster->tokens[below(cluster, TOKENS)];
    struct jobd_outcome outcome = some_outcome(cluster);
    enum jobd_result result;
    switch (below(cluster, 5)) {
    case 4:
        call_say(member, token);
        break;
    case 0:
        (void)jobd_lease_extend(jobd, token, 1 + below(cluster, 20000), NULL, cluster->now_us);
        break;
    case 1:
        (void)jobd_lease_release(jobd, token, below(cluster, 2) * 900, NULL, cluster->now_us);
        break;
    default:
        result = jobd_lease_finish(jobd, token, &outcome, NULL, cluster->now_us);
        if (result == JOBD_OK)
            return; /* they are taken */
        break;
    }
    jobd_blob_unref(outcome.output);
    jobd_blob_unref(outcome.error);
}

/* ---- the rest */

static void call_amend(struct member *member)
{
    struct cluster *cluster = member->cluster;
    int64_t now_us = cluster->now_us;
    struct jobd_amendment amendment = {.start = below(cluster, 2) == 0,
                                       .delay_us = below(cluster, 3) * 700,
                                       .to_priority = below(cluster, 2) == 0,
                                       .priority = (uint8_t)below(cluster, JOBD_PRIORITIES)};
    if (below(cluster, 3) == 0)
        amendment.expires_us = now_us + 1 + below(cluster, 5000);
    (void)!jobd_amend(member->jobd, some_id(member), &amendment, NULL, now_us);
}

static void call_many(struct member *member)
{
    struct cluster *cluster = member->cluster;
    struct jobd_filter filter = {
        .queue = below(cluster, 2) == 0 ? JOBD_NO_QUEUE : below(cluster, QUEUES),
        .state =
            below(cluster, 2) == 0 ? JOBD_STATES : (enum jobd_state)below(cluster, JOBD_STATES)};
    struct jobd_batch batch;
    if (below(cluster, 2) == 0 &&
        jobd_get_batch(member->jobd, some_id(member), cluster->now_us, &batch) == JOBD_OK) {
        filter.batch = batch.id;
        filter.batch_jobs = batch.ids;
    }
    enum jobd_bulk what = below(cluster, 3) > 0    ? JOBD_RETRY_ALL
                          : below(cluster, 2) == 0 ? JOBD_DROP_ALL
                                                   : JOBD_STOP_ALL;
    (void)!jobd_change_all(member->jobd, what, &filter, NULL, cluster->now_us);
}

static void call_job(struct member *member)
{
    struct jobd_receipt receipt;
    int64_t now_us = member->cluster->now_us;
    switch (below(member->cluster, 4)) {
    case 0:
        (void)jobd_cancel(member->jobd, some_id(member), NULL, now_us);
        break;
    case 1:
        (void)!jobd_retry(member->jobd, some_id(member), NULL, now_us, &receipt);
        break;
    case 2:
        (void)jobd_forget(member->jobd, some_id(member), NULL, now_us);
        break;
    default:
        call_amend(member);
        break;
    }
}

static void call_queue(struct member *member)
{
    struct cluster *cluster = member->cluster;
    const struct jobd_route route = {.from = below(cluster, QUEUES), .to = below(cluster, QUEUES)};
    uint32_t swept;
    if (below(cluster, 6) == 0)
        call_many(member);
    else if (below(cluster, 4) == 0)
        (void)jobd_purge(member->jobd, route.from, NULL, cluster->now_us, &swept);
    else if (below(cluster, 2) == 0)
        (void)!jobd_move(member->jobd, &route, NULL, cluster->now_us, &swept);
    else
        verify(jobd_pause(member->jobd, route.from, below(cluster, 4) == 0, NULL,
                          cluster->now_us) == JOBD_OK);
}

void cluster_call(struct member *member)
{
    /* The more often one stands here, the more often it is called. */
    static void (*const calls[])(struct member *) = {
        call_put,   call_put,   call_put,    call_put,    call_batch, call_take,
        call_take,  call_work,  call_finish, call_finish, call_lease, call_lease,
        call_lease, call_lease, call_job,    call_job,    call_queue, cluster_call_schedule,
    };
    calls[below(member->cluster, sizeof calls / sizeof calls[0])](member);
}

/* Of a job, or of the batch that it came with. */
static void await_end(struct actor *actor)
{
    struct jobd *jobd = actor->member->jobd;
    struct cluster *cluster = actor->member->cluster;
    uint64_t id = some_id(actor->member), batch = jobd_batch_of(jobd, id);
    struct jobd_info info;
    actor->waiter.wants_output = below(cluster, 2) == 0;
    actor->waiter.batch = batch != 0 ? &actor->batch : NULL;
    actor->waits = true; /* it may be over at once */
    enum jobd_result result = batch != 0
                                  ? jobd_await_batch(jobd, batch, &actor->waiter, cluster->now_us)
                                  : jobd_await(jobd, id, &actor->waiter, &info);
    if (result != JOBD_PENDING)
        hear(actor, result);
}

/* Does this member think that the task is still its own? */
static bool holds(struct member *member, const struct jobd_task *task)
{
    mutex_lock(&member->jobd->lock);
    const struct job *job = jobs_find(&member->jobd->jobs, task->id);
    bool holds = job != NULL && job_runs_here(job) && job->attempt == task->attempt &&
                 job->started_us == task->started_us;
    mutex_unlock(&member->jobd->lock);
    return holds;
}

/* Outside of turns, and nobody else hears of it. */
static void show_output(struct actor *actor)
{
    struct member *member = actor->member;
    struct jobd_view view = {.seen = false};
    struct jobd_waiter waiter = {.wake = wake};
    if (!actor->runs || actor->ends)
        return;
    struct jobd_blob *output = jobd_blob_new(1 + below(member->cluster, 100), NULL);
    verify(output != NULL);
    memset(output->bytes, 'o', output->size);
    jobd_show_output(member->jobd, &actor->task, output, output->size, false);
    enum jobd_result result = jobd_follow(member->jobd, actor->task.id, &view, &waiter);
    if (holds(member, &actor->task))
        verify(result == JOBD_OK && view.output == output && view.output_bytes == output->size);
    else
        verify(result != JOBD_PENDING && view.output != output);
    jobd_view_release(&view);
    jobd_blob_unref(output);
}

void cluster_look(struct member *member)
{
    struct cluster *cluster = member->cluster;
    struct actor *actor = free_actor(member);
    show_output(&member->actors[below(cluster, ACTORS)]);
    (void)jobd_tick_waiters(member->jobd, cluster->now_us);
    if (actor != NULL && below(cluster, 2) == 0)
        await_end(actor);
    actor = &member->actors[below(cluster, ACTORS)];
    if (actor->waits && below(cluster, 8) == 0 && jobd_cancel_wait(member->jobd, &actor->waiter)) {
        actor->waits = false;
        drop_put(actor);
    }
}
