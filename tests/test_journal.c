/* SPDX-License-Identifier: MIT */
/* The heart with a journal, written by a store that is a table in this test: what is written and
 * what fails, step by step; and driven at random, with crashes in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chance.h"
#include "check_heart.h"
#include "journal.h"
#include "verify.h"

enum {
    QUEUES = 2,
    CAPACITY = 12,
    KEEP = 6,
    WORKERS = 2,
    LEASES = 4,
    ACTORS = 12,
    IDS = 20000,
    STEPS = 60000
};

/* ---- a disk */

struct kept {
    bool there, moved;
    struct record record; /* its texts are these */
    char key[JOBD_KEY_SIZE], trace[JOBD_TRACE_SIZE], token[JOBD_TOKEN_SIZE];
    struct jobd_blob *payload, *output, *error;
};

struct disk {
    struct kept jobs[IDS];
    struct kept *undo[IDS]; /* what the transaction has changed: as it was before */
    unsigned wanted;
};

static struct disk disk;

static struct jobd_blob *share(const struct jobd_blob *blob)
{
    union {
        const struct jobd_blob *read;
        struct jobd_blob *shared;
    } as = {.read = blob};
    return blob != NULL ? jobd_blob_ref(as.shared) : NULL;
}

static void replace(struct jobd_blob **place, const struct jobd_blob *blob)
{
    struct jobd_blob *before = *place;
    *place = share(blob);
    jobd_blob_unref(before);
}

static void keep_progress(struct kept *kept, const struct record *record)
{
    struct record *own = &kept->record;
    kept->moved = true;
    own->state = record->state;
    own->attempt = record->attempt;
    own->ready_us = record->ready_us;
    own->started_us = record->started_us;
    own->finished_us = record->finished_us;
    own->delayed = record->delayed;
    own->stopping = record->stopping;
    own->output_truncated = record->output_truncated;
    own->exited = record->exited;
    own->exit_code = record->exit_code;
    strcpy(kept->token, record->token);
    own->token = kept->token;
    own->expires_us = record->expires_us;
    replace(&kept->output, record->output);
    replace(&kept->error, record->error);
    own->output = kept->output;
    own->error = kept->error;
}

static void forget(struct kept *kept)
{
    jobd_blob_unref(kept->payload);
    jobd_blob_unref(kept->output);
    jobd_blob_unref(kept->error);
    memset(kept, 0, sizeof *kept);
}

static void remember_for_undo(uint64_t id)
{
    if (disk.undo[id] != NULL)
        return;
    struct kept *copy = malloc(sizeof *copy);
    verify(copy != NULL);
    *copy = disk.jobs[id];
    copy->payload = share(copy->payload);
    copy->output = share(copy->output);
    copy->error = share(copy->error);
    disk.undo[id] = copy;
}

static bool write_change(void *context, enum change_kind kind, const struct record *record)
{
    size_t *left = context;
    struct kept *kept = &disk.jobs[record->id];
    verify(record->id < IDS);
    if ((*left)-- == 0)
        return false;
    remember_for_undo(record->id);
    if (kind == CHANGE_REMOVE) {
        forget(kept);
        return true;
    }
    if (kind == CHANGE_ADD) {
        forget(kept);
        kept->there = true;
        kept->record = *record;
        kept->record.queue = strcmp(record->queue, "one") == 0 ? "one" : "two";
        strcpy(kept->key, record->key);
        strcpy(kept->trace, record->trace);
        replace(&kept->payload, record->payload);
    }
    verify(kept->there);
    if (kind == CHANGE_SET)
        keep_progress(kept, record);
    kept->record.key = kept->key;
    kept->record.trace = kept->trace;
    kept->record.token = kept->token;
    kept->record.payload = kept->payload;
    return true;
}

static void end_transaction(bool good)
{
    for (uint64_t id = 0; id < IDS; id++) {
        struct kept *before = disk.undo[id];
        if (before == NULL)
            continue;
        if (good) {
            forget(before);
        } else {
            struct kept *kept = &disk.jobs[id];
            forget(kept);
            *kept = *before;
            kept->record.key = kept->key;
            kept->record.trace = kept->trace;
            kept->record.token = kept->token;
        }
        free(before);
        disk.undo[id] = NULL;
    }
}

static void wanted(void *context)
{
    (void)context;
    disk.wanted++;
}

