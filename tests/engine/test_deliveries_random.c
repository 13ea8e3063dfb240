/* SPDX-License-Identifier: MIT */
/* Deliveries, driven at random beside a count of what must come: each end of a job, or of a batch,
 * that has a callback brings one, and nothing else does; a put is refused for want of their room
 * exactly when as many wait, or are promised, as may. SEED=n in the environment repeats the run
 * that printed n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/verify.h"
#include "engine/model/check_engine.h"
#include "jobd/batch.h"
#include "jobd/change.h"
#include "jobd/lease.h"
#include "support/chance.h"

enum {
    RUNS = 40,
    STEPS = 1500,
    IDS = 8000,
    WORK = 0,
    OTHER = 1,
    DELIVERIES = 2,
    QUEUES = 3,
    WORKERS = 3,
    CAPACITY = 5,
    BATCH_MAX = 3,
    UNIT_US = 1000
};

/* What is known of an id. */
struct known {
    bool calls, batch_calls; /* a job with a callback; the first of a batch with one */
    enum jobd_state state;   /* JOBD_STATES: there is none (any more) */
    bool batch_over;
    int ends, batch_ends, deliveries, batch_deliveries;
};

struct world {
    struct chance chance;
    struct jobd *jobd;
    int64_t now_us;
    uint64_t next_id;
    struct known ids[IDS];
    struct jobd_waiter workers[QUEUES][WORKERS];
    bool runs[QUEUES][WORKERS];
    unsigned tokens;
};

static struct world world;

static unsigned below(unsigned bound)
{
    return chance_below(&world.chance, bound);
}

static void wake(struct jobd_waiter *waiter)
{
    (void)waiter;
}

/* ---- what must be */

static bool living(enum jobd_state state)
{
    return state != JOBD_STATES && !jobd_state_final(state);
}

static unsigned promised(void)
{
    unsigned all = 0;
    for (uint64_t id = 1; id < world.next_id; id++) {
        const struct known *known = &world.ids[id];
        all += known->calls && living(known->state);
        all += known->batch_calls && !known->batch_over;
    }
    return all;
}

static unsigned waiting_deliveries(void)
{
    struct jobd_stats stats;
    jobd_stats(world.jobd, DELIVERIES, world.now_us, &stats);
    return stats.queued + stats.scheduled;
}

static void note_new(const struct jobd_info *info)
{
    if (info->source > 0)
        world.ids[info->source].deliveries++;
    else if (info->source < 0)
        world.ids[-info->source].batch_deliveries++;
}

static void note_job(uint64_t id)
{
    struct known *known = &world.ids[id];
    struct jobd_info info;
    bool there = jobd_get(world.jobd, id, &info) == JOBD_OK;
    enum jobd_state state = there ? info.state : JOBD_STATES;
    if (known->calls && living(known->state) && !living(state)) {
        verify(there); /* it is pinned */
        known->ends++;
    }
    known->state = state;
}

static void note_batch(uint64_t id)
{
    struct known *known = &world.ids[id];
    struct jobd_batch batch;
    if (!known->batch_calls)
        return;
    bool there = jobd_get_batch(world.jobd, id, world.now_us, &batch) == JOBD_OK;
    verify(there || known->batch_over);
    bool over = !there || batch.finished_us != 0;
    known->batch_ends += over && !known->batch_over;
    known->batch_over = over;
}

static void compare(void)
{
    struct jobd_info info;
    for (uint64_t more = world.next_id; more < world.next_id + 64; more++) /* what is new */
        if (jobd_get(world.jobd, more, &info) == JOBD_OK) {
            note_new(&info);
            world.next_id = more + 1;
        }
    for (uint64_t id = 1; id < world.next_id; id++) {
        const struct known *known = &world.ids[id];
        note_job(id);
        note_batch(id);
        verify(known->ends == known->deliveries);
        verify(known->batch_ends == known->batch_deliveries);
    }
}

/* ---- steps */

enum { AFTER_SIZE = 96, PARENTS_MOST = 3, RECENT = 12 };

/* Some of the last jobs and batches, which may be forgotten; or NULL. */
static const char *after_some(char text[AFTER_SIZE])
{
    char *end = text;
    if (world.next_id <= RECENT || below(3) > 0)
        return NULL;
    if (below(2) == 0)
        end = stpcpy(end, JOBD_AFTER_WHATEVER);
    for (unsigned len = 1 + below(PARENTS_MOST); len > 0; len--)
        end += sprintf(end, "/%s/%llu\n", below(3) == 0 ? "batches" : "jobs",
                       (unsigned long long)world.next_id - 1 - below(RECENT));
    return text;
}

