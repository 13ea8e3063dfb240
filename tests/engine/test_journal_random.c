/* SPDX-License-Identifier: MIT */
/* The engine with a journal, driven at random, with crashes in between. SEED=n in the environment
 * repeats the run that printed n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/after_steps.h"
#include "engine/engine.h"
#include "engine/keep.h"
#include "jobd/declare.h"
#include "engine/model/check_engine.h"
#include "engine/journal_world.h"
#include "engine/schedule_disk.h"
#include "engine/schedule_steps.h"
#include "base/verify.h"
#include "jobd/change.h"

enum { STEPS = 60000 };

static struct person *free_person(struct world *world)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        struct person *who = &world->people[(i + below(world, ACTORS)) % ACTORS];
        if (who->waits)
            continue;
        if (who->verb == 'l' && who->waiter.result == JOBD_OK)
            jobd_blob_unref(who->waiter.task.payload);
        *who = person_new();
        return who;
    }
    return NULL;
}

static uint64_t any_id(struct world *world)
{
    uint64_t newest = world->next_id > 1 ? world->next_id - 1 : 1;
    uint64_t back = below(world, 40);
    return newest > back ? newest - back : 1;
}

static void be_unique(struct world *world, struct jobd_put *put, struct jobd_terms *terms,
                      const char *key)
{
    static const char *const payloads[] = {"one", "another", "yet another"};
    terms->unique = (enum jobd_unique)(1 + below(world, 3));
    terms->unique_us = 1 + some_us(world, 60);
    if (below(world, 2) == 0)
        terms->expires_us = 0;
    terms->replace = below(world, 3) > 0;
    put->key = key;
    put->terms = terms;
    put->payload = jobd_blob_text(payloads[below(world, 3)]);
}

static void do_put(struct world *world, struct person *who)
{
    struct jobd_receipt receipt;
    char key[8];
    struct jobd_blob *batch[3] = {NULL};
    struct jobd_put puts[3];
    uint64_t ids[3] = {0};
    struct jobd_put put = {.queue = below(world, QUEUES),
                           .priority = (uint8_t)below(world, JOBD_PRIORITIES),
                           .delay_us = below(world, 3) == 0 ? some_us(world, 50) : 0,
                           .attempts = below(world, 4)};
    if (below(world, 4) == 0) { /* perhaps in the past */
        put.delay_us = 0;
        put.at_us = world->now_us + some_us(world, 50) - some_us(world, 10);
    }
    struct jobd_terms terms = {.expires_us = world->now_us + 1 + some_us(world, 60),
                               .expires_by_wall = below(world, 3) == 0,
                               .keep_us = below(world, 2) == 0 ? 1 + some_us(world, 100) : 0};
    terms.texts[JOBD_GROUP] = disk_groups[below(world, GROUPS)];
    char after[KEPT_AFTER_SIZE];
    after_some(world, after);
    terms.texts[JOBD_AFTER] = after;
    bool calls = below(world, 3) == 0;
    put.terms = below(world, 2) == 0 || calls ? &terms : NULL;
    snprintf(key, sizeof key, "k%u", below(world, 6));
    if (below(world, 3) == 0)
        be_unique(world, &put, &terms, key);
    else if (below(world, 5) == 0) {
        put.batch = batch;
        put.batch_len = 1 + below(world, 3);
        put.batch_callback = calls ? "u" : NULL;
    } else if (below(world, 5) == 0) {
        put.batch_callback = calls ? "u" : NULL;
        for (unsigned i = 0; i < 3; i++) {
            puts[i] = put;
            puts[i].key = below(world, 2) == 0 ? key : NULL;
        }
        put.puts = puts;
        put.ids = ids;
        put.batch_len = 1 + below(world, 3);
    } else {
        put.key = below(world, 3) == 0 ? key : NULL;
        put.payload = below(world, 2) == 0 ? jobd_blob_text("hello") : NULL;
    }
    terms.texts[JOBD_CALLBACK] = calls && put.batch_len == 0 ? "u" : NULL;
    bool room = below(world, 4) == 0;
    who->waiter.deadline_us = room ? world->now_us + some_us(world, 40) : JOBD_NEVER;
    enum jobd_result result =
        room ? jobd_put_wait(world->jobd, &put, &who->waiter, world->now_us, &receipt)
             : jobd_put(world->jobd, &put, &who->waiter, world->now_us, &receipt);
    bool taken = result == JOBD_PENDING ? who->waiter.accepted : result == JOBD_OK;
    if (!taken &&
        result == JOBD_PENDING) { /* it waits for room: let it go again, to keep it easy */
        verify(jobd_cancel_wait(world->jobd, &who->waiter));
        result = JOBD_FULL;
    }
    if (!taken)
        jobd_blob_unref(put.payload);
    else if (put.puts != NULL) /* the last of them that is new */
        for (unsigned i = 0; i < put.batch_len; i++)
            receipt.id = ids[i] > receipt.id ? ids[i] : receipt.id;
    uint32_t more = put.puts == NULL && put.batch_len > 0 ? put.batch_len : 1;
    if (taken && receipt.id + more >= world->next_id)
        world->next_id = receipt.id + more;
    who->id = receipt.id;
    ask(who, 'p', result);
}