/* One group: written whole, or failed after so many changes. */
static size_t write_group(struct jobd *jobd, size_t max, size_t fails_after, int64_t now_us)
{
    size_t gathered = journal_gather(jobd, max, SIZE_MAX);
    if (gathered == 0)
        return 0;
    bool good = journal_each(jobd, write_change, &fails_after);
    end_transaction(good);
    if (good)
        journal_written(jobd, now_us);
    else
        journal_failed(jobd, now_us);
    return gathered;
}

static void write_all(struct jobd *jobd, int64_t now_us)
{
    while (write_group(jobd, 64, SIZE_MAX, now_us) > 0)
        ;
}

static void clear_disk(void)
{
    for (uint64_t id = 0; id < IDS; id++)
        if (disk.jobs[id].there)
            forget(&disk.jobs[id]);
    disk.wanted = 0;
}

static struct jobd *open_heart(uint32_t capacity, uint32_t restored, uint64_t first_id)
{
    struct jobd *jobd = NULL;
    struct jobd_queue_config queues[QUEUES] = {
        {.name = "one", .capacity = capacity, .workers = WORKERS, .attempts = 1},
        {.name = "two", .capacity = capacity, .workers = WORKERS, .attempts = 3},
    };
    queues[0].restored = queues[1].restored = restored;
    const struct jobd_config config = {.queues = queues,
                                       .queues_len = QUEUES,
                                       .keep = KEEP,
                                       .memory_bytes = 1 << 20,
                                       .waiters_max = 64,
                                       .leases_max = LEASES,
                                       .first_id = first_id,
                                       .journal = wanted};
    verify(jobd_new(&jobd, &config) == 0);
    return jobd;
}

static int by_end(const void *a, const void *b)
{
    const struct record *one = &(*(struct kept *const *)a)->record;
    const struct record *two = &(*(struct kept *const *)b)->record;
    return (one->finished_us > two->finished_us) - (one->finished_us < two->finished_us);
}

/* A heart from what the disk has. */
static struct jobd *restore(uint64_t first_id, int64_t now_us)
{
    static struct kept *ended[IDS];
    size_t ended_len = 0;
    struct jobd *jobd = open_heart(CAPACITY, CAPACITY + 2 * WORKERS + LEASES, first_id);
    for (uint64_t id = 1; id < IDS; id++)
        if (disk.jobs[id].there && jobd_state_final(disk.jobs[id].record.state))
            ended[ended_len++] = &disk.jobs[id];
    qsort(ended, ended_len, sizeof *ended, by_end);
    for (size_t i = 0; i < ended_len; i++)
        verify(jobd_restore(jobd, &ended[i]->record, now_us));
    for (uint64_t id = 1; id < IDS; id++)
        if (disk.jobs[id].there && !jobd_state_final(disk.jobs[id].record.state))
            verify(jobd_restore(jobd, &disk.jobs[id].record, now_us));
    check_heart(jobd);
    return jobd;
}

/* ---- people */

struct person {
    struct jobd_waiter waiter; /* first */
    bool waits, runs;
    uint64_t id; /* of the put */
    char verb;
};

/* Whoever is told that it is done finds it on disk at that moment; whoever is told that it is not,
 * does not. */
static void hold_to_account(const struct person *who)
{
    const struct kept *kept = &disk.jobs[who->id];
    bool good = who->waiter.result == JOBD_OK;
    switch (who->verb) {
    case 'p':
        verify(good ? kept->there : who->waiter.result != JOBD_STORE || !kept->there);
        break;
    case 'c':
        verify(!good || (kept->there && kept->record.state == JOBD_CANCELLED));
        verify(who->waiter.result != JOBD_STOPPING ||
               (kept->there && (kept->record.stopping || jobd_state_final(kept->record.state))));
        break;
    case 'a':
        verify(!good || (kept->there && kept->record.state == JOBD_QUEUED));
        break;
    case 'l':
        verify(kept->there); /* it may have run out meanwhile */
        verify(!good || kept->record.state != JOBD_RUNNING ||
               strcmp(kept->token, who->waiter.token) == 0);
        verify(good || strcmp(kept->token, who->waiter.token) != 0);
        break;
    default:
        break;
    }
}

static void wake(struct jobd_waiter *waiter)
{
    struct person *who = (struct person *)(void *)waiter;
    who->waits = false;
    hold_to_account(who);
}

static struct person person(void)
{
    return (struct person){.waiter = {.deadline_us = JOBD_NEVER, .wake = wake}};
}

static enum jobd_state state_of(struct jobd *jobd, uint64_t id)
{
    struct jobd_info info;
    return jobd_look(jobd, id, &info) == JOBD_OK ? info.state : JOBD_STATES;
}

