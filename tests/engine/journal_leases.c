/* SPDX-License-Identifier: MIT */
/* Steps with leases, of the engine with a journal. */
#include <stdio.h>
#include <string.h>

#include "base/verify.h"
#include "engine/journal_world.h"
#include "jobd/lease.h"

struct jobd_outcome any_outcome(struct world *world)
{
    struct jobd_outcome outcome = {.state = below(world, 2) == 0 ? JOBD_DONE : JOBD_FAILED};
    outcome.for_good = below(world, 3) == 0;
    outcome.down = outcome.state == JOBD_FAILED && below(world, 3) > 0;
    outcome.output = below(world, 3) == 0 ? jobd_blob_text("output") : NULL;
    outcome.error = outcome.state == JOBD_FAILED ? jobd_blob_text("error") : NULL;
    return outcome;
}

void do_lease(struct world *world, struct person *who)
{
    who->waiter.lease_us = 1 + some_us(world, 60);
    who->waiter.at_once = true;
    char *token = world->tokens[world->tokens_made % 64];
    snprintf(token, JOBD_TOKEN_SIZE, "%032x", ++world->tokens_made);
    strcpy(who->waiter.token, token);
    who->waiter.worker = below(world, 2) == 0 ? world->worker : NULL;
    enum jobd_result result =
        jobd_take(world->jobd, below(world, QUEUES), &who->waiter, world->now_us);
    who->id = result == JOBD_PENDING ? who->waiter.task.id : 0;
    ask(who, 'l', result);
}

/* Its holder says something, which waits for no disk. */
static void do_say(struct world *world, const char *token)
{
    struct jobd_blob *text = jobd_blob_text("some of it");
    bool truncated;
    verify(text != NULL);
    enum jobd_result result = below(world, 2) == 0
                                  ? jobd_lease_append(world->jobd, token, text, 1000, &truncated)
                                  : jobd_lease_progress(world->jobd, token, text);
    verify(result == JOBD_OK || result == JOBD_NO_LEASE || result == JOBD_LEASE_EXPIRED ||
           result == JOBD_OUT_OF_MEMORY);
    jobd_blob_unref(text);
}

static void drop_outcome(const struct jobd_outcome *outcome)
{
    jobd_blob_unref(outcome->output);
    jobd_blob_unref(outcome->error);
}

static bool runs_by(struct world *world, const char *token)
{
    struct jobd_info info;
    uint64_t id = jobd_lease_job(world->jobd, token);
    return id != 0 && jobd_get(world->jobd, id, &info) == JOBD_OK && info.state == JOBD_RUNNING &&
           strcmp(disk.jobs[id].token, token) == 0;
}

/* Several reports at once: written together, or not at all. */
static void do_reports(struct world *world, struct person *who)
{
    struct jobd_report reports[REPORTS];
    bool ran[REPORTS];
    for (unsigned i = 0; i < REPORTS; i++) {
        reports[i] = (struct jobd_report){.token = world->tokens[below(world, 64)],
                                          .outcome = any_outcome(world),
                                          .result = JOBD_PENDING};
        ran[i] = runs_by(world, reports[i].token);
    }
    who->verb = 'g';
    enum jobd_result result =
        jobd_lease_finish_all(world->jobd, reports, REPORTS, &who->waiter, world->now_us);
    for (unsigned i = 0; i < REPORTS; i++) {
        if (reports[i].result != JOBD_OK) {
            drop_outcome(&reports[i].outcome);
        } else if (ran[i]) {
            who->reports[who->reports_len].id = jobd_lease_job(world->jobd, reports[i].token);
            strcpy(who->reports[who->reports_len++].token, reports[i].token);
        }
    }
    ask(who, 'g', result);
}

void do_with_lease(struct world *world, struct person *who)
{
    const char *token = world->tokens[below(world, 64)];
    unsigned which = below(world, 5);
    if (token[0] == '\0')
        return;
    if (which == 4) {
        do_reports(world, who);
    } else if (which == 3) {
        do_say(world, token);
    } else if (which == 0) {
        ask(who, 'e',
            jobd_lease_extend(world->jobd, token, 1 + some_us(world, 60), &who->waiter,
                              world->now_us));
    } else if (which == 1) {
        ask(who, 'r',
            jobd_lease_release(world->jobd, token, some_us(world, 30), &who->waiter,
                               world->now_us));
    } else {
        const struct jobd_outcome outcome = any_outcome(world);
        enum jobd_result result =
            jobd_lease_finish(world->jobd, token, &outcome, &who->waiter, world->now_us);
        if (result != JOBD_PENDING)
            drop_outcome(&outcome);
        ask(who, 'd', result);
    }
}

struct person disk_lease(struct jobd *jobd, uint32_t queue, const char *token, int64_t now_us)
{
    struct person worker = person_new();
    worker.waiter.lease_us = 100;
    worker.waiter.at_once = true;
    strcpy(worker.waiter.token, token);
    verify(jobd_take(jobd, queue, &worker.waiter, now_us) == JOBD_PENDING);
    disk_write_all(jobd, now_us);
    verify(worker.waiter.result == JOBD_OK);
    jobd_blob_unref(worker.waiter.task.payload);
    return worker;
}