/* A verb about one job says what is on disk, or waits until that is what will stay. */
static void ask_of_one(struct person *who, char verb, enum jobd_result result)
{
    const struct kept *kept = &disk.jobs[who->id];
    bool is_final = kept->there && jobd_state_final(kept->record.state);
    verify(result != JOBD_CHANGING);
    verify(result != JOBD_FINISHED || !kept->there || is_final);
    verify(result != JOBD_NOT_FINAL || !is_final);
    ask(who, verb, result);
}

/* A worker takes a job, or ends the one it has. */
static void do_work(struct world *world)
{
    unsigned which = below(world, (QUEUES + 1) * WORKERS);
    struct person *worker = &world->workers[which];
    if (worker->runs) {
        struct jobd_outcome outcome = any_outcome(world);
        jobd_finish(world->jobd, &worker->waiter.task, &outcome, world->now_us);
        worker->runs = false;
        return;
    }
    if (worker->waits)
        return;
    *worker = person_new();
    worker->waiter.uncounted = true;
    worker->waiter.at_once = true;
    enum jobd_result result =
        jobd_take(world->jobd, which / WORKERS, &worker->waiter, world->now_us);
    worker->id = result == JOBD_PENDING ? worker->waiter.task.id : 0;
    ask(worker, 'w', result);
}

static void do_amend(struct world *world, struct person *who)
{
    struct jobd_amendment to = {.start = below(world, 2) == 0,
                                .delay_us = below(world, 2) == 0 ? some_us(world, 50) : 0,
                                .to_priority = below(world, 2) == 0,
                                .priority = (uint8_t)below(world, JOBD_PRIORITIES)};
    if (to.start && to.delay_us == 0 && below(world, 2) == 0)
        to.at_us = world->now_us + some_us(world, 50);
    if (below(world, 4) == 0)
        to.expires_us = world->now_us + some_us(world, 300);
    who->id = any_id(world);
    ask_of_one(who, 'n', jobd_amend(world->jobd, who->id, &to, &who->waiter, world->now_us));
}

/* The filters live as long as those who ask. */
static void do_change_all(struct world *world, struct person *who)
{
    struct jobd_filter *filter = &world->filters[who - world->people];
    *filter = (struct jobd_filter){.queue = below(world, QUEUES + 1),
                                   .state = (enum jobd_state)below(world, JOBD_STATES + 1)};
    if (filter->queue == QUEUES)
        filter->queue = JOBD_NO_QUEUE;
    if (below(world, 2) == 0)
        filter->since_us = world->now_us - some_us(world, 200);
    filter->wall_ahead_us = disk.wall_ahead_us;
    ask(who, 'b',
        jobd_change_all(world->jobd, (enum jobd_bulk)below(world, JOBD_CANCEL_ALL + 1), filter,
                        &who->waiter, world->now_us));
}

static struct jobd_limits some_limits(struct world *world)
{
    return (struct jobd_limits){
        .running = below(world, 5), .starts = below(world, 5), .per_us = 1 + some_us(world, 50)};
}