static uint64_t put(struct jobd *jobd, struct person *by, const char *key, int64_t now_us)
{
    struct jobd_receipt receipt;
    const struct jobd_put put = {.key = key};
    by->waits = true;
    assert_int_equal(jobd_put(jobd, &put, &by->waiter, now_us, &receipt), JOBD_PENDING);
    return receipt.id;
}

/* ---- step by step */

static void test_nothing_is_seen_before_it_is_written(void **state)
{
    struct jobd *jobd = open_heart(2, 0, 1);
    struct person one = person(), two = person(), three = person();
    struct jobd_receipt receipt;
    const struct jobd_put more = {.priority = 3};
    (void)state;
    uint64_t id = put(jobd, &one, NULL, 1);
    assert_int_equal(disk.wanted, 1);
    put(jobd, &two, NULL, 1);
    assert_int_equal(disk.wanted, 1); /* the store knows already */
    assert_int_equal(state_of(jobd, id), JOBD_STATES);
    assert_int_equal(jobd_put(jobd, &more, &three.waiter, 1, &receipt), JOBD_FULL);
    check_heart(jobd);
    write_all(jobd, 2);
    assert_false(one.waits || two.waits);
    assert_int_equal(one.waiter.result, JOBD_OK);
    assert_int_equal(one.waiter.receipt.id, id);
    assert_int_equal(state_of(jobd, id), JOBD_QUEUED);
    assert_int_equal(jobd_put(jobd, &more, &three.waiter, 3, &receipt), JOBD_FULL);
    jobd_free(jobd);
    clear_disk();
}

static void test_what_fails_was_never_asked(void **state)
{
    struct jobd *jobd = open_heart(2, 0, 1);
    struct person one = person(), two = person(), three = person();
    (void)state;
    uint64_t id = put(jobd, &one, "k", 1);
    assert_int_equal(put(jobd, &two, "k", 1), id); /* the same job, which is not written yet */
    write_group(jobd, 64, 0, 2);
    assert_int_equal(one.waiter.result, JOBD_STORE);
    assert_int_equal(two.waiter.result, JOBD_STORE);
    check_heart(jobd);
    id = put(jobd, &one, "k", 3);
    write_all(jobd, 3);
    assert_int_equal(one.waiter.result, JOBD_OK);

    /* a cancel that fails leaves the job where it was */
    two.waits = true;
    assert_int_equal(jobd_cancel(jobd, id, &two.waiter, 4), JOBD_PENDING);
    assert_int_equal(jobd_take(jobd, 0, &three.waiter, 4), JOBD_PENDING); /* nobody gets it now */
    write_group(jobd, 64, 0, 5);
    assert_int_equal(two.waiter.result, JOBD_STORE);
    assert_int_equal(three.waiter.task.id, id);
    check_heart(jobd);

    /* an end that fails comes again, as its worker will not ask for it again */
    jobd_finish(jobd, &three.waiter.task, &(struct jobd_outcome){.state = JOBD_DONE}, 6);
    write_group(jobd, 64, 0, 7);
    assert_int_equal(state_of(jobd, id), JOBD_RUNNING);
    write_all(jobd, 8);
    assert_int_equal(state_of(jobd, id), JOBD_DONE);
    assert_int_equal(disk.jobs[id].record.state, JOBD_DONE);
    check_heart(jobd);
    jobd_free(jobd);
    clear_disk();
}

static void test_a_refusing_store_lets_jobs_end(void **state)
{
    struct jobd *jobd = open_heart(2, 0, 1);
    struct person one = person(), two = person();
    struct jobd_receipt receipt;
    const struct jobd_put more = {.priority = 3};
    (void)state;
    uint64_t id = put(jobd, &one, NULL, 1);
    write_all(jobd, 1);
    put(jobd, &one, NULL, 2);
    journal_refuse(jobd, true, 2);
    assert_int_equal(one.waiter.result, JOBD_STORE);
    assert_int_equal(jobd_put(jobd, &more, &one.waiter, 2, &receipt), JOBD_STORE);
    two.waits = true;
    assert_int_equal(jobd_cancel(jobd, id, &two.waiter, 3), JOBD_PENDING);
    write_all(jobd, 3);
    assert_int_equal(two.waiter.result, JOBD_OK);
    journal_refuse(jobd, false, 4);
    put(jobd, &one, NULL, 4);
    check_heart(jobd);
    write_all(jobd, 4);
    jobd_free(jobd);
    clear_disk();
}

