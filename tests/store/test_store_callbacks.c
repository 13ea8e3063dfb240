/* SPDX-License-Identifier: MIT */
/* Callbacks on a disk that fails at each write and each sync in turn: an end and the job that tells
 * of it are there together, or neither; and what waits for an end goes on, or is cancelled, behind
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/journal_store.h"
#include "jobd/batch.h"
#include "store/store_scene.h"
#include "support/server.h"

enum { JOBS = 6, ENDS = 2 * JOBS, BATCH = 3, ALL = 64 };

/* What was seen of one job last. */
struct seen {
    uint64_t id;
    bool child;
    enum jobd_state state; /* JOBD_STATES: it is not there */
    unsigned told;         /* deliveries of its ends */
};

struct picture {
    struct seen jobs[2 * JOBS];
    unsigned len;
    uint64_t batch;
    unsigned batch_told;
    bool batch_over;
};

static struct picture picture;

static void settle(struct scene *scene)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    struct problem reason;
    while (!journal_empty(scene->jobd) && !store_failing(scene->store, &reason))
        look_again(deadline_ms, "the journal to be written");
    /* what waits for others goes on */
    while (jobd_tick(scene->jobd, clock_now_us()) <= clock_now_us() && journal_empty(scene->jobd))
        ;
}

static uint64_t put_told(struct scene *scene, const char *after)
{
    struct wait_sync block;
    struct jobd_receipt receipt;
    const struct jobd_terms terms = {
        .texts = {[JOBD_CALLBACK] = "https://app.example", [JOBD_AFTER] = after}};
    const struct jobd_put put = {.terms = &terms, .priority = after != NULL ? 7 : 3};
    assert_int_equal(wait_sync_init(&block), 0);
    enum jobd_result result = done_by(
        scene, &block, jobd_put(scene->jobd, &put, &block.waiter, clock_now_us(), &receipt));
    wait_sync_release(&block);
    return result == JOBD_OK ? receipt.id : 0;
}

static uint64_t put_batch(struct scene *scene)
{
    struct wait_sync block;
    struct jobd_receipt receipt;
    struct jobd_blob *payloads[BATCH] = {NULL};
    const struct jobd_put put = {.batch = payloads,
                                 .batch_len = BATCH,
                                 .priority = 0,
                                 .batch_callback = "https://app.example"};
    assert_int_equal(wait_sync_init(&block), 0);
    enum jobd_result result = done_by(
        scene, &block, jobd_put(scene->jobd, &put, &block.waiter, clock_now_us(), &receipt));
    wait_sync_release(&block);
    return result == JOBD_OK ? receipt.batch : 0;
}

static void retry(struct scene *scene, uint64_t id)
{
    struct wait_sync block;
    struct jobd_receipt receipt;
    assert_int_equal(wait_sync_init(&block), 0);
    (void)done_by(scene, &block,
                  jobd_retry(scene->jobd, id, &block.waiter, clock_now_us(), &receipt));
    wait_sync_release(&block);
}

static void note(uint64_t id, bool child)
{
    if (id != 0)
        picture.jobs[picture.len++] = (struct seen){.id = id, .child = child};
}

/* Each of some jobs has another behind it; they end well, badly, or are cancelled; the first comes
 * again. */
static void run_script(struct scene *scene)
{
    char token[JOBD_TOKEN_SIZE], after[40];
    picture = (struct picture){.len = 0};
    picture.batch = put_batch(scene);
    for (unsigned i = 0; i < JOBS; i++) {
        const uint64_t id = put_told(scene, NULL);
        note(id, false);
        snprintf(after, sizeof after, "job %llu\n", (unsigned long long)id);
        if (id != 0 && i % 2 == 0)
            note(put_told(scene, after), true);
        if (id != 0 && i == JOBS - 1)
            (void)!cancel(scene, id);
    }
    for (unsigned i = 0; i < ENDS; i++) {
        if (lease(scene, i + 1, token) != 0)
            (void)!finish(scene, token, i % 4 == 3 ? JOBD_FAILED : JOBD_DONE);
        settle(scene);
        if (i == ENDS / 2 && picture.len > 0)
            retry(scene, picture.jobs[0].id);
    }
}