/* A queue takes no more jobs in, or does again; or its terms are others. */
static void come_or_go(struct world *world)
{
    static const char *const names[QUEUES] = {"one", "two"};
    uint32_t index = below(world, QUEUES), number;
    struct jobd_queue_config config = {.name = names[index],
                                       .capacity = CAPACITY,
                                       .workers = WORKERS,
                                       .attempts = index == 0 ? 1 : 3};
    config.limits = some_limits(world);
    config.group_limits = some_limits(world);
    config.by_group = below(world, 2) == 0;
    config.group_waiting = below(world, 6);
    if (below(world, 2) == 0 && !(index == 1 && disk.two_undeclared))
        verify(jobd_queue_change(world->jobd, index, &config, world->now_us) == 0);
    else if (jobd_queue_declared(world->jobd, index))
        jobd_queue_retire(world->jobd, index, world->now_us);
    else if (!(index == 1 && disk.two_undeclared))
        verify(jobd_queue_add(world->jobd, &config, world->now_us, &number) == 1);
}

static void do_something(struct world *world)
{
    struct person *who = free_person(world);
    struct jobd_receipt receipt;
    uint32_t purged;
    unsigned which = below(world, 27);
    if (who != NULL && below(world, 100) == 0) {
        uint32_t queue = below(world, 4) == 0 ? JOBD_NO_QUEUE : below(world, QUEUES);
        ask(who, 'k',
            jobd_pause(world->jobd, queue, below(world, 3) == 0, &who->waiter, world->now_us));
        return;
    }
    if (who == NULL || which < 6) {
        do_work(world);
    } else if (which < 11) {
        do_put(world, who);
    } else if (which < 13) {
        who->id = any_id(world);
        ask_of_one(who, 'c', jobd_cancel(world->jobd, who->id, &who->waiter, world->now_us));
    } else if (which < 15) {
        who->id = any_id(world);
        ask_of_one(who, 'a',
                   jobd_retry(world->jobd, who->id, &who->waiter, world->now_us, &receipt));
    } else if (which < 17) {
        do_lease(world, who);
    } else if (which < 19) {
        do_with_lease(world, who);
    } else if (which < 21) {
        do_amend(world, who);
    } else if (which < 22) {
        who->id = any_id(world);
        ask_of_one(who, 'f', jobd_forget(world->jobd, who->id, &who->waiter, world->now_us));
    } else if (which >= 23) {
        const struct schedule_step_world steps = {&world->chance, world->jobd, world->now_us,
                                                  &world->next_id};
        ask(who, 's', schedule_step(&steps, &who->waiter));
    } else if (below(world, 4) == 0) {
        come_or_go(world);
    } else if (below(world, 4) == 0) {
        uint32_t from = below(world, QUEUES);
        const struct jobd_route route = {.from = from, .to = QUEUES - 1 - from};
        ask(who, 'm', jobd_move(world->jobd, &route, &who->waiter, world->now_us, &purged));
    } else if (below(world, 4) == 0) {
        do_change_all(world, who);
    } else if (below(world, 10) == 0) {
        ask(who, 'u',
            jobd_purge(world->jobd, below(world, QUEUES + 1), &who->waiter, world->now_us,
                       &purged));
    } else if (below(world, 4) == 0) { /* somebody hangs up */
        who = &world->people[below(world, ACTORS)];
        if (who->waits && jobd_cancel_wait(world->jobd, &who->waiter)) {
            who->waits = false;
            who->verb = '\0';
        }
    }
}

static bool same_record(void *context, enum row_kind kind, const struct job_record *now)
{
    const struct kept *kept = context;
    const struct job_record *record = &kept->record;
    if (kind != ROW_ADD)
        return true;
    verify(now->payload == kept->payload && now->priority == record->priority);
    verify(now->attempts == record->attempts && strcmp(now->key, kept->key) == 0);
    verify(now->keep_us == record->keep_us && now->timeout_us == record->timeout_us);
    verify((now->unique_until_us == 0) == (record->unique_until_us == 0));
    return true;
}

/* When nothing is on its way, what a job was put with is on disk as it is here, replaced or not. */
static void compare_contents(struct world *world)
{
    if (!journal_empty(world->jobd))
        return;
    for (uint64_t id = world->next_id > 60 ? world->next_id - 60 : 1; id < world->next_id; id++) {
        if (state_of(world->jobd, id) == JOBD_STATES)
            continue;
        verify(journal_record(world->jobd, id, false, same_record, &disk.jobs[id]));
        disk_compare_token(world->jobd, id);
    }
}

