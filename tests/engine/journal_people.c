/* SPDX-License-Identifier: MIT */
/* What is on disk is what the engine has, and what people were told. */
#include "engine/journal_scene.h"

#include <string.h>

#include "base/verify.h"
#include "jobd/lease.h"

void disk_compare_batches(struct jobd *jobd, uint64_t next_id, int64_t now_us)
{
    if (!journal_empty(jobd))
        return;
    for (uint64_t id = next_id > 60 ? next_id - 60 : 1; id < next_id; id++) {
        const struct batch_record *kept = &disk.batches[id];
        uint32_t ended = 0, there = 0;
        struct jobd_batch batch;
        if (kept->id == 0) {
            verify(jobd_get_batch(jobd, id, now_us, &batch) == JOBD_NO_JOB);
            continue;
        }
        for (unsigned state = 0; state < JOBD_STATES; state++)
            ended += kept->ended[state];
        for (uint64_t job = id; job < id + kept->jobs; job++)
            there += disk.jobs[job].there;
        verify(ended + there == kept->jobs);
        if (jobd_get_batch(jobd, id, now_us, &batch) != JOBD_OK) {
            verify(there == 0);
            continue;
        }
        verify(batch.jobs == kept->jobs);
        verify(jobd_batch_of(jobd, id) == (disk.jobs[id].there ? id : 0));
        for (unsigned state = JOBD_DONE; there == 0 && state < JOBD_STATES; state++)
            verify(batch.in_state[state] == kept->ended[state]);
    }
}

static bool same_token(void *context, enum row_kind kind, const struct job_record *now)
{
    const char *token = context;
    verify(kind != ROW_SET || strcmp(now->token, token) == 0);
    return true;
}

void disk_compare_token(struct jobd *jobd, uint64_t id)
{
    char *token = disk.jobs[id].token;
    if (jobd_lease_known(jobd, token))
        verify(journal_record(jobd, id, false, same_token, token));
}

/* ---- people */

/* Whoever is told that it is done finds it on disk at that moment; whoever is told that it is not,
 * does not, but where the store does not know. */
static void hold_to_account(const struct person *who)
{
    const struct kept *kept = &disk.jobs[who->id];
    bool good = who->waiter.result == JOBD_OK;
    if (disk.in_doubt && !good)
        return;
    switch (who->verb) {
    case 'p':
        verify(good ? kept->there
                    : who->waiter.result != JOBD_STORE_FAILED || !kept->there ||
                          who->waiter.receipt.replaced);
        break;
    case 'c':
        verify(!good || (kept->there && kept->record.state == JOBD_CANCELLED));
        verify(who->waiter.result != JOBD_STOPPING ||
               (kept->there && (kept->record.stopping || jobd_state_final(kept->record.state))));
        break;
    case 'a':
        verify(!good || (kept->there && !jobd_state_final(kept->record.state)));
        break;
    case 'f':
        verify(!good || !kept->there);
        break;
    case 'n':
        verify(!good || kept->there);
        break;
    case 'w': /* no attempt runs that is not on disk */
        verify(!good || (kept->there && kept->record.state == JOBD_RUNNING &&
                         kept->record.attempt == who->waiter.task.attempt));
        break;
    case 's': /* compare() looks at each schedule */
        break;
    case 'l':
        verify(kept->there); /* it may have run out meanwhile */
        verify(!good || kept->record.state != JOBD_RUNNING ||
               strcmp(kept->token, who->waiter.token) == 0);
        verify(good || strcmp(kept->token, who->waiter.token) != 0);
        break;
    case 'g':
        verify(reports_on_disk(who) == (good ? who->reports_len : 0));
        break;
    default:
        break;
    }
}

unsigned reports_on_disk(const struct person *who)
{
    unsigned found = 0;
    for (unsigned i = 0; i < who->reports_len; i++) {
        const struct kept *kept = &disk.jobs[who->reports[i].id];
        found += !kept->there || kept->record.state != JOBD_RUNNING ||
                 strcmp(kept->token, who->reports[i].token) != 0;
    }
    return found;
}

static void wake(struct jobd_waiter *waiter)
{
    struct person *who = (struct person *)(void *)waiter;
    who->waits = false;
    who->runs = who->verb == 'w' && waiter->result == JOBD_OK;
    hold_to_account(who);
}

struct person person_new(void)
{
    return (struct person){.waiter = {.deadline_us = JOBD_NEVER, .wake = wake}};
}