static bool is_full(void)
{
    return waiting_deliveries() + promised() >= CAPACITY;
}

static void put_one(void)
{
    static const char *const keys[] = {NULL, NULL, "a", "b"};
    bool calls = below(2) == 0, full = is_full();
    char after[AFTER_SIZE];
    struct jobd_receipt receipt;
    struct jobd_terms terms = {
        .expires_us = below(4) == 0 ? world.now_us + 5 * UNIT_US : 0,
        .texts = {[JOBD_CALLBACK] = calls ? "u" : NULL, [JOBD_AFTER] = after_some(after)}};
    struct jobd_put put = {.queue = below(2),
                           .priority = (uint8_t)below(JOBD_PRIORITIES),
                           .key = keys[below(4)],
                           .terms = &terms};
    if (put.key != NULL) {
        terms.unique = JOBD_WHILE_ACTIVE;
        terms.replace = below(2) == 0;
    }
    enum jobd_result result = jobd_put(world.jobd, &put, NULL, world.now_us, &receipt);
    verify(result != JOBD_CALLBACKS_FULL || (calls && full));
    if (result != JOBD_OK)
        return;
    bool counts = !receipt.duplicate || receipt.replaced;
    verify(!counts || !calls || !full);
    if (counts)
        world.ids[receipt.id].calls = calls;
    if (!receipt.duplicate) /* it may have ended at once, as one that it waits for has failed */
        world.ids[receipt.id].state = receipt.state;
}

static void put_batch(void)
{
    struct jobd_blob *none[BATCH_MAX] = {NULL};
    struct jobd_receipt receipt;
    bool calls = below(2) == 0, full = is_full();
    char after[AFTER_SIZE];
    const struct jobd_terms terms = {.texts[JOBD_AFTER] = after_some(after)};
    const struct jobd_put put = {.queue = below(2),
                                 .priority = JOBD_PRIORITY_DEFAULT,
                                 .batch = none,
                                 .batch_len = 1 + below(BATCH_MAX),
                                 .terms = &terms,
                                 .batch_callback = calls ? "u" : NULL};
    enum jobd_result result = jobd_put(world.jobd, &put, NULL, world.now_us, &receipt);
    verify(result != JOBD_CALLBACKS_FULL || (calls && full));
    verify(result != JOBD_OK || !calls || !full);
    if (result == JOBD_OK)
        world.ids[receipt.batch].batch_calls = calls;
}

static void work(void)
{
    unsigned queue = below(QUEUES), which = below(WORKERS);
    struct jobd_waiter *worker = &world.workers[queue][which];
    if (world.runs[queue][which]) {
        const struct jobd_outcome outcome = {.state = below(2) == 0 ? JOBD_DONE : JOBD_FAILED,
                                             .for_good = below(3) == 0};
        jobd_finish(world.jobd, &worker->task, &outcome, world.now_us);
        world.runs[queue][which] = false;
        return;
    }
    *worker = (struct jobd_waiter){.deadline_us = JOBD_NEVER, .at_once = true, .wake = wake};
    world.runs[queue][which] = jobd_take(world.jobd, queue, worker, world.now_us) == JOBD_OK;
}

/* Somebody elsewhere takes a job, or ends one, perhaps too late. */
static void lease(void)
{
    struct jobd_waiter taker = {
        .deadline_us = JOBD_NEVER, .at_once = true, .wake = wake, .lease_us = 3 * UNIT_US};
    char token[JOBD_TOKEN_SIZE];
    const struct jobd_outcome outcome = {.state = below(2) == 0 ? JOBD_DONE : JOBD_FAILED};
    if (below(2) == 0) {
        snprintf(taker.token, sizeof taker.token, "%032u", world.tokens + 1);
        world.tokens += jobd_take(world.jobd, below(2), &taker, world.now_us) == JOBD_OK;
    } else {
        snprintf(token, sizeof token, "%032u", world.tokens - below(3) % (world.tokens + 1));
        verify(jobd_lease_finish(world.jobd, token, &outcome, NULL, world.now_us) !=
               JOBD_TOO_MANY_WAITERS);
    }
}

static uint64_t any_id(void)
{
    uint64_t back = 1 + below(25);
    return world.next_id > back ? world.next_id - back : 1;
}

static bool some_are_blocked(void)
{
    struct jobd_stats work, other;
    jobd_stats(world.jobd, WORK, world.now_us, &work);
    jobd_stats(world.jobd, OTHER, world.now_us, &other);
    return work.blocked + other.blocked > 0;
}