/* What can be seen is on disk; but for what its loss does no harm. */
static void compare(struct world *world)
{
    for (uint64_t id = world->next_id > 60 ? world->next_id - 60 : 1; id < world->next_id; id++) {
        const struct kept *kept = &disk.jobs[id];
        enum jobd_state seen = state_of(world->jobd, id);
        if (seen == JOBD_STATES) /* not written yet, forgotten, or never let in */
            continue;
        struct jobd_info info;
        verify(kept->there && jobd_get(world->jobd, id, &info) == JOBD_OK);
        verify(strcmp(jobd_queue_name(world->jobd, info.queue), kept->record.queue) == 0);
        enum jobd_state there = kept->record.state;
        if (jobd_state_final(seen) || jobd_state_final(there))
            verify(seen == there);
        else if (there == JOBD_RUNNING)
            verify(seen == JOBD_RUNNING);
    }
}

/* When nothing is on its way, a queue is paused where it is on disk. */
static void compare_pauses(struct world *world)
{
    struct jobd_stats stats;
    for (uint32_t i = 0; journal_empty(world->jobd) && i < QUEUES; i++) {
        jobd_stats(world->jobd, i, world->now_us, &stats);
        verify(stats.paused == disk.paused[i]);
    }
}

/* A state's list has all that can be seen in it, also what is just about to leave it. */
static void compare_lists(struct world *world)
{
    uint64_t after = world->next_id > 60 ? world->next_id - 60 : 0;
    for (unsigned state = 0; state < JOBD_STATES; state++) {
        struct jobd_filter filter = {.queue = JOBD_NO_QUEUE, .state = (enum jobd_state)state};
        struct jobd_info infos[5];
        uint64_t id = after + 1, next = after;
        do {
            filter.after = next;
            size_t len = jobd_list(world->jobd, &filter, infos, 5, &next);
            for (size_t i = 0; i < len; id++) {
                verify(id <= infos[i].id);
                if (id == infos[i].id)
                    verify(infos[i++].state == filter.state);
                else
                    verify(state_of(world->jobd, id) != filter.state);
            }
        } while (next != 0);
        for (; id < world->next_id; id++)
            verify(state_of(world->jobd, id) != filter.state);
    }
}

static void check_restored(struct world *world)
{
    for (uint64_t id = 1; id < world->next_id; id++) {
        const struct kept *kept = &disk.jobs[id];
        struct jobd_info info;
        if (jobd_get(world->jobd, id, &info) != JOBD_OK) {
            verify(!kept->there || jobd_state_final(kept->record.state)); /* beyond keep */
            continue;
        }
        verify(kept->there && info.queue <= QUEUES);
        if (jobd_state_final(kept->record.state))
            verify(info.state == kept->record.state);
        else if (kept->record.state == JOBD_RUNNING)
            verify(info.state == JOBD_RUNNING && info.attempt == kept->record.attempt);
        else if (!kept->record.delayed)
            verify(info.state == JOBD_QUEUED || info.state == JOBD_BLOCKED);
        struct jobd_blob *payload;
        verify(jobd_get_blob(world->jobd, id, JOBD_PAYLOAD, &payload) == JOBD_OK);
        verify(payload == kept->payload);
        jobd_blob_unref(payload);
        verify(info.has_worker == (kept->worker != NULL));
        verify(info.has_progress == (kept->progress != NULL));
        struct jobd_blob *errors;
        int64_t last_us;
        verify(jobd_get_errors(world->jobd, id, &errors, &last_us) == JOBD_OK);
        verify(errors == kept->errors && (errors == NULL || last_us == -kept->record.errors_us));
        jobd_blob_unref(errors);
    }
}

/* ---- clocks over a crash */

/* What a lease has left it had when the last group was written; it is never more than was given. */
static void check_lease(struct world *world, const struct kept *kept)
{
    const struct before *before = &world->before;
    const struct lease *lease = lease_find(&world->jobd->leases, kept->token);
    if (lease == NULL || lease->job == NULL)
        return;
    int64_t left_us = lease->due.at_us - world->now_us;
    int64_t then_us = kept->record.expires_us - before->times.serving_ahead_us - before->written_us;
    int64_t given_us = kept->record.expires_us - kept->record.began_us;
    verify(left_us >= (then_us < given_us ? then_us : given_us));
    verify(left_us <= then_us + KEPT_LATE_US && left_us <= given_us);
}