static struct person lease(struct jobd *jobd, const char *token, int64_t now_us)
{
    struct person worker = person();
    worker.waiter.lease_us = 100;
    worker.waiter.try_only = true;
    strcpy(worker.waiter.token, token);
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, now_us), JOBD_PENDING);
    write_all(jobd, now_us);
    assert_int_equal(worker.waiter.result, JOBD_OK);
    jobd_blob_unref(worker.waiter.task.payload);
    return worker;
}

#define TOKEN "0123456789abcdef0123456789abcdef"

static void test_a_lease_outlives_the_process(void **state)
{
    struct jobd *jobd = open_heart(4, 0, 1);
    struct person one = person();
    const struct jobd_outcome done = {.state = JOBD_DONE};
    (void)state;
    uint64_t id = put(jobd, &one, NULL, 1);
    write_all(jobd, 1);
    (void)lease(jobd, TOKEN, 2);
    jobd_free(jobd);

    jobd = restore(100, 50);
    assert_int_equal(state_of(jobd, id), JOBD_RUNNING);
    one = person();
    assert_int_equal(jobd_lease_finish(jobd, TOKEN, &done, &one.waiter, 60), JOBD_PENDING);
    assert_int_equal(jobd_lease_finish(jobd, TOKEN, &done, NULL, 60), JOBD_LEASE_OVER);
    write_all(jobd, 61);
    assert_int_equal(one.waiter.result, JOBD_OK);
    assert_int_equal(state_of(jobd, id), JOBD_DONE);
    jobd_free(jobd);

    /* one that ran out meanwhile has failed */
    clear_disk();
    jobd = open_heart(4, 0, 1);
    one = person();
    id = put(jobd, &one, NULL, 1);
    write_all(jobd, 1);
    (void)lease(jobd, TOKEN, 2);
    jobd_free(jobd);
    jobd = restore(100, 500);
    jobd_tick(jobd, 500);
    write_all(jobd, 500);
    assert_int_equal(state_of(jobd, id), JOBD_FAILED);
    jobd_free(jobd);
    clear_disk();
}

static void test_who_ran_here_goes_again(void **state)
{
    struct jobd *jobd = open_heart(4, 0, 1);
    struct person one = person(), worker = person();
    struct jobd_info info;
    (void)state;
    uint64_t id = put(jobd, &one, NULL, 1), stopped = put(jobd, &one, NULL, 1);
    write_all(jobd, 1);
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 2), JOBD_OK);
    struct person other = person();
    assert_int_equal(jobd_take(jobd, 0, &other.waiter, 2), JOBD_OK);
    one = person();
    assert_int_equal(jobd_cancel(jobd, stopped, &one.waiter, 3), JOBD_PENDING);
    write_all(jobd, 3);
    assert_int_equal(one.waiter.result, JOBD_STOPPING);
    jobd_free(jobd);

    jobd = restore(100, 50);
    assert_int_equal(jobd_look(jobd, id, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_QUEUED);
    assert_int_equal(info.attempt, 1);
    assert_int_equal(info.attempts, 2);
    write_all(jobd, 51);
    assert_int_equal(state_of(jobd, stopped), JOBD_CANCELLED);
    jobd_free(jobd);
    clear_disk();
}

static void test_giving_up_puts_back(void **state)
{
    struct jobd *jobd = open_heart(4, 0, 1);
    struct person one = person(), worker = person(), idler = person();
    (void)state;
    uint64_t id = put(jobd, &one, NULL, 1), waits = put(jobd, &one, NULL, 1);
    write_all(jobd, 1);
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 2), JOBD_OK);
    jobd_close(jobd);
    assert_int_equal(jobd_await_idle(jobd, &idler.waiter), JOBD_PENDING);
    jobd_abandon(jobd, 3);
    jobd_finish(jobd, &worker.waiter.task, &(struct jobd_outcome){.state = JOBD_CANCELLED}, 4);
    write_all(jobd, 4);
    assert_int_equal(idler.waiter.result, JOBD_OK);
    assert_int_equal(disk.jobs[id].record.state, JOBD_QUEUED);
    assert_int_equal(disk.jobs[id].record.attempt, 0);
    assert_int_equal(disk.jobs[waits].record.state, JOBD_QUEUED);
    jobd_free(jobd);
    clear_disk();
}