static void change_one(void)
{
    struct jobd_receipt receipt;
    uint64_t id = any_id();
    bool full = is_full();
    const struct known *known = &world.ids[id];
    unsigned which = below(6);
    if (which > 3) {
        const struct jobd_amendment to = {.start = below(2) == 0,
                                          .delay_us = (int64_t)below(3) * UNIT_US,
                                          .to_priority = true,
                                          .priority = (uint8_t)below(JOBD_PRIORITIES),
                                          .expires_us = below(3) == 0 ? world.now_us + UNIT_US : 0};
        (void)!jobd_amend(world.jobd, id, &to, NULL, world.now_us);
    } else if (which == 0) {
        (void)jobd_cancel(world.jobd, id, NULL, world.now_us);
    } else if (which == 1) {
        enum jobd_result result = jobd_forget(world.jobd, id, NULL, world.now_us);
        verify(result != JOBD_NEEDED || known->deliveries > 0 || some_are_blocked());
    } else {
        enum jobd_result result = jobd_retry(world.jobd, id, NULL, world.now_us, &receipt);
        verify(result != JOBD_CALLBACKS_FULL || full);
        verify(result != JOBD_OK || !known->calls || !full);
    }
}

static void change_many(void)
{
    struct jobd_waiter waiter = {.deadline_us = JOBD_NEVER, .wake = wake};
    const struct jobd_filter filter = {.queue = below(3) == 0 ? JOBD_NO_QUEUE : below(QUEUES),
                                       .state = (enum jobd_state)below(JOBD_STATES + 1)};
    const uint32_t from = below(2);
    const struct jobd_route route = {.from = from, .to = 1 - from};
    uint32_t purged;
    if (below(3) == 0)
        verify(jobd_purge(world.jobd, below(QUEUES), NULL, world.now_us, &purged) == JOBD_OK);
    else if (below(2) == 0)
        verify(jobd_move(world.jobd, &route, NULL, world.now_us, &purged) == JOBD_OK);
    else
        verify(jobd_change_all(world.jobd, (enum jobd_bulk)below(JOBD_CANCEL_ALL + 1), &filter,
                               &waiter, world.now_us) == JOBD_OK);
}

static void step(void)
{
    unsigned which = below(20);
    if (which < 5)
        put_one();
    else if (which < 7)
        put_batch();
    else if (which < 13)
        work();
    else if (which < 15)
        change_one();
    else if (which < 16)
        lease();
    else if (which < 17 && below(4) == 0)
        change_many();
    else
        world.now_us += (int64_t)below(3) * UNIT_US;
    while (jobd_tick(world.jobd, world.now_us) <= world.now_us)
        ;
}

static void open_it(void)
{
    const struct jobd_queue_config queues[] = {
        {.name = "work",
         .capacity = 6,
         .workers = WORKERS,
         .attempts = 2,
         .backoff_max_us = UNIT_US},
        {.name = "other", .capacity = 5, .workers = WORKERS, .by_group = below(2) == 0},
        {.name = "callbacks",
         .capacity = CAPACITY,
         .workers = WORKERS,
         .attempts = 2,
         .backoff_max_us = 4 * UNIT_US,
         .by_group = below(2) == 0,
         .limits = {.running = below(3)},
         .deliveries = true},
    };
    const struct jobd_config config = {.queues = queues,
                                       .queues_len = QUEUES,
                                       .keep = below(4),
                                       .keep_for_us = below(3) == 0 ? 9 * UNIT_US : 0,
                                       .memory_bytes = below(2) == 0 ? 1 << 20 : 5000 + below(9000),
                                       .waiters_max = 8,
                                       .leases_max = 3,
                                       .first_id = 1};
    verify(jobd_new(&world.jobd, &config) == 0);
}

static void run(void)
{
    open_it();
    for (unsigned i = 0; i < STEPS && world.next_id < IDS - 64; i++) {
        step();
        compare();
        check_engine(world.jobd);
    }
    jobd_cancel_all(world.jobd, world.now_us);
    for (unsigned i = 0; i < QUEUES * WORKERS; i++)
        if (world.runs[i / WORKERS][i % WORKERS])
            jobd_finish(world.jobd, &world.workers[i / WORKERS][i % WORKERS].task,
                        &(struct jobd_outcome){.state = JOBD_DONE}, world.now_us);
    check_engine(world.jobd);
    jobd_free(world.jobd);
}

static void test_at_random(void **state)
{
    (void)state;
    struct chance chance = chance_begin();
    for (unsigned i = 0; i < RUNS; i++) {
        world = (struct world){.chance = chance, .now_us = 1, .next_id = 1};
        for (uint64_t id = 0; id < IDS; id++)
            world.ids[id].state = JOBD_STATES;
        run();
        chance = world.chance;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_at_random)};
    return cmocka_run_group_tests_name("deliveries, at random", tests, NULL, NULL);
}