/* An instant is one of the wall clock, unless that has gone back. True: it is, and was looked at.
 */
static bool check_instant(struct world *world, const struct kept *kept,
                          const struct jobd_info *info)
{
    const struct before *before = &world->before;
    int64_t wall_us = world->now_us + disk.wall_ahead_us;
    if (!kept->record.by_wall || wall_us < before->wall_us)
        return false;
    int64_t left_us = kept->record.at_us - wall_us;
    verify((info->state == JOBD_SCHEDULED) == (left_us > 0));
    verify(info->state != JOBD_SCHEDULED || info->run_at_us - world->now_us == left_us);
    return true;
}

/* A delay goes on while nobody serves, but never back, whatever the wall clock says. */
static void check_delay(struct world *world, const struct kept *kept)
{
    const struct before *before = &world->before;
    struct jobd_info info;
    int64_t wall_us = world->now_us + disk.wall_ahead_us;
    int64_t away_us = wall_us > before->wall_us ? wall_us - before->wall_us : 0;
    int64_t then_us = kept->record.ready_us - before->times.database_ahead_us - before->written_us;
    verify(jobd_get(world->jobd, kept->record.id, &info) == JOBD_OK);
    if (!kept->record.delayed || jobd_state_final(info.state) || info.state == JOBD_RUNNING ||
        info.state == JOBD_BLOCKED)
        return;
    if (check_instant(world, kept, &info))
        return;
    int64_t left_us = info.state == JOBD_SCHEDULED ? info.run_at_us - world->now_us : 0;
    int64_t least_us = then_us - away_us - MEASURED_US;
    verify(left_us >= least_us || info.state != JOBD_SCHEDULED || least_us < 0);
    verify(info.state == JOBD_SCHEDULED || least_us <= 0);
    verify(left_us <= KEPT_LATE_US || left_us <= then_us - away_us + KEPT_LATE_US);
}

/* So does a moment at which a job expires; one of the wall clock is as check_instant() says. */
static void check_expiry(struct world *world, const struct kept *kept, const struct jobd_info *info)
{
    const struct before *before = &world->before;
    const struct job_record *record = &kept->record;
    int64_t wall_us = world->now_us + disk.wall_ahead_us;
    int64_t away_us = wall_us > before->wall_us ? wall_us - before->wall_us : 0;
    int64_t left_us = info->expires_us - world->now_us;
    int64_t then_us = record->expiry_us - before->times.database_ahead_us - before->written_us;
    if (record->unexpiring || record->expiry_us == 0)
        verify(info->expires_us == 0);
    else if (record->expiry_at_us != 0 && wall_us >= before->wall_us)
        verify(left_us == record->expiry_at_us - wall_us);
    else if (!jobd_state_final(info->state))
        verify(left_us >= then_us - away_us - MEASURED_US &&
               (left_us <= KEPT_LATE_US || left_us <= then_us - away_us + KEPT_LATE_US));
}

static void check_clocks(struct world *world)
{
    for (uint64_t id = 1; id < world->next_id; id++) {
        const struct kept *kept = &disk.jobs[id];
        struct jobd_info info;
        if (!kept->there || jobd_get(world->jobd, id, &info) != JOBD_OK)
            continue;
        verify(info.created_us == -kept->record.created_us);
        check_expiry(world, kept, &info);
        if (kept->record.state == JOBD_RUNNING)
            check_lease(world, kept);
        else if (!jobd_state_final(kept->record.state))
            check_delay(world, kept);
    }
}

/* Where a wall clock may be. */
static int64_t some_wall(struct world *world)
{
    static const int64_t off_us[] = {0, 0, 10 * YEAR_US, -10 * YEAR_US};
    return off_us[below(world, 4)];
}