static void test_a_purge_is_written_whole(void **state)
{
    struct jobd *jobd = open_heart(1000, 0, 1);
    struct person one = person();
    struct jobd_stats stats;
    uint32_t purged;
    (void)state;
    for (int i = 0; i < 600; i++) {
        struct jobd_receipt receipt;
        const struct jobd_put put = {.delay_us = i % 2 * 1000};
        assert_int_equal(jobd_put(jobd, &put, NULL, 1, &receipt), JOBD_OK);
        write_all(jobd, 1);
    }
    assert_int_equal(jobd_purge(jobd, 0, &one.waiter, 2, &purged), JOBD_PENDING);
    assert_int_equal(purged, 600);
    write_group(jobd, 300, 100, 3); /* a part of it fails: not all that was asked for is done */
    check_heart(jobd);
    write_all(jobd, 3);
    assert_int_equal(one.waiter.result, JOBD_STORE);
    one = person();
    assert_int_equal(jobd_purge(jobd, 0, &one.waiter, 4, &purged), JOBD_PENDING);
    write_all(jobd, 4);
    assert_int_equal(one.waiter.result, JOBD_OK);
    jobd_stats(jobd, 0, 5, &stats);
    assert_int_equal(stats.queued + stats.scheduled, 0);
    check_heart(jobd);
    jobd_free(jobd);
    clear_disk();
}

/* ---- at random */

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
        *who = person();
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
        verify(jobd_unwait(world->jobd, &who->waiter));
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
    who->waiter.try_only = true;
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
    *worker = person();
    worker->waiter.exempt = true;
    worker->waiter.try_only = true;
    worker->runs =
        jobd_take(world->jobd, which / WORKERS, &worker->waiter, world->now_us) == JOBD_OK;
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
        if (who->waits && jobd_unwait(world->jobd, &who->waiter)) {
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
            verify(seen == JOBD_RUNNING || seen == JOBD_QUEUED); /* brought back */
    }
}

static void check_restored(struct world *world)
{
    for (uint64_t id = 1; id < world->next_id; id++) {
        const struct kept *kept = &disk.jobs[id];
        struct jobd_info info;
        if (jobd_look(world->jobd, id, &info) != JOBD_OK) {
            verify(!kept->there || jobd_state_final(kept->record.state)); /* beyond keep */
            continue;
        }
        verify(kept->there && info.queue < QUEUES);
        if (jobd_state_final(kept->record.state))
            verify(info.state == kept->record.state);
        else if (kept->record.state == JOBD_RUNNING && kept->token[0] != '\0')
            verify(info.state == JOBD_RUNNING && info.attempt == kept->record.attempt);
        else
            verify(info.state == JOBD_QUEUED || info.state == JOBD_SCHEDULED);
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
        if (who->waits && jobd_unwait(world->jobd, &who->waiter))
            who->waits = false;
        *who = person();
    }
    memset(world->workers, 0, sizeof world->workers);
}

static void crash(struct world *world)
{
    drop_people(world);
    jobd_free(world->jobd);
    world->jobd = restore(world->next_id, world->now_us);
    check_restored(world);
}

static void test_at_random(void **state)
{
    static struct world world;
    (void)state;
    world = (struct world){.chance = chance_begin(), .now_us = 1000, .next_id = 1};
    world.jobd = open_heart(CAPACITY, 0, 1);
    for (unsigned step = 0; step < STEPS && world.next_id < IDS - 100; step++) {
        unsigned which = below(&world, 100);
        if (which < 70)
            do_something(&world);
        else if (which < 90)
            (void)write_group(world.jobd, 1 + below(&world, 8),
                              below(&world, 6) == 0 ? below(&world, 4) : SIZE_MAX, world.now_us);
        else if (which < 99)
            jobd_tick(world.jobd, world.now_us += below(&world, 20));
        else if (below(&world, 3) == 0)
            journal_refuse(world.jobd, below(&world, 2) == 0, world.now_us);
        else
            crash(&world);
        check_heart(world.jobd);
        compare(&world);
    }
    crash(&world);
    jobd_free(world.jobd);
    clear_disk();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_seen_before_it_is_written),
        cmocka_unit_test(test_what_fails_was_never_asked),
        cmocka_unit_test(test_a_refusing_store_lets_jobs_end),
        cmocka_unit_test(test_a_lease_outlives_the_process),
        cmocka_unit_test(test_who_ran_here_goes_again),
        cmocka_unit_test(test_giving_up_puts_back),
        cmocka_unit_test(test_a_purge_is_written_whole),
        cmocka_unit_test(test_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
