/* SPDX-License-Identifier: MIT */
/* The engine with a journal, driven at random, with crashes in between. SEED=n in the environment
 * repeats the run that printed n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/chance.h"
#include "engine/model/check_engine.h"
#include "engine/journal_scene.h"
#include "base/verify.h"

enum { ACTORS = 12, STEPS = 60000 };

struct world {
    struct chance chance;
    struct jobd *jobd;
    int64_t now_us;
    uint64_t next_id; /* above all that were given out */
    struct person people[ACTORS], workers[2 * QUEUES * WORKERS];
    char tokens[64][JOBD_TOKEN_SIZE];
    unsigned tokens_made;
};

static unsigned below(struct world *world, unsigned bound)
{
    return chance_below(&world->chance, bound);
}

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

static void ask(struct person *who, char verb, enum jobd_result result)
{
    who->verb = result == JOBD_PENDING ? verb : '\0';
    who->waits = result == JOBD_PENDING;
}

static uint64_t any_id(struct world *world)
{
    uint64_t newest = world->next_id > 1 ? world->next_id - 1 : 1;
    uint64_t back = below(world, 40);
    return newest > back ? newest - back : 1;
}

static void do_put(struct world *world, struct person *who)
{
    struct jobd_receipt receipt;
    char key[8];
    struct jobd_blob *batch[3] = {NULL};
    struct jobd_put put = {.queue = below(world, QUEUES),
                           .priority = (uint8_t)below(world, JOBD_PRIORITIES),
                           .delay_us = below(world, 3) == 0 ? below(world, 50) : 0,
                           .attempts = below(world, 4)};
    snprintf(key, sizeof key, "k%u", below(world, 6));
    if (below(world, 5) == 0) {
        put.batch = batch;
        put.batch_len = 1 + below(world, 3);
    } else {
        put.key = below(world, 3) == 0 ? key : NULL;
        put.payload = below(world, 2) == 0 ? jobd_blob_text("hello") : NULL;
    }
    bool room = below(world, 4) == 0;
    who->waiter.deadline_us = room ? world->now_us + below(world, 40) : JOBD_NEVER;
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
    else if (receipt.id + put.batch_len >= world->next_id)
        world->next_id = receipt.id + (put.batch_len > 0 ? put.batch_len : 1);
    who->id = receipt.id;
    ask(who, 'p', result);
}

static struct jobd_outcome any_outcome(struct world *world)
{
    struct jobd_outcome outcome = {.state = below(world, 2) == 0 ? JOBD_DONE : JOBD_FAILED};
    outcome.for_good = below(world, 3) == 0;
    outcome.output = below(world, 3) == 0 ? jobd_blob_text("output") : NULL;
    outcome.error = outcome.state == JOBD_FAILED ? jobd_blob_text("error") : NULL;
    return outcome;
}

static void do_lease(struct world *world, struct person *who)
{
    who->waiter.lease_us = 1 + below(world, 60);
    who->waiter.no_wait = true;
    char *token = world->tokens[world->tokens_made % 64];
    snprintf(token, JOBD_TOKEN_SIZE, "%032x", ++world->tokens_made);
    strcpy(who->waiter.token, token);
    enum jobd_result result =
        jobd_take(world->jobd, below(world, QUEUES), &who->waiter, world->now_us);
    who->id = result == JOBD_PENDING ? who->waiter.task.id : 0;
    ask(who, 'l', result);
}

static void do_with_lease(struct world *world, struct person *who)
{
    const char *token = world->tokens[below(world, 64)];
    unsigned which = below(world, 3);
    if (token[0] == '\0')
        return;
    if (which == 0) {
        ask(who, 'e',
            jobd_lease_extend(world->jobd, token, 1 + below(world, 60), &who->waiter,
                              world->now_us));
    } else if (which == 1) {
        ask(who, 'r',
            jobd_lease_release(world->jobd, token, below(world, 30), &who->waiter, world->now_us));
    } else {
        const struct jobd_outcome outcome = any_outcome(world);
        enum jobd_result result =
            jobd_lease_finish(world->jobd, token, &outcome, &who->waiter, world->now_us);
        if (result != JOBD_PENDING) {
            jobd_blob_unref(outcome.output);
            jobd_blob_unref(outcome.error);
        }
        ask(who, 'd', result);
    }
}

