/* SPDX-License-Identifier: MIT */
#include "store/store_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/journal_store.h"
#include "jobd/schedule.h"
#include "run/wait_sync.h"
#include "store/database.h"
#include "support/server.h"
#include "support/temporary.h"
#include "jobd/lease.h"

char folder[160];
bool scene_tells;
static unsigned folders;

void fresh_folder(void)
{
    temporary_remove_all();
    snprintf(folder, sizeof folder, "%s/store-%u", temporary_directory(), ++folders);
}

struct jobd *engine_for(struct store *store, uint32_t capacity, uint32_t keep)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queues[] = {
        {.name = "default",
         .capacity = capacity,
         .workers = 1,
         .attempts = 2,
         .restored = store_waiting(store, "default")},
        {.name = "callbacks",
         .capacity = capacity,
         .workers = 1,
         .attempts = 2,
         .restored = scene_tells ? store_waiting(store, "callbacks") : 0,
         .deliveries = true},
    };
    const struct jobd_schedule_config schedules = {.max = 8, .restored = store_schedules(store)};
    assert_int_equal(jobd_new(&jobd, &(struct jobd_config){.queues = queues,
                                                           .queues_len = scene_tells ? 2 : 1,
                                                           .keep = keep,
                                                           .memory_bytes = 64 << 20,
                                                           .waiters_max = 64,
                                                           .leases_max = 64,
                                                           .first_id = store_first_id(store),
                                                           .schedules = &schedules,
                                                           .on_journal_ready = {.call = store_wake,
                                                                                .context = store}}),
                     0);
    return jobd;
}

struct scene open_scene(void)
{
    struct problem problem;
    struct scene scene = {.store = store_open(folder, STORE_SYNC_COMMIT, &problem)};
    if (scene.store == NULL)
        fail_msg("%s", problem.text);
    scene.jobd = engine_for(scene.store, CAPACITY, KEEP);
    if (!store_load(scene.store, scene.jobd, clock_now_us(), &problem))
        fail_msg("%s", problem.text);
    assert_int_equal(store_start(scene.store, scene.jobd), 0);
    return scene;
}

void drop_scene(struct scene *scene)
{
    store_free(scene->store);
    jobd_free(scene->jobd);
}

void await_health(struct scene *scene)
{
    struct problem reason;
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (store_failing(scene->store, &reason))
        look_again(deadline_ms, reason.text);
}

enum jobd_result done_by(struct scene *scene, struct wait_sync *block, enum jobd_result result)
{
    return result == JOBD_PENDING ? wait_sync_until(block, scene->jobd, JOBD_NEVER) : result;
}

enum jobd_result put(struct scene *scene, const char *text, const char *key, uint64_t *id)
{
    struct wait_sync block;
    struct jobd_receipt receipt;
    const struct jobd_put put = {.payload = jobd_blob_text(text), .key = key};
    assert_int_equal(wait_sync_init(&block), 0);
    enum jobd_result result = done_by(
        scene, &block, jobd_put(scene->jobd, &put, &block.waiter, clock_now_us(), &receipt));
    if (!block.waiter.accepted)
        jobd_blob_unref(put.payload);
    *id = result == JOBD_OK ? receipt.id : 0;
    wait_sync_release(&block);
    return result;
}

enum jobd_result cancel(struct scene *scene, uint64_t id)
{
    struct wait_sync block;
    assert_int_equal(wait_sync_init(&block), 0);
    enum jobd_result result =
        done_by(scene, &block, jobd_cancel(scene->jobd, id, &block.waiter, clock_now_us()));
    wait_sync_release(&block);
    return result;
}

uint64_t lease(struct scene *scene, unsigned number, char token[JOBD_TOKEN_SIZE])
{
    struct wait_sync block;
    assert_int_equal(wait_sync_init(&block), 0);
    snprintf(token, JOBD_TOKEN_SIZE, "%032x", number);
    memcpy(block.waiter.token, token, JOBD_TOKEN_SIZE);
    block.waiter.lease_us = 3600 * CLOCK_SECOND_US;
    block.waiter.at_once = true;
    enum jobd_result result =
        done_by(scene, &block, jobd_take(scene->jobd, 0, &block.waiter, clock_now_us()));
    uint64_t id = result == JOBD_OK ? block.waiter.task.id : 0;
    if (result == JOBD_OK)
        jobd_blob_unref(block.waiter.task.payload);
    wait_sync_release(&block);
    return id;
}

enum jobd_result finish(struct scene *scene, const char *token, enum jobd_state state)
{
    struct wait_sync block;
    const struct jobd_outcome outcome = {
        .state = state, .for_good = true, .output = jobd_blob_text("output")};
    assert_int_equal(wait_sync_init(&block), 0);
    enum jobd_result result =
        done_by(scene, &block,
                jobd_lease_finish(scene->jobd, token, &outcome, &block.waiter, clock_now_us()));
    if (result == JOBD_TOO_MANY_WAITERS || result == JOBD_NO_LEASE || result == JOBD_LEASE_EXPIRED)
        jobd_blob_unref(outcome.output);
    wait_sync_release(&block);
    return result;
}

const char *payload_of(struct jobd *jobd, uint64_t id, char out[16])
{
    struct jobd_blob *payload = NULL;
    assert_int_equal(jobd_get_blob(jobd, id, JOBD_PAYLOAD, &payload), JOBD_OK);
    assert_non_null(payload);
    assert_true(payload->size < 16);
    memcpy(out, payload->bytes, payload->size);
    out[payload->size] = '\0';
    jobd_blob_unref(payload);
    return out;
}

static void run_script(const struct script *script, enum flaw flaw, unsigned nth)
{
    fresh_folder();
    flaky_plan(FLAW_NONE, 0);
    struct scene scene = open_scene();
    flaky_plan(flaw, nth);
    script->run(&scene);
    if (flaw == FLAW_WRITE || flaw == FLAW_SYNC)
        await_health(&scene);
    script->look(&scene);
    drop_scene(&scene);
}

void at_every(const struct script *script, enum flaw flaw)
{
    static const char *const names[] = {[FLAW_WRITE] = "write",
                                        [FLAW_SYNC] = "sync",
                                        [FLAW_TEAR] = "torn write",
                                        [FLAW_DEAD] = "last write"};
    run_script(script, FLAW_NONE, 0);
    const unsigned calls = flaw == FLAW_SYNC ? flaky_syncs() : flaky_writes();
    script->compare(true, "no flaw", 0);
    assert_true(calls > script->calls);
    for (unsigned nth = 1; nth <= calls; nth++) {
        run_script(script, flaw, nth);
        flaky_plan(FLAW_NONE, 0);
        script->compare(flaw == FLAW_WRITE || flaw == FLAW_SYNC, names[flaw], nth);
    }
}