static void drop_people(struct world *world)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        struct person *who = &world->people[i];
        if (!who->waits && who->verb == 'l' && who->waiter.result == JOBD_OK)
            jobd_blob_unref(who->waiter.task.payload);
        if (who->waits && who->verb == 'g')
            verify(reports_on_disk(who) == 0);
        if (who->waits && jobd_cancel_wait(world->jobd, &who->waiter))
            who->waits = false;
        *who = person_new();
    }
    for (unsigned i = 0; i < sizeof world->workers / sizeof world->workers[0]; i++)
        if (world->workers[i].waits)
            verify(jobd_cancel_wait(world->jobd, &world->workers[i].waiter));
    memset(world->workers, 0, sizeof world->workers);
}

/* The next process begins by its wall clock, some time later. */
static void crash(struct world *world)
{
    if (disk.written_us > 0) /* else this process has written nothing */
        world->before = (struct before){
            .written_us = disk.written_us, .wall_us = disk.written_wall_us, .times = disk.times};
    drop_people(world);
    jobd_free(world->jobd);
    world->passed_us += some_us(world, 100);
    world->off_us = some_wall(world);
    world->now_us = BEGAN_US + world->passed_us + world->off_us;
    disk.wall_ahead_us = disk.written_us = 0;
    disk.two_undeclared = below(world, 4) == 0;
    disk.limits = below(world, 3) > 0;
    world->jobd = disk_restore(world->next_id, world->now_us);
    check_restored(world);
    after_restored(world);
    check_clocks(world);
}

/* What ended too long ago is forgotten, and whoever waits for time to pass is told of what is not.
 */
static void check_kept(struct world *world)
{
    struct jobd *jobd = world->jobd;
    mutex_lock(&jobd->lock);
    verify(keep_next_end_us(&jobd->jobs) > world->now_us);
    verify(jobd->ticks_at_us <= keep_next_end_us(&jobd->jobs));
    mutex_unlock(&jobd->lock);
}

/* Nobody waits for a change when none is on its way. */
static void check_waits(struct world *world)
{
    for (unsigned i = 0; i < ACTORS && journal_empty(world->jobd); i++) {
        const struct person *who = &world->people[i];
        verify(!who->waits || strchr("cafnbum", who->verb) == NULL);
    }
}

static void pass_time(struct world *world)
{
    int64_t us = some_us(world, 20);
    world->now_us += us;
    world->passed_us += us;
    verify(jobd_tick(world->jobd, world->now_us) > world->now_us);
    check_kept(world);
    check_waits(world);
    if (below(world, 100) > 0)
        return;
    int64_t off_us = some_wall(world); /* the wall clock is set */
    disk.wall_ahead_us += off_us - world->off_us;
    world->off_us = off_us;
}

static void test_at_random(void **state)
{
    static struct world world;
    (void)state;
    world = (struct world){.chance = chance_begin(), .now_us = BEGAN_US, .next_id = 1};
    disk.limits = true;
    world.worker = jobd_blob_text("box7");
    verify(world.worker != NULL);
    world.jobd = disk_restore(1, world.now_us);
    for (unsigned step = 0; step < STEPS && world.next_id < IDS - 100; step++) {
        unsigned which = below(&world, 100);
        if (which < 70)
            do_something(&world);
        else if (which < 71)
            (void)disk_break_group(world.jobd, 1 + below(&world, 8), below(&world, 2) == 0,
                                   world.now_us);
        else if (which < 90)
            (void)disk_write_group(world.jobd, 1 + below(&world, 8),
                                   below(&world, 6) == 0 ? below(&world, 4) : SIZE_MAX,
                                   world.now_us);
        else if (which < 99)
            pass_time(&world);
        else if (below(&world, 3) == 0)
            journal_refuse(world.jobd, below(&world, 2) == 0, world.now_us);
        else
            crash(&world);
        check_engine(world.jobd);
        if (disk.highest >= world.next_id) /* deliveries */
            world.next_id = disk.highest + 1;
        compare(&world);
        after_compare(&world);
        compare_contents(&world);
        compare_pauses(&world);
        disk_compare_batches(world.jobd, world.next_id, world.now_us);
        compare_lists(&world);
        schedule_disk_compare(world.jobd);
    }
    crash(&world);
    jobd_free(world.jobd);
    jobd_blob_unref(world.worker);
    disk_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_at_random)};
    return cmocka_run_group_tests_name("journal, at random", tests, NULL, NULL);
}