static void look(struct scene *scene, struct picture *now)
{
    struct jobd_info infos[ALL];
    struct jobd_batch batch;
    uint64_t next;
    const struct jobd_filter all = {.queue = JOBD_NO_QUEUE, .state = JOBD_STATES};
    const size_t len = jobd_list(scene->jobd, &all, infos, ALL, &next);
    for (unsigned i = 0; i < now->len; i++) {
        now->jobs[i].state = JOBD_STATES;
        now->jobs[i].told = 0;
    }
    now->batch_told = 0;
    for (size_t k = 0; k < len; k++) {
        now->batch_told += infos[k].source < 0 && (uint64_t)-infos[k].source == now->batch;
        for (unsigned i = 0; i < now->len; i++) {
            if (infos[k].id == now->jobs[i].id)
                now->jobs[i].state = infos[k].state;
            now->jobs[i].told +=
                infos[k].source > 0 && (uint64_t)infos[k].source == now->jobs[i].id;
        }
    }
    now->batch_over = jobd_get_batch(scene->jobd, now->batch, clock_now_us(), &batch) == JOBD_OK &&
                      batch.finished_us != 0;
}

static void look_at_last(struct scene *scene)
{
    settle(scene);
    look(scene, &picture);
}

/* Each end has been told of; the first job's perhaps twice. */
static void check(const struct picture *now, const char *what, unsigned nth)
{
    for (unsigned i = 0; i < now->len; i++) {
        const struct seen *job = &now->jobs[i];
        const bool ended = job->state != JOBD_STATES && jobd_state_final(job->state);
        if (job->state == JOBD_STATES || job->told > ended + (unsigned)(i == 0) ||
            job->told < ended)
            fail_msg("%s %u: job %llu is %s, and %u tell of it", what, nth,
                     (unsigned long long)job->id,
                     job->state != JOBD_STATES ? jobd_state_name(job->state) : "gone", job->told);
        if (job->child && job->state == JOBD_DONE && now->jobs[i - 1].state != JOBD_DONE && i != 1)
            fail_msg("%s %u: job %llu is done, %llu, behind which it comes, is %s", what, nth,
                     (unsigned long long)job->id, (unsigned long long)now->jobs[i - 1].id,
                     jobd_state_name(now->jobs[i - 1].state));
    }
    if (now->batch != 0 && now->batch_told != now->batch_over)
        fail_msg("%s %u: %u tell of the batch, which is over: %d", what, nth, now->batch_told,
                 now->batch_over);
}

/* `strict`: what was not seen is not there. What was seen is not undone. */
static void compare(bool strict, const char *what, unsigned nth)
{
    struct picture now = picture;
    struct scene scene = open_scene();
    look(&scene, &now);
    check(&now, what, nth);
    if (nth == 0)
        assert_true(now.len > JOBS && now.batch_over);
    for (unsigned i = 0; i < now.len; i++) {
        const struct seen *before = &picture.jobs[i];
        const bool moved = now.jobs[i].state != before->state || now.jobs[i].told != before->told;
        const bool ended = before->state != JOBD_STATES && jobd_state_final(before->state);
        if (moved && (strict || (ended && i != 0) || now.jobs[i].told < before->told))
            fail_msg("%s %u: job %llu was %s and is %s", what, nth, (unsigned long long)before->id,
                     jobd_state_name(before->state), jobd_state_name(now.jobs[i].state));
    }
    drop_scene(&scene);
}

static const struct script script = {
    .run = run_script, .look = look_at_last, .compare = compare, .calls = ENDS};

static void test_every_write_failing(void **state)
{
    (void)state;
    at_every(&script, FLAW_WRITE);
}

static void test_every_sync_failing(void **state)
{
    (void)state;
    at_every(&script, FLAW_SYNC);
}

static void test_every_write_torn(void **state)
{
    (void)state;
    at_every(&script, FLAW_TEAR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_write_failing),
        cmocka_unit_test(test_every_sync_failing),
        cmocka_unit_test(test_every_write_torn),
    };
    log_setup(LOG_TEXT, LOG_ERROR);
    flaky_install();
    scene_tells = true;
    return cmocka_run_group_tests_name("callbacks on a failing disk", tests, NULL, server_stop_all);
}