/* A worker takes a job, or ends the one it has. */
static void do_work(struct world *world)
{
    unsigned which = below(world, QUEUES * WORKERS);
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
    worker->waiter.no_wait = true;
    enum jobd_result result =
        jobd_take(world->jobd, which / WORKERS, &worker->waiter, world->now_us);
    worker->id = result == JOBD_PENDING ? worker->waiter.task.id : 0;
    ask(worker, 'w', result);
}

static void do_something(struct world *world)
{
    struct person *who = free_person(world);
    struct jobd_receipt receipt;
    uint32_t purged;
    unsigned which = below(world, 20);
    if (who == NULL || which < 6) {
        do_work(world);
    } else if (which < 11) {
        do_put(world, who);
    } else if (which < 13) {
        who->id = any_id(world);
        ask(who, 'c', jobd_cancel(world->jobd, who->id, &who->waiter, world->now_us));
    } else if (which < 15) {
        who->id = any_id(world);
        ask(who, 'a', jobd_retry(world->jobd, who->id, &who->waiter, world->now_us, &receipt));
    } else if (which < 17) {
        do_lease(world, who);
    } else if (which < 19) {
        do_with_lease(world, who);
    } else if (below(world, 10) == 0) {
        ask(who, 'u',
            jobd_purge(world->jobd, below(world, QUEUES), &who->waiter, world->now_us, &purged));
    } else if (below(world, 4) == 0) { /* somebody hangs up */
        who = &world->people[below(world, ACTORS)];
        if (who->waits && jobd_cancel_wait(world->jobd, &who->waiter)) {
            who->waits = false;
            who->verb = '\0';
        }
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
        verify(kept->there);
        enum jobd_state there = kept->record.state;
        if (jobd_state_final(seen) || jobd_state_final(there))
            verify(seen == there);
        else if (there == JOBD_RUNNING)
            verify(seen == JOBD_RUNNING);
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
        verify(kept->there && info.queue < QUEUES);
        if (jobd_state_final(kept->record.state))
            verify(info.state == kept->record.state);
        else if (kept->record.state == JOBD_RUNNING)
            verify(info.state == JOBD_RUNNING && info.attempt == kept->record.attempt);
        else
            verify(info.state == (kept->record.delayed && kept->record.ready_us > world->now_us
                                      ? JOBD_SCHEDULED
                                      : JOBD_QUEUED));
        struct jobd_blob *payload;
        verify(jobd_part(world->jobd, id, JOBD_PAYLOAD, &payload) == JOBD_OK);
        verify(payload == kept->payload);
        jobd_blob_unref(payload);
    }
}

static void drop_people(struct world *world)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        struct person *who = &world->people[i];
        if (!who->waits && who->verb == 'l' && who->waiter.result == JOBD_OK)
            jobd_blob_unref(who->waiter.task.payload);
        if (who->waits && jobd_cancel_wait(world->jobd, &who->waiter))
            who->waits = false;
        *who = person_new();
    }
    for (unsigned i = 0; i < sizeof world->workers / sizeof world->workers[0]; i++)
        if (world->workers[i].waits)
            verify(jobd_cancel_wait(world->jobd, &world->workers[i].waiter));
    memset(world->workers, 0, sizeof world->workers);
}

static void crash(struct world *world)
{
    drop_people(world);
    jobd_free(world->jobd);
    world->jobd = disk_restore(world->next_id, world->now_us);
    check_restored(world);
}

static void test_at_random(void **state)
{
    static struct world world;
    (void)state;
    world = (struct world){.chance = chance_begin(), .now_us = 1000, .next_id = 1};
    world.jobd = disk_open_engine(CAPACITY, 0, 1);
    for (unsigned step = 0; step < STEPS && world.next_id < IDS - 100; step++) {
        unsigned which = below(&world, 100);
        if (which < 70)
            do_something(&world);
        else if (which < 90)
            (void)disk_write_group(world.jobd, 1 + below(&world, 8),
                                   below(&world, 6) == 0 ? below(&world, 4) : SIZE_MAX,
                                   world.now_us);
        else if (which < 99)
            jobd_tick(world.jobd, world.now_us += below(&world, 20));
        else if (below(&world, 3) == 0)
            journal_refuse(world.jobd, below(&world, 2) == 0, world.now_us);
        else
            crash(&world);
        check_engine(world.jobd);
        compare(&world);
        compare_lists(&world);
    }
    crash(&world);
    jobd_free(world.jobd);
    disk_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_at_random)};
    return cmocka_run_group_tests_name("journal, at random", tests, NULL, NULL);
}
